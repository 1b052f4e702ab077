/*
 * batch.h: building one atomic batch: its operations and the bytes they point to.
 */
#ifndef IPALLOC_REGISTRY_BATCH_H
#define IPALLOC_REGISTRY_BATCH_H

#include "base/text.h"
#include <ipalloc/store.h>

typedef struct batch_span { /* where a key or value lies in the bytes */
    size_t at, size;
} batch_span;

typedef struct batch_builder {
    const hooks *hooks;
    text_buffer bytes;
    ipalloc_op *ops;
    batch_span *keys, *values;
    size_t count, capacity;
} batch_builder;

/* Room for `capacity` operations. OK; NOMEM. */
int batch_init(batch_builder *b, const hooks *h, size_t capacity);
void batch_free(batch_builder *b); /* fine on a zeroed one */

/* Add an operation. At revision 0 the condition is that the key is absent. For a PUT, append the
 * value to b->bytes right after this, then call batch_end_value; or give the bytes, which must stay
 * until the commit. */
enum batch_when { WHEN_ANY, WHEN_AT };
void batch_check(batch_builder *b, ipalloc_bytes key, uint64_t revision);
void batch_delete(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision);
void batch_put(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision);
void batch_end_value(batch_builder *b);
void batch_put_bytes(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision,
                     ipalloc_bytes value);

/* Make the pointers good. false: out of memory on the way. */
bool batch_finish(batch_builder *b);

#endif
