/*
 * fake_etcd_internal.h: what the two files of the fake server share.
 */
#ifndef IPALLOC_TEST_ETCD_FAKE_ETCD_INTERNAL_H
#define IPALLOC_TEST_ETCD_FAKE_ETCD_INTERNAL_H

#include "fake_etcd.h"

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum { FAKE_CONNECTIONS_MAX = 64 };

typedef struct fake_connection fake_connection;

typedef struct fake_stream {
    struct fake_stream *next;
    fake_connection *connection;
    int32_t id;
    uint64_t name;
    char method[128], token[256];
    int messages;
    uint8_t *in, *out;
    size_t in_length, out_length;
    bool begun, ended; /* headers were sent; trailers follow what is in `out` */
    int code;
    char text[256];
} fake_stream;

struct fake_connection {
    fake_etcd *server;
    int socket; /* -1: none */
    int number;
    SSL *ssl;
    bool secured;
    nghttp2_session *session;
    fake_stream *streams;
    unsigned open;
    uint8_t *out;
    size_t out_length;
};

struct fake_etcd {
    fake_options options;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int listener, wake;
    uint16_t port;
    char host[32];
    bool stopping, silent, cut_armed;
    size_t cut_after, chunk;
    SSL_CTX *tls;
    fake_connection connections[FAKE_CONNECTIONS_MAX];
    uint64_t stream_names;
    int requests, accepted, pings;
    unsigned streams_most;
    fake_step *steps;
    size_t step_count, step_next;
};

void fake_close_connection(fake_connection *c);
void fake_wake(fake_etcd *server);
void fake_play(fake_etcd *server, const fake_request *request); /* the script's next step */
void fake_open_tls(fake_etcd *server);

#endif
