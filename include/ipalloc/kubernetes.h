/*
 * kubernetes.h: what a real cluster keeps in etcd, read and written byte for byte.
 *
 * Three objects say which addresses and ports of a cluster are taken:
 *   RangeAllocation   one bitmap per range: /registry/ranges/serviceips, .../secondaryserviceips
 *                     (up to Kubernetes 1.33) and .../servicenodeports (every version)
 *   IPAddress         one object per ClusterIP: /registry/ipaddresses/<address>
 *   ServiceCIDR       which ranges ClusterIPs come from: /registry/servicecidrs/<name>
 * A value begins with "k8s" and a NUL byte, then comes protobuf (runtime.Unknown with the object
 * within); or it is JSON, or encrypted, which are recognised here and not read. Who reads JSON
 * gives its texts to the *_make functions: both ways share one validation.
 *
 * Reading believes nothing: every length, wire type, text and bit is checked, also those that
 * Kubernetes itself does not check (a bit beyond the end of a range counts as a used address
 * there). Messages must be as every Kubernetes server writes them: fields in ascending order, none
 * twice, no number longer than it need be. So a RangeAllocation that was read is written again to
 * the same bytes.
 *
 * All functions are pure: any thread may call them, and nothing is allocated but by libcidr, for
 * the time of a call that reads a CIDR. What is read borrows from the bytes that were read, where
 * it is an ipalloc_bytes: keep them as long.
 *
 * To change a live cluster's value, read it, change it, and write it on condition that etcd's
 * mod_revision is still the one that was read. Never write an IPAddress for which there is no
 * Service: kube-apiserver removes it after a minute.
 *
 * A value is what etcd's API gives; `etcdctl get --print-value-only` adds a newline that is not
 * part of it, and is refused as damage. The forms are those of k8s.io/api and k8s.io/apimachinery
 * v1.36, checked against its golden files and values that a kube-apiserver 1.36.2 stored; v1alpha1
 * and v1beta1 of the two younger objects are read by the same rules.
 */
#ifndef IPALLOC_KUBERNETES_H
#define IPALLOC_KUBERNETES_H

#include <ipalloc/addr.h>
#include <ipalloc/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longer values are refused: etcd takes 1.5 MiB unless told otherwise, and a bitmap of the largest
 * range that Kubernetes keeps in one (20 bits) has 128 KiB. */
#define IPALLOC_STORED_BYTES_MAX ((size_t)16 << 20)

#define IPALLOC_DNS_LABEL_TEXT     64  /* 63 bytes and a NUL */
#define IPALLOC_DNS_SUBDOMAIN_TEXT 254 /* 253 bytes and a NUL */

/* --- what a value is ------------------------------------------------------------------------- */

enum ipalloc_stored_kind {
    IPALLOC_STORED_OTHER = 0, /* in the envelope, and none of the three */
    IPALLOC_STORED_RANGE_ALLOCATION = 1,
    IPALLOC_STORED_IP_ADDRESS = 2,
    IPALLOC_STORED_SERVICE_CIDR = 3,
    IPALLOC_STORED_JSON = 4,     /* --storage-media-type=application/json */
    IPALLOC_STORED_ENCRYPTED = 5 /* k8s:enc:<provider>:..., encryption at rest */
};

typedef struct ipalloc_stored {
    size_t size;
    int kind;                  /* enum ipalloc_stored_kind */
    ipalloc_bytes api_version; /* "v1", "networking.k8s.io/v1"; empty for JSON and ENCRYPTED */
    ipalloc_bytes kind_name;   /* "RangeAllocation", "Service"; empty for JSON and ENCRYPTED */
    ipalloc_bytes provider;    /* ENCRYPTED: "aescbc", "kms" */
    ipalloc_bytes object;      /* the object's protobuf; for JSON and ENCRYPTED the whole value */
} ipalloc_stored;

/* Say what a stored value is by its first bytes and its envelope; the object is not looked into.
 * OK; CORRUPT (none of these forms, or a damaged envelope); INVALID (size, NULL). */
IPALLOC_API int ipalloc_stored_kind_of(ipalloc_bytes stored, ipalloc_stored *out,
                                       ipalloc_error *error);

/* --- RangeAllocation ------------------------------------------------------------------------- */

/* Which items of a range are taken. Item i is the i-th address that Kubernetes gives out, or the
 * i-th port, from 0. `size` is set by the caller; all other members by _decode and _make. */
typedef struct ipalloc_range_allocation {
    size_t size;
    bool is_ports;
    uint16_t port_first, port_last; /* of a range of ports */
    ipalloc_cidr cidr;              /* of a range of addresses */
    uint64_t item_count;            /* Kubernetes' maximum, at most 2^30: IPv4 all but the first and
                                       the last address, and 0 for /0 and /1; IPv6 all but the first
                                       of at most 65,536, and 0 for /0 and /1; every port */
    ipalloc_bytes range;            /* "10.96.0.0/16" or "30000-32767", as stored: kube-apiserver
                                       compares the text */
    ipalloc_bytes data;             /* bitmap, big-endian: item i is bit i % 8 of byte
                                       size - 1 - i / 8; NULL where the field was left out, which is
                                       an empty bitmap too, but not the same bytes */
    ipalloc_bytes metadata;         /* ObjectMeta, verbatim */
    ipalloc_bytes unknown;          /* fields behind `data` of a newer version, verbatim */
} ipalloc_range_allocation;

/* Read a stored value. Checked: envelope, ObjectMeta's form, the range's text (canonical), and that
 * no bit is set for an item that the range does not have. Leading zero bytes are read, although
 * Kubernetes writes none: they mean the same, within the range's length.
 * OK; INVALID (not a RangeAllocation: JSON, encrypted, another kind); CORRUPT (damaged: the message
 * says what and where); NOMEM (libcidr). *out is untouched unless OK. */
IPALLOC_API int ipalloc_range_allocation_decode(ipalloc_bytes stored, ipalloc_range_allocation *out,
                                                ipalloc_error *error);

/* Make one from its texts, as read from JSON or to be written anew: the range's text and the bitmap
 * (both borrowed), with an empty ObjectMeta. Validates what _decode does. OK; INVALID; NOMEM
 * (libcidr). */
IPALLOC_API int ipalloc_range_allocation_make(ipalloc_bytes range, ipalloc_bytes data,
                                              ipalloc_range_allocation *out, ipalloc_error *error);

/* Is this item taken? false too for one that the range does not have. */
IPALLOC_API bool ipalloc_range_allocation_has(const ipalloc_range_allocation *allocation,
                                              uint64_t item);

/* Walk the taken items in order: move *item to the first one that is taken, itself included.
 *     for (uint64_t i = 0; ipalloc_range_allocation_next(&a, &i) == IPALLOC_OK; i++)
 * OK; NOT_FOUND (*item is untouched). */
IPALLOC_API int ipalloc_range_allocation_next(const ipalloc_range_allocation *allocation,
                                              uint64_t *item);

/* How many items are taken. */
IPALLOC_API uint64_t ipalloc_range_allocation_count(const ipalloc_range_allocation *allocation);

/* Items to addresses or ports and back. OK; NOT_IN_RANGE (no such item, or none stands for it: the
 * ends of a range, what is behind the 65,536th address of an IPv6 range); INVALID (ports asked of a
 * range of addresses, or the other way round). */
IPALLOC_API int ipalloc_range_allocation_addr(const ipalloc_range_allocation *allocation,
                                              uint64_t item, ipalloc_addr *out);
IPALLOC_API int ipalloc_range_allocation_port(const ipalloc_range_allocation *allocation,
                                              uint64_t item, uint16_t *out);
IPALLOC_API int ipalloc_range_allocation_item(const ipalloc_range_allocation *allocation,
                                              const ipalloc_addr *address, uint64_t *item);
IPALLOC_API int ipalloc_range_allocation_item_of_port(const ipalloc_range_allocation *allocation,
                                                      uint16_t port, uint64_t *item);

/* To change what is taken: a buffer of _bitmap_size bytes gets the bitmap by _bitmap_load, items
 * are changed in it by _bitmap_set, and _bitmap_use makes it the allocation's data: the leading
 * zero bytes are left away, as Kubernetes does, and the rest is borrowed. */
IPALLOC_API size_t ipalloc_range_allocation_bitmap_size(const ipalloc_range_allocation *allocation);
/* OK; INVALID (`capacity` is not _bitmap_size). */
IPALLOC_API int ipalloc_range_allocation_bitmap_load(const ipalloc_range_allocation *allocation,
                                                     uint8_t *bitmap, size_t capacity);
/* OK; NOT_IN_RANGE (no such item); INVALID (`capacity` is not _bitmap_size). */
IPALLOC_API int ipalloc_range_allocation_bitmap_set(const ipalloc_range_allocation *allocation,
                                                    uint8_t *bitmap, size_t capacity, uint64_t item,
                                                    bool taken);
/* OK; INVALID (`capacity` is not _bitmap_size, or a bit is set that stands for no item). */
IPALLOC_API int ipalloc_range_allocation_bitmap_use(ipalloc_range_allocation *allocation,
                                                    const uint8_t *bitmap, size_t capacity,
                                                    ipalloc_error *error);

/* Write the stored value: the bytes that kube-apiserver writes. Metadata and unknown fields go out
 * as they came in. *needed gets the length. With out NULL (OK) or capacity too small nothing is
 * written.
 * OK; NOMEM (capacity too small, or libcidr); INVALID (range, data, metadata or unknown would not
 * be read again, or the value would be longer than IPALLOC_STORED_BYTES_MAX). */
IPALLOC_API int ipalloc_range_allocation_encode(const ipalloc_range_allocation *allocation,
                                                uint8_t *out, size_t capacity, size_t *needed,
                                                ipalloc_error *error);

/* --- IPAddress ------------------------------------------------------------------------------- */

#define IPALLOC_UID_TEXT 64

/* An address that is taken, and for whom. */
typedef struct ipalloc_ip_address {
    size_t size;
    ipalloc_addr address; /* its canonical text is the object's name */
    char uid[IPALLOC_UID_TEXT];
    int64_t creation_time_s; /* since the Unix epoch; 0: none */
    bool deleting;           /* it waits for its finalizers, and is still taken */
    int64_t deletion_time_s; /* when it is to be gone, if it is being deleted */
    bool managed;    /* label ipaddress.kubernetes.io/managed-by is ipallocator.k8s.io: made by
                        kube-apiserver for a Service; others are made by people */
    bool of_service; /* the parent is a Service: of no group, "services", a namespace, a name;
                        not looked at by _encode */
    char parent_group[IPALLOC_DNS_SUBDOMAIN_TEXT]; /* "" for Services */
    char parent_resource[IPALLOC_DNS_LABEL_TEXT];  /* "services" */
    char parent_namespace[IPALLOC_DNS_LABEL_TEXT];
    char parent_name[IPALLOC_DNS_SUBDOMAIN_TEXT];
    ipalloc_bytes managed_fields; /* ObjectMeta's managedFields, verbatim protobuf; empty: none */
} ipalloc_ip_address;

/* Its texts as they were read, not yet believed. What is left out is empty. */
typedef struct ipalloc_ip_address_text {
    size_t size;
    ipalloc_bytes name, uid;
    ipalloc_bytes family_label;     /* ipaddress.kubernetes.io/ip-family */
    ipalloc_bytes managed_by_label; /* ipaddress.kubernetes.io/managed-by */
    ipalloc_bytes parent_group, parent_resource, parent_namespace, parent_name;
} ipalloc_ip_address_text;

/* Validate texts as read from JSON and make an object of them, without times. The name must be the
 * canonical text of an address, the family label agree with it, and the parent have a resource and
 * a name that can stand in a path, in printable ASCII (resource and namespace up to 63 bytes, group
 * and name up to 253). What is managed must carry the family label and belong to a Service.
 * OK; INVALID (the message names the value and the rule). */
IPALLOC_API int ipalloc_ip_address_make(const ipalloc_ip_address_text *text,
                                        ipalloc_ip_address *out, ipalloc_error *error);

/* Read a stored value (networking.k8s.io/v1, v1beta1, v1alpha1) and validate it as _make does.
 * OK; INVALID (not an IPAddress); CORRUPT. *out is untouched unless OK. */
IPALLOC_API int ipalloc_ip_address_decode(ipalloc_bytes stored, ipalloc_ip_address *out,
                                          ipalloc_error *error);

/* Write the stored value as kube-apiserver does when it makes one (networking.k8s.io/v1): name,
 * uid, times, the two labels, managed_fields and the parent; other labels, annotations, owners and
 * finalizers that a value had are not kept. Capacity and *needed as in
 * ipalloc_range_allocation_encode. OK; NOMEM; INVALID. */
IPALLOC_API int ipalloc_ip_address_encode(const ipalloc_ip_address *object, uint8_t *out,
                                          size_t capacity, size_t *needed, ipalloc_error *error);

/* --- ServiceCIDR ----------------------------------------------------------------------------- */

typedef struct ipalloc_service_cidr {
    size_t size;
    char name[IPALLOC_DNS_SUBDOMAIN_TEXT];
    size_t cidr_count; /* 1 or 2, then of different families */
    ipalloc_cidr cidrs[2];
    bool ready;    /* its condition Ready is "True" */
    bool deleting; /* it has a deletionTimestamp: nothing is given out from it */
} ipalloc_service_cidr;

/* Validate texts as read from JSON: the name, and CIDRs of different families; old text, which was
 * accepted before 1.33, is read as ipalloc_cidr_parse_legacy does. `ready` and `deleting` are
 * false: the caller sets them. OK; INVALID; NOMEM (libcidr). */
IPALLOC_API int ipalloc_service_cidr_make(ipalloc_bytes name, const ipalloc_bytes *cidrs,
                                          size_t cidr_count, ipalloc_service_cidr *out,
                                          ipalloc_error *error);

/* Read a stored value (networking.k8s.io/v1, v1beta1, v1alpha1).
 * OK; INVALID (not a ServiceCIDR); CORRUPT; NOMEM (libcidr). *out is untouched unless OK. */
IPALLOC_API int ipalloc_service_cidr_decode(ipalloc_bytes stored, ipalloc_service_cidr *out,
                                            ipalloc_error *error);

#ifdef __cplusplus
}
#endif
#endif
