/*
 * test_etcd_answers.c: what is sent to etcd byte by byte, and what real answers, damaged in every
 * way, are taken for. White-box: URL, keys, values, transactions, judgement.
 */
#include "../store/store_support.h"
#include "cluster.h"
#include "counted_memory.h"

#include "store/etcd_txn.h"

#include <stdio.h>
#include <string.h>

static hooks shared;
static counted_memory memory;
static etcd_store fake; /* as far as keys, packing and judging look */

static void set_up(void) {
    memory = (counted_memory){0};
    ipalloc_hooks given = counted_hooks(&memory);
    ck_assert_status(hooks_init(&shared, &given, NULL), IPALLOC_OK);
    memset(&fake, 0, sizeof fake);
    fake.hooks = &shared;
    fake.system = &SYSTEM_CALLS;
    snprintf(fake.name, sizeof fake.name, "etcd store");
    snprintf(fake.prefix, sizeof fake.prefix, "/p/");
    fake.prefix_length = 3;
    fake.session = 0xabc;
    pthread_mutex_init(&fake.mutex, NULL);
}

static void tear_down(void) {
    ck_assert_int_eq(memory.live, 0);
    pthread_mutex_destroy(&fake.mutex);
}

/* --- URLs ----------------------------------------------------------------------------------------
 */

START_TEST(urls_are_read_strictly) {
    static const struct {
        const char *text, *hosts, *prefix, *words; /* words: of the refusal */
    } table[] = {
        {"http://a", "a:2379 ", "/ipalloc/", NULL},
        {"http://a/", "a:2379 ", "/ipalloc/", NULL},
        {"http://a:1,b,10.0.0.1:65535/x", "a:1 b:2379 10.0.0.1:65535 ", "/x/", NULL},
        {"https://a.b-c_d/x/y//", "a.b-c_d:2379 ", "/x/y/", NULL},
        {"http://a:1,http://b:2/x", "a:1 b:2 ", "/x/", NULL},
        {"https://a,https://b", "a:2379 b:2379 ", "/ipalloc/", NULL},
        {"http://[::1]/x", "[::1]:2379 ", "/x/", NULL},
        {"http://[fe80::1%eth0]:7,[::2]", "[fe80::1%eth0]:7 [::2]:2379 ", "/ipalloc/", NULL},
        {"", NULL, NULL, "http:// or https://"},
        {"a:2379", NULL, NULL, "http:// or https://"},
        {"ftp://a", NULL, NULL, "http:// or https://"},
        {"http:/a", NULL, NULL, "http:// or https://"},
        {"http://", NULL, NULL, "a host is missing"},
        {"http:///x", NULL, NULL, "a host is missing"},
        {"http://a,/x", NULL, NULL, "a host is missing"},
        {"http://,a", NULL, NULL, "a host is missing"},
        {"http://a:/x", NULL, NULL, "port after ':' is missing"},
        {"http://a:0", NULL, NULL, "1 to 65535"},
        {"http://a:65536", NULL, NULL, "1 to 65535"},
        {"http://a:x", NULL, NULL, "1 to 65535"},
        {"http://a:1:2", NULL, NULL, "brackets"},
        {"http://::1", NULL, NULL, "not a host's name"},
        {"http://a b", NULL, NULL, "not a host's name"},
        {"http://[::1", NULL, NULL, "']' is missing"},
        {"http://[]", NULL, NULL, "only an IPv6"},
        {"http://[a]", NULL, NULL, "only an IPv6"},
        {"http://[::1]x", NULL, NULL, "only a port"},
        {"http://[::1]:", NULL, NULL, "port after ':' is missing"},
        {"http://u:p@a", NULL, NULL, "options of their own"},
        {"http://a,https://b", NULL, NULL, "all hosts"},
        {"http://a//x", NULL, NULL, "empty part"},
        {"http://a/x//y", NULL, NULL, "empty part"},
        {"http://a/x?y=1", NULL, NULL, "may not hold"},
        {"http://a/x y", NULL, NULL, "may not hold"},
        {"http://a/\xc3\xa4", NULL, NULL, "may not hold"},
        {"http://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", NULL, NULL, "16 hosts"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        static etcd_place place;
        ipalloc_error error = {0};
        int status = etcd_url_parse(table[i].text, &place, &error);
        ck_assert_msg(status == (table[i].words == NULL ? IPALLOC_OK : IPALLOC_E_INVALID),
                      "\"%s\" is %s: %s", table[i].text, ipalloc_status_name(status),
                      error.message);
        if (table[i].words != NULL) {
            ck_assert_msg(strstr(error.message, table[i].words) != NULL, "\"%s\": %s",
                          table[i].text, error.message);
            continue;
        }
        char hosts[400] = "";
        for (size_t h = 0; h < place.host_count; h++)
            snprintf(hosts + strlen(hosts), sizeof hosts - strlen(hosts), "%s ", place.hosts[h]);
        ck_assert_str_eq(hosts, table[i].hosts);
        ck_assert_str_eq(place.prefix, table[i].prefix);
        ck_assert_uint_eq(place.prefix_length, strlen(place.prefix));
        ck_assert_int_eq(place.tls, strncmp(table[i].text, "https", 5) == 0);
    }
}
END_TEST

START_TEST(the_longest_names_and_prefixes_fit) {
    static etcd_place place;
    static char url[2000];
    ipalloc_error error;
    memset(url, 'a', sizeof url);
    memcpy(url, "http://", 7);
    url[7 + 260] = '/';
    url[7 + 260 + ETCD_PREFIX_MAX] = '\0';
    ck_assert_status_error(etcd_url_parse(url, &place, &error), IPALLOC_OK, &error);
    ck_assert_uint_eq(place.prefix_length, ETCD_PREFIX_MAX + 1);
    url[7 + 260 + ETCD_PREFIX_MAX] = 'a';
    url[7 + 261 + ETCD_PREFIX_MAX] = '\0';
    ck_assert_status(etcd_url_parse(url, &place, &error), IPALLOC_E_INVALID);
    memset(url + 7, 'a', 300);
    url[7 + 270] = '\0';
    ck_assert_status(etcd_url_parse(url, &place, &error), IPALLOC_E_INVALID);
}
END_TEST

/* --- keys and values -----------------------------------------------------------------------------
 */

START_TEST(the_end_of_a_prefix_is_the_first_key_behind_it) {
    static const struct {
        const char *prefix, *end;
        size_t end_size;
    } table[] = {{"a", "b", 1},         {"a/", "a0", 2},   {"a\xff", "b", 1},
                 {"a\xff\xff", "b", 1}, {"\xff", "\0", 1}, {"", "\0", 1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        etcd_key_text prefix = {.size = strlen(table[i].prefix)}, end;
        memcpy(prefix.bytes, table[i].prefix, prefix.size);
        etcd_key_end(&prefix, &end);
        ck_assert_uint_eq(end.size, table[i].end_size);
        ck_assert_mem_eq(end.bytes, table[i].end, end.size);
    }
}
END_TEST

static int read_form(const char *value, etcd_form *out) {
    return etcd_form_read(&fake, (const uint8_t *)value, strlen(value), out, NULL);
}

START_TEST(a_form_is_read_as_it_was_written_and_nothing_else_is) {
    etcd_form form = {.epoch = 7, .cluster_id = 0xfedcba9876543210}, read = {0};
    char value[ETCD_FORM_VALUE_MAX];
    etcd_form_write(&form, value);
    ck_assert_str_eq(value, "form=1\nepoch=7\ncluster=fedcba9876543210\n");
    ck_assert_status(read_form(value, &read), IPALLOC_OK);
    ck_assert_uint_eq(read.epoch, 7);
    ck_assert_uint_eq(read.cluster_id, form.cluster_id);
    static const char *const damaged[] = {
        "",
        "form=1",
        "form=1\n",
        "form=0\nepoch=7\ncluster=fedcba9876543210\n",
        "form=01\nepoch=7\ncluster=fedcba9876543210\n",
        "form=1\nepoch=0\ncluster=fedcba9876543210\n",
        "form=1\nepoch=9223372036854775808\ncluster=fedcba9876543210\n",
        "form=1\nepoch=7\ncluster=fedcba987654321\n",
        "form=1\nepoch=7\ncluster=Fedcba9876543210\n",
        "form=1\nepoch=7\ncluster=fedcba9876543210\nmore=1\n",
        "form=1\nepoch=7\ncluster=fedcba9876543210",
        "form=2\nsomething=else\n",
        "epoch=7\nform=1\ncluster=fedcba9876543210\n",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        ck_assert_msg(read_form(damaged[i], &read) == IPALLOC_E_CORRUPT, "\"%s\"", damaged[i]);
}
END_TEST

START_TEST(a_slot_says_only_of_its_own_batch_how_it_ended) {
    etcd_slot slot = {.nonce = 12};
    char value[ETCD_SLOT_VALUE_MAX];
    uint64_t when = 0;
    etcd_slot_write(&slot, SLOT_COMMITTED, 1700000000123, value);
    ck_assert_str_eq(value, "committed=12\ntime=1700000000123\n");
    const uint8_t *bytes = (const uint8_t *)value;
    ck_assert_int_eq(etcd_slot_read(&slot, bytes, strlen(value)), SLOT_COMMITTED);
    ck_assert(etcd_slot_time(bytes, strlen(value), &when));
    ck_assert_uint_eq(when, 1700000000123);
    for (size_t size = 0; size < strlen(value); size++) /* cut off anywhere */
        ck_assert_int_eq(etcd_slot_read(&slot, bytes, size), SLOT_OTHER);
    slot.nonce = 1;
    ck_assert_int_eq(etcd_slot_read(&slot, bytes, strlen(value)), SLOT_OTHER);
    etcd_slot_write(&slot, SLOT_ABORTED, 5, value);
    ck_assert_str_eq(value, "aborted=1\ntime=5\n");
    ck_assert_int_eq(etcd_slot_read(&slot, bytes, strlen(value)), SLOT_ABORTED);
    ck_assert(!etcd_slot_time((const uint8_t *)"", 0, &when));
}
END_TEST

/* --- golden bytes --------------------------------------------------------------------------------
 */

static const char *hex(const uint8_t *bytes, size_t size) {
    static char out[4096];
    ck_assert_uint_lt(2 * size, sizeof out);
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return out;
}

#define SLOT_KEY  "202f702f73746f72652f736c6f742f303030303030303030303030306162632f33"
#define FORM_KEY  "0d2f702f73746f72652f666f726d"
#define KEY(name) "0a2f702f646174612f" name "2f"

/* clang-format off */
START_TEST(a_batch_is_sent_as_these_bytes) {
    ipalloc_op ops[] = {if_absent(op_put("a/", "v")), if_revision(op_delete("b/"), 9),
                        op_put("c/", ""), if_revision(op_check("d/"), 0)};
    ipalloc_batch batch = {.ops = ops, .op_count = 4};
    etcd_slot slot = {.number = 3, .revision = 300, .nonce = 12};
    uint8_t *bytes;
    size_t size;
    ck_assert_status(txn_pack_batch(&fake, &batch, &slot, 5, 1000, &bytes, &size, NULL),
                     IPALLOC_OK);
    static const char golden[] =
        /* conditions: revisions of the slot, the form, and three keys; -1 is none's */
        "0a27" "1002" "1a" SLOT_KEY "30ac02"
        "0a13" "1002" "1a" FORM_KEY "3005"
        "0a10" "1002" "1a" KEY("61") "3000"
        "0a10" "1002" "1a" KEY("62") "3009"
        "0a19" "1002" "1a" KEY("64") "30ffffffffffffffffff01"
        /* if they hold: the slot "committed=12, time=1000", a put, a delete, a put of nothing */
        "123d" "123b" "0a" SLOT_KEY "1217" "636f6d6d69747465643d31320a" "74696d653d313030300a"
        "1211" "120f" "0a" KEY("61") "1201" "76"
        "120e" "1a0c" "0a" KEY("62")
        "120e" "120c" "0a" KEY("63")
        /* if not: the slot whole, of the form and the three keys only that they are there */
        "1a24" "0a22" "0a" SLOT_KEY
        "1a13" "0a11" "0a" FORM_KEY "4001"
        "1a10" "0a0e" "0a" KEY("61") "4001"
        "1a10" "0a0e" "0a" KEY("62") "4001"
        "1a10" "0a0e" "0a" KEY("64") "4001";
    ck_assert_str_eq(hex(bytes, size), golden);
    hooks_free(&shared, bytes);
}
END_TEST
/* clang-format on */

/* --- real answers, damaged -----------------------------------------------------------------------
 */

static etcd_cluster *cluster;

static void start_cluster(void) {
    cluster = etcd_start(NULL);
}

static void stop_cluster(void) {
    etcd_stop(cluster);
}

enum { OPS = 140 };
static char keys[OPS][16];
static ipalloc_op many_ops[OPS];

static void make_many(void) {
    for (int i = 0; i < OPS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%03d/", i);
        many_ops[i] = if_absent(op_put(keys[i], "v"));
    }
}

static channel_call send_to(etcd_channel *channel, uint8_t *bytes, size_t size) {
    channel_call call = {.method = "/etcdserverpb.KV/Txn", .request = {bytes, size}};
    channel_do(channel, &call, 1);
    hooks_free(&shared, bytes);
    return call;
}

static etcd_channel *open_channel(void) {
    const char *host = etcd_host(cluster, 0);
    channel_options options = {
        .hooks = &shared, .system = &SYSTEM_CALLS, .hosts = &host, .host_count = 1};
    options.timeout_ms = 5000;
    etcd_channel *channel;
    ipalloc_error error;
    ck_assert_status_error(channel_open(&options, &channel, &error), IPALLOC_OK, &error);
    return channel;
}

/* Every store has a form. */
static uint64_t use_prefix(const char *prefix) {
    char key[32];
    etcd_status status;
    fake.prefix_length = strlen(prefix);
    snprintf(fake.prefix, sizeof fake.prefix, "%s", prefix);
    snprintf(key, sizeof key, "%sstore/form", prefix);
    etcd_ctl_ok(cluster, "put", key, "any");
    ck_assert(etcd_member_status(cluster, 0, &status));
    return status.revision;
}

typedef struct sent {
    ipalloc_batch batch;
    etcd_slot slot;
    uint64_t form_revision;
    bool question;
} sent;

/* What the bytes are taken for: OK and a verdict, or why not. */
static int take(const sent *s, const uint8_t *bytes, size_t size, txn_judgement *out) {
    ProtobufCMessage *message = NULL;
    int status = etcd_unpack(&shared, &etcd__txn_response__descriptor, bytes, size, &message, NULL);
    if (status != IPALLOC_OK)
        return status;
    const Etcd__TxnResponse *answer = (const Etcd__TxnResponse *)message;
    fake.unusable = NULL;
    fake.seen = 0;
    status = etcd_check_header(&fake, answer->header, 0, NULL);
    if (status == IPALLOC_OK)
        status = (s->question ? txn_judge_question : txn_judge)(
            &fake, &s->batch, &s->slot, s->form_revision, answer, out, NULL);
    if (status == IPALLOC_OK && out->verdict == TXN_CONFLICT)
        ck_assert_uint_lt(out->failed_op, s->batch.op_count);
    if (status == IPALLOC_OK && out->verdict == TXN_COMMITTED)
        ck_assert_uint_gt(out->revision, s->slot.revision);
    etcd_free_message(&shared, message);
    return status;
}

/* Cut off anywhere it is CORRUPT or, where a whole field is missing, another answer that is as
 * strictly judged; nothing crashes or leaks. */
static void damage(const sent *s, const channel_call *call, enum txn_verdict expected) {
    txn_judgement judged = {0};
    ck_assert_int_eq(call->end, CALL_ANSWERED);
    fake.cluster_id = 0;
    ck_assert_status(take(s, call->answer, call->answer_size, &judged), IPALLOC_OK);
    ck_assert_int_eq(judged.verdict, expected);
    ck_assert_uint_ne(fake.cluster_id, 0);
    for (size_t size = 0; size < call->answer_size; size++) {
        int status = take(s, call->answer, size, &judged);
        /* Where the slot says it, what follows it does not matter. */
        bool says_it = expected == TXN_COMMITTED && s->slot.number == 1;
        ck_assert_msg(status == IPALLOC_E_CORRUPT || judged.verdict != TXN_COMMITTED || says_it,
                      "%zu of %zu bytes are taken for a success", size, call->answer_size);
    }
    long before = memory.live;
    for (size_t bit = 0; bit < call->answer_size * 8; bit++) {
        call->answer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int status = take(s, call->answer, call->answer_size, &judged);
        ck_assert(status == IPALLOC_OK || status == IPALLOC_E_CORRUPT ||
                  status == IPALLOC_E_MISMATCH);
        if (expected == TXN_CONFLICT && status == IPALLOC_OK)
            ck_assert_int_ne(judged.verdict, TXN_COMMITTED);
        call->answer[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(memory.live, before);
}

static channel_call send_batch(etcd_channel *channel, const sent *s) {
    uint8_t *bytes;
    size_t size;
    ck_assert_status(
        s->question
            ? txn_pack_question(&fake, &s->batch, &s->slot, &bytes, &size, NULL)
            : txn_pack_batch(&fake, &s->batch, &s->slot, s->form_revision, 1, &bytes, &size, NULL),
        IPALLOC_OK);
    return send_to(channel, bytes, size);
}

START_TEST(damaged_answers_are_told_or_are_answers_all_the_same) {
    etcd_channel *channel = open_channel();
    make_many();
    ipalloc_op few[] = {if_absent(op_put("a/", "v")), op_delete("b/"), if_absent(op_check("c/"))};
    sent s = {.batch = {.ops = few, .op_count = 3}, .slot = {.number = (uint64_t)_i, .nonce = 1}};
    char prefix[8];
    snprintf(prefix, sizeof prefix, "/%d/", _i);
    s.form_revision = use_prefix(prefix);
    channel_call call = {0};
    enum txn_verdict expected = TXN_COMMITTED;
    if (_i >= 2 && _i != 5)
        s.batch = (ipalloc_batch){.ops = many_ops, .op_count = OPS};
    if (_i == 3 || _i == 4) { /* the question, of which the answer is judged */
        s.question = true;
        expected = TXN_HELD;
        if (_i == 4) {
            sent first = {.batch = {.ops = &many_ops[70], .op_count = 1},
                          .form_revision = s.form_revision};
            first.slot.number = 9;
            call = send_batch(channel, &first);
            channel_free_answer(channel, &call);
            expected = TXN_CONFLICT;
        }
    }
    call = send_batch(channel, &s);
    if (_i == 1 || _i == 5) { /* sent again: by the same batch, by another one in that slot */
        channel_free_answer(channel, &call);
        if (_i == 5) {
            s.slot.nonce = 2;
            expected = TXN_NO_SLOT;
        }
        call = send_batch(channel, &s);
    }
    damage(&s, &call, expected);
    channel_free_answer(channel, &call);
    channel_close(channel);
}
END_TEST

START_TEST(a_damaged_conflict_is_no_success) {
    etcd_channel *channel = open_channel();
    uint64_t form_revision = use_prefix("/c/");
    ipalloc_op first[] = {op_put("b/", "v")};
    ipalloc_op second[] = {if_absent(op_put("a/", "v")), if_absent(op_put("b/", "w")),
                           if_revision(op_delete("c/"), 4)};
    sent s = {.batch = {.ops = first, .op_count = 1},
              .slot = {.number = 1, .nonce = 1},
              .form_revision = form_revision};
    channel_call call = send_batch(channel, &s);
    channel_free_answer(channel, &call);
    s = (sent){.batch = {.ops = second, .op_count = 3},
               .slot = {.number = 2, .nonce = 2},
               .form_revision = form_revision};
    call = send_batch(channel, &s);
    damage(&s, &call, TXN_CONFLICT);
    channel_free_answer(channel, &call);
    channel_close(channel);
}
END_TEST

/* An inner condition that fails: etcd refuses the whole, and nothing of it is there. */
START_TEST(etcd_refuses_a_nested_batch_as_a_whole) {
    etcd_channel *channel = open_channel();
    uint64_t form_revision = use_prefix("/n/");
    make_many();
    sent s = {.batch = {.ops = &many_ops[139], .op_count = 1},
              .slot = {.number = 1, .nonce = 1},
              .form_revision = form_revision};
    channel_call call = send_batch(channel, &s);
    channel_free_answer(channel, &call);
    s = (sent){.batch = {.ops = many_ops, .op_count = OPS},
               .slot = {.number = 2, .nonce = 2},
               .form_revision = form_revision};
    ck_assert(txn_is_nested(&s.batch));
    call = send_batch(channel, &s);
    ck_assert_int_eq(call.end, CALL_REFUSED);
    ck_assert_int_eq(call.grpc_code, GRPC_OUT_OF_RANGE);
    char *text = NULL;
    ck_assert_int_eq(etcd_ctl(cluster, &text, "get", "/n/", "--prefix", "--keys-only"), 0);
    ck_assert_str_eq(text,
                     "/n/data/k139/\n\n/n/store/form\n\n/n/store/slot/0000000000000abc/1\n\n");
    free(text);
    channel_close(channel);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("etcd answers");
    TCase *tc = tcase_create("bytes");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, urls_are_read_strictly);
    tcase_add_test(tc, the_longest_names_and_prefixes_fit);
    tcase_add_test(tc, the_end_of_a_prefix_is_the_first_key_behind_it);
    tcase_add_test(tc, a_form_is_read_as_it_was_written_and_nothing_else_is);
    tcase_add_test(tc, a_slot_says_only_of_its_own_batch_how_it_ended);
    tcase_add_test(tc, a_batch_is_sent_as_these_bytes);
    suite_add_tcase(suite, tc);
    if (etcd_is_here()) {
        TCase *real = tcase_create("real answers");
        tcase_set_timeout(real, 120);
        tcase_add_unchecked_fixture(real, start_cluster, stop_cluster);
        tcase_add_checked_fixture(real, set_up, tear_down);
        tcase_add_loop_test(real, damaged_answers_are_told_or_are_answers_all_the_same, 0, 6);
        tcase_add_test(real, a_damaged_conflict_is_no_success);
        tcase_add_test(real, etcd_refuses_a_nested_batch_as_a_whole);
        suite_add_tcase(suite, real);
    }
    return test_main(suite);
}
