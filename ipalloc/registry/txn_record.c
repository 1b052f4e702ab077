/*
 * txn_record.c: records that a transaction writes, deletes or relies on, beside its leases.
 *
 * Each is one operation of the batch, with its condition; bytes are copied. A key occurs once.
 */
#include "registry/txn.h"

#include <string.h>

static int check_record(const char *key, size_t value_size, ipalloc_error *error) {
    size_t length = key != NULL ? strnlen(key, IPALLOC_RECORD_KEY_MAX + 1) : 0;
    if (length == 0 || length > IPALLOC_RECORD_KEY_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a record's key has 1 to %d bytes",
                         IPALLOC_RECORD_KEY_MAX);
    if (value_size > IPALLOC_VALUE_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a record has at most %zu bytes",
                         IPALLOC_VALUE_MAX);
    return IPALLOC_OK;
}

static bool has_record(const ipalloc_txn *txn, const char *full_key) {
    for (size_t i = 0; i < txn->record_count; i++)
        if (strcmp(txn->records[i].key, full_key) == 0)
            return true;
    return false;
}

/* <prefix><key>, the caller's to free. NULL: out of memory. */
static char *join_key(const hooks *h, const char *prefix, const char *key) {
    size_t prefix_length = strlen(prefix);
    char *full_key = hooks_alloc(h, prefix_length + strlen(key) + 1);
    if (full_key != NULL) {
        memcpy(full_key, prefix, prefix_length);
        memcpy(full_key + prefix_length, key, strlen(key) + 1);
    }
    return full_key;
}

static int add_operation(ipalloc_txn *txn, int kind, const char *prefix, const char *key,
                         ipalloc_bytes value, uint64_t expected_revision, ipalloc_error *error) {
    const hooks *h = &txn->registry->hooks;
    if (txn->record_count == IPALLOC_TXN_RECORDS_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a transaction has at most %d records",
                         IPALLOC_TXN_RECORDS_MAX);
    char *full_key = join_key(h, prefix, key);
    void *copy = hooks_alloc(h, value.size > 0 ? value.size : 1);
    int status = IPALLOC_OK;
    if (full_key == NULL || copy == NULL)
        status = error_no_memory(error);
    else if (has_record(txn, full_key))
        status = error_set(error, IPALLOC_E_INVALID, "a record occurs once in a transaction");
    if (status != IPALLOC_OK) {
        hooks_free(h, full_key);
        hooks_free(h, copy);
        return status;
    }
    if (value.size > 0)
        memcpy(copy, value.data, value.size);
    txn->records[txn->record_count++] = (txn_record){.kind = kind,
                                                     .expected_revision = expected_revision,
                                                     .key = full_key,
                                                     .value = copy,
                                                     .value_size = value.size};
    return IPALLOC_OK;
}

static int add_record(ipalloc_txn *txn, int kind, const char *key, ipalloc_bytes value,
                      uint64_t expected_revision, ipalloc_error *error) {
    int status = txn_check_open(txn, error);
    if (status == IPALLOC_OK)
        status = check_record(key, value.size, error);
    if (status == IPALLOC_OK && value.data == NULL && value.size > 0)
        return error_set(error, IPALLOC_E_INVALID, "the value must not be NULL");
    if (status != IPALLOC_OK)
        return status;
    return add_operation(txn, kind, PREFIX_RECORD, key, value, expected_revision, error);
}

int ipalloc_txn_put(ipalloc_txn *txn, const char *key, const void *value, size_t value_size,
                    uint64_t expected_revision, ipalloc_error *error) {
    return add_record(txn, IPALLOC_OP_PUT, key, (ipalloc_bytes){value, value_size},
                      expected_revision, error);
}

int ipalloc_txn_delete(ipalloc_txn *txn, const char *key, uint64_t expected_revision,
                       ipalloc_error *error) {
    return add_record(txn, IPALLOC_OP_DELETE, key, (ipalloc_bytes){0}, expected_revision, error);
}

int ipalloc_txn_check(ipalloc_txn *txn, const char *key, uint64_t expected_revision,
                      ipalloc_error *error) {
    if (expected_revision == IPALLOC_REVISION_ANY)
        return error_set(error, IPALLOC_E_INVALID, "a check needs a revision, or its absence");
    return add_record(txn, IPALLOC_OP_CHECK, key, (ipalloc_bytes){0}, expected_revision, error);
}

int txn_delete_own(ipalloc_txn *txn, const record_key *key, uint64_t revision,
                   ipalloc_error *error) {
    return add_operation(txn, IPALLOC_OP_DELETE, "", key->text, (ipalloc_bytes){0}, revision,
                         error);
}
