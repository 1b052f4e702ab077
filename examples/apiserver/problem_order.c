/*
 * problem_order.c: the order in which kube-apiserver tells what is wrong with a Service.
 *
 * The library judges what decides allocation and the server the rest; Kubernetes judges all of it
 * in one function (ValidateServiceUpdate, which ends with ValidateService). The phases are the
 * order of that function, so that two lists become one as if one function had found them.
 */
#include "service_rules.h"

#include <stdlib.h>
#include <string.h>

enum phase {
    /* what an update may not change */
    PHASE_SAME_ADDRESSES,
    PHASE_SAME_FAMILIES,
    PHASE_SAME_CLASS,
    PHASE_SAME_HEALTH_CHECK,
    /* the object */
    PHASE_METADATA,
    PHASE_TOPOLOGY,
    PHASE_HAS_PORTS,
    PHASE_TYPE_FIELDS,
    PHASE_EACH_PORT,
    PHASE_SELECTOR,
    PHASE_AFFINITY,
    PHASE_AFFINITY_CONFIG,
    PHASE_ADDRESSES,
    PHASE_EXTERNAL_IPS,
    PHASE_TYPE,
    PHASE_NODE_PORT_ALLOWED,
    PHASE_SAME_NODE_PORT,
    PHASE_SAME_PORT,
    PHASE_SOURCE_RANGES,
    PHASE_ALLOCATE_NODE_PORTS,
    PHASE_CLASS,
    PHASE_EXTERNAL_POLICY,
    PHASE_HEALTH_CHECK,
    PHASE_INTERNAL_POLICY,
    PHASE_DISTRIBUTION,
    PHASE_OTHER,
};

/* The first row that fits: how the field begins, and words of the message (NULL: any). */
static const struct {
    const char *field, *words;
    enum phase phase;
} rows[] = {
    {"metadata.annotations[service.kubernetes.io/topology-mode", NULL, PHASE_TOPOLOGY},
    {"metadata.annotations[service.beta.kubernetes.io/", NULL, PHASE_SOURCE_RANGES},
    {"metadata", NULL, PHASE_METADATA},
    {"spec.ports", NULL, PHASE_HAS_PORTS},
    {"spec.clusterIPs", "may not change once set", PHASE_SAME_ADDRESSES},
    {"spec.clusterIPs", "may not be set", PHASE_TYPE_FIELDS},
    {"spec.clusterIPs", NULL, PHASE_ADDRESSES},
    {"spec.ipFamilies", "may not change once set", PHASE_SAME_FAMILIES},
    {"spec.ipFamil", "may not be set", PHASE_TYPE_FIELDS},
    {"spec.ipFamil", NULL, PHASE_ADDRESSES},
    {"spec.externalName", NULL, PHASE_TYPE_FIELDS},
    {"spec.selector", NULL, PHASE_SELECTOR},
    {"spec.sessionAffinityConfig", NULL, PHASE_AFFINITY_CONFIG},
    {"spec.sessionAffinity", NULL, PHASE_AFFINITY},
    {"spec.externalIPs", NULL, PHASE_EXTERNAL_IPS},
    {"spec.type", NULL, PHASE_TYPE},
    {"spec.LoadBalancerSourceRanges", NULL, PHASE_SOURCE_RANGES},
    {"spec.allocateLoadBalancerNodePorts", NULL, PHASE_ALLOCATE_NODE_PORTS},
    {"spec.loadBalancerClass", "may not change once set", PHASE_SAME_CLASS},
    {"spec.loadBalancerClass", NULL, PHASE_CLASS},
    {"spec.externalTrafficPolicy", NULL, PHASE_EXTERNAL_POLICY},
    {"spec.healthCheckNodePort", "field is immutable", PHASE_SAME_HEALTH_CHECK},
    {"spec.healthCheckNodePort", NULL, PHASE_HEALTH_CHECK},
    {"spec.internalTrafficPolicy", NULL, PHASE_INTERNAL_POLICY},
    {"spec.trafficDistribution", NULL, PHASE_DISTRIBUTION},
};

enum { RANKS_PER_PHASE = 1 << 16, RANKS_PER_PORT = 8 };

static unsigned phase_of_field(const ipalloc_service_problem *problem) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (text_starts_with(problem->field, rows[i].field) &&
            (rows[i].words == NULL || strstr(problem->message, rows[i].words) != NULL)) {
            return rows[i].phase;
        }
    }
    return PHASE_OTHER;
}

/* Port by port, and in a port field by field; but node ports and repeated ports in rounds of their
 * own. */
static unsigned rank_of_port(const char *index, const char *message) {
    static const char *const fields[] = {".name", ".port", ".protocol", ".targetPort"};
    char *member = NULL;
    unsigned long number = strtoul(index, &member, 10) % (RANKS_PER_PHASE / RANKS_PER_PORT);
    member += member[0] == ']';
    if (member[0] == '\0') {
        return PHASE_SAME_PORT * RANKS_PER_PHASE;
    }
    if (strcmp(member, ".nodePort") == 0) {
        bool forbidden = text_starts_with(message, "Forbidden");
        return (forbidden ? PHASE_NODE_PORT_ALLOWED : PHASE_SAME_NODE_PORT) * RANKS_PER_PHASE;
    }
    unsigned place = 0;
    while (place < sizeof fields / sizeof fields[0] && strcmp(member, fields[place]) != 0) {
        place++;
    }
    return PHASE_EACH_PORT * RANKS_PER_PHASE + (unsigned)number * RANKS_PER_PORT + place;
}

static unsigned rank_of(const ipalloc_service_problem *problem) {
    static const char ports[] = "spec.ports[";
    if (text_starts_with(problem->field, ports)) {
        return rank_of_port(problem->field + sizeof ports - 1, problem->message);
    }
    return phase_of_field(problem) * RANKS_PER_PHASE;
}

/* By insertion: the list is short, and what ranks alike stays in the order in which it was found.
 */
void problems_sort(ipalloc_service_problems *problems) {
    for (size_t i = 1; i < problems->count; i++) {
        ipalloc_service_problem one = problems->items[i];
        unsigned rank = rank_of(&one);
        size_t at = i;
        while (at > 0 && rank_of(&problems->items[at - 1]) > rank) {
            problems->items[at] = problems->items[at - 1];
            at--;
        }
        problems->items[at] = one;
    }
}
