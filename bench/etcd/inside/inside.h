/* inside.h: the library's own client for bare.c and blob.c; see etcd_bench.h. */
#ifndef IPALLOC_BENCH_INSIDE_H
#define IPALLOC_BENCH_INSIDE_H

#include "../etcd_bench.h"

#include "store/etcd_txn.h"

/* A connection to the cluster. */
etcd_channel *inside_connect(const setup *s, hooks *h);

/* One transaction; its answer is freed with etcd_free_message. Only an answer is good enough. */
Etcd__TxnResponse *inside_send(etcd_channel *channel, const hooks *h, const uint8_t *request,
                               size_t size);
Etcd__TxnResponse *inside_do(etcd_channel *channel, const hooks *h,
                             const Etcd__TxnRequest *request);

/* A key of a read-only question: its revision and value (copied, NULL where it is absent). */
uint8_t *inside_read(etcd_channel *channel, const hooks *h, ProtobufCBinaryData key, size_t *size,
                     int64_t *revision);

/* Text as bytes of a message; packing only reads it. */
ProtobufCBinaryData inside_text(const char *text);

#endif
