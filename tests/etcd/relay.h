/*
 * relay.h: a TCP relay in front of an etcd member, that keeps what it should pass on.
 *
 * What a client has sent can be held back, and delivered after the client has given up and gone: so
 * a request arrives as late as a test wants. One thread; everything may be called from any other.
 */
#ifndef IPALLOC_TEST_ETCD_RELAY_H
#define IPALLOC_TEST_ETCD_RELAY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct relay relay;

relay *relay_start(const char *member_host); /* "127.0.0.1:21001" */
void relay_stop(relay *r);
const char *relay_host(const relay *r); /* "127.0.0.1:21007" */

/* From now on, what clients send stays here; and what the member answers is lost. */
void relay_hold_requests(relay *r);
void relay_lose_answers(relay *r);
/* How many bytes are held. */
size_t relay_held(relay *r);
/* Cut all clients off. What is held stays, and their connections to the member; new ones pass. */
void relay_forget_clients(relay *r);
/* Send the member what was held, as if it had been long on its way. */
void relay_deliver(relay *r);

#endif
