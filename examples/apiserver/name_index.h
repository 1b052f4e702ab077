/* name_index.h: from a term ("default/app=web") to the names that were noted under it. */
#ifndef APISERVER_NAME_INDEX_H
#define APISERVER_NAME_INDEX_H

#include "text.h"

struct name_list {
    char **names;
    size_t count, capacity;
};

struct name_entry {
    struct name_entry *next;
    struct name_list list;
    char term[];
};

/* All zero is empty. */
struct name_index {
    struct name_entry **buckets;
    size_t bucket_count, count;
};

void name_index_add(struct name_index *index, const char *term, const char *name);
void name_index_remove(struct name_index *index, const char *term, const char *name);

/* NULL: nothing is noted under it. Valid until the next change. */
const struct name_list *name_index_find(const struct name_index *index, const char *term);

/* Any term, NULL: there is none; for taking all out one by one. */
const char *name_index_any(const struct name_index *index);
void name_index_drop(struct name_index *index, const char *term);

void name_index_clear(struct name_index *index);

#endif
