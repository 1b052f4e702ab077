/*
 * protobuf.c: a reader of the protobuf wire form, driven by the tables of schema.c.
 *
 * Four wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes; groups (3, 4) are
 * refused. Unknown fields are skipped, as protobuf asks. The depth is that of the schema.
 */
#include "protobuf.h"

#include "base64.h"
#include "moment.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

/* What is left of one message. `start` is the first byte of the body, for saying where. */
struct reader {
    const uint8_t *at, *end, *start;
    struct text *problem;
};

struct item {
    unsigned number;
    unsigned wire;
    uint64_t value;      /* varint */
    struct reader inner; /* bytes */
};

static bool fail(const struct reader *reader, const char *what) {
    if (reader->problem->size == 0) {
        text_format(reader->problem, "%s at byte %zu", what, (size_t)(reader->at - reader->start));
    }
    return false;
}

static bool read_varint(struct reader *reader, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end) {
            return fail(reader, "the protobuf message ends inside a number");
        }
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return fail(reader, "a protobuf number has more than ten bytes");
}

static bool take(struct reader *reader, uint64_t size, struct reader *inner) {
    if (size > (uint64_t)(reader->end - reader->at)) {
        return fail(reader, "a protobuf field is longer than its message");
    }
    *inner = *reader;
    inner->end = reader->at + size;
    reader->at += size;
    return true;
}

/* The next field; false at the end, and after a failure. */
static bool next_item(struct reader *reader, struct item *item) {
    uint64_t tag;
    uint64_t length = 0;
    if (reader->at == reader->end || reader->problem->size > 0 || !read_varint(reader, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1) {
        return fail(reader, "a protobuf field number is out of range");
    }
    struct reader nothing = {reader->at, reader->at, reader->start, reader->problem};
    *item = (struct item){
        .number = (unsigned)(tag >> 3), .wire = (unsigned)(tag & 7), .inner = nothing};
    switch (item->wire) {
    case WIRE_VARINT:
        return read_varint(reader, &item->value);
    case WIRE_EIGHT:
        return take(reader, 8, &item->inner);
    case WIRE_FOUR:
        return take(reader, 4, &item->inner);
    case WIRE_BYTES:
        return read_varint(reader, &length) && take(reader, length, &item->inner);
    default:
        return fail(reader, "an unknown protobuf wire type");
    }
}

static bool expect_wire(const struct reader *reader, const struct item *item, unsigned wire) {
    return item->wire == wire || fail(reader, "a protobuf field has the wrong wire type");
}

/* A text field's value; NULL (and a failure noted) where it is no clean UTF-8. */
static struct json_object *read_text(const struct reader *reader, const struct item *item) {
    size_t size = (size_t)(item->inner.end - item->inner.at);
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return NULL;
    }
    if (!text_is_clean((const char *)item->inner.at, size)) {
        fail(&item->inner, "a protobuf text is not valid UTF-8, or holds a NUL");
        return NULL;
    }
    return json_object_new_string_len((const char *)item->inner.at, (int)size);
}

/* Bytes, as the base64 that JSON has in their place. */
static struct json_object *read_bytes(const struct reader *reader, const struct item *item) {
    struct text text = {0};
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return NULL;
    }
    base64_add(&text, item->inner.at, (size_t)(item->inner.end - item->inner.at));
    struct json_object *value = json_object_new_string(text.data != NULL ? text.data : "");
    text_clear(&text);
    return value;
}

static void read_map_entry(const struct reader *reader, const struct item *item, bool bytes,
                           struct json_object *out) {
    struct json_object *key = NULL;
    struct json_object *value = NULL;
    struct reader inner = item->inner;
    struct item part = {0};
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return;
    }
    while (next_item(&inner, &part)) {
        struct json_object **into = part.number == 1 ? &key : part.number == 2 ? &value : NULL;
        if (into != NULL) {
            json_object_put(*into);
            *into =
                bytes && part.number == 2 ? read_bytes(&inner, &part) : read_text(&inner, &part);
        }
    }
    if (inner.problem->size == 0) {
        json_set(out, key != NULL ? json_object_get_string(key) : "",
                 value != NULL ? json_object_get(value) : json_object_new_string(""));
    }
    json_object_put(key);
    json_object_put(value);
}

/* IntOrString{1 type: 0 number, 1 text; 2 number; 3 text}; NULL for number 0 and for "". */
static struct json_object *read_number_text(const struct reader *reader, const struct item *item) {
    struct reader inner = item->inner;
    struct item part = {0};
    struct json_object *text = NULL;
    bool is_text = false;
    int32_t number = 0;
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return NULL;
    }
    while (next_item(&inner, &part)) {
        if (part.number == 1 && expect_wire(&inner, &part, WIRE_VARINT)) {
            is_text = part.value == 1;
        } else if (part.number == 2 && expect_wire(&inner, &part, WIRE_VARINT)) {
            number = (int32_t)(uint32_t)part.value;
        } else if (part.number == 3) {
            json_object_put(text);
            text = read_text(&inner, &part);
        }
    }
    if (is_text && text != NULL && json_object_get_string_len(text) > 0) {
        return text;
    }
    json_object_put(text);
    return is_text || number == 0 ? NULL : json_object_new_int(number);
}

static void read_message(struct reader reader, const struct schema *schema,
                         struct json_object *out);

static struct json_object *ensure_list(struct json_object *out, const char *name) {
    struct json_object *list = json_member(out, name);
    if (list == NULL) {
        list = json_object_new_array();
        json_set(out, name, list);
    }
    return list;
}

static void read_scalar(const struct reader *reader, const struct field *field,
                        const struct item *item, struct json_object *out) {
    if (!expect_wire(reader, item, WIRE_VARINT) || (item->value == 0 && !field->zero_counts)) {
        return;
    }
    if (field->kind == FIELD_TRUTH) {
        json_set(out, field->name, json_object_new_boolean(item->value != 0));
    } else if (field->kind == FIELD_INT32) {
        json_set_number(out, field->name, (int32_t)(uint32_t)item->value);
    } else {
        json_set_number(out, field->name, (int64_t)item->value);
    }
}

static void read_text_field(const struct reader *reader, const struct field *field,
                            const struct item *item, struct json_object *out) {
    struct json_object *text = read_text(reader, item);
    if (text != NULL && (json_object_get_string_len(text) > 0 || field->zero_counts)) {
        json_set(out, field->name, text);
    } else {
        json_object_put(text);
    }
}

/* Time{1 seconds, 2 nanoseconds}; an empty one is none. */
static void read_time(const struct reader *reader, const struct field *field,
                      const struct item *item, struct json_object *out) {
    struct reader inner = item->inner;
    struct item part = {0};
    struct moment moment = {0};
    char text[MOMENT_TEXT];
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return;
    }
    while (next_item(&inner, &part)) {
        if (part.number == 1 && expect_wire(&inner, &part, WIRE_VARINT)) {
            moment.seconds = (time_t)part.value;
        } else if (part.number == 2 && expect_wire(&inner, &part, WIRE_VARINT)) {
            moment.microseconds = (int32_t)(part.value / 1000 % 1000000);
        }
    }
    if (!moment_is_writable(moment.seconds)) {
        fail(&inner, "a time is in no year of four digits");
    } else if (moment.seconds != 0 || moment.microseconds != 0) {
        moment_format_micro(&moment, text);
        if (field->kind == FIELD_TIME) {
            moment_format(moment.seconds, text);
        }
        json_set_text(out, field->name, text);
    }
}

static void read_object(const struct reader *reader, const struct field *field,
                        const struct item *item, struct json_object *out) {
    if (!expect_wire(reader, item, WIRE_BYTES)) {
        return;
    }
    if (field->kind == FIELD_OBJECT_LIST) {
        struct json_object *element = json_object_new_object();
        json_object_array_add(ensure_list(out, field->name), element);
        read_message(item->inner, field->schema, element);
    } else {
        read_message(item->inner, field->schema, json_ensure(out, field->name));
    }
}

static void read_field(const struct reader *reader, const struct field *field,
                       const struct item *item, struct json_object *out) {
    struct json_object *value;
    switch (field->kind) {
    case FIELD_TEXT:
        read_text_field(reader, field, item, out);
        break;
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_TRUTH:
        read_scalar(reader, field, item, out);
        break;
    case FIELD_TEXT_MAP:
    case FIELD_BYTES_MAP:
        read_map_entry(reader, item, field->kind == FIELD_BYTES_MAP, json_ensure(out, field->name));
        break;
    case FIELD_TEXT_LIST:
        value = read_text(reader, item);
        if (value != NULL) {
            json_object_array_add(ensure_list(out, field->name), value);
        }
        break;
    case FIELD_NUMBER_TEXT:
        value = read_number_text(reader, item);
        if (value != NULL) {
            json_set(out, field->name, value);
        }
        break;
    case FIELD_OBJECT:
    case FIELD_OBJECT_LIST:
        read_object(reader, field, item, out);
        break;
    case FIELD_INLINE:
        if (expect_wire(reader, item, WIRE_BYTES)) {
            read_message(item->inner, field->schema, out);
        }
        break;
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        read_time(reader, field, item, out);
        break;
    case FIELD_FREE:
    case FIELD_IGNORED:
        break;
    }
}

static void read_message(struct reader reader, const struct schema *schema,
                         struct json_object *out) {
    struct item item = {0};
    while (next_item(&reader, &item)) {
        for (size_t i = 0; i < schema->field_count; i++) {
            if (schema->fields[i].number == item.number) {
                read_field(&reader, &schema->fields[i], &item, out);
                break;
            }
        }
    }
}

/* TypeMeta{1 apiVersion, 2 kind}. */
static void read_type(struct reader reader, struct json_object *out) {
    struct item item = {0};
    while (next_item(&reader, &item)) {
        if (item.number == 1 || item.number == 2) {
            struct json_object *text = read_text(&reader, &item);
            if (text != NULL) {
                json_set(out, item.number == 1 ? "apiVersion" : "kind", text);
            }
        }
    }
}

struct json_object *protobuf_decode(const struct schema *schema, const void *bytes, size_t size,
                                    struct text *problem) {
    static const char magic[4] = {'k', '8', 's', '\0'};
    struct reader reader = {bytes, (const uint8_t *)bytes + size, bytes, problem};
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0) {
        fail(&reader, "the body does not begin with k8s and a NUL byte");
        return NULL;
    }
    reader.at += sizeof magic;
    struct json_object *out = json_object_new_object();
    struct item item = {0};
    while (next_item(&reader, &item)) {
        if (item.number == 1 && expect_wire(&reader, &item, WIRE_BYTES)) {
            read_type(item.inner, out);
        } else if (item.number == 2 && expect_wire(&reader, &item, WIRE_BYTES)) {
            read_message(item.inner, schema, out);
        }
    }
    if (problem->size > 0) {
        json_object_put(out);
        return NULL;
    }
    return out;
}
