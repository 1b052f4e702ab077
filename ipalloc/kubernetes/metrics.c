/*
 * metrics.c: what the pools of a cluster are doing, as OpenMetrics text under the names that
 * kube-apiserver uses.
 *
 * May use: the registry's counters, read in its gate. Gauges come from the bitmaps, so that they
 * are exact from the first scrape after a start; counters begin at 0 then, and every series is
 * there from the first scrape on. All of a text is read between two changes of any definition.
 *
 * Where ours differ from upstream's (1.36): an address counts as allocated by the commit, upstream
 * when it is written, before its Service; an allocation that ran into another server's is tried
 * again and is no error; what drains has nothing available; ranges do not overlap, so that no
 * address is counted twice. Of repair, the types that cannot occur here (full, unknown, invalid)
 * have no series, and a report that fails is one of all pools.
 */
#include "registry/registry.h"
#include <ipalloc/repair.h>
#include <ipalloc/service.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One allocator: its metrics share a prefix. */
typedef struct metric_group {
    const char *prefix;
    const char *repair_prefix;
    const char *unit; /* of its gauges' names */
    const char *what; /* in words */
    bool has_ranges;  /* one series a CIDR, and durations */
    const ipalloc_pool *pools[2];
    ipalloc_pool *const *more;
    size_t more_count;
} metric_group;

typedef struct metrics {
    text_buffer text;
    const metric_group *group;
    const char *prefix; /* of the family in hand */
} metrics;

typedef void (*append_series)(metrics *m, const char *name, const char *labels,
                              const ipalloc_pool_range *range);

static const char *const SCOPES[] = {"static", "dynamic"};

/* Numbers as OpenMetrics writes them. */
static const char *const BOUNDS[IPALLOC_DURATION_BUCKETS] = {
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"};

/* --- the series of one range ------------------------------------------------------------------ */

static void append_gauge(metrics *m, const char *name, const char *labels, ipalloc_count value) {
    char number[IPALLOC_COUNT_TEXT];
    bool labelled = labels[0] != '\0';
    ipalloc_count_format(value, number);
    text_format(&m->text, "%s%s%s%s%s %s\n", m->prefix, name, labelled ? "{" : "", labels,
                labelled ? "}" : "", number);
}

static void append_used(metrics *m, const char *name, const char *labels,
                        const ipalloc_pool_range *range) {
    append_gauge(m, name, labels, range->stats.total.used);
}

static void append_free(metrics *m, const char *name, const char *labels,
                        const ipalloc_pool_range *range) {
    append_gauge(m, name, labels, range->draining ? (ipalloc_count){0} : range->stats.total.free);
}

/* The label that comes before another one. */
static const char *comma_after(const char *labels) {
    return labels[0] != '\0' ? "," : "";
}

static void append_counters(metrics *m, const char *name, const char *labels,
                            const uint64_t values[2]) {
    for (size_t scope = 0; scope < 2; scope++)
        text_format(&m->text, "%s%s_total{%s%sscope=\"%s\"} %" PRIu64 "\n", m->prefix, name, labels,
                    comma_after(labels), SCOPES[scope], values[scope]);
}

static void append_granted(metrics *m, const char *name, const char *labels,
                           const ipalloc_pool_range *range) {
    append_counters(m, name, labels,
                    (const uint64_t[]){range->granted_static, range->granted_dynamic});
}

static void append_refused(metrics *m, const char *name, const char *labels,
                           const ipalloc_pool_range *range) {
    append_counters(m, name, labels,
                    (const uint64_t[]){range->refused_static, range->refused_dynamic});
}

static void append_durations(metrics *m, const char *name, const char *labels,
                             const ipalloc_pool_range *range) {
    uint64_t count = 0;
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++) {
        count += range->durations[i];
        text_format(&m->text, "%s%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", m->prefix, name, labels,
                    comma_after(labels), BOUNDS[i], count);
    }
    text_format(&m->text, "%s%s_count{%s} %" PRIu64 "\n", m->prefix, name, labels, count);
    text_format(&m->text, "%s%s_sum{%s} %" PRIu64 ".%03" PRIu64 "\n", m->prefix, name, labels,
                range->duration_sum_ms / 1000, range->duration_sum_ms % 1000);
}

/* --- families --------------------------------------------------------------------------------- */

static void append_head(metrics *m, const char *name, const char *type, const char *help) {
    const metric_group *group = m->group;
    text_format(&m->text, "# TYPE %s%s %s\n", m->prefix, name, type);
    if (strcmp(type, "histogram") == 0)
        text_format(&m->text, "# UNIT %s%s seconds\n", m->prefix, name);
    text_format(&m->text, "# HELP %s%s %s: %s.\n", m->prefix, name, help, group->what);
}

static void append_pool(metrics *m, const char *name, const ipalloc_pool *pool,
                        append_series append) {
    for (size_t i = 0; i < pool->set->count; i++) {
        const pool_range *one = &pool->set->ranges[i];
        ipalloc_pool_range range = {.draining = one->draining,
                                    .stats = {.size = sizeof range.stats}};
        char labels[IPALLOC_CIDR_TEXT + 8] = "", cidr[IPALLOC_CIDR_TEXT];
        if (m->group->has_ranges) {
            ipalloc_cidr_format(&one->cidr, cidr);
            snprintf(labels, sizeof labels, "cidr=\"%s\"", cidr);
        }
        ipalloc_range_get_stats(one->range, &range.stats);
        activity_read(&one->activity, &range);
        append(m, name, labels, &range);
    }
}

static size_t pool_count(const metric_group *group) {
    return 2 + group->more_count;
}

/* NULL: none there, or one that came before. */
static const ipalloc_pool *pool_at(const metric_group *group, size_t index) {
    const ipalloc_pool *pool = index < 2 ? group->pools[index] : group->more[index - 2];
    for (size_t i = 0; i < index; i++)
        if (pool == (i < 2 ? group->pools[i] : group->more[i - 2]))
            return NULL;
    return pool;
}

static void append_family(metrics *m, const char *name, const char *type, const char *help,
                          append_series append) {
    append_head(m, name, type, help);
    for (size_t i = 0; i < pool_count(m->group); i++)
        if (pool_at(m->group, i) != NULL)
            append_pool(m, name, pool_at(m->group, i), append);
}

/* --- repair ----------------------------------------------------------------------------------- */

/* Upstream's words for what repair does and finds, by enum ipalloc_repair_kind. */
static const char *const REPAIR_TYPES[REPAIR_KINDS] = {[IPALLOC_REPAIR_LEAK] = "leak",
                                                       [IPALLOC_REPAIR_MISSING] = "repair",
                                                       [IPALLOC_REPAIR_DUPLICATE] = "duplicate",
                                                       [IPALLOC_REPAIR_OUT_OF_RANGE] =
                                                           "outOfRange"};

static uint64_t repairs_of(const metric_group *group, size_t kind) {
    uint64_t sum = 0;
    for (size_t i = 0; i < pool_count(group); i++)
        if (pool_at(group, i) != NULL)
            sum += atomic_load_relaxed(&pool_at(group, i)->repairs[kind]);
    return sum;
}

static void append_repairs(metrics *m, const ipalloc_registry *registry) {
    const metric_group *group = m->group;
    char name[32];
    m->prefix = group->repair_prefix;
    snprintf(name, sizeof name, "%s_errors", group->has_ranges ? "ip" : "port");
    append_head(m, name, "counter", "What repair has put right or found wrong");
    for (size_t kind = 1; kind < REPAIR_KINDS; kind++)
        text_format(&m->text, "%s%s_total{type=\"%s\"} %" PRIu64 "\n", m->prefix, name,
                    REPAIR_TYPES[kind], repairs_of(group, kind));
    append_head(m, "reconcile_errors", "counter", "Repair reports that could not be made");
    text_format(&m->text, "%sreconcile_errors_total %" PRIu64 "\n", m->prefix,
                atomic_load_relaxed(&registry->repair_failures));
}

/* --- groups ----------------------------------------------------------------------------------- */

static bool has_any_pool(const metric_group *group) {
    for (size_t i = 0; i < pool_count(group); i++)
        if (pool_at(group, i) != NULL)
            return true;
    return false;
}

static void append_group(metrics *m, const metric_group *group, const ipalloc_registry *registry) {
    char used[32], available[32];
    if (!has_any_pool(group))
        return;
    m->group = group;
    m->prefix = group->prefix;
    snprintf(used, sizeof used, "allocated_%s", group->unit);
    snprintf(available, sizeof available, "available_%s", group->unit);
    append_family(m, used, "gauge", "Held now", append_used);
    append_family(m, available, "gauge", "Free now", append_free);
    append_family(m, "allocation", "counter", "Allocations that were committed", append_granted);
    append_family(m, "allocation_errors", "counter", "Allocations that were refused",
                  append_refused);
    if (group->has_ranges)
        append_family(m, "allocation_duration_seconds", "histogram",
                      "How long it took to claim and commit", append_durations);
    append_repairs(m, registry);
}

static void append_groups(metrics *m, const ipalloc_service_pools *pools,
                          const ipalloc_registry *registry) {
    const metric_group groups[] = {{.prefix = "kube_apiserver_clusterip_allocator_",
                                    .repair_prefix = "apiserver_clusterip_repair_",
                                    .unit = "ips",
                                    .what = "cluster IPs of Services",
                                    .has_ranges = true,
                                    .pools = {pools->cluster_ips[0], pools->cluster_ips[1]}},
                                   {.prefix = "kube_apiserver_nodeport_allocator_",
                                    .repair_prefix = "apiserver_nodeport_repair_",
                                    .unit = "ports",
                                    .what = "node ports of Services",
                                    .pools = {pools->node_ports}},
                                   {.prefix = "ipalloc_load_balancer_allocator_",
                                    .repair_prefix = "ipalloc_load_balancer_repair_",
                                    .unit = "ips",
                                    .what = "load-balancer addresses of Services",
                                    .has_ranges = true,
                                    .pools = {pools->load_balancer[0], pools->load_balancer[1]},
                                    .more = pools->more_load_balancers,
                                    .more_count = pools->more_load_balancer_count}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        append_group(m, &groups[i], registry);
}

static bool is_address_pool(const ipalloc_registry *registry, const ipalloc_pool *pool) {
    return pool == NULL || registry_check_pool(registry, pool, ADDRESS_KIND, NULL) == IPALLOC_OK;
}

/* All pools that are given are the registry's, and ports are where ports should be. */
static bool pools_fit(const ipalloc_registry *registry, const ipalloc_service_pools *pools) {
    const ipalloc_pool *all[] = {pools->cluster_ips[0], pools->cluster_ips[1],
                                 pools->load_balancer[0], pools->load_balancer[1]};
    bool fit = pools->node_ports == NULL ||
               registry_check_pool(registry, pools->node_ports, IPALLOC_POOL_PORT, NULL) == 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        fit = fit && is_address_pool(registry, all[i]);
    for (size_t i = 0; i < pools->more_load_balancer_count; i++)
        fit = fit && is_address_pool(registry, pools->more_load_balancers[i]);
    return fit;
}

size_t ipalloc_service_metrics(ipalloc_registry *registry, const ipalloc_service_pools *pools,
                               char *out, size_t capacity) {
    ipalloc_service_pools given;
    metrics m;
    if (registry == NULL || pools == NULL ||
        options_copy(&given, sizeof given, pools, "ipalloc_service_pools", NULL) != IPALLOC_OK ||
        !pools_fit(registry, &given))
        return 0;
    text_init(&m.text, &registry->hooks);
    gate_enter(&registry->gate);
    append_groups(&m, &given, registry);
    gate_leave(&registry->gate);
    text_append_text(&m.text, "# EOF\n");
    size_t length = m.text.failed ? 0 : m.text.length;
    if (length > 0 && out != NULL && length < capacity)
        memcpy(out, m.text.bytes, length + 1);
    text_free(&m.text);
    return length;
}
