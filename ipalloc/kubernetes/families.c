/*
 * families.c: which address families a Service gets.
 *
 * ipFamilies and ipFamilyPolicy are inferred from what was given (families, cluster IPs, the stored
 * object) and from what the cluster has, and checked against one another (KEP-2438). A Service is
 * never moved between single- and dual-stack except by a policy that says so; one that prefers
 * dual-stack and is sent back unchanged stays as it is, even where the cluster has changed since.
 */
#include "kubernetes/service_work.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char SINGLE_STACK[] = "SingleStack";
static const char PREFER_DUAL_STACK[] = "PreferDualStack";
static const char REQUIRE_DUAL_STACK[] = "RequireDualStack";
static const char POLICY_FIELD[] = "spec.ipFamilyPolicy";

static int default_family(const service_work *work) {
    return ipalloc_pool_kind_of(work->pools.cluster_ips[0]);
}

static bool cluster_is_dual_stack(const service_work *work) {
    return work->pools.cluster_ips[1] != NULL;
}

static bool policy_is(const ipalloc_service *service, const char *policy) {
    return strcmp(service->ip_family_policy, policy) == 0;
}

static void append_family(ipalloc_service *service, int family) {
    assert(service->ip_family_count < SERVICE_FAMILIES_MAX);
    copy_text(service->ip_families[service->ip_family_count++], family_name(family));
}

static void append_other_family(ipalloc_service *service) {
    assert(service->ip_family_count == 1);
    append_family(service, family_of_name(service->ip_families[0]) == 4 ? 6 : 4);
}

static bool prefers_dual_stack_as_before(const service_work *work) {
    const ipalloc_service *before = &work->before, *after = &work->after;
    bool preferred_before =
        before->ip_family_policy[0] == '\0' || policy_is(before, PREFER_DUAL_STACK);
    return work->updating && strcmp(before->type, after->type) == 0 && preferred_before &&
           policy_is(after, PREFER_DUAL_STACK) && same_cluster_ips(before, after) &&
           same_ip_families(before, after);
}

static bool is_headless_without_selector(const ipalloc_service *service) {
    return strcmp(service->cluster_ip, "None") == 0 && !service->has_selector;
}

/* On update a policy that was not given is the stored one; never a fixed default, which would move
 * Services between single- and dual-stack behind their owner's back. */
static void default_policy(service_work *work) {
    ipalloc_service *after = &work->after;
    if (after->ip_family_policy[0] != '\0')
        return;
    if (work->updating && work->before.ip_family_policy[0] != '\0')
        copy_text(after->ip_family_policy, work->before.ip_family_policy);
    else if (is_headless_without_selector(after))
        copy_text(after->ip_family_policy, REQUIRE_DUAL_STACK);
    else
        copy_text(after->ip_family_policy, SINGLE_STACK);
}

static int refuse_policy(service_work *work, const char *detail) {
    char value[VALUE_TEXT];
    return problem_invalid(work, POLICY_FIELD, text_value(work->after.ip_family_policy, value),
                           detail);
}

/* A shorter list takes the second address away, and only the policy SingleStack may say that. With
 * that policy, lists that were sent back as they were lose their second member. */
static void shrink_to_policy(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (!policy_is(after, SINGLE_STACK)) {
        if (after->cluster_ip_count > 0 && after->cluster_ip_count < before->cluster_ip_count)
            refuse_policy(work, "must be 'SingleStack' to release the secondary cluster IP");
        if (after->ip_family_count > 0 && after->ip_family_count < before->ip_family_count)
            refuse_policy(work, "must be 'SingleStack' to release the secondary IP family");
        return;
    }
    if (same_cluster_ips(before, after) && after->cluster_ip_count > 1)
        after->cluster_ip_count = 1;
    if (same_ip_families(before, after) && after->ip_family_count > 1)
        after->ip_family_count = 1;
}

static void check_single_stack(service_work *work) {
    const ipalloc_service *after = &work->after;
    if (!policy_is(after, SINGLE_STACK))
        return;
    if (after->cluster_ip_count == 2)
        refuse_policy(work, "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster "
                            "IPs are specified");
    if (after->ip_family_count == 2)
        refuse_policy(work, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP "
                            "families are specified");
}

/* Named after the address and not the family: it is the address that the user wrote. */
static void infer_from_cluster_ips(service_work *work) {
    ipalloc_service *after = &work->after;
    if (is_headless(after))
        return;
    for (size_t i = after->ip_family_count; i < after->cluster_ip_count; i++) {
        int family = family_of_address(after->cluster_ips[i]);
        if (family != 0 && cluster_ip_pool(work, family) != NULL) {
            append_family(after, family);
            continue;
        }
        char field[FIELD_TEXT], value[VALUE_TEXT], detail[64];
        snprintf(detail, sizeof detail, "%s is not configured on this cluster",
                 family == 0 ? "unknown" : family_name(family));
        problem_invalid(work, indexed_field("clusterIPs", i, "", field),
                        cluster_ips_value(after, value), detail);
    }
}

static void check_against_cluster(service_work *work) {
    const ipalloc_service *after = &work->after;
    if (policy_is(after, REQUIRE_DUAL_STACK) && !cluster_is_dual_stack(work))
        refuse_policy(work, "this cluster is not configured for dual-stack services");
    for (size_t i = 0; i < after->ip_family_count; i++) {
        char field[FIELD_TEXT], value[VALUE_TEXT];
        if (cluster_ip_pool(work, family_of_name(after->ip_families[i])) == NULL)
            problem_invalid(work, indexed_field("ipFamilies", i, "", field),
                            text_value(after->ip_families[i], value),
                            "not configured on this cluster");
    }
}

/* A headless Service without a selector has its endpoints written by somebody else: it may name
 * families that this cluster does not have. */
static void fill_in_families(service_work *work, bool any_family) {
    ipalloc_service *after = &work->after;
    if (after->ip_family_count == 0)
        append_family(after, default_family(work));
    if (after->ip_family_count == 1 && !policy_is(after, SINGLE_STACK) &&
        (any_family || cluster_is_dual_stack(work)))
        append_other_family(after);
}

/* --- stored objects --------------------------------------------------------------------------- */

static void add_families_of_addresses(ipalloc_service *stored) {
    for (size_t i = 0; i < stored->cluster_ip_count && i < SERVICE_FAMILIES_MAX; i++) {
        int family = family_of_address(stored->cluster_ips[i]);
        if (family != 0)
            append_family(stored, family);
    }
}

void service_complete_stored(service_work *work) {
    ipalloc_service *stored = &work->before;
    if (!needs_cluster_ip(stored) || stored->ip_family_policy[0] != '\0' ||
        stored->ip_family_count > 0)
        return;
    if (!is_headless(stored)) {
        add_families_of_addresses(stored);
    } else {
        append_family(stored, default_family(work));
        if (!stored->has_selector)
            append_other_family(stored);
    }
    copy_text(stored->ip_family_policy,
              stored->ip_family_count == 2 ? REQUIRE_DUAL_STACK : SINGLE_STACK);
}

/* --- the step --------------------------------------------------------------------------------- */

int service_infer_families(service_work *work) {
    if (!needs_cluster_ip(&work->after) || prefers_dual_stack_as_before(work))
        return IPALLOC_OK;
    default_policy(work);
    int status = service_validate_cluster_ips(work);
    if (status != IPALLOC_OK)
        return status;
    if (work->updating)
        shrink_to_policy(work);
    check_single_stack(work);
    infer_from_cluster_ips(work);
    if (work->problem_count > 0)
        return IPALLOC_E_INVALID;
    bool any_family = is_headless_without_selector(&work->after);
    if (!any_family)
        check_against_cluster(work);
    if (work->problem_count > 0)
        return IPALLOC_E_INVALID;
    fill_in_families(work, any_family);
    return IPALLOC_OK;
}
