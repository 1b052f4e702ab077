/* config_maps.c: the kind ConfigMap. */
#include "kinds.h"

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *data = json_member(object, "data");
    struct json_object *binary = json_member(object, "binaryData");
    kind_validate(object, problems);
    size_t size = kind_check_data(data, "data", false, problems);
    if (data != NULL && binary != NULL) {
        json_object_object_foreach(data, name, value) {
            char field[KIND_DATA_FIELD];
            (void)value;
            if (json_member(binary, name) != NULL) {
                refuse_value(problems, kind_data_field("data", name, field), name,
                             "duplicate of key present in binaryData");
            }
        }
    }
    size += kind_check_data(binary, "binaryData", true, problems);
    if (size > KIND_DATA_MAX_BYTES) { /* the object as a whole: Kubernetes names it so */
        problem_add(problems, "FieldValueTooLong", "[]", "Too long: may not be more than %d bytes",
                    KIND_DATA_MAX_BYTES);
    }
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    static const char *const parts[] = {"data", "binaryData", NULL};
    size_t others = problems->count;
    kind_check_immutable(old, object, parts, problems);
    kind_tell_first(problems, others);
}

static void data_cell(struct text *out, struct json_object *object) {
    static const char *const members[] = {"data", "binaryData"};
    int count = 0;
    for (size_t i = 0; i < SCHEMA_COUNT(members); i++) {
        struct json_object *data = json_member(object, members[i]);
        count += data != NULL ? json_object_object_length(data) : 0;
    }
    text_format(out, "%d", count);
}

static const struct column columns[] = {
    {"Name", "string", "name", "The name.", 0, cell_name},
    {"Data", "string", "", "How many entries.", 0, data_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field fields[] = {
    KIND_FIELDS,
    {"binaryData", FIELD_BYTES_MAP, 3, false, NULL},
    {"data", FIELD_TEXT_MAP, 2, false, NULL},
    {"immutable", FIELD_TRUTH, 4, true, NULL},
};
static const struct schema schema = {"ConfigMap", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"cm", NULL};

const struct resource resource_config_maps = {
    .group = "",
    .version = "v1",
    .kind = "ConfigMap",
    .plural = "configmaps",
    .singular = "configmap",
    .short_names = short_names,
    .namespaced = true,
    .verbs = VERB_ALL,
    .record_prefix = "configmaps/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .validate = validate,
    .validate_update = validate_update,
};
