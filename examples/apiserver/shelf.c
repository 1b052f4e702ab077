/* shelf.c: see shelf.h. */
#include "shelf.h"

#include "text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Where a key is, or would be: in the last block whose first key is not greater. */
struct position {
    size_t block, at;
    bool found;
};

/* The first block's first key is never asked for: it has none while its first item is put in. */
static size_t block_of(const struct shelf *shelf, const char *key) {
    size_t low = 1;
    size_t high = shelf->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(shelf->blocks[middle]->items[0].key, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

static struct position position_of(const struct shelf *shelf, const char *key) {
    struct position out = {.block = block_of(shelf, key)};
    if (shelf->block_count == 0) {
        return out;
    }
    const struct shelf_block *block = shelf->blocks[out.block];
    size_t high = block->count;
    while (out.at < high && !out.found) {
        size_t middle = out.at + (high - out.at) / 2;
        int order = strcmp(block->items[middle].key, key);
        out.found = order == 0;
        if (order < 0) {
            out.at = middle + 1;
        } else {
            high = middle;
        }
    }
    out.at = out.found ? high : out.at;
    return out;
}

static void insert_block(struct shelf *shelf, size_t at, struct shelf_block *block) {
    if (shelf->block_count == shelf->block_capacity) {
        shelf->block_capacity = shelf->block_capacity == 0 ? 16 : shelf->block_capacity * 2;
        shelf->blocks =
            memory_resize(shelf->blocks, shelf->block_capacity * sizeof(struct shelf_block *));
    }
    struct shelf_block **place = &shelf->blocks[at];
    memmove(place + 1, place, (shelf->block_count - at) * sizeof(struct shelf_block *));
    *place = block;
    shelf->block_count++;
}

static void remove_block(struct shelf *shelf, size_t at) {
    struct shelf_block **place = &shelf->blocks[at];
    free(*place);
    shelf->block_count--;
    memmove(place, place + 1, (shelf->block_count - at) * sizeof(struct shelf_block *));
    if (shelf->block_count == 0) {
        free(shelf->blocks);
        shelf->blocks = NULL;
        shelf->block_capacity = 0;
    }
}

/* The upper half of a full block becomes one of its own, behind it. */
static void cut_block(struct shelf *shelf, size_t at) {
    struct shelf_block *lower = shelf->blocks[at];
    struct shelf_block *upper = memory_allocate(sizeof *upper);
    upper->count = lower->count / 2;
    lower->count -= upper->count;
    memcpy(upper->items, lower->items + lower->count, upper->count * sizeof *upper->items);
    insert_block(shelf, at + 1, upper);
}

static void insert(struct shelf *shelf, const char *key, struct shared_text *text) {
    if (shelf->block_count == 0) {
        insert_block(shelf, 0, memory_allocate(sizeof(struct shelf_block)));
    }
    struct position place = position_of(shelf, key);
    if (shelf->blocks[place.block]->count == SHELF_BLOCK_MAX) {
        cut_block(shelf, place.block);
        place = position_of(shelf, key);
    }
    struct shelf_block *block = shelf->blocks[place.block];
    struct item *item = &block->items[place.at];
    memmove(item + 1, item, (block->count - place.at) * sizeof *item);
    *item = (struct item){memory_copy(key), text};
    block->count++;
    shelf->count++;
}

static void take_out(struct shelf *shelf, struct position place) {
    struct shelf_block *block = shelf->blocks[place.block];
    struct item *item = &block->items[place.at];
    assert(place.at < block->count);
    free(item->key);
    block->count--;
    shelf->count--;
    memmove(item, item + 1, (block->count - place.at) * sizeof *item);
    if (block->count == 0) {
        remove_block(shelf, place.block);
    }
}

const struct item *shelf_find(const struct shelf *shelf, const char *key) {
    struct position place = position_of(shelf, key);
    return place.found ? &shelf->blocks[place.block]->items[place.at] : NULL;
}

struct shared_text *shelf_exchange(struct shelf *shelf, const char *key, struct shared_text *text) {
    struct position place = position_of(shelf, key);
    if (!place.found) {
        if (text != NULL) {
            insert(shelf, key, text);
        }
        return NULL;
    }
    struct item *item = &shelf->blocks[place.block]->items[place.at];
    struct shared_text *before = item->text;
    if (text != NULL) {
        item->text = text;
    } else {
        take_out(shelf, place);
    }
    return before;
}

struct shared_text *shelf_take_last(struct shelf *shelf) {
    if (shelf->block_count == 0) {
        return NULL;
    }
    size_t last = shelf->block_count - 1;
    size_t at = shelf->blocks[last]->count - 1;
    struct shared_text *text = shelf->blocks[last]->items[at].text;
    take_out(shelf, (struct position){last, at, true});
    return text;
}

const struct item *shelf_peek(const struct shelf_walk *walk) {
    return walk->block < walk->shelf->block_count
               ? &walk->shelf->blocks[walk->block]->items[walk->at]
               : NULL;
}

void shelf_step(struct shelf_walk *walk) {
    walk->at++;
    if (walk->at == walk->shelf->blocks[walk->block]->count) {
        walk->block++;
        walk->at = 0;
    }
}
