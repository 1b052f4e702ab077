/*
 * test_range_allocation.c: RangeAllocation read, refused and written.
 */
#include "stored_support.h"

#include <stdlib.h>
#include <string.h>

static ipalloc_error error;

static ipalloc_range_allocation decoded(ipalloc_bytes stored) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status_error(ipalloc_range_allocation_decode(stored, &a, &error), IPALLOC_OK, &error);
    return a;
}

/* Encode into memory of exactly the needed size. */
static ipalloc_bytes encoded(const ipalloc_range_allocation *a) {
    size_t needed, again;
    ck_assert_status_error(ipalloc_range_allocation_encode(a, NULL, 0, &needed, &error), IPALLOC_OK,
                           &error);
    uint8_t *out = malloc(needed);
    ck_assert_ptr_nonnull(out);
    ck_assert_status(ipalloc_range_allocation_encode(a, out, needed, &again, &error), IPALLOC_OK);
    ck_assert_uint_eq(needed, again);
    return (ipalloc_bytes){out, needed};
}

START_TEST(what_kube_apiserver_stored_is_read) {
    ipalloc_bytes stored = sample_read(NODE_PORTS_SAMPLE);
    ipalloc_range_allocation a = decoded(stored);
    ck_assert(a.is_ports);
    ck_assert_uint_eq(a.port_first, 30000);
    ck_assert_uint_eq(a.port_last, 32767);
    ck_assert_uint_eq(a.item_count, 2768);
    ck_assert_bytes_eq(a.range, BYTES("30000-32767"));
    ck_assert_bytes_eq(a.data, BYTES("\x01"));
    ck_assert_uint_eq(a.metadata.size, 16);
    ck_assert_uint_eq(a.unknown.size, 0);
    bytes_free(stored);
}
END_TEST

START_TEST(what_kube_apiserver_stored_is_written_again) {
    ipalloc_bytes stored = sample_read(NODE_PORTS_SAMPLE);
    ipalloc_range_allocation a = decoded(stored);
    ipalloc_bytes again = encoded(&a);
    ck_assert_bytes_eq(again, stored);
    bytes_free(again);
    bytes_free(stored);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range_allocation");
    TCase *tc = tcase_create("range_allocation");
    tcase_add_test(tc, what_kube_apiserver_stored_is_read);
    tcase_add_test(tc, what_kube_apiserver_stored_is_written_again);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
