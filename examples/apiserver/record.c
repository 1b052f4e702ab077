/* record.c: stored JSON in and out; see record.h. Putting the resourceVersion in is a splice, so
 * that a list costs a copy per object and no parsing. */
#include "record.h"

#include "resource.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void resource_version_format(const struct server *server, uint64_t revision,
                             char out[RESOURCE_VERSION_TEXT]) {
    snprintf(out, RESOURCE_VERSION_TEXT, "%" PRIu64,
             server->epoch * RESOURCE_VERSION_EPOCH + revision);
}

bool resource_version_parse(const struct server *server, const char *text, uint64_t *revision,
                            bool *expired) {
    size_t digits = strspn(text, "0123456789");
    *expired = false;
    if (digits == 0 || digits > 19 || text[digits] != '\0') {
        return false;
    }
    uint64_t value = strtoull(text, NULL, 10);
    *expired = value / RESOURCE_VERSION_EPOCH != server->epoch;
    *revision = value % RESOURCE_VERSION_EPOCH;
    return !*expired;
}

/* Where the metadata begins in what record_put wrote; 0 if it was not record_put, or put under
 * another kind's key. */
static size_t metadata_offset(const ipalloc_entry *entry) {
    const struct resource *resource = resource_of_key(entry->key.data, entry->key.size);
    char version[RESOURCE_TEXT];
    char head[3 * RESOURCE_TEXT];
    if (resource == NULL) {
        return 0;
    }
    int length =
        snprintf(head, sizeof head, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{",
                 resource_api_version(resource, version), resource->kind);
    size_t offset = (size_t)length;
    const char *bytes = entry->value.data;
    bool ours = entry->value.size > offset && memcmp(bytes, head, offset) == 0;
    return ours && bytes[offset] == '"' ? offset : 0;
}

bool record_add(const struct server *server, const ipalloc_entry *entry, struct text *out) {
    const char *bytes = entry->value.data;
    char version[RESOURCE_VERSION_TEXT];
    size_t offset = metadata_offset(entry);
    if (offset == 0) {
        return false;
    }
    resource_version_format(server, entry->revision, version);
    text_append(out, bytes, offset);
    text_format(out, "\"resourceVersion\":\"%s\",", version);
    text_append(out, bytes + offset, entry->value.size - offset);
    return true;
}

struct json_object *record_parse(const struct server *server, const ipalloc_entry *entry,
                                 ipalloc_error *error) {
    struct text text = {0};
    struct text problem = {0};
    struct json_object *object = NULL;
    if (record_add(server, entry, &text)) {
        object = json_parse(text.data, text.size, &problem);
    }
    if (object == NULL) {
        error->status = IPALLOC_E_CORRUPT;
        snprintf(error->message, sizeof error->message, "the stored object %.*s is damaged: %s",
                 (int)(entry->key.size < 200 ? entry->key.size : 200),
                 (const char *)entry->key.data,
                 problem.size > 0 ? problem.data : "it was not written by this server");
    }
    text_clear(&problem);
    text_clear(&text);
    return object;
}

struct reading {
    const struct server *server;
    struct json_object *object;
    uint64_t revision;
    ipalloc_error *error;
};

static int see_record(void *context, const ipalloc_entry *entry) {
    struct reading *reading = context;
    reading->object = record_parse(reading->server, entry, reading->error);
    reading->revision = entry->revision;
    return reading->object != NULL ? IPALLOC_OK : IPALLOC_E_CORRUPT;
}

int record_read(const struct server *server, const char *key, struct json_object **object,
                uint64_t *revision, ipalloc_error *error) {
    struct reading reading = {.server = server, .error = error};
    ipalloc_error store_error = {0};
    int status = ipalloc_record_get(server->registry, key, see_record, &reading, &store_error);
    if (status != IPALLOC_OK && status != IPALLOC_E_CORRUPT) {
        *error = store_error;
        error->status = status;
    }
    *object = reading.object;
    if (revision != NULL) {
        *revision = reading.revision;
    }
    return status;
}

int record_put(ipalloc_txn *txn, const char *key, struct json_object *object,
               uint64_t expected_revision, ipalloc_error *error) {
    size_t size = 0;
    json_remove(json_member(object, "metadata"), "resourceVersion");
    const char *line = json_line(object, &size);
    if (size > IPALLOC_VALUE_MAX) {
        error->status = IPALLOC_E_TAKEN;
        snprintf(error->message, sizeof error->message,
                 "the object is %zu bytes large; at most %zu fit into the store", size,
                 IPALLOC_VALUE_MAX);
        return IPALLOC_E_TAKEN;
    }
    return ipalloc_txn_put(txn, key, line, size, expected_revision, error);
}

void uid_make(char out[UID_TEXT]) {
    uint8_t bytes[16] = {0};
    size_t have = 0;
    while (have < sizeof bytes) {
        ssize_t got = getrandom(bytes + have, sizeof bytes - have, 0);
        if (got < 0 && errno != EINTR) {
            perror("ipalloc-apiserver: getrandom");
            exit(70); /* a uid that may repeat would break everything built on it */
        }
        have += got > 0 ? (size_t)got : 0;
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    char *at = out;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += snprintf(at, 4, dash ? "-%02x" : "%02x", bytes[i]);
    }
}

void record_stamp(struct json_object *metadata) {
    char uid[UID_TEXT];
    char moment[MOMENT_TEXT];
    moment_format(time(NULL), moment);
    uid_make(uid);
    json_set_text(metadata, "uid", uid);
    json_set_text(metadata, "creationTimestamp", moment);
    json_remove(metadata, "deletionTimestamp");
    json_remove(metadata, "deletionGracePeriodSeconds");
    json_remove(metadata, "generation");
}
