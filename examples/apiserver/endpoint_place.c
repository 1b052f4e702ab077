/*
 * endpoint_place.c: see endpoint_place.h.
 *
 * One slice a set of port numbers (a named targetPort may be another number in another Pod), and at
 * most SLICE_ENDPOINTS_MAX endpoints in each. Names are made of what a slice is for, so that two
 * servers that make the first one at the same time mean the same object.
 */
#include "endpoint_place.h"

#include "string_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_KEPT 54 /* of the Service's name; with the suffix 63 bytes */

/* A slice that is being filled. */
struct shelf {
    struct json_object *slice;
    char *ports; /* their key */
};

struct placing {
    const struct slice_frame *frame;
    struct string_map candidates; /* "PORTS ENDPOINT" -> struct candidate */
    struct shelf *shelves;
    size_t count;
};

/* --- keys ------------------------------------------------------------------------------------- */

void add_port(struct json_object *ports, struct json_object *from, int64_t number) {
    struct json_object *port = json_object_new_object();
    json_carry(from, port, "appProtocol");
    json_set_text(port, "name", json_member_text(from, "name"));
    json_set_number(port, "port", number);
    json_set_text(port, "protocol", json_member_text(from, "protocol"));
    json_object_array_add(ports, port);
}

/* Independent of the order of members, which the store changes. */
static void ports_key(struct text *out, struct json_object *ports) {
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        text_format(out, "%s:%lld/%s/%s;", json_member_text(port, "name"),
                    (long long)json_member_number(port, "port", 0),
                    json_member_text(port, "protocol"), json_member_text(port, "appProtocol"));
    }
}

void endpoint_key(struct text *out, struct json_object *endpoint) {
    struct json_object *addresses = json_member(endpoint, "addresses");
    text_format(out, "%s/%s", json_member_text(json_member(endpoint, "targetRef"), "uid"),
                json_length(addresses) > 0
                    ? json_object_get_string(json_object_array_get_idx(addresses, 0))
                    : "");
}

static void set_place_key(struct text *out, const char *ports, struct json_object *endpoint) {
    out->size = 0;
    text_format(out, "%s ", ports);
    endpoint_key(out, endpoint);
}

/* --- slices ----------------------------------------------------------------------------------- */

static void add_owner(struct json_object *metadata, struct json_object *service) {
    struct json_object *owners = json_object_new_array();
    struct json_object *owner = json_object_new_object();
    struct json_object *of = json_member(service, "metadata");
    json_set_text(owner, "apiVersion", "v1");
    json_set(owner, "blockOwnerDeletion", json_object_new_boolean(true));
    json_set(owner, "controller", json_object_new_boolean(true));
    json_set_text(owner, "kind", "Service");
    json_set_text(owner, "name", json_member_text(of, "name"));
    json_set_text(owner, "uid", json_member_text(of, "uid"));
    json_object_array_add(owners, owner);
    json_set(metadata, "ownerReferences", owners);
}

static void add_labels(struct json_object *metadata, const struct slice_frame *frame) {
    struct json_object *labels = json_ensure(metadata, "labels");
    struct json_object *service = frame->service;
    if (frame->labels != NULL) {
        json_object_object_foreach(frame->labels, name, value) {
            json_set(labels, name, json_object_get(value));
        }
    }
    json_remove(labels, SLICE_HEADLESS_LABEL);
    if (strcmp(json_member_text(json_member(service, "spec"), "clusterIP"), "None") == 0) {
        json_set_text(labels, SLICE_HEADLESS_LABEL, "");
    }
    json_set_text(labels, SLICE_MANAGER_LABEL, frame->manager);
    json_set_text(labels, SLICE_SERVICE_LABEL,
                  json_member_text(json_member(service, "metadata"), "name"));
}

static const char *family_name(int family) {
    return family == 4 ? "IPv4" : "IPv6";
}

/* An empty one. */
static struct json_object *slice_new(const struct slice_frame *frame, const char *name,
                                     struct json_object *ports) {
    struct json_object *slice = json_object_new_object();
    struct json_object *metadata = json_ensure(slice, "metadata");
    struct json_object *of = json_member(frame->service, "metadata");
    json_set_text(slice, "apiVersion", "discovery.k8s.io/v1");
    json_set_text(slice, "kind", "EndpointSlice");
    json_set_text(metadata, "name", name);
    json_set_text(metadata, "namespace", json_member_text(of, "namespace"));
    add_labels(metadata, frame);
    add_owner(metadata, frame->service);
    json_set_text(slice, "addressType", family_name(frame->family));
    json_set(slice, "endpoints", json_object_new_array());
    if (json_length(ports) > 0) {
        json_set(slice, "ports", json_object_get(ports));
    }
    return slice;
}

static uint64_t hash_text(uint64_t hash, const char *text) { /* FNV-1a */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return (hash ^ '/') * UINT64_C(0x100000001b3);
}

static const char *name_of(struct json_object *slice) {
    return json_member_text(json_member(slice, "metadata"), "name");
}

static bool is_used(const struct placing *placing, const char *name) {
    for (size_t i = 0; i < placing->count; i++) {
        if (strcmp(name_of(placing->shelves[i].slice), name) == 0) {
            return true;
        }
    }
    return placing->frame->seen->is_taken(placing->frame->seen->context, name);
}

static void choose_name(const struct placing *placing, const char *ports, char out[80]) {
    const struct slice_frame *frame = placing->frame;
    struct json_object *of = json_member(frame->service, "metadata");
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), json_member_text(of, "uid"));
    hash = hash_text(hash_text(hash, frame->manager), family_name(frame->family));
    hash = hash_text(hash, ports);
    unsigned number = 0;
    do {
        char count[16];
        snprintf(count, sizeof count, "%u", number++);
        uint64_t full = hash_text(hash, count);
        snprintf(out, 80, "%.*s-%08x", NAME_KEPT, json_member_text(of, "name"),
                 (unsigned)(full ^ full >> 32));
    } while (is_used(placing, out));
}

static struct shelf *add_shelf(struct placing *placing, struct json_object *slice,
                               const char *ports) {
    placing->shelves =
        memory_resize(placing->shelves, (placing->count + 1) * sizeof *placing->shelves);
    placing->shelves[placing->count] = (struct shelf){slice, memory_copy(ports)};
    return &placing->shelves[placing->count++];
}

static struct json_object *endpoints_of(const struct shelf *shelf) {
    return json_member(shelf->slice, "endpoints");
}

static size_t filling(const struct shelf *shelf) {
    return json_length(endpoints_of(shelf));
}

/* --- placing ---------------------------------------------------------------------------------- */

static int compare_names(const void *one, const void *other) {
    return strcmp(name_of(*(struct json_object *const *)one),
                  name_of(*(struct json_object *const *)other));
}

/* What stands in a stored slice, and still is to, stays there. */
static void keep_standing(struct placing *placing, struct json_object *stored) {
    struct json_object *ports = json_member(stored, "ports");
    struct json_object *endpoints = json_member(stored, "endpoints");
    struct text text = {0};
    struct text key = {0};
    text_add(&text, "");
    ports_key(&text, ports);
    struct shelf *shelf =
        add_shelf(placing, slice_new(placing->frame, name_of(stored), ports), text.data);
    for (size_t i = 0; i < json_length(endpoints) && filling(shelf) < SLICE_ENDPOINTS_MAX; i++) {
        set_place_key(&key, shelf->ports, json_object_array_get_idx(endpoints, i));
        struct candidate *candidate = string_map_find(&placing->candidates, key.data);
        if (candidate != NULL && !candidate->placed) {
            candidate->placed = true;
            json_object_array_add(endpoints_of(shelf), json_object_get(candidate->endpoint));
        }
    }
    text_clear(&text);
    text_clear(&key);
}

static void keep_all_standing(struct placing *placing) {
    const struct slices_seen *seen = placing->frame->seen;
    struct json_object **sorted = memory_allocate((seen->count + 1) * sizeof *sorted);
    for (size_t i = 0; i < seen->count; i++) {
        sorted[i] = seen->slices[i];
    }
    qsort(sorted, seen->count, sizeof *sorted, compare_names);
    for (size_t i = 0; i < seen->count; i++) {
        struct json_object *labels = json_at(sorted[i], "metadata", "labels", NULL);
        const char *manager = json_member_text(labels, SLICE_MANAGER_LABEL);
        const char *type = json_member_text(sorted[i], "addressType");
        bool is_managed = manager[0] == '\0' || strcmp(manager, placing->frame->manager) == 0;
        if (is_managed && strcmp(type, family_name(placing->frame->family)) == 0) {
            keep_standing(placing, sorted[i]);
        }
    }
    free(sorted);
}

/* NULL: none of those with these ports has room, and none that has lost all can have them. */
static struct shelf *find_shelf(struct placing *placing, const char *ports) {
    struct shelf *empty = NULL;
    for (size_t i = 0; i < placing->count; i++) {
        struct shelf *shelf = &placing->shelves[i];
        if (filling(shelf) < SLICE_ENDPOINTS_MAX && strcmp(shelf->ports, ports) == 0) {
            return shelf;
        }
        empty = empty == NULL && filling(shelf) == 0 ? shelf : empty;
    }
    return empty;
}

static struct shelf *make_room(struct placing *placing, struct json_object *ports) {
    struct text key = {0};
    text_add(&key, "");
    ports_key(&key, ports);
    struct shelf *shelf = find_shelf(placing, key.data);
    if (shelf == NULL) {
        char name[80];
        choose_name(placing, key.data, name);
        shelf = add_shelf(placing, slice_new(placing->frame, name, ports), key.data);
    } else if (filling(shelf) == 0) {
        struct json_object *slice = slice_new(placing->frame, name_of(shelf->slice), ports);
        json_object_put(shelf->slice);
        free(shelf->ports);
        *shelf = (struct shelf){slice, memory_copy(key.data)};
    }
    text_clear(&key);
    return shelf;
}

/* The fullest other one that has room for all that stands in this one. */
static struct shelf *find_other(struct placing *placing, const struct shelf *of) {
    struct shelf *best = NULL;
    for (size_t i = 0; i < placing->count; i++) {
        struct shelf *other = &placing->shelves[i];
        if (other != of && filling(other) > 0 && strcmp(other->ports, of->ports) == 0 &&
            filling(other) + filling(of) <= SLICE_ENDPOINTS_MAX &&
            (best == NULL || filling(other) > filling(best))) {
            best = other;
        }
    }
    return best;
}

/* Many that are nearly empty would be many writes and lookups for ever. */
static void join_shelves(struct placing *placing) {
    for (size_t i = placing->count; i-- > 0;) {
        struct shelf *shelf = &placing->shelves[i];
        struct shelf *other = filling(shelf) > 0 ? find_other(placing, shelf) : NULL;
        if (other == NULL || filling(other) < filling(shelf)) {
            continue; /* the smaller of two moves */
        }
        for (size_t j = 0; j < filling(shelf); j++) {
            json_object_array_add(endpoints_of(other), json_object_get(json_object_array_get_idx(
                                                           endpoints_of(shelf), j)));
        }
        json_set(shelf->slice, "endpoints", json_object_new_array());
    }
}

/* An empty one: that of a slice which is there, or a new one. */
static struct json_object *empty_slice(struct placing *placing) {
    char name[80];
    if (placing->count > 0) {
        return slice_new(placing->frame, name_of(placing->shelves[0].slice), NULL);
    }
    choose_name(placing, "", name);
    return slice_new(placing->frame, name, NULL);
}

static void take_filled(struct placing *placing, struct json_object *out) {
    size_t before = json_length(out);
    for (size_t i = 0; i < placing->count; i++) {
        if (filling(&placing->shelves[i]) > 0) {
            json_object_array_add(out, json_object_get(placing->shelves[i].slice));
        }
    }
    if (placing->frame->never_none && json_length(out) == before) {
        json_object_array_add(out, empty_slice(placing));
    }
}

static void placing_clear(struct placing *placing) {
    for (size_t i = 0; i < placing->count; i++) {
        json_object_put(placing->shelves[i].slice);
        free(placing->shelves[i].ports);
    }
    free(placing->shelves);
    string_map_clear(&placing->candidates, NULL);
}

/* Of two with the same key the first one is a candidate. */
static void gather(struct placing *placing, struct candidate *candidates, size_t count) {
    struct text ports = {0};
    struct text key = {0};
    for (size_t i = 0; i < count; i++) {
        ports.size = 0;
        text_add(&ports, "");
        ports_key(&ports, candidates[i].ports);
        set_place_key(&key, ports.data, candidates[i].endpoint);
        candidates[i].placed = string_map_find(&placing->candidates, key.data) != NULL;
        if (!candidates[i].placed) {
            string_map_set(&placing->candidates, key.data, &candidates[i]);
        }
    }
    text_clear(&ports);
    text_clear(&key);
}

void place_endpoints(struct json_object *out, const struct slice_frame *frame,
                     struct candidate *candidates, size_t count) {
    struct placing placing = {.frame = frame};
    gather(&placing, candidates, count);
    keep_all_standing(&placing);
    for (size_t i = 0; i < count; i++) {
        if (!candidates[i].placed) {
            struct shelf *shelf = make_room(&placing, candidates[i].ports);
            json_object_array_add(endpoints_of(shelf), json_object_get(candidates[i].endpoint));
        }
    }
    join_shelves(&placing);
    take_filled(&placing, out);
    for (size_t i = 0; i < count; i++) {
        json_object_put(candidates[i].endpoint);
        json_object_put(candidates[i].ports);
    }
    placing_clear(&placing);
}
