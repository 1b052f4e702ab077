/*
 * load_balancer.c: claims and releases of load-balancer addresses.
 *
 * Where the caller gives load-balancer pools, a LoadBalancer Service gets an address of each of its
 * families that there is a pool for (slots loadBalancer/IPv4, loadBalancer/IPv6), loadBalancerIP
 * being a wish for one of them. Where it gives none, loadBalancerIP means nothing here, as in
 * Kubernetes without a cloud; likewise for a Service of another loadBalancerClass than the pools'.
 * What the Service has it keeps until its type or the wish changes, or the caller chooses other
 * pools for it: then it gets another address and loses the one it had in one commit.
 *
 * A Service that had no address may wait for one where the caller allows that, as in a cloud. One
 * that has an address does not lose it for a full pool: that is refused.
 */
#include "kubernetes/service_work.h"

#include <stdio.h>
#include <string.h>

static const char FIELD[] = "spec.loadBalancerIP";

static ipalloc_pool *pool_of_family(const service_work *work, int family) {
    return work->pools.load_balancer[family == 4 ? 0 : 1];
}

/* Where it drew from until now, if that was elsewhere; NULL: nowhere else. */
static ipalloc_pool *left_pool(const service_work *work, int family) {
    ipalloc_pool *before = work->pools.load_balancer_before[family == 4 ? 0 : 1];
    return work->updating && before != pool_of_family(work, family) ? before : NULL;
}

static bool has_pools(const service_work *work) {
    return work->pools.load_balancer[0] != NULL || work->pools.load_balancer[1] != NULL ||
           work->pools.load_balancer_before[0] != NULL ||
           work->pools.load_balancer_before[1] != NULL;
}

/* A Service of another class has its addresses from another controller. */
static bool is_served(const service_work *work) {
    return type_is(&work->after, "LoadBalancer") &&
           same_class(work->pools.load_balancer_class, work->after.load_balancer_class);
}

static bool has_family(const ipalloc_service *service, int family) {
    for (size_t i = 0; i < service->ip_family_count; i++)
        if (family_of_name(service->ip_families[i]) == family)
            return true;
    return false;
}

static bool wants_family(const service_work *work, int family) {
    return is_served(work) && has_family(&work->after, family);
}

static int refuse_wish(service_work *work, const char *detail) {
    char value[VALUE_TEXT];
    return problem_invalid(work, FIELD, text_value(work->after.load_balancer_ip, value), detail);
}

/* The wish must be an address that can be had at all. */
static int check_wish(service_work *work) {
    const char *wish = work->after.load_balancer_ip;
    int family = family_of_address(wish);
    if (wish[0] == '\0')
        return IPALLOC_OK;
    if (family == 0)
        return refuse_wish(work, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    if (!has_family(&work->after, family))
        return refuse_wish(work, "must be of a family in `ipFamilies`");
    if (pool_of_family(work, family) == NULL)
        return refuse_wish(work, "no load-balancer addresses of this family are configured");
    return IPALLOC_OK;
}

static int refuse_claim(service_work *work, ipalloc_pool *pool, int status,
                        const ipalloc_addr *wish) {
    char text[IPALLOC_ADDR_TEXT] = "", value[VALUE_TEXT], why[VALUE_TEXT], detail[2 * VALUE_TEXT];
    char holder[IPALLOC_OWNER_MAX + 1];
    if (wish == NULL) {
        snprintf(detail, sizeof detail,
                 "failed to allocate a load-balancer IP for Service \"%s\": %s", work->after.name,
                 address_refusal(pool, text, status, why));
        return problem_claim(work, status, NULL, "", detail, "");
    }
    ipalloc_addr_format(wish, text);
    snprintf(detail, sizeof detail, "failed to allocate IP %s: %s", text,
             address_refusal(pool, text, status, why));
    return problem_claim(work, status, FIELD, text_value(work->after.load_balancer_ip, value),
                         detail, address_holder(pool, wish, status, holder));
}

/* Another wish than what is held: the held one goes, or the slot would be occupied. */
static int make_way(service_work *work, ipalloc_pool *pool, const char *slot,
                    const ipalloc_addr *wish) {
    ipalloc_addr held;
    int status = find_slot(work, pool, slot, &held);
    if (status != IPALLOC_OK || held.family == 0 || ipalloc_addr_compare(&held, wish) == 0)
        return status;
    return release_slot(work, pool, slot);
}

static int claim_family(service_work *work, ipalloc_pool *pool, const char *slot, int family,
                        bool may_wait) {
    ipalloc_service *after = &work->after;
    ipalloc_addr wish, given;
    bool wished = family_of_address(after->load_balancer_ip) == family &&
                  ipalloc_addr_parse(after->load_balancer_ip, strlen(after->load_balancer_ip),
                                     &wish, NULL) == IPALLOC_OK;
    int status = IPALLOC_OK;
    if (work->updating && wished)
        status = make_way(work, pool, slot, &wish);
    if (status == IPALLOC_OK)
        status = claim_address(work, pool, slot, wished ? &wish : NULL, &given);
    if (status == IPALLOC_E_FULL && may_wait) {
        after->ingress_waits = true;
        return IPALLOC_OK;
    }
    if (claim_is_refused(status))
        return refuse_claim(work, pool, status, wished ? &wish : NULL);
    if (status == IPALLOC_OK)
        ipalloc_addr_format(&given, after->ingress_ips[after->ingress_ip_count++]);
    return status;
}

/* Give back what it has of the pool that it leaves. */
static int leave_pool(service_work *work, ipalloc_pool *left, const char *slot, bool *had_one) {
    ipalloc_addr held = {0};
    int status = find_slot(work, left, slot, &held);
    *had_one = held.family != 0;
    return status == IPALLOC_OK ? release_slot(work, left, slot) : status;
}

static int settle_family(service_work *work, int family) {
    ipalloc_pool *pool = pool_of_family(work, family), *left = left_pool(work, family);
    char slot[IPALLOC_SLOT_MAX + 1];
    bool had_one = false;
    snprintf(slot, sizeof slot, "loadBalancer/%s", family_name(family));
    int status = left != NULL ? leave_pool(work, left, slot, &had_one) : IPALLOC_OK;
    if (status != IPALLOC_OK || pool == NULL)
        return status;
    if (wants_family(work, family))
        return claim_family(work, pool, slot, family,
                            work->pools.load_balancer_may_wait && !had_one);
    if (work->updating && type_is(&work->before, "LoadBalancer"))
        return release_slot(work, pool, slot);
    return IPALLOC_OK;
}

int service_claim_load_balancer(service_work *work) {
    ipalloc_service *after = &work->after;
    after->ingress_ip_count = 0;
    after->ingress_waits = false;
    if (!has_pools(work))
        return IPALLOC_OK;
    int status = is_served(work) ? check_wish(work) : IPALLOC_OK;
    int first = after->ip_family_count > 0 ? family_of_name(after->ip_families[0]) : 4;
    if (status == IPALLOC_OK)
        status = settle_family(work, first);
    if (status == IPALLOC_OK)
        status = settle_family(work, first == 4 ? 6 : 4);
    return status;
}
