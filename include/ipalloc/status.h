/*
 * status.h: what every call answers, and what a program may plug into the library.
 *
 * Status codes, the error record, version, and hooks for memory, clocks, random
 * numbers and log lines. Nothing here depends on the other headers.
 *
 * Conventions of the whole API:
 *   - A call that can fail returns int: IPALLOC_OK (0) or a negative IPALLOC_E_*.
 *   - Details go to an ipalloc_error, the last parameter; NULL means "not wanted".
 *     It is written only when the call fails (and zeroed by nobody else).
 *   - Option and output structs start with `size_t size`, set to sizeof(the struct).
 *     0 is IPALLOC_E_INVALID; a smaller size (an older program) reads as zero for the
 *     rest; zero is always the default. A pointer to options may be NULL: all defaults.
 *   - Handles are opaque; closing or destroying NULL is fine. Everything on a handle is
 *     thread-safe unless a comment says otherwise. Handles do not survive fork().
 *   - The library starts no thread, reads no environment variable, prints nothing,
 *     touches no signal, keeps no global state and never aborts on bad input.
 */
#ifndef IPALLOC_STATUS_H
#define IPALLOC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define IPALLOC_API __attribute__((visibility("default")))
#else
#define IPALLOC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define IPALLOC_VERSION_MAJOR 0
#define IPALLOC_VERSION_MINOR 1
#define IPALLOC_VERSION_PATCH 0
#define IPALLOC_VERSION_TEXT  "0.1.0"

/* The version of the library that is linked, as text ("0.1.0"). Static; never freed. */
IPALLOC_API const char *ipalloc_version(void);

/* The one table of status codes: XX(name, value, text). Code, name and text are
 * generated from it, so that they cannot drift apart. */
#define IPALLOC_STATUS_MAP(XX)                                                 \
    XX(INVALID, -1, "invalid argument or text")                                \
    XX(NOMEM, -2, "out of memory")                                             \
    XX(FULL, -3, "range is full")                                              \
    XX(TAKEN, -4, "already allocated")                                         \
    XX(NOT_IN_RANGE, -5, "not in the range")                                   \
    XX(NOT_FOUND, -6, "not found")                                             \
    XX(NOT_OWNER, -7, "held by another owner")                                 \
    XX(CONFLICT, -8, "changed by somebody else in the meantime")               \
    XX(MISMATCH, -9, "differs from what the store holds")                      \
    XX(CORRUPT, -10, "stored data is damaged")                                 \
    XX(IO, -11, "input or output failed")                                      \
    XX(UNAVAILABLE, -12, "the store cannot be reached")                        \
    XX(UNKNOWN_OUTCOME, -13, "it is not known whether the commit took effect") \
    XX(BUSY, -14, "in use by another process or handle")                       \
    XX(READ_ONLY, -15, "opened for reading only")                              \
    XX(EXPIRED, -16, "the asked-for history is no longer kept")

typedef enum ipalloc_status {
    IPALLOC_OK = 0,
#define IPALLOC_STATUS_ENUM(name, value, text) IPALLOC_E_##name = (value),
    IPALLOC_STATUS_MAP(IPALLOC_STATUS_ENUM)
#undef IPALLOC_STATUS_ENUM
} ipalloc_status;

/* Static text for a status code ("range is full"); "unknown status" for any other number. */
IPALLOC_API const char *ipalloc_strerror(int status);

/* The name of a status code ("IPALLOC_E_FULL", "IPALLOC_OK"); "IPALLOC_E_?" for any other. */
IPALLOC_API const char *ipalloc_status_name(int status);

#define IPALLOC_ERROR_TEXT 512

/* What went wrong. `message` names the value, the rule and, where there is one, the holder;
 * it is always NUL-terminated valid UTF-8 without control characters. `system_errno` is 0 or the
 * errno behind it. */
typedef struct ipalloc_error {
    int status;
    int system_errno;
    char message[IPALLOC_ERROR_TEXT];
} ipalloc_error;

enum ipalloc_log_level { IPALLOC_LOG_INFO = 1, IPALLOC_LOG_WARNING = 2 };

/* What a program may plug in, per handle. Every member may be NULL for the default; the three
 * memory functions come together or not at all (INVALID). The struct is copied; `context` must
 * outlive the handle. All functions must be thread-safe if the handle is used by several threads.
 * Not hooked: libcidr's own memory, a short-lived block per parsed CIDR, SQLite's, OpenSSL's and
 * the resolver's. */
typedef struct ipalloc_hooks {
    size_t size;
    void *context;
    void *(*allocate)(void *context, size_t bytes);                 /* malloc */
    void *(*reallocate)(void *context, void *memory, size_t bytes); /* realloc */
    void (*deallocate)(void *context, void *memory);                /* free; gets NULL too */
    uint64_t (*wall_clock_ms)(void *context);                       /* since the Unix epoch */
    uint64_t (*monotonic_ms)(void *context);                        /* for rests and deadlines */
    uint64_t (*random)(void *context);                              /* 64 uniform bits */
    void (*log)(void *context, int level, const char *message);     /* default: silence */
} ipalloc_hooks;

#ifdef __cplusplus
}
#endif
#endif
