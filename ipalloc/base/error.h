/*
 * error.h: the one way to fill in an ipalloc_error.
 *
 * Untrusted text goes into messages only through text_quote (text.h), so that a message never holds
 * control bytes or half a UTF-8 sequence.
 */
#ifndef IPALLOC_BASE_ERROR_H
#define IPALLOC_BASE_ERROR_H

#include <ipalloc/status.h>

/* Fill in `error` (NULL is fine) and return `status`: return error_set(error, IPALLOC_E_..., ...).
 */
int error_set(ipalloc_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the errno that is behind it; its text is appended to the message. */
int error_set_errno(ipalloc_error *error, int status, int system_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The usual one. */
int error_no_memory(ipalloc_error *error);

/* Check the `size` member that opens an options struct given as `options`, and copy it into `copy`
 * of `own_size` bytes, zero beyond what the caller knows. NULL options: all zero with size set. OK,
 * or INVALID. */
int options_copy(void *copy, size_t own_size, const void *options, const char *what,
                 ipalloc_error *error);

#endif
