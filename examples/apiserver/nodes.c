/* nodes.c: the kind Node: a name and addresses. The rest of it is kept as it is. */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

static void validate_status(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *addresses = json_at(object, "status", "addresses", NULL);
    for (size_t i = 0; i < json_length(addresses); i++) {
        struct json_object *address = json_object_array_get_idx(addresses, i);
        char field[48];
        snprintf(field, sizeof field, "status.addresses[%zu].address", i);
        if (strstr(json_member_text(address, "type"), "IP") != NULL) {
            kind_check_address(field, json_member_text(address, "address"), 0, problems);
        }
    }
}

static void validate_blocks(struct json_object *blocks, ipalloc_service_problems *problems) {
    struct json_object *seen = json_object_new_object();
    int families[7] = {0}; /* by 4 and 6 */
    for (size_t i = 0; i < json_length(blocks); i++) {
        const char *block = json_object_get_string(json_object_array_get_idx(blocks, i));
        ipalloc_cidr cidr = {0};
        char field[40];
        snprintf(field, sizeof field, "spec.podCIDRs[%zu]", i);
        if (ipalloc_cidr_parse(block, strlen(block), &cidr, NULL) != IPALLOC_OK) {
            refuse_value(problems, field, block,
                         "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        }
        families[cidr.base.family]++;
        if (kind_seen(seen, block)) {
            kind_duplicate(field, block, problems);
        }
    }
    if (families[4] > 1 || families[6] > 1) {
        problem_add(problems, "FieldValueInvalid", "spec.podCIDRs",
                    "Invalid value: %.200s: may specify no more than one CIDR for each IP family",
                    json_line(blocks, NULL));
    }
    json_object_put(seen);
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    kind_validate(object, problems);
    validate_blocks(json_at(object, "spec", "podCIDRs", NULL), problems);
    validate_status(object, problems);
}

/* What is routed to a Node stays, once it is there. */
static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    struct json_object *blocks = json_at(old, "spec", "podCIDRs", NULL);
    struct json_object *provider = json_at(old, "spec", "providerID", NULL);
    if (json_length(blocks) > 0 &&
        !json_object_equal(blocks, json_at(object, "spec", "podCIDRs", NULL))) {
        problem_add(problems, "FieldValueForbidden", "spec.podCIDRs",
                    "Forbidden: node updates may not change podCIDR except from \"\" to valid");
    }
    if (provider != NULL &&
        !json_object_equal(provider, json_at(object, "spec", "providerID", NULL))) {
        problem_add(problems, "FieldValueForbidden", "spec.providerID",
                    "Forbidden: node updates may not change providerID except from \"\" to valid");
    }
}

/* --- columns ---------------------------------------------------------------------------------- */

static void status_cell(struct text *out, struct json_object *object) {
    struct json_object *conditions = json_at(object, "status", "conditions", NULL);
    text_add(out, "Unknown");
    for (size_t i = 0; i < json_length(conditions); i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        if (strcmp(json_member_text(condition, "type"), "Ready") == 0) {
            text_clear(out);
            text_add(out, strcmp(json_member_text(condition, "status"), "True") == 0 ? "Ready"
                                                                                     : "NotReady");
        }
    }
}

static void roles_cell(struct text *out, struct json_object *object) {
    static const char prefix[] = "node-role.kubernetes.io/";
    struct json_object *labels = json_at(object, "metadata", "labels", NULL);
    if (!json_object_is_type(labels, json_type_object)) {
        return;
    }
    json_object_object_foreach(labels, name, value) {
        (void)value;
        if (text_starts_with(name, prefix)) {
            cell_listed(out, name + strlen(prefix));
        }
    }
}

static void version_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_at(object, "status", "nodeInfo", NULL), "kubeletVersion"));
}

static void add_address(struct text *out, struct json_object *object, const char *type) {
    struct json_object *addresses = json_at(object, "status", "addresses", NULL);
    for (size_t i = 0; i < json_length(addresses) && out->size == 0; i++) {
        struct json_object *address = json_object_array_get_idx(addresses, i);
        if (strcmp(json_member_text(address, "type"), type) == 0) {
            text_add(out, json_member_text(address, "address"));
        }
    }
}

static void internal_cell(struct text *out, struct json_object *object) {
    add_address(out, object, "InternalIP");
}

static void external_cell(struct text *out, struct json_object *object) {
    add_address(out, object, "ExternalIP");
}

static const struct column columns[] = {
    {"Name", "string", "name", "The Node's name.", 0, cell_name},
    {"Status", "string", "", "Whether it is ready.", 0, status_cell},
    {"Roles", "string", "", "From its labels.", 0, roles_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
    {"Version", "string", "", "Its kubelet's.", 0, version_cell},
    {"Internal-IP", "string", "", "Its address in the cluster.", 1, internal_cell},
    {"External-IP", "string", "", "Its address outside.", 1, external_cell},
};

/* --- fields ----------------------------------------------------------------------------------- */

static const struct field address_fields[] = {
    {"address", FIELD_TEXT, 2, false, NULL},
    {"type", FIELD_TEXT, 1, false, NULL},
};
static const struct schema schema_address = {"NodeAddress", address_fields,
                                             SCHEMA_COUNT(address_fields), false};

static const struct field spec_fields[] = {
    {"podCIDR", FIELD_TEXT, 1, false, NULL},
    {"podCIDRs", FIELD_TEXT_LIST, 7, false, NULL},
    {"providerID", FIELD_TEXT, 3, false, NULL},
    {"unschedulable", FIELD_TRUTH, 4, false, NULL},
};
static const struct schema schema_spec = {"NodeSpec", spec_fields, SCHEMA_COUNT(spec_fields), true};

static const struct field status_fields[] = {
    {"addresses", FIELD_OBJECT_LIST, 5, false, &schema_address},
    {"conditions", FIELD_OBJECT_LIST, 4, false, &schema_open_condition},
};
static const struct schema schema_status = {"NodeStatus", status_fields,
                                            SCHEMA_COUNT(status_fields), true};

static const struct field fields[] = {
    KIND_FIELDS,
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
static const struct schema schema = {"Node", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"no", NULL};

const struct resource resource_nodes = {
    .group = "",
    .version = "v1",
    .kind = "Node",
    .plural = "nodes",
    .singular = "node",
    .short_names = short_names,
    .has_status = true,
    .verbs = VERB_ALL,
    .record_prefix = "nodes/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .validate = validate,
    .validate_update = validate_update,
};
