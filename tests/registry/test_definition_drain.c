/*
 * test_definition_drain.c: the definition between the two steps of a change that takes something
 * away, compared address by address with those before and after it.
 */
#include "registry/definition.h"
#include "support.h"

#include <string.h>

enum { UNIVERSE = 64 };

static hooks heap;

static bool ends_count(const definition *d, const definition_range *r) {
    return d->use_all_addresses || r->all;
}

/* What a definition makes of an address, plainly. */
static void look_at(const definition *d, const ipalloc_addr *a, bool *gives, bool *counts) {
    ipalloc_addr ends[2];
    *gives = *counts = false;
    for (size_t i = 0; i < d->range_count; i++) {
        const definition_range *r = &d->ranges[i];
        bool is_end = false;
        size_t count = ends_count(d, r) ? 0 : definition_unusable_ends(d, r, ends);
        for (size_t j = 0; j < count; j++)
            is_end |= ipalloc_addr_compare(&ends[j], a) == 0;
        if (!ipalloc_cidr_contains(&r->cidr, a) || is_end)
            continue;
        require(!*counts); /* in one range only */
        *counts = true;
        *gives = !r->draining;
    }
    place p = place_of_addr(a);
    definition_span span = {p, p};
    *gives = *gives && !(d->exclusion_count > 0 && definition_is_excluded(d, &span));
}

static definition random_definition(uint64_t *state, int kind) {
    definition d = {.kind = kind,
                    .hooks = &heap,
                    .static_band_size = 1,
                    .use_all_addresses = test_random(state) % 3 == 0};
    unsigned bits = kind == IPALLOC_POOL_IPV4 ? 32 : 128;
    for (int i = 0; i < 6 || d.range_count == 0; i++) {
        unsigned host = test_random(state) % 7;
        definition_range r = {.cidr =
                                  cidr(kind == IPALLOC_POOL_IPV4 ? "10.96.0.0/26" : "fd00::/122"),
                              .draining = test_random(state) % 3 == 0};
        r.all = r.draining && !d.use_all_addresses && test_random(state) % 2 == 0;
        r.cidr.prefix_length = (uint8_t)(bits - host);
        r.cidr.base.bytes[bits / 8 - 1] |= (uint8_t)(test_random(state) % 64 >> host << host);
        (void)definition_add_range(&d, &r, NULL); /* where it fits */
    }
    return d;
}

static ipalloc_addr nth(int kind, unsigned i) {
    ipalloc_addr a = addr(kind == IPALLOC_POOL_IPV4 ? "10.96.0.0" : "fd00::");
    a.bytes[kind == IPALLOC_POOL_IPV4 ? 3 : 15] = (uint8_t)i;
    return a;
}

static void exclude_some(definition *d, uint64_t *state) {
    for (unsigned i = 0; i < UNIVERSE; i++) {
        ipalloc_addr a = nth(d->kind, i);
        bool gives, counts;
        look_at(d, &a, &gives, &counts);
        place p = place_of_addr(&a);
        if (counts && test_random(state) % 8 == 0)
            require_status(definition_exclude(d, &(definition_span){p, p}, NULL), IPALLOC_OK);
    }
}

/* Of every address: it is given out only if it was, and will count; if it counted, it does. */
static void check_between(const definition *current, const definition *wanted,
                          const definition *between) {
    text_buffer text;
    definition parsed;
    bool loses = false;
    text_init(&text, &heap);
    definition_append(&text, between);
    require_status(definition_parse(bytes_of("k"), bytes_of_buffer(&text), &heap, &parsed, NULL),
                   IPALLOC_OK);
    definition_free(&parsed);
    text_free(&text);
    for (unsigned i = 0; i < UNIVERSE; i++) {
        ipalloc_addr a = nth(current->kind, i);
        bool gave, counted, gives, counts, will_give, will_count;
        look_at(current, &a, &gave, &counted);
        look_at(between, &a, &gives, &counts);
        look_at(wanted, &a, &will_give, &will_count);
        require(!gives || (gave && will_count));
        require(!counted || counts);
        require(gives || !gave || !will_give ||
                wanted->use_all_addresses != current->use_all_addresses);
        loses |= gave && !will_count;
    }
    require(!loses || definition_gives_up(current, wanted));
    require(!definition_gives_up(between, wanted));
}

START_TEST(the_definition_between_gives_out_nothing_that_goes) {
    uint64_t state = test_seed(), steps_left = test_scaled(20000);
    ck_assert_status(hooks_init(&heap, NULL, NULL), IPALLOC_OK);
    for (; steps_left > 0; steps_left--) {
        int kind = test_random(&state) % 2 == 0 ? IPALLOC_POOL_IPV4 : IPALLOC_POOL_IPV6;
        definition current = random_definition(&state, kind);
        definition wanted = random_definition(&state, kind), between;
        exclude_some(&current, &state);
        require_status(definition_drain_first(&between, &current, &wanted, NULL), IPALLOC_OK);
        check_between(&current, &wanted, &between);
        definition_free(&between);
        definition_free(&current);
    }
}
END_TEST

/* 126 parts each: then all of what is cut drains. */
START_TEST(where_the_parts_would_be_too_many_the_whole_drains) {
    definition current = {.kind = IPALLOC_POOL_IPV6, .hooks = &heap, .range_count = 4};
    ck_assert_status(hooks_init(&heap, NULL, NULL), IPALLOC_OK);
    static const char *const WIDE[] = {"2000::/4", "4000::/4", "6000::/4", "8000::/4"};
    static const char *const NARROW[] = {"2000::/127", "4000::/127", "6000::/127", "8000::/4"};
    definition wanted = current, between;
    for (size_t i = 0; i < 4; i++) {
        current.ranges[i].cidr = cidr(WIDE[i]);
        wanted.ranges[i].cidr = cidr(NARROW[i]);
    }
    ck_assert(definition_gives_up(&current, &wanted));
    ck_assert_status(definition_drain_first(&between, &current, &wanted, NULL), IPALLOC_OK);
    ck_assert_uint_eq(between.range_count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert(between.ranges[i].draining == (i < 3));
    ck_assert(!definition_gives_up(&between, &wanted));
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("definition_drain");
    TCase *c = tcase_create("between");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_definition_between_gives_out_nothing_that_goes);
    tcase_add_test(c, where_the_parts_would_be_too_many_the_whole_drains);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
