/*
 * admin_repair.c: leases against the Services that should name them: a report, and applying lines
 * of one.
 *
 * What Services name is read by service_records.c. Leases of owners that are no Services are left
 * alone. A line of a report carries the lease's generation and its record's revision; it is applied
 * only where both are still so.
 */
#include "service_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX      100000
#define GRACE_S_MAX    (UINT64_C(1) << 32)
#define MS_PER_S       1000
#define REVISION_MAX   (UINT64_C(1) << 63)
#define GENERATION_MAX (UINT64_C(1) << 53)

/* --- what Services name ------------------------------------------------------------------------
 */

struct listing {
    struct admin *admin;
    ipalloc_live_list *list;
};

static int add_live(void *context, const struct service_claim *claim, ipalloc_error *error) {
    const struct listing *listing = context;
    ipalloc_live_claim live = {.size = sizeof live,
                               .owner = claim->owner,
                               .record_revision = claim->record_revision,
                               .pool = claim->pool,
                               .address = claim->place.address,
                               .port = claim->place.port,
                               .slot = claim->slot};
    return ipalloc_live_add(listing->list, &live, error);
}

static int list_live(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    struct listing listing = {.admin = context, .list = list};
    return service_claims_visit(listing.admin, add_live, &listing, error);
}

static bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    (void)context;
    return service_key_of_owner(owner, key);
}

static int note_one(void *context, const ipalloc_entry *entry) {
    (void)entry;
    *(bool *)context = true;
    return IPALLOC_OK;
}

/* An API server always has a Service or more. Where there is none, the Services are kept elsewhere,
 * and every lease would look like a leak. */
static int check_services(struct admin *admin, ipalloc_error *error) {
    bool some = false;
    int status = ipalloc_record_scan(admin->registry, SERVICE_RECORDS, NULL, 1, note_one, &some,
                                     NULL, error);
    return status != IPALLOC_OK || some
               ? status
               : admin_refuse(error, IPALLOC_E_NOT_FOUND,
                              "the store has no Services (records %s...), so nothing says which "
                              "leases are needed",
                              SERVICE_RECORDS);
}

static int report(struct admin *admin, uint64_t grace_ms, bool no_sightings,
                  ipalloc_repair_report **out, ipalloc_error *error) {
    ipalloc_live_set live = {
        .size = sizeof live, .context = admin, .record_of = record_of, .list = list_live};
    ipalloc_repair_options options = {
        .size = sizeof options, .grace_ms = grace_ms, .no_sightings = no_sightings};
    int status = check_services(admin, error);
    return status != IPALLOC_OK ? status
                                : ipalloc_repair(admin->registry, &live, &options, out, error);
}

/* --- lines as values ---------------------------------------------------------------------------
 */

static struct json_object *line_value(const ipalloc_repair_line *line) {
    struct json_object *value = json_object_new_object();
    struct json_object *slots = json_object_new_array();
    struct admin_place place = admin_place_of(&line->address, line->port);
    json_set_text(value, "kind", ipalloc_repair_kind_name(line->kind));
    json_set_text(value, "pool", line->pool);
    admin_set_place(value, &place);
    json_set_text(value, "owner", line->owner);
    json_set_text(value, "holder", line->holder);
    for (size_t i = 0; i < line->slot_count; i++) {
        json_object_array_add(slots, json_object_new_string(line->slots[i]));
    }
    json_set(value, "slots", slots);
    json_set_number(value, "generation", (int64_t)line->generation);
    json_set_text(value, "record", line->record_key);
    json_set_number(value, "recordRevision", (int64_t)line->record_revision);
    admin_set_moment(value, "firstSeen", line->first_seen_ms);
    admin_set_moment(value, "lastSeen", line->last_seen_ms);
    json_set_number(value, "sightings", (int64_t)line->sightings);
    json_set(value, "ripe", json_object_new_boolean(line->ripe));
    json_set_text(value, "text", line->text);
    return value;
}

static bool copy_text(struct json_object *value, const char *name, char *out, size_t capacity,
                      ipalloc_error *error) {
    const char *text = NULL;
    if (!admin_text(value, name, &text, error)) {
        return false;
    }
    size_t length = text != NULL ? strlen(text) : 0;
    if (length >= capacity) {
        admin_refuse(error, IPALLOC_E_INVALID, "%s: it is too long", name);
        return false;
    }
    memcpy(out, text != NULL ? text : "", length + 1);
    return true;
}

static int kind_of(const char *name) {
    for (int kind = IPALLOC_REPAIR_LEAK; kind <= IPALLOC_REPAIR_OUT_OF_RANGE; kind++) {
        if (strcmp(ipalloc_repair_kind_name(kind), name) == 0) {
            return kind;
        }
    }
    return 0;
}

static bool read_place(struct json_object *value, ipalloc_repair_line *line, ipalloc_error *error) {
    const char *address = NULL;
    uint64_t port = 0;
    if (!admin_text(value, "address", &address, error) ||
        !admin_number(value, "port", 0, UINT16_MAX, &port, error)) {
        return false;
    }
    line->port = (uint16_t)port;
    return address == NULL ||
           ipalloc_addr_parse(address, strlen(address), &line->address, error) == IPALLOC_OK;
}

static bool read_slots(struct json_object *value, ipalloc_repair_line *line, ipalloc_error *error) {
    struct json_object *slots = json_member(value, "slots");
    line->slot_count = json_length(slots);
    if (line->slot_count > IPALLOC_LEASE_SLOTS_MAX) {
        admin_refuse(error, IPALLOC_E_INVALID, "slots: at most %d", IPALLOC_LEASE_SLOTS_MAX);
        return false;
    }
    for (size_t i = 0; i < line->slot_count; i++) {
        struct json_object *slot = json_object_array_get_idx(slots, i);
        const char *text =
            json_object_is_type(slot, json_type_string) ? json_object_get_string(slot) : "";
        if (text[0] == '\0' || strlen(text) > IPALLOC_SLOT_MAX) {
            admin_refuse(error, IPALLOC_E_INVALID, "slots: 1 to %d bytes each", IPALLOC_SLOT_MAX);
            return false;
        }
        memcpy(line->slots[i], text, strlen(text) + 1);
    }
    return true;
}

/* What applying needs of a line; its sightings are read from the store and not believed. */
static bool read_line(struct json_object *value, ipalloc_repair_line *line, ipalloc_error *error) {
    *line = (ipalloc_repair_line){.size = sizeof *line};
    if (!json_object_is_type(value, json_type_object)) {
        admin_refuse(error, IPALLOC_E_INVALID, "lines: each is an item of a report");
        return false;
    }
    line->kind = kind_of(json_member_text(value, "kind"));
    return copy_text(value, "pool", line->pool, sizeof line->pool, error) &&
           copy_text(value, "owner", line->owner, sizeof line->owner, error) &&
           copy_text(value, "holder", line->holder, sizeof line->holder, error) &&
           copy_text(value, "record", line->record_key, sizeof line->record_key, error) &&
           admin_number(value, "generation", 0, GENERATION_MAX, &line->generation, error) &&
           admin_number(value, "recordRevision", 0, REVISION_MAX, &line->record_revision, error) &&
           admin_truth(value, "ripe", &line->ripe, error) && read_place(value, line, error) &&
           read_slots(value, line, error);
}

/* --- report ------------------------------------------------------------------------------------
 */

static void set_summary(struct json_object *members, const ipalloc_repair_summary *summary) {
    json_set_number(members, "leases", (int64_t)summary->leases);
    json_set_number(members, "notJudged", (int64_t)summary->not_judged);
    json_set_number(members, "live", (int64_t)summary->live);
    json_set_number(members, "leaks", (int64_t)summary->leaks);
    json_set_number(members, "missing", (int64_t)summary->missing);
    json_set_number(members, "duplicates", (int64_t)summary->duplicates);
    json_set_number(members, "outOfRange", (int64_t)summary->out_of_range);
    json_set_number(members, "ripe", (int64_t)summary->ripe);
    json_set_number(members, "moved", (int64_t)summary->moved);
    json_set_number(members, "revision", (int64_t)summary->revision);
    json_set_number(members, "graceSeconds", (int64_t)(summary->grace_ms / MS_PER_S));
    admin_set_moment(members, "time", summary->time_ms);
    json_set(members, "stored", json_object_new_boolean(summary->stored));
    json_set_text(members, "whyNotStored", summary->why_not_stored);
}

static bool read_options(struct json_object *arguments, uint64_t *grace_ms, bool *dry_run,
                         ipalloc_error *error) {
    uint64_t grace_s = 0;
    bool fine = admin_number(arguments, "grace", 0, GRACE_S_MAX, &grace_s, error) &&
                admin_truth(arguments, "dryRun", dry_run, error);
    if (fine && grace_s == 0 && json_member(arguments, "grace") != NULL) {
        admin_refuse(error, IPALLOC_E_INVALID, "grace: at least a second");
        return false;
    }
    *grace_ms = grace_s * MS_PER_S; /* 0: the default */
    return fine;
}

int admin_repair(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                 ipalloc_error *error) {
    uint64_t grace_ms = 0;
    bool dry_run = false;
    ipalloc_repair_report *found = NULL;
    ipalloc_repair_summary summary = {.size = sizeof summary};
    ipalloc_repair_line line = {.size = sizeof line};
    if (!read_options(arguments, &grace_ms, &dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = report(admin, grace_ms, dry_run, &found, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    for (size_t i = 0; ipalloc_repair_report_line(found, i, &line, NULL) == IPALLOC_OK; i++) {
        out->item(out->context, line_value(&line));
    }
    status = ipalloc_repair_report_summary(found, &summary, error);
    set_summary(out->members, &summary);
    ipalloc_repair_report_free(found);
    return status;
}

/* --- apply -------------------------------------------------------------------------------------
 */

struct applying {
    ipalloc_repair_line *lines; /* those that are tried */
    struct json_object **values;
    ipalloc_error *results;
    size_t count;
};

static void give_out(struct admin_output *out, struct json_object *value, const char *result,
                     const char *text) {
    json_set_text(value, "result", result);
    json_set_text(value, "text", text);
    out->item(out->context, json_object_get(value));
}

enum { FINDING_TEXT = IPALLOC_OWNER_MAX + IPALLOC_POOL_NAME_MAX + IPALLOC_ADDR_TEXT + 80 };

/* What makes two lines the same finding, as one text. */
static void name_finding(const ipalloc_repair_line *line, char out[FINDING_TEXT]) {
    char address[IPALLOC_ADDR_TEXT] = "";
    if (line->address.family != 0) {
        ipalloc_addr_format(&line->address, address);
    }
    snprintf(out, FINDING_TEXT, "%d %" PRIu64 " %" PRIu64 " %u %s %s %s", line->kind,
             line->generation, line->record_revision, line->port, address, line->pool, line->owner);
}

/* By its name, why each finding is not to be applied: "" where it is ripe. */
static struct json_object *index_findings(const ipalloc_repair_report *found) {
    struct json_object *index = json_object_new_object();
    ipalloc_repair_line line = {.size = sizeof line};
    char name[FINDING_TEXT];
    for (size_t i = 0; ipalloc_repair_report_line(found, i, &line, NULL) == IPALLOC_OK; i++) {
        name_finding(&line, name);
        json_set_text(index, name, line.ripe ? "" : line.text);
    }
    return index;
}

static int try_without_change(struct admin *admin, uint64_t grace_ms, struct applying *applying,
                              ipalloc_error *error) {
    ipalloc_repair_report *found = NULL;
    char name[FINDING_TEXT];
    int status = report(admin, grace_ms, true, &found, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    struct json_object *index = index_findings(found);
    for (size_t i = 0; i < applying->count; i++) {
        name_finding(&applying->lines[i], name);
        struct json_object *why_not = json_member(index, name);
        if (why_not == NULL) {
            admin_refuse(&applying->results[i], IPALLOC_E_CONFLICT, "it is not found so any more");
        } else if (json_object_get_string_len(why_not) > 0) {
            admin_refuse(&applying->results[i], IPALLOC_E_INVALID, "%s",
                         json_object_get_string(why_not));
        }
    }
    json_object_put(index);
    ipalloc_repair_report_free(found);
    return status;
}

static int apply(struct admin *admin, uint64_t grace_ms, bool dry_run, struct applying *applying,
                 ipalloc_error *error) {
    ipalloc_repair_options options = {.size = sizeof options, .grace_ms = grace_ms};
    if (applying->count == 0) {
        return IPALLOC_OK;
    }
    return dry_run ? try_without_change(admin, grace_ms, applying, error)
                   : ipalloc_repair_apply(admin->registry, &options, applying->lines,
                                          applying->count, applying->results, error);
}

/* Lines that a report marks as not ripe, or that are only reported, are left, not tried. */
static bool read_lines(struct json_object *lines, struct applying *applying,
                       struct admin_output *out, size_t *left, ipalloc_error *error) {
    for (size_t i = 0; i < json_length(lines); i++) {
        struct json_object *value = json_object_array_get_idx(lines, i);
        ipalloc_repair_line *line = &applying->lines[applying->count];
        if (!read_line(value, line, error)) {
            return false;
        }
        if (line->ripe) {
            applying->values[applying->count++] = value;
        } else {
            give_out(out, value, "left", json_member_text(value, "text"));
            (*left)++;
        }
    }
    return true;
}

static void give_results(const struct applying *applying, bool dry_run, size_t left,
                         struct admin_output *out) {
    size_t applied = 0;
    for (size_t i = 0; i < applying->count; i++) {
        const ipalloc_error *result = &applying->results[i];
        bool fine = result->status == IPALLOC_OK;
        applied += fine;
        give_out(out, applying->values[i], fine ? "applied" : "refused",
                 fine ? "" : result->message);
    }
    json_set_number(out->members, "applied", (int64_t)applied);
    json_set_number(out->members, "refused", (int64_t)(applying->count - applied));
    json_set_number(out->members, "left", (int64_t)left);
    json_set(out->members, "dryRun", json_object_new_boolean(dry_run));
}

int admin_repair_apply(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                       ipalloc_error *error) {
    struct json_object *lines = json_member(arguments, "lines");
    size_t count = json_length(lines);
    struct applying applying = {0};
    uint64_t grace_ms = 0;
    bool dry_run = false;
    size_t left = 0;
    if (!read_options(arguments, &grace_ms, &dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    if (!json_object_is_type(lines, json_type_array) || count > LINES_MAX) {
        return admin_refuse(error, IPALLOC_E_INVALID,
                            "lines: the items of a report, at most %d of them", LINES_MAX);
    }
    applying.lines = memory_allocate((count + 1) * sizeof *applying.lines);
    applying.values = memory_allocate((count + 1) * sizeof(struct json_object *));
    applying.results = memory_allocate((count + 1) * sizeof *applying.results);
    int status = read_lines(lines, &applying, out, &left, error)
                     ? apply(admin, grace_ms, dry_run, &applying, error)
                     : IPALLOC_E_INVALID;
    if (status == IPALLOC_OK) {
        give_results(&applying, dry_run, left, out);
    }
    free(applying.lines);
    free(applying.values);
    free(applying.results);
    return status;
}
