/* name_index.c: see name_index.h. A hash table in buckets, and a plain array a term. */
#include "name_index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

static size_t hash_of(const char *term) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *term != '\0'; term++) {
        hash = (hash ^ (unsigned char)*term) * UINT64_C(0x100000001b3);
    }
    return (size_t)hash;
}

static struct name_entry **place_of(const struct name_index *index, const char *term) {
    struct name_entry **at = &index->buckets[hash_of(term) % index->bucket_count];
    while (*at != NULL && strcmp((*at)->term, term) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void grow(struct name_index *index) {
    struct name_index larger = {.count = index->count};
    larger.bucket_count = index->bucket_count > 0 ? 2 * index->bucket_count : BUCKETS_FIRST;
    larger.buckets = memory_allocate(larger.bucket_count * sizeof *larger.buckets);
    for (size_t i = 0; i < index->bucket_count; i++) {
        while (index->buckets[i] != NULL) {
            struct name_entry *entry = index->buckets[i];
            struct name_entry **at = &larger.buckets[hash_of(entry->term) % larger.bucket_count];
            index->buckets[i] = entry->next;
            entry->next = *at;
            *at = entry;
        }
    }
    free(index->buckets);
    *index = larger;
}

static size_t find_name(const struct name_list *list, const char *name) {
    size_t at = 0;
    while (at < list->count && strcmp(list->names[at], name) != 0) {
        at++;
    }
    return at;
}

void name_index_add(struct name_index *index, const char *term, const char *name) {
    if (index->count >= index->bucket_count) {
        grow(index);
    }
    struct name_entry **at = place_of(index, term);
    if (*at == NULL) {
        size_t size = strlen(term) + 1;
        *at = memory_allocate(sizeof **at + size);
        memcpy((*at)->term, term, size);
        index->count++;
    }
    struct name_list *list = &(*at)->list;
    if (find_name(list, name) < list->count) {
        return;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 2;
        list->names = memory_resize(list->names, list->capacity * sizeof *list->names);
    }
    list->names[list->count++] = memory_copy(name);
}

static void free_entry(struct name_entry *entry) {
    for (size_t i = 0; i < entry->list.count; i++) {
        free(entry->list.names[i]);
    }
    free(entry->list.names);
    free(entry);
}

void name_index_drop(struct name_index *index, const char *term) {
    struct name_entry **at = index->bucket_count > 0 ? place_of(index, term) : NULL;
    if (at != NULL && *at != NULL) {
        struct name_entry *entry = *at;
        *at = entry->next;
        index->count--;
        free_entry(entry);
    }
}

void name_index_remove(struct name_index *index, const char *term, const char *name) {
    struct name_entry **at = index->bucket_count > 0 ? place_of(index, term) : NULL;
    if (at == NULL || *at == NULL) {
        return;
    }
    struct name_list *list = &(*at)->list;
    size_t place = find_name(list, name);
    if (place < list->count) {
        free(list->names[place]);
        list->names[place] = list->names[--list->count];
    }
    if (list->count == 0) {
        name_index_drop(index, term);
    }
}

const struct name_list *name_index_find(const struct name_index *index, const char *term) {
    struct name_entry *entry = index->bucket_count > 0 ? *place_of(index, term) : NULL;
    return entry != NULL ? &entry->list : NULL;
}

const char *name_index_any(const struct name_index *index) {
    for (size_t i = 0; index->count > 0 && i < index->bucket_count; i++) {
        if (index->buckets[i] != NULL) {
            return index->buckets[i]->term;
        }
    }
    return NULL;
}

void name_index_clear(struct name_index *index) {
    const char *term;
    while ((term = name_index_any(index)) != NULL) {
        char *copy = memory_copy(term);
        name_index_drop(index, copy);
        free(copy);
    }
    free(index->buckets);
    *index = (struct name_index){0};
}
