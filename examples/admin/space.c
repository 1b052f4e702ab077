/* space.c: addresses as 128-bit numbers; see space.h. */
#include "space.h"

static unsigned address_bytes(uint8_t family) {
    return family == 4 ? 4 : 16;
}

wide wide_of_address(const ipalloc_addr *address) {
    wide number = 0;
    for (unsigned i = 0; i < address_bytes(address->family); i++) {
        number = number << 8 | address->bytes[i];
    }
    return number;
}

ipalloc_addr address_of_wide(uint8_t family, wide number) {
    ipalloc_addr address = {.family = family};
    for (unsigned i = address_bytes(family); i > 0; i--) {
        address.bytes[i - 1] = (uint8_t)number;
        number >>= 8;
    }
    return address;
}

wide wide_of_place(const struct admin_place *place) {
    return place->is_port ? place->port : wide_of_address(&place->address);
}

ipalloc_count count_of_wide(wide number) {
    return (ipalloc_count){.high = (uint64_t)(number >> 64), .low = (uint64_t)number};
}

bool wide_parse(const char *digits, wide *out) {
    wide number = 0;
    const char *at = digits;
    for (; *at >= '0' && *at <= '9'; at++) {
        wide digit = (wide)(*at - '0');
        if (number > (~(wide)0 - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out = number;
    return at != digits && *at == '\0';
}

ipalloc_addr cidr_last(const ipalloc_cidr *cidr) {
    ipalloc_addr last = cidr->base;
    unsigned bits = 8 * address_bytes(last.family);
    for (unsigned bit = cidr->prefix_length; bit < bits; bit++) {
        last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    return last;
}
