/*
 * store_gate.h: what requests are told while a store over a network does not answer.
 *
 * A call to such a store ends after the store's timeout, and a worker waits for it. Were every
 * request to find out for itself, those behind them in the queue would wait many times as long. So
 * the first that is told "unavailable" closes the gate: what came before that is told the same at
 * once, and of what comes later one request at a time goes on to try. An answer opens the gate.
 */
#ifndef APISERVER_STORE_GATE_H
#define APISERVER_STORE_GATE_H

#include "text.h"

#include <pthread.h>
#include <stdint.h>

struct store_gate {
    pthread_mutex_t lock; /* guards what follows */
    bool closed, trying;
    uint64_t closed_ms;
    char why[512]; /* the last failure */
};

enum store_answer {
    STORE_NOT_ASKED, /* or nobody can tell */
    STORE_ANSWERED,
    STORE_SILENT,
};

uint64_t monotonic_ms(void);

void store_gate_init(struct store_gate *gate);
void store_gate_destroy(struct store_gate *gate);

/* May a request that arrived then ask the store? If so *tries goes to store_gate_leave; if not,
 * `why` says why. */
bool store_gate_enter(struct store_gate *gate, uint64_t arrived_ms, bool *tries, struct text *why);
void store_gate_leave(struct store_gate *gate, bool tries, enum store_answer answer,
                      const char *why);

#endif
