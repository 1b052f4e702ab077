/*
 * pool_text.h: a pool's stored definition, as lines.
 *
 * The record pool/NAME/ is name=value lines that ARCHITECTURE.md and an operator's eyes know; an
 * export carries them as they are, and an import makes a definition of them again.
 */
#ifndef ADMIN_POOL_TEXT_H
#define ADMIN_POOL_TEXT_H

#include "admin_work.h"

struct pool_text {
    ipalloc_pool_definition definition; /* its ranges are in `ranges` */
    size_t range_count;
    ipalloc_cidr ranges[IPALLOC_POOL_RANGES_MAX];
    bool draining[IPALLOC_POOL_RANGES_MAX];
    size_t cut_count; /* ranges that drain after a cut, and are not among those above */
    size_t exclusion_count;
    ipalloc_addr (*exclusions)[2]; /* first and last */
};

/* The lines of a stored pool, as an array of texts (the caller puts it); NULL with `error`. */
struct json_object *pool_text_of(struct admin *admin, const char *name, ipalloc_error *error);

/* Understand such lines. OK; INVALID (names the line). The caller frees it, also then. */
int pool_text_read(struct json_object *lines, struct pool_text *out, ipalloc_error *error);
void pool_text_free(struct pool_text *text);

/* Do the two say the same, draining and exclusions apart? */
bool pool_text_agrees(const struct pool_text *a, const struct pool_text *b);

#endif
