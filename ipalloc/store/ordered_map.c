/*
 * ordered_map.c: a skip list of counted records. See ordered_map.h for cost and contract.
 *
 * May use: base/hooks. Invariant: level 0 holds every node in memcmp order of its key, and each
 * higher level is a subsequence of the one below.
 */
#include "store/ordered_map.h"

#include "store/store.h"

#include <assert.h>
#include <string.h>

record *record_make(const hooks *h, const ipalloc_op *op) {
    record *r = hooks_alloc(h, sizeof *r + op->key.size + op->value.size);
    if (r == NULL)
        return NULL;
    *r = (record){.references = 1,
                  .key_size = (uint32_t)op->key.size,
                  .value_size = (uint32_t)op->value.size,
                  .deleted = op->kind == IPALLOC_OP_DELETE};
    memcpy(r->bytes, op->key.data, op->key.size);
    if (op->value.size > 0)
        memcpy(r->bytes + op->key.size, op->value.data, op->value.size);
    return r;
}

void record_release(const hooks *h, record *r) {
    if (r != NULL && --r->references == 0)
        hooks_free(h, r);
}

ipalloc_bytes record_key(const record *r) {
    return (ipalloc_bytes){r->bytes, r->key_size};
}

ipalloc_entry record_entry(const record *r) {
    return (ipalloc_entry){.key = record_key(r),
                           .value = {r->bytes + r->key_size, r->value_size},
                           .revision = r->revision,
                           .deleted = r->deleted};
}

static map_node *make_node(const hooks *h, int height) {
    map_node *node = hooks_alloc_zeroed(h, sizeof *node + (size_t)height * sizeof node->next[0]);
    if (node != NULL)
        node->height = height;
    return node;
}

int map_init(ordered_map *map, const hooks *h) {
    *map = (ordered_map){.head = make_node(h, MAP_HEIGHT_MAX)};
    return map->head != NULL ? IPALLOC_OK : IPALLOC_E_NOMEM;
}

void map_free(ordered_map *map, const hooks *h) {
    map_node *node = map->head;
    while (node != NULL) {
        map_node *next = node->next[0];
        record_release(h, node->record);
        hooks_free(h, node);
        node = next;
    }
    map->head = NULL;
}

map_node *map_node_make(ordered_map *map, const hooks *h) {
    uint64_t dice = random_mix(map->dice += 0x9e3779b97f4a7c15u);
    int height = 1;
    while (height < MAP_HEIGHT_MAX && dice % 4 == 0) {
        dice /= 4;
        height++;
    }
    return make_node(h, height);
}

/* For each level, the last node before `key` (or at it too, with `beyond`). */
static void find_before(const ordered_map *map, ipalloc_bytes key, bool beyond,
                        map_node *before[MAP_HEIGHT_MAX]) {
    map_node *node = map->head;
    for (int level = MAP_HEIGHT_MAX - 1; level >= 0; level--) {
        map_node *next = node->next[level];
        while (next != NULL && bytes_compare(record_key(next->record), key) < (beyond ? 1 : 0)) {
            node = next;
            next = node->next[level];
        }
        before[level] = node;
    }
}

map_node *map_seek(const ordered_map *map, ipalloc_bytes key, bool beyond) {
    map_node *before[MAP_HEIGHT_MAX];
    find_before(map, key, beyond, before);
    return before[0]->next[0];
}

map_node *map_find(const ordered_map *map, ipalloc_bytes key) {
    map_node *node = map_seek(map, key, false);
    return node != NULL && bytes_equal(record_key(node->record), key) ? node : NULL;
}

void map_link(ordered_map *map, map_node *node) {
    assert(node->record != NULL);
    map_node *before[MAP_HEIGHT_MAX];
    find_before(map, record_key(node->record), false, before);
    for (int level = 0; level < node->height; level++) {
        node->next[level] = before[level]->next[level];
        before[level]->next[level] = node;
    }
}

map_node *map_unlink(ordered_map *map, ipalloc_bytes key) {
    map_node *before[MAP_HEIGHT_MAX];
    find_before(map, key, false, before);
    map_node *node = before[0]->next[0];
    assert(node != NULL && bytes_equal(record_key(node->record), key));
    for (int level = 0; level < node->height; level++) {
        assert(before[level]->next[level] == node);
        before[level]->next[level] = node->next[level];
    }
    return node;
}
