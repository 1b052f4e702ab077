/*
 * status.c: names and texts of the status codes, generated from the one table in status.h.
 */
#include <ipalloc/status.h>

const char *ipalloc_version(void) {
    return IPALLOC_VERSION_TEXT;
}

const char *ipalloc_strerror(int status) {
    switch (status) {
    case IPALLOC_OK:
        return "success";
#define STATUS_TEXT(name, value, text) \
    case (value):                      \
        return text;
        IPALLOC_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    default:
        return "unknown status";
    }
}

const char *ipalloc_status_name(int status) {
    switch (status) {
    case IPALLOC_OK:
        return "IPALLOC_OK";
#define STATUS_NAME(name, value, text) \
    case (value):                      \
        return "IPALLOC_E_" #name;
        IPALLOC_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    default:
        return "IPALLOC_E_?";
    }
}
