/*
 * etcd_url.h: what follows "etcd:" in a store's URL.
 *
 * "http://a:2379,b:2379/prefix": http or https, one host or more with a port each (2379 where none
 * is given), IPv6 addresses in brackets, and the prefix of all keys ("/ipalloc" where none is
 * given). Each host may repeat the scheme. User and password are options, not part of the URL.
 */
#ifndef IPALLOC_STORE_ETCD_URL_H
#define IPALLOC_STORE_ETCD_URL_H

#include <ipalloc/status.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    ETCD_HOSTS_MAX = 16,
    ETCD_HOST_MAX = 272,    /* a name of 253 bytes, a port, and brackets */
    ETCD_PREFIX_MAX = 512,  /* bytes of the prefix, so that its keys stay short */
    ETCD_URL_ERROR_MAX = 96 /* of the part that a message shows */
};

typedef struct etcd_place {
    bool tls;
    size_t host_count;
    char hosts[ETCD_HOSTS_MAX][ETCD_HOST_MAX]; /* "name:2379", "[::1]:2379" */
    char prefix[ETCD_PREFIX_MAX + 2];          /* "/ipalloc/": with a '/' at its end */
    size_t prefix_length;
} etcd_place;

/* OK, or INVALID, which says what is wrong with which part. */
int etcd_url_parse(const char *text, etcd_place *out, ipalloc_error *error);

#endif
