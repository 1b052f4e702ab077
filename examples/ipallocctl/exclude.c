/* exclude.c: ipallocctl exclude and include. */
#include "command.h"

static const char *const headings[] = {"POOL", "FIRST", "LAST", "RESULT", NULL};

static void show_exclusion(const struct invocation *invocation, struct table *table,
                           struct json_object *exclusion) {
    bool excluded = json_member_truth(exclusion, "excluded", false);
    table_member(table, exclusion, "pool");
    table_member(table, exclusion, "first");
    table_member(table, exclusion, "last");
    table_cell(table, excluded ? (invocation->dry_run ? "excluded (dry run)" : "excluded")
                               : (invocation->dry_run ? "included (dry run)" : "included"));
}

const struct command command_exclude = {
    .name = "exclude",
    .operation = "exclude",
    .summary = "never give out these addresses",
    .usage = "ADDRESS|FIRST-LAST|CIDR [--pool POOL] [--dry-run]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help = "Kept in the store. Refused while one of them is held, which is named.\n"
            "\n"
            "  ipallocctl exclude 10.96.0.32/28 --store=sqlite:services.db\n",
    .positionals = {"what"},
    .options = {{.flag = "--pool", .argument = "pool"},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .show_item = show_exclusion,
};

const struct command command_include = {
    .name = "include",
    .operation = "include",
    .summary = "undo exclude",
    .usage = "ADDRESS|FIRST-LAST|CIDR [--pool POOL] [--dry-run]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help = "Give these addresses out again. Refused where one was not excluded.\n"
            "\n"
            "  ipallocctl include 10.96.0.40-10.96.0.47 --store=sqlite:services.db\n",
    .positionals = {"what"},
    .options = {{.flag = "--pool", .argument = "pool"},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .show_item = show_exclusion,
};
