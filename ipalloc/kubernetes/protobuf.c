/*
 * protobuf.c: the protobuf wire form.
 *
 * May use: base/. Four wire types: numbers, eight bytes, counted bytes, four bytes; groups are
 * refused. Depth is the caller's: one call reads one message. Cost: one pass, no memory.
 */
#include "kubernetes/protobuf.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

enum { VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

/* --- reading --------------------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *start, *at, *end;
    const char *what;
    ipalloc_error *error;
} reader;

typedef struct item {
    const uint8_t *start; /* of its tag */
    uint32_t number;
    enum wire_type type;
    wire_value value;
} item;

/* A message that was left out is an empty one. */
static reader reader_of(ipalloc_bytes bytes, const char *what, ipalloc_error *error) {
    static const uint8_t NOTHING[1] = {0};
    if (bytes.data == NULL)
        bytes = (ipalloc_bytes){NOTHING, 0};
    const uint8_t *start = bytes.data;
    return (reader){start, start, start + bytes.size, what, error};
}

static int damaged(const reader *r, const char *why) {
    return error_set(r->error, IPALLOC_E_CORRUPT, "%s: %s at byte %zu of %zu", r->what, why,
                     (size_t)(r->at - r->start), (size_t)(r->end - r->start));
}

static int read_varint(reader *r, uint64_t *out) {
    const uint8_t *first = r->at;
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        if (r->at == r->end)
            return damaged(r, "the message ends inside a number");
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        if (byte == 0 && r->at - first > 1)
            return damaged(r, "a number is longer than it need be");
        if (i + 1 == VARINT_BYTES_MAX && byte > 1)
            return damaged(r, "a number has more than 64 bits");
        *out = value;
        return IPALLOC_OK;
    }
    return damaged(r, "a number has more than ten bytes");
}

static int take_bytes(reader *r, uint64_t length, ipalloc_bytes *out) {
    if (length > (uint64_t)(r->end - r->at))
        return damaged(r, "a field is longer than its message");
    *out = (ipalloc_bytes){r->at, (size_t)length};
    r->at += length;
    return IPALLOC_OK;
}

static int read_value(reader *r, uint64_t type, wire_value *value) {
    uint64_t length;
    int status;
    switch (type) {
    case WIRE_VARINT:
        return read_varint(r, &value->number);
    case WIRE_EIGHT:
        return take_bytes(r, 8, &value->bytes);
    case WIRE_FOUR:
        return take_bytes(r, 4, &value->bytes);
    case WIRE_BYTES:
        status = read_varint(r, &length);
        return status == IPALLOC_OK ? take_bytes(r, length, &value->bytes) : status;
    default:
        return damaged(r, "there is no such wire type");
    }
}

static int read_item(reader *r, item *out) {
    uint64_t tag;
    out->start = r->at;
    int status = read_varint(r, &tag);
    if (status != IPALLOC_OK)
        return status;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return damaged(r, "there is no such field number");
    out->number = (uint32_t)(tag >> 3);
    out->type = (enum wire_type)(tag & 7);
    out->value = (wire_value){.present = true};
    return read_value(r, tag & 7, &out->value);
}

/* A run of equal fields is one value: from the first one's tag to the last one's end. */
static void extend_run(ipalloc_bytes *run, const item *found, const reader *r) {
    if (run->data == NULL)
        run->data = found->start;
    run->size = (size_t)(r->at - (const uint8_t *)run->data);
}

static int keep(const reader *r, const wire_field *field, const item *found, wire_value *value) {
    if (found->type != field->type)
        return error_set(r->error, IPALLOC_E_CORRUPT, "%s: %s has wire type %u, not %u", r->what,
                         field->name, (unsigned)found->type, (unsigned)field->type);
    if (field->rule == WIRE_REPEATED) {
        value->present = true;
        extend_run(&value->bytes, found, r);
        return IPALLOC_OK;
    }
    if (value->present)
        return error_set(r->error, IPALLOC_E_CORRUPT, "%s: %s is there twice", r->what,
                         field->name);
    *value = found->value;
    return IPALLOC_OK;
}

static int check_required(const reader *r, const wire_field *fields, size_t count,
                          const wire_value *values) {
    for (size_t i = 0; i < count; i++)
        if (fields[i].rule == WIRE_REQUIRED && !values[i].present)
            return error_set(r->error, IPALLOC_E_CORRUPT, "%s: %s is missing", r->what,
                             fields[i].name);
    return IPALLOC_OK;
}

int wire_read(const wire_message *message, const wire_field *fields, size_t count,
              wire_value *values, ipalloc_bytes *unknown, ipalloc_error *error) {
    reader r = reader_of(message->bytes, message->what, error);
    ipalloc_bytes rest = {NULL, 0};
    uint32_t last = 0;
    size_t next = 0; /* both sides ascend: one pass over the table */
    memset(values, 0, count * sizeof *values);
    while (r.at != r.end) {
        item found;
        int status = read_item(&r, &found);
        if (status != IPALLOC_OK)
            return status;
        if (found.number < last)
            return error_set(error, IPALLOC_E_CORRUPT, "%s: field %u stands behind field %u",
                             message->what, (unsigned)found.number, (unsigned)last);
        last = found.number;
        while (next < count && fields[next].number < found.number)
            next++;
        if (next == count)
            extend_run(&rest, &found, &r);
        else if (fields[next].number == found.number)
            status = keep(&r, &fields[next], &found, &values[next]);
        if (status != IPALLOC_OK)
            return status;
    }
    if (unknown != NULL)
        *unknown = rest;
    return check_required(&r, fields, count, values);
}

bool wire_next(ipalloc_bytes *run, ipalloc_bytes *element) {
    reader r = reader_of(*run, "", NULL);
    item found;
    if (r.at == r.end)
        return false;
    int status = read_item(&r, &found);
    assert(status == IPALLOC_OK); /* wire_read has seen it */
    (void)status;
    *element = found.value.bytes;
    *run = (ipalloc_bytes){r.at, (size_t)(r.end - r.at)};
    return true;
}

/* --- writing --------------------------------------------------------------------------------- */

void wire_put_raw(wire_writer *w, const void *bytes, size_t length) {
    w->used += length;
    if (length > 0 && w->used <= w->capacity)
        memcpy(w->out + w->capacity - w->used, bytes, length);
}

static void put_number(wire_writer *w, uint64_t value) {
    uint8_t bytes[VARINT_BYTES_MAX];
    size_t length = 0;
    while (value >= 0x80) {
        bytes[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[length++] = (uint8_t)value;
    wire_put_raw(w, bytes, length);
}

static void put_tag(wire_writer *w, uint32_t number, enum wire_type type) {
    put_number(w, (uint64_t)number << 3 | type);
}

void wire_put_varint(wire_writer *w, uint32_t number, uint64_t value) {
    put_number(w, value);
    put_tag(w, number, WIRE_VARINT);
}

void wire_put_head(wire_writer *w, uint32_t number, size_t before) {
    put_number(w, w->used - before);
    put_tag(w, number, WIRE_BYTES);
}

void wire_put_bytes(wire_writer *w, uint32_t number, const void *bytes, size_t length) {
    size_t before = w->used;
    wire_put_raw(w, bytes, length);
    wire_put_head(w, number, before);
}

void wire_put_text(wire_writer *w, uint32_t number, const char *text) {
    wire_put_bytes(w, number, text, strlen(text));
}
