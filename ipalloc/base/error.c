/*
 * error.c: filling in error records, and reading option structs that may be older than we are.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drop a UTF-8 sequence that the end of the buffer cut in half. */
static void drop_partial_utf8(char *message, size_t length) {
    size_t start = length;
    while (start > 0 && ((unsigned char)message[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)message[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length - (start - 1) < wanted)
        message[start - 1] = '\0';
}

/* strerror is not thread-safe, and strerror_r comes with two signatures: take either. */
__attribute__((unused)) static const char *result_gnu(const char *text, const char *buffer) {
    (void)buffer;
    return text;
}

__attribute__((unused)) static const char *result_posix(int failed, const char *buffer) {
    return failed != 0 ? "unknown error" : buffer;
}

static const char *errno_text(int number, char *buffer, size_t capacity) {
    buffer[0] = '\0';
    return _Generic(strerror_r(number, buffer, capacity), char * : result_gnu, int : result_posix)(
        strerror_r(number, buffer, capacity), buffer);
}

static void fill(ipalloc_error *error, int status, int system_errno, const char *format,
                 va_list arguments) {
    char message[IPALLOC_ERROR_TEXT]; /* the arguments may point into *error */
    int length = vsnprintf(message, sizeof message, format, arguments);
    if (length < 0) {
        message[0] = '\0';
        length = 0;
    }
    if (system_errno != 0 && (size_t)length < sizeof message) {
        char buffer[128];
        snprintf(message + length, sizeof message - (size_t)length, ": %s",
                 errno_text(system_errno, buffer, sizeof buffer));
    }
    drop_partial_utf8(message, strlen(message));
    memcpy(error->message, message, sizeof message);
    error->status = status;
    error->system_errno = system_errno;
}

void error_fill(ipalloc_error *error, int status, int system_errno, const char *format, ...) {
    if (error == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, system_errno, format, arguments);
    va_end(arguments);
}

int options_copy(void *copy, size_t own_size, const void *options, const char *what,
                 ipalloc_error *error) {
    memset(copy, 0, own_size);
    if (options == NULL) {
        memcpy(copy, &own_size, sizeof own_size);
        return IPALLOC_OK;
    }
    size_t given_size;
    memcpy(&given_size, options, sizeof given_size);
    if (given_size < sizeof given_size)
        return error_set(error, IPALLOC_E_INVALID, "%s: size is %zu; set it to sizeof(%s)", what,
                         given_size, what);
    memcpy(copy, options, given_size < own_size ? given_size : own_size);
    memcpy(copy, &own_size, sizeof own_size);
    return IPALLOC_OK;
}
