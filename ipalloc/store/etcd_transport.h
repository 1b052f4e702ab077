/*
 * etcd_transport.h (internal): what the files of the etcd channel share.
 *
 *   etcd_channel.c   the handle, and the public calls that are not a call or a stream
 *   etcd_call.c      unary calls: queueing, repeating, how they end
 *   etcd_stream.c    calls whose answers go on
 *   etcd_login.c     user and password
 *   etcd_reader.c    who reads: one waiting thread for all
 *   etcd_dial.c      endpoints, connecting, leaving one for another, backing off
 *   etcd_link.c      bytes in and out of one connection
 *   etcd_tls.c       the same through TLS; certificates and keys
 *   etcd_h2.c        HTTP/2 frames: nghttp2
 *   etcd_message.c   gRPC messages out of bytes that come in pieces
 *   etcd_ending.c    what a status means: did it happen, is it worth another try
 *
 * Everything here is under the channel's lock, but for the time that the reader sleeps or looks up
 * a name. Who holds `reading` is the reader: it alone connects, receives and looks after timers.
 * Others put exchanges into the session and send, and may drop the connection.
 */
#ifndef IPALLOC_STORE_ETCD_TRANSPORT_H
#define IPALLOC_STORE_ETCD_TRANSPORT_H

#include "base/lock.h"
#include "base/text.h"
#include "store/etcd_channel.h"

#include <nghttp2/nghttp2.h>

enum {
    MESSAGE_MAX = 64 << 20,   /* an answer; etcd's own limit is far below, pages are ours */
    HEADERS_MAX = 64 << 10,   /* of an answer, all names and values */
    INBOX_SIZE = 64 << 10,    /* is received at once */
    WHY_MAX = 160,            /* why an endpoint was left */
    BACKOFF_MIN_MS = 20,      /* after a round in which no endpoint could be used */
    BACKOFF_MAX_MS = 2000,    /* it doubles up to this, and is drawn from 0 to itself */
    PATIENCE_MIN_MS = 500,    /* an endpoint that answers nothing for so long ... */
    PATIENCE_MAX_MS = 2500,   /* ... is left, if there is another */
    CONNECT_MAX_MS = 2000,    /* from the first packet to the server's first frame */
    DRAIN_MAX_MS = 500,       /* after GOAWAY, for what is under way */
    PING_IDLE_MS = 10000,     /* etcd ends connections with pings within 5 s of each other */
    PING_WAIT_MS = 4000,      /* for any byte after one */
    UNACKNOWLEDGED_MS = 6000, /* TCP: what was sent is lost after so long */
    STREAM_WINDOW = 8 << 20,  /* answers of many pages are slow through small windows */
    CONNECTION_WINDOW = 64 << 20,
};

/* --- gRPC messages (etcd_message.c) -------------------------------------------------------------
 */

enum { MESSAGE_PREFIX = 5 }; /* one byte: compressed?; four: size, most significant first */

void message_prefix(uint8_t out[MESSAGE_PREFIX], size_t size);

/* Puts messages together from pieces. Zeroed is ready. */
typedef struct message_reader {
    uint8_t prefix[MESSAGE_PREFIX];
    size_t prefix_have;
    uint8_t *body;
    size_t size, have;
    bool whole; /* body is a whole message: take it, or it is overwritten by the next */
} message_reader;

/* Take what belongs to one message from the front of *bytes. OK, with `whole` telling whether it is
 * complete; INVALID (compressed, or too large: *why says which); NOMEM. */
int message_take(message_reader *reader, const hooks *h, const uint8_t **bytes, size_t *size,
                 const char **why);
uint8_t *message_detach(message_reader *reader, size_t *size); /* its body, to be freed by hooks */
void message_reset(message_reader *reader, const hooks *h);

/* Undo grpc-message's percent-encoding into printable text, cut to fit. */
void message_decode_text(const uint8_t *bytes, size_t length, char *out, size_t capacity);

/* --- how an exchange ended (etcd_ending.c) ------------------------------------------------------
 */

typedef struct ending {
    int grpc_code;    /* -1: no status came */
    bool undone;      /* no status, but the server certainly did nothing with it */
    const char *text; /* the status message, or what happened to the connection */
} ending;

enum verdict {
    VERDICT_REFUSED,   /* it did nothing, and will not */
    VERDICT_ELSEWHERE, /* not known; another endpoint may do better */
    VERDICT_LATER,     /* it did nothing, but will if it is asked again */
    VERDICT_LOGIN,     /* it did nothing; log in and ask again */
    VERDICT_APPLIED,   /* not known, but over */
};

typedef struct judgement {
    enum verdict verdict;
    int status;
    const char *advice; /* to be appended to the text; "" for none */
} judgement;

judgement ending_judge(const ending *end);

/* --- exchanges: one HTTP/2 stream each (etcd_h2.c) ----------------------------------------------
 */

typedef struct exchange exchange;
typedef struct exchange_list {
    exchange *first, *last;
    size_t count;
} exchange_list;

struct exchange {
    exchange *next, *previous;
    exchange_list *in; /* the list that it is in, or NULL */
    const char *method;
    int32_t id;            /* of its HTTP/2 stream, 0: none */
    uint64_t timeout_ms;   /* told to the server; 0: none */
    uint64_t sent_ms;      /* when it was put into the session */
    uint64_t patience_ms;  /* so long may its endpoint be silent */
    ipalloc_bytes request; /* one message */
    uint8_t prefix[MESSAGE_PREFIX];
    size_t sent;  /* of prefix and request */
    bool goes_on; /* more messages may follow, from `outbox` */
    bool idle;    /* nothing of the outbox is left to send */
    text_buffer outbox;
    size_t outbox_sent;
    /* the answer so far */
    int http_status;
    int grpc_code; /* -1 until it came */
    bool is_grpc;  /* by its content type */
    size_t header_bytes;
    char text[WHY_MAX];
    message_reader reader;
    /* In a callback of nghttp2's: they must not end the session. The message may be detached. */
    void (*message)(etcd_channel *channel, exchange *x);
    void (*ended)(etcd_channel *channel, exchange *x, const ending *end);
};

void list_append(exchange_list *list, exchange *x);
void list_remove(exchange *x); /* from the list it is in, if any */

/* Begin HTTP/2 on a connection that is ready for it. OK or NOMEM. */
int h2_begin(etcd_channel *channel);
void h2_end(etcd_channel *channel); /* forget it all; exchanges are not told */
/* Put an exchange into the session. OK; NOMEM. */
int h2_submit(etcd_channel *channel, exchange *x);
/* Forget it and tell the server; `ended` is not called. */
void h2_cancel(etcd_channel *channel, exchange *x);
void h2_resume(etcd_channel *channel, exchange *x); /* its outbox has something */
bool h2_has_room(const etcd_channel *channel);      /* may one more be submitted? */
bool h2_is_used_up(const etcd_channel *channel);    /* no more ever: its 2^30 streams are spent */
void h2_ping(etcd_channel *channel);
/* Take in what arrived. false: the session is of no use, and *why says why. */
bool h2_take_in(etcd_channel *channel, const uint8_t *bytes, size_t size, const char **why);
/* Move frames into the link while it has room. false: out of memory. */
bool h2_give_out(etcd_channel *channel);

/* --- the connection (etcd_link.c, etcd_tls.c) ---------------------------------------------------
 */

typedef struct tls_context tls_context;
typedef struct tls_session tls_session;

typedef struct etcd_link {
    int socket; /* -1: none */
    tls_session *tls;
    text_buffer out; /* bytes for the socket */
    size_t out_sent;
    bool wants_write; /* the socket took less than there was */
} etcd_link;

enum link_result { LINK_OK, LINK_BLOCKED, LINK_FAILED };

/* Each fills in `why` (WHY_MAX bytes) where it failed. */
enum link_result link_send(etcd_channel *channel, char *why);
bool link_is_connected(const etcd_channel *channel); /* or has failed to: socket_error tells */
/* LINK_OK with *got 0: the other side closed. */
enum link_result link_receive(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                              char *why, bool *hopeless);
/* Append plain bytes that are to be sent. false: out of memory. */
bool link_put(etcd_channel *channel, const uint8_t *bytes, size_t size);
/* The same below TLS. */
enum link_result link_receive_raw(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                                  char *why);
bool link_put_raw(etcd_channel *channel, const uint8_t *bytes, size_t size);
bool link_has_more(const etcd_channel *channel); /* there is something that poll does not see */
size_t link_pending(const etcd_channel *channel);
void link_close(etcd_channel *channel);
void link_watch(
    etcd_channel *channel); /* have the descriptor for event loops wait for the right things */

/* --- endpoints (etcd_dial.c) --------------------------------------------------------------------
 */

typedef struct endpoint {
    char *text; /* as it was given */
    char *name, *port;
    struct addrinfo *addresses; /* all of them, or NULL */
    struct addrinfo *next;      /* to be tried next */
    bool tried;                 /* it failed at `left_ms`, because of `why` */
    uint64_t left_ms;
    bool hopeless; /* it was left for something that does not pass by itself: a certificate */
    char why[WHY_MAX];
} endpoint;

enum phase {
    PHASE_DOWN,
    PHASE_CONNECTING, /* TCP */
    PHASE_SECURING,   /* TLS */
    PHASE_GREETING,   /* the server's first frame has not come */
    PHASE_UP,
};

int dial_set_hosts(etcd_channel *channel, const char *const *hosts, size_t count,
                   ipalloc_error *error);
void dial_free_hosts(etcd_channel *channel);
/* Take the next step that can be taken without waiting (but for a resolver: the lock is given away
 * for that). For the reader only. */
void dial_step(etcd_channel *channel);
void dial_greeted(etcd_channel *channel); /* the server's first frame came */
/* In a callback: leave this endpoint as soon as nghttp2 has returned. */
void dial_leave_soon(etcd_channel *channel, int status, bool hopeless, const char *why);
/* Waiting does not help: whoever waits is told. The next call tries them all again. */
void dial_give_up(etcd_channel *channel, int status);
void dial_leave_now(etcd_channel *channel); /* what dial_leave_soon has put off */
/* How long one endpoint may be silent, for a call that has so much time in all. */
uint64_t dial_patience(const etcd_channel *channel, uint64_t timeout_ms);
/* Drop the connection, and tell all that was under way on it. The next endpoint is the next. */
void dial_leave(etcd_channel *channel, int status, bool hopeless, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void dial_note(etcd_channel *channel, const char *why); /* what this endpoint did wrong */
void dial_worked(etcd_channel *channel); /* an answer came: start from small waits again */
/* Wait before anything is tried again; longer each time. */
void dial_back_off(etcd_channel *channel);
/* What was tried since, for a message: "a:1: connection refused; b:2: no answer". */
void dial_tell(const etcd_channel *channel, uint64_t since_ms, char *out, size_t capacity);

/* --- who reads (etcd_reader.c) ------------------------------------------------------------------
 */

enum { WAITER_SLEEPS = 0, WAITER_LOOK = 1, WAITER_DONE = 2 };

typedef struct waiter {
    struct waiter *next, *previous;
    bool in_line;
    bool done; /* under the lock */
    atomic_word32 word;
    size_t remaining;               /* calls that have not ended */
    bool (*is_done)(void *context); /* asked after all that came in, if not NULL */
    void *context;
} waiter;

/* The lock is held before. Waits until the waiter is done (true: the lock is not held any more) or
 * it is `until_ms` (false: it is). Reads for all while nobody else does. */
bool reader_wait(etcd_channel *channel, waiter *w, uint64_t until_ms);
void waiter_finish(etcd_channel *channel, waiter *w);
/* With the lock held, before it is given away: somebody who waits goes on reading. */
void reader_pass_on(etcd_channel *channel);
/* One turn of the reader: wait at most so long, take in what came, look after the timers. */
void reader_turn(etcd_channel *channel, int timeout_ms);
/* When timers want to be looked after; UINT64_MAX: never. */
uint64_t reader_next_timer(const etcd_channel *channel);
/* Send what waits. What cannot be sent at once is the reader's. */
void reader_flush(etcd_channel *channel);
void reader_wake(etcd_channel *channel);   /* there is something new for who sleeps in a turn */
void reader_notify(etcd_channel *channel); /* there is something new for the event loop */

/* --- calls (etcd_call.c) and logging in (etcd_login.c) ------------------------------------------
 */

/* Submit what waits, as far as it may be sent. */
void call_pump(etcd_channel *channel);
/* When the first of those that are lost, and others not, is to be sent again; UINT64_MAX: never. */
uint64_t call_lost_due(const etcd_channel *channel);
/* Put those back into the queue for which it is time. */
void call_take_back_lost(etcd_channel *channel, uint64_t now);
/* End the calls that wait: no endpoint gives hope, or there is no memory. */
void call_give_up(etcd_channel *channel, int status);
/* Must be logged in before anything else is sent? */
bool login_is_needed(const etcd_channel *channel);
void login_begin(etcd_channel *channel);                           /* if it is not under way */
void login_forget(etcd_channel *channel, const exchange *refused); /* its token was refused */
uint64_t login_due(const etcd_channel *channel); /* when its answer must have come */
void login_free(etcd_channel *channel);

/* --- the channel --------------------------------------------------------------------------------
 */

struct etcd_channel {
    hooks *hooks;
    const system_calls *system;
    lock lock;
    uint64_t timeout_ms;

    endpoint *endpoints;
    size_t endpoint_count, current;
    size_t failures;        /* endpoints left in a row, since one worked */
    unsigned rounds;        /* how often was backed off since */
    uint64_t give_ups;      /* how often all endpoints were hopeless */
    uint64_t not_before_ms; /* nothing is dialled or sent before */
    enum phase phase;
    uint64_t phase_until_ms; /* CONNECTING to GREETING: when to give it up */

    tls_context *tls; /* NULL: plain text */
    etcd_link link;
    nghttp2_session *session;
    nghttp2_mem memory;
    bool draining; /* GOAWAY came */
    uint64_t drain_until_ms;
    uint64_t greeted_ms;  /* when this connection was ready */
    uint64_t received_ms; /* the last byte */
    uint64_t answered_ms; /* the last end of a call */
    uint64_t overtook_ms; /* what was sent before this and still waits was overtaken by an answer */
    uint64_t pinged_ms;   /* 0: no ping is under way */
    bool held;            /* there is something to send at not_before_ms */
    bool leave;           /* decided in a callback, to be done behind it */
    char leave_why[WHY_MAX];
    bool leave_hopeless;
    int leave_status;
    bool last_words; /* it is left since it takes nothing: what it said before is to be heard */

    exchange_list queue;  /* calls that wait to be sent */
    exchange_list flight; /* calls that were sent, the oldest first */
    exchange_list streams;

    bool reading;
    bool delivered; /* a stream got something since it was looked at */
    waiter *first_waiter, *last_waiter;
    int epoll, notify_event, wake_event;
    bool woken, notified;
    bool muted;     /* the socket is not in the epoll descriptor: a reader is at it */
    uint8_t *inbox; /* what is received goes through it */

    char *user, *password;
    char *token; /* NULL: not logged in */
    uint64_t logged_in_ms;
    exchange login;
    text_buffer login_request;
};

#endif
