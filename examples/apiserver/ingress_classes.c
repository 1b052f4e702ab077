/* ingress_classes.c: the kind IngressClass: which program an Ingress is for. */
#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#define CONTROLLER_MAX_BYTES 250

static void fill_defaults(struct json_object *object) {
    struct json_object *parameters = json_at(object, "spec", "parameters", NULL);
    if (parameters != NULL && json_member(parameters, "scope") == NULL) {
        json_set_text(parameters, "scope", "Cluster");
    }
}

/* domain/path, of what may stand in the path of a URL. */
static void validate_controller(const char *controller, ipalloc_service_problems *problems) {
    static const char field[] = "spec.controller";
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "/-._~%!$&'()*+,;=:";
    const char *slash = strchr(controller, '/');
    if (strlen(controller) > CONTROLLER_MAX_BYTES) {
        problem_add(problems, "FieldValueTooLong", field, "Too long: may not be more than %d bytes",
                    CONTROLLER_MAX_BYTES);
    }
    if (slash == NULL || slash == controller || slash[1] == '\0') {
        refuse_value(problems, field, controller,
                     "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    char *domain = memory_copy(controller);
    domain[slash - controller] = '\0';
    check_subdomain(field, domain, problems);
    free(domain);
    if (strspn(slash + 1, allowed) != strlen(slash + 1)) {
        refuse_value(problems, field, slash + 1,
                     "Invalid path (regex used for validation is "
                     "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
    }
}

static void validate_namespace(struct json_object *parameters, ipalloc_service_problems *problems) {
    static const char field[] = "spec.parameters.namespace";
    bool given = json_member(parameters, "namespace") != NULL;
    bool cluster = strcmp(json_member_text(parameters, "scope"), "Cluster") == 0;
    if (cluster && given) {
        problem_add(problems, "FieldValueForbidden", field,
                    "Forbidden: `parameters.scope` is set to 'Cluster'");
    } else if (!cluster && !given) {
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: `parameters.scope` is set to 'Namespace'");
    } else if (given) {
        kind_check_label(field, json_member_text(parameters, "namespace"), problems);
    }
}

static void validate_parameters(struct json_object *parameters,
                                ipalloc_service_problems *problems) {
    static const char *const scopes[] = {"Cluster", "Namespace", NULL};
    const char *scope = json_member_text(parameters, "scope");
    if (json_member(parameters, "apiGroup") != NULL) {
        check_subdomain("spec.parameters.apiGroup", json_member_text(parameters, "apiGroup"),
                        problems);
    }
    kind_check_path_segment("spec.parameters.kind", json_member_text(parameters, "kind"), problems);
    kind_check_path_segment("spec.parameters.name", json_member_text(parameters, "name"), problems);
    kind_check_choice("spec.parameters.scope", scope, scopes, problems);
    if (strcmp(scope, scopes[0]) == 0 || strcmp(scope, scopes[1]) == 0) {
        validate_namespace(parameters, problems);
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *spec = json_member(object, "spec");
    const char *controller = json_member_text(spec, "controller");
    kind_validate(object, problems);
    if (controller[0] == '\0') {
        kind_require("spec.controller", problems);
    } else {
        validate_controller(controller, problems);
    }
    if (json_member(spec, "parameters") != NULL) {
        validate_parameters(json_member(spec, "parameters"), problems);
    }
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    const char *before = json_member_text(json_member(old, "spec"), "controller");
    const char *after = json_member_text(json_member(object, "spec"), "controller");
    size_t others = problems->count;
    if (strcmp(before, after) != 0) {
        refuse_value(problems, "spec.controller", after, "field is immutable");
    }
    kind_tell_first(problems, others);
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

static const struct field parameters_fields[] = {
    {"apiGroup", FIELD_TEXT, 1, false, NULL}, {"kind", FIELD_TEXT, 2, false, NULL},
    {"name", FIELD_TEXT, 3, false, NULL},     {"namespace", FIELD_TEXT, 5, false, NULL},
    {"scope", FIELD_TEXT, 4, false, NULL},
};
static const struct schema schema_parameters = {
    "IngressClassParametersReference", parameters_fields, SCHEMA_COUNT(parameters_fields), false};

static const struct field spec_fields[] = {
    {"controller", FIELD_TEXT, 1, false, NULL},
    {"parameters", FIELD_OBJECT, 2, false, &schema_parameters},
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
    .fill_defaults = fill_defaults,
    .validate = validate,
    .validate_update = validate_update,
};
