/*
 * etcd_read.c: one key, and all keys under a prefix page by page.
 *
 * May use: base/, the channel through etcd_ask_range. A scan's pages are all read at the revision
 * of the first. No lock is held while entries are visited.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "store/etcd_txn.h"

#include <string.h>

/* --- one key -------------------------------------------------------------------------------------
 */

static int make_entry(const etcd_store *store, const Etcd__KeyValue *kv, uint64_t revision,
                      ipalloc_entry *out, ipalloc_error *error) {
    *out = (ipalloc_entry){
        .revision = (uint64_t)kv->mod_revision,
        .value = {kv->value.len > 0 ? (const void *)kv->value.data : "", kv->value.len}};
    if (kv->mod_revision <= 0 || out->revision > revision)
        return etcd_damaged(store, "a key with a revision that has not been", error);
    if (kv->value.len > IPALLOC_VALUE_MAX)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "%s: a value of %zu bytes was not written by this library", store->name,
                         kv->value.len);
    return etcd_key_of_caller(store, kv->key.data, kv->key.len, &out->key, error);
}

static int visit_single(etcd_store *store, const Etcd__RangeResponse *answer,
                        ProtobufCBinaryData key, ipalloc_visit visit, void *context,
                        ipalloc_error *error) {
    const Etcd__KeyValue *kv;
    ipalloc_entry entry;
    int64_t revision = answer->header->revision;
    int status = etcd_single_key(store, answer, key, revision, &kv, error);
    if (status != IPALLOC_OK)
        return status;
    if (kv == NULL)
        return error_set(error, IPALLOC_E_NOT_FOUND, "key: not in the store");
    status = make_entry(store, kv, (uint64_t)revision, &entry, error);
    return status == IPALLOC_OK ? visit(context, &entry) : status;
}

int etcd_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
             ipalloc_error *error) {
    etcd_store *store = self;
    etcd_key_text full;
    Etcd__RangeRequest range;
    Etcd__RangeResponse *answer;
    etcd_key_data(store, key, &full);
    etcd_range_init(&range, etcd_binary(&full), false);
    int status = etcd_ask_range(store, &range, 0, &answer, error);
    if (status != IPALLOC_OK)
        return status;
    status = visit_single(store, answer, range.key, visit, context, error);
    etcd_free_message(store->hooks, &answer->base);
    return status;
}

/* --- pages ---------------------------------------------------------------------------------------
 */

/* etcd walks all that is left of the range for each page, so that small pages cost the square of
 * what there is; and an answer is in memory as a whole, so that large values want small pages. */
enum { PAGE_FIRST = 256, PAGE_LEAST = 16, PAGE_MOST = 65536, PAGE_BYTES = 24 << 20 };

typedef struct paging {
    etcd_store *store;
    etcd_key_text next, end; /* what is still to be read: [next, end) */
    uint64_t revision;       /* 0: before the first page */
    size_t page;             /* keys of the next one */
    size_t left;             /* of the caller's limit; SIZE_MAX: none */
    bool more;
} paging;

/* Where the next page begins: right after this key. */
static int step_over(paging *p, const Etcd__KeyValue *kv, ipalloc_error *error) {
    bool in_order = kv->key.len >= p->next.size
                        ? memcmp(kv->key.data, p->next.bytes, p->next.size) >= 0
                        : memcmp(kv->key.data, p->next.bytes, kv->key.len) > 0;
    if (!in_order || kv->key.len + 1 > sizeof p->next.bytes)
        return etcd_damaged(p->store, "keys out of order", error);
    memcpy(p->next.bytes, kv->key.data, kv->key.len);
    p->next.bytes[kv->key.len] = '\0';
    p->next.size = kv->key.len + 1;
    return IPALLOC_OK;
}

static int visit_page(paging *p, const Etcd__RangeResponse *answer, ipalloc_bytes prefix,
                      ipalloc_visit visit, void *context, ipalloc_error *error) {
    size_t bytes = 0;
    for (size_t i = 0; i < answer->n_kvs && p->left > 0; i++) {
        ipalloc_entry entry;
        const Etcd__KeyValue *kv = answer->kvs[i];
        int status = make_entry(p->store, kv, p->revision, &entry, error);
        if (status == IPALLOC_OK && !bytes_start_with(entry.key, prefix))
            status = etcd_damaged(p->store, "a key that was not asked for", error);
        if (status == IPALLOC_OK)
            status = step_over(p, kv, error);
        if (status == IPALLOC_OK)
            status = visit(context, &entry);
        if (status != IPALLOC_OK)
            return status;
        bytes += kv->key.len + kv->value.len;
        p->left -= p->left != SIZE_MAX;
    }
    if (answer->more && answer->n_kvs == 0)
        return etcd_damaged(p->store, "an empty page with more behind it", error);
    p->more = answer->more && p->left > 0;
    size_t fits = answer->n_kvs > 0 ? PAGE_BYTES / (bytes / answer->n_kvs + 1) : PAGE_MOST;
    p->page = p->page * 4 < fits ? p->page * 4 : fits;
    p->page = p->page > PAGE_MOST ? PAGE_MOST : p->page < PAGE_LEAST ? PAGE_LEAST : p->page;
    return IPALLOC_OK;
}

static int read_page(paging *p, Etcd__RangeResponse **answer, ipalloc_error *error) {
    Etcd__RangeRequest range;
    etcd_range_init(&range, etcd_binary(&p->next), false);
    range.range_end = etcd_binary(&p->end);
    range.limit = (int64_t)(p->left < p->page ? p->left : p->page);
    range.revision = (int64_t)p->revision;
    int status = etcd_ask_range(p->store, &range, 0, answer, error);
    if (status == IPALLOC_E_EXPIRED)
        return error_set(error, IPALLOC_E_EXPIRED,
                         "%s: etcd was compacted during the scan, beyond its revision %llu: scan "
                         "again",
                         p->store->name, (unsigned long long)p->revision);
    if (status == IPALLOC_OK && p->revision == 0)
        p->revision = (uint64_t)(*answer)->header->revision;
    return status;
}

/* [next, end) for keys that start with `prefix` and come after `after`; false: there can be none.
 */
static bool bound(paging *p, ipalloc_bytes prefix, ipalloc_bytes after) {
    etcd_key_text start;
    etcd_key_data(p->store, prefix, &start);
    etcd_key_end(&start, &p->end);
    p->next = start;
    if (after.size > 0 && bytes_compare(after, prefix) >= 0) {
        etcd_key_data(p->store, after, &p->next);
        p->next.bytes[p->next.size++] = '\0';
    }
    return bytes_compare((ipalloc_bytes){p->next.bytes, p->next.size},
                         (ipalloc_bytes){p->end.bytes, p->end.size}) < 0;
}

int etcd_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
              ipalloc_visit visit, void *context, uint64_t *at_revision, ipalloc_error *error) {
    paging p = {
        .store = self, .page = PAGE_FIRST, .left = limit != 0 ? limit : SIZE_MAX, .more = true};
    if (!bound(&p, prefix, after)) /* ask for the revision alone */
        p.end = p.next;
    int status = IPALLOC_OK;
    while (status == IPALLOC_OK && p.more) {
        Etcd__RangeResponse *answer;
        status = read_page(&p, &answer, error);
        if (status != IPALLOC_OK)
            break;
        if (at_revision != NULL)
            *at_revision = p.revision;
        status = visit_page(&p, answer, prefix, visit, context, error);
        etcd_free_message(p.store->hooks, &answer->base);
    }
    return status;
}
