/*
 * test_crash_kill.c: kill -9 in the middle of work, many times on one store, and look after each.
 *
 * The child (crash_child.c) acknowledges every operation through a pipe. After each kill the store
 * is opened again and must hold exactly what was acknowledged; each thread's operation that was
 * under way has happened as a whole or not at all. The loop counts what its kills hit, so that a
 * loop that never hits work fails. SEED= repeats the choices, though not the moment of a kill.
 *
 * A killed process needs no disk to lose data, so the long loop runs in /dev/shm where there is
 * one, with many more operations and checkpoints in the same time; "disk" as the argument runs a
 * shorter one in TEST_DIRECTORY or /tmp.
 */
#include "crash_events.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CYCLES_MEMORY = 500,
    CYCLES_DISK = 100,
    WORK_EVENTS_MAX = 60,       /* heard from the child before the kill ... */
    WORK_US_MAX = 100000,       /* ... or so long, where the disk is slow */
    LAST_US_MAX = 500,          /* and then a moment more */
    OPENING_US_MAX = 20000000,  /* with sanitizers, on a busy machine */
    EARLY_KILL_EVERY = 8,       /* in one cycle of so many the child is killed while it opens */
    EARLY_US_MAX = 4000,        /* as long as no opening was timed */
    STORE_BYTES_MAX = 32 << 20, /* the store must not grow with the cycles */
    IPV4_USABLE = 126,
};

/* What the parent knows, and what it counts over all cycles. */
typedef struct parent {
    const char *directory;
    uint64_t random;
    crash_owner owners[CRASH_OWNERS];
    crash_event under_way[CRASH_THREADS];
    bool is_under_way[CRASH_THREADS];
    uint64_t acknowledged, refused;
    uint64_t kills, kills_in_work, kills_while_opening;
    uint64_t happened, vanished; /* operations under way: found committed, found gone */
    int64_t store_bytes_max;
    uint64_t opening_us; /* from the last child's start to its first event; 0: not known yet */
} parent;

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- listening -------------------------------------------------------------------------------- */

/* The owner after the event happened. Where the grants are not known yet (begun), only `held`. */
static crash_owner owner_after(const crash_owner *before, const crash_event *event) {
    crash_owner after = *before;
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
        if ((event->release_mask >> slot & 1) != 0)
            after.slots[slot] = (crash_grant){0};
        if ((event->allocate_mask >> slot & 1) != 0)
            after.slots[slot] = event->grants[slot];
    }
    if (event->serial != 0)
        after.serial = event->serial;
    return after;
}

static void hear(parent *p, const crash_event *event) {
    ck_assert_uint_lt(event->thread, CRASH_THREADS);
    ck_assert_uint_lt(event->owner, CRASH_OWNERS);
    p->is_under_way[event->thread] = !event->done;
    p->under_way[event->thread] = *event;
    if (!event->done)
        return;
    if (event->status != IPALLOC_OK) {
        p->refused++;
        return;
    }
    p->acknowledged++;
    p->owners[event->owner] = owner_after(&p->owners[event->owner], event);
}

/* Read one event if the pipe has one. false: nothing now (or, at its end, never again). */
static bool hear_one(parent *p, int pipe_end) {
    crash_event event;
    ssize_t got = read(pipe_end, &event, sizeof event);
    if (got <= 0)
        return false;
    ck_assert_int_eq(got, (ssize_t)sizeof event);
    hear(p, &event);
    return true;
}

/* Listen until `deadline`, or until `events_max` events were heard. */
static void listen_until(parent *p, int pipe_end, uint64_t deadline, uint64_t events_max) {
    for (uint64_t heard = 0; heard < events_max;) {
        uint64_t now = now_us();
        if (now >= deadline)
            return;
        struct timespec left = {.tv_sec = (time_t)((deadline - now) / 1000000),
                                .tv_nsec = (long)((deadline - now) % 1000000 * 1000)};
        struct pollfd ready = {.fd = pipe_end, .events = POLLIN};
        if (ppoll(&ready, 1, &left, NULL) <= 0)
            continue;
        if (!hear_one(p, pipe_end))
            return;
        heard++;
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

typedef struct found {
    crash_owner owners[CRASH_OWNERS];
    uint64_t counts[CRASH_POOLS];
    const char *last_pool;
    ipalloc_addr last_address;
    uint16_t last_port;
} found;

static unsigned slot_index(const char *name) {
    for (unsigned i = 0; i < CRASH_SLOTS; i++)
        if (strcmp(CRASH_SLOT_TABLE[i].name, name) == 0)
            return i;
    ck_abort_msg("a lease has the slot %s, which nobody asked for", name);
    return 0;
}

/* Leases come in order of pool and address; two of one address would come side by side. */
static void no_address_twice(found *f, const ipalloc_lease *lease) {
    if (f->last_pool != NULL && strcmp(f->last_pool, lease->pool) == 0) {
        int order = ipalloc_addr_compare(&f->last_address, &lease->address);
        ck_assert_msg(order < 0 || (order == 0 && f->last_port < lease->port),
                      "%s or port %u is listed twice or out of order", addr_text(&lease->address),
                      lease->port);
    }
    f->last_pool = lease->pool;
    f->last_address = lease->address;
    f->last_port = lease->port;
}

static int find_lease(void *context, const ipalloc_lease *lease) {
    found *f = context;
    no_address_twice(f, lease);
    unsigned owner = 0;
    ck_assert_int_eq(sscanf(lease->owner, "Service/crash/owner-%u", &owner), 1);
    ck_assert_uint_lt(owner, CRASH_OWNERS);
    ck_assert_uint_eq(lease->slot_count, 1);
    unsigned slot = slot_index(lease->slots[0]);
    enum crash_pool pool = CRASH_SLOT_TABLE[slot].pool;
    ck_assert_str_eq(lease->pool, CRASH_POOL_NAMES[pool]);
    crash_grant *grant = &f->owners[owner].slots[slot];
    ck_assert_msg(!grant->held, "owner %u has slot %u twice", owner, slot);
    *grant = (crash_grant){true, lease->address, lease->port, lease->generation};
    f->counts[pool]++;
    return 0;
}

static int find_record(void *context, const ipalloc_entry *entry) {
    ck_assert_uint_eq(entry->value.size, sizeof(uint64_t));
    memcpy(context, entry->value.data, sizeof(uint64_t));
    return 0;
}

static void look(crash_registry *r, found *f) {
    memset(f, 0, sizeof *f);
    ipalloc_error error;
    ck_assert_status_error(ipalloc_registry_validate(r->registry, &error), IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_list(r->registry, NULL, find_lease, f, &error), IPALLOC_OK,
                           &error);
    for (unsigned owner = 0; owner < CRASH_OWNERS; owner++) {
        char key[32];
        crash_record_key(owner, key);
        int status =
            ipalloc_record_get(r->registry, key, find_record, &f->owners[owner].serial, &error);
        ck_assert(status == IPALLOC_OK || status == IPALLOC_E_NOT_FOUND);
    }
}

static void counts_add_up(crash_registry *r, const found *f) {
    for (unsigned pool = 0; pool < CRASH_POOLS; pool++) {
        ipalloc_pool_stats stats = {.size = sizeof stats};
        ipalloc_error error;
        ck_assert_status_error(ipalloc_pool_get_stats(r->pools[pool], &stats, &error), IPALLOC_OK,
                               &error);
        ck_assert_uint_eq(stats.total.used.low, f->counts[pool]);
        ck_assert_uint_eq(stats.total.used.low + stats.total.free.low, stats.total.size.low);
        if (pool == CRASH_IPV4)
            ck_assert_uint_eq(stats.total.size.low, IPV4_USABLE);
    }
}

/* --- judging ---------------------------------------------------------------------------------- */

static bool same_grant(const crash_grant *a, const crash_grant *b) {
    return a->held == b->held &&
           (!a->held || (ipalloc_addr_compare(&a->address, &b->address) == 0 &&
                         a->port == b->port && a->generation == b->generation));
}

static bool same_owner(const crash_owner *a, const crash_owner *b) {
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++)
        if (!same_grant(&a->slots[slot], &b->slots[slot]))
            return false;
    return a->serial == b->serial;
}

/* Is `now` what `before` is after the operation, whatever addresses it was given? */
static bool happened_as_a_whole(const crash_owner *before, const crash_event *event,
                                const crash_owner *now) {
    crash_owner after = owner_after(before, event);
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
        if ((event->allocate_mask >> slot & 1) == 0)
            continue;
        const crash_grant *given = &now->slots[slot];
        if (!given->held || (event->reserve && ipalloc_addr_compare(&event->grants[slot].address,
                                                                    &given->address) != 0))
            return false;
        after.slots[slot] = *given;
    }
    return same_owner(&after, now);
}

static void show(const char *title, unsigned owner, const crash_owner *o) {
    fprintf(stderr, "%s owner %u: record %llu", title, owner, (unsigned long long)o->serial);
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++)
        if (o->slots[slot].held)
            fprintf(stderr, "; %s %s port %u generation %llu", CRASH_SLOT_TABLE[slot].name,
                    addr_text(&o->slots[slot].address), o->slots[slot].port,
                    (unsigned long long)o->slots[slot].generation);
    fprintf(stderr, "\n");
}

static const crash_event *event_under_way(const parent *p, unsigned owner) {
    unsigned thread = owner / CRASH_OWNERS_PER_THREAD;
    bool its = p->is_under_way[thread] && p->under_way[thread].owner == owner;
    return its ? &p->under_way[thread] : NULL;
}

static void judge(parent *p, const found *f) {
    for (unsigned owner = 0; owner < CRASH_OWNERS; owner++) {
        const crash_owner *before = &p->owners[owner], *now = &f->owners[owner];
        const crash_event *event = event_under_way(p, owner);
        bool unchanged = same_owner(before, now);
        bool whole = event != NULL && happened_as_a_whole(before, event, now);
        if (!unchanged && !whole) {
            show("acknowledged:", owner, before);
            show("found:       ", owner, now);
            ck_abort_msg("owner %u is not as acknowledged after kill %llu (%s under way)", owner,
                         (unsigned long long)p->kills, event != NULL ? "an operation" : "nothing");
        }
        if (event != NULL && whole)
            p->happened++;
        else if (event != NULL)
            p->vanished++;
        p->owners[owner] = *now;
    }
}

/* Asking again resolves what was under way: the same address if it had been given, else one now. */
static void ask_again(parent *p, crash_registry *r, unsigned owner, unsigned slot) {
    const struct crash_slot *which = &CRASH_SLOT_TABLE[slot];
    if (which->pool == CRASH_PORTS)
        return; /* no one-shot for ports */
    crash_grant *mine = &p->owners[owner].slots[slot];
    char name[32];
    crash_owner_name(owner, name);
    ipalloc_grant grant = {.size = sizeof grant};
    ipalloc_error error;
    ck_assert_status_error(
        ipalloc_allocate(r->registry, r->pools[which->pool], name, which->name, &grant, &error),
        IPALLOC_OK, &error);
    ck_assert_msg(grant.existing == mine->held, "asking again: existing is %d, held was %d",
                  grant.existing, mine->held);
    crash_grant given = {true, grant.address, grant.port, grant.generation};
    if (mine->held)
        ck_assert(same_grant(mine, &given));
    *mine = given;
}

static void ask_again_for_what_was_under_way(parent *p, crash_registry *r) {
    for (unsigned thread = 0; thread < CRASH_THREADS; thread++) {
        if (!p->is_under_way[thread])
            continue;
        const crash_event *event = &p->under_way[thread];
        for (unsigned slot = 0; slot < CRASH_SLOTS; slot++)
            if ((event->allocate_mask >> slot & 1) != 0)
                ask_again(p, r, event->owner, slot);
        p->is_under_way[thread] = false;
    }
}

static void open_and_judge(parent *p) {
    crash_registry r;
    crash_registry_open(&r, p->directory);
    static found f;
    look(&r, &f);
    counts_add_up(&r, &f);
    judge(p, &f);
    ask_again_for_what_was_under_way(p, &r);
    crash_registry_close(&r);
}

/* --- the loop --------------------------------------------------------------------------------- */

static int64_t store_bytes(const char *directory) {
    static const char *const SUFFIXES[] = {"", "-wal"};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        char path[4200];
        struct stat info;
        snprintf(path, sizeof path, "%s/registry%s", directory, SUFFIXES[i]);
        sum += stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
    }
    return sum;
}

static void kill_and_wait(parent *p, pid_t child, int pipe_end) {
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    while (hear_one(p, pipe_end)) /* what was written before the kill; then the end */
        ;
    int how = 0;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL,
                  "the child ended by itself (status %#x)", (unsigned)how);
    p->kills++;
}

static void one_cycle(parent *p) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    uint64_t seed = test_random(&p->random);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ends[0]);
        crash_child_run(p->directory, seed, ends[1], p->owners);
    }
    close(ends[1]);
    bool early = test_random(&p->random) % EARLY_KILL_EVERY == 0;
    uint64_t started = now_us();
    if (early) {
        /* Half the time that the last one took: openings differ, and so does this process's sleep.
         */
        uint64_t early_us = p->opening_us > 0 ? p->opening_us / 2 + 1 : EARLY_US_MAX;
        listen_until(p, ends[0], started + test_random(&p->random) % early_us, UINT64_MAX);
    } else {
        listen_until(p, ends[0], started + OPENING_US_MAX, 1);
        p->opening_us = now_us() - started + 1;
        listen_until(p, ends[0], now_us() + WORK_US_MAX, test_random(&p->random) % WORK_EVENTS_MAX);
        listen_until(p, ends[0], now_us() + test_random(&p->random) % LAST_US_MAX, UINT64_MAX);
    }
    uint64_t before = p->acknowledged;
    kill_and_wait(p, child, ends[0]);
    close(ends[0]);
    unsigned under_way = 0;
    for (unsigned thread = 0; thread < CRASH_THREADS; thread++)
        under_way += p->is_under_way[thread];
    p->kills_in_work += under_way > 0;
    p->kills_while_opening += early && under_way == 0 && before == p->acknowledged;
    int64_t bytes = store_bytes(p->directory);
    p->store_bytes_max = bytes > p->store_bytes_max ? bytes : p->store_bytes_max;
    open_and_judge(p);
}

static void say_what_was_hit(const parent *p) {
    fprintf(stderr,
            "%llu kills: %llu in the middle of work, %llu while opening; %llu operations "
            "acknowledged, %llu refused; of those under way %llu had happened, %llu had not; the "
            "store took at most %lld bytes\n",
            (unsigned long long)p->kills, (unsigned long long)p->kills_in_work,
            (unsigned long long)p->kills_while_opening, (unsigned long long)p->acknowledged,
            (unsigned long long)p->refused, (unsigned long long)p->happened,
            (unsigned long long)p->vanished, (long long)p->store_bytes_max);
}

/* A loop whose kills miss proves nothing. */
static void the_kills_hit(const parent *p, uint64_t cycles) {
    ck_assert_uint_ge(p->kills, cycles);
    ck_assert_msg(p->kills_in_work >= cycles / 2, "too few kills hit work");
    ck_assert_uint_ge(p->acknowledged, cycles);
    ck_assert_int_le(p->store_bytes_max, STORE_BYTES_MAX);
    if (cycles < CYCLES_DISK)
        return; /* a short form may miss what is rare */
    ck_assert_uint_gt(p->kills_while_opening, 0);
    ck_assert_uint_gt(p->happened, 0);
    ck_assert_uint_gt(p->vanished, 0);
}

static void kill_again_and_again(uint64_t cycles) {
    static parent p;
    p.random = test_seed();
    p.directory = test_directory_make();
    for (uint64_t i = 0; i < cycles; i++)
        one_cycle(&p);
    bool long_form =
        cycles >= CYCLES_DISK; /* on a bad day no opening was hit: go on until one is */
    for (uint64_t i = 0; long_form && p.kills_while_opening == 0 && i < cycles; i++)
        one_cycle(&p);
    test_directory_remove(p.directory);
    say_what_was_hit(&p);
    the_kills_hit(&p, cycles);
}

START_TEST(killed_again_and_again_in_memory_it_keeps_what_it_acknowledged) {
    if (access("/dev/shm", W_OK) == 0)
        setenv("TEST_DIRECTORY", "/dev/shm", 0);
    kill_again_and_again(test_scaled(CYCLES_MEMORY));
}
END_TEST

START_TEST(killed_again_and_again_on_disk_it_keeps_what_it_acknowledged) {
    kill_again_and_again(test_scaled(CYCLES_DISK));
}
END_TEST

int main(int argc, char **argv) {
    Suite *suite = suite_create("crash");
    TCase *tc = tcase_create("kill");
    tcase_set_timeout(tc, 550);
    if (argc > 1 && strcmp(argv[1], "disk") == 0)
        tcase_add_test(tc, killed_again_and_again_on_disk_it_keeps_what_it_acknowledged);
    else
        tcase_add_test(tc, killed_again_and_again_in_memory_it_keeps_what_it_acknowledged);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
