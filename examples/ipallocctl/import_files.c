/*
 * import_files.c: from files to items of an import.
 *
 * A file holds one value: an export of ours; a RangeAllocation, IPAddress or ServiceCIDR of
 * Kubernetes as it is stored (protobuf, with or without the newline that etcdctl adds) or as JSON;
 * a list of them; or what etcdctl -w json writes. What is about something else is counted and left
 * alone, so that a whole dump may be given. Nothing here opens a store.
 */
#include "command.h"

#include "base64.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EXPORT_VERSION 1
#define NESTING_MAX    4 /* etcdctl's JSON holds values, which may be lists */

struct reading {
    struct import_files *files;
    const char *path;
    struct text *problem;
    unsigned depth;
};

static bool refuse(const struct reading *reading, const char *why) {
    show_add_clean(reading->problem, reading->path);
    text_add(reading->problem, ": ");
    show_add_clean(reading->problem, why);
    return false;
}

/* --- items -------------------------------------------------------------------------------------
 */

static void add_item(const struct reading *reading, struct json_object *item) {
    json_object_array_add(reading->files->items, item);
}

static struct json_object *item_new(const char *type) {
    struct json_object *item = json_object_new_object();
    json_set_text(item, "type", type);
    return item;
}

static void add_range(const struct reading *reading, const ipalloc_cidr *cidr) {
    char words[IPALLOC_CIDR_TEXT];
    struct json_object *item = item_new("range");
    ipalloc_cidr_format(cidr, words);
    json_set_text(item, "range", words);
    add_item(reading, item);
}

static bool add_allocation(const struct reading *reading,
                           const ipalloc_range_allocation *allocation) {
    struct text data = {0};
    struct json_object *item = item_new("bitmap");
    json_set(item, "range",
             json_object_new_string_len(allocation->range.data, (int)allocation->range.size));
    text_add(&data, "");
    base64_add(&data, allocation->data.data, allocation->data.size);
    json_set_text(item, "data", data.data);
    text_clear(&data);
    add_item(reading, item);
    return true;
}

/* An IPAddress says for which Service, but not for which of that name: the uid is not known. So it
 * is held in the import's own name, unless such a Service has it already. */
static bool add_address(const struct reading *reading, const ipalloc_ip_address *object) {
    struct text owner = {0};
    struct text as_good = {0};
    char words[IPALLOC_ADDR_TEXT];
    struct json_object *slots = json_object_new_array();
    struct json_object *item = item_new("lease");
    ipalloc_addr_format(&object->address, words);
    json_set_text(item, "address", words);
    if (object->of_service) {
        text_format(&owner, "Import/Service/%s/%s", object->parent_namespace, object->parent_name);
        text_format(&as_good, "Service/%s/%s/", object->parent_namespace, object->parent_name);
        json_set_text(item, "asGood", as_good.data);
    } else {
        text_format(&owner, "Import/%s.%s/%s/%s", object->parent_resource, object->parent_group,
                    object->parent_namespace, object->parent_name);
    }
    json_set_text(item, "owner", owner.data);
    json_object_array_add(
        slots,
        json_object_new_string(object->address.family == 4 ? "clusterIP/IPv4" : "clusterIP/IPv6"));
    json_set(item, "slots", slots);
    add_item(reading, item);
    text_clear(&owner);
    text_clear(&as_good);
    return true;
}

/* One that is being deleted gives nothing out any more. */
static bool add_service_cidr(const struct reading *reading, const ipalloc_service_cidr *object) {
    for (size_t i = 0; !object->deleting && i < object->cidr_count; i++) {
        add_range(reading, &object->cidrs[i]);
    }
    return true;
}

/* --- as stored ---------------------------------------------------------------------------------
 */

static bool read_stored_object(const struct reading *reading, ipalloc_bytes stored, int kind) {
    ipalloc_error error = {0};
    ipalloc_range_allocation allocation = {.size = sizeof allocation};
    ipalloc_ip_address address = {.size = sizeof address};
    ipalloc_service_cidr cidr = {.size = sizeof cidr};
    switch (kind) {
    case IPALLOC_STORED_RANGE_ALLOCATION:
        return ipalloc_range_allocation_decode(stored, &allocation, &error) == IPALLOC_OK
                   ? add_allocation(reading, &allocation)
                   : refuse(reading, error.message);
    case IPALLOC_STORED_IP_ADDRESS:
        return ipalloc_ip_address_decode(stored, &address, &error) == IPALLOC_OK
                   ? add_address(reading, &address)
                   : refuse(reading, error.message);
    case IPALLOC_STORED_SERVICE_CIDR:
        return ipalloc_service_cidr_decode(stored, &cidr, &error) == IPALLOC_OK
                   ? add_service_cidr(reading, &cidr)
                   : refuse(reading, error.message);
    case IPALLOC_STORED_ENCRYPTED:
        return refuse(reading, "it is encrypted at rest; read it through the API server instead");
    default:
        reading->files->skipped++;
        return true;
    }
}

/* What etcdctl --print-value-only prints of several keys cannot be told apart again. */
static bool holds_several(ipalloc_bytes stored) {
    static const char next[] = "\nk8s"; /* and its NUL */
    return memmem(stored.data, stored.size, next, sizeof next) != NULL;
}

static bool read_stored(const struct reading *reading, ipalloc_bytes stored) {
    ipalloc_error error = {0};
    ipalloc_stored what = {.size = sizeof what};
    int status = ipalloc_stored_kind_of(stored, &what, &error);
    const char *bytes = stored.data;
    if (status != IPALLOC_OK && bytes[stored.size - 1] == '\n') {
        stored.size--; /* etcdctl --print-value-only adds it */
        status = stored.size > 0 ? ipalloc_stored_kind_of(stored, &what, NULL) : status;
    }
    if (status != IPALLOC_OK && holds_several(stored)) {
        return refuse(reading, "it holds several values: one to a file, or all by etcdctl -w json");
    }
    return status == IPALLOC_OK ? read_stored_object(reading, stored, what.kind)
                                : refuse(reading, error.message);
}

/* --- as JSON -----------------------------------------------------------------------------------
 */

static bool read_value(const struct reading *outer, const char *bytes, size_t size);
static bool read_object(const struct reading *reading, struct json_object *object,
                        const char *kind);

static ipalloc_bytes bytes_of(struct json_object *object, const char *name) {
    const char *words = json_member_text(object, name);
    return (ipalloc_bytes){words, strlen(words)};
}

static bool read_allocation(const struct reading *reading, struct json_object *object) {
    ipalloc_error error = {0};
    struct text data = {0};
    ipalloc_range_allocation allocation = {.size = sizeof allocation};
    struct json_object *member = json_member(object, "data"); /* null where nothing is taken */
    const char *words = json_member_text(object, "data");
    text_add(&data, "");
    bool fine = (member == NULL || json_object_is_type(member, json_type_string)) &&
                base64_read(words, strlen(words), &data);
    if (!fine) {
        refuse(reading, "data is no base64");
    } else if (ipalloc_range_allocation_make(bytes_of(object, "range"),
                                             (ipalloc_bytes){data.data, data.size}, &allocation,
                                             &error) != IPALLOC_OK) {
        fine = refuse(reading, error.message);
    } else {
        add_allocation(reading, &allocation);
    }
    text_clear(&data);
    return fine;
}

static bool read_address(const struct reading *reading, struct json_object *object) {
    ipalloc_error error = {0};
    ipalloc_ip_address address = {.size = sizeof address};
    struct json_object *metadata = json_member(object, "metadata");
    struct json_object *labels = json_member(metadata, "labels");
    struct json_object *parent = json_at(object, "spec", "parentRef", NULL);
    ipalloc_ip_address_text text = {
        .size = sizeof text,
        .name = bytes_of(metadata, "name"),
        .uid = bytes_of(metadata, "uid"),
        .family_label = bytes_of(labels, "ipaddress.kubernetes.io/ip-family"),
        .managed_by_label = bytes_of(labels, "ipaddress.kubernetes.io/managed-by"),
        .parent_group = bytes_of(parent, "group"),
        .parent_resource = bytes_of(parent, "resource"),
        .parent_namespace = bytes_of(parent, "namespace"),
        .parent_name = bytes_of(parent, "name")};
    return ipalloc_ip_address_make(&text, &address, &error) == IPALLOC_OK
               ? add_address(reading, &address)
               : refuse(reading, error.message);
}

static bool read_service_cidr(const struct reading *reading, struct json_object *object) {
    ipalloc_error error = {0};
    ipalloc_service_cidr cidr = {.size = sizeof cidr};
    struct json_object *list = json_at(object, "spec", "cidrs", NULL);
    struct json_object *metadata = json_member(object, "metadata");
    ipalloc_bytes words[2] = {{NULL, 0}};
    size_t count = json_length(list);
    for (size_t i = 0; i < count && i < 2; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *text =
            json_object_is_type(one, json_type_string) ? json_object_get_string(one) : "";
        words[i] = (ipalloc_bytes){text, strlen(text)};
    }
    if (count > 2 || ipalloc_service_cidr_make(bytes_of(metadata, "name"), words, count, &cidr,
                                               &error) != IPALLOC_OK) {
        return refuse(reading, count > 2 ? "a ServiceCIDR has at most two CIDRs" : error.message);
    }
    cidr.deleting = json_member(metadata, "deletionTimestamp") != NULL;
    return add_service_cidr(reading, &cidr);
}

static bool read_export(const struct reading *reading, struct json_object *object) {
    struct json_object *items = json_member(object, "items");
    if (json_member_number(object, "version", 0) != EXPORT_VERSION) {
        return refuse(reading, "it is an export of another version, or was cut off");
    }
    for (size_t i = 0; i < json_length(items); i++) {
        add_item(reading, json_object_get(json_object_array_get_idx(items, i)));
    }
    return true;
}

/* What etcdctl -w json writes: values in base64. */
static bool read_etcdctl(const struct reading *reading, struct json_object *list) {
    bool fine = true;
    for (size_t i = 0; fine && i < json_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        const char *words = json_member_text(entry, "value");
        struct text value = {0};
        fine = base64_read(words, strlen(words), &value) ||
               refuse(reading, "a value of etcdctl's is no base64");
        fine = fine && (value.size == 0 || read_value(reading, value.data, value.size));
        text_clear(&value);
    }
    return fine;
}

/* Items of a typed list do not say their kind. */
static bool read_list(const struct reading *reading, struct json_object *object, const char *kind) {
    struct json_object *items = json_member(object, "items");
    struct text item_kind = {0};
    bool fine = true;
    text_append(&item_kind, kind, strlen(kind) - strlen("List"));
    for (size_t i = 0; fine && i < json_length(items); i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        const char *own = json_member_text(item, "kind");
        fine = read_object(reading, item, own[0] != '\0' ? own : item_kind.data);
    }
    text_clear(&item_kind);
    return fine;
}

static bool is_list(const char *kind) {
    size_t length = strlen(kind);
    return length >= strlen("List") && strcmp(kind + length - strlen("List"), "List") == 0;
}

static bool read_object(const struct reading *reading, struct json_object *object,
                        const char *kind) {
    static const struct {
        const char *kind;
        bool (*read)(const struct reading *reading, struct json_object *object);
    } readers[] = {
        {"RangeAllocation", read_allocation},
        {"IPAddress", read_address},
        {"ServiceCIDR", read_service_cidr},
        {"Export", read_export},
    };
    struct reading inner = *reading;
    if (++inner.depth > NESTING_MAX) {
        return refuse(reading, "lists within lists");
    }
    if (json_member(object, "kvs") != NULL) {
        return read_etcdctl(&inner, json_member(object, "kvs"));
    }
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (strcmp(readers[i].kind, kind) == 0) {
            return readers[i].read(&inner, object);
        }
    }
    if (is_list(kind)) {
        return read_list(&inner, object, kind);
    }
    reading->files->skipped++;
    return true;
}

/* --- values and files --------------------------------------------------------------------------
 */

static bool read_json(const struct reading *reading, const char *bytes, size_t size) {
    struct text why = {0};
    struct json_object *object = json_parse(bytes, size, &why);
    bool fine = object != NULL ? read_object(reading, object, json_member_text(object, "kind"))
                               : refuse(reading, why.data);
    json_object_put(object);
    text_clear(&why);
    return fine;
}

static bool read_value(const struct reading *outer, const char *bytes, size_t size) {
    struct reading reading = *outer;
    if (++reading.depth > NESTING_MAX) {
        return refuse(outer, "values within values");
    }
    reading.files->values++;
    size_t blank = 0;
    while (blank + 1 < size && strchr(" \t\r\n", bytes[blank]) != NULL && bytes[blank] != '\0') {
        blank++;
    }
    return bytes[blank] == '{' ? read_json(&reading, bytes, size)
                               : read_stored(&reading, (ipalloc_bytes){bytes, size});
}

static bool read_file(struct reading *reading) {
    struct text bytes = {0};
    bool fine = file_read(reading->path, &bytes, reading->problem);
    if (fine && bytes.size == 0) {
        fine = refuse(reading, "it is empty");
    }
    fine = fine && read_value(reading, bytes.data, bytes.size);
    text_clear(&bytes);
    return fine;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* In the order of their names, so that every run does the same. */
static bool read_directory(struct reading *reading, const char *path) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    bool fine = count >= 0 || refuse(reading, strerror(errno));
    for (int i = 0; i < count; i++) {
        struct text name = {0};
        text_format(&name, "%s/%s", path, entries[i]->d_name);
        reading->path = name.data;
        fine = fine && read_file(reading);
        text_clear(&name);
        free(entries[i]);
    }
    free(entries);
    return fine;
}

bool import_files_read(const char *path, struct import_files *files, struct text *problem) {
    struct stat status;
    struct reading reading = {.files = files, .path = path, .problem = problem};
    *files = (struct import_files){.items = json_object_new_array()};
    bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    return is_directory ? read_directory(&reading, path) : read_file(&reading);
}
