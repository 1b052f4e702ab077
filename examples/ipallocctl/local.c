/*
 * local.c: running an operation on a store that this program opens.
 *
 * What only looks, opens it read-only, which goes beside a living owner; what writes, needs to be
 * the owner, and where another process is, says which one and how to ask it instead.
 */
#include "command.h"

#include <string.h>
#include <unistd.h>

struct opened {
    ipalloc_store *store;
    ipalloc_registry *registry;
};

static int say(struct text *problem, int status, const ipalloc_error *error) {
    text_format(problem, "%s: ", ipalloc_strerror(status));
    show_add_clean(problem, error->message);
    return status;
}

static void close_both(struct opened *opened) {
    ipalloc_registry_close(opened->registry);
    ipalloc_store_close(opened->store);
    *opened = (struct opened){0};
}

/* Would a trial have to make this file? One whose directory is not fit for it is not tried. */
static bool makes_file(const struct invocation *invocation) {
    const char *path = invocation->store + strlen("sqlite:");
    const char *slash = strrchr(path, '/');
    struct text directory = {0};
    if (slash != NULL) {
        text_append(&directory, path, (size_t)(slash - path) + 1);
    } else {
        text_add(&directory, ".");
    }
    bool makes = access(path, F_OK) != 0 && access(directory.data, W_OK | X_OK) == 0;
    text_clear(&directory);
    return makes;
}

static int open_store(const struct store_flags *flags, const ipalloc_store_options *options,
                      struct opened *opened, ipalloc_error *error) {
    int status = store_flags_open(flags, options, &opened->store, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_open(opened->store, NULL, &opened->registry, error);
    }
    return status;
}

/* A store that a trial would have to make is tried in memory. */
static int try_in_memory(struct opened *opened, ipalloc_error *error) {
    static const struct store_flags memory = {.url = "memory:"};
    return open_store(&memory, NULL, opened, error);
}

static int try_to_open(const struct invocation *invocation, bool writes, struct opened *opened,
                       ipalloc_error *error) {
    /* A store is made only where its pools are to be defined too. */
    bool defines = json_member_truth(invocation->arguments, "define", false);
    bool tries = defines && invocation->dry_run;
    ipalloc_store_options options = {
        .size = sizeof options, .read_only = !writes, .must_exist = !(writes && defines)};
    if (tries && store_flags_is_sqlite(invocation->store) && makes_file(invocation)) {
        return try_in_memory(opened, error);
    }
    int status = open_store(&invocation->flags, &options, opened, error);
    if (tries && store_flags_is_etcd(invocation->store) && status == IPALLOC_E_NOT_FOUND) {
        return try_in_memory(opened, error);
    }
    return status;
}

static int open_both(const struct invocation *invocation, bool writes, struct opened *opened,
                     struct text *problem) {
    ipalloc_error error = {0};
    int status = try_to_open(invocation, writes, opened, &error);
    if ((status == IPALLOC_E_BUSY || status == IPALLOC_E_IO) && writes &&
        invocation->operation->looks_if_refused) {
        close_both(opened);
        status = try_to_open(invocation, false, opened, &error);
    }
    if (status == IPALLOC_OK) {
        return status;
    }
    say(problem, status, &error);
    if (status == IPALLOC_E_BUSY && writes && store_flags_is_sqlite(invocation->store)) {
        text_format(problem, "; ask it to do that, at the address where it serves: %s",
                    invocation->retry);
    }
    /* SQLite makes files beside a log that nobody has open, for readers too. */
    if (status == IPALLOC_E_IO && !writes && strstr(error.message, "readonly database") != NULL) {
        text_add(problem, "; where no process has the store open, even reading needs a directory "
                          "that may be written: copy the store into one");
    }
    return status;
}

static void say_how_to_accept(ipalloc_store *store, int status, struct text *problem) {
    ipalloc_store_info info = {.size = sizeof info};
    if (status == IPALLOC_E_MISMATCH && ipalloc_store_get_info(store, &info, NULL) == IPALLOC_OK &&
        info.restored) {
        text_add(problem, "; ipallocctl accept does that");
    }
}

int local_run(const struct invocation *invocation, struct show *show, struct text *problem) {
    const struct admin_operation *operation = invocation->operation;
    bool writes = operation->writes && !invocation->dry_run;
    struct opened opened = {0};
    ipalloc_error error = {0};
    struct admin_output out = {
        .context = show, .item = show_item, .progress = show_progress, .members = NULL};
    int status = open_both(invocation, writes, &opened, problem);
    if (status == IPALLOC_OK) {
        struct admin admin = {.store = opened.store, .registry = opened.registry};
        out.members = json_object_new_object();
        status = admin_run(operation, &admin, invocation->arguments, &out, &error);
        if (status != IPALLOC_OK) {
            say(problem, status, &error);
            say_how_to_accept(opened.store, status, problem);
        }
    }
    if (status == IPALLOC_OK) {
        status = show_end(show, out.members, problem) ? IPALLOC_OK : IPALLOC_E_CONFLICT;
    } else {
        show_abandon(show);
    }
    json_object_put(out.members);
    close_both(&opened);
    return status;
}
