/*
 * test_service_cidr.c: ServiceCIDR objects read and refused.
 */
#include "stored_support.h"

#include <string.h>

static ipalloc_error error;

static const char *cidr_text(const ipalloc_cidr *c) {
    static char text[IPALLOC_CIDR_TEXT];
    ipalloc_cidr_format(c, text);
    return text;
}

START_TEST(what_kube_apiserver_stored_is_read) {
    ipalloc_bytes stored = sample_read(SERVICE_CIDR_SAMPLE);
    ipalloc_service_cidr s = {.size = sizeof s};
    ck_assert_status_error(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_OK, &error);
    ck_assert_str_eq(s.name, "kubernetes");
    ck_assert_uint_eq(s.cidr_count, 2);
    ck_assert_str_eq(cidr_text(&s.cidrs[0]), "10.96.0.0/16");
    ck_assert_str_eq(cidr_text(&s.cidrs[1]), "fd00:10:96::/112");
    ck_assert(s.ready && !s.deleting);
    bytes_free(stored);
}
END_TEST

/* In the golden file names and CIDRs are none: they are put right in their place. */
START_TEST(the_golden_file_is_read) {
    ipalloc_bytes stored = sample_read("api-golden/networking.k8s.io.v1.ServiceCIDR.pb");
    ipalloc_service_cidr s = {.size = sizeof s};
    ck_assert_status(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, "ServiceCIDR: the name \"nameValue\" is not a lowercase RFC "
                                    "1123 subdomain");
    memcpy(memmem(stored.data, stored.size, "nameValue", 9), "namevalue", 9);
    ck_assert_status(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message,
                     "ServiceCIDR: \"cidrsValue\": a CIDR needs a prefix length, (e.g. "
                     "10.9.8.0/24)");
    memcpy(memmem(stored.data, stored.size, "cidrsValue", 10), "10.0.0.0/8", 10);
    ck_assert_status_error(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_OK, &error);
    ck_assert_str_eq(s.name, "namevalue");
    ck_assert_uint_eq(s.cidr_count, 1);
    ck_assert(!s.ready && s.deleting);
    bytes_free(stored);
}
END_TEST

/* --- objects written by hand ----------------------------------------------------------------- */

#define META  "\012\003\012\001a"
#define CIDRS "\022\014\012\01210.0.0.0/8"
#define READY "\012\015\012\005Ready\022\004True"

static const struct {
    const char *object;
    size_t size;
    bool ready, deleting;
} GOOD[] = {
#define ROW(object, ready, deleting) \
    { object, sizeof(object) - 1, ready, deleting }
    ROW(META CIDRS, false, false),
    ROW(META CIDRS "\032\000", false, false),
    ROW(META CIDRS "\032\017" READY, true, false),
    ROW(META CIDRS "\032\033\012\012\012\010Shutdown" READY, true, false),
    ROW(META CIDRS "\032\020\012\016\012\005Ready\022\005False", false, false),
    ROW(META CIDRS "\032\022\012\020\012\005Ready\022\007Unknown", false, false),
    ROW(META CIDRS "\032\011\012\007\012\005Ready", false, false),
    ROW("\012\005\012\001aJ\000" CIDRS, false, false),
    ROW("\012\007\012\001aJ\002\010\001" CIDRS, false, true),
#undef ROW
};

START_TEST(the_condition_ready_and_the_deletion_decide) {
    ipalloc_bytes stored = enveloped("networking.k8s.io/v1beta1", "ServiceCIDR",
                                     (ipalloc_bytes){GOOD[_i].object, GOOD[_i].size});
    ipalloc_service_cidr s = {.size = sizeof s};
    ck_assert_status_error(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_OK, &error);
    ck_assert_str_eq(s.name, "a");
    ck_assert_str_eq(cidr_text(&s.cidrs[0]), "10.0.0.0/8");
    ck_assert_int_eq(s.ready, GOOD[_i].ready);
    ck_assert_int_eq(s.deleting, GOOD[_i].deleting);
    bytes_free(stored);
}
END_TEST

static const struct {
    const char *object;
    size_t size;
    const char *message;
} DAMAGED[] = {
#define ROW(object, message) \
    { object, sizeof(object) - 1, message }
    ROW("", "ServiceCIDR: metadata is missing"),
    ROW(META, "ServiceCIDR: spec is missing"),
    ROW("\012\002\010\000" CIDRS, "metadata: name has wire type 0, not 2"),
    ROW("\012\000" CIDRS, "ServiceCIDR: the name \"\" is not a lowercase RFC 1123 subdomain"),
    ROW(META "\022\002\010\000", "spec: cidrs has wire type 0, not 2"),
    ROW(META "\022\000", "ServiceCIDR: 0 CIDRs; it has one or two"),
    ROW(META "\022\006\012\000\012\000\012\000", "ServiceCIDR: 3 CIDRs; it has one or two"),
    ROW(META "\022\002\012\000",
        "ServiceCIDR: \"\": a CIDR needs a prefix length, (e.g. 10.9.8.0/24)"),
    ROW(META "\022\014\012\01210.0.0.0/y",
        "ServiceCIDR: \"10.0.0.0/y\": the prefix length must be a number from 0 to 32"),
    ROW(META CIDRS "\032\002\010\000", "status: conditions has wire type 0, not 2"),
    ROW(META CIDRS "\032\004\012\002\010\000", "condition: type has wire type 0, not 2"),
    ROW(META CIDRS "\032\036" READY READY, "status: the condition Ready is there twice"),
#undef ROW
};

START_TEST(a_damaged_one_is_refused) {
    ipalloc_bytes stored = enveloped("networking.k8s.io/v1", "ServiceCIDR",
                                     (ipalloc_bytes){DAMAGED[_i].object, DAMAGED[_i].size});
    ipalloc_service_cidr s = {.size = sizeof s, .cidr_count = 77};
    ck_assert_status(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, DAMAGED[_i].message);
    ck_assert_uint_eq(s.cidr_count, 77);
    bytes_free(stored);
}
END_TEST

START_TEST(another_kind_is_no_damage) {
    ipalloc_bytes stored = sample_read(NODE_PORTS_SAMPLE);
    ipalloc_service_cidr s = {.size = sizeof s};
    ck_assert_status(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_E_INVALID);
    s.size = 0;
    ck_assert_status(ipalloc_service_cidr_decode(stored, &s, &error), IPALLOC_E_INVALID);
    bytes_free(stored);
}
END_TEST

/* --- made from texts ------------------------------------------------------------------------- */

static const struct {
    const char *cidrs[2];
    const char *message; /* NULL: good */
} TEXTS[] = {
    {{"10.0.0.0/8"}, NULL},
    {{"10.0.0.0/8", "fd00::/108"}, NULL},
    {{"fd00::/48", "10.0.0.0/8"}, NULL},
    {{"10.0.0.0/8", "11.0.0.0/8"},
     "ServiceCIDR: both CIDRs are IPv4; there may be one of each family"},
    {{"fd00::/48", "fd00:1::/48"},
     "ServiceCIDR: both CIDRs are IPv6; there may be one of each family"},
    {{"10.0.0.0/8", "::ffff:10.0.0.0/104"},
     "ServiceCIDR: \"::ffff:10.0.0.0/104\": must not be an IPv4-mapped IPv6 address"},
};

START_TEST(texts_make_an_object) {
    ipalloc_service_cidr s = {.size = sizeof s};
    size_t count = TEXTS[_i].cidrs[1] != NULL ? 2 : 1;
    ipalloc_bytes cidrs[2] = {text_of(TEXTS[_i].cidrs[0])};
    if (count == 2)
        cidrs[1] = text_of(TEXTS[_i].cidrs[1]);
    int status = ipalloc_service_cidr_make(BYTES("extra.range"), cidrs, count, &s, &error);
    if (TEXTS[_i].message != NULL) {
        ck_assert_int_eq(status, IPALLOC_E_INVALID);
        ck_assert_str_eq(error.message, TEXTS[_i].message);
        return;
    }
    ck_assert_status_error(status, IPALLOC_OK, &error);
    ck_assert_str_eq(s.name, "extra.range");
    ck_assert_uint_eq(s.cidr_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(cidr_text(&s.cidrs[i]), TEXTS[_i].cidrs[i]);
    ck_assert(!s.ready && !s.deleting);
}
END_TEST

START_TEST(old_text_is_read_as_it_was_meant) {
    ipalloc_service_cidr s = {.size = sizeof s};
    ipalloc_bytes cidrs[] = {BYTES("010.000.0.1/016"), BYTES("FD00:0::/108")};
    ck_assert_status_error(ipalloc_service_cidr_make(BYTES("a"), cidrs, 2, &s, &error), IPALLOC_OK,
                           &error);
    ck_assert_str_eq(cidr_text(&s.cidrs[0]), "10.0.0.0/16");
    ck_assert_str_eq(cidr_text(&s.cidrs[1]), "fd00::/108");
}
END_TEST

START_TEST(no_texts_are_refused) {
    ipalloc_service_cidr s = {.size = sizeof s};
    ipalloc_bytes none = {NULL, 5};
    ck_assert_status(ipalloc_service_cidr_make(BYTES("a"), NULL, 1, &s, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_cidr_make(BYTES("a"), &none, 1, &s, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_cidr_make(none, &none, 1, &s, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_cidr_make(BYTES("a"), &none, 1, NULL, &error),
                     IPALLOC_E_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service_cidr");
    TCase *tc = tcase_create("service_cidr");
    tcase_add_test(tc, what_kube_apiserver_stored_is_read);
    tcase_add_test(tc, the_golden_file_is_read);
    tcase_add_loop_test(tc, the_condition_ready_and_the_deletion_decide, 0, LENGTH(GOOD));
    tcase_add_loop_test(tc, a_damaged_one_is_refused, 0, LENGTH(DAMAGED));
    tcase_add_test(tc, another_kind_is_no_damage);
    tcase_add_loop_test(tc, texts_make_an_object, 0, LENGTH(TEXTS));
    tcase_add_test(tc, old_text_is_read_as_it_was_meant);
    tcase_add_test(tc, no_texts_are_refused);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
