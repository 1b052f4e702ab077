/*
 * json.h: the few things the example programs do with json-c values.
 *
 * Parsing is strict: one value, valid UTF-8, no NUL byte, at most JSON_DEPTH_MAX deep. json-c's
 * reference counts are not atomic, so a value never leaves the thread that made it; what threads
 * share is text.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "text.h"

#include <json-c/json.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64 /* a Service is 6 deep; this bounds recursion everywhere */

/* The parsed value (the caller puts it), or NULL with what is wrong and where in `problem`. */
struct json_object *json_parse(const char *bytes, size_t size, struct text *problem);

/* Member of an object; NULL if `object` is no object or has none. Borrowed. */
struct json_object *json_member(struct json_object *object, const char *name);

/* The same along a path of names that ends with NULL. */
struct json_object *json_at(struct json_object *object, ...) __attribute__((sentinel));

/* A text member, "" where it is absent or no text. Borrowed. */
const char *json_member_text(struct json_object *object, const char *name);

/* A number or truth member, or what was given for an absent one. */
int64_t json_member_number(struct json_object *object, const char *name, int64_t absent);
bool json_member_truth(struct json_object *object, const char *name, bool absent);

/* Elements of a list; 0 for what is no list. */
size_t json_length(struct json_object *list);

/* How deep lists and objects are nested; 0 for what is neither. */
size_t json_depth(struct json_object *value);

/* The member, made as an empty object if it is not one yet. Borrowed. */
struct json_object *json_ensure(struct json_object *object, const char *name);

void json_set(struct json_object *object, const char *name, struct json_object *value);
void json_set_text(struct json_object *object, const char *name, const char *value);
void json_set_number(struct json_object *object, const char *name, int64_t value);
void json_remove(struct json_object *object, const char *name); /* of what is no object: nothing */
struct json_object *json_copy(struct json_object *value);

/* Make that member of `to` what it is in `from`: a copy, or absent. */
void json_carry(struct json_object *from, struct json_object *to, const char *name);

/* The value as one line, valid while `value` lives and is unchanged. */
const char *json_line(struct json_object *value, size_t *size);

#endif
