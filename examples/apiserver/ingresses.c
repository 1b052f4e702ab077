/* ingresses.c: the kind Ingress: HTTP from outside, by host and path, to Services. */
#include "kinds.h"
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- rules; fields and texts are kube-apiserver's (pkg/apis/networking/validation) --------------
 */

static void validate_backend(struct json_object *backend, const char *field,
                             ipalloc_service_problems *problems) {
    struct json_object *service = json_member(backend, "service");
    struct json_object *port = json_member(service, "port");
    char at[160];
    if (service == NULL || json_member(backend, "resource") != NULL) {
        if (json_member(backend, "resource") == NULL) {
            problem_add(problems, "FieldValueRequired", field,
                        "Required value: service or resource must be given");
        } else if (service != NULL) {
            refuse_value(problems, field, "", "cannot set both resource and service backends");
        }
        return;
    }
    snprintf(at, sizeof at, "%s.service.name", field);
    if (json_member_text(service, "name")[0] == '\0') {
        problem_add(problems, "FieldValueRequired", at, "Required value");
    } else {
        check_service_name(at, json_member_text(service, "name"), problems);
    }
    const char *name = json_member_text(port, "name");
    int64_t number = json_member_number(port, "number", 0);
    snprintf(at, sizeof at, "%s.service.port", field);
    if (name[0] != '\0' && number != 0) {
        refuse_value(problems, at, name, "cannot set both port name & port number");
    } else if (name[0] != '\0') {
        snprintf(at, sizeof at, "%s.service.port.name", field);
        check_port_name(at, name, problems);
    } else if (number != 0) {
        snprintf(at, sizeof at, "%s.service.port.number", field);
        kind_check_port(at, number, problems);
    } else {
        problem_add(problems, "FieldValueRequired", at,
                    "Required value: port name or number is required");
    }
}

static bool has_wrong_parts(const char *path) {
    static const char *const parts[] = {"//", "/./", "/../", "%2f", "%2F"};
    size_t length = strlen(path);
    for (size_t i = 0; i < SCHEMA_COUNT(parts); i++) {
        if (strstr(path, parts[i]) != NULL) {
            return true;
        }
    }
    return (length >= 3 && strcmp(path + length - 3, "/..") == 0) ||
           (length >= 2 && strcmp(path + length - 2, "/.") == 0);
}

static void validate_path(struct json_object *path, const char *field,
                          ipalloc_service_problems *problems) {
    static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
    const char *type = json_member_text(path, "pathType");
    const char *text = json_member_text(path, "path");
    char at[160];
    snprintf(at, sizeof at, "%s.pathType", field);
    if (type[0] == '\0') {
        problem_add(problems, "FieldValueRequired", at,
                    "Required value: pathType must be specified");
    } else {
        kind_check_choice(at, type, types, problems);
    }
    snprintf(at, sizeof at, "%s.path", field);
    bool own = strcmp(type, "ImplementationSpecific") == 0;
    if (text[0] != '/' && (text[0] != '\0' || !own)) {
        refuse_value(problems, at, text, "must be an absolute path");
    } else if (!own && has_wrong_parts(text)) {
        refuse_value(problems, at, text,
                     "must not contain '//', '/./', '/../', '%2f' or '%2F', nor end with '/..' or "
                     "'/.'");
    }
    snprintf(at, sizeof at, "%s.backend", field);
    validate_backend(json_member(path, "backend"), at, problems);
}

/* "*.example.com" stands for one label in place of the star. */
static void validate_host(const char *host, const char *field, ipalloc_service_problems *problems) {
    ipalloc_addr address;
    if (host[0] == '\0') {
        return;
    }
    if (ipalloc_addr_parse(host, strlen(host), &address, NULL) == IPALLOC_OK) {
        refuse_value(problems, field, host, "must be a DNS name, not an IP address");
    } else if (text_starts_with(host, "*.")) {
        check_subdomain(field, host + 2, problems);
    } else {
        check_subdomain(field, host, problems);
    }
}

static void validate_rules(struct json_object *rules, ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(rules); i++) {
        struct json_object *rule = json_object_array_get_idx(rules, i);
        struct json_object *http = json_member(rule, "http");
        struct json_object *paths = json_member(http, "paths");
        char field[96];
        snprintf(field, sizeof field, "spec.rules[%zu].host", i);
        validate_host(json_member_text(rule, "host"), field, problems);
        if (http != NULL && json_length(paths) == 0) {
            snprintf(field, sizeof field, "spec.rules[%zu].http.paths", i);
            problem_add(problems, "FieldValueRequired", field, "Required value");
        }
        for (size_t j = 0; j < json_length(paths); j++) {
            snprintf(field, sizeof field, "spec.rules[%zu].http.paths[%zu]", i, j);
            validate_path(json_object_array_get_idx(paths, j), field, problems);
        }
    }
}

static void validate_tls(struct json_object *tls, ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(tls); i++) {
        struct json_object *entry = json_object_array_get_idx(tls, i);
        struct json_object *hosts = json_member(entry, "hosts");
        const char *secret = json_member_text(entry, "secretName");
        char field[96];
        for (size_t j = 0; j < json_length(hosts); j++) {
            snprintf(field, sizeof field, "spec.tls[%zu].hosts[%zu]", i, j);
            validate_host(json_object_get_string(json_object_array_get_idx(hosts, j)), field,
                          problems);
        }
        if (secret[0] != '\0') {
            snprintf(field, sizeof field, "spec.tls[%zu].secretName", i);
            check_subdomain(field, secret, problems);
        }
    }
}

static void validate_spec(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *spec = json_member(object, "spec");
    struct json_object *backend = json_member(spec, "defaultBackend");
    if (backend == NULL && json_length(json_member(spec, "rules")) == 0) {
        problem_add(problems, "FieldValueInvalid", "spec",
                    "Invalid value: %.200s: either `defaultBackend` or `rules` must be specified",
                    spec != NULL ? json_line(spec, NULL) : "{}");
    }
    if (backend != NULL) {
        validate_backend(backend, "spec.defaultBackend", problems);
    }
    validate_rules(json_member(spec, "rules"), problems);
    validate_tls(json_member(spec, "tls"), problems);
    if (json_member_text(spec, "ingressClassName")[0] != '\0') {
        check_subdomain("spec.ingressClassName", json_member_text(spec, "ingressClassName"),
                        problems);
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    kind_validate(object, problems);
    validate_spec(object, problems);
}

static void validate_status(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    struct json_object *points = json_at(object, "status", "loadBalancer", "ingress", NULL);
    (void)old;
    for (size_t i = 0; i < json_length(points); i++) {
        const char *ip = json_member_text(json_object_array_get_idx(points, i), "ip");
        char field[96];
        snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].ip", i);
        if (ip[0] != '\0') {
            kind_check_address(field, ip, 0, problems);
        }
    }
}

/* --- the class of those that name none -------------------------------------------------------- */

#define DEFAULT_CLASS   "ingressclass.kubernetes.io/is-default-class"
#define OLD_CLASS_NAMED "kubernetes.io/ingress.class"

struct finding {
    struct server *server;
    char born[MOMENT_TEXT];
    char name[256];
};

/* The newest of those that say so. */
static int see_class(void *context, const ipalloc_entry *entry) {
    struct finding *finding = context;
    ipalloc_error error = {0};
    struct json_object *class = record_parse(finding->server, entry, &error);
    struct json_object *metadata = json_member(class, "metadata");
    struct json_object *annotations = json_member(metadata, "annotations");
    const char *born = json_member_text(metadata, "creationTimestamp");
    if (strcmp(json_member_text(annotations, DEFAULT_CLASS), "true") == 0 &&
        strcmp(born, finding->born) >= 0) {
        snprintf(finding->born, sizeof finding->born, "%s", born);
        snprintf(finding->name, sizeof finding->name, "%s", json_member_text(metadata, "name"));
    }
    json_object_put(class);
    return IPALLOC_OK;
}

static int set_class(ipalloc_txn *txn, const struct object_change *change, ipalloc_error *error) {
    struct json_object *spec = json_member(change->object, "spec");
    struct json_object *old =
        json_at(change->object, "metadata", "annotations", OLD_CLASS_NAMED, NULL);
    (void)txn;
    if (spec == NULL || json_member(spec, "ingressClassName") != NULL || old != NULL) {
        return IPALLOC_OK;
    }
    /* Of the store, not of the hub: a class that was made a moment ago counts. */
    struct finding finding = {.server = change->server};
    int status =
        ipalloc_record_scan(change->server->registry, resource_ingress_classes.record_prefix, NULL,
                            0, see_class, &finding, NULL, error);
    if (status == IPALLOC_OK && finding.name[0] != '\0') {
        json_set_text(spec, "ingressClassName", finding.name);
    }
    return status;
}

/* --- columns ---------------------------------------------------------------------------------- */

static void class_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "spec"), "ingressClassName"));
}

static void hosts_cell(struct text *out, struct json_object *object) {
    struct json_object *rules = json_at(object, "spec", "rules", NULL);
    for (size_t i = 0; i < json_length(rules); i++) {
        const char *host = json_member_text(json_object_array_get_idx(rules, i), "host");
        if (host[0] != '\0') {
            cell_listed(out, host);
        }
    }
    if (out->size == 0) {
        text_add(out, "*");
    }
}

static void address_cell(struct text *out, struct json_object *object) {
    struct json_object *points = json_at(object, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(points); i++) {
        struct json_object *point = json_object_array_get_idx(points, i);
        const char *ip = json_member_text(point, "ip");
        cell_listed(out, ip[0] != '\0' ? ip : json_member_text(point, "hostname"));
    }
    if (out->size == 0) {
        text_add(out, " ");
    }
}

static void ports_cell(struct text *out, struct json_object *object) {
    text_add(out, json_length(json_at(object, "spec", "tls", NULL)) > 0 ? "80, 443" : "80");
}

static const struct column columns[] = {
    {"Name", "string", "name", "The Ingress' name.", 0, cell_name},
    {"Class", "string", "", "Which controller serves it.", 0, class_cell},
    {"Hosts", "string", "", "Names that it answers to.", 0, hosts_cell},
    {"Address", "string", "", "Where it is served.", 0, address_cell},
    {"Ports", "string", "", "And at which ports.", 0, ports_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

/* --- fields ----------------------------------------------------------------------------------- */

static const struct field backend_port_fields[] = {
    {"name", FIELD_TEXT, 1, false, NULL},
    {"number", FIELD_INT32, 2, false, NULL},
};
static const struct schema schema_backend_port = {"ServiceBackendPort", backend_port_fields,
                                                  SCHEMA_COUNT(backend_port_fields), false};

static const struct field backend_service_fields[] = {
    {"name", FIELD_TEXT, 1, false, NULL},
    {"port", FIELD_OBJECT, 2, false, &schema_backend_port},
};
static const struct schema schema_backend_service = {
    "IngressServiceBackend", backend_service_fields, SCHEMA_COUNT(backend_service_fields), false};

static const struct field backend_fields[] = {
    {"resource", FIELD_FREE, 0, false, NULL},
    {"service", FIELD_OBJECT, 4, false, &schema_backend_service},
};
static const struct schema schema_backend = {"IngressBackend", backend_fields,
                                             SCHEMA_COUNT(backend_fields), false};

static const struct field path_fields[] = {
    {"backend", FIELD_OBJECT, 2, false, &schema_backend},
    {"path", FIELD_TEXT, 1, false, NULL},
    {"pathType", FIELD_TEXT, 3, false, NULL},
};
static const struct schema schema_path = {"HTTPIngressPath", path_fields, SCHEMA_COUNT(path_fields),
                                          false};

static const struct field http_fields[] = {
    {"paths", FIELD_OBJECT_LIST, 1, false, &schema_path},
};
static const struct schema schema_http = {"HTTPIngressRuleValue", http_fields,
                                          SCHEMA_COUNT(http_fields), false};

static const struct field rule_value_fields[] = {
    {"http", FIELD_OBJECT, 1, false, &schema_http},
};
static const struct schema schema_rule_value = {"IngressRuleValue", rule_value_fields,
                                                SCHEMA_COUNT(rule_value_fields), false};

static const struct field rule_fields[] = {
    {"host", FIELD_TEXT, 1, false, NULL},
    {"http", FIELD_OBJECT, 0, false, &schema_http},
    {"", FIELD_INLINE, 2, false, &schema_rule_value},
};
static const struct schema schema_rule = {"IngressRule", rule_fields, SCHEMA_COUNT(rule_fields),
                                          false};

static const struct field tls_fields[] = {
    {"hosts", FIELD_TEXT_LIST, 1, false, NULL},
    {"secretName", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_tls = {"IngressTLS", tls_fields, SCHEMA_COUNT(tls_fields), false};

static const struct field spec_fields[] = {
    {"defaultBackend", FIELD_OBJECT, 1, false, &schema_backend},
    {"ingressClassName", FIELD_TEXT, 4, false, NULL},
    {"rules", FIELD_OBJECT_LIST, 3, false, &schema_rule},
    {"tls", FIELD_OBJECT_LIST, 2, false, &schema_tls},
};
static const struct schema schema_spec = {"IngressSpec", spec_fields, SCHEMA_COUNT(spec_fields),
                                          false};

static const struct field point_fields[] = {
    {"hostname", FIELD_TEXT, 2, false, NULL},
    {"ip", FIELD_TEXT, 1, false, NULL},
};
static const struct schema schema_point = {"IngressLoadBalancerIngress", point_fields,
                                           SCHEMA_COUNT(point_fields), true};

static const struct field balancer_fields[] = {
    {"ingress", FIELD_OBJECT_LIST, 1, false, &schema_point},
};
static const struct schema schema_balancer = {"IngressLoadBalancerStatus", balancer_fields,
                                              SCHEMA_COUNT(balancer_fields), false};

static const struct field status_fields[] = {
    {"loadBalancer", FIELD_OBJECT, 1, false, &schema_balancer},
};
static const struct schema schema_status = {"IngressStatus", status_fields,
                                            SCHEMA_COUNT(status_fields), false};

static const struct field fields[] = {
    KIND_FIELDS,
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
static const struct schema schema = {"Ingress", fields, SCHEMA_COUNT(fields), false};

static const char *const short_names[] = {"ing", NULL};

const struct resource resource_ingresses = {
    .group = "networking.k8s.io",
    .version = "v1",
    .kind = "Ingress",
    .plural = "ingresses",
    .singular = "ingress",
    .short_names = short_names,
    .namespaced = true,
    .has_status = true,
    .verbs = VERB_ALL,
    .record_prefix = "ingresses/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .validate = validate,
    .validate_update = validate_status,
    .create = set_class,
};
