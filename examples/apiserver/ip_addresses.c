/*
 * ip_addresses.c: the kind IPAddress: which Service has which ClusterIP.
 *
 * A view over the leases of the ClusterIP pools, so that there is one truth: an IPAddress is there
 * from the commit that gave the address to the one that released it, and nothing can be wrong with
 * it. Its uid comes from what tells one lease from another. Nobody writes one: a Service does.
 *
 * A lease whose owner is no Service (Service/NAMESPACE/NAME/UID) is shown with the owner's name as
 * parentRef {group: ipalloc, resource: owners}, and without the label that says who manages it.
 */
#include "cluster.h"
#include "record.h"
#include "resource.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define API_VERSION "networking.k8s.io/v1"

/* --- one object ------------------------------------------------------------------------------- */

/* A number that differs wherever the lease differs (FNV-1a over what it is). */
static uint64_t lease_hash(const char *name, const ipalloc_lease *lease, uint64_t seed) {
    uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);
    char text[IPALLOC_ADDR_TEXT + 64];
    int size = snprintf(text, sizeof text, "%s/%" PRIu64 "/%" PRIu64, name, lease->generation,
                        lease->time_ms);
    for (int i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

/* RFC 9562, version 8: the same for one lease, whoever asks and however often. */
static void add_uid(struct text *out, const char *name, const ipalloc_lease *lease) {
    uint64_t high = lease_hash(name, lease, 0);
    uint64_t low = lease_hash(name, lease, UINT64_C(0x9e3779b97f4a7c15));
    text_format(out, "%08" PRIx64 "-%04" PRIx64 "-8%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                high >> 32, high >> 16 & 0xffff, high & 0xfff, (low >> 48 & 0x3fff) | 0x8000,
                low & UINT64_C(0xffffffffffff));
}

static void add_quoted(struct text *out, const char *words, size_t size) {
    struct json_object *value = json_object_new_string_len(words, (int)size);
    text_add(out, json_line(value, NULL));
    json_object_put(value);
}

struct part {
    const char *words;
    size_t size;
};

/* Service/NAMESPACE/NAME/UID in its parts. */
static bool split_owner(const char *owner, struct part parts[4]) {
    for (size_t i = 0; i < 4; i++) {
        parts[i] = (struct part){owner, strcspn(owner, "/")};
        owner += parts[i].size;
        if (parts[i].size == 0 || (*owner == '/') != (i < 3)) {
            return false;
        }
        owner++;
    }
    return parts[0].size == strlen("Service") && memcmp(parts[0].words, "Service", 7) == 0;
}

static void add_parent(struct text *out, const ipalloc_lease *lease, bool is_service,
                       const struct part parts[4]) {
    if (is_service) {
        text_add(out, "{\"name\":");
        add_quoted(out, parts[2].words, parts[2].size);
        text_add(out, ",\"namespace\":");
        add_quoted(out, parts[1].words, parts[1].size);
        text_add(out, ",\"resource\":\"services\"}");
    } else {
        text_add(out, "{\"group\":\"ipalloc\",\"name\":");
        add_quoted(out, lease->owner, strlen(lease->owner));
        text_add(out, ",\"resource\":\"owners\"}");
    }
}

static void add_object(const struct server *server, const ipalloc_lease *lease, const char *name,
                       struct text *out) {
    char version[RESOURCE_VERSION_TEXT];
    char moment[MOMENT_TEXT];
    struct part parts[4];
    bool is_service = split_owner(lease->owner, parts);
    resource_version_format(server, lease->revision, version);
    moment_format((time_t)(lease->time_ms / 1000), moment);
    text_format(out,
                "{\"apiVersion\":\"" API_VERSION "\",\"kind\":\"IPAddress\",\"metadata\":"
                "{\"resourceVersion\":\"%s\",\"creationTimestamp\":\"%s\",\"labels\":"
                "{\"ipaddress.kubernetes.io/ip-family\":\"IPv%d\"%s},\"name\":\"%s\",\"uid\":\"",
                version, moment, lease->address.family,
                is_service ? ",\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\"" : "",
                name);
    add_uid(out, name, lease);
    text_add(out, "\"},\"spec\":{\"parentRef\":");
    add_parent(out, lease, is_service, parts);
    text_add(out, "}}");
}

/* --- the view --------------------------------------------------------------------------------- */

struct viewing {
    const struct server *server;
    view_visit visit;
    void *context;
};

static int see_lease(void *context, const ipalloc_lease *lease, bool deleted) {
    struct viewing *viewing = context;
    struct text object = {0};
    char name[IPALLOC_ADDR_TEXT];
    if (!cluster_is_cluster_pool(lease->pool)) {
        return IPALLOC_OK;
    }
    ipalloc_addr_format(&lease->address, name);
    if (!deleted) {
        add_object(viewing->server, lease, name, &object);
    }
    viewing->visit(viewing->context, name, lease->revision, deleted ? NULL : &object);
    text_clear(&object);
    return IPALLOC_OK;
}

static int see_listed(void *context, const ipalloc_lease *lease) {
    return see_lease(context, lease, false);
}

static int list(struct server *server, view_visit visit, void *context, uint64_t *revision,
                ipalloc_error *error) {
    struct viewing viewing = {server, visit, context};
    return ipalloc_list_at(server->registry, NULL, see_listed, &viewing, revision, error);
}

static int changes(struct server *server, uint64_t since, size_t limit, view_visit visit,
                   void *context, uint64_t *up_to, ipalloc_error *error) {
    struct viewing viewing = {server, visit, context};
    return ipalloc_lease_changes(server->registry, since, NULL, limit, see_lease, &viewing, up_to,
                                 error);
}

/* Only the canonical text is a name. */
static int get(struct server *server, const char *name, struct text *out, ipalloc_error *error) {
    ipalloc_addr address;
    ipalloc_lease lease = {.size = sizeof lease};
    char canonical[IPALLOC_ADDR_TEXT];
    if (ipalloc_addr_parse(name, strlen(name), &address, error) != IPALLOC_OK) {
        return IPALLOC_E_NOT_FOUND;
    }
    ipalloc_addr_format(&address, canonical);
    ipalloc_pool *pool = cluster_pool(server, address.family);
    if (pool == NULL || strcmp(canonical, name) != 0) {
        return IPALLOC_E_NOT_FOUND;
    }
    int status = ipalloc_lookup(server->registry, pool, &address, &lease, error);
    if (status == IPALLOC_OK) {
        add_object(server, &lease, canonical, out);
    }
    return status == IPALLOC_E_NOT_IN_RANGE ? IPALLOC_E_NOT_FOUND : status;
}

static const struct resource_view view = {.get = get, .list = list, .changes = changes};

/* --- the descriptor --------------------------------------------------------------------------- */

/* "services/default/web" */
static void parent_cell(struct text *out, struct json_object *object) {
    static const char *const members[] = {"group", "resource", "namespace", "name"};
    struct json_object *parent = json_at(object, "spec", "parentRef", NULL);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *value = json_member_text(parent, members[i]);
        if (value[0] != '\0') {
            text_format(out, "%s%s", out->size > 0 ? "/" : "", value);
        }
    }
}

static const struct column columns[] = {
    {"Name", "string", "name", "The address, in canonical text.", 0, cell_name},
    {"ParentRef", "string", "", "Who has the address.", 0, parent_cell},
    {"Age", "string", "", "Time since it was given.", 0, cell_age},
};

static const struct field parent_fields[] = {
    {"group", FIELD_TEXT, 1, false, NULL},
    {"name", FIELD_TEXT, 4, false, NULL},
    {"namespace", FIELD_TEXT, 3, false, NULL},
    {"resource", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_parent = {"ParentReference", parent_fields,
                                            SCHEMA_COUNT(parent_fields), false};

static const struct field spec_fields[] = {
    {"parentRef", FIELD_OBJECT, 1, false, &schema_parent},
};
static const struct schema schema_spec = {"IPAddressSpec", spec_fields, SCHEMA_COUNT(spec_fields),
                                          false};

static const struct field ip_address_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL},
    {"kind", FIELD_TEXT, 0, false, NULL},
    {"metadata", FIELD_OBJECT, 1, false, &schema_metadata},
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
};
static const struct schema schema_ip_address = {"IPAddress", ip_address_fields,
                                                SCHEMA_COUNT(ip_address_fields), false};

static const char *const short_names[] = {"ip", NULL};
static const char *const selectable[] = {"spec.parentRef.group", "spec.parentRef.name",
                                         "spec.parentRef.namespace", "spec.parentRef.resource",
                                         NULL};

const struct resource resource_ip_addresses = {
    .group = "networking.k8s.io",
    .version = "v1",
    .kind = "IPAddress",
    .plural = "ipaddresses",
    .singular = "ipaddress",
    .short_names = short_names,
    .verbs = VERB_READ,
    .no_write =
        "an IPAddress is given with the Service that has it as a clusterIP, and goes with it",
    .view = &view,
    .schema = &schema_ip_address,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .selectable = selectable,
};
