/* service_fields.c: JSON to ipalloc_service and back; see service_fields.h. */
#include "service_fields.h"

#include "moment.h"

#include <stdio.h>
#include <string.h>

static void read_text(char out[IPALLOC_SERVICE_TEXT], struct json_object *object,
                      const char *name) {
    snprintf(out, IPALLOC_SERVICE_TEXT, "%s", json_member_text(object, name));
}

static size_t read_texts(char out[][IPALLOC_SERVICE_TEXT], size_t max, struct json_object *list) {
    size_t count = json_length(list) < max ? json_length(list) : max;
    for (size_t i = 0; i < count; i++) {
        snprintf(out[i], IPALLOC_SERVICE_TEXT, "%s",
                 json_object_get_string(json_object_array_get_idx(list, i)));
    }
    return count;
}

static void read_ports(struct json_object *list, struct service_fields *fields) {
    size_t count = json_length(list);
    if (count > IPALLOC_SERVICE_PORTS_MAX) {
        count = IPALLOC_SERVICE_PORTS_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        struct json_object *port = json_object_array_get_idx(list, i);
        read_text(fields->ports[i].name, port, "name");
        read_text(fields->ports[i].protocol, port, "protocol");
        fields->ports[i].port = (int32_t)json_member_number(port, "port", 0);
        fields->ports[i].node_port = (int32_t)json_member_number(port, "nodePort", 0);
    }
    fields->service.ports = fields->ports;
    fields->service.port_count = count;
}

static void read_ingress(struct json_object *object, ipalloc_service *service) {
    struct json_object *list = json_at(object, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(list) && service->ingress_ip_count < 2; i++) {
        struct json_object *point = json_object_array_get_idx(list, i);
        if (json_member_text(point, "ip")[0] != '\0') {
            read_text(service->ingress_ips[service->ingress_ip_count++], point, "ip");
        }
    }
}

static bool is_filled(struct json_object *map) {
    return json_object_is_type(map, json_type_object) && json_object_object_length(map) > 0;
}

void service_fields_read(struct json_object *object, struct service_fields *fields) {
    *fields = (struct service_fields){.service = {.size = sizeof fields->service}};
    ipalloc_service *service = &fields->service;
    struct json_object *spec = json_member(object, "spec");
    service->name = json_member_text(json_member(object, "metadata"), "name");
    read_text(service->type, spec, "type");
    service->has_selector = is_filled(json_member(spec, "selector"));
    read_text(service->cluster_ip, spec, "clusterIP");
    service->cluster_ip_count =
        read_texts(service->cluster_ips, IPALLOC_SERVICE_LIST_MAX, json_member(spec, "clusterIPs"));
    service->ip_family_count =
        read_texts(service->ip_families, IPALLOC_SERVICE_LIST_MAX, json_member(spec, "ipFamilies"));
    read_text(service->ip_family_policy, spec, "ipFamilyPolicy");
    read_ports(json_member(spec, "ports"), fields);
    read_text(service->external_traffic_policy, spec, "externalTrafficPolicy");
    service->health_check_node_port = (int32_t)json_member_number(spec, "healthCheckNodePort", 0);
    service->allocate_load_balancer_node_ports_given =
        json_member(spec, "allocateLoadBalancerNodePorts") != NULL;
    service->allocate_load_balancer_node_ports =
        json_member_truth(spec, "allocateLoadBalancerNodePorts", true);
    read_text(service->load_balancer_ip, spec, "loadBalancerIP");
    service->has_external_ips = json_length(json_member(spec, "externalIPs")) > 0;
    if (json_member(spec, "loadBalancerClass") != NULL) {
        service->load_balancer_class = json_member_text(spec, "loadBalancerClass");
    }
    read_ingress(object, service);
}

/* --- back ------------------------------------------------------------------------------------- */

static void write_text(struct json_object *object, const char *name, const char *value) {
    if (value[0] != '\0') {
        json_set_text(object, name, value);
    } else {
        json_remove(object, name);
    }
}

static void write_number(struct json_object *object, const char *name, int64_t value) {
    if (value != 0) {
        json_set_number(object, name, value);
    } else {
        json_remove(object, name);
    }
}

static void write_texts(struct json_object *object, const char *name,
                        const char texts[][IPALLOC_SERVICE_TEXT], size_t count) {
    if (count == 0) {
        json_remove(object, name);
        return;
    }
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        json_object_array_add(list, json_object_new_string(texts[i]));
    }
    json_set(object, name, list);
}

static void write_ingress(struct json_object *object, const ipalloc_service *service) {
    struct json_object *balancer = json_object_new_object();
    if (service->ingress_ip_count > 0) {
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < service->ingress_ip_count; i++) {
            struct json_object *point = json_object_new_object();
            json_set_text(point, "ip", service->ingress_ips[i]);
            json_set_text(point, "ipMode", "VIP");
            json_object_array_add(list, point);
        }
        json_set(balancer, "ingress", list);
    }
    json_set(json_ensure(object, "status"), "loadBalancer", balancer);
}

static struct json_object *waits_condition(void) {
    char moment[MOMENT_TEXT];
    struct json_object *condition = json_object_new_object();
    moment_format(time(NULL), moment);
    json_set_text(condition, "lastTransitionTime", moment);
    json_set_text(condition, "message", SERVICE_WAITS_WORDS);
    json_set_text(condition, "reason", "RangeFull");
    json_set_text(condition, "status", "True");
    json_set_text(condition, "type", SERVICE_WAITS);
    return condition;
}

/* One that is there already stays as it is, with its time. */
static void write_waits(struct json_object *object, bool waits) {
    struct json_object *status = json_ensure(object, "status");
    struct json_object *present = json_member(status, "conditions");
    struct json_object *conditions = json_object_new_array();
    bool has_it = false;
    for (size_t i = 0; i < json_length(present); i++) {
        struct json_object *condition = json_object_array_get_idx(present, i);
        bool is_it = strcmp(json_member_text(condition, "type"), SERVICE_WAITS) == 0;
        has_it = has_it || is_it;
        if (!is_it || waits) {
            json_object_array_add(conditions, json_object_get(condition));
        }
    }
    if (waits && !has_it) {
        json_object_array_add(conditions, waits_condition());
    }
    if (json_length(conditions) > 0) {
        json_set(status, "conditions", conditions);
    } else {
        json_object_put(conditions);
        json_remove(status, "conditions");
    }
}

void service_fields_write(struct json_object *object, const struct service_fields *fields,
                          bool owns_ingress) {
    const ipalloc_service *service = &fields->service;
    struct json_object *spec = json_ensure(object, "spec");
    struct json_object *ports = json_member(spec, "ports");
    write_text(spec, "clusterIP", service->cluster_ip);
    write_texts(spec, "clusterIPs", service->cluster_ips, service->cluster_ip_count);
    write_texts(spec, "ipFamilies", service->ip_families, service->ip_family_count);
    write_text(spec, "ipFamilyPolicy", service->ip_family_policy);
    write_text(spec, "externalTrafficPolicy", service->external_traffic_policy);
    write_number(spec, "healthCheckNodePort", service->health_check_node_port);
    if (service->load_balancer_class == NULL) {
        json_remove(spec, "loadBalancerClass");
    }
    for (size_t i = 0; i < json_length(ports) && i < service->port_count; i++) {
        write_number(json_object_array_get_idx(ports, i), "nodePort", fields->ports[i].node_port);
    }
    bool balanced = strcmp(service->type, "LoadBalancer") == 0;
    if (owns_ingress || !balanced) {
        write_ingress(object, service);
    }
    write_waits(object, service->ingress_waits);
}
