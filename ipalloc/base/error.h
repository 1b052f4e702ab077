/*
 * error.h: the one way to fill in an ipalloc_error.
 *
 * Untrusted text goes into messages only through text_quote (text.h), so that a message never holds
 * control bytes or half a UTF-8 sequence.
 */
#ifndef IPALLOC_BASE_ERROR_H
#define IPALLOC_BASE_ERROR_H

#include <ipalloc/status.h>

/* Fill in `error` (NULL is fine) and answer `status`: return error_set(error, IPALLOC_E_..., ...).
 * Macros, so that compilers and analyzers see at the call that the answer is not OK and do not
 * invent paths on which a failure went unnoticed. `status` is evaluated twice. */
#define error_set(error, status, ...) \
    (error_fill((error), (status), 0, __VA_ARGS__), error_answer(status))

/* The same with the errno that is behind it; its text is appended to the message. */
#define error_set_errno(error, status, system_errno, ...) \
    (error_fill((error), (status), (system_errno), __VA_ARGS__), error_answer(status))

/* The usual one. */
#define error_no_memory(error) error_set((error), IPALLOC_E_NOMEM, "out of memory")

/* The work of the three above. */
void error_fill(ipalloc_error *error, int status, int system_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static inline int error_answer(int status) {
    return status;
}

/* Check the `size` member that opens an options struct given as `options`, and copy it into `copy`
 * of `own_size` bytes, zero beyond what the caller knows. NULL options: all zero with size set. OK,
 * or INVALID. */
int options_copy(void *copy, size_t own_size, const void *options, const char *what,
                 ipalloc_error *error);

#endif
