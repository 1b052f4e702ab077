/* endpoint_slices.c: the kind EndpointSlice: where the traffic of a Service may go. Those of
 * Services with a selector are written by endpoint_keeper.c. */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINTS_MAX  1000
#define ADDRESSES_MAX  100
#define PORTS_MAX      100
#define ZONE_HINTS_MAX 8

static void fill_defaults(struct json_object *object) {
    struct json_object *ports = json_member(object, "ports");
    kind_default_protocols(ports);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        if (json_member(port, "name") == NULL) {
            json_set_text(port, "name", "");
        }
    }
}

/* Are there more than may be? What is told then replaces the rules of each. */
static bool are_too_many(const char *field, size_t count, size_t most,
                         ipalloc_service_problems *problems) {
    if (count > most) {
        problem_add(problems, "FieldValueTooMany", field,
                    "Too many: %zu: must have at most %zu items", count, most);
    }
    return count > most;
}

/* At least two labels; a dot may end it. */
static void check_domain(const char *field, const char *name, ipalloc_service_problems *problems) {
    size_t length = strlen(name);
    char *domain = memory_copy(name);
    size_t before = problems->count;
    if (length == 0) {
        kind_require(field, problems);
    } else {
        if (domain[length - 1] == '.') {
            domain[length - 1] = '\0';
        }
        check_subdomain(field, domain, problems);
        if (problems->count == before && strchr(domain, '.') == NULL) {
            refuse_value(problems, field, domain,
                         "should be a domain with at least two segments separated by dots");
        }
    }
    free(domain);
}

static void validate_addresses(struct json_object *addresses, size_t index, const char *type,
                               ipalloc_service_problems *problems) {
    char field[64];
    snprintf(field, sizeof field, "endpoints[%zu].addresses", index);
    if (json_length(addresses) == 0) {
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: must contain at least 1 address");
    }
    if (are_too_many(field, json_length(addresses), ADDRESSES_MAX, problems)) {
        return;
    }
    for (size_t i = 0; i < json_length(addresses); i++) {
        const char *address = json_object_get_string(json_object_array_get_idx(addresses, i));
        snprintf(field, sizeof field, "endpoints[%zu].addresses[%zu]", index, i);
        if (strcmp(type, "FQDN") == 0) {
            check_domain(field, address, problems);
        } else if (strcmp(type, "IPv4") == 0 || strcmp(type, "IPv6") == 0) {
            kind_check_endpoint_address(field, address, type[3] - '0', problems);
        }
    }
}

static void validate_hints(struct json_object *hints, size_t index,
                           ipalloc_service_problems *problems) {
    struct json_object *zones = json_member(hints, "forZones");
    struct json_object *names = json_object_new_object();
    char field[96];
    snprintf(field, sizeof field, "endpoints[%zu].hints.forZones", index);
    bool readable = !are_too_many(field, json_length(zones), ZONE_HINTS_MAX, problems);
    for (size_t i = 0; readable && i < json_length(zones); i++) {
        const char *name = json_member_text(json_object_array_get_idx(zones, i), "name");
        snprintf(field, sizeof field, "endpoints[%zu].hints.forZones[%zu].name", index, i);
        if (kind_seen(names, name)) {
            kind_duplicate(field, name, problems);
        }
    }
    json_object_put(names);
}

static void validate_endpoint(struct json_object *endpoint, size_t index, const char *type,
                              ipalloc_service_problems *problems) {
    char field[64];
    validate_addresses(json_member(endpoint, "addresses"), index, type, problems);
    if (json_member(endpoint, "nodeName") != NULL) {
        snprintf(field, sizeof field, "endpoints[%zu].nodeName", index);
        check_subdomain(field, json_member_text(endpoint, "nodeName"), problems);
    }
    if (json_member(endpoint, "hostname") != NULL) {
        snprintf(field, sizeof field, "endpoints[%zu].hostname", index);
        kind_check_label(field, json_member_text(endpoint, "hostname"), problems);
    }
    validate_hints(json_member(endpoint, "hints"), index, problems);
}

static void validate_port(struct json_object *port, size_t index, struct json_object *names,
                          ipalloc_service_problems *problems) {
    const char *name = json_member_text(port, "name");
    char field[48];
    snprintf(field, sizeof field, "ports[%zu].name", index);
    if (name[0] != '\0') {
        kind_check_label(field, name, problems);
    }
    if (kind_seen(names, name)) {
        kind_duplicate(field, name, problems);
    }
    snprintf(field, sizeof field, "ports[%zu].protocol", index);
    kind_check_protocol(field, json_member_text(port, "protocol"), problems);
    if (json_member(port, "port") != NULL) { /* Kubernetes takes any number here */
        snprintf(field, sizeof field, "ports[%zu].port", index);
        kind_check_port(field, json_member_number(port, "port", 0), problems);
    }
    if (json_member(port, "appProtocol") != NULL) {
        snprintf(field, sizeof field, "ports[%zu].appProtocol", index);
        check_key(field, json_member_text(port, "appProtocol"), problems);
    }
}

static void validate_type(const char *type, ipalloc_service_problems *problems) {
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    if (type[0] == '\0') {
        kind_require("addressType", problems);
    } else {
        kind_check_choice("addressType", type, types, problems);
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *endpoints = json_member(object, "endpoints");
    struct json_object *ports = json_member(object, "ports");
    struct json_object *names = json_object_new_object();
    const char *type = json_member_text(object, "addressType");
    kind_validate(object, problems);
    validate_type(type, problems);
    if (!are_too_many("endpoints", json_length(endpoints), ENDPOINTS_MAX, problems)) {
        for (size_t i = 0; i < json_length(endpoints); i++) {
            validate_endpoint(json_object_array_get_idx(endpoints, i), i, type, problems);
        }
    }
    if (!are_too_many("ports", json_length(ports), PORTS_MAX, problems)) {
        for (size_t i = 0; i < json_length(ports); i++) {
            validate_port(json_object_array_get_idx(ports, i), i, names, problems);
        }
    }
    json_object_put(names);
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    const char *type = json_member_text(object, "addressType");
    if (strcmp(json_member_text(old, "addressType"), type) != 0) {
        refuse_value(problems, "addressType", type, "field is immutable");
    }
}

/* --- columns ---------------------------------------------------------------------------------- */

static void type_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(object, "addressType"));
}

static void ports_cell(struct text *out, struct json_object *object) {
    struct json_object *ports = json_member(object, "ports");
    if (json_length(ports) == 0) {
        text_add(out, "<unset>");
    }
    for (size_t i = 0; i < json_length(ports); i++) {
        text_format(out, "%s%lld", i > 0 ? "," : "",
                    (long long)json_member_number(json_object_array_get_idx(ports, i), "port", 0));
    }
}

static void endpoints_cell(struct text *out, struct json_object *object) {
    struct json_object *endpoints = json_member(object, "endpoints");
    size_t count = json_length(endpoints);
    if (count == 0) {
        text_add(out, "<unset>");
    }
    for (size_t i = 0; i < count && i < 3; i++) {
        struct json_object *addresses =
            json_member(json_object_array_get_idx(endpoints, i), "addresses");
        if (json_length(addresses) > 0) {
            cell_listed(out, json_object_get_string(json_object_array_get_idx(addresses, 0)));
        }
    }
    if (count > 3) {
        text_format(out, " + %zu more...", count - 3);
    }
}

static const struct column columns[] = {
    {"Name", "string", "name", "The slice's name.", 0, cell_name},
    {"AddressType", "string", "", "IPv4, IPv6 or FQDN.", 0, type_cell},
    {"Ports", "string", "", "Where the endpoints listen.", 0, ports_cell},
    {"Endpoints", "string", "", "Their addresses.", 0, endpoints_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

/* --- fields ----------------------------------------------------------------------------------- */

static const struct field conditions_fields[] = {
    {"ready", FIELD_TRUTH, 1, true, NULL},
    {"serving", FIELD_TRUTH, 2, true, NULL},
    {"terminating", FIELD_TRUTH, 3, true, NULL},
};
static const struct schema schema_conditions = {"EndpointConditions", conditions_fields,
                                                SCHEMA_COUNT(conditions_fields), false};

static const struct field hint_fields[] = {
    {"name", FIELD_TEXT, 1, false, NULL},
};
static const struct schema schema_zone = {"ForZone", hint_fields, SCHEMA_COUNT(hint_fields), false};
static const struct schema schema_node = {"ForNode", hint_fields, SCHEMA_COUNT(hint_fields), false};

static const struct field hints_fields[] = {
    {"forNodes", FIELD_OBJECT_LIST, 2, false, &schema_node},
    {"forZones", FIELD_OBJECT_LIST, 1, false, &schema_zone},
};
static const struct schema schema_hints = {"EndpointHints", hints_fields,
                                           SCHEMA_COUNT(hints_fields), false};

static const struct field endpoint_fields[] = {
    {"addresses", FIELD_TEXT_LIST, 1, false, NULL},
    {"conditions", FIELD_OBJECT, 2, false, &schema_conditions},
    {"hints", FIELD_OBJECT, 8, false, &schema_hints},
    {"hostname", FIELD_TEXT, 3, false, NULL},
    {"nodeName", FIELD_TEXT, 6, false, NULL},
    {"targetRef", FIELD_OBJECT, 4, false, &schema_object_reference},
    {"zone", FIELD_TEXT, 7, false, NULL},
};
static const struct schema schema_endpoint = {"Endpoint", endpoint_fields,
                                              SCHEMA_COUNT(endpoint_fields), false};

static const struct field port_fields[] = {
    {"appProtocol", FIELD_TEXT, 4, false, NULL},
    {"name", FIELD_TEXT, 1, true, NULL},
    {"port", FIELD_INT32, 3, false, NULL},
    {"protocol", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_port = {"EndpointPort", port_fields, SCHEMA_COUNT(port_fields),
                                          false};

static const struct field fields[] = {
    KIND_FIELDS,
    {"addressType", FIELD_TEXT, 4, false, NULL},
    {"endpoints", FIELD_OBJECT_LIST, 2, false, &schema_endpoint},
    {"ports", FIELD_OBJECT_LIST, 3, false, &schema_port},
};
static const struct schema schema = {"EndpointSlice", fields, SCHEMA_COUNT(fields), false};

const struct resource resource_endpoint_slices = {
    .group = "discovery.k8s.io",
    .version = "v1",
    .kind = "EndpointSlice",
    .plural = "endpointslices",
    .singular = "endpointslice",
    .namespaced = true,
    .verbs = VERB_ALL,
    .record_prefix = "endpointslices/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .fill_defaults = fill_defaults,
    .validate = validate,
    .validate_update = validate_update,
};
