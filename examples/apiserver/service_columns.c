/* service_columns.c: NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR. */
#include "services.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_listed(struct text *out, const char *words) {
    text_format(out, "%s%s", out->size > 0 ? "," : "", words);
}

static void add_texts(struct text *out, struct json_object *list) {
    for (size_t i = 0; i < json_length(list); i++) {
        add_listed(out, json_object_get_string(json_object_array_get_idx(list, i)));
    }
}

static void add_ingress(struct text *out, struct json_object *service) {
    struct json_object *ingress = json_at(service, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(ingress); i++) {
        struct json_object *point = json_object_array_get_idx(ingress, i);
        const char *ip = json_member_text(point, "ip");
        add_listed(out, ip[0] != '\0' ? ip : json_member_text(point, "hostname"));
    }
}

static void external_cell(struct text *out, struct json_object *service) {
    struct json_object *spec = json_member(service, "spec");
    const char *type = json_member_text(spec, "type");
    if (strcmp(type, "ExternalName") == 0) {
        text_add(out, json_member_text(spec, "externalName"));
        return;
    }
    bool balanced = strcmp(type, "LoadBalancer") == 0;
    if (balanced) {
        add_ingress(out, service);
    }
    add_texts(out, json_member(spec, "externalIPs"));
    if (out->size == 0 && balanced) {
        text_add(out, "<pending>");
    }
}

static void ports_cell(struct text *out, struct json_object *service) {
    struct json_object *ports = json_at(service, "spec", "ports", NULL);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        int64_t node_port = json_member_number(port, "nodePort", 0);
        text_format(out, "%s%" PRId64, i > 0 ? "," : "", json_member_number(port, "port", 0));
        if (node_port > 0) {
            text_format(out, ":%" PRId64, node_port);
        }
        text_format(out, "/%s", json_member_text(port, "protocol"));
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void selector_cell(struct text *out, struct json_object *service) {
    struct json_object *selector = json_at(service, "spec", "selector", NULL);
    if (!json_object_is_type(selector, json_type_object) ||
        json_object_object_length(selector) == 0) {
        return;
    }
    size_t count = (size_t)json_object_object_length(selector);
    const char **names = memory_allocate(count * sizeof *names);
    size_t at = 0;
    json_object_object_foreach(selector, name, value) {
        (void)value;
        names[at++] = name;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        text_format(out, "%s%s=%s", i > 0 ? "," : "", names[i],
                    json_member_text(selector, names[i]));
    }
    free(names);
}

static void type_cell(struct text *out, struct json_object *service) {
    text_add(out, json_member_text(json_member(service, "spec"), "type"));
}

static void cluster_ip_cell(struct text *out, struct json_object *service) {
    text_add(out, json_member_text(json_member(service, "spec"), "clusterIP"));
}

const struct column service_columns[SERVICE_COLUMNS] = {
    {"Name", "string", "name", "The Service's name, unique in its namespace.", 0, cell_name},
    {"Type", "string", "", "ClusterIP, NodePort, LoadBalancer or ExternalName.", 0, type_cell},
    {"Cluster-IP", "string", "", "The virtual IP.", 0, cluster_ip_cell},
    {"External-IP", "string", "", "Addresses that lead here from outside.", 0, external_cell},
    {"Port(s)", "string", "", "Ports, node ports and protocols.", 0, ports_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
    {"Selector", "string", "", "Labels of the pods behind it.", 1, selector_cell},
};
