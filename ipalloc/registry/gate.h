/*
 * gate.h: many inside together, or one alone.
 *
 * Transactions' steps and commits pass the gate together; who changes definitions or catches up
 * with the store waits until all are out and is then alone. Who waits to be alone is not overtaken.
 * Never entered twice by one thread. Cost: one uncontended mutex each way.
 */
#ifndef IPALLOC_REGISTRY_GATE_H
#define IPALLOC_REGISTRY_GATE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned inside;        /* how many are in together */
    unsigned waiting_alone; /* how many wait to be alone */
    bool alone;
} gate;

bool gate_init(gate *g);
void gate_destroy(gate *g);

void gate_enter(gate *g);
void gate_leave(gate *g);
void gate_enter_alone(gate *g);
void gate_leave_alone(gate *g);

#endif
