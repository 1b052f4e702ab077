/* events.c: the kind Event: what controllers tell about an object; `kubectl describe` shows it. Old
 * ones are removed by endpoint_keeper.c. */
#include "kinds.h"

#include <string.h>

#define WORD_MAX_BYTES    128
#define MESSAGE_MAX_BYTES 1024

static void check_length(struct json_object *object, const char *name, const char *field,
                         size_t most, ipalloc_service_problems *problems) {
    if (strlen(json_member_text(object, name)) > most) {
        problem_add(problems, "FieldValueInvalid", field,
                    "Invalid value: \"\": can have at most %zu characters", most);
    }
}

/* A word that a newer Event must have. */
static void check_word(struct json_object *object, const char *name, const char *field,
                       ipalloc_service_problems *problems) {
    if (json_member_text(object, name)[0] == '\0') {
        kind_require(field, problems);
    }
    check_length(object, name, field, WORD_MAX_BYTES, problems);
}

static void validate_newer(struct json_object *object, ipalloc_service_problems *problems) {
    const char *reporter = json_member_text(object, "reportingComponent");
    if (reporter[0] == '\0') {
        kind_require("reportingController", problems);
    }
    check_key("reportingController", reporter, problems);
    check_word(object, "reportingInstance", "reportingInstance", problems);
    check_word(object, "action", "action", problems);
    check_word(object, "reason", "reason", problems);
    check_length(object, "message", "message", MESSAGE_MAX_BYTES, problems);
}

/* An Event is where its object is; what is in no namespace has its own in "default". */
static void validate_namespace(struct json_object *object, bool newer,
                               ipalloc_service_problems *problems) {
    const char *namespace = json_member_text(json_member(object, "metadata"), "namespace");
    const char *of = json_member_text(json_member(object, "involvedObject"), "namespace");
    bool common =
        strcmp(namespace, "default") == 0 || (newer && strcmp(namespace, "kube-system") == 0);
    bool fits = of[0] == '\0' ? common : newer || strcmp(of, namespace) == 0;
    if (!fits) {
        refuse_value(problems, "involvedObject.namespace", of, "does not match event.namespace");
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    static const char *const types[] = {"Normal", "Warning", NULL};
    const char *type = json_member_text(object, "type");
    bool newer = json_member(object, "eventTime") != NULL;
    kind_validate(object, problems);
    validate_namespace(object, newer, problems);
    if (newer) {
        validate_newer(object, problems);
    }
    if (type[0] != '\0') {
        kind_check_choice("type", type, types, problems);
    }
}

static void reason_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(object, "reason"));
}

static void type_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(object, "type"));
}

static void message_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(object, "message"));
}

static void object_cell(struct text *out, struct json_object *object) {
    struct json_object *about = json_member(object, "involvedObject");
    for (const char *at = json_member_text(about, "kind"); *at != '\0'; at++) {
        text_format(out, "%c", *at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
    }
    text_format(out, "/%s", json_member_text(about, "name"));
}

static void count_cell(struct text *out, struct json_object *object) {
    text_format(out, "%lld", (long long)json_member_number(object, "count", 1));
}

static const struct column columns[] = {
    {"Last Seen", "string", "", "Time since it was written first.", 0, cell_age},
    {"Type", "string", "", "Normal or Warning.", 0, type_cell},
    {"Reason", "string", "", "A word for machines.", 0, reason_cell},
    {"Object", "string", "", "What it is about.", 0, object_cell},
    {"Message", "string", "", "Words for people.", 0, message_cell},
    {"Count", "string", "", "How often it happened.", 1, count_cell},
    {"Name", "string", "name", "The Event's name.", 1, cell_name},
};

static const struct field source_fields[] = {
    {"component", FIELD_TEXT, 1, false, NULL},
    {"host", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_source = {"EventSource", source_fields,
                                            SCHEMA_COUNT(source_fields), false};

static const struct field fields[] = {
    KIND_FIELDS,
    {"action", FIELD_TEXT, 11, false, NULL},
    {"count", FIELD_INT32, 8, false, NULL},
    {"eventTime", FIELD_MICRO_TIME, 10, false, NULL},
    {"firstTimestamp", FIELD_TIME, 6, false, NULL},
    {"involvedObject", FIELD_OBJECT, 2, false, &schema_object_reference},
    {"lastTimestamp", FIELD_TIME, 7, false, NULL},
    {"message", FIELD_TEXT, 4, false, NULL},
    {"reason", FIELD_TEXT, 3, false, NULL},
    {"reportingComponent", FIELD_TEXT, 14, true, NULL},
    {"reportingInstance", FIELD_TEXT, 15, true, NULL},
    {"source", FIELD_OBJECT, 5, false, &schema_source},
    {"type", FIELD_TEXT, 9, false, NULL},
};
static const struct schema schema = {"Event", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"ev", NULL};
static const char *const selectable[] = {"involvedObject.kind",
                                         "involvedObject.namespace",
                                         "involvedObject.name",
                                         "involvedObject.uid",
                                         "involvedObject.fieldPath",
                                         "involvedObject.apiVersion",
                                         "reason",
                                         "type",
                                         "source",
                                         NULL};

const struct resource resource_events = {
    .group = "",
    .version = "v1",
    .kind = "Event",
    .plural = "events",
    .singular = "event",
    .short_names = short_names,
    .namespaced = true,
    .verbs = VERB_ALL,
    .record_prefix = "events/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .selectable = selectable,
    .validate = validate,
};
