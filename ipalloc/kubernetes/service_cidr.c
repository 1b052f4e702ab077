/*
 * service_cidr.c: ServiceCIDR{1 metadata, 2 spec{1 cidrs*}, 3 status{1 conditions*}}.
 *
 * May use: base/, the envelope, names. Rules: KEP-1880, ValidateServiceCIDR of Kubernetes.
 */
#include <ipalloc/kubernetes.h>

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/envelope.h"
#include "kubernetes/names.h"
#include "kubernetes/object_meta.h"

#include <string.h>

enum { QUOTED = 128 };

/* --- texts ----------------------------------------------------------------------------------- */

/* Validation was lax before 1.33 (KEP-4858): text of then is read as it was meant then. */
static int read_cidr(ipalloc_bytes text, ipalloc_cidr *out, ipalloc_error *error) {
    int status =
        text.data != NULL
            ? ipalloc_cidr_parse_legacy(text.data, text.size, out, NULL, error)
            : error_set(error, IPALLOC_E_INVALID, "\"\": a CIDR is needed, (e.g. 10.9.8.0/24)");
    return status == IPALLOC_OK ? status : in_context(status, "ServiceCIDR:", error);
}

static int read_cidrs(const ipalloc_bytes *texts, size_t count, ipalloc_service_cidr *out,
                      ipalloc_error *error) {
    if (texts == NULL || count == 0 || count > 2)
        return error_set(error, IPALLOC_E_INVALID, "ServiceCIDR: %zu CIDRs; it has one or two",
                         count);
    for (size_t i = 0; i < count; i++) {
        int status = read_cidr(texts[i], &out->cidrs[i], error);
        if (status != IPALLOC_OK)
            return status;
    }
    if (count == 2 && out->cidrs[0].base.family == out->cidrs[1].base.family)
        return error_set(error, IPALLOC_E_INVALID,
                         "ServiceCIDR: both CIDRs are IPv%d; there may be one of each family",
                         out->cidrs[0].base.family);
    out->cidr_count = count;
    return IPALLOC_OK;
}

static int make(ipalloc_bytes name, const ipalloc_bytes *cidrs, size_t cidr_count,
                ipalloc_service_cidr *out, ipalloc_error *error) {
    char quoted[QUOTED];
    *out = (ipalloc_service_cidr){.size = sizeof *out};
    name = bytes_given(name);
    if (!name_is_subdomain(name))
        return error_set(error, IPALLOC_E_INVALID,
                         "ServiceCIDR: the name \"%s\" is not a lowercase RFC 1123 subdomain",
                         text_quote(name.data, name.size, quoted, sizeof quoted));
    memcpy(out->name, name.data, name.size);
    return read_cidrs(cidrs, cidr_count, out, error);
}

int ipalloc_service_cidr_make(ipalloc_bytes name, const ipalloc_bytes *cidrs, size_t cidr_count,
                              ipalloc_service_cidr *out, ipalloc_error *error) {
    ipalloc_service_cidr made;
    int status = output_check(out, "ipalloc_service_cidr", error);
    if (status == IPALLOC_OK)
        status = make(name, cidrs, cidr_count, &made, error);
    if (status == IPALLOC_OK)
        output_copy(out, &made, sizeof made);
    return status;
}

/* --- protobuf -------------------------------------------------------------------------------- */

enum { METADATA, SPEC, STATUS, OBJECT_FIELDS };
static const wire_field OBJECT[OBJECT_FIELDS] = {
    {"metadata", 1, WIRE_BYTES, WIRE_REQUIRED},
    {"spec", 2, WIRE_BYTES, WIRE_REQUIRED},
    {"status", 3, WIRE_BYTES, WIRE_OPTIONAL},
};
static const wire_field CIDRS[] = {{"cidrs", 1, WIRE_BYTES, WIRE_REPEATED}};
static const wire_field CONDITIONS[] = {{"conditions", 1, WIRE_BYTES, WIRE_REPEATED}};

enum { CONDITION_TYPE, CONDITION_STATUS, CONDITION_FIELDS };
static const wire_field CONDITION[CONDITION_FIELDS] = {
    {"type", 1, WIRE_BYTES, WIRE_OPTIONAL},
    {"status", 2, WIRE_BYTES, WIRE_OPTIONAL},
};

static int read_spec(ipalloc_bytes spec, ipalloc_bytes cidrs[2], size_t *count,
                     ipalloc_error *error) {
    wire_value value;
    ipalloc_bytes text;
    int status = wire_read(&(wire_message){"spec", spec}, CIDRS, 1, &value, NULL, error);
    if (status != IPALLOC_OK)
        return status;
    for (*count = 0; wire_next(&value.bytes, &text); ++*count)
        if (*count < 2)
            cidrs[*count] = text;
    return IPALLOC_OK;
}

static int read_condition(ipalloc_bytes bytes, bool *seen, bool *ready, ipalloc_error *error) {
    wire_value values[CONDITION_FIELDS];
    int status = wire_read(&(wire_message){"condition", bytes}, CONDITION, CONDITION_FIELDS, values,
                           NULL, error);
    if (status != IPALLOC_OK || !bytes_are(values[CONDITION_TYPE].bytes, "Ready"))
        return status;
    if (*seen)
        return error_set(error, IPALLOC_E_CORRUPT, "status: the condition Ready is there twice");
    *seen = true;
    *ready = bytes_are(values[CONDITION_STATUS].bytes, "True");
    return IPALLOC_OK;
}

static int read_status(ipalloc_bytes bytes, bool *ready, ipalloc_error *error) {
    wire_value value;
    ipalloc_bytes condition;
    bool seen = false;
    *ready = false;
    int status = wire_read(&(wire_message){"status", bytes}, CONDITIONS, 1, &value, NULL, error);
    while (status == IPALLOC_OK && wire_next(&value.bytes, &condition))
        status = read_condition(condition, &seen, ready, error);
    return status;
}

/* OK; CORRUPT. What is no good text is damage in something stored. */
static int read_object(ipalloc_bytes object, ipalloc_service_cidr *out, ipalloc_error *error) {
    wire_value values[OBJECT_FIELDS];
    object_meta meta;
    ipalloc_bytes cidrs[2];
    size_t cidr_count;
    bool ready;
    int status = wire_read(&(wire_message){"ServiceCIDR", object}, OBJECT, OBJECT_FIELDS, values,
                           NULL, error);
    if (status == IPALLOC_OK)
        status = object_meta_read(values[METADATA].bytes, &meta, error);
    if (status == IPALLOC_OK)
        status = read_spec(values[SPEC].bytes, cidrs, &cidr_count, error);
    if (status == IPALLOC_OK)
        status = read_status(values[STATUS].bytes, &ready, error);
    if (status == IPALLOC_OK)
        status = corrupt_if_invalid(make(meta.name, cidrs, cidr_count, out, error), error);
    if (status != IPALLOC_OK)
        return status;
    out->ready = ready;
    out->deleting = meta.deleting;
    return IPALLOC_OK;
}

int ipalloc_service_cidr_decode(ipalloc_bytes stored, ipalloc_service_cidr *out,
                                ipalloc_error *error) {
    ipalloc_bytes object;
    ipalloc_service_cidr read;
    int status = output_check(out, "ipalloc_service_cidr", error);
    if (status == IPALLOC_OK)
        status = envelope_open(stored, IPALLOC_STORED_SERVICE_CIDR, &object, error);
    if (status == IPALLOC_OK)
        status = read_object(object, &read, error);
    if (status == IPALLOC_OK)
        output_copy(out, &read, sizeof read);
    return status;
}
