/*
 * proxy.h: the Services as they are now, what each wants of the ruleset, and which have changed.
 *
 * Fed by the client's callbacks; `proxy_settle` turns what changed into the ruleset's changes.
 */
#ifndef KUBEPROXY_PROXY_H
#define KUBEPROXY_PROXY_H

#include "client.h"
#include "health.h"
#include "name_index.h"
#include "nft_rules.h"
#include "string_map.h"

struct proxy {
    const struct proxy_options *options;
    struct client *client;
    struct collection *services, *slices;
    struct name_index sliced; /* Service: its slices */
    struct string_map wanted; /* Service: struct wish */
    struct string_map due;    /* Services whose wish may have changed */
    struct ruleset rules;
    size_t overlaps;         /* Services of which something is somebody else's */
    bool may_tell;           /* say what overlaps */
    struct string_map stale; /* ways of UDP that have changed, for conntrack_forget */
    struct health *health;   /* NULL: nobody asks */
};

void proxy_follow(struct proxy *proxy);

/* Bring the ruleset up to date. Returns how many Services were looked at. */
size_t proxy_settle(struct proxy *proxy);

/* Targets of every Service, for a printer. */
void proxy_each_target(struct proxy *proxy,
                       void (*visit)(void *context, const struct target *target), void *context);

void proxy_clear(struct proxy *proxy);

#endif
