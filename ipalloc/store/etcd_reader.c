/*
 * etcd_reader.c: who reads. Of all the threads that wait, one reads for all; there is no other.
 *
 * May use: base/, the other files of the channel. Who has to wait and finds nobody reading reads
 * itself, until what it waits for is there; then it wakes the next in line, who goes on. The others
 * sleep on a word of their own. Who is done is taken out of the line first, and needs no lock to
 * go: nothing of a waiter is touched after its word says so.
 *
 * An event loop that finds a reader at work has nothing to do. So that it does not spin meanwhile,
 * the socket is taken out of its descriptor till nobody reads; what a stream got is told by an
 * event of its own.
 */
#include "store/etcd_transport.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { RECEIVES_MAX = 32, NS_PER_MS = 1000000 };

/* --- the line ------------------------------------------------------------------------------------
 */

static void line_append(etcd_channel *channel, waiter *w) {
    w->in_line = true;
    w->next = NULL;
    w->previous = channel->last_waiter;
    if (w->previous != NULL)
        w->previous->next = w;
    else
        channel->first_waiter = w;
    channel->last_waiter = w;
}

static void line_remove(etcd_channel *channel, waiter *w) {
    if (!w->in_line)
        return;
    w->in_line = false;
    if (w->previous != NULL)
        w->previous->next = w->next;
    else
        channel->first_waiter = w->next;
    if (w->next != NULL)
        w->next->previous = w->previous;
    else
        channel->last_waiter = w->previous;
}

void waiter_finish(etcd_channel *channel, waiter *w) {
    w->done = true;
    if (!w->in_line)
        return; /* it is awake, and wants the lock or has it */
    line_remove(channel, w);
    atomic_word32 *word = &w->word;
    /* release: pairs with the load in sleep_in_line; the waiter may be gone behind it */
    atomic32_store_release(word, WAITER_DONE);
    channel->system->wake_one(word);
}

static void ask_waiters(etcd_channel *channel) {
    waiter *next;
    for (waiter *w = channel->first_waiter; w != NULL; w = next) {
        next = w->next;
        if (w->is_done != NULL && w->is_done(w->context))
            waiter_finish(channel, w);
    }
}

void reader_pass_on(etcd_channel *channel) {
    if (channel->reading)
        return;
    waiter *w = channel->first_waiter;
    if (w == NULL) {
        if (channel->muted) {
            channel->muted = false;
            link_watch(channel);
        }
        return;
    }
    if (atomic32_load_relaxed(&w->word) == WAITER_LOOK)
        return; /* it is on its way */
    atomic32_store_release(&w->word, WAITER_LOOK);
    channel->system->wake_one(&w->word);
}

/* Sleep till somebody says something. true: done, without the lock. */
static bool sleep_in_line(etcd_channel *channel, waiter *w, uint64_t wait_ms) {
    atomic32_store_release(&w->word, WAITER_SLEEPS);
    line_append(channel, w);
    lock_give(&channel->lock);
    uint64_t wait_ns = wait_ms < UINT64_MAX / NS_PER_MS ? wait_ms * NS_PER_MS : 0;
    channel->system->wait(&w->word, WAITER_SLEEPS, wait_ns);
    /* acquire: pairs with the store in waiter_finish */
    if (atomic32_load_acquire(&w->word) == WAITER_DONE)
        return true;
    lock_take(&channel->lock);
    line_remove(channel, w);
    return false;
}

static bool is_done(waiter *w) {
    return w->done || (w->is_done != NULL && w->is_done(w->context));
}

bool reader_wait(etcd_channel *channel, waiter *w, uint64_t until_ms) {
    while (!is_done(w)) {
        uint64_t now = hooks_monotonic_ms(channel->hooks);
        if (now >= until_ms)
            return false;
        uint64_t left = until_ms - now;
        if (!channel->reading) {
            channel->reading = true;
            reader_turn(channel, left < INT_MAX ? (int)left : INT_MAX);
            channel->reading = false;
        } else if (sleep_in_line(channel, w, left)) {
            return true;
        }
    }
    reader_pass_on(channel);
    lock_give(&channel->lock);
    return true;
}

/* --- telling others ------------------------------------------------------------------------------
 */

void reader_wake(etcd_channel *channel) {
    if (channel->reading && !channel->woken)
        channel->woken = channel->system->event_set(channel->wake_event) == 0;
}

void reader_notify(etcd_channel *channel) {
    if (!channel->notified)
        channel->notified = channel->system->event_set(channel->notify_event) == 0;
}

/* --- sending -------------------------------------------------------------------------------------
 */

void reader_flush(etcd_channel *channel) {
    if (channel->session == NULL)
        return;
    bool waited = channel->link.wants_write;
    char why[WHY_MAX];
    enum link_result result = LINK_OK;
    do {
        if (!h2_give_out(channel)) {
            dial_leave_soon(channel, IPALLOC_E_NOMEM, false, "out of memory");
            break;
        }
        if (link_pending(channel) == 0)
            break;
        result = link_send(channel, why);
    } while (result == LINK_OK);
    if (result == LINK_FAILED && !channel->leave) {
        dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, false, why);
        channel->last_words = true;
    }
    if (channel->link.wants_write != waited)
        link_watch(channel);
    if (channel->leave || (channel->link.wants_write && !waited))
        reader_wake(channel);
}

/* --- a turn --------------------------------------------------------------------------------------
 */

static void earlier(uint64_t *next, uint64_t when) {
    if (when < *next)
        *next = when;
}

static bool is_patient(const etcd_channel *channel) {
    return channel->endpoint_count > 1 && channel->flight.first != NULL;
}

/* When the endpoint has been silent for too long, although there was something to answer. */
static uint64_t patience_ends(const etcd_channel *channel) {
    const exchange *oldest = channel->flight.first;
    uint64_t since =
        oldest->sent_ms > channel->answered_ms ? oldest->sent_ms : channel->answered_ms;
    return since + oldest->patience_ms;
}

static bool has_open(const etcd_channel *channel) {
    return channel->flight.first != NULL || channel->streams.first != NULL;
}

static uint64_t ping_due(const etcd_channel *channel) {
    if (channel->pinged_ms != 0)
        return channel->pinged_ms + PING_WAIT_MS;
    return channel->received_ms + PING_IDLE_MS;
}

uint64_t reader_next_timer(const etcd_channel *channel) {
    uint64_t next = UINT64_MAX;
    if (channel->leave || (channel->session != NULL && link_has_more(channel)))
        return 0;
    if (channel->phase == PHASE_DOWN)
        return channel->not_before_ms;
    if (channel->phase != PHASE_UP)
        return channel->phase_until_ms;
    if (channel->draining)
        earlier(&next, channel->flight.first == NULL ? 0 : channel->drain_until_ms);
    if (channel->held)
        earlier(&next, channel->not_before_ms);
    if (is_patient(channel))
        earlier(&next, patience_ends(channel));
    earlier(&next, call_lost_due(channel));
    if (has_open(channel))
        earlier(&next, ping_due(channel));
    earlier(&next, login_due(channel));
    return next;
}

static void look_after_session(etcd_channel *channel, uint64_t now) {
    if (channel->draining && (channel->flight.first == NULL || now >= channel->drain_until_ms)) {
        dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "it is shutting down");
    } else if (now >= login_due(channel)) {
        dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "no answer to a login");
    } else if (is_patient(channel) && now >= patience_ends(channel)) {
        dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "no answer in %llu ms",
                   (unsigned long long)channel->flight.first->patience_ms);
    } else if (has_open(channel) && now >= ping_due(channel)) {
        if (channel->pinged_ms != 0)
            dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "it does not answer pings");
        else
            h2_ping(channel);
    }
    if (now >= call_lost_due(channel))
        call_take_back_lost(channel, now);
}

/* The connection is of no use any more. What answers a greeting like this may be anything. */
static void fail(etcd_channel *channel, bool hopeless, const char *why) {
    char text[WHY_MAX];
    if (channel->phase != PHASE_GREETING || channel->tls != NULL) {
        dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, hopeless, why);
        return;
    }
    snprintf(text, sizeof text, "%.80s (does it speak TLS? then https:// it must be)", why);
    dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, hopeless, text);
}

static void receive_some(etcd_channel *channel) {
    for (int i = 0; i < RECEIVES_MAX && channel->session != NULL && !channel->leave; i++) {
        char buffer[WHY_MAX];
        const char *why = buffer;
        size_t got = 0;
        bool hopeless = false;
        enum link_result result =
            link_receive(channel, channel->inbox, INBOX_SIZE, &got, buffer, &hopeless);
        if (result == LINK_BLOCKED)
            return;
        if (result == LINK_OK && got == 0)
            why = "it closed the connection";
        if (result != LINK_OK || got == 0) {
            fail(channel, hopeless, why);
            return;
        }
        channel->received_ms = hooks_monotonic_ms(channel->hooks);
        channel->pinged_ms = 0;
        if (!h2_take_in(channel, channel->inbox, got, &why)) {
            fail(channel, false, why);
            return;
        }
        if (got < INBOX_SIZE / 2 && channel->link.tls == NULL)
            return; /* there is nothing more, most likely */
    }
}

/* Nothing can be sent any more. Who closed the connection may have said why, and answered others.
 */
static void hear_last_words(etcd_channel *channel) {
    char why[WHY_MAX];
    memcpy(why, channel->leave_why, sizeof why);
    channel->last_words = false;
    channel->leave = false;
    receive_some(channel);
    dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, false, why);
}

static void look_after_timers(etcd_channel *channel) {
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    if (channel->last_words)
        hear_last_words(channel);
    if (channel->leave)
        dial_leave_now(channel);
    else if (channel->phase == PHASE_UP)
        look_after_session(channel, now);
    else if (channel->phase != PHASE_DOWN && now >= channel->phase_until_ms)
        dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "%s within %d ms",
                   channel->phase == PHASE_CONNECTING ? "no connection" : "no greeting",
                   CONNECT_MAX_MS);
}

/* Sleep till there is something to do. The lock is given away meanwhile. */
static void sleep_at_socket(etcd_channel *channel, int timeout_ms) {
    struct pollfd files[2] = {{.fd = channel->wake_event, .events = POLLIN},
                              {.fd = channel->link.socket, .events = POLLIN}};
    if (channel->phase == PHASE_CONNECTING)
        files[1].events = POLLOUT;
    else if (channel->link.wants_write)
        files[1].events = POLLIN | POLLOUT;
    lock_give(&channel->lock);
    (void)channel->system->poll(files, channel->link.socket >= 0 ? 2 : 1, timeout_ms);
    lock_take(&channel->lock);
    if (channel->woken && channel->system->event_clear(channel->wake_event) == 0)
        channel->woken = false;
}

/* How long may be slept: not beyond the next timer, and a little more, since clocks are cut. */
static int until_timer(const etcd_channel *channel, int timeout_ms) {
    uint64_t now = hooks_monotonic_ms(channel->hooks), next = reader_next_timer(channel);
    if (next <= now)
        return 0;
    return next - now < (uint64_t)timeout_ms ? (int)(next - now) : timeout_ms;
}

void reader_turn(etcd_channel *channel, int timeout_ms) {
    look_after_timers(channel);
    dial_step(channel);
    call_pump(channel);
    reader_flush(channel);
    timeout_ms = until_timer(channel, timeout_ms);
    if (timeout_ms > 0)
        sleep_at_socket(channel, timeout_ms);
    dial_step(channel);
    receive_some(channel);
    look_after_timers(channel);
    call_pump(channel);
    reader_flush(channel);
    ask_waiters(channel);
}
