/*
 * ordered_map.h: records in key order: a skip list.
 *
 * A record is immutable and counted: the map and the memory store's change ring share it. Not
 * thread-safe; the owner locks. Cost: about 1.33 pointers per key beside the record; find, link and
 * unlink take about 2 log2(n) steps; in order, the next is one step.
 */
#ifndef IPALLOC_STORE_ORDERED_MAP_H
#define IPALLOC_STORE_ORDERED_MAP_H

#include "base/hooks.h"
#include <ipalloc/store.h>

typedef struct record {
    uint64_t revision;
    uint32_t references;
    uint32_t key_size;
    uint32_t value_size;
    bool deleted;
    char bytes[]; /* the key, then the value */
} record;

/* A record with one reference, copied from an operation. NULL: out of memory. */
record *record_make(const hooks *h, const ipalloc_op *op);
void record_release(const hooks *h, record *r); /* NULL is fine */
ipalloc_entry record_entry(const record *r);
ipalloc_bytes record_key(const record *r);

enum { MAP_HEIGHT_MAX = 12 }; /* a quarter of the nodes climbs each level: 4^12 keys */

typedef struct map_node {
    record *record; /* NULL only while a node waits to be linked */
    int height;
    struct map_node *next[];
} map_node;

typedef struct ordered_map {
    map_node *head; /* holds no record */
    uint64_t dice;  /* state of the heights' generator */
} ordered_map;

/* OK or NOMEM. */
int map_init(ordered_map *map, const hooks *h);
void map_free(ordered_map *map, const hooks *h); /* with every record in it */

/* Make a node to link later, so that linking cannot fail. NULL: out of memory. */
map_node *map_node_make(ordered_map *map, const hooks *h);

map_node *map_find(const ordered_map *map, ipalloc_bytes key);
/* The first node whose key is `key` or greater; greater only, with `beyond`. NULL: none. */
map_node *map_seek(const ordered_map *map, ipalloc_bytes key, bool beyond);

/* Link a node whose record is set and whose key is absent. */
void map_link(ordered_map *map, map_node *node);
/* Take out the node of `key`, which is present; the caller frees it. */
map_node *map_unlink(ordered_map *map, ipalloc_bytes key);

#endif
