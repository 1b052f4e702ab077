/*
 * hub_state.h: the objects of one kind as they are or were, out of the hub's memory.
 *
 * A past state is the present one with the changes since then taken back, so it goes back as far as
 * the ring of events does. Cost: a walk over the kind's objects and the ring, under the hub's lock;
 * no text is copied.
 */
#ifndef APISERVER_HUB_STATE_H
#define APISERVER_HUB_STATE_H

#include "hub.h"

struct hub_state {
    struct shared_text **texts; /* held, in the order of their keys */
    size_t count;
    uint64_t revision;
};

enum hub_answer { HUB_STATE, HUB_TOO_OLD, HUB_TOO_NEW };

/* The state at `revision` (0: the present one) of the objects in `namespace` ("": all) behind
 * `start` ("NAMESPACE/NAME" or "NAME"; "": from the first on). state->revision is set in any case:
 * that of the state, the oldest there is, or the newest. */
enum hub_answer hub_state_take(struct hub *hub, const struct resource *resource,
                               const char *namespace, uint64_t revision, const char *start,
                               struct hub_state *state);
void hub_state_drop(struct hub *hub, struct hub_state *state);

#endif
