/* store_gate.c: see store_gate.h. */
#include "store_gate.h"

#include <stdio.h>
#include <time.h>

uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void store_gate_init(struct store_gate *gate) {
    *gate = (struct store_gate){0};
    pthread_mutex_init(&gate->lock, NULL);
}

void store_gate_destroy(struct store_gate *gate) {
    pthread_mutex_destroy(&gate->lock);
}

bool store_gate_enter(struct store_gate *gate, uint64_t arrived_ms, bool *tries, struct text *why) {
    pthread_mutex_lock(&gate->lock);
    *tries = gate->closed && !gate->trying && arrived_ms >= gate->closed_ms;
    bool open = !gate->closed || *tries;
    if (*tries) {
        gate->trying = true;
    }
    if (!open) {
        text_add(why, gate->why);
    }
    pthread_mutex_unlock(&gate->lock);
    return open;
}

void store_gate_leave(struct store_gate *gate, bool tries, enum store_answer answer,
                      const char *why) {
    pthread_mutex_lock(&gate->lock);
    if (tries) {
        gate->trying = false;
    }
    if (answer == STORE_SILENT) {
        gate->closed = true;
        gate->closed_ms = monotonic_ms();
        snprintf(gate->why, sizeof gate->why, "%s", why);
    } else if (answer == STORE_ANSWERED) {
        gate->closed = false;
    }
    pthread_mutex_unlock(&gate->lock);
}
