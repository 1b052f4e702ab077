/* ingress_classes.c: the kind IngressClass: which program an Ingress is for. */
#include "kinds.h"

#include <string.h>

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    const char *controller = json_member_text(json_member(object, "spec"), "controller");
    kind_validate(object, problems);
    if (controller[0] == '\0') {
        problem_add(problems, "FieldValueRequired", "spec.controller", "Required value");
    } else if (strchr(controller, '/') == NULL) {
        refuse_value(problems, "spec.controller", controller,
                     "must be a domain-prefixed path (such as \"acme.io/foo\")");
    }
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    const char *before = json_member_text(json_member(old, "spec"), "controller");
    const char *after = json_member_text(json_member(object, "spec"), "controller");
    if (strcmp(before, after) != 0) {
        refuse_value(problems, "spec.controller", after, "field is immutable");
    }
}

static void controller_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "spec"), "controller"));
}

static void parameters_cell(struct text *out, struct json_object *object) {
    struct json_object *parameters = json_at(object, "spec", "parameters", NULL);
    if (parameters != NULL) {
        text_format(out, "%s/%s", json_member_text(parameters, "kind"),
                    json_member_text(parameters, "name"));
    }
}

static const struct column columns[] = {
    {"Name", "string", "name", "The name that an Ingress asks for.", 0, cell_name},
    {"Controller", "string", "", "Who serves it.", 0, controller_cell},
    {"Parameters", "string", "", "An object with more of it.", 0, parameters_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field spec_fields[] = {
    {"controller", FIELD_TEXT, 1, false, NULL},
    {"parameters", FIELD_FREE, 0, false, NULL},
};
static const struct schema schema_spec = {"IngressClassSpec", spec_fields,
                                          SCHEMA_COUNT(spec_fields), false};

static const struct field fields[] = {
    KIND_FIELDS,
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
};
static const struct schema schema = {"IngressClass", fields, SCHEMA_COUNT(fields), false};

const struct resource resource_ingress_classes = {
    .group = "networking.k8s.io",
    .version = "v1",
    .kind = "IngressClass",
    .plural = "ingressclasses",
    .singular = "ingressclass",
    .verbs = VERB_ALL,
    .record_prefix = "ingressclasses/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .validate = validate,
    .validate_update = validate_update,
};
