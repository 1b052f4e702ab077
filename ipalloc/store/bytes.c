/*
 * bytes.c: the few things that every store does with bytes, batches and conditions.
 */
#include "store/store.h"

#include "base/error.h"

#include <string.h>

bool bytes_equal(ipalloc_bytes a, ipalloc_bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool bytes_start_with(ipalloc_bytes bytes, ipalloc_bytes prefix) {
    return prefix.size == 0 ||
           (bytes.size >= prefix.size && memcmp(bytes.data, prefix.data, prefix.size) == 0);
}

int bytes_compare(ipalloc_bytes a, ipalloc_bytes b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

int store_info_copy(ipalloc_store_info *out, const ipalloc_store_info *full, ipalloc_error *error) {
    if (out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID,
                         "ipalloc_store_info: set size to sizeof(ipalloc_store_info)");
    size_t size = out->size;
    memcpy(out, full, size < sizeof *full ? size : sizeof *full);
    out->size = size;
    return IPALLOC_OK;
}

void batches_set_status(ipalloc_batch *batches, size_t count, int status) {
    for (size_t i = 0; i < count; i++)
        batches[i].status = status;
}

bool op_condition_holds(const ipalloc_op *op, bool present, uint64_t revision) {
    switch (op->condition) {
    case IPALLOC_IF_ABSENT:
        return !present;
    case IPALLOC_IF_REVISION:
        return present && revision == op->revision;
    default:
        return true;
    }
}

int check_since(uint64_t since, uint64_t oldest, uint64_t last, ipalloc_error *error) {
    if (since > last)
        return error_set(error, IPALLOC_E_INVALID,
                         "changes: revision %llu has not been yet; the last is %llu",
                         (unsigned long long)since, (unsigned long long)last);
    if (since < oldest)
        return error_set(error, IPALLOC_E_EXPIRED,
                         "changes: revision %llu is no longer kept; the oldest is %llu",
                         (unsigned long long)since, (unsigned long long)oldest);
    return IPALLOC_OK;
}
