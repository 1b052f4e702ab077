/*
 * test_protobuf.c: the wire form: what is taken, what is refused and why, what is written.
 */
#include "stored_support.h"

#include "kubernetes/protobuf.h"

#include <string.h>

static ipalloc_error error;

enum { COUNT, TEXT, LIST, FIELDS };
static const wire_field TABLE[FIELDS] = {
    {"count", 1, WIRE_VARINT, WIRE_OPTIONAL},
    {"text", 3, WIRE_BYTES, WIRE_REQUIRED},
    {"list", 5, WIRE_BYTES, WIRE_REPEATED},
};

static int read_bytes(ipalloc_bytes bytes, wire_value values[FIELDS], ipalloc_bytes *unknown) {
    return wire_read(&(wire_message){"thing", bytes}, TABLE, FIELDS, values, unknown, &error);
}

START_TEST(a_message_is_read_by_its_table) {
    wire_value values[FIELDS];
    ipalloc_bytes unknown;
    ck_assert_status_error(read_bytes(BYTES("\x08\x96\x01"
                                            "\x1a\x03"
                                            "abc"
                                            "\x2a\x01"
                                            "x"
                                            "\x2a\x00"
                                            "\x32\x01"
                                            "u"),
                                      values, &unknown),
                           IPALLOC_OK, &error);
    ck_assert(values[COUNT].present && values[TEXT].present && values[LIST].present);
    ck_assert_uint_eq(values[COUNT].number, 150);
    ck_assert_bytes_eq(values[TEXT].bytes, BYTES("abc"));
    ck_assert_bytes_eq(values[LIST].bytes, BYTES("\x2a\x01"
                                                 "x"
                                                 "\x2a\x00"));
    ck_assert_bytes_eq(unknown, BYTES("\x32\x01"
                                      "u"));
    ipalloc_bytes element, run = values[LIST].bytes;
    ck_assert(wire_next(&run, &element));
    ck_assert_bytes_eq(element, BYTES("x"));
    ck_assert(wire_next(&run, &element));
    ck_assert_uint_eq(element.size, 0);
    ck_assert(!wire_next(&run, &element));
}
END_TEST

START_TEST(what_is_left_out_is_empty) {
    wire_value values[FIELDS];
    ipalloc_bytes unknown, element;
    ck_assert_status(read_bytes(BYTES("\x1a\x00"), values, &unknown), IPALLOC_OK);
    ck_assert(!values[COUNT].present && !values[LIST].present);
    ck_assert_uint_eq(values[COUNT].number, 0);
    ck_assert(!wire_next(&values[LIST].bytes, &element));
    ck_assert_uint_eq(unknown.size, 0);
    ck_assert_status(wire_read(&(wire_message){"nothing", {NULL, 0}}, TABLE, 1, values, NULL, NULL),
                     IPALLOC_OK);
}
END_TEST

START_TEST(unknown_fields_of_every_wire_type_are_skipped) {
    wire_value values[FIELDS];
    ck_assert_status_error(read_bytes(BYTES("\x10\x05" /* 2: a number */
                                            "\x1a\x00"
                                            "\x21"
                                            "12345678" /* 4: eight bytes */
                                            "\x32\x01"
                                            "b" /* 6: bytes */
                                            "\x3d"
                                            "1234" /* 7: four bytes */
                                            "\xf8\xff\xff\xff\x0f\x01" /* 2^29 - 1 */),
                                      values, NULL),
                           IPALLOC_OK, &error);
    ck_assert(!values[COUNT].present && !values[LIST].present);
}
END_TEST

START_TEST(a_number_has_up_to_64_bits) {
    wire_value values[FIELDS];
    ck_assert_status_error(
        read_bytes(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00"), values, NULL),
        IPALLOC_OK, &error);
    ck_assert_uint_eq(values[COUNT].number, UINT64_MAX);
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    const char *message;
} REFUSED[] = {
#define ROW(bytes, message) \
    { bytes, sizeof(bytes) - 1, message }
    ROW("\x80", "thing: the message ends inside a number at byte 1 of 1"),
    ROW("\x08", "thing: the message ends inside a number at byte 1 of 1"),
    ROW("\x08\x80\x00\x1a\x00", "thing: a number is longer than it need be at byte 3 of 5"),
    ROW("\x88\x00\x01\x1a\x00", "thing: a number is longer than it need be at byte 2 of 5"),
    ROW("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        "thing: a number has more than 64 bits at byte 11 of 11"),
    ROW("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "thing: a number has more than ten bytes at byte 11 of 12"),
    ROW("\x02\x00", "thing: there is no such field number at byte 1 of 2"),
    ROW("\x80\x80\x80\x80\x10\x01", "thing: there is no such field number at byte 5 of 6"),
    ROW("\x1b", "thing: there is no such wire type at byte 1 of 1"),
    ROW("\x1c", "thing: there is no such wire type at byte 1 of 1"),
    ROW("\x1e", "thing: there is no such wire type at byte 1 of 1"),
    ROW("\x1f", "thing: there is no such wire type at byte 1 of 1"),
    ROW("\x1a\x02"
        "a",
        "thing: a field is longer than its message at byte 2 of 3"),
    ROW("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "thing: a field is longer than its message at byte 11 of 11"),
    ROW("\x1a", "thing: the message ends inside a number at byte 1 of 1"),
    ROW("\x21"
        "1234567",
        "thing: a field is longer than its message at byte 1 of 8"),
    ROW("\x3d"
        "123",
        "thing: a field is longer than its message at byte 1 of 4"),
    ROW("\x18\x01", "thing: text has wire type 0, not 2"),
    ROW("\x0a\x00", "thing: count has wire type 2, not 0"),
    ROW("\x2d"
        "1234",
        "thing: list has wire type 5, not 2"),
    ROW("\x1a\x00\x1a\x00", "thing: text is there twice"),
    ROW("\x1a\x00\x08\x01", "thing: field 1 stands behind field 3"),
    ROW("\x2a\x00\x32\x00\x2a\x00", "thing: field 5 stands behind field 6"),
    ROW("\x08\x01", "thing: text is missing"),
    ROW("", "thing: text is missing"),
#undef ROW
};

START_TEST(damage_is_refused_and_says_where) {
    wire_value values[FIELDS];
    ipalloc_bytes bytes = bytes_copy(REFUSED[_i].bytes, REFUSED[_i].size);
    ck_assert_status(read_bytes(bytes, values, NULL), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, REFUSED[_i].message);
    bytes_free(bytes);
}
END_TEST

/* --- writing --------------------------------------------------------------------------------- */

static void put_thing(wire_writer *w) { /* from the back */
    size_t before = w->used;
    wire_put_raw(w, "\x32\x00", 2);
    wire_put_text(w, 3, "abc");
    wire_put_varint(w, 1, 300);
    wire_put_head(w, 16, before);
}

#define THING "\x82\x01\x0a\x08\xac\x02\x1a\x03\x61\x62\x63\x32\x00"

START_TEST(a_message_is_written_from_the_back) {
    uint8_t out[64];
    wire_writer w = {out, sizeof out, 0};
    put_thing(&w);
    ck_assert_bytes_eq(((ipalloc_bytes){out + sizeof out - w.used, w.used}), BYTES(THING));
}
END_TEST

START_TEST(without_room_it_is_counted_only) {
    uint8_t out[8];
    memset(out, 0x5a, sizeof out);
    wire_writer counter = {NULL, 0, 0}, small = {out, 4, 0};
    put_thing(&counter);
    put_thing(&small);
    ck_assert_uint_eq(counter.used, sizeof THING - 1);
    ck_assert_uint_eq(small.used, sizeof THING - 1);
    for (size_t i = 4; i < sizeof out; i++)
        ck_assert_uint_eq(out[i], 0x5a);
}
END_TEST

START_TEST(numbers_are_written_as_they_are_read) {
    static const uint64_t NUMBERS[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        uint8_t out[16];
        wire_value values[FIELDS];
        wire_writer w = {out, sizeof out, 0};
        wire_put_text(&w, 3, "");
        wire_put_varint(&w, 1, NUMBERS[i]);
        ck_assert_status(
            read_bytes((ipalloc_bytes){out + sizeof out - w.used, w.used}, values, NULL),
            IPALLOC_OK);
        ck_assert_uint_eq(values[COUNT].number, NUMBERS[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("protobuf");
    TCase *tc = tcase_create("protobuf");
    tcase_add_test(tc, a_message_is_read_by_its_table);
    tcase_add_test(tc, what_is_left_out_is_empty);
    tcase_add_test(tc, unknown_fields_of_every_wire_type_are_skipped);
    tcase_add_test(tc, a_number_has_up_to_64_bits);
    tcase_add_loop_test(tc, damage_is_refused_and_says_where, 0, LENGTH(REFUSED));
    tcase_add_test(tc, a_message_is_written_from_the_back);
    tcase_add_test(tc, without_room_it_is_counted_only);
    tcase_add_test(tc, numbers_are_written_as_they_are_read);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
