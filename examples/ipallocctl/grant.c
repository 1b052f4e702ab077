/* grant.c: ipallocctl allocate and reserve. */
#include "command.h"

static const char *const headings[] = {"POOL",       "PLACE",  "OWNER", "SLOT",
                                       "GENERATION", "RESULT", NULL};

static void show_grant(const struct invocation *invocation, struct table *table,
                       struct json_object *grant) {
    bool existing = json_member_truth(grant, "existing", false);
    table_member(table, grant, "pool");
    table_member(table, grant, json_member(grant, "port") != NULL ? "port" : "address");
    table_member(table, grant, "owner");
    table_member(table, grant, "slot");
    table_member(table, grant, "generation");
    table_cell(table, existing ? "held already" : invocation->dry_run ? "free (dry run)" : "given");
}

const struct command command_allocate = {
    .name = "allocate",
    .operation = "allocate",
    .summary = "give an owner any free address or port of a pool",
    .usage = "POOL --owner OWNER --slot SLOT [--dry-run] (--store=STORE | --server=URL)\n"
             "       [-o table|json]",
    .help =
        "The same owner asking again for the same slot gets the same one. With --dry-run nothing\n"
        "is kept, and another may come the next time.\n"
        "\n"
        "  ipallocctl allocate services-v4 --owner Router/edge --slot uplink \\\n"
        "      --store=sqlite:services.db\n",
    .positionals = {"pool"},
    .options = {{.flag = "--owner", .argument = "owner", .is_needed = true},
                {.flag = "--slot", .argument = "slot", .is_needed = true},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .show_item = show_grant,
};

const struct command command_reserve = {
    .name = "reserve",
    .operation = "reserve",
    .summary = "give an owner this address or port",
    .usage = "ADDRESS|PORT --owner OWNER --slot SLOT [--pool POOL] [--dry-run]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help =
        "Refused if somebody else holds it, who is then named. A port that is in several pools\n"
        "needs --pool.\n"
        "\n"
        "  ipallocctl reserve 10.96.0.53 --owner Router/edge --slot dns "
        "--store=sqlite:services.db\n",
    .positionals = {"place"},
    .options = {{.flag = "--owner", .argument = "owner", .is_needed = true},
                {.flag = "--slot", .argument = "slot", .is_needed = true},
                {.flag = "--pool", .argument = "pool"},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .show_item = show_grant,
};
