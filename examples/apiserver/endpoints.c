/* endpoints.c: the older kind Endpoints: where the traffic of a Service without a selector goes, by
 * hand. endpoint_keeper.c makes EndpointSlices of them. */
#include "kinds.h"

#include <stdio.h>

static void validate_addresses(struct json_object *addresses, const char *name, size_t subset,
                               ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(addresses); i++) {
        struct json_object *address = json_object_array_get_idx(addresses, i);
        const char *host = json_member_text(address, "hostname");
        char field[96];
        snprintf(field, sizeof field, "subsets[%zu].%s[%zu].ip", subset, name, i);
        kind_check_endpoint_address(field, json_member_text(address, "ip"), 0, problems);
        if (host[0] != '\0') {
            snprintf(field, sizeof field, "subsets[%zu].%s[%zu].hostname", subset, name, i);
            kind_check_label(field, host, problems);
        }
        if (json_member(address, "nodeName") != NULL) {
            snprintf(field, sizeof field, "subsets[%zu].%s[%zu].nodeName", subset, name, i);
            check_subdomain(field, json_member_text(address, "nodeName"), problems);
        }
    }
}

static void validate_port(struct json_object *port, bool alone, const char *path,
                          struct json_object *names, ipalloc_service_problems *problems) {
    const char *name = json_member_text(port, "name");
    char field[128];
    snprintf(field, sizeof field, "%s.name", path);
    if (name[0] != '\0') {
        kind_check_label(field, name, problems);
    } else if (!alone) {
        kind_require(field, problems);
    }
    if (name[0] != '\0' && kind_seen(names, name)) { /* no slice would take it */
        kind_duplicate(field, name, problems);
    }
    snprintf(field, sizeof field, "%s.port", path);
    kind_check_port(field, json_member_number(port, "port", 0), problems);
    snprintf(field, sizeof field, "%s.protocol", path);
    kind_check_protocol(field, json_member_text(port, "protocol"), problems);
    if (json_member(port, "appProtocol") != NULL) {
        snprintf(field, sizeof field, "%s.appProtocol", path);
        check_key(field, json_member_text(port, "appProtocol"), problems);
    }
}

static void validate_subset(struct json_object *subset, size_t index,
                            ipalloc_service_problems *problems) {
    struct json_object *ready = json_member(subset, "addresses");
    struct json_object *not_ready = json_member(subset, "notReadyAddresses");
    struct json_object *ports = json_member(subset, "ports");
    struct json_object *names = json_object_new_object();
    char field[96];
    if (json_length(ready) + json_length(not_ready) == 0) {
        snprintf(field, sizeof field, "subsets[%zu]", index);
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: must specify `addresses` or `notReadyAddresses`");
    }
    validate_addresses(ready, "addresses", index, problems);
    validate_addresses(not_ready, "notReadyAddresses", index, problems);
    for (size_t i = 0; i < json_length(ports); i++) {
        snprintf(field, sizeof field, "subsets[%zu].ports[%zu]", index, i);
        validate_port(json_object_array_get_idx(ports, i), json_length(ports) == 1, field, names,
                      problems);
    }
    json_object_put(names);
}

static void fill_defaults(struct json_object *object) {
    struct json_object *subsets = json_member(object, "subsets");
    for (size_t i = 0; i < json_length(subsets); i++) {
        kind_default_protocols(json_member(json_object_array_get_idx(subsets, i), "ports"));
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *subsets = json_member(object, "subsets");
    kind_validate(object, problems);
    for (size_t i = 0; i < json_length(subsets); i++) {
        validate_subset(json_object_array_get_idx(subsets, i), i, problems);
    }
}

static void endpoints_cell(struct text *out, struct json_object *object) {
    struct json_object *subsets = json_member(object, "subsets");
    size_t count = 0;
    for (size_t i = 0; i < json_length(subsets); i++) {
        struct json_object *subset = json_object_array_get_idx(subsets, i);
        struct json_object *addresses = json_member(subset, "addresses");
        struct json_object *ports = json_member(subset, "ports");
        struct json_object *port =
            json_length(ports) > 0 ? json_object_array_get_idx(ports, 0) : NULL;
        for (size_t j = 0; j < json_length(addresses); j++, count++) {
            const char *ip = json_member_text(json_object_array_get_idx(addresses, j), "ip");
            if (count < 3) {
                text_format(out, "%s%s:%lld", count > 0 ? "," : "", ip,
                            (long long)json_member_number(port, "port", 0));
            }
        }
    }
    if (count > 3) {
        text_format(out, " + %zu more...", count - 3);
    }
}

static const struct column columns[] = {
    {"Name", "string", "name", "The name, which is its Service's.", 0, cell_name},
    {"Endpoints", "string", "", "Addresses and ports.", 0, endpoints_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field address_fields[] = {
    {"hostname", FIELD_TEXT, 3, false, NULL},
    {"ip", FIELD_TEXT, 1, false, NULL},
    {"nodeName", FIELD_TEXT, 4, false, NULL},
    {"targetRef", FIELD_OBJECT, 2, false, &schema_object_reference},
};
static const struct schema schema_address = {"EndpointAddress", address_fields,
                                             SCHEMA_COUNT(address_fields), false};

static const struct field port_fields[] = {
    {"appProtocol", FIELD_TEXT, 4, false, NULL},
    {"name", FIELD_TEXT, 1, false, NULL},
    {"port", FIELD_INT32, 2, false, NULL},
    {"protocol", FIELD_TEXT, 3, false, NULL},
};
static const struct schema schema_port = {"EndpointPort", port_fields, SCHEMA_COUNT(port_fields),
                                          false};

static const struct field subset_fields[] = {
    {"addresses", FIELD_OBJECT_LIST, 1, false, &schema_address},
    {"notReadyAddresses", FIELD_OBJECT_LIST, 2, false, &schema_address},
    {"ports", FIELD_OBJECT_LIST, 3, false, &schema_port},
};
static const struct schema schema_subset = {"EndpointSubset", subset_fields,
                                            SCHEMA_COUNT(subset_fields), false};

static const struct field fields[] = {
    KIND_FIELDS,
    {"subsets", FIELD_OBJECT_LIST, 2, false, &schema_subset},
};
static const struct schema schema = {"Endpoints", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"ep", NULL};

const struct resource resource_endpoints = {
    .group = "",
    .version = "v1",
    .kind = "Endpoints",
    .plural = "endpoints",
    .singular = "endpoints",
    .short_names = short_names,
    .namespaced = true,
    .verbs = VERB_ALL,
    .record_prefix = "endpoints/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .fill_defaults = fill_defaults,
    .validate = validate,
};
