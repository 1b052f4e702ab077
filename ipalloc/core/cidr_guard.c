/*
 * cidr_guard.c: the only file that sees libcidr.h.
 *
 * Facts about libcidr 1.2.3 that this rests on: it looks up to 8 bytes before the text, so it is
 * given a copy behind zeros; it allocates one block per parse with malloc, which no hook of ours
 * can see; IPv4 is stored in the last four of sixteen bytes; errno is not always set, so NULL alone
 * means failure.
 */
#include "core/cidr_guard.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <libcidr.h>
#include <string.h>

enum { ZEROS_IN_FRONT = 16 };

static bool same(const CIDR *theirs, const ipalloc_cidr *ours) {
    bool ipv4 = ours->base.family == 4;
    if (cidr_get_proto(theirs) != (ipv4 ? CIDR_IPV4 : CIDR_IPV6))
        return false;
    if (cidr_get_pflen(theirs) != ours->prefix_length)
        return false;
    const uint8_t *bytes = ipv4 ? theirs->addr + 12 : theirs->addr;
    return memcmp(bytes, ours->base.bytes, ipv4 ? 4 : 16) == 0;
}

int cidr_guard_check(const char *text, size_t length, const ipalloc_cidr *ours,
                     ipalloc_error *error) {
    assert(length <= CIDR_GUARD_TEXT_MAX);
    char copy[ZEROS_IN_FRONT + CIDR_GUARD_TEXT_MAX + 1] = {0};
    memcpy(copy + ZEROS_IN_FRONT, text, length);
    errno = 0;
    CIDR *theirs = cidr_from_str(copy + ZEROS_IN_FRONT);
    if (theirs == NULL)
        return errno == ENOMEM
                   ? error_no_memory(error)
                   : error_set(error, IPALLOC_E_INVALID,
                               "internal error: libcidr refuses \"%.*s\", which is well-formed",
                               (int)length, text);
    bool agreed = same(theirs, ours);
    cidr_free(theirs);
    if (!agreed)
        return error_set(error, IPALLOC_E_INVALID,
                         "internal error: libcidr reads \"%.*s\" in another way", (int)length,
                         text);
    return IPALLOC_OK;
}
