/* options.h: the command line. Read and judged whole before anything is opened or created. */
#ifndef APISERVER_OPTIONS_H
#define APISERVER_OPTIONS_H

#include "store_flags.h"

#include <ipalloc/addr.h>

#define OPTIONS_CLUSTER_RANGES_MAX       2
#define OPTIONS_LOAD_BALANCER_RANGES_MAX 8
#define OPTIONS_BALANCERS_MAX            9 /* the default and eight with a name */
#define OPTIONS_BALANCER_NAME_MAX        40

/* A pool of load-balancer addresses. */
struct balancer_ranges {
    char name[OPTIONS_BALANCER_NAME_MAX + 1];
    ipalloc_cidr ranges[OPTIONS_LOAD_BALANCER_RANGES_MAX];
    size_t count; /* 0: there is none */
};

struct options {
    ipalloc_cidr cluster_ranges[OPTIONS_CLUSTER_RANGES_MAX]; /* [0] is the default family */
    size_t cluster_range_count;
    struct balancer_ranges
        balancers[OPTIONS_BALANCERS_MAX]; /* [0] is the default, without a name */
    size_t balancer_count;
    uint16_t node_port_first, node_port_last;
    struct store_flags store;
    ipalloc_addr listen_address;
    uint16_t listen_port; /* 0: the system picks one */
    bool endpoint_slices; /* keep them, and what else follows in the background */
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* OPTIONS_WRONG leaves one line in `problem` that names the flag, the value and the rule. */
enum options_result options_parse(int count, char **arguments, struct options *options,
                                  struct text *problem);

void options_help(struct text *out);

#endif
