/*
 * admin_export.c: everything that can be told to another store: pools, leases, records.
 *
 * Generations, times and what cools are a store's own and are left out: for an exact copy there is
 * backup. Leases and records are of one revision, or the export is refused.
 */
#include "pool_text.h"

#include "base64.h"

#include <stdio.h>
#include <string.h>

#define EXPORT_VERSION 1

/* NAME where it is text, NAMEBase64 where it is not. */
static void set_bytes(struct json_object *value, const char *name, const void *bytes, size_t size) {
    struct text words = {0};
    if (text_is_clean(bytes, size)) {
        json_set(value, name, json_object_new_string_len(bytes, (int)size));
        return;
    }
    base64_add(&words, bytes, size);
    char encoded_name[64];
    snprintf(encoded_name, sizeof encoded_name, "%sBase64", name);
    json_set_text(value, encoded_name, words.data);
    text_clear(&words);
}

static struct json_object *item_new(const char *type) {
    struct json_object *value = json_object_new_object();
    json_set_text(value, "type", type);
    return value;
}

static int export_pools(struct admin *admin, struct admin_output *out, ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        struct json_object *lines = pool_text_of(admin, ipalloc_pool_name(pool), error);
        if (lines == NULL) {
            return error->status != IPALLOC_OK ? error->status : IPALLOC_E_IO;
        }
        struct json_object *value = item_new("pool");
        json_set_text(value, "name", ipalloc_pool_name(pool));
        json_set(value, "definition", lines);
        out->item(out->context, value);
    }
    return IPALLOC_OK;
}

static int export_lease(void *context, const ipalloc_lease *lease) {
    struct admin_output *out = context;
    struct json_object *value = item_new("lease");
    struct json_object *slots = json_object_new_array();
    struct admin_place place = admin_place_of_lease(lease);
    json_set_text(value, "pool", lease->pool);
    admin_set_place(value, &place);
    set_bytes(value, "owner", lease->owner, strlen(lease->owner));
    for (size_t i = 0; i < lease->slot_count; i++) {
        struct json_object *slot = json_object_new_object();
        set_bytes(slot, "slot", lease->slots[i], strlen(lease->slots[i]));
        json_object_array_add(slots, slot);
    }
    json_set(value, "slots", slots);
    out->item(out->context, value);
    return IPALLOC_OK;
}

static int export_record(void *context, const ipalloc_entry *entry) {
    struct admin_output *out = context;
    struct json_object *value = item_new("record");
    set_bytes(value, "key", entry->key.data, entry->key.size);
    set_bytes(value, "value", entry->value.data, entry->value.size);
    out->item(out->context, value);
    return IPALLOC_OK;
}

int admin_export(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                 ipalloc_error *error) {
    uint64_t leases_at = 0;
    uint64_t records_at = 0;
    (void)arguments;
    int status = export_pools(admin, out, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_list_at(admin->registry, NULL, export_lease, out, &leases_at, error);
    }
    if (status == IPALLOC_OK) {
        status = ipalloc_record_scan(admin->registry, "", NULL, 0, export_record, out, &records_at,
                                     error);
    }
    if (status == IPALLOC_OK && leases_at != records_at) {
        return admin_refuse(error, IPALLOC_E_CONFLICT,
                            "the store was written to meanwhile: make a backup, and export that");
    }
    json_set_number(out->members, "version", EXPORT_VERSION);
    return status;
}
