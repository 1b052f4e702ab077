/*
 * record.h: the text form of keys and records. Knows the form; knows nothing of stores or bitmaps.
 *
 * Keys, each part ending in '/':
 *   format/                      the version of this form ("1"); a newer one is refused
 *   definitions/                 one key whose revision moves with every definition change
 *   pool/<name>/                 a pool's definition, name=value lines (definition.h)
 *   lease/<pool>/<place>/        address= (or port=), owner=, slot= (one line each), generation=,
 *                                time=
 *   owner/<owner>/               one line per lease: lease=<pool> <address> <generation> <time>
 *                                <slot> [<slot> ...], in order of pool and address
 *   cooling/<pool>/<place>/      released=, owner=
 *   sighting/<pool>/<place>/     generation=, owner=, record=, first=, last=, count= (repair.h: a
 *                                lease that its owner's record was seen not to list)
 *   record/<key>                 the caller's own records, keys and values as given
 *
 * A <place> is an address or a port in a form whose byte order is its numeric order and that an
 * operator can still read: 010.096.000.010, fd00:0000:...:000a with all eight groups, 30000. Inside
 * records, addresses are canonical text. Bytes of owners and slots that are not printable ASCII,
 * and '%' and ' ', are written %XX.
 *
 * Parsing is strict: one spelling per meaning, every line in its place, nothing after the end.
 */
#ifndef IPALLOC_REGISTRY_RECORD_H
#define IPALLOC_REGISTRY_RECORD_H

#include "base/text.h"
#include <ipalloc/registry.h>

#define RECORD_FORMAT_VERSION 1

#define KEY_FORMAT      "format/"
#define KEY_DEFINITIONS "definitions/"
#define PREFIX_POOL     "pool/"
#define PREFIX_LEASE    "lease/"
#define PREFIX_OWNER    "owner/"
#define PREFIX_COOLING  "cooling/"
#define PREFIX_SIGHTING "sighting/"
#define PREFIX_RECORD   "record/"

enum {
    PLACE_KEY_TEXT = 40,   /* eight groups of four hex digits, seven colons, NUL */
    RECORD_KEY_TEXT = 128, /* "sighting/", a pool name, a place, two slashes, NUL */
    GENERATION_BITS = 53   /* exact in JSON numbers */
};

/* An address or a port: what a lease is about. kind is an enum ipalloc_pool_kind; a port sits in
 * bytes[0..1], most significant first. Unused bytes are zero. Ordered by kind and bytes. */
typedef struct place {
    uint8_t kind;
    uint8_t bytes[16];
} place;

place place_of_addr(const ipalloc_addr *address);
place place_of_port(uint16_t port);
ipalloc_addr place_addr(const place *p); /* family 0 for a port */
uint16_t place_port(const place *p);     /* 0 for an address */
int place_compare(const place *a, const place *b);
place place_step(place p, int step); /* the next (1) or the one before (-1) */

/* Canonical text, for records and messages ("10.96.0.10", "30000"). */
const char *place_format(const place *p, char out[IPALLOC_ADDR_TEXT]);
/* Canonical text and nothing else. */
bool place_parse(int kind, const char *text, size_t length, place *out);

/* The sortable text of keys, and back. */
void place_format_key(const place *p, char out[PLACE_KEY_TEXT]);
bool place_parse_key(int kind, const char *text, size_t length, place *out);

/* A key with its text in it. */
typedef struct record_key {
    size_t length;
    char text[RECORD_KEY_TEXT];
} record_key;

record_key key_of_pool(const char *pool);
record_key key_of_lease(const char *pool, const place *p);
record_key key_of_cooling(const char *pool, const place *p);
record_key key_of_sighting(const char *pool, const place *p);
record_key key_of_pool_leases(const char *pool);  /* a prefix */
record_key key_of_pool_cooling(const char *pool); /* a prefix */
/* Append owner/<owner>/ (its length depends on the owner). */
void key_append_owner(text_buffer *t, const char *owner);

ipalloc_bytes bytes_of(const char *text);
ipalloc_bytes bytes_of_key(const record_key *key);
ipalloc_bytes bytes_of_buffer(const text_buffer *t);

/* Take apart <prefix><pool>/<place>/: the pool's name and the place's text, both inside `key`. */
typedef struct place_key {
    const char *pool;
    size_t pool_length;
    const char *place;
    size_t place_length;
} place_key;
bool key_split_place(ipalloc_bytes key, const char *prefix, place_key *out);

/* Bytes of an owner or slot in a record. */
void text_append_word(text_buffer *t, const char *bytes, size_t length);
/* Back, canonical only, 1..capacity-1 bytes. */
bool word_parse(const char *text, size_t length, char *out, size_t capacity);

/* Reading name=value lines one after another. */
typedef struct line_reader {
    const char *at;
    const char *end;
} line_reader;
line_reader lines_of(ipalloc_bytes value);
/* Is the next line "<name>=<value>\n"? Then take it. */
bool line_take(line_reader *lines, const char *name, ipalloc_bytes *value);
bool line_take_number(line_reader *lines, const char *name, uint64_t max, uint64_t *out);
bool lines_ended(const line_reader *lines);

/* Take the next word of a line: up to a space, which is taken too, or to the end. */
bool word_take(ipalloc_bytes *line, ipalloc_bytes *word);

/* Lease records. `pool`, `revision` and the struct's size are the caller's to fill in. */
void lease_append(text_buffer *t, const place *p, const char *owner, const char (*slots)[64],
                  size_t slot_count, uint64_t generation, uint64_t time_ms);
bool lease_parse(ipalloc_bytes value, const place *p, ipalloc_lease *out);

/* Cooling records. */
void cooling_append(text_buffer *t, uint64_t released_ms, const char *owner);
bool cooling_parse(ipalloc_bytes value, uint64_t *released_ms, char owner[IPALLOC_OWNER_MAX + 1]);

/* Sighting records. */
typedef struct sighting {
    uint64_t generation; /* of the lease that was seen; < 2^53 */
    char owner[IPALLOC_OWNER_MAX + 1];
    char record[IPALLOC_RECORD_KEY_MAX + 1]; /* the key of the one that it was judged by */
    uint64_t first_ms, last_ms;              /* wall clock; the last is not before the first */
    uint64_t count;                          /* at least 1 */
} sighting;
void sighting_append(text_buffer *t, const sighting *s);
bool sighting_parse(ipalloc_bytes value, sighting *out);

/* CORRUPT, naming the key. */
int record_corrupt(ipalloc_error *error, ipalloc_bytes key, const char *what);

/* Owners and slots as callers give them. */
bool owner_is_valid(const char *owner);
bool slot_is_valid(const char *slot);
bool pool_name_is_valid(const char *name, size_t length);

#endif
