/* pools.c: ipallocctl pools. */
#include "command.h"

static const char *const headings[] = {"NAME",        "TYPE",         "RANGE",   "STATE",
                                       "SIZE",        "USED",         "COOLING", "EXCLUDED",
                                       "FREE-STATIC", "FREE-DYNAMIC", NULL};

static void show_range(struct table *table, struct json_object *pool, struct json_object *range) {
    table_member(table, pool, "name");
    table_member(table, pool, "type");
    table_member(table, range, "range");
    table_cell(table, json_member_truth(range, "draining", false) ? "draining" : "active");
    table_member(table, range, "size");
    table_member(table, range, "used");
    table_member(table, range, "cooling");
    table_member(table, range, "excluded");
    table_member(table, json_member(range, "static"), "free");
    table_member(table, json_member(range, "dynamic"), "free");
}

static void show_pool(const struct invocation *invocation, struct table *table,
                      struct json_object *pool) {
    struct json_object *ranges = json_member(pool, "ranges");
    (void)invocation;
    for (size_t i = 0; i < json_length(ranges); i++) {
        show_range(table, pool, json_object_array_get_idx(ranges, i));
    }
}

const struct command command_pools = {
    .name = "pools",
    .operation = "pools",
    .summary = "the pools and their ranges, with counts",
    .usage = "(--store=STORE | --server=URL) [-o table|json]",
    .help =
        "One line for each range: how many addresses or ports it has, how many of them are used,\n"
        "rest after a release, or are excluded, and what is free in its static and its dynamic\n"
        "band. In JSON, counts are text: a /48 has more than a number can tell.\n"
        "\n"
        "  ipallocctl pools --store=sqlite:/var/lib/ipalloc/services.db\n",
    .headings = headings,
    .show_item = show_pool,
};
