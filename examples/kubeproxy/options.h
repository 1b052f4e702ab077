/* options.h: the command line. */
#ifndef KUBEPROXY_OPTIONS_H
#define KUBEPROXY_OPTIONS_H

#include "text.h"

#include <ipalloc/addr.h>

#define CLUSTER_CIDRS_MAX 8

enum proxy_mode { PROXY_RUN, PROXY_DRY_RUN, PROXY_ONCE, PROXY_CLEANUP, PROXY_HELP };

struct proxy_options {
    const char *server; /* the API server's URL */
    const char *node;   /* our Node's name; "" */
    char cluster_cidrs[CLUSTER_CIDRS_MAX][IPALLOC_CIDR_TEXT];
    size_t cluster_cidr_count;
    bool hash;           /* balance by a hash of the client's address and port, not at random */
    bool iptables;       /* print iptables' rules */
    const char *healthz; /* ADDRESS:PORT; NULL: none */
    enum proxy_mode mode;
};

/* False with one line in `problem` that names the flag, the value and the rule. */
bool proxy_options_parse(int count, char **arguments, struct proxy_options *options,
                         struct text *problem);
void proxy_options_help(struct text *out);

#endif
