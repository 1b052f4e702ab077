/*
 * object_meta.h: ObjectMeta, what every object of Kubernetes begins with: what we need of it.
 */
#ifndef IPALLOC_KUBERNETES_OBJECT_META_H
#define IPALLOC_KUBERNETES_OBJECT_META_H

#include "kubernetes/protobuf.h"

typedef struct object_meta {
    ipalloc_bytes name, uid;
    int64_t creation_time_s; /* 0: none */
    bool deleting;           /* there is a deletionTimestamp, and it is not empty */
    int64_t deletion_time_s;
    ipalloc_bytes labels;         /* a run of map entries */
    ipalloc_bytes managed_fields; /* a run, with tags */
} object_meta;

/* OK; CORRUPT. Everything is checked for its form, what is not kept too. */
int object_meta_read(ipalloc_bytes bytes, object_meta *out, ipalloc_error *error);

/* The value of a label; empty where there is none. */
ipalloc_bytes object_meta_label(const object_meta *meta, const char *key);

typedef struct object_label {
    const char *key, *value;
} object_label;

/* Write one, as field 1 of an object: the members, and the labels given, in ascending order of
 * keys, rather than meta->labels. */
void object_meta_put(wire_writer *w, const object_meta *meta, const object_label *labels,
                     size_t label_count);

/* Is this a run of managedFields, and nothing else? OK; INVALID. */
int object_meta_check_managed_fields(ipalloc_bytes run, ipalloc_error *error);

/* An empty ObjectMeta, as Kubernetes writes it. */
ipalloc_bytes object_meta_empty(void);

#endif
