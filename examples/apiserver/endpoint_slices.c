/* endpoint_slices.c: the kind EndpointSlice: where the traffic of a Service may go. Those of
 * Services with a selector are written by endpoint_keeper.c. */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

#define ENDPOINTS_MAX 1000
#define PORTS_MAX     100

static void fill_defaults(struct json_object *object) {
    struct json_object *ports = json_member(object, "ports");
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        if (json_member(port, "protocol") == NULL) {
            json_set_text(port, "protocol", "TCP");
        }
        if (json_member(port, "name") == NULL) {
            json_set_text(port, "name", "");
        }
    }
}

static void validate_endpoint(struct json_object *endpoint, size_t index, const char *type,
                              ipalloc_service_problems *problems) {
    struct json_object *addresses = json_member(endpoint, "addresses");
    char field[64];
    snprintf(field, sizeof field, "endpoints[%zu].addresses", index);
    if (json_length(addresses) == 0) {
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: must contain at least 1 address");
    } else if (json_length(addresses) > 100) {
        problem_add(problems, "FieldValueTooMany", field,
                    "Too many: %zu: must have at most 100 items", json_length(addresses));
        return;
    }
    for (size_t i = 0; i < json_length(addresses); i++) {
        const char *address = json_object_get_string(json_object_array_get_idx(addresses, i));
        snprintf(field, sizeof field, "endpoints[%zu].addresses[%zu]", index, i);
        if (strcmp(type, "FQDN") == 0) {
            check_subdomain(field, address, problems);
        } else {
            kind_check_address(field, address, strcmp(type, "IPv4") == 0 ? 4 : 6, problems);
        }
    }
}

static void validate_ports(struct json_object *ports, ipalloc_service_problems *problems) {
    static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        const char *name = json_member_text(port, "name");
        char field[40];
        snprintf(field, sizeof field, "ports[%zu].protocol", i);
        kind_check_choice(field, json_member_text(port, "protocol"), protocols, problems);
        if (name[0] != '\0' && name_rule_dns1123(name) != NULL) {
            snprintf(field, sizeof field, "ports[%zu].name", i);
            refuse_value(problems, field, name, name_rule_dns1123(name));
        }
        if (json_member(port, "port") != NULL) {
            snprintf(field, sizeof field, "ports[%zu].port", i);
            kind_check_port(field, json_member_number(port, "port", 0), problems);
        }
    }
}

static void validate_contents(struct json_object *object, ipalloc_service_problems *problems) {
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    struct json_object *endpoints = json_member(object, "endpoints");
    const char *type = json_member_text(object, "addressType");
    size_t ports = json_length(json_member(object, "ports"));
    if (type[0] == '\0') {
        problem_add(problems, "FieldValueRequired", "addressType", "Required value");
        return;
    }
    kind_check_choice("addressType", type, types, problems);
    if (json_length(endpoints) > ENDPOINTS_MAX || ports > PORTS_MAX) {
        bool first = json_length(endpoints) > ENDPOINTS_MAX;
        problem_add(problems, "FieldValueTooMany", first ? "endpoints" : "ports",
                    "Too many: %zu: must have at most %d items",
                    first ? json_length(endpoints) : ports, first ? ENDPOINTS_MAX : PORTS_MAX);
        return;
    }
    for (size_t i = 0; i < json_length(endpoints) && problems->count == 0; i++) {
        validate_endpoint(json_object_array_get_idx(endpoints, i), i, type, problems);
    }
    validate_ports(json_member(object, "ports"), problems);
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    kind_validate(object, problems);
    validate_contents(object, problems);
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

static const struct field endpoint_fields[] = {
    {"addresses", FIELD_TEXT_LIST, 1, false, NULL},
    {"conditions", FIELD_OBJECT, 2, false, &schema_conditions},
    {"hints", FIELD_FREE, 0, false, NULL},
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
