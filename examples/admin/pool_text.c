/* pool_text.c: lines of a pool's definition; see pool_text.h. */
#include "pool_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXCLUSIONS_MAX 4096

/* --- out of the store --------------------------------------------------------------------------
 */

static int keep_lines(void *context, const ipalloc_entry *entry) {
    struct json_object *lines = context;
    const char *at = entry->value.data;
    const char *end = at + entry->value.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline != NULL ? newline : end) - at);
        json_object_array_add(lines, json_object_new_string_len(at, (int)length));
        at += length + 1;
    }
    return IPALLOC_OK;
}

struct json_object *pool_text_of(struct admin *admin, const char *name, ipalloc_error *error) {
    char key[IPALLOC_POOL_NAME_MAX + 16];
    int length = snprintf(key, sizeof key, "pool/%s/", name);
    struct json_object *lines = json_object_new_array();
    ipalloc_bytes bytes = {.data = key, .size = (size_t)length};
    if (ipalloc_store_get(admin->store, bytes, keep_lines, lines, error) != IPALLOC_OK) {
        json_object_put(lines);
        return NULL;
    }
    return lines;
}

/* --- understanding -----------------------------------------------------------------------------
 */

struct word {
    const char *word;
    uint64_t value;
};

static const struct word kinds[] = {{"ipv4", IPALLOC_POOL_IPV4},
                                    {"ipv6", IPALLOC_POOL_IPV6},
                                    {"port", IPALLOC_POOL_PORT},
                                    {NULL, 0}};
static const struct word strategies[] = {{"random", IPALLOC_STRATEGY_RANDOM},
                                         {"lowest", IPALLOC_STRATEGY_LOWEST},
                                         {"oldest-freed", IPALLOC_STRATEGY_OLDEST_FREED},
                                         {NULL, 0}};
static const struct word static_bands[] = {
    {"formula", 0}, {"none", IPALLOC_NO_STATIC_BAND}, {NULL, 0}};
static const struct word truths[] = {{"no", 0}, {"yes", 1}, {NULL, 0}};

static bool find_word(const struct word *words, const char *value, uint64_t *out) {
    for (; words->word != NULL; words++) {
        if (strcmp(words->word, value) == 0) {
            *out = words->value;
            return true;
        }
    }
    return false;
}

static bool read_number(const char *value, uint64_t *out) {
    char *end = NULL;
    bool digits = value[0] >= '0' && value[0] <= '9' && strlen(value) < 20;
    *out = digits ? strtoull(value, &end, 10) : 0;
    return digits && *end == '\0';
}

static bool read_truth(const char *value, bool *out) {
    uint64_t number = 0;
    bool fine = find_word(truths, value, &number);
    *out = number == 1;
    return fine;
}

/* "10.96.0.0/16 active". What is left of a larger range that was cut is only counted: it cannot be
 * made anew. */
static bool read_range(struct pool_text *text, const char *value) {
    const char *space = strchr(value, ' ');
    if (space == NULL || text->range_count == IPALLOC_POOL_RANGES_MAX) {
        return false;
    }
    const char *state = space + 1;
    if (strcmp(state, "draining-all") == 0) {
        text->cut_count++;
        return true;
    }
    text->draining[text->range_count] = strcmp(state, "draining") == 0;
    return (text->draining[text->range_count] || strcmp(state, "active") == 0) &&
           ipalloc_cidr_parse(value, (size_t)(space - value), &text->ranges[text->range_count++],
                              NULL) == IPALLOC_OK;
}

static bool read_ports(struct pool_text *text, const char *value) {
    const char *dash = strchr(value, '-');
    struct admin_place first;
    struct admin_place last;
    ipalloc_error ignored;
    if (dash == NULL ||
        admin_place_parse(value, (size_t)(dash - value), &first, &ignored) != IPALLOC_OK ||
        admin_place_parse(dash + 1, strlen(dash + 1), &last, &ignored) != IPALLOC_OK ||
        !first.is_port || !last.is_port || first.port > last.port) {
        return false;
    }
    text->definition.port_first = first.port;
    text->definition.port_last = last.port;
    return true;
}

static bool read_exclusion(struct pool_text *text, const char *value) {
    const char *dash = strchr(value, '-');
    if (dash == NULL || text->exclusion_count == EXCLUSIONS_MAX) {
        return false;
    }
    if (text->exclusions == NULL) {
        text->exclusions = memory_allocate(EXCLUSIONS_MAX * sizeof text->exclusions[0]);
    }
    ipalloc_addr *pair = text->exclusions[text->exclusion_count++];
    return ipalloc_addr_parse(value, (size_t)(dash - value), &pair[0], NULL) == IPALLOC_OK &&
           ipalloc_addr_parse(dash + 1, strlen(dash + 1), &pair[1], NULL) == IPALLOC_OK;
}

static bool read_kind(struct pool_text *text, const char *value) {
    uint64_t kind = 0;
    bool fine = find_word(kinds, value, &kind);
    text->definition.kind = (int)kind;
    return fine;
}

static bool read_strategy(struct pool_text *text, const char *value) {
    uint64_t strategy = 0;
    bool fine = find_word(strategies, value, &strategy);
    text->definition.strategy = (uint32_t)strategy;
    return fine;
}

static bool read_static_band(struct pool_text *text, const char *value) {
    return find_word(static_bands, value, &text->definition.static_band_size) ||
           read_number(value, &text->definition.static_band_size);
}

static bool read_cool_down(struct pool_text *text, const char *value) {
    return read_number(value, &text->definition.cool_down_ms);
}

static bool read_use_all(struct pool_text *text, const char *value) {
    return read_truth(value, &text->definition.use_all_addresses);
}

static bool read_reuse(struct pool_text *text, const char *value) {
    return read_truth(value, &text->definition.reuse_cooling_when_full);
}

static bool read_refuse(struct pool_text *text, const char *value) {
    return read_truth(value, &text->definition.refuse_reserve_cooling);
}

static const struct {
    const char *name;
    bool (*read)(struct pool_text *text, const char *value);
} readers[] = {
    {"kind=", read_kind},
    {"range=", read_range},
    {"ports=", read_ports},
    {"strategy=", read_strategy},
    {"static-band=", read_static_band},
    {"cool-down-ms=", read_cool_down},
    {"use-all-addresses=", read_use_all},
    {"reuse-cooling-when-full=", read_reuse},
    {"refuse-reserve-cooling=", read_refuse},
    {"exclude=", read_exclusion},
};

static bool read_line(struct pool_text *text, const char *line) {
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (text_starts_with(line, readers[i].name)) {
            return readers[i].read(text, line + strlen(readers[i].name));
        }
    }
    return false;
}

int pool_text_read(struct json_object *lines, struct pool_text *out, ipalloc_error *error) {
    *out = (struct pool_text){.definition.size = sizeof out->definition};
    for (size_t i = 0; i < json_length(lines); i++) {
        const char *line = json_object_get_string(json_object_array_get_idx(lines, i));
        if (line == NULL || !read_line(out, line)) {
            return admin_refuse(error, IPALLOC_E_INVALID,
                                "the definition of a pool has a line that cannot be taken over: "
                                "\"%.100s\"",
                                line != NULL ? line : "null");
        }
    }
    if (out->definition.kind == 0) {
        return admin_refuse(error, IPALLOC_E_INVALID, "the definition of a pool says no kind");
    }
    out->definition.ranges = out->ranges;
    out->definition.range_count = out->range_count;
    return IPALLOC_OK;
}

void pool_text_free(struct pool_text *text) {
    free(text->exclusions);
    text->exclusions = NULL;
}

/* The ranges stand in the same order in both: a definition keeps the order it was given in. */
bool pool_text_agrees(const struct pool_text *a, const struct pool_text *b) {
    const ipalloc_pool_definition *x = &a->definition;
    const ipalloc_pool_definition *y = &b->definition;
    bool same = x->kind == y->kind && a->range_count == b->range_count &&
                x->port_first == y->port_first && x->port_last == y->port_last &&
                x->strategy == y->strategy && x->static_band_size == y->static_band_size &&
                x->cool_down_ms == y->cool_down_ms &&
                x->use_all_addresses == y->use_all_addresses &&
                x->reuse_cooling_when_full == y->reuse_cooling_when_full &&
                x->refuse_reserve_cooling == y->refuse_reserve_cooling;
    for (size_t i = 0; same && i < a->range_count; i++) {
        same = a->ranges[i].prefix_length == b->ranges[i].prefix_length &&
               ipalloc_addr_compare(&a->ranges[i].base, &b->ranges[i].base) == 0;
    }
    return same;
}
