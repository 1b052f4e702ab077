/* serving_ranges.h: let a pool give from these ranges and no others, whatever it gave from before.
 */
#ifndef APISERVER_SERVING_RANGES_H
#define APISERVER_SERVING_RANGES_H

#include "service_cidrs.h"

#include <ipalloc/registry.h>

/* What it had beyond them and holds something drains; the rest goes. None at all: it gives nothing.
 * Answers as ipalloc_pool_set_ranges. */
int serving_ranges_set(ipalloc_pool *pool, const struct service_cidr_list *serving,
                       ipalloc_error *error);

#endif
