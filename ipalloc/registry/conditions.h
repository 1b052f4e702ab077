/*
 * conditions.h: a batch's conditions, judged by reading instead of sending it.
 */
#ifndef IPALLOC_REGISTRY_CONDITIONS_H
#define IPALLOC_REGISTRY_CONDITIONS_H

#include "registry/batch.h"
#include "registry/registry.h"

/* What would the store say? Each condition by itself.
 * OK; CONFLICT (*failed_op does not hold; no message); IO; UNAVAILABLE; CORRUPT; NOMEM. */
int conditions_judge(ipalloc_registry *registry, const batch_builder *b, size_t *failed_op,
                     ipalloc_error *error);

/* Does it only check, and so that reading can tell whether all held at one instant? */
bool conditions_can_be_proved(const batch_builder *b);

/* Of such a batch: did all hold at one instant during the call? Statuses as above. */
int conditions_prove(ipalloc_registry *registry, const batch_builder *b, size_t *failed_op,
                     ipalloc_error *error);

#endif
