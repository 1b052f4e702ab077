/* repair.c: ipallocctl repair: a report first; then lines of it are applied. */
#include "command.h"

#include <inttypes.h>
#include <string.h>

static const char *const headings[] = {"KIND",      "POOL",  "PLACE", "OWNER",
                                       "SIGHTINGS", "STATE", "TEXT",  NULL};

static void show_line(const struct invocation *invocation, struct table *table,
                      struct json_object *line) {
    const char *result = json_member_text(line, "result");
    (void)invocation;
    table_member(table, line, "kind");
    table_member(table, line, "pool");
    table_member(table, line, json_member(line, "port") != NULL ? "port" : "address");
    table_member(table, line, "owner");
    table_member(table, line, "sightings");
    table_cell(table, result[0] != '\0'                        ? result
                      : json_member_truth(line, "ripe", false) ? "ripe"
                                                               : "not ripe");
    table_member(table, line, "text");
}

static int64_t number(struct json_object *members, const char *name) {
    return json_member_number(members, name, 0);
}

static void print_summary(struct json_object *members) {
    printf("%" PRId64 " leases looked at (%" PRId64 " of owners that are no Services left alone): "
           "%" PRId64 " leaks, %" PRId64 " missing, %" PRId64 " duplicates, %" PRId64
           " out of range; %" PRId64 " ripe\n",
           number(members, "leases"), number(members, "notJudged"), number(members, "leaks"),
           number(members, "missing"), number(members, "duplicates"), number(members, "outOfRange"),
           number(members, "ripe"));
    if (!json_member_truth(members, "stored", false)) {
        printf("what was seen is not noted: %s\n", json_member_text(members, "whyNotStored"));
    } else if (number(members, "leaks") + number(members, "missing") > number(members, "ripe")) {
        printf("a leak is ripe when a second report sees it at least %" PRId64 " s later\n",
               number(members, "graceSeconds"));
    }
}

static bool show_summary(const struct invocation *invocation, struct json_object *members,
                         struct text *problem) {
    bool applies = json_member(members, "applied") != NULL;
    if (!invocation->json && !applies) {
        print_summary(members);
    } else if (!invocation->json) {
        printf("%" PRId64 " applied%s, %" PRId64 " refused, %" PRId64 " left\n",
               number(members, "applied"), invocation->dry_run ? " (dry run)" : "",
               number(members, "refused"), number(members, "left"));
    }
    int64_t refused = number(members, "refused");
    if (refused > 0) {
        text_format(problem, "%" PRId64 " lines were refused: report again", refused);
    }
    return refused == 0;
}

static int read_report(struct invocation *invocation, const char *path, struct text *problem) {
    struct text bytes = {0};
    struct text why = {0};
    struct json_object *document = NULL;
    if (!file_read(path, &bytes, problem)) {
        text_clear(&bytes);
        return EXIT_REFUSED;
    }
    if (bytes.size > 0) {
        document = json_parse(bytes.data, bytes.size, &why);
    }
    bool fine = strcmp(json_member_text(document, "kind"), "RepairReport") == 0;
    if (fine) {
        struct json_object *items = json_member(document, "items");
        json_set(invocation->arguments, "lines", json_object_get(items));
    } else {
        show_add_clean(problem, path);
        text_format(problem, ": it is no report of ipallocctl repair --report -o json%s%s",
                    why.size > 0 ? ": " : "", why.size > 0 ? why.data : "");
    }
    json_object_put(document);
    text_clear(&bytes);
    text_clear(&why);
    return fine ? EXIT_DONE : EXIT_REFUSED;
}

static int choose(struct invocation *invocation, struct text *problem) {
    struct json_object *arguments = invocation->arguments;
    bool reports = json_member_truth(arguments, "report", false);
    struct json_object *apply = json_object_get(json_member(arguments, "apply"));
    int code = EXIT_DONE;
    json_remove(arguments, "report");
    json_remove(arguments, "apply");
    if (reports == (apply != NULL)) {
        text_add(problem, "repair: either --report, or --apply FILE with what it reported");
        code = EXIT_USAGE;
    } else if (!reports) {
        invocation->operation = admin_find("repair-apply");
        code = read_report(invocation, json_object_get_string(apply), problem);
    }
    json_object_put(apply);
    return code;
}

const struct command command_repair = {
    .name = "repair",
    .operation = "repair",
    .summary = "compare leases with the Services that should name them",
    .usage = "(--report | --apply FILE|-) [--grace SECONDS] [--dry-run]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help =
        "--report changes no lease. It finds leases that their Service does not name (leaks),\n"
        "addresses that a Service names without a lease (missing), and what is only reported:\n"
        "named by one and held by another, or in no range. --apply frees leaks and reserves what\n"
        "is missing, line by line, each only if lease and Service are still as reported.\n"
        "A leak is freed only after two reports have seen it at least the grace apart (default\n"
        "60 s). What an owner still names is never freed. Owners that are no Services are left\n"
        "alone. Beside the process that owns the store a report works, and notes nothing.\n"
        "\n"
        "  ipallocctl repair --report -o json --store=sqlite:services.db >report.json\n"
        "  ipallocctl repair --apply report.json --store=sqlite:services.db\n",
    .options = {{.flag = "--report", .argument = "report", .is_truth = true},
                {.flag = "--apply", .argument = "apply"},
                {.flag = "--grace", .argument = "grace"},
                {.flag = "--dry-run", .argument = "dryRun", .is_truth = true}},
    .headings = headings,
    .prepare = choose,
    .show_item = show_line,
    .show_end = show_summary,
};
