/*
 * no_sqlite.c: stands in for the sqlite store where it was not built in.
 */
#include "store/store.h"

#include "base/error.h"

int sqlite_store_open(const store_opening *opening, ipalloc_error *error) {
    (void)opening;
    return error_set(error, IPALLOC_E_UNAVAILABLE,
                     "sqlite: this build of the library has no sqlite store (not built in)");
}
