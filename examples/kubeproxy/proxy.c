/* proxy.c: see proxy.h. */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_LABEL "kubernetes.io/service-name"

/* What a Service wants, and has got, of the ruleset. */
struct wish {
    struct piece piece;
    bool overlaps;   /* not all of it: something is another Service's */
    char *endpoints; /* of UDP ports, a line each: to notice one that is gone */
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
        wish->endpoints = memory_copy("");
        string_map_set(&proxy->wanted, name, wish);
    }
    return wish;
}

/* Exchange what it wants. What somebody else has already is left out, until it is given up. */
static void exchange(struct proxy *proxy, const char *name, struct wish *wish,
                     struct piece *wanted) {
    struct piece taken = {0};
    proxy->overlaps -= wish->overlaps;
    wish->overlaps = false;
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
            fprintf(stderr,
                    "ipalloc-kubeproxy: Service %s: %s is another Service's; it stays there\n",
                    name, rule->key);
            piece_clear(&refused);
            wish->overlaps = true;
        }
    }
    piece_clear(&wish->piece);
    wish->piece = taken;
    proxy->overlaps += wish->overlaps;
}

/* --- UDP has no end: its translations outlive the endpoint -------------------------------------
 */

static void add_udp_endpoints(struct text *out, const struct target *target) {
    for (size_t i = 0; i < target->all.count; i++) {
        text_format(out, "%s:%d\n", target->all.items[i].address, target->all.items[i].port);
    }
}

static void note_stale(struct proxy *proxy, const struct target *target) {
    text_format(&proxy->stale, "%d %s %d\n", target->family, target->cluster_ip, target->port);
    for (size_t i = 0; i < target->external.count; i++) {
        text_format(&proxy->stale, "%d %s %d\n", target->family, target->external.items[i],
                    target->port);
    }
    for (size_t i = 0; i < target->balanced.count; i++) {
        text_format(&proxy->stale, "%d %s %d\n", target->family, target->balanced.items[i],
                    target->port);
    }
    if (target->node_port != 0) {
        text_format(&proxy->stale, "%d - %d\n", target->family, target->node_port);
    }
}

/* Is one of the lines gone, or were there none before? */
static bool lost_any(const char *before, const char *now) {
    for (const char *line = before; *line != '\0';) {
        size_t size = strcspn(line, "\n") + 1;
        bool found = false;
        for (const char *at = now; *at != '\0' && !found; at += strcspn(at, "\n") + 1) {
            found = strncmp(at, line, size) == 0;
        }
        if (!found) {
            return true;
        }
        line += size;
    }
    return before[0] == '\0' && now[0] != '\0';
}

static void look_at_udp(struct proxy *proxy, struct wish *wish, const struct target *targets) {
    struct text now = {0};
    for (const struct target *at = targets; at != NULL; at = at->next) {
        if (strcmp(at->protocol, "udp") == 0) {
            add_udp_endpoints(&now, at);
        }
    }
    const char *lines = now.data != NULL ? now.data : "";
    if (lost_any(wish->endpoints, lines)) {
        for (const struct target *at = targets; at != NULL; at = at->next) {
            if (strcmp(at->protocol, "udp") == 0) {
                note_stale(proxy, at);
            }
        }
    }
    free(wish->endpoints);
    wish->endpoints = memory_copy(lines);
    text_clear(&now);
}

/* --- all that are due ------------------------------------------------------------------------- */

static void wish_free(void *value) {
    struct wish *wish = value;
    piece_clear(&wish->piece);
    free(wish->endpoints);
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
    text_clear(&proxy->stale);
}
