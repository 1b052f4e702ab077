/*
 * service_cidr_settle.c: make the ClusterIP pools what the ServiceCIDR objects ask for; see
 * service_cidrs.h.
 *
 * One pass reads the objects, sets the ranges of each family's pool, and writes what came of it
 * into the objects' conditions. It can be cut off anywhere: the next one starts from the same
 * truth. It runs after a write of a ServiceCIDR, at the start, and in the hub's thread after a
 * release while something drains.
 */
#include "cluster.h"
#include "hub.h"
#include "record.h"
#include "service_cidr_pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSES_MAX 4 /* one after another: what goes away may let something else go */

size_t family_index(int family) {
    return family == 6;
}

const char *wish_name(const struct wish *wish) {
    return json_member_text(json_member(wish->object, "metadata"), "name");
}

struct object_place service_cidr_place(struct server *server, const char *name) {
    return (struct object_place){.server = server,
                                 .resource = &resource_service_cidrs,
                                 .namespace = "",
                                 .name = name,
                                 .internal = true};
}

/* --- reading ---------------------------------------------------------------------------------- */

static int see_object(void *context, const ipalloc_entry *entry) {
    struct pass *pass = context;
    ipalloc_error error = {0};
    struct json_object *object = record_parse(pass->server, entry, &error);
    if (object == NULL) {
        fprintf(stderr, "ipalloc-apiserver: %s\n", error.message);
        return IPALLOC_E_CORRUPT;
    }
    struct wish *wish = memory_allocate(sizeof *wish);
    wish->object = object;
    wish->count = service_cidr_read(object, wish->cidrs);
    wish->deleting = json_member(json_member(object, "metadata"), "deletionTimestamp") != NULL;
    wish->next = pass->wishes;
    pass->wishes = wish;
    return IPALLOC_OK;
}

static void forget_wishes(struct pass *pass) {
    while (pass->wishes != NULL) {
        struct wish *wish = pass->wishes;
        pass->wishes = wish->next;
        json_object_put(wish->object);
        text_clear(&wish->holders);
        text_clear(&wish->why);
        free(wish);
    }
}

static bool read_wishes(struct pass *pass) {
    ipalloc_error error = {0};
    forget_wishes(pass);
    return ipalloc_record_scan(pass->server->registry, resource_service_cidrs.record_prefix, NULL,
                               0, see_object, pass, NULL, &error) == IPALLOC_OK;
}

static bool has_default(const struct pass *pass) {
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        if (strcmp(wish_name(wish), SERVICE_CIDR_DEFAULT) == 0) {
            return true;
        }
    }
    return false;
}

/* What the objects want given out: those that are not being deleted and have something to give. */
static void gather_serving(struct pass *pass) {
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count && !wish->deleting; i++) {
            const ipalloc_cidr *cidr = &wish->cidrs[i];
            if (service_cidr_is_usable(cidr)) {
                service_cidr_list_add(&pass->serving[family_index(cidr->base.family)], cidr);
            } else {
                wish->reason = "NoUsableAddress";
            }
        }
    }
    service_cidr_list_reduce(&pass->serving[0]);
    service_cidr_list_reduce(&pass->serving[1]);
}

/* --- a pass ----------------------------------------------------------------------------------- */

uint64_t service_cidr_held(struct server *server) {
    uint64_t held = 0;
    for (int family = 4; family <= 6; family += 2) {
        ipalloc_pool *pool = cluster_pool(server, family);
        ipalloc_pool_range range = {.size = sizeof range};
        for (size_t i = 0;
             pool != NULL && ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
            held += range.draining ? range.stats.total.used.low : 0;
        }
    }
    return held;
}

static bool is_any_deleting(const struct pass *pass) {
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        if (wish->deleting) {
            return true;
        }
    }
    return false;
}

/* Returns whether a further pass has something to do at once. */
static bool run_pass(struct pass *pass) {
    struct server *server = pass->server;
    if (!read_wishes(pass)) {
        pass->failed = true;
        return false;
    }
    if (!has_default(pass)) {
        pass->failed = !service_cidr_make_default(server);
        return !pass->failed;
    }
    gather_serving(pass);
    service_cidr_set_pools(pass);
    if (is_any_deleting(pass)) {
        service_cidr_find_holders(pass);
    }
    return service_cidr_tell_all(pass);
}

static void free_pass(struct pass *pass) {
    forget_wishes(pass);
    service_cidr_list_free(&pass->serving[0]);
    service_cidr_list_free(&pass->serving[1]);
}

void service_cidrs_settle(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    bool again = true;
    pthread_mutex_lock(&state->settling);
    for (int i = 0; again && i < PASSES_MAX; i++) {
        struct pass pass = {.server = server};
        uint64_t held_before = service_cidr_held(server);
        again = run_pass(&pass);
        /* What was released during the pass may have been met as held: only a pass during which
         * nothing changed has seen all. */
        uint64_t held = service_cidr_held(server);
        again = again || held != held_before || pass.overtaken;
        pthread_mutex_lock(&state->lock);
        state->failed = pass.failed || again;
        state->held = held;
        state->settled = monotonic_seconds();
        pthread_mutex_unlock(&state->lock);
        free_pass(&pass);
    }
    pthread_mutex_unlock(&state->settling);
}

void service_cidrs_released(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    pthread_mutex_lock(&state->lock);
    uint64_t held_then = state->held;
    bool failed = state->failed;
    bool rested = monotonic_seconds() > state->settled;
    pthread_mutex_unlock(&state->lock);
    if (held_then == 0 && !failed) {
        return; /* nothing drains */
    }
    uint64_t held = service_cidr_held(server);
    bool changed = held != held_then && (held < SERVICE_CIDR_HELD_MANY || rested);
    if (changed || (failed && rested)) {
        service_cidrs_settle(server);
    }
}
