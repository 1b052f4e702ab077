/* From CIDRs to a pool's ranges: arithmetic against the plain sets of addresses. */
#include "service_cidrs.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static struct service_cidr_list parse_list(const char *text) {
    struct service_cidr_list list = {0};
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        ipalloc_cidr parsed;
        ck_assert_status(ipalloc_cidr_parse(text, length, &parsed, NULL), IPALLOC_OK);
        service_cidr_list_add(&list, &parsed);
        text += length + (text[length] == ' ');
    }
    return list;
}

static void print_list(const struct service_cidr_list *list, char *out, size_t capacity) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        char text[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&list->cidrs[i], text);
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", i > 0 ? " " : "", text);
    }
}

static const struct {
    const char *given, *kept;
} reduced[] = {
    {"", ""},
    {"10.0.0.0/24", "10.0.0.0/24"},
    {"10.0.0.0/24 10.0.0.0/24", "10.0.0.0/24"},
    {"10.0.0.0/28 10.0.0.0/24", "10.0.0.0/24"},
    {"10.0.0.0/24 10.0.0.16/28 10.0.1.0/24 10.0.0.0/24", "10.0.0.0/24 10.0.1.0/24"},
    {"0.0.0.0/0 10.0.0.0/8", "0.0.0.0/0"},
    {"fd00::/64 fd00::/48 fd00:1::/64", "fd00::/48 fd00:1::/64"},
};

START_TEST(the_largest_stay_each_once) {
    char text[512];
    struct service_cidr_list list = parse_list(reduced[_i].given);
    service_cidr_list_reduce(&list);
    print_list(&list, text, sizeof text);
    ck_assert_str_eq(text, reduced[_i].kept);
    service_cidr_list_free(&list);
}
END_TEST

static const struct {
    const char *cidrs, *address;
    bool served;
} served[] = {
    {"10.0.0.0/28", "10.0.0.0", false},  {"10.0.0.0/28", "10.0.0.1", true},
    {"10.0.0.0/28", "10.0.0.14", true},  {"10.0.0.0/28", "10.0.0.15", false},
    {"10.0.0.0/28", "10.0.0.16", false}, {"10.0.0.0/28 10.0.0.0/24", "10.0.0.15", true},
    {"10.0.0.0/31", "10.0.0.1", false},  {"10.0.0.0/32", "10.0.0.0", false},
    {"fd00::/127", "fd00::", false},     {"fd00::/127", "fd00::1", true},
    {"fd00::/128", "fd00::", false},     {"fd00::/64", "fd00::ffff:ffff:ffff:ffff", true},
    {"0.0.0.0/0", "10.0.0.0", true},     {"", "10.0.0.1", false},
};

START_TEST(the_ends_of_a_cidr_are_not_served) {
    struct service_cidr_list list = parse_list(served[_i].cidrs);
    ipalloc_addr address = addr(served[_i].address);
    ck_assert_msg(service_cidr_list_serves(&list, &address) == served[_i].served, "%s of %s",
                  served[_i].address, served[_i].cidrs);
    service_cidr_list_free(&list);
}
END_TEST

/* A random CIDR within 10.0.0.0/24. */
static ipalloc_cidr random_cidr(uint64_t *state) {
    ipalloc_cidr out = {.base = {.family = 4, .bytes = {10, 0, 0, 0}}};
    out.prefix_length = (uint8_t)(24 + test_random(state) % 9);
    unsigned mask = 0xffu << (32 - out.prefix_length) & 0xffu;
    out.base.bytes[3] = (uint8_t)(test_random(state) & mask);
    return out;
}

static bool is_in(const struct service_cidr_list *list, const ipalloc_addr *address,
                  unsigned *times) {
    *times = 0;
    for (size_t i = 0; i < list->count; i++) {
        *times += ipalloc_cidr_contains(&list->cidrs[i], address);
    }
    return *times > 0;
}

START_TEST(the_rest_is_what_is_in_the_range_and_in_none_of_the_taken) {
    uint64_t state = test_seed();
    for (uint64_t round = 0; round < test_scaled(2000); round++) {
        struct service_cidr_list taken = {0};
        struct service_cidr_list rest = {0};
        ipalloc_cidr range = random_cidr(&state);
        for (uint64_t i = test_random(&state) % 5; i > 0; i--) {
            ipalloc_cidr one = random_cidr(&state);
            service_cidr_list_add(&taken, &one);
        }
        service_cidr_list_reduce(&taken);
        service_cidr_list_add_rest(&rest, &range, &taken);
        for (unsigned last = 0; last < 256; last++) {
            ipalloc_addr address = {.family = 4, .bytes = {10, 0, 0, (uint8_t)last}};
            unsigned in_rest;
            unsigned in_taken;
            bool is_rest = is_in(&rest, &address, &in_rest);
            bool is_taken = is_in(&taken, &address, &in_taken);
            require(in_rest <= 1 && in_taken <= 1);
            require(is_rest == (ipalloc_cidr_contains(&range, &address) && !is_taken));
        }
        service_cidr_list_free(&taken);
        service_cidr_list_free(&rest);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cidr ranges");
    TCase *cases = tcase_create("cidr ranges");
    tcase_add_loop_test(cases, the_largest_stay_each_once, 0,
                        (int)(sizeof reduced / sizeof reduced[0]));
    tcase_add_loop_test(cases, the_ends_of_a_cidr_are_not_served, 0,
                        (int)(sizeof served / sizeof served[0]));
    tcase_add_test(cases, the_rest_is_what_is_in_the_range_and_in_none_of_the_taken);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
