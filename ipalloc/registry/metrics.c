/*
 * metrics.c: OpenMetrics text with kube-apiserver's metric names.
 *
 * Gauges are read from the bitmaps, so they are exact from the first scrape after opening. An
 * allocation counts when its transaction is committed, a refusal when it is said. Scope "static" is
 * an address asked for by name, "dynamic" one that was picked, as upstream. Ports carry the pool's
 * range as a label that upstream does not have, since there can be several port pools.
 */
#include "registry/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum metric { METRIC_USED, METRIC_FREE, METRIC_GRANTED, METRIC_REFUSED, METRIC_COUNT };

typedef struct metric_family {
    const char *name;
    const char *type;
    const char *help;
} metric_family;

#define ADDRESSES "kube_apiserver_clusterip_allocator_"
#define PORTS     "kube_apiserver_nodeport_allocator_"

static const metric_family ADDRESS_FAMILIES[METRIC_COUNT] = {
    {ADDRESSES "allocated_ips", "gauge", "Gauge measuring the number of allocated addresses."},
    {ADDRESSES "available_ips", "gauge", "Gauge measuring the number of available addresses."},
    {ADDRESSES "allocation", "counter", "Allocations that were committed."},
    {ADDRESSES "allocation_errors", "counter", "Allocations that were refused."}};

static const metric_family PORT_FAMILIES[METRIC_COUNT] = {
    {PORTS "allocated_ports", "gauge", "Gauge measuring the number of allocated ports."},
    {PORTS "available_ports", "gauge", "Gauge measuring the number of available ports."},
    {PORTS "allocation", "counter", "Port allocations that were committed."},
    {PORTS "allocation_errors", "counter", "Port allocations that were refused."}};

static const char *const SCOPES[SCOPE_COUNT] = {"static", "dynamic"};

/* Backslash, quote and newline, as the format asks. */
static void append_label(text_buffer *t, const char *name, const char *value) {
    text_format(t, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            text_format(t, "\\%c", *value);
        else if (*value == '\n')
            text_append_text(t, "\\n");
        else
            text_append(t, value, 1);
    }
    text_append_text(t, "\"");
}

static void append_range_labels(text_buffer *t, const ipalloc_pool *pool, const pool_range *range) {
    char text[IPALLOC_CIDR_TEXT];
    if (pool->kind == IPALLOC_POOL_PORT) {
        snprintf(text, sizeof text, "%u-%u", pool->definition.port_first,
                 pool->definition.port_last);
        append_label(t, "range", text);
    } else {
        ipalloc_cidr_format(&range->cidr, text);
        append_label(t, "cidr", text);
    }
}

static void append_gauge(text_buffer *t, const metric_family *family, const ipalloc_pool *pool,
                         const pool_range *range, ipalloc_count value) {
    char number[IPALLOC_COUNT_TEXT];
    ipalloc_count_format(value, number);
    text_format(t, "%s{", family->name);
    append_range_labels(t, pool, range);
    text_format(t, "} %s\n", number);
}

static void append_counters(text_buffer *t, const metric_family *family, const ipalloc_pool *pool,
                            const pool_range *range, const atomic_word counters[SCOPE_COUNT]) {
    for (size_t scope = 0; scope < SCOPE_COUNT; scope++) {
        text_format(t, "%s_total{", family->name);
        append_range_labels(t, pool, range);
        text_append_text(t, ",");
        append_label(t, "scope", SCOPES[scope]);
        text_format(t, "} %" PRIu64 "\n", atomic_load_relaxed(&counters[scope]));
    }
}

static void append_range(text_buffer *t, enum metric metric, const metric_family *family,
                         const ipalloc_pool *pool, const pool_range *range) {
    ipalloc_range_stats stats = {.size = sizeof stats};
    if (metric == METRIC_GRANTED) {
        append_counters(t, family, pool, range, range->granted);
    } else if (metric == METRIC_REFUSED) {
        append_counters(t, family, pool, range, range->refused);
    } else {
        ipalloc_range_get_stats(range->range, &stats);
        append_gauge(t, family, pool, range,
                     metric == METRIC_USED ? stats.total.used : stats.total.free);
    }
}

static void append_family(text_buffer *t, ipalloc_registry *registry, bool ports,
                          enum metric metric) {
    const metric_family *family = ports ? &PORT_FAMILIES[metric] : &ADDRESS_FAMILIES[metric];
    text_format(t, "# TYPE %s %s\n# HELP %s %s\n", family->name, family->type, family->name,
                family->help);
    for (const ipalloc_pool *pool = registry->pools; pool != NULL; pool = pool->next)
        if ((pool->kind == IPALLOC_POOL_PORT) == ports)
            for (size_t i = 0; i < pool->set->count; i++)
                append_range(t, metric, family, pool, &pool->set->ranges[i]);
}

size_t ipalloc_metrics(ipalloc_registry *registry, char *out, size_t capacity) {
    text_buffer t;
    if (registry == NULL)
        return 0;
    text_init(&t, &registry->hooks);
    gate_enter(&registry->gate);
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        append_family(&t, registry, false, (enum metric)metric);
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        append_family(&t, registry, true, (enum metric)metric);
    gate_leave(&registry->gate);
    text_append_text(&t, "# EOF\n");
    size_t length = t.failed ? 0 : t.length;
    if (length > 0 && out != NULL && length < capacity)
        memcpy(out, t.bytes, length + 1);
    text_free(&t);
    return length;
}
