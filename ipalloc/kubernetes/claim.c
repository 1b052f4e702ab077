/*
 * claim.c: one claim or release in the caller's transaction, and a refused one in words.
 *
 * A refused claim (taken, outside the range, full) is an answer to the user and becomes a problem;
 * anything else (a conflict, a store that cannot be reached) is the transaction's own failure and
 * is handed up as it is. Releases are guarded by the owner: an address that is not this Service's
 * any more is left alone, never freed under its new holder.
 */
#include "kubernetes/service_work.h"

#include "registry/holder.h"

#include <stdio.h>
#include <string.h>

bool claim_is_refused(int status) {
    return status == IPALLOC_E_TAKEN || status == IPALLOC_E_NOT_IN_RANGE ||
           status == IPALLOC_E_FULL;
}

/* The addresses of a Service and what comes and goes with its type, beside its node ports. */
#define OTHER_CHANGES 10

/* An update may give up all node ports and ask for as many others. */
static bool may_be_too_many(const service_work *work) {
    return work->before.port_count + work->after.port_count + OTHER_CHANGES >
           IPALLOC_TXN_ADDRESSES_MAX;
}

/* An error record is written only where the whole call fails. */
static int keep_error(service_work *work, int status, const ipalloc_error *error) {
    if (status == IPALLOC_E_INVALID && may_be_too_many(work))
        return problem_too_many_changes(work);
    if (status != IPALLOC_OK && work->error != NULL)
        *work->error = *error;
    return status;
}

/* Not held, held by somebody else, or outside the pool by now: nothing of this Service's. */
static int released(service_work *work, int status, const ipalloc_error *error) {
    bool nothing = status == IPALLOC_E_NOT_OWNER || status == IPALLOC_E_NOT_IN_RANGE ||
                   status == IPALLOC_E_NOT_FOUND;
    return nothing ? IPALLOC_OK : keep_error(work, status, error);
}

int claim_address(service_work *work, ipalloc_pool *pool, const char *slot,
                  const ipalloc_addr *address, ipalloc_addr *out) {
    ipalloc_error error;
    ipalloc_grant grant = {.size = sizeof grant};
    int status = address != NULL
                     ? ipalloc_txn_reserve(work->txn, pool, slot, address, &grant, &error)
                     : ipalloc_txn_allocate(work->txn, pool, slot, &grant, &error);
    if (status == IPALLOC_OK)
        *out = grant.address;
    return keep_error(work, status, &error);
}

int release_address(service_work *work, ipalloc_pool *pool, const char *text) {
    ipalloc_error error;
    ipalloc_addr address;
    if (pool == NULL || ipalloc_addr_parse(text, strlen(text), &address, NULL) != IPALLOC_OK)
        return IPALLOC_OK;
    return released(work, ipalloc_txn_release(work->txn, pool, &address, 0, &error), &error);
}

int release_slot(service_work *work, ipalloc_pool *pool, const char *slot) {
    ipalloc_error error;
    return released(work, ipalloc_txn_release_slot(work->txn, pool, slot, &error), &error);
}

int find_slot(service_work *work, ipalloc_pool *pool, const char *slot, ipalloc_addr *out) {
    ipalloc_error error;
    ipalloc_grant grant = {.size = sizeof grant};
    int status = ipalloc_txn_find_slot(work->txn, pool, slot, &grant, &error);
    *out = status == IPALLOC_OK ? grant.address : (ipalloc_addr){.family = 0};
    return status == IPALLOC_E_NOT_FOUND ? IPALLOC_OK : keep_error(work, status, &error);
}

int claim_port(service_work *work, const char *slot, int32_t number, int32_t *out) {
    ipalloc_error error;
    ipalloc_grant grant = {.size = sizeof grant};
    ipalloc_pool *pool = work->pools.node_ports;
    if (number < 0 || number > UINT16_MAX)
        return IPALLOC_E_NOT_IN_RANGE;
    int status = number != 0 ? ipalloc_txn_reserve_port(work->txn, pool, slot, (uint16_t)number,
                                                        &grant, &error)
                             : ipalloc_txn_allocate_port(work->txn, pool, slot, &grant, &error);
    if (status == IPALLOC_OK)
        *out = grant.port;
    return keep_error(work, status, &error);
}

int release_port(service_work *work, int32_t number) {
    ipalloc_error error;
    ipalloc_pool *pool = work->pools.node_ports;
    if (pool == NULL || number <= 0 || number > UINT16_MAX)
        return IPALLOC_OK;
    return released(work, ipalloc_txn_release_port(work->txn, pool, (uint16_t)number, 0, &error),
                    &error);
}

int rename_slot(service_work *work, ipalloc_pool *pool, const char *from, const char *to) {
    ipalloc_error error;
    return released(work, ipalloc_txn_rename_slot(work->txn, pool, from, to, &error), &error);
}

/* --- a refusal in words ----------------------------------------------------------------------- */

/* "10.96.0.0/24, 10.98.0.0/24": the ranges that give anything out. */
static void list_ranges(ipalloc_pool *pool, char *out, size_t capacity) {
    size_t used = 0;
    out[0] = '\0';
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        char text[IPALLOC_CIDR_TEXT];
        if (range.draining)
            continue;
        ipalloc_cidr_format(&range.cidr, text);
        int wrote = snprintf(out + used, capacity - used, "%s%s", used > 0 ? ", " : "", text);
        if (wrote < 0 || (size_t)wrote >= capacity - used)
            return;
        used += (size_t)wrote;
    }
}

const char *address_refusal(ipalloc_pool *pool, const char *address, int status,
                            char out[VALUE_TEXT]) {
    char ranges[VALUE_TEXT / 2];
    if (status == IPALLOC_E_TAKEN)
        return "provided IP is already allocated";
    if (status == IPALLOC_E_FULL)
        return "range is full";
    list_ranges(pool, ranges, sizeof ranges);
    snprintf(out, VALUE_TEXT,
             "the provided IP (%s) is not in the valid range. The range of valid IPs is %s",
             address, ranges);
    return out;
}

const char *port_refusal(const service_work *work, int status, char out[VALUE_TEXT]) {
    ipalloc_pool_range range = {.size = sizeof range};
    if (status == IPALLOC_E_TAKEN)
        return "provided port is already allocated";
    if (status == IPALLOC_E_FULL)
        return "range is full";
    ipalloc_pool_get_range(work->pools.node_ports, 0, &range, NULL);
    snprintf(out, VALUE_TEXT,
             "provided port is not in the valid range. The range of valid ports is %u-%u",
             range.stats.port_first, range.stats.port_last);
    return out;
}

/* --- who has it ------------------------------------------------------------------------------- */

const char *address_holder(ipalloc_pool *pool, const ipalloc_addr *address, int status,
                           char out[IPALLOC_OWNER_MAX + 1]) {
    out[0] = '\0';
    place p = place_of_addr(address);
    if (status == IPALLOC_E_TAKEN)
        holder_find(pool, &p, out);
    return out;
}

const char *port_holder(const service_work *work, int32_t number, int status,
                        char out[IPALLOC_OWNER_MAX + 1]) {
    out[0] = '\0';
    place p = place_of_port((uint16_t)number);
    if (status == IPALLOC_E_TAKEN)
        holder_find(work->pools.node_ports, &p, out);
    return out;
}
