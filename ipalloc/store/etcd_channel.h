/*
 * etcd_channel.h: gRPC calls to an etcd cluster, over one connection, without a thread of ours.
 *
 * A channel knows the endpoints, is connected to one of them at a time, and moves on to another
 * where that one fails. Any number of threads call at once. Whoever waits reads the connection for
 * all; when its own call is over, another waiter takes its place. Callbacks run in the thread that
 * reads, under the channel's lock: they must be short and must not call the channel.
 */
#ifndef IPALLOC_STORE_ETCD_CHANNEL_H
#define IPALLOC_STORE_ETCD_CHANNEL_H

#include "base/hooks.h"
#include "base/system.h"
#include <ipalloc/store.h>

typedef struct etcd_channel etcd_channel;

typedef struct channel_options {
    hooks *hooks;
    const system_calls *system;
    const char *const *hosts; /* "10.0.0.1:2379", "[::1]:2379", "name:2379" */
    size_t host_count;
    bool tls;
    const char *ca_file, *cert_file, *key_file; /* may be NULL */
    const char *user, *password;                /* may be NULL */
    uint64_t timeout_ms;                        /* of a call that names none */
} channel_options;

/* Connect to one of the hosts, and log in if a user is given. OK; INVALID (a file that cannot be
 * used: says which); UNAVAILABLE (names each host and why; a certificate or a password that is
 * refused is said as such); NOMEM. Names of hosts are looked up here and when a connection to them
 * is made anew, which may wait for the resolver; addresses are not looked up. */
int channel_open(const channel_options *options, etcd_channel **out, ipalloc_error *error);
void channel_close(etcd_channel *channel); /* no call may be running; NULL is fine */

/* How a call ended. */
enum call_end {
    CALL_ANSWERED, /* the server answered; `answer` is its message */
    CALL_REFUSED,  /* it certainly did nothing: `status` and `error` say why */
    CALL_UNKNOWN,  /* it is not known whether the server did it, or still will */
};

typedef struct channel_call {
    const char *method; /* "/etcdserverpb.KV/Txn" */
    ipalloc_bytes request;
    /* Doing it twice is no worse than doing it once: where its outcome is not known, it is sent
     * again, to another endpoint if need be, until the time is over. */
    bool repeatable;
    /* Such calls are answered in the order in which they came, however large (a Txn; not a Range).
     * One that later calls have overtaken is lost, most likely: a follower loses what it passes to
     * a leader that dies, and goes on answering others. If it is repeatable, and there is more than
     * one endpoint, it is sent again over the same connection when it has waited a share of its
     * time; as often as there are endpoints. (It is an echo then. What has begun to be answered is
     * not.) */
    bool in_order;
    uint64_t timeout_ms; /* 0: the channel's */
    /* out */
    enum call_end end;
    int status;          /* OK, or what to tell the caller: UNAVAILABLE, INVALID, IO, NOMEM, EXPIRED
                            (compacted) */
    int grpc_code;       /* of the last answer; -1: there was none */
    bool echo;           /* a sending of it ended without an answer: it may still take effect, after
                            what is told here. (Where one does, a refusal of the last sending is
                            CALL_UNKNOWN, not CALL_REFUSED.) CALL_UNKNOWN without an echo: it is
                            over; what it did it has done, and reading shows it. (A full etcd
                            refuses what it may have applied.) */
    ipalloc_error error; /* what was tried, and how it ended */
    uint8_t *answer;     /* CALL_ANSWERED: freed by channel_free_answer */
    size_t answer_size;
} channel_call;

/* Do them all at once, and return when all have ended: no later than the longest timeout and half
 * a second. */
void channel_do(etcd_channel *channel, channel_call *calls, size_t count);
void channel_free_answer(etcd_channel *channel, channel_call *call);

/* A call whose answers go on: a watch. It is over when its connection is; the owner opens another.
 * Over or not, it is there until its owner closes it. */
typedef struct channel_stream channel_stream;
typedef struct stream_listener {
    void *context;
    void (*message)(void *context, const uint8_t *bytes, size_t size);
    /* Over: the last call for this stream. Close it, but not from here. */
    void (*ended)(void *context, int grpc_code, const char *why);
} stream_listener;

/* Connects if need be, in `wait_ms` at most; 0: only as far as can be done without waiting. OK;
 * UNAVAILABLE; NOMEM. */
int channel_stream_open(etcd_channel *channel, const char *method, ipalloc_bytes request,
                        const stream_listener *listener, uint64_t wait_ms, channel_stream **out,
                        ipalloc_error *error);
/* Send one more message on it. OK; UNAVAILABLE (it is over); NOMEM. */
int channel_stream_send(etcd_channel *channel, channel_stream *stream, ipalloc_bytes request,
                        ipalloc_error *error);
/* A stream was refused for who we are: what the login gave may be too old, and a stream is not told
 * so. The next one waits for a new login, if the last is not of just now. */
void channel_log_in_again(etcd_channel *channel);
/* No more callbacks after this; the stream is gone. Once for each that was opened; NULL is fine. */
void channel_stream_close(etcd_channel *channel, channel_stream *stream);

/* Read (and write) until `done` says so, which is asked under the lock after all that came in; at
 * most for `timeout_ms`. OK; UNAVAILABLE (the time is over, or the connection is and no other could
 * be made). */
int channel_drive(etcd_channel *channel, bool (*done)(void *context), void *context,
                  uint64_t timeout_ms, ipalloc_error *error);

/* For event loops: the descriptor stays the same over reconnections (an epoll descriptor). */
int channel_poll_fd(etcd_channel *channel);
int channel_poll_timeout_ms(etcd_channel *channel);
/* Take in what has arrived, send what waits, reconnect if it is time; without waiting. Where a
 * thread reads already, there is nothing to do. OK; UNAVAILABLE. */
int channel_process(etcd_channel *channel, ipalloc_error *error);

/* Run `body` under the channel's lock, for what callbacks share with others. */
void channel_lock(etcd_channel *channel);
void channel_unlock(etcd_channel *channel);

#endif
