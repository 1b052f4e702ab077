/*
 * etcd_txn.c: builds a batch's transaction. See etcd_txn.h for what it looks like.
 *
 * May use: base/. All parts of one transaction lie in one piece of memory, sized before; keys are
 * written once and shared by condition, operation and question. Cost: O(bytes of the batch).
 */
#include "store/etcd_txn.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* --- small things --------------------------------------------------------------------------------
 */

ProtobufCBinaryData etcd_binary(const etcd_key_text *key) {
    union { /* the messages are not const, but packing only reads */
        const uint8_t *in;
        uint8_t *out;
    } bytes = {.in = key->bytes};
    return (ProtobufCBinaryData){key->size, bytes.out};
}

static ProtobufCBinaryData binary(ipalloc_bytes bytes) {
    union {
        const void *in;
        uint8_t *out;
    } data = {.in = bytes.data};
    return (ProtobufCBinaryData){bytes.size, data.out};
}

enum { COMPARE_EQUAL = 0, TARGET_MODIFIED = 2, SORT_DESCENDING = 2, SORT_BY_MODIFIED = 3 };

void etcd_compare_init(Etcd__Compare *out, ProtobufCBinaryData key, int64_t revision) {
    etcd__compare__init(out);
    out->result = COMPARE_EQUAL;
    out->target = TARGET_MODIFIED;
    out->key = key;
    out->target_union_case = ETCD__COMPARE__TARGET_UNION_MOD_REVISION;
    out->mod_revision = revision;
}

void etcd_range_init(Etcd__RangeRequest *out, ProtobufCBinaryData key, bool keys_only) {
    etcd__range_request__init(out);
    out->key = key;
    out->keys_only = keys_only;
}

void etcd_head_init(const etcd_store *store, etcd_key_text *key, etcd_key_text *end,
                    Etcd__RangeRequest *out) {
    etcd_key_store(store, "", key);
    etcd_key_end(key, end);
    etcd_range_init(out, etcd_binary(key), true);
    out->range_end = etcd_binary(end);
    out->limit = 1;
    out->sort_order = SORT_DESCENDING;
    out->sort_target = SORT_BY_MODIFIED;
}

/* --- one piece of memory -------------------------------------------------------------------------
 */

typedef struct arena {
    uint8_t *bytes;
    size_t used, size;
} arena;

enum { ARENA_ALIGN = 16 };

static void *arena_take(arena *a, size_t size) {
    void *out = a->bytes + a->used;
    a->used += (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    assert(a->used <= a->size);
    return out;
}

static size_t part(size_t count, size_t size) {
    return (count * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* What an operation may need: a condition, a write, a question, and their places in lists. */
static size_t arena_size(const etcd_store *store, const ipalloc_batch *batch) {
    size_t request = part(1, sizeof(Etcd__RequestOp)) + part(1, sizeof(Etcd__RangeRequest)) +
                     part(1, sizeof(Etcd__PutRequest)) + part(1, sizeof(Etcd__DeleteRequest));
    size_t per_op = part(1, sizeof(Etcd__Compare)) + 2 * request;
    size_t ops = batch->op_count + 4; /* slot and form among them */
    size_t inner = ops / ETCD_TXN_INNER + 2;
    size_t size = ops * per_op + 4 * (part(ops, sizeof(void *)) + ARENA_ALIGN);
    size += inner * (part(1, sizeof(Etcd__TxnRequest)) + request +
                     3 * (part(ETCD_TXN_INNER, sizeof(void *)) + ARENA_ALIGN));
    for (size_t i = 0; i < batch->op_count; i++)
        size += part(store->prefix_length + batch->ops[i].key.size + 16, 1);
    return size + 2 * part(sizeof(etcd_key_text), 1) + part(ETCD_SLOT_VALUE_MAX, 1);
}

/* --- lists ---------------------------------------------------------------------------------------
 */

typedef struct request_list {
    Etcd__RequestOp **items;
    size_t count;
} request_list;

static request_list list_make(arena *a, size_t max) {
    return (request_list){.items = arena_take(a, max * sizeof(Etcd__RequestOp *))};
}

static Etcd__RequestOp *list_add(arena *a, request_list *list) {
    Etcd__RequestOp *op = arena_take(a, sizeof *op);
    etcd__request_op__init(op);
    list->items[list->count++] = op;
    return op;
}

static Etcd__RangeRequest *add_range(arena *a, request_list *list, ProtobufCBinaryData key,
                                     bool keys_only) {
    Etcd__RequestOp *op = list_add(a, list);
    op->request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
    op->range = arena_take(a, sizeof *op->range);
    etcd_range_init(op->range, key, keys_only);
    return op->range;
}

static void add_put(arena *a, request_list *list, ProtobufCBinaryData key,
                    ProtobufCBinaryData value) {
    Etcd__RequestOp *op = list_add(a, list);
    op->request_case = ETCD__REQUEST_OP__REQUEST_PUT;
    op->put = arena_take(a, sizeof *op->put);
    etcd__put_request__init(op->put);
    op->put->key = key;
    op->put->value = value;
}

static void add_delete(arena *a, request_list *list, ProtobufCBinaryData key) {
    Etcd__RequestOp *op = list_add(a, list);
    op->request_case = ETCD__REQUEST_OP__REQUEST_DELETE_RANGE;
    op->delete_range = arena_take(a, sizeof *op->delete_range);
    etcd__delete_request__init(op->delete_range);
    op->delete_range->key = key;
}

static Etcd__TxnRequest *add_txn(arena *a, request_list *list) {
    Etcd__RequestOp *op = list_add(a, list);
    op->request_case = ETCD__REQUEST_OP__REQUEST_TXN;
    op->txn = arena_take(a, sizeof *op->txn);
    etcd__txn_request__init(op->txn);
    return op->txn;
}

/* --- a transaction -------------------------------------------------------------------------------
 */

typedef struct builder {
    const etcd_store *store;
    const ipalloc_batch *batch;
    arena arena;
    ProtobufCBinaryData slot_key, form_key;
    Etcd__TxnRequest txn;
} builder;

static ProtobufCBinaryData keep(arena *a, const etcd_key_text *key) {
    uint8_t *bytes = arena_take(a, key->size);
    memcpy(bytes, key->bytes, key->size);
    return (ProtobufCBinaryData){key->size, bytes};
}

static int builder_init(builder *b, const etcd_store *store, const ipalloc_batch *batch,
                        const etcd_slot *slot, ipalloc_error *error) {
    *b = (builder){.store = store, .batch = batch};
    b->arena.size = arena_size(store, batch);
    b->arena.bytes = hooks_alloc(store->hooks, b->arena.size);
    if (b->arena.bytes == NULL)
        return error_no_memory(error);
    etcd_key_text key;
    etcd_key_slot(store, slot, &key);
    b->slot_key = keep(&b->arena, &key);
    etcd_key_store(store, "form", &key);
    b->form_key = keep(&b->arena, &key);
    etcd__txn_request__init(&b->txn);
    return IPALLOC_OK;
}

static int builder_pack(builder *b, uint8_t **out, size_t *size, ipalloc_error *error) {
    int status = etcd_pack(b->store->hooks, &b->txn.base, out, size, error);
    hooks_free(b->store->hooks, b->arena.bytes);
    return status;
}

static ProtobufCBinaryData op_key(builder *b, const ipalloc_op *op) {
    etcd_key_text key;
    etcd_key_data(b->store, op->key, &key);
    return keep(&b->arena, &key);
}

static bool has_condition(const ipalloc_op *op) {
    return op->condition != IPALLOC_IF_ANY;
}

/* To etcd a key that is absent has revision 0; to us no key has. */
static int64_t expected_revision(const ipalloc_op *op) {
    if (op->condition == IPALLOC_IF_ABSENT)
        return 0;
    return op->revision == 0 || op->revision > ETCD_REVISION_MAX ? -1 : (int64_t)op->revision;
}

typedef struct lists {
    Etcd__Compare **conditions;
    size_t condition_count;
    request_list writes, questions;
} lists;

static lists lists_make(arena *a, size_t max) {
    return (lists){.conditions = arena_take(a, max * sizeof(Etcd__Compare *)),
                   .writes = list_make(a, max),
                   .questions = list_make(a, max)};
}

static void add_condition(arena *a, lists *l, ProtobufCBinaryData key, int64_t revision) {
    Etcd__Compare *compare = arena_take(a, sizeof *compare);
    etcd_compare_init(compare, key, revision);
    l->conditions[l->condition_count++] = compare;
}

/* An operation's condition and write; `asks`: and the question whether it holds. */
static void add_op(builder *b, lists *l, const ipalloc_op *op, bool asks) {
    ProtobufCBinaryData key = op_key(b, op);
    if (has_condition(op)) {
        add_condition(&b->arena, l, key, expected_revision(op));
        if (asks)
            add_range(&b->arena, &l->questions, key, true);
    }
    if (op->kind == IPALLOC_OP_PUT)
        add_put(&b->arena, &l->writes, key, binary(op->value));
    else if (op->kind == IPALLOC_OP_DELETE)
        add_delete(&b->arena, &l->writes, key);
}

static void fill_txn(Etcd__TxnRequest *txn, const lists *l) {
    txn->n_compare = l->condition_count;
    txn->compare = l->conditions;
    txn->n_success = l->writes.count;
    txn->success = l->writes.items;
    txn->n_failure = l->questions.count;
    txn->failure = l->questions.items;
}

static void add_inner(builder *b, request_list *outer, const ipalloc_op *ops, size_t count) {
    lists inner = lists_make(&b->arena, ETCD_TXN_INNER);
    for (size_t i = 0; i < count; i++)
        add_op(b, &inner, &ops[i], false);
    if (inner.condition_count > 0) /* what makes etcd refuse the whole */
        add_range(&b->arena, &inner.questions, b->slot_key, true)->revision = ETCD_REVISION_MAX;
    fill_txn(add_txn(&b->arena, outer), &inner);
}

static size_t inner_size(const ipalloc_batch *batch, size_t first) {
    size_t left = batch->op_count - first;
    return left < ETCD_TXN_INNER ? left : ETCD_TXN_INNER;
}

bool txn_is_nested(const ipalloc_batch *batch) {
    size_t conditions = 2, writes = 1; /* slot and form; the slot */
    for (size_t i = 0; i < batch->op_count; i++) {
        conditions += has_condition(&batch->ops[i]);
        writes += batch->ops[i].kind != IPALLOC_OP_CHECK;
    }
    return conditions > ETCD_TXN_OPS || writes > ETCD_TXN_OPS;
}

int txn_pack_batch(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                   uint64_t form_revision, uint64_t now_ms, uint8_t **out, size_t *size,
                   ipalloc_error *error) {
    builder b;
    int status = builder_init(&b, store, batch, slot, error);
    if (status != IPALLOC_OK)
        return status;
    char *value = arena_take(&b.arena, ETCD_SLOT_VALUE_MAX);
    etcd_slot_write(slot, SLOT_COMMITTED, now_ms, value);
    lists l = lists_make(&b.arena, batch->op_count + 2);
    add_condition(&b.arena, &l, b.slot_key, (int64_t)slot->revision);
    add_condition(&b.arena, &l, b.form_key, (int64_t)form_revision);
    add_range(&b.arena, &l.questions, b.slot_key, false);
    add_range(&b.arena, &l.questions, b.form_key, true);
    add_put(&b.arena, &l.writes, b.slot_key, binary((ipalloc_bytes){value, strlen(value)}));
    if (txn_is_nested(batch)) {
        for (size_t i = 0; i < batch->op_count; i += ETCD_TXN_INNER)
            add_inner(&b, &l.writes, &batch->ops[i], inner_size(batch, i));
    } else {
        for (size_t i = 0; i < batch->op_count; i++)
            add_op(&b, &l, &batch->ops[i], true);
    }
    fill_txn(&b.txn, &l);
    return builder_pack(&b, out, size, error);
}

/* Ask for what the batch's conditions are about, and for slot and form, at one revision. */
int txn_pack_question(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                      uint8_t **out, size_t *size, ipalloc_error *error) {
    builder b;
    int status = builder_init(&b, store, batch, slot, error);
    if (status != IPALLOC_OK)
        return status;
    lists outer = lists_make(&b.arena, batch->op_count + 2);
    add_range(&b.arena, &outer.writes, b.slot_key, false);
    add_range(&b.arena, &outer.writes, b.form_key, true);
    for (size_t i = 0; i < batch->op_count; i += ETCD_TXN_INNER) {
        lists inner = lists_make(&b.arena, ETCD_TXN_INNER);
        for (size_t j = i; j < i + inner_size(batch, i); j++)
            if (has_condition(&batch->ops[j]))
                add_range(&b.arena, &inner.writes, op_key(&b, &batch->ops[j]), true);
        fill_txn(add_txn(&b.arena, &outer.writes), &inner);
    }
    fill_txn(&b.txn, &outer);
    return builder_pack(&b, out, size, error);
}
