/* iptables_rules.h: the same targets as iptables-restore reads them, for those who want to see or
 * use that; the program itself programs nftables. */
#ifndef KUBEPROXY_IPTABLES_RULES_H
#define KUBEPROXY_IPTABLES_RULES_H

#include "options.h"
#include "target.h"

/* Text that grows with each target, a family each; put together by iptables_print. */
struct iptables {
    int family;
    const struct proxy_options *options;
    struct text chains, services, node_ports, filter, rest;
};

void iptables_add_target(struct iptables *tables, const struct target *target);

/* The whole input of iptables-restore (family 4) or ip6tables-restore; clears it. */
void iptables_print(struct iptables *tables, struct text *out);

#endif
