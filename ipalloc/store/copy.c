/*
 * copy.c: one store's entries into another, empty one, of whatever kinds the two are.
 *
 * The first thing written is a mark, the last thing done is to remove it; every batch in between is
 * conditional on the mark's revision. So a copy that was cut off is known for one, and of two
 * copies into one store the later takes over and the earlier ends in CONFLICT. A registry puts its
 * own first record only where no mark is (registry.c), and the copy looks for records once more
 * behind its mark: whichever came first, the other one gives way.
 *
 * One revision: the source is read in pages, and its head is the same before the first and behind
 * the last, so that nothing was written in between. May use: store.h's public calls, the pages.
 */
#include "store/copy_page.h"
#include "store/store.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH_ENTRIES = 100, /* etcd takes 128 operations, of which the store needs some itself */
    BATCH_ENTRIES_MAX = IPALLOC_BATCH_OPS_MAX - 12,
    BATCH_BYTES_MAX = 512 * 1024, /* etcd takes 1.5 MiB in one request */
    BATCHES_AT_ONCE = 16,
    BATCHES_AT_ONCE_MAX = 64,
    SENDINGS_MAX = 5, /* each as long as the store tries: longer than an election */
};

typedef struct copying {
    ipalloc_store *source, *destination;
    const hooks *hooks;
    ipalloc_copy_options options;
    ipalloc_store_info source_info;
    uint64_t mark_revision;
    uint64_t end_revision;
    copy_page page; /* of the source */
    ipalloc_op *ops;
    ipalloc_batch *batches;
    ipalloc_error *error; /* ours: what is tried again is no failure to the caller */
} copying;

static ipalloc_bytes mark_key(void) {
    static const char mark[] = IPALLOC_COPY_MARK;
    return (ipalloc_bytes){mark, sizeof mark - 1};
}

static int tell(const copying *c, uint64_t copied, uint64_t read_back) {
    if (c->options.progress == NULL)
        return IPALLOC_OK;
    int answer = c->options.progress(c->options.context, copied, read_back);
    return answer == IPALLOC_OK ? IPALLOC_OK
                                : error_set(c->error, answer, "copy: stopped, and not finished");
}

/* --- sending ------------------------------------------------------------------------------------
 */

static int refuse_batch(const copying *c, const ipalloc_batch *batch) {
    if (batch->status == IPALLOC_E_CONFLICT)
        return error_set(c->error, IPALLOC_E_CONFLICT,
                         "copy: somebody else writes to the destination; the copy is not finished");
    return error_set(c->error, batch->status, "copy: the destination took a batch not: %s",
                     ipalloc_strerror(batch->status));
}

/* How did it end? OK: it happened, or *again says that it never will and may be sent again. */
static int settle(const copying *c, ipalloc_batch *batch, bool *again) {
    bool happened = false;
    *again = batch->status == IPALLOC_E_UNAVAILABLE;
    if (batch->status == IPALLOC_OK || *again)
        return IPALLOC_OK;
    if (batch->status != IPALLOC_E_UNKNOWN_OUTCOME || batch->ticket == 0)
        return refuse_batch(c, batch);
    int status = IPALLOC_E_UNAVAILABLE;
    for (int i = 0; i < SENDINGS_MAX && status == IPALLOC_E_UNAVAILABLE; i++)
        status = ipalloc_store_settle(c->destination, batch->ticket, &happened, &batch->revision,
                                      c->error);
    *again = !happened;
    if (*again)
        batch->status = IPALLOC_E_UNAVAILABLE; /* what it is known to be by now */
    return status;
}

/* Commit them all. What was not to be reached is tried again; all are OK in the end, or it fails.
 * *last (may be NULL): the highest revision. */
static int send(const copying *c, ipalloc_batch *batches, size_t count, uint64_t *last) {
    int status = IPALLOC_OK;
    for (int i = 0; i < SENDINGS_MAX && count > 0; i++) {
        size_t left = 0;
        int call = ipalloc_store_commit(c->destination, batches, count, c->error);
        if (call != IPALLOC_OK && call != IPALLOC_E_UNAVAILABLE &&
            call != IPALLOC_E_UNKNOWN_OUTCOME)
            return call;
        for (size_t j = 0; j < count; j++) {
            bool again;
            status = settle(c, &batches[j], &again);
            if (status != IPALLOC_OK)
                return status;
            if (again)
                batches[left++] = batches[j];
            else if (last != NULL && batches[j].revision > *last)
                *last = batches[j].revision;
        }
        status = call;
        count = left;
    }
    if (count == 0)
        return IPALLOC_OK;
    return status != IPALLOC_OK ? status : refuse_batch(c, &batches[0]);
}

static int send_one(const copying *c, const ipalloc_op *op, uint64_t *revision) {
    ipalloc_batch batch = {.ops = op, .op_count = 1};
    *revision = 0;
    return send(c, &batch, 1, revision);
}

/* --- the mark -----------------------------------------------------------------------------------
 */

static int see_mark(void *context, const ipalloc_entry *entry) {
    *(uint64_t *)context = entry->revision;
    return IPALLOC_OK;
}

/* *revision is 0 where there is none. */
static int find_mark(const copying *c, ipalloc_store *store, uint64_t *revision) {
    *revision = 0;
    int status = ipalloc_store_get(store, mark_key(), see_mark, revision, c->error);
    return status == IPALLOC_E_NOT_FOUND ? IPALLOC_OK : status;
}

static int put_mark(copying *c, uint64_t old_mark) {
    char value[128];
    int length = snprintf(value, sizeof value,
                          "begun=%" PRIu64 "\nepoch=%" PRIu64 "\nrevision=%" PRIu64 "\n",
                          hooks_wall_ms(c->hooks), c->source_info.epoch, c->source_info.revision);
    ipalloc_op op = {.kind = IPALLOC_OP_PUT,
                     .condition = old_mark == 0 ? IPALLOC_IF_ABSENT : IPALLOC_IF_REVISION,
                     .revision = old_mark,
                     .key = mark_key(),
                     .value = {value, (size_t)length}};
    return send_one(c, &op, &c->mark_revision);
}

static int remove_mark(copying *c) {
    ipalloc_op op = {.kind = IPALLOC_OP_DELETE,
                     .condition = IPALLOC_IF_REVISION,
                     .revision = c->mark_revision,
                     .key = mark_key()};
    return send_one(c, &op, &c->end_revision);
}

/* --- an empty destination
 * -------------------------------------------------------------------------
 */

typedef struct first_key {
    char quoted[128];
    bool found;
} first_key;

static int see_first(void *context, const ipalloc_entry *entry) {
    first_key *first = context;
    if (first->found || bytes_equal(entry->key, mark_key()))
        return IPALLOC_OK;
    first->found = true;
    text_quote(entry->key.data, entry->key.size, first->quoted, sizeof first->quoted);
    return IPALLOC_OK;
}

static int check_empty(const copying *c) {
    first_key first = {.found = false};
    int status = ipalloc_store_scan(c->destination, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 2,
                                    see_first, &first, NULL, c->error);
    if (status != IPALLOC_OK || !first.found)
        return status;
    return error_set(c->error, IPALLOC_E_BUSY,
                     "copy: the destination is not empty: it holds \"%s\"; a copy goes into a new "
                     "store only",
                     first.quoted);
}

static void prepare_batch(const copying *c, size_t number, ipalloc_batch *batch) {
    ipalloc_op *ops = c->ops + number * (c->options.batch_entries + 1);
    ops[0] = (ipalloc_op){.kind = IPALLOC_OP_CHECK,
                          .condition = IPALLOC_IF_REVISION,
                          .revision = c->mark_revision,
                          .key = mark_key()};
    *batch = (ipalloc_batch){.ops = ops, .op_count = 1};
}

static void add_op(const ipalloc_batch *batch, const ipalloc_op *op, size_t at) {
    ipalloc_op *ops = (ipalloc_op *)(uintptr_t)batch->ops; /* they are ours */
    ops[at] = *op;
}

/* Put or delete the page's entries from *at on, as many as one group of batches takes. */
static int send_group(const copying *c, const copy_page *page, int kind, size_t *at) {
    size_t count = 0, i = *at;
    while (count < c->options.batches_at_once && i < page->count) {
        ipalloc_batch *batch = &c->batches[count];
        size_t bytes = 0;
        prepare_batch(c, count++, batch);
        while (i < page->count && batch->op_count <= c->options.batch_entries) {
            ipalloc_op op = {.kind = kind, .key = page_key(page, i)};
            if (kind == IPALLOC_OP_PUT) {
                op.condition = IPALLOC_IF_ABSENT;
                op.value = page_value(page, i);
            }
            bytes += op.key.size + op.value.size;
            if (bytes > BATCH_BYTES_MAX && batch->op_count > 1)
                break;
            add_op(batch, &op, batch->op_count++);
            i++;
        }
    }
    *at = i;
    return send(c, c->batches, count, NULL);
}

/* What an earlier copy has left: its mark is ours by now. */
static int clear(const copying *c) {
    copy_page page;
    page_init(&page, c->hooks);
    int status = page_read(&page, c->destination, c->error);
    while (status == IPALLOC_OK && page.count > 0) {
        for (size_t at = 0; status == IPALLOC_OK && at < page.count;)
            status = send_group(c, &page, IPALLOC_OP_DELETE, &at);
        if (status == IPALLOC_OK)
            status = page_read(&page, c->destination, c->error);
    }
    page_free(&page);
    return status;
}

/* Make the destination ours: empty, and marked. */
static int begin_destination(copying *c) {
    uint64_t old_mark;
    int status = find_mark(c, c->destination, &old_mark);
    if (status == IPALLOC_OK && old_mark != 0 && !c->options.replace_unfinished)
        return error_set(c->error, IPALLOC_E_BUSY,
                         "copy: the destination holds an unfinished copy, unless another copy into "
                         "it is at work");
    if (status == IPALLOC_OK && old_mark == 0)
        status = check_empty(c);
    if (status == IPALLOC_OK)
        status = put_mark(c, old_mark);
    if (status == IPALLOC_OK && old_mark != 0)
        status = clear(c);
    if (status != IPALLOC_OK)
        return status;
    status = check_empty(c);
    if (status == IPALLOC_E_BUSY) { /* somebody else's registry has begun there */
        ipalloc_error why = *c->error;
        remove_mark(c);
        *c->error = why;
    }
    return status;
}

/* --- the copy -----------------------------------------------------------------------------------
 */

static int copy_entries(copying *c) {
    uint64_t copied = 0;
    int status = page_read(&c->page, c->source, c->error);
    while (status == IPALLOC_OK && c->page.count > 0) {
        for (size_t at = 0; status == IPALLOC_OK && at < c->page.count;) {
            size_t before = at;
            status = send_group(c, &c->page, IPALLOC_OP_PUT, &at);
            copied += at - before;
            if (status == IPALLOC_OK)
                status = tell(c, copied, 0);
        }
        if (status == IPALLOC_OK)
            status = page_read(&c->page, c->source, c->error);
    }
    if (status == IPALLOC_OK && c->page.marked)
        return error_set(c->error, IPALLOC_E_CORRUPT, "copy: the source is an unfinished copy");
    return status;
}

static int read_back(const copying *c) {
    copy_page page;
    page_init(&page, c->hooks);
    int status = page_read(&page, c->destination, c->error);
    while (status == IPALLOC_OK && page.count > 0) {
        status = tell(c, c->page.total, page.total);
        if (status == IPALLOC_OK)
            status = page_read(&page, c->destination, c->error);
    }
    page_free(&page);
    if (status != IPALLOC_OK)
        return status;
    if (page.total != c->page.total || page.digest != c->page.digest)
        return error_set(c->error, IPALLOC_E_CORRUPT,
                         "copy: what was read back from the destination (%" PRIu64
                         " entries) is not what the source held (%" PRIu64 " entries)",
                         page.total, c->page.total);
    return IPALLOC_OK;
}

/* The last look at the source, before the copy becomes whole. */
static int check_unchanged(const copying *c) {
    ipalloc_store_info now = {.size = sizeof now};
    int status = ipalloc_store_get_info(c->source, &now, c->error);
    if (status != IPALLOC_OK)
        return status;
    if (now.revision > c->source_info.revision || now.epoch != c->source_info.epoch)
        return error_set(c->error, IPALLOC_E_CONFLICT,
                         "copy: the source has changed meanwhile, from revision %" PRIu64
                         " to %" PRIu64 ": stop who writes to it, and copy again",
                         c->source_info.revision, now.revision);
    return IPALLOC_OK;
}

static int check_stores(copying *c) {
    ipalloc_store_info to = {.size = sizeof to};
    c->source_info = (ipalloc_store_info){.size = sizeof c->source_info};
    int status = ipalloc_store_get_info(c->source, &c->source_info, c->error);
    if (status == IPALLOC_OK)
        status = ipalloc_store_get_info(c->destination, &to, c->error);
    if (status != IPALLOC_OK)
        return status;
    if (c->source_info.restored || to.restored)
        return error_set(c->error, IPALLOC_E_MISMATCH,
                         "copy: the %s is a copy or was restored, and nobody has accepted it",
                         c->source_info.restored ? "source" : "destination");
    if (to.epoch <= c->source_info.epoch)
        return error_set(c->error, IPALLOC_E_INVALID,
                         "copy: the destination's epoch %" PRIu64
                         " is not later than the source's, %" PRIu64
                         ": its revisions would be taken for the source's; make a new store",
                         to.epoch, c->source_info.epoch);
    uint64_t mark;
    status = find_mark(c, c->source, &mark);
    if (status == IPALLOC_OK && mark != 0)
        return error_set(c->error, IPALLOC_E_CORRUPT, "copy: the source is an unfinished copy");
    return status;
}

static int copy_all(copying *c) {
    int status = check_stores(c);
    if (status == IPALLOC_OK)
        status = begin_destination(c);
    if (status == IPALLOC_OK)
        status = copy_entries(c);
    if (status == IPALLOC_OK)
        status = read_back(c);
    if (status == IPALLOC_OK)
        status = check_unchanged(c);
    return status == IPALLOC_OK ? remove_mark(c) : status;
}

/* --- the call -----------------------------------------------------------------------------------
 */

static int read_options(copying *c, const ipalloc_copy_options *given) {
    int status =
        options_copy(&c->options, sizeof c->options, given, "ipalloc_copy_options", c->error);
    if (status != IPALLOC_OK)
        return status;
    if (c->options.batch_entries == 0)
        c->options.batch_entries = BATCH_ENTRIES;
    if (c->options.batches_at_once == 0)
        c->options.batches_at_once = BATCHES_AT_ONCE;
    if (c->options.batch_entries > BATCH_ENTRIES_MAX ||
        c->options.batches_at_once > BATCHES_AT_ONCE_MAX)
        return error_set(c->error, IPALLOC_E_INVALID,
                         "copy: a batch has at most %d entries, and at most %d go at once",
                         BATCH_ENTRIES_MAX, BATCHES_AT_ONCE_MAX);
    return IPALLOC_OK;
}

static void give_result(const copying *c, ipalloc_copy_result *out) {
    ipalloc_copy_result full = {.size = out->size,
                                .entries = c->page.total,
                                .bytes = c->page.total_bytes,
                                .source_revision = c->source_info.revision,
                                .destination_revision = c->end_revision};
    memcpy(out, &full, out->size < sizeof full ? out->size : sizeof full);
}

static int copy_with_memory(copying *c) {
    size_t op_count = c->options.batches_at_once * (c->options.batch_entries + 1);
    page_init(&c->page, c->hooks);
    c->ops = hooks_alloc(c->hooks, op_count * sizeof c->ops[0]);
    c->batches = hooks_alloc(c->hooks, c->options.batches_at_once * sizeof c->batches[0]);
    int status = c->ops == NULL || c->batches == NULL ? error_no_memory(c->error) : copy_all(c);
    hooks_free(c->hooks, c->batches);
    hooks_free(c->hooks, c->ops);
    page_free(&c->page);
    return status;
}

int ipalloc_store_copy(ipalloc_store *source, ipalloc_store *destination,
                       const ipalloc_copy_options *options, ipalloc_copy_result *result,
                       ipalloc_error *error) {
    if (source == NULL || destination == NULL || source == destination)
        return error_set(error, IPALLOC_E_INVALID, "copy: two different stores are needed");
    if (result != NULL && result->size < sizeof result->size)
        return error_set(error, IPALLOC_E_INVALID, "ipalloc_copy_result: its size is not set");
    ipalloc_error found = {0};
    copying c = {.source = source,
                 .destination = destination,
                 .hooks = store_hooks(destination),
                 .error = &found};
    int status = read_options(&c, options);
    if (status == IPALLOC_OK)
        status = copy_with_memory(&c);
    if (status == IPALLOC_OK && result != NULL)
        give_result(&c, result);
    if (status != IPALLOC_OK && error != NULL)
        *error = found;
    return status;
}
