/*
 * test_range_allocation.c: RangeAllocation read, refused and written.
 */
#include "stored_support.h"

#include <stdlib.h>
#include <string.h>

static ipalloc_error error;

#define GOLDEN "api-golden/core.v1.RangeAllocation.pb"

static ipalloc_range_allocation decoded(ipalloc_bytes stored) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status_error(ipalloc_range_allocation_decode(stored, &a, &error), IPALLOC_OK, &error);
    return a;
}

static ipalloc_range_allocation made(const char *range, ipalloc_bytes data) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status_error(ipalloc_range_allocation_make(text_of(range), data, &a, &error),
                           IPALLOC_OK, &error);
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

/* The golden file's range is no range; other text of the same length is put in its place. */
static ipalloc_bytes golden_read(void) {
    ipalloc_bytes stored = sample_read(GOLDEN);
    uint8_t *range = memmem(stored.data, stored.size, "rangeValue", 10);
    ck_assert_ptr_nonnull(range);
    memcpy(range, "10.0.0.0/8", 10);
    return stored;
}

/* --- reading --------------------------------------------------------------------------------- */

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

START_TEST(the_golden_file_is_read) {
    ipalloc_bytes stored = golden_read();
    ipalloc_range_allocation a = decoded(stored);
    ck_assert(!a.is_ports);
    ck_assert_uint_eq(a.cidr.prefix_length, 8);
    ck_assert_uint_eq(a.item_count, 16777214);
    ck_assert_bytes_eq(a.data, BYTES("\x03"));
    ck_assert_uint_eq(a.metadata.size, 0x160);
    bytes_free(stored);
}
END_TEST

START_TEST(data_that_was_left_out_is_not_data_that_is_empty) {
    ipalloc_bytes without = enveloped("v1", "RangeAllocation",
                                      BYTES("\x0a\x00\x12\x03"
                                            "1-2"));
    ipalloc_bytes empty = enveloped("v1", "RangeAllocation",
                                    BYTES("\x0a\x00\x12\x03"
                                          "1-2\x1a\x00"));
    ipalloc_range_allocation a = decoded(without), b = decoded(empty);
    ck_assert_ptr_null(a.data.data);
    ck_assert_ptr_nonnull(b.data.data);
    ck_assert_uint_eq(ipalloc_range_allocation_count(&a), 0);
    ipalloc_bytes a_again = encoded(&a), b_again = encoded(&b);
    ck_assert_bytes_eq(a_again, without);
    ck_assert_bytes_eq(b_again, empty);
    bytes_free(a_again);
    bytes_free(b_again);
    bytes_free(without);
    bytes_free(empty);
}
END_TEST

static const struct {
    const char *object;
    size_t size;
    const char *message;
} DAMAGED[] = {
#define ROW(object, message) \
    { object, sizeof(object) - 1, message }
    ROW("", "RangeAllocation: metadata is missing"),
    ROW("\x0a\x00", "RangeAllocation: range is missing"),
    ROW("\x12\x03"
        "1-2\x0a\x00",
        "RangeAllocation: field 1 stands behind field 2"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x12\x03"
        "1-2",
        "RangeAllocation: range is there twice"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x1a\x00\x1a\x00",
        "RangeAllocation: data is there twice"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x18\x01",
        "RangeAllocation: data has wire type 0, not 2"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x1a\x01",
        "RangeAllocation: a field is longer than its message at byte 9 of 9"),
    ROW("\x0a\x02\x08\x00\x12\x03"
        "1-2",
        "metadata: name has wire type 0, not 2"),
    ROW("\x0a\x00\x12\x00", "RangeAllocation: range \"\": a CIDR or a range of ports is needed"),
    ROW("\x0a\x00\x12\x0c"
        "10.96.0.1/16",
        "RangeAllocation: range \"10.96.0.1/16\": must not have bits set beyond the prefix length; "
        "did you mean "
        "10.96.0.0/16?"),
    ROW("\x0a\x00\x12\x08"
        "FD00::/8",
        "RangeAllocation: range \"FD00::/8\": it is not the canonical text of a CIDR; that is "
        "fd00::/8"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x1a\x01\x04",
        "RangeAllocation 1-2: item 2 is taken, but the range has 2"),
    ROW("\x0a\x00\x12\x03"
        "1-2\x1a\x02\x00\x01",
        "RangeAllocation 1-2: 2 bytes of data; its 2 items need 1 at most"),
#undef ROW
};

START_TEST(a_damaged_one_is_refused) {
    ipalloc_bytes stored =
        enveloped("v1", "RangeAllocation", (ipalloc_bytes){DAMAGED[_i].object, DAMAGED[_i].size});
    ipalloc_range_allocation a = {.size = sizeof a, .item_count = 77};
    ck_assert_status(ipalloc_range_allocation_decode(stored, &a, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, DAMAGED[_i].message);
    ck_assert_int_eq(error.status, IPALLOC_E_CORRUPT);
    ck_assert_uint_eq(a.item_count, 77);
    ck_assert_status(ipalloc_range_allocation_decode(stored, &a, NULL), IPALLOC_E_CORRUPT);
    bytes_free(stored);
}
END_TEST

START_TEST(the_golden_file_as_it_is_has_no_range) {
    ipalloc_bytes stored = sample_read(GOLDEN);
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status(ipalloc_range_allocation_decode(stored, &a, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(
        error.message,
        "RangeAllocation: range \"rangeValue\": a CIDR needs a prefix length, (e.g. 10.9.8.0/24)");
    bytes_free(stored);
}
END_TEST

START_TEST(another_kind_is_no_damage) {
    ipalloc_bytes stored = sample_read(WEB_ADDRESS_SAMPLE);
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status(ipalloc_range_allocation_decode(stored, &a, &error), IPALLOC_E_INVALID);
    bytes_free(stored);
    ck_assert_status(ipalloc_range_allocation_decode(BYTES("{}"), &a, &error), IPALLOC_E_INVALID);
}
END_TEST

/* --- made from texts ------------------------------------------------------------------------- */

static const struct {
    const char *range, *message; /* the message ends with this */
} RANGES[] = {
    {"80", "\"80\": a CIDR needs a prefix length, (e.g. 10.9.8.0/24)"},
    {"10.0.0.0", "\"10.0.0.0\": a CIDR needs a prefix length, (e.g. 10.9.8.0/24)"},
    {"10.0.0.0/33", "\"10.0.0.0/33\": the prefix length must be a number from 0 to 32"},
    {"010.0.0.0/8", "\"010.0.0.0/8\": must not have leading 0s"},
    {"::ffff:10.0.0.0/104", "\"::ffff:10.0.0.0/104\": must not be an IPv4-mapped IPv6 address"},
    {"fd00:0::/32",
     "range \"fd00:0::/32\": it is not the canonical text of a CIDR; that is fd00::/32"},
    {"-", "range \"-\": ports are numbers from 0 to 65535 without leading zeros"},
    {"1-", "range \"1-\": ports are numbers from 0 to 65535 without leading zeros"},
    {"-1", "range \"-1\": ports are numbers from 0 to 65535 without leading zeros"},
    {"1-65536", "range \"1-65536\": ports are numbers from 0 to 65535 without leading zeros"},
    {"65536-65537",
     "range \"65536-65537\": ports are numbers from 0 to 65535 without leading zeros"},
    {"01-2", "range \"01-2\": ports are numbers from 0 to 65535 without leading zeros"},
    {"1-2-3", "range \"1-2-3\": ports are numbers from 0 to 65535 without leading zeros"},
    {"1 - 2", "range \"1 - 2\": ports are numbers from 0 to 65535 without leading zeros"},
    {"30000+100", "\"30000+100\": a CIDR needs a prefix length, (e.g. 10.9.8.0/24)"},
    {"2-1", "range \"2-1\": end port cannot be less than start port"},
    {"1111111111111111111111111111111111111111111111111-",
     "range \"1111111111111111111111111111111111111111111111111-\": a CIDR or a range of ports is "
     "needed"},
};

START_TEST(a_range_that_kubernetes_would_not_write_is_refused) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status(
        ipalloc_range_allocation_make(text_of(RANGES[_i].range), BYTES(""), &a, &error),
        IPALLOC_E_INVALID);
    const char *found = strstr(error.message, RANGES[_i].message);
    ck_assert_msg(found != NULL && strcmp(found, RANGES[_i].message) == 0, "%s", error.message);
}
END_TEST

START_TEST(no_text_and_no_data_are_refused) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status(ipalloc_range_allocation_make((ipalloc_bytes){NULL, 5}, BYTES(""), &a, &error),
                     IPALLOC_E_INVALID);
    ck_assert_status(
        ipalloc_range_allocation_make(BYTES("1-2"), (ipalloc_bytes){NULL, 5}, &a, &error),
        IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "RangeAllocation 1-2: data is NULL");
    a.size = 0;
    ck_assert_status(ipalloc_range_allocation_make(BYTES("1-2"), BYTES(""), &a, &error),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocation_decode(BYTES("{}"), &a, &error), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message,
                     "ipalloc_range_allocation: set size to sizeof(ipalloc_range_allocation)");
}
END_TEST

START_TEST(one_port_and_all_ports_are_ranges) {
    ck_assert_uint_eq(made("80-80", BYTES("\x01")).item_count, 1);
    ck_assert_uint_eq(made("0-65535", BYTES("")).item_count, 65536);
}
END_TEST

/* --- writing --------------------------------------------------------------------------------- */

START_TEST(what_was_read_is_written_to_the_same_bytes) {
    ipalloc_bytes samples[] = {sample_read(NODE_PORTS_SAMPLE), golden_read()};
    for (int i = 0; i < 2; i++) {
        ipalloc_range_allocation a = decoded(samples[i]);
        ipalloc_bytes again = encoded(&a);
        ck_assert_bytes_eq(again, samples[i]);
        bytes_free(again);
        bytes_free(samples[i]);
    }
}
END_TEST

/* What kube-apiserver 1.36 stored after these items were taken. */
START_TEST(real_values_are_built_from_nothing) {
    ipalloc_bytes node_ports = sample_read(NODE_PORTS_SAMPLE);
    ipalloc_range_allocation a = made("30000-32767", BYTES("\x01"));
    ipalloc_bytes built = encoded(&a);
    ck_assert_bytes_eq(built, node_ports);
    bytes_free(built);
    bytes_free(node_ports);

    a = made("10.96.0.0/16", BYTES("\x03\x01")); /* 10.96.0.1, .9, .10 */
    built = encoded(&a);
    ck_assert_bytes_eq(built, BYTES("k8s\000\012\025\012\002v1\022\017RangeAllocation\022\044"
                                    "\012\020\012\000\022\000\032\000\042\000\052\000\062\000"
                                    "\070\000\102\000\022\01410.96.0.0/16\032\002\003\001"
                                    "\032\000\042\000"));
    ck_assert_uint_eq(built.size, 69);
    bytes_free(built);
}
END_TEST

static void take(const ipalloc_range_allocation *a, uint8_t *bitmap, uint64_t item) {
    size_t size = ipalloc_range_allocation_bitmap_size(a);
    ck_assert_status(ipalloc_range_allocation_bitmap_set(a, bitmap, size, item, true), IPALLOC_OK);
}

START_TEST(large_real_values_have_their_length) {
    uint8_t bitmap[8192] = {0};
    ipalloc_range_allocation a = made("30000-32767", BYTES(""));
    size_t size = ipalloc_range_allocation_bitmap_size(&a);
    take(&a, bitmap, 0);
    take(&a, bitmap, 2767);
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, size, &error), IPALLOC_OK);
    ck_assert_uint_eq(a.data.size, 346);
    ck_assert_uint_eq(((const uint8_t *)a.data.data)[0], 0x80);

    memset(bitmap, 0, sizeof bitmap);
    a = made("fd00:10:96::/112", BYTES(""));
    size = ipalloc_range_allocation_bitmap_size(&a);
    ipalloc_addr address = addr("fd00:10:96::c689");
    uint64_t item;
    ck_assert_status(ipalloc_range_allocation_item(&a, &address, &item), IPALLOC_OK);
    ck_assert_uint_eq(item, 0xc688);
    take(&a, bitmap, item);
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, size, &error), IPALLOC_OK);
    ck_assert_uint_eq(a.data.size, 6354);
}
END_TEST

START_TEST(a_change_keeps_metadata_and_unknown_fields) {
    static const char HEAD[] = "\x0a\x08\x0a\x01n\x9a\x01\x02hi\x12\x05";
    char object[64] = {0}, expected[64] = {0};
    memcpy(object, HEAD, sizeof HEAD);
    strcpy(object + sizeof HEAD - 1, "80-95\x1a\x01\x01\x22\x01x\x2a\x01y");
    strcpy(expected, object);
    memcpy(strstr(expected, "\x1a\x01\x01"), "\x1a\x02\x80\x01\x22\x01x\x2a\x01y", 11);
    ipalloc_bytes stored = enveloped("v1", "RangeAllocation", text_of(object));
    ipalloc_bytes after = enveloped("v1", "RangeAllocation", text_of(expected));
    ipalloc_range_allocation a = decoded(stored);
    ck_assert_bytes_eq(a.unknown, BYTES("\x22\x01x\x2a\x01y"));
    uint8_t bitmap[2];
    ck_assert_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, 2), IPALLOC_OK);
    take(&a, bitmap, 15);
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, 2, &error), IPALLOC_OK);
    ipalloc_bytes again = encoded(&a);
    ck_assert_bytes_eq(again, after);
    bytes_free(again);
    bytes_free(after);
    bytes_free(stored);
}
END_TEST

START_TEST(members_that_no_reader_would_take_are_not_written) {
    size_t needed = 77;
    ipalloc_range_allocation good = made("1-2", BYTES("\x01")), a = good;
    a.range = BYTES("2-1");
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    a = good;
    a.data = BYTES("\x04");
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    a = good;
    a.metadata = BYTES("\x08\x00");
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "RangeAllocation: metadata is no ObjectMeta");
    a.metadata = (ipalloc_bytes){NULL, 0};
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    a = good;
    a.unknown = BYTES("\x1a\x00"); /* a second data */
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "RangeAllocation: unknown is not a row of fields behind data");
    a.unknown = (ipalloc_bytes){NULL, 5};
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    a.unknown = BYTES("\x22\x05");
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    a = good;
    a.size = 0;
    ck_assert_status(ipalloc_range_allocation_encode(&a, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocation_encode(NULL, NULL, 0, &needed, &error),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocation_encode(&good, NULL, 0, NULL, &error),
                     IPALLOC_E_INVALID);
    ck_assert_uint_eq(needed, 77);
}
END_TEST

START_TEST(without_room_nothing_is_written) {
    uint8_t out[128];
    size_t needed;
    ipalloc_range_allocation a = made("1-2", BYTES("\x01"));
    memset(out, 0x5a, sizeof out);
    ck_assert_status(ipalloc_range_allocation_encode(&a, out, 10, &needed, &error),
                     IPALLOC_E_NOMEM);
    ck_assert_uint_eq(out[0], 0x5a);
    ck_assert_status(ipalloc_range_allocation_encode(&a, out, needed, &needed, &error), IPALLOC_OK);
    ck_assert_uint_eq(out[needed], 0x5a);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range_allocation");
    TCase *tc = tcase_create("range_allocation");
    tcase_add_test(tc, what_kube_apiserver_stored_is_read);
    tcase_add_test(tc, the_golden_file_is_read);
    tcase_add_test(tc, data_that_was_left_out_is_not_data_that_is_empty);
    tcase_add_loop_test(tc, a_damaged_one_is_refused, 0, LENGTH(DAMAGED));
    tcase_add_test(tc, the_golden_file_as_it_is_has_no_range);
    tcase_add_test(tc, another_kind_is_no_damage);
    tcase_add_loop_test(tc, a_range_that_kubernetes_would_not_write_is_refused, 0, LENGTH(RANGES));
    tcase_add_test(tc, no_text_and_no_data_are_refused);
    tcase_add_test(tc, one_port_and_all_ports_are_ranges);
    tcase_add_test(tc, what_was_read_is_written_to_the_same_bytes);
    tcase_add_test(tc, real_values_are_built_from_nothing);
    tcase_add_test(tc, large_real_values_have_their_length);
    tcase_add_test(tc, a_change_keeps_metadata_and_unknown_fields);
    tcase_add_test(tc, members_that_no_reader_would_take_are_not_written);
    tcase_add_test(tc, without_room_nothing_is_written);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
