/*
 * repair_apply.c: applying a report, line by line.
 *
 * Each line is one transaction. It first looks whether lease, record and sighting are still as the
 * line says, so that a refusal can tell what has changed; then it makes the batch conditional on
 * the record's revision, the lease and the sighting, so that what changes after the look refuses
 * the commit. Nothing in a line is believed: it may come from a file.
 */
#include "registry/repair.h"
#include "registry/txn.h"

#include <string.h>

/* A commit that met a change runs once more, to find out what it was. */
enum { APPLY_ATTEMPTS = 2 };

typedef struct applying {
    ipalloc_registry *registry;
    uint64_t grace_ms;
    const ipalloc_repair_line *line;
    ipalloc_pool *pool;
    place place;
    bool changes; /* the transaction does; a line that was applied before does not */
    char address[IPALLOC_ADDR_TEXT];
} applying;

/* --- reading a line --------------------------------------------------------------------------- */

static bool text_ends(const char *text, size_t capacity) {
    return strnlen(text, capacity) < capacity;
}

static bool texts_end(const ipalloc_repair_line *line) {
    return text_ends(line->pool, sizeof line->pool) && text_ends(line->owner, sizeof line->owner) &&
           text_ends(line->record_key, sizeof line->record_key) &&
           text_ends(line->slots[0], sizeof line->slots[0]);
}

static int say_not_applied(const ipalloc_repair_line *line, ipalloc_error *error) {
    if (line->kind == IPALLOC_REPAIR_DUPLICATE || line->kind == IPALLOC_REPAIR_OUT_OF_RANGE)
        return error_set(error, IPALLOC_E_INVALID, "a finding of kind %s is reported only",
                         ipalloc_repair_kind_name(line->kind));
    return error_set(error, IPALLOC_E_INVALID, "%d is no kind of a finding", line->kind);
}

static int read_place(applying *a, ipalloc_error *error) {
    const ipalloc_repair_line *line = a->line;
    char quoted[100];
    a->pool = cache_find_pool(a->registry, line->pool, strlen(line->pool));
    if (a->pool == NULL)
        return error_set(error, IPALLOC_E_INVALID, "there is no pool %s",
                         text_quote(line->pool, strlen(line->pool), quoted, sizeof quoted));
    bool port_pool = a->pool->kind == IPALLOC_POOL_PORT;
    if (line->address.family != (port_pool ? 0 : a->pool->kind))
        return error_set(error, IPALLOC_E_INVALID, "pool %s is %s, and the line's address is not",
                         a->pool->name, pool_kind_name(a->pool->kind));
    a->place = port_pool ? place_of_port(line->port) : place_of_addr(&line->address);
    place_format(&a->place, a->address);
    return IPALLOC_OK;
}

static int read_line(applying *a, ipalloc_error *error) {
    const ipalloc_repair_line *line = a->line;
    if (line->kind != IPALLOC_REPAIR_LEAK && line->kind != IPALLOC_REPAIR_MISSING)
        return say_not_applied(line, error);
    if (!texts_end(line) || line->owner[0] == '\0' || line->record_key[0] == '\0')
        return error_set(error, IPALLOC_E_INVALID, "a line names an owner and its record");
    if (line->kind == IPALLOC_REPAIR_LEAK && line->generation == 0)
        return error_set(error, IPALLOC_E_INVALID, "a leak is of a lease, which has a generation");
    if (line->kind == IPALLOC_REPAIR_MISSING &&
        (line->record_revision == IPALLOC_REVISION_ABSENT || line->slots[0][0] == '\0'))
        return error_set(error, IPALLOC_E_INVALID,
                         "what is missing is listed by a record, for a "
                         "slot");
    if (line->record_revision == IPALLOC_REVISION_ANY)
        return error_set(error, IPALLOC_E_INVALID, "a line is judged by one revision of a record");
    return read_place(a, error);
}

/* --- is it still so? -------------------------------------------------------------------------- */

static int check_record(const applying *a, ipalloc_error *error) {
    const ipalloc_repair_line *line = a->line;
    char quoted[300];
    uint64_t revision;
    int status = repair_record_revision(a->registry, line->record_key, &revision, error);
    if (status != IPALLOC_OK || revision == line->record_revision)
        return status;
    text_quote(line->record_key, strlen(line->record_key), quoted, sizeof quoted);
    if (revision == IPALLOC_REVISION_ABSENT)
        return error_set(error, IPALLOC_E_CONFLICT, "record %s has been deleted since", quoted);
    if (line->record_revision == IPALLOC_REVISION_ABSENT)
        return error_set(error, IPALLOC_E_CONFLICT, "record %s has been made since", quoted);
    return error_set(error, IPALLOC_E_CONFLICT,
                     "record %s has been changed since: it is at revision %llu, not %llu", quoted,
                     (unsigned long long)revision, (unsigned long long)line->record_revision);
}

/* The lease of the line's place. OK; NOT_FOUND; CORRUPT; others of the store. */
static int fetch_lease(const applying *a, ipalloc_lease *out, ipalloc_error *error) {
    record_key key = key_of_lease(a->pool->name, &a->place);
    fetched record;
    int status = registry_fetch(a->registry, bytes_of_key(&key), &record, error);
    if (status != IPALLOC_OK)
        return status;
    bool fine = lease_parse(bytes_of_buffer(&record.value), &a->place, out);
    text_free(&record.value);
    return fine ? IPALLOC_OK : record_corrupt(error, bytes_of_key(&key), "is not a lease record");
}

static int check_lease(const applying *a, ipalloc_error *error) {
    const ipalloc_repair_line *line = a->line;
    ipalloc_lease lease;
    char quoted[300];
    int status = fetch_lease(a, &lease, error);
    if (status == IPALLOC_E_NOT_FOUND)
        return error_set(error, IPALLOC_E_CONFLICT, "%s of pool %s has been released since",
                         a->address, a->pool->name);
    if (status != IPALLOC_OK)
        return status;
    if (lease.generation == line->generation && strcmp(lease.owner, line->owner) == 0)
        return IPALLOC_OK;
    text_quote(lease.owner, strlen(lease.owner), quoted, sizeof quoted);
    return error_set(error, IPALLOC_E_CONFLICT,
                     "%s of pool %s has been released and leased again since: to %s in generation "
                     "%llu, not %llu",
                     a->address, a->pool->name, quoted, (unsigned long long)lease.generation,
                     (unsigned long long)line->generation);
}

/* The sighting of this lease, read from the store; *revision is its record's. That it was judged by
 * the record that the line names is the sighting's to say, too. */
static int check_sighting(const applying *a, uint64_t *revision, ipalloc_error *error) {
    record_key key = key_of_sighting(a->pool->name, &a->place);
    fetched record;
    sighting s = {0};
    char why_not[160];
    int status = registry_fetch(a->registry, bytes_of_key(&key), &record, error);
    if (status == IPALLOC_OK) {
        bool fine = sighting_parse(bytes_of_buffer(&record.value), &s);
        text_free(&record.value);
        if (!fine)
            return record_corrupt(error, bytes_of_key(&key), "is not a sighting record");
        *revision = record.revision;
    } else if (status != IPALLOC_E_NOT_FOUND) {
        return status;
    }
    if (s.generation != a->line->generation || strcmp(s.owner, a->line->owner) != 0 ||
        strcmp(s.record, a->line->record_key) != 0)
        s.count = 0; /* none, or of an earlier lease, or by another record */
    if (sightings_are_ripe(s.count, s.first_ms, s.last_ms, a->grace_ms, why_not, sizeof why_not))
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_INVALID, "%s of pool %s is not ripe: %s", a->address,
                     a->pool->name, why_not);
}

/* --- applying --------------------------------------------------------------------------------- */

/* The step was refused though the look before said that it holds. Where lease and owner's record
 * have not moved they contradict each other. */
static int explain(const applying *a, const ipalloc_txn *txn, int status, ipalloc_error *error) {
    if (status != IPALLOC_E_CONFLICT && status != IPALLOC_E_NOT_OWNER)
        return status;
    fetched record;
    int looked = check_lease(a, error);
    if (looked != IPALLOC_OK)
        return looked;
    int found = registry_fetch(a->registry, bytes_of_buffer(&txn->owner_key), &record, error);
    if (found == IPALLOC_OK)
        text_free(&record.value);
    else if (found != IPALLOC_E_NOT_FOUND)
        return found;
    if ((found == IPALLOC_OK ? record.revision : 0) != txn->owner_revision)
        return error_set(error, IPALLOC_E_CONFLICT,
                         "another transaction of this owner was committed in the meantime");
    return record_corrupt(error, bytes_of_buffer(&txn->owner_key),
                          "does not name a lease that is this owner's");
}

static int free_leak(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    applying *a = context;
    const ipalloc_repair_line *line = a->line;
    uint64_t sighting_revision = 0;
    a->changes = true;
    int status = check_lease(a, error);
    if (status == IPALLOC_OK)
        status = check_record(a, error);
    if (status == IPALLOC_OK)
        status = check_sighting(a, &sighting_revision, error);
    if (status == IPALLOC_OK)
        status = ipalloc_txn_check(txn, line->record_key, line->record_revision, error);
    if (status != IPALLOC_OK)
        return status;
    status = a->pool->kind == IPALLOC_POOL_PORT
                 ? ipalloc_txn_release_port(txn, a->pool, line->port, line->generation, error)
                 : ipalloc_txn_release(txn, a->pool, &line->address, line->generation, error);
    if (status != IPALLOC_OK)
        return explain(a, txn, status, error);
    record_key key = key_of_sighting(a->pool->name, &a->place);
    return txn_delete_own(txn, &key, sighting_revision, error);
}

static int reserve_missing(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    applying *a = context;
    const ipalloc_repair_line *line = a->line;
    ipalloc_grant grant = {.size = sizeof grant};
    int status = check_record(a, error);
    if (status == IPALLOC_OK)
        status = ipalloc_txn_check(txn, line->record_key, line->record_revision, error);
    if (status != IPALLOC_OK)
        return status;
    status = a->pool->kind == IPALLOC_POOL_PORT
                 ? ipalloc_txn_reserve_port(txn, a->pool, line->slots[0], line->port, &grant, error)
                 : ipalloc_txn_reserve(txn, a->pool, line->slots[0], &line->address, &grant, error);
    a->changes = !grant.existing;
    return status;
}

static int apply_line(applying *a, ipalloc_error *error) {
    int status = read_line(a, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = a->line->owner, .max_attempts = APPLY_ATTEMPTS};
    bool is_leak = a->line->kind == IPALLOC_REPAIR_LEAK;
    status = ipalloc_transact(a->registry, &options, is_leak ? free_leak : reserve_missing, a, NULL,
                              error);
    if (status == IPALLOC_OK && a->changes)
        atomic_add_relaxed(&a->pool->repairs[a->line->kind], 1);
    return status;
}

/* Would it be the same for every other line? */
static bool stops_all(int status) {
    return status == IPALLOC_E_IO || status == IPALLOC_E_UNAVAILABLE || status == IPALLOC_E_NOMEM ||
           status == IPALLOC_E_READ_ONLY || status == IPALLOC_E_MISMATCH;
}

/* The index-th of lines that may be of an older, shorter form. */
static int copy_line(const ipalloc_repair_line *lines, size_t index, ipalloc_repair_line *out,
                     ipalloc_error *error) {
    size_t size = lines[0].size;
    const void *line = (const char *)lines + index * size;
    int status = options_copy(out, sizeof *out, line, "ipalloc_repair_line", error);
    size_t own;
    memcpy(&own, line, sizeof own);
    if (status == IPALLOC_OK && own != size)
        return error_set(error, IPALLOC_E_INVALID, "the lines differ in size");
    return status;
}

static int check_apply(const ipalloc_registry *registry, const ipalloc_repair_line *lines,
                       size_t count, const ipalloc_error *results, ipalloc_error *error) {
    if (registry == NULL || (count > 0 && (lines == NULL || results == NULL)))
        return error_set(error, IPALLOC_E_INVALID,
                         "apply: registry, lines and results must not be NULL");
    if (count > 0 && lines[0].size < offsetof(ipalloc_repair_line, text))
        return error_set(error, IPALLOC_E_INVALID, "ipalloc_repair_line: size is %zu",
                         lines[0].size);
    return IPALLOC_OK;
}

/* Try one; its result is what `result` says. */
static int try_line(applying *a, const ipalloc_repair_line *lines, size_t index,
                    ipalloc_error *result) {
    ipalloc_repair_line line;
    a->line = &line;
    int status = copy_line(lines, index, &line, result);
    if (status == IPALLOC_OK)
        status = apply_line(a, result);
    if (status == IPALLOC_OK)
        *result = (ipalloc_error){0}; /* what an attempt before may have said */
    result->status = status;          /* where a store of the program's own has not */
    return status;
}

int ipalloc_repair_apply(ipalloc_registry *registry, const ipalloc_repair_options *options,
                         const ipalloc_repair_line *lines, size_t count, ipalloc_error *results,
                         ipalloc_error *error) {
    ipalloc_repair_options given;
    int status = check_apply(registry, lines, count, results, error);
    if (status == IPALLOC_OK)
        status = repair_options_read(&given, options, error);
    if (status == IPALLOC_OK)
        status = cache_refresh(registry, error);
    if (status != IPALLOC_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        applying a = {.registry = registry, .grace_ms = given.grace_ms};
        results[i] = (ipalloc_error){0};
        if (status != IPALLOC_OK) {
            error_set(&results[i], status, "not tried: an earlier line failed");
            continue;
        }
        int one = try_line(&a, lines, i, &results[i]);
        if (stops_all(one))
            status = error_set(error, one, "%s", results[i].message);
    }
    return status;
}
