/*
 * repair_line.c: reading a report: its summary, its lines, and when a leak is ripe.
 */
#include "registry/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *ipalloc_repair_kind_name(int kind) {
    static const char *const NAMES[] = {
        [IPALLOC_REPAIR_LEAK] = "leak",
        [IPALLOC_REPAIR_MISSING] = "missing",
        [IPALLOC_REPAIR_DUPLICATE] = "duplicate",
        [IPALLOC_REPAIR_OUT_OF_RANGE] = "out-of-range",
    };
    bool known = kind >= IPALLOC_REPAIR_LEAK && kind <= IPALLOC_REPAIR_OUT_OF_RANGE;
    return known ? NAMES[kind] : "?";
}

/* --- ripe ------------------------------------------------------------------------------------- */

bool sightings_are_ripe(uint64_t count, uint64_t first_ms, uint64_t last_ms, uint64_t grace_ms,
                        char *out, size_t capacity) {
    if (count >= 2 && last_ms - first_ms >= grace_ms)
        return true;
    if (out == NULL)
        return false;
    if (count == 0)
        snprintf(out, capacity, "no sighting of it is stored");
    else if (count == 1)
        snprintf(out, capacity, "it was seen once");
    else
        snprintf(out, capacity, "it was seen over %" PRIu64 " ms", last_ms - first_ms);
    size_t used = strlen(out);
    snprintf(out + used, capacity - used,
             ", and is freed after two sightings at least %" PRIu64 " ms apart", grace_ms);
    return false;
}

static bool is_ripe(const ipalloc_repair_report *r, const finding *f, char *out, size_t capacity) {
    if (f->kind == IPALLOC_REPAIR_LEAK)
        return sightings_are_ripe(f->sightings, f->first_ms, f->last_ms, r->summary.grace_ms, out,
                                  capacity);
    if (f->kind != IPALLOC_REPAIR_MISSING && out != NULL)
        snprintf(out, capacity, "this is reported only");
    return f->kind == IPALLOC_REPAIR_MISSING;
}

bool finding_is_ripe(const ipalloc_repair_report *report, const finding *f) {
    return is_ripe(report, f, NULL, 0);
}

/* --- text ------------------------------------------------------------------------------------- */

/* Names cut to what leaves room for all of them in one message. */
enum { TEXT_NAME = 100 };
typedef char quoted_name[TEXT_NAME];

static const char *quote(const ipalloc_repair_report *r, size_t name, quoted_name out) {
    const char *text = live_name(&r->live, name);
    return text_quote(text, strlen(text), out, TEXT_NAME);
}

/* What is wrong, in one sentence without its end. */
static void say_what(const ipalloc_repair_report *r, const finding *f, ipalloc_repair_line *line) {
    char address[IPALLOC_ADDR_TEXT];
    quoted_name owner, holder = "", key;
    place_format(&f->place, address);
    quote(r, f->owner, owner);
    quote(r, f->key, key);
    if (f->has_holder)
        quote(r, f->holder, holder);
    if (f->kind == IPALLOC_REPAIR_LEAK && f->revision == IPALLOC_REVISION_ABSENT)
        snprintf(line->text, sizeof line->text, "%s is leased to %s, and there is no record %s",
                 address, owner, key);
    else if (f->kind == IPALLOC_REPAIR_LEAK)
        snprintf(line->text, sizeof line->text,
                 "%s is leased to %s, and record %s does not list it", address, owner, key);
    else if (f->kind == IPALLOC_REPAIR_MISSING)
        snprintf(line->text, sizeof line->text, "%s is listed by %s in %s, and nobody has a lease",
                 address, owner, key);
    else if (f->kind == IPALLOC_REPAIR_DUPLICATE)
        snprintf(line->text, sizeof line->text, "%s is listed by %s in %s, and %s %s", address,
                 owner, key, f->generation != 0 ? "leased to" : "by", holder);
    else
        snprintf(line->text, sizeof line->text, "%s is listed by %s in %s, and %s %s", address,
                 owner, key, f->pool != NULL ? "in no range of pool" : "there is no pool",
                 line->pool);
}

static void fill_text(const ipalloc_repair_report *r, const finding *f, ipalloc_repair_line *line) {
    char why_not[160];
    say_what(r, f, line);
    line->ripe = is_ripe(r, f, why_not, sizeof why_not);
    size_t used = strlen(line->text);
    if (!line->ripe)
        snprintf(line->text + used, sizeof line->text - used, "; %s", why_not);
}

/* --- lines and the summary -------------------------------------------------------------------- */

static void copy_name(const ipalloc_repair_report *r, size_t name, char *out, size_t capacity) {
    snprintf(out, capacity, "%s", live_name(&r->live, name));
}

static void fill_line(const ipalloc_repair_report *r, const finding *f, ipalloc_repair_line *line) {
    line->kind = f->kind;
    if (f->pool != NULL)
        snprintf(line->pool, sizeof line->pool, "%s", f->pool->name);
    else
        copy_name(r, f->pool_name, line->pool, sizeof line->pool);
    line->address = place_addr(&f->place);
    line->port = place_port(&f->place);
    copy_name(r, f->owner, line->owner, sizeof line->owner);
    copy_name(r, f->key, line->record_key, sizeof line->record_key);
    if (f->has_holder)
        copy_name(r, f->holder, line->holder, sizeof line->holder);
    size_t at = f->slots;
    for (; line->slot_count < f->slot_count; line->slot_count++) {
        copy_name(r, at, line->slots[line->slot_count], sizeof line->slots[0]);
        at += strlen(live_name(&r->live, at)) + 1;
    }
    line->generation = f->generation;
    line->record_revision = f->revision;
    line->first_seen_ms = f->first_ms;
    line->last_seen_ms = f->last_ms;
    line->sightings = f->sightings;
    fill_text(r, f, line);
}

int ipalloc_repair_report_line(const ipalloc_repair_report *report, size_t index,
                               ipalloc_repair_line *out, ipalloc_error *error) {
    if (report == NULL || out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID, "line: report, out and its size must be set");
    if (index >= report->count)
        return error_set(error, IPALLOC_E_NOT_FOUND, "the report has %zu lines, none of index %zu",
                         report->count, index);
    ipalloc_repair_line line = {.size = out->size};
    fill_line(report, &report->findings[index], &line);
    memcpy(out, &line, out->size < sizeof line ? out->size : sizeof line);
    return IPALLOC_OK;
}

int ipalloc_repair_report_summary(const ipalloc_repair_report *report, ipalloc_repair_summary *out,
                                  ipalloc_error *error) {
    if (report == NULL || out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID, "summary: report, out and its size must be set");
    ipalloc_repair_summary summary = report->summary;
    summary.size = out->size;
    memcpy(out, &summary, out->size < sizeof summary ? out->size : sizeof summary);
    return IPALLOC_OK;
}
