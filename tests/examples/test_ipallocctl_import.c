/* ipallocctl import and export: what real clusters store, our own exports, and what is refused. The
 * bytes in data/kubernetes are described there. */
#include "ctl_process.h"
#include "ctl_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ipalloc_error error;

static const char *data(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/kubernetes/%s", getenv("TEST_DATA"), name);
    return path;
}

/* A file of this test's; its path is good until the next call. */
static const char *file_of(const void *bytes, size_t size) {
    static char path[600];
    snprintf(path, sizeof path, "%s/input", directory);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(bytes, 1, size, file);
    fclose(file);
    return path;
}

static const char *text_file(const char *text) {
    return file_of(text, strlen(text));
}

static char *read_file(const char *path, size_t *size) {
    char *bytes = malloc(65536);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    *size = fread(bytes, 1, 65536, file);
    fclose(file);
    return bytes;
}

static void expect_done(struct ran ran, const char *part) {
    expect_in(ran.out, part);
    ran_free(&ran);
}

static uint64_t revision_of_store(void) {
    ipalloc_store_info info = {.size = sizeof info};
    open_store();
    ck_assert_status(ipalloc_store_get_info(store, &info, &error), IPALLOC_OK);
    close_store();
    return info.revision;
}

/* --- what Kubernetes stores --------------------------------------------------------------------
 */

static const char *const dumps[] = {"stored-by-1.36.2", "stored-by-1.36.2-as-json"};

START_TEST(a_dump_of_a_real_cluster_is_taken_over) {
    begin();
    expect_done(ctl_expect(0, "import %s --define --store=%s", data(dumps[_i]), url), "imported");
    expect_done(ctl_expect(0, "show 10.96.0.10 --store=%s", url),
                "Owner:          Import/Service/default/web\nSlots:          clusterIP/IPv4\n");
    expect_done(ctl_expect(0, "show 10.96.0.1 --store=%s", url),
                "Owner:          Import/Service/default/kubernetes\n");
    expect_done(ctl_expect(0, "pools --store=%s", url), "30000-32767");
    expect_done(ctl_expect(0, "check --store=%s", url), "ok");
    uint64_t before = revision_of_store();
    expect_done(ctl_expect(0, "import %s --store=%s", data(dumps[_i]), url), "imported");
    ck_assert_uint_eq(revision_of_store(), before); /* a second time nothing is left to do */
    end();
}
END_TEST

START_TEST(a_bitmap_says_that_a_port_is_taken_and_not_by_whom) {
    begin();
    expect_done(ctl_expect(0, "import %s --define --store=%s",
                           text_file("\n {\"kind\":\"RangeAllocation\",\"range\":\"10.99.0.0/24\","
                                     "\"data\":null}"),
                           url),
                "imported");
    expect_done(ctl_expect(0, "import %s --define --store=%s",
                           data("stored-by-1.36.2/registry_ranges_servicenodeports.bin"), url),
                "imported");
    expect_done(ctl_expect(0, "list --store=%s", url), "Import/30000-32767/0");
    end();
}
END_TEST

START_TEST(the_newline_of_etcdctl_is_no_damage) {
    size_t size;
    begin();
    char *bytes = read_file(data("stored-by-1.36.2/registry_ipaddresses_10.96.0.10.bin"), &size);
    if (bytes[size - 1] != '\n') {
        bytes[size++] = '\n';
    }
    expect_done(ctl_expect(0, "import %s --define --store=%s", data("stored-by-1.36.2"), url), " ");
    expect_done(ctl_expect(0, "import %s --store=%s", file_of(bytes, size), url), "imported");
    char *twice = malloc(2 * size);
    ck_assert_ptr_nonnull(twice);
    memcpy(twice, bytes, size);
    memcpy(twice + size, bytes, size);
    struct ran several = ctl_expect(1, "import %s --store=%s", file_of(twice, 2 * size), url);
    expect_in(several.errors, "it holds several values: one to a file, or all by etcdctl -w json");
    ran_free(&several);
    free(twice);
    bytes[size - 1] = 'x';
    struct ran ran = ctl_expect(1, "import %s --store=%s", file_of(bytes, size), url);
    ran_free(&ran);
    free(bytes);
    end();
}
END_TEST

static const char bitmap_json[] =
    "{\"kind\":\"RangeAllocation\",\"range\":\"10.96.0.0/24\",\"data\":\"AwE=\"}";

static const struct {
    const char *text;
    const char *place;
    const char *says;
} inputs[] = {
    {bitmap_json, "10.96.0.1", "Import/10.96.0.0/24/0"},
    {bitmap_json, "10.96.0.9", "Import/10.96.0.0/24/0"},
    {bitmap_json, "10.96.0.10", "Import/10.96.0.0/24/0"},
    {"{\"kind\":\"IPAddressList\",\"items\":[{\"metadata\":{\"name\":\"10.96.0.7\",\"labels\":{"
     "\"ipaddress.kubernetes.io/ip-family\":\"IPv4\",\"ipaddress.kubernetes.io/managed-by\":"
     "\"ipallocator.k8s.io\"}},\"spec\":{\"parentRef\":{\"resource\":\"services\",\"namespace\":"
     "\"a\",\"name\":\"b\"}}}]}",
     "10.96.0.7", "Import/Service/a/b"},
    {"{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"},{\"kind\":\"IPAddress\",\"metadata\":{"
     "\"name\":\"10.96.0.8\"},\"spec\":{\"parentRef\":{\"group\":\"example.com\",\"resource\":"
     "\"gateways\",\"namespace\":\"a\",\"name\":\"b\"}}}]}",
     "10.96.0.8", "Import/gateways.example.com/a/b"},
    {"{\"header\":{},\"kvs\":[{\"key\":\"L3g=\",\"value\":\"eyJraW5kIjoiUmFuZ2VBbGxvY2F0aW9uIiwicmF"
     "uZ2UiOiIxMC45Ni4wLjAvMjQiLCJkYXRhIjoiQVE9PSJ9\"}],\"count\":1}",
     "10.96.0.1", "Import/10.96.0.0/24/0"},
};

START_TEST(json_of_each_kind_is_read) {
    begin();
    open_store();
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ipalloc_pool *pool = NULL;
    ck_assert_status(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error),
                     IPALLOC_OK);
    close_store();
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        expect_done(ctl_expect(0, "import %s --store=%s", text_file(inputs[i].text), url),
                    "imported");
        expect_done(ctl_expect(0, "show %s --store=%s", inputs[i].place, url), inputs[i].says);
    }
    end();
}
END_TEST

START_TEST(what_a_service_has_already_stays_its_own) {
    begin();
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(bitmap_json), url), " ");
    expect_done(ctl_expect(0, "reserve 10.96.0.7 --owner Service/a/b/uid --slot s --store=%s", url),
                "given");
    expect_done(ctl_expect(0, "import %s --store=%s", text_file(inputs[3].text), url), "imported");
    expect_done(ctl_expect(0, "show 10.96.0.7 --store=%s", url), "Service/a/b/uid");
    expect_done(ctl_expect(0, "release 10.96.0.7 --owner Service/a/b/uid --store=%s", url), " ");
    expect_done(
        ctl_expect(0, "reserve 10.96.0.7 --owner Service/a/bb/uid --slot s --store=%s", url),
        "given");
    struct ran ran = ctl_expect(1, "import %s --store=%s", text_file(inputs[3].text), url);
    expect_in(ran.errors, "held by Service/a/bb/uid");
    ran_free(&ran);
    end();
}
END_TEST

/* --- refusals ----------------------------------------------------------------------------------
 */

#define LEASE(address, owner) \
    "{\"type\":\"lease\",\"address\":\"" address "\",\"owner\":\"" owner "\",\"slots\":[\"s\"]}"
#define EXPORT(items) "{\"kind\":\"Export\",\"items\":[" items "],\"version\":1}"

static const struct {
    const char *text;
    const char *says;
} refused[] = {
    {"", "it is empty"},
    {"{", "unexpected end of data"},
    {"hello", ""},
    {"{\"kind\":\"Pod\"}", "nothing to import (1 values of other kinds)"},
    {"k8s:enc:aescbc:v1:key1:xxxx", "encrypted at rest"},
    {"{\"kind\":\"Export\",\"items\":[]}", "another version, or was cut off"},
    {"{\"kind\":\"RangeAllocation\",\"range\":\"10.96.0.0/24\",\"data\":\"A\"}", "base64"},
    {"{\"kind\":\"RangeAllocation\",\"range\":\"10.96.0.0/24\",\"data\":\"AwF=\"}", "base64"},
    {"{\"kind\":\"RangeAllocation\",\"range\":\"10.96.0.0/24\",\"data\":5}", "base64"},
    {"{\"kind\":\"RangeAllocation\",\"range\":\"10.96.0.0/30\",\"data\":\"/w==\"}", ""},
    {"{\"kind\":\"RangeAllocation\",\"range\":\"10.97.0.0/24\",\"data\":\"AQ==\"}",
     "no pool has the range 10.97.0.0/24; --define adds it to pool services-v4"},
    {"{\"kind\":\"IPAddress\",\"metadata\":{\"name\":\"10.96.0.07\"}}", "10.96.0.07"},
    {"{\"kind\":\"ServiceCIDR\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"cidrs\":[\"10.0.0.0/"
     "33\"]}"
     "}",
     "10.0.0.0/33"},
    {EXPORT(LEASE("10.96.0.50", "A") "," LEASE("10.96.0.50", "B")), "held by A"},
    {EXPORT(LEASE("10.96.0.50", "A") "," LEASE("10.96.0.51", "A")),
     "10.96.0.51 for A: slot s of this owner has 10.96.0.50"},
    {EXPORT(LEASE("10.96.0.60", "A") "," LEASE("10.96.0.40", "Z")), "held by Router/edge"},
    {EXPORT(LEASE("10.97.0.50", "A")), "in no pool"},
    {EXPORT(LEASE("10.96.0.255", "A")), "10.96.0.255"},
    {EXPORT(LEASE("10.96.0.50", "")), "item 0: owner: 1 to 255 bytes"},
    {EXPORT("{\"type\":\"lease\",\"address\":\"10.96.0.50\",\"owner\":\"A\"}"), "slots"},
    {EXPORT("{\"type\":\"lease\",\"address\":80,\"owner\":\"A\"}"), "item 0: "},
    {EXPORT("{\"type\":\"pet\"}"), "there is no type \"pet\""},
    {EXPORT("{\"type\":\"pool\",\"name\":\"x\",\"definition\":[\"kind=cow\"]}"), "kind=cow"},
    {EXPORT("{\"type\":\"pool\",\"name\":\"x\",\"definition\":[\"kind=ipv4\",\"range=10.1.0.0/24 "
            "active\"]}"),
     "there is no pool x; --define makes it"},
    {EXPORT(
         "{\"type\":\"pool\",\"name\":\"services-v4\",\"definition\":[\"kind=ipv4\",\"range=10.1."
         "0.0/24 active\"]}"),
     "another definition"},
    {EXPORT("{\"type\":\"record\",\"key\":\"a\",\"value\":\"2\"}"), "another value"},
};

START_TEST(what_cannot_all_be_is_refused_and_nothing_is_written) {
    begin();
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(bitmap_json), url), " ");
    expect_done(ctl_expect(0, "reserve 10.96.0.40 --owner Router/edge --slot s --store=%s", url),
                "given");
    expect_done(ctl_expect(0, "import %s --store=%s",
                           text_file(EXPORT("{\"type\":\"record\",\"key\":\"a\",\"value\":\"1\"}")),
                           url),
                "imported");
    uint64_t before = revision_of_store();
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct ran ran = ctl_expect(1, "import %s --store=%s", text_file(refused[i].text), url);
        expect_in(ran.errors, refused[i].says);
        ran_free(&ran);
    }
    ck_assert_uint_eq(revision_of_store(), before);
    struct ran ran = ctl_expect(1, "import %s/nothing --store=%s", directory, url);
    expect_in(ran.errors, "No such file or directory");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_dry_run_makes_no_pool_and_no_store) {
    char path[600];
    begin();
    struct ran ran = ctl_expect(1, "import %s --dry-run --store=%s", text_file(bitmap_json), url);
    ran_free(&ran);
    ran = ctl_expect(1, "import %s --define --dry-run --store=sqlite:%s/none/db",
                     text_file(bitmap_json), directory);
    expect_in(ran.errors, "No such file or directory");
    ran_free(&ran);
    ran = ctl_expect(1, "import %s --store=%s", text_file(bitmap_json), url); /* without --define */
    ran_free(&ran);
    for (int i = 0; i < 2; i++) { /* the trial counts as the import does, in both dumps */
        char line[1700];
        snprintf(line, sizeof line, "import %s --define -o json --store=%s", data(dumps[i]), url);
        struct ran dry = ctl_expect(0, "%s --dry-run", line);
        snprintf(path, sizeof path, "%s/db", directory);
        ck_assert_int_ne(access(path, F_OK), 0);
        struct ran wet = ctl_expect(0, "%s", line);
        *strstr(dry.out, ",\"dryRun\"") = *strstr(wet.out, ",\"dryRun\"") = '\0';
        ck_assert_str_eq(dry.out, wet.out);
        expect_in(wet.out, i == 0 ? "\"given\":4,\"existing\":0" : "\"given\":2,\"existing\":2");
        ran_free(&dry);
        ran_free(&wet);
        test_directory_remove(directory);
        begin();
    }
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(bitmap_json), url), " ");
    uint64_t before = revision_of_store();
    expect_done(
        ctl_expect(0, "import %s --define --dry-run --store=%s",
                   text_file("{\"kind\":\"RangeAllocation\",\"range\":\"30000-30100\",\"data\":"
                             "\"AQ==\"}"),
                   url),
        "possible (dry run)");
    ck_assert_uint_eq(revision_of_store(), before);
    end();
}
END_TEST

/* --- our own exports ---------------------------------------------------------------------------
 */

/* Two pools, two slots of one address, bytes that are no text, what drains and what is excluded. */
static void make_store(void) {
    ipalloc_cidr ranges[] = {cidr("10.96.0.0/24"), cidr("10.98.0.0/28")};
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_IPV4,
                                          .ranges = ranges,
                                          .range_count = 2,
                                          .cool_down_ms = 5000,
                                          .static_band_size = 7};
    ipalloc_pool_definition ports = {
        .size = sizeof ports, .kind = IPALLOC_POOL_PORT, .port_first = 30000, .port_last = 30099};
    ipalloc_pool *pool = NULL;
    ipalloc_pool *port_pool = NULL;
    ipalloc_txn *txn = NULL;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a/b/u"};
    ipalloc_addr first = addr("10.96.0.9");
    ipalloc_addr second = addr("10.98.0.3");
    ipalloc_addr from = addr("10.96.0.32");
    ipalloc_addr to = addr("10.96.0.40");
    open_store();
    ck_assert_status(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_pool_define(registry, "node-ports", &ports, &port_pool, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_reserve(txn, pool, "one", &first, NULL, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_reserve(txn, pool, "t\xffwo", &first, NULL, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_reserve_port(txn, port_pool, "p", 30005, NULL, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_txn_put(txn, "services/a/b", "{\"metadata\":{\"uid\":\"u\"}}", 24,
                                     IPALLOC_REVISION_ABSENT, &error),
                     IPALLOC_OK);
    ck_assert_status(
        ipalloc_txn_put(txn, "raw", "\x00\xff\x01", 3, IPALLOC_REVISION_ABSENT, &error),
        IPALLOC_OK);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_reserve(registry, pool, "raw\xfe", "s", &second, NULL, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_pool_exclude(pool, &from, &to, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_pool_drain_range(pool, &ranges[1], &error), IPALLOC_OK);
    close_store();
}

START_TEST(an_export_is_imported_to_the_same_again) {
    char other[600];
    begin();
    make_store();
    snprintf(other, sizeof other, "sqlite:%s/other", directory);
    struct ran first = ctl_expect(0, "export --store=%s", url);
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(first.out), other),
                "2       0        3       0          2         imported");
    struct ran second = ctl_expect(0, "export --store=%s", other);
    ck_assert_str_eq(first.out, second.out);
    expect_done(ctl_expect(0, "import %s --store=%s", text_file(first.out), other),
                "0       0        0       3          0         imported");
    expect_done(ctl_expect(0, "import %s --store=%s", text_file(first.out), url),
                "0       0        0       3          0         imported");
    expect_done(ctl_expect(0, "check --store=%s", other), "ok");
    ran_free(&first);
    ran_free(&second);
    end();
}
END_TEST

START_TEST(an_import_that_was_cut_off_is_done_by_doing_it_again) {
    char other[600];
    begin();
    make_store();
    snprintf(other, sizeof other, "sqlite:%s/other", directory);
    struct ran whole = ctl_expect(0, "export --store=%s", url);
    /* A part of it: pools without what drains and is excluded, and no lease yet. */
    static const char part[] =
        EXPORT("{\"type\":\"pool\",\"name\":\"services-v4\",\"definition\":[\"kind=ipv4\",\"range="
               "10.96.0.0/24 active\",\"range=10.98.0.0/28 active\",\"strategy=random\",\"static-"
               "band=7\",\"cool-down-ms=5000\",\"use-all-addresses=no\",\"reuse-cooling-when-full="
               "no\",\"refuse-reserve-cooling=no\"]}");
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(part), other), "imported");
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(whole.out), other),
                "1       0        3       0          2         imported");
    struct ran again = ctl_expect(0, "export --store=%s", other);
    ck_assert_str_eq(whole.out, again.out);
    ran_free(&whole);
    ran_free(&again);
    end();
}
END_TEST

/* --- for Kubernetes ----------------------------------------------------------------------------
 */

START_TEST(ranges_and_addresses_are_written_as_a_cluster_stores_them) {
    /* field for field what kube-apiserver writes for 10.96.0.1, .9 and .10 in this range */
    static const unsigned char expected[] =
        "k8s\0\x0a\x15\x0a\x02v1\x12\x0fRangeAllocation\x12\x24\x0a\x10\x0a\x00\x12\x00\x1a\x00\x22"
        "\x00*\x00\x32\x00\x38\x00\x42\x00\x12\x0c"
        "10.96.0.0/24\x1a\x02\x03\x01\x1a\x00\"";
    char path[700];
    char other[600];
    size_t size;
    begin();
    expect_done(ctl_expect(0, "import %s --define --store=%s", text_file(bitmap_json), url), " ");
    expect_done(ctl_expect(0, "import %s --store=%s",
                           text_file(EXPORT(LEASE("10.96.0.77", "Service/a/b/u"))), url),
                " ");
    expect_done(ctl_expect(0, "release 10.96.0.77 --owner Service/a/b/u --store=%s", url), " ");
    expect_done(ctl_expect(0, "export --kubernetes %s/dump --store=%s", directory, url),
                "1 files in ");
    snprintf(path, sizeof path, "%s/dump/rangeallocation-10.96.0.0_24.bin", directory);
    char *bytes = read_file(path, &size);
    ck_assert_uint_eq(size, sizeof expected);
    ck_assert_int_eq(memcmp(bytes, expected, size), 0);
    free(bytes);
    expect_done(ctl_expect(0,
                           "reserve 10.96.0.77 --owner Service/a/b/u --slot clusterIP/IPv4 "
                           "--store=%s",
                           url),
                " ");
    expect_done(ctl_expect(0, "export --kubernetes %s/more --store=%s", directory, url),
                "2 files in ");
    snprintf(other, sizeof other, "sqlite:%s/other", directory);
    expect_done(ctl_expect(0, "import %s/more --define --store=%s", directory, other),
                "0       1        4       1          0         imported");
    expect_done(ctl_expect(0, "show 10.96.0.77 --store=%s", other), "Import/Service/a/b");
    struct ran ran = ctl_expect(1, "export --kubernetes %s/more --store=%s", directory, url);
    expect_in(ran.errors, "File exists");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(what_kubernetes_cannot_represent_is_refused_and_no_file_is_written) {
    char path[600];
    ipalloc_cidr range = cidr("fd00::/64");
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV6, .ranges = &range, .range_count = 1};
    ipalloc_pool *pool = NULL;
    ipalloc_addr far = addr("fd00::1:0:0");
    begin();
    open_store();
    ck_assert_status(ipalloc_pool_define(registry, "services-v6", &definition, &pool, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_reserve(registry, pool, "o", "s", &far, NULL, &error), IPALLOC_OK);
    close_store();
    struct ran ran = ctl_expect(1, "export --kubernetes %s/dump --store=%s", directory, url);
    expect_in(ran.errors, "fd00::1:0:0: it is held, and Kubernetes' RangeAllocation has no place");
    ran_free(&ran);
    snprintf(path, sizeof path, "%s/dump", directory);
    ck_assert_int_ne(access(path, F_OK), 0);
    ran = ctl_expect(1, "export --kubernetes %s/dump --pool nope --store=%s", directory, url);
    expect_in(ran.errors, "there is no such pool");
    ran_free(&ran);
    ran = ctl_expect(2, "export --pool services-v6 --store=%s", url);
    ran_free(&ran);
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl import");
    TCase *cases = tcase_create("import");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, a_dump_of_a_real_cluster_is_taken_over, 0,
                        (int)(sizeof dumps / sizeof dumps[0]));
    tcase_add_test(cases, a_bitmap_says_that_a_port_is_taken_and_not_by_whom);
    tcase_add_test(cases, the_newline_of_etcdctl_is_no_damage);
    tcase_add_test(cases, json_of_each_kind_is_read);
    tcase_add_test(cases, what_a_service_has_already_stays_its_own);
    tcase_add_test(cases, what_cannot_all_be_is_refused_and_nothing_is_written);
    tcase_add_test(cases, a_dry_run_makes_no_pool_and_no_store);
    tcase_add_test(cases, an_export_is_imported_to_the_same_again);
    tcase_add_test(cases, an_import_that_was_cut_off_is_done_by_doing_it_again);
    tcase_add_test(cases, ranges_and_addresses_are_written_as_a_cluster_stores_them);
    tcase_add_test(cases, what_kubernetes_cannot_represent_is_refused_and_no_file_is_written);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
