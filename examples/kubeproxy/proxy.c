/* proxy.c: see proxy.h. */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_LABEL "kubernetes.io/service-name"

/* What a Service wants, and has got, of the ruleset. */
struct wish {
    struct piece piece;
    bool overlaps; /* not all of it: something is another Service's */
    bool told;     /* and that was said */
    char *ways;    /* of UDP, and where they lead */
};

static void make_due(struct proxy *proxy, const char *service) {
    string_map_set(&proxy->due, service, proxy);
}

/* --- what the client tells -------------------------------------------------------------------- */

static void on_service(void *context, const char *name, struct json_object *old,
                       struct json_object *new) {
    (void)old;
    (void)new;
    make_due(context, name);
}

static bool service_of(struct json_object *slice, struct text *out) {
    struct json_object *metadata = json_member(slice, "metadata");
    const char *service = json_member_text(json_member(metadata, "labels"), SERVICE_LABEL);
    out->size = 0;
    text_format(out, "%s/%s", json_member_text(metadata, "namespace"), service);
    return slice != NULL && service[0] != '\0';
}

static void on_slice(void *context, const char *name, struct json_object *old,
                     struct json_object *new) {
    struct proxy *proxy = context;
    struct text service = {0};
    if (service_of(old, &service)) {
        name_index_remove(&proxy->sliced, service.data, name);
        make_due(proxy, service.data);
    }
    if (service_of(new, &service)) {
        name_index_add(&proxy->sliced, service.data, name);
        make_due(proxy, service.data);
    }
    text_clear(&service);
}

void proxy_follow(struct proxy *proxy) {
    proxy->services = client_follow(proxy->client, "/api/v1/services", on_service, proxy);
    proxy->slices =
        client_follow(proxy->client, "/apis/discovery.k8s.io/v1/endpointslices", on_slice, proxy);
}

/* --- one Service ------------------------------------------------------------------------------ */

static struct target *targets_of(struct proxy *proxy, const char *name) {
    struct json_object *service = client_find(proxy->services, name);
    const struct name_list *list = name_index_find(&proxy->sliced, name);
    size_t most = list != NULL ? list->count : 0;
    size_t count = 0;
    struct json_object **slices = memory_allocate((most + 1) * sizeof *slices);
    for (size_t i = 0; i < most; i++) {
        slices[count] = client_find(proxy->slices, list->names[i]);
        count += slices[count] != NULL;
    }
    struct target *targets =
        service != NULL ? targets_make(name, service, slices, count, proxy->options->node) : NULL;
    free(slices);
    return targets;
}

static struct wish *wish_of(struct proxy *proxy, const char *name) {
    struct wish *wish = string_map_find(&proxy->wanted, name);
    if (wish == NULL) {
        wish = memory_allocate(sizeof *wish);
        wish->ways = memory_copy("");
        string_map_set(&proxy->wanted, name, wish);
    }
    return wish;
}

/* Exchange what it wants. What somebody else has already is left out, until it is given up. */
static void exchange(struct proxy *proxy, const char *name, struct wish *wish,
                     struct piece *wanted) {
    struct piece taken = {0};
    bool told = wish->told;
    proxy->overlaps -= wish->overlaps;
    wish->overlaps = false;
    wish->told = false;
    for (struct rule *rule = wish->piece.rules; rule != NULL; rule = rule->next) {
        ruleset_drop(&proxy->rules, rule);
    }
    while (wanted->rules != NULL) {
        struct rule *rule = wanted->rules;
        wanted->rules = rule->next;
        rule->next = NULL;
        if (ruleset_want(&proxy->rules, rule)) {
            rule->next = taken.rules;
            taken.rules = rule;
        } else {
            struct piece refused = {rule};
            if (proxy->may_tell && !told) {
                fprintf(stderr,
                        "ipalloc-kubeproxy: Service %s: %s is another Service's; it stays there\n",
                        name, rule->key);
            }
            piece_clear(&refused);
            wish->overlaps = true;
            wish->told = told || proxy->may_tell;
        }
    }
    piece_clear(&wish->piece);
    wish->piece = taken;
    proxy->overlaps += wish->overlaps;
}

/* --- UDP: where its ways lead, a line each "FAMILY ADDRESS PORT|ENDPOINT|...|" ------------------
 */

static void add_way(struct text *out, const struct target *target, const char *address, int port) {
    const struct endpoint_list *lists[] = {&target->all, &target->local};
    text_format(out, "%d %s %d|", target->family, address, port);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t j = 0; j < lists[i]->count; j++) {
            text_format(out, "%s %d|", lists[i]->items[j].address, lists[i]->items[j].port);
        }
    }
    text_add(out, "\n");
}

static void add_ways(struct text *out, const struct target *target) {
    add_way(out, target, target->cluster_ip, target->port);
    for (size_t i = 0; i < target->external.count; i++) {
        add_way(out, target, target->external.items[i], target->port);
    }
    for (size_t i = 0; i < target->balanced.count; i++) {
        add_way(out, target, target->balanced.items[i], target->port);
    }
    if (target->node_port != 0) {
        add_way(out, target, "-", target->node_port);
    }
}

/* Flows that came by these ways are to be looked at. Whoever else has such a way adds to where it
 * leads. */
static void note_ways(struct proxy *proxy, const char *ways, bool lead_on) {
    char *copy = memory_copy(ways);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        char *endpoints = strchr(line, '|');
        struct text all = {0};
        char *old;
        *endpoints = '\0';
        old = string_map_take(&proxy->stale, line);
        text_format(&all, "%s|%s", old != NULL ? old : "", lead_on ? endpoints + 1 : "");
        string_map_set(&proxy->stale, line, all.data);
        free(old);
    }
    free(copy);
}

static void look_at_udp(struct proxy *proxy, struct wish *wish, const struct target *targets) {
    struct text now = {0};
    text_add(&now, "");
    for (const struct target *at = targets; at != NULL; at = at->next) {
        if (strcmp(at->protocol, "udp") == 0) {
            add_ways(&now, at);
        }
    }
    if (strcmp(wish->ways, now.data) != 0) {
        note_ways(proxy, wish->ways, false);
        note_ways(proxy, now.data, true);
    }
    free(wish->ways);
    wish->ways = now.data;
}

/* --- all that are due ------------------------------------------------------------------------- */

static void wish_free(void *value) {
    struct wish *wish = value;
    piece_clear(&wish->piece);
    free(wish->ways);
    free(wish);
}

static void settle(void *context, const char *name, void *unused) {
    struct proxy *proxy = context;
    struct target *targets = targets_of(proxy, name);
    struct wish *wish = wish_of(proxy, name);
    struct piece wanted = {0};
    (void)unused;
    for (struct target *at = targets; at != NULL; at = at->next) {
        nft_add_target(&wanted, at, proxy->options);
    }
    exchange(proxy, name, wish, &wanted);
    look_at_udp(proxy, wish, targets);
    if (proxy->health != NULL) {
        health_note(proxy->health, name, client_find(proxy->services, name), targets);
    }
    targets_free(targets);
    if (wish->piece.rules == NULL && !wish->overlaps) {
        wish_free(string_map_take(&proxy->wanted, name));
    }
}

static void add_overlapping(void *context, const char *name, void *value) {
    const struct wish *wish = value;
    if (wish->overlaps) {
        make_due(context, name);
    }
}

size_t proxy_settle(struct proxy *proxy) {
    size_t settled = 0;
    for (int round = 0; proxy->due.count > 0 && round < 2; round++) {
        struct string_map now = proxy->due;
        proxy->due = (struct string_map){0};
        proxy->may_tell = round > 0; /* in the first one, it may be given up by one of the next */
        settled += now.count;
        string_map_each(&now, settle, proxy);
        string_map_clear(&now, NULL);
        if (proxy->overlaps > 0 && round == 0) { /* something may have been given up */
            string_map_each(&proxy->wanted, add_overlapping, proxy);
        }
    }
    return settled;
}

struct visiting {
    struct proxy *proxy;
    void (*visit)(void *context, const struct target *target);
    void *context;
};

static void visit_service(void *context, const char *name, struct json_object *service) {
    struct visiting *visiting = context;
    struct target *targets = targets_of(visiting->proxy, name);
    (void)service;
    for (struct target *at = targets; at != NULL; at = at->next) {
        visiting->visit(visiting->context, at);
    }
    targets_free(targets);
}

void proxy_each_target(struct proxy *proxy,
                       void (*visit)(void *context, const struct target *target), void *context) {
    struct visiting visiting = {proxy, visit, context};
    client_each(proxy->services, visit_service, &visiting);
}

void proxy_clear(struct proxy *proxy) {
    string_map_clear(&proxy->wanted, wish_free);
    string_map_clear(&proxy->due, NULL);
    name_index_clear(&proxy->sliced);
    ruleset_clear(&proxy->rules);
    string_map_clear(&proxy->stale, free);
}
