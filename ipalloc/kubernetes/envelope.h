/*
 * envelope.h: what is around an object in etcd: "k8s", a NUL byte, and runtime.Unknown.
 *
 * And ObjectMeta, which every object begins with.
 */
#ifndef IPALLOC_KUBERNETES_ENVELOPE_H
#define IPALLOC_KUBERNETES_ENVELOPE_H

#include "kubernetes/protobuf.h"
#include <ipalloc/kubernetes.h>

#define NETWORKING_V1 "networking.k8s.io/v1"

/* Output structs: OK or INVALID (NULL, size not set); and copy as much of `full` as `out` has room
 * for, which keeps its size. */
int output_check(const void *out, const char *what, ipalloc_error *error);
void output_copy(void *out, const void *full, size_t full_size);

/* A text that breaks a rule is an invalid argument, or damage where it was read from a store: the
 * same status with INVALID made CORRUPT, in *error too. */
int corrupt_if_invalid(int status, ipalloc_error *error);

/* The same status, with `what` put before the message. */
int in_context(int status, const char *what, ipalloc_error *error);

/* Find the object of the wanted kind. OK; INVALID (another form or kind); CORRUPT. */
int envelope_open(ipalloc_bytes stored, enum ipalloc_stored_kind wanted, ipalloc_bytes *object,
                  ipalloc_error *error);

/* Around the object that was just written. Tail first, then the object, then the head. */
void envelope_put_tail(wire_writer *w);
void envelope_put_head(wire_writer *w, const char *api_version, const char *kind);

/* Write what `put` writes of `object` into out, as the public encoders promise.
 * OK; NOMEM; INVALID (too long). */
typedef void (*envelope_put)(wire_writer *w, const void *object);
int envelope_encode(envelope_put put, const void *object, uint8_t *out, size_t capacity,
                    size_t *needed, ipalloc_error *error);

#endif
