/* ipallocctl, the real program, on real SQLite stores: nobody's, a living owner's, a dead one's and
 * damaged ones. */
#include "ctl_process.h"
#include "ctl_store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static ipalloc_error error;

static ipalloc_pool *define_ports(const char *name, uint16_t first, uint16_t last) {
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_PORT,
                                          .port_first = first,
                                          .port_last = last};
    ipalloc_pool *pool = NULL;
    ck_assert_status_error(ipalloc_pool_define(registry, name, &definition, &pool, &error),
                           IPALLOC_OK, &error);
    return pool;
}

static void hold(ipalloc_pool *pool, const char *owner, const char *address) {
    ipalloc_addr parsed = addr(address);
    ck_assert_status_error(ipalloc_reserve(registry, pool, owner, address, &parsed, NULL, &error),
                           IPALLOC_OK, &error);
}

static void let_go(ipalloc_pool *pool, const char *owner, const char *address) {
    ipalloc_addr parsed = addr(address);
    ck_assert_status_error(ipalloc_release(registry, pool, owner, &parsed, 0, &error), IPALLOC_OK,
                           &error);
}

/* A store with a bit of everything, closed again. */
static void make_store(void) {
    open_store();
    ipalloc_pool *pool = define("services-v4", "10.96.0.0/24", 3600000);
    define_ports("node-ports", 30000, 30127);
    define_ports("other-ports", 30100, 30200);
    hold(pool, "Service/default/web/1", "10.96.0.1");
    hold(pool, "Service/default/dns/2", "10.96.0.10");
    hold(pool, "Router/edge", "10.96.0.200");
    hold(pool, "Router/edge", "10.96.0.201");
    let_go(pool, "Router/edge", "10.96.0.201");
    exclude(pool, "10.96.0.64", "10.96.0.95");
    close_store();
}

/* --- the command line --------------------------------------------------------------------------
 */

static const struct {
    const char *line;
    const char *says;
} wrong_lines[] = {
    {"", "say what to do"},
    {"frobnicate --store=sqlite:x", "\"frobnicate\": no such command"},
    {"pools", "say where: --store=sqlite:PATH, --store=etcd:URL or --server=URL"},
    {"pools --store=sqlite:x --server=http://127.0.0.1:1", "or --server=URL, not both"},
    {"pools --store=services.db", "\"services.db\": it must be memory:, sqlite:PATH or etcd:URL"},
    {"pools --store=sqlite:", "\"sqlite:\": it must be memory:, sqlite:PATH or etcd:URL"},
    {"pools -oyaml --store=sqlite:x", "no such option here"},
    {"release --owner=o --store=sqlite:x", "either ADDRESS|PORT, or --all"},
    {"release 1.2.3.4 --all --owner=o --store=sqlite:x", "either ADDRESS|PORT, or --all"},
    {"pools -ojson --store=memory:", "a memory store is gone with the program"},
    {"pools --store", "\"--store\": it needs a value"},
    {"pools --store=sqlite:x --store=sqlite:y", "it is given twice"},
    {"pools --store=etcd:127.0.0.1:2379", "it must be etcd:http://HOST:PORT"},
    {"pools --store=sqlite:x --etcd-user=root", "--etcd-user: it is for --store=etcd:..."},
    {"pools --store=etcd:http://h:1 --etcd-user=root", "it needs --etcd-password-file, too"},
    {"pools --store=etcd:http://h:1 --etcd-user=a --etcd-user=b", "it is given twice"},
    {"pools --store=etcd:http://h:1 --etcd-timeout=soon", "it must be a time from 1ms to 10m"},
    {"pools --server=http://h:1 --etcd-timeout=1s", "--etcd-timeout: it is for --store=etcd:..."},
    {"copy", "usage: ipallocctl copy FROM TO"},
    {"copy sqlite:a", "usage: ipallocctl copy FROM TO"},
    {"copy sqlite:a sqlite:b sqlite:c", "\"sqlite:c\": one word too many"},
    {"copy sqlite:a b", "\"b\": it must be memory:, sqlite:PATH or etcd:URL"},
    {"copy memory: sqlite:b", "a memory store is gone with the program"},
    {"copy sqlite:a sqlite:a", "\"sqlite:a\": it is both FROM and TO"},
    {"copy sqlite:a sqlite:b --store=sqlite:c", "its stores are words of their own"},
    {"copy sqlite:a sqlite:b --etcd-user=root", "--etcd-user: it is for --store=etcd:..."},
    {"pools extra --store=sqlite:x", "\"extra\": one word too many"},
    {"pools --pool=p --store=sqlite:x", "no such option here"},
    {"list --pool=a --pool=b --store=sqlite:x", "\"--pool\": it is given twice"},
    {"list --pool= --store=sqlite:x", "\"--pool\": it needs a value"},
    {"list -o yaml --store=sqlite:x", "the output is table or json"},
    {"map p --columns=2 --store=sqlite:x", "columns are a number from 24 to 1000"},
    {"map p --color=blue --store=sqlite:x", "colour is auto, always or never"},
    {"show --store=sqlite:x", "usage: ipallocctl show ADDRESS|PORT"},
    {"allocate p --slot=s --store=sqlite:x", "--owner must be given"},
    {"reserve 1.2.3.4 --owner=o --store=sqlite:x", "--slot must be given"},
    {"list --owner=\xff --store=sqlite:x", "it is not valid UTF-8"},
};

START_TEST(a_wrong_line_is_one_clear_line_and_exit_2) {
    for (size_t i = 0; i < sizeof wrong_lines / sizeof wrong_lines[0]; i++) {
        struct ran ran = ctl_expect(2, "%s", wrong_lines[i].line);
        expect_in(ran.errors, wrong_lines[i].says);
        ran_free(&ran);
    }
}
END_TEST

static const char *const commands[] = {
    "pools",   "list",    "show",   "map",    "check",  "reserve", "allocate", "release",
    "exclude", "include", "repair", "import", "export", "backup",  "copy",     "accept"};

START_TEST(every_command_has_help_with_an_example) {
    char example[64];
    struct ran all = ctl_expect(0, "--help");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct ran one = ctl_expect(0, "%s --help", commands[i]);
        snprintf(example, sizeof example, "\n  ipallocctl %s ", commands[i]);
        expect_in(all.out, commands[i]);
        expect_in(one.out, example);
        expect_in(one.out, "has no authentication");
        ran_free(&one);
    }
    ran_free(&all);
}
END_TEST

START_TEST(the_version_is_the_librarys) {
    struct ran ran = ctl_expect(0, "--version");
    ck_assert_str_eq(ran.out, "ipallocctl " IPALLOC_VERSION_TEXT "\n");
    ran_free(&ran);
}
END_TEST

/* --- looking -----------------------------------------------------------------------------------
 */

START_TEST(pools_shows_counts_of_every_range) {
    begin();
    make_store();
    struct ran ran = ctl_expect(0, "pools --store=%s", url);
    ck_assert_str_eq(
        ran.out, "NAME          TYPE   RANGE          STATE    SIZE   USED   COOLING   EXCLUDED   "
                 "FREE-STATIC   FREE-DYNAMIC\n"
                 "node-ports    port   30000-30127    active   128    0      0         0          "
                 "16         "
                 "   112\n"
                 "other-ports   port   30100-30200    active   101    0      0         0          "
                 "16         "
                 "   85\n"
                 "services-v4   ipv4   10.96.0.0/24   active   254    3      1         32         "
                 "14         "
                 "   204\n");
    ran_free(&ran);
    ran = ctl_expect(0, "pools -o json --store=%s", url);
    struct json_object *items = json_object_object_get(ran.json, "items");
    ck_assert_int_eq((int)json_object_array_length(items), 3);
    expect_in(ran.out, "{\"kind\":\"PoolList\",\"items\":[");
    expect_in(ran.out, "\"staticFirst\":\"10.96.0.1\",\"staticLast\":\"10.96.0.16\"");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(list_takes_a_pool_an_owner_and_a_prefix_of_owners) {
    begin();
    make_store();
    struct ran ran = ctl_expect(0, "list --store=%s", url);
    expect_in(ran.out, "POOL          PLACE         OWNER                   SLOTS");
    expect_in(ran.out, "10.96.0.1 ");
    expect_in(ran.out, "Router/edge");
    ran_free(&ran);
    ran = ctl_expect(0, "list --owner Service/default/* --store=%s", url);
    expect_in(ran.out, "Service/default/web/1");
    expect_in(ran.out, "Service/default/dns/2");
    ck_assert_ptr_null(strstr(ran.out, "Router"));
    ran_free(&ran);
    ran = ctl_expect(0, "list --owner Router/edge -o json --store=%s", url);
    ck_assert_int_eq((int)json_object_array_length(json_object_object_get(ran.json, "items")), 1);
    expect_in(ran.out, "\"address\":\"10.96.0.200\",\"owner\":\"Router/edge\",\"slots\":[\"10.96.0."
                       "200\"]");
    ran_free(&ran);
    ran = ctl_expect(0, "list --pool node-ports -o json --store=%s", url);
    ck_assert_str_eq(ran.out, "{\"kind\":\"LeaseList\",\"items\":[\n]}\n");
    ran_free(&ran);
    ran = ctl_expect(1, "list --pool nope --store=%s", url);
    expect_in(ran.errors, "there is no pool");
    ran_free(&ran);
    end();
}
END_TEST

static const struct {
    const char *place;
    int code;
    const char *says;
} places[] = {
    {"10.96.0.1", 0, "State:          held\nOwner:          Service/default/web/1\n"},
    {"10.96.0.2", 0, "State:          free\n"},
    {"10.96.0.2", 0, "Band:           static\n"},
    {"10.96.0.17", 0, "Band:           dynamic\n"},
    {"10.96.0.201", 0, "State:          cooling\nLast owner:     Router/edge\n"},
    {"10.96.0.64", 0, "State:          excluded\nExcluded from:  10.96.0.64\n"},
    {"10.96.0.0", 0, "State:          unusable\n"},
    {"10.96.0.255", 0, "State:          unusable\n"},
    {"30001", 0, "Pool:           node-ports\n"},
    {"30120", 0, "Pool:           other-ports\n"},
    {"30120 --pool node-ports", 0, "Pool:           node-ports\n"},
    {"10.97.0.1", 1, "10.97.0.1 is in no pool; there is node-ports 30000-30127"},
    {"fd00::1", 1, "fd00::1 is in no pool"},
    {"30300", 1, "30300 is in no pool"},
    {"70000", 1, "\"70000\" is no port"},
    {"010.96.0.1", 1, "leading 0s"},
    {"10.96.0.1 --pool node-ports", 1, "10.96.0.1 is not in pool node-ports"},
    {"bogus", 1, "bogus"},
};

START_TEST(show_says_what_is_known_of_a_place) {
    begin();
    make_store();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct ran ran = ctl_expect(places[i].code, "show %s --store=%s", places[i].place, url);
        expect_in(places[i].code == 0 ? ran.out : ran.errors, places[i].says);
        ran_free(&ran);
    }
    end();
}
END_TEST

START_TEST(ten_thousand_leases_are_listed_in_order) {
    begin();
    open_store();
    ipalloc_pool *pool = define("many", "10.0.0.0/16", 0);
    const unsigned count = (unsigned)test_scaled(10000);
    for (unsigned i = 0; i < count; i += 100) {
        char owner[32];
        ipalloc_txn *txn = NULL;
        snprintf(owner, sizeof owner, "Owner/%u", i);
        ipalloc_txn_options options = {.size = sizeof options, .owner = owner};
        ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
        for (unsigned j = i; j < i + 100 && j < count; j++) {
            char slot[32];
            ipalloc_grant grant = {.size = sizeof grant};
            snprintf(slot, sizeof slot, "slot/%u", j);
            require_status(ipalloc_txn_allocate(txn, pool, slot, &grant, &error), IPALLOC_OK);
        }
        ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    }
    close_store();
    struct ran ran = ctl_expect(0, "list -o json --store=%s", url);
    struct json_object *items = json_object_object_get(ran.json, "items");
    ck_assert_uint_eq(json_object_array_length(items), count);
    ran_free(&ran);
    ran = ctl_expect(0, "list --store=%s", url);
    unsigned lines = 0;
    for (const char *at = ran.out; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    ck_assert_uint_eq(lines, count + 1);
    ran_free(&ran);
    ran = ctl_expect(0, "check -o json --store=%s", url);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(an_owner_of_any_bytes_is_shown_in_valid_json) {
    begin();
    open_store();
    ipalloc_pool *pool = define("services-v4", "10.96.0.0/24", 0);
    hold(pool, "raw\xff\xfe", "10.96.0.9");
    close_store();
    struct ran ran = ctl_expect(0, "list -o json --store=%s", url);
    expect_in(ran.out, "\"owner\":\"raw%FF%FE\"");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(what_could_disturb_a_terminal_is_shown_as_numbers) {
    begin();
    open_store();
    ipalloc_pool *pool = define("services-v4", "10.96.0.0/24", 0);
    hold(pool, "evil\033[2J\nname", "10.96.0.9");
    close_store();
    struct ran ran = ctl_expect(0, "list --store=%s", url);
    expect_in(ran.out, "evil\\x1b[2J\\x0aname");
    ck_assert_ptr_null(strchr(ran.out, '\033'));
    ran_free(&ran);
    ran = ctl_expect(0, "show 10.96.0.9 --store=%s", url);
    expect_in(ran.out, "evil\\x1b[2J\\x0aname");
    ran_free(&ran);
    end();
}
END_TEST

/* --- changing ----------------------------------------------------------------------------------
 */

START_TEST(asking_again_gives_the_same_address) {
    begin();
    make_store();
    struct ran ran =
        ctl_expect(0, "allocate services-v4 --owner A/b --slot x -o json --store=%s", url);
    expect_in(ran.out, "\"address\":\"10.96.0.17\"");
    expect_in(ran.out, "\"existing\":false");
    ran_free(&ran);
    ran = ctl_expect(0, "allocate services-v4 --owner A/b --slot x --store=%s", url);
    expect_in(ran.out, "10.96.0.17");
    expect_in(ran.out, "held already");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_refusal_names_the_holder) {
    begin();
    make_store();
    struct ran ran = ctl_expect(1, "reserve 10.96.0.10 --owner A/b --slot x --store=%s", url);
    expect_in(ran.errors, "held by Service/default/dns/2");
    ran_free(&ran);
    ran = ctl_expect(1, "release 10.96.0.10 --owner A/b --store=%s", url);
    expect_in(ran.errors, "held by Service/default/dns/2");
    ran_free(&ran);
    ran = ctl_expect(1, "exclude 30005-30010 --store=%s", url);
    expect_in(ran.errors, "\"30005-30010\": addresses can be excluded, ports cannot");
    ran_free(&ran);
    ran = ctl_expect(1, "exclude 10.96.0.0/24 --dry-run --store=%s", url);
    expect_in(ran.errors, "10.96.0.1 is held by Service/default/web/1");
    ran_free(&ran);
    end();
}
END_TEST

static const struct {
    const char *line;
    const char *says;
} changes[] = {
    {"allocate services-v4 --owner A/b --slot x", "10.96.0.17"},
    {"allocate node-ports --owner A/b --slot x", "given"},
    {"reserve 10.96.0.33 --owner A/b --slot y", "10.96.0.33"},
    {"reserve 30001 --owner A/b --slot y", "30001"},
    {"release 10.96.0.200 --owner Router/edge", "released"},
    {"release --all --owner A/b", "10.96.0.33"},
    {"exclude 10.96.0.40-10.96.0.45", "10.96.0.45"},
    {"exclude 10.96.0.48/30", "10.96.0.51"},
    {"include 10.96.0.64-10.96.0.70", "included"},
};

static uint64_t revision_of_store(void) {
    ipalloc_store_info info = {.size = sizeof info};
    open_store();
    ck_assert_status(ipalloc_store_get_info(store, &info, &error), IPALLOC_OK);
    close_store();
    return info.revision;
}

START_TEST(a_change_is_made_once_and_a_dry_run_changes_nothing) {
    begin();
    make_store();
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint64_t before = revision_of_store();
        struct ran ran = ctl_expect(0, "%s --dry-run --store=%s", changes[i].line, url);
        ran_free(&ran);
        ck_assert_uint_eq(revision_of_store(), before);
        ran = ctl_expect(0, "%s --store=%s", changes[i].line, url);
        expect_in(ran.out, changes[i].says);
        ran_free(&ran);
        ck_assert_uint_gt(revision_of_store(), before);
    }
    struct ran ran = ctl_expect(0, "check --store=%s", url);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(what_a_living_service_names_is_not_released_by_hand) {
    static const char object[] =
        "{\"metadata\":{\"uid\":\"u1\"},\"spec\":{\"clusterIPs\":[\"10.96.0.1\"],\"ports\":[{"
        "\"port\":80,\"nodePort\":30005}]}}";
    begin();
    open_store();
    ipalloc_pool *pool = define("services-v4", "10.96.0.0/24", 0);
    hold(pool, "Service/default/web/u1", "10.96.0.1");
    hold(pool, "Service/default/web/u1", "10.96.0.2"); /* which it does not name */
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn = NULL;
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_put(txn, "services/default/web", object, strlen(object),
                                     IPALLOC_REVISION_ABSENT, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    close_store();
    struct ran ran =
        ctl_expect(1, "release 10.96.0.1 --owner Service/default/web/u1 --store=%s", url);
    expect_in(ran.errors, "10.96.0.1 is still named by Service/default/web/u1");
    ran_free(&ran);
    ran = ctl_expect(1, "release --all --owner Service/default/web/u1 --store=%s", url);
    expect_in(ran.errors, "exists");
    ran_free(&ran);
    ran = ctl_expect(0, "release 10.96.0.2 --owner Service/default/web/u1 --store=%s", url);
    ran_free(&ran);
    end();
}
END_TEST

/* --- stores ------------------------------------------------------------------------------------
 */

START_TEST(beside_a_living_owner_looking_works_and_writing_says_whom_to_ask) {
    char pid[32];
    begin();
    make_store();
    open_store();
    struct ran ran = ctl_expect(0, "list --store=%s", url);
    expect_in(ran.out, "Service/default/web/1");
    ran_free(&ran);
    ran = ctl_expect(0, "check --store=%s", url);
    ran_free(&ran);
    ran = ctl_expect(0, "allocate services-v4 --owner A/b --slot x --dry-run --store=%s", url);
    expect_in(ran.out, "free (dry run)");
    ran_free(&ran);
    ran = ctl_expect(1, "allocate services-v4 --owner A/b --slot x --store %s", url);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    expect_in(ran.errors, pid);
    expect_in(ran.errors, "ipallocctl --server=http://127.0.0.1:8001 allocate services-v4 --owner "
                          "A/b --slot x\n");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(after_an_owner_was_killed_all_is_there_and_can_be_changed) {
    begin();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        make_store();
        open_store();
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    struct ran ran = ctl_expect(0, "show 10.96.0.10 --store=%s", url);
    expect_in(ran.out, "Service/default/dns/2");
    ran_free(&ran);
    ran = ctl_expect(0, "release 10.96.0.10 --owner Service/default/dns/2 --store=%s", url);
    ran_free(&ran);
    ran = ctl_expect(0, "show 10.96.0.10 --store=%s", url);
    expect_in(ran.out, "cooling");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_missing_store_is_said_and_not_made) {
    char path[600];
    begin();
    struct ran ran = ctl_expect(1, "pools --store=%s", url);
    ran_free(&ran);
    ran = ctl_expect(1, "allocate p --owner A --slot s --store=%s", url);
    expect_in(ran.errors, "not found");
    ran_free(&ran);
    snprintf(path, sizeof path, "%s/db", directory);
    ck_assert_int_ne(access(path, F_OK), 0);
    end();
}
END_TEST

START_TEST(a_file_that_is_no_store_is_said_to_be_none) {
    char path[600];
    begin();
    snprintf(path, sizeof path, "%s/db", directory);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq((int)write(file, "what is this?", 13), 13);
    close(file);
    struct ran ran = ctl_expect(1, "pools --store=%s", url);
    expect_in(ran.errors, "stored data is damaged");
    ran_free(&ran);
    end();
}
END_TEST

static const struct {
    const char *key;
    const char *value;
} damages[] = {
    {"lease/services-v4/010.096.000.077/", "no lease"},
    {"lease/services-v4/010.096.000.010/", "address=10.96.0.10\n"},
    {"owner/Router%2Fedge/", "lease=services-v4 10.96.0.1 1 1 x\n"},
};

START_TEST(check_finds_damaged_records_and_names_them) {
    begin();
    make_store();
    ck_assert_status(ipalloc_store_open(url, NULL, &store, &error), IPALLOC_OK);
    ipalloc_op op = {.kind = IPALLOC_OP_PUT,
                     .key = {damages[_i].key, strlen(damages[_i].key)},
                     .value = {damages[_i].value, strlen(damages[_i].value)}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_OK);
    ck_assert_status(batch.status, IPALLOC_OK);
    ipalloc_store_close(store);
    store = NULL;
    struct ran ran = ctl_expect(1, "check --store=%s", url);
    expect_in(ran.errors, "stored data is damaged: ");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_backup_allocates_only_once_it_is_accepted) {
    begin();
    make_store();
    open_store(); /* made beside its living owner */
    struct ran ran = ctl_expect(0, "backup %s/copy --store=%s", directory, url);
    ran_free(&ran);
    ran = ctl_expect(1, "backup %s/copy --store=%s", directory, url);
    expect_in(ran.errors, "exists already");
    ran_free(&ran);
    ran = ctl_expect(0, "list --store=sqlite:%s/copy", directory);
    expect_in(ran.out, "Router/edge");
    ran_free(&ran);
    ran = ctl_expect(0, "check --store=sqlite:%s/copy", directory);
    expect_in(ran.out, "restored, not accepted");
    ran_free(&ran);
    ran =
        ctl_expect(1, "allocate services-v4 --owner A --slot s --store=sqlite:%s/copy", directory);
    expect_in(ran.errors, "; ipallocctl accept does that\n");
    ran_free(&ran);
    ran = ctl_expect(0, "accept --dry-run --store=sqlite:%s/copy", directory);
    expect_in(ran.out, "accepted (dry run)");
    ran_free(&ran);
    ran = ctl_expect(0, "accept --store=sqlite:%s/copy", directory);
    expect_in(ran.out, "accepted");
    ran_free(&ran);
    ran =
        ctl_expect(0, "allocate services-v4 --owner A --slot s --store=sqlite:%s/copy", directory);
    ran_free(&ran);
    ran = ctl_expect(0, "accept --store=sqlite:%s/copy", directory);
    expect_in(ran.out, "nothing to accept");
    ran_free(&ran);
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl");
    TCase *cases = tcase_create("ipallocctl");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_wrong_line_is_one_clear_line_and_exit_2);
    tcase_add_test(cases, every_command_has_help_with_an_example);
    tcase_add_test(cases, the_version_is_the_librarys);
    tcase_add_test(cases, pools_shows_counts_of_every_range);
    tcase_add_test(cases, list_takes_a_pool_an_owner_and_a_prefix_of_owners);
    tcase_add_test(cases, show_says_what_is_known_of_a_place);
    tcase_add_test(cases, ten_thousand_leases_are_listed_in_order);
    tcase_add_test(cases, an_owner_of_any_bytes_is_shown_in_valid_json);
    tcase_add_test(cases, what_could_disturb_a_terminal_is_shown_as_numbers);
    tcase_add_test(cases, asking_again_gives_the_same_address);
    tcase_add_test(cases, a_refusal_names_the_holder);
    tcase_add_test(cases, a_change_is_made_once_and_a_dry_run_changes_nothing);
    tcase_add_test(cases, what_a_living_service_names_is_not_released_by_hand);
    tcase_add_test(cases, beside_a_living_owner_looking_works_and_writing_says_whom_to_ask);
    tcase_add_test(cases, after_an_owner_was_killed_all_is_there_and_can_be_changed);
    tcase_add_test(cases, a_missing_store_is_said_and_not_made);
    tcase_add_test(cases, a_file_that_is_no_store_is_said_to_be_none);
    tcase_add_loop_test(cases, check_finds_damaged_records_and_names_them, 0,
                        (int)(sizeof damages / sizeof damages[0]));
    tcase_add_test(cases, a_backup_allocates_only_once_it_is_accepted);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
