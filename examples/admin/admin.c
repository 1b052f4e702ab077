/* admin.c: the table of operations, and their results as documents; see admin.h. */
#include "admin_work.h"

#include <stdio.h>
#include <string.h>

static const struct admin_operation operations[] = {
    {"pools", "PoolList", true, false, false, admin_pools, "", false},
    {"list", "LeaseList", true, false, false, admin_list, "pool owner", false},
    {"show", "PlaceList", true, false, false, admin_show, "place pool", false},
    {"map", "MapList", true, false, false, admin_map, "what cells", false},
    {"check", "Check", false, false, false, admin_check, "", false},
    {"allocate", "Grant", false, true, true, admin_allocate, "pool owner slot dryRun", false},
    {"reserve", "Grant", false, true, true, admin_reserve, "place pool owner slot dryRun", false},
    {"release", "ReleaseList", true, true, true, admin_release,
     "place pool owner generation all dryRun", false},
    {"exclude", "Exclusion", false, true, true, admin_exclude, "what pool dryRun", false},
    {"include", "Exclusion", false, true, true, admin_include, "what pool dryRun", false},
    {"repair", "RepairReport", true, true, true, admin_repair, "grace dryRun", true},
    {"repair-apply", "RepairResult", true, true, true, admin_repair_apply, "lines grace dryRun",
     false},
    {"export", "Export", true, false, false, admin_export, "", false},
    {"import", "Import", false, true, true, admin_import, "items define dryRun", false},
    {"backup", "Backup", false, false, true, admin_backup, "path", false},
    {"accept", "Acceptance", false, true, true, admin_accept, "dryRun", false},
};

const struct admin_operation *admin_find(const char *name) {
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, name) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

static bool is_argument(const struct admin_operation *operation, const char *name) {
    size_t length = strlen(name);
    const char *at = operation->arguments;
    while (*at != '\0') {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, name, length) == 0) {
            return true;
        }
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

int admin_run(const struct admin_operation *operation, struct admin *admin,
              struct json_object *arguments, struct admin_output *out, ipalloc_error *error) {
    json_object_object_foreach(arguments, name, value) {
        (void)value;
        if (!is_argument(operation, name)) {
            return admin_refuse(error, IPALLOC_E_INVALID, "%s takes no argument \"%.60s\"",
                                operation->name, name);
        }
    }
    return operation->run(admin, arguments, out, error);
}

void admin_document_begin(const struct admin_operation *operation, struct text *document) {
    text_format(document, "{\"kind\":\"%s\"", operation->kind);
    if (operation->is_list) {
        text_add(document, ",\"items\":[");
    }
}

void admin_document_item(struct text *document, bool first, struct json_object *item) {
    size_t size = 0;
    const char *line = json_line(item, &size);
    text_add(document, first ? "\n" : ",\n");
    text_append(document, line, size);
}

/* The members go on where the head stopped. */
void admin_document_end(const struct admin_operation *operation, struct json_object *members,
                        struct text *document) {
    size_t size = 0;
    if (operation->is_list) {
        text_add(document, "\n]");
    }
    const char *line = json_line(members, &size);
    if (size > strlen("{}")) {
        text_add(document, ",");
        text_append(document, line + 1, size - 1);
    } else {
        text_add(document, "}");
    }
    text_add(document, "\n");
}

struct collecting {
    struct text *document;
    bool some;
};

static void collect(void *context, struct json_object *item) {
    struct collecting *collecting = context;
    admin_document_item(collecting->document, !collecting->some, item);
    collecting->some = true;
    json_object_put(item);
}

int admin_document(const struct admin_operation *operation, struct admin *admin,
                   struct json_object *arguments, struct text *document, ipalloc_error *error) {
    struct collecting collecting = {.document = document};
    struct admin_output out = {
        .context = &collecting, .item = collect, .members = json_object_new_object()};
    admin_document_begin(operation, document);
    int status = admin_run(operation, admin, arguments, &out, error);
    if (status == IPALLOC_OK) {
        admin_document_end(operation, out.members, document);
    } else {
        text_clear(document);
    }
    json_object_put(out.members);
    return status;
}
