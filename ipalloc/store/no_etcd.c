/*
 * no_etcd.c: stands in for the etcd store where it was not built in.
 */
#include "store/store.h"

#include "base/error.h"

int etcd_store_open(const store_opening *opening, ipalloc_error *error) {
    (void)opening;
    return error_set(error, IPALLOC_E_UNAVAILABLE,
                     "etcd: this build of the library has no etcd store (not built in)");
}
