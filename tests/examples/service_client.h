/*
 * service_client.h: Services of the default namespace over HTTP, for tests with many of them.
 *
 * A spec is JSON with single quotes instead of double ones and without the outer braces:
 * "'clusterIP':'10.96.0.9','ports':[{'port':80}]". Parameters are a query, "?dryRun=All", or "".
 */
#ifndef SERVICE_CLIENT_H
#define SERVICE_CLIENT_H

#include "server_process.h"

#define SERVICES "/api/v1/namespaces/default/services"

/* POST; a merge patch; DELETE. The answer is the caller's to free. */
struct answer service_create(const struct server_process *server, const char *name,
                             const char *spec, const char *parameters);
struct answer service_change(const struct server_process *server, const char *name,
                             const char *spec, const char *parameters);
struct answer service_delete(const struct server_process *server, const char *name,
                             const char *parameters);
struct answer service_get(const struct server_process *server, const char *name);

/* The same, failing the test unless it succeeds. */
void must_create(const struct server_process *server, const char *name, const char *spec);
void must_change(const struct server_process *server, const char *name, const char *spec);
void must_delete(const struct server_process *server, const char *name);

/* Any merge patch, written with single quotes. */
struct answer service_patch(const struct server_process *server, const char *name,
                            const char *patch, const char *parameters);

/* Every lease with its holder and generation, as the server lists them; the caller frees it. */
char *leases_now(const struct server_process *server);

/* A repair report finds nothing, and as many leases as Services name addresses and ports. */
void expect_nothing_to_repair(const struct server_process *server);

#endif
