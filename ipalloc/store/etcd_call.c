/*
 * etcd_call.c: unary calls: they wait in the queue, are sent, sent again where that does no harm,
 * and end in time.
 *
 * May use: base/, the other files of the channel. A call belongs to the thread that waits in
 * channel_do; whoever reads ends it. Its time is looked after by its own thread, so that it ends in
 * time whatever the reader does. Invariant: what is in the queue has no HTTP/2 stream, what is in
 * flight has one.
 */
#include "store/etcd_transport.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { CALLS_ON_STACK = 4, LOGINS_MAX = 3 };

typedef struct pending {
    exchange x; /* the first member: an exchange of a call is its pending */
    channel_call *call;
    waiter *waiter;
    uint64_t begun_ms, until_ms;
    unsigned logins; /* how often it was answered that it is not logged in */
    size_t losses;   /* how often it was taken back */
    bool ended;
} pending;

/* --- how it ends ---------------------------------------------------------------------------------
 */

static void finish(etcd_channel *channel, pending *p, enum call_end end, int status) {
    list_remove(&p->x);
    message_reset(&p->x.reader, channel->hooks);
    p->call->end = end;
    p->call->status = status;
    p->call->error.status = status;
    p->ended = true;
    if (--p->waiter->remaining == 0)
        waiter_finish(channel, p->waiter);
}

/* The last sending certainly did nothing, and will not be repeated. */
static void finish_refused(etcd_channel *channel, pending *p, int status) {
    finish(channel, p, p->call->echo ? CALL_UNKNOWN : CALL_REFUSED, status);
}

static void say_what_it_said(etcd_channel *channel, pending *p, const ending *end,
                             const char *advice) {
    error_fill(&p->call->error, IPALLOC_E_UNAVAILABLE, 0, "etcd at %s: %s%s",
               channel->endpoints[channel->current].text,
               end->text[0] != '\0' ? end->text : "it refused without a reason", advice);
}

static void say_what_was_tried(etcd_channel *channel, pending *p, uint64_t now) {
    char tried[IPALLOC_ERROR_TEXT];
    dial_tell(channel, p->begun_ms, tried, sizeof tried);
    error_fill(&p->call->error, IPALLOC_E_UNAVAILABLE, 0,
               "etcd gave no answer in %llu ms; tried: %s", (unsigned long long)(now - p->begun_ms),
               tried);
}

static void wait_again(etcd_channel *channel, pending *p) {
    message_reset(&p->x.reader, channel->hooks);
    hooks_free(channel->hooks, p->call->answer);
    p->call->answer = NULL;
    list_append(&channel->queue, &p->x);
}

static void log_in_again(etcd_channel *channel, pending *p, const ending *end) {
    if (channel->user == NULL) {
        say_what_it_said(channel, p, end, " (it demands a user and a password)");
        finish_refused(channel, p, IPALLOC_E_UNAVAILABLE);
        return;
    }
    if (p->logins++ >= LOGINS_MAX) {
        say_what_it_said(channel, p, end, " (after logging in again)");
        finish_refused(channel, p, IPALLOC_E_UNAVAILABLE);
        return;
    }
    login_forget(channel, &p->x);
    wait_again(channel, p);
}

static void ask_elsewhere(etcd_channel *channel, pending *p, const ending *end) {
    p->call->echo = true;
    say_what_it_said(channel, p, end, "");
    if (end->grpc_code >= 0 && channel->endpoint_count == 1) {
        dial_note(channel, end->text);
        dial_back_off(channel); /* it answers: another connection to it would not do better */
    } else {
        dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, false, end->text);
    }
    if (p->call->repeatable)
        wait_again(channel, p);
    else
        finish(channel, p, CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE);
}

static void obey(etcd_channel *channel, pending *p, const ending *end) {
    judgement judged = ending_judge(end);
    if (end->grpc_code >= 0 && judged.verdict != VERDICT_ELSEWHERE)
        dial_worked(channel);
    switch (judged.verdict) {
    case VERDICT_REFUSED:
        say_what_it_said(channel, p, end, judged.advice);
        finish_refused(channel, p, judged.status);
        break;
    case VERDICT_APPLIED:
        say_what_it_said(channel, p, end, judged.advice);
        finish(channel, p, CALL_UNKNOWN, judged.status);
        break;
    case VERDICT_LOGIN:
        log_in_again(channel, p, end);
        break;
    case VERDICT_LATER:
        dial_back_off(channel);
        wait_again(channel, p);
        break;
    case VERDICT_ELSEWHERE:
        ask_elsewhere(channel, p, end);
        break;
    }
}

static void call_ended(etcd_channel *channel, exchange *x, const ending *end) {
    pending *p = (pending *)(void *)x;
    p->call->grpc_code = end->grpc_code;
    if (end->grpc_code >= 0) {
        channel->answered_ms = hooks_monotonic_ms(channel->hooks);
        if (x->sent_ms > channel->overtook_ms)
            channel->overtook_ms = x->sent_ms;
    }
    if (end->grpc_code != 0) {
        obey(channel, p, end);
    } else if (p->call->answer == NULL) {
        p->call->grpc_code = -1;
        obey(channel, p, &(ending){-1, false, "it answered without a message"});
    } else {
        dial_worked(channel);
        finish(channel, p, CALL_ANSWERED, IPALLOC_OK);
    }
}

/* A second message would be against the protocol; the first one counts. */
static void call_message(etcd_channel *channel, exchange *x) {
    pending *p = (pending *)(void *)x;
    if (p->call->answer == NULL)
        p->call->answer = message_detach(&x->reader, &p->call->answer_size);
    else
        message_reset(&x->reader, channel->hooks);
}

/* --- sending -------------------------------------------------------------------------------------
 */

void call_pump(etcd_channel *channel) {
    if (channel->phase != PHASE_UP || channel->draining || channel->leave)
        return;
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    channel->held =
        now < channel->not_before_ms && (channel->queue.first != NULL || login_is_needed(channel));
    if (now < channel->not_before_ms)
        return;
    if (h2_is_used_up(channel)) { /* as if the server had said goodbye */
        channel->draining = true;
        channel->drain_until_ms = now + DRAIN_MAX_MS;
        return;
    }
    if (login_is_needed(channel)) {
        login_begin(channel);
        return;
    }
    exchange *next;
    for (exchange *x = channel->queue.first; x != NULL && h2_has_room(channel); x = next) {
        next = x->next;
        pending *p = (pending *)(void *)x;
        if (p->until_ms <= now)
            continue; /* its thread is about to end it */
        x->timeout_ms = p->until_ms - now;
        list_remove(x);
        if (h2_submit(channel, x) == IPALLOC_OK) {
            list_append(&channel->flight, x);
            continue;
        }
        error_fill(&p->call->error, IPALLOC_E_NOMEM, 0, "out of memory");
        finish_refused(channel, p, IPALLOC_E_NOMEM);
    }
}

void call_give_up(etcd_channel *channel, int status) {
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    while (channel->queue.first != NULL) {
        pending *p = (pending *)(void *)channel->queue.first;
        say_what_was_tried(channel, p, now);
        finish_refused(channel, p, status);
    }
}

/* --- lost by a connection that answers others ----------------------------------------------------
 */

/* When it is taken back. Its last sending has all the time that is left, since it may be slow and
 * not lost. */
static uint64_t lost_at(const etcd_channel *channel, const exchange *x) {
    const pending *p = (const pending *)(const void *)x;
    bool may_be_lost = p->call->repeatable && p->call->in_order && x->header_bytes == 0;
    if (!may_be_lost || channel->endpoint_count == 1 || p->losses >= channel->endpoint_count)
        return UINT64_MAX;
    return x->sent_ms + x->patience_ms;
}

/* Those that were overtaken are the first in flight. */
static exchange *if_overtaken(const etcd_channel *channel, exchange *x) {
    return x != NULL && x->sent_ms < channel->overtook_ms ? x : NULL;
}

uint64_t call_lost_due(const etcd_channel *channel) {
    uint64_t due = UINT64_MAX;
    for (exchange *x = if_overtaken(channel, channel->flight.first); x != NULL;
         x = if_overtaken(channel, x->next)) {
        uint64_t at = lost_at(channel, x);
        if (at < due)
            due = at;
    }
    return due;
}

void call_take_back_lost(etcd_channel *channel, uint64_t now) {
    exchange *next;
    for (exchange *x = if_overtaken(channel, channel->flight.first); x != NULL; x = next) {
        next = if_overtaken(channel, x->next);
        if (now < lost_at(channel, x))
            continue;
        pending *p = (pending *)(void *)x;
        p->losses++;
        p->call->echo = true;
        h2_cancel(channel, x);
        list_remove(x);
        wait_again(channel, p);
    }
}

/* --- channel_do ----------------------------------------------------------------------------------
 */

static void begin(etcd_channel *channel, pending *p, channel_call *call, waiter *w, uint64_t now) {
    call->end = CALL_REFUSED;
    call->status = IPALLOC_E_UNAVAILABLE;
    call->grpc_code = -1;
    call->echo = false;
    call->error = (ipalloc_error){0};
    call->answer = NULL;
    call->answer_size = 0;
    uint64_t timeout = call->timeout_ms != 0 ? call->timeout_ms : channel->timeout_ms;
    *p = (pending){.x = {.method = call->method,
                         .request = call->request,
                         .message = call_message,
                         .ended = call_ended,
                         .patience_ms = dial_patience(channel, timeout)},
                   .call = call,
                   .waiter = w,
                   .begun_ms = now,
                   .until_ms = now + timeout};
    list_append(&channel->queue, &p->x);
}

/* Its time is over. */
static void expire(etcd_channel *channel, pending *p, uint64_t now) {
    if (p->x.in == &channel->flight) {
        p->call->echo = true;
        h2_cancel(channel, &p->x);
    }
    hooks_free(channel->hooks, p->call->answer); /* a message without its status */
    p->call->answer = NULL;
    say_what_was_tried(channel, p, now);
    finish_refused(channel, p, IPALLOC_E_UNAVAILABLE);
}

static uint64_t next_deadline(const pending *all, size_t count) {
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (!all[i].ended && all[i].until_ms < next)
            next = all[i].until_ms;
    return next;
}

static void expire_all(etcd_channel *channel, pending *all, size_t count) {
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    for (size_t i = 0; i < count; i++)
        if (!all[i].ended && all[i].until_ms <= now)
            expire(channel, &all[i], now);
    reader_flush(channel);
}

static void do_all(etcd_channel *channel, channel_call *calls, pending *all, size_t count) {
    waiter w = {.remaining = count};
    lock_take(&channel->lock);
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    for (size_t i = 0; i < count; i++)
        begin(channel, &all[i], &calls[i], &w, now);
    call_pump(channel);
    reader_flush(channel);
    while (!reader_wait(channel, &w, next_deadline(all, count)))
        expire_all(channel, all, count);
}

void channel_do(etcd_channel *channel, channel_call *calls, size_t count) {
    pending few[CALLS_ON_STACK];
    if (count == 0)
        return;
    pending *all = count <= CALLS_ON_STACK ? few : NULL;
    if (all == NULL && count < SIZE_MAX / sizeof *all)
        all = hooks_alloc(channel->hooks, count * sizeof *all);
    if (all != NULL) {
        do_all(channel, calls, all, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            calls[i].end = CALL_REFUSED;
            calls[i].echo = false;
            calls[i].grpc_code = -1;
            calls[i].answer = NULL;
            calls[i].status = error_no_memory(&calls[i].error);
        }
    }
    if (all != few)
        hooks_free(channel->hooks, all);
}

void channel_free_answer(etcd_channel *channel, channel_call *call) {
    hooks_free(channel->hooks, call->answer);
    call->answer = NULL;
    call->answer_size = 0;
}
