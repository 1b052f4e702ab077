// program.cpp: the same as program.c from C++.
#include <ipalloc/ipalloc.h>

#include <cstring>
#include <iostream>

int main() {
    const char *text = "fd00:10:96::/108";
    ipalloc_cidr cidr;
    ipalloc_error error;
    if (ipalloc_cidr_parse(text, std::strlen(text), &cidr, &error) != IPALLOC_OK) {
        std::cerr << error.message << "\n";
        return 1;
    }
    std::cout << ipalloc_version() << "\n";
    return 0;
}
