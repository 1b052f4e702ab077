/*
 * token.c: token keys: made, read, settled and thrown away (see token.h).
 */
#include "registry/token.h"

#include "registry/txn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool tokens_are_used(const ipalloc_registry *registry) {
    return registry->late_ms_max > 0;
}

spent_token *token_new(ipalloc_registry *registry) {
    spent_token *token = hooks_alloc_zeroed(&registry->hooks, sizeof *token);
    if (token != NULL)
        snprintf(token->key, sizeof token->key, PREFIX_TOKEN "%016" PRIx64 "/",
                 hooks_random(&registry->hooks));
    return token;
}

int token_read(ipalloc_registry *registry, const spent_token *token, enum token_state *out,
               uint64_t *revision, ipalloc_error *error) {
    fetched record;
    bool committed;
    uint64_t time_ms;
    int status = registry_fetch(registry, bytes_of(token->key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND) {
        *out = TOKEN_ABSENT;
        return IPALLOC_OK;
    }
    if (status != IPALLOC_OK)
        return status;
    *revision = record.revision;
    if (token_parse(bytes_of_buffer(&record.value), &committed, &time_ms))
        *out = committed ? TOKEN_COMMITTED : TOKEN_ABORTED;
    else
        status = record_corrupt(error, bytes_of(token->key), "is not a token record");
    text_free(&record.value);
    return status;
}

int token_settle(ipalloc_registry *registry, const spent_token *token, enum token_state *out,
                 uint64_t *revision, ipalloc_error *error) {
    text_buffer value;
    text_init(&value, &registry->hooks);
    token_append(&value, false, hooks_wall_ms(&registry->hooks));
    if (value.failed) {
        text_free(&value);
        return error_no_memory(error);
    }
    ipalloc_op op = {.kind = IPALLOC_OP_PUT,
                     .condition = IPALLOC_IF_ABSENT,
                     .key = bytes_of(token->key),
                     .value = bytes_of_buffer(&value)};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    int status = registry_commit_batch(registry, &batch, error);
    text_free(&value);
    *out = TOKEN_ABORTED;
    *revision = batch.revision;
    if (status != IPALLOC_E_CONFLICT)
        return status;
    status = token_read(registry, token, out, revision, error);
    if (status == IPALLOC_OK && *out == TOKEN_ABSENT)
        return record_corrupt(error, bytes_of(token->key), "was there and is gone");
    return status;
}

static void push(ipalloc_registry *registry, spent_token *token) {
    pthread_mutex_lock(&registry->token_mutex);
    token->next = NULL;
    if (registry->spent_last != NULL)
        registry->spent_last->next = token;
    else
        registry->spent_first = token;
    registry->spent_last = token;
    pthread_mutex_unlock(&registry->token_mutex);
}

void token_spend(ipalloc_registry *registry, spent_token *token) {
    token->spent_at_ms = hooks_monotonic_ms(&registry->hooks);
    push(registry, token);
}

void token_give_back(ipalloc_registry *registry, spent_token *token) {
    push(registry, token);
}

spent_token *token_take_old(ipalloc_registry *registry) {
    uint64_t now = hooks_monotonic_ms(&registry->hooks);
    pthread_mutex_lock(&registry->token_mutex);
    spent_token *token = registry->spent_first;
    if (token != NULL && now - token->spent_at_ms > registry->late_ms_max) {
        registry->spent_first = token->next;
        if (registry->spent_first == NULL)
            registry->spent_last = NULL;
    } else {
        token = NULL;
    }
    pthread_mutex_unlock(&registry->token_mutex);
    return token;
}

/* --- at open ---------------------------------------------------------------------------------- */

typedef struct sweep {
    ipalloc_registry *registry;
    uint64_t now_ms;
    spent_token *old;
    ipalloc_error *error;
} sweep;

static int collect_old(void *context, const ipalloc_entry *entry) {
    sweep *s = context;
    bool committed;
    uint64_t time_ms;
    spent_token *token;
    if (!token_parse(entry->value, &committed, &time_ms) || entry->key.size >= sizeof token->key)
        return record_corrupt(s->error, entry->key, "is not a token record");
    if (s->now_ms < time_ms || s->now_ms - time_ms <= s->registry->late_ms_max)
        return IPALLOC_OK;
    token = hooks_alloc_zeroed(&s->registry->hooks, sizeof *token);
    if (token == NULL)
        return error_no_memory(s->error);
    memcpy(token->key, entry->key.data, entry->key.size);
    token->next = s->old;
    s->old = token;
    return IPALLOC_OK;
}

static int delete_token(ipalloc_registry *registry, const spent_token *token,
                        ipalloc_error *error) {
    ipalloc_op op = {.kind = IPALLOC_OP_DELETE, .key = bytes_of(token->key)};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    return registry_commit_batch(registry, &batch, error);
}

int tokens_sweep(ipalloc_registry *registry, ipalloc_error *error) {
    sweep s = {.registry = registry, .now_ms = hooks_wall_ms(&registry->hooks), .error = error};
    int status = ipalloc_store_scan(registry->store, bytes_of(PREFIX_TOKEN), (ipalloc_bytes){0}, 0,
                                    collect_old, &s, NULL, error);
    while (s.old != NULL) {
        spent_token *token = s.old;
        s.old = token->next;
        if (status == IPALLOC_OK)
            status = delete_token(registry, token, error);
        hooks_free(&registry->hooks, token);
    }
    return status;
}

void tokens_free(ipalloc_registry *registry) {
    while (registry->spent_first != NULL) {
        spent_token *token = registry->spent_first;
        registry->spent_first = token->next;
        hooks_free(&registry->hooks, token);
    }
    registry->spent_last = NULL;
    while (registry->stranded != NULL) {
        ipalloc_txn *txn = registry->stranded;
        registry->stranded = txn->next_stranded;
        txn_free(txn);
    }
}
