/*
 * gate.c: a lock for many together or one alone, that lets the one not starve (see gate.h).
 */
#include "registry/gate.h"

#include <assert.h>

bool gate_init(gate *g) {
    *g = (gate){0};
    if (pthread_mutex_init(&g->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&g->changed, NULL) == 0)
        return true;
    pthread_mutex_destroy(&g->mutex);
    return false;
}

void gate_destroy(gate *g) {
    assert(g->inside == 0 && !g->alone);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
}

void gate_enter(gate *g) {
    pthread_mutex_lock(&g->mutex);
    while (g->alone || g->waiting_alone > 0)
        pthread_cond_wait(&g->changed, &g->mutex);
    g->inside++;
    pthread_mutex_unlock(&g->mutex);
}

void gate_leave(gate *g) {
    pthread_mutex_lock(&g->mutex);
    assert(g->inside > 0);
    if (--g->inside == 0 && g->waiting_alone > 0)
        pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

void gate_enter_alone(gate *g) {
    pthread_mutex_lock(&g->mutex);
    g->waiting_alone++;
    while (g->alone || g->inside > 0)
        pthread_cond_wait(&g->changed, &g->mutex);
    g->waiting_alone--;
    g->alone = true;
    pthread_mutex_unlock(&g->mutex);
}

void gate_leave_alone(gate *g) {
    pthread_mutex_lock(&g->mutex);
    assert(g->alone);
    g->alone = false;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}
