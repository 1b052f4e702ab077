/*
 * local.c: running an operation on a store that this program opens.
 *
 * What only looks, opens it read-only, which goes beside a living owner; what writes, needs to be
 * the owner, and where another process is, says which one and how to ask it instead.
 */
#include "command.h"

#include <string.h>
#include <unistd.h>

#include <string.h>

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

/* A store that a trial would have to make is tried in memory, where its directory is fit for it. */
static const char *where_to_try(const struct invocation *invocation, bool defines) {
    const char *path = invocation->store + strlen("sqlite:");
    const char *slash = strrchr(path, '/');
    struct text directory = {0};
    if (slash != NULL) {
        text_append(&directory, path, (size_t)(slash - path) + 1);
    } else {
        text_add(&directory, ".");
    }
    bool makes = defines && invocation->dry_run && access(path, F_OK) != 0 &&
                 access(directory.data, W_OK | X_OK) == 0;
    text_clear(&directory);
    return makes ? "memory:" : invocation->store;
}

static int try_to_open(const struct invocation *invocation, bool writes, struct opened *opened,
                       ipalloc_error *error) {
    /* A store is made only where its pools are to be defined too. */
    bool defines = json_member_truth(invocation->arguments, "define", false);
    const char *store = where_to_try(invocation, defines);
    bool in_memory = store != invocation->store;
    ipalloc_store_options options = {.size = sizeof options,
                                     .read_only = !writes && !in_memory,
                                     .must_exist = !(writes && defines) && !in_memory};
    int status = ipalloc_store_open(store, &options, &opened->store, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_open(opened->store, NULL, &opened->registry, error);
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
    if (status == IPALLOC_E_BUSY && writes) {
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
