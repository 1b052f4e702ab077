/*
 * follower.c: see follower.h.
 */
#include "follower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ipalloc_bytes ALL = {"", 0};

const char *follower_key(unsigned number) {
    static _Thread_local char text[8];
    snprintf(text, sizeof text, "k%05u", number % FOLLOWER_KEYS);
    return text;
}

static unsigned number_of(const ipalloc_entry *entry) {
    char text[8] = {0};
    require(entry->key.size == 6);
    memcpy(text, entry->key.data, entry->key.size);
    unsigned number = (unsigned)strtoul(text + 1, NULL, 10);
    require(text[0] == 'k' && number < FOLLOWER_KEYS);
    return number;
}

static int read_one(void *context, const ipalloc_entry *entry) {
    follower *f = context;
    f->at[number_of(entry)] = entry->revision;
    return IPALLOC_OK;
}

static int take_one(void *context, const ipalloc_entry *entry) {
    follower *f = context;
    /* In order, and nothing that was known already. */
    require(entry->revision >= f->revision);
    f->revision = entry->revision;
    unsigned number = number_of(entry);
    require(entry->revision > f->at[number]);
    f->at[number] = entry->deleted ? 0 : entry->revision;
    f->told++;
    return IPALLOC_OK;
}

void follower_begin(follower *f, ipalloc_store *store) {
    ipalloc_error error = {0};
    f->store = store;
    memset(f->at, 0, sizeof f->at);
    ck_assert_status_error(
        ipalloc_store_scan(store, ALL, ALL, 0, read_one, f, &f->revision, &error), IPALLOC_OK,
        &error);
}

int follower_take(follower *f, ipalloc_error *error) {
    uint64_t up_to = 0, since = f->revision;
    int status = ipalloc_store_changes(f->store, since, ALL, 0, take_one, f, &up_to, error);
    if (status == IPALLOC_E_EXPIRED) {
        f->read_anew++;
        follower_begin(f, f->store);
        return IPALLOC_OK;
    }
    if (status == IPALLOC_OK) {
        require(up_to >= f->revision && up_to >= since);
        f->revision = up_to;
    }
    return status;
}

void follower_catch_up(follower *f) {
    ipalloc_error error = {0};
    ipalloc_store_info info = {.size = sizeof info};
    ck_assert_status_error(ipalloc_store_get_info(f->store, &info, &error), IPALLOC_OK, &error);
    int status = ipalloc_store_reach(f->store, info.revision, &error);
    ck_assert_msg(status == IPALLOC_OK || status == IPALLOC_E_EXPIRED, "reach: %s", error.message);
    ck_assert_status_error(follower_take(f, &error), IPALLOC_OK, &error);
    ck_assert_uint_ge(f->revision, info.revision);
}

void follower_check(follower *f) {
    follower *now = malloc(sizeof *now);
    ck_assert_ptr_nonnull(now);
    *now = (follower){0};
    follower_begin(now, f->store);
    for (unsigned i = 0; i < FOLLOWER_KEYS; i++)
        ck_assert_msg(now->at[i] == f->at[i], "%s: is at %llu, was held to be at %llu",
                      follower_key(i), (unsigned long long)now->at[i],
                      (unsigned long long)f->at[i]);
    free(now);
}
