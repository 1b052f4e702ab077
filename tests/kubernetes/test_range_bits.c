/*
 * test_range_bits.c: which items of a RangeAllocation are taken, and what stands behind an item.
 */
#include "stored_support.h"

#include "kubernetes/range_bits.h"

#include <stdlib.h>
#include <string.h>

static ipalloc_error error;

static ipalloc_range_allocation made(const char *range, ipalloc_bytes data) {
    ipalloc_range_allocation a = {.size = sizeof a};
    ck_assert_status_error(ipalloc_range_allocation_make(text_of(range), data, &a, &error),
                           IPALLOC_OK, &error);
    return a;
}

/* --- items and what they stand for ----------------------------------------------------------- */

static const struct {
    const char *range;
    uint64_t item_count;
    const char *first, *last; /* NULL: none */
} SIZES[] = {
    /* what Kubernetes' bitmap allocator says of each prefix length */
    {"10.0.0.0/32", 0, NULL, NULL},
    {"10.0.0.0/31", 0, NULL, NULL},
    {"10.0.0.0/30", 2, "10.0.0.1", "10.0.0.2"},
    {"10.0.0.0/24", 254, "10.0.0.1", "10.0.0.254"},
    {"10.96.0.0/16", 65534, "10.96.0.1", "10.96.255.254"},
    {"10.0.0.0/12", 1048574, "10.0.0.1", "10.15.255.254"},
    {"0.0.0.0/2", 1073741822, "0.0.0.1", "63.255.255.254"},
    {"0.0.0.0/1", 0, NULL, NULL},
    {"0.0.0.0/0", 0, NULL, NULL},
    {"fd00::/128", 0, NULL, NULL},
    {"fd00::/127", 1, "fd00::1", "fd00::1"},
    {"fd00::/120", 255, "fd00::1", "fd00::ff"},
    {"fd00::/113", 32767, "fd00::1", "fd00::7fff"},
    {"fd00::/112", 65535, "fd00::1", "fd00::ffff"},
    {"fd00::/111", 65535, "fd00::1", "fd00::ffff"},
    {"fd00::/64", 65535, "fd00::1", "fd00::ffff"},
    {"fd00::/48", 65535, "fd00::1", "fd00::ffff"},
    {"::/2", 65535, "::1", "::ffff"},
    {"::/1", 0, NULL, NULL},
    {"::/0", 0, NULL, NULL},
};

START_TEST(a_range_of_addresses_has_the_items_that_kubernetes_counts) {
    ipalloc_range_allocation a = made(SIZES[_i].range, BYTES(""));
    ipalloc_addr address;
    uint16_t port;
    uint64_t item;
    ck_assert_uint_eq(a.item_count, SIZES[_i].item_count);
    ck_assert(!a.is_ports);
    ck_assert_status(ipalloc_range_allocation_addr(&a, a.item_count, &address),
                     IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_allocation_port(&a, 0, &port), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocation_item_of_port(&a, 80, &item), IPALLOC_E_INVALID);
    if (SIZES[_i].first == NULL)
        return;
    ck_assert_status(ipalloc_range_allocation_addr(&a, 0, &address), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&address), SIZES[_i].first);
    ck_assert_status(ipalloc_range_allocation_addr(&a, a.item_count - 1, &address), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&address), SIZES[_i].last);
}
END_TEST

START_TEST(an_address_is_the_item_that_stands_for_it) {
    ipalloc_range_allocation a = made(SIZES[_i].range, BYTES(""));
    for (uint64_t i = 0; i < a.item_count; i += 1 + a.item_count / 100) {
        ipalloc_addr address;
        uint64_t item = 0;
        ck_assert_status(ipalloc_range_allocation_addr(&a, i, &address), IPALLOC_OK);
        ck_assert_status(ipalloc_range_allocation_item(&a, &address, &item), IPALLOC_OK);
        ck_assert_uint_eq(item, i);
    }
}
END_TEST

static const struct {
    const char *range, *address;
} OUTSIDE[] = {
    {"10.0.0.0/24", "10.0.0.0"},      {"10.0.0.0/24", "10.0.0.255"}, {"10.0.0.0/24", "10.0.1.1"},
    {"10.0.0.0/24", "9.255.255.255"}, {"10.0.0.0/24", "fd00::1"},    {"fd00::/64", "fd00::"},
    {"fd00::/64", "fd00::1:0"},       {"fd00::/64", "fcff::1"},      {"fd00::/64", "10.0.0.1"},
    {"0.0.0.0/0", "10.0.0.1"},
};

START_TEST(no_item_stands_for_what_is_outside) {
    ipalloc_range_allocation a = made(OUTSIDE[_i].range, BYTES(""));
    ipalloc_addr address = addr(OUTSIDE[_i].address);
    uint64_t item;
    ck_assert_status(ipalloc_range_allocation_item(&a, &address, &item), IPALLOC_E_NOT_IN_RANGE);
}
END_TEST

START_TEST(a_port_is_an_item_from_the_first_one_on) {
    ipalloc_range_allocation a = made("30000-32767", BYTES(""));
    ipalloc_addr address = addr("10.0.0.1");
    uint16_t port;
    uint64_t item;
    ck_assert_status(ipalloc_range_allocation_port(&a, 0, &port), IPALLOC_OK);
    ck_assert_uint_eq(port, 30000);
    ck_assert_status(ipalloc_range_allocation_port(&a, 2767, &port), IPALLOC_OK);
    ck_assert_uint_eq(port, 32767);
    ck_assert_status(ipalloc_range_allocation_port(&a, 2768, &port), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_allocation_item_of_port(&a, 30010, &item), IPALLOC_OK);
    ck_assert_uint_eq(item, 10);
    ck_assert_status(ipalloc_range_allocation_item_of_port(&a, 29999, &item),
                     IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_allocation_item_of_port(&a, 32768, &item),
                     IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_allocation_addr(&a, 0, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocation_item(&a, &address, &item), IPALLOC_E_INVALID);
}
END_TEST

/* --- which are taken ------------------------------------------------------------------------- */

static const struct {
    const char *data;
    size_t size;
    int items[4]; /* up to -1 */
} TAKEN[] = {
    /* what Kubernetes' bitmap wrote for these items */
    {"", 0, {-1}},
    {"\x01", 1, {0, -1}},
    {"\x02\x01", 2, {0, 9, -1}},
    {"\x03\x01", 2, {0, 8, 9, -1}},
    {"\x82\x01", 2, {0, 9, 15, -1}},
    {"\x80\x00\x00\x00\x00\x00\x02\x01", 8, {0, 9, 63, -1}},
    {"\x08", 1, {3, -1}},
    {"\x00\x00\x08", 3, {3, -1}}, /* leading zero bytes mean the same */
};

START_TEST(the_bitmap_is_one_big_number) {
    ipalloc_bytes data = bytes_copy(TAKEN[_i].data, TAKEN[_i].size);
    ipalloc_range_allocation a = made("10.0.0.0/24", data);
    size_t count = 0;
    for (uint64_t i = 0; ipalloc_range_allocation_next(&a, &i) == IPALLOC_OK; i++)
        ck_assert_int_eq((int)i, TAKEN[_i].items[count++]);
    ck_assert_int_eq(TAKEN[_i].items[count], -1);
    ck_assert_uint_eq(ipalloc_range_allocation_count(&a), count);
    for (uint64_t i = 0, next = 0; i < 300; i++) {
        bool taken = TAKEN[_i].items[next] == (int)i;
        next += taken;
        ck_assert_int_eq(ipalloc_range_allocation_has(&a, i), taken);
    }
    bytes_free(data);
}
END_TEST

START_TEST(a_walk_ends_behind_the_last_taken_item) {
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x08"));
    uint64_t item = 4;
    ck_assert_status(ipalloc_range_allocation_next(&a, &item), IPALLOC_E_NOT_FOUND);
    ck_assert_uint_eq(item, 4);
    item = UINT64_MAX;
    ck_assert_status(ipalloc_range_allocation_next(&a, &item), IPALLOC_E_NOT_FOUND);
    ck_assert(!ipalloc_range_allocation_has(&a, UINT64_MAX));
    a.item_count = 3; /* a struct that was tampered with */
    item = 0;
    ck_assert_status(ipalloc_range_allocation_next(&a, &item), IPALLOC_E_NOT_FOUND);
    ck_assert(!ipalloc_range_allocation_has(&a, 3));
}
END_TEST

/* --- changing it ----------------------------------------------------------------------------- */

enum { ITEMS = 2768, BITMAP = 346 };

START_TEST(random_changes_agree_with_an_array) {
    uint64_t seed = test_seed();
    bool model[ITEMS] = {false};
    uint8_t bitmap[BITMAP];
    ipalloc_range_allocation a = made("30000-32767", BYTES(""));
    ck_assert_uint_eq(ipalloc_range_allocation_bitmap_size(&a), BITMAP);
    ck_assert_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, BITMAP), IPALLOC_OK);
    for (uint64_t round = 0; round < test_scaled(300); round++) {
        for (int i = 0; i < 20; i++) {
            uint64_t item = test_random(&seed) % ITEMS;
            model[item] = test_random(&seed) % 2 == 0;
            require_status(
                ipalloc_range_allocation_bitmap_set(&a, bitmap, BITMAP, item, model[item]),
                IPALLOC_OK);
        }
        require_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, BITMAP, &error), IPALLOC_OK);
        uint64_t count = 0, walked = 0;
        for (uint64_t i = 0; i < ITEMS; i++) {
            require(ipalloc_range_allocation_has(&a, i) == model[i]);
            count += model[i];
        }
        for (uint64_t i = 0; ipalloc_range_allocation_next(&a, &i) == IPALLOC_OK; i++, walked++)
            require(model[i]);
        require(walked == count && ipalloc_range_allocation_count(&a) == count);
        require(a.data.size == 0 || ((const uint8_t *)a.data.data)[0] != 0);
        require_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, BITMAP), IPALLOC_OK);
    }
}
END_TEST

START_TEST(a_bitmap_is_loaded_at_the_end_of_its_buffer) {
    uint8_t bitmap[32];
    memset(bitmap, 0x5a, sizeof bitmap);
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x03\x01"));
    ck_assert_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, 32), IPALLOC_OK);
    ck_assert_uint_eq(bitmap[31], 0x01);
    ck_assert_uint_eq(bitmap[30], 0x03);
    for (int i = 0; i < 30; i++)
        ck_assert_uint_eq(bitmap[i], 0);
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, 32, &error), IPALLOC_OK);
    ck_assert_bytes_eq(a.data, BYTES("\x03\x01"));
}
END_TEST

START_TEST(an_empty_set_is_no_bytes_but_a_field) {
    uint8_t bitmap[32] = {0};
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x01"));
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, 32, &error), IPALLOC_OK);
    ck_assert_uint_eq(a.data.size, 0);
    ck_assert_ptr_nonnull(a.data.data);
}
END_TEST

START_TEST(a_bitmap_of_another_size_is_refused) {
    uint8_t bitmap[33] = {0};
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x01"));
    for (size_t capacity = 31; capacity <= 33; capacity += 2) {
        ck_assert_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, capacity),
                         IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_range_allocation_bitmap_set(&a, bitmap, capacity, 0, true),
                         IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, capacity, &error),
                         IPALLOC_E_INVALID);
    }
    ck_assert_str_eq(error.message, "RangeAllocation: a bitmap of 33 bytes; 32 are needed");
    ck_assert_status(ipalloc_range_allocation_bitmap_set(&a, bitmap, 32, 254, true),
                     IPALLOC_E_NOT_IN_RANGE);
    ck_assert_uint_eq(bitmap[0], 0);
    a.data = (ipalloc_bytes){bitmap, 33};
    ck_assert_status(ipalloc_range_allocation_bitmap_load(&a, bitmap, 32), IPALLOC_E_INVALID);
}
END_TEST

START_TEST(a_bitmap_with_a_bit_too_many_is_refused) {
    uint8_t bitmap[32] = {0x40}; /* item 254 of 254 */
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x01"));
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, 32, &error),
                     IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message,
                     "RangeAllocation 10.0.0.0/24: item 254 is taken, but the range has 254");
    ck_assert_bytes_eq(a.data, BYTES("\x01"));
    bitmap[0] = 0x20;
    ck_assert_status(ipalloc_range_allocation_bitmap_use(&a, bitmap, 32, &error), IPALLOC_OK);
}
END_TEST

START_TEST(null_is_refused) {
    ipalloc_range_allocation a = made("10.0.0.0/24", BYTES("\x01")), p = made("1-2", BYTES("\x01"));
    ipalloc_addr address = addr("10.0.0.1");
    uint64_t item = 0;
    uint16_t port;
    uint8_t bitmap[32];
    ck_assert(!ipalloc_range_allocation_has(NULL, 0));
    ck_assert_uint_eq(ipalloc_range_allocation_count(NULL), 0);
    ck_assert_uint_eq(ipalloc_range_allocation_bitmap_size(NULL), 0);
    const int statuses[] = {
        ipalloc_range_allocation_next(NULL, &item),
        ipalloc_range_allocation_next(&a, NULL),
        ipalloc_range_allocation_addr(NULL, 0, &address),
        ipalloc_range_allocation_addr(&a, 0, NULL),
        ipalloc_range_allocation_port(NULL, 0, &port),
        ipalloc_range_allocation_port(&p, 0, NULL),
        ipalloc_range_allocation_item(NULL, &address, &item),
        ipalloc_range_allocation_item(&a, NULL, &item),
        ipalloc_range_allocation_item(&a, &address, NULL),
        ipalloc_range_allocation_item_of_port(NULL, 1, &item),
        ipalloc_range_allocation_item_of_port(&p, 1, NULL),
        ipalloc_range_allocation_bitmap_load(NULL, bitmap, 0),
        ipalloc_range_allocation_bitmap_load(&a, NULL, 32),
        ipalloc_range_allocation_bitmap_set(NULL, bitmap, 0, 0, true),
        ipalloc_range_allocation_bitmap_set(&a, NULL, 32, 0, true),
        ipalloc_range_allocation_bitmap_use(NULL, bitmap, 0, &error),
        ipalloc_range_allocation_bitmap_use(&a, NULL, 32, &error),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        ck_assert_int_eq(statuses[i], IPALLOC_E_INVALID);
}
END_TEST

/* A range's own snapshot has the same form. */
START_TEST(a_snapshot_of_a_range_is_such_a_bitmap) {
    ipalloc_range *range;
    ipalloc_cidr c = cidr("10.96.0.0/16");
    uint8_t bytes[8192];
    size_t length;
    static const char *const HELD[] = {"10.96.0.1", "10.96.0.9", "10.96.0.10"};
    ck_assert_status(ipalloc_range_create(&c, NULL, &range, &error), IPALLOC_OK);
    for (int i = 0; i < 3; i++) {
        ipalloc_addr held = addr(HELD[i]);
        ck_assert_status(ipalloc_range_reserve(range, &held), IPALLOC_OK);
    }
    ck_assert_status(ipalloc_range_snapshot(range, bytes, sizeof bytes, &length), IPALLOC_OK);
    ipalloc_range_allocation a = made("10.96.0.0/16", (ipalloc_bytes){bytes, length});
    uint64_t item = 0;
    for (int i = 0; i < 3; i++, item++) {
        ipalloc_addr taken;
        ck_assert_status(ipalloc_range_allocation_next(&a, &item), IPALLOC_OK);
        ck_assert_status(ipalloc_range_allocation_addr(&a, item, &taken), IPALLOC_OK);
        ck_assert_str_eq(addr_text(&taken), HELD[i]);
    }
    ck_assert_uint_eq(ipalloc_range_allocation_count(&a), 3);
    ipalloc_range_destroy(range);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range_bits");
    TCase *tc = tcase_create("range_bits");
    tcase_add_loop_test(tc, a_range_of_addresses_has_the_items_that_kubernetes_counts, 0,
                        LENGTH(SIZES));
    tcase_add_loop_test(tc, an_address_is_the_item_that_stands_for_it, 0, LENGTH(SIZES));
    tcase_add_loop_test(tc, no_item_stands_for_what_is_outside, 0, LENGTH(OUTSIDE));
    tcase_add_test(tc, a_port_is_an_item_from_the_first_one_on);
    tcase_add_loop_test(tc, the_bitmap_is_one_big_number, 0, LENGTH(TAKEN));
    tcase_add_test(tc, a_walk_ends_behind_the_last_taken_item);
    tcase_add_test(tc, random_changes_agree_with_an_array);
    tcase_add_test(tc, a_bitmap_is_loaded_at_the_end_of_its_buffer);
    tcase_add_test(tc, an_empty_set_is_no_bytes_but_a_field);
    tcase_add_test(tc, a_bitmap_of_another_size_is_refused);
    tcase_add_test(tc, a_bitmap_with_a_bit_too_many_is_refused);
    tcase_add_test(tc, null_is_refused);
    tcase_add_test(tc, a_snapshot_of_a_range_is_such_a_bitmap);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
