/*
 * protobuf.h: the protobuf wire form: reading a message by a table of its fields, writing one.
 *
 * Knows nothing of Kubernetes. Reading is strict: what comes out was written by somebody who writes
 * fields in ascending order, numbers without padding and no field twice, as Kubernetes' own writer
 * does; then the same bytes can be written again. No memory is allocated; values point into what is
 * read.
 */
#ifndef IPALLOC_KUBERNETES_PROTOBUF_H
#define IPALLOC_KUBERNETES_PROTOBUF_H

#include <ipalloc/store.h>

enum wire_type { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

/* --- reading --------------------------------------------------------------------------------- */

typedef struct wire_message {
    const char *what;    /* for messages: "RangeAllocation", "metadata" */
    ipalloc_bytes bytes; /* may be empty */
} wire_message;

enum wire_rule { WIRE_OPTIONAL, WIRE_REQUIRED, WIRE_REPEATED };

typedef struct wire_field {
    const char *name;
    uint32_t number;
    enum wire_type type;
    enum wire_rule rule;
} wire_field;

typedef struct wire_value {
    bool present;
    uint64_t number;     /* WIRE_VARINT */
    ipalloc_bytes bytes; /* WIRE_BYTES: what the field holds. WIRE_REPEATED: all its occurrences
                            with their tags, a message for wire_next */
} wire_value;

/* Read a message by the table of its `count` fields, in ascending order of numbers, into
 * values[count]. Fields that the table lacks are checked for their form; *unknown (NULL: not
 * wanted) gets those behind the table's last one.
 * OK; CORRUPT (the message says what, where and why). */
int wire_read(const wire_message *message, const wire_field *fields, size_t count,
              wire_value *values, ipalloc_bytes *unknown, ipalloc_error *error);

/* The elements of a WIRE_REPEATED field of bytes that wire_read has found: takes the first one off
 * *run. false at the end. */
bool wire_next(ipalloc_bytes *run, ipalloc_bytes *element);

/* --- writing --------------------------------------------------------------------------------- */

/* Writes from the back to the front, so that the length of a message is known when its head is
 * written. With out NULL it only counts. */
typedef struct wire_writer {
    uint8_t *out;
    size_t capacity; /* what does not fit is counted and not written */
    size_t used;
} wire_writer;

void wire_put_bytes(wire_writer *w, uint32_t number, const void *bytes, size_t length);
void wire_put_text(wire_writer *w, uint32_t number, const char *text);
void wire_put_varint(wire_writer *w, uint32_t number, uint64_t value);
/* Bytes that have their tags already, or none. */
void wire_put_raw(wire_writer *w, const void *bytes, size_t length);

/* Close a message that began when w->used was `before`: writes its length and tag. */
void wire_put_head(wire_writer *w, uint32_t number, size_t before);

#endif
