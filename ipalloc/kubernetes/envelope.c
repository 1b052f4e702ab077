/*
 * envelope.c: runtime.Unknown, and the other forms that a value in etcd may have.
 *
 * May use: base/, protobuf, names. Unknown{1 typeMeta{1 apiVersion, 2 kind}, 2 raw, 3
 * contentEncoding, 4 contentType}; the last two are written, and empty. A field of it that we do
 * not know may change what the others mean, and is refused.
 */
#include "kubernetes/envelope.h"

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/names.h"

#include <string.h>

static const char MAGIC[4] = {'k', '8', 's', '\0'};
static const char ENCRYPTED[] = "k8s:enc:";
enum { TYPE_NAME_MAX = 320, PROVIDER_MAX = 64, QUOTED = 128 };

/* --- output structs -------------------------------------------------------------------------- */

int output_check(const void *out, const char *what, ipalloc_error *error) {
    size_t size = 0;
    if (out != NULL)
        memcpy(&size, out, sizeof size);
    if (size < sizeof size)
        return error_set(error, IPALLOC_E_INVALID, "%s: set size to sizeof(%s)", what, what);
    return IPALLOC_OK;
}

void output_copy(void *out, const void *full, size_t full_size) {
    size_t size;
    memcpy(&size, out, sizeof size);
    memcpy(out, full, size < full_size ? size : full_size);
    memcpy(out, &size, sizeof size);
}

int corrupt_if_invalid(int status, ipalloc_error *error) {
    if (status != IPALLOC_E_INVALID)
        return status;
    if (error != NULL)
        error->status = IPALLOC_E_CORRUPT;
    return IPALLOC_E_CORRUPT;
}

int in_context(int status, const char *what, ipalloc_error *error) {
    return error != NULL ? error_set(error, status, "%s %s", what, error->message) : status;
}

/* --- reading --------------------------------------------------------------------------------- */

enum { TYPE_META, RAW, CONTENT_ENCODING, CONTENT_TYPE, UNKNOWN_FIELDS };
static const wire_field UNKNOWN[UNKNOWN_FIELDS] = {
    {"typeMeta", 1, WIRE_BYTES, WIRE_REQUIRED},
    {"raw", 2, WIRE_BYTES, WIRE_REQUIRED},
    {"contentEncoding", 3, WIRE_BYTES, WIRE_REQUIRED},
    {"contentType", 4, WIRE_BYTES, WIRE_REQUIRED},
};

enum { API_VERSION, KIND, TYPE_META_FIELDS };
static const wire_field TYPE[TYPE_META_FIELDS] = {
    {"apiVersion", 1, WIRE_BYTES, WIRE_REQUIRED},
    {"kind", 2, WIRE_BYTES, WIRE_REQUIRED},
};

static int read_type(ipalloc_bytes bytes, ipalloc_stored *out, ipalloc_error *error) {
    wire_value values[TYPE_META_FIELDS];
    ipalloc_bytes unknown;
    int status = wire_read(&(wire_message){"typeMeta", bytes}, TYPE, TYPE_META_FIELDS, values,
                           &unknown, error);
    if (status != IPALLOC_OK)
        return status;
    if (unknown.size > 0)
        return error_set(error, IPALLOC_E_CORRUPT, "typeMeta: there is an unknown field");
    out->api_version = values[API_VERSION].bytes;
    out->kind_name = values[KIND].bytes;
    if (!name_is_word(out->api_version, TYPE_NAME_MAX) ||
        !name_is_word(out->kind_name, TYPE_NAME_MAX))
        return error_set(error, IPALLOC_E_CORRUPT, "typeMeta: apiVersion or kind is no name");
    return IPALLOC_OK;
}

static int read_unknown(ipalloc_bytes bytes, ipalloc_stored *out, ipalloc_error *error) {
    wire_value values[UNKNOWN_FIELDS];
    ipalloc_bytes unknown;
    int status = wire_read(&(wire_message){"envelope", bytes}, UNKNOWN, UNKNOWN_FIELDS, values,
                           &unknown, error);
    if (status != IPALLOC_OK)
        return status;
    if (unknown.size > 0)
        return error_set(error, IPALLOC_E_CORRUPT, "envelope: there is an unknown field");
    if (values[CONTENT_ENCODING].bytes.size > 0 || values[CONTENT_TYPE].bytes.size > 0)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "envelope: contentEncoding and contentType must be empty");
    out->object = values[RAW].bytes;
    return read_type(values[TYPE_META].bytes, out, error);
}

static bool is_networking(ipalloc_bytes api_version) {
    return bytes_are(api_version, NETWORKING_V1) || bytes_are(api_version, NETWORKING_V1 "beta1") ||
           bytes_are(api_version, NETWORKING_V1 "alpha1");
}

static enum ipalloc_stored_kind kind_of(const ipalloc_stored *s) {
    if (bytes_are(s->kind_name, "RangeAllocation") && bytes_are(s->api_version, "v1"))
        return IPALLOC_STORED_RANGE_ALLOCATION;
    if (bytes_are(s->kind_name, "IPAddress") && is_networking(s->api_version))
        return IPALLOC_STORED_IP_ADDRESS;
    if (bytes_are(s->kind_name, "ServiceCIDR") && is_networking(s->api_version))
        return IPALLOC_STORED_SERVICE_CIDR;
    return IPALLOC_STORED_OTHER;
}

static bool begins(ipalloc_bytes stored, const void *with, size_t length) {
    return stored.size >= length && memcmp(stored.data, with, length) == 0;
}

static int read_encrypted(ipalloc_bytes stored, ipalloc_stored *out, ipalloc_error *error) {
    const char *provider = (const char *)stored.data + (sizeof ENCRYPTED - 1);
    size_t rest = stored.size - (sizeof ENCRYPTED - 1);
    const char *colon = memchr(provider, ':', rest);
    if (colon == NULL ||
        !name_is_word((ipalloc_bytes){provider, (size_t)(colon - provider)}, PROVIDER_MAX))
        return error_set(error, IPALLOC_E_CORRUPT,
                         "stored value: begins with \"k8s:enc:\", but no provider follows");
    out->kind = IPALLOC_STORED_ENCRYPTED;
    out->provider = (ipalloc_bytes){provider, (size_t)(colon - provider)};
    return IPALLOC_OK;
}

/* OK; CORRUPT. */
static int look(ipalloc_bytes stored, ipalloc_stored *out, ipalloc_error *error) {
    *out = (ipalloc_stored){.size = sizeof *out, .object = stored};
    if (stored.data == NULL || stored.size == 0)
        return error_set(error, IPALLOC_E_CORRUPT, "stored value: it is empty");
    if (stored.size > IPALLOC_STORED_BYTES_MAX)
        return error_set(error, IPALLOC_E_CORRUPT, "stored value: %zu bytes; at most %zu are read",
                         stored.size, IPALLOC_STORED_BYTES_MAX);
    if (begins(stored, "{", 1)) {
        out->kind = IPALLOC_STORED_JSON;
        return IPALLOC_OK;
    }
    if (begins(stored, ENCRYPTED, sizeof ENCRYPTED - 1))
        return read_encrypted(stored, out, error);
    if (!begins(stored, MAGIC, sizeof MAGIC)) {
        char quoted[QUOTED];
        size_t shown = stored.size < 16 ? stored.size : 16;
        return error_set(error, IPALLOC_E_CORRUPT,
                         "stored value: begins with \"%s\"; Kubernetes writes \"k8s\" and a NUL "
                         "byte, or JSON",
                         text_quote(stored.data, shown, quoted, sizeof quoted));
    }
    ipalloc_bytes rest = {(const uint8_t *)stored.data + sizeof MAGIC, stored.size - sizeof MAGIC};
    int status = read_unknown(rest, out, error);
    out->kind = kind_of(out);
    return status;
}

int ipalloc_stored_kind_of(ipalloc_bytes stored, ipalloc_stored *out, ipalloc_error *error) {
    int status = output_check(out, "ipalloc_stored", error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_stored found;
    status = look(stored, &found, error);
    if (status == IPALLOC_OK)
        output_copy(out, &found, sizeof found);
    return status;
}

static const char *const KIND_NAMES[] = {
    [IPALLOC_STORED_RANGE_ALLOCATION] = "RangeAllocation",
    [IPALLOC_STORED_IP_ADDRESS] = "IPAddress",
    [IPALLOC_STORED_SERVICE_CIDR] = "ServiceCIDR",
};

static int refuse_kind(const ipalloc_stored *found, const char *wanted, ipalloc_error *error) {
    char first[QUOTED], second[QUOTED];
    if (found->kind == IPALLOC_STORED_JSON)
        return error_set(error, IPALLOC_E_INVALID,
                         "%s: the value is JSON, not protobuf: read it with a JSON parser", wanted);
    if (found->kind == IPALLOC_STORED_ENCRYPTED)
        return error_set(
            error, IPALLOC_E_INVALID,
            "%s: the value is encrypted at rest (provider %s): read it through "
            "kube-apiserver",
            wanted, text_quote(found->provider.data, found->provider.size, first, sizeof first));
    return error_set(
        error, IPALLOC_E_INVALID, "%s: the value is of kind %s, %s", wanted,
        text_quote(found->kind_name.data, found->kind_name.size, first, sizeof first),
        text_quote(found->api_version.data, found->api_version.size, second, sizeof second));
}

int envelope_open(ipalloc_bytes stored, enum ipalloc_stored_kind wanted, ipalloc_bytes *object,
                  ipalloc_error *error) {
    ipalloc_stored found;
    int status = look(stored, &found, error);
    if (status != IPALLOC_OK)
        return status;
    if (found.kind != (int)wanted)
        return refuse_kind(&found, KIND_NAMES[wanted], error);
    *object = found.object;
    return IPALLOC_OK;
}

/* --- writing --------------------------------------------------------------------------------- */

void envelope_put_tail(wire_writer *w) {
    wire_put_text(w, 4, "");
    wire_put_text(w, 3, "");
}

void envelope_put_head(wire_writer *w, const char *api_version, const char *kind) {
    size_t before = w->used;
    wire_put_text(w, 2, kind);
    wire_put_text(w, 1, api_version);
    wire_put_head(w, 1, before);
    wire_put_raw(w, MAGIC, sizeof MAGIC);
}

int envelope_encode(envelope_put put, const void *object, uint8_t *out, size_t capacity,
                    size_t *needed, ipalloc_error *error) {
    wire_writer w = {NULL, 0, 0};
    put(&w, object);
    if (w.used > IPALLOC_STORED_BYTES_MAX)
        return error_set(error, IPALLOC_E_INVALID,
                         "stored value: it would have %zu bytes; at most %zu are written", w.used,
                         IPALLOC_STORED_BYTES_MAX);
    *needed = w.used;
    if (out == NULL)
        return IPALLOC_OK;
    if (capacity < w.used)
        return error_set(error, IPALLOC_E_NOMEM, "stored value: %zu bytes do not fit in %zu",
                         w.used, capacity);
    w = (wire_writer){out, w.used, 0};
    put(&w, object);
    return IPALLOC_OK;
}
