/*
 * wrapped_store.h: a store of the program's own around another one, that can lose, delay or refuse
 * what it is told: for unknown outcomes, for failing stores, and for two servers on one store.
 */
#ifndef IPALLOC_TEST_REGISTRY_WRAPPED_STORE_H
#define IPALLOC_TEST_REGISTRY_WRAPPED_STORE_H

#include "support.h"

enum wrapped_mood {
    MOOD_HONEST,
    MOOD_UNKNOWN_APPLIED, /* apply it and say UNKNOWN_OUTCOME */
    MOOD_UNKNOWN_LOST,    /* drop it and say UNKNOWN_OUTCOME */
    MOOD_UNKNOWN_LATE,    /* keep it for wrapped_deliver and say UNKNOWN_OUTCOME */
    MOOD_IO,              /* say IO, and nothing happens */
    MOOD_DOWN             /* the whole call is UNAVAILABLE */
};

enum { WRAPPED_TICKETS_MAX = 64 };

typedef struct wrapped_store {
    ipalloc_store *inner;
    ipalloc_store *handle; /* what registries are opened on */
    bool tickets;          /* unknown outcomes have one; else reading shows them */
    bool read_only;
    bool restored;
    enum wrapped_mood mood;   /* of the next commits */
    _Atomic int mood_commits; /* for how many; then honest again */
    bool reads_fail;
    bool settle_fails;
    bool history_expired;                 /* changes answers EXPIRED */
    void (*before_commit)(void *context); /* called once, before the next commit,
                                             whose mood is settled by then */
    void *before_context;
    void (*before_scan)(void *context);    /* called once, before the next scan of leases */
    void (*before_changes)(void *context); /* called once, before changes are read next */
    void (*before_settle)(void *context);  /* called once, before the next settle */
    void (*before_get)(void *context);     /* called once, before the next get but `gets_left` */
    int gets_left;
    _Atomic uint64_t timeout_ms; /* of the last batch */
    ipalloc_batch late;
    struct wrapped_outcome {
        bool happened;
        uint64_t revision;
    } outcomes[WRAPPED_TICKETS_MAX]; /* by ticket; 0 is none */
    uint64_t last_ticket, late_ticket;
    bool late_settled; /* it may no longer happen */
    int settled;       /* how often settle answered */
} wrapped_store;

/* Make the handle over `inner`, which the test closes after the handle. */
void wrapped_open(wrapped_store *w, ipalloc_store *inner);
/* Be so for the next `commits` commits. */
void wrapped_set_mood(wrapped_store *w, enum wrapped_mood mood, int commits);
/* The late batch arrives now; returns its status: CONFLICT where it was settled before. */
int wrapped_deliver(wrapped_store *w);
void wrapped_close(wrapped_store *w);

#endif
