/*
 * numbers.h: the numbers of a range, dense or sparse behind one face.
 *
 * May use: core/bitmap.h, core/sparse.h. Costs are theirs. "Taken" is everything that is not free,
 * except that a sparse set does not store what is excluded: the caller asks the exclusions for
 * that. Bands are the two sides of `split`.
 * Thread-safety: the range calls these under its lock; what it does without it goes to the bitmap.
 */
#ifndef IPALLOC_CORE_NUMBERS_H
#define IPALLOC_CORE_NUMBERS_H

#include "core/sparse.h"

typedef struct numbers { /* exactly one of the two is set */
    bitmap *dense;
    sparse *sparse;
} numbers;

typedef struct number_skip { /* numbers that a search passes over; NULL: none */
    bool (*skip)(void *context, u128 number);
    void *context;
} number_skip;

/* OK; TAKEN; NOMEM (sparse; nothing changed). The number must not be excluded if sparse. */
int numbers_take(numbers *n, u128 number);
/* false: it was not taken. */
bool numbers_release(numbers *n, u128 number);
bool numbers_is_taken(const numbers *n, u128 number);

/* A free number of [begin, end), a band; false: there is none. */
bool numbers_find_any(numbers *n, hooks *h, enum bitmap_choice choice, u128 begin, u128 end,
                      number_skip skip, u128 *number);

u128 numbers_count_free(const numbers *n, u128 begin, u128 end);

/* The smallest taken number of [from, end); false if there is none. */
bool numbers_next_taken(const numbers *n, u128 from, u128 end, u128 *number);

bool numbers_validate(const numbers *n);

#endif
