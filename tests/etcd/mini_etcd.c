/*
 * mini_etcd.c: see mini_etcd.h. Written from etcd's rules: all compares of a transaction, inner
 * ones too, are judged before anything is applied; what is invalid is refused as a whole.
 */
#include "mini_etcd.h"

#include "store/etcd.pb-c.h"
#include "store/etcd_channel.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 8192, LATE_MAX = 512, PARTS_MAX = 8192, OUT_OF_RANGE = 11, INVALID_ARGUMENT = 3 };

mini_etcd mini;
static mini_key keys[KEYS_MAX]; /* in order */
static size_t key_count;
static struct late {
    uint8_t *bytes;
    size_t size;
} late[LATE_MAX];
static size_t late_count;

/* What an answer is made of, freed when it is packed. */
static void *parts[PARTS_MAX];
static size_t part_count;

static void *part(size_t size) {
    ck_assert_uint_lt(part_count, PARTS_MAX);
    return parts[part_count++] = calloc(1, size > 0 ? size : 1);
}

static void free_parts(void) {
    while (part_count > 0)
        free(parts[--part_count]);
}

/* --- keys ----------------------------------------------------------------------------------------
 */

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
    size_t shorter = a_size < b_size ? a_size : b_size;
    int order = shorter > 0 ? memcmp(a, b, shorter) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The place of the first key that is not before this one. */
static size_t seek(const uint8_t *key, size_t size) {
    size_t low = 0, high = key_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_bytes(keys[middle].key, keys[middle].key_size, key, size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(size_t place, const uint8_t *key, size_t size) {
    return place < key_count &&
           compare_bytes(keys[place].key, keys[place].key_size, key, size) == 0;
}

/* Is the key in [start, end)? end absent: the start alone; "\0": no end. */
static bool within(const mini_key *k, ProtobufCBinaryData start, ProtobufCBinaryData end) {
    if (end.len == 0)
        return compare_bytes(k->key, k->key_size, start.data, start.len) == 0;
    if (compare_bytes(k->key, k->key_size, start.data, start.len) < 0)
        return false;
    return (end.len == 1 && end.data[0] == 0) ||
           compare_bytes(k->key, k->key_size, end.data, end.len) < 0;
}

static uint8_t *copy(const void *bytes, size_t size) {
    uint8_t *out = malloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(out, bytes, size);
    return out;
}

static void put_at(int64_t revision, ProtobufCBinaryData key, ProtobufCBinaryData value) {
    size_t place = seek(key.data, key.len);
    if (!is_at(place, key.data, key.len)) {
        ck_assert_uint_lt(key_count, KEYS_MAX);
        memmove(&keys[place + 1], &keys[place], (key_count++ - place) * sizeof *keys);
        keys[place] =
            (mini_key){.key = copy(key.data, key.len), .key_size = key.len, .created = revision};
    }
    mini_key *k = &keys[place];
    free(k->value);
    k->value = copy(value.data, value.len);
    k->value_size = value.len;
    k->modified = revision;
    k->version++;
}

static int64_t remove_range(ProtobufCBinaryData start, ProtobufCBinaryData end) {
    int64_t removed = 0;
    for (size_t i = key_count; i-- > 0;) {
        if (!within(&keys[i], start, end))
            continue;
        free(keys[i].key);
        free(keys[i].value);
        memmove(&keys[i], &keys[i + 1], (--key_count - i) * sizeof *keys);
        removed++;
    }
    return removed;
}

/* --- answers -------------------------------------------------------------------------------------
 */

static Etcd__Header *header(void) {
    Etcd__Header *out = part(sizeof *out);
    etcd__header__init(out);
    out->cluster_id = mini.cluster_id;
    out->member_id = 1;
    out->revision = mini.revision;
    out->raft_term = 2;
    return out;
}

static int newest_first(const void *a, const void *b) {
    const Etcd__KeyValue *const *x = a, *const *y = b;
    return ((*x)->mod_revision < (*y)->mod_revision) - ((*x)->mod_revision > (*y)->mod_revision);
}

static Etcd__KeyValue *copy_kv(const mini_key *k, bool keys_only) {
    Etcd__KeyValue *kv = part(sizeof *kv);
    etcd__key_value__init(kv);
    kv->key = (ProtobufCBinaryData){k->key_size, part(k->key_size)};
    memcpy(kv->key.data, k->key, k->key_size);
    if (!keys_only) {
        kv->value = (ProtobufCBinaryData){k->value_size, part(k->value_size)};
        memcpy(kv->value.data, k->value, k->value_size);
    }
    kv->create_revision = k->created;
    kv->mod_revision = k->modified;
    kv->version = k->version;
    return kv;
}

static Etcd__RangeResponse *range(const Etcd__RangeRequest *request) {
    Etcd__RangeResponse *out = part(sizeof *out);
    etcd__range_response__init(out);
    out->header = header();
    out->kvs = part(key_count * sizeof *out->kvs);
    for (size_t i = 0; i < key_count; i++)
        if (within(&keys[i], request->key, request->range_end))
            out->kvs[out->n_kvs++] = copy_kv(&keys[i], request->keys_only);
    out->count = (int64_t)out->n_kvs;
    if (request->sort_order == 2)
        qsort(out->kvs, out->n_kvs, sizeof *out->kvs, newest_first);
    if (request->limit > 0 && out->n_kvs > (size_t)request->limit) {
        out->n_kvs = (size_t)request->limit;
        out->more = true;
    }
    return out;
}

/* --- transactions --------------------------------------------------------------------------------
 */

static bool compare_holds(const Etcd__Compare *c) {
    ck_assert_int_eq(c->result, 0);
    ck_assert_int_eq(c->target, 2); /* all that the store uses */
    bool any = false;
    for (size_t i = 0; i < key_count; i++) {
        if (!within(&keys[i], c->key, c->range_end))
            continue;
        any = true;
        if (keys[i].modified != c->mod_revision)
            return false;
    }
    return any || c->mod_revision == 0;
}

static bool all_hold(const Etcd__TxnRequest *txn) {
    for (size_t i = 0; i < txn->n_compare; i++)
        if (!compare_holds(txn->compare[i]))
            return false;
    return true;
}

static bool fits(const Etcd__TxnRequest *txn, size_t max) {
    size_t most = txn->n_compare;
    most = txn->n_success > most ? txn->n_success : most;
    most = txn->n_failure > most ? txn->n_failure : most;
    if (most > max)
        return false;
    for (size_t i = 0; i < txn->n_success; i++)
        if (txn->success[i]->request_case == ETCD__REQUEST_OP__REQUEST_TXN &&
            !fits(txn->success[i]->txn, max - most))
            return false;
    return true;
}

/* Which way each of them goes, inner ones behind their outer one, before anything is applied. */
enum { WAYS_MAX = 64 };
static bool ways[WAYS_MAX];
static size_t way_count, way_at;

typedef struct op_list {
    Etcd__RequestOp **ops;
    size_t count;
} op_list;

static op_list taken(const Etcd__TxnRequest *txn, bool holds) {
    return holds ? (op_list){txn->success, txn->n_success}
                 : (op_list){txn->failure, txn->n_failure};
}

/* false: it asks for a revision that has not been, and is refused as a whole. */
static bool choose_ways(const Etcd__TxnRequest *txn, bool *writes) {
    ck_assert_uint_lt(way_count, WAYS_MAX);
    bool holds = all_hold(txn), fine = true;
    ways[way_count++] = holds;
    op_list list = taken(txn, holds);
    for (size_t i = 0; i < list.count; i++) {
        const Etcd__RequestOp *op = list.ops[i];
        if (op->request_case == ETCD__REQUEST_OP__REQUEST_RANGE)
            fine &= op->range->revision <= mini.revision;
        else if (op->request_case == ETCD__REQUEST_OP__REQUEST_TXN)
            fine &= choose_ways(op->txn, writes);
        else
            *writes = true;
    }
    return fine;
}

static Etcd__InnerTxnResponse *apply_inner(const Etcd__TxnRequest *txn);

static Etcd__ResponseOp *apply_op(const Etcd__RequestOp *op) {
    Etcd__ResponseOp *out = part(sizeof *out);
    etcd__response_op__init(out);
    switch (op->request_case) {
    case ETCD__REQUEST_OP__REQUEST_RANGE:
        out->response_case = ETCD__RESPONSE_OP__RESPONSE_RANGE;
        out->range = range(op->range);
        break;
    case ETCD__REQUEST_OP__REQUEST_PUT:
        put_at(mini.revision, op->put->key, op->put->value);
        out->response_case = ETCD__RESPONSE_OP__RESPONSE_PUT;
        out->put = part(sizeof *out->put);
        etcd__put_response__init(out->put);
        break;
    case ETCD__REQUEST_OP__REQUEST_DELETE_RANGE:
        out->response_case = ETCD__RESPONSE_OP__RESPONSE_DELETE_RANGE;
        out->delete_range = part(sizeof *out->delete_range);
        etcd__delete_response__init(out->delete_range);
        out->delete_range->deleted =
            remove_range(op->delete_range->key, op->delete_range->range_end);
        break;
    case ETCD__REQUEST_OP__REQUEST_TXN:
        out->response_case = ETCD__RESPONSE_OP__RESPONSE_TXN;
        out->txn = apply_inner(op->txn);
        break;
    default:
        ck_abort_msg("an operation of no kind");
    }
    return out;
}

static Etcd__InnerTxnResponse *apply_inner(const Etcd__TxnRequest *txn) {
    Etcd__InnerTxnResponse *out = part(sizeof *out);
    etcd__inner_txn_response__init(out);
    out->succeeded = ways[way_at++];
    op_list list = taken(txn, out->succeeded);
    out->n_responses = list.count;
    out->responses = part(list.count * sizeof *out->responses);
    for (size_t i = 0; i < list.count; i++) {
        Etcd__ResponseOp *inner = apply_op(list.ops[i]);
        out->responses[i] = part(sizeof *out->responses[i]);
        etcd__inner_response_op__init(out->responses[i]);
        if (inner->response_case == ETCD__RESPONSE_OP__RESPONSE_RANGE)
            out->responses[i]->range = inner->range;
    }
    return out;
}

static Etcd__TxnResponse *apply(const Etcd__TxnRequest *txn) {
    Etcd__TxnResponse *out = part(sizeof *out);
    etcd__txn_response__init(out);
    way_at = 1;
    out->succeeded = ways[0];
    op_list list = taken(txn, out->succeeded);
    out->n_responses = list.count;
    out->responses = part(list.count * sizeof *out->responses);
    for (size_t i = 0; i < list.count; i++)
        out->responses[i] = apply_op(list.ops[i]);
    out->header = header();
    return out;
}

/* --- calls ---------------------------------------------------------------------------------------
 */

static void answer_with(channel_call *call, const ProtobufCMessage *message) {
    call->answer_size = protobuf_c_message_get_packed_size(message);
    call->answer = malloc(call->answer_size + 1);
    protobuf_c_message_pack(message, call->answer);
    call->end = CALL_ANSWERED;
    call->status = IPALLOC_OK;
    call->grpc_code = 0;
}

static void refuse(channel_call *call, int status, int code, const char *why) {
    call->end = call->echo ? CALL_UNKNOWN : CALL_REFUSED;
    call->status = status;
    call->grpc_code = code;
    snprintf(call->error.message, sizeof call->error.message, "%s", why);
}

static void do_txn(channel_call *call) {
    Etcd__TxnRequest *txn = etcd__txn_request__unpack(NULL, call->request.size, call->request.data);
    ck_assert_ptr_nonnull(txn);
    bool writes = false;
    way_count = 0;
    if (!fits(txn, mini.ops_max)) {
        refuse(call, IPALLOC_E_INVALID, INVALID_ARGUMENT,
               "etcdserver: too many operations in txn request");
    } else if (!choose_ways(txn, &writes)) {
        refuse(call, IPALLOC_E_INVALID, OUT_OF_RANGE,
               "etcdserver: mvcc: required revision is a future revision");
    } else {
        mini.revision += writes;
        answer_with(call, &apply(txn)->base);
    }
    etcd__txn_request__free_unpacked(txn, NULL);
}

static void do_once(channel_call *call) {
    if (strcmp(call->method, "/etcdserverpb.KV/Txn") == 0) {
        do_txn(call);
    } else {
        ck_assert_str_eq(call->method, "/etcdserverpb.KV/Range");
        Etcd__RangeRequest *request =
            etcd__range_request__unpack(NULL, call->request.size, call->request.data);
        ck_assert_ptr_nonnull(request);
        answer_with(call, &range(request)->base);
        etcd__range_request__free_unpacked(request, NULL);
    }
    free_parts();
}

static void drop_answer(channel_call *call) {
    free(call->answer);
    call->answer = NULL;
}

static void keep_for_later(const channel_call *call) {
    ck_assert_uint_lt(late_count, LATE_MAX);
    late[late_count++] =
        (struct late){copy(call->request.data, call->request.size), call->request.size};
}

static void lose(channel_call *call) {
    drop_answer(call);
    call->end = CALL_UNKNOWN;
    call->status = IPALLOC_E_UNAVAILABLE;
    call->grpc_code = -1;
    call->echo = true;
    snprintf(call->error.message, sizeof call->error.message, "mini: no answer");
}

static void do_call(channel_call *call) {
    enum mini_fault fault = mini.fault != NULL ? mini.fault(mini.context, call->method) : MINI_NONE;
    call->echo = false;
    call->answer = NULL;
    switch (fault) {
    case MINI_ANSWER_LOST:
        do_once(call);
        lose(call);
        return;
    case MINI_LATE:
        keep_for_later(call);
        lose(call);
        return;
    case MINI_SENT_TWICE:
        do_once(call);
        drop_answer(call);
        call->echo = true;
        do_once(call);
        return;
    case MINI_OVERTAKEN:
        keep_for_later(call);
        call->echo = true;
        do_once(call);
        return;
    case MINI_REFUSED:
        refuse(call, IPALLOC_E_UNAVAILABLE, -1, "mini: refused");
        return;
    case MINI_FULL:
    case MINI_FULL_BUT_DONE:
        if (fault == MINI_FULL_BUT_DONE)
            do_once(call);
        lose(call);
        call->echo = false;
        call->status = IPALLOC_E_IO;
        return;
    case MINI_GARBAGE:
        do_once(call);
        if (call->answer_size > 3)
            call->answer_size -= 3;
        return;
    default:
        do_once(call);
    }
    if (mini.answered != NULL)
        mini.answered(mini.context);
}

void mini_deliver(uint64_t *random) {
    while (late_count > 0) {
        size_t i = test_random(random) % late_count;
        channel_call call = {.method = "/etcdserverpb.KV/Txn",
                             .request = {late[i].bytes, late[i].size}};
        do_once(&call);
        drop_answer(&call);
        free(late[i].bytes);
        late[i] = late[--late_count];
    }
}

size_t mini_late_count(void) {
    return late_count;
}

void mini_reset(void) {
    while (late_count > 0)
        free(late[--late_count].bytes);
    remove_range((ProtobufCBinaryData){0, NULL}, (ProtobufCBinaryData){1, (uint8_t[]){0}});
    mini = (mini_etcd){.cluster_id = 0xc1, .revision = 1, .ops_max = 128};
}

static ProtobufCBinaryData text(const char *text) {
    union {
        const char *in;
        uint8_t *out;
    } bytes = {.in = text};
    return (ProtobufCBinaryData){strlen(text), bytes.out};
}

const mini_key *mini_find(const char *key) {
    ProtobufCBinaryData wanted = text(key);
    size_t place = seek(wanted.data, wanted.len);
    return is_at(place, wanted.data, wanted.len) ? &keys[place] : NULL;
}

size_t mini_count(const char *prefix) {
    size_t count = 0, size = strlen(prefix);
    for (size_t i = 0; i < key_count; i++)
        count += keys[i].key_size >= size && memcmp(keys[i].key, prefix, size) == 0;
    return count;
}

void mini_put(const char *key, const char *value) {
    put_at(++mini.revision, text(key), text(value));
}

void mini_delete(const char *key) {
    mini.revision++;
    remove_range(text(key), (ProtobufCBinaryData){0, NULL});
}

/* --- the channel's functions ---------------------------------------------------------------------
 */

struct etcd_channel {
    int unused;
};

int channel_open(const channel_options *options, etcd_channel **out, ipalloc_error *error) {
    (void)options, (void)error;
    *out = calloc(1, sizeof **out);
    return IPALLOC_OK;
}

void channel_close(etcd_channel *channel) {
    free(channel);
}

void channel_do(etcd_channel *channel, channel_call *calls, size_t count) {
    (void)channel;
    for (size_t i = 0; i < count; i++)
        do_call(&calls[i]);
}

void channel_free_answer(etcd_channel *channel, channel_call *call) {
    (void)channel;
    drop_answer(call);
}

int channel_stream_open(etcd_channel *channel, const char *method, ipalloc_bytes request,
                        const stream_listener *listener, uint64_t wait_ms, channel_stream **out,
                        ipalloc_error *error) {
    (void)channel, (void)method, (void)request, (void)listener, (void)wait_ms, (void)out;
    (void)error;
    return IPALLOC_E_UNAVAILABLE;
}

int channel_stream_send(etcd_channel *channel, channel_stream *stream, ipalloc_bytes request,
                        ipalloc_error *error) {
    (void)channel, (void)stream, (void)request, (void)error;
    return IPALLOC_E_UNAVAILABLE;
}

void channel_stream_close(etcd_channel *channel, channel_stream *stream) {
    (void)channel, (void)stream;
}

void channel_log_in_again(etcd_channel *channel) {
    (void)channel;
}

int channel_drive(etcd_channel *channel, bool (*done)(void *context), void *context,
                  uint64_t timeout_ms, ipalloc_error *error) {
    (void)channel, (void)timeout_ms, (void)error;
    return done(context) ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE;
}

int channel_poll_fd(etcd_channel *channel) {
    (void)channel;
    return -1;
}

int channel_poll_timeout_ms(etcd_channel *channel) {
    (void)channel;
    return -1;
}

int channel_process(etcd_channel *channel, ipalloc_error *error) {
    (void)channel, (void)error;
    return IPALLOC_E_UNAVAILABLE;
}

void channel_lock(etcd_channel *channel) {
    (void)channel;
}

void channel_unlock(etcd_channel *channel) {
    (void)channel;
}
