/* import_plan.c: from items to a plan; see import_plan.h. Changes nothing but memory. */
#include "import_plan.h"

#include "base64.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An imported bitmap says of so many neighbours who holds them: nobody that is known. An owner's
 * record has room for thousands, and is written anew with each change. */
#define TAKEN_BY_ONE_OWNER 64

/* --- texts of an item --------------------------------------------------------------------------
 */

/* NAME, or NAMEBase64. NULL where it is neither, or holds a NUL byte. */
static char *read_bytes(struct json_object *item, const char *name) {
    char encoded_name[64];
    struct text bytes = {0};
    struct json_object *value = json_member(item, name);
    if (json_object_is_type(value, json_type_string)) {
        return memory_copy(json_object_get_string(value));
    }
    snprintf(encoded_name, sizeof encoded_name, "%sBase64", name);
    value = json_member(item, encoded_name);
    if (!json_object_is_type(value, json_type_string) ||
        !base64_read(json_object_get_string(value), (size_t)json_object_get_string_len(value),
                     &bytes) ||
        bytes.size == 0 || memchr(bytes.data, '\0', bytes.size) != NULL) {
        text_clear(&bytes);
        return NULL;
    }
    return bytes.data;
}

static int refuse(ipalloc_error *error, const char *rule) {
    return admin_refuse(error, IPALLOC_E_INVALID, "%s", rule);
}

/* --- wants -------------------------------------------------------------------------------------
 */

static struct import_want *add_want(struct import_plan *plan) {
    if (plan->want_count == plan->want_capacity) {
        plan->want_capacity = plan->want_capacity < 64 ? 64 : 2 * plan->want_capacity;
        plan->wants = memory_resize(plan->wants, plan->want_capacity * sizeof *plan->wants);
    }
    struct import_want *want = &plan->wants[plan->want_count++];
    *want = (struct import_want){0};
    return want;
}

static int read_slots(struct json_object *list, struct import_want *want, ipalloc_error *error) {
    size_t count = json_length(list);
    if (count == 0 || count > IPALLOC_LEASE_SLOTS_MAX) {
        return refuse(error, "slots: 1 to 16 of them");
    }
    want->slots = memory_allocate(count * sizeof want->slots[0]);
    for (size_t i = 0; i < count; i++) {
        struct json_object *value = json_object_array_get_idx(list, i);
        char *slot = json_object_is_type(value, json_type_string)
                         ? memory_copy(json_object_get_string(value))
                         : read_bytes(value, "slot");
        bool fine = slot != NULL && slot[0] != '\0' && strlen(slot) <= IPALLOC_SLOT_MAX;
        if (fine) {
            memcpy(want->slots[want->slot_count++], slot, strlen(slot) + 1);
        }
        free(slot);
        if (!fine) {
            return refuse(error, "slots: 1 to 63 bytes each");
        }
    }
    return IPALLOC_OK;
}

static int read_place(struct json_object *item, struct admin_place *place, ipalloc_error *error) {
    struct json_object *value = json_member(item, "address");
    bool is_port = value == NULL;
    value = is_port ? json_member(item, "port") : value;
    const char *words = value != NULL ? json_object_get_string(value) : "";
    int status = admin_place_parse(words, strlen(words), place, error);
    return status == IPALLOC_OK && place->is_port != is_port
               ? refuse(error, "an address is text, a port a number")
               : status;
}

static int read_lease(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    struct import_want *want = add_want(plan);
    const char *pool = json_member_text(item, "pool");
    const char *as_good = json_member_text(item, "asGood");
    int status = read_place(item, &want->place, error);
    want->owner = read_bytes(item, "owner");
    want->as_good = as_good[0] != '\0' ? memory_copy(as_good) : NULL;
    if (status != IPALLOC_OK) {
        return status;
    }
    if (want->owner == NULL || want->owner[0] == '\0' || strlen(want->owner) > IPALLOC_OWNER_MAX) {
        return refuse(error, "owner: 1 to 255 bytes");
    }
    if (strlen(pool) > IPALLOC_POOL_NAME_MAX) {
        return refuse(error, "pool: it is too long");
    }
    memcpy(want->pool, pool, strlen(pool) + 1);
    return read_slots(json_member(item, "slots"), want, error);
}

/* --- ranges and bitmaps ------------------------------------------------------------------------
 */

static struct import_range *add_range(struct import_plan *plan) {
    plan->ranges = memory_resize(plan->ranges, (plan->range_count + 1) * sizeof *plan->ranges);
    struct import_range *range = &plan->ranges[plan->range_count++];
    *range = (struct import_range){0};
    return range;
}

static int read_range(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    const char *words = json_member_text(item, "range");
    struct import_range *range = add_range(plan);
    snprintf(range->text, sizeof range->text, "%s", words);
    return ipalloc_cidr_parse(words, strlen(words), &range->cidr, error);
}

/* Where a taken item lies, and in whose name it is held. */
static void want_item(const ipalloc_range_allocation *allocation, uint64_t item,
                      struct import_plan *plan) {
    struct import_want *want = add_want(plan);
    char owner[IPALLOC_OWNER_MAX + 1];
    ipalloc_addr address = {0};
    uint16_t port = 0;
    if (allocation->is_ports) {
        ipalloc_range_allocation_port(allocation, item, &port);
    } else {
        ipalloc_range_allocation_addr(allocation, item, &address);
    }
    want->place = admin_place_of(&address, port);
    want->taken = true;
    snprintf(owner, sizeof owner, "Import/%.*s/%" PRIu64, (int)allocation->range.size,
             (const char *)allocation->range.data, item / TAKEN_BY_ONE_OWNER);
    want->owner = memory_copy(owner);
    want->slots = memory_allocate(sizeof want->slots[0]);
    snprintf(want->slots[want->slot_count++], sizeof want->slots[0], "%s", want->place.text);
}

static int read_bitmap(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    struct json_object *data = json_member(item, "data");
    struct json_object *range = json_member(item, "range");
    struct text bytes = {0};
    ipalloc_range_allocation allocation = {.size = sizeof allocation};
    if (!json_object_is_type(range, json_type_string) ||
        !json_object_is_type(data, json_type_string) ||
        !base64_read(json_object_get_string(data), (size_t)json_object_get_string_len(data),
                     &bytes)) {
        text_clear(&bytes);
        return refuse(error, "a bitmap has a range, and data in base64");
    }
    ipalloc_bytes words = {json_object_get_string(range),
                           (size_t)json_object_get_string_len(range)};
    int status = ipalloc_range_allocation_make(words, (ipalloc_bytes){bytes.data, bytes.size},
                                               &allocation, error);
    if (status == IPALLOC_OK) {
        struct import_range *needed = add_range(plan);
        needed->is_ports = allocation.is_ports;
        needed->cidr = allocation.cidr;
        needed->first = allocation.port_first;
        needed->last = allocation.port_last;
        snprintf(needed->text, sizeof needed->text, "%.*s", (int)words.size,
                 (const char *)words.data);
        for (uint64_t i = 0; ipalloc_range_allocation_next(&allocation, &i) == IPALLOC_OK; i++) {
            want_item(&allocation, i, plan);
        }
    }
    text_clear(&bytes);
    return status;
}

/* --- pools and records -------------------------------------------------------------------------
 */

static int read_pool(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    const char *name = json_member_text(item, "name");
    plan->pools = memory_resize(plan->pools, (plan->pool_count + 1) * sizeof *plan->pools);
    struct import_pool *pool = &plan->pools[plan->pool_count++];
    *pool = (struct import_pool){.name = memory_copy(name)};
    int status = pool_text_read(json_member(item, "definition"), &pool->text, error);
    /* The struct holds pointers into itself, and the array may move. */
    pool->text.definition.ranges = NULL;
    if (status == IPALLOC_OK && pool->text.cut_count > 0) {
        return admin_refuse(error, IPALLOC_E_INVALID,
                            "pool %s has ranges that drain after a cut, which cannot be made anew: "
                            "wait until they have drained, or use a backup",
                            name);
    }
    return status;
}

static int read_record(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    plan->records = memory_resize(plan->records, (plan->record_count + 1) * sizeof *plan->records);
    struct import_record *record = &plan->records[plan->record_count++];
    *record = (struct import_record){.key = read_bytes(item, "key")};
    struct json_object *value = json_member(item, "value");
    struct json_object *encoded = json_member(item, "valueBase64");
    if (record->key == NULL || record->key[0] == '\0' ||
        strlen(record->key) > IPALLOC_RECORD_KEY_MAX) {
        return refuse(error, "key: 1 to 768 bytes");
    }
    bool fine = true;
    if (json_object_is_type(value, json_type_string)) {
        text_append(&record->value, json_object_get_string(value),
                    (size_t)json_object_get_string_len(value));
    } else {
        fine = json_object_is_type(encoded, json_type_string) &&
               base64_read(json_object_get_string(encoded),
                           (size_t)json_object_get_string_len(encoded), &record->value);
    }
    return fine ? IPALLOC_OK : refuse(error, "value: text, or valueBase64");
}

/* --- all items ---------------------------------------------------------------------------------
 */

static const struct {
    const char *type;
    int (*read)(struct json_object *item, struct import_plan *plan, ipalloc_error *error);
} readers[] = {
    {"pool", read_pool},   {"range", read_range},   {"bitmap", read_bitmap},
    {"lease", read_lease}, {"record", read_record},
};

static int read_item(struct json_object *item, struct import_plan *plan, ipalloc_error *error) {
    const char *type = json_member_text(item, "type");
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (strcmp(readers[i].type, type) == 0) {
            return readers[i].read(item, plan, error);
        }
    }
    return admin_refuse(error, IPALLOC_E_INVALID, "there is no type \"%.40s\"", type);
}

static int compare_wants(const void *a, const void *b) {
    const struct import_want *x = a;
    const struct import_want *y = b;
    if (x->taken != y->taken) {
        return x->taken ? 1 : -1;
    }
    int order = strcmp(x->owner, y->owner);
    if (order == 0) {
        order = strcmp(x->pool, y->pool);
    }
    return order != 0 ? order : strcmp(x->place.text, y->place.text);
}

int import_plan_read(struct json_object *items, struct import_plan *plan, ipalloc_error *error) {
    *plan = (struct import_plan){0};
    for (size_t i = 0; i < json_length(items); i++) {
        ipalloc_error why = {0};
        int status = read_item(json_object_array_get_idx(items, i), plan, &why);
        if (status != IPALLOC_OK) {
            return admin_refuse(error, IPALLOC_E_INVALID, "item %zu: %s", i, why.message);
        }
    }
    if (plan->want_count > 0) {
        qsort(plan->wants, plan->want_count, sizeof *plan->wants, compare_wants);
    }
    return IPALLOC_OK;
}

void import_plan_free(struct import_plan *plan) {
    for (size_t i = 0; i < plan->pool_count; i++) {
        free(plan->pools[i].name);
        pool_text_free(&plan->pools[i].text);
    }
    for (size_t i = 0; i < plan->want_count; i++) {
        free(plan->wants[i].owner);
        free(plan->wants[i].as_good);
        free(plan->wants[i].slots);
    }
    for (size_t i = 0; i < plan->record_count; i++) {
        free(plan->records[i].key);
        text_clear(&plan->records[i].value);
    }
    free(plan->pools);
    free(plan->ranges);
    free(plan->wants);
    free(plan->records);
    *plan = (struct import_plan){0};
}
