/*
 * numbers.c: dense or sparse, decided once per call.
 */
#include "core/numbers.h"

int numbers_take(numbers *n, u128 number) {
    if (n->sparse != NULL)
        return sparse_take(n->sparse, number);
    return bitmap_take(n->dense, (uint64_t)number) ? IPALLOC_OK : IPALLOC_E_TAKEN;
}

bool numbers_release(numbers *n, u128 number) {
    return n->sparse != NULL ? sparse_release(n->sparse, number)
                             : bitmap_release(n->dense, (uint64_t)number);
}

bool numbers_is_taken(const numbers *n, u128 number) {
    return n->sparse != NULL ? sparse_has(n->sparse, number)
                             : bitmap_is_taken(n->dense, (uint64_t)number);
}

static bool skip_dense(void *context, uint64_t number) {
    const number_skip *skip = context;
    return skip->skip(skip->context, number);
}

bool numbers_find_any(numbers *n, hooks *h, enum bitmap_choice choice, u128 begin, u128 end,
                      number_skip skip, u128 *number) {
    if (begin == end)
        return false;
    if (n->sparse != NULL)
        return sparse_find_any(n->sparse, h, choice, begin, end, skip.skip, skip.context, number);
    uint64_t found;
    if (!bitmap_find_any(n->dense, h, choice, (uint64_t)begin, (uint64_t)end,
                         skip.skip != NULL ? skip_dense : NULL, &skip, &found))
        return false;
    *number = found;
    return true;
}

u128 numbers_count_free(const numbers *n, u128 begin, u128 end) {
    return n->sparse != NULL ? sparse_count_free(n->sparse, begin, end)
                             : bitmap_count_free(n->dense, (uint64_t)begin, (uint64_t)end);
}

bool numbers_next_taken(const numbers *n, u128 from, u128 end, u128 *number) {
    if (from >= end)
        return false;
    if (n->sparse != NULL)
        return sparse_next_taken(n->sparse, from, number) && *number < end;
    uint64_t found;
    if (!bitmap_next_taken(n->dense, (uint64_t)from, (uint64_t)end, &found))
        return false;
    *number = found;
    return true;
}

bool numbers_validate(const numbers *n) {
    return n->sparse != NULL ? sparse_validate(n->sparse) : bitmap_validate(n->dense);
}
