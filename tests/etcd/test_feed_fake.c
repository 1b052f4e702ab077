/*
 * test_feed_fake.c: what no real etcd can be made to do at will: a watch that is cut anywhere, that
 * tells things twice, in pieces, in the wrong order, too late, or nonsense, and one that is
 * refused.
 *
 * The feed is the real one, over a real channel; the server is fake, and so is all of the store
 * that is not the feed: it is read from the test's own picture of the world.
 */
#include "fake_etcd.h"
#include "follower.h"

#include "store/etcd.pb-c.h"
#include "store/etcd_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLUSTER = 77, HEAD_AT_FIRST = 10, TIMEOUT_MS = 5000 };

static fake_etcd *server;
static hooks test_hooks;
static etcd_store *feeding; /* the half of a store that is real */
static ipalloc_store *store;
static follower f;

/* The watch that was asked for last, as the server's thread noted it, under `asked`. It calls
 * on_watch, if there is one, which tells all there is to tell. */
static pthread_mutex_t asked = PTHREAD_MUTEX_INITIALIZER;
static uint64_t stream, start;
static int watches;
static void (*on_watch)(void);

/* Guards the world, and may be held where the server is told something; `asked` may not. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int watch_count(void) {
    pthread_mutex_lock(&asked);
    int count = watches;
    pthread_mutex_unlock(&asked);
    return count;
}

/* --- what the server says ------------------------------------------------------------------------
 */

static void say_on(uint64_t to, Etcd__WatchResponse *message, uint64_t revision) {
    Etcd__Header header = ETCD__HEADER__INIT;
    header.cluster_id = CLUSTER;
    header.revision = (int64_t)revision;
    if (message->header == NULL)
        message->header = &header;
    size_t size = protobuf_c_message_get_packed_size(&message->base);
    uint8_t *bytes = malloc(size + 1);
    ck_assert_ptr_nonnull(bytes);
    protobuf_c_message_pack(&message->base, bytes);
    fake_answer(server, to, bytes, size);
    free(bytes);
    message->header = NULL;
}

/* On the watch that the server's thread, or the one that stands in for it, tells things on. */
static uint64_t telling;

static void say(Etcd__WatchResponse *message, uint64_t revision) {
    say_on(telling, message, revision);
}

static void say_created(uint64_t revision) {
    Etcd__WatchResponse message = ETCD__WATCH_RESPONSE__INIT;
    message.created = true;
    say(&message, revision);
}

static void say_canceled(uint64_t compacted, const char *why) {
    Etcd__WatchResponse message = ETCD__WATCH_RESPONSE__INIT;
    message.canceled = true;
    message.compact_revision = (int64_t)compacted;
    if (why != NULL)
        message.cancel_reason = (ProtobufCBinaryData){strlen(why), (uint8_t *)(uintptr_t)why};
    say(&message, 0); /* etcd 3.4 names no revision here */
}

enum { EVENTS_MAX = 64 };

typedef struct told {
    Etcd__WatchResponse message;
    Etcd__Event events[EVENTS_MAX], *list[EVENTS_MAX];
    Etcd__KeyValue kvs[EVENTS_MAX];
    char keys[EVENTS_MAX][32];
} told;

static void tell_begin(told *t) {
    t->message = (Etcd__WatchResponse)ETCD__WATCH_RESPONSE__INIT;
    t->message.events = t->list;
}

/* `key` NULL: a slot's; `value` NULL: deleted. */
static void tell(told *t, uint64_t revision, const char *key, const char *value) {
    size_t i = t->message.n_events++;
    ck_assert_uint_lt(i, EVENTS_MAX);
    t->events[i] = (Etcd__Event)ETCD__EVENT__INIT;
    t->kvs[i] = (Etcd__KeyValue)ETCD__KEY_VALUE__INIT;
    t->list[i] = &t->events[i];
    t->events[i].kv = &t->kvs[i];
    t->events[i].type = value == NULL;
    snprintf(t->keys[i], sizeof t->keys[i], key != NULL ? "/p/data/%s" : "/p/store/slot/1/1", key);
    t->kvs[i].key = (ProtobufCBinaryData){strlen(t->keys[i]), (uint8_t *)t->keys[i]};
    if (value != NULL)
        t->kvs[i].value = (ProtobufCBinaryData){strlen(value), (uint8_t *)(uintptr_t)value};
    t->kvs[i].mod_revision = (int64_t)revision;
}

static void tell_end(told *t, bool fragment, uint64_t revision) {
    t->message.fragment = fragment;
    say(&t->message, revision);
}

static void tell_one(uint64_t revision, unsigned key, const char *value) {
    told t;
    tell_begin(&t);
    tell(&t, revision, follower_key(key), value);
    tell(&t, revision, NULL, "slot");
    tell_end(&t, false, revision);
}

static void handle(void *context, fake_etcd *from, const fake_request *request) {
    (void)context, (void)from;
    ck_assert_str_eq(request->method, "/etcdserverpb.Watch/Watch");
    Etcd__WatchRequest *watch = etcd__watch_request__unpack(NULL, request->size, request->message);
    ck_assert_ptr_nonnull(watch);
    ck_assert_int_eq(watch->request_case, ETCD__WATCH_REQUEST__REQUEST_CREATE);
    ck_assert(watch->create->fragment);
    ck_assert_int_eq(memcmp(watch->create->key.data, "/p/", 3), 0);
    ck_assert_int_eq(memcmp(watch->create->range_end.data, "/p0", 3), 0);
    pthread_mutex_lock(&asked);
    stream = request->stream;
    start = (uint64_t)watch->create->start_revision;
    watches++;
    pthread_mutex_unlock(&asked);
    if (on_watch != NULL) {
        telling = request->stream;
        on_watch();
    }
    etcd__watch_request__free_unpacked(watch, NULL);
}

/* --- the store -----------------------------------------------------------------------------------
 */

enum { REVISIONS_MAX = 60000, CHANGED_MAX = 3 };

/* The world: what each revision did; under `mutex`. */
static struct {
    int count;
    unsigned keys[CHANGED_MAX];
    bool deleted[CHANGED_MAX];
} world[REVISIONS_MAX];
static uint64_t head, compacted;
static uint64_t now_at[FOLLOWER_KEYS];

static int no_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                  ipalloc_error *error) {
    (void)self, (void)key, (void)visit, (void)context, (void)error;
    return IPALLOC_E_NOT_FOUND;
}
static int no_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    (void)self, (void)batches, (void)count, (void)error;
    return IPALLOC_E_READ_ONLY;
}
static void no_close(void *self) {
    (void)self;
}

static void see_revision(uint64_t revision) {
    pthread_mutex_lock(&feeding->mutex);
    if (revision > feeding->seen)
        feeding->seen = revision;
    pthread_mutex_unlock(&feeding->mutex);
}

static int scan_world(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                      ipalloc_visit visit, void *context, uint64_t *at_revision,
                      ipalloc_error *error) {
    (void)self, (void)prefix, (void)after, (void)limit, (void)error;
    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < FOLLOWER_KEYS; i++) {
        const char *key = follower_key(i);
        ipalloc_entry entry = {.key = {key, strlen(key)}, .revision = now_at[i]};
        if (now_at[i] != 0)
            ck_assert_status(visit(context, &entry), IPALLOC_OK);
    }
    *at_revision = head;
    see_revision(head);
    pthread_mutex_unlock(&mutex);
    return IPALLOC_OK;
}

static int world_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    (void)self, (void)error;
    pthread_mutex_lock(&mutex);
    out->revision = head;
    see_revision(head);
    pthread_mutex_unlock(&mutex);
    return IPALLOC_OK;
}

static int changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                   ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    return feed_changes(self, since, prefix, limit, visit, context, up_to, error);
}
static int reach(void *self, uint64_t revision, ipalloc_error *error) {
    return feed_reach(self, revision, error);
}
static int process(void *self, uint64_t *known_to, ipalloc_error *error) {
    return feed_process(self, known_to, error);
}
static int poll_timeout(void *self) {
    return feed_poll_timeout_ms(self);
}

static const ipalloc_store_methods METHODS = {.size = sizeof METHODS,
                                              .get = no_get,
                                              .scan = scan_world,
                                              .commit = no_commit,
                                              .changes = changes,
                                              .info = world_info,
                                              .close = no_close,
                                              .reach = reach,
                                              .process = process,
                                              .poll_timeout_ms = poll_timeout};

static void set_up(void) {
    fake_options options = {.handler = handle};
    ck_assert_status(hooks_init(&test_hooks, NULL, NULL), IPALLOC_OK);
    on_watch = NULL;
    watches = 0;
    memset(&f, 0, sizeof f);
    memset(now_at, 0, sizeof now_at);
    head = HEAD_AT_FIRST;
    compacted = 0;
    server = fake_start(&options);
    const char *hosts[] = {fake_host(server)};
    feeding = calloc(1, sizeof *feeding);
    ck_assert_ptr_nonnull(feeding);
    feeding->hooks = &test_hooks;
    feeding->system = &SYSTEM_CALLS;
    feeding->timeout_ms = TIMEOUT_MS;
    feeding->changes_kept = 1000;
    feeding->cluster_id = CLUSTER;
    feeding->seen = HEAD_AT_FIRST;
    strcpy(feeding->name, "etcd store \"fake\"");
    strcpy(feeding->prefix, "/p/");
    feeding->prefix_length = 3;
    pthread_mutex_init(&feeding->mutex, NULL);
    channel_options wanted = {.hooks = &test_hooks,
                              .system = &SYSTEM_CALLS,
                              .hosts = hosts,
                              .host_count = 1,
                              .timeout_ms = TIMEOUT_MS};
    ipalloc_error error = {0};
    ck_assert_status_error(channel_open(&wanted, &feeding->channel, &error), IPALLOC_OK, &error);
    ck_assert_status(feed_init(feeding, HEAD_AT_FIRST, HEAD_AT_FIRST, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_store_create(&METHODS, feeding, NULL, &store, &error), IPALLOC_OK);
    f.store = store;
    f.revision = HEAD_AT_FIRST;
}

static void tear_down(void) {
    ipalloc_store_close(store);
    feed_free(feeding);
    channel_close(feeding->channel);
    pthread_mutex_destroy(&feeding->mutex);
    free(feeding);
    fake_stop(server);
}

/* --- one thing at a time -------------------------------------------------------------------------
 */

static ipalloc_error error;

static void begin_well(void) {
    ck_assert_uint_eq(start, HEAD_AT_FIRST);
    say_created(12);
    tell_one(12, 1, "1");
}

START_TEST(there_is_no_watch_before_it_is_asked_for) {
    on_watch = begin_well;
    usleep(50000);
    ck_assert_int_eq(fake_requests(server), 0);
    ck_assert_int_eq(ipalloc_store_poll_timeout_ms(store), 0);
    ck_assert_status_error(ipalloc_store_reach(store, 12, &error), IPALLOC_OK, &error);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.at[1], 12);
    ck_assert_int_eq(watch_count(), 1);
    /* What was complete when the store was opened needs none at all. */
    ck_assert_status(ipalloc_store_reach(store, HEAD_AT_FIRST, &error), IPALLOC_OK);
}
END_TEST

static void refuse_then_begin(void) {
    if (watches < 3) {
        say_created(12);
        say_canceled(0, "etcdserver: permission denied");
    } else {
        begin_well();
    }
}

START_TEST(a_refused_watch_is_asked_for_again) {
    on_watch = refuse_then_begin;
    ck_assert_status_error(ipalloc_store_reach(store, 12, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(watch_count(), 3);
}
END_TEST

static void refuse(void) {
    say_canceled(0, "etcdserver: permission denied");
}

/* And it is said why; and that is not asked without end. */
START_TEST(a_watch_that_is_always_refused_says_why) {
    on_watch = refuse;
    feeding->timeout_ms = 700;
    ck_assert_status(ipalloc_store_reach(store, 12, &error), IPALLOC_E_UNAVAILABLE);
    ck_assert_msg(strstr(error.message, "permission denied") != NULL, "%s", error.message);
    ck_assert_int_lt(watch_count(), 30);
    int timeouts = 0;
    for (int i = 0; i < 50; i++)
        timeouts += ipalloc_store_poll_timeout_ms(store) == 0;
    ck_assert_int_lt(timeouts, 50); /* nor does an event loop spin */
}
END_TEST

static void begin_far_ahead(void) {
    say_created(start == HEAD_AT_FIRST ? 50000 : 50001);
    if (start != HEAD_AT_FIRST) {
        ck_assert_uint_eq(start, 50000);
        tell_one(50001, 1, "1");
    }
}

START_TEST(too_far_behind_is_forgotten) {
    on_watch = begin_far_ahead;
    ck_assert_status(ipalloc_store_reach(store, 50001, &error), IPALLOC_E_EXPIRED);
    ck_assert_status_error(ipalloc_store_reach(store, 50001, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(watch_count(), 2);
    ck_assert_status(ipalloc_store_changes(store, HEAD_AT_FIRST, (ipalloc_bytes){"", 0}, 0, NULL,
                                           NULL, NULL, &error),
                     IPALLOC_E_INVALID);
    f.revision = 50000;
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.at[1], 50001);
}
END_TEST

static void begin_compacted(void) {
    say_created(30);
    if (start < 25) {
        say_canceled(25, NULL);
        return;
    }
    ck_assert_uint_eq(start, 30); /* the newest that is known */
    tell_one(31, 1, "1");
}

START_TEST(behind_a_compaction_it_goes_on) {
    on_watch = begin_compacted;
    ck_assert_status(ipalloc_store_reach(store, 31, &error), IPALLOC_E_EXPIRED);
    ck_assert_status_error(ipalloc_store_reach(store, 31, &error), IPALLOC_OK, &error);
    head = 30; /* what a scan says */
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.read_anew, 1);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.at[1], 31);
}
END_TEST

/* A member that lags: it begins later, tells what is known, and then what is new. */
static void begin_old(void) {
    if (watches == 1) {
        begin_well();
        fake_end(server, stream, 14, "etcdserver: no leader");
        return;
    }
    ck_assert_uint_eq(start, 12);
    say_created(5);
    told t;
    tell_begin(&t);
    tell(&t, 4, follower_key(4), "old");
    tell(&t, 12, follower_key(1), "1");
    tell_end(&t, false, 12);
    tell_one(13, 2, "2");
}

START_TEST(an_old_member_is_waited_for) {
    on_watch = begin_old;
    ck_assert_status_error(ipalloc_store_reach(store, 13, &error), IPALLOC_OK, &error);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.told, 2);
    ck_assert_uint_eq(f.read_anew, 0);
    ck_assert_uint_eq(f.at[1], 12);
    ck_assert_uint_eq(f.at[2], 13);
    ck_assert_uint_eq(f.at[4], 0);
}
END_TEST

static void begin_with_a_cut(void) {
    say_created(20);
    told t;
    tell_begin(&t);
    tell(&t, 19, follower_key(1), "1");
    tell(&t, 20, follower_key(2), "2");
    tell_end(&t, true, 20);
    if (watches == 1) {
        fake_end(server, stream, 14, "transport is closing");
        return;
    }
    ck_assert_uint_eq(start, 19);
    tell_begin(&t);
    tell(&t, 20, follower_key(3), "3");
    tell_end(&t, false, 20);
}

START_TEST(a_revision_that_was_cut_is_told_again) {
    on_watch = begin_with_a_cut;
    ck_assert_status_error(ipalloc_store_reach(store, 20, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(watch_count(), 2);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.told, 3);
}
END_TEST

/* --- nonsense ------------------------------------------------------------------------------------
 */

static int nonsense;

static void begin_with_nonsense(void) {
    if (watches > 1) {
        begin_well();
        return;
    }
    Etcd__WatchResponse message = ETCD__WATCH_RESPONSE__INIT;
    Etcd__Header empty = ETCD__HEADER__INIT;
    told t;
    tell_begin(&t);
    switch (nonsense) {
    case 0: /* no message */
        fake_answer(server, stream, "\xff\xff\xff", 3);
        break;
    case 1: /* a header that says nothing */
        message.header = &empty;
        say(&message, 0);
        break;
    case 2: /* no header */
        fake_answer(server, stream, "\x18\x01", 2);
        break;
    case 3: /* an event from the future */
        tell(&t, UINT64_MAX / 2, follower_key(9), "9");
        tell_end(&t, false, 12);
        break;
    case 4: /* an event without a key and value */
        tell(&t, 11, follower_key(9), "9");
        t.events[0].kv = NULL;
        tell_end(&t, false, 12);
        break;
    case 5: /* of a kind that there is not */
        tell(&t, 11, follower_key(9), "9");
        t.events[0].type = 7;
        tell_end(&t, false, 12);
        break;
    default: /* and of no revision */
        tell(&t, 0, follower_key(9), "9");
        tell_end(&t, false, 12);
        break;
    }
}

START_TEST(nonsense_is_not_believed) {
    nonsense = _i;
    on_watch = begin_with_nonsense;
    ck_assert_status_error(ipalloc_store_reach(store, 12, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(watch_count(), 2);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.told, 1);
    ck_assert_uint_eq(f.at[1], 12);
}
END_TEST

static void begin_elsewhere(void) {
    Etcd__WatchResponse message = ETCD__WATCH_RESPONSE__INIT;
    Etcd__Header other = ETCD__HEADER__INIT;
    other.cluster_id = CLUSTER + 1;
    other.revision = 12;
    message.header = &other;
    message.created = true;
    say(&message, 0);
}

START_TEST(another_cluster_is_no_store_of_ours) {
    on_watch = begin_elsewhere;
    ck_assert_status(ipalloc_store_reach(store, 12, &error), IPALLOC_E_MISMATCH);
    ck_assert_ptr_nonnull(strstr(error.message, "another etcd cluster"));
    ck_assert_status(ipalloc_store_process(store, NULL, &error), IPALLOC_E_MISMATCH);
    ck_assert_status(follower_take(&f, &error), IPALLOC_E_MISMATCH);
    ck_assert_int_eq(watch_count(), 1);
}
END_TEST

/* Keys that no store of ours can have written count as revisions only. */
static void begin_with_foreign_keys(void) {
    static const uint8_t ZERO[] = "/p/data/a\0b", EMPTY[] = "/p/data/";
    say_created(12);
    told t;
    tell_begin(&t);
    tell(&t, 11, "x", "1");
    t.kvs[0].key = (ProtobufCBinaryData){sizeof ZERO - 1, (uint8_t *)(uintptr_t)ZERO};
    tell(&t, 11, "x", "1");
    t.kvs[1].key = (ProtobufCBinaryData){sizeof EMPTY - 1, (uint8_t *)(uintptr_t)EMPTY};
    static uint8_t longest[sizeof EMPTY + IPALLOC_KEY_MAX];
    memset(longest, 'k', sizeof longest);
    memcpy(longest, EMPTY, sizeof EMPTY - 1);
    tell(&t, 11, "x", "1");
    t.kvs[2].key = (ProtobufCBinaryData){sizeof longest, longest};
    tell(&t, 12, follower_key(1), "1");
    tell_end(&t, false, 12);
}

START_TEST(keys_that_cannot_be_ours_are_left_out) {
    on_watch = begin_with_foreign_keys;
    ck_assert_status_error(ipalloc_store_reach(store, 12, &error), IPALLOC_OK, &error);
    ck_assert_status(follower_take(&f, &error), IPALLOC_OK);
    ck_assert_uint_eq(f.told, 1);
}
END_TEST

/* --- everything at random ------------------------------------------------------------------------
 */

static uint64_t seed;
static bool stop, calm;
static uint64_t next;    /* what the watch tells next; 0: it has not been created */
static bool over;        /* nothing more is told on it */
static uint64_t started; /* where it was asked to begin */

static uint64_t below(uint64_t bound) {
    return test_random(&seed) % bound;
}

/* Has another watch been asked for? */
static void look_for_watch(void) {
    pthread_mutex_lock(&asked);
    uint64_t newest = stream, begin = start;
    pthread_mutex_unlock(&asked);
    if (newest == telling)
        return;
    telling = newest;
    started = begin;
    next = 0;
    over = false;
}

static void write_world(void) {
    uint64_t revision = ++head;
    ck_assert_uint_lt(revision, REVISIONS_MAX);
    world[revision].count = (int)below(CHANGED_MAX + 1);
    unsigned first = (unsigned)below(30);
    for (int i = 0; i < world[revision].count; i++) {
        unsigned key = first + (unsigned)i;
        world[revision].keys[i] = key;
        world[revision].deleted[i] = now_at[key] != 0 && below(2) == 0;
        now_at[key] = world[revision].deleted[i] ? 0 : revision;
    }
}

static void tell_changes(told *t, uint64_t revision, int from, int to) {
    for (int i = from; i < to; i++)
        tell(t, revision, follower_key(world[revision].keys[i]),
             world[revision].deleted[i] ? NULL : "v");
}

static void tell_revision(told *t, uint64_t revision) {
    if (revision <= HEAD_AT_FIRST)
        return;
    tell_changes(t, revision, 0, world[revision].count);
    tell(t, revision, NULL, "slot");
}

static void tell_in_pieces(uint64_t revision) {
    told t;
    int middle = (int)below((uint64_t)world[revision].count + 1);
    tell_begin(&t);
    tell_changes(&t, revision, 0, middle);
    if (t.message.n_events > 0)
        tell_end(&t, true, head);
    tell_begin(&t);
    tell_changes(&t, revision, below(3) == 0 ? 0 : middle, world[revision].count);
    tell(&t, revision, NULL, "slot");
    tell_end(&t, false, head);
}

static void go_on(void) {
    told t;
    if (next > head)
        return;
    if (below(3) == 0 && next > HEAD_AT_FIRST) {
        tell_in_pieces(next++);
        return;
    }
    tell_begin(&t);
    if (!calm && below(5) == 0 && next > HEAD_AT_FIRST + 5) { /* what was told already */
        for (uint64_t old = next - below(4); old < next; old++)
            if (old > compacted)
                tell_revision(&t, old);
    }
    uint64_t to = next + 1 + below(4);
    if (to > head + 1)
        to = head + 1;
    bool swap = !calm && below(10) == 0 && to - next > 1;
    if (swap) { /* in the wrong order */
        tell_revision(&t, next + 1);
        tell_revision(&t, next);
        next += 2;
    }
    for (; next < to; next++)
        tell_revision(&t, next);
    if (t.message.n_events > 0)
        tell_end(&t, false, head);
}

static void disturb(void) {
    switch (below(6)) {
    case 0:
        fake_cut(server);
        break;
    case 1:
        fake_cut_after(server, 1 + below(300));
        break;
    case 2:
        fake_end(server, telling, 14, "etcdserver: no leader");
        over = true;
        break;
    case 3:
        fake_reset(server, telling, 2);
        over = true;
        break;
    case 4:
        say_canceled(0, "mvcc: because");
        over = true;
        break;
    default:
        compacted = head - below(20);
        break;
    }
}

/* Under the mutex. */
static void serve_a_little(void) {
    look_for_watch();
    if (telling == 0 || over)
        return;
    if (next == 0) {
        next = started;
        say_created(below(3) == 0 ? started - 2 : head);
        if (started < compacted) {
            say_canceled(compacted, NULL);
            over = true;
        }
    } else if (!calm && below(25) == 0) {
        disturb();
    } else {
        go_on();
    }
}

static void *serve(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&mutex);
        serve_a_little();
        pthread_mutex_unlock(&mutex);
        usleep(50);
    }
    return NULL;
}

START_TEST(whatever_happens_it_ends_as_a_list) {
    seed = test_seed() + (uint64_t)_i;
    uint64_t own = test_random(&seed);
    pthread_t thread;
    stop = calm = over = false;
    next = telling = stream = 0;
    feeding->changes_kept = 1000;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    uint64_t rounds = test_scaled(1500);
    for (uint64_t i = 0; i < rounds || watch_count() <= 1 || f.read_anew == 0; i++) {
        pthread_mutex_lock(&mutex);
        for (uint64_t count = below(4); count > 0; count--)
            write_world();
        pthread_mutex_unlock(&mutex);
        if (test_random(&own) % 3 == 0)
            ck_assert_status_error(follower_take(&f, &error), IPALLOC_OK, &error);
        else if (test_random(&own) % 20 == 0)
            follower_catch_up(&f);
        else
            (void)ipalloc_store_process(store, NULL, NULL);
    }
    pthread_mutex_lock(&mutex);
    calm = true;
    write_world();
    pthread_mutex_unlock(&mutex);
    follower_catch_up(&f);
    follower_catch_up(&f);
    pthread_mutex_lock(&mutex);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned key = 0; key < FOLLOWER_KEYS; key++)
        ck_assert_uint_eq(f.at[key], now_at[key]);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    ck_assert_int_gt(watch_count(), 1);
    ck_assert_uint_gt(f.told, 0);
    ck_assert_uint_gt(f.read_anew, 0);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("feed of a fake");
    TCase *tests = tcase_create("watches");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, there_is_no_watch_before_it_is_asked_for);
    tcase_add_test(tests, a_refused_watch_is_asked_for_again);
    tcase_add_test(tests, a_watch_that_is_always_refused_says_why);
    tcase_add_test(tests, too_far_behind_is_forgotten);
    tcase_add_test(tests, behind_a_compaction_it_goes_on);
    tcase_add_test(tests, an_old_member_is_waited_for);
    tcase_add_test(tests, a_revision_that_was_cut_is_told_again);
    tcase_add_loop_test(tests, nonsense_is_not_believed, 0, 7);
    tcase_add_test(tests, another_cluster_is_no_store_of_ours);
    tcase_add_test(tests, keys_that_cannot_be_ours_are_left_out);
    tcase_add_loop_test(tests, whatever_happens_it_ends_as_a_list, 0, 4);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void) {
    return test_main(make_suite());
}
