/*
 * copy_support.c: see copy_support.h.
 */
#include "copy_support.h"

#include <stdio.h>
#include <string.h>

ipalloc_store *open_epoch(const char *url, uint64_t epoch) {
    ipalloc_store_options options = {.size = sizeof options, .first_epoch = epoch};
    return open_store(url, &options);
}

/* --- comparing ----------------------------------------------------------------------------------
 */

static int see(void *context, const ipalloc_entry *entry) {
    content *c = context;
    uint64_t hash = c->hash;
    for (size_t i = 0; i < entry->key.size; i++)
        hash = (hash ^ ((const unsigned char *)entry->key.data)[i]) * 1099511628211u;
    hash = (hash ^ 256) * 1099511628211u;
    for (size_t i = 0; i < entry->value.size; i++)
        hash = (hash ^ ((const unsigned char *)entry->value.data)[i]) * 1099511628211u;
    c->hash = (hash ^ 257) * 1099511628211u;
    c->count++;
    return IPALLOC_OK;
}

content content_of(ipalloc_store *store) {
    content c = {.hash = 14695981039346656037u};
    ck_assert_status(
        ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0, see, &c, NULL, NULL),
        IPALLOC_OK);
    return c;
}

void expect_same(ipalloc_store *a, ipalloc_store *b) {
    content left = content_of(a), right = content_of(b);
    ck_assert_uint_eq(left.count, right.count);
    ck_assert_uint_eq(left.hash, right.hash);
}

bool is_marked(ipalloc_store *store) {
    return strcmp(value_of(store, IPALLOC_COPY_MARK), "absent") != 0;
}

void expect_no_registry(ipalloc_store *store) {
    ipalloc_registry *registry = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_registry_open(store, NULL, &registry, &error), IPALLOC_E_CORRUPT,
                           &error);
    ck_assert_ptr_nonnull(strstr(error.message, "copy that is not finished"));
}

static ipalloc_error copy_error;

int copy_with(ipalloc_store *from, ipalloc_store *to, ipalloc_copy_options options) {
    options.size = sizeof options;
    copy_error = (ipalloc_error){0};
    int status = ipalloc_store_copy(from, to, &options, NULL, &copy_error);
    ck_assert_int_eq(copy_error.status, status);
    return status;
}

int copy(ipalloc_store *from, ipalloc_store *to) {
    return copy_with(from, to, (ipalloc_copy_options){0});
}

void expect_words(const char *words) {
    ck_assert_msg(strstr(copy_error.message, words) != NULL, "\"%s\" lacks \"%s\"",
                  copy_error.message, words);
}

/* --- filling ------------------------------------------------------------------------------------
 */

enum { FILL_OPS = 400 };

void fill(ipalloc_store *store, size_t count) {
    static char keys[FILL_OPS][64], values[FILL_OPS][64];
    ipalloc_op ops[FILL_OPS];
    for (size_t done = 0; done < count;) {
        size_t n = 0;
        for (; n < FILL_OPS && done < count; n++, done++) {
            snprintf(keys[n], sizeof keys[n], "k/%07zu/", done * 7919 % 9999991);
            snprintf(values[n], sizeof values[n], "value=%zu\n", done);
            ops[n] = op_put(keys[n], values[n]);
        }
        must_commit(store, ops, n);
    }
}
