/*
 * service_cidr_pools.c: the ranges of the ClusterIP pools, from what is to be given and what is
 * held; see service_cidrs.h.
 */
#include "cluster.h"
#include "service_cidr_pass.h"
#include "serving_ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the pool gives from, whatever it should. */
static void gather_active(ipalloc_pool *pool, struct service_cidr_list *active) {
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; pool != NULL && ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK;
         i++) {
        if (!range.draining) {
            service_cidr_list_add(active, &range.cidr);
        }
    }
}

static bool is_covered(const struct service_cidr_list *active, const ipalloc_cidr *cidr) {
    for (size_t i = 0; i < active->count; i++) {
        if (ipalloc_cidr_covers(&active->cidrs[i], cidr)) {
            return true;
        }
    }
    return false;
}

/* Once, and not with every attempt. */
static void say(struct server *server, const char *failure) {
    char *said = server->cidrs.said;
    if (strcmp(said, failure) != 0) {
        snprintf(said, sizeof server->cidrs.said, "%s", failure);
        fprintf(stderr, "ipalloc-apiserver: ServiceCIDRs: %s\n", said);
    }
}

/* Those that are served already stay as they are; one that goes has to wait. */
void service_cidr_block_family(struct pass *pass, int family, const ipalloc_error *error) {
    struct service_cidr_list active = {0};
    pass->failed = true;
    say(pass->server, error->message);
    gather_active(cluster_pool(pass->server, family), &active);
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count; i++) {
            const ipalloc_cidr *cidr = &wish->cidrs[i];
            bool concerned =
                wish->deleting || (service_cidr_is_usable(cidr) && !is_covered(&active, cidr));
            if (cidr->base.family == family && concerned && !wish->blocked) {
                wish->blocked = true;
                text_add(&wish->why, error->message);
            }
        }
    }
    service_cidr_list_free(&active);
}

static void settle_family(struct pass *pass, int family) {
    const struct service_cidr_list *serving = &pass->serving[family_index(family)];
    ipalloc_pool *pool = cluster_pool(pass->server, family);
    ipalloc_error error = {0};
    int status = IPALLOC_OK;
    if (pool != NULL) {
        status = serving_ranges_set(pool, serving, &error);
    } else if (serving->count > 0) {
        status = cluster_define_pool(pass->server, family, serving->cidrs, serving->count, &error);
    }
    if (status != IPALLOC_OK) {
        service_cidr_block_family(pass, family, &error);
    }
}

static bool holds_anything(ipalloc_pool *pool) {
    ipalloc_pool_stats stats = {.size = sizeof stats};
    return pool != NULL && ipalloc_pool_get_stats(pool, &stats, NULL) == IPALLOC_OK &&
           (stats.total.used.low > 0 || stats.total.used.high > 0);
}

/* The default family stays; the other one is there while a ServiceCIDR has it, or a Service. */
void service_cidr_publish(struct server *server, const bool wanted[2]) {
    int family = server->options->cluster_ranges[0].base.family;
    int other = family == 4 ? 6 : 4;
    ipalloc_pool *first = cluster_pool(server, family);
    ipalloc_pool *second = cluster_pool(server, other);
    bool both = wanted[family_index(other)] || holds_anything(second);
    cluster_publish_pools(server, first, both ? second : NULL);
}

static void publish_pools(struct pass *pass) {
    bool wanted[2] = {false, false};
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count; i++) {
            wanted[family_index(wish->cidrs[i].base.family)] = true;
        }
    }
    service_cidr_publish(pass->server, wanted);
}

void service_cidr_set_pools(struct pass *pass) {
    settle_family(pass, 4);
    settle_family(pass, 6);
    publish_pools(pass);
}
