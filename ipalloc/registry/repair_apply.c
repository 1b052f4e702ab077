/*
 * repair_apply.c: applying a report, line by line.
 *
 * A line first looks whether lease, record and sighting are still as it says, so that a refusal can
 * tell what has changed; then the batch is conditional on the record's revision, the lease and the
 * sighting, so that what changes after the look refuses the commit. Nothing in a line is believed:
 * it may come from a file.
 *
 * Leaks of one owner that follow each other as a report has them are freed by one transaction,
 * since each one rewrites all that the store says of the owner. It is all of them or none: where
 * one is refused, each is tried again by itself, and answered as if it had been alone from the
 * start.
 */
#include "registry/repair.h"
#include "registry/txn.h"

#include <string.h>

enum {
    APPLY_ATTEMPTS = 2, /* a commit that met a change runs once more, to find out what it was */
    TOGETHER_MAX =
        IPALLOC_TXN_RECORDS_MAX - 1 /* each deletes its sighting; one checks the record */
};
_Static_assert(TOGETHER_MAX <= IPALLOC_TXN_ADDRESSES_MAX, "one transaction releases them");

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

/* All but the condition on the record's revision. */
static int free_lease(ipalloc_txn *txn, const applying *a, ipalloc_error *error) {
    const ipalloc_repair_line *line = a->line;
    uint64_t sighting_revision = 0;
    int status = check_lease(a, error);
    if (status == IPALLOC_OK)
        status = check_record(a, error);
    if (status == IPALLOC_OK)
        status = check_sighting(a, &sighting_revision, error);
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

static int free_leak(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    applying *a = context;
    int status = free_lease(txn, a, error);
    a->changes = true;
    if (status != IPALLOC_OK)
        return status;
    return ipalloc_txn_check(txn, a->line->record_key, a->line->record_revision, error);
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

/* --- leaks of one owner ----------------------------------------------------------------------- */

typedef struct together {
    ipalloc_registry *registry;
    uint64_t grace_ms;
    const ipalloc_repair_line *lines; /* all that were given */
    size_t first, count;              /* those that are tried together */
} together;

/* May one transaction free both? Places ascend as in a report, so that none occurs twice. */
static bool go_together(const ipalloc_repair_line *one, const ipalloc_repair_line *next) {
    int pools = strncmp(one->pool, next->pool, sizeof one->pool);
    int places = one->port != next->port ? one->port - next->port
                                         : ipalloc_addr_compare(&one->address, &next->address);
    return one->kind == IPALLOC_REPAIR_LEAK && next->kind == IPALLOC_REPAIR_LEAK &&
           strncmp(one->owner, next->owner, sizeof one->owner) == 0 &&
           strncmp(one->record_key, next->record_key, sizeof one->record_key) == 0 &&
           one->record_revision == next->record_revision &&
           (pools < 0 || (pools == 0 && places < 0));
}

/* How many of the lines from `first` on may be tried together; at least 1. */
static size_t count_together(const ipalloc_repair_line *lines, size_t first, size_t count) {
    ipalloc_repair_line pair[2]; /* this one and the one before, in turns */
    size_t last = count - first < TOGETHER_MAX ? count : first + TOGETHER_MAX;
    size_t i = first;
    while (i < last && copy_line(lines, i, &pair[i % 2], NULL) == IPALLOC_OK &&
           (i == first || go_together(&pair[(i + 1) % 2], &pair[i % 2])))
        i++;
    return i > first ? i - first : 1;
}

static int free_all(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const together *t = context;
    ipalloc_repair_line line = {.size = 0};
    int status = IPALLOC_OK;
    for (size_t i = t->first; status == IPALLOC_OK && i < t->first + t->count; i++) {
        applying a = {.registry = t->registry, .grace_ms = t->grace_ms, .line = &line};
        status = copy_line(t->lines, i, &line, error);
        if (status == IPALLOC_OK)
            status = read_line(&a, error);
        if (status == IPALLOC_OK)
            status = free_lease(txn, &a, error);
    }
    return status == IPALLOC_OK
               ? ipalloc_txn_check(txn, line.record_key, line.record_revision, error)
               : status;
}

static void count_freed(const together *t) {
    ipalloc_repair_line line;
    for (size_t i = t->first; i < t->first + t->count; i++)
        if (copy_line(t->lines, i, &line, NULL) == IPALLOC_OK) {
            ipalloc_pool *pool = cache_find_pool(t->registry, line.pool, strlen(line.pool));
            atomic_add_relaxed(&pool->repairs[IPALLOC_REPAIR_LEAK], 1);
        }
}

/* Free them all. False: none was freed, and each is to be tried by itself. Where the outcome is
 * unknown, so it is for each. */
static bool try_together(together *t, ipalloc_error *results) {
    ipalloc_repair_line line;
    ipalloc_error result = {0};
    int status = copy_line(t->lines, t->first, &line, &result);
    if (status != IPALLOC_OK || !texts_end(&line))
        return false;
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = line.owner, .max_attempts = APPLY_ATTEMPTS};
    status = ipalloc_transact(t->registry, &options, free_all, t, NULL, &result);
    if (status != IPALLOC_OK && status != IPALLOC_E_UNKNOWN_OUTCOME)
        return false;
    if (status == IPALLOC_OK) {
        result = (ipalloc_error){0};
        count_freed(t);
    }
    for (size_t i = t->first; i < t->first + t->count; i++)
        results[i] = result;
    return true;
}

/* Try one; its result is what `result` says. */
static int try_line(const together *t, size_t index, ipalloc_error *result) {
    ipalloc_repair_line line;
    applying a = {.registry = t->registry, .grace_ms = t->grace_ms, .line = &line};
    int status = copy_line(t->lines, index, &line, result);
    if (status == IPALLOC_OK)
        status = apply_line(&a, result);
    if (status == IPALLOC_OK)
        *result = (ipalloc_error){0}; /* what an attempt before may have said */
    result->status = status;          /* where a store of the program's own has not */
    return status;
}

/* *status is what has stopped all; then nothing is tried any more. */
static void try_each(const together *t, int *status, ipalloc_error *results, ipalloc_error *error) {
    for (size_t i = t->first; i < t->first + t->count; i++) {
        results[i] = (ipalloc_error){0};
        if (*status != IPALLOC_OK) {
            error_set(&results[i], *status, "not tried: an earlier line failed");
            continue;
        }
        int one = try_line(t, i, &results[i]);
        if (stops_all(one))
            *status = error_set(error, one, "%s", results[i].message);
    }
}

int ipalloc_repair_apply(ipalloc_registry *registry, const ipalloc_repair_options *options,
                         const ipalloc_repair_line *lines, size_t count, ipalloc_error *results,
                         ipalloc_error *error) {
    ipalloc_repair_options given;
    int status = check_apply(registry, lines, count, results, error);
    if (status == IPALLOC_OK)
        status = repair_options_read(&given, options, error);
    if (status == IPALLOC_OK)
        status = cache_catch_up(registry, error);
    if (status != IPALLOC_OK)
        return status;
    for (size_t i = 0; i < count;) {
        together t = {registry, given.grace_ms, lines, i, count_together(lines, i, count)};
        if (status != IPALLOC_OK || t.count == 1 || !try_together(&t, results))
            try_each(&t, &status, results, error);
        i += t.count;
    }
    return status;
}
