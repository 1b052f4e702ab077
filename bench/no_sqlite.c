/*
 * no_sqlite.c: the durable cases of a build without SQLite: there are none.
 */
#include "bench.h"

void durable_plan(plan *p) {
    p->has_sqlite = false;
}
