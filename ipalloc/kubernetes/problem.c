/*
 * problem.c: refusals in Kubernetes' words.
 *
 * Field errors read as apimachinery prints them ("Invalid value: ...: detail"), so that a client
 * cannot tell the difference; who holds an address, which Kubernetes does not say, goes into
 * `holder` and into the error's message, never into the text that is Kubernetes'.
 * Values are untrusted: they reach a message only escaped.
 */
#include "kubernetes/service_work.h"

#include "base/error.h"
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_LONG = 2048 }; /* room to format in before the message is cut to size */

/* --- showing values ---------------------------------------------------------------------------
 */

/* Append `text` in quotes; stops early rather than overflow. Returns the new length. */
static size_t append_quoted(char out[VALUE_TEXT], size_t used, const char *text) {
    char escaped[VALUE_TEXT / 2];
    size_t length = 0;
    for (const char *c = text; *c != '\0' && length + 2 < sizeof escaped; c++) {
        if (*c == '"' || *c == '\\')
            escaped[length++] = '\\';
        escaped[length++] = *c;
    }
    char printable[VALUE_TEXT];
    text_quote(escaped, length, printable, sizeof printable);
    int wrote = snprintf(out + used, VALUE_TEXT - used, "\"%s\"", printable);
    assert(wrote >= 0);
    return used + (size_t)wrote < VALUE_TEXT ? used + (size_t)wrote : VALUE_TEXT - 1;
}

const char *text_value(const char *text, char out[VALUE_TEXT]) {
    append_quoted(out, 0, text);
    return out;
}

static const char *list_value(const char (*list)[IPALLOC_SERVICE_TEXT], size_t count,
                              char out[VALUE_TEXT]) {
    size_t used = 0;
    for (size_t i = 0; i < count && used < VALUE_TEXT - 2; i++) {
        out[used++] = i == 0 ? '[' : ',';
        used = append_quoted(out, used, list[i]);
    }
    snprintf(out + used, VALUE_TEXT - used, "%s", count == 0 ? "[]" : "]");
    return out;
}

const char *cluster_ips_value(const ipalloc_service *service, char out[VALUE_TEXT]) {
    return list_value(service->cluster_ips, service->cluster_ip_count, out);
}

const char *ip_families_value(const ipalloc_service *service, char out[VALUE_TEXT]) {
    return list_value(service->ip_families, service->ip_family_count, out);
}

const char *number_value(int64_t number, char out[VALUE_TEXT]) {
    snprintf(out, VALUE_TEXT, "%lld", (long long)number);
    return out;
}

const char *indexed_field(const char *list, size_t index, const char *rest, char out[FIELD_TEXT]) {
    snprintf(out, FIELD_TEXT, "spec.%s[%zu]%s", list, index, rest);
    return out;
}

/* --- recording a refusal ----------------------------------------------------------------------
 */

static void keep(service_work *work, const char *reason, const char *field, const char *message,
                 const char *holder) {
    ipalloc_service_problems *all = work->problems;
    if (all == NULL || all->count == IPALLOC_SERVICE_PROBLEMS_MAX)
        return;
    ipalloc_service_problem *one = &all->items[all->count++];
    snprintf(one->reason, sizeof one->reason, "%s", reason);
    snprintf(one->field, sizeof one->field, "%s", field);
    snprintf(one->message, sizeof one->message, "%s", message);
    snprintf(one->holder, sizeof one->holder, "%s", holder);
}

static int record(service_work *work, int status, const char *reason, const char *field,
                  const char *holder, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static int record(service_work *work, int status, const char *reason, const char *field,
                  const char *holder, const char *format, ...) {
    char whole[MESSAGE_LONG], message[IPALLOC_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    text_quote(whole, strlen(whole), message, sizeof message); /* cuts at a whole character */
    keep(work, reason, field, message, holder);
    if (work->problem_count++ == 0) {
        char quoted[4 * IPALLOC_OWNER_MAX];
        error_set(work->error, status, "%s%s%s%s%s", field, field[0] != '\0' ? ": " : "", message,
                  holder[0] != '\0' ? "; held by " : "",
                  text_quote(holder, strlen(holder), quoted, sizeof quoted));
    }
    return status;
}

int problem_invalid(service_work *work, const char *field, const char *value, const char *detail) {
    return record(work, IPALLOC_E_INVALID, "FieldValueInvalid", field, "", "Invalid value: %s: %s",
                  value, detail);
}

int problem_forbidden(service_work *work, const char *field, const char *detail) {
    return record(work, IPALLOC_E_INVALID, "FieldValueForbidden", field, "", "Forbidden: %s",
                  detail);
}

int problem_required(service_work *work, const char *field) {
    return record(work, IPALLOC_E_INVALID, "FieldValueRequired", field, "", "Required value");
}

int problem_duplicate(service_work *work, const char *field, const char *value) {
    return record(work, IPALLOC_E_INVALID, "FieldValueDuplicate", field, "", "Duplicate value: %s",
                  value);
}

int problem_too_many(service_work *work, const char *field, size_t count, size_t count_max) {
    return record(work, IPALLOC_E_INVALID, "FieldValueTooMany", field, "",
                  "Too many: %zu: must have at most %zu items", count, count_max);
}

int problem_too_many_changes(service_work *work) {
    return record(work, IPALLOC_E_INVALID, "FieldValueTooMany", "spec.ports", "",
                  "Too many: %zu: must change at most %d addresses and node ports at once",
                  work->after.port_count, IPALLOC_TXN_ADDRESSES_MAX);
}

int problem_not_supported(service_work *work, const char *field, const char *value,
                          const char *const *supported, size_t supported_count) {
    char list[IPALLOC_ERROR_TEXT] = "";
    size_t used = 0;
    for (size_t i = 0; i < supported_count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s\"%s\"", i == 0 ? "" : ", ",
                                 supported[i]);
    return record(work, IPALLOC_E_INVALID, "FieldValueNotSupported", field, "",
                  "Unsupported value: %s: supported values: %s", value, list);
}

int problem_claim(service_work *work, int status, const char *field, const char *value,
                  const char *detail, const char *holder) {
    if (field == NULL)
        return record(work, status, "InternalError", "", holder, "%s", detail);
    return record(work, status, "FieldValueInvalid", field, holder, "Invalid value: %s: %s", value,
                  detail);
}
