/*
 * cluster_ips.c: claims and releases of cluster IPs.
 *
 * One slot per family: clusterIP/IPv4, clusterIP/IPv6. A family that the Service has already keeps
 * its address and costs nothing; one that is new is claimed, one that is gone is released. That
 * covers creates, both directions between single- and dual-stack, and changes of type. Both
 * families are claimed in the caller's one transaction, so that a refusal of the second leaves
 * nothing of the first behind.
 */
#include "kubernetes/service_work.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool holds_cluster_ips(const ipalloc_service *service) {
    return service->type[0] != '\0' && needs_cluster_ip(service) && !is_headless(service);
}

/* The cluster IP of a family; "" if there is none. */
static const char *address_of_family(const ipalloc_service *service, int family) {
    if (!holds_cluster_ips(service))
        return "";
    for (size_t i = 0; i < service->ip_family_count && i < service->cluster_ip_count; i++)
        if (family_of_name(service->ip_families[i]) == family)
            return service->cluster_ips[i];
    return "";
}

static bool has_family(const ipalloc_service *service, int family) {
    if (!holds_cluster_ips(service))
        return false;
    for (size_t i = 0; i < service->ip_family_count; i++)
        if (family_of_name(service->ip_families[i]) == family)
            return true;
    return false;
}

static int refuse(service_work *work, ipalloc_pool *pool, int status, const char *asked) {
    char value[VALUE_TEXT], why[VALUE_TEXT], detail[2 * VALUE_TEXT];
    char holder[IPALLOC_OWNER_MAX + 1] = "";
    const char *refusal = address_refusal(pool, asked, status, why);
    if (asked[0] == '\0') {
        snprintf(detail, sizeof detail, "failed to allocate a serviceIP for Service \"%s\": %s",
                 work->after.name, refusal);
        return problem_claim(work, status, NULL, "", detail, "");
    }
    ipalloc_addr address;
    if (ipalloc_addr_parse(asked, strlen(asked), &address, NULL) == IPALLOC_OK)
        address_holder(pool, &address, status, holder);
    snprintf(detail, sizeof detail, "failed to allocate IP %s: %s", asked, refusal);
    return problem_claim(work, status, "spec.clusterIPs", cluster_ips_value(&work->after, value),
                         detail, holder);
}

/* Claim the index-th family's address, as asked for or any. */
static int claim_family(service_work *work, size_t index) {
    ipalloc_service *after = &work->after;
    int family = family_of_name(after->ip_families[index]);
    ipalloc_pool *pool = cluster_ip_pool(work, family);
    char *text = after->cluster_ips[index], slot[IPALLOC_SLOT_MAX + 1];
    snprintf(slot, sizeof slot, "clusterIP/%s", family_name(family));
    ipalloc_addr asked, given;
    bool asked_for = ipalloc_addr_parse(text, strlen(text), &asked, NULL) == IPALLOC_OK;
    int status = claim_address(work, pool, slot, asked_for ? &asked : NULL, &given);
    if (status == IPALLOC_OK)
        ipalloc_addr_format(&given, text);
    else if (claim_is_refused(status))
        return refuse(work, pool, status, text);
    return status;
}

static int claim_new_families(service_work *work) {
    ipalloc_service *after = &work->after;
    while (after->cluster_ip_count < after->ip_family_count)
        after->cluster_ips[after->cluster_ip_count++][0] = '\0'; /* to be filled in */
    for (size_t i = 0; i < after->ip_family_count; i++) {
        int family = family_of_name(after->ip_families[i]);
        if (address_of_family(&work->before, family)[0] != '\0')
            continue;
        int status = claim_family(work, i);
        if (status != IPALLOC_OK)
            return status;
    }
    copy_text(after->cluster_ip, after->cluster_ips[0]);
    return IPALLOC_OK;
}

static int release_old_families(service_work *work) {
    for (int family = 4; family <= 6; family += 2) {
        const char *held = address_of_family(&work->before, family);
        if (held[0] == '\0' || has_family(&work->after, family))
            continue;
        int status = release_address(work, cluster_ip_pool(work, family), held);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

int service_claim_cluster_ips(service_work *work) {
    if (holds_cluster_ips(&work->after)) {
        int status = claim_new_families(work);
        if (status != IPALLOC_OK)
            return status;
    }
    return work->updating ? release_old_families(work) : IPALLOC_OK;
}
