/*
 * nft_rules.c: what a target wants of nftables; see nft_rules.h.
 *
 * Chains of a target, by what follows its name: nothing, all endpoints; `local`, this node's;
 * `outside`, what comes from outside under externalTrafficPolicy Local; `sources`, the load
 * balancer's gate.
 */
#include "nft_rules.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MASQUERADE_MARK "0x4000"
#define HASH_SEED                                                                                 \
    "0x69706163" /* always the same: the kernel would draw another one for each rule, so that the \
                    last endpoint got most, and others after a restart */
#define DRAWN_BY_RULES \
    8 /* more endpoints are drawn out of a map: that takes the kernel longer to make */
#define CHAIN_TEXT 160
#define SET_TEXT   48

static const char *ip_word(int family) {
    return family == 4 ? "ip" : "ip6";
}

static uint64_t hash_of(const char *text) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Readable, unique by the hash even where it is cut, and an nft identifier whatever the name is. */
static const char *chain_name(const struct target *target, const char *what, char out[CHAIN_TEXT]) {
    char whole[400];
    snprintf(whole, sizeof whole, "%s%s%s", target->name, what[0] != '\0' ? "/" : "", what);
    snprintf(out, CHAIN_TEXT, "s-%016" PRIx64 "-%.100s", hash_of(whole), whole);
    for (char *at = out; *at != '\0'; at++) {
        *at = isalnum((unsigned char)*at) || strchr("-./", *at) != NULL ? *at : '_';
    }
    return out;
}

static const char *endpoint_text(const struct endpoint *endpoint, int family, char out[64]) {
    snprintf(out, 64, family == 4 ? "%s:%d" : "[%s]:%d", endpoint->address, endpoint->port);
    return out;
}

/* --- drawing an endpoint ---------------------------------------------------------------------- */

/* "numgen random mod 3", or a hash of who asks. */
static void add_draw(struct text *out, const struct target *target, bool hash, size_t count) {
    if (hash) {
        text_format(out, "jhash %s saddr . %s sport mod %zu seed " HASH_SEED,
                    ip_word(target->family), target->protocol, count);
    } else {
        text_format(out, "numgen random mod %zu", count);
    }
}

/* One rule after the other: at random, each takes its part of what is left. */
static void draw_by_rules(struct text *out, const struct target *target,
                          const struct endpoint_list *list, bool hash) {
    char to[64];
    for (size_t i = 0; i < list->count; i++) {
        text_format(out, "meta l4proto %s ", target->protocol);
        if (i + 1 < list->count) {
            add_draw(out, target, hash, hash ? list->count : list->count - i);
            text_format(out, " %zu ", hash ? i : 0);
        }
        text_format(out, "dnat to %s\n", endpoint_text(&list->items[i], target->family, to));
    }
}

static void draw_by_map(struct text *out, const struct target *target,
                        const struct endpoint_list *list, bool hash) {
    text_format(out, "meta l4proto %s dnat %s addr . port to ", target->protocol,
                ip_word(target->family));
    add_draw(out, target, hash, list->count);
    text_add(out, " map { ");
    for (size_t i = 0; i < list->count; i++) {
        text_format(out, "%s%zu : %s . %d", i > 0 ? ", " : "", i, list->items[i].address,
                    list->items[i].port);
    }
    text_add(out, " }\n");
}

/* --- session affinity: a set of clients an endpoint, and a chain that fills it ------------------
 */

static void affinity_names(const struct target *target, const struct endpoint *endpoint,
                           char chain[CHAIN_TEXT], char set[SET_TEXT]) {
    char what[80];
    char to[64];
    snprintf(what, sizeof what, "to/%s", endpoint_text(endpoint, target->family, to));
    chain_name(target, what, chain);
    snprintf(set, SET_TEXT, "clients-%.16s-%d", chain + 2, target->affinity_s);
}

static void add_affinity_chain(struct piece *piece, const struct target *target,
                               const struct endpoint *endpoint) {
    char chain[CHAIN_TEXT];
    char set[SET_TEXT];
    char to[64];
    struct text text = {0};
    affinity_names(target, endpoint, chain, set);
    text_format(&text, "type %s; flags dynamic,timeout; timeout %ds;",
                target->family == 4 ? "ipv4_addr" : "ipv6_addr", target->affinity_s);
    piece_add(piece, RULE_SET, target->family, "", set, text.data);
    text.size = 0;
    text_format(&text, "update @%s { %s saddr }\nmeta l4proto %s dnat to %s\n", set,
                ip_word(target->family), target->protocol,
                endpoint_text(endpoint, target->family, to));
    piece_add(piece, RULE_CHAIN, target->family, "", chain, text.data);
    text_clear(&text);
}

static void draw_with_affinity(struct piece *piece, struct text *out, const struct target *target,
                               const struct endpoint_list *list, bool hash) {
    char chain[CHAIN_TEXT];
    char set[SET_TEXT];
    for (size_t i = 0; i < list->count; i++) {
        add_affinity_chain(piece, target, &list->items[i]);
        affinity_names(target, &list->items[i], chain, set);
        text_format(out, "%s saddr @%s goto %s\n", ip_word(target->family), set, chain);
    }
    for (size_t i = 0; i < list->count; i++) {
        affinity_names(target, &list->items[i], chain, set);
        if (i + 1 < list->count) {
            text_format(out, "meta l4proto %s ", target->protocol);
            add_draw(out, target, hash, hash ? list->count : list->count - i);
            text_format(out, " %zu ", hash ? i : 0);
        }
        text_format(out, "goto %s\n", chain);
    }
}

/* The chain that draws one of these endpoints, of which there is at least one. */
static void add_endpoints_chain(struct piece *piece, const struct target *target,
                                const struct endpoint_list *list, const char *what, bool hash) {
    char chain[CHAIN_TEXT];
    struct text text = {0};
    if (target->affinity_s > 0) {
        draw_with_affinity(piece, &text, target, list, hash);
    } else if (list->count <= DRAWN_BY_RULES) {
        draw_by_rules(&text, target, list, hash);
    } else {
        draw_by_map(&text, target, list, hash);
    }
    piece_add(piece, RULE_CHAIN, target->family, "", chain_name(target, what, chain), text.data);
    for (size_t i = 0; i < list->count; i++) { /* who may turn out to talk to itself */
        text.size = 0;
        text_format(&text, "%s . %s", list->items[i].address, list->items[i].address);
        piece_add(piece, RULE_ELEMENT, target->family, "hairpins", text.data, "");
    }
    text_clear(&text);
}

/* --- ways in ---------------------------------------------------------------------------------- */

static void add_cluster_sources(struct text *out, int family, const struct proxy_options *options) {
    size_t count = 0;
    text_add(out, "{ ");
    for (size_t i = 0; i < options->cluster_cidr_count; i++) {
        bool six = strchr(options->cluster_cidrs[i], ':') != NULL;
        if (six == (family == 6)) {
            text_format(out, "%s%s", count++ > 0 ? ", " : "", options->cluster_cidrs[i]);
        }
    }
    text_add(out, " }");
}

static bool has_cluster_sources(int family, const struct proxy_options *options) {
    for (size_t i = 0; i < options->cluster_cidr_count; i++) {
        if ((strchr(options->cluster_cidrs[i], ':') != NULL) == (family == 6)) {
            return true;
        }
    }
    return false;
}

/* Under externalTrafficPolicy Local: who is inside anyway may go everywhere. */
static void add_outside_chain(struct piece *piece, const struct target *target,
                              const struct proxy_options *options) {
    char all[CHAIN_TEXT];
    char local[CHAIN_TEXT];
    char chain[CHAIN_TEXT];
    struct text text = {0};
    chain_name(target, "", all);
    if (has_cluster_sources(target->family, options)) {
        text_format(&text, "%s saddr ", ip_word(target->family));
        add_cluster_sources(&text, target->family, options);
        text_format(&text, " goto %s\n", all);
    }
    text_format(&text, "fib saddr type local meta mark set meta mark or " MASQUERADE_MARK "\n");
    text_format(&text, "fib saddr type local goto %s\n", all);
    if (target->local.count > 0) {
        text_format(&text, "goto %s\n", chain_name(target, "local", local));
    }
    piece_add(piece, RULE_CHAIN, target->family, "", chain_name(target, "outside", chain),
              text.data);
    text_clear(&text);
}

/* Only listed sources may come to the load balancer's addresses. */
static void add_sources_chain(struct piece *piece, const struct target *target, const char *to) {
    char chain[CHAIN_TEXT];
    struct text text = {0};
    for (size_t i = 0; i < target->sources.count; i++) {
        text_format(&text, "%s saddr %s goto %s\n", ip_word(target->family),
                    target->sources.items[i], to);
    }
    text_add(&text, "drop\n");
    piece_add(piece, RULE_CHAIN, target->family, "", chain_name(target, "sources", chain),
              text.data);
    text_clear(&text);
}

/* An address and port that lead to a chain; "" leads to none, and `refuse` says what then becomes
 * of a packet that nothing translates. */
static void add_vip(struct piece *piece, const struct target *target, const char *address,
                    const char *chain, const char *refuse, bool masquerades) {
    char key[96];
    char verdict[CHAIN_TEXT + 8];
    snprintf(key, sizeof key, "%s . %s . %d", address, target->protocol, target->port);
    if (chain[0] != '\0') {
        snprintf(verdict, sizeof verdict, "goto %s", chain);
        piece_add(piece, RULE_ELEMENT, target->family, "vips", key, verdict);
    }
    if (refuse[0] != '\0') {
        piece_add(piece, RULE_ELEMENT, target->family, "refused_vips", key, refuse);
    }
    if (masquerades) {
        piece_add(piece, RULE_ELEMENT, target->family, "outside_vips", key, "");
    }
}

static void add_node_port(struct piece *piece, const struct target *target, const char *chain,
                          const char *refuse, bool masquerades) {
    char key[48];
    char verdict[CHAIN_TEXT + 8];
    snprintf(key, sizeof key, "%s . %d", target->protocol, target->node_port);
    if (chain[0] != '\0') {
        snprintf(verdict, sizeof verdict, "goto %s", chain);
        piece_add(piece, RULE_ELEMENT, target->family, "node_ports", key, verdict);
    }
    if (refuse[0] != '\0') {
        piece_add(piece, RULE_ELEMENT, target->family, "refused_ports", key, refuse);
    }
    if (masquerades) {
        piece_add(piece, RULE_ELEMENT, target->family, "outside_ports", key, "");
    }
}

static void add_cluster_ip(struct piece *piece, const struct target *target, const char *all,
                           const char *local) {
    const char *chain = target->internal_local ? local : all;
    const char *refuse = chain[0] != '\0'        ? ""
                         : target->all.count > 0 ? "drop" /* elsewhere there are some */
                                                 : "goto refuse";
    add_vip(piece, target, target->cluster_ip, chain, refuse, false);
    piece_add(piece, RULE_ELEMENT, target->family, "cluster_ips", target->cluster_ip, "");
}

void nft_add_target(struct piece *piece, const struct target *target,
                    const struct proxy_options *options) {
    char all[CHAIN_TEXT] = "";
    char local[CHAIN_TEXT] = "";
    char outside[CHAIN_TEXT] = "";
    char sources[CHAIN_TEXT] = "";
    if (target->all.count > 0) {
        add_endpoints_chain(piece, target, &target->all, "", options->hash);
        chain_name(target, "", all);
        snprintf(outside, sizeof outside, "%s", all);
    }
    if (target->local.count > 0 && (target->internal_local || target->external_local)) {
        add_endpoints_chain(piece, target, &target->local, "local", options->hash);
        chain_name(target, "local", local);
    }
    if (target->all.count > 0 && target->external_local) {
        add_outside_chain(piece, target, options);
        chain_name(target, "outside", outside);
    }
    const char *refuse = target->all.count == 0                               ? "goto refuse"
                         : target->external_local && target->local.count == 0 ? "drop"
                                                                              : "";
    bool masquerades = !target->external_local;
    add_cluster_ip(piece, target, all, local);
    for (size_t i = 0; i < target->external.count; i++) {
        add_vip(piece, target, target->external.items[i], outside, refuse, masquerades);
    }
    if (target->restricted && target->balanced.count > 0 && outside[0] != '\0') {
        add_sources_chain(piece, target, outside);
        chain_name(target, "sources", sources);
    }
    for (size_t i = 0; i < target->balanced.count; i++) {
        add_vip(piece, target, target->balanced.items[i], sources[0] != '\0' ? sources : outside,
                refuse, masquerades);
    }
    if (target->node_port != 0) {
        add_node_port(piece, target, outside, refuse, masquerades);
    }
}

/* --- what is always there --------------------------------------------------------------------- */

static void add_containers(struct text *out, const char *address) {
    text_format(out,
                "    map vips { type %s . inet_proto . inet_service : verdict; }\n"
                "    map node_ports { type inet_proto . inet_service : verdict; }\n"
                "    map refused_vips { type %s . inet_proto . inet_service : verdict; }\n"
                "    map refused_ports { type inet_proto . inet_service : verdict; }\n"
                "    set outside_vips { type %s . inet_proto . inet_service; }\n"
                "    set outside_ports { type inet_proto . inet_service; }\n"
                "    set cluster_ips { type %s; }\n"
                "    set hairpins { type %s . %s; }\n",
                address, address, address, address, address, address);
}

/* Where packets are sent elsewhere. Those that come from outside get the node's own address, so
 * that answers come back this way. */
static void add_translation(struct text *out, int family, const struct proxy_options *options) {
    const char *ip = ip_word(family);
    const char *loopback = family == 4 ? "127.0.0.0/8" : "::1";
    text_add(out, "    chain services {\n");
    if (has_cluster_sources(family, options)) {
        text_format(out, "        %s daddr @cluster_ips %s saddr != ", ip, ip);
        add_cluster_sources(out, family, options);
        text_add(out, " meta mark set meta mark or " MASQUERADE_MARK "\n");
    }
    text_format(out,
                "        %s daddr . meta l4proto . th dport @outside_vips meta mark set meta mark "
                "or " MASQUERADE_MARK "\n"
                "        %s daddr . meta l4proto . th dport vmap @vips\n"
                "        fib daddr type local %s daddr != %s meta l4proto . th dport "
                "@outside_ports meta mark set meta mark or " MASQUERADE_MARK "\n"
                "        fib daddr type local %s daddr != %s meta l4proto . th dport vmap "
                "@node_ports\n"
                "    }\n",
                ip, ip, ip, loopback, ip, loopback);
    text_format(
        out,
        "    chain prerouting { type nat hook prerouting priority -100; policy accept; jump "
        "services; }\n"
        "    chain output { type nat hook output priority -100; policy accept; jump services; }\n"
        "    chain postrouting {\n"
        "        type nat hook postrouting priority 100; policy accept;\n"
        "        %s saddr . %s daddr @hairpins ct status dnat masquerade fully-random\n"
        "        meta mark and " MASQUERADE_MARK " == 0 return\n"
        "        meta mark set meta mark xor " MASQUERADE_MARK "\n"
        "        masquerade fully-random\n"
        "    }\n",
        ip, ip);
}

/* Where packets that nobody translated are refused. Behind the translation in every hook: what was
 * sent to an endpoint does not have the virtual IP any more. */
static void add_refusal(struct text *out, int family) {
    static const char *const hooks[] = {"input", "forward", "output"};
    const char *ip = ip_word(family);
    text_format(out,
                "    chain refuse {\n"
                "        meta l4proto tcp reject with tcp reset\n"
                "        reject with %s type port-unreachable\n"
                "    }\n"
                "    chain unanswered {\n"
                "        %s daddr . meta l4proto . th dport vmap @refused_vips\n"
                "        %s daddr @cluster_ips meta l4proto { tcp, udp, sctp } goto refuse\n"
                "        fib daddr type local %s daddr != %s meta l4proto . th dport vmap "
                "@refused_ports\n"
                "    }\n",
                family == 4 ? "icmp" : "icmpv6", ip, ip, ip, family == 4 ? "127.0.0.0/8" : "::1");
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        text_format(out,
                    "    chain filter_%s { type filter hook %s priority -90; policy accept; ct "
                    "state new jump unanswered; }\n",
                    hooks[i], hooks[i]);
    }
}

void nft_add_base(struct text *out, const struct proxy_options *options) {
    for (int family = 4; family <= 6; family += 2) {
        text_format(out, "table %s " NFT_TABLE " {\n", ip_word(family));
        add_containers(out, family == 4 ? "ipv4_addr" : "ipv6_addr");
        add_translation(out, family, options);
        add_refusal(out, family);
        text_add(out, "}\n");
    }
}
