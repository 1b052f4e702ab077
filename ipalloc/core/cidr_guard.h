/*
 * cidr_guard.h: libcidr, and the guard around it.
 *
 * libcidr's parser writes past its heap block on long IPv6 texts, reads before the string on short
 * ones and takes netmasks, octal and PTR names. So it sees only what cidr_guard_parse has taken
 * apart and found well-formed, and its answer is believed only if it is ours too.
 */
#ifndef IPALLOC_CORE_CIDR_GUARD_H
#define IPALLOC_CORE_CIDR_GUARD_H

#include <ipalloc/addr.h>

enum { CIDR_GUARD_TEXT_MAX = 49 }; /* 45 characters of IPv6 and "/128" */

/* Let libcidr parse `text`, which must be an address that inet_pton took, one slash and a canonical
 * prefix length, and compare its answer with `ours` (host bits kept).
 * OK; NOMEM; INVALID where the two differ (the message shows both: an internal error). */
int cidr_guard_check(const char *text, size_t length, const ipalloc_cidr *ours,
                     ipalloc_error *error);

#endif
