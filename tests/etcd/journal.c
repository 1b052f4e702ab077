/* journal.c: notes to files and back. */
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const OPERATION_NAMES[OPERATION_KINDS] = {
    "allocate", "reserve", "release", "transaction", "dry-run", "lookup", "holdings"};

typedef struct note {
    uint32_t phase;
    operation of;
} note;

uint64_t journal_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void journal_note(int file, enum note_phase phase, const operation *o) {
    note n;
    memset(&n, 0, sizeof n);
    n.phase = phase;
    n.of = *o;
    if (write(file, &n, sizeof n) != (ssize_t)sizeof n)
        abort();
}

static void append(operation **out, size_t *count, const operation *o) {
    if ((*count & (*count - 1)) == 0) { /* a power of two, or nothing yet: full */
        *out = realloc(*out, (*count > 0 ? 2 * *count : 1) * sizeof **out);
        if (*out == NULL)
            abort();
    }
    (*out)[(*count)++] = *o;
}

/* An operation whose end is missing: its client was killed. */
static void append_open(operation **out, size_t *count, operation *o) {
    o->end = NEVER;
    o->outcome = OUTCOME_UNKNOWN;
    append(out, count, o);
}

void journal_read(const char *path, operation **out, size_t *count) {
    FILE *file = fopen(path, "r");
    note n;
    operation open = {0};
    bool is_open = false;
    if (file == NULL)
        abort(); /* also called where no test of Check runs */
    while (fread(&n, sizeof n, 1, file) == 1) {
        if (n.phase == NOTE_BEGIN && is_open)
            append_open(out, count, &open);
        if (n.phase == NOTE_END)
            append(out, count, &n.of);
        open = n.of;
        is_open = n.phase != NOTE_END;
    }
    if (is_open)
        append_open(out, count, &open);
    fclose(file);
}

void journal_read_since(const char *path, uint64_t since, operation **out, size_t *count) {
    FILE *file = fopen(path, "r");
    note n;
    if (file == NULL)
        abort(); /* also called where no test of Check runs */
    fseek(file, 0, SEEK_END);
    long at = ftell(file) / (long)sizeof n;
    while (at-- > 0 && fseek(file, at * (long)sizeof n, SEEK_SET) == 0 &&
           fread(&n, sizeof n, 1, file) == 1 && n.of.begin >= since)
        if (n.phase == NOTE_END)
            append(out, count, &n.of);
    fclose(file);
}
