/*
 * store_flags.h: which store, and how to reach it: the flags that the example programs share.
 *
 *   --store=memory: | sqlite:PATH | etcd:URL[,URL...][/PREFIX]
 *   --etcd-cafile=FILE  --etcd-certfile=FILE  --etcd-keyfile=FILE     as kube-apiserver's
 *   --etcd-user=NAME  --etcd-password-file=FILE                       never a password in a flag
 *   --etcd-timeout=5s
 *
 * Texts are borrowed from the command line. Reading them opens nothing; a password is in memory
 * only while the store is opened.
 */
#ifndef ADMIN_STORE_FLAGS_H
#define ADMIN_STORE_FLAGS_H

#include "text.h"

#include <ipalloc/store.h>

struct store_flags {
    const char *url; /* NULL: not given */
    const char *ca_file, *cert_file, *key_file;
    const char *user, *password_file;
    uint64_t timeout_ms; /* 0: the store's default */
    const char *first;   /* the first --etcd flag that was given; NULL: none */
};

#define STORE_FLAG_NAMES_MAX 7

/* The names of these flags without the dashes, NULL behind the last one. */
extern const char *const store_flag_names[STORE_FLAG_NAMES_MAX + 1];

/* The value of a flag of one of those names. False with the rule that it breaks in `rule`. */
bool store_flags_take(struct store_flags *flags, const char *name, const char *value,
                      struct text *rule);

/* What only all of them together show. False with one line in `problem`. */
bool store_flags_check(const struct store_flags *flags, struct text *problem);

bool store_flags_is_etcd(const char *url);
bool store_flags_is_sqlite(const char *url);

/* Open it: `options` with what the flags say put in; `options` may be NULL. What ipalloc_store_open
 * answers; INVALID (the password's file cannot be used: says why). */
int store_flags_open(const struct store_flags *flags, const ipalloc_store_options *options,
                     ipalloc_store **out, ipalloc_error *error);

/* How long one call may take. */
uint64_t store_flags_timeout_ms(const struct store_flags *flags);

/* For --help: the lines about these flags. */
extern const char store_flags_help[];

#endif
