/*
 * service_cidr_keeper.c: when passes over the ServiceCIDRs are due, where several servers share one
 * store; see service_cidrs.h.
 *
 * A server makes the pass that follows from its own clients' writes, and the others learn of it:
 * pools come through the registry, objects through the hub. Only where a server has died before its
 * pass, another has to make it: so each looks after every change, some seconds later, and not all
 * at the same time. A pass that finds everything done writes nothing.
 */
#include "hub_state.h"
#include "record.h"
#include "service_cidr_pass.h"

#include <stdlib.h>

#define LATER_LEAST_S  4
#define LATER_SPREAD_S 8

static time_t later(void) {
    char uid[UID_TEXT];
    uid_make(uid); /* random */
    return monotonic_seconds() + LATER_LEAST_S +
           (time_t)(strtoul(uid + 24, NULL, 16) % LATER_SPREAD_S);
}

/* --- what the hub tells ----------------------------------------------------------------------- */

static void add_families(const struct shared_text *text, bool wanted[2]) {
    struct text ignored = {0};
    ipalloc_cidr cidrs[SERVICE_CIDR_CIDRS_MAX];
    struct json_object *object = json_parse(text->data, text->size, &ignored);
    size_t count = object != NULL ? service_cidr_read(object, cidrs) : 0;
    for (size_t i = 0; i < count; i++) {
        wanted[family_index(cidrs[i].base.family)] = true;
    }
    json_object_put(object);
    text_clear(&ignored);
}

void service_cidrs_changed(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    struct hub_state objects;
    bool wanted[2] = {false, false};
    if (!server->shared) {
        return; /* whoever wrote has made the pass */
    }
    hub_state_take(server->hub, &resource_service_cidrs, "", 0, "", &objects);
    for (size_t i = 0; i < objects.count; i++) {
        add_families(objects.texts[i], wanted);
    }
    hub_state_drop(server->hub, &objects);
    service_cidr_publish(server, wanted);
    pthread_mutex_lock(&state->lock);
    state->due = state->due != 0 ? state->due : later();
    pthread_mutex_unlock(&state->lock);
}

void service_cidrs_note_release(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    pthread_mutex_lock(&state->lock);
    if (state->keeping && state->held > 0) {
        state->released = state->woken = true;
        pthread_cond_signal(&state->wake);
    }
    pthread_mutex_unlock(&state->lock);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* A second, or until something has been released here. False: it is over. */
static bool wait_a_while(struct cidr_state *state) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&state->lock);
    int waited = 0;
    while (!state->stopping && !state->woken && waited == 0) {
        waited = pthread_cond_timedwait(&state->wake, &state->lock, &until);
    }
    state->woken = false;
    bool go_on = !state->stopping;
    pthread_mutex_unlock(&state->lock);
    return go_on;
}

/* Is a pass due? At once after a release by this server of what drains; what others have released
 * they look after themselves, and later everybody does. */
static bool take_turn(struct cidr_state *state, uint64_t held) {
    time_t now = monotonic_seconds();
    pthread_mutex_lock(&state->lock);
    bool changed = held != state->held;
    bool rested = now > state->settled;
    if ((changed || state->failed) && state->due == 0) {
        state->due = later();
    }
    state->released = state->released && changed;
    bool mine = state->released && (held < SERVICE_CIDR_HELD_MANY || rested);
    bool turn = mine || (state->due != 0 && now >= state->due);
    if (turn) {
        state->released = false;
        state->due = 0;
    }
    pthread_mutex_unlock(&state->lock);
    return turn;
}

static void *keep(void *context) {
    struct server *server = context;
    while (wait_a_while(&server->cidrs)) {
        if (take_turn(&server->cidrs, service_cidr_held(server))) {
            service_cidrs_settle(server);
        }
    }
    return NULL;
}

bool service_cidrs_keeper_start(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    if (!server->shared) {
        return true; /* the hub's thread does it */
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&state->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    state->keeping = pthread_create(&state->keeper, NULL, keep, server) == 0;
    if (!state->keeping) {
        pthread_cond_destroy(&state->wake);
    }
    return state->keeping;
}

void service_cidrs_keeper_stop(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    if (!state->keeping) {
        return;
    }
    pthread_mutex_lock(&state->lock);
    state->stopping = true;
    pthread_cond_signal(&state->wake);
    pthread_mutex_unlock(&state->lock);
    pthread_join(state->keeper, NULL);
    pthread_cond_destroy(&state->wake);
    state->keeping = false;
}
