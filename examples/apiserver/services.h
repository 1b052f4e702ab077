/* services.h: the parts of the descriptor of services.c that have a file of their own. */
#ifndef APISERVER_SERVICES_H
#define APISERVER_SERVICES_H

#include "resource.h"

/* Which pool of load-balancer addresses a Service draws from. */
#define SERVICE_POOL_ANNOTATION "ipalloc/load-balancer-pool"

/* Has it an address of that family (4, 6) from a load balancer? */
bool service_has_ingress(struct json_object *service, int family);

extern const struct schema schema_service; /* service_schema.c */

#define SERVICE_COLUMNS 7
extern const struct column service_columns[SERVICE_COLUMNS]; /* service_columns.c */

#endif
