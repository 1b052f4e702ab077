/*
 * journal.h: what clients asked for and were told, with times, in files that survive their death.
 *
 * A client writes a note before a call, one for each try inside it that shows what it would commit,
 * and one after it. Each is one write of one fixed form, so that a process killed between two of
 * them leaves whole notes. Times are CLOCK_MONOTONIC, which all processes of a machine share.
 */
#ifndef IPALLOC_TEST_ETCD_JOURNAL_H
#define IPALLOC_TEST_ETCD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STEPS_MAX = 8, CLIENTS_MAX = 32, POOLS_MAX = 4 };
#define NEVER          UINT64_MAX
#define NUMBER_UNKNOWN UINT32_MAX

/* What an operation does to, or sees of, one address of a pool. Addresses are numbers: the offset
 * in the pool, or the port. A lease is known by its generation, which is drawn at random. */
typedef enum step_kind {
    STEP_CLAIM,   /* was free, is the owner's in that slot */
    STEP_SEE,     /* is the owner's in that slot; `owner` of the step */
    STEP_RELEASE, /* was the owner's in that generation (0: in any), is free */
    STEP_FREE,    /* is nobody's */
} step_kind;

typedef struct step {
    uint8_t kind;
    uint8_t pool;
    uint16_t slot;
    uint32_t number; /* NUMBER_UNKNOWN: any */
    uint32_t owner;
    uint64_t generation; /* 0: not known */
} step;

typedef enum operation_kind {
    OPERATION_ALLOCATE,
    OPERATION_RESERVE,
    OPERATION_RELEASE,
    OPERATION_TRANSACTION,
    OPERATION_DRY_RUN,
    OPERATION_LOOKUP,
    OPERATION_HOLDINGS, /* all that an owner holds */
    OPERATION_KINDS
} operation_kind;

extern const char *const OPERATION_NAMES[OPERATION_KINDS];

typedef enum outcome {
    OUTCOME_OK,      /* happened */
    OUTCOME_REFUSED, /* nothing happened; steps that only see were seen */
    OUTCOME_FULL,    /* nothing happened, because nothing was free in `full_pool` */
    OUTCOME_UNKNOWN, /* nobody knows */
} outcome;

typedef struct operation {
    uint8_t kind, outcome, full_pool;
    bool keeps_claims; /* its process may go on holding what it has claimed (in memory) */
    uint16_t client, process;
    int16_t status; /* of the library */
    uint32_t owner;
    uint64_t begin, end; /* nanoseconds; NEVER: it has not ended */
    uint64_t revision;   /* of the commit; 0: not told, or none */
    uint64_t longest_ns; /* of the calls that it took */
    char longest_call[16];
    uint32_t step_count;
    step steps[STEPS_MAX];
} operation;

/* Write (a phase of) an operation to a journal. */
enum note_phase { NOTE_BEGIN, NOTE_TRY, NOTE_END };
void journal_note(int file, enum note_phase phase, const operation *o);
uint64_t journal_now(void);

/* All operations of a journal of one client, in order; one that has no end is UNKNOWN and has the
 * steps of its last try, or of its beginning. Appended to *out (realloc'd), *count. */
void journal_read(const char *path, operation **out, size_t *count);
/* Those of the last ones that have ended and began at `since` or later, newest first. */
void journal_read_since(const char *path, uint64_t since, operation **out, size_t *count);

#endif
