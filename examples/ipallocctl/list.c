/* list.c: ipallocctl list. */
#include "command.h"

static const char *const headings[] = {"POOL",       "PLACE", "OWNER", "SLOTS",
                                       "GENERATION", "SINCE", NULL};

static void show_lease(const struct invocation *invocation, struct table *table,
                       struct json_object *lease) {
    (void)invocation;
    table_member(table, lease, "pool");
    table_member(table, lease, json_member(lease, "port") != NULL ? "port" : "address");
    table_member(table, lease, "owner");
    table_member(table, lease, "slots");
    table_member(table, lease, "generation");
    table_member(table, lease, "since");
}

const struct command command_list = {
    .name = "list",
    .operation = "list",
    .summary = "what is held, and by whom",
    .usage = "[--pool POOL] [--owner OWNER] (--store=STORE | --server=URL) [-o table|json]",
    .help = "The leases in order of pool and address. An OWNER that ends in * stands for all that\n"
            "begin like it.\n"
            "\n"
            "  ipallocctl list --owner 'Service/default/*' --store=sqlite:services.db\n",
    .options = {{.flag = "--pool", .argument = "pool"}, {.flag = "--owner", .argument = "owner"}},
    .headings = headings,
    .show_item = show_lease,
};
