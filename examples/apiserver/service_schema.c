/* service_schema.c: the fields of a Service (Kubernetes core/v1, protobuf numbers included). */
#include "services.h"

#define COUNT(array) SCHEMA_COUNT(array)

static const struct field port_fields[] = {
    {"appProtocol", FIELD_TEXT, 6, true, NULL}, {"name", FIELD_TEXT, 1, false, NULL},
    {"nodePort", FIELD_INT32, 5, false, NULL},  {"port", FIELD_INT32, 3, false, NULL},
    {"protocol", FIELD_TEXT, 2, false, NULL},   {"targetPort", FIELD_NUMBER_TEXT, 4, false, NULL},
};
static const struct schema schema_port = {"ServicePort", port_fields, COUNT(port_fields), false};

static const struct field client_ip_fields[] = {
    {"timeoutSeconds", FIELD_INT32, 1, true, NULL},
};
static const struct schema schema_client_ip = {"ClientIPConfig", client_ip_fields,
                                               COUNT(client_ip_fields), false};

static const struct field affinity_fields[] = {
    {"clientIP", FIELD_OBJECT, 1, false, &schema_client_ip},
};
static const struct schema schema_affinity = {"SessionAffinityConfig", affinity_fields,
                                              COUNT(affinity_fields), false};

static const struct field spec_fields[] = {
    {"allocateLoadBalancerNodePorts", FIELD_TRUTH, 20, true, NULL},
    {"clusterIP", FIELD_TEXT, 3, false, NULL},
    {"clusterIPs", FIELD_TEXT_LIST, 18, false, NULL},
    {"externalIPs", FIELD_TEXT_LIST, 5, false, NULL},
    {"externalName", FIELD_TEXT, 10, false, NULL},
    {"externalTrafficPolicy", FIELD_TEXT, 11, false, NULL},
    {"healthCheckNodePort", FIELD_INT32, 12, false, NULL},
    {"internalTrafficPolicy", FIELD_TEXT, 22, true, NULL},
    {"ipFamilies", FIELD_TEXT_LIST, 19, false, NULL},
    {"ipFamilyPolicy", FIELD_TEXT, 17, true, NULL},
    {"loadBalancerClass", FIELD_TEXT, 21, true, NULL},
    {"loadBalancerIP", FIELD_TEXT, 8, false, NULL},
    {"loadBalancerSourceRanges", FIELD_TEXT_LIST, 9, false, NULL},
    {"ports", FIELD_OBJECT_LIST, 1, false, &schema_port},
    {"publishNotReadyAddresses", FIELD_TRUTH, 13, false, NULL},
    {"selector", FIELD_TEXT_MAP, 2, false, NULL},
    {"sessionAffinity", FIELD_TEXT, 7, false, NULL},
    {"sessionAffinityConfig", FIELD_OBJECT, 14, false, &schema_affinity},
    {"trafficDistribution", FIELD_TEXT, 23, true, NULL},
    {"type", FIELD_TEXT, 4, false, NULL},
};
static const struct schema schema_spec = {"ServiceSpec", spec_fields, COUNT(spec_fields), false};

static const struct field ingress_port_fields[] = {
    {"error", FIELD_TEXT, 3, true, NULL},
    {"port", FIELD_INT32, 1, false, NULL},
    {"protocol", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_ingress_port = {"PortStatus", ingress_port_fields,
                                                  COUNT(ingress_port_fields), false};

static const struct field ingress_fields[] = {
    {"hostname", FIELD_TEXT, 2, false, NULL},
    {"ip", FIELD_TEXT, 1, false, NULL},
    {"ipMode", FIELD_TEXT, 3, true, NULL},
    {"ports", FIELD_OBJECT_LIST, 4, false, &schema_ingress_port},
};
static const struct schema schema_ingress = {"LoadBalancerIngress", ingress_fields,
                                             COUNT(ingress_fields), false};

static const struct field load_balancer_fields[] = {
    {"ingress", FIELD_OBJECT_LIST, 1, false, &schema_ingress},
};
static const struct schema schema_load_balancer = {"LoadBalancerStatus", load_balancer_fields,
                                                   COUNT(load_balancer_fields), false};

static const struct field status_fields[] = {
    {"conditions", FIELD_OBJECT_LIST, 2, false, &schema_condition},
    {"loadBalancer", FIELD_OBJECT, 1, false, &schema_load_balancer},
};
static const struct schema schema_status = {"ServiceStatus", status_fields, COUNT(status_fields),
                                            false};

static const struct field service_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL},
    {"kind", FIELD_TEXT, 0, false, NULL},
    {"metadata", FIELD_OBJECT, 1, false, &schema_metadata},
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
const struct schema schema_service = {"Service", service_fields, COUNT(service_fields), false};
