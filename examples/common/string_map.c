/* string_map.c: see string_map.h. A hash table in buckets, which grows with what it holds. */
#include "string_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

static size_t hash_of(const char *name) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    return (size_t)hash;
}

static struct string_entry **place_of(const struct string_map *map, const char *name) {
    struct string_entry **at = &map->buckets[hash_of(name) % map->bucket_count];
    while (*at != NULL && strcmp((*at)->name, name) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void grow(struct string_map *map) {
    struct string_map larger = {.count = map->count};
    larger.bucket_count = map->bucket_count > 0 ? 2 * map->bucket_count : BUCKETS_FIRST;
    larger.buckets = memory_allocate(larger.bucket_count * sizeof(struct string_entry *));
    for (size_t i = 0; i < map->bucket_count; i++) {
        while (map->buckets[i] != NULL) {
            struct string_entry *entry = map->buckets[i];
            struct string_entry **at = &larger.buckets[hash_of(entry->name) % larger.bucket_count];
            map->buckets[i] = entry->next;
            entry->next = *at;
            *at = entry;
        }
    }
    free(map->buckets);
    *map = larger;
}

void *string_map_find(const struct string_map *map, const char *name) {
    struct string_entry *entry = map->bucket_count > 0 ? *place_of(map, name) : NULL;
    return entry != NULL ? entry->value : NULL;
}

void string_map_set(struct string_map *map, const char *name, void *value) {
    if (map->count >= map->bucket_count) {
        grow(map);
    }
    struct string_entry **at = place_of(map, name);
    if (*at == NULL) {
        size_t size = strlen(name) + 1;
        *at = memory_allocate(sizeof **at + size);
        memcpy((*at)->name, name, size);
        map->count++;
    }
    (*at)->value = value;
}

void *string_map_take(struct string_map *map, const char *name) {
    struct string_entry **at = map->bucket_count > 0 ? place_of(map, name) : NULL;
    if (at == NULL || *at == NULL) {
        return NULL;
    }
    struct string_entry *entry = *at;
    void *value = entry->value;
    *at = entry->next;
    map->count--;
    free(entry);
    return value;
}

void string_map_each(const struct string_map *map,
                     void (*visit)(void *context, const char *name, void *value), void *context) {
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct string_entry *at = map->buckets[i]; at != NULL; at = at->next) {
            visit(context, at->name, at->value);
        }
    }
}

void string_map_clear(struct string_map *map, void (*drop)(void *value)) {
    for (size_t i = 0; i < map->bucket_count; i++) {
        while (map->buckets[i] != NULL) {
            struct string_entry *entry = map->buckets[i];
            map->buckets[i] = entry->next;
            if (drop != NULL) {
                drop(entry->value);
            }
            free(entry);
        }
    }
    free(map->buckets);
    *map = (struct string_map){0};
}
