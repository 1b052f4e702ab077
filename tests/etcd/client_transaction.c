/*
 * client_transaction.c: transactions with several addresses and a record that lists them, dry-runs,
 * and what follows an unknown outcome: commit again, or abort and ask again.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMITS_MAX = 4 };

typedef struct transaction {
    client *c;
    own_owner *o;
    ipalloc_txn *txn;
    holding after[SLOTS]; /* what it will hold */
    bool ask[SLOTS], give_up[SLOTS];
} transaction;

/* ---- the plan ---- */

/* What is open is asked for again; else some of what is free, and some of what is held goes. */
static void plan(transaction *t) {
    bool again = false;
    memcpy(t->after, t->o->held, sizeof t->after);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        again |= t->ask[slot] = t->o->open[slot];
    for (unsigned slot = 0; slot < SLOTS && !again; slot++) {
        if (draw(t->c, 2) == 0)
            continue;
        t->give_up[slot] = t->o->held[slot].held;
        t->ask[slot] = !t->o->held[slot].held;
    }
}

static void note_plan(transaction *t) {
    client *c = t->c;
    operation_begin(c, OPERATION_TRANSACTION, t->o->id);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        int pool = workload_pool_of(slot);
        if (t->ask[slot])
            operation_step(c, STEP_CLAIM, pool, slot, NUMBER_UNKNOWN);
        if (t->give_up[slot])
            operation_step(c, STEP_RELEASE, pool, slot, t->o->held[slot].number)->generation =
                t->o->held[slot].generation;
    }
}

/* ---- the steps ---- */

static step *claim_of(client *c, unsigned slot) {
    for (uint32_t i = 0; i < c->now.step_count; i++)
        if (c->now.steps[i].kind == STEP_CLAIM && c->now.steps[i].slot == slot)
            return &c->now.steps[i];
    abort();
}

static int ask_for(transaction *t, unsigned slot) {
    client *c = t->c;
    int pool = workload_pool_of(slot), status;
    char name[16];
    ipalloc_grant g = {.size = sizeof g};
    workload_slot_name(slot, name);
    if (pool == POOL_PORTS)
        TIMED(c, status, "step",
              ipalloc_txn_allocate_port(t->txn, c->pools[pool], name, &g, &c->error));
    else
        TIMED(c, status, "step", ipalloc_txn_allocate(t->txn, c->pools[pool], name, &g, &c->error));
    c->now.full_pool = (uint8_t)pool;
    if (status != IPALLOC_OK)
        return status;
    step *s = claim_of(c, slot);
    s->number = workload_number(pool, &g.address, g.port);
    s->generation = g.generation;
    t->after[slot] = (holding){true, s->number, s->generation};
    s->kind = g.existing ? STEP_SEE : STEP_CLAIM;
    return IPALLOC_OK;
}

static int give_up(transaction *t, unsigned slot) {
    client *c = t->c;
    const holding *h = &t->o->held[slot];
    int pool = workload_pool_of(slot), status;
    ipalloc_addr address =
        pool != POOL_PORTS ? workload_address(pool, h->number) : (ipalloc_addr){0};
    if (pool == POOL_PORTS)
        TIMED(c, status, "step",
              ipalloc_txn_release_port(t->txn, c->pools[pool], (uint16_t)h->number, h->generation,
                                       &c->error));
    else
        TIMED(c, status, "step",
              ipalloc_txn_release(t->txn, c->pools[pool], &address, h->generation, &c->error));
    t->after[slot] = (holding){0};
    return status;
}

static int put_record(transaction *t) {
    client *c = t->c;
    char key[48], text[512];
    workload_record_key(t->o->id, key);
    size_t size = workload_record_write(t->after, text, sizeof text);
    if (size > 0)
        return ipalloc_txn_put(t->txn, key, text, size, t->o->record_revision, &c->error);
    return t->o->record_revision != IPALLOC_REVISION_ABSENT
               ? ipalloc_txn_delete(t->txn, key, t->o->record_revision, &c->error)
               : IPALLOC_OK;
}

static int take_steps(transaction *t) {
    int status = IPALLOC_OK;
    for (unsigned slot = 0; slot < SLOTS && status == IPALLOC_OK; slot++) {
        if (t->ask[slot])
            status = ask_for(t, slot);
        else if (t->give_up[slot])
            status = give_up(t, slot);
    }
    return status == IPALLOC_OK ? put_record(t) : status;
}

/* ---- the end ---- */

static void abort_it(transaction *t) {
    uint64_t began = journal_now();
    ipalloc_txn_abort(t->txn);
    timed(t->c, "abort", began);
    t->txn = NULL;
}

/* Commit; where the outcome is unknown, again (which resolves it) or abort. */
static int commit(transaction *t) {
    client *c = t->c;
    int status = IPALLOC_E_UNKNOWN_OUTCOME;
    for (int i = 0; i < COMMITS_MAX && status == IPALLOC_E_UNKNOWN_OUTCOME; i++) {
        if (i > 0 && draw(c, 3) == 0)
            break;
        TIMED(c, status, i == 0 ? "commit" : "commit again",
              ipalloc_txn_commit(t->txn, &c->now.revision, &c->error));
    }
    if (status == IPALLOC_E_UNKNOWN_OUTCOME)
        abort_it(t);
    return status;
}

static void learn(transaction *t, int status) {
    own_owner *o = t->o;
    if (status == IPALLOC_OK) {
        memcpy(o->held, t->after, sizeof o->held);
        memset(o->open, 0, sizeof o->open);
        if (t->c->now.revision != 0)
            o->unsure = false;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        o->open[slot] |= t->ask[slot] && status == IPALLOC_E_UNKNOWN_OUTCOME;
    /* The record's revision is the commit's; else, or if in doubt, it is read again. */
    if (status == IPALLOC_OK)
        o->record_revision = t->c->now.revision != 0 ? t->c->now.revision : o->record_revision;
    else
        o->unsure = status != IPALLOC_E_FULL && status != IPALLOC_E_UNAVAILABLE;
}

void client_transaction(client *c, own_owner *o) {
    transaction t = {.c = c, .o = o};
    ipalloc_txn_options with = {.size = sizeof with, .owner = o->name, .deadline_ms = CALL_MS};
    plan(&t);
    note_plan(&t);
    operation_start(c);
    int status = ipalloc_begin(c->registry, &with, &t.txn, &c->error);
    if (status == IPALLOC_OK) {
        status = take_steps(&t);
        bool change_of_mind = status == IPALLOC_OK && draw(c, 10) == 0;
        if (status != IPALLOC_OK || change_of_mind) {
            abort_it(&t);
            status = change_of_mind ? IPALLOC_E_CONFLICT : status;
        } else {
            operation_try(c);
            status = commit(&t);
        }
    }
    operation_end(c, status);
    learn(&t, status);
    /* Where nothing but the record was left to put, it is gone, or as it was. */
    char text[512];
    if (status == IPALLOC_OK && workload_record_write(o->held, text, sizeof text) == 0)
        o->record_revision = IPALLOC_REVISION_ABSENT;
}

/* ---- reading ---- */

typedef struct record {
    char text[512];
    size_t size;
    uint64_t revision;
} record;

static int see_record(void *context, const ipalloc_entry *entry) {
    record *r = context;
    if (entry->value.size >= sizeof r->text)
        abort();
    memcpy(r->text, entry->value.data, entry->value.size);
    r->size = entry->value.size;
    r->revision = entry->revision;
    return 0;
}

static bool read_record(client *c, const own_owner *o, record *out) {
    char key[48];
    int status;
    *out = (record){.revision = IPALLOC_REVISION_ABSENT};
    workload_record_key(o->id, key);
    operation_begin(c, OPERATION_LOOKUP, o->id);
    operation_start(c);
    TIMED(c, status, "record_get",
          ipalloc_record_get(c->registry, key, see_record, out, &c->error));
    bool answered = status == IPALLOC_OK || status == IPALLOC_E_NOT_FOUND;
    operation_end(c, status);
    return answered;
}

/* Record, leases, and the record again: if it has not changed meanwhile, they must agree. */
void client_read_record_owner(client *c, own_owner *o) {
    record before, after;
    holding listed[SLOTS];
    if (!read_record(c, o, &before) || !client_read_holdings(c, o) || !read_record(c, o, &after) ||
        before.revision != after.revision)
        return;
    if (!workload_record_read(after.text, after.size, listed) ||
        memcmp(listed, o->held, sizeof listed) != 0) {
        fprintf(stderr, "client %u: the record of %s and its leases differ: \"%s\"\n", c->index,
                o->name, after.text);
        abort();
    }
    o->record_revision = after.revision;
    o->unsure = false;
}

/* ---- dry runs ---- */

void client_dry_run(client *c) {
    own_owner *o = &c->owners[draw(c, OWN_OWNERS)];
    ipalloc_txn_options with = {
        .size = sizeof with, .owner = o->name, .deadline_ms = CALL_MS, .dry_run = true};
    ipalloc_grant g = {.size = sizeof g};
    ipalloc_txn *txn = NULL;
    operation_begin(c, OPERATION_DRY_RUN, o->id);
    c->now.full_pool = POOL_SMALL;
    operation_start(c);
    int status = ipalloc_begin(c->registry, &with, &txn, &c->error);
    if (status == IPALLOC_OK) {
        TIMED(c, status, "dry step",
              ipalloc_txn_allocate(txn, c->pools[POOL_SMALL], "slot-1", &g, &c->error));
        if (status == IPALLOC_OK)
            TIMED(c, status, "dry commit", ipalloc_txn_commit(txn, NULL, &c->error));
        else
            ipalloc_txn_abort(txn);
    }
    operation_end(c, status);
}
