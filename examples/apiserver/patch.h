/*
 * patch.h: the ways to change an object by saying only what differs.
 *
 *   merge       RFC 7386
 *   json        RFC 6902 (all six operations)
 *   strategic   Kubernetes' own: lists merge by the keys of field_structure.h (a Service's ports by
 *               port and protocol), with $patch, $setElementOrder, $deleteFromPrimitiveList and
 * $retainKeys
 */
#ifndef APISERVER_PATCH_H
#define APISERVER_PATCH_H

#include "field_structure.h"

/* PATCH_APPLY, server-side apply, is no patch of this file: see managed_fields.h. */
enum patch_kind { PATCH_MERGE, PATCH_JSON, PATCH_STRATEGIC, PATCH_APPLY, PATCH_UNKNOWN };

#define PATCH_OPERATIONS_MAX 10000 /* as kube-apiserver */

enum patch_kind patch_kind_of(const char *content_type);

/* `object`, of that structure, with the patch applied, a new value; NULL with the reason in
 * `problem`. */
struct json_object *patch_apply(enum patch_kind kind, const struct structure *structure,
                                struct json_object *object, struct json_object *patch,
                                struct text *problem);

#endif
