/*
 * final.c: reads records as an operator would, with a parser of its own, and compares.
 */
#include "final.h"

#include <ipalloc/repair.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASES_MAX = 4096 };

typedef struct heap {
    step *all;
    size_t count;
} heap;

typedef struct look {
    final_state *out;
    heap leases, owners, records;
    size_t strip; /* bytes of a key before its part that counts */
} look;

__attribute__((format(printf, 2, 3))) static void say_wrong(final_state *s, const char *form, ...) {
    va_list values;
    if (s->wrong[0] != '\0')
        return;
    va_start(values, form);
    vsnprintf(s->wrong, sizeof s->wrong, form, values);
    va_end(values);
}

static step *push(heap *h) {
    if (h->all == NULL)
        h->all = calloc(LEASES_MAX, sizeof *h->all);
    ck_assert_ptr_nonnull(h->all);
    ck_assert_uint_lt(h->count, LEASES_MAX);
    return &h->all[h->count++];
}

/* ---- records ---- */

/* The rest of the line behind "name=", at any line. */
static bool line_of(const char *text, const char *name, char *out, size_t capacity) {
    size_t length = strlen(name);
    for (const char *at = text; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '\n');
        if (end != NULL && strncmp(at, name, length) == 0 && at[length] == '=') {
            snprintf(out, capacity, "%.*s", (int)(end - at - (long)length - 1), at + length + 1);
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static int pool_named(const char *name) {
    for (int i = 0; i < WORKLOAD_POOLS; i++)
        if (strcmp(name, POOL_NAMES[i]) == 0)
            return i;
    return -1;
}

static bool number_of(int pool, const char *text, uint32_t *out) {
    ipalloc_addr address = {0};
    unsigned port = 0;
    if (pool < 0)
        return false;
    if (pool == POOL_PORTS)
        port = (unsigned)strtoul(text, NULL, 10);
    else if (ipalloc_addr_parse(text, strlen(text), &address, NULL) != IPALLOC_OK)
        return false;
    *out = workload_number(pool, &address, (uint16_t)port);
    return true;
}

/* lease/<pool>/<place>/ */
static void read_lease(look *l, const char *key, const char *text) {
    char pool[64], place[64], owner[300], slot[80], generation[32];
    step *s = push(&l->leases);
    bool read =
        sscanf(key, "%63[^/]/", pool) == 1 && line_of(text, "owner", owner, sizeof owner) &&
        line_of(text, "slot", slot, sizeof slot) &&
        line_of(text, "generation", generation, sizeof generation) &&
        line_of(text, pool_named(pool) == POOL_PORTS ? "port" : "address", place, sizeof place);
    *s = (step){.kind = STEP_SEE};
    if (!read || !workload_owner_parse(owner, &s->owner) || !workload_slot_parse(slot, &s->slot) ||
        !number_of(pool_named(pool), place, &s->number))
        say_wrong(l->out, "a lease cannot be read: %s: %s", key, text);
    s->pool = (uint8_t)pool_named(pool);
    s->generation = strtoull(generation, NULL, 10);
    if (read && s->pool != workload_pool_of(s->slot))
        say_wrong(l->out, "a lease has a slot of another pool: %s: %s", key, text);
}

/* owner/<owner>/, the owner's slashes as %2F. */
static bool owner_of_key(const char *key, uint32_t *out) {
    char name[300];
    size_t used = 0;
    for (; *key != '\0' && *key != '/' && used + 1 < sizeof name; key++) {
        char digits[3] = {0};
        if (*key == '%') {
            memcpy(digits, key + 1, 2);
            name[used++] = (char)strtoul(digits, NULL, 16);
            key += 2;
        } else {
            name[used++] = *key;
        }
    }
    name[used] = '\0';
    return workload_owner_parse(name, out);
}

static void read_owner(look *l, const char *key, const char *text) {
    uint32_t owner = 0;
    bool read = owner_of_key(key, &owner);
    for (const char *at = text; read && *at != '\0'; at = strchr(at, '\n') + 1) {
        char pool[64], place[64], slot[80];
        unsigned long long generation = 0, time = 0;
        if (strchr(at, '\n') == NULL)
            break;
        if (strncmp(at, "lease=", 6) != 0)
            continue;
        step *s = push(&l->owners);
        *s = (step){.kind = STEP_SEE, .owner = owner};
        read = sscanf(at, "lease=%63s %63s %llu %llu %79[^\n ]", pool, place, &generation, &time,
                      slot) == 5 &&
               workload_slot_parse(slot, &s->slot) &&
               number_of(pool_named(pool), place, &s->number);
        s->pool = (uint8_t)pool_named(pool);
        s->generation = generation;
    }
    if (!read)
        say_wrong(l->out, "an owner's record cannot be read: %s: %s", key, text);
    l->out->owners++;
}

/* record/holds/<owner> */
static void read_record(look *l, const char *key, const char *text, size_t size) {
    holding held[SLOTS];
    unsigned owner = 0;
    if (sscanf(key, "holds/%u", &owner) != 1 || !workload_record_read(text, size, held)) {
        say_wrong(l->out, "a transaction's record cannot be read: %s: %s", key, text);
        return;
    }
    l->out->records++;
    for (uint16_t slot = 0; slot < SLOTS; slot++)
        if (held[slot].held)
            *push(&l->records) = (step){STEP_SEE,
                                        (uint8_t)workload_pool_of(slot),
                                        slot,
                                        held[slot].number,
                                        (uint32_t)owner,
                                        held[slot].generation};
}

static bool begins(const char **key, const char *with) {
    size_t length = strlen(with);
    if (strncmp(*key, with, length) != 0)
        return false;
    *key += length;
    return true;
}

static void see(look *l, const char *key, const char *value, size_t size) {
    char *text = strndup(value, size);
    ck_assert_ptr_nonnull(text);
    if (begins(&key, "lease/"))
        read_lease(l, key, text);
    else if (begins(&key, "owner/"))
        read_owner(l, key, text);
    else if (begins(&key, "record/"))
        read_record(l, key, text, size);
    else if (!begins(&key, "pool/") && !begins(&key, "cooling/") && !begins(&key, "definitions/") &&
             !begins(&key, "format/"))
        say_wrong(l->out, "nobody knows the key %s", key);
    free(text);
}

/* ---- comparing ---- */

static int by_generation(const void *a, const void *b) {
    const step *x = a, *y = b;
    if (x->generation != y->generation)
        return x->generation < y->generation ? -1 : 1;
    return 0;
}

static bool same_step(const step *a, const step *b) {
    return a->pool == b->pool && a->slot == b->slot && a->number == b->number &&
           a->owner == b->owner && a->generation == b->generation;
}

static void sort(heap *h) {
    if (h->count > 0)
        qsort(h->all, h->count, sizeof *h->all, by_generation);
}

/* Both tell the same leases. */
static void compare(final_state *s, const step *a, size_t a_count, const step *b, size_t b_count,
                    const char *what) {
    for (size_t i = 0; i < a_count || i < b_count; i++) {
        if (i < a_count && i < b_count && same_step(&a[i], &b[i]))
            continue;
        const step *lonely =
            i >= b_count || (i < a_count && a[i].generation < b[i].generation) ? &a[i] : &b[i];
        say_wrong(s, "%s differ at pool %u number %u owner %u slot %u generation %llu", what,
                  lonely->pool, lonely->number, lonely->owner, lonely->slot,
                  (unsigned long long)lonely->generation);
        return;
    }
}

static void no_two(final_state *s, const heap *h) {
    for (size_t i = 0; i < h->count; i++)
        for (size_t k = 0; k < i; k++) {
            const step *a = &h->all[i], *b = &h->all[k];
            if (a->pool == b->pool && a->number == b->number)
                say_wrong(s, "pool %u number %u is held twice", a->pool, a->number);
            if (a->owner == b->owner && a->slot == b->slot)
                say_wrong(s, "owner %u has slot %u twice", a->owner, a->slot);
        }
}

/* Leases, owners' records and transactions' records tell the same. */
static void conclude(look *l) {
    heap with_records = {0};
    sort(&l->leases);
    sort(&l->owners);
    sort(&l->records);
    compare(l->out, l->leases.all, l->leases.count, l->owners.all, l->owners.count,
            "leases and owners' records");
    for (size_t i = 0; i < l->leases.count; i++)
        if (workload_is_record_owner(l->leases.all[i].owner))
            *push(&with_records) = l->leases.all[i];
    compare(l->out, with_records.all, with_records.count, l->records.all, l->records.count,
            "leases and transactions' records");
    no_two(l->out, &l->leases);
    push(&l->leases)->generation = 0; /* never NULL: NULL is "not looked at" */
    l->out->leases = l->leases.all;
    l->out->count = l->leases.count - 1;
    free(with_records.all);
    free(l->owners.all);
    free(l->records.all);
}

/* ---- sources ---- */

static void see_etcd_key(void *context, const etcd_key *key) {
    look *l = context;
    see(l, key->key + l->strip, key->value, key->value_size);
}

void final_from_etcd(etcd_cluster *cluster, const char *prefix, final_state *out) {
    char data[256];
    look l = {.out = out};
    *out = (final_state){.at = journal_now()};
    snprintf(data, sizeof data, "%s/data/", prefix);
    l.strip = strlen(data);
    etcd_read_all(cluster, data, see_etcd_key, &l);
    conclude(&l);
}

static int see_entry(void *context, const ipalloc_entry *entry) {
    char *key = strndup(entry->key.data, entry->key.size);
    see(context, key, entry->value.data, entry->value.size);
    free(key);
    return 0;
}

void final_from_store(const char *url, final_state *out) {
    look l = {.out = out};
    ipalloc_store *store = NULL;
    ipalloc_error error;
    *out = (final_state){.at = journal_now()};
    ck_assert_status_error(ipalloc_store_open(url, NULL, &store, &error), IPALLOC_OK, &error);
    ipalloc_bytes all = {"", 0};
    ck_assert_status_error(ipalloc_store_scan(store, all, all, 0, see_entry, &l, NULL, &error),
                           IPALLOC_OK, &error);
    ipalloc_store_close(store);
    conclude(&l);
}

void final_free(final_state *s) {
    free(s->leases);
}

/* ---- a fresh registry ---- */

static int see_lease(void *context, const ipalloc_lease *lease) {
    step s;
    ck_assert(workload_sight(lease, &s));
    *push(context) = s;
    return 0;
}

static bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    uint32_t id = 0;
    (void)context;
    if (!workload_owner_parse(owner, &id) || !workload_is_record_owner(id))
        return false;
    workload_record_key(id, key);
    return true;
}

typedef struct live {
    ipalloc_registry *registry;
    ipalloc_live_list *list;
} live;

static int add_record(void *context, const ipalloc_entry *entry) {
    live *l = context;
    holding held[SLOTS];
    unsigned owner = 0;
    char name[32], slot_name[16], key[64];
    snprintf(key, sizeof key, "%.*s", (int)entry->key.size, (const char *)entry->key.data);
    ck_assert_int_eq(sscanf(key, "holds/%u", &owner), 1);
    ck_assert(workload_record_read(entry->value.data, entry->value.size, held));
    workload_owner_name(owner, name);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!held[slot].held)
            continue;
        int pool = workload_pool_of(slot);
        workload_slot_name(slot, slot_name);
        ipalloc_live_claim claim = {.size = sizeof claim,
                                    .owner = name,
                                    .record_revision = entry->revision,
                                    .pool = POOL_NAMES[pool],
                                    .slot = slot_name};
        if (pool == POOL_PORTS)
            claim.port = (uint16_t)held[slot].number;
        else
            claim.address = workload_address(pool, held[slot].number);
        ipalloc_live_add(l->list, &claim, NULL);
    }
    return 0;
}

static int list_live(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    live *l = context;
    l->list = list;
    return ipalloc_record_scan(l->registry, "holds/", "", 0, add_record, l, NULL, error);
}

static void repair_finds_nothing(ipalloc_registry *registry, final_state *s) {
    live l = {.registry = registry};
    ipalloc_live_set set = {
        .size = sizeof set, .context = &l, .record_of = record_of, .list = list_live};
    ipalloc_repair_options with = {.size = sizeof with, .no_sightings = true};
    ipalloc_repair_report *report = NULL;
    ipalloc_repair_summary summary = {.size = sizeof summary};
    ipalloc_error error;
    ck_assert_status_error(ipalloc_repair(registry, &set, &with, &report, &error), IPALLOC_OK,
                           &error);
    ck_assert_status(ipalloc_repair_report_summary(report, &summary, NULL), IPALLOC_OK);
    if (summary.lines != 0 || summary.leases != s->count)
        say_wrong(s, "repair finds %zu lines in %zu leases", summary.lines, summary.leases);
    ipalloc_repair_report_free(report);
}

void final_registry(const char *url, final_state *s) {
    ipalloc_store *store = NULL;
    ipalloc_registry *registry = NULL;
    ipalloc_pool *pools[WORKLOAD_POOLS];
    ipalloc_error error;
    heap listed = {0};
    ck_assert_status_error(ipalloc_store_open(url, NULL, &store, &error), IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_registry_open(store, NULL, &registry, &error), IPALLOC_OK,
                           &error);
    ck_assert_status_error(workload_define(registry, pools, &error), IPALLOC_OK, &error);
    if (ipalloc_registry_validate(registry, &error) != IPALLOC_OK)
        say_wrong(s, "the store is not valid: %s", error.message);
    ck_assert_status_error(ipalloc_list(registry, NULL, see_lease, &listed, &error), IPALLOC_OK,
                           &error);
    sort(&listed);
    compare(s, s->leases, s->count, listed.all, listed.count, "the store and a registry's list");
    repair_finds_nothing(registry, s);
    free(listed.all);
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}
