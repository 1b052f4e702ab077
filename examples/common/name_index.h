/* name_index.h: from a term ("default/app=web") to the names that were noted under it. */
#ifndef COMMON_NAME_INDEX_H
#define COMMON_NAME_INDEX_H

#include "string_map.h"

struct name_list {
    char **names;
    size_t count, capacity;
};

/* All zero is empty. */
struct name_index {
    struct string_map lists; /* of struct name_list */
};

void name_index_add(struct name_index *index, const char *term, const char *name);
void name_index_remove(struct name_index *index, const char *term, const char *name);
void name_index_drop(struct name_index *index, const char *term);

/* NULL: nothing is noted under it. Valid until the next change. */
const struct name_list *name_index_find(const struct name_index *index, const char *term);

void name_index_clear(struct name_index *index);

#endif
