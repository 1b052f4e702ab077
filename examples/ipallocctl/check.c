/* check.c: ipallocctl check. */
#include "command.h"

static const char *const headings[] = {"RESULT", "POOLS", "LEASES", "REVISION", "STATE", NULL};

static void show_check(const struct invocation *invocation, struct table *table,
                       struct json_object *check) {
    (void)invocation;
    table_cell(table, "ok");
    table_member(table, check, "pools");
    table_member(table, check, "leases");
    table_member(table, check, "revision");
    table_cell(table,
               json_member_truth(check, "restored", false) ? "restored, not accepted" : "in use");
}

const struct command command_check = {
    .name = "check",
    .operation = "check",
    .summary = "prove that all records agree with each other",
    .usage = "(--store=STORE | --server=URL) [-o table|json]",
    .help =
        "Every lease has its place in a range and its line in its owner's record, nothing else\n"
        "does, and the counts add up. What is found wrong is named, and the exit code is 1.\n"
        "\n"
        "  ipallocctl check --store=sqlite:services.db\n",
    .headings = headings,
    .show_item = show_check,
};
