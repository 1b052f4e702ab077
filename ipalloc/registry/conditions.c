/*
 * conditions.c: a batch's conditions, judged by reading: for a dry-run, which sends nothing, and
 * for a transaction that only checks, which has nothing to send.
 *
 * A record's revision never comes back. So what is at its revision in two readings was so all the
 * time between them, and a key that is absent there is absent beside all of them at once. Two
 * absent keys prove nothing like that: each may have been there while the other was read.
 */
#include "registry/conditions.h"

#include "store/store.h"

typedef struct seen {
    bool present;
    uint64_t revision;
} seen;

static int note_seen(void *context, const ipalloc_entry *entry) {
    *(seen *)context = (seen){.present = true, .revision = entry->revision};
    return IPALLOC_OK;
}

static int judge_one(ipalloc_registry *registry, const ipalloc_op *op, ipalloc_error *error) {
    seen s = {0};
    int status = ipalloc_store_get(registry->store, op->key, note_seen, &s, error);
    if (status != IPALLOC_OK && status != IPALLOC_E_NOT_FOUND)
        return status;
    return op_condition_holds(op, s.present, s.revision) ? IPALLOC_OK : IPALLOC_E_CONFLICT;
}

/* Those that want a key absent, or all others. */
static int judge_those(ipalloc_registry *registry, const batch_builder *b, bool absent,
                       size_t *failed_op, ipalloc_error *error) {
    for (size_t i = 0; i < b->count; i++) {
        if ((b->ops[i].condition == IPALLOC_IF_ABSENT) != absent)
            continue;
        *failed_op = i;
        int status = judge_one(registry, &b->ops[i], error);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

int conditions_judge(ipalloc_registry *registry, const batch_builder *b, size_t *failed_op,
                     ipalloc_error *error) {
    int status = judge_those(registry, b, false, failed_op, error);
    return status == IPALLOC_OK ? judge_those(registry, b, true, failed_op, error) : status;
}

bool conditions_can_be_proved(const batch_builder *b) {
    size_t absent = 0;
    for (size_t i = 0; i < b->count; i++) {
        absent += b->ops[i].condition == IPALLOC_IF_ABSENT;
        if (b->ops[i].kind != IPALLOC_OP_CHECK || absent > 1)
            return false;
    }
    return true;
}

int conditions_prove(ipalloc_registry *registry, const batch_builder *b, size_t *failed_op,
                     ipalloc_error *error) {
    int status = conditions_judge(registry, b, failed_op, error);
    if (b->count == 1)
        return status; /* it held when it was read */
    return status == IPALLOC_OK ? judge_those(registry, b, false, failed_op, error) : status;
}
