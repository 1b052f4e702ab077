/* address_rules.c: what is told of an address that may not be where it is; the texts are
 * kube-apiserver's. A slice may have 100,000 addresses: nothing here allocates. */
#include "service_rules.h"

#include <stdio.h>
#include <string.h>

static bool is_unspecified(const ipalloc_addr *address) {
    static const uint8_t zeros[sizeof address->bytes];
    return memcmp(address->bytes, zeros, sizeof zeros) == 0;
}

static bool is_loopback(const ipalloc_addr *address) {
    static const uint8_t one[sizeof address->bytes] = {[15] = 1};
    return address->family == 4 ? address->bytes[0] == 127
                                : memcmp(address->bytes, one, sizeof one) == 0;
}

static bool is_link_local(const ipalloc_addr *address) {
    const uint8_t *bytes = address->bytes;
    return address->family == 4 ? bytes[0] == 169 && bytes[1] == 254
                                : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static bool is_link_local_multicast(const ipalloc_addr *address) {
    const uint8_t *bytes = address->bytes;
    return address->family == 4 ? bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0
                                : bytes[0] == 0xff && (bytes[1] & 0x0f) == 2;
}

const char *special_address_rule(const char *value, const ipalloc_addr *address, char out[128]) {
    if (is_unspecified(address)) {
        snprintf(out, 128, "may not be unspecified (%.64s)", value);
        return out;
    }
    if (is_loopback(address)) {
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)";
    }
    if (is_link_local(address)) {
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
    }
    if (is_link_local_multicast(address)) {
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
    }
    return NULL;
}

const char *address_rule(const char *value) {
    ipalloc_addr address;
    if (ipalloc_addr_parse_legacy(value, strlen(value), &address, NULL, NULL) == IPALLOC_OK) {
        return strchr(value, ':') != NULL ? "must not be an IPv4-mapped IPv6 address"
                                          : "must not have leading 0s";
    }
    return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}
