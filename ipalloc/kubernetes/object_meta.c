/*
 * object_meta.c: ObjectMeta (k8s.io/apimachinery, meta/v1/generated.proto).
 *
 * May use: base/, protobuf. Kubernetes' writer puts every field that is no pointer, empty or not,
 * and leaves out pointers, lists and maps that are empty. A time is a message {1 seconds, 2 nanos};
 * the creation time is always there, and empty where there is none.
 */
#include "kubernetes/object_meta.h"

#include "base/error.h"
#include "kubernetes/names.h"

enum field {
    NAME,
    GENERATE_NAME,
    NAMESPACE,
    SELF_LINK,
    UID,
    RESOURCE_VERSION,
    GENERATION,
    CREATION_TIME,
    DELETION_TIME,
    DELETION_GRACE,
    LABELS,
    ANNOTATIONS,
    OWNERS,
    FINALIZERS,
    CLUSTER_NAME,
    MANAGED_FIELDS,
    FIELDS
};

static const wire_field META[FIELDS] = {
    [NAME] = {"name", 1, WIRE_BYTES, WIRE_OPTIONAL},
    [GENERATE_NAME] = {"generateName", 2, WIRE_BYTES, WIRE_OPTIONAL},
    [NAMESPACE] = {"namespace", 3, WIRE_BYTES, WIRE_OPTIONAL},
    [SELF_LINK] = {"selfLink", 4, WIRE_BYTES, WIRE_OPTIONAL},
    [UID] = {"uid", 5, WIRE_BYTES, WIRE_OPTIONAL},
    [RESOURCE_VERSION] = {"resourceVersion", 6, WIRE_BYTES, WIRE_OPTIONAL},
    [GENERATION] = {"generation", 7, WIRE_VARINT, WIRE_OPTIONAL},
    [CREATION_TIME] = {"creationTimestamp", 8, WIRE_BYTES, WIRE_OPTIONAL},
    [DELETION_TIME] = {"deletionTimestamp", 9, WIRE_BYTES, WIRE_OPTIONAL},
    [DELETION_GRACE] = {"deletionGracePeriodSeconds", 10, WIRE_VARINT, WIRE_OPTIONAL},
    [LABELS] = {"labels", 11, WIRE_BYTES, WIRE_REPEATED},
    [ANNOTATIONS] = {"annotations", 12, WIRE_BYTES, WIRE_REPEATED},
    [OWNERS] = {"ownerReferences", 13, WIRE_BYTES, WIRE_REPEATED},
    [FINALIZERS] = {"finalizers", 14, WIRE_BYTES, WIRE_REPEATED},
    [CLUSTER_NAME] = {"clusterName", 15, WIRE_BYTES, WIRE_OPTIONAL}, /* before 1.24 */
    [MANAGED_FIELDS] = {"managedFields", 17, WIRE_BYTES, WIRE_REPEATED},
};

enum { ENTRY_KEY, ENTRY_VALUE, ENTRY_FIELDS };
static const wire_field ENTRY[ENTRY_FIELDS] = {
    {"key", 1, WIRE_BYTES, WIRE_OPTIONAL},
    {"value", 2, WIRE_BYTES, WIRE_OPTIONAL},
};

enum { TIME_SECONDS, TIME_NANOS, TIME_FIELDS };
static const wire_field TIME[TIME_FIELDS] = {
    {"seconds", 1, WIRE_VARINT, WIRE_OPTIONAL},
    {"nanos", 2, WIRE_VARINT, WIRE_OPTIONAL},
};

/* --- reading --------------------------------------------------------------------------------- */

static int read_entry(ipalloc_bytes bytes, wire_value entry[ENTRY_FIELDS], ipalloc_error *error) {
    return wire_read(&(wire_message){"label", bytes}, ENTRY, ENTRY_FIELDS, entry, NULL, error);
}

static int check_labels(ipalloc_bytes labels, ipalloc_error *error) {
    ipalloc_bytes bytes;
    wire_value entry[ENTRY_FIELDS];
    while (wire_next(&labels, &bytes)) {
        int status = read_entry(bytes, entry, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

static int read_time(const wire_value *field, const char *what, int64_t *out,
                     ipalloc_error *error) {
    wire_value values[TIME_FIELDS];
    int status =
        wire_read(&(wire_message){what, field->bytes}, TIME, TIME_FIELDS, values, NULL, error);
    *out = (int64_t)values[TIME_SECONDS].number;
    return status;
}

int object_meta_read(ipalloc_bytes bytes, object_meta *out, ipalloc_error *error) {
    wire_value values[FIELDS];
    int status = wire_read(&(wire_message){"metadata", bytes}, META, FIELDS, values, NULL, error);
    if (status != IPALLOC_OK)
        return status;
    *out = (object_meta){
        .name = values[NAME].bytes,
        .uid = values[UID].bytes,
        .deleting = values[DELETION_TIME].bytes.size > 0,
        .labels = values[LABELS].bytes,
        .managed_fields = values[MANAGED_FIELDS].bytes,
    };
    status = read_time(&values[CREATION_TIME], "creationTimestamp", &out->creation_time_s, error);
    if (status == IPALLOC_OK)
        status =
            read_time(&values[DELETION_TIME], "deletionTimestamp", &out->deletion_time_s, error);
    return status == IPALLOC_OK ? check_labels(out->labels, error) : status;
}

/* The last one of equal keys counts, as in Kubernetes' own reader. */
ipalloc_bytes object_meta_label(const object_meta *meta, const char *key) {
    ipalloc_bytes run = meta->labels, found = {"", 0}, bytes;
    wire_value entry[ENTRY_FIELDS];
    while (wire_next(&run, &bytes)) {
        read_entry(bytes, entry, NULL); /* object_meta_read has checked it */
        if (bytes_are(entry[ENTRY_KEY].bytes, key))
            found = entry[ENTRY_VALUE].bytes;
    }
    return found;
}

int object_meta_check_managed_fields(ipalloc_bytes run, ipalloc_error *error) {
    wire_value value;
    int status = wire_read(&(wire_message){"managed_fields", run}, &META[MANAGED_FIELDS], 1, &value,
                           NULL, error);
    if (status == IPALLOC_OK && value.bytes.size == run.size)
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_INVALID, "managed_fields: not ObjectMeta's managedFields");
}

ipalloc_bytes object_meta_empty(void) {
    static const uint8_t EMPTY[] = {0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0,
                                    0x2a, 0, 0x32, 0, 0x38, 0, 0x42, 0};
    return (ipalloc_bytes){EMPTY, sizeof EMPTY};
}

/* --- writing, from the back ------------------------------------------------------------------ */

static void put_time(wire_writer *w, enum field field, bool given, int64_t time_s) {
    size_t before = w->used;
    if (given) {
        wire_put_varint(w, TIME[TIME_NANOS].number, 0);
        wire_put_varint(w, TIME[TIME_SECONDS].number, (uint64_t)time_s);
    }
    wire_put_head(w, META[field].number, before);
}

static void put_label(wire_writer *w, const object_label *label) {
    size_t before = w->used;
    wire_put_text(w, ENTRY[ENTRY_VALUE].number, label->value);
    wire_put_text(w, ENTRY[ENTRY_KEY].number, label->key);
    wire_put_head(w, META[LABELS].number, before);
}

void object_meta_put(wire_writer *w, const object_meta *meta, const object_label *labels,
                     size_t label_count) {
    size_t before = w->used;
    wire_put_raw(w, meta->managed_fields.data, meta->managed_fields.size);
    for (size_t i = label_count; i > 0; i--)
        put_label(w, &labels[i - 1]);
    if (meta->deleting)
        put_time(w, DELETION_TIME, true, meta->deletion_time_s);
    put_time(w, CREATION_TIME, meta->creation_time_s != 0, meta->creation_time_s);
    wire_put_varint(w, META[GENERATION].number, 0);
    wire_put_text(w, META[RESOURCE_VERSION].number, "");
    wire_put_bytes(w, META[UID].number, meta->uid.data, meta->uid.size);
    wire_put_text(w, META[SELF_LINK].number, "");
    wire_put_text(w, META[NAMESPACE].number, "");
    wire_put_text(w, META[GENERATE_NAME].number, "");
    wire_put_bytes(w, META[NAME].number, meta->name.data, meta->name.size);
    wire_put_head(w, 1, before);
}
