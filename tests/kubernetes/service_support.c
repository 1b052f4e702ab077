/*
 * service_support.c: Services as lines of text, and a cluster in memory.
 */
#include "service_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *line_buffer(void) {
    static char buffers[4][SERVICE_LINE];
    static unsigned next;
    char *buffer = buffers[next++ % 4];
    buffer[0] = '\0';
    return buffer;
}

static void append(char *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *line, const char *format, ...) {
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int wrote = vsnprintf(line + used, SERVICE_LINE - used, format, arguments);
    va_end(arguments);
    ck_assert_msg(wrote >= 0 && (size_t)wrote < SERVICE_LINE - used, "line too long");
}

/* --- reading ---------------------------------------------------------------------------------- */

static void set_text(char out[IPALLOC_SERVICE_TEXT], const char *text, size_t length) {
    ck_assert_uint_lt(length, IPALLOC_SERVICE_TEXT);
    memcpy(out, text, length);
    out[length] = '\0';
}

static size_t read_list(char list[][IPALLOC_SERVICE_TEXT], const char *value) {
    size_t count = 0;
    for (const char *at = value;;) {
        size_t length = strcspn(at, ",");
        ck_assert_uint_lt(count, IPALLOC_SERVICE_LIST_MAX);
        set_text(list[count++], at, length);
        if (at[length] == '\0')
            return count;
        at += length + 1;
    }
}

/* [name:]port[/protocol][>nodePort] */
static void read_port(const char *text, ipalloc_service_port *out) {
    *out = (ipalloc_service_port){.port = 0};
    const char *colon = strchr(text, ':'), *slash = strchr(text, '/'), *arrow = strchr(text, '>');
    const char *end = text + strlen(text);
    if (colon != NULL)
        set_text(out->name, text, (size_t)(colon - text));
    out->port = (int32_t)strtol(colon != NULL ? colon + 1 : text, NULL, 10);
    if (slash != NULL)
        set_text(out->protocol, slash + 1, (size_t)((arrow != NULL ? arrow : end) - (slash + 1)));
    if (arrow != NULL)
        out->node_port = (int32_t)strtol(arrow + 1, NULL, 10);
}

static void read_ports(const char *value, test_service *out) {
    char copy[SERVICE_LINE];
    snprintf(copy, sizeof copy, "%s", value);
    char *rest = NULL;
    for (char *one = strtok_r(copy, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest))
        read_port(one, &out->ports[out->service.port_count++]);
}

static void set_class(test_service *out, const char *value, size_t length) {
    set_text(out->class, value, length);
    out->service.load_balancer_class = out->class;
}

static void read_word(const char *key, const char *value, test_service *out) {
    ipalloc_service *s = &out->service;
    size_t length = strlen(value);
    if (strcmp(key, "type") == 0)
        set_text(s->type, value, length);
    else if (strcmp(key, "ip") == 0)
        set_text(s->cluster_ip, value, length);
    else if (strcmp(key, "ips") == 0)
        s->cluster_ip_count = read_list(s->cluster_ips, value);
    else if (strcmp(key, "families") == 0)
        s->ip_family_count = read_list(s->ip_families, value);
    else if (strcmp(key, "policy") == 0)
        set_text(s->ip_family_policy, value, length);
    else if (strcmp(key, "ports") == 0)
        read_ports(value, out);
    else if (strcmp(key, "etp") == 0)
        set_text(s->external_traffic_policy, value, length);
    else if (strcmp(key, "hc") == 0)
        s->health_check_node_port = (int32_t)strtol(value, NULL, 10);
    else if (strcmp(key, "lb") == 0)
        set_text(s->load_balancer_ip, value, length);
    else if (strcmp(key, "selector") == 0)
        s->has_selector = strcmp(value, "no") != 0;
    else if (strcmp(key, "external") == 0)
        s->has_external_ips = strcmp(value, "no") != 0;
    else if (strcmp(key, "class") == 0)
        set_class(out, value, length);
    else if (strcmp(key, "alloc") == 0) {
        s->allocate_load_balancer_node_ports_given = true;
        s->allocate_load_balancer_node_ports = strcmp(value, "no") != 0;
    } else if (strcmp(key, "ingress") == 0)
        s->ingress_ip_count = 0; /* written only: what the hook fills in */
    else
        ck_abort_msg("unknown word %s=%s", key, value);
}

void service_read(const char *line, const char *name, test_service *out) {
    *out = (test_service){.service = {.size = sizeof out->service, .name = name}};
    out->service.has_selector = true;
    out->service.ports = out->ports;
    char copy[SERVICE_LINE];
    snprintf(copy, sizeof copy, "%s", line);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        ck_assert_msg(equals != NULL, "word without '=': %s", word);
        *equals = '\0';
        read_word(word, equals + 1, out);
    }
}

void service_copy(test_service *to, const test_service *from) {
    if (to != from)
        *to = *from;
    to->service.ports = to->ports;
    if (to->service.load_balancer_class != NULL)
        to->service.load_balancer_class = to->class;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void append_text(char *line, const char *key, const char *value) {
    if (value[0] != '\0')
        append(line, "%s%s=%s", line[0] != '\0' ? " " : "", key, value);
}

static void append_list(char *line, const char *key, const char (*list)[IPALLOC_SERVICE_TEXT],
                        size_t count) {
    if (count > 0)
        append(line, " %s=", key);
    for (size_t i = 0; i < count; i++)
        append(line, "%s%s", i > 0 ? "," : "", list[i]);
}

static void append_ports(char *line, const ipalloc_service *s) {
    for (size_t i = 0; i < s->port_count; i++) {
        const ipalloc_service_port *port = &s->ports[i];
        append(line, "%s%s%s%d/%s", i == 0 ? " ports=" : ",", port->name,
               port->name[0] != '\0' ? ":" : "", (int)port->port, port->protocol);
        if (port->node_port != 0)
            append(line, ">%d", (int)port->node_port);
    }
}

const char *service_write(const test_service *t) {
    const ipalloc_service *s = &t->service;
    char *line = line_buffer();
    append_text(line, "type", s->type);
    append_text(line, "ip", s->cluster_ip);
    append_list(line, "ips", s->cluster_ips, s->cluster_ip_count);
    append_list(line, "families", s->ip_families, s->ip_family_count);
    append_text(line, "policy", s->ip_family_policy);
    append_ports(line, s);
    append_text(line, "etp", s->external_traffic_policy);
    if (s->health_check_node_port != 0)
        append(line, " hc=%d", (int)s->health_check_node_port);
    if (s->allocate_load_balancer_node_ports_given)
        append(line, " alloc=%s", s->allocate_load_balancer_node_ports ? "yes" : "no");
    append_text(line, "lb", s->load_balancer_ip);
    append_text(line, "class", s->load_balancer_class != NULL ? s->load_balancer_class : "");
    if (s->has_external_ips)
        append(line, " external=yes");
    if (!s->has_selector)
        append(line, " selector=no");
    append_list(line, "ingress", s->ingress_ips, s->ingress_ip_count);
    return line;
}

/* --- a cluster -------------------------------------------------------------------------------- */

static ipalloc_pool *define(cluster *c, const char *name, const char *range, uint32_t strategy) {
    if (range == NULL)
        return NULL;
    ipalloc_cidr read = cidr(range);
    ipalloc_pool_definition definition = {
        .size = sizeof definition,
        .kind = read.base.family,
        .ranges = &read,
        .range_count = 1,
        .strategy = strategy,
        .static_band_size = IPALLOC_NO_STATIC_BAND,
        .use_all_addresses = strncmp(name, "load", 4) == 0,
    };
    ipalloc_pool *pool;
    ck_assert_status_error(ipalloc_pool_define(c->registry, name, &definition, &pool, &c->error),
                           IPALLOC_OK, &c->error);
    return pool;
}

static ipalloc_pool *define_ports(cluster *c, const cluster_shape *shape, uint32_t strategy) {
    ipalloc_pool_definition definition = {
        .size = sizeof definition,
        .kind = IPALLOC_POOL_PORT,
        .port_first = shape->port_first != 0 ? shape->port_first : 30000,
        .port_last = shape->port_last != 0 ? shape->port_last : 32767,
        .strategy = strategy,
        .static_band_size = IPALLOC_NO_STATIC_BAND,
    };
    ipalloc_pool *pool;
    ck_assert_status_error(
        ipalloc_pool_define(c->registry, "node-ports", &definition, &pool, &c->error), IPALLOC_OK,
        &c->error);
    return pool;
}

void cluster_open(cluster *c, const cluster_shape *shape) {
    *c = (cluster){.pools = {.size = sizeof c->pools}};
    uint32_t strategy = shape->strategy != 0 ? shape->strategy : IPALLOC_STRATEGY_LOWEST;
    ck_assert_status_error(ipalloc_store_open("memory:", NULL, &c->store, &c->error), IPALLOC_OK,
                           &c->error);
    ck_assert_status_error(ipalloc_registry_open(c->store, NULL, &c->registry, &c->error),
                           IPALLOC_OK, &c->error);
    c->pools.cluster_ips[0] = define(c, "services-1", shape->cluster_ips[0], strategy);
    c->pools.cluster_ips[1] = define(c, "services-2", shape->cluster_ips[1], strategy);
    c->pools.load_balancer[0] = define(c, "load-balancers-v4", shape->load_balancer[0], strategy);
    c->pools.load_balancer[1] = define(c, "load-balancers-v6", shape->load_balancer[1], strategy);
    c->pools.node_ports = define_ports(c, shape, strategy);
}

void cluster_close(cluster *c) {
    ck_assert_status_error(ipalloc_registry_validate(c->registry, &c->error), IPALLOC_OK,
                           &c->error);
    ipalloc_registry_close(c->registry);
    ipalloc_store_close(c->store);
}

static const char *owner_of(const char *name) {
    static char owner[IPALLOC_OWNER_MAX + 1];
    snprintf(owner, sizeof owner, "Service/default/%s/uid", name);
    return owner;
}

ipalloc_txn *cluster_begin(cluster *c, const char *name, bool dry_run) {
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = owner_of(name), .dry_run = dry_run};
    ipalloc_txn *txn;
    ck_assert_status_error(ipalloc_begin(c->registry, &options, &txn, &c->error), IPALLOC_OK,
                           &c->error);
    c->problems = (ipalloc_service_problems){.size = sizeof c->problems};
    c->error = (ipalloc_error){.status = 0};
    return txn;
}

static int finish(cluster *c, ipalloc_txn *txn, int status) {
    if (status == IPALLOC_OK)
        ck_assert_status_error(ipalloc_txn_commit(txn, NULL, &c->error), IPALLOC_OK, &c->error);
    else
        ipalloc_txn_abort(txn);
    return status;
}

int cluster_create_service(cluster *c, const char *name, test_service *s) {
    ipalloc_txn *txn = cluster_begin(c, name, false);
    s->service.name = name;
    return finish(c, txn,
                  ipalloc_service_create(txn, &c->pools, &s->service, &c->problems, &c->error));
}

int cluster_update_service(cluster *c, const char *name, const test_service *old, test_service *s) {
    ipalloc_txn *txn = cluster_begin(c, name, false);
    s->service.name = name;
    return finish(c, txn,
                  ipalloc_service_update(txn, &c->pools, &old->service, &s->service, &c->problems,
                                         &c->error));
}

int cluster_create(cluster *c, const char *name, const char *line, test_service *out) {
    test_service s;
    service_read(line, name, &s);
    int status = cluster_create_service(c, name, &s);
    if (out != NULL)
        service_copy(out, &s);
    return status;
}

int cluster_update(cluster *c, const char *name, const test_service *old, const char *line,
                   test_service *out) {
    test_service s;
    service_read(line, name, &s);
    int status = cluster_update_service(c, name, old, &s);
    if (out != NULL)
        service_copy(out, &s);
    return status;
}

int cluster_delete(cluster *c, const char *name) {
    ipalloc_txn *txn = cluster_begin(c, name, false);
    return finish(c, txn, ipalloc_service_delete(txn, &c->error));
}

/* --- looking ---------------------------------------------------------------------------------- */

const char *problems_text(const cluster *c) {
    char *line = line_buffer();
    for (size_t i = 0; i < c->problems.count; i++) {
        const ipalloc_service_problem *one = &c->problems.items[i];
        append(line, "%s%s %s%s%s", i > 0 ? " | " : "", one->reason, one->field,
               one->field[0] != '\0' ? ": " : "", one->message);
    }
    return line;
}

typedef struct held {
    char text[IPALLOC_ADDR_TEXT];
} held;

typedef struct held_set {
    size_t count;
    held items[IPALLOC_SERVICE_PORTS_MAX + 8];
} held_set;

static void add_held(held_set *set, const char *text) {
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i].text, text) == 0)
            return;
    ck_assert_uint_lt(set->count, sizeof set->items / sizeof *set->items);
    snprintf(set->items[set->count++].text, sizeof set->items[0].text, "%s", text);
}

static void add_held_port(held_set *set, int port) {
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    if (port != 0)
        add_held(set, text);
}

static int by_text(const void *a, const void *b) {
    return strcmp(((const held *)a)->text, ((const held *)b)->text);
}

static const char *write_set(held_set *set) {
    char *line = line_buffer();
    qsort(set->items, set->count, sizeof set->items[0], by_text);
    for (size_t i = 0; i < set->count; i++)
        append(line, "%s%s", i > 0 ? " " : "", set->items[i].text);
    return line;
}

static int add_lease(void *context, const ipalloc_lease *lease) {
    held_set *set = context;
    if (lease->port != 0)
        add_held_port(set, lease->port);
    else
        add_held(set, addr_text(&lease->address));
    ck_assert_uint_gt(lease->slot_count, 0);
    for (size_t i = 0; i < lease->slot_count; i++)
        ck_assert_msg(strstr(lease->slots[i], "moving") == NULL, "slot %s is left over",
                      lease->slots[i]);
    return IPALLOC_OK;
}

const char *cluster_holdings(cluster *c, const char *name) {
    static held_set set;
    set.count = 0;
    int status = ipalloc_owner_leases(c->registry, owner_of(name), add_lease, &set, &c->error);
    ck_assert_status_error(status, IPALLOC_OK, &c->error);
    return write_set(&set);
}

static bool type_is(const ipalloc_service *s, const char *type) {
    return strcmp(s->type, type) == 0;
}

const char *service_shows(const test_service *t) {
    static held_set set;
    set.count = 0;
    if (t == NULL)
        return write_set(&set);
    const ipalloc_service *s = &t->service;
    for (size_t i = 0; i < s->cluster_ip_count; i++)
        if (strcmp(s->cluster_ips[i], "None") != 0)
            add_held(&set, s->cluster_ips[i]);
    if (type_is(s, "NodePort") || type_is(s, "LoadBalancer"))
        for (size_t i = 0; i < s->port_count; i++)
            add_held_port(&set, s->ports[i].node_port);
    add_held_port(&set, s->health_check_node_port);
    for (size_t i = 0; i < s->ingress_ip_count; i++)
        add_held(&set, s->ingress_ips[i]);
    return write_set(&set);
}

void ck_assert_holds_what_it_shows(cluster *c, const char *name, const test_service *s) {
    const char *holds = cluster_holdings(c, name), *shows = service_shows(s);
    ck_assert_msg(strcmp(holds, shows) == 0, "%s holds [%s] but shows [%s]", name, holds, shows);
}

void ck_assert_becomes(const cluster_shape *shape, const char *line, const char *update,
                       const char *expected) {
    cluster c;
    cluster_open(&c, shape);
    test_service s;
    ck_assert_status_error(cluster_create(&c, "x", line, &s), IPALLOC_OK, &c.error);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    if (update != NULL) {
        ck_assert_status_error(cluster_update(&c, "x", &s, update, &s), IPALLOC_OK, &c.error);
        ck_assert_holds_what_it_shows(&c, "x", &s);
    }
    ck_assert_msg(strcmp(service_write(&s), expected) == 0, "%s%s%s\n got      %s\n expected %s",
                  line, update != NULL ? " -> " : "", update != NULL ? update : "",
                  service_write(&s), expected);
    ck_assert_uint_eq(c.problems.count, 0);
    ck_assert_status_error(cluster_delete(&c, "x"), IPALLOC_OK, &c.error);
    ck_assert_holds_what_it_shows(&c, "x", NULL);
    cluster_close(&c);
}

void ck_assert_refused(const cluster_shape *shape, const char *line, const char *update,
                       const char *problems) {
    cluster c;
    cluster_open(&c, shape);
    test_service old = {.ports = {{.port = 0}}};
    if (update != NULL)
        ck_assert_status_error(cluster_create(&c, "x", line, &old), IPALLOC_OK, &c.error);
    const char *used = cluster_used(&c), *holds = cluster_holdings(&c, "x");
    int status = update != NULL ? cluster_update(&c, "x", &old, update, NULL)
                                : cluster_create(&c, "x", line, NULL);
    ck_assert_msg(strcmp(problems_text(&c), problems) == 0, "%s%s%s\n got      %s\n expected %s",
                  line, update != NULL ? " -> " : "", update != NULL ? update : "",
                  problems_text(&c), problems);
    ck_assert_int_ne(status, IPALLOC_OK);
    ck_assert_str_eq(cluster_used(&c), used);
    ck_assert_str_eq(cluster_holdings(&c, "x"), holds);
    cluster_close(&c);
}

static void append_used(char *line, const char *what, ipalloc_pool *pool) {
    ipalloc_pool_stats stats = {.size = sizeof stats};
    if (pool == NULL)
        return;
    ck_assert_status(ipalloc_pool_get_stats(pool, &stats, NULL), IPALLOC_OK);
    append(line, "%s%s=%llu", line[0] != '\0' ? " " : "", what,
           (unsigned long long)stats.total.used.low);
}

const char *cluster_used(cluster *c) {
    char *line = line_buffer();
    append_used(line, "ip", c->pools.cluster_ips[0]);
    append_used(line, "ip2", c->pools.cluster_ips[1]);
    append_used(line, "ports", c->pools.node_ports);
    append_used(line, "lb4", c->pools.load_balancer[0]);
    append_used(line, "lb6", c->pools.load_balancer[1]);
    return line;
}
