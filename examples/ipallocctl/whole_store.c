/* whole_store.c: ipallocctl backup and accept. */
#include "command.h"

static const char *const backup_headings[] = {"BACKUP", NULL};
static const char *const accept_headings[] = {"RESULT", "EPOCH", NULL};

static void show_backup(const struct invocation *invocation, struct table *table,
                        struct json_object *backup) {
    (void)invocation;
    table_member(table, backup, "path");
}

static void show_acceptance(const struct invocation *invocation, struct table *table,
                            struct json_object *acceptance) {
    bool restored = json_member_truth(acceptance, "restored", false);
    table_cell(table, !restored             ? "nothing to accept"
                      : invocation->dry_run ? "accepted (dry run)"
                                            : "accepted");
    table_member(table, acceptance, "epoch");
}

const struct command command_backup = {
    .name = "backup",
    .operation = "backup",
    .summary = "make a consistent copy of the store",
    .usage = "PATH (--store=STORE | --server=URL) [-o table|json]",
    .help = "Commits go on meanwhile. The file must not exist. With --server it is made by the\n"
            "server, where that runs. A copy allocates nothing until it is accepted, so that the\n"
            "original and the copy never both give out addresses.\n"
            "\n"
            "  ipallocctl backup services-monday.db --store=sqlite:services.db\n",
    .positionals = {"path"},
    .headings = backup_headings,
    .show_item = show_backup,
};

const struct command command_accept = {
    .name = "accept",
    .operation = "accept",
    .summary = "say that a copied or restored store is the one truth now",
    .usage = "[--dry-run] --store=STORE [-o table|json]",
    .help = "Until then it allocates nothing. Do it only when the original no longer runs.\n"
            "\n"
            "  ipallocctl accept --store=sqlite:services.db\n",
    .options = {{.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = accept_headings,
    .show_item = show_acceptance,
};
