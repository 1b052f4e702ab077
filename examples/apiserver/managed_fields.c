/* managed_fields.c: managers' names, and what a write that is no apply does; see managed_fields.h.
 * managed_apply.c has the apply. */
#include "managed_entries.h"

#include <stdint.h>
#include <string.h>

#define UPDATE_MANAGERS_MAX 10 /* entries of operation Update, as kube-apiserver */
#define OLD_MANAGER         "ancient-changes"

/* --- names ------------------------------------------------------------------------------------ */

/* Bytes of the character that begins here, which is valid UTF-8. */
static size_t character_size(const char *at) {
    uint8_t lead = (uint8_t)*at;
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* No control character, neither of ASCII nor of Latin 1. */
static bool is_printable(const char *at) {
    uint8_t lead = (uint8_t)at[0];
    return lead >= 0x20 && lead != 0x7f && !(lead == 0xc2 && (uint8_t)at[1] < 0xa0);
}

void manager_name(const char *field_manager, const char *user_agent,
                  char out[MANAGER_NAME_MAX + 1]) {
    bool given = field_manager != NULL && field_manager[0] != '\0';
    const char *from = given ? field_manager : user_agent != NULL ? user_agent : "";
    size_t size = strcspn(from, given ? "" : "/");
    size_t length = 0;
    for (size_t at = 0; at < size && text_is_clean(from, size); at += character_size(from + at)) {
        size_t bytes = character_size(from + at);
        if (is_printable(from + at) && length + bytes <= MANAGER_NAME_MAX) {
            memcpy(out + length, from + at, bytes);
            length += bytes;
        }
    }
    out[length] = '\0';
    if (length == 0) {
        memcpy(out, "unknown", sizeof "unknown");
    }
}

bool manager_name_check(const char *name, const char *field, ipalloc_service_problems *problems) {
    size_t size = strlen(name);
    size_t before = problems->count;
    if (size > MANAGER_NAME_MAX) {
        problem_add(problems, "FieldValueTooLong", field, "Too long: may not be more than %d bytes",
                    MANAGER_NAME_MAX);
    }
    if (!text_is_clean(name, size)) {
        problem_add(problems, "FieldValueInvalid", field, "Invalid value: it is not valid UTF-8");
        return false;
    }
    for (size_t at = 0; at < size; at += character_size(name + at)) {
        if (!is_printable(name + at)) {
            problem_add(problems, "FieldValueInvalid", field,
                        "Invalid value: invalid character U+%04X (at position %zu)",
                        (uint8_t)name[at] < 0x80 ? (unsigned)name[at]
                                                 : (unsigned)(uint8_t)name[at + 1],
                        at);
            break;
        }
    }
    return problems->count == before;
}

/* --- updates ---------------------------------------------------------------------------------- */

static bool is_update(struct json_object *entry) {
    return strcmp(json_member_text(entry, "operation"), "Update") == 0;
}

static size_t oldest_update(struct json_object *entries, struct json_object *spared) {
    size_t oldest = json_length(entries);
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        if (!is_update(entry) || entry == spared) {
            continue;
        }
        const char *time = json_member_text(entry, "time");
        if (oldest == json_length(entries) ||
            strcmp(time, json_member_text(json_object_array_get_idx(entries, oldest), "time")) <
                0) {
            oldest = i;
        }
    }
    return oldest;
}

static size_t count_updates(struct json_object *entries) {
    size_t count = 0;
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        count += is_update(entry) && !field_set_is_empty(entry_fields(entry));
    }
    return count;
}

/* The oldest updates become one, so that an object that many write does not grow without end. */
static void merge_oldest(struct json_object *entries, const struct field_writer *writer) {
    struct field_writer old = *writer;
    old.manager = OLD_MANAGER;
    old.subresource = "";
    while (count_updates(entries) > UPDATE_MANAGERS_MAX) {
        struct json_object *bucket = entry_ensure(entries, &old, "Update");
        size_t at = oldest_update(entries, bucket);
        struct json_object *entry = json_object_array_get_idx(entries, at);
        json_set(bucket, "fieldsV1",
                 field_set_combine(SET_UNION, entry_fields(bucket), entry_fields(entry)));
        json_set(bucket, "time", json_copy(json_member(entry, "time")));
        json_object_array_del_idx(entries, at, 1);
    }
}

/* Does the client ask to forget who owns what? */
static bool is_reset(struct json_object *given) {
    struct json_object *first = json_object_array_get_idx(given, 0);
    return json_length(given) == 0 || (json_length(given) == 1 && field_set_is_empty(first));
}

/* Who owns what before the write: as the client says, if it says so, else as is stored. */
static struct json_object *entries_before(const struct field_writer *writer,
                                          struct json_object *current, struct json_object *wanted) {
    struct json_object *given = json_at(wanted, "metadata", "managedFields", NULL);
    struct json_object *entries = NULL;
    if (given != NULL && writer->subresource[0] == '\0') {
        entries =
            is_reset(given) ? json_object_new_array() : entries_read(wanted, writer->api_version);
        if (is_reset(given) || json_length(entries) > 0) {
            return entries;
        }
    }
    json_object_put(entries);
    entries = entries_read(current, writer->api_version);
    return entries != NULL ? entries : json_object_new_array();
}

/* The changed fields become the writer's, beside what was its own before. */
static void own_changes(struct json_object *entries, const struct field_writer *writer,
                        const struct comparison *change) {
    struct json_object *changed =
        fields_owned(field_set_combine(SET_UNION, change->modified, change->added));
    if (!field_set_is_empty(changed)) {
        struct json_object *own = entry_ensure(entries, writer, "Update");
        entry_set(own, writer, field_set_combine(SET_UNION, entry_fields(own), changed), true);
    }
    json_object_put(changed);
}

void managed_fields_update(const struct field_writer *writer, struct json_object *current,
                           struct json_object *wanted) {
    struct json_object *entries = entries_before(writer, current, wanted);
    if (json_length(entries) > 0 || current == NULL) {
        struct comparison change = writer_compare(writer, current, wanted);
        entries_disown(entries, NULL, &change);
        own_changes(entries, writer, &change);
        merge_oldest(entries, writer);
        comparison_clear(&change);
    }
    entries_write(entries, wanted);
}
