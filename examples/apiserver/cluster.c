/*
 * cluster.c: what a Kubernetes control plane has before the first client comes; see cluster.h.
 *
 * Pools: services-v4, services-v6, node-ports, and those of load balancers (balancers.c).
 */
#include "cluster.h"

#include "balancers.h"
#include "json.h"
#include "namespaces.h"
#include "object_store.h"
#include "service_cidrs.h"
#include "watch.h"

#include <stdio.h>
#include <string.h>

#define PORT_POOL           "node-ports"
#define DEFINE_ATTEMPTS_MAX 10

static const char *cluster_pool_name(int family) {
    return family == 4 ? "services-v4" : "services-v6";
}

ipalloc_pool *cluster_pool(struct server *server, int family) {
    ipalloc_pool *pool = NULL;
    ipalloc_pool_open(server->registry, cluster_pool_name(family), &pool, NULL);
    return pool;
}

bool cluster_is_cluster_pool(const char *name) {
    return strcmp(name, cluster_pool_name(4)) == 0 || strcmp(name, cluster_pool_name(6)) == 0;
}

/* Others may start at the same moment, and make the same pools. */
int cluster_define_patiently(struct server *server, const char *name,
                             const ipalloc_pool_definition *definition, ipalloc_pool **out,
                             ipalloc_error *error) {
    const struct timespec pause = {.tv_nsec = 20 * 1000000};
    int status = IPALLOC_E_CONFLICT;
    for (int i = 0; i < DEFINE_ATTEMPTS_MAX; i++) {
        status = ipalloc_pool_define(server->registry, name, definition, out, error);
        if (status != IPALLOC_E_CONFLICT && status != IPALLOC_E_UNKNOWN_OUTCOME) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    return status;
}

static bool define(struct server *server, const char *flag, const char *name,
                   const ipalloc_pool_definition *definition, ipalloc_pool **out,
                   struct text *problem) {
    ipalloc_error error = {0};
    int status = cluster_define_patiently(server, name, definition, out, &error);
    if (status != IPALLOC_OK) {
        text_format(problem, "--%s: %s: %s", flag, ipalloc_strerror(status), error.message);
    }
    return status == IPALLOC_OK;
}

int cluster_define_pool(struct server *server, int family, const ipalloc_cidr *ranges, size_t count,
                        ipalloc_error *error) {
    ipalloc_pool *pool;
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = family, .ranges = ranges, .range_count = count};
    return cluster_define_patiently(server, cluster_pool_name(family), &definition, &pool, error);
}

ipalloc_service_pools cluster_service_pools(struct server *server) {
    pthread_mutex_lock(&server->pools_lock);
    ipalloc_service_pools pools = server->pools;
    pthread_mutex_unlock(&server->pools_lock);
    return pools;
}

void cluster_publish_pools(struct server *server, ipalloc_pool *first, ipalloc_pool *second) {
    pthread_mutex_lock(&server->pools_lock);
    server->pools.cluster_ips[0] = first;
    server->pools.cluster_ips[1] = second;
    pthread_mutex_unlock(&server->pools_lock);
}

static int see_any(void *context, const ipalloc_entry *entry) {
    (void)entry;
    *(bool *)context = true;
    return IPALLOC_OK;
}

static bool has_service_cidrs(struct server *server) {
    bool any = false;
    ipalloc_record_scan(server->registry, resource_service_cidrs.record_prefix, NULL, 1, see_any,
                        &any, NULL, NULL);
    return any;
}

/* A store without ServiceCIDRs is new, or from before there were any: then its pools must be those
 * of the flags. Else the ServiceCIDRs say what the pools are, and one of them what the flags are.
 */
static bool define_cluster_pools(struct server *server, struct text *problem) {
    const struct options *options = server->options;
    bool fine = service_cidrs_check_flags(server, problem);
    bool compare = fine && !has_service_cidrs(server);
    for (size_t i = 0; fine && compare && i < options->cluster_range_count; i++) {
        const ipalloc_cidr *range = &options->cluster_ranges[i];
        ipalloc_error error = {0};
        int status = cluster_define_pool(server, range->base.family, range, 1, &error);
        fine = status == IPALLOC_OK;
        if (!fine) {
            text_format(problem, "--service-cluster-ip-range: %s: %s", ipalloc_strerror(status),
                        error.message);
        }
    }
    if (fine) {
        service_cidrs_settle(server);
        fine = server->pools.cluster_ips[0] != NULL;
        text_add(problem, fine ? "" : "--service-cluster-ip-range: the pool cannot be made");
    }
    /* Another server may have started at the same moment, and have been the first. */
    return fine && (!server->shared || service_cidrs_check_flags(server, problem));
}

static bool define_port_pool(struct server *server, struct text *problem) {
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_PORT,
                                          .port_first = server->options->node_port_first,
                                          .port_last = server->options->node_port_last};
    return define(server, "service-node-port-range", PORT_POOL, &definition,
                  &server->pools.node_ports, problem);
}

/* A pool of nobody's: another version's, or another program's. */
static bool check_leftovers(struct server *server, struct text *problem) {
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        const char *name = ipalloc_pool_name(pool);
        if (!cluster_is_cluster_pool(name) && pool != server->pools.node_ports &&
            !balancers_is_pool(pool)) {
            text_format(problem,
                        "%s: the store has pool %s, which is none of an API server's; start with "
                        "another store, or another prefix in it",
                        ipalloc_strerror(IPALLOC_E_MISMATCH), name);
            return false;
        }
    }
    return true;
}

static bool define_pools(struct server *server, struct text *problem) {
    server->pools = (ipalloc_service_pools){.size = sizeof server->pools};
    return define_cluster_pools(server, problem) && define_port_pool(server, problem) &&
           balancers_define(server, problem) && check_leftovers(server, problem);
}

/* --- default/kubernetes ----------------------------------------------------------------------- */

static struct json_object *kubernetes_service(const ipalloc_cidr *range) {
    ipalloc_addr first = range->base;
    char address[IPALLOC_ADDR_TEXT];
    first.bytes[first.family == 4 ? 3 : 15] |= 1; /* the prefix leaves at least three bits */
    ipalloc_addr_format(&first, address);
    struct text text = {0};
    struct text problem = {0};
    text_format(&text,
                "{\"metadata\":{\"labels\":{\"component\":\"apiserver\",\"provider\":"
                "\"kubernetes\"},\"name\":\"kubernetes\"},\"spec\":{\"clusterIP\":\"%s\","
                "\"clusterIPs\":[\"%s\"],\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{\"name\":"
                "\"https\",\"port\":443,\"protocol\":\"TCP\",\"targetPort\":6443}]}}",
                address, address);
    struct json_object *object = json_parse(text.data, text.size, &problem);
    text_clear(&text);
    text_clear(&problem);
    return object;
}

/* Anything else in its way is said and lived with, as kube-apiserver does. */
void cluster_ensure_kubernetes_service(struct server *server) {
    struct object_place place = {.server = server,
                                 .resource = &resource_services,
                                 .namespace = "default",
                                 .name = "kubernetes"};
    struct outcome outcome = {0};
    object_get(&place, &outcome);
    if (outcome.code == 404) {
        struct json_object *object = kubernetes_service(&server->options->cluster_ranges[0]);
        object_create(&place, object, &outcome);
        json_object_put(object);
    }
    if (outcome.code != 200 && outcome.code != 201 && server->shared) {
        object_get(&place, &outcome); /* another server may have been faster */
    }
    if (outcome.code != 200 && outcome.code != 201) {
        fprintf(stderr, "ipalloc-apiserver: default/kubernetes could not be made: %s\n",
                json_member_text(outcome.value, "message"));
    }
    outcome_clear(&outcome);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool open_registry(struct server *server, struct text *problem) {
    ipalloc_error error = {0};
    ipalloc_store_info info = {.size = sizeof info};
    const char *url = server->options->store.url;
    int status = store_flags_open(&server->options->store, NULL, &server->store, &error);
    if (status == IPALLOC_OK) {
        status = ipalloc_store_get_info(server->store, &info, &error);
    }
    if (status == IPALLOC_OK && info.restored) {
        text_format(problem,
                    "--store=%s: this is a copy or a restored store; accept it first, when the "
                    "original no longer runs",
                    url);
        return false;
    }
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_open(server->store, NULL, &server->registry, &error);
    }
    if (status != IPALLOC_OK) {
        text_format(problem, "--store=%s: %s: %s", url, ipalloc_strerror(status), error.message);
        return false;
    }
    server->epoch = info.epoch;
    server->shared = ipalloc_store_poll_fd(server->store) >= 0;
    server->patience_ms = store_flags_timeout_ms(&server->options->store);
    return true;
}

bool cluster_open(struct server *server, const struct options *options, struct text *problem) {
    *server = (struct server){.options = options, .started = time(NULL)};
    pthread_mutex_init(&server->counters.lock, NULL);
    pthread_mutex_init(&server->pools_lock, NULL);
    pthread_mutex_init(&server->cidrs.settling, NULL);
    pthread_mutex_init(&server->cidrs.lock, NULL);
    store_gate_init(&server->gate);
    ipalloc_error error = {0};
    bool opened = open_registry(server, problem) && define_pools(server, problem);
    if (opened) {
        namespaces_ensure(server);
        cluster_ensure_kubernetes_service(server);
        opened = hub_start(server, &error) == IPALLOC_OK;
        if (!opened) {
            text_format(problem, "--store=%s: %s", options->store.url, error.message);
        } else if (!service_cidrs_keeper_start(server)) {
            hub_stop(server->hub);
            text_add(problem, "cannot start a thread");
            opened = false;
        } else {
            hub_catch_up(server->hub, &error); /* what others made while this one started */
        }
    }
    if (!opened) {
        cluster_close(server);
    }
    return opened;
}

void cluster_close(struct server *server) {
    service_cidrs_keeper_stop(server);
    if (server->hub != NULL) {
        hub_free(server->hub);
    }
    ipalloc_registry_close(server->registry);
    ipalloc_store_close(server->store);
    pthread_mutex_destroy(&server->counters.lock);
    pthread_mutex_destroy(&server->pools_lock);
    pthread_mutex_destroy(&server->cidrs.settling);
    pthread_mutex_destroy(&server->cidrs.lock);
    store_gate_destroy(&server->gate);
}

uint64_t cluster_leases(struct server *server) {
    uint64_t total = 0;
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        ipalloc_pool_stats stats = {.size = sizeof stats};
        if (ipalloc_pool_get_stats(pool, &stats, NULL) == IPALLOC_OK) {
            total += stats.total.used.low;
        }
    }
    return total;
}
