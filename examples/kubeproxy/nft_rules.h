/*
 * nft_rules.h: targets as nftables' rules, in tables of our own: `ip ipalloc-kubeproxy` and
 * `ip6 ipalloc-kubeproxy`.
 *
 * A packet to a virtual IP is looked up once, in the map `vips` (or `node_ports`), and goes to the
 * chain of its Service, where one endpoint is drawn. One chain a Service's port, no chain an
 * endpoint (but for session affinity), no rule a Service in any chain that all packets pass, so
 * that it costs the same with 10 and with 10,000 Services.
 */
#ifndef KUBEPROXY_NFT_RULES_H
#define KUBEPROXY_NFT_RULES_H

#include "options.h"
#include "rules.h"
#include "target.h"

#define NFT_TABLE "ipalloc-kubeproxy"

/* What a target wants. */
void nft_add_target(struct piece *piece, const struct target *target,
                    const struct proxy_options *options);

/* What there is of every family whatever the Services: maps, hooks. */
void nft_add_base(struct text *out, const struct proxy_options *options);

/* The transaction that makes the kernel's ruleset this one, from nothing; replaces what was there.
 */
void nft_add_whole(struct text *out, struct ruleset *set, const struct proxy_options *options);

/* The transaction that brings what changed since the last. Empty where nothing did. */
void nft_add_changes(struct text *out, struct ruleset *set);

/* The transaction that removes our tables, whether they are there or not. */
void nft_add_cleanup(struct text *out);

#endif
