/* The hub's sorted blocks beside a plain sorted array, and what they promise at their edges. */
#include "shelf.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

#define KEYS_MAX 4000

/* A shelf only passes them on. */
struct shared_text {
    char unused;
};

static struct shared_text texts[KEYS_MAX];
static bool present[KEYS_MAX]; /* the model: is the key of this number there? */

/* In the order of the numbers. */
static const char *key_of(size_t number, char out[16]) {
    snprintf(out, 16, "k%06zu", number);
    return out;
}

static void put(struct shelf *shelf, size_t number) {
    char key[16];
    struct shared_text *before = shelf_exchange(shelf, key_of(number, key), &texts[number]);
    require(before == (present[number] ? &texts[number] : NULL));
    present[number] = true;
}

static void take(struct shelf *shelf, size_t number) {
    char key[16];
    struct shared_text *before = shelf_exchange(shelf, key_of(number, key), NULL);
    require(before == (present[number] ? &texts[number] : NULL));
    present[number] = false;
}

static void assert_same(const struct shelf *shelf) {
    struct shelf_walk walk = {.shelf = shelf};
    size_t count = 0;
    for (size_t i = 0; i < KEYS_MAX; i++) {
        char key[16];
        const struct item *found = shelf_find(shelf, key_of(i, key));
        require((found != NULL) == present[i]);
        if (present[i]) {
            const struct item *item = shelf_peek(&walk);
            require(item == found && strcmp(item->key, key) == 0 && item->text == &texts[i]);
            shelf_step(&walk);
            count++;
        }
    }
    require(shelf_peek(&walk) == NULL && shelf->count == count);
}

static void empty(struct shelf *shelf) {
    for (size_t i = KEYS_MAX; i > 0; i--) {
        if (present[i - 1]) {
            require(shelf_take_last(shelf) == &texts[i - 1]);
            present[i - 1] = false;
        }
    }
    require(shelf_take_last(shelf) == NULL);
    assert_same(shelf);
}

START_TEST(keys_that_come_in_order_are_found_in_order) {
    struct shelf shelf = {0};
    for (size_t i = 0; i < KEYS_MAX; i++) {
        put(&shelf, _i == 0 ? i : KEYS_MAX - 1 - i);
    }
    assert_same(&shelf);
    for (size_t i = 0; i < KEYS_MAX; i++) {
        take(&shelf, i);
    }
    assert_same(&shelf);
}
END_TEST

START_TEST(random_changes_leave_what_a_plain_array_has) {
    struct shelf shelf = {0};
    uint64_t state = test_seed();
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < test_scaled(20000); i++) {
            uint64_t bits = test_random(&state);
            size_t number = (size_t)(bits >> 8) % KEYS_MAX;
            if (bits % 8 < (round % 2 == 0 ? 6u : 2u)) {
                put(&shelf, number);
            } else {
                take(&shelf, number);
            }
        }
        assert_same(&shelf);
    }
    empty(&shelf);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shelf");
    TCase *cases = tcase_create("shelf");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, keys_that_come_in_order_are_found_in_order, 0, 2);
    tcase_add_test(cases, random_changes_leave_what_a_plain_array_has);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
