/*
 * definition.c: pool definitions: from the caller, to and from text, compared, and their exclusions
 * as sorted disjoint spans. No I/O. Memory: the exclusions only.
 */
#include "registry/definition.h"

#include "base/error.h"
#include "base/u128.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct word_value {
    const char *word;
    uint32_t value;
} word_value;

static const word_value KINDS[] = {
    {"ipv4", IPALLOC_POOL_IPV4}, {"ipv6", IPALLOC_POOL_IPV6}, {"port", IPALLOC_POOL_PORT}};
static const word_value STRATEGIES[] = {{"random", IPALLOC_STRATEGY_RANDOM},
                                        {"lowest", IPALLOC_STRATEGY_LOWEST},
                                        {"oldest-freed", IPALLOC_STRATEGY_OLDEST_FREED}};
static const word_value YES_NO[] = {{"no", false}, {"yes", true}};

#define WORD_COUNT(table) (sizeof(table) / sizeof(table)[0])

static const char *word_of(const word_value *table, size_t count, uint32_t value) {
    for (size_t i = 0; i < count; i++)
        if (table[i].value == value)
            return table[i].word;
    return NULL;
}

static bool bytes_are(ipalloc_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static bool value_of(const word_value *table, size_t count, ipalloc_bytes word, uint32_t *out) {
    for (size_t i = 0; i < count; i++) {
        if (bytes_are(word, table[i].word)) {
            *out = table[i].value;
            return true;
        }
    }
    return false;
}

const char *pool_kind_name(int kind) {
    return word_of(KINDS, WORD_COUNT(KINDS), (uint32_t)kind);
}

void definition_free(definition *d) {
    if (d->hooks != NULL)
        hooks_free(d->hooks, d->exclusions);
    d->exclusions = NULL;
    d->exclusion_count = 0;
}

int definition_copy(definition *out, const definition *d, ipalloc_error *error) {
    *out = *d;
    out->exclusions = NULL;
    if (d->exclusion_count == 0)
        return IPALLOC_OK;
    size_t bytes = d->exclusion_count * sizeof d->exclusions[0];
    out->exclusions = hooks_alloc(d->hooks, bytes);
    if (out->exclusions == NULL) {
        out->exclusion_count = 0;
        return error_no_memory(error);
    }
    memcpy(out->exclusions, d->exclusions, bytes);
    return IPALLOC_OK;
}

/* --- text ------------------------------------------------------------------------------------- */

static void append_static_band(text_buffer *t, uint64_t size) {
    if (size == 0)
        text_append_text(t, "static-band=formula\n");
    else if (size == IPALLOC_NO_STATIC_BAND)
        text_append_text(t, "static-band=none\n");
    else
        text_format(t, "static-band=%" PRIu64 "\n", size);
}

static const char *yes_no(bool value) {
    return YES_NO[value].word;
}

static const char *range_state(const definition_range *range) {
    return range->all ? "draining-all" : range->draining ? "draining" : "active";
}

void definition_append(text_buffer *t, const definition *d) {
    char text[IPALLOC_CIDR_TEXT];
    text_format(t, "kind=%s\n", pool_kind_name(d->kind));
    for (size_t i = 0; i < d->range_count; i++) {
        ipalloc_cidr_format(&d->ranges[i].cidr, text);
        text_format(t, "range=%s %s\n", text, range_state(&d->ranges[i]));
    }
    if (d->kind == IPALLOC_POOL_PORT)
        text_format(t, "ports=%u-%u\n", d->port_first, d->port_last);
    text_format(t, "strategy=%s\n", word_of(STRATEGIES, WORD_COUNT(STRATEGIES), d->strategy));
    append_static_band(t, d->static_band_size);
    text_format(t, "cool-down-ms=%" PRIu64 "\n", d->cool_down_ms);
    text_format(t, "use-all-addresses=%s\n", yes_no(d->use_all_addresses));
    text_format(t, "reuse-cooling-when-full=%s\n", yes_no(d->reuse_cooling_when_full));
    text_format(t, "refuse-reserve-cooling=%s\n", yes_no(d->refuse_reserve_cooling));
    for (size_t i = 0; i < d->exclusion_count; i++) {
        char first[IPALLOC_ADDR_TEXT], last[IPALLOC_ADDR_TEXT];
        text_format(t, "exclude=%s-%s\n", place_format(&d->exclusions[i].first, first),
                    place_format(&d->exclusions[i].last, last));
    }
}

static bool line_take_word(line_reader *lines, const char *name, const word_value *table,
                           size_t count, uint32_t *out) {
    ipalloc_bytes value;
    return line_take(lines, name, &value) && value_of(table, count, value, out);
}

static bool line_take_bool(line_reader *lines, const char *name, bool *out) {
    uint32_t value;
    if (!line_take_word(lines, name, YES_NO, WORD_COUNT(YES_NO), &value))
        return false;
    *out = value != 0;
    return true;
}

static bool parse_range(ipalloc_bytes line, int kind, definition_range *out) {
    ipalloc_bytes cidr, state;
    if (!word_take(&line, &cidr) || !word_take(&line, &state) || line.data != NULL)
        return false;
    out->all = bytes_are(state, "draining-all");
    out->draining = out->all || bytes_are(state, "draining");
    return (out->draining || bytes_are(state, "active")) &&
           ipalloc_cidr_parse(cidr.data, cidr.size, &out->cidr, NULL) == IPALLOC_OK &&
           out->cidr.base.family == kind;
}

static bool parse_ranges(line_reader *lines, definition *out) {
    ipalloc_bytes value;
    while (line_take(lines, "range", &value)) {
        if (out->range_count == IPALLOC_POOL_RANGES_MAX ||
            !parse_range(value, out->kind, &out->ranges[out->range_count]))
            return false;
        out->range_count++;
    }
    return out->range_count == 0 || out->kind != IPALLOC_POOL_PORT;
}

/* "<first>-<last>"; no address and no port has a '-' in it. */
static bool parse_span(ipalloc_bytes value, int kind, definition_span *out) {
    const char *text = value.data;
    const char *dash = memchr(text, '-', value.size);
    if (dash == NULL)
        return false;
    size_t first_length = (size_t)(dash - text);
    return place_parse(kind, text, first_length, &out->first) &&
           place_parse(kind, dash + 1, value.size - first_length - 1, &out->last) &&
           place_compare(&out->first, &out->last) <= 0;
}

static bool parse_ports(line_reader *lines, definition *out) {
    ipalloc_bytes value;
    definition_span span;
    if (!line_take(lines, "ports", &value) || !parse_span(value, IPALLOC_POOL_PORT, &span))
        return false;
    out->port_first = place_port(&span.first);
    out->port_last = place_port(&span.last);
    return true;
}

static bool parse_static_band(line_reader *lines, uint64_t *out) {
    ipalloc_bytes value;
    if (!line_take(lines, "static-band", &value))
        return false;
    *out = bytes_are(value, "none") ? IPALLOC_NO_STATIC_BAND : 0;
    if (*out != 0 || bytes_are(value, "formula"))
        return true;
    return text_parse_decimal(value.data, value.size, IPALLOC_NO_STATIC_BAND - 1, out) && *out > 0;
}

static bool parse_options(line_reader *lines, definition *out) {
    return line_take_word(lines, "strategy", STRATEGIES, WORD_COUNT(STRATEGIES), &out->strategy) &&
           parse_static_band(lines, &out->static_band_size) &&
           line_take_number(lines, "cool-down-ms", UINT64_MAX, &out->cool_down_ms) &&
           line_take_bool(lines, "use-all-addresses", &out->use_all_addresses) &&
           line_take_bool(lines, "reuse-cooling-when-full", &out->reuse_cooling_when_full) &&
           line_take_bool(lines, "refuse-reserve-cooling", &out->refuse_reserve_cooling);
}

static bool ranges_are_apart(const definition *d) {
    for (size_t i = 1; i < d->range_count; i++)
        for (size_t j = 0; j < i; j++)
            if (definition_ranges_collide(d, &d->ranges[i], &d->ranges[j]))
                return false;
    return true;
}

/* Count the lines first, so that the memory is one block. */
static int parse_exclusions(line_reader *lines, definition *out, bool *fine) {
    line_reader counting = *lines;
    ipalloc_bytes value;
    size_t count = 0;
    while (line_take(&counting, "exclude", &value))
        count++;
    *fine = count <= DEFINITION_EXCLUSIONS_MAX;
    if (count == 0 || !*fine)
        return IPALLOC_OK;
    out->exclusions = hooks_alloc(out->hooks, count * sizeof out->exclusions[0]);
    if (out->exclusions == NULL)
        return IPALLOC_E_NOMEM;
    for (size_t i = 0; i < count && *fine; i++) {
        definition_span *span = &out->exclusions[i];
        *fine = line_take(lines, "exclude", &value) && parse_span(value, out->kind, span) &&
                (i == 0 || place_compare(&span[-1].last, &span->first) < 0);
        out->exclusion_count = i + 1;
    }
    return IPALLOC_OK;
}

int definition_parse(ipalloc_bytes key, ipalloc_bytes value, const hooks *h, definition *out,
                     ipalloc_error *error) {
    *out = (definition){.hooks = h};
    line_reader lines = lines_of(value);
    uint32_t kind;
    bool fine = line_take_word(&lines, "kind", KINDS, WORD_COUNT(KINDS), &kind);
    if (fine) {
        out->kind = (int)kind;
        fine = parse_ranges(&lines, out) &&
               (out->kind != IPALLOC_POOL_PORT || parse_ports(&lines, out)) &&
               parse_options(&lines, out) && ranges_are_apart(out);
    }
    if (fine && parse_exclusions(&lines, out, &fine) != IPALLOC_OK)
        return error_no_memory(error);
    if (fine && lines_ended(&lines))
        return IPALLOC_OK;
    definition_free(out);
    return record_corrupt(error, key, "is not a pool definition");
}

/* --- what callers give ------------------------------------------------------------------------ */

static int read_ranges(const ipalloc_pool_definition *given, definition *out,
                       ipalloc_error *error) {
    if (given->range_count == 0 || given->range_count > IPALLOC_POOL_RANGES_MAX ||
        given->ranges == NULL)
        return error_set(error, IPALLOC_E_INVALID, "an address pool has 1 to %d ranges, not %zu",
                         IPALLOC_POOL_RANGES_MAX, given->range_count);
    if (given->port_first != 0 || given->port_last != 0)
        return error_set(error, IPALLOC_E_INVALID, "an address pool has no ports");
    for (size_t i = 0; i < given->range_count; i++) {
        definition_range range = {.cidr = given->ranges[i]};
        int status = definition_add_range(out, &range, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

static int read_ports(const ipalloc_pool_definition *given, definition *out, ipalloc_error *error) {
    if (given->range_count != 0)
        return error_set(error, IPALLOC_E_INVALID, "a port pool has no CIDR ranges");
    if (given->port_first > given->port_last)
        return error_set(error, IPALLOC_E_INVALID, "ports %u-%u: the first is above the last",
                         given->port_first, given->port_last);
    out->port_first = given->port_first;
    out->port_last = given->port_last;
    return IPALLOC_OK;
}

int definition_read(const ipalloc_pool_definition *given, const hooks *h, definition *out,
                    ipalloc_error *error) {
    *out = (definition){.hooks = h,
                        .kind = given->kind,
                        .strategy = given->strategy,
                        .static_band_size = given->static_band_size,
                        .cool_down_ms = given->cool_down_ms,
                        .use_all_addresses = given->use_all_addresses,
                        .reuse_cooling_when_full = given->reuse_cooling_when_full,
                        .refuse_reserve_cooling = given->refuse_reserve_cooling};
    if (pool_kind_name(given->kind) == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool kind %d is none of ipv4, ipv6 and port",
                         given->kind);
    if (word_of(STRATEGIES, WORD_COUNT(STRATEGIES), given->strategy) == NULL)
        return error_set(error, IPALLOC_E_INVALID, "there is no strategy %u", given->strategy);
    return given->kind == IPALLOC_POOL_PORT ? read_ports(given, out, error)
                                            : read_ranges(given, out, error);
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool same_cidr(const ipalloc_cidr *a, const ipalloc_cidr *b) {
    return a->prefix_length == b->prefix_length && ipalloc_addr_compare(&a->base, &b->base) == 0;
}

size_t definition_find_range(const definition *d, const ipalloc_cidr *range) {
    size_t i = 0;
    while (i < d->range_count && !same_cidr(&d->ranges[i].cidr, range))
        i++;
    return i;
}

bool definition_agrees(const definition *d, const definition *given) {
    if (d->kind != given->kind || d->port_first != given->port_first ||
        d->port_last != given->port_last || d->strategy != given->strategy ||
        d->static_band_size != given->static_band_size || d->cool_down_ms != given->cool_down_ms ||
        d->use_all_addresses != given->use_all_addresses ||
        d->reuse_cooling_when_full != given->reuse_cooling_when_full ||
        d->refuse_reserve_cooling != given->refuse_reserve_cooling)
        return false;
    size_t active = 0;
    for (size_t i = 0; i < d->range_count; i++)
        active += !d->ranges[i].draining;
    if (active != given->range_count)
        return false;
    for (size_t i = 0; i < given->range_count; i++) {
        size_t found = definition_find_range(d, &given->ranges[i].cidr);
        if (found == d->range_count || d->ranges[found].draining)
            return false;
    }
    return true;
}

/* Like snprintf at `used`, but never beyond the buffer. */
__attribute__((format(printf, 4, 5))) static size_t
describe_more(char *out, size_t capacity, size_t used, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out + used, capacity - used, format, arguments);
    va_end(arguments);
    size_t wanted = length > 0 ? used + (size_t)length : used;
    return wanted < capacity ? wanted : capacity - 1;
}

const char *definition_describe(const definition *d, char *out, size_t capacity) {
    char text[IPALLOC_CIDR_TEXT];
    size_t used = describe_more(out, capacity, 0, "%s", pool_kind_name(d->kind));
    if (d->kind == IPALLOC_POOL_PORT)
        used = describe_more(out, capacity, used, " %u-%u", d->port_first, d->port_last);
    for (size_t i = 0; i < d->range_count; i++) {
        ipalloc_cidr_format(&d->ranges[i].cidr, text);
        used = describe_more(out, capacity, used, " %s%s", text,
                             d->ranges[i].draining ? "(draining)" : "");
    }
    used = describe_more(out, capacity, used, " %s",
                         word_of(STRATEGIES, WORD_COUNT(STRATEGIES), d->strategy));
    if (d->static_band_size == IPALLOC_NO_STATIC_BAND)
        used = describe_more(out, capacity, used, " no-static-band");
    else if (d->static_band_size != 0)
        used = describe_more(out, capacity, used, " static-band=%" PRIu64, d->static_band_size);
    if (d->cool_down_ms != 0)
        used = describe_more(out, capacity, used, " cool-down-ms=%" PRIu64, d->cool_down_ms);
    if (d->use_all_addresses)
        used = describe_more(out, capacity, used, " use-all-addresses");
    if (d->reuse_cooling_when_full)
        used = describe_more(out, capacity, used, " reuse-cooling-when-full");
    if (d->refuse_reserve_cooling)
        describe_more(out, capacity, used, " refuse-reserve-cooling");
    return out;
}

ipalloc_range_options definition_range_options(const definition *d, size_t index,
                                               const ipalloc_hooks *user) {
    bool all = d->kind != IPALLOC_POOL_PORT && d->ranges[index].all;
    return (ipalloc_range_options){.size = sizeof(ipalloc_range_options),
                                   .hooks = user,
                                   .static_band_size = d->static_band_size,
                                   .strategy = d->strategy,
                                   .use_all_addresses = d->use_all_addresses || all,
                                   .reuse_cooling_when_full = d->reuse_cooling_when_full,
                                   .refuse_reserve_cooling = d->refuse_reserve_cooling,
                                   .cool_down_ms = d->cool_down_ms};
}

bool definition_keeps_releases(const definition *d) {
    return d->cool_down_ms > 0 || d->strategy == IPALLOC_STRATEGY_OLDEST_FREED;
}

/* --- exclusions ------------------------------------------------------------------------------- */

/* Stretches may adjoin: they are followed as long as one begins right behind the other. */
bool definition_is_excluded(const definition *d, const definition_span *span) {
    place at = span->first;
    for (size_t i = 0; i < d->exclusion_count; i++) {
        const definition_span *one = &d->exclusions[i];
        if (place_compare(&one->last, &at) < 0)
            continue;
        if (place_compare(&one->first, &at) > 0)
            return false;
        if (place_compare(&one->last, &span->last) >= 0)
            return true;
        at = place_step(one->last, 1);
    }
    return false;
}

/* Replace the exclusions by `spans`, in memory of the right size. */
static int replace_exclusions(definition *d, definition_span *spans, size_t count,
                              ipalloc_error *error) {
    if (count > DEFINITION_EXCLUSIONS_MAX) {
        hooks_free(d->hooks, spans);
        return error_set(error, IPALLOC_E_INVALID, "a pool has at most %d excluded stretches",
                         DEFINITION_EXCLUSIONS_MAX);
    }
    hooks_free(d->hooks, d->exclusions);
    d->exclusions = spans;
    d->exclusion_count = count;
    return IPALLOC_OK;
}

int definition_exclude(definition *d, const definition_span *span, ipalloc_error *error) {
    definition_span *spans = hooks_alloc(d->hooks, (d->exclusion_count + 1) * sizeof *spans);
    if (spans == NULL)
        return error_no_memory(error);
    definition_span merged = *span;
    size_t count = 0, i = 0;
    for (; i < d->exclusion_count && place_compare(&d->exclusions[i].last, &span->first) < 0; i++)
        spans[count++] = d->exclusions[i];
    for (; i < d->exclusion_count && place_compare(&d->exclusions[i].first, &span->last) <= 0;
         i++) {
        if (place_compare(&d->exclusions[i].first, &merged.first) < 0)
            merged.first = d->exclusions[i].first;
        if (place_compare(&d->exclusions[i].last, &merged.last) > 0)
            merged.last = d->exclusions[i].last;
    }
    spans[count++] = merged;
    for (; i < d->exclusion_count; i++)
        spans[count++] = d->exclusions[i];
    return replace_exclusions(d, spans, count, error);
}

int definition_include(definition *d, const definition_span *span, ipalloc_error *error) {
    definition_span *spans = hooks_alloc(d->hooks, (d->exclusion_count + 1) * sizeof *spans);
    if (spans == NULL)
        return error_no_memory(error);
    size_t count = 0;
    for (size_t i = 0; i < d->exclusion_count; i++) {
        definition_span old = d->exclusions[i];
        if (place_compare(&old.last, &span->first) < 0 ||
            place_compare(&old.first, &span->last) > 0) {
            spans[count++] = old;
            continue;
        }
        if (place_compare(&old.first, &span->first) < 0)
            spans[count++] =
                (definition_span){.first = old.first, .last = place_step(span->first, -1)};
        if (place_compare(&old.last, &span->last) > 0)
            spans[count++] =
                (definition_span){.first = place_step(span->last, 1), .last = old.last};
    }
    return replace_exclusions(d, spans, count, error);
}
