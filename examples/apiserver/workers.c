/*
 * workers.c: the threads that answer requests. As many may wait for the disk as there are workers;
 * the store makes one durable write of what waits together.
 */
#include "body.h"
#include "exchange.h"
#include "router.h"

static struct exchange *take_exchange(struct http *http) {
    pthread_mutex_lock(&http->lock);
    while (http->first == NULL && !http->stopping) {
        pthread_cond_wait(&http->work, &http->lock);
    }
    struct exchange *exchange = http->first;
    if (exchange != NULL) {
        http->first = exchange->next;
        http->last = http->first == NULL ? NULL : http->last;
    }
    pthread_mutex_unlock(&http->lock);
    return exchange;
}

static void *work(void *context) {
    struct http *http = context;
    struct exchange *exchange;
    while ((exchange = take_exchange(http)) != NULL) {
        router_answer(http->server, &exchange->request, &exchange->reply);
        reply_as_wanted(&exchange->request, &exchange->reply);
        MHD_resume_connection(exchange->request.connection);
    }
    return NULL;
}

bool workers_start(struct http *http) {
    while (http->worker_count < HTTP_WORKERS) {
        if (pthread_create(&http->workers[http->worker_count], NULL, work, http) != 0) {
            return false;
        }
        http->worker_count++;
    }
    return true;
}

bool workers_hand_over(struct exchange *exchange) {
    struct http *http = exchange->http;
    exchange->request.arrived_ms = monotonic_ms();
    pthread_mutex_lock(&http->lock);
    bool open = !http->stopping;
    if (open) {
        /* Suspended before a worker can see it, so that its resume cannot come first. */
        MHD_suspend_connection(exchange->request.connection);
        exchange->next = NULL;
        if (http->last != NULL) {
            http->last->next = exchange;
        } else {
            http->first = exchange;
        }
        http->last = exchange;
        pthread_cond_signal(&http->work);
    }
    pthread_mutex_unlock(&http->lock);
    return open;
}

void workers_stop(struct http *http) {
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    pthread_cond_broadcast(&http->work);
    pthread_mutex_unlock(&http->lock);
    for (unsigned i = 0; i < http->worker_count; i++) {
        pthread_join(http->workers[i], NULL);
    }
    http->worker_count = 0;
}
