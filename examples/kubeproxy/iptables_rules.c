/*
 * iptables_rules.c: see iptables_rules.h. Chains are named by a hash: iptables allows 28 letters.
 *
 * A Service's chain marks what has to be masqueraded, then draws an endpoint's chain; what has no
 * endpoint is rejected in the filter table.
 */
#include "iptables_rules.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void chain_of(char out[32], const char *kind, const char *name, const char *more) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *part = name; part != NULL; part = part == name ? more : NULL) {
        for (const char *at = part; *at != '\0'; at++) {
            hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ '/') * UINT64_C(0x100000001b3);
    }
    snprintf(out, 32, "IPA-%s-%016llX", kind, (unsigned long long)hash);
}

static void endpoint_chain(const struct target *target, const struct endpoint *endpoint,
                           char out[32]) {
    char text[80];
    snprintf(text, sizeof text, "%s %d", endpoint->address, endpoint->port);
    chain_of(out, "SEP", target->name, text);
}

static const char *suffix(int family) {
    return family == 4 ? "/32" : "/128";
}

static void add_endpoint(struct iptables *tables, const struct target *target,
                         const struct endpoint *endpoint) {
    char chain[32];
    endpoint_chain(target, endpoint, chain);
    text_format(&tables->chains, ":%s - [0:0]\n", chain);
    text_format(&tables->rest, "-A %s -s %s%s -j IPA-MARK-MASQ\n", chain, endpoint->address,
                suffix(target->family));
    text_format(&tables->rest, "-A %s -p %s%s", chain, target->protocol,
                target->affinity_s > 0 ? "" : " ");
    if (target->affinity_s > 0) {
        text_format(&tables->rest, " -m recent --name %s --set ", chain);
    }
    text_format(&tables->rest,
                target->family == 4 ? "-j DNAT --to-destination %s:%d\n"
                                    : "-j DNAT --to-destination [%s]:%d\n",
                endpoint->address, endpoint->port);
}

/* The chain that draws one of the endpoints. */
static void add_draw(struct iptables *tables, const struct target *target, const char *chain,
                     const struct endpoint_list *list) {
    char to[32];
    text_format(&tables->chains, ":%s - [0:0]\n", chain);
    for (size_t i = 0; i < list->count && target->affinity_s > 0; i++) {
        endpoint_chain(target, &list->items[i], to);
        text_format(&tables->rest, "-A %s -m recent --name %s --rcheck --seconds %d --reap -j %s\n",
                    chain, to, target->affinity_s, to);
    }
    for (size_t i = 0; i < list->count; i++) {
        endpoint_chain(target, &list->items[i], to);
        text_format(&tables->rest, "-A %s", chain);
        if (i + 1 < list->count) {
            text_format(&tables->rest, " -m statistic --mode random --probability %.10f",
                        1.0 / (double)(list->count - i));
        }
        text_format(&tables->rest, " -j %s\n", to);
    }
}

static void add_match(struct text *out, const char *chain, const struct target *target,
                      const char *address) {
    text_format(out, "-A %s -d %s%s -p %s -m %s --dport %d", chain, address, suffix(target->family),
                target->protocol, target->protocol, target->port);
}

/* Packets to that address: masqueraded, or those from outside the cluster, and on to the chain. */
static void add_vip(struct iptables *tables, const struct target *target, const char *address,
                    const char *chain, bool outside) {
    const struct proxy_options *options = tables->options;
    if (outside && !target->external_local) {
        add_match(&tables->services, "IPA-SERVICES", target, address);
        text_add(&tables->services, " -j IPA-MARK-MASQ\n");
    }
    for (size_t i = 0; !outside && i < options->cluster_cidr_count; i++) {
        bool six = strchr(options->cluster_cidrs[i], ':') != NULL;
        if (six == (target->family == 6)) {
            text_format(&tables->services,
                        "-A IPA-SERVICES ! -s %s -d %s%s -p %s -m %s --dport %d "
                        "-j IPA-MARK-MASQ\n",
                        options->cluster_cidrs[i], address, suffix(target->family),
                        target->protocol, target->protocol, target->port);
        }
    }
    add_match(&tables->services, "IPA-SERVICES", target, address);
    text_format(&tables->services, " -j %s\n", chain);
}

static void add_refusal(struct iptables *tables, const struct target *target, const char *address) {
    add_match(&tables->filter, "IPA-UNANSWERED", target, address);
    text_format(&tables->filter, " -j REJECT%s\n",
                strcmp(target->protocol, "tcp") == 0 ? " --reject-with tcp-reset" : "");
}

/* Under externalTrafficPolicy Local: who is inside anyway may go everywhere. */
static void add_outside(struct iptables *tables, const struct target *target, const char *chain,
                        const char *all, const char *local) {
    const struct proxy_options *options = tables->options;
    text_format(&tables->chains, ":%s - [0:0]\n", chain);
    for (size_t i = 0; i < options->cluster_cidr_count; i++) {
        bool six = strchr(options->cluster_cidrs[i], ':') != NULL;
        if (six == (target->family == 6)) {
            text_format(&tables->rest, "-A %s -s %s -j %s\n", chain, options->cluster_cidrs[i],
                        all);
        }
    }
    text_format(&tables->rest, "-A %s -m addrtype --src-type LOCAL -j IPA-MARK-MASQ\n", chain);
    text_format(&tables->rest, "-A %s -m addrtype --src-type LOCAL -j %s\n", chain, all);
    if (target->local.count > 0) {
        text_format(&tables->rest, "-A %s -j %s\n", chain, local);
    }
}

static void drop_vip(struct iptables *tables, const struct target *target, const char *address) {
    add_match(&tables->filter, "IPA-UNANSWERED", target, address);
    text_add(&tables->filter, " -j DROP\n");
}

/* Packets that nothing translates, to any address that leads here from outside. */
static void answer_outside(struct iptables *tables, const struct target *target,
                           void (*answer)(struct iptables *tables, const struct target *target,
                                          const char *address),
                           const char *port_verdict) {
    for (size_t i = 0; i < target->external.count; i++) {
        answer(tables, target, target->external.items[i]);
    }
    for (size_t i = 0; i < target->balanced.count; i++) {
        answer(tables, target, target->balanced.items[i]);
    }
    if (target->node_port != 0) {
        text_format(&tables->filter,
                    "-A IPA-UNANSWERED -m addrtype --dst-type LOCAL -p %s -m %s --dport %d -j %s\n",
                    target->protocol, target->protocol, target->node_port, port_verdict);
    }
}

/* What a policy Local keeps from endpoints that are elsewhere. */
static void drop_far(struct iptables *tables, const struct target *target) {
    if (target->internal_local) {
        drop_vip(tables, target, target->cluster_ip);
    }
    if (target->external_local) {
        answer_outside(tables, target, drop_vip, "DROP");
    }
}

static void add_balanced(struct iptables *tables, const struct target *target, const char *chain) {
    char gate[32];
    const char *to = chain;
    if (target->restricted && target->balanced.count > 0) {
        chain_of(gate, "FW", target->name, "");
        text_format(&tables->chains, ":%s - [0:0]\n", gate);
        for (size_t i = 0; i < target->sources.count; i++) {
            text_format(&tables->rest, "-A %s -s %s -j %s\n", gate, target->sources.items[i],
                        chain);
        }
        /* What is left is not translated; the filter table drops it. */
        for (size_t i = 0; i < target->balanced.count; i++) {
            drop_vip(tables, target, target->balanced.items[i]);
        }
        to = gate;
    }
    for (size_t i = 0; i < target->balanced.count; i++) {
        add_vip(tables, target, target->balanced.items[i], to, true);
    }
}

static void add_node_port(struct iptables *tables, const struct target *target, const char *chain) {
    if (!target->external_local) {
        text_format(&tables->node_ports,
                    "-A IPA-NODEPORTS -p %s -m %s --dport %d -j "
                    "IPA-MARK-MASQ\n",
                    target->protocol, target->protocol, target->node_port);
    }
    text_format(&tables->node_ports, "-A IPA-NODEPORTS -p %s -m %s --dport %d -j %s\n",
                target->protocol, target->protocol, target->node_port, chain);
}

static void refuse_all(struct iptables *tables, const struct target *target) {
    add_refusal(tables, target, target->cluster_ip);
    answer_outside(tables, target, add_refusal, "REJECT");
}

void iptables_add_target(struct iptables *tables, const struct target *target) {
    char all[32];
    char local[32];
    char outside[32];
    if (target->family != tables->family) {
        return;
    }
    if (target->all.count == 0) {
        refuse_all(tables, target);
        return;
    }
    chain_of(all, "SVC", target->name, "");
    chain_of(local, "LOC", target->name, "");
    chain_of(outside, target->external_local ? "EXT" : "SVC", target->name, "");
    for (size_t i = 0; i < target->all.count; i++) {
        add_endpoint(tables, target, &target->all.items[i]);
    }
    add_draw(tables, target, all, &target->all);
    if (target->internal_local || target->external_local) {
        add_draw(tables, target, local, &target->local);
    }
    if (target->external_local) {
        add_outside(tables, target, outside, all, local);
    }
    if (target->local.count == 0) {
        drop_far(tables, target);
    }
    add_vip(tables, target, target->cluster_ip, target->internal_local ? local : all, false);
    for (size_t i = 0; i < target->external.count; i++) {
        add_vip(tables, target, target->external.items[i], outside, true);
    }
    add_balanced(tables, target, outside);
    if (target->node_port != 0) {
        add_node_port(tables, target, outside);
    }
}

static void add_part(struct text *out, struct text *part) {
    text_append(out, part->data != NULL ? part->data : "", part->size);
    text_clear(part);
}

void iptables_print(struct iptables *tables, struct text *out) {
    const char *loopback = tables->family == 4 ? "127.0.0.0/8" : "::1/128";
    text_add(out, "*filter\n:IPA-UNANSWERED - [0:0]\n");
    text_add(out, "-A INPUT -m conntrack --ctstate NEW -j IPA-UNANSWERED\n"
                  "-A FORWARD -m conntrack --ctstate NEW -j IPA-UNANSWERED\n"
                  "-A OUTPUT -m conntrack --ctstate NEW -j IPA-UNANSWERED\n");
    add_part(out, &tables->filter);
    text_add(out, "COMMIT\n*nat\n:IPA-SERVICES - [0:0]\n:IPA-NODEPORTS - [0:0]\n"
                  ":IPA-MARK-MASQ - [0:0]\n:IPA-POSTROUTING - [0:0]\n");
    add_part(out, &tables->chains);
    text_add(out, "-A PREROUTING -j IPA-SERVICES\n-A OUTPUT -j IPA-SERVICES\n"
                  "-A POSTROUTING -j IPA-POSTROUTING\n"
                  "-A IPA-MARK-MASQ -j MARK --or-mark 0x4000\n"
                  "-A IPA-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
                  "-A IPA-POSTROUTING -j MARK --xor-mark 0x4000\n"
                  "-A IPA-POSTROUTING -j MASQUERADE --random-fully\n");
    add_part(out, &tables->services);
    text_format(out, "-A IPA-SERVICES ! -d %s -m addrtype --dst-type LOCAL -j IPA-NODEPORTS\n",
                loopback);
    add_part(out, &tables->node_ports);
    add_part(out, &tables->rest);
    text_add(out, "COMMIT\n");
}
