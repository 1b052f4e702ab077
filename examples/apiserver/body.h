/* body.h: what a request says: its object, its options, and how it wants the answer. */
#ifndef APISERVER_BODY_H
#define APISERVER_BODY_H

#include "http.h"
#include "resource.h"
#include "status.h"
#include "table.h"

/* The request's object (JSON, YAML or protobuf), decoded against its kind's schema; the caller puts
 * it. NULL with the outcome set: 400, 415 or 422. Unknown fields become a warning in `reply`, or
 * the outcome with fieldValidation=Strict. */
struct json_object *body_decode(const struct request *request, const struct resource *resource,
                                struct reply *reply, struct outcome *outcome);

/* The same for a value that a patch made. */
struct json_object *body_decode_value(const struct request *request,
                                      const struct resource *resource, struct json_object *value,
                                      struct reply *reply, struct outcome *outcome);

/* The body as what the schema says, in any of the formats; unknown fields are dropped. NULL with
 * the outcome set where it is not that. The caller puts it. */
struct json_object *body_parse(const struct request *request, const struct schema *schema,
                               struct outcome *outcome);

/* Does the client want a Table, and with how much of each object? */
bool wants_table(const struct request *request, enum table_object *include);

/* Send the outcome: as it is, or an object of that kind (NULL: none is expected) as a one-row Table
 * where that is wanted. */
void reply_outcome(const struct request *request, struct reply *reply,
                   const struct resource *resource, struct outcome *outcome);

/* A finished reply of JSON becomes YAML where the client names that first. */
void reply_as_wanted(const struct request *request, struct reply *reply);

#endif
