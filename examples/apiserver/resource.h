/*
 * resource.h: what kinds of objects there are. One descriptor a kind, in a file of its own
 * (services.c, namespaces.c); resource.c lists them. Everything else about objects (store, lists,
 * watches, tables, discovery, routes) is written once, over descriptors.
 *
 * To add a kind: a file with its schema, columns and rules, a `const struct resource` at its end,
 * and its name in the table of resource.c.
 */
#ifndef APISERVER_RESOURCE_H
#define APISERVER_RESOURCE_H

#include "schema.h"
#include "server.h"

struct object_place;
struct outcome;

enum verb {
    VERB_CREATE = 1,
    VERB_DELETE = 2,
    VERB_GET = 4,
    VERB_LIST = 8,
    VERB_PATCH = 16,
    VERB_UPDATE = 32,
    VERB_WATCH = 64,
    VERB_READ = VERB_GET | VERB_LIST | VERB_WATCH,
    VERB_ALL = 127,
};

/* A column of kubectl's tables. */
struct column {
    const char *name, *type, *format, *description;
    int priority; /* 1: -o wide only */
    void (*cell)(struct text *out, struct json_object *object);
};

/* One change as a hook sees it, inside the transaction that makes it. */
struct object_change {
    struct server *server;
    struct json_object *old;            /* NULL for a create */
    struct json_object *object;         /* as wanted, to be filled in; NULL for a delete */
    ipalloc_service_problems *problems; /* refusals go here */
};

/* OK, or what ends the transaction. May run again after a conflict, with fresh objects. */
typedef int (*change_hook)(ipalloc_txn *txn, const struct object_change *change,
                           ipalloc_error *error);

/* Sees an object of a view as text with its resourceVersion, or NULL where it is gone. */
typedef void (*view_visit)(void *context, const char *name, uint64_t revision,
                           const struct text *object);

/* A kind whose objects are no records of their own, but another sight of what the registry holds.
 * Cluster-wide; read only. Statuses are those of the registry's calls; get: NOT_FOUND. */
struct resource_view {
    int (*get)(struct server *server, const char *name, struct text *out, ipalloc_error *error);
    int (*list)(struct server *server, view_visit visit, void *context, uint64_t *revision,
                ipalloc_error *error);
    int (*changes)(struct server *server, uint64_t since, size_t limit, view_visit visit,
                   void *context, uint64_t *up_to, ipalloc_error *error);
};

struct resource {
    const char *group, *version; /* "" is the core group */
    const char *kind, *plural, *singular;
    const char *const *short_names; /* lists end with NULL; NULL: none */
    const char *const *categories;
    bool namespaced;
    bool has_status;      /* a subresource: plain writes leave the status alone */
    bool shows_deleted;   /* a deletion is answered with the object as it was, not with a Status */
    bool replace_creates; /* PUT makes what is not there */
    unsigned verbs;
    const char *no_write; /* what is said where verbs has no writing one; NULL: nothing */
    const struct resource_view *view; /* NULL: its objects are records */
    const char *record_prefix;        /* of its keys in the store, ends with '/'; NULL for a view */
    const struct schema *schema;
    const struct column *columns;
    size_t column_count;
    const char *const *selectable; /* field selectors besides metadata.name and .namespace */

    /* Hooks; NULL: nothing to do. */
    void (*fill_defaults)(struct json_object *object);
    /* From the stored object to the wanted one, before the defaults: what goes, what is carried. */
    void (*prepare_update)(struct server *server, struct json_object *old,
                           struct json_object *object, bool status_only);
    void (*validate)(struct json_object *object, ipalloc_service_problems *problems);
    void (*validate_update)(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems);
    /* After these, where the rules need the server; not for a status write. `old` may be NULL. */
    void (*judge)(struct server *server, struct json_object *old, struct json_object *object,
                  ipalloc_service_problems *problems);
    /* What is taken, but warned of: a line each, for the client. Not for a status write. */
    void (*warn)(struct json_object *object, struct text *out);
    /* Seconds from a deletion until the object goes, in which it is marked only; 0: it goes at
     * once. `asked` is what the client wants, -1: nothing. NULL: at once, always. */
    int64_t (*grace)(struct json_object *object, int64_t asked);
    const char *owner_kind; /* its objects hold addresses as KIND/NAMESPACE/NAME/UID */
    change_hook create, update, delete;
    /* A change is stored, and is not a dry-run; `outcome` (what the client is told) may be changed.
     * `deletes`: it was a deletion. */
    void (*committed)(const struct object_place *place, bool deletes, struct outcome *outcome);
};

extern const struct resource resource_config_maps;
extern const struct resource resource_endpoint_slices;
extern const struct resource resource_endpoints;
extern const struct resource resource_events;
extern const struct resource resource_ingress_classes;
extern const struct resource resource_ingresses;
extern const struct resource resource_ip_addresses;
extern const struct resource resource_namespaces;
extern const struct resource resource_nodes;
extern const struct resource resource_pods;
extern const struct resource resource_secrets;
extern const struct resource resource_service_cidrs;
extern const struct resource resource_services;

/* All of them, in the order in which discovery lists them. */
#define RESOURCES_MAX 16
extern const struct resource *const resources[];
extern const size_t resource_count;

/* Its place in `resources`. */
size_t resource_index(const struct resource *resource);

/* By name; NULL: there is none. */
const struct resource *resource_find(const char *group, const char *version, const char *plural);

/* Whose record a key is; NULL: nobody's. */
const struct resource *resource_of_key(const void *key, size_t size);

#define RESOURCE_TEXT 128

/* "v1", "networking.k8s.io/v1" */
const char *resource_api_version(const struct resource *resource, char out[RESOURCE_TEXT]);

/* "services", "servicecidrs.networking.k8s.io"; and the same of the kind: as messages name them. */
const char *resource_full_plural(const struct resource *resource, char out[RESOURCE_TEXT]);
const char *resource_full_kind(const struct resource *resource, char out[RESOURCE_TEXT]);

#endif
