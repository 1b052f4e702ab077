/*
 * client.c: one-shots, looks, and the resolving of what is open.
 */
#include "client.h"

#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t draw(client *c, uint64_t bound) {
    return test_random(&c->random) % bound;
}

/* ---- noting ---- */

void operation_begin(client *c, operation_kind kind, uint32_t owner) {
    memset(&c->now, 0, sizeof c->now);
    c->now.kind = (uint8_t)kind;
    c->now.client = (uint16_t)c->index;
    c->now.process = (uint16_t)c->life;
    c->now.owner = owner;
}

step *operation_step(client *c, step_kind kind, int pool, unsigned slot, uint32_t number) {
    if (c->now.step_count == STEPS_MAX)
        abort();
    step *s = &c->now.steps[c->now.step_count++];
    *s = (step){.kind = (uint8_t)kind,
                .pool = (uint8_t)pool,
                .slot = (uint16_t)slot,
                .number = number,
                .owner = c->now.owner};
    return s;
}

void operation_start(client *c) {
    c->now.begin = journal_now();
    journal_note(c->journal, NOTE_BEGIN, &c->now);
}

void operation_try(client *c) {
    journal_note(c->journal, NOTE_TRY, &c->now);
}

void must_be_sound(client *c, int status) {
    switch (status) {
    case IPALLOC_OK:
    case IPALLOC_E_FULL:
    case IPALLOC_E_TAKEN:
    case IPALLOC_E_NOT_FOUND:
    case IPALLOC_E_NOT_OWNER:
    case IPALLOC_E_CONFLICT:
    case IPALLOC_E_UNAVAILABLE:
    case IPALLOC_E_UNKNOWN_OUTCOME:
        return;
    default:
        fprintf(stderr, "client %u: %s of owner %u: %s: %s\n", c->index,
                OPERATION_NAMES[c->now.kind], c->now.owner, ipalloc_status_name(status),
                c->error.message);
        abort();
    }
}

/* Returns the status for the caller to go on with. */
int operation_end(client *c, int status) {
    c->now.end = journal_now();
    must_be_sound(c, status);
    c->now.status = (int16_t)status;
    c->now.outcome = status == IPALLOC_OK                  ? OUTCOME_OK
                     : status == IPALLOC_E_FULL            ? OUTCOME_FULL
                     : status == IPALLOC_E_UNKNOWN_OUTCOME ? OUTCOME_UNKNOWN
                                                           : OUTCOME_REFUSED;
    c->now.keeps_claims = status == IPALLOC_E_UNKNOWN_OUTCOME;
    journal_note(c->journal, NOTE_END, &c->now);
    return status;
}

void timed(client *c, const char *call, uint64_t began) {
    uint64_t took = journal_now() - began;
    if (took <= c->now.longest_ns)
        return;
    c->now.longest_ns = took;
    snprintf(c->now.longest_call, sizeof c->now.longest_call, "%s", call);
}

/* ---- one-shots ---- */

static void note_grant(client *c, int pool, const ipalloc_grant *g) {
    step *s = &c->now.steps[0];
    s->kind = g->existing ? STEP_SEE : STEP_CLAIM;
    s->number = workload_number(pool, &g->address, g->port);
    s->generation = g->generation;
}

/* Ask for a slot: for any address, or for `number`. Ports come in transactions only. */
static int ask(client *c, uint32_t owner, const char *name, unsigned slot, uint32_t number,
               ipalloc_grant *grant) {
    bool any = number == NUMBER_UNKNOWN;
    int pool = workload_pool_of(slot), status;
    char slot_name[16];
    *grant = (ipalloc_grant){.size = sizeof *grant};
    ipalloc_addr wanted = any ? (ipalloc_addr){0} : workload_address(pool, number);
    workload_slot_name(slot, slot_name);
    operation_begin(c, any ? OPERATION_ALLOCATE : OPERATION_RESERVE, owner);
    operation_step(c, STEP_CLAIM, pool, slot, number);
    operation_start(c);
    if (any)
        TIMED(c, status, "allocate",
              ipalloc_allocate(c->registry, c->pools[pool], name, slot_name, grant, &c->error));
    else
        TIMED(c, status, "reserve",
              ipalloc_reserve(c->registry, c->pools[pool], name, slot_name, &wanted, grant,
                              &c->error));
    if (status == IPALLOC_OK)
        note_grant(c, pool, grant);
    c->now.full_pool = (uint8_t)pool;
    return operation_end(c, status);
}

static void own_ask(client *c, own_owner *o, unsigned slot, uint32_t number) {
    ipalloc_grant g;
    int status = ask(c, o->id, o->name, slot, number, &g);
    o->open[slot] = status == IPALLOC_E_UNKNOWN_OUTCOME ||
                    (o->open[slot] && status != IPALLOC_OK); /* not settled by a refusal */
    if (status == IPALLOC_OK)
        o->held[slot] = (holding){true, workload_number(workload_pool_of(slot), &g.address, g.port),
                                  g.generation};
}

static int release(client *c, uint32_t owner, const char *name, unsigned slot, const holding *h) {
    int pool = workload_pool_of(slot), status;
    ipalloc_addr address = workload_address(pool, h->number);
    operation_begin(c, OPERATION_RELEASE, owner);
    operation_step(c, STEP_RELEASE, pool, slot, h->number)->generation = h->generation;
    operation_start(c);
    TIMED(c, status, "release",
          ipalloc_release(c->registry, c->pools[pool], name, &address, h->generation, &c->error));
    return operation_end(c, status);
}

/* After an unknown outcome it stays held for the client, which releases it again. */
static void own_release(client *c, own_owner *o, unsigned slot) {
    int status = release(c, o->id, o->name, slot, &o->held[slot]);
    if (status == IPALLOC_OK || status == IPALLOC_E_NOT_OWNER)
        o->held[slot] = (holding){0};
}

static void shared(client *c) {
    uint32_t owner = SHARED_FIRST + (uint32_t)draw(c, SHARED_OWNERS);
    char name[32];
    ipalloc_grant g;
    workload_owner_name(owner, name);
    if (ask(c, owner, name, 0, NUMBER_UNKNOWN, &g) != IPALLOC_OK || draw(c, 2) == 0)
        return;
    holding h = {true, workload_number(POOL_SMALL, &g.address, 0), g.generation};
    release(c, owner, name, 0, &h);
}

/* ---- looks ---- */

static void see_lease(client *c, const ipalloc_lease *lease) {
    if (workload_sight(lease, operation_step(c, STEP_SEE, 0, 0, 0)))
        return;
    fprintf(stderr, "client %u: a lease that nobody here can have made: owner %s, %zu slots, %s\n",
            c->index, lease->owner, lease->slot_count, lease->slots[0]);
    abort();
}

static void lookup(client *c) {
    int pool = (int)draw(c, WORKLOAD_POOLS), status;
    uint32_t number = workload_pool_first(pool) + (uint32_t)draw(c, workload_pool_count(pool));
    ipalloc_lease lease = {.size = sizeof lease};
    ipalloc_addr address = pool != POOL_PORTS ? workload_address(pool, number) : (ipalloc_addr){0};
    operation_begin(c, OPERATION_LOOKUP, 0);
    operation_start(c);
    if (pool == POOL_PORTS)
        TIMED(
            c, status, "lookup",
            ipalloc_lookup_port(c->registry, c->pools[pool], (uint16_t)number, &lease, &c->error));
    else
        TIMED(c, status, "lookup",
              ipalloc_lookup(c->registry, c->pools[pool], &address, &lease, &c->error));
    if (status == IPALLOC_E_NOT_FOUND)
        operation_step(c, STEP_FREE, pool, 0, number);
    else if (status == IPALLOC_OK)
        see_lease(c, &lease);
    operation_end(c, status);
}

static int see_holding(void *context, const ipalloc_lease *lease) {
    see_lease(context, lease);
    return 0;
}

bool client_read_holdings(client *c, own_owner *o) {
    int status;
    operation_begin(c, OPERATION_HOLDINGS, o->id);
    operation_start(c);
    TIMED(c, status, "owner_leases",
          ipalloc_owner_leases(c->registry, o->name, see_holding, c, &c->error));
    if (status != IPALLOC_OK)
        c->now.step_count = 0; /* half of them: some other time */
    if (operation_end(c, status) != IPALLOC_OK)
        return false;
    memset(o->held, 0, sizeof o->held);
    for (uint32_t i = 0; i < c->now.step_count; i++) {
        const step *s = &c->now.steps[i];
        o->held[s->slot] = (holding){true, s->number, s->generation};
    }
    return true;
}

/* ---- what is open ---- */

/* Ask again for what an owner without records had asked for; true: nothing is open. */
static bool settle_plain(client *c, own_owner *o) {
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!o->open[slot])
            continue;
        own_ask(c, o, slot, NUMBER_UNKNOWN);
        if (o->open[slot])
            return false;
    }
    if (o->unsure)
        o->unsure = !client_read_holdings(c, o);
    return !o->unsure;
}

static bool is_open(const own_owner *o) {
    bool open = o->unsure;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        open |= o->open[slot];
    return open;
}

static bool settle_owner(client *c, own_owner *o) {
    if (!is_open(o))
        return true;
    if (!workload_is_record_owner(o->id))
        return settle_plain(c, o);
    if (o->unsure)
        client_read_record_owner(c, o);
    if (!o->unsure && is_open(o))
        client_transaction(c, o);
    return !is_open(o);
}

bool client_settle(client *c) {
    bool all = true;
    for (unsigned i = 0; i < OWN_OWNERS; i++)
        all &= settle_owner(c, &c->owners[i]);
    return all;
}

void client_make_room(client *c) {
    for (unsigned i = 0; i < PLAIN_OWNERS; i++)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            if (c->owners[i].held[slot].held && draw(c, 2) == 0)
                own_release(c, &c->owners[i], slot);
}

/* ---- a life ---- */

void client_init(client *c, unsigned index, unsigned life, const char *directory, uint64_t seed) {
    char path[4200];
    c->index = index;
    c->life = life;
    c->directory = directory;
    c->random = seed + index * UINT64_C(7919) + life * UINT64_C(104729);
    for (unsigned i = 0; i < OWN_OWNERS; i++) {
        c->owners[i].id = index * OWNERS_PER_CLIENT + i;
        workload_owner_name(c->owners[i].id, c->owners[i].name);
        c->owners[i].unsure = true;
    }
    workload_journal_path(directory, index, life, path, sizeof path);
    c->journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (c->journal < 0)
        abort();
}

/* An operation of an earlier life: does it leave a slot open, or close one? */
static void remember(client *c, const operation *o) {
    uint32_t own = o->owner - c->index * OWNERS_PER_CLIENT;
    if (o->owner >= SHARED_FIRST || own >= OWN_OWNERS)
        return;
    for (uint32_t i = 0; i < o->step_count; i++) {
        const step *s = &o->steps[i];
        if (s->kind == STEP_CLAIM && o->outcome == OUTCOME_UNKNOWN)
            c->owners[own].open[s->slot] = true;
        else if ((s->kind == STEP_CLAIM || s->kind == STEP_SEE) && o->outcome == OUTCOME_OK &&
                 o->kind != OPERATION_HOLDINGS && o->kind != OPERATION_LOOKUP)
            c->owners[own].open[s->slot] = false;
    }
}

void client_remember(client *c) {
    for (unsigned life = 0; life < c->life; life++) {
        char path[4200];
        operation *all = NULL;
        size_t count = 0;
        workload_journal_path(c->directory, c->index, life, path, sizeof path);
        if (access(path, R_OK) != 0)
            continue;
        journal_read(path, &all, &count);
        for (size_t i = 0; i < count; i++)
            remember(c, &all[i]);
        free(all);
    }
}

/* An address that the owner has already would get the slot added, and a lease has one slot here. */
static bool has_number(const own_owner *o, int pool, uint32_t number) {
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (o->held[slot].held && workload_pool_of(slot) == pool && o->held[slot].number == number)
            return true;
    return false;
}

static void plain(client *c) {
    own_owner *o = &c->owners[draw(c, PLAIN_OWNERS)];
    unsigned slot = (unsigned)draw(c, SLOTS - 1); /* ports: in transactions */
    int pool = workload_pool_of(slot);
    if (!settle_owner(c, o))
        return;
    uint32_t number = workload_pool_first(pool) + (uint32_t)draw(c, workload_pool_count(pool));
    if (!o->held[slot].held && draw(c, 4) == 0 && !has_number(o, pool, number))
        own_ask(c, o, slot, number);
    else if (!o->held[slot].held || draw(c, 4) == 0)
        own_ask(c, o, slot, NUMBER_UNKNOWN);
    else
        own_release(c, o, slot);
}

void client_step(client *c) {
    uint64_t what = draw(c, 100);
    if (what < 50) {
        plain(c);
    } else if (what < 72) {
        own_owner *o = &c->owners[PLAIN_OWNERS + draw(c, RECORD_OWNERS)];
        if (settle_owner(c, o))
            client_transaction(c, o);
    } else if (what < 82) {
        shared(c);
    } else if (what < 88) {
        client_dry_run(c);
    } else {
        lookup(c);
    }
}
