/* balancers.c: see balancers.h. */
#include "balancers.h"

#include "cluster.h"
#include "serving_ranges.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAG         "--load-balancer-ip-range"
#define PREFIX       "load-balancers"
#define POOL_NAME    80
#define HOLDERS_SAID 3

static void set_pool_name(const char *name, int family, char out[POOL_NAME]) {
    snprintf(out, POOL_NAME, PREFIX "%s%.*s-v%d", name[0] != '\0' ? "-" : "",
             OPTIONS_BALANCER_NAME_MAX, name, family);
}

bool balancers_is_pool(const ipalloc_pool *pool) {
    return text_starts_with(ipalloc_pool_name(pool), PREFIX);
}

/* --- looking up ------------------------------------------------------------------------------- */

static int find_index(const struct server *server, const char *name) {
    for (size_t i = 0; i < server->options->balancer_count; i++) {
        if (strcmp(server->options->balancers[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool balancers_has(const struct server *server, const char *name) {
    return find_index(server, name) >= 0;
}

bool balancers_any(const struct server *server) {
    ipalloc_pool *pool = NULL;
    ipalloc_pool_range range = {.size = sizeof range};
    while (ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        if (balancers_is_pool(pool) &&
            ipalloc_pool_get_range(pool, 0, &range, NULL) == IPALLOC_OK) {
            return true;
        }
    }
    return false;
}

ipalloc_pool *balancers_find(const struct server *server, const char *name, int family) {
    int index = find_index(server, name);
    return index >= 0 ? server->balancers[index][family == 6] : NULL;
}

ipalloc_pool *balancers_find_any(const struct server *server, const char *name, int family) {
    char pool_name[POOL_NAME];
    ipalloc_pool *pool = NULL;
    set_pool_name(name, family, pool_name);
    if (strlen(name) <= OPTIONS_BALANCER_NAME_MAX) {
        ipalloc_pool_open(server->registry, pool_name, &pool, NULL);
    }
    return pool;
}

/* --- what is still held in ranges that drain -------------------------------------------------- */

struct held {
    const ipalloc_cidr *range;
    size_t count;
    struct text holders;
};

static int see_lease(void *context, const ipalloc_lease *lease) {
    struct held *held = context;
    char address[IPALLOC_ADDR_TEXT];
    if (!ipalloc_cidr_contains(held->range, &lease->address)) {
        return IPALLOC_OK;
    }
    if (held->count++ < HOLDERS_SAID) {
        ipalloc_addr_format(&lease->address, address);
        text_format(&held->holders, "%s%s by %s", held->count > 1 ? ", " : "", address,
                    lease->owner);
    }
    return IPALLOC_OK;
}

static void say_drains(struct server *server, ipalloc_pool *pool) {
    ipalloc_pool_range range = {.size = sizeof range};
    char text[IPALLOC_CIDR_TEXT];
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        struct held held = {.range = &range.cidr};
        if (!range.draining) {
            continue;
        }
        ipalloc_list(server->registry, pool, see_lease, &held, NULL);
        ipalloc_cidr_format(&range.cidr, text);
        fprintf(stderr,
                "ipalloc-apiserver: pool %s: no flag gives %s any more; it gives nothing new, and "
                "%zu in it %s held: %s%s\n",
                ipalloc_pool_name(pool), text, held.count, held.count == 1 ? "is" : "are",
                held.holders.size > 0 ? held.holders.data : "none",
                held.count > HOLDERS_SAID ? ", ..." : "");
        text_clear(&held.holders);
    }
}

/* --- making them what the flags say ----------------------------------------------------------- */

/* One pool, as it should be. */
struct wanted {
    char name[POOL_NAME];
    int family;
    struct service_cidr_list ranges;
    ipalloc_pool **out; /* NULL: no flag names it */
    bool done;
    ipalloc_error error;
};

struct plan {
    struct wanted *items;
    size_t count;
};

static struct wanted *add_wanted(struct plan *plan, const char *name, int family) {
    plan->items = memory_resize(plan->items, (plan->count + 1) * sizeof *plan->items);
    struct wanted *wanted = &plan->items[plan->count++];
    *wanted = (struct wanted){.family = family};
    snprintf(wanted->name, sizeof wanted->name, "%s", name);
    return wanted;
}

static void plan_flag(struct plan *plan, struct server *server, size_t index, int family) {
    const struct balancer_ranges *balancer = &server->options->balancers[index];
    char name[POOL_NAME];
    set_pool_name(balancer->name, family, name);
    struct wanted *wanted = add_wanted(plan, name, family);
    for (size_t i = 0; i < balancer->count; i++) {
        if (balancer->ranges[i].base.family == family) {
            service_cidr_list_add(&wanted->ranges, &balancer->ranges[i]);
        }
    }
    wanted->out = &server->balancers[index][family == 6];
}

static bool is_flagged(const struct server *server, const char *pool_name) {
    for (size_t i = 0; i < server->options->balancer_count; i++) {
        for (int family = 4; family <= 6; family += 2) {
            char name[POOL_NAME];
            set_pool_name(server->options->balancers[i].name, family, name);
            if (strcmp(name, pool_name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Those without a flag come first: others may want what was theirs. */
static void make_plan(struct plan *plan, struct server *server) {
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        if (balancers_is_pool(pool) && !is_flagged(server, ipalloc_pool_name(pool))) {
            add_wanted(plan, ipalloc_pool_name(pool), ipalloc_pool_kind_of(pool));
        }
    }
    for (size_t i = 0; i < server->options->balancer_count; i++) {
        plan_flag(plan, server, i, 4);
        plan_flag(plan, server, i, 6);
    }
}

static void plan_free(struct plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        service_cidr_list_free(&plan->items[i].ranges);
    }
    free(plan->items);
}

static int define_new(struct server *server, struct wanted *wanted, ipalloc_pool **pool) {
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = wanted->family,
                                          .ranges = wanted->ranges.cidrs,
                                          .range_count = wanted->ranges.count,
                                          .static_band_size = IPALLOC_NO_STATIC_BAND,
                                          .use_all_addresses = true};
    return cluster_define_patiently(server, wanted->name, &definition, pool, &wanted->error);
}

static int settle(struct server *server, struct wanted *wanted) {
    ipalloc_pool *pool = NULL;
    int status = ipalloc_pool_open(server->registry, wanted->name, &pool, &wanted->error);
    if (status == IPALLOC_OK) {
        status = serving_ranges_set(pool, &wanted->ranges, &wanted->error);
    } else if (wanted->ranges.count > 0) {
        status = define_new(server, wanted, &pool);
        if (status == IPALLOC_E_MISMATCH &&
            ipalloc_pool_open(server->registry, wanted->name, &pool, NULL) == IPALLOC_OK) {
            status = serving_ranges_set(pool, &wanted->ranges, &wanted->error); /* just made */
        }
    } else {
        status = IPALLOC_OK;
    }
    if (status == IPALLOC_OK && wanted->out != NULL && wanted->ranges.count > 0) {
        *wanted->out = pool;
    }
    if (status == IPALLOC_OK && pool != NULL) {
        say_drains(server, pool);
    }
    return status;
}

/* A range that goes from one pool to another has to be given up first: whatever can be done is, for
 * as long as that helps. */
static bool settle_all(struct server *server, struct plan *plan, struct text *problem) {
    const struct wanted *stuck = NULL;
    bool progress = true;
    while (progress) {
        progress = false;
        stuck = NULL;
        for (size_t i = 0; i < plan->count; i++) {
            struct wanted *wanted = &plan->items[i];
            if (wanted->done) {
                continue;
            }
            wanted->done = settle(server, wanted) == IPALLOC_OK;
            progress = progress || wanted->done;
            stuck = wanted->done || stuck != NULL ? stuck : wanted;
        }
    }
    if (stuck != NULL) {
        text_format(problem, FLAG ": %s: %s", ipalloc_strerror(stuck->error.status),
                    stuck->error.message);
    }
    return stuck == NULL;
}

bool balancers_define(struct server *server, struct text *problem) {
    struct plan plan = {0};
    make_plan(&plan, server);
    bool fine = settle_all(server, &plan, problem);
    plan_free(&plan);
    return fine;
}
