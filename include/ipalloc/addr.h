/*
 * addr.h: IP addresses and CIDRs. Strict text in, canonical text out.
 *
 * Text rules are those of Kubernetes' strict validation (KEP-4858): exactly what Go's netip
 * accepts, no leading zeros, no IPv4-mapped IPv6, no zone, no bits beyond the prefix. Output
 * is RFC 5952 as Go's netip prints it, so it compares equal to Kubernetes' object names.
 * All functions are pure: no allocation by us, safe from any thread.
 */
#ifndef IPALLOC_ADDR_H
#define IPALLOC_ADDR_H

#include <ipalloc/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IPALLOC_ADDR_TEXT 46 /* the longest IPv6 text with its NUL */
#define IPALLOC_CIDR_TEXT 50 /* the same with "/128" */

/* An address, network byte order; IPv4 in bytes[0..3], the other bytes zero. `family` is 4 or 6
 * (never AF_*); 0 means "no address". */
typedef struct ipalloc_addr {
    uint8_t family;
    uint8_t bytes[16];
} ipalloc_addr;

/* A CIDR; bits of `base` beyond `prefix_length` (bits, 0..32 or 0..128) are zero. */
typedef struct ipalloc_cidr {
    ipalloc_addr base;
    uint8_t prefix_length;
} ipalloc_cidr;

/* A number of addresses, up to 2^128: high * 2^64 + low. */
typedef struct ipalloc_count {
    uint64_t high;
    uint64_t low;
} ipalloc_count;

/* Parse `length` bytes of text ("10.96.0.10", "fd00::a") strictly.
 * OK; INVALID (the message shows the text and the rule); `*out` is untouched on failure. */
IPALLOC_API int ipalloc_addr_parse(const char *text, size_t length, ipalloc_addr *out,
                                   ipalloc_error *error);

/* Parse a CIDR ("10.96.0.0/16") strictly: canonical prefix length, no host bits.
 * OK; INVALID; NOMEM (libcidr could not allocate). */
IPALLOC_API int ipalloc_cidr_parse(const char *text, size_t length, ipalloc_cidr *out,
                                   ipalloc_error *error);

/* Parse a CIDR whose host bits may be set, and clear them ("192.0.2.1/24" is 192.0.2.0/24), as
 * kube-apiserver does with --service-cluster-ip-range. Otherwise as ipalloc_cidr_parse. */
IPALLOC_API int ipalloc_cidr_parse_masked(const char *text, size_t length, ipalloc_cidr *out,
                                          ipalloc_error *error);

/* Parse old stored text: as strict, but leading zeros are read as decimal (Go before 1.17, never
 * octal: CVE-2021-29923) and host bits are cleared. `*was_strict` (may be NULL) tells whether the
 * strict parser would have taken it. Same statuses. Rule: KEP-4858 ratcheting. */
IPALLOC_API int ipalloc_addr_parse_legacy(const char *text, size_t length, ipalloc_addr *out,
                                          bool *was_strict, ipalloc_error *error);
IPALLOC_API int ipalloc_cidr_parse_legacy(const char *text, size_t length, ipalloc_cidr *out,
                                          bool *was_strict, ipalloc_error *error);

/* Write canonical text with its NUL; returns its length without the NUL. An address of no family
 * is written as "invalid". */
IPALLOC_API size_t ipalloc_addr_format(const ipalloc_addr *address, char out[IPALLOC_ADDR_TEXT]);
IPALLOC_API size_t ipalloc_cidr_format(const ipalloc_cidr *cidr, char out[IPALLOC_CIDR_TEXT]);

/* Order: by family, then numerically. <0, 0, >0. */
IPALLOC_API int ipalloc_addr_compare(const ipalloc_addr *a, const ipalloc_addr *b);

/* Is the address inside the CIDR (same family, same prefix)? Its ends count as inside. */
IPALLOC_API bool ipalloc_cidr_contains(const ipalloc_cidr *cidr, const ipalloc_addr *address);

/* Do the two share an address? */
IPALLOC_API bool ipalloc_cidr_overlaps(const ipalloc_cidr *a, const ipalloc_cidr *b);

/* Are all addresses of `inner` in `outer` too? A CIDR covers itself. */
IPALLOC_API bool ipalloc_cidr_covers(const ipalloc_cidr *outer, const ipalloc_cidr *inner);

#define IPALLOC_CIDR_PARTS_MAX 128 /* ::/0 without one address is 128 CIDRs */

/* What is left of `from` without `taken`: the fewest CIDRs, in ascending order. Nothing where
 * `taken` covers it; `from` itself where the two share no address. *count gets how many there are,
 * also where they do not fit; at most IPALLOC_CIDR_PARTS_MAX (IPv4: 32).
 * OK; INVALID (more than `capacity`: nothing is written to `out`; a CIDR with bits beyond its
 * prefix; NULL). */
IPALLOC_API int ipalloc_cidr_subtract(const ipalloc_cidr *from, const ipalloc_cidr *taken,
                                      ipalloc_cidr *out, size_t capacity, size_t *count,
                                      ipalloc_error *error);

#define IPALLOC_COUNT_TEXT 40 /* 2^128 has 39 digits */

/* Write a count in decimal digits; returns the length without the NUL. */
IPALLOC_API size_t ipalloc_count_format(ipalloc_count count, char out[IPALLOC_COUNT_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
