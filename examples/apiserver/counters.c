/* counters.c: what the server counts of itself; each call holds a lock for a moment. */
#include "server.h"

void counters_request(struct server *server, unsigned method, int code) {
    struct counters *counters = &server->counters;
    unsigned digit = code >= 100 && code < 600 ? (unsigned)code / 100 : 0;
    pthread_mutex_lock(&counters->lock);
    counters->requests[method < 6 ? method : 5][digit]++;
    pthread_mutex_unlock(&counters->lock);
}

void counters_connection(struct server *server, int change) {
    pthread_mutex_lock(&server->counters.lock);
    server->counters.connections_now += change;
    pthread_mutex_unlock(&server->counters.lock);
}

void counters_watch(struct server *server, int change) {
    pthread_mutex_lock(&server->counters.lock);
    server->counters.watches_now += change;
    pthread_mutex_unlock(&server->counters.lock);
}
