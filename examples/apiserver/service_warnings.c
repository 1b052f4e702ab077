/*
 * service_warnings.c: what Kubernetes accepts of a Service and warns of: fields that are ignored or
 * deprecated, addresses in a text that is not the canonical one.
 */
#include "service_rules.h"

#include <ipalloc/addr.h>
#include <string.h>

static void warn_of_address(struct text *out, const char *field, const char *value) {
    ipalloc_addr address;
    char canonical[IPALLOC_ADDR_TEXT];
    if (ipalloc_addr_parse(value, strlen(value), &address, NULL) != IPALLOC_OK ||
        address.family != 6) {
        return;
    }
    ipalloc_addr_format(&address, canonical);
    if (strcmp(canonical, value) != 0) {
        text_format(out,
                    "%s: IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")\n",
                    field, value, canonical);
    }
}

static void warn_of_cidr(struct text *out, const char *field, const char *value) {
    ipalloc_cidr range;
    char canonical[IPALLOC_CIDR_TEXT];
    if (ipalloc_cidr_parse(value, strlen(value), &range, NULL) != IPALLOC_OK ||
        range.base.family != 6) {
        return;
    }
    ipalloc_cidr_format(&range, canonical);
    if (strcmp(canonical, value) != 0) {
        text_format(out,
                    "%s: IPv6 CIDR value \"%s\" should be in RFC 5952 canonical format (\"%s\")\n",
                    field, value, canonical);
    }
}

static void warn_of_each(struct text *out, struct json_object *spec, const char *name,
                         void (*warn)(struct text *out, const char *field, const char *value)) {
    struct json_object *list = json_member(spec, name);
    for (size_t i = 0; i < json_length(list); i++) {
        struct text field = {0};
        text_format(&field, "spec.%s[%zu]", name, i);
        warn(out, field.data, json_object_get_string(json_object_array_get_idx(list, i)));
        text_clear(&field);
    }
}

static void warn_of_headless(struct text *out, struct json_object *spec) {
    if (json_member_text(spec, "loadBalancerIP")[0] != '\0') {
        text_add(out, "spec.loadBalancerIP is ignored for headless services\n");
    }
    if (json_length(json_member(spec, "externalIPs")) > 0) {
        text_add(out, "spec.externalIPs is ignored for headless services\n");
    }
    if (strcmp(json_member_text(spec, "sessionAffinity"), "None") != 0) {
        text_add(out, "spec.SessionAffinity is ignored for headless services\n");
    }
}

void service_warn(struct json_object *object, struct text *out) {
    struct json_object *spec = json_member(object, "spec");
    struct json_object *notes = json_member(json_member(object, "metadata"), "annotations");
    bool external = service_has_type(spec, "ExternalName");
    if (json_member(notes, "service.kubernetes.io/topology-aware-hints") != NULL) {
        text_add(out, "annotation service.kubernetes.io/topology-aware-hints is deprecated, please "
                      "use service.kubernetes.io/topology-mode instead\n");
    }
    if (service_has_type(spec, "ClusterIP") &&
        strcmp(json_member_text(spec, "clusterIP"), "None") == 0) {
        warn_of_headless(out, spec);
    }
    warn_of_each(out, spec, "externalIPs", warn_of_address);
    warn_of_address(out, "spec.loadBalancerIP", json_member_text(spec, "loadBalancerIP"));
    warn_of_each(out, spec, "loadBalancerSourceRanges", warn_of_cidr);
    if (external && json_length(json_member(spec, "externalIPs")) > 0) {
        text_add(out, "spec.externalIPs is ignored when spec.type is \"ExternalName\"\n");
    }
    if (!external && json_member_text(spec, "externalName")[0] != '\0') {
        text_add(out, "spec.externalName is ignored when spec.type is not \"ExternalName\"\n");
    }
    if (strcmp(json_member_text(spec, "trafficDistribution"), "PreferClose") == 0) {
        text_add(out, "spec.trafficDistribution: \"PreferClose\" is deprecated; use "
                      "\"PreferSameZone\"\n");
    }
}
