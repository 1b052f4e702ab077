/*
 * service_support.h: Services as one line of text, and a cluster in memory to try them on.
 *
 * A Service reads and writes as "key=value" words:
 *
 *     type=NodePort ip=10.96.0.9 ips=10.96.0.9,fd00::9 families=IPv4,IPv6 policy=PreferDualStack
 *     ports=web:80/TCP>30080,53/UDP etp=Local hc=30100 alloc=no lb=192.0.2.1 class=a/b
 *     external=yes selector=no
 *
 * and, written only, ingress=<addresses from the load-balancer pools>. Pools pick the lowest free
 * value and have no static band, so that every pick is known beforehand.
 */
#ifndef IPALLOC_TEST_SERVICE_SUPPORT_H
#define IPALLOC_TEST_SERVICE_SUPPORT_H

#include "support.h"

enum { SERVICE_LINE = 8192 };

typedef struct test_service {
    ipalloc_service service; /* service.ports is `ports`, load_balancer_class is `class` or NULL */
    char class[IPALLOC_SERVICE_TEXT];
    ipalloc_service_port ports[IPALLOC_SERVICE_PORTS_MAX + 1];
} test_service;

void service_read(const char *line, const char *name, test_service *out);
const char *service_write(const test_service *s); /* static buffers, four deep */
void service_copy(test_service *to, const test_service *from);

typedef struct cluster {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_service_pools pools;
    ipalloc_service_problems problems; /* of the last call */
    ipalloc_error error;
} cluster;

typedef struct cluster_shape {
    const char *cluster_ips[2];     /* CIDRs, the first is the default family; NULL: none */
    uint16_t port_first, port_last; /* 0, 0: 30000-32767 */
    const char *load_balancer[2];   /* IPv4, IPv6 */
    uint32_t strategy;              /* 0: lowest */
} cluster_shape;

#define IPV4_CIDR "10.96.0.0/24"
#define IPV6_CIDR "fd00:10:96::/112"

void cluster_open(cluster *c, const cluster_shape *shape);
void cluster_close(cluster *c);

ipalloc_txn *cluster_begin(cluster *c, const char *name, bool dry_run);

/* Each in a transaction of its own (owner "Service/default/<name>/uid"), committed if the call is
 * OK and aborted if not. `out` gets the Service after it; it may be `old`. */
int cluster_create(cluster *c, const char *name, const char *line, test_service *out);
int cluster_update(cluster *c, const char *name, const test_service *old, const char *line,
                   test_service *out);
int cluster_delete(cluster *c, const char *name);
/* The same with a Service that is at hand, in place. */
int cluster_create_service(cluster *c, const char *name, test_service *s);
int cluster_update_service(cluster *c, const char *name, const test_service *old, test_service *s);

/* The last call's refusals, "<reason> <field>: <message>", one after another with " | " between. */
const char *problems_text(const cluster *c);

/* What the Service's owner holds, in order: "10.96.0.1 30000 ...". Static buffers, four deep. */
const char *cluster_holdings(cluster *c, const char *name);
/* What the Service says that it has, in the same form; NULL: nothing. */
const char *service_shows(const test_service *s);
/* Both are the same. */
void ck_assert_holds_what_it_shows(cluster *c, const char *name, const test_service *s);

/* Create `line` (then update it to `update`, if given) in a cluster of that shape: all is OK, the
 * Service then reads `expected`, and it holds what it shows. */
void ck_assert_becomes(const cluster_shape *shape, const char *line, const char *update,
                       const char *expected);

/* Create `line`, or update the OK `line` to `update`: that is refused with these problems, and
 * nothing was taken or freed. */
void ck_assert_refused(const cluster_shape *shape, const char *line, const char *update,
                       const char *problems);

/* Used counts of all pools: "10.96... 2 fd00... 1 ports 3". Static buffers, four deep. */
const char *cluster_used(cluster *c);

#endif
