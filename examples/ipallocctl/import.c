/* import.c: ipallocctl import. */
#include "command.h"

#include <stdlib.h>

static const char *const headings[] = {"POOLS",   "RANGES", "GIVEN", "EXISTING",
                                       "RECORDS", "RESULT", NULL};

static void show_import(const struct invocation *invocation, struct table *table,
                        struct json_object *import) {
    table_member(table, import, "pools");
    table_member(table, import, "ranges");
    table_member(table, import, "given");
    table_member(table, import, "existing");
    table_member(table, import, "records");
    table_cell(table, invocation->dry_run ? "possible (dry run)" : "imported");
}

static bool show_skipped(const struct invocation *invocation, struct json_object *members,
                         struct text *problem) {
    size_t *skipped = invocation->state;
    (void)members;
    (void)problem;
    if (!invocation->json && *skipped > 0) {
        printf("%zu values of other kinds were left alone\n", *skipped);
    }
    return true;
}

static int read_files(struct invocation *invocation, struct text *problem) {
    static size_t skipped;
    struct import_files files;
    struct json_object *path = json_object_get(json_member(invocation->arguments, "path"));
    json_remove(invocation->arguments, "path");
    bool fine = import_files_read(json_object_get_string(path), &files, problem);
    if (fine && json_length(files.items) == 0) {
        show_add_clean(problem, json_object_get_string(path));
        text_format(problem, ": nothing to import (%zu values of other kinds)", files.skipped);
        fine = false;
    }
    json_set(invocation->arguments, "items", files.items);
    skipped = files.skipped;
    invocation->state = &skipped;
    json_object_put(path);
    return fine ? EXIT_DONE : EXIT_REFUSED;
}

const struct command command_import = {
    .name = "import",
    .operation = "import",
    .summary = "take over what an export or a Kubernetes cluster says is held",
    .usage = "FILE|DIRECTORY|- [--define] [--dry-run] (--store=STORE | --server=URL)\n"
             "       [-o table|json]",
    .help = "Reads exports of ipallocctl; RangeAllocation, IPAddress and ServiceCIDR objects of\n"
            "Kubernetes as etcd has them (etcdctl get KEY --print-value-only, or -w json) or as "
            "JSON; a\n"
            "file each, or a directory of them. Everything is checked before anything is written; "
            "what\n"
            "is there already stays, so it may be done again.\n"
            "A bitmap says only what is taken: that is held by Import/RANGE/NUMBER, where nobody "
            "has it.\n"
            "An IPAddress names its Service without its uid: it is held by\n"
            "Import/Service/NAMESPACE/NAME, where that Service has it not; release --all of that "
            "owner\n"
            "when the Service itself is to be made here. Ranges must be there; --define makes "
            "pools that\n"
            "are missing, and the store.\n"
            "\n"
            "  ipallocctl import cluster-dump/ --define --store=sqlite:services.db\n",
    .positionals = {"path"},
    .options = {{.flag = "--define", .argument = "define", .is_truth = true},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .prepare = read_files,
    .show_item = show_import,
    .show_end = show_skipped,
};
