/*
 * openapi.h: the kinds as OpenAPI describes them. Version 3 is asked for by newer kubectls, version
 * 2 by those before 1.29, which refuse `apply` and `create -f` without it.
 *
 * Both say only what kubectl looks at: fields and their types, how lists merge, and of the paths
 * the patch operation with the parameters dryRun and fieldValidation.
 */
#ifndef APISERVER_OPENAPI_H
#define APISERVER_OPENAPI_H

#include "http.h"
#include "resource.h"

/* A document with its head; the caller puts it. */
struct json_object *openapi_new(const char *member, const char *version);

/* Add what is to be said about a kind, in the form of version 3. */
void openapi_add(const struct resource *resource, struct json_object *paths,
                 struct json_object *schemas);

/* Answer /openapi/v2: JSON, or the protobuf form where the client asks for that. */
void openapi_v2_answer(const struct request *request, struct reply *reply);

/* An OpenAPI 2 document in protobuf, as the Document message of gnostic has it. */
void gnostic_encode(struct json_object *document, struct text *out);

#endif
