/* pages.c: /healthz, /livez, /readyz, /metrics and the status page. The page needs nothing from
 * elsewhere: no script, no font, no picture. */
#include "pages.h"

#include "cluster.h"
#include "json.h"
#include "table.h"
#include "watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RECENT_SERVICES 10

static void reply_plain(struct reply *reply, int code, const char *words) {
    reply->code = code;
    reply->content_type = "text/plain; charset=utf-8";
    text_add(&reply->body, words);
}

void page_health(struct server *server, const struct request *request, struct reply *reply) {
    (void)server;
    (void)request;
    reply_plain(reply, 200, "ok");
}

void page_unavailable(struct reply *reply, const char *why) {
    reply_plain(reply, 503, why);
}

/* Ready means that the store answers, and is the one that it was. */
void page_ready(struct server *server, const struct request *request, struct reply *reply) {
    (void)request;
    ipalloc_store_info info = {.size = sizeof info};
    ipalloc_error error = {0};
    int status = ipalloc_store_get_info(server->store, &info, &error);
    if (status != IPALLOC_OK) {
        reply->store_silent = status == IPALLOC_E_UNAVAILABLE;
        page_unavailable(reply, error.message);
    } else if (info.restored) {
        page_unavailable(reply, "the store has been restored from a copy: accept it, and start "
                                "this server again");
    } else {
        reply_plain(reply, 200, "ok");
    }
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void add_own_metrics(struct server *server, struct text *out) {
    struct counters counts;
    pthread_mutex_lock(&server->counters.lock);
    counts = server->counters;
    pthread_mutex_unlock(&server->counters.lock);
    text_add(out, "# TYPE ipalloc_apiserver_requests counter\n"
                  "# HELP ipalloc_apiserver_requests Requests answered.\n");
    for (unsigned method = 0; method <= METHOD_COUNT; method++) {
        for (unsigned digit = 1; digit < 6; digit++) {
            if (counts.requests[method][digit] > 0) {
                text_format(out,
                            "ipalloc_apiserver_requests_total{method=\"%s\",code=\"%uxx\"} "
                            "%" PRIu64 "\n",
                            method < METHOD_COUNT ? method_names[method] : "other", digit,
                            counts.requests[method][digit]);
            }
        }
    }
    text_format(out,
                "# TYPE ipalloc_apiserver_connections gauge\n"
                "# HELP ipalloc_apiserver_connections Open connections.\n"
                "ipalloc_apiserver_connections %" PRId64 "\n"
                "# TYPE ipalloc_apiserver_watches gauge\n"
                "# HELP ipalloc_apiserver_watches Running watches.\n"
                "ipalloc_apiserver_watches %" PRId64 "\n"
                "# TYPE ipalloc_apiserver_services gauge\n"
                "# HELP ipalloc_apiserver_services Services stored.\n"
                "ipalloc_apiserver_services %zu\n",
                counts.connections_now, counts.watches_now,
                hub_count(server->hub, &resource_services));
}

/* The library's text ends with the end mark, so ours comes first. */
void page_metrics(struct server *server, const struct request *request, struct reply *reply) {
    (void)request;
    size_t capacity = 0;
    ipalloc_service_pools pools = cluster_service_pools(server);
    pools.more_load_balancers = &server->balancers[0][0];
    pools.more_load_balancer_count = sizeof server->balancers / sizeof server->balancers[0][0];
    size_t needed = ipalloc_service_metrics(server->registry, &pools, NULL, 0);
    char *metrics = NULL;
    while (needed >= capacity) { /* it may grow between two looks */
        capacity = needed + 1024;
        free(metrics);
        metrics = memory_allocate(capacity);
        needed = ipalloc_service_metrics(server->registry, &pools, metrics, capacity);
    }
    add_own_metrics(server, &reply->body);
    text_append(&reply->body, metrics, needed);
    free(metrics);
    reply->code = 200;
    reply->content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

/* --- the page for people ---------------------------------------------------------------------- */

static const char page_head[] =
    "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>ipalloc</title><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}"
    "th,td{border-color:#444}a{color:#8af}}</style></head><body><h1>ipalloc API server</h1>";

static void add_count_cell(struct text *out, ipalloc_count count) {
    char words[IPALLOC_COUNT_TEXT];
    ipalloc_count_format(count, words);
    text_format(out, "<td class=\"n\">%s</td>", words);
}

static void add_pool_row(struct text *out, ipalloc_pool *pool, const struct options *options) {
    ipalloc_pool_stats stats = {.size = sizeof stats};
    ipalloc_pool_range range = {.size = sizeof range};
    if (ipalloc_pool_get_stats(pool, &stats, NULL) != IPALLOC_OK) {
        return;
    }
    text_format(out, "<tr><td>%s</td><td>", ipalloc_pool_name(pool));
    if (ipalloc_pool_kind_of(pool) == IPALLOC_POOL_PORT) {
        text_format(out, "%u-%u", options->node_port_first, options->node_port_last);
    }
    for (size_t i = 0; ipalloc_pool_kind_of(pool) != IPALLOC_POOL_PORT &&
                       ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK;
         i++) {
        char cidr[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&range.cidr, cidr);
        text_format(out, "%s%s%s", i > 0 ? "<br>" : "", cidr, range.draining ? " (draining)" : "");
    }
    text_add(out, "</td>");
    add_count_cell(out, stats.total.used);
    add_count_cell(out, stats.total.free);
    add_count_cell(out, stats.static_band.free);
    text_add(out, "</tr>");
}

static void add_pools(struct server *server, struct text *out) {
    ipalloc_pool *pool = NULL;
    text_add(out, "<h2>Ranges</h2><table><tr><th>Pool</th><th>Range</th><th class=\"n\">Used</th>"
                  "<th class=\"n\">Free</th><th class=\"n\">of it in the static band</th></tr>");
    while (ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        add_pool_row(out, pool, server->options);
    }
    text_add(out, "</table>");
}

static void add_service_row(struct text *out, const char *text) {
    struct text ignored = {0};
    struct json_object *service = json_parse(text, strlen(text), &ignored);
    struct json_object *table = table_new(&resource_services, false, NULL);
    text_clear(&ignored);
    if (service != NULL) {
        table_add(table, &resource_services, service, TABLE_OBJECT_NONE);
        struct json_object *row = json_object_array_get_idx(json_member(table, "rows"), 0);
        struct json_object *cells = json_member(row, "cells");
        text_add(out, "<tr><td>");
        text_add_html(out, json_member_text(json_member(service, "metadata"), "namespace"));
        for (size_t i = 0; i < 6; i++) {
            text_add(out, "</td><td>");
            text_add_html(out, json_object_get_string(json_object_array_get_idx(cells, i)));
        }
        text_add(out, "</td></tr>");
    }
    json_object_put(table);
    json_object_put(service);
}

static void add_services(struct server *server, struct text *out) {
    char *texts[RECENT_SERVICES];
    size_t count = hub_recent(server->hub, &resource_services, texts, RECENT_SERVICES);
    text_format(out,
                "<h2>Services</h2><p>%zu in all; the last changed ones:</p><table><tr>"
                "<th>Namespace</th><th>Name</th><th>Type</th><th>Cluster-IP</th>"
                "<th>External-IP</th><th>Ports</th><th>Age</th></tr>",
                hub_count(server->hub, &resource_services));
    for (size_t i = 0; i < count; i++) {
        add_service_row(out, texts[i]);
        free(texts[i]);
    }
    text_add(out, "</table>");
}

void page_index(struct server *server, const struct request *request, struct reply *reply) {
    (void)request;
    struct text *out = &reply->body;
    text_add(out, page_head);
    text_format(out, "<p>Version %s. Store: ", ipalloc_version());
    text_add_html(out, server->options->store.url);
    text_add(out, ". Up ");
    table_add_age(out, (int64_t)(time(NULL) - server->started));
    text_add(out, ". <a href=\"/metrics\">Metrics</a>, <a href=\"/healthz\">health</a>, "
                  "<a href=\"/api/v1/services?pretty=true\">all Services as JSON</a>.</p>");
    add_pools(server, out);
    add_services(server, out);
    text_add(out, "</body></html>\n");
    reply->code = 200;
    reply->content_type = "text/html; charset=utf-8";
}
