/*
 * pods.c: the kind Pod: enough of it to be selected by a Service. What else a manifest says is kept
 * as it is: no kubelet here runs it.
 *
 * A Pod on a node that is deleted ends when its grace period is over, so that its connections can
 * end meanwhile: endpoint_keeper.c removes it then.
 */
#include "condition.h"
#include "kinds.h"

#include <stdio.h>
#include <string.h>

#define GRACE_DEFAULT_S 30

/* --- rules ------------------------------------------------------------------------------------ */

static void fill_defaults(struct json_object *object) {
    struct json_object *spec = json_ensure(object, "spec");
    struct json_object *containers = json_member(spec, "containers");
    if (json_member(spec, "terminationGracePeriodSeconds") == NULL) {
        json_set_number(spec, "terminationGracePeriodSeconds", GRACE_DEFAULT_S);
    }
    if (json_member(spec, "restartPolicy") == NULL) {
        json_set_text(spec, "restartPolicy", "Always");
    }
    for (size_t i = 0; i < json_length(containers); i++) {
        kind_default_protocols(json_member(json_object_array_get_idx(containers, i), "ports"));
    }
    struct json_object *status = json_ensure(object, "status");
    if (json_member(status, "phase") == NULL) {
        json_set_text(status, "phase", "Pending");
    }
}

static void validate_port(struct json_object *port, const char *path, struct json_object *names,
                          ipalloc_service_problems *problems) {
    const char *name = json_member_text(port, "name");
    int64_t number = json_member_number(port, "containerPort", 0);
    int64_t host = json_member_number(port, "hostPort", 0);
    size_t before = problems->count;
    char field[96];
    if (name[0] != '\0') {
        snprintf(field, sizeof field, "%s.name", path);
        check_port_name(field, name, problems);
        if (problems->count == before && kind_seen(names, name)) {
            kind_duplicate(field, name, problems);
        }
    }
    snprintf(field, sizeof field, "%s.containerPort", path);
    if (number == 0) {
        kind_require(field, problems);
    } else {
        kind_check_port(field, number, problems);
    }
    if (host != 0) {
        snprintf(field, sizeof field, "%s.hostPort", path);
        kind_check_port(field, host, problems);
    }
    snprintf(field, sizeof field, "%s.protocol", path);
    kind_check_protocol(field, json_member_text(port, "protocol"), problems);
}

static void validate_container(struct json_object *container, size_t index,
                               struct json_object *names, ipalloc_service_problems *problems) {
    struct json_object *ports = json_member(container, "ports");
    struct json_object *port_names = json_object_new_object();
    const char *name = json_member_text(container, "name");
    char field[80];
    char name_field[80];
    snprintf(name_field, sizeof name_field, "spec.containers[%zu].name", index);
    if (name[0] == '\0') {
        kind_require(name_field, problems);
    } else {
        kind_check_label(name_field, name, problems);
    }
    for (size_t i = 0; i < json_length(ports); i++) {
        snprintf(field, sizeof field, "spec.containers[%zu].ports[%zu]", index, i);
        validate_port(json_object_array_get_idx(ports, i), field, port_names, problems);
    }
    if (kind_seen(names, name)) {
        kind_duplicate(name_field, name, problems);
    }
    json_object_put(port_names);
}

static void validate_containers(struct json_object *containers,
                                ipalloc_service_problems *problems) {
    struct json_object *names = json_object_new_object();
    if (json_length(containers) == 0) {
        kind_require("spec.containers", problems);
    }
    for (size_t i = 0; i < json_length(containers); i++) {
        validate_container(json_object_array_get_idx(containers, i), i, names, problems);
    }
    json_object_put(names);
}

/* It becomes an endpoint as it is: one that no slice takes would keep a Service's other Pods out of
 * the slice as well. */
static void validate_address(const char *field, const char *value,
                             ipalloc_service_problems *problems) {
    kind_check_address(field, value, 0, problems);
    kind_check_reachable(field, value, problems);
}

static void validate_status(struct json_object *status, ipalloc_service_problems *problems) {
    struct json_object *addresses = json_member(status, "podIPs");
    if (json_member_text(status, "podIP")[0] != '\0') {
        validate_address("status.podIP", json_member_text(status, "podIP"), problems);
    }
    for (size_t i = 0; i < json_length(addresses); i++) {
        char field[40];
        snprintf(field, sizeof field, "status.podIPs[%zu].ip", i);
        validate_address(field, json_member_text(json_object_array_get_idx(addresses, i), "ip"),
                         problems);
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    static const char *const policies[] = {"Always", "OnFailure", "Never", NULL};
    struct json_object *spec = json_member(object, "spec");
    const char *node = json_member_text(spec, "nodeName");
    int64_t grace = json_member_number(spec, "terminationGracePeriodSeconds", 0);
    kind_validate(object, problems);
    validate_containers(json_member(spec, "containers"), problems);
    kind_check_choice("spec.restartPolicy", json_member_text(spec, "restartPolicy"), policies,
                      problems);
    check_labels("spec.nodeSelector", json_member(spec, "nodeSelector"), problems);
    if (node[0] != '\0') {
        check_subdomain("spec.nodeName", node, problems);
    }
    if (grace < 0) {
        problem_add(problems, "FieldValueInvalid", "spec.terminationGracePeriodSeconds",
                    "Invalid value: %lld: must be greater than or equal to 0", (long long)grace);
    }
    validate_status(json_member(object, "status"), problems);
}

/* A copy of the spec without what an update may change. */
static struct json_object *fixed_part(struct json_object *object) {
    static const char *const lists[] = {"containers", "initContainers"};
    struct json_object *spec = json_copy(json_member(object, "spec"));
    for (size_t i = 0; i < SCHEMA_COUNT(lists); i++) {
        struct json_object *containers = json_member(spec, lists[i]);
        for (size_t j = 0; j < json_length(containers); j++) {
            json_remove(json_object_array_get_idx(containers, j), "image");
        }
    }
    json_remove(spec, "activeDeadlineSeconds");
    json_remove(spec, "schedulingGates");
    json_remove(spec, "tolerations");
    return spec;
}

/* Who routes to a Pod has read its spec once. */
static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    struct json_object *before = fixed_part(old);
    struct json_object *after = fixed_part(object);
    if (json_length(json_member(before, "containers")) !=
        json_length(json_member(after, "containers"))) {
        problem_add(problems, "FieldValueForbidden", "spec.containers",
                    "Forbidden: pod updates may not add or remove containers");
    } else if (!json_object_equal(before, after)) {
        problem_add(problems, "FieldValueForbidden", "spec",
                    "Forbidden: pod updates may not change fields other than "
                    "`spec.containers[*].image`,`spec.initContainers[*].image`,"
                    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if "
                    "it was previously negative)");
    }
    json_object_put(before);
    json_object_put(after);
}

/* Without a node nothing runs that would have to end. */
static int64_t grace_of(struct json_object *object, int64_t asked) {
    struct json_object *spec = json_member(object, "spec");
    const char *phase = json_member_text(json_member(object, "status"), "phase");
    if (json_member_text(spec, "nodeName")[0] == '\0' || strcmp(phase, "Succeeded") == 0 ||
        strcmp(phase, "Failed") == 0) {
        return 0;
    }
    return asked >= 0 ? asked
                      : json_member_number(spec, "terminationGracePeriodSeconds", GRACE_DEFAULT_S);
}

/* --- columns ---------------------------------------------------------------------------------- */

static void ready_cell(struct text *out, struct json_object *object) {
    size_t all = json_length(json_at(object, "spec", "containers", NULL));
    struct json_object *states = json_at(object, "status", "containerStatuses", NULL);
    size_t ready = states == NULL && condition_is_true(object, "Ready") ? all : 0;
    for (size_t i = 0; i < json_length(states); i++) {
        ready += json_member_truth(json_object_array_get_idx(states, i), "ready", false);
    }
    text_format(out, "%zu/%zu", ready, all);
}

static void status_cell(struct text *out, struct json_object *object) {
    struct json_object *status = json_member(object, "status");
    const char *reason = json_member_text(status, "reason");
    if (json_at(object, "metadata", "deletionTimestamp", NULL) != NULL) {
        text_add(out, "Terminating");
    } else {
        text_add(out, reason[0] != '\0' ? reason : json_member_text(status, "phase"));
    }
}

static void restarts_cell(struct text *out, struct json_object *object) {
    struct json_object *states = json_at(object, "status", "containerStatuses", NULL);
    int64_t restarts = 0;
    for (size_t i = 0; i < json_length(states); i++) {
        restarts += json_member_number(json_object_array_get_idx(states, i), "restartCount", 0);
    }
    text_format(out, "%lld", (long long)restarts);
}

static void ip_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "status"), "podIP"));
}

static void node_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "spec"), "nodeName"));
}

static const struct column columns[] = {
    {"Name", "string", "name", "The Pod's name.", 0, cell_name},
    {"Ready", "string", "", "Containers that are ready, of all.", 0, ready_cell},
    {"Status", "string", "", "Its phase, or why it is not running.", 0, status_cell},
    {"Restarts", "string", "", "How often its containers were started again.", 0, restarts_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
    {"IP", "string", "", "Its address.", 1, ip_cell},
    {"Node", "string", "", "Where it runs.", 1, node_cell},
};

/* --- fields: those that somebody here looks at, or that kubectl sends in protobuf --------------
 */

static const struct field port_fields[] = {
    {"containerPort", FIELD_INT32, 3, false, NULL}, {"hostIP", FIELD_TEXT, 5, false, NULL},
    {"hostPort", FIELD_INT32, 2, false, NULL},      {"name", FIELD_TEXT, 1, false, NULL},
    {"protocol", FIELD_TEXT, 4, false, NULL},
};
static const struct schema schema_port = {"ContainerPort", port_fields, SCHEMA_COUNT(port_fields),
                                          true};

static const struct field env_fields[] = {
    {"name", FIELD_TEXT, 1, false, NULL},
    {"value", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_env = {"EnvVar", env_fields, SCHEMA_COUNT(env_fields), true};

static const struct field container_fields[] = {
    {"args", FIELD_TEXT_LIST, 4, false, NULL},
    {"command", FIELD_TEXT_LIST, 3, false, NULL},
    {"env", FIELD_OBJECT_LIST, 7, false, &schema_env},
    {"image", FIELD_TEXT, 2, false, NULL},
    {"imagePullPolicy", FIELD_TEXT, 14, false, NULL},
    {"name", FIELD_TEXT, 1, false, NULL},
    {"ports", FIELD_OBJECT_LIST, 6, false, &schema_port},
    {"workingDir", FIELD_TEXT, 5, false, NULL},
};
static const struct schema schema_container = {"Container", container_fields,
                                               SCHEMA_COUNT(container_fields), true};

static const struct field spec_fields[] = {
    {"containers", FIELD_OBJECT_LIST, 2, false, &schema_container},
    {"dnsPolicy", FIELD_TEXT, 6, false, NULL},
    {"hostNetwork", FIELD_TRUTH, 11, false, NULL},
    {"nodeName", FIELD_TEXT, 10, false, NULL},
    {"nodeSelector", FIELD_TEXT_MAP, 7, false, NULL},
    {"restartPolicy", FIELD_TEXT, 3, false, NULL},
    {"serviceAccountName", FIELD_TEXT, 8, false, NULL},
    {"terminationGracePeriodSeconds", FIELD_INT64, 4, true, NULL},
};
static const struct schema schema_spec = {"PodSpec", spec_fields, SCHEMA_COUNT(spec_fields), true};

static const struct field ip_fields[] = {
    {"ip", FIELD_TEXT, 1, false, NULL},
};
static const struct schema schema_ip = {"PodIP", ip_fields, SCHEMA_COUNT(ip_fields), false};

static const struct field status_fields[] = {
    {"conditions", FIELD_OBJECT_LIST, 2, false, &schema_open_condition},
    {"phase", FIELD_TEXT, 1, false, NULL},
    {"podIP", FIELD_TEXT, 6, false, NULL},
    {"podIPs", FIELD_OBJECT_LIST, 12, false, &schema_ip},
    {"reason", FIELD_TEXT, 4, false, NULL},
};
static const struct schema schema_status = {"PodStatus", status_fields, SCHEMA_COUNT(status_fields),
                                            true};

static const struct field fields[] = {
    KIND_FIELDS,
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
static const struct schema schema = {"Pod", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"po", NULL};
static const char *const categories[] = {"all", NULL};
static const char *const selectable[] = {"spec.nodeName", "status.phase", "status.podIP", NULL};

const struct resource resource_pods = {
    .group = "",
    .version = "v1",
    .kind = "Pod",
    .plural = "pods",
    .singular = "pod",
    .short_names = short_names,
    .categories = categories,
    .namespaced = true,
    .has_status = true,
    .shows_deleted = true,
    .verbs = VERB_ALL,
    .record_prefix = "pods/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .selectable = selectable,
    .fill_defaults = fill_defaults,
    .validate = validate,
    .validate_update = validate_update,
    .grace = grace_of,
};
