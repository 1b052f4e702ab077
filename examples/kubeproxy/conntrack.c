/* conntrack.c: see conntrack.h. */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOW_TEXT 64

struct search {
    const struct string_map *ways;
    struct nf_conntrack **found; /* copies; the kernel cannot be told while it tells */
    size_t count;
};

/* "FAMILY ADDRESS PORT" by which a flow came, and "|ADDRESS PORT|" of who answers. */
static void read_flow(const struct nf_conntrack *flow, char way[FLOW_TEXT], char own_way[FLOW_TEXT],
                      char answers[FLOW_TEXT]) {
    bool four = nfct_get_attr_u8(flow, ATTR_ORIG_L3PROTO) == AF_INET;
    char asked[INET6_ADDRSTRLEN] = "";
    char answering[INET6_ADDRSTRLEN] = "";
    unsigned port = ntohs(nfct_get_attr_u16(flow, ATTR_ORIG_PORT_DST));
    inet_ntop(four ? AF_INET : AF_INET6,
              nfct_get_attr(flow, four ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST), asked,
              sizeof asked);
    inet_ntop(four ? AF_INET : AF_INET6,
              nfct_get_attr(flow, four ? ATTR_REPL_IPV4_SRC : ATTR_REPL_IPV6_SRC), answering,
              sizeof answering);
    snprintf(way, FLOW_TEXT, "%d %s %u", four ? 4 : 6, asked, port);
    snprintf(own_way, FLOW_TEXT, "%d - %u", four ? 4 : 6, port);
    snprintf(answers, FLOW_TEXT, "|%s %u|", answering,
             (unsigned)ntohs(nfct_get_attr_u16(flow, ATTR_REPL_PORT_SRC)));
}

static int look_at(enum nf_conntrack_msg_type type, struct nf_conntrack *flow, void *context) {
    struct search *search = context;
    char way[FLOW_TEXT];
    char own_way[FLOW_TEXT];
    char answers[FLOW_TEXT];
    (void)type;
    if (nfct_get_attr_u8(flow, ATTR_ORIG_L4PROTO) != IPPROTO_UDP) {
        return NFCT_CB_CONTINUE;
    }
    read_flow(flow, way, own_way, answers);
    const char *endpoints = string_map_find(search->ways, way);
    if (endpoints == NULL) {
        endpoints = string_map_find(search->ways, own_way);
    }
    if (endpoints != NULL && strstr(endpoints, answers) == NULL) {
        search->found =
            memory_resize(search->found, (search->count + 1) * sizeof(struct nf_conntrack *));
        search->found[search->count++] = nfct_clone(flow);
    }
    return NFCT_CB_CONTINUE;
}

static bool find_flows(struct nfct_handle *handle, struct search *search) {
    static const uint32_t families[] = {AF_INET, AF_INET6};
    bool well = nfct_callback_register(handle, NFCT_T_ALL, look_at, search) == 0;
    for (size_t i = 0; well && i < sizeof families / sizeof families[0]; i++) {
        well = nfct_query(handle, NFCT_Q_DUMP, &families[i]) == 0;
    }
    nfct_callback_unregister(handle);
    return well;
}

bool conntrack_forget(const struct string_map *ways, struct text *problem) {
    struct search search = {.ways = ways};
    struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
    bool well = handle != NULL && find_flows(handle, &search);
    for (size_t i = 0; i < search.count; i++) {
        well = search.found[i] != NULL && well;
        if (well && nfct_query(handle, NFCT_Q_DESTROY, search.found[i]) != 0) {
            well = errno == ENOENT; /* it has ended by itself */
        }
        nfct_destroy(search.found[i]);
    }
    if (!well) {
        text_add(problem, strerror(errno));
    }
    free(search.found);
    if (handle != NULL) {
        nfct_close(handle);
    }
    return well;
}
