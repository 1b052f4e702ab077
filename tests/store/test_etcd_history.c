/*
 * test_etcd_history.c: events as a watch tells them, once, twice, in pieces and too late, become
 * changes; and whoever follows these, reading everything anew where told to, holds what the store
 * holds.
 */
#include "counted_memory.h"

#include "store/etcd_history.h"

#include <stdio.h>
#include <string.h>

static hooks plain;
static etcd_history history;

static void begin(uint64_t kept, uint64_t revision) {
    ck_assert_status(hooks_init(&plain, NULL, NULL), IPALLOC_OK);
    history_init(&history, &plain, kept, revision, revision);
}

static void end(void) {
    history_free(&history);
}

static ipalloc_entry event(uint64_t revision, const char *key, const char *value) {
    return (ipalloc_entry){.key = {key, strlen(key)},
                           .value = {value, value == NULL ? 0 : strlen(value)},
                           .revision = revision,
                           .deleted = value == NULL};
}

static int take(uint64_t revision, const char *key, const char *value) {
    ipalloc_entry e = event(revision, key, value);
    return history_take(&history, &e);
}

/* What changes() would show since a revision: "5a=1 5b- 7c=2". */
static const char *told(uint64_t since) {
    static char text[512];
    text[0] = '\0';
    if (since < history.ring.oldest)
        return "expired";
    uint64_t place = history_find(&history, since);
    record *taken[2];
    size_t count;
    bool overtaken;
    while ((count = history_gather(&history, &place, history.complete, taken, 2, &overtaken)) > 0) {
        for (size_t i = 0; i < count; i++) {
            ipalloc_entry e = record_entry(taken[i]);
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%d%.*s%s%.*s", used > 0 ? " " : "",
                     (int)e.revision, (int)e.key.size, (const char *)e.key.data,
                     e.deleted ? "-" : "=", (int)e.value.size, (const char *)e.value.data);
        }
        history_release(&history, taken, count);
    }
    ck_assert(!overtaken);
    return text;
}

START_TEST(a_message_is_told_when_it_is_over) {
    begin(100, 4);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    ck_assert_status(take(5, "b", NULL), IPALLOC_OK);
    ck_assert_str_eq(told(4), "");
    ck_assert_uint_eq(history.complete, 4);
    history_message_over(&history, false);
    ck_assert_uint_eq(history.complete, 5);
    ck_assert_str_eq(told(4), "5a=1 5b-");
    ck_assert_str_eq(told(5), "");
    ck_assert_str_eq(told(3), "expired");
    end();
}
END_TEST

START_TEST(other_keys_move_the_revision_only) {
    begin(100, 4);
    ck_assert_status(take(9, "", "slot"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_uint_eq(history.complete, 9);
    ck_assert_str_eq(told(4), "");
    end();
}
END_TEST

START_TEST(a_message_without_events_tells_nothing) {
    begin(100, 4);
    history_message_over(&history, false);
    ck_assert_uint_eq(history.complete, 4);
    end();
}
END_TEST

START_TEST(a_fragment_is_not_the_whole_revision) {
    begin(100, 4);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    ck_assert_status(take(6, "b", "2"), IPALLOC_OK);
    history_message_over(&history, true);
    ck_assert_uint_eq(history.complete, 5);
    ck_assert_str_eq(told(4), "5a=1");
    ck_assert_status(take(6, "c", "3"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(4), "5a=1 6b=2 6c=3");
    end();
}
END_TEST

/* What came twice, whole or in the middle of a revision, is told once. */
START_TEST(what_comes_twice_is_told_once) {
    begin(100, 4);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_status(take(6, "b", "2"), IPALLOC_OK);
    history_message_over(&history, true);
    ck_assert_status(take(6, "b", "2"), IPALLOC_OK);
    ck_assert_status(take(6, "c", "3"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_status(take(3, "old", "0"), IPALLOC_OK); /* from before we began */
    ck_assert_status(take(5, "", "slot"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(4), "5a=1 6b=2 6c=3");
    ck_assert_uint_eq(history.complete, 6);
    ck_assert_uint_eq(history.gaps, 0);
    end();
}
END_TEST

/* A watch that ends in the middle of a revision has told nothing of it; the next one does. */
START_TEST(a_cut_revision_is_told_again) {
    begin(100, 4);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    ck_assert_status(take(6, "b", "2"), IPALLOC_OK);
    history_message_over(&history, true);
    history_cut(&history);
    ck_assert_uint_eq(history.complete, 5);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    ck_assert_status(take(6, "b", "2"), IPALLOC_OK);
    ck_assert_status(take(6, "c", "3"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(4), "5a=1 6b=2 6c=3");
    end();
}
END_TEST

/* An event that was overtaken by a later revision: those who believed that one must read anew. */
START_TEST(what_comes_late_is_a_gap) {
    begin(100, 4);
    ck_assert_status(take(7, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_status(take(6, "b", "2"), IPALLOC_E_EXPIRED);
    history_gap(&history, 7);
    ck_assert_str_eq(told(7), "expired");
    ck_assert_status(take(8, "c", "3"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(8), "");
    ck_assert_uint_eq(history.gaps, 1);

    ck_assert_status(take(12, "a", "1"), IPALLOC_OK); /* within a message too */
    ck_assert_status(take(11, "b", "2"), IPALLOC_E_EXPIRED);
    end();
}
END_TEST

START_TEST(behind_a_gap_it_goes_on) {
    begin(100, 4);
    ck_assert_status(take(5, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    history_gap(&history, 20);
    ck_assert_uint_eq(history.complete, 20);
    ck_assert_str_eq(told(5), "expired");
    ck_assert_str_eq(told(19), "expired");
    ck_assert_str_eq(told(20), "");
    ck_assert_status(take(20, "x", "0"), IPALLOC_OK); /* read anew by those who go on */
    ck_assert_status(take(21, "b", "2"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(20), "21b=2");
    end();
}
END_TEST

START_TEST(the_oldest_go_by_number) {
    begin(2, 4);
    for (uint64_t revision = 5; revision < 9; revision++)
        ck_assert_status(take(revision, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(5), "expired");
    ck_assert_str_eq(told(6), "7a=1 8a=1");
    end();
}
END_TEST

START_TEST(the_oldest_go_by_bytes) {
    begin(100, 4);
    static char large[IPALLOC_VALUE_MAX];
    uint64_t revision = 4;
    for (size_t told_bytes = 0; told_bytes < 3 * (size_t)HISTORY_BYTES_MAX;
         told_bytes += sizeof large) {
        ipalloc_entry e = {.key = {"k", 1}, .value = {large, sizeof large}};
        e.revision = ++revision;
        ck_assert_status(history_take(&history, &e), IPALLOC_OK);
        history_message_over(&history, false);
        ck_assert_uint_le(history.ring.bytes, HISTORY_BYTES_MAX);
    }
    ck_assert_uint_eq(history.ring.count, HISTORY_BYTES_MAX / (sizeof large + 1));
    ck_assert_uint_eq(history.ring.oldest, revision - history.ring.count);
    end();
}
END_TEST

/* A revision that is larger than all that is kept: known to be complete, but not what it was. */
START_TEST(a_revision_may_be_larger_than_the_ring) {
    begin(2, 4);
    static const char *const KEYS[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        ck_assert_status(take(5, KEYS[i], "1"), IPALLOC_OK);
    ck_assert_str_eq(told(4), "expired");
    history_cut(&history);
    for (int i = 0; i < 3; i++)
        ck_assert_status(take(5, KEYS[i], "1"), IPALLOC_OK);
    history_message_over(&history, false);
    ck_assert_str_eq(told(4), "expired");
    ck_assert_str_eq(told(5), "");
    end();
}
END_TEST

/* Readers hold what they visit while the ring forgets it. */
START_TEST(readers_are_overtaken_but_never_misled) {
    begin(4, 0);
    for (uint64_t revision = 1; revision <= 4; revision++)
        ck_assert_status(take(revision, "a", "1"), IPALLOC_OK);
    history_message_over(&history, false);
    record *taken[2];
    bool overtaken;
    uint64_t place = history_find(&history, 0);
    ck_assert_uint_eq(history_gather(&history, &place, 4, taken, 2, &overtaken), 2);
    for (uint64_t revision = 5; revision <= 9; revision++)
        ck_assert_status(take(revision, "b", "2"), IPALLOC_OK);
    ck_assert_uint_eq(record_entry(taken[1]).revision, 2);
    history_release(&history, taken, 2);
    ck_assert_uint_eq(history_gather(&history, &place, 4, taken, 2, &overtaken), 0);
    ck_assert(overtaken);
    end();
}
END_TEST

/* Without memory nothing is told twice or left out; those who were up to date stay so. */
START_TEST(every_allocation_fails_once) {
    for (long fail_once = 1;; fail_once++) {
        counted_memory memory = {.fail_once = fail_once};
        ipalloc_hooks user = counted_hooks(&memory);
        ck_assert_status(hooks_init(&plain, &user, NULL), IPALLOC_OK);
        history_init(&history, &plain, 1000, 8, 10);
        ck_assert_str_eq(told(8), ""); /* there was nothing in between */
        uint64_t revision = 11;
        bool failed = false;
        while (revision < 120) {
            uint64_t before = history.complete;
            int status = take(revision, "a", "1");
            if (status == IPALLOC_E_NOMEM) {
                failed = true;
                ck_assert_uint_eq(history.complete, before);
                ck_assert_str_eq(told(history.complete), "");
                continue; /* it is told again */
            }
            ck_assert_status(status, IPALLOC_OK);
            history_message_over(&history, false);
            revision++;
        }
        ck_assert_uint_eq(history.complete, 119);
        ck_assert_uint_eq(history.ring.count, 119 - (failed ? history.ring.oldest : 10));
        history_free(&history);
        ck_assert_int_eq(memory.live, 0);
        if (!failed)
            break;
    }
}
END_TEST

/* --- a watch that does everything it can ---------------------------------------------------------
 */

enum { KEYS = 12, EVENTS_MAX = 4, REVISIONS_MAX = 4000 };

/* The store: what each revision did, and what there is now. */
static struct {
    int count;
    int keys[EVENTS_MAX]; /* -1: a slot */
    bool deleted[EVENTS_MAX];
} world[REVISIONS_MAX + 1];
static uint64_t head;
static uint64_t now_at[KEYS]; /* the revision that wrote the key; 0: absent */
static uint64_t compacted;

/* The one who follows. */
static uint64_t mirror[KEYS];
static uint64_t mirror_revision;
static int read_anew;

static uint64_t seed;

static uint64_t below(uint64_t bound) {
    return test_random(&seed) % bound;
}

static void write_one(void) {
    head++;
    world[head].count = 1 + (int)below(EVENTS_MAX);
    int first = (int)below(KEYS);
    for (int i = 0; i < world[head].count; i++) {
        int key = (first + i) % KEYS;
        if (below(4) == 0) {
            world[head].keys[i] = -1;
            continue;
        }
        world[head].keys[i] = key;
        world[head].deleted[i] = now_at[key] != 0 && below(2) == 0;
        now_at[key] = world[head].deleted[i] ? 0 : head;
    }
}

static int tell(uint64_t revision, int i) {
    static const char *const NAMES[KEYS] = {"a", "b", "c", "d", "e", "f",
                                            "g", "h", "i", "j", "k", "l"};
    int key = world[revision].keys[i];
    return take(revision, key < 0 ? "" : NAMES[key], world[revision].deleted[i] ? NULL : "v");
}

static void read_all_anew(void) {
    memcpy(mirror, now_at, sizeof mirror);
    mirror_revision = head;
    read_anew++;
}

static void follow(void) {
    if (mirror_revision < history.ring.oldest) {
        read_all_anew();
        return;
    }
    uint64_t place = history_find(&history, mirror_revision), to = history.complete;
    record *taken[3];
    bool overtaken;
    size_t count;
    while ((count = history_gather(&history, &place, to, taken, 3, &overtaken)) > 0) {
        for (size_t i = 0; i < count; i++) {
            ipalloc_entry e = record_entry(taken[i]);
            ck_assert_uint_gt(e.revision, mirror_revision);
            mirror[((const char *)e.key.data)[0] - 'a'] = e.deleted ? 0 : e.revision;
        }
        history_release(&history, taken, count);
    }
    if (to > mirror_revision)
        mirror_revision = to;
}

/* Tell a revision from event `begin` on; false: the watch is over, because of a gap. */
static bool tell_revision(uint64_t revision, int begin_at, int end_at) {
    for (int i = begin_at; i < end_at; i++)
        if (tell(revision, i) == IPALLOC_E_EXPIRED) {
            history_gap(&history, head);
            return false;
        }
    return true;
}

/* One watch, from the last complete revision on, until it is over for some reason. With `calm`
 * nothing happens to it. */
static void watch_once(bool calm) {
    uint64_t next = history.complete;
    if (next < compacted) {
        history_gap(&history, head);
        return;
    }
    while (next <= head) {
        uint64_t from = next;
        next += calm ? 1 : 1 + below(3);
        if (next > head + 1)
            next = head + 1;
        uint64_t swapped = !calm && below(12) == 0 && next <= head ? next : 0;
        if (swapped != 0) { /* comes before its time */
            if (!tell_revision(swapped, 0, world[swapped].count))
                return;
            if (below(2) == 0)
                history_message_over(&history, false);
            follow();
        }
        for (uint64_t revision = from; revision < next; revision++) {
            int cut_at = !calm && below(3) == 0 ? (int)below(EVENTS_MAX) : 0;
            if (cut_at > world[revision].count)
                cut_at = 0;
            if (!tell_revision(revision, 0, cut_at))
                return;
            if (cut_at > 0) {
                history_message_over(&history, true);
                follow();
            }
            /* (One that comes too early and nothing behind it could not be told from a good watch.)
             */
            if (!calm && swapped == 0 && below(20) == 0) {
                history_cut(&history);
                return;
            }
            int again = cut_at > 0 && below(3) == 0 ? 0 : cut_at;
            if (!tell_revision(revision, again, world[revision].count))
                return;
        }
        history_message_over(&history, false);
        if (!calm && below(4) == 0)
            follow();
        if (!calm && below(6) == 0 && from > 3) { /* all of it once more */
            uint64_t old = from - below(3);
            if (old > compacted && !tell_revision(old, 0, world[old].count))
                return;
            history_message_over(&history, false);
        }
        if (!calm && below(5) == 0 && head + 1 < REVISIONS_MAX)
            write_one();
    }
}

START_TEST(whoever_follows_holds_what_the_store_holds) {
    seed = test_seed() + (uint64_t)_i;
    memset(now_at, 0, sizeof now_at);
    memset(mirror, 0, sizeof mirror);
    head = compacted = mirror_revision = 0;
    world[0].count = 0;
    read_anew = 0;
    begin(below(2) == 0 ? 1000 : 5 + below(20), 0);
    while (head + 20 < REVISIONS_MAX) {
        for (uint64_t count = below(20); count > 0; count--)
            write_one();
        if (below(40) == 0)
            compacted = head - below(head < 5 ? head + 1 : 5);
        watch_once(false);
        if (below(3) == 0)
            follow();
    }
    write_one(); /* whoever read anew at a head that was in doubt goes on behind it */
    watch_once(true);
    watch_once(true);
    follow();
    ck_assert_uint_eq(history.complete, head);
    for (int key = 0; key < KEYS; key++)
        ck_assert_uint_eq(mirror[key], now_at[key]);
    ck_assert_int_gt(read_anew, 0);
    end();
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("etcd history");
    TCase *tests = tcase_create("events");
    tcase_add_test(tests, a_message_is_told_when_it_is_over);
    tcase_add_test(tests, other_keys_move_the_revision_only);
    tcase_add_test(tests, a_message_without_events_tells_nothing);
    tcase_add_test(tests, a_fragment_is_not_the_whole_revision);
    tcase_add_test(tests, what_comes_twice_is_told_once);
    tcase_add_test(tests, a_cut_revision_is_told_again);
    tcase_add_test(tests, what_comes_late_is_a_gap);
    tcase_add_test(tests, behind_a_gap_it_goes_on);
    tcase_add_test(tests, the_oldest_go_by_number);
    tcase_add_test(tests, the_oldest_go_by_bytes);
    tcase_add_test(tests, a_revision_may_be_larger_than_the_ring);
    tcase_add_test(tests, readers_are_overtaken_but_never_misled);
    tcase_add_test(tests, every_allocation_fails_once);
    tcase_add_loop_test(tests, whoever_follows_holds_what_the_store_holds, 0, 60);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void) {
    return test_main(make_suite());
}
