/*
 * range.c: making a range from a CIDR or port interval, its geometry, and the calls by address.
 *
 * May use: the range's other parts. Rules: KEP-3070 and KEP-3668 for the bands, range.h for what is
 * usable. An address becomes an offset here (128-bit difference to the first usable address) and
 * everything below works on offsets.
 */
#include "base/error.h"
#include "core/bitmap_private.h"
#include "core/range_private.h"

#include <assert.h>
#include <string.h>

enum {
    ALIGNMENT = 64,         /* of the random stripes in the hooks */
    BANDLESS_SIZE_MAX = 16, /* KEP-3070: so small a range has no static band */
    STATIC_BAND_MIN = 16,
    ADDRESS_BAND_MAX = 256,
    ADDRESS_BAND_SHARE = 16,
    PORT_BAND_MAX = 128, /* KEP-3668 */
    PORT_BAND_SHARE = 32
};

/* --- geometry ----------------------------------------------------------------------------------
 */

typedef struct geometry {
    uint8_t family;
    u128 first_value, size, formula_band;
} geometry;

static u128 band_by_formula(u128 total, u128 share, u128 most) {
    if (total <= BANDLESS_SIZE_MAX)
        return 0;
    u128 band = total / share;
    if (band < STATIC_BAND_MIN)
        return STATIC_BAND_MIN;
    return band > most ? most : band;
}

/* What a CIDR offers. OK; INVALID. */
static int measure_cidr(const ipalloc_cidr *cidr, bool use_all_addresses, geometry *out,
                        ipalloc_error *error) {
    if (cidr->base.family != 4 && cidr->base.family != 6)
        return error_set(error, IPALLOC_E_INVALID, "range: the CIDR has no address family");
    unsigned bits = cidr->base.family == 4 ? 32 : 128;
    if (cidr->prefix_length > bits)
        return error_set(error, IPALLOC_E_INVALID, "range: prefix length %u is more than %u",
                         cidr->prefix_length, bits);
    unsigned host_bits = bits - cidr->prefix_length;
    u128 host_mask = host_bits == 128 ? U128_MAX : ((u128)1 << host_bits) - 1;
    u128 base = range_addr_value(&cidr->base);
    if ((base & host_mask) != 0) {
        char text[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(cidr, text);
        return error_set(error, IPALLOC_E_INVALID,
                         "range %s: must not have bits set beyond the prefix length", text);
    }
    if (use_all_addresses && host_bits == 128)
        return error_set(error, IPALLOC_E_INVALID,
                         "range ::/0: with use_all_addresses it has more addresses than can be "
                         "counted");
    u128 total = host_bits == 128 ? U128_MAX : host_mask + 1; /* saturated: bands stay the same */
    u128 ends = use_all_addresses ? 0 : cidr->base.family == 4 ? 2 : 1;
    *out = (geometry){
        .family = cidr->base.family,
        .first_value = base + (use_all_addresses ? 0 : 1),
        .size = host_mask >= ends ? host_mask - ends + 1
                : ends == 0       ? 1
                                  : 0,
        .formula_band = band_by_formula(total, ADDRESS_BAND_SHARE, ADDRESS_BAND_MAX),
    };
    return IPALLOC_OK;
}

static u128 split_of(const geometry *g, uint64_t asked) {
    u128 split = asked == 0 ? g->formula_band : asked == IPALLOC_NO_STATIC_BAND ? 0 : asked;
    return split < g->size ? split : g->size;
}

/* --- making and unmaking -----------------------------------------------------------------------
 */

static bool make_kept_back(ipalloc_range *range, uint64_t cool_down_ms) {
    cooldown_options options = {.size = range->size,
                                .split = range->split,
                                .laid_out = range->numbers.dense != NULL,
                                .keep_rested = range->strategy == IPALLOC_STRATEGY_OLDEST_FREED,
                                .rest_ms = cool_down_ms};
    return kept_back_create(&range->kept_back, &range->hooks, &options);
}

static void make_dense(ipalloc_range *range) {
    uint64_t split = (uint64_t)range->split, size = (uint64_t)range->size;
    bitmap *map = bitmap_create(&range->hooks, size);
    range->numbers.dense = map;
    if (map == NULL)
        return;
    range->bands[RANGE_BAND_STATIC] = bitmap_band_of(map, 0, split);
    range->bands[RANGE_BAND_DYNAMIC] = bitmap_band_of(map, split, size);
}

/* OK; NOMEM (the caller destroys what there is). */
static int make_parts(ipalloc_range *range, uint64_t cool_down_ms) {
    if (range->size <= BITMAP_SIZE_MAX)
        make_dense(range);
    else
        range->numbers.sparse =
            sparse_create(&range->hooks, range->size, range->split, &range->excluded);
    if (range->numbers.dense == NULL && range->numbers.sparse == NULL)
        return IPALLOC_E_NOMEM;
    if (!make_kept_back(range, cool_down_ms))
        return IPALLOC_E_NOMEM;
    range->locked = range->numbers.sparse != NULL || kept_back_in_use(&range->kept_back);
    range->claims_in_words = !range->locked && range->strategy == IPALLOC_STRATEGY_RANDOM &&
                             is_fast(range->numbers.dense, &range->hooks);
    return IPALLOC_OK;
}

/* A zeroed range at the alignment it needs, with its hooks and its lock. */
static int make_shell(const ipalloc_hooks *user, ipalloc_range **out, ipalloc_error *error) {
    hooks first; /* to allocate with: the final one must not move */
    int status = hooks_init(&first, user, error);
    if (status != IPALLOC_OK)
        return status;
    void *memory = hooks_alloc_zeroed(&first, sizeof(ipalloc_range) + ALIGNMENT);
    if (memory == NULL)
        return error_no_memory(error);
    uintptr_t aligned = ((uintptr_t)memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ipalloc_range *range = (ipalloc_range *)aligned;
    hooks_init(&range->hooks, user, NULL);
    range->memory = memory;
    range->self = range;
    exclusion_init(&range->excluded, &range->hooks);
    *out = range;
    return IPALLOC_OK;
}

static int make(const geometry *g, const ipalloc_range_options *options, ipalloc_range **out,
                ipalloc_error *error) {
    if (options->strategy > IPALLOC_STRATEGY_OLDEST_FREED)
        return error_set(error, IPALLOC_E_INVALID, "range: there is no strategy %u",
                         (unsigned)options->strategy);
    ipalloc_range *range;
    int status = make_shell(options->hooks, &range, error);
    if (status != IPALLOC_OK)
        return status;
    range->family = g->family;
    range->first_value = g->first_value;
    range->size = g->size;
    range->split = split_of(g, options->static_band_size);
    range->strategy = (enum ipalloc_strategy)options->strategy;
    range->reuse_cooling_when_full = options->reuse_cooling_when_full;
    range->refuse_reserve_cooling = options->refuse_reserve_cooling;
    if (make_parts(range, options->cool_down_ms) != IPALLOC_OK) {
        ipalloc_range_destroy(range);
        return error_no_memory(error);
    }
    *out = range;
    return IPALLOC_OK;
}

static int read_options(const ipalloc_range_options *given, ipalloc_range_options *options,
                        ipalloc_error *error) {
    return options_copy(options, sizeof *options, given, "ipalloc_range_options", error);
}

int ipalloc_range_create(const ipalloc_cidr *cidr, const ipalloc_range_options *options,
                         ipalloc_range **out, ipalloc_error *error) {
    if (cidr == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "range: NULL");
    ipalloc_range_options own;
    int status = read_options(options, &own, error);
    if (status != IPALLOC_OK)
        return status;
    geometry g;
    status = measure_cidr(cidr, own.use_all_addresses, &g, error);
    if (status != IPALLOC_OK)
        return status;
    return make(&g, &own, out, error);
}

int ipalloc_port_range_create(uint16_t first, uint16_t last, const ipalloc_range_options *options,
                              ipalloc_range **out, ipalloc_error *error) {
    if (out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "port range: NULL");
    if (first > last)
        return error_set(error, IPALLOC_E_INVALID,
                         "port range %u-%u: end port cannot be less than start port", first, last);
    ipalloc_range_options own;
    int status = read_options(options, &own, error);
    if (status != IPALLOC_OK)
        return status;
    u128 total = (u128)(last - first) + 1;
    geometry g = {.first_value = first,
                  .size = total,
                  .formula_band = band_by_formula(total, PORT_BAND_SHARE, PORT_BAND_MAX)};
    return make(&g, &own, out, error);
}

void ipalloc_range_destroy(ipalloc_range *range) {
    if (range == NULL)
        return;
    kept_back_destroy(&range->kept_back);
    sparse_destroy(range->numbers.sparse);
    bitmap_destroy(&range->hooks, range->numbers.dense);
    exclusion_free(&range->excluded);
    range->hooks.user.deallocate(range->hooks.user.context, range->memory);
}

/* --- between addresses, ports and offsets ------------------------------------------------------
 */

static int offset_of_value(const ipalloc_range *range, u128 value, range_offset *out) {
    out->value = value - range->first_value; /* what lies before the first wraps around */
    return out->value < range->size ? IPALLOC_OK : IPALLOC_E_NOT_IN_RANGE;
}

int range_offset_of(const ipalloc_range *range, const ipalloc_addr *address, range_offset *out) {
    return range_number_of(range, address, &out->value) ? IPALLOC_OK : IPALLOC_E_NOT_IN_RANGE;
}

int range_offset_of_port(const ipalloc_range *range, uint16_t port, range_offset *out) {
    if (range->family != 0)
        return IPALLOC_E_NOT_IN_RANGE;
    return offset_of_value(range, port, out);
}

ipalloc_addr range_addr_of(const ipalloc_range *range, range_offset offset) {
    assert(range->family != 0 && offset.value < range->size);
    ipalloc_addr address;
    range_write_addr(range, offset.value, &address);
    return address;
}

uint16_t range_port_of(const ipalloc_range *range, range_offset offset) {
    assert(range->family == 0 && offset.value < range->size);
    return (uint16_t)(range->first_value + offset.value);
}

/* What every call by address checks first: OK with the offset; INVALID; NOT_IN_RANGE. */
static int read_address(const ipalloc_range *range, const ipalloc_addr *address,
                        range_offset *out) {
    if (range == NULL || address == NULL || range->family == 0)
        return IPALLOC_E_INVALID;
    return range_offset_of(range, address, out);
}

static int read_port(const ipalloc_range *range, uint16_t port, range_offset *out) {
    if (range == NULL || range->family != 0)
        return IPALLOC_E_INVALID;
    return range_offset_of_port(range, port, out);
}

/* --- the calls by address ----------------------------------------------------------------------
 */

/* Everything but the usual claim. */
static NOINLINE int allocate_otherwise(ipalloc_range *range, ipalloc_addr *out) {
    range_offset offset;
    int status = range_allocate(range, &offset);
    if (status == IPALLOC_OK)
        range_write_addr(range, offset.value, out);
    return status;
}

/* The less usual claim. Where no flag stands, FULL is more likely. */
static NOINLINE int allocate_widely(ipalloc_range *range, ipalloc_addr *out) {
    bitmap *map = range->numbers.dense;
    if (looks_full(map))
        return allocate_otherwise(range, out);
    uint64_t number =
        bitmap_claim_widely_fast(map, &range->hooks, &range->bands[RANGE_BAND_DYNAMIC]);
    if (number == BITMAP_NONE)
        number = bitmap_claim_random(map, &range->hooks, &range->bands[RANGE_BAND_STATIC]);
    if (number == BITMAP_NONE)
        return allocate_otherwise(range, out);
    range_write_addr(range, number, out);
    return IPALLOC_OK;
}

BITS_FAST static NOINLINE int allocate_in_two_words(ipalloc_range *range, ipalloc_addr *out) {
    uint64_t number = claim_in_two_words(range->numbers.dense, &range->hooks,
                                         &range->bands[RANGE_BAND_DYNAMIC], true);
    if (number == BITMAP_NONE)
        return allocate_widely(range, out);
    range_write_addr(range, number, out);
    return IPALLOC_OK;
}

/* The usual claim, with everything it needs in one function: each call and each saved register
 * would be felt. */
BITS_FAST static NOINLINE int allocate_in_one_word(ipalloc_range *range, ipalloc_addr *out) {
    uint64_t number = claim_in_one_word(range->numbers.dense, &range->hooks,
                                        &range->bands[RANGE_BAND_DYNAMIC], true);
    if (number == BITMAP_NONE)
        return allocate_in_two_words(range, out);
    range_write_addr(range, number, out);
    return IPALLOC_OK;
}

int ipalloc_range_allocate(ipalloc_range *range, ipalloc_addr *out) {
    if (range == NULL || out == NULL || range->family == 0)
        return IPALLOC_E_INVALID;
    return range->claims_in_words ? allocate_in_one_word(range, out)
                                  : allocate_otherwise(range, out);
}

int ipalloc_range_reserve(ipalloc_range *range, const ipalloc_addr *address) {
    range_offset offset;
    int status = read_address(range, address, &offset);
    return status == IPALLOC_OK ? range_claim(range, offset) : status;
}

static NOINLINE int release_otherwise(ipalloc_range *range, const ipalloc_addr *address) {
    range_offset offset;
    int status = read_address(range, address, &offset);
    if (status != IPALLOC_OK)
        return status;
    return range_release(range, offset, range_now(range));
}

/* The usual release, as in range_release but in one function: IPv4, and nothing but the bitmap. */
int ipalloc_range_release(ipalloc_range *range, const ipalloc_addr *address) {
    if (range == NULL || address == NULL || range->family != 4 || address->family != 4 ||
        range->locked)
        return release_otherwise(range, address);
    uint32_t number = (uint32_t)range_addr_value(address) - (uint32_t)range->first_value;
    if (number >= (uint64_t)range->size) /* what lies before the first wraps around */
        return IPALLOC_E_NOT_IN_RANGE;
    bool guarded = false;
    uint64_t bit = (uint64_t)1 << number % 64;
    uint64_t released =
        release_in_word(range->numbers.dense, number / 64, bit, &range->guard, &guarded);
    if (guarded)
        return release_otherwise(range, address);
    return released != 0 ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

bool ipalloc_range_has(const ipalloc_range *range, const ipalloc_addr *address) {
    range_offset offset;
    return read_address(range, address, &offset) == IPALLOC_OK &&
           range_state_of(range, offset) == RANGE_HELD;
}

/* Both ends of an interval. OK; INVALID; NOT_IN_RANGE. */
static int read_interval(const ipalloc_range *range, const ipalloc_addr *first,
                         const ipalloc_addr *last, range_offset *first_offset,
                         range_offset *last_offset) {
    if (range == NULL || first == NULL || last == NULL || range->family == 0 ||
        ipalloc_addr_compare(first, last) > 0)
        return IPALLOC_E_INVALID;
    int status = range_offset_of(range, first, first_offset);
    return status == IPALLOC_OK ? range_offset_of(range, last, last_offset) : status;
}

int ipalloc_range_exclude(ipalloc_range *range, const ipalloc_addr *first,
                          const ipalloc_addr *last) {
    range_offset from, to;
    int status = read_interval(range, first, last, &from, &to);
    return status == IPALLOC_OK ? range_exclude(range, from, to) : status;
}

int ipalloc_range_include(ipalloc_range *range, const ipalloc_addr *first,
                          const ipalloc_addr *last) {
    range_offset from, to;
    int status = read_interval(range, first, last, &from, &to);
    return status == IPALLOC_OK ? range_include(range, from, to) : status;
}

int ipalloc_range_allocate_port(ipalloc_range *range, uint16_t *out) {
    if (range == NULL || out == NULL || range->family != 0)
        return IPALLOC_E_INVALID;
    range_offset offset;
    int status = range_allocate(range, &offset);
    if (status == IPALLOC_OK)
        *out = range_port_of(range, offset);
    return status;
}

int ipalloc_range_reserve_port(ipalloc_range *range, uint16_t port) {
    range_offset offset;
    int status = read_port(range, port, &offset);
    return status == IPALLOC_OK ? range_claim(range, offset) : status;
}

int ipalloc_range_release_port(ipalloc_range *range, uint16_t port) {
    range_offset offset;
    int status = read_port(range, port, &offset);
    if (status != IPALLOC_OK)
        return status;
    return range_release(range, offset, range_now(range));
}

bool ipalloc_range_has_port(const ipalloc_range *range, uint16_t port) {
    range_offset offset;
    return read_port(range, port, &offset) == IPALLOC_OK &&
           range_state_of(range, offset) == RANGE_HELD;
}
