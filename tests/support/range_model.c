/*
 * range_model.c: the naive model, and the operations that are checked against it.
 */
#include "range_model.h"

#include "core/range_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MAX = 1200,   /* a model larger than that would slow the run down */
    SPARSE_ENTRIES = 400, /* so many numbers are not free at most where the range is large */
    INTERVALS_MAX = 64,
    COMPARE_EVERY = 512
};

enum entry_state { HELD, COOLING, IN_LINE };

typedef struct entry { /* a number that is neither never-used nor excluded */
    u128 number;
    enum entry_state state;
    uint64_t since, sequence;
} entry;

typedef struct model {
    ipalloc_range *range;
    range_case shape;
    u128 size, split, first_value;
    entry entries[ENTRIES_MAX];
    size_t entry_count;
    struct {
        u128 first, last;
    } excluded[INTERVALS_MAX];
    size_t excluded_count;
    uint64_t wall, now; /* the hooked clock; the same without its steps back */
    uint64_t draws;     /* state of the hooked random source */
    uint64_t random;    /* state of the test's own choices */
    uint64_t sequence;
    uint64_t freed; /* how often something became free */
    bool filling;   /* claims more than it releases, or the other way round */
} model;

static uint64_t hooked_clock(void *context) {
    return ((model *)context)->wall;
}

static uint64_t hooked_random(void *context) {
    return test_random(&((model *)context)->draws);
}

static uint64_t below(model *m, uint64_t bound) {
    return test_random(&m->random) % bound;
}

/* --- the model's own state ---------------------------------------------------------------------
 */

static size_t lower_bound(const model *m, u128 number) {
    size_t low = 0, high = m->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->entries[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static entry *find(model *m, u128 number) {
    size_t i = lower_bound(m, number);
    return i < m->entry_count && m->entries[i].number == number ? &m->entries[i] : NULL;
}

static entry *insert(model *m, u128 number, enum entry_state state) {
    require(m->entry_count < ENTRIES_MAX);
    size_t i = lower_bound(m, number);
    memmove(&m->entries[i + 1], &m->entries[i], (m->entry_count - i) * sizeof(entry));
    m->entry_count++;
    m->entries[i] = (entry){number, state, 0, 0};
    return &m->entries[i];
}

static void erase(model *m, entry *e) {
    size_t i = (size_t)(e - m->entries);
    memmove(e, e + 1, (m->entry_count - i - 1) * sizeof(entry));
    m->entry_count--;
}

static bool is_excluded(const model *m, u128 number) {
    for (size_t i = 0; i < m->excluded_count; i++)
        if (m->excluded[i].first <= number && number <= m->excluded[i].last)
            return true;
    return false;
}

static void cut_excluded(model *m, u128 first, u128 last) {
    size_t count = m->excluded_count;
    for (size_t i = 0; i < count; i++) {
        u128 old_first = m->excluded[i].first, old_last = m->excluded[i].last;
        if (old_last < first || old_first > last)
            continue;
        m->excluded[i].first = 1; /* empty: removed below */
        m->excluded[i].last = 0;
        if (old_first < first) {
            m->excluded[m->excluded_count].first = old_first;
            m->excluded[m->excluded_count++].last = first - 1;
        }
        if (old_last > last) {
            m->excluded[m->excluded_count].first = last + 1;
            m->excluded[m->excluded_count++].last = old_last;
        }
        require(m->excluded_count < INTERVALS_MAX - 1);
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->excluded_count; i++)
        if (m->excluded[i].first <= m->excluded[i].last)
            m->excluded[kept++] = m->excluded[i];
    m->excluded_count = kept;
}

static u128 count_excluded(const model *m, u128 begin, u128 end) {
    u128 count = 0;
    for (size_t i = 0; i < m->excluded_count; i++) {
        u128 first = m->excluded[i].first, last = m->excluded[i].last;
        first = first < begin ? begin : first;
        last = last >= end ? end - 1 : last;
        if (first < end && last >= begin && first <= last)
            count += last - first + 1;
    }
    return count;
}

static u128 count_entries(const model *m, u128 begin, u128 end, enum entry_state state) {
    u128 count = 0;
    for (size_t i = 0; i < m->entry_count; i++)
        count += m->entries[i].number >= begin && m->entries[i].number < end &&
                 m->entries[i].state == state;
    return count;
}

static u128 band_begin(const model *m, enum range_band band) {
    return band == RANGE_BAND_STATIC ? 0 : m->split;
}

static u128 band_end(const model *m, enum range_band band) {
    return band == RANGE_BAND_STATIC ? m->split : m->size;
}

static u128 count_free(const model *m, enum range_band band) {
    u128 begin = band_begin(m, band), end = band_end(m, band);
    if (begin == end)
        return 0;
    return end - begin - count_excluded(m, begin, end) - count_entries(m, begin, end, HELD) -
           count_entries(m, begin, end, COOLING);
}

static bool keeps_back(const model *m) {
    return m->shape.cool_down_ms > 0 || m->shape.strategy == IPALLOC_STRATEGY_OLDEST_FREED;
}

/* Dense and not in line: addresses rest by generations of half a rest. */
static bool rests_by_generation(const model *m) {
    return m->shape.strategy != IPALLOC_STRATEGY_OLDEST_FREED && m->size <= (u128)1 << 24;
}

static uint64_t end_of_rest(const model *m, uint64_t since) {
    if (rests_by_generation(m))
        return test_end_of_rest(since, m->shape.cool_down_ms);
    return since + m->shape.cool_down_ms;
}

static void end_rest(model *m, entry *e) {
    m->freed++;
    if (m->shape.strategy == IPALLOC_STRATEGY_OLDEST_FREED)
        e->state = IN_LINE;
    else
        erase(m, e);
}

static void settle(model *m) {
    for (size_t i = m->entry_count; i-- > 0;)
        if (m->entries[i].state == COOLING && end_of_rest(m, m->entries[i].since) <= m->now)
            end_rest(m, &m->entries[i]);
}

static void put_to_rest(model *m, entry *e, uint64_t since) {
    e->state = COOLING;
    e->since = since < m->now ? since : m->now;
    e->sequence = m->sequence++;
    /* Oldest-freed without cool-down: free at once. Else whoever looks next ends the rest. */
    if (m->shape.cool_down_ms == 0)
        end_rest(m, e);
}

static bool is_full(const model *m) {
    return count_free(m, RANGE_BAND_DYNAMIC) + count_free(m, RANGE_BAND_STATIC) == 0;
}

static entry *oldest(model *m, u128 begin, u128 end, enum entry_state state) {
    entry *best = NULL;
    for (size_t i = 0; i < m->entry_count; i++) {
        entry *e = &m->entries[i];
        if (e->state != state || e->number < begin || e->number >= end)
            continue;
        if (best == NULL || e->since < best->since ||
            (e->since == best->since && e->sequence < best->sequence))
            best = e;
    }
    return best;
}

/* What is given where nothing is free: by generation, the lowest of the oldest. */
static entry *longest_rested(model *m) {
    if (!rests_by_generation(m))
        return oldest(m, 0, m->size, COOLING);
    entry *best = NULL;
    for (size_t i = 0; i < m->entry_count; i++) {
        entry *e = &m->entries[i];
        if (e->state == COOLING &&
            (best == NULL || end_of_rest(m, e->since) < end_of_rest(m, best->since)))
            best = e;
    }
    return best;
}

/* The lowest number of [begin, end) that is neither an entry nor excluded. */
static bool lowest_unused(model *m, u128 begin, u128 end, u128 *number) {
    u128 from = begin;
    size_t i = lower_bound(m, begin);
    while (from < end) {
        u128 before = from;
        for (size_t k = 0; k < m->excluded_count; k++) {
            if (m->excluded[k].first > from || from > m->excluded[k].last)
                continue;
            if (m->excluded[k].last >= end - 1)
                return false;
            from = m->excluded[k].last + 1;
        }
        while (i < m->entry_count && m->entries[i].number < from)
            i++;
        if (i < m->entry_count && m->entries[i].number == from)
            from++;
        if (from == before) {
            *number = from;
            return true;
        }
    }
    return false;
}

/* --- choosing ----------------------------------------------------------------------------------
 */

static u128 any_number(model *m) {
    uint64_t kind = below(m, 8);
    u128 near = below(m, 300);
    if (kind < 4 && m->entry_count > 0)
        return m->entries[below(m, m->entry_count)].number;
    if (kind == 4)
        return near < m->size ? near : 0;
    if (kind == 5)
        return near < m->size ? m->size - 1 - near : 0;
    if (kind == 6 && m->split > 8 && m->split + 8 < m->size)
        return m->split - 8 + near % 16;
    u128 wide = u128_make(test_random(&m->random), test_random(&m->random));
    return wide % m->size;
}

static range_offset offset(u128 number) {
    return (range_offset){number};
}

/* --- operations --------------------------------------------------------------------------------
 */

static void claimed(model *m, u128 number) {
    entry *e = find(m, number);
    if (e == NULL)
        insert(m, number, HELD);
    else
        e->state = HELD;
}

/* Is `number` what a claim in that band may give? */
static void check_pick(model *m, enum range_band band, u128 number) {
    require(number >= band_begin(m, band) && number < band_end(m, band));
    entry *e = find(m, number);
    require(e == NULL || e->state == IN_LINE);
    require(!is_excluded(m, number));
    u128 lowest;
    bool unused = lowest_unused(m, band_begin(m, band), band_end(m, band), &lowest);
    if (m->shape.strategy != IPALLOC_STRATEGY_RANDOM && unused)
        require(number == lowest);
    if (m->shape.strategy == IPALLOC_STRATEGY_OLDEST_FREED && !unused)
        require(oldest(m, band_begin(m, band), band_end(m, band), IN_LINE) == e);
}

static void allocate(model *m) {
    settle(m);
    range_offset got;
    int status = range_allocate(m->range, &got);
    for (int i = 0; i < 2; i++) {
        enum range_band band = i == 0 ? RANGE_BAND_DYNAMIC : RANGE_BAND_STATIC;
        if (count_free(m, band) == 0)
            continue;
        require_status(status, IPALLOC_OK);
        check_pick(m, band, got.value);
        claimed(m, got.value);
        return;
    }
    entry *rested = longest_rested(m);
    if (m->shape.reuse_cooling_when_full && rested != NULL) {
        require_status(status, IPALLOC_OK);
        require(got.value == rested->number);
        rested->state = HELD;
        return;
    }
    require_status(status, IPALLOC_E_FULL);
}

static void reserve(model *m) {
    settle(m);
    u128 number = any_number(m);
    entry *e = find(m, number);
    bool refused = is_excluded(m, number) || (e != NULL && e->state == HELD) ||
                   (e != NULL && e->state == COOLING && m->shape.refuse_reserve_cooling);
    require_status(range_claim(m->range, offset(number)), refused ? IPALLOC_E_TAKEN : IPALLOC_OK);
    if (!refused)
        claimed(m, number);
}

static void released(model *m, entry *e) {
    if (keeps_back(m)) {
        put_to_rest(m, e, m->now);
    } else {
        erase(m, e);
        m->freed++;
    }
}

static void release(model *m) {
    u128 number = any_number(m);
    entry *e = find(m, number);
    bool held = e != NULL && e->state == HELD;
    require_status(range_release(m->range, offset(number), m->wall),
                   held ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    if (held)
        released(m, e);
}

static void unclaim(model *m) {
    u128 number = any_number(m);
    entry *e = find(m, number);
    bool held = e != NULL && e->state == HELD;
    uint64_t age = below(m, 3) * 400;
    bool cools_on = keeps_back(m) && age > 0;
    require_status(range_unclaim(m->range, offset(number), cools_on ? m->wall - age : 0),
                   held ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    if (!held)
        return;
    if (cools_on) {
        put_to_rest(m, e, m->now - age);
    } else {
        erase(m, e);
        m->freed++;
    }
}

static void restore_cooling(model *m) {
    settle(m);
    u128 number = any_number(m);
    entry *e = find(m, number);
    uint64_t age = below(m, 1000);
    bool free = !is_excluded(m, number) && (e == NULL || e->state == IN_LINE);
    require_status(range_restore_cooling(m->range, offset(number), m->wall - age),
                   free ? IPALLOC_OK : IPALLOC_E_TAKEN);
    if (free && keeps_back(m))
        put_to_rest(m, e != NULL ? e : insert(m, number, HELD), m->now - age);
}

static void claim_cooling(model *m) {
    settle(m);
    u128 number = any_number(m);
    entry *e = find(m, number);
    bool cools = e != NULL && e->state == COOLING;
    require_status(range_claim_cooling(m->range, offset(number)),
                   cools ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    if (cools)
        e->state = HELD;
}

static bool skip_odd(void *context, range_offset number) {
    (void)context;
    return number.value % 2 == 1;
}

/* A peek changes nothing and sees what a claim with the same random numbers then gets. */
static void peek_then_claim(model *m) {
    settle(m);
    enum range_band band = below(m, 2) ? RANGE_BAND_DYNAMIC : RANGE_BAND_STATIC;
    range_offset seen, got, even;
    if (range_peek(m->range, band, skip_odd, NULL, &even) == IPALLOC_OK) {
        require(even.value % 2 == 0);
        require(range_state_of(m->range, even) == RANGE_FREE);
    }
    uint64_t draws = m->draws;
    int status = range_peek(m->range, band, NULL, NULL, &seen);
    m->draws = draws;
    require_status(range_claim_any(m->range, band, &got), status);
    require_status(status, count_free(m, band) > 0 ? IPALLOC_OK : IPALLOC_E_FULL);
    if (status != IPALLOC_OK)
        return;
    require(seen.value == got.value);
    check_pick(m, band, got.value);
    claimed(m, got.value);
}

/* --- many at once ------------------------------------------------------------------------------
 */

enum { MANY_MAX = 300 };

static u128 number_of(const model *m, const ipalloc_addr *address) {
    range_offset at;
    require_status(range_offset_of(m->range, address, &at), IPALLOC_OK);
    return at.value;
}

static ipalloc_addr address_of(const model *m, u128 number) {
    return range_addr_of(m->range, offset(number));
}

/* One of many: given by the rules, or at the end what cools. */
static void check_one_of_many(model *m, u128 number) {
    require(number < m->size && !is_excluded(m, number));
    entry *e = find(m, number);
    require(e == NULL || e->state == IN_LINE || e->state == COOLING);
    if (e != NULL && e->state == COOLING)
        require(m->shape.reuse_cooling_when_full && is_full(m) && e == longest_rested(m));
    else if (number < m->split)
        require(count_free(m, RANGE_BAND_DYNAMIC) == 0);
    claimed(m, number);
}

static void allocate_many(model *m) {
    settle(m);
    ipalloc_addr got[MANY_MAX];
    u128 available = count_free(m, RANGE_BAND_DYNAMIC) + count_free(m, RANGE_BAND_STATIC);
    if (m->shape.reuse_cooling_when_full)
        available += count_entries(m, 0, m->size, COOLING);
    size_t count = below(m, 4) == 0 && available < MANY_MAX - 2
                       ? (size_t)available + below(m, 2) /* all there is, and one too many */
                       : below(m, 20);
    if (m->entry_count + count >= ENTRIES_MAX)
        return;
    int status = ipalloc_range_allocate_many(m->range, got, count);
    require_status(status, count <= available ? IPALLOC_OK : IPALLOC_E_FULL);
    if (status == IPALLOC_E_FULL && available > 0)
        m->freed++; /* what it gave back may have ended a proof */
    for (size_t i = 0; i < count && status == IPALLOC_OK; i++)
        check_one_of_many(m, number_of(m, &got[i]));
}

static void release_many(model *m) {
    ipalloc_addr addresses[20];
    size_t count = below(m, 20), missed = 0;
    u128 number = any_number(m);
    for (size_t i = 0; i < count; i++) {
        addresses[i] = address_of(m, number);
        number = below(m, 4) == 0 ? any_number(m) : (number + 1) % m->size;
    }
    settle(m);
    for (size_t i = 0; i < count; i++) {
        entry *e = find(m, number_of(m, &addresses[i]));
        bool held = e != NULL && e->state == HELD;
        missed += !held;
        if (held)
            released(m, e);
    }
    require_status(ipalloc_range_release_many(m->range, addresses, count),
                   missed > 0 ? IPALLOC_E_NOT_FOUND : IPALLOC_OK);
}

static uint8_t whole_prefix(const model *m) {
    return address_of(m, 0).family == 4 ? 32 : 128;
}

static u128 value_of_address(const ipalloc_addr *address) {
    u128 value = 0;
    for (int i = 0; i < (address->family == 4 ? 4 : 16); i++)
        value = value << 8 | address->bytes[i];
    return value;
}

static bool is_free_block(model *m, u128 begin, u128 size) {
    for (size_t i = lower_bound(m, begin);
         i < m->entry_count && m->entries[i].number < begin + size; i++)
        if (m->entries[i].state != IN_LINE)
            return false;
    return count_excluded(m, begin, begin + size) == 0;
}

/* The first free block of [begin, end), by trying each. */
static bool any_free_block(model *m, u128 begin, u128 end, u128 size) {
    ipalloc_addr first = address_of(m, begin);
    u128 from = begin + -value_of_address(&first) % size;
    for (; from + size <= end; from += size)
        if (is_free_block(m, from, size))
            return true;
    return false;
}

static void allocate_block(model *m) {
    settle(m);
    ipalloc_cidr got;
    unsigned bits = (unsigned)below(m, 6);
    u128 size = (u128)1 << bits;
    if (m->entry_count + size >= ENTRIES_MAX)
        return;
    int status = ipalloc_range_allocate_block(m->range, (uint8_t)(whole_prefix(m) - bits), &got);
    if (m->size > ENTRIES_MAX && status == IPALLOC_OK) {
        /* too many blocks to try each; there always is one */
    } else {
        bool above = m->split < m->size && any_free_block(m, m->split, m->size, size);
        require_status(status,
                       above || any_free_block(m, 0, m->size, size) ? IPALLOC_OK : IPALLOC_E_FULL);
        if (status == IPALLOC_OK && above)
            require(number_of(m, &got.base) >= m->split);
    }
    if (status != IPALLOC_OK)
        return;
    u128 begin = number_of(m, &got.base);
    require(value_of_address(&got.base) % size == 0 && got.prefix_length == whole_prefix(m) - bits);
    require(begin + size <= m->size && is_free_block(m, begin, size));
    for (u128 number = begin; number < begin + size; number++)
        claimed(m, number);
}

static void release_block(model *m) {
    unsigned bits = (unsigned)below(m, 6), missed = 0;
    u128 size = (u128)1 << bits, number = any_number(m);
    ipalloc_addr first = address_of(m, number);
    u128 behind = value_of_address(&first) % size;
    if (behind > number)
        return; /* the block begins before the range */
    number -= behind;
    ipalloc_cidr block = {address_of(m, number), (uint8_t)(whole_prefix(m) - bits)};
    int expected = m->size - number < size ? IPALLOC_E_NOT_IN_RANGE : IPALLOC_OK;
    settle(m);
    for (u128 i = 0; i < size && expected != IPALLOC_E_NOT_IN_RANGE; i++) {
        entry *e = find(m, number + i);
        bool held = e != NULL && e->state == HELD;
        missed += !held;
        if (held)
            released(m, e);
    }
    if (missed > 0)
        expected = IPALLOC_E_NOT_FOUND;
    require_status(ipalloc_range_release_block(m->range, &block), expected);
}

static void operate_on_many(model *m) {
    if (m->shape.cidr == NULL)
        return;
    switch (below(m, 4)) {
    case 0:
        m->filling ? allocate_many(m) : release_many(m);
        break;
    case 1:
        release_many(m);
        break;
    case 2:
        m->filling ? allocate_block(m) : release_block(m);
        break;
    default:
        release_block(m);
    }
}

/* --- intervals ---------------------------------------------------------------------------------
 */

static void pick_interval(model *m, u128 *first, u128 *last) {
    *first = any_number(m);
    u128 room = m->size - 1 - *first;
    u128 length = below(m, 4) > 0 ? below(m, 12) : room / 3;
    *last = *first + (length < room ? length : room);
}

static void exclude(model *m) {
    u128 first, last;
    pick_interval(m, &first, &last);
    if (m->excluded_count > INTERVALS_MAX / 2)
        return;
    bool held = false;
    for (size_t i = lower_bound(m, first); i < m->entry_count && m->entries[i].number <= last; i++)
        held |= m->entries[i].state == HELD;
    require_status(range_exclude(m->range, offset(first), offset(last)),
                   held ? IPALLOC_E_TAKEN : IPALLOC_OK);
    if (held)
        return;
    size_t i = lower_bound(m, first);
    while (i < m->entry_count && m->entries[i].number <= last)
        erase(m, &m->entries[i]);
    cut_excluded(m, first, last);
    m->excluded[m->excluded_count].first = first;
    m->excluded[m->excluded_count++].last = last;
}

static void include(model *m) {
    u128 first, last;
    pick_interval(m, &first, &last);
    if (m->excluded_count > 0 && below(m, 2)) {
        size_t i = below(m, m->excluded_count);
        first = m->excluded[i].first;
        last = m->excluded[i].last;
    }
    if (m->excluded_count > INTERVALS_MAX / 2)
        return;
    bool all = count_excluded(m, first, last + 1) == last - first + 1;
    require_status(range_include(m->range, offset(first), offset(last)),
                   all ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    if (!all)
        return;
    cut_excluded(m, first, last);
    m->freed++;
}

static void step_clock(model *m) {
    uint64_t step = below(m, m->shape.cool_down_ms + 2);
    if (below(m, 16) == 0)
        step *= 5;
    if (below(m, 4) > 0) {
        m->wall += step;
        m->now += step;
    } else {
        m->wall -= step < m->wall / 2 ? step : 0;
    }
    settle(m);
    /* Somebody has to look for a step back to be noticed. */
    ipalloc_range_stats stats = {.size = sizeof stats};
    require_status(ipalloc_range_get_stats(m->range, &stats), IPALLOC_OK);
}

/* FULL is what the model says, and its stamp holds until something becomes free. */
static void prove_full(model *m) {
    static const int WITNESS = 4;
    settle(m);
    uint64_t stamp;
    require_status(range_prove_full(m->range, &stamp), is_full(m) ? IPALLOC_E_FULL : IPALLOC_OK);
    if (!is_full(m))
        return;
    uint64_t freed = m->freed;
    for (int i = 0; i < WITNESS && m->freed == freed; i++) {
        require(range_still_full(m->range, stamp));
        below(m, 2) ? release(m) : step_clock(m);
    }
    if (m->freed != freed)
        require(!range_still_full(m->range, stamp));
}

/* --- comparing everything ----------------------------------------------------------------------
 */

static void compare_band(model *m, enum range_band band, const ipalloc_band_stats *stats) {
    u128 begin = band_begin(m, band), end = band_end(m, band);
    require(count_value(stats->size) == end - begin);
    require(count_value(stats->free) == count_free(m, band));
    require(count_value(stats->free) == range_count_free(m->range, band));
    require(count_value(stats->used) == count_entries(m, begin, end, HELD));
    require(count_value(stats->cooling) == count_entries(m, begin, end, COOLING));
    require(count_value(stats->excluded) == (begin == end ? 0 : count_excluded(m, begin, end)));
}

static void compare_stats(model *m) {
    settle(m);
    ipalloc_range_stats stats = {.size = sizeof stats};
    require_status(ipalloc_range_get_stats(m->range, &stats), IPALLOC_OK);
    compare_band(m, RANGE_BAND_STATIC, &stats.static_band);
    compare_band(m, RANGE_BAND_DYNAMIC, &stats.dynamic_band);
    require(count_value(stats.total.free) ==
            count_free(m, RANGE_BAND_STATIC) + count_free(m, RANGE_BAND_DYNAMIC));
}

static void compare_states(model *m) {
    settle(m);
    for (int i = 0; i < 20; i++) {
        u128 number = any_number(m);
        entry *e = find(m, number);
        enum range_state expected = is_excluded(m, number)             ? RANGE_EXCLUDED
                                    : e == NULL || e->state == IN_LINE ? RANGE_FREE
                                    : e->state == HELD                 ? RANGE_HELD
                                                                       : RANGE_COOLING;
        require(range_state_of(m->range, offset(number)) == expected);
    }
}

static bool walk_on(model *m, ipalloc_addr *cursor, uint16_t *port, bool *started, u128 *number) {
    range_offset at;
    if (m->shape.cidr != NULL) {
        if (ipalloc_range_next(m->range, cursor) != IPALLOC_OK)
            return false;
        require_status(range_offset_of(m->range, cursor, &at), IPALLOC_OK);
    } else {
        if (ipalloc_range_next_port(m->range, port, started) != IPALLOC_OK)
            return false;
        require_status(range_offset_of_port(m->range, *port, &at), IPALLOC_OK);
    }
    *number = at.value;
    return true;
}

static void compare_walk(model *m) {
    ipalloc_addr cursor = {0};
    uint16_t port = 0;
    bool started = false;
    u128 number;
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].state != HELD)
            continue;
        require(walk_on(m, &cursor, &port, &started, &number));
        require(number == m->entries[i].number);
    }
    require(!walk_on(m, &cursor, &port, &started, &number));
}

static void compare_walk_in_steps(model *m) {
    ipalloc_addr cursor = {0}, got[7];
    size_t count = 0, at = 0, capacity = 1 + below(m, 7);
    if (m->shape.cidr == NULL)
        return;
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].state != HELD)
            continue;
        if (at == count) {
            require_status(ipalloc_range_next_many(m->range, &cursor, got, capacity, &count),
                           IPALLOC_OK);
            require(count > 0 && count <= capacity);
            require(ipalloc_addr_compare(&cursor, &got[count - 1]) == 0);
            at = 0;
        }
        require(number_of(m, &got[at++]) == m->entries[i].number);
    }
    require(at == count);
    require_status(ipalloc_range_next_many(m->range, &cursor, got, capacity, &count),
                   IPALLOC_E_NOT_FOUND);
    require(count == 0);
}

static void make_range(model *m, ipalloc_range **out) {
    ipalloc_hooks hooks = {
        .size = sizeof hooks, .context = m, .wall_clock_ms = hooked_clock, .random = hooked_random};
    ipalloc_range_options options = {
        .size = sizeof options,
        .hooks = &hooks,
        .static_band_size = m->shape.static_band_size,
        .strategy = m->shape.strategy,
        .use_all_addresses = m->shape.use_all_addresses,
        .reuse_cooling_when_full = m->shape.reuse_cooling_when_full,
        .refuse_reserve_cooling = m->shape.refuse_reserve_cooling,
        .cool_down_ms = m->shape.cool_down_ms,
    };
    ipalloc_error error;
    int status;
    if (m->shape.cidr != NULL) {
        ipalloc_cidr from = cidr(m->shape.cidr);
        status = ipalloc_range_create(&from, &options, out, &error);
    } else {
        status = ipalloc_port_range_create(m->shape.port_first, m->shape.port_last, &options, out,
                                           &error);
    }
    ck_assert_status_error(status, IPALLOC_OK, &error);
}

/* The model's snapshot: the plain sum of 2^i over the held numbers. */
static size_t expected_snapshot(model *m, uint8_t *bytes, size_t capacity) {
    memset(bytes, 0, capacity);
    size_t length = 0;
    for (size_t i = m->entry_count; i-- > 0;) {
        if (m->entries[i].state != HELD)
            continue;
        size_t number = (size_t)m->entries[i].number;
        if (length == 0)
            length = number / 8 + 1;
        require(length <= capacity);
        bytes[length - 1 - number / 8] |= (uint8_t)(1 << number % 8);
    }
    return length;
}

static void restore_into_another(model *m, const uint8_t *bytes, size_t length) {
    ipalloc_range *other;
    make_range(m, &other);
    for (size_t i = 0; i < m->excluded_count; i++)
        require_status(
            range_exclude(other, offset(m->excluded[i].first), offset(m->excluded[i].last)),
            IPALLOC_OK);
    require_status(ipalloc_range_restore(other, bytes, length), IPALLOC_OK);
    ipalloc_range *before = m->range;
    m->range = other;
    compare_walk(m);
    m->range = before;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_validate(other, &error), IPALLOC_OK, &error);
    ipalloc_range_destroy(other);
}

static void compare_snapshot(model *m) {
    uint8_t got[1024], expected[1024];
    size_t length = SIZE_MAX;
    if (m->size > sizeof got * 8)
        return; /* test_sparse.c looks at those */
    settle(m);
    size_t expected_length = expected_snapshot(m, expected, sizeof expected);
    require_status(ipalloc_range_snapshot(m->range, got, sizeof got, &length), IPALLOC_OK);
    ck_assert_uint_eq(length, expected_length);
    ck_assert_mem_eq(got, expected, length);
    bool idle = length == 0 && count_entries(m, 0, m->size, COOLING) == 0;
    require_status(ipalloc_range_restore(m->range, got, length),
                   idle ? IPALLOC_OK : IPALLOC_E_BUSY);
    restore_into_another(m, got, length);
}

static void compare_all(model *m) {
    compare_stats(m);
    compare_states(m);
    compare_walk(m);
    compare_walk_in_steps(m);
    compare_snapshot(m);
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_validate(m->range, &error), IPALLOC_OK, &error);
}

/* --- the run -----------------------------------------------------------------------------------
 */

static void set_up(model *m, const range_case *shape, uint64_t seed) {
    memset(m, 0, sizeof *m);
    m->shape = *shape;
    m->random = seed;
    m->draws = ~seed;
    m->wall = m->now = 1000000;
    make_range(m, &m->range);
    m->size = range_usable_size(m->range);
    require(m->size > 0);
    ipalloc_range_stats stats = {.size = sizeof stats};
    require_status(ipalloc_range_get_stats(m->range, &stats), IPALLOC_OK);
    m->split = count_value(stats.static_band.size);
}

static void operate(model *m) {
    if (m->size > ENTRIES_MAX && m->entry_count >= SPARSE_ENTRIES) {
        m->filling = false;
        if (m->entry_count >= ENTRIES_MAX - 20) { /* oldest-freed never forgets: start over */
            uint64_t random = m->random;
            range_case shape = m->shape;
            ipalloc_range_destroy(m->range);
            set_up(m, &shape, random);
            return;
        }
    }
    if (below(m, 2000) == 0)
        m->filling = !m->filling;
    switch (below(m, 17)) {
    case 0:
        peek_then_claim(m);
        return;
    case 16:
        operate_on_many(m);
        return;
    case 1:
        below(m, 8) == 0 ? exclude(m) : include(m);
        return;
    case 2:
        step_clock(m);
        return;
    case 3:
        below(m, 4) == 0 ? restore_cooling(m) : unclaim(m);
        return;
    case 4:
        below(m, 4) == 0 ? claim_cooling(m) : prove_full(m);
        return;
    case 5:
    case 6:
        reserve(m);
        return;
    default:
        below(m, 8) < (m->filling ? 6 : 2) ? allocate(m) : release(m);
    }
}

void range_model_run(const range_case *shape, uint64_t seed, uint64_t operations) {
    model *m = malloc(sizeof *m);
    ck_assert_ptr_nonnull(m);
    set_up(m, shape, seed);
    for (uint64_t i = 0; i < operations; i++) {
        operate(m);
        if (i % COMPARE_EVERY == 0)
            compare_all(m);
    }
    compare_all(m);
    ipalloc_range_destroy(m->range);
    free(m);
}
