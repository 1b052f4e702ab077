/* string_map.h: from texts to what the caller keeps under them. */
#ifndef COMMON_STRING_MAP_H
#define COMMON_STRING_MAP_H

#include "text.h"

struct string_entry {
    struct string_entry *next;
    void *value;
    char name[];
};

/* All zero is empty. */
struct string_map {
    struct string_entry **buckets;
    size_t bucket_count, count;
};

/* NULL: there is nothing. */
void *string_map_find(const struct string_map *map, const char *name);

/* Keep the value (not NULL) under the name, in place of what was there. */
void string_map_set(struct string_map *map, const char *name, void *value);

/* Returns what was there, NULL: nothing. */
void *string_map_take(struct string_map *map, const char *name);

/* Every one; `visit` may not change the map. */
void string_map_each(const struct string_map *map,
                     void (*visit)(void *context, const char *name, void *value), void *context);

/* Empty, after `drop` has seen each value. */
void string_map_clear(struct string_map *map, void (*drop)(void *value));

#endif
