/*
 * test_etcd_batches.c: batches whose answers are lost, come late, or are damaged; on an etcd in
 * memory, so that each way can be taken on purpose.
 */
#include "../store/store_support.h"
#include "counted_memory.h"
#include "mini_etcd.h"

#include "store/etcd_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ipalloc_store *store;
static etcd_store *inner; /* what is behind `store` */

/* The store's own struct, for what no call shows. */
static ipalloc_store *open_both(etcd_store **out) {
    static hooks shared;
    static bool made;
    ipalloc_store_methods methods;
    if (!made)
        ck_assert_status(hooks_init(&shared, NULL, NULL), IPALLOC_OK);
    made = true;
    ipalloc_store_options options = {.size = sizeof options, .changes_kept = 100, .first_epoch = 1};
    void *self = NULL;
    ipalloc_error error;
    store_opening opening = {"http://mini/p", &options, &shared, &SYSTEM_CALLS, &methods, &self};
    ck_assert_status_error(etcd_store_open(&opening, &error), IPALLOC_OK, &error);
    ipalloc_store *handle;
    ck_assert_status(ipalloc_store_create(&methods, self, NULL, &handle, NULL), IPALLOC_OK);
    *out = self;
    return handle;
}

static void set_up(void) {
    mini_reset();
    store = open_both(&inner);
    revision_zero = 0;
    revision_zero = info_of(store).revision;
}

static void tear_down(void) {
    mini.fault = NULL;
    ipalloc_store_close(store);
    mini_reset();
}

/* --- one fault at a time -------------------------------------------------------------------------
 */

typedef struct script {
    const enum mini_fault *faults; /* of the calls to come; none after them */
    size_t count;
} script;

static enum mini_fault play(void *context, const char *method) {
    (void)method;
    script *s = context;
    if (s->count == 0)
        return MINI_NONE;
    s->count--;
    return *s->faults++;
}

static ipalloc_batch commit_with(const enum mini_fault *faults, size_t count, const ipalloc_op *ops,
                                 size_t op_count) {
    script s = {faults, count};
    mini.fault = play;
    mini.context = &s;
    ipalloc_batch batch = {.ops = ops, .op_count = op_count};
    ipalloc_store_commit(store, &batch, 1, NULL);
    mini.fault = NULL;
    return batch;
}

#define FAULTS(...)                         \
    (const enum mini_fault[]){__VA_ARGS__}, \
        sizeof((const enum mini_fault[]){__VA_ARGS__}) / sizeof(enum mini_fault)

static bool settle(uint64_t ticket, uint64_t *revision) {
    bool happened;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_settle(store, ticket, &happened, revision, &error),
                           IPALLOC_OK, &error);
    return happened;
}

static int64_t versions(const char *key) {
    char full[128];
    snprintf(full, sizeof full, "/p/data/%s", key);
    const mini_key *k = mini_find(full);
    return k != NULL ? k->version : 0;
}

START_TEST(a_batch_that_was_sent_twice_happens_once) {
    ipalloc_op op = op_put("a/", "1");
    ipalloc_batch batch = commit_with(FAULTS(MINI_SENT_TWICE), &op, 1);
    ck_assert_status(batch.status, IPALLOC_OK);
    ck_assert_uint_eq(batch.revision - revision_zero, 1);
    ck_assert_int_eq(versions("a/"), 1);
    ck_assert_uint_eq(put(store, "a/", "2"), 2);
}
END_TEST

/* With its own condition: the second sending finds the key there, which the first one made. */
START_TEST(a_batch_that_was_sent_twice_is_in_no_conflict_with_itself) {
    ipalloc_op op = if_absent(op_put("a/", "1"));
    ck_assert_status(commit_with(FAULTS(MINI_SENT_TWICE), &op, 1).status, IPALLOC_OK);
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

START_TEST(a_first_sending_that_comes_after_the_second_does_nothing) {
    uint64_t random = test_seed();
    ipalloc_op op = op_put("a/", "1");
    ck_assert_status(commit_with(FAULTS(MINI_OVERTAKEN), &op, 1).status, IPALLOC_OK);
    mini_deliver(&random);
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

/* By another server: the batches of this one would write the slot that the test is about. */
static void erase_elsewhere(const char *key) {
    etcd_store *other_inner;
    ipalloc_store *other = open_both(&other_inner);
    erase(other, key);
    ipalloc_store_close(other);
}

/* The second sending is refused by its condition, which then comes to hold, and then comes the
 * first one: it must find that it is over. */
START_TEST(a_conflict_is_final_though_a_sending_is_still_on_its_way) {
    uint64_t random = test_seed();
    put(store, "a/", "1");
    ipalloc_op op = if_absent(op_put("a/", "2"));
    ipalloc_batch batch = commit_with(FAULTS(MINI_OVERTAKEN), &op, 1);
    ck_assert_status(batch.status, IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(batch.failed_op, 0);
    erase_elsewhere("a/");
    mini_deliver(&random);
    ck_assert_str_eq(value_of(store, "a/"), "absent");
}
END_TEST

START_TEST(a_lost_answer_is_unknown_and_settling_tells_that_it_happened) {
    ipalloc_op op = op_put("a/", "1");
    ipalloc_batch batch = commit_with(FAULTS(MINI_ANSWER_LOST), &op, 1);
    uint64_t revision;
    ck_assert_status(batch.status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_uint_ne(batch.ticket, 0);
    put(store, "b/", "2"); /* takes another slot */
    ck_assert(settle(batch.ticket, &revision));
    ck_assert_uint_eq(revision - revision_zero, 1);
    bool happened;
    ck_assert_status(ipalloc_store_settle(store, batch.ticket, &happened, &revision, NULL),
                     IPALLOC_E_INVALID); /* spent */
}
END_TEST

START_TEST(settling_ends_what_has_not_happened) {
    uint64_t random = test_seed(), revision;
    ipalloc_op op = op_put("a/", "1");
    ipalloc_batch batch = commit_with(FAULTS(MINI_LATE), &op, 1);
    ck_assert_status(batch.status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert(!settle(batch.ticket, &revision));
    mini_deliver(&random);
    ck_assert_str_eq(value_of(store, "a/"), "absent");
    put(store, "a/", "2"); /* in the same slot */
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

START_TEST(settling_finds_what_came_just_before) {
    uint64_t random = test_seed(), revision;
    ipalloc_op op = op_put("a/", "1");
    ipalloc_batch batch = commit_with(FAULTS(MINI_LATE), &op, 1);
    mini_deliver(&random);
    ck_assert(settle(batch.ticket, &revision));
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

/* The settling's own answer is lost, in every way; asked again it says the same. */
START_TEST(settling_can_be_repeated_until_it_is_answered) {
    static const enum mini_fault faults[] = {MINI_ANSWER_LOST, MINI_LATE, MINI_REFUSED,
                                             MINI_GARBAGE};
    uint64_t random = test_seed(), revision;
    bool happened;
    ipalloc_op op = op_put("a/", "1");
    enum mini_fault first = _i < 4 ? MINI_LATE : MINI_ANSWER_LOST;
    ipalloc_batch batch = commit_with(&first, 1, &op, 1);
    script s = {&faults[_i % 4], 1};
    mini.fault = play;
    mini.context = &s;
    ck_assert_int_ne(ipalloc_store_settle(store, batch.ticket, &happened, &revision, NULL),
                     IPALLOC_OK);
    mini.fault = NULL;
    ck_assert(settle(batch.ticket, &revision) == (_i >= 4));
    mini_deliver(&random);
    ck_assert_int_eq(versions("a/"), _i >= 4);
}
END_TEST

/* What was under way is unknown; what comes then is not sent at all while nobody answers. */
START_TEST(behind_a_lost_answer_nothing_is_sent_before_there_is_an_answer_again) {
    uint64_t random = test_seed(), revision;
    ipalloc_op op = op_put("a/", "1"), next = op_put("b/", "2");
    ipalloc_batch unknown = commit_with(FAULTS(MINI_ANSWER_LOST), &op, 1);
    ck_assert_status(unknown.status, IPALLOC_E_UNKNOWN_OUTCOME);
    for (int i = 0; i < 2; i++)
        ck_assert_status(commit_with(FAULTS(MINI_LATE), &next, 1).status, IPALLOC_E_UNAVAILABLE);
    mini_deliver(&random);
    ck_assert_ptr_null(mini_find("/p/data/b/"));
    ck_assert_status(commit_with(FAULTS(MINI_NONE, MINI_ANSWER_LOST), &next, 1).status,
                     IPALLOC_E_UNKNOWN_OUTCOME); /* it was there, and is gone again */
    ck_assert_int_eq(versions("b/"), 1);
    ck_assert_status(commit_with(FAULTS(MINI_NONE), &next, 1).status, IPALLOC_OK);
    ck_assert_int_eq(versions("b/"), 2);
    ck_assert(settle(unknown.ticket, &revision));
}
END_TEST

START_TEST(a_damaged_answer_is_settled) {
    ipalloc_op op = op_put("a/", "1");
    ck_assert_status(commit_with(FAULTS(MINI_GARBAGE), &op, 1).status, IPALLOC_OK);
    ck_assert_int_eq(versions("a/"), 1);
    ipalloc_op again = if_absent(op_put("a/", "2"));
    ck_assert_status(commit_with(FAULTS(MINI_GARBAGE), &again, 1).status, IPALLOC_E_CORRUPT);
    ipalloc_batch batch = commit_with(FAULTS(MINI_GARBAGE, MINI_GARBAGE), &op, 1);
    ck_assert_status(batch.status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_int_eq(versions("a/"), 2);
}
END_TEST

/* A full etcd refuses what it may have applied, but nothing comes later: a look tells. */
START_TEST(a_refusal_that_does_not_say_what_happened_is_looked_into) {
    ipalloc_op op = op_put("a/", "1");
    ck_assert_status(commit_with(FAULTS(MINI_FULL), &op, 1).status, IPALLOC_E_IO);
    ck_assert_int_eq(versions("a/"), 0);
    ck_assert_status(commit_with(FAULTS(MINI_FULL_BUT_DONE), &op, 1).status, IPALLOC_OK);
    ck_assert_int_eq(versions("a/"), 1);
    ck_assert_status(commit_with(FAULTS(MINI_FULL, MINI_LATE), &op, 1).status,
                     IPALLOC_E_UNKNOWN_OUTCOME);
}
END_TEST

START_TEST(a_slot_that_was_swept_is_replaced) {
    put(store, "a/", "1");
    char key[128];
    snprintf(key, sizeof key, "/p/store/slot/%016llx/0", (unsigned long long)inner->session);
    ck_assert_ptr_nonnull(mini_find(key));
    mini_delete(key);
    ipalloc_op op = op_put("a/", "2");
    ck_assert_status(commit_with(FAULTS(MINI_NONE), &op, 1).status, IPALLOC_OK);
    ck_assert_ptr_null(mini_find(key));
    mini_put(key, "of somebody else"); /* and one that is written by others */
    snprintf(key, sizeof key, "/p/store/slot/%016llx/1", (unsigned long long)inner->session);
    mini_put(key, "of somebody else");
    ck_assert_status(commit_with(FAULTS(MINI_NONE), &op, 1).status, IPALLOC_OK);
    ck_assert_int_eq(versions("a/"), 3);
}
END_TEST

/* Nobody can tell, but it can no longer happen: reading shows how it ended. */
START_TEST(a_slot_that_was_swept_under_a_repeated_batch_leaves_no_ticket) {
    uint64_t random = test_seed();
    put(store, "a/", "1");
    char key[128];
    snprintf(key, sizeof key, "/p/store/slot/%016llx/0", (unsigned long long)inner->session);
    mini_delete(key);
    ipalloc_op op = op_put("a/", "2");
    ipalloc_batch batch = commit_with(FAULTS(MINI_OVERTAKEN), &op, 1);
    ck_assert_status(batch.status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_uint_eq(batch.ticket, 0);
    mini_deliver(&random);
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

/* --- closing -------------------------------------------------------------------------------------
 */

START_TEST(closing_removes_the_slots_and_the_head_does_not_go_back) {
    put(store, "a/", "1");
    put(store, "a/", "2");
    uint64_t before = info_of(store).revision;
    etcd_store *other_inner;
    ipalloc_store *other = open_both(&other_inner);
    ck_assert_uint_eq(mini_count("/p/store/slot/"), 1);
    ipalloc_store_close(store);
    ck_assert_uint_eq(mini_count("/p/store/slot/"), 1); /* "last" */
    ck_assert_ptr_nonnull(mini_find("/p/store/slot/last"));
    ck_assert_uint_ge(info_of(other).revision, before);
    store = other;
}
END_TEST

/* With the key gone a sending from before its first write would find things as it expects them. */
START_TEST(closing_leaves_a_slot_that_a_sending_may_still_meet) {
    uint64_t random = test_seed();
    ipalloc_op op = op_put("a/", "1");
    ck_assert_status(commit_with(FAULTS(MINI_OVERTAKEN), &op, 1).status, IPALLOC_OK);
    ipalloc_store_close(store);
    mini_deliver(&random);
    ck_assert_int_eq(versions("a/"), 1);
    store = open_both(&inner);
}
END_TEST

/* --- the head ------------------------------------------------------------------------------------
 */

typedef struct asker {
    ipalloc_store *other; /* commits while the first question is under way */
    pthread_t thread;
    uint64_t committed, answer;
} asker;

static void *ask_too(void *context) {
    ((asker *)context)->answer = info_of(store).revision;
    return NULL;
}

/* etcd has answered the first question, but nobody has it yet: now something is committed, and
 * only then another thread asks. */
static void commit_and_ask(void *context) {
    asker *a = context;
    mini.answered = NULL;
    a->committed = put(a->other, "a/", "1");
    ck_assert_int_eq(pthread_create(&a->thread, NULL, ask_too, a), 0);
    usleep(100000); /* so that it waits for the question that is out, if it ever would */
}

START_TEST(who_asks_for_the_head_gets_no_answer_to_an_older_question) {
    etcd_store *other_inner;
    asker a = {.other = open_both(&other_inner)};
    mini.answered = commit_and_ask;
    mini.context = &a;
    uint64_t before = info_of(store).revision;
    pthread_join(a.thread, NULL);
    ck_assert_uint_lt(before, a.committed);
    ck_assert_uint_ge(a.answer, a.committed);
    ck_assert_uint_eq(inner->head.asked, 3); /* one of them by set_up */
    ipalloc_store_close(a.other);
}
END_TEST

/* --- another cluster, another form ---------------------------------------------------------------
 */

static void says(const ipalloc_error *error, const char *words) {
    ck_assert_msg(strstr(error->message, words) != NULL, "\"%s\" lacks \"%s\"", error->message,
                  words);
}

static int commit_status(ipalloc_op op, ipalloc_error *error) {
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    int status = ipalloc_store_commit(store, &batch, 1, error);
    ck_assert(status == IPALLOC_OK || batch.status == status);
    return batch.status;
}

START_TEST(a_revision_that_goes_back_stops_all_writing) {
    ipalloc_error error = {0};
    put(store, "a/", "1");
    mini.revision -= 1;
    ipalloc_store_info info = {.size = sizeof info};
    ck_assert_status(ipalloc_store_get_info(store, &info, &error), IPALLOC_E_MISMATCH);
    says(&error, "went back");
    mini.revision += 10;
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_MISMATCH);
    says(&error, "went back");
    ck_assert_int_eq(versions("a/"), 1);
}
END_TEST

START_TEST(another_cluster_stops_all_writing) {
    ipalloc_error error = {0};
    put(store, "a/", "1");
    mini.cluster_id++;
    ck_assert_status(ipalloc_store_get(store, text_bytes("a/"), write_down, &(walk){0}, &error),
                     IPALLOC_E_MISMATCH);
    says(&error, "another etcd cluster");
    mini.cluster_id--;
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_MISMATCH);
    says(&error, "another etcd cluster");
}
END_TEST

/* It may have been committed there: nobody says that it did not. */
START_TEST(a_commit_that_another_cluster_answers_is_unknown) {
    ipalloc_error error = {0};
    put(store, "a/", "1");
    mini.cluster_id++;
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_UNKNOWN_OUTCOME);
}
END_TEST

START_TEST(a_restored_cluster_is_written_to_only_when_it_is_accepted) {
    ipalloc_error error = {0};
    put(store, "a/", "1");
    ipalloc_store_close(store);
    mini.cluster_id = 0xc2;
    store = open_both(&inner);
    etcd_store *other_inner;
    ipalloc_store *other = open_both(&other_inner);
    ck_assert(info_of(store).restored);
    ck_assert_uint_eq(info_of(store).epoch, 1);
    ck_assert_str_eq(value_of(store, "a/"), "1@1");
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_MISMATCH);
    says(&error, "accepted");
    ck_assert_status(ipalloc_store_accept(store, &error), IPALLOC_OK);
    ck_assert(!info_of(store).restored);
    ck_assert_uint_eq(info_of(store).epoch, 2);
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_OK);
    /* The other one, which did not accept itself, follows. */
    ck_assert(!info_of(other).restored);
    ck_assert_uint_eq(info_of(other).epoch, 2);
    ck_assert_status(ipalloc_store_accept(other, &error), IPALLOC_OK);
    ck_assert_uint_eq(info_of(store).epoch, 2);
    ipalloc_store_close(other);
}
END_TEST

static void accept_meanwhile(void *context) {
    (void)context;
    mini.answered = NULL;
    ck_assert_status(ipalloc_store_accept(store, NULL), IPALLOC_OK);
}

START_TEST(an_answer_from_before_the_acceptance_stops_nothing) {
    ipalloc_error error = {0};
    ipalloc_store_close(store);
    mini.cluster_id = 0xc2;
    store = open_both(&inner);
    mini.answered = accept_meanwhile;
    ipalloc_store_info info = {.size = sizeof info};
    ck_assert_status_error(ipalloc_store_get_info(store, &info, &error), IPALLOC_OK, &error);
    ck_assert_uint_eq(info_of(store).epoch, 2);
    ck_assert_status(commit_status(op_put("a/", "1"), &error), IPALLOC_OK);
}
END_TEST

/* A server from before the restoration does not write into what was accepted since. */
START_TEST(a_form_that_was_written_since_stops_all_writing) {
    ipalloc_error error = {0};
    put(store, "a/", "1");
    mini_put("/p/store/form", "form=1\nepoch=2\ncluster=00000000000000c1\n");
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_MISMATCH);
    says(&error, "open it again");
    ck_assert_int_eq(versions("a/"), 1);
    ck_assert_status(commit_status(if_absent(op_put("b/", "2")), &error), IPALLOC_E_MISMATCH);
}
END_TEST

START_TEST(a_store_that_was_removed_is_not_written_to) {
    ipalloc_error error = {0};
    mini_delete("/p/store/form");
    ck_assert_status(commit_status(op_put("a/", "2"), &error), IPALLOC_E_MISMATCH);
    ipalloc_store_info info = {.size = sizeof info};
    ck_assert_status(ipalloc_store_get_info(store, &info, &error), IPALLOC_E_MISMATCH);
    ck_assert_uint_eq(mini_count("/p/data/"), 0);
}
END_TEST

/* --- large batches -------------------------------------------------------------------------------
 */

enum { LARGE = 400 };
static char large_keys[LARGE][16];
static ipalloc_op large_ops[LARGE];

static void make_large(void) {
    for (int i = 0; i < LARGE; i++) {
        snprintf(large_keys[i], sizeof large_keys[i], "k%03d/", i);
        large_ops[i] = if_absent(op_put(large_keys[i], "v"));
    }
}

START_TEST(a_large_batch_names_its_failed_condition_and_leaves_nothing) {
    static const int failing[] = {0, 63, 64, 200, LARGE - 1};
    make_large();
    int place = failing[_i];
    uint64_t before = put(store, large_keys[place], "old");
    ipalloc_batch batch = commit(store, large_ops, LARGE);
    ck_assert_status(batch.status, IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(batch.failed_op, place);
    ck_assert_uint_eq(info_of(store).revision, before);
    ck_assert_uint_eq(mini_count("/p/data/"), 1);
    erase(store, large_keys[place]);
    must_commit(store, large_ops, LARGE);
    ck_assert_uint_eq(mini_count("/p/data/"), LARGE);
}
END_TEST

START_TEST(a_large_batch_that_was_refused_and_may_still_arrive_does_not) {
    uint64_t random = test_seed();
    make_large();
    put(store, large_keys[70], "old");
    ipalloc_batch batch = commit_with(FAULTS(MINI_OVERTAKEN), large_ops, LARGE);
    ck_assert_status(batch.status, IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(batch.failed_op, 70);
    erase_elsewhere(large_keys[70]);
    mini_deliver(&random);
    ck_assert_uint_eq(mini_count("/p/data/"), 0);
}
END_TEST

START_TEST(a_limit_that_was_lowered_is_named) {
    ipalloc_error error = {0};
    make_large();
    mini.ops_max = 32;
    ipalloc_batch batch = {.ops = large_ops, .op_count = 40};
    ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_INVALID);
    says(&error, "--max-txn-ops");
    ck_assert_uint_eq(mini_count("/p/data/"), 0);
}
END_TEST

/* --- no memory -----------------------------------------------------------------------------------
 */

/* A batch, by a store of which some allocations fail; the memory is there again for settling. */
static void commit_and_judge(ipalloc_store_methods *methods, void *self, counted_memory *memory) {
    ipalloc_op ops[] = {if_absent(op_put("m/", "1")), op_put("n/", "2")};
    ipalloc_batch batch = {.ops = ops, .op_count = 2};
    methods->commit(self, &batch, 1, NULL);
    memory->fail_once = memory->fail_from = 0;
    bool happened = batch.status == IPALLOC_OK;
    uint64_t revision = batch.revision;
    ck_assert(happened || batch.status == IPALLOC_E_NOMEM ||
              batch.status == IPALLOC_E_UNKNOWN_OUTCOME);
    if (batch.status == IPALLOC_E_UNKNOWN_OUTCOME)
        ck_assert_status(methods->settle(self, batch.ticket, &happened, &revision, NULL),
                         IPALLOC_OK);
    const mini_key *k = mini_find("/p/data/m/");
    ck_assert((k != NULL) == happened && versions("n/") == happened);
    if (happened)
        ck_assert_uint_eq((uint64_t)k->modified, revision);
}

static int read_all(ipalloc_store_methods *methods, void *self) {
    walk w = {0};
    ipalloc_store_info info = {.size = sizeof info};
    int status = methods->get(self, text_bytes("a/"), write_down, &w, NULL);
    if (status == IPALLOC_OK)
        status =
            methods->scan(self, text_bytes("a"), (ipalloc_bytes){0}, 0, write_down, &w, NULL, NULL);
    return status == IPALLOC_OK ? methods->info(self, &info, NULL) : status;
}

/* Each allocation in turn fails, alone or with all that follow it. */
START_TEST(without_memory_nothing_is_half_done) {
    bool reached_the_end = false;
    put(store, "a/", "1");
    for (long n = 1; !reached_the_end; n++) {
        counted_memory memory = {.fail_once = _i == 0 ? n : 0, .fail_from = _i == 1 ? n : 0};
        ipalloc_hooks given = counted_hooks(&memory);
        hooks h;
        ck_assert_status(hooks_init(&h, &given, NULL), IPALLOC_OK);
        ipalloc_store_options options = {
            .size = sizeof options, .changes_kept = 100, .first_epoch = 1};
        ipalloc_store_methods methods;
        void *self = NULL;
        store_opening opening = {"http://mini/p", &options, &h, &SYSTEM_CALLS, &methods, &self};
        int status = etcd_store_open(&opening, NULL);
        ck_assert(status == IPALLOC_OK || status == IPALLOC_E_NOMEM);
        if (status == IPALLOC_OK) {
            status = read_all(&methods, self);
            ck_assert(status == IPALLOC_OK || status == IPALLOC_E_NOMEM);
            long before = memory.calls;
            commit_and_judge(&methods, self, &memory);
            reached_the_end = memory.calls > before && n > memory.calls;
            methods.close(self);
        }
        ck_assert_int_eq(memory.live, 0);
        mini_delete("/p/data/m/");
        mini_delete("/p/data/n/");
        ck_assert_int_lt(n, 1000);
    }
}
END_TEST

/* --- everything at random ------------------------------------------------------------------------
 */

/* With a hundred batches one run in forty lacked one of the ways in which they end. */
enum { SESSIONS = 3, SHARED = 12, BATCHES_MIN = 500, BATCHES_MAX = 4000 };

typedef struct outcome {
    int status;
    uint64_t revision, ticket;
    int session;
    bool settled, happened;
} outcome;

static outcome outcomes[BATCHES_MAX];
static size_t outcome_count;
static uint64_t dice;

static enum mini_fault draw(void *context, const char *method) {
    (void)context;
    if (strcmp(method, "/etcdserverpb.KV/Txn") != 0 || test_random(&dice) % 3 != 0)
        return MINI_NONE;
    return (enum mini_fault)(test_random(&dice) % MINI_FAULTS);
}

/* What a shared key has right now: the mini's own truth, so that some conditions hold. */
static ipalloc_op shared_op(char *key, size_t size) {
    snprintf(key, size, "shared/%llu/", (unsigned long long)(test_random(&dice) % SHARED));
    char full[64];
    snprintf(full, sizeof full, "/p/data/%s", key);
    const mini_key *k = mini_find(full);
    ipalloc_op op = test_random(&dice) % 4 == 0 ? op_delete(key) : op_put(key, "v");
    if (test_random(&dice) % 3 == 0)
        return op;
    bool wrong = test_random(&dice) % 4 == 0;
    op.condition = (k == NULL) != wrong ? IPALLOC_IF_ABSENT : IPALLOC_IF_REVISION;
    op.revision = k != NULL && !wrong ? (uint64_t)k->modified : 1;
    return op;
}

static void commit_at_random(ipalloc_store *by, int session) {
    char once[24], shared[24], many[160][24];
    ipalloc_op ops[162];
    size_t count = 0;
    snprintf(once, sizeof once, "once/%04zu/", outcome_count);
    ops[count++] = op_put(once, "v");
    ops[count++] = shared_op(shared, sizeof shared);
    if (test_random(&dice) % 8 == 0) /* large enough to be nested */
        for (int i = 0; i < 160; i++) {
            snprintf(many[i], sizeof many[i], "never/%03d/", i);
            ops[count++] = if_absent(op_check(many[i]));
        }
    ipalloc_batch batch = {.ops = ops, .op_count = count};
    ipalloc_store_commit(by, &batch, 1, NULL);
    if (batch.status == IPALLOC_E_CONFLICT)
        ck_assert_uint_eq(batch.failed_op, 1);
    outcomes[outcome_count++] =
        (outcome){.status = batch.status,
                  .session = session,
                  .revision = batch.status == IPALLOC_OK ? batch.revision : 0,
                  .ticket = batch.status == IPALLOC_E_UNKNOWN_OUTCOME ? batch.ticket : 0};
}

static void settle_one(ipalloc_store *const *stores, outcome *o) {
    if (o->ticket == 0 || o->settled)
        return;
    bool happened;
    uint64_t revision;
    if (ipalloc_store_settle(stores[o->session], o->ticket, &happened, &revision, NULL) !=
        IPALLOC_OK)
        return;
    o->settled = true;
    o->happened = happened;
    o->revision = revision;
}

static void judge(size_t number, const outcome *o) {
    char key[64];
    snprintf(key, sizeof key, "/p/data/once/%04zu/", number);
    const mini_key *k = mini_find(key);
    bool happened = o->status == IPALLOC_OK || o->happened;
    ck_assert_msg((k != NULL) == happened, "batch %zu, %s, settled %d: %s", number,
                  ipalloc_status_name(o->status), o->settled, k != NULL ? "happened" : "did not");
    if (k == NULL)
        return;
    ck_assert_int_eq(k->version, 1);
    ck_assert_uint_eq((uint64_t)k->modified, o->revision);
}

/* Whatever goes wrong with each sending: a batch happened once, at the revision that was told, or
 * not at all; and the answer that was given stays true after everything late has come. */
START_TEST(every_batch_ends_as_it_was_told) {
    dice = test_seed();
    outcome_count = 0;
    ipalloc_store *stores[SESSIONS] = {store};
    etcd_store *inners[SESSIONS] = {inner};
    for (int i = 1; i < SESSIONS; i++)
        stores[i] = open_both(&inners[i]);
    mini.fault = draw;
    size_t wanted = (size_t)test_scaled(1000);
    size_t steps = wanted < BATCHES_MIN ? BATCHES_MIN : wanted < BATCHES_MAX ? wanted : BATCHES_MAX;
    while (outcome_count < steps) {
        int session = (int)(test_random(&dice) % SESSIONS);
        commit_at_random(stores[session], session);
        if (test_random(&dice) % 4 == 0)
            settle_one(stores, &outcomes[test_random(&dice) % outcome_count]);
        if (mini_late_count() > 20 || test_random(&dice) % 10 == 0)
            mini_deliver(&dice);
    }
    mini.fault = NULL;
    for (size_t i = 0; i < outcome_count; i++) {
        settle_one(stores, &outcomes[i]);
        ck_assert(outcomes[i].ticket == 0 || outcomes[i].settled);
    }
    for (int i = 1; i < SESSIONS; i++)
        ipalloc_store_close(stores[i]);
    mini_deliver(&dice);
    size_t kinds[4] = {0};
    for (size_t i = 0; i < outcome_count; i++) {
        judge(i, &outcomes[i]);
        kinds[0] += outcomes[i].status == IPALLOC_OK;
        kinds[1] += outcomes[i].status == IPALLOC_E_CONFLICT;
        kinds[2] += outcomes[i].settled && outcomes[i].happened;
        kinds[3] += outcomes[i].settled && !outcomes[i].happened;
    }
    for (int i = 0; i < 4; i++)
        ck_assert_uint_gt(kinds[i], 0); /* all of them came up */
    ck_assert_uint_lt(inner->slots_made, 1 + outcome_count / 4);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("etcd batches");
    TCase *tc = tcase_create("batches");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_batch_that_was_sent_twice_happens_once);
    tcase_add_test(tc, a_batch_that_was_sent_twice_is_in_no_conflict_with_itself);
    tcase_add_test(tc, a_first_sending_that_comes_after_the_second_does_nothing);
    tcase_add_test(tc, a_conflict_is_final_though_a_sending_is_still_on_its_way);
    tcase_add_test(tc, a_lost_answer_is_unknown_and_settling_tells_that_it_happened);
    tcase_add_test(tc, settling_ends_what_has_not_happened);
    tcase_add_test(tc, settling_finds_what_came_just_before);
    tcase_add_loop_test(tc, settling_can_be_repeated_until_it_is_answered, 0, 8);
    tcase_add_test(tc, behind_a_lost_answer_nothing_is_sent_before_there_is_an_answer_again);
    tcase_add_test(tc, a_damaged_answer_is_settled);
    tcase_add_test(tc, a_refusal_that_does_not_say_what_happened_is_looked_into);
    tcase_add_test(tc, a_slot_that_was_swept_is_replaced);
    tcase_add_test(tc, a_slot_that_was_swept_under_a_repeated_batch_leaves_no_ticket);
    tcase_add_test(tc, closing_removes_the_slots_and_the_head_does_not_go_back);
    tcase_add_test(tc, closing_leaves_a_slot_that_a_sending_may_still_meet);
    tcase_add_test(tc, who_asks_for_the_head_gets_no_answer_to_an_older_question);
    tcase_add_test(tc, a_revision_that_goes_back_stops_all_writing);
    tcase_add_test(tc, another_cluster_stops_all_writing);
    tcase_add_test(tc, a_commit_that_another_cluster_answers_is_unknown);
    tcase_add_test(tc, a_restored_cluster_is_written_to_only_when_it_is_accepted);
    tcase_add_test(tc, an_answer_from_before_the_acceptance_stops_nothing);
    tcase_add_test(tc, a_form_that_was_written_since_stops_all_writing);
    tcase_add_test(tc, a_store_that_was_removed_is_not_written_to);
    tcase_add_loop_test(tc, a_large_batch_names_its_failed_condition_and_leaves_nothing, 0, 5);
    tcase_add_test(tc, a_large_batch_that_was_refused_and_may_still_arrive_does_not);
    tcase_add_test(tc, a_limit_that_was_lowered_is_named);
    tcase_add_loop_test(tc, without_memory_nothing_is_half_done, 0, 2);
    tcase_add_test(tc, every_batch_ends_as_it_was_told);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
