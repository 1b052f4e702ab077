/*
 * test_object_meta.c: what we read of ObjectMeta, and how it is written.
 */
#include "stored_support.h"

#include "kubernetes/names.h"
#include "kubernetes/object_meta.h"

static ipalloc_error error;

/* The metadata of a golden or stored value is the first field of its object. */
static ipalloc_bytes metadata_of(ipalloc_bytes stored) {
    static const wire_field FIRST[] = {{"metadata", 1, WIRE_BYTES, WIRE_REQUIRED}};
    wire_value value;
    ipalloc_stored found = {.size = sizeof found};
    ck_assert_status(ipalloc_stored_kind_of(stored, &found, &error), IPALLOC_OK);
    ck_assert_status(
        wire_read(&(wire_message){"object", found.object}, FIRST, 1, &value, NULL, &error),
        IPALLOC_OK);
    return value.bytes;
}

START_TEST(every_field_of_the_golden_file_is_read) {
    ipalloc_bytes stored = sample_read("api-golden/core.v1.RangeAllocation.pb");
    object_meta meta;
    ck_assert_status_error(object_meta_read(metadata_of(stored), &meta, &error), IPALLOC_OK,
                           &error);
    ck_assert_bytes_eq(meta.name, BYTES("nameValue"));
    ck_assert_bytes_eq(meta.uid, BYTES("uidValue"));
    ck_assert_int_eq(meta.creation_time_s, 1199149261); /* 2008-01-01T01:01:01Z */
    ck_assert(meta.deleting);
    ck_assert_int_eq(meta.deletion_time_s, 1230771661); /* 2009-01-01T01:01:01Z */
    ck_assert_bytes_eq(object_meta_label(&meta, "labelsKey"), BYTES("labelsValue"));
    ck_assert_uint_eq(object_meta_label(&meta, "annotationsKey").size, 0);
    ck_assert_uint_eq(meta.managed_fields.size, 3 + 0x62);
    ck_assert_status(object_meta_check_managed_fields(meta.managed_fields, &error), IPALLOC_OK);
    bytes_free(stored);
}
END_TEST

START_TEST(an_empty_one_is_what_kube_apiserver_stores) {
    ipalloc_bytes stored = sample_read(NODE_PORTS_SAMPLE);
    object_meta meta;
    ck_assert_bytes_eq(object_meta_empty(), metadata_of(stored));
    ck_assert_status(object_meta_read(object_meta_empty(), &meta, &error), IPALLOC_OK);
    ck_assert_uint_eq(meta.name.size + meta.uid.size + meta.labels.size, 0);
    ck_assert(meta.creation_time_s == 0 && !meta.deleting);
    bytes_free(stored);
}
END_TEST

START_TEST(the_last_of_equal_labels_counts) {
    object_meta meta;
    ck_assert_status(object_meta_read(BYTES("\x5a\x06\x0a\x01k\x12\x01"
                                            "a\x5a\x06\x0a\x01k\x12\x01"
                                            "b\x5a\x03\x0a\x01n"),
                                      &meta, &error),
                     IPALLOC_OK);
    ck_assert_bytes_eq(object_meta_label(&meta, "k"), BYTES("b"));
    ck_assert_uint_eq(object_meta_label(&meta, "n").size, 0);
    ck_assert_uint_eq(object_meta_label(&meta, "").size, 0);
}
END_TEST

START_TEST(an_empty_time_is_none) {
    object_meta meta;
    ck_assert_status(object_meta_read(BYTES("\x42\x00\x4a\x00"), &meta, &error), IPALLOC_OK);
    ck_assert(!meta.deleting);
    ck_assert_status(object_meta_read(BYTES("\x4a\x04\x08\x00\x10\x00"), &meta, &error),
                     IPALLOC_OK);
    ck_assert(meta.deleting && meta.deletion_time_s == 0);
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    const char *message;
} REFUSED[] = {
#define ROW(bytes, message) \
    { bytes, sizeof(bytes) - 1, message }
    ROW("\x08\x00", "metadata: name has wire type 0, not 2"),
    ROW("\x3a\x00", "metadata: generation has wire type 2, not 0"),
    ROW("\x42\x02\x0a\x00", "creationTimestamp: seconds has wire type 2, not 0"),
    ROW("\x42\x01\x08", "creationTimestamp: the message ends inside a number at byte 1 of 1"),
    ROW("\x4a\x02\x12\x00", "deletionTimestamp: nanos has wire type 2, not 0"),
    ROW("\x5a\x00\x5a\x02\x08\x00", "label: key has wire type 0, not 2"),
    ROW("\x5a\x06\x0a\x01k\x0a\x01k", "label: key is there twice"),
    ROW("\x2a\x00\x2a\x00", "metadata: uid is there twice"),
#undef ROW
};

START_TEST(damage_is_refused_by_the_name_of_the_field) {
    object_meta meta;
    ipalloc_bytes bytes = bytes_copy(REFUSED[_i].bytes, REFUSED[_i].size);
    ck_assert_status(object_meta_read(bytes, &meta, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, REFUSED[_i].message);
    bytes_free(bytes);
}
END_TEST

START_TEST(managed_fields_are_nothing_else) {
    ck_assert_status(object_meta_check_managed_fields((ipalloc_bytes){NULL, 0}, &error),
                     IPALLOC_OK);
    ck_assert_status(object_meta_check_managed_fields(BYTES("\x8a\x01\x00\x8a\x01\x00"), &error),
                     IPALLOC_OK);
    ck_assert_status(object_meta_check_managed_fields(BYTES("\x8a\x01\x00\x92\x01\x00"), &error),
                     IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "managed_fields: not ObjectMeta's managedFields");
    ck_assert_status(object_meta_check_managed_fields(BYTES("\x82\x01\x00"), &error),
                     IPALLOC_E_INVALID);
    ck_assert_status(object_meta_check_managed_fields(BYTES("\x8a\x01\x05"), &error),
                     IPALLOC_E_INVALID);
}
END_TEST

START_TEST(what_is_written_is_read_again) {
    static const object_label LABELS[] = {{"a", "1"}, {"b", ""}};
    uint8_t out[256];
    wire_writer w = {out, sizeof out, 0};
    object_meta read, meta = {.name = BYTES("n"),
                              .uid = BYTES("u"),
                              .creation_time_s = -5,
                              .deleting = true,
                              .deletion_time_s = 0,
                              .managed_fields = BYTES("\x8a\x01\x00")};
    object_meta_put(&w, &meta, LABELS, 2);
    uint8_t *head = out + sizeof out - w.used;
    ck_assert_uint_eq(head[0], 0x0a);
    ck_assert_uint_eq(head[1], w.used - 2);
    ck_assert_status_error(object_meta_read((ipalloc_bytes){head + 2, w.used - 2}, &read, &error),
                           IPALLOC_OK, &error);
    ck_assert_bytes_eq(read.name, meta.name);
    ck_assert_bytes_eq(read.uid, meta.uid);
    ck_assert_int_eq(read.creation_time_s, -5);
    ck_assert(read.deleting && read.deletion_time_s == 0);
    ck_assert_bytes_eq(read.managed_fields, meta.managed_fields);
    ck_assert_bytes_eq(read.labels, BYTES("\x5a\x06\x0a\x01"
                                          "a\x12\x01"
                                          "1\x5a\x05\x0a\x01"
                                          "b\x12\x00"));
}
END_TEST

START_TEST(without_a_time_it_is_empty) {
    uint8_t out[64];
    wire_writer w = {out, sizeof out, 0};
    object_meta_put(&w, &(object_meta){.name = BYTES("")}, NULL, 0);
    ck_assert_uint_eq(w.used, 18);
    ck_assert_bytes_eq(((ipalloc_bytes){out + sizeof out - 16, 16}), object_meta_empty());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("object_meta");
    TCase *tc = tcase_create("object_meta");
    tcase_add_test(tc, every_field_of_the_golden_file_is_read);
    tcase_add_test(tc, an_empty_one_is_what_kube_apiserver_stores);
    tcase_add_test(tc, the_last_of_equal_labels_counts);
    tcase_add_test(tc, an_empty_time_is_none);
    tcase_add_loop_test(tc, damage_is_refused_by_the_name_of_the_field, 0, LENGTH(REFUSED));
    tcase_add_test(tc, managed_fields_are_nothing_else);
    tcase_add_test(tc, what_is_written_is_read_again);
    tcase_add_test(tc, without_a_time_it_is_empty);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
