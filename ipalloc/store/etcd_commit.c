/*
 * etcd_commit.c: batches on their way to etcd: sent together, each to its own end.
 *
 * May use: base/, the channel. A batch is sent as one transaction, by the channel again and again
 * until it is answered or its time is over; its slot keeps that from happening twice. Three things
 * take another round: its slot was swept (another one is taken), a large one was refused (a
 * question tells by which condition), and by then that condition holds (sent again). Where a
 * sending may still arrive after the answer, nothing but COMMITTED is final: the slot is settled.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "store/etcd_txn.h"

#include <string.h>

enum { ROUNDS_MAX = 4, SETTLE_AT_LEAST_MS = 200 };

typedef struct flight {
    ipalloc_batch *batch;
    etcd_slot *slot; /* NULL: it has landed */
    uint64_t form_revision;
    uint64_t seen; /* before it was sent */
    unsigned rounds;
    bool asks; /* this round asks why it was refused */
    ipalloc_error error;
} flight;

typedef struct fleet {
    etcd_store *store;
    flight *flights;
    channel_call *calls;
    flight **callers; /* of each call */
    size_t count;
    size_t call_count;
    uint64_t start_ms;
} fleet;

/* --- landing -------------------------------------------------------------------------------------
 */

static void land(fleet *f, flight *flying, int status) {
    flying->batch->status = status;
    slot_give_back(f->store, flying->slot);
    flying->slot = NULL;
}

static void land_committed(fleet *f, flight *flying, uint64_t revision) {
    etcd_slot *slot = flying->slot;
    slot->doubtful |= slot->revision == 0 && slot->echo;
    slot->revision = revision;
    flying->batch->revision = revision;
    land(f, flying, IPALLOC_OK);
}

static void land_in_conflict(fleet *f, flight *flying, size_t failed_op) {
    flying->batch->failed_op = failed_op;
    land(f, flying, IPALLOC_E_CONFLICT);
}

/* Its ticket keeps the slot. */
static void land_unknown(fleet *f, flight *flying) {
    flying->batch->status = IPALLOC_E_UNKNOWN_OUTCOME;
    flying->batch->ticket = flying->slot->nonce;
    slot_hold(f->store, flying->slot);
    flying->slot = NULL;
}

static size_t first_condition(const ipalloc_batch *batch) {
    size_t i = 0;
    while (i + 1 < batch->op_count && batch->ops[i].condition == IPALLOC_IF_ANY)
        i++;
    return i;
}

static uint64_t time_left(const fleet *f, const flight *flying) {
    uint64_t limit =
        flying->batch->timeout_ms != 0 ? flying->batch->timeout_ms : f->store->timeout_ms;
    uint64_t used = hooks_monotonic_ms(f->store->hooks) - f->start_ms;
    return used < limit ? limit - used : 0;
}

static void land_expired(fleet *f, flight *flying) {
    land(f, flying,
         error_set(&flying->error, IPALLOC_E_UNAVAILABLE, "%s: the time for the batch is over",
                   f->store->name));
}

/* End what may still arrive. true: nothing of it happened, and nothing will. */
static bool settled_as_aborted(fleet *f, flight *flying) {
    enum slot_word how;
    ipalloc_error error;
    uint64_t left = time_left(f, flying);
    if (left < SETTLE_AT_LEAST_MS)
        left = SETTLE_AT_LEAST_MS;
    if (etcd_settle_slot(f->store, flying->slot, left, &how, &error) != IPALLOC_OK)
        land_unknown(f, flying);
    else if (how == SLOT_COMMITTED)
        land_committed(f, flying, flying->slot->revision);
    else
        return true;
    return false;
}

/* An answer that says nothing that can be believed. */
static void land_after_nonsense(fleet *f, flight *flying, int status) {
    flying->slot->echo = true;
    if (settled_as_aborted(f, flying))
        land(f, flying, status);
}

/* --- answers -------------------------------------------------------------------------------------
 */

static const char OTHER_FORM[] = "the store under the prefix was accepted as restored, or made "
                                 "anew, by another process since it "
                                 "was opened here; open it again";

static void take_another_slot(fleet *f, flight *flying) {
    slot_drop(f->store, flying->slot);
    flying->slot = NULL;
    if (flying->rounds >= ROUNDS_MAX) {
        flying->batch->status =
            error_set(&flying->error, IPALLOC_E_IO,
                      "%s: the slots of this session are removed or written by another program",
                      f->store->name);
        return;
    }
    flying->slot = slot_take(f->store);
    if (flying->slot == NULL)
        flying->batch->status = error_no_memory(&flying->error);
}

/* Not by this sending; by an earlier one nobody will know, but none can come any more. */
static void digest_no_slot(fleet *f, flight *flying) {
    if (!flying->slot->echo) {
        take_another_slot(f, flying);
        return;
    }
    slot_drop(f->store, flying->slot);
    flying->slot = NULL;
    flying->batch->status = IPALLOC_E_UNKNOWN_OUTCOME;
}

static void digest_verdict(fleet *f, flight *flying, const txn_judgement *judged) {
    switch (judged->verdict) {
    case TXN_COMMITTED:
        land_committed(f, flying, judged->revision);
        return;
    case TXN_CONFLICT:
        if (!flying->slot->echo || settled_as_aborted(f, flying))
            land_in_conflict(f, flying, judged->failed_op);
        return;
    case TXN_HELD: /* what failed a moment ago holds now */
        flying->asks = false;
        if (flying->rounds >= ROUNDS_MAX)
            land_in_conflict(f, flying, first_condition(flying->batch));
        return;
    case TXN_ABORTED: /* before it was answered */
        flying->slot->revision = judged->revision;
        land(f, flying,
             error_set(&flying->error, IPALLOC_E_IO,
                       "%s: the batch's slot says that it was aborted", f->store->name));
        return;
    case TXN_OTHER_FORM: /* which no earlier sending can survive: each is conditional on it */
        land(f, flying, etcd_give_up(f->store, OTHER_FORM, &flying->error));
        return;
    case TXN_NO_SLOT:
        digest_no_slot(f, flying);
        return;
    }
}

static void digest_answer(fleet *f, flight *flying, const channel_call *call) {
    etcd_store *store = f->store;
    ProtobufCMessage *message = NULL;
    txn_judgement judged = {0};
    int status = etcd_unpack(store->hooks, &etcd__txn_response__descriptor, call->answer,
                             call->answer_size, &message, &flying->error);
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)message;
    if (status == IPALLOC_OK)
        status = etcd_check_header(store, answer->header, flying->seen, &flying->error);
    if (status == IPALLOC_OK && flying->asks)
        status = txn_judge_question(store, flying->batch, flying->slot, flying->form_revision,
                                    answer, &judged, &flying->error);
    else if (status == IPALLOC_OK)
        status = txn_judge(store, flying->batch, flying->slot, flying->form_revision, answer,
                           &judged, &flying->error);
    etcd_free_message(store->hooks, message);
    if (status == IPALLOC_OK)
        digest_verdict(f, flying, &judged);
    else if (flying->asks)
        land_in_conflict(f, flying, first_condition(flying->batch));
    else
        land_after_nonsense(f, flying, status);
}

/* etcd's own limits, by the words of its refusal, because both have the same code as others. */
static const char *limit_hint(const char *message) {
    if (strstr(message, "too many operations") != NULL)
        return " (etcd's limit: raise --max-txn-ops to 128, its default, or more)";
    if (strstr(message, "too large") != NULL || strstr(message, "larger than max") != NULL)
        return " (etcd's limit: raise --max-request-bytes, which is 1.5 MiB by default)";
    return NULL;
}

static void land_refused(fleet *f, flight *flying, const channel_call *call) {
    const char *hint = limit_hint(call->error.message);
    int status = hint != NULL ? IPALLOC_E_INVALID : call->status;
    land(f, flying,
         error_set(&flying->error, status, "%s: %s%s", f->store->name, call->error.message,
                   hint != NULL ? hint : ""));
}

static void digest(fleet *f, flight *flying, const channel_call *call) {
    bool by_condition = call->grpc_code == GRPC_OUT_OF_RANGE && txn_is_nested(flying->batch);
    if (!flying->asks)
        flying->slot->echo = call->echo;
    if (call->end == CALL_ANSWERED) {
        digest_answer(f, flying, call);
    } else if (flying->asks) { /* that it was refused by a condition is known */
        land_in_conflict(f, flying, first_condition(flying->batch));
    } else if (by_condition) {
        flying->asks = call->end == CALL_REFUSED || settled_as_aborted(f, flying);
        if (flying->asks)
            flying->slot->echo = false;
    } else if (call->end == CALL_REFUSED) {
        land_refused(f, flying, call);
    } else if (call->echo) {
        error_set(&flying->error, IPALLOC_E_UNKNOWN_OUTCOME, "%s: %s", f->store->name,
                  call->error.message);
        land_unknown(f, flying);
    } else if (settled_as_aborted(f, flying)) { /* by a look: it is over, one way or the other */
        land_refused(f, flying, call);
    }
}

/* --- rounds --------------------------------------------------------------------------------------
 */

static int pack(fleet *f, flight *flying, uint8_t **bytes, size_t *size) {
    if (flying->asks)
        return txn_pack_question(f->store, flying->batch, flying->slot, bytes, size,
                                 &flying->error);
    return txn_pack_batch(f->store, flying->batch, flying->slot, flying->form_revision,
                          hooks_wall_ms(f->store->hooks), bytes, size, &flying->error);
}

/* A call for each batch that has not landed. */
static void prepare_round(fleet *f) {
    uint64_t seen = etcd_seen(f->store);
    f->call_count = 0;
    for (size_t i = 0; i < f->count; i++) {
        flight *flying = &f->flights[i];
        if (flying->slot == NULL)
            continue;
        uint64_t left = time_left(f, flying);
        uint8_t *bytes = NULL;
        size_t size = 0;
        if (left == 0 && !flying->asks) {
            land_expired(f, flying);
            continue;
        }
        int status = pack(f, flying, &bytes, &size);
        if (status != IPALLOC_OK) {
            land(f, flying, status);
            continue;
        }
        flying->seen = seen;
        flying->rounds++;
        f->callers[f->call_count] = flying;
        f->calls[f->call_count++] =
            (channel_call){.method = "/etcdserverpb.KV/Txn",
                           .request = {bytes, size},
                           .repeatable = true,
                           .in_order = true,
                           .timeout_ms = left != 0 ? left : SETTLE_AT_LEAST_MS};
    }
}

static void free_request(fleet *f, channel_call *call) {
    union {
        const void *in;
        void *out;
    } bytes = {.in = call->request.data};
    hooks_free(f->store->hooks, bytes.out);
}

static void fly(fleet *f) {
    for (;;) {
        prepare_round(f);
        if (f->call_count == 0)
            return;
        uint64_t begun = hooks_monotonic_ms(f->store->hooks);
        channel_do(f->store->channel, f->calls, f->call_count);
        for (size_t i = 0; i < f->call_count; i++) {
            etcd_note_call(f->store, &f->calls[i], begun);
            digest(f, f->callers[i], &f->calls[i]);
            free_request(f, &f->calls[i]);
            if (f->calls[i].end == CALL_ANSWERED)
                channel_free_answer(f->store->channel, &f->calls[i]);
        }
    }
}

/* --- the method ----------------------------------------------------------------------------------
 */

static int refuse_writes(etcd_store *store, uint64_t *form_revision, ipalloc_error *error) {
    pthread_mutex_lock(&store->mutex);
    *form_revision = store->form.revision;
    const char *unusable = store->unusable;
    bool restored = store->restored;
    pthread_mutex_unlock(&store->mutex);
    if (store->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "%s: was opened read-only", store->name);
    if (unusable != NULL)
        return error_set(error, IPALLOC_E_MISMATCH, "%s: %s", store->name, unusable);
    if (restored)
        return error_set(error, IPALLOC_E_MISMATCH,
                         "%s: is on another cluster than the one it was made on: a restored one; "
                         "nothing is written to it before it is accepted",
                         store->name);
    return IPALLOC_OK;
}

/* The call's own status: an error only if every batch came to nothing for a reason of ours. */
static int sum_up(const fleet *f, ipalloc_error *error) {
    const flight *failed = NULL;
    for (size_t i = 0; i < f->count; i++) {
        int status = f->flights[i].batch->status;
        if (status == IPALLOC_OK || status == IPALLOC_E_CONFLICT)
            return IPALLOC_OK;
        failed = &f->flights[i];
    }
    if (error != NULL)
        *error = failed->error;
    return failed->batch->status == IPALLOC_E_UNKNOWN_OUTCOME ? IPALLOC_OK : failed->batch->status;
}

static void start(fleet *f, ipalloc_batch *batches, uint64_t form_revision) {
    for (size_t i = 0; i < f->count; i++) {
        flight *flying = &f->flights[i];
        *flying = (flight){.batch = &batches[i], .form_revision = form_revision};
        batches[i].ticket = 0;
        flying->slot = slot_take(f->store);
        if (flying->slot == NULL)
            batches[i].status = error_no_memory(&flying->error);
    }
}

/* The longest of any of them. */
static uint64_t time_of_all(const etcd_store *store, const ipalloc_batch *batches, size_t count) {
    uint64_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t limit = batches[i].timeout_ms != 0 ? batches[i].timeout_ms : store->timeout_ms;
        longest = limit > longest ? limit : longest;
    }
    return longest;
}

int etcd_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    etcd_store *store = self;
    uint64_t form_revision;
    fleet f = {.store = store, .count = count, .start_ms = hooks_monotonic_ms(store->hooks)};
    int status = refuse_writes(store, &form_revision, error);
    if (status == IPALLOC_OK)
        status = etcd_dispel_doubt(store, time_of_all(store, batches, count), error);
    if (status == IPALLOC_OK)
        status = refuse_writes(store, &form_revision, error); /* it may have found out */
    if (status == IPALLOC_OK) {
        f.flights = hooks_alloc(store->hooks,
                                count * (sizeof *f.flights + sizeof *f.calls + sizeof *f.callers));
        if (f.flights == NULL)
            status = error_no_memory(error);
    }
    if (status != IPALLOC_OK) {
        batches_set_status(batches, count, status);
        return status;
    }
    f.calls = (channel_call *)(void *)(f.flights + count);
    f.callers = (flight **)(void *)(f.calls + count);
    start(&f, batches, form_revision);
    fly(&f);
    status = sum_up(&f, error);
    hooks_free(store->hooks, f.flights);
    if (batches[0].status == IPALLOC_OK) /* else etcd may not answer, and the caller has waited */
        etcd_sweep(store);
    return status;
}
