/* release.c: ipallocctl release. */
#include "command.h"

static const char *const headings[] = {"POOL", "PLACE", "OWNER", "SLOTS", "RESULT", NULL};

static void show_released(const struct invocation *invocation, struct table *table,
                          struct json_object *lease) {
    table_member(table, lease, "pool");
    table_member(table, lease, json_member(lease, "port") != NULL ? "port" : "address");
    table_member(table, lease, "owner");
    table_member(table, lease, "slots");
    table_cell(table, invocation->dry_run ? "released (dry run)" : "released");
}

static int check_what(struct invocation *invocation, struct text *problem) {
    bool all = json_member(invocation->arguments, "all") != NULL;
    bool one = json_member(invocation->arguments, "place") != NULL;
    if (all != one) {
        return EXIT_DONE;
    }
    text_add(problem, "release: either ADDRESS|PORT, or --all that the owner holds");
    return EXIT_USAGE;
}

const struct command command_release = {
    .name = "release",
    .operation = "release",
    .summary = "take back what an owner holds",
    .usage = "(ADDRESS|PORT | --all) --owner OWNER [--generation N] [--pool POOL] [--dry-run]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help =
        "Only what this owner holds is released; anybody else's is refused and its holder named.\n"
        "What a living Service names is refused too: change or delete the Service instead. What\n"
        "is free already stays free, and is no error.\n"
        "\n"
        "  ipallocctl release 10.96.0.53 --owner Router/edge --store=sqlite:services.db\n",
    .positionals = {"?place"},
    .options = {{.flag = "--owner", .argument = "owner", .is_needed = true},
                {.flag = "--generation", .argument = "generation"},
                {.flag = "--pool", .argument = "pool"},
                {.flag = "--all", .argument = "all", .is_truth = true},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .prepare = check_what,
    .show_item = show_released,
};
