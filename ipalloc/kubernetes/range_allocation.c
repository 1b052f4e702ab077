/*
 * range_allocation.c: RangeAllocation{1 metadata, 2 range, 3 data}, read and written.
 *
 * May use: base/, the envelope, range_bits. What is taken is range_bits.c's matter.
 * Invariant: what was read is written to the same bytes again, since the reader takes nothing that
 * the writer would write differently.
 */
#include <ipalloc/kubernetes.h>

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/envelope.h"
#include "kubernetes/names.h"
#include "kubernetes/object_meta.h"
#include "kubernetes/range_bits.h"

#include <stdio.h>
#include <string.h>

enum {
    QUOTED = 128,
    RANGE_TEXT_MAX = IPALLOC_CIDR_TEXT - 1,
    IPV6_ITEMS_MAX = 65535, /* Kubernetes keeps no larger bitmap: 2^16 less the network's own */
    COUNTED_PREFIX_MIN = 2  /* Kubernetes says that shorter prefixes have no addresses */
};

/* --- the range's text ------------------------------------------------------------------------ */

static int refuse_range(ipalloc_bytes range, const char *rule, ipalloc_error *error) {
    char quoted[QUOTED];
    return error_set(error, IPALLOC_E_INVALID, "RangeAllocation: range \"%s\": %s",
                     text_quote(range.data, range.size, quoted, sizeof quoted), rule);
}

/* utilnet.RangeSize, less the ends that are not given out. */
static uint64_t count_items(const ipalloc_cidr *cidr) {
    if (cidr->prefix_length < COUNTED_PREFIX_MIN)
        return 0;
    if (cidr->base.family == 4) {
        uint64_t total = (uint64_t)1 << (32 - cidr->prefix_length);
        return total > 2 ? total - 2 : 0;
    }
    unsigned host_bits = 128u - cidr->prefix_length;
    return host_bits >= 16 ? IPV6_ITEMS_MAX : ((uint64_t)1 << host_bits) - 1;
}

static int read_cidr(ipalloc_bytes range, ipalloc_range_allocation *out, ipalloc_error *error) {
    char canonical[IPALLOC_CIDR_TEXT];
    int status = ipalloc_cidr_parse(range.data, range.size, &out->cidr, error);
    if (status != IPALLOC_OK)
        return in_context(status, "RangeAllocation: range", error);
    ipalloc_cidr_format(&out->cidr, canonical);
    if (!bytes_are(range, canonical)) {
        char rule[QUOTED];
        snprintf(rule, sizeof rule, "it is not the canonical text of a CIDR; that is %s",
                 canonical);
        return refuse_range(range, rule, error);
    }
    out->item_count = count_items(&out->cidr);
    return IPALLOC_OK;
}

static int read_ports(ipalloc_bytes range, size_t dash, ipalloc_range_allocation *out,
                      ipalloc_error *error) {
    const char *text = range.data;
    uint64_t first, last;
    if (!text_parse_decimal(text, dash, UINT16_MAX, &first) ||
        !text_parse_decimal(text + dash + 1, range.size - dash - 1, UINT16_MAX, &last))
        return refuse_range(range, "ports are numbers from 0 to 65535 without leading zeros",
                            error);
    if (first > last)
        return refuse_range(range, "end port cannot be less than start port", error);
    out->is_ports = true;
    out->port_first = (uint16_t)first;
    out->port_last = (uint16_t)last;
    out->item_count = last - first + 1;
    return IPALLOC_OK;
}

static int read_range(ipalloc_bytes range, ipalloc_range_allocation *out, ipalloc_error *error) {
    if (range.size == 0 || range.size > RANGE_TEXT_MAX)
        return refuse_range(range, "a CIDR or a range of ports is needed", error);
    const char *dash = memchr(range.data, '-', range.size);
    return dash == NULL ? read_cidr(range, out, error)
                        : read_ports(range, (size_t)(dash - (const char *)range.data), out, error);
}

/* --- the bitmap ------------------------------------------------------------------------------ */

static int check_data(const ipalloc_range_allocation *a, ipalloc_error *error) {
    uint64_t item;
    const char *range = a->range.data;
    int length = (int)a->range.size; /* it is canonical by now */
    if (a->data.size > 0 && a->data.data == NULL)
        return error_set(error, IPALLOC_E_INVALID, "RangeAllocation %.*s: data is NULL", length,
                         range);
    if (range_bits_beyond(a->data, a->item_count, &item))
        return error_set(error, IPALLOC_E_INVALID,
                         "RangeAllocation %.*s: item %llu is taken, but the range has %llu", length,
                         range, (unsigned long long)item, (unsigned long long)a->item_count);
    if (a->data.size > range_bits_size(a->item_count))
        return error_set(error, IPALLOC_E_INVALID,
                         "RangeAllocation %.*s: %zu bytes of data; its %llu items need %zu at most",
                         length, range, a->data.size, (unsigned long long)a->item_count,
                         range_bits_size(a->item_count));
    return IPALLOC_OK;
}

static int make(ipalloc_bytes range, ipalloc_bytes data, ipalloc_range_allocation *out,
                ipalloc_error *error) {
    *out = (ipalloc_range_allocation){.size = sizeof *out,
                                      .range = bytes_given(range),
                                      .data = data,
                                      .metadata = object_meta_empty()};
    int status = read_range(out->range, out, error);
    return status == IPALLOC_OK ? check_data(out, error) : status;
}

int ipalloc_range_allocation_make(ipalloc_bytes range, ipalloc_bytes data,
                                  ipalloc_range_allocation *out, ipalloc_error *error) {
    ipalloc_range_allocation made;
    int status = output_check(out, "ipalloc_range_allocation", error);
    if (status == IPALLOC_OK)
        status = make(range, data, &made, error);
    if (status == IPALLOC_OK)
        output_copy(out, &made, sizeof made);
    return status;
}

int ipalloc_range_allocation_bitmap_use(ipalloc_range_allocation *allocation, const uint8_t *bitmap,
                                        size_t capacity, ipalloc_error *error) {
    if (allocation == NULL || bitmap == NULL)
        return error_set(error, IPALLOC_E_INVALID, "RangeAllocation: NULL");
    if (capacity != ipalloc_range_allocation_bitmap_size(allocation))
        return error_set(error, IPALLOC_E_INVALID,
                         "RangeAllocation: a bitmap of %zu bytes; %zu are needed", capacity,
                         ipalloc_range_allocation_bitmap_size(allocation));
    ipalloc_range_allocation changed = *allocation;
    changed.data = range_bits_trim(bitmap, capacity);
    int status = check_data(&changed, error);
    if (status == IPALLOC_OK)
        allocation->data = changed.data;
    return status;
}

/* --- protobuf -------------------------------------------------------------------------------- */

enum { METADATA, RANGE, DATA, FIELDS };
static const wire_field OBJECT[FIELDS] = {
    {"metadata", 1, WIRE_BYTES, WIRE_REQUIRED},
    {"range", 2, WIRE_BYTES, WIRE_REQUIRED},
    {"data", 3, WIRE_BYTES, WIRE_OPTIONAL},
};

/* OK; CORRUPT. What is no good text is damage in something stored. */
static int read_object(ipalloc_bytes bytes, ipalloc_range_allocation *out, ipalloc_error *error) {
    wire_value values[FIELDS];
    ipalloc_bytes unknown;
    object_meta meta;
    int status = wire_read(&(wire_message){"RangeAllocation", bytes}, OBJECT, FIELDS, values,
                           &unknown, error);
    if (status == IPALLOC_OK)
        status = object_meta_read(values[METADATA].bytes, &meta, error);
    if (status == IPALLOC_OK)
        status =
            corrupt_if_invalid(make(values[RANGE].bytes, values[DATA].bytes, out, error), error);
    if (status != IPALLOC_OK)
        return status;
    out->metadata = values[METADATA].bytes;
    out->unknown = unknown;
    return IPALLOC_OK;
}

int ipalloc_range_allocation_decode(ipalloc_bytes stored, ipalloc_range_allocation *out,
                                    ipalloc_error *error) {
    ipalloc_bytes object;
    ipalloc_range_allocation read;
    int status = output_check(out, "ipalloc_range_allocation", error);
    if (status == IPALLOC_OK)
        status = envelope_open(stored, IPALLOC_STORED_RANGE_ALLOCATION, &object, error);
    if (status == IPALLOC_OK)
        status = read_object(object, &read, error);
    if (status == IPALLOC_OK)
        output_copy(out, &read, sizeof read);
    return status;
}

static void put_object(wire_writer *w, const void *object) {
    const ipalloc_range_allocation *a = object;
    envelope_put_tail(w);
    size_t before = w->used;
    wire_put_raw(w, a->unknown.data, a->unknown.size);
    if (a->data.data != NULL)
        wire_put_bytes(w, OBJECT[DATA].number, a->data.data, a->data.size);
    wire_put_bytes(w, OBJECT[RANGE].number, a->range.data, a->range.size);
    wire_put_bytes(w, OBJECT[METADATA].number, a->metadata.data, a->metadata.size);
    wire_put_head(w, 2, before);
    envelope_put_head(w, "v1", "RangeAllocation");
}

/* The same rules for what is written as for what is read. */
static int check_members(const ipalloc_range_allocation *a, ipalloc_error *error) {
    ipalloc_range_allocation made;
    object_meta meta;
    wire_value data;
    ipalloc_bytes unknown;
    int status = make(a->range, a->data, &made, error);
    if (status != IPALLOC_OK)
        return status;
    if (a->metadata.data == NULL || object_meta_read(a->metadata, &meta, error) != IPALLOC_OK)
        return error_set(error, IPALLOC_E_INVALID, "RangeAllocation: metadata is no ObjectMeta");
    status =
        wire_read(&(wire_message){"unknown", a->unknown}, &OBJECT[DATA], 1, &data, &unknown, error);
    if (status != IPALLOC_OK || unknown.size != a->unknown.size)
        return error_set(error, IPALLOC_E_INVALID,
                         "RangeAllocation: unknown is not a row of fields behind data");
    return IPALLOC_OK;
}

int ipalloc_range_allocation_encode(const ipalloc_range_allocation *allocation, uint8_t *out,
                                    size_t capacity, size_t *needed, ipalloc_error *error) {
    if (allocation == NULL || needed == NULL)
        return error_set(error, IPALLOC_E_INVALID, "RangeAllocation: NULL");
    ipalloc_range_allocation own;
    int status = options_copy(&own, sizeof own, allocation, "ipalloc_range_allocation", error);
    if (status == IPALLOC_OK)
        status = check_members(&own, error);
    return status == IPALLOC_OK ? envelope_encode(put_object, &own, out, capacity, needed, error)
                                : status;
}
