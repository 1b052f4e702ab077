/* endpoint_plan.c: see endpoint_plan.h. What an endpoint is; endpoint_place.c says where it goes.
 */
#include "endpoint_plan.h"

#include "condition.h"
#include "string_map.h"

#include <ipalloc/addr.h>
#include <stdlib.h>
#include <string.h>

#define MIRROR_SKIP_LABEL "endpointslice.kubernetes.io/skip-mirror"
#define LEADER_ANNOTATION "control-plane.alpha.kubernetes.io/leader"

/* --- what a Service selects ------------------------------------------------------------------- */

static struct json_object *selector_of(struct json_object *service) {
    struct json_object *selector = json_at(service, "spec", "selector", NULL);
    return json_object_is_type(selector, json_type_object) ? selector : NULL;
}

bool service_selects(struct json_object *service) {
    struct json_object *selector = selector_of(service);
    const char *type = json_member_text(json_member(service, "spec"), "type");
    return selector != NULL && json_object_object_length(selector) > 0 &&
           strcmp(type, "ExternalName") != 0;
}

bool service_selects_pod(struct json_object *service, struct json_object *pod) {
    struct json_object *labels = json_at(pod, "metadata", "labels", NULL);
    struct json_object *selector = selector_of(service);
    if (!service_selects(service)) {
        return false;
    }
    json_object_object_foreach(selector, name, value) {
        struct json_object *label = json_member(labels, name);
        if (label == NULL || !json_object_equal(label, value)) {
            return false;
        }
    }
    return true;
}

/* --- what a Pod is ---------------------------------------------------------------------------- */

static bool is_over(struct json_object *pod) {
    const char *phase = json_member_text(json_member(pod, "status"), "phase");
    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static bool is_of_family(const char *text, int family) {
    ipalloc_addr address;
    return ipalloc_addr_parse(text, strlen(text), &address, NULL) == IPALLOC_OK &&
           address.family == family;
}

/* Its address of that family; "" where it has none (yet). */
static const char *address_of(struct json_object *pod, int family) {
    struct json_object *status = json_member(pod, "status");
    struct json_object *all = json_member(status, "podIPs");
    const char *first = json_member_text(status, "podIP");
    for (size_t i = 0; i < json_length(all); i++) {
        const char *text = json_member_text(json_object_array_get_idx(all, i), "ip");
        if (is_of_family(text, family)) {
            return text;
        }
    }
    return is_of_family(first, family) ? first : "";
}

/* The number of a named port in the Pod's containers; 0: it has none of that name. */
static int64_t find_port(struct json_object *pod, const char *name, const char *protocol) {
    struct json_object *containers = json_at(pod, "spec", "containers", NULL);
    for (size_t i = 0; i < json_length(containers); i++) {
        struct json_object *ports = json_member(json_object_array_get_idx(containers, i), "ports");
        for (size_t j = 0; j < json_length(ports); j++) {
            struct json_object *port = json_object_array_get_idx(ports, j);
            const char *spoken = json_member_text(port, "protocol");
            if (strcmp(json_member_text(port, "name"), name) == 0 &&
                strcmp(spoken[0] != '\0' ? spoken : "TCP", protocol) == 0) {
                return json_member_number(port, "containerPort", 0);
            }
        }
    }
    return 0;
}

/* The Service's ports as they are in that Pod; those that it does not have are left out. */
static struct json_object *ports_of(struct json_object *service, struct json_object *pod) {
    struct json_object *out = json_object_new_array();
    struct json_object *ports = json_at(service, "spec", "ports", NULL);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *from = json_object_array_get_idx(ports, i);
        struct json_object *target = json_member(from, "targetPort");
        const char *protocol = json_member_text(from, "protocol");
        int64_t number = json_object_is_type(target, json_type_string)
                             ? find_port(pod, json_object_get_string(target), protocol)
                             : json_member_number(from, "targetPort", 0);
        if (number == 0) {
            continue;
        }
        add_port(out, from, number);
    }
    return out;
}

static void add_reference(struct json_object *endpoint, struct json_object *pod) {
    struct json_object *metadata = json_member(pod, "metadata");
    struct json_object *reference = json_ensure(endpoint, "targetRef");
    json_set_text(reference, "kind", "Pod");
    json_set_text(reference, "name", json_member_text(metadata, "name"));
    json_set_text(reference, "namespace", json_member_text(metadata, "namespace"));
    json_set_text(reference, "uid", json_member_text(metadata, "uid"));
}

/* The name that DNS is to know it by below the Service's, if it asks for one. */
static void add_hostname(struct json_object *endpoint, struct json_object *service,
                         struct json_object *pod) {
    struct json_object *spec = json_member(pod, "spec");
    const char *hostname = json_member_text(spec, "hostname");
    const char *name = json_member_text(json_member(service, "metadata"), "name");
    if (hostname[0] != '\0' && strcmp(json_member_text(spec, "subdomain"), name) == 0) {
        json_set_text(endpoint, "hostname", hostname);
    }
}

/* A Pod that ends takes no new connections, but may still serve; publishNotReadyAddresses says that
 * all shall be found. */
static struct json_object *endpoint_of(struct json_object *service, struct json_object *pod,
                                       const char *address) {
    struct json_object *endpoint = json_object_new_object();
    struct json_object *addresses = json_object_new_array();
    const char *node = json_member_text(json_member(pod, "spec"), "nodeName");
    bool serving = condition_is_true(pod, "Ready");
    bool ends = json_at(pod, "metadata", "deletionTimestamp", NULL) != NULL;
    bool all = json_member_truth(json_member(service, "spec"), "publishNotReadyAddresses", false);
    json_object_array_add(addresses, json_object_new_string(address));
    json_set(endpoint, "addresses", addresses);
    struct json_object *conditions = json_ensure(endpoint, "conditions");
    json_set(conditions, "ready", json_object_new_boolean(all || (serving && !ends)));
    json_set(conditions, "serving", json_object_new_boolean(serving));
    json_set(conditions, "terminating", json_object_new_boolean(ends));
    add_hostname(endpoint, service, pod);
    if (node[0] != '\0') {
        json_set_text(endpoint, "nodeName", node);
    }
    add_reference(endpoint, pod);
    return endpoint;
}

/* --- slices ----------------------------------------------------------------------------------- */

static int compare_pods(const void *one, const void *other) {
    return strcmp(
        json_member_text(json_member(*(struct json_object *const *)one, "metadata"), "name"),
        json_member_text(json_member(*(struct json_object *const *)other, "metadata"), "name"));
}

static void plan_family(struct json_object *out, const struct slice_frame *frame,
                        struct json_object *const *pods, size_t pod_count) {
    struct candidate *candidates = memory_allocate((pod_count + 1) * sizeof *candidates);
    size_t count = 0;
    for (size_t i = 0; i < pod_count; i++) {
        const char *address = address_of(pods[i], frame->family);
        if (address[0] != '\0' && !is_over(pods[i])) {
            candidates[count++] =
                (struct candidate){.endpoint = endpoint_of(frame->service, pods[i], address),
                                   .ports = ports_of(frame->service, pods[i])};
        }
    }
    place_endpoints(out, frame, candidates, count);
    free(candidates);
}

static int family_at(struct json_object *families, size_t index) {
    const char *name = json_object_get_string(json_object_array_get_idx(families, index));
    return strcmp(name, "IPv6") == 0 ? 6 : 4;
}

struct json_object *plan_slices(struct json_object *service, struct json_object *const *pods,
                                size_t pod_count, const struct slices_seen *seen) {
    struct json_object *out = json_object_new_array();
    struct json_object *families = json_at(service, "spec", "ipFamilies", NULL);
    struct json_object **sorted = memory_allocate((pod_count + 1) * sizeof *sorted);
    struct slice_frame frame = {.service = service,
                                .labels = json_at(service, "metadata", "labels", NULL),
                                .manager = SLICE_MANAGER,
                                .never_none = true,
                                .seen = seen};
    for (size_t i = 0; i < pod_count; i++) {
        sorted[i] = pods[i];
    }
    qsort(sorted, pod_count, sizeof *sorted, compare_pods);
    for (size_t i = 0; i < json_length(families); i++) {
        frame.family = family_at(families, i);
        plan_family(out, &frame, sorted, pod_count);
    }
    free(sorted);
    return out;
}

/* --- Endpoints of those without a selector ------------------------------------------------------
 */

/* Candidates of both families. */
struct mirror {
    struct candidate *candidates[2];
    size_t counts[2];
};

static struct json_object *mirrored_ports(struct json_object *subset) {
    struct json_object *out = json_object_new_array();
    struct json_object *ports = json_member(subset, "ports");
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *from = json_object_array_get_idx(ports, i);
        add_port(out, from, json_member_number(from, "port", 0));
    }
    return out;
}

static struct json_object *mirrored_endpoint(struct json_object *from, bool ready) {
    struct json_object *endpoint = json_object_new_object();
    struct json_object *addresses = json_object_new_array();
    json_object_array_add(addresses, json_object_new_string(json_member_text(from, "ip")));
    json_set(endpoint, "addresses", addresses);
    json_set(json_ensure(endpoint, "conditions"), "ready", json_object_new_boolean(ready));
    json_carry(from, endpoint, "hostname");
    json_carry(from, endpoint, "nodeName");
    json_carry(from, endpoint, "targetRef");
    return endpoint;
}

static void mirror_addresses(struct mirror *mirror, struct json_object *subset, const char *list,
                             bool ready) {
    struct json_object *addresses = json_member(subset, list);
    for (size_t i = 0; i < json_length(addresses); i++) {
        struct json_object *from = json_object_array_get_idx(addresses, i);
        bool is_6 = is_of_family(json_member_text(from, "ip"), 6);
        size_t count = mirror->counts[is_6]++;
        mirror->candidates[is_6] =
            memory_resize(mirror->candidates[is_6], (count + 1) * sizeof(struct candidate));
        mirror->candidates[is_6][count] = (struct candidate){
            .endpoint = mirrored_endpoint(from, ready), .ports = mirrored_ports(subset)};
    }
}

/* Its owner may write the slices itself, or mean no addresses at all by it. */
static bool is_mirrored(struct json_object *service, struct json_object *endpoints) {
    struct json_object *metadata = json_member(endpoints, "metadata");
    const char *skip = json_member_text(json_member(metadata, "labels"), MIRROR_SKIP_LABEL);
    bool elects = json_member(json_member(metadata, "annotations"), LEADER_ANNOTATION) != NULL;
    const char *type = json_member_text(json_member(service, "spec"), "type");
    return strcmp(skip, "true") != 0 && !elects && strcmp(type, "ExternalName") != 0;
}

struct json_object *plan_mirror(struct json_object *service, struct json_object *endpoints,
                                const struct slices_seen *seen) {
    struct json_object *out = json_object_new_array();
    struct json_object *subsets = json_member(endpoints, "subsets");
    struct mirror mirror = {0};
    struct slice_frame frame = {.service = service,
                                .labels = json_at(endpoints, "metadata", "labels", NULL),
                                .manager = SLICE_MIRROR_MANAGER,
                                .seen = seen};
    for (size_t i = 0; i < json_length(subsets) && is_mirrored(service, endpoints); i++) {
        struct json_object *subset = json_object_array_get_idx(subsets, i);
        mirror_addresses(&mirror, subset, "addresses", true);
        mirror_addresses(&mirror, subset, "notReadyAddresses", false);
    }
    for (int i = 0; i < 2; i++) {
        frame.family = i == 0 ? 4 : 6;
        place_endpoints(out, &frame, mirror.candidates[i], mirror.counts[i]);
        free(mirror.candidates[i]);
    }
    return out;
}

/* --- comparing -------------------------------------------------------------------------------- */

bool plan_is_met(struct json_object *wanted, struct json_object *stored) {
    static const char *const parts[] = {"addressType", "endpoints", "ports"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct json_object *one = json_member(wanted, parts[i]);
        struct json_object *other = json_member(stored, parts[i]);
        bool both_empty = i > 0 && json_length(one) == 0 && json_length(other) == 0;
        if (!both_empty && !json_object_equal(one, other)) {
            return false;
        }
    }
    static const char *const of_metadata[] = {"labels", "ownerReferences"};
    for (size_t i = 0; i < sizeof of_metadata / sizeof of_metadata[0]; i++) {
        if (!json_object_equal(json_at(wanted, "metadata", of_metadata[i], NULL),
                               json_at(stored, "metadata", of_metadata[i], NULL))) {
            return false;
        }
    }
    return true;
}

bool plan_adds(struct json_object *wanted, struct json_object *stored) {
    struct string_map present = {0};
    struct json_object *before = json_member(stored, "endpoints");
    struct json_object *after = json_member(wanted, "endpoints");
    struct text key = {0};
    bool adds = false;
    for (size_t i = 0; i < json_length(before); i++) {
        key.size = 0;
        endpoint_key(&key, json_object_array_get_idx(before, i));
        string_map_set(&present, key.data, before);
    }
    for (size_t i = 0; i < json_length(after) && !adds; i++) {
        key.size = 0;
        endpoint_key(&key, json_object_array_get_idx(after, i));
        adds = string_map_find(&present, key.data) == NULL;
    }
    string_map_clear(&present, NULL);
    text_clear(&key);
    return adds;
}

struct json_object *plan_merge(struct json_object *wanted, struct json_object *stored) {
    struct json_object *out = json_copy(stored);
    struct json_object *from = json_member(wanted, "metadata");
    struct json_object *to = json_ensure(out, "metadata");
    json_carry(from, to, "labels");
    json_carry(from, to, "ownerReferences");
    json_carry(wanted, out, "endpoints");
    json_carry(wanted, out, "ports");
    return out;
}
