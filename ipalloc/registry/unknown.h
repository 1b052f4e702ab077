/*
 * unknown.h: transactions whose commit's outcome is not known (yet).
 *
 * A store that others write to gives a ticket for a batch that may still take effect: settling it
 * decides how the batch ended, and it can no longer happen if it has not by then. Elsewhere (ticket
 * 0) nothing happens late, and reading what the batch would have written shows it. As long as the
 * outcome is unknown, the transaction's claims stay.
 *
 * Where the store cannot even be asked, and nobody will ask with the transaction in hand any more,
 * the transaction is stranded: the registry keeps it with its claims, and settles it on the way of
 * later calls, once the store answers again.
 */
#ifndef IPALLOC_REGISTRY_UNKNOWN_H
#define IPALLOC_REGISTRY_UNKNOWN_H

#include "registry/txn.h"

/* The first commit got UNKNOWN_OUTCOME and this ticket. What the commit is to answer. */
int unknown_begin(ipalloc_txn *txn, uint64_t ticket, uint64_t *revision, ipalloc_error *error);

/* Commit, called once more: how did it end? What has not happened is sent again. */
int unknown_resolve(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error);

/* End it: confirmed if it has happened, undone if not, stranded where that cannot be told, or not
 * within its deadline. */
void unknown_abort(ipalloc_txn *txn);

/* Keep it for later, without asking. */
void unknown_strand(ipalloc_txn *txn);

/* Settle what was stranded by that owner, who asks again. One round trip each. */
void unknown_settle_owner(ipalloc_registry *registry, const char *owner);

#endif
