/*
 * kept_back.c: nothing, generations or queue, decided once per call.
 */
#include "core/kept_back.h"

#include <assert.h>

bool kept_back_create(kept_back *k, const hooks *h, const cooldown_options *options) {
    *k = (kept_back){.in_line = options->keep_rested};
    if (options->rest_ms == 0 && !options->keep_rested)
        return true;
    if (options->laid_out && !options->keep_rested)
        k->generations = generations_create(h, (uint64_t)options->size, (uint64_t)options->split,
                                            options->rest_ms);
    else
        k->queue = cooldown_create(h, options);
    return kept_back_in_use(k);
}

void kept_back_destroy(kept_back *k) {
    generations_destroy(k->generations);
    cooldown_destroy(k->queue);
}

static uint64_t settle_generations(generations *g, numbers *n) {
    uint64_t word, bits, freed = 0;
    generations_look(g);
    while (generations_take_rested(g, &word, &bits)) {
        bitmap_release_word(n->dense, word, bits); /* generations are for dense ranges alone */
        freed += (unsigned)__builtin_popcountll(bits);
    }
    return freed;
}

static uint64_t settle_queue(cooldown *queue, bool in_line, numbers *n) {
    uint64_t now = cooldown_now(queue), freed = 0;
    u128 number;
    for (; cooldown_due(queue, now, &number); freed++) {
        if (in_line) {
            cooldown_promote(queue, number);
        } else {
            cooldown_remove(queue, number);
            numbers_release(n, number);
        }
    }
    return freed;
}

uint64_t kept_back_settle(kept_back *k, numbers *n) {
    if (k->generations != NULL)
        return settle_generations(k->generations, n);
    return k->queue != NULL ? settle_queue(k->queue, k->in_line, n) : 0;
}

int kept_back_put(kept_back *k, u128 number, uint64_t released_at_wall_ms) {
    assert(kept_back_in_use(k));
    if (k->queue != NULL)
        return cooldown_put(k->queue, number, released_at_wall_ms);
    generations_put(k->generations, (uint64_t)number, released_at_wall_ms);
    return IPALLOC_OK;
}

bool kept_back_remove(kept_back *k, u128 number) {
    if (k->generations != NULL)
        return generations_remove(k->generations, (uint64_t)number);
    return k->queue != NULL && cooldown_remove(k->queue, number);
}

bool kept_back_oldest_resting(const kept_back *k, u128 *number) {
    uint64_t found;
    if (k->queue != NULL)
        return cooldown_oldest_resting(k->queue, number);
    if (k->generations == NULL || !generations_oldest(k->generations, &found))
        return false;
    *number = found;
    return true;
}

bool kept_back_oldest_in_line(const kept_back *k, int side, number_skip skip, u128 *number) {
    return k->queue != NULL &&
           cooldown_oldest_rested(k->queue, side, skip.skip, skip.context, number);
}

uint64_t kept_back_count(const kept_back *k, int side, enum cooldown_state state) {
    if (k->generations != NULL)
        return state == COOLDOWN_RESTING ? generations_count(k->generations, side) : 0;
    return k->queue != NULL ? cooldown_count(k->queue, side, state) : 0;
}

uint64_t kept_back_word(const kept_back *k, uint64_t word) {
    if (k->generations != NULL)
        return generations_word(k->generations, word);
    return k->queue != NULL ? cooldown_word(k->queue, word) : 0;
}

bool kept_back_next(const kept_back *k, uint64_t *cursor, u128 *number) {
    if (k->generations != NULL) {
        uint64_t found;
        if (!generations_next(k->generations, *cursor, &found))
            return false;
        *number = found;
        *cursor = found + 1;
        return true;
    }
    if (k->queue == NULL || *cursor == cooldown_total(k->queue))
        return false;
    *number = cooldown_at(k->queue, (*cursor)++);
    return true;
}

bool kept_back_validate(const kept_back *k) {
    if (k->generations != NULL)
        return generations_validate(k->generations);
    return k->queue == NULL || cooldown_validate(k->queue);
}
