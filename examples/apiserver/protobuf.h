/*
 * protobuf.h: the body that kubectl 1.32 and later sends for `create service` and
 * `create namespace`: "k8s\0", then Unknown{1: TypeMeta{1 apiVersion, 2 kind}, 2: the object}.
 */
#ifndef APISERVER_PROTOBUF_H
#define APISERVER_PROTOBUF_H

#include "schema.h"

/* The object as JSON would have said it (the caller puts it), with apiVersion and kind. NULL with
 * what is wrong and at which byte in `problem`. Reads nothing outside `size` bytes, whatever they
 * are; the work is linear in `size`. */
struct json_object *protobuf_decode(const struct schema *schema, const void *bytes, size_t size,
                                    struct text *problem);

#endif
