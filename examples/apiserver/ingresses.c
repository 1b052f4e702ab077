/* ingresses.c: the kind Ingress: HTTP from outside, by host and path, to Services. Its rules are in
 * ingress_rules.c. */
#include "ingress_rules.h"
#include "record.h"

#include <stdio.h>
#include <string.h>

/* --- the class of those that name none -------------------------------------------------------- */

#define DEFAULT_CLASS "ingressclass.kubernetes.io/is-default-class"

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
        json_at(change->object, "metadata", "annotations", INGRESS_CLASS_ANNOTATION, NULL);
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

static const struct field reference_fields[] = {
    {"apiGroup", FIELD_TEXT, 1, false, NULL},
    {"kind", FIELD_TEXT, 2, false, NULL},
    {"name", FIELD_TEXT, 3, false, NULL},
};
static const struct schema schema_reference = {"TypedLocalObjectReference", reference_fields,
                                               SCHEMA_COUNT(reference_fields), false};

static const struct field backend_fields[] = {
    {"resource", FIELD_OBJECT, 3, false, &schema_reference},
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
    .validate = ingress_validate,
    .validate_update = ingress_validate_status,
    .judge = ingress_judge,
    .create = set_class,
};
