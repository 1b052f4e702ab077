/*
 * ip_address.c: IPAddress{1 metadata, 2 spec{1 parentRef{1 group, 2 resource, 3 namespace, 4
 * name}}}.
 *
 * May use: base/, the envelope, names. Rules: KEP-1880, ValidateIPAddress of Kubernetes; that what
 * is managed belongs to a Service is what its repair loop demands.
 */
#include <ipalloc/kubernetes.h>

#include "base/error.h"
#include "base/text.h"
#include "kubernetes/envelope.h"
#include "kubernetes/names.h"
#include "kubernetes/object_meta.h"

#include <stdio.h>
#include <string.h>

static const char FAMILY_LABEL[] = "ipaddress.kubernetes.io/ip-family";
static const char MANAGED_BY_LABEL[] = "ipaddress.kubernetes.io/managed-by";
static const char MANAGER[] = "ipallocator.k8s.io";
static const char *const FAMILY_NAMES[] = {[4] = "IPv4", [6] = "IPv6"};

enum { QUOTED = 128 };

/* --- texts ----------------------------------------------------------------------------------- */

static int refuse(ipalloc_bytes text, const char *what, const char *rule, ipalloc_error *error) {
    char quoted[QUOTED];
    return error_set(error, IPALLOC_E_INVALID, "IPAddress: %s \"%s\": %s", what,
                     text_quote(text.data, text.size, quoted, sizeof quoted), rule);
}

static int read_name(ipalloc_bytes name, ipalloc_addr *out, ipalloc_error *error) {
    char canonical[IPALLOC_ADDR_TEXT];
    if (name.size == 0)
        return refuse(name, "name", "it must be an address", error);
    int status = ipalloc_addr_parse(name.data, name.size, out, error);
    if (status != IPALLOC_OK)
        return in_context(status, "IPAddress: name", error);
    ipalloc_addr_format(out, canonical);
    if (bytes_are(name, canonical))
        return IPALLOC_OK;
    char rule[QUOTED];
    snprintf(rule, sizeof rule, "it is not the canonical text of an address; that is %s",
             canonical);
    return refuse(name, "name", rule, error);
}

static int check_parent(const ipalloc_ip_address_text *t, ipalloc_error *error) {
    if (t->parent_group.size > 0 && !name_is_subdomain(t->parent_group))
        return refuse(t->parent_group, "parentRef.group",
                      "must be empty or a lowercase RFC 1123 subdomain", error);
    if (!name_is_path_segment(t->parent_resource, IPALLOC_DNS_LABEL_TEXT - 1))
        return refuse(t->parent_resource, "parentRef.resource",
                      "must be a name of 1 to 63 characters", error);
    if (t->parent_namespace.size > 0 &&
        !name_is_path_segment(t->parent_namespace, IPALLOC_DNS_LABEL_TEXT - 1))
        return refuse(t->parent_namespace, "parentRef.namespace",
                      "must be empty or a name of up to 63 characters", error);
    if (!name_is_path_segment(t->parent_name, IPALLOC_DNS_SUBDOMAIN_TEXT - 1))
        return refuse(t->parent_name, "parentRef.name", "must be a name of 1 to 253 characters",
                      error);
    return IPALLOC_OK;
}

static bool is_of_service(const ipalloc_ip_address_text *t) {
    return t->parent_group.size == 0 && bytes_are(t->parent_resource, "services") &&
           name_is_label(t->parent_namespace) && name_is_label(t->parent_name);
}

/* Why what kube-apiserver manages is not of a Service. */
static int refuse_parent(const ipalloc_ip_address_text *t, ipalloc_error *error) {
    if (t->parent_group.size > 0)
        return refuse(t->parent_group, "parentRef.group",
                      "what ipallocator.k8s.io manages belongs to a Service, of no group", error);
    if (!bytes_are(t->parent_resource, "services"))
        return refuse(t->parent_resource, "parentRef.resource",
                      "what ipallocator.k8s.io manages belongs to services", error);
    if (!name_is_label(t->parent_namespace))
        return refuse(t->parent_namespace, "parentRef.namespace",
                      "a Service has a namespace, a lowercase RFC 1123 label", error);
    return refuse(t->parent_name, "parentRef.name",
                  "a Service's name is a lowercase RFC 1123 label", error);
}

static int check_labels(const ipalloc_ip_address_text *t, const ipalloc_ip_address *object,
                        ipalloc_error *error) {
    if (object->managed && !object->of_service)
        return refuse_parent(t, error);
    if (t->family_label.size == 0 && !object->managed)
        return IPALLOC_OK;
    return bytes_are(t->family_label, FAMILY_NAMES[object->address.family])
               ? IPALLOC_OK
               : refuse(t->family_label, FAMILY_LABEL,
                        object->address.family == 4 ? "the address is IPv4" : "the address is IPv6",
                        error);
}

static void copy_text(char *out, ipalloc_bytes text) { /* `out` is zero, and long enough */
    if (text.size > 0)
        memcpy(out, text.data, text.size);
}

static int make(const ipalloc_ip_address_text *t, ipalloc_ip_address *out, ipalloc_error *error) {
    *out = (ipalloc_ip_address){.size = sizeof *out,
                                .managed = bytes_are(t->managed_by_label, MANAGER),
                                .of_service = is_of_service(t)};
    int status = read_name(t->name, &out->address, error);
    if (status == IPALLOC_OK)
        status = check_parent(t, error);
    if (status == IPALLOC_OK)
        status = check_labels(t, out, error);
    if (status == IPALLOC_OK && t->uid.size > 0 && !name_is_word(t->uid, IPALLOC_UID_TEXT - 1))
        status = refuse(t->uid, "uid", "must be at most 63 printable characters", error);
    if (status != IPALLOC_OK)
        return status;
    copy_text(out->uid, t->uid);
    copy_text(out->parent_group, t->parent_group);
    copy_text(out->parent_resource, t->parent_resource);
    copy_text(out->parent_namespace, t->parent_namespace);
    copy_text(out->parent_name, t->parent_name);
    return IPALLOC_OK;
}

int ipalloc_ip_address_make(const ipalloc_ip_address_text *text, ipalloc_ip_address *out,
                            ipalloc_error *error) {
    ipalloc_ip_address_text own;
    ipalloc_ip_address made;
    int status = output_check(out, "ipalloc_ip_address", error);
    if (status == IPALLOC_OK)
        status = options_copy(&own, sizeof own, text, "ipalloc_ip_address_text", error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_bytes *const texts[] = {&own.name,
                                    &own.uid,
                                    &own.family_label,
                                    &own.managed_by_label,
                                    &own.parent_group,
                                    &own.parent_resource,
                                    &own.parent_namespace,
                                    &own.parent_name};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = bytes_given(*texts[i]);
    status = make(&own, &made, error);
    if (status == IPALLOC_OK)
        output_copy(out, &made, sizeof made);
    return status;
}

/* --- protobuf -------------------------------------------------------------------------------- */

enum { METADATA, SPEC, OBJECT_FIELDS };
static const wire_field OBJECT[OBJECT_FIELDS] = {
    {"metadata", 1, WIRE_BYTES, WIRE_REQUIRED},
    {"spec", 2, WIRE_BYTES, WIRE_REQUIRED},
};
static const wire_field SPEC_FIELD[] = {{"parentRef", 1, WIRE_BYTES, WIRE_REQUIRED}};

enum { GROUP, RESOURCE, NAMESPACE, NAME, PARENT_FIELDS };
static const wire_field PARENT[PARENT_FIELDS] = {
    {"group", 1, WIRE_BYTES, WIRE_OPTIONAL},
    {"resource", 2, WIRE_BYTES, WIRE_OPTIONAL},
    {"namespace", 3, WIRE_BYTES, WIRE_OPTIONAL},
    {"name", 4, WIRE_BYTES, WIRE_OPTIONAL},
};

static int read_spec(ipalloc_bytes spec, ipalloc_ip_address_text *text, ipalloc_error *error) {
    wire_value parent, values[PARENT_FIELDS];
    int status = wire_read(&(wire_message){"spec", spec}, SPEC_FIELD, 1, &parent, NULL, error);
    if (status == IPALLOC_OK)
        status = wire_read(&(wire_message){"parentRef", parent.bytes}, PARENT, PARENT_FIELDS,
                           values, NULL, error);
    if (status != IPALLOC_OK)
        return status;
    text->parent_group = values[GROUP].bytes;
    text->parent_resource = values[RESOURCE].bytes;
    text->parent_namespace = values[NAMESPACE].bytes;
    text->parent_name = values[NAME].bytes;
    return IPALLOC_OK;
}

/* OK; CORRUPT. What is no good text is damage in something stored. */
static int read_object(ipalloc_bytes bytes, ipalloc_ip_address *out, ipalloc_error *error) {
    wire_value values[OBJECT_FIELDS];
    object_meta meta;
    ipalloc_ip_address_text text = {.size = sizeof text};
    int status =
        wire_read(&(wire_message){"IPAddress", bytes}, OBJECT, OBJECT_FIELDS, values, NULL, error);
    if (status == IPALLOC_OK)
        status = object_meta_read(values[METADATA].bytes, &meta, error);
    if (status == IPALLOC_OK)
        status = read_spec(values[SPEC].bytes, &text, error);
    if (status != IPALLOC_OK)
        return status;
    text.name = meta.name;
    text.uid = meta.uid;
    text.family_label = object_meta_label(&meta, FAMILY_LABEL);
    text.managed_by_label = object_meta_label(&meta, MANAGED_BY_LABEL);
    status = corrupt_if_invalid(make(&text, out, error), error);
    out->creation_time_s = meta.creation_time_s;
    out->deleting = meta.deleting;
    out->deletion_time_s = meta.deletion_time_s;
    out->managed_fields = meta.managed_fields;
    return status;
}

int ipalloc_ip_address_decode(ipalloc_bytes stored, ipalloc_ip_address *out, ipalloc_error *error) {
    ipalloc_bytes object;
    ipalloc_ip_address read;
    int status = output_check(out, "ipalloc_ip_address", error);
    if (status == IPALLOC_OK)
        status = envelope_open(stored, IPALLOC_STORED_IP_ADDRESS, &object, error);
    if (status == IPALLOC_OK)
        status = read_object(object, &read, error);
    if (status == IPALLOC_OK)
        output_copy(out, &read, sizeof read);
    return status;
}

/* --- writing, from the back ------------------------------------------------------------------ */

static void put_parent(wire_writer *w, const ipalloc_ip_address *o) {
    size_t spec = w->used, parent = w->used;
    wire_put_text(w, PARENT[NAME].number, o->parent_name);
    wire_put_text(w, PARENT[NAMESPACE].number, o->parent_namespace);
    wire_put_text(w, PARENT[RESOURCE].number, o->parent_resource);
    wire_put_text(w, PARENT[GROUP].number, o->parent_group);
    wire_put_head(w, SPEC_FIELD[0].number, parent);
    wire_put_head(w, OBJECT[SPEC].number, spec);
}

static ipalloc_bytes text_bytes(const char *text) {
    return (ipalloc_bytes){text, strlen(text)};
}

static void put_object(wire_writer *w, const void *object) {
    const ipalloc_ip_address *o = object;
    char name[IPALLOC_ADDR_TEXT];
    ipalloc_addr_format(&o->address, name);
    object_meta meta = {.name = text_bytes(name),
                        .uid = text_bytes(o->uid),
                        .creation_time_s = o->creation_time_s,
                        .deleting = o->deleting,
                        .deletion_time_s = o->deletion_time_s,
                        .managed_fields = o->managed_fields};
    object_label labels[] = {{FAMILY_LABEL, FAMILY_NAMES[o->address.family]},
                             {MANAGED_BY_LABEL, MANAGER}};
    envelope_put_tail(w);
    size_t before = w->used;
    put_parent(w, o);
    object_meta_put(w, &meta, labels, o->managed ? 2 : 1);
    wire_put_head(w, 2, before);
    envelope_put_head(w, NETWORKING_V1, "IPAddress");
}

/* Text of a member array; it may lack its NUL, and then is too long for every rule. */
static ipalloc_bytes member_text(const char *member, size_t capacity) {
    return (ipalloc_bytes){member, strnlen(member, capacity)};
}

#define MEMBER(o, name) member_text((o)->name, sizeof(o)->name)

/* The same rules for what is written as for what is read. */
static int check_members(const ipalloc_ip_address *o, ipalloc_error *error) {
    char name[IPALLOC_ADDR_TEXT];
    ipalloc_addr_format(&o->address, name);
    ipalloc_ip_address made;
    ipalloc_ip_address_text text = {.size = sizeof text,
                                    .name = text_bytes(name),
                                    .uid = MEMBER(o, uid),
                                    .managed_by_label = text_bytes(o->managed ? MANAGER : ""),
                                    .parent_group = MEMBER(o, parent_group),
                                    .parent_resource = MEMBER(o, parent_resource),
                                    .parent_namespace = MEMBER(o, parent_namespace),
                                    .parent_name = MEMBER(o, parent_name)};
    if (o->managed && (o->address.family == 4 || o->address.family == 6))
        text.family_label = text_bytes(FAMILY_NAMES[o->address.family]);
    int status = make(&text, &made, error);
    return status == IPALLOC_OK ? object_meta_check_managed_fields(o->managed_fields, error)
                                : status;
}

int ipalloc_ip_address_encode(const ipalloc_ip_address *object, uint8_t *out, size_t capacity,
                              size_t *needed, ipalloc_error *error) {
    ipalloc_ip_address own;
    if (object == NULL || needed == NULL)
        return error_set(error, IPALLOC_E_INVALID, "IPAddress: NULL");
    int status = options_copy(&own, sizeof own, object, "ipalloc_ip_address", error);
    if (status == IPALLOC_OK)
        status = check_members(&own, error);
    return status == IPALLOC_OK ? envelope_encode(put_object, &own, out, capacity, needed, error)
                                : status;
}
