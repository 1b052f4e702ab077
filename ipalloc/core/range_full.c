/*
 * range_full.c: one proof of FULL over several ranges.
 *
 * May use: range_internal.h. Each range is proved full by itself, at an instant of its own; a
 * number may have been freed in an earlier range since, and another claimed in a later one before
 * its turn came. So all stamps are compared once more: none that has moved means that each range
 * stayed full from its proof to that comparison, and all were full at once when the first of them
 * was compared. Cost: where nothing has changed since the last proof, three loads a range.
 */
#include "core/range_internal.h"

#include <assert.h>

bool range_all_still_full(ipalloc_range *const *ranges, size_t count, const uint64_t *stamps) {
    for (size_t i = 0; i < count; i++) {
        if (!range_still_full(ranges[i], stamps[i]))
            return false;
    }
    return true;
}

int range_prove_all_stamped(ipalloc_range *const *ranges, size_t count, uint64_t *stamps) {
    assert(count <= RANGE_PROOF_MAX);
    for (size_t i = 0; i < count; i++) {
        if (range_prove_full(ranges[i], &stamps[i]) != IPALLOC_E_FULL)
            return IPALLOC_OK;
    }
    return range_all_still_full(ranges, count, stamps) ? IPALLOC_E_FULL : IPALLOC_OK;
}

int range_prove_all_full(ipalloc_range *const *ranges, size_t count) {
    uint64_t stamps[RANGE_PROOF_MAX];
    return range_prove_all_stamped(ranges, count, stamps);
}
