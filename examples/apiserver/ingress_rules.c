/* ingress_rules.c: what an Ingress may say; fields, texts and their order are kube-apiserver's
 * (pkg/apis/networking/validation). */
#include "ingress_rules.h"

#include <stdio.h>
#include <string.h>

static void validate_reference(struct json_object *reference, const char *field,
                               ipalloc_service_problems *problems) {
    const char *group = json_member_text(reference, "apiGroup");
    char at[192];
    if (group[0] != '\0') {
        snprintf(at, sizeof at, "%s.apiGroup", field);
        check_subdomain(at, group, problems);
    }
    snprintf(at, sizeof at, "%s.kind", field);
    kind_check_path_segment(at, json_member_text(reference, "kind"), problems);
    snprintf(at, sizeof at, "%s.name", field);
    kind_check_path_segment(at, json_member_text(reference, "name"), problems);
}

static void validate_service(struct json_object *service, const char *field,
                             ipalloc_service_problems *problems) {
    struct json_object *port = json_member(service, "port");
    const char *name = json_member_text(port, "name");
    int64_t number = json_member_number(port, "number", 0);
    char at[160];
    snprintf(at, sizeof at, "%s.service.name", field);
    if (json_member_text(service, "name")[0] == '\0') {
        kind_require(at, problems);
    } else {
        check_service_name(at, json_member_text(service, "name"), problems);
    }
    if (name[0] != '\0' && number != 0) {
        refuse_value(problems, field, "", "cannot set both port name & port number");
    } else if (name[0] != '\0') {
        snprintf(at, sizeof at, "%s.service.port.name", field);
        check_port_name(at, name, problems);
    } else if (number != 0) {
        snprintf(at, sizeof at, "%s.service.port.number", field);
        kind_check_port(at, number, problems);
    } else {
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: port name or number is required");
    }
}

static void validate_backend(struct json_object *backend, const char *field,
                             ipalloc_service_problems *problems) {
    struct json_object *service = json_member(backend, "service");
    struct json_object *resource = json_member(backend, "resource");
    if (service != NULL && resource != NULL) {
        refuse_value(problems, field, "", "cannot set both resource and service backends");
    } else if (service != NULL) {
        validate_service(service, field, problems);
    } else if (resource != NULL) {
        char at[160];
        snprintf(at, sizeof at, "%s.resource", field);
        validate_reference(resource, at, problems);
    } else {
        refuse_value(problems, field, "", "resource or service backend is required");
    }
}

static void refuse_part(const char *field, const char *path, const char *rule, const char *part,
                        ipalloc_service_problems *problems) {
    char words[40];
    snprintf(words, sizeof words, "%s '%s'", rule, part);
    refuse_value(problems, field, path, words);
}

/* What nginx and its clients would read as another path than the one that is written. */
static void validate_parts(const char *path, const char *field,
                           ipalloc_service_problems *problems) {
    static const char *const parts[] = {"//", "/./", "/../", "%2f", "%2F"};
    static const char *const ends[] = {"/..", "/."};
    size_t length = strlen(path);
    for (size_t i = 0; i < SCHEMA_COUNT(parts); i++) {
        if (strstr(path, parts[i]) != NULL) {
            refuse_part(field, path, "must not contain", parts[i], problems);
        }
    }
    for (size_t i = 0; i < SCHEMA_COUNT(ends); i++) {
        size_t size = strlen(ends[i]);
        if (length >= size && strcmp(path + length - size, ends[i]) == 0) {
            refuse_part(field, path, "cannot end with", ends[i], problems);
        }
    }
}

static void validate_path(struct json_object *path, const char *field,
                          ipalloc_service_problems *problems) {
    static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
    const char *type = json_member_text(path, "pathType");
    const char *text = json_member_text(path, "path");
    bool literal = strcmp(type, "Exact") == 0 || strcmp(type, "Prefix") == 0;
    bool own = strcmp(type, "ImplementationSpecific") == 0;
    char at[160];
    snprintf(at, sizeof at, "%s.pathType", field);
    if (json_member(path, "pathType") == NULL) {
        problem_add(problems, "FieldValueRequired", at,
                    "Required value: pathType must be specified");
        return;
    }
    kind_check_choice(at, type, types, problems);
    snprintf(at, sizeof at, "%s.path", field);
    if (text[0] != '/' && (literal || (own && text[0] != '\0'))) {
        refuse_value(problems, at, text, "must be an absolute path");
    }
    if (literal) {
        validate_parts(text, at, problems);
    }
    snprintf(at, sizeof at, "%s.backend", field);
    validate_backend(json_member(path, "backend"), at, problems);
}

static void validate_name(const char *host, const char *field, ipalloc_service_problems *problems) {
    if (strchr(host, '*') != NULL) {
        check_wildcard_subdomain(field, host, problems);
    } else {
        check_subdomain(field, host, problems);
    }
}

static void refuse_address(const char *host, const char *field,
                           ipalloc_service_problems *problems) {
    ipalloc_addr address;
    if (ipalloc_addr_parse_legacy(host, strlen(host), &address, NULL, NULL) == IPALLOC_OK) {
        refuse_value(problems, field, host, "must be a DNS name, not an IP address");
    }
}

static void validate_rules(struct json_object *rules, ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(rules); i++) {
        struct json_object *rule = json_object_array_get_idx(rules, i);
        struct json_object *http = json_member(rule, "http");
        struct json_object *paths = json_member(http, "paths");
        const char *host = json_member_text(rule, "host");
        char field[96];
        snprintf(field, sizeof field, "spec.rules[%zu].host", i);
        if (host[0] != '\0') {
            refuse_address(host, field, problems);
            validate_name(host, field, problems);
        }
        if (http != NULL && json_length(paths) == 0) {
            snprintf(field, sizeof field, "spec.rules[%zu].http.paths", i);
            kind_require(field, problems);
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
            validate_name(json_object_get_string(json_object_array_get_idx(hosts, j)), field,
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
    struct json_object *rules = json_member(spec, "rules");
    if (backend == NULL && json_length(rules) == 0) {
        problem_add(problems, "FieldValueInvalid", "spec",
                    "Invalid value: %s: either `defaultBackend` or `rules` must be specified",
                    rules != NULL ? "[]" : "null");
    }
    if (backend != NULL) {
        validate_backend(backend, "spec.defaultBackend", problems);
    }
    validate_rules(rules, problems);
    validate_tls(json_member(spec, "tls"), problems);
    if (json_member(spec, "ingressClassName") != NULL) {
        check_subdomain("spec.ingressClassName", json_member_text(spec, "ingressClassName"),
                        problems);
    }
}

void ingress_validate(struct json_object *object, ipalloc_service_problems *problems) {
    kind_validate(object, problems);
    validate_spec(object, problems);
}

void ingress_validate_status(struct json_object *old, struct json_object *object,
                             ipalloc_service_problems *problems) {
    struct json_object *points = json_at(object, "status", "loadBalancer", "ingress", NULL);
    (void)old;
    for (size_t i = 0; i < json_length(points); i++) {
        struct json_object *point = json_object_array_get_idx(points, i);
        const char *ip = json_member_text(point, "ip");
        const char *name = json_member_text(point, "hostname");
        char field[96];
        if (ip[0] != '\0') {
            snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].ip", i);
            kind_check_address(field, ip, 0, problems);
        }
        if (name[0] != '\0') {
            snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].hostname", i);
            check_subdomain(field, name, problems);
            refuse_address(name, field, problems);
        }
    }
}

void ingress_judge(struct server *server, struct json_object *old, struct json_object *object,
                   ipalloc_service_problems *problems) {
    struct json_object *annotations = json_at(object, "metadata", "annotations", NULL);
    struct json_object *spec = json_member(object, "spec");
    const char *former = json_member_text(annotations, INGRESS_CLASS_ANNOTATION);
    (void)server;
    if (old == NULL && json_member(annotations, INGRESS_CLASS_ANNOTATION) != NULL &&
        json_member(spec, "ingressClassName") != NULL &&
        strcmp(former, json_member_text(spec, "ingressClassName")) != 0) {
        refuse_value(problems, "annotations." INGRESS_CLASS_ANNOTATION, former,
                     "must match `ingressClassName` when both are specified");
    }
}
