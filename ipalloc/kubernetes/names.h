/*
 * names.h: what Kubernetes takes as a name.
 *
 * Pure text; no messages: the caller knows what the name is for.
 */
#ifndef IPALLOC_KUBERNETES_NAMES_H
#define IPALLOC_KUBERNETES_NAMES_H

#include <ipalloc/store.h>

/* RFC 1123: lower-case letters, digits and '-' within, 1 to 63 bytes. */
bool name_is_label(ipalloc_bytes name);

/* Labels with dots between them, at most 253 bytes. */
bool name_is_subdomain(ipalloc_bytes name);

/* What can stand in a path between two slashes, of at most `longest` printable ASCII bytes: neither
 * empty nor "." nor "..", without '/' and '%'. */
bool name_is_path_segment(ipalloc_bytes name, size_t longest);

/* 1 to `longest` printable ASCII bytes without blanks. */
bool name_is_word(ipalloc_bytes name, size_t longest);

/* NULL bytes are none, whatever their size says. */
static inline ipalloc_bytes bytes_given(ipalloc_bytes bytes) {
    return bytes.data != NULL ? bytes : (ipalloc_bytes){NULL, 0};
}

bool bytes_are(ipalloc_bytes bytes, const char *text);

#endif
