/*
 * record.c: the text form of keys and records (see record.h for the form).
 *
 * May use: base, addr.h. No I/O, no memory of its own. Everything read here came from outside and
 * is checked for length, bounds and canonical spelling.
 */
#include "registry/record.h"

#include "base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- places ----------------------------------------------------------------------------------- */

place place_of_addr(const ipalloc_addr *address) {
    place p = {.kind = address->family};
    memcpy(p.bytes, address->bytes, address->family == 4 ? 4 : 16);
    return p;
}

place place_of_port(uint16_t port) {
    return (place){.kind = IPALLOC_POOL_PORT, .bytes = {(uint8_t)(port >> 8), (uint8_t)port}};
}

ipalloc_addr place_addr(const place *p) {
    ipalloc_addr address = {0};
    if (p->kind != IPALLOC_POOL_PORT) {
        address.family = p->kind;
        memcpy(address.bytes, p->bytes, sizeof address.bytes);
    }
    return address;
}

uint16_t place_port(const place *p) {
    return p->kind == IPALLOC_POOL_PORT ? (uint16_t)(p->bytes[0] << 8 | p->bytes[1]) : 0;
}

int place_compare(const place *a, const place *b) {
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

place place_step(place p, int step) {
    assert(step == 1 || step == -1);
    size_t last = p.kind == IPALLOC_POOL_PORT ? 1 : p.kind == IPALLOC_POOL_IPV4 ? 3 : 15;
    for (size_t i = last + 1; i-- > 0;) {
        p.bytes[i] = (uint8_t)(p.bytes[i] + step);
        if (p.bytes[i] != (step > 0 ? 0 : 0xff))
            break;
    }
    return p;
}

const char *place_format(const place *p, char out[IPALLOC_ADDR_TEXT]) {
    ipalloc_addr address = place_addr(p);
    if (p->kind == IPALLOC_POOL_PORT)
        snprintf(out, IPALLOC_ADDR_TEXT, "%u", place_port(p));
    else
        ipalloc_addr_format(&address, out);
    return out;
}

bool place_parse(int kind, const char *text, size_t length, place *out) {
    uint64_t port;
    if (kind == IPALLOC_POOL_PORT) {
        if (!text_parse_decimal(text, length, UINT16_MAX, &port))
            return false;
        *out = place_of_port((uint16_t)port);
        return true;
    }
    ipalloc_addr address;
    if (ipalloc_addr_parse(text, length, &address, NULL) != IPALLOC_OK || address.family != kind)
        return false;
    char canonical[IPALLOC_ADDR_TEXT];
    if (ipalloc_addr_format(&address, canonical) != length || memcmp(canonical, text, length) != 0)
        return false;
    *out = place_of_addr(&address);
    return true;
}

void place_format_key(const place *p, char out[PLACE_KEY_TEXT]) {
    const uint8_t *b = p->bytes;
    if (p->kind == IPALLOC_POOL_PORT) {
        snprintf(out, PLACE_KEY_TEXT, "%05u", place_port(p));
    } else if (p->kind == IPALLOC_POOL_IPV4) {
        snprintf(out, PLACE_KEY_TEXT, "%03u.%03u.%03u.%03u", b[0], b[1], b[2], b[3]);
    } else {
        size_t used = 0;
        for (size_t group = 0; group < 8; group++)
            used += (size_t)snprintf(out + used, PLACE_KEY_TEXT - used, "%s%02x%02x",
                                     group > 0 ? ":" : "", b[2 * group], b[2 * group + 1]);
    }
}

/* Exactly `digits` decimal digits. */
static bool fixed_decimal(const char *text, size_t digits, uint32_t max, uint32_t *out) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *out = value;
    return value <= max;
}

static bool parse_key_ipv4(const char *text, size_t length, place *out) {
    if (length != 15)
        return false;
    for (size_t i = 0; i < 4; i++) {
        uint32_t byte;
        if (!fixed_decimal(text + 4 * i, 3, 255, &byte) || (i < 3 && text[4 * i + 3] != '.'))
            return false;
        out->bytes[i] = (uint8_t)byte;
    }
    return true;
}

static int lower_hex(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool parse_key_ipv6(const char *text, size_t length, place *out) {
    if (length != 39)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const char *pair = text + i / 2 * 5 + i % 2 * 2;
        int high = lower_hex(pair[0]);
        int low = lower_hex(pair[1]);
        if (high < 0 || low < 0 || (i % 2 == 1 && i < 15 && pair[2] != ':'))
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool place_parse_key(int kind, const char *text, size_t length, place *out) {
    uint32_t port;
    *out = (place){.kind = (uint8_t)kind};
    if (kind == IPALLOC_POOL_IPV4)
        return parse_key_ipv4(text, length, out);
    if (kind == IPALLOC_POOL_IPV6)
        return parse_key_ipv6(text, length, out);
    if (length != 5 || !fixed_decimal(text, 5, UINT16_MAX, &port))
        return false;
    *out = place_of_port((uint16_t)port);
    return true;
}

/* --- keys ------------------------------------------------------------------------------------- */

static record_key key_of_parts(const char *prefix, const char *pool, const place *p) {
    assert(pool_name_is_valid(pool, strlen(pool))); /* such names need no escapes */
    record_key key;
    char text[PLACE_KEY_TEXT] = "";
    if (p != NULL)
        place_format_key(p, text);
    int length =
        snprintf(key.text, sizeof key.text, "%s%s/%s%s", prefix, pool, text, p != NULL ? "/" : "");
    assert(length > 0 && (size_t)length < sizeof key.text);
    key.length = (size_t)length;
    return key;
}

record_key key_of_pool(const char *pool) {
    return key_of_parts(PREFIX_POOL, pool, NULL);
}

record_key key_of_lease(const char *pool, const place *p) {
    return key_of_parts(PREFIX_LEASE, pool, p);
}

record_key key_of_cooling(const char *pool, const place *p) {
    return key_of_parts(PREFIX_COOLING, pool, p);
}

record_key key_of_sighting(const char *pool, const place *p) {
    return key_of_parts(PREFIX_SIGHTING, pool, p);
}

record_key key_of_pool_leases(const char *pool) {
    return key_of_parts(PREFIX_LEASE, pool, NULL);
}

record_key key_of_pool_cooling(const char *pool) {
    return key_of_parts(PREFIX_COOLING, pool, NULL);
}

void key_append_owner(text_buffer *t, const char *owner) {
    text_append_text(t, PREFIX_OWNER);
    text_append_key_part(t, owner, strlen(owner));
}

ipalloc_bytes bytes_of(const char *text) {
    return (ipalloc_bytes){.data = text, .size = strlen(text)};
}

ipalloc_bytes bytes_of_key(const record_key *key) {
    return (ipalloc_bytes){.data = key->text, .size = key->length};
}

ipalloc_bytes bytes_of_buffer(const text_buffer *t) {
    return (ipalloc_bytes){.data = t->bytes, .size = t->length};
}

bool key_split_place(ipalloc_bytes key, const char *prefix, place_key *out) {
    size_t prefix_length = strlen(prefix);
    const char *at = key.data;
    const char *end = at + key.size;
    if (key.size <= prefix_length || memcmp(at, prefix, prefix_length) != 0 || end[-1] != '/')
        return false;
    out->pool = at + prefix_length;
    const char *slash = memchr(out->pool, '/', (size_t)(end - out->pool));
    if (slash + 1 >= end || !pool_name_is_valid(out->pool, (size_t)(slash - out->pool)))
        return false;
    out->pool_length = (size_t)(slash - out->pool);
    out->place = slash + 1;
    out->place_length = (size_t)(end - 1 - out->place);
    return true;
}

/* --- words and lines -------------------------------------------------------------------------- */

static const char HEX_DIGITS[] = "0123456789ABCDEF";

static bool plain_in_word(unsigned char byte) {
    return byte > ' ' && byte < 0x7f && byte != '%';
}

void text_append_word(text_buffer *t, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escaped[3] = {'%', HEX_DIGITS[byte >> 4], HEX_DIGITS[byte & 15]};
        if (plain_in_word(byte))
            text_append(t, &bytes[i], 1);
        else
            text_append(t, escaped, sizeof escaped);
    }
}

static int upper_hex(char digit) {
    const char *found = digit != '\0' ? strchr(HEX_DIGITS, digit) : NULL;
    return found != NULL ? (int)(found - HEX_DIGITS) : -1;
}

bool word_parse(const char *text, size_t length, char *out, size_t capacity) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = length - i < 3 ? -1 : upper_hex(text[i + 1]);
            int low = length - i < 3 ? -1 : upper_hex(text[i + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = (unsigned char)(high << 4 | low);
            if (plain_in_word(byte) || byte == '\0')
                return false;
            i += 2;
        } else if (!plain_in_word(byte)) {
            return false;
        }
        if (used + 1 >= capacity)
            return false;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return used > 0;
}

line_reader lines_of(ipalloc_bytes value) {
    const char *at = value.size > 0 ? value.data : "";
    return (line_reader){.at = at, .end = at + value.size};
}

bool line_take(line_reader *lines, const char *name, ipalloc_bytes *value) {
    size_t name_length = strlen(name);
    size_t left = (size_t)(lines->end - lines->at);
    if (left < name_length + 2 || memcmp(lines->at, name, name_length) != 0 ||
        lines->at[name_length] != '=')
        return false;
    const char *start = lines->at + name_length + 1;
    const char *newline = memchr(start, '\n', (size_t)(lines->end - start));
    if (newline == NULL)
        return false;
    *value = (ipalloc_bytes){.data = start, .size = (size_t)(newline - start)};
    lines->at = newline + 1;
    return true;
}

bool line_take_number(line_reader *lines, const char *name, uint64_t max, uint64_t *out) {
    ipalloc_bytes value;
    return line_take(lines, name, &value) && text_parse_decimal(value.data, value.size, max, out);
}

bool lines_ended(const line_reader *lines) {
    return lines->at == lines->end;
}

bool word_take(ipalloc_bytes *line, ipalloc_bytes *word) {
    if (line->data == NULL)
        return false;
    const char *start = line->data;
    const char *space = line->size > 0 ? memchr(start, ' ', line->size) : NULL;
    if (space == NULL) {
        *word = *line;
        *line = (ipalloc_bytes){0};
    } else {
        *word = (ipalloc_bytes){.data = start, .size = (size_t)(space - start)};
        *line = (ipalloc_bytes){.data = space + 1, .size = line->size - word->size - 1};
    }
    return word->size > 0;
}

/* --- records ---------------------------------------------------------------------------------- */

static const char *place_line_name(const place *p) {
    return p->kind == IPALLOC_POOL_PORT ? "port" : "address";
}

static void word_line_append(text_buffer *t, const char *name, const char *word) {
    text_format(t, "%s=", name);
    text_append_word(t, word, strlen(word));
    text_append_text(t, "\n");
}

void lease_append(text_buffer *t, const place *p, const char *owner, const char (*slots)[64],
                  size_t slot_count, uint64_t generation, uint64_t time_ms) {
    assert(slot_count > 0 && slot_count <= IPALLOC_LEASE_SLOTS_MAX);
    char address[IPALLOC_ADDR_TEXT];
    text_format(t, "%s=%s\n", place_line_name(p), place_format(p, address));
    word_line_append(t, "owner", owner);
    for (size_t i = 0; i < slot_count; i++)
        word_line_append(t, "slot", slots[i]);
    text_format(t, "generation=%" PRIu64 "\ntime=%" PRIu64 "\n", generation, time_ms);
}

bool lease_parse(ipalloc_bytes value, const place *p, ipalloc_lease *out) {
    line_reader lines = lines_of(value);
    ipalloc_bytes text;
    place named;
    if (!line_take(&lines, place_line_name(p), &text) ||
        !place_parse(p->kind, text.data, text.size, &named) || place_compare(&named, p) != 0)
        return false;
    if (!line_take(&lines, "owner", &text) ||
        !word_parse(text.data, text.size, out->owner, sizeof out->owner))
        return false;
    out->slot_count = 0;
    while (line_take(&lines, "slot", &text)) {
        if (out->slot_count == IPALLOC_LEASE_SLOTS_MAX)
            return false;
        char *slot = out->slots[out->slot_count++];
        if (!word_parse(text.data, text.size, slot, sizeof out->slots[0]))
            return false;
    }
    out->address = place_addr(p);
    out->port = place_port(p);
    return out->slot_count > 0 &&
           line_take_number(&lines, "generation", ((uint64_t)1 << GENERATION_BITS) - 1,
                            &out->generation) &&
           out->generation != 0 && line_take_number(&lines, "time", UINT64_MAX, &out->time_ms) &&
           lines_ended(&lines);
}

void cooling_append(text_buffer *t, uint64_t released_ms, const char *owner) {
    text_format(t, "released=%" PRIu64 "\n", released_ms);
    word_line_append(t, "owner", owner);
}

bool cooling_parse(ipalloc_bytes value, uint64_t *released_ms, char owner[IPALLOC_OWNER_MAX + 1]) {
    line_reader lines = lines_of(value);
    ipalloc_bytes text;
    return line_take_number(&lines, "released", UINT64_MAX, released_ms) &&
           line_take(&lines, "owner", &text) &&
           word_parse(text.data, text.size, owner, IPALLOC_OWNER_MAX + 1) && lines_ended(&lines);
}

void sighting_append(text_buffer *t, const sighting *s) {
    text_format(t, "generation=%" PRIu64 "\n", s->generation);
    word_line_append(t, "owner", s->owner);
    word_line_append(t, "record", s->record);
    text_format(t, "first=%" PRIu64 "\nlast=%" PRIu64 "\ncount=%" PRIu64 "\n", s->first_ms,
                s->last_ms, s->count);
}

bool sighting_parse(ipalloc_bytes value, sighting *out) {
    line_reader lines = lines_of(value);
    ipalloc_bytes text;
    return line_take_number(&lines, "generation", ((uint64_t)1 << GENERATION_BITS) - 1,
                            &out->generation) &&
           out->generation != 0 && line_take(&lines, "owner", &text) &&
           word_parse(text.data, text.size, out->owner, sizeof out->owner) &&
           line_take(&lines, "record", &text) &&
           word_parse(text.data, text.size, out->record, sizeof out->record) &&
           line_take_number(&lines, "first", UINT64_MAX, &out->first_ms) &&
           line_take_number(&lines, "last", UINT64_MAX, &out->last_ms) &&
           out->last_ms >= out->first_ms &&
           line_take_number(&lines, "count", UINT64_MAX - 1, &out->count) && out->count > 0 &&
           lines_ended(&lines);
}

int record_corrupt(ipalloc_error *error, ipalloc_bytes key, const char *what) {
    char quoted[200];
    return error_set(error, IPALLOC_E_CORRUPT, "stored record %s: %s",
                     text_quote(key.data, key.size, quoted, sizeof quoted), what);
}

/* --- names that callers give ------------------------------------------------------------------ */

static bool length_within(const char *text, size_t max) {
    size_t length = text != NULL ? strnlen(text, max + 1) : 0;
    return length > 0 && length <= max;
}

bool owner_is_valid(const char *owner) {
    return length_within(owner, IPALLOC_OWNER_MAX);
}

bool slot_is_valid(const char *slot) {
    return length_within(slot, IPALLOC_SLOT_MAX);
}

bool pool_name_is_valid(const char *name, size_t length) {
    if (length == 0 || length > IPALLOC_POOL_NAME_MAX || name[0] == '-' || name[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}
