/*
 * stored_support.h: the stored values of tests/data/kubernetes, for the tests of the stored forms.
 */
#ifndef IPALLOC_TEST_STORED_SUPPORT_H
#define IPALLOC_TEST_STORED_SUPPORT_H

#include "support.h"

/* Every protobuf sample, by its path below tests/data/kubernetes. */
enum { SAMPLE_COUNT = 10 };
extern const char *const SAMPLES[SAMPLE_COUNT];

#define NODE_PORTS_SAMPLE   "stored-by-1.36.2/registry_ranges_servicenodeports.bin"
#define IP_ADDRESS_SAMPLE   "stored-by-1.36.2/registry_ipaddresses_10.96.0.1.bin"
#define IPV6_ADDRESS_SAMPLE "stored-by-1.36.2/registry_ipaddresses_fd00:10:96::e7d4.bin"
#define WEB_ADDRESS_SAMPLE  "stored-by-1.36.2/registry_ipaddresses_10.96.0.10.bin"
#define SERVICE_CIDR_SAMPLE "stored-by-1.36.2/registry_servicecidrs_kubernetes.bin"

/* The bytes of a sample in memory of exactly their size, so that a sanitizer sees a byte too far.
 * bytes_free them. */
ipalloc_bytes sample_read(const char *path);
ipalloc_bytes bytes_copy(const void *bytes, size_t size);
void bytes_free(ipalloc_bytes bytes);

/* Bytes written as C text without its NUL; of text. */
#define BYTES(literal) ((ipalloc_bytes){(literal), sizeof(literal) - 1})
ipalloc_bytes text_of(const char *text);

/* "<object>" in the envelope of a kind, in memory of its size. */
ipalloc_bytes enveloped(const char *api_version, const char *kind, ipalloc_bytes object);

#define ck_assert_bytes_eq(left, right)                        \
    do {                                                       \
        ipalloc_bytes left_ = (left), right_ = (right);        \
        ck_assert_uint_eq(left_.size, right_.size);            \
        ck_assert_mem_eq(left_.data, right_.data, left_.size); \
    } while (0)

#endif
