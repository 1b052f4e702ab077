/* name_index.c: see name_index.h. A plain array a term. */
#include "name_index.h"

#include <stdlib.h>
#include <string.h>

static size_t find_name(const struct name_list *list, const char *name) {
    size_t at = 0;
    while (at < list->count && strcmp(list->names[at], name) != 0) {
        at++;
    }
    return at;
}

void name_index_add(struct name_index *index, const char *term, const char *name) {
    struct name_list *list = string_map_find(&index->lists, term);
    if (list == NULL) {
        list = memory_allocate(sizeof *list);
        string_map_set(&index->lists, term, list);
    }
    if (find_name(list, name) < list->count) {
        return;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 2;
        list->names = memory_resize(list->names, list->capacity * sizeof *list->names);
    }
    list->names[list->count++] = memory_copy(name);
}

static void list_free(void *value) {
    struct name_list *list = value;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        free(list->names[i]);
    }
    if (list != NULL) {
        free(list->names);
    }
    free(list);
}

void name_index_drop(struct name_index *index, const char *term) {
    list_free(string_map_take(&index->lists, term));
}

void name_index_remove(struct name_index *index, const char *term, const char *name) {
    struct name_list *list = string_map_find(&index->lists, term);
    size_t place = list != NULL ? find_name(list, name) : 0;
    if (list == NULL || place == list->count) {
        return;
    }
    free(list->names[place]);
    list->names[place] = list->names[--list->count];
    if (list->count == 0) {
        name_index_drop(index, term);
    }
}

const struct name_list *name_index_find(const struct name_index *index, const char *term) {
    return string_map_find(&index->lists, term);
}

void name_index_clear(struct name_index *index) {
    string_map_clear(&index->lists, list_free);
}
