/* managed_entries.c: see managed_entries.h. */
#include "managed_entries.h"

#include "record.h"

#include <stdlib.h>
#include <string.h>

/* --- reading and writing ---------------------------------------------------------------------- */

static bool is_operation(const char *name) {
    return strcmp(name, "Apply") == 0 || strcmp(name, "Update") == 0;
}

static bool same(struct json_object *a, struct json_object *b, const char *name) {
    return strcmp(json_member_text(a, name), json_member_text(b, name)) == 0;
}

/* The entry that stands for the same manager; of an Apply the version does not count. */
static struct json_object *find_same(struct json_object *entries, struct json_object *wanted) {
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        bool applied = strcmp(json_member_text(wanted, "operation"), "Apply") == 0;
        if (same(entry, wanted, "manager") && same(entry, wanted, "operation") &&
            same(entry, wanted, "subresource") && (applied || same(entry, wanted, "apiVersion"))) {
            return entry;
        }
    }
    return NULL;
}

static struct json_object *entry_new(const char *manager, const char *operation,
                                     const char *api_version, const char *subresource) {
    struct json_object *entry = json_object_new_object();
    json_set_text(entry, "apiVersion", api_version);
    json_set_text(entry, "fieldsType", "FieldsV1");
    json_set(entry, "fieldsV1", json_object_new_object());
    json_set_text(entry, "manager", manager);
    json_set_text(entry, "operation", operation);
    if (subresource[0] != '\0') {
        json_set_text(entry, "subresource", subresource);
    }
    return entry;
}

/* Add what a client or the store says; false if it is no entry. The last of two that are the same
 * counts, as upstream. */
static bool read_entry(struct json_object *given, const char *api_version,
                       struct json_object *entries) {
    struct json_object *fields = field_set_read(json_member(given, "fieldsV1"));
    const char *version = json_member_text(given, "apiVersion");
    const char *operation = json_member_text(given, "operation");
    bool usable = fields != NULL && version[0] != '\0' && is_operation(operation) &&
                  strcmp(json_member_text(given, "fieldsType"), "FieldsV1") == 0;
    if (!usable || strcmp(version, api_version) != 0) {
        json_object_put(fields);
        return usable;
    }
    struct json_object *entry = find_same(entries, given);
    if (entry == NULL) {
        entry = entry_new(json_member_text(given, "manager"), operation, version,
                          json_member_text(given, "subresource"));
        json_object_array_add(entries, entry);
    }
    json_set(entry, "fieldsV1", fields);
    if (json_member(given, "time") != NULL) {
        json_set(entry, "time", json_copy(json_member(given, "time")));
    }
    return true;
}

struct json_object *entries_read(struct json_object *object, const char *api_version) {
    struct json_object *given = json_at(object, "metadata", "managedFields", NULL);
    struct json_object *entries = json_object_new_array();
    for (size_t i = 0; i < json_length(given); i++) {
        if (!read_entry(json_object_array_get_idx(given, i), api_version, entries)) {
            json_object_put(entries);
            return NULL;
        }
    }
    return entries;
}

/* Kubernetes' order: by operation, time, manager, version and subresource. */
static int by_operation_and_time(const void *a, const void *b) {
    static const char *const names[] = {"operation", "time", "manager", "apiVersion",
                                        "subresource"};
    struct json_object *left = *(struct json_object *const *)a;
    struct json_object *right = *(struct json_object *const *)b;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int order = strcmp(json_member_text(left, names[i]), json_member_text(right, names[i]));
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

void entries_write(struct json_object *entries, struct json_object *object) {
    struct json_object *list = json_object_new_array();
    json_object_array_sort(entries, by_operation_and_time);
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        if (!field_set_is_empty(entry_fields(entry))) {
            json_object_array_add(list, json_sorted(entry));
        }
    }
    struct json_object *metadata = json_ensure(object, "metadata");
    json_remove(metadata, "managedFields");
    if (json_length(list) > 0) {
        json_set(metadata, "managedFields", json_object_get(list));
    }
    json_object_put(list);
    json_object_put(entries);
}

/* --- one entry -------------------------------------------------------------------------------- */

struct json_object *entry_fields(struct json_object *entry) {
    return json_member(entry, "fieldsV1");
}

struct json_object *entry_find(struct json_object *entries, const struct field_writer *writer,
                               const char *operation) {
    struct json_object *wanted =
        entry_new(writer->manager, operation, writer->api_version, writer->subresource);
    struct json_object *entry = find_same(entries, wanted);
    json_object_put(wanted);
    return entry;
}

struct json_object *entry_ensure(struct json_object *entries, const struct field_writer *writer,
                                 const char *operation) {
    struct json_object *entry = entry_find(entries, writer, operation);
    if (entry == NULL) {
        entry = entry_new(writer->manager, operation, writer->api_version, writer->subresource);
        json_object_array_add(entries, entry);
    }
    return entry;
}

void entry_set(struct json_object *entry, const struct field_writer *writer,
               struct json_object *fields, bool changed) {
    json_set(entry, "fieldsV1", fields);
    if (changed) {
        char moment[MOMENT_TEXT];
        moment_format(writer->now, moment);
        json_set_text(entry, "time", moment);
    }
}

/* --- what a write does to them ---------------------------------------------------------------- */

static struct json_object *less(struct json_object *set, struct json_object *taken) {
    return field_set_combine(SET_DIFFERENCE, set, taken);
}

void entries_disown(struct json_object *entries, struct json_object *own,
                    const struct comparison *comparison) {
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        if (entry == own) {
            continue;
        }
        struct json_object *unmodified = less(entry_fields(entry), comparison->modified);
        struct json_object *older = less(unmodified, comparison->added);
        json_set(entry, "fieldsV1", less(older, comparison->removed));
        json_object_put(unmodified);
        json_object_put(older);
    }
}

struct json_object *writer_without_reset(const struct field_writer *writer,
                                         struct json_object *set) {
    const char *reset = writer->subresource[0] != '\0' ? "f:spec" : "f:status";
    if (json_member(set, reset) == NULL) {
        return json_object_get(set);
    }
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(set, element, node) {
        if (strcmp(element, reset) != 0) {
            json_set(out, element, json_object_get(node));
        }
    }
    return out;
}

static void reset(const struct field_writer *writer, struct json_object **set) {
    struct json_object *left = writer_without_reset(writer, *set);
    json_object_put(*set);
    *set = left;
}

struct comparison writer_compare(const struct field_writer *writer, struct json_object *before,
                                 struct json_object *after) {
    struct structure structure = structure_of(writer->schema);
    struct comparison comparison = fields_compare(&structure, before, after);
    reset(writer, &comparison.removed);
    reset(writer, &comparison.modified);
    reset(writer, &comparison.added);
    return comparison;
}

struct json_object *fields_owned(struct json_object *set) {
    static const char *const nobodys[] = {"name", "namespace",  "creationTimestamp", "selfLink",
                                          "uid",  "generation", "resourceVersion"};
    struct json_object *taken = json_object_new_object();
    struct json_object *below = json_object_new_object();
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
        struct text element = {0};
        text_format(&element, "f:%s", nobodys[i]);
        field_set_put(below, element.data, true, NULL);
        text_clear(&element);
    }
    field_set_put(taken, "f:metadata", true, below);
    field_set_put(taken, "f:apiVersion", true, NULL);
    field_set_put(taken, "f:kind", true, NULL);
    struct json_object *owned = less(set, taken);
    json_object_put(taken);
    json_object_put(set);
    return owned;
}

void entries_begin(struct json_object *entries, const struct field_writer *writer,
                   const char *manager, struct json_object *object) {
    struct structure structure = structure_of(writer->schema);
    struct field_writer begins = *writer;
    begins.manager = manager;
    begins.subresource = "";
    struct comparison all = fields_compare(&structure, NULL, object);
    entry_set(entry_ensure(entries, &begins, "Update"), writer,
              fields_owned(json_object_get(all.added)), true);
    comparison_clear(&all);
}
