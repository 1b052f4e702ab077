/*
 * schema.h: the fields of the objects we take, one table a type for JSON, protobuf and OpenAPI. The
 * tables of a kind are in the file of its resource.
 *
 * Decoding keeps known fields of the right type, in the table's order (null among texts is "", and
 * among objects {}, as in Go), and reports the others: a wrong type always, an unknown name only
 * where the client asked (fieldValidation=Strict or Warn).
 */
#ifndef APISERVER_SCHEMA_H
#define APISERVER_SCHEMA_H

#include "json.h"

enum field_kind {
    FIELD_TEXT,
    FIELD_INT32,
    FIELD_INT64,
    FIELD_TRUTH,
    FIELD_TIME,        /* RFC 3339 text, kept in UTC and whole seconds */
    FIELD_MICRO_TIME,  /* the same in microseconds */
    FIELD_TEXT_MAP,    /* labels */
    FIELD_BYTES_MAP,   /* a Secret's data: base64 in JSON, bytes in protobuf */
    FIELD_TEXT_LIST,   /* finalizers */
    FIELD_NUMBER_TEXT, /* targetPort: 80 or "http" */
    FIELD_OBJECT,      /* of `schema` */
    FIELD_OBJECT_LIST, /* of `schema` */
    FIELD_FREE,        /* an object of any names; not read from protobuf */
    FIELD_INLINE,      /* in protobuf only: a message whose fields JSON has one level higher */
    FIELD_IGNORED      /* known, and dropped: the server does not keep it */
};

struct schema;

struct field {
    const char *name;
    enum field_kind kind;
    unsigned number;  /* in protobuf; 0: none */
    bool zero_counts; /* protobuf sends 0 and false for "not given", except in these */
    const struct schema *schema;
};

struct schema {
    const char *go_name; /* as Kubernetes' messages call the type */
    const struct field *fields;
    size_t field_count;
    bool open; /* names that are not here are kept as they are: nobody here looks at them */
};

#define SCHEMA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What every kind has. */
extern const struct schema schema_metadata;
extern const struct schema schema_condition;

/* A condition with more members than that (lastProbeTime and so on), and an ObjectReference. */
extern const struct schema schema_open_condition;
extern const struct schema schema_object_reference;

/* The known part of `value` as a new object (the caller puts it), or NULL with `problem` where a
 * type is wrong. Names of unknown fields, each quoted with its path, are listed in `unknown`. */
struct json_object *schema_decode(const struct schema *schema, struct json_object *value,
                                  struct text *unknown, struct text *problem);

/* An object's known part in the table's order, a new object; what decoding would refuse (it was
 * stored when less was asked of it) stays as it is. */
struct json_object *schema_arrange(const struct schema *schema, struct json_object *object);

/* The schema as OpenAPI (2 and 3) sees it, a new object. */
struct json_object *schema_openapi(const struct schema *schema);

#endif
