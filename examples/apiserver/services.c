/*
 * services.c: the kind Service: its descriptor, and the library's rules inside its transactions.
 *
 * The owner of a Service's addresses is Service/NAMESPACE/NAME/UID.
 */
#include "services.h"

#include "balancers.h"
#include "cluster.h"
#include "object_store.h"
#include "service_cidrs.h"
#include "service_fields.h"
#include "service_rules.h"

#include <ipalloc/service.h>
#include <stdlib.h>
#include <string.h>

/* --- which pools of load-balancer addresses ----------------------------------------------------
 */

/* The name of the pool that a Service asks for; "" : the default. */
static const char *pool_asked_for(struct json_object *object) {
    return json_member_text(json_at(object, "metadata", "annotations", NULL),
                            SERVICE_POOL_ANNOTATION);
}

bool service_has_ingress(struct json_object *object, int family) {
    struct json_object *points = json_at(object, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(points); i++) {
        const char *ip = json_member_text(json_object_array_get_idx(points, i), "ip");
        if ((strchr(ip, ':') != NULL ? 6 : 4) == family && ip[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* Where it drew from. */
static ipalloc_pool *pool_before(const struct server *server, struct json_object *old, int family) {
    const char *name = pool_asked_for(old);
    return service_has_ingress(old, family) ? balancers_find_any(server, name, family)
                                            : balancers_find(server, name, family);
}

/* Where it is to draw from: what it has it keeps, also from a pool that gives nothing new. */
static ipalloc_pool *pool_now(const struct server *server, struct json_object *old,
                              struct json_object *object, int family) {
    const char *name = pool_asked_for(object);
    bool stays = old != NULL && strcmp(pool_asked_for(old), name) == 0;
    return stays ? pool_before(server, old, family) : balancers_find(server, name, family);
}

static ipalloc_service_pools pools_for(struct server *server, struct json_object *old,
                                       struct json_object *object) {
    ipalloc_service_pools pools = cluster_service_pools(server);
    pools.load_balancer_may_wait = true; /* endpoint_balancer.c tries again */
    for (int i = 0; i < 2; i++) {
        int family = i == 0 ? 4 : 6;
        pools.load_balancer[i] = pool_now(server, old, object, family);
        if (old != NULL) {
            pools.load_balancer_before[i] = pool_before(server, old, family);
        }
    }
    return pools;
}

/* One that it has may have lost its flag since. */
static bool may_ask_for(const struct server *server, struct json_object *old, const char *name) {
    return balancers_has(server, name) ||
           (old != NULL && service_has_type(json_member(old, "spec"), "LoadBalancer") &&
            strcmp(pool_asked_for(old), name) == 0);
}

static void judge_pool(struct server *server, struct json_object *old, struct json_object *object,
                       ipalloc_service_problems *problems) {
    const char *name = pool_asked_for(object);
    struct text known = {0};
    struct json_object *shown;
    if (may_ask_for(server, old, name) ||
        json_at(object, "spec", "loadBalancerClass", NULL) != NULL || /* another controller's */
        !service_has_type(json_member(object, "spec"), "LoadBalancer")) {
        return;
    }
    shown = json_object_new_string(name); /* with its quotes escaped */
    for (size_t i = 1; i < server->options->balancer_count; i++) {
        text_format(&known, "%s\"%s\"", i > 1 ? ", " : "", server->options->balancers[i].name);
    }
    problem_add(problems, "FieldValueNotSupported",
                "metadata.annotations[" SERVICE_POOL_ANNOTATION "]",
                "Unsupported value: %.100s: supported values: %s", json_line(shown, NULL),
                known.size > 0 ? known.data : "none, as no pool has a name");
    json_object_put(shown);
    text_clear(&known);
}

/* Are its load-balancer addresses of this server's pools? A class is another controller's. */
static bool owns_ingress(const struct server *server, struct json_object *object) {
    struct json_object *spec = json_member(object, "spec");
    return balancers_any(server) && service_has_type(spec, "LoadBalancer") &&
           json_member(spec, "loadBalancerClass") == NULL;
}

/* --- the rest ----------------------------------------------------------------------------------
 */

/* Who writes the status chooses no pool: a stored annotation tells which pool the addresses are of,
 * and an update that did not find them there would leave them held. */
static void keep_pool(struct json_object *old, struct json_object *object) {
    struct json_object *before = json_at(old, "metadata", "annotations", NULL);
    struct json_object *metadata = json_member(object, "metadata");
    if (json_member(before, SERVICE_POOL_ANNOTATION) != NULL) {
        json_carry(before, json_ensure(metadata, "annotations"), SERVICE_POOL_ANNOTATION);
    } else if (json_member(metadata, "annotations") != NULL) {
        json_remove(json_member(metadata, "annotations"), SERVICE_POOL_ANNOTATION);
    }
}

static void prepare_update(struct server *server, struct json_object *old,
                           struct json_object *object, bool status_only) {
    if (!status_only) {
        service_drop_unneeded(old, object);
        return;
    }
    keep_pool(old, object);
    if (owns_ingress(server, object)) {
        json_carry(json_member(old, "status"), json_ensure(object, "status"), "loadBalancer");
    }
}

static void add_all(ipalloc_service_problems *to, const ipalloc_service_problems *from) {
    for (size_t i = 0; i < from->count && to->count < IPALLOC_SERVICE_PROBLEMS_MAX; i++) {
        to->items[to->count++] = from->items[i];
    }
}

/* What the library would refuse for the fields alone. */
static void check_fields(struct server *server, struct json_object *old, struct json_object *object,
                         ipalloc_service_problems *problems) {
    ipalloc_service_pools pools = pools_for(server, old, object);
    struct service_fields *fields = memory_allocate(2 * sizeof *fields);
    service_fields_read(object, &fields[0]);
    if (old != NULL) {
        service_fields_read(old, &fields[1]);
    }
    ipalloc_service_check(&pools, old != NULL ? &fields[1].service : NULL, &fields[0].service,
                          problems, NULL);
    free(fields);
}

/* All that is wrong with the object, the library's rules and the server's in Kubernetes' order,
 * before anything is claimed for it. */
static void judge_service(struct server *server, struct json_object *old,
                          struct json_object *object, ipalloc_service_problems *problems) {
    ipalloc_service_problems found = {.size = sizeof found};
    check_fields(server, old, object, &found);
    if (found.alone) {
        *problems = found;
        return;
    }
    service_validate(old, object, problems);
    judge_pool(server, old, object, problems);
    add_all(problems, &found);
    problems_sort(problems);
}

static int create_service(ipalloc_txn *txn, const struct object_change *change,
                          ipalloc_error *error) {
    struct server *server = change->server;
    ipalloc_service_pools pools = pools_for(server, NULL, change->object);
    struct service_fields *fields = memory_allocate(sizeof *fields);
    service_fields_read(change->object, fields);
    int status = ipalloc_service_create(txn, &pools, &fields->service, change->problems, error);
    if (status == IPALLOC_OK) {
        service_fields_write(change->object, fields, owns_ingress(server, change->object));
    }
    free(fields);
    return status;
}

static int update_service(ipalloc_txn *txn, const struct object_change *change,
                          ipalloc_error *error) {
    struct server *server = change->server;
    ipalloc_service_pools pools = pools_for(server, change->old, change->object);
    struct service_fields *old = memory_allocate(2 * sizeof *old);
    struct service_fields *new = &old[1];
    service_fields_read(change->old, old);
    service_fields_read(change->object, new);
    int status =
        ipalloc_service_update(txn, &pools, &old->service, &new->service, change->problems, error);
    if (status == IPALLOC_OK) {
        service_fields_write(change->object, new, owns_ingress(server, change->object));
    }
    free(old);
    return status;
}

static int delete_service(ipalloc_txn *txn, const struct object_change *change,
                          ipalloc_error *error) {
    (void)change;
    return ipalloc_service_delete(txn, error);
}

/* Without default/kubernetes nothing in the cluster finds its API server. */
static void committed(const struct object_place *place, bool deletes, struct outcome *outcome) {
    (void)outcome;
    service_cidrs_note_release(place->server); /* a deletion, or an update of another type */
    if (deletes && strcmp(place->namespace, "default") == 0 &&
        strcmp(place->name, "kubernetes") == 0) {
        cluster_ensure_kubernetes_service(place->server);
    }
}

static const char *const short_names[] = {"svc", NULL};
static const char *const categories[] = {"all", NULL};
static const char *const selectable[] = {"spec.type", "spec.clusterIP", NULL};

const struct resource resource_services = {
    .group = "",
    .version = "v1",
    .kind = "Service",
    .plural = "services",
    .singular = "service",
    .short_names = short_names,
    .categories = categories,
    .namespaced = true,
    .has_status = true,
    .shows_deleted = true,
    .replace_creates = true,
    .verbs = VERB_ALL,
    .record_prefix = "services/",
    .schema = &schema_service,
    .columns = service_columns,
    .column_count = SERVICE_COLUMNS,
    .selectable = selectable,
    .fill_defaults = service_default,
    .prepare_update = prepare_update,
    .validate = service_validate_metadata,
    .validate_update = service_validate_status,
    .judge = judge_service,
    .warn = service_warn,
    .owner_kind = "Service",
    .create = create_service,
    .update = update_service,
    .delete = delete_service,
    .committed = committed,
};
