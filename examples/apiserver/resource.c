/* resource.c: the table of kinds; see resource.h. */
#include "resource.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct resource *const resources[] = {
    &resource_config_maps,     &resource_endpoints, &resource_events,
    &resource_namespaces,      &resource_nodes,     &resource_pods,
    &resource_secrets,         &resource_services,  &resource_endpoint_slices,
    &resource_ingress_classes, &resource_ingresses, &resource_ip_addresses,
    &resource_service_cidrs,
};

const size_t resource_count = sizeof resources / sizeof resources[0];

_Static_assert(sizeof resources / sizeof resources[0] <= RESOURCES_MAX, "the hub has a shelf each");

size_t resource_index(const struct resource *resource) {
    size_t index = 0;
    while (index < resource_count && resources[index] != resource) {
        index++;
    }
    assert(index < resource_count);
    return index;
}

const struct resource *resource_find(const char *group, const char *version, const char *plural) {
    for (size_t i = 0; i < resource_count; i++) {
        if (strcmp(resources[i]->plural, plural) == 0 && strcmp(resources[i]->group, group) == 0 &&
            strcmp(resources[i]->version, version) == 0) {
            return resources[i];
        }
    }
    return NULL;
}

const struct resource *resource_of_key(const void *key, size_t size) {
    for (size_t i = 0; i < resource_count; i++) {
        const char *prefix = resources[i]->record_prefix;
        size_t length = prefix != NULL ? strlen(prefix) : 0;
        if (length > 0 && size > length && memcmp(key, prefix, length) == 0) {
            return resources[i];
        }
    }
    return NULL;
}

const char *resource_api_version(const struct resource *resource, char out[RESOURCE_TEXT]) {
    snprintf(out, RESOURCE_TEXT, "%s%s%s", resource->group, resource->group[0] != '\0' ? "/" : "",
             resource->version);
    return out;
}

static const char *with_group(const struct resource *resource, const char *word,
                              char out[RESOURCE_TEXT]) {
    snprintf(out, RESOURCE_TEXT, "%s%s%s", word, resource->group[0] != '\0' ? "." : "",
             resource->group);
    return out;
}

const char *resource_full_plural(const struct resource *resource, char out[RESOURCE_TEXT]) {
    return with_group(resource, resource->plural, out);
}

const char *resource_full_kind(const struct resource *resource, char out[RESOURCE_TEXT]) {
    return with_group(resource, resource->kind, out);
}
