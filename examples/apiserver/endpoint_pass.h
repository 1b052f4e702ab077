/*
 * endpoint_pass.h: the parts of the endpoints' keeper, which share one struct and one thread.
 *
 * endpoint_index.c notes what each change of an object makes due, endpoint_settle.c brings the
 * slices of what is due to what they should be, endpoint_clock.c ends what ends by the clock,
 * endpoint_balancer.c gives addresses to Services that wait for one, and endpoint_keeper.c has the
 * thread that calls them.
 */
#ifndef APISERVER_ENDPOINT_PASS_H
#define APISERVER_ENDPOINT_PASS_H

#include "client.h"
#include "endpoint_due.h"
#include "name_index.h"

#include <pthread.h>
#include <time.h>

#define WRITE_TIMEOUT_MS 10000

struct endpoint_keeper {
    pthread_t thread;
    int stop; /* an eventfd */
    char *url;
    struct client *client;
    struct collection *services, *pods, *slices, *endpoints, *events;
    struct name_index selecting; /* "NAMESPACE/LABEL=VALUE": Services that were noted under it */
    struct string_map noted;     /* Service: the term that it is noted under */
    struct name_index labelled;  /* "NAMESPACE/LABEL=VALUE": Pods with that label */
    struct name_index sliced;    /* Service: its slices that are ours */
    struct string_map ending;    /* Pods that are to end */
    struct string_map waiting; /* Services that wait for a load-balancer address: was that told? */
    struct due_list due;
    uint64_t pause_until; /* the server answers nothing now; of monotonic_ms */
    bool in_trouble;      /* and that was said */
    time_t next_end;      /* of a Pod; 0: none ends */
    time_t next_sweep;    /* for old Events */
    time_t next_try;      /* for those that wait; 0: at once */
};

/* --- endpoint_index.c --- */

/* Follow all kinds that say what is due. */
void endpoint_follow(struct endpoint_keeper *keeper);

/* The Pods that the Service selects, an array that the caller frees. */
struct json_object **endpoint_find_pods(struct endpoint_keeper *keeper, struct json_object *service,
                                        size_t *count);

void endpoint_forget_all(struct endpoint_keeper *keeper);

/* --- endpoint_settle.c --- */

enum written {
    WRITE_DONE,       /* or overtaken: whoever was quicker makes it due again */
    WRITE_REFUSED,    /* another time it may not be */
    WRITE_UNANSWERED, /* nothing can be written now */
};

/* One request. Says on stderr what went wrong, once: `refusals` is how often it was refused before.
 */
enum written endpoint_write(struct endpoint_keeper *keeper, const char *method, const char *path,
                            struct json_object *object, unsigned refusals);

/* Settle what is due, for a short time. Returns milliseconds until more is to do; -1: nothing is.
 */
int endpoint_settle(struct endpoint_keeper *keeper);

/* --- endpoint_clock.c --- */

/* Note when the Pod ends, if it is to (`pod` NULL: it is gone). */
void endpoint_note_end(struct endpoint_keeper *keeper, const char *name, struct json_object *pod);

/* End the Pods whose time is over and remove old Events. Returns milliseconds until more is to do;
 * -1: nothing is. */
int endpoint_end_due(struct endpoint_keeper *keeper);

/* --- endpoint_balancer.c --- */

/* Note a Service that waits for a load-balancer address, and one that gave such an address back. */
void endpoint_note_balancer(struct endpoint_keeper *keeper, const char *name,
                            struct json_object *old, struct json_object *new);

/* Let those that wait try again, if one may have become free. Returns as endpoint_settle. */
int endpoint_give_waiting(struct endpoint_keeper *keeper);

#endif
