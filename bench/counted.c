/*
 * counted.c: see counted.h.
 */
#include "counted.h"

#include <stdio.h>
#include <string.h>

/* Its name is what callgrind is told, so it must stay a function of its own. */
__attribute__((noinline)) void counted_pairs(void *state, uint64_t count) {
    const pairs *p = state;
    p->way->run(state, 0, count);
    __asm__ volatile(""); /* no tail call */
}

static bool count_scenario(const scenario *s, const subject *one, uint64_t count) {
    void *state = one->open(one->work != NULL ? one->work : &s->work);
    if (state == NULL) {
        fprintf(stderr, "ipalloc-bench: %s: %s could not be set up\n", s->name, one->name);
        return false;
    }
    counted_pairs(state, count);
    one->close(state);
    return true;
}

bool count_pairs(const plan *p, const char *subject_name, uint64_t count) {
    bool counted = false;
    for (uint32_t i = 0; i < p->count; i++) {
        const scenario *s = &p->scenarios[i];
        for (size_t j = 0; j < s->subject_count; j++) {
            const subject *one = &s->subjects[j];
            if (strcmp(one->name, subject_name) != 0 || one->measure != pairs_measure)
                continue;
            if (!count_scenario(s, one, count))
                return false;
            counted = true;
        }
    }
    if (!counted)
        fprintf(stderr, "ipalloc-bench: no pairs of '%s' there\n", subject_name);
    return counted;
}
