/*
 * shaky.c: see shaky.h.
 */
#include "shaky.h"

#include <string.h>

uint64_t put_record(fixture *f, const char *key, const char *value, uint64_t expected, int want) {
    ipalloc_txn *txn = begin(f, NULL);
    uint64_t revision = 0;
    OK(f, ipalloc_txn_put(txn, key, value, strlen(value), expected, &f->error));
    IS(f, ipalloc_txn_commit(txn, &revision, &f->error), want);
    return revision;
}

void shaky_open(shaky *s, bool tickets) {
    *s = (shaky){0};
    OK(&s->f, ipalloc_store_open("memory:", NULL, &s->inner, &s->f.error));
    wrapped_open(&s->store, s->inner);
    s->store.tickets = tickets;
    s->f.store = s->store.handle;
    OK(&s->f, ipalloc_registry_open(s->f.store, NULL, &s->f.registry, &s->f.error));
    s->pool = define_pool(&s->f, "services", "10.96.0.0/24");
}

void shaky_close(shaky *s) {
    ipalloc_registry_close(s->f.registry);
    wrapped_close(&s->store);
    ipalloc_store_close(s->inner);
}

ipalloc_txn *shaky_txn(shaky *s, ipalloc_grant *grant) {
    ipalloc_txn *txn = begin(&s->f, "Service/a");
    *grant = GRANT;
    OK(&s->f, ipalloc_txn_allocate(txn, s->pool, SHAKY_SLOT, grant, &s->f.error));
    return txn;
}

void shaky_assert_held(shaky *s, const ipalloc_grant *grant, bool held) {
    ipalloc_lease lease = LEASE;
    IS(&s->f, ipalloc_lookup(s->f.registry, s->pool, &grant->address, &lease, &s->f.error),
       held ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    ck_assert_uint_eq(used_of(s->pool), held);
    assert_sound(&s->f);
}
