/*
 * shelf.h: the present objects of one kind, in the order of their keys.
 *
 * A row of blocks, each a sorted array of at most SHELF_BLOCK_MAX items; a full block is cut in
 * two, an empty one goes. So a change moves a few kilobytes however many objects there are: some
 * 6 KB of a block, and 8 bytes a block. Not locked: the hub's lock guards it.
 */
#ifndef APISERVER_SHELF_H
#define APISERVER_SHELF_H

#include <stdbool.h>
#include <stddef.h>

#define SHELF_BLOCK_MAX 512

struct shared_text;

struct item {
    char *key;
    struct shared_text *text;
};

struct shelf_block {
    size_t count; /* at least 1 */
    struct item items[SHELF_BLOCK_MAX];
};

struct shelf {
    struct shelf_block **blocks;
    size_t block_count, block_capacity;
    size_t count; /* of items */
};

/* The item of that key; NULL: there is none. Valid until the next change. */
const struct item *shelf_find(const struct shelf *shelf, const char *key);

/* Make `text` (NULL: nothing) what is there under the key. The caller gives one reference to it and
 * gets that of what was there. */
struct shared_text *shelf_exchange(struct shelf *shelf, const char *key, struct shared_text *text);

/* Take the last item away; its text is returned with its reference. NULL: there is none. */
struct shared_text *shelf_take_last(struct shelf *shelf);

/* A walk in the order of the keys; all zero but `shelf` is the beginning. NULL after the last. */
struct shelf_walk {
    const struct shelf *shelf;
    size_t block, at;
};

const struct item *shelf_peek(const struct shelf_walk *walk);
void shelf_step(struct shelf_walk *walk);

#endif
