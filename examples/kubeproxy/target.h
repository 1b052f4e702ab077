/*
 * target.h: what one port of a Service is in one family: the addresses at which it is asked for,
 * and the endpoints that answer. Made out of the API's objects (target.c); what printers print
 * (nft_rules.c, iptables_rules.c). Everything in it was checked: texts are addresses in canonical
 * form, numbers are in range, names are as the API server has them.
 */
#ifndef KUBEPROXY_TARGET_H
#define KUBEPROXY_TARGET_H

#include "json.h"

#define ADDRESS_TEXT 46

struct endpoint {
    char address[ADDRESS_TEXT];
    int port;
};

struct endpoint_list {
    struct endpoint *items;
    size_t count;
};

struct address_list {
    char (*items)[ADDRESS_TEXT + 4]; /* addresses, or CIDRs */
    size_t count;
};

struct target {
    struct target *next;
    int family;           /* 4 or 6 */
    char name[320];       /* "NAMESPACE/SERVICE/PROTOCOL/PORT": unique in the family */
    const char *protocol; /* "tcp", "udp", "sctp" */
    int port;
    char cluster_ip[ADDRESS_TEXT];       /* "": none of this family */
    struct address_list external;        /* externalIPs */
    struct address_list balanced;        /* of the load balancer */
    struct address_list sources;         /* who may come to those; none: everybody */
    bool restricted;                     /* sources counts, even if it is empty in this family */
    int node_port;                       /* 0: none */
    int affinity_s;                      /* sessionAffinity ClientIP; 0: none */
    bool internal_local, external_local; /* traffic policies */
    struct endpoint_list all;   /* the usable ones: ready, or, where none is, those that serve
                                   while they end */
    struct endpoint_list local; /* the same choice made out of this node's alone */
    size_t local_ready;         /* how many of this node's are ready */
};

/* The targets of a Service; NULL: none (headless, ExternalName). `slices` are its EndpointSlices.
 */
struct target *targets_make(const char *name, struct json_object *service,
                            struct json_object *const *slices, size_t slice_count,
                            const char *node);
void targets_free(struct target *targets);

#endif
