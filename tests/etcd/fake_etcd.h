/*
 * fake_etcd.h: a gRPC server that does what a test tells it, within the test's own process.
 *
 * It listens on a port of its own at 127.0.0.1 and has one thread. What comes is answered by a
 * handler or, without one, by a script: one step for each request, the last one for all that
 * follow. All functions may be called from any thread, and from the handler. It knows nothing of
 * etcd's messages. Everything fails the test where it does not work.
 */
#ifndef IPALLOC_TEST_ETCD_FAKE_ETCD_H
#define IPALLOC_TEST_ETCD_FAKE_ETCD_H

#include "support.h"

typedef struct fake_etcd fake_etcd;

/* One message of a client's. `stream` names its HTTP/2 stream, over all connections. */
typedef struct fake_request {
    uint64_t stream;
    int connection;     /* which one since the start, from 1 */
    int number;         /* which request since the start, from 1 */
    const char *method; /* "/etcdserverpb.KV/Txn" */
    const char *token;  /* "" without one */
    const uint8_t *message;
    size_t size;
    bool again; /* not the first message on its stream */
} fake_request;

typedef void (*fake_handler)(void *context, fake_etcd *server, const fake_request *request);

typedef struct fake_options {
    fake_handler handler; /* in the server's thread, under its lock; NULL: the script */
    void *context;
    const char *cert_file, *key_file; /* TLS */
    const char *client_ca_file;       /* demands a certificate */
    bool no_alpn;
    unsigned streams_max; /* SETTINGS_MAX_CONCURRENT_STREAMS; 0: not told */
} fake_options;

fake_etcd *fake_start(const fake_options *options); /* NULL: all defaults */
void fake_stop(fake_etcd *server);                  /* NULL is fine */
const char *fake_host(const fake_etcd *server);     /* "127.0.0.1:PORT" */

/* --- answers ------------------------------------------------------------------------------------
 */

void fake_answer(fake_etcd *server, uint64_t stream, const void *message, size_t size);
/* Bytes as they are, without the five in front: for what is no message. */
void fake_answer_raw(fake_etcd *server, uint64_t stream, const void *bytes, size_t size);
/* The end: trailers, or nothing but trailers if nothing was answered. */
void fake_end(fake_etcd *server, uint64_t stream, int grpc_code, const char *text);
void fake_end_http(fake_etcd *server, uint64_t stream, int http_status); /* without gRPC */
void fake_reset(fake_etcd *server, uint64_t stream, unsigned http2_error);
/* Say goodbye on all connections. `processed`: what came so far will be; else nothing will. */
void fake_goaway(fake_etcd *server, bool processed);
void fake_cut(fake_etcd *server); /* all connections, at once */
/* Cut the connection after so many more bytes to the client. */
void fake_cut_after(fake_etcd *server, size_t bytes);
/* DATA frames of at most so many bytes; 0: as large as may be. */
void fake_set_chunk(fake_etcd *server, size_t bytes);
/* As if stopped: nothing is accepted, read or written. */
void fake_set_silent(fake_etcd *server, bool silent);
/* Nobody listens. (The port stays ours.) */
void fake_set_absent(fake_etcd *server, bool absent);

/* --- the script ---------------------------------------------------------------------------------
 */

enum fake_deed {
    FAKE_OK,      /* answer with `text`, and end well */
    FAKE_STATUS,  /* end with `number` and `text` */
    FAKE_HTTP,    /* end with HTTP status `number` */
    FAKE_RESET,   /* with HTTP/2 error `number` */
    FAKE_GOAWAY,  /* number != 0: what came is processed */
    FAKE_CUT,     /* all connections */
    FAKE_NOTHING, /* never answer */
    FAKE_ECHO,    /* answer with the request */
};

typedef struct fake_step {
    enum fake_deed deed;
    int number;
    const char *text; /* must last as long as the server */
} fake_step;

void fake_set_script(fake_etcd *server, const fake_step *steps, size_t count); /* copied */
#define FAKE_SCRIPT(server, ...)                              \
    fake_set_script(server, (const fake_step[]){__VA_ARGS__}, \
                    sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step))

/* --- looking ------------------------------------------------------------------------------------
 */

int fake_requests(fake_etcd *server);          /* since the start */
int fake_connections(fake_etcd *server);       /* accepted since the start */
int fake_pings(fake_etcd *server);             /* that were no answers */
unsigned fake_streams_most(fake_etcd *server); /* how many were open at once, at most */
/* Fails the test after 10 seconds. */
void fake_wait_requests(fake_etcd *server, int count);

#endif
