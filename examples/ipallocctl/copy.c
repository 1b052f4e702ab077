/*
 * copy.c: ipallocctl copy: from one store into another, sqlite to etcd and back.
 *
 * The source is opened as a server would open it, so that one that is served from a file says so
 * (BUSY, with the pid). Servers on an etcd cannot be seen: whoever copies from one says with --yes
 * that none writes to it; one that does all the same is noticed at the end, and the copy stays
 * unfinished. What was copied is opened and validated as a server would before this says done.
 */
#include "copy.h"
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define EPOCH_STEP_MAX 4095 /* as where a restored store begins a new one */
#define PROGRESS_SHOWN 1000 /* entries between two lines of progress */

struct copying {
    const struct invocation *invocation;
    struct store_flags from_flags, to_flags;
    ipalloc_store *from, *to;
    struct copy_counts counts;
    ipalloc_store_info from_info, to_info;
    ipalloc_copy_result result;
    uint64_t shown; /* progress, at so many entries */
    bool progress;  /* somebody looks */
    struct text *problem;
};

static bool truth(const struct copying *c, const char *name) {
    return json_member_truth(c->invocation->arguments, name, false);
}

static int say(const struct copying *c, const struct store_flags *flags, int status,
               const ipalloc_error *error) {
    text_format(c->problem, "%s: ", ipalloc_strerror(status));
    if (flags != NULL) {
        show_add_clean(c->problem, flags->url);
        text_add(c->problem, ": ");
    }
    show_add_clean(c->problem, error->message);
    return status;
}

/* --- the command line ---------------------------------------------------------------------------
 */

/* One of the two, with what only an etcd needs left out for others. */
static bool take_flags(const struct copying *c, const char *name, struct store_flags *flags) {
    const char *url = json_member_text(c->invocation->arguments, name);
    struct text rule = {0};
    *flags = (struct store_flags){0};
    if (store_flags_is_etcd(url)) {
        *flags = c->invocation->flags;
    }
    bool fine = store_flags_take(flags, "store", url, &rule);
    if (fine && strcmp(url, "memory:") == 0) {
        text_add(&rule, "a memory store is gone with the program that has it");
        fine = false;
    }
    if (!fine) {
        text_add(c->problem, "\"");
        show_add_clean(c->problem, url);
        text_format(c->problem, "\": %s", rule.data);
    }
    text_clear(&rule);
    return fine && store_flags_check(flags, c->problem);
}

static bool check_line(struct copying *c) {
    const struct store_flags *given = &c->invocation->flags;
    if (!take_flags(c, "from", &c->from_flags) || !take_flags(c, "to", &c->to_flags)) {
        return false;
    }
    if (strcmp(c->from_flags.url, c->to_flags.url) == 0) {
        text_format(c->problem, "\"%s\": it is both FROM and TO", c->from_flags.url);
        return false;
    }
    bool etcd = store_flags_is_etcd(c->from_flags.url) || store_flags_is_etcd(c->to_flags.url);
    return etcd || store_flags_check(given, c->problem);
}

/* --- opening ------------------------------------------------------------------------------------
 */

static int open_source(struct copying *c) {
    ipalloc_error error = {0};
    bool sqlite = store_flags_is_sqlite(c->from_flags.url);
    bool owns = sqlite && !c->invocation->dry_run; /* else nothing is written there */
    ipalloc_store_options options = {
        .size = sizeof options, .read_only = !owns, .must_exist = true};
    c->from_info = (ipalloc_store_info){.size = sizeof c->from_info};
    int status = store_flags_open(&c->from_flags, &options, &c->from, &error);
    if (status == IPALLOC_OK) {
        status = ipalloc_store_get_info(c->from, &c->from_info, &error);
    }
    if (status != IPALLOC_OK) {
        say(c, &c->from_flags, status, &error);
        if (status == IPALLOC_E_BUSY) {
            text_add(c->problem, "; stop it first, so that nothing is committed behind the copy");
        }
    }
    return status;
}

/* A number that nobody else will have chosen for another copy of the same source. */
static uint64_t later_epoch(uint64_t epoch) {
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        random = (uint32_t)getpid();
    }
    return epoch + 1 + random % EPOCH_STEP_MAX;
}

static int open_destination(struct copying *c) {
    ipalloc_error error = {0};
    bool tries = c->invocation->dry_run;
    ipalloc_store_options options = {.size = sizeof options,
                                     .read_only = tries,
                                     .must_exist = tries,
                                     .first_epoch = later_epoch(c->from_info.epoch)};
    c->to_info = (ipalloc_store_info){.size = sizeof c->to_info};
    int status = store_flags_open(&c->to_flags, &options, &c->to, &error);
    if (status == IPALLOC_E_NOT_FOUND && tries) {
        return IPALLOC_OK; /* it would be made */
    }
    if (status == IPALLOC_OK) {
        status = ipalloc_store_get_info(c->to, &c->to_info, &error);
    }
    return status == IPALLOC_OK ? status : say(c, &c->to_flags, status, &error);
}

/* --- trying -------------------------------------------------------------------------------------
 */

static int refuse(const struct copying *c, int status, const struct store_flags *flags,
                  const char *why) {
    ipalloc_error error = {.status = status};
    snprintf(error.message, sizeof error.message, "%s", why);
    return say(c, flags, status, &error);
}

/* What the copy would refuse, as far as it can be seen without writing. */
static int try_it(const struct copying *c) {
    struct copy_counts there;
    ipalloc_error error = {0};
    if (c->from_info.restored) {
        return refuse(c, IPALLOC_E_MISMATCH, &c->from_flags,
                      "it is a copy or was restored, and nobody has accepted it");
    }
    if (c->counts.unfinished) {
        return refuse(c, IPALLOC_E_CORRUPT, &c->from_flags, "it is an unfinished copy");
    }
    if (c->to == NULL) {
        return IPALLOC_OK;
    }
    int status = copy_count(c->to, &there, &error);
    if (status != IPALLOC_OK) {
        return say(c, &c->to_flags, status, &error);
    }
    if (there.unfinished && !truth(c, "replaceUnfinished")) {
        return refuse(c, IPALLOC_E_BUSY, &c->to_flags,
                      "it holds an unfinished copy; --replace-unfinished removes that");
    }
    if (there.entries > 0 && !there.unfinished) {
        return refuse(c, IPALLOC_E_BUSY, &c->to_flags,
                      "it is not empty; a copy goes into a new store only");
    }
    return c->to_info.epoch > c->from_info.epoch
               ? IPALLOC_OK
               : refuse(c, IPALLOC_E_INVALID, &c->to_flags,
                        "it is empty, but of no later epoch than the source; make a new one");
}

/* --- copying ------------------------------------------------------------------------------------
 */

static int show_copied(void *context, uint64_t copied, uint64_t read_back) {
    struct copying *c = context;
    uint64_t done = read_back > 0 ? read_back : copied;
    bool last = done == c->counts.entries;
    if (c->progress && (last || done < c->shown || done >= c->shown + PROGRESS_SHOWN)) {
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " %s\033[K", done, c->counts.entries,
                read_back > 0 ? "compared" : "copied");
        c->shown = done;
    }
    return IPALLOC_OK;
}

static int copy(struct copying *c) {
    ipalloc_error error = {0};
    ipalloc_copy_options options = {.size = sizeof options,
                                    .replace_unfinished = truth(c, "replaceUnfinished"),
                                    .progress = show_copied,
                                    .context = c};
    c->result = (ipalloc_copy_result){.size = sizeof c->result};
    int status = ipalloc_store_copy(c->from, c->to, &options, &c->result, &error);
    if (c->progress) {
        fputs("\r\033[K", stderr);
    }
    if (status == IPALLOC_OK) {
        return status;
    }
    say(c, NULL, status, &error);
    if (status == IPALLOC_E_BUSY && strstr(error.message, "unfinished") != NULL) {
        text_add(c->problem, "; --replace-unfinished removes that one");
    } else if (status == IPALLOC_E_MISMATCH) {
        text_add(c->problem, "; ipallocctl accept does that");
    }
    return status;
}

/* As a server will open it. */
static int validate(const struct copying *c) {
    ipalloc_registry *registry = NULL;
    ipalloc_error error = {0};
    int status = ipalloc_registry_open(c->to, NULL, &registry, &error);
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_validate(registry, &error);
    }
    ipalloc_registry_close(registry);
    if (status != IPALLOC_OK) {
        say(c, &c->to_flags, status, &error);
        text_add(c->problem, "; it was copied byte for byte, so the source has the same damage");
    }
    return status;
}

/* --- the result ---------------------------------------------------------------------------------
 */

static void show_json(const struct copying *c) {
    struct json_object *result = json_object_new_object();
    size_t size = 0;
    json_set_text(result, "kind", "Copy");
    json_set_text(result, "from", c->from_flags.url);
    json_set_text(result, "to", c->to_flags.url);
    json_set(result, "dryRun", json_object_new_boolean(c->invocation->dry_run));
    json_set_number(result, "entries", (int64_t)c->counts.entries);
    json_set_number(result, "bytes", (int64_t)c->counts.bytes);
    json_set(result, "kinds", copy_counts_value(&c->counts));
    json_set_number(result, "fromEpoch", (int64_t)c->from_info.epoch);
    json_set_number(result, "fromRevision", (int64_t)c->from_info.revision);
    if (!c->invocation->dry_run) {
        json_set_number(result, "epoch", (int64_t)c->to_info.epoch);
        json_set_number(result, "revision", (int64_t)c->result.destination_revision);
    }
    printf("%s\n", json_line(result, &size));
    json_object_put(result);
}

static void show_words(const struct copying *c) {
    struct text from = {0}, to = {0};
    show_add_clean(&from, c->from_flags.url);
    show_add_clean(&to, c->to_flags.url);
    copy_counts_print(&c->counts);
    if (c->invocation->dry_run) {
        printf("\nNothing was copied: this was a dry run. %s\n",
               c->to == NULL ? "The destination would be made." : "The destination is empty.");
    } else {
        printf("\nCopied and compared; the copy opens and is valid.\n"
               "Next: start the server with --store=%s and the same other flags.\n"
               "Never start one on %s again: what the two give out would differ.\n",
               to.data, from.data);
    }
    text_clear(&from);
    text_clear(&to);
}

static int work(struct copying *c) {
    ipalloc_error error = {0};
    bool etcd = store_flags_is_etcd(c->from_flags.url);
    if (etcd && !c->invocation->dry_run && !truth(c, "yes")) {
        return refuse(c, IPALLOC_E_INVALID, NULL,
                      "servers on an etcd do not show: stop every one that uses this prefix, and "
                      "say so with --yes");
    }
    int status = open_source(c);
    if (status == IPALLOC_OK) {
        status = copy_count(c->from, &c->counts, &error);
        if (status != IPALLOC_OK) {
            say(c, &c->from_flags, status, &error);
        }
    }
    if (status == IPALLOC_OK) {
        status = open_destination(c);
    }
    if (status != IPALLOC_OK || c->invocation->dry_run) {
        return status == IPALLOC_OK ? try_it(c) : status;
    }
    status = copy(c);
    return status == IPALLOC_OK ? validate(c) : status;
}

static int run(struct invocation *invocation, struct text *problem) {
    struct copying c = {.invocation = invocation, .problem = problem};
    c.progress = isatty(STDERR_FILENO) == 1;
    if (!check_line(&c)) {
        return EXIT_USAGE;
    }
    int status = work(&c);
    if (status == IPALLOC_OK && invocation->json) {
        show_json(&c);
    } else if (status == IPALLOC_OK) {
        show_words(&c);
    }
    ipalloc_store_close(c.to);
    ipalloc_store_close(c.from);
    if (fflush(stdout) != 0 && status == IPALLOC_OK) {
        text_add(problem, "copied, but the result could not be written to standard output");
        return EXIT_REFUSED;
    }
    return status == IPALLOC_OK ? EXIT_DONE : EXIT_REFUSED;
}

const struct command command_copy = {
    .name = "copy",
    .summary = "copy a store into a new one, of another kind: sqlite to etcd and back",
    .usage = "FROM TO [--dry-run] [--yes] [--replace-unfinished] [-o table|json]",
    .help =
        "FROM and TO are stores: sqlite:PATH or etcd:URL[,URL...][/PREFIX]. No server may run "
        "on\n"
        "either. TO must be new, or empty. All is copied as it is at one moment, read back and\n"
        "compared; a copy that is cut off is no store, and --replace-unfinished begins anew.\n"
        "Leases, their times and generations, what cools, and the servers' objects stay the\n"
        "same; resourceVersions do not: clients list anew. The --etcd flags are for FROM and TO\n"
        "alike.\n"
        "\n"
        "  --dry-run              count what there is, and say what would be refused\n"
        "  --yes                  with FROM an etcd: no server writes to it any more\n"
        "  --replace-unfinished   remove what a copy that did not end has left in TO\n"
        "\n"
        "  ipallocctl copy sqlite:services.db etcd:http://127.0.0.1:2379/ipalloc\n",
    .positionals = {"from", "to"},
    .options = {{.flag = "--dry-run", .argument = "dryRun", .is_truth = true},
                {.flag = "--yes", .argument = "yes", .is_truth = true},
                {.flag = "--replace-unfinished",
                 .argument = "replaceUnfinished",
                 .is_truth = true}},
    .run = run,
};
