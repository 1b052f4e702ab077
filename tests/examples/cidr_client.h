/* cidr_client.h: what tests of ServiceCIDRs ask the real server. Failures fail the test. */
#ifndef CIDR_CLIENT_H
#define CIDR_CLIENT_H

#include "server_process.h"

#define CIDRS    "/apis/networking.k8s.io/v1/servicecidrs"
#define SERVICES "/api/v1/namespaces/default/services"

/* Which server they speak to. */
extern struct server_process cidr_server;

/* POST one: `cidrs` is the inside of a JSON list. The answer is the caller's to free. */
struct answer cidr_post(const char *name, const char *cidrs);
void cidr_make(const char *name, const char *cidrs); /* 201 and Ready */
struct answer cidr_get(const char *name);
struct answer cidr_delete(const char *name);
struct answer cidr_patch(const char *name, const char *merge_patch);

/* The Ready condition: "True" or "False reason: message". */
const char *cidr_ready(const char *name);

/* Wait (ten seconds at most) until it is not there any more. */
void cidr_expect_gone(const char *name);

/* Make a Service whose spec has this beside a port; false with the code where that is refused. */
long service_try(const char *name, const char *spec);

/* Between two looks at what has yet to happen. */
void pause_shortly(void);
void service_make(const char *name, const char *spec);
void service_remove(const char *name);
void service_address(const char *name, unsigned index, char out[64]);

/* The ranges of a pool: "10.96.0.0/28 10.97.0.0/24!", where "!" drains. */
const char *pool_ranges(const char *pool);
/* The same, waited for. */
void pool_expect(const char *pool, const char *ranges);

#endif
