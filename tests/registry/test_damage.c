/*
 * test_damage.c: nothing untrusted is believed. Every byte of every stored record is flipped, every
 * record is cut at every length, every key is damaged: the answer is CORRUPT (naming the record) or
 * the store is still fine; never a crash, never another status that would hide it.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

enum { ENTRIES_MAX = 32, BYTES_MAX = 2048 };

typedef struct stored {
    char key[IPALLOC_KEY_MAX];
    size_t key_size;
    char value[BYTES_MAX];
    size_t value_size;
} stored;

typedef struct all_stored {
    size_t count;
    stored entries[ENTRIES_MAX];
} all_stored;

static int keep(void *context, const ipalloc_entry *entry) {
    all_stored *all = context;
    ck_assert_uint_lt(all->count, ENTRIES_MAX);
    stored *one = &all->entries[all->count++];
    memcpy(one->key, entry->key.data, entry->key.size);
    one->key_size = entry->key.size;
    memcpy(one->value, entry->value.data, entry->value.size);
    one->value_size = entry->value.size;
    return 0;
}

static void fill(fixture *f) {
    ipalloc_pool *pool = define_pool_with(f, "services", "10.96.0.0/28 10.97.0.0/29",
                                          (ipalloc_pool_definition){.cool_down_ms = 100000});
    ipalloc_pool *ports = define_ports(f, "ports", 30000, 30063);
    define_pool(f, "six", "fd00::/120");
    ipalloc_addr first = addr("10.96.0.3"), last = addr("10.96.0.4");
    OK(f, ipalloc_pool_exclude(pool, &first, &last, &f->error));
    reserve(f, pool, "Service/a", SLOT, "10.96.0.5");
    reserve(f, pool, "Service/a", "other slot", "10.96.0.5");
    reserve(f, open_pool(f, "six"), "Service/a", "clusterIP/IPv6", "fd00::5");
    ipalloc_grant gone = allocate(f, pool, "Service/b", SLOT);
    OK(f, ipalloc_release(f->registry, pool, "Service/b", &gone.address, 0, &f->error));
    ipalloc_txn *txn = begin(f, "Service/a");
    OK(f, ipalloc_txn_reserve_port(txn, ports, "http", 30001, NULL, &f->error));
    OK(f, ipalloc_txn_commit(txn, NULL, &f->error));
}

static void write_bytes(fixture *f, int kind, const char *key, size_t key_size, const char *value,
                        size_t value_size) {
    ipalloc_op op = {
        .kind = kind,
        .key = {key, key_size},
        .value = {kind == IPALLOC_OP_PUT ? value : NULL, kind == IPALLOC_OP_PUT ? value_size : 0}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(f, ipalloc_store_commit(f->store, &batch, 1, &f->error));
    OK(f, batch.status);
}

static int ignore_lease(void *context, const ipalloc_lease *lease) {
    (void)context;
    ck_assert_uint_le(lease->slot_count, IPALLOC_LEASE_SLOTS_MAX);
    return 0;
}

/* Every call that reads records; the status must be one that the header gives. */
static void poke(fixture *f) {
    static const char *const POOLS[] = {"services", "six"};
    static const char *const ADDRESSES[] = {"10.96.0.5", "fd00::5"};
    ipalloc_pool *pool;
    ipalloc_list(f->registry, NULL, ignore_lease, NULL, &f->error);
    ipalloc_owner_leases(f->registry, "Service/a", ignore_lease, NULL, &f->error);
    for (size_t i = 0; i < 2; i++) {
        ipalloc_addr address = addr(ADDRESSES[i]);
        ipalloc_lease lease = LEASE;
        if (ipalloc_pool_open(f->registry, POOLS[i], &pool, &f->error) != IPALLOC_OK)
            continue;
        int status = ipalloc_lookup(f->registry, pool, &address, &lease, &f->error);
        ck_assert(status == IPALLOC_OK || status == IPALLOC_E_CORRUPT ||
                  status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_NOT_IN_RANGE);
        ipalloc_txn *txn = begin(f, "Service/c");
        ipalloc_txn_reserve(txn, pool, SLOT, &address, NULL, &f->error);
        ipalloc_txn_allocate(txn, pool, "any", NULL, &f->error);
        ipalloc_txn_release(txn, pool, &address, 0, &f->error);
        ipalloc_txn_abort(txn);
        txn = begin(f, "Service/a");
        ipalloc_txn_rename_slot(txn, pool, SLOT, "new", &f->error);
        ipalloc_txn_release_all(txn, &f->error);
        ipalloc_txn_abort(txn);
    }
}

/* Open and use what is there now; returns the first CORRUPT, or OK. */
static int look(fixture *f) {
    int status = ipalloc_registry_open(f->store, NULL, &f->registry, &f->error);
    ck_assert_msg(status == IPALLOC_OK || status == IPALLOC_E_CORRUPT, "open is %s: %s",
                  ipalloc_status_name(status), f->error.message);
    if (status != IPALLOC_OK)
        return status;
    status = ipalloc_registry_validate(f->registry, &f->error);
    ck_assert_msg(status == IPALLOC_OK || status == IPALLOC_E_CORRUPT, "validate is %s: %s",
                  ipalloc_status_name(status), f->error.message);
    ipalloc_error kept = f->error;
    poke(f);
    f->error = kept;
    ipalloc_registry_close(f->registry);
    f->registry = NULL;
    return status;
}

static bool starts_with(const stored *s, const char *prefix) {
    return strncmp(s->key, prefix, strlen(prefix)) == 0;
}

/* Records in which no byte may change unnoticed: each is in agreement with another one, or has but
 * one meaning. Definitions hold numbers of their own, cooling records a time. */
static bool must_notice(const stored *s) {
    return starts_with(s, "lease/") || starts_with(s, "owner/") || starts_with(s, "format/");
}

typedef struct damage_case {
    fixture f;
    all_stored all;
} damage_case;

static damage_case *damage_open(void) {
    damage_case *d = calloc(1, sizeof *d);
    ck_assert(fixture_open(&d->f, 0, NULL));
    fill(&d->f);
    ck_assert_status(ipalloc_store_scan(d->f.store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0, keep,
                                        &d->all, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_ge(d->all.count, 10); /* one of each kind */
    assert_sound(&d->f);
    ipalloc_registry_close(d->f.registry);
    d->f.registry = NULL;
    return d;
}

static void damage_close(damage_case *d) {
    ck_assert_int_eq(look(&d->f), IPALLOC_OK); /* all was put back */
    fixture_close(&d->f);
    free(d);
}

static void try_value(damage_case *d, const stored *s, const char *value, size_t size,
                      size_t position) {
    write_bytes(&d->f, IPALLOC_OP_PUT, s->key, s->key_size, value, size);
    int status = look(&d->f);
    ck_assert_msg(status == IPALLOC_E_CORRUPT || !must_notice(s),
                  "%.*s: damage at %zu is not noticed", (int)s->key_size, s->key, position);
}

START_TEST(a_flipped_byte_is_noticed) {
    damage_case *d = damage_open();
    for (size_t i = 0; i < d->all.count; i++) {
        stored *s = &d->all.entries[i];
        for (size_t at = 0; at < s->value_size; at++) {
            static const char FLIPS[] = {1, 2, 16, 32, (char)128};
            char value[BYTES_MAX];
            memcpy(value, s->value, s->value_size);
            value[at] = (char)(value[at] ^ FLIPS[at % sizeof FLIPS]);
            try_value(d, s, value, s->value_size, at);
        }
        write_bytes(&d->f, IPALLOC_OP_PUT, s->key, s->key_size, s->value, s->value_size);
    }
    damage_close(d);
}
END_TEST

START_TEST(a_cut_or_lengthened_record_is_noticed) {
    damage_case *d = damage_open();
    for (size_t i = 0; i < d->all.count; i++) {
        stored *s = &d->all.entries[i];
        if (starts_with(s, "definitions/")) /* only its revision means something */
            continue;
        for (size_t size = 0; size < s->value_size; size++)
            try_value(d, s, s->value, size, size);
        char value[BYTES_MAX];
        memcpy(value, s->value, s->value_size);
        value[s->value_size] = '\n';
        try_value(d, s, value, s->value_size + 1, s->value_size);
        write_bytes(&d->f, IPALLOC_OP_PUT, s->key, s->key_size, s->value, s->value_size);
    }
    damage_close(d);
}
END_TEST

START_TEST(a_record_under_a_damaged_key_is_noticed) {
    damage_case *d = damage_open();
    for (size_t i = 0; i < d->all.count; i++) {
        stored *s = &d->all.entries[i];
        size_t prefix = strcspn(s->key, "/") + 1;
        for (size_t at = prefix; at < s->key_size; at++) {
            char key[IPALLOC_KEY_MAX];
            memcpy(key, s->key, s->key_size);
            key[at] = (char)(key[at] ^ (at % 2 == 0 ? 1 : 64));
            if (key[at] == '\0')
                continue;
            write_bytes(&d->f, IPALLOC_OP_PUT, key, s->key_size, s->value, s->value_size);
            int status = look(&d->f);
            ck_assert_msg(status == IPALLOC_E_CORRUPT || !must_notice(s), "%.*s is not noticed",
                          (int)s->key_size, key);
            write_bytes(&d->f, IPALLOC_OP_DELETE, key, s->key_size, NULL, 0);
        }
    }
    damage_close(d);
}
END_TEST

START_TEST(a_missing_record_is_noticed) {
    damage_case *d = damage_open();
    for (size_t i = 0; i < d->all.count; i++) {
        stored *s = &d->all.entries[i];
        write_bytes(&d->f, IPALLOC_OP_DELETE, s->key, s->key_size, NULL, 0);
        int status = look(&d->f);
        ck_assert_msg(status == IPALLOC_E_CORRUPT || !must_notice(s), "%.*s is not missed",
                      (int)s->key_size, s->key);
        write_bytes(&d->f, IPALLOC_OP_PUT, s->key, s->key_size, s->value, s->value_size);
    }
    damage_close(d);
}
END_TEST

START_TEST(a_newer_form_is_refused_as_what_it_is) {
    damage_case *d = damage_open();
    static const char NEWER[] = "version=2\n";
    static const char OURS[] = "version=1\n";
    write_bytes(&d->f, IPALLOC_OP_PUT, "format/", 7, NEWER, strlen(NEWER));
    IS(&d->f, look(&d->f), IPALLOC_E_CORRUPT);
    ck_assert_message(&d->f, "form 2");
    write_bytes(&d->f, IPALLOC_OP_PUT, "format/", 7, OURS, strlen(OURS));
    damage_close(d);
}
END_TEST

START_TEST(damage_is_named_by_its_key) {
    damage_case *d = damage_open();
    fixture *f = &d->f;
    static const char KEY[] = "lease/services/010.096.000.005/";
    write_bytes(f, IPALLOC_OP_PUT, KEY, strlen(KEY), "x", 1);
    OK(f, ipalloc_registry_open(f->store, NULL, &f->registry, &f->error)); /* reads no bodies */
    ipalloc_pool *pool = open_pool(f, "services");
    ipalloc_addr address = addr("10.96.0.5");
    ipalloc_lease lease = LEASE;
    IS(f, ipalloc_lookup(f->registry, pool, &address, &lease, &f->error), IPALLOC_E_CORRUPT);
    ck_assert_message(f, KEY);
    IS(f, ipalloc_reserve(f->registry, pool, "Service/x", SLOT, &address, NULL, &f->error),
       IPALLOC_E_CORRUPT);
    ck_assert_message(f, KEY);
    IS(f, ipalloc_release(f->registry, pool, "Service/a", &address, 0, &f->error),
       IPALLOC_E_CORRUPT);
    ck_assert_message(f, KEY);
    IS(f, ipalloc_list(f->registry, pool, ignore_lease, NULL, &f->error), IPALLOC_E_CORRUPT);
    ck_assert_message(f, KEY);
    fixture_close(f);
    free(d);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("damage");
    TCase *c = tcase_create("bytes");
    tcase_set_timeout(c, 100);
    tcase_add_test(c, a_flipped_byte_is_noticed);
    tcase_add_test(c, a_cut_or_lengthened_record_is_noticed);
    tcase_add_test(c, a_record_under_a_damaged_key_is_noticed);
    tcase_add_test(c, a_missing_record_is_noticed);
    tcase_add_test(c, a_newer_form_is_refused_as_what_it_is);
    tcase_add_test(c, damage_is_named_by_its_key);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
