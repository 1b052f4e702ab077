/*
 * token.h: how an unknown outcome is settled.
 *
 * Where the store says that a batch may still take effect after UNKNOWN_OUTCOME (late_ms_max > 0),
 * every batch creates a key of its own, token/<random>/, on condition that it is absent. Who writes
 * that key first decides: the batch itself, or an abort that creates it as "aborted". A decided
 * token is deleted once no late batch can meet it: by later commits of this process, or when the
 * registry is opened again.
 */
#ifndef IPALLOC_REGISTRY_TOKEN_H
#define IPALLOC_REGISTRY_TOKEN_H

#include "registry/registry.h"

enum token_state { TOKEN_ABSENT, TOKEN_COMMITTED, TOKEN_ABORTED };

/* Is a token needed in this store? */
bool tokens_are_used(const ipalloc_registry *registry);

/* A new one; NULL when out of memory. */
spent_token *token_new(ipalloc_registry *registry);

/* Read what the store says of it, and since which revision. OK; CORRUPT; IO; UNAVAILABLE; NOMEM. */
int token_read(ipalloc_registry *registry, const spent_token *token, enum token_state *out,
               uint64_t *revision, ipalloc_error *error);

/* Write it as aborted unless it was decided; then tell how. OK; UNKNOWN_OUTCOME and others. */
int token_settle(ipalloc_registry *registry, const spent_token *token, enum token_state *out,
                 uint64_t *revision, ipalloc_error *error);

/* Hand over a decided token, to be deleted later. */
void token_spend(ipalloc_registry *registry, spent_token *token);

/* Take one that may be deleted now; NULL if there is none. Give it back where that failed. */
spent_token *token_take_old(ipalloc_registry *registry);
void token_give_back(ipalloc_registry *registry, spent_token *token);

/* At open: delete what is old enough. */
int tokens_sweep(ipalloc_registry *registry, ipalloc_error *error);

/* At close: forget the queue, and the transactions that nobody could settle. */
void tokens_free(ipalloc_registry *registry);

#endif
