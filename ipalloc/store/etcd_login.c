/*
 * etcd_login.c: user and password: etcd gives a token for them, which goes with every call.
 *
 * May use: base/, the other files of the channel. A token is good for all members, and kept when
 * the connection changes; it lasts some minutes after its last use, and not beyond a restart of the
 * member. Who is told that it is not good any more has it dropped, and waits with all others for
 * one new login. Its two messages are simple enough to be read and written here.
 */
#include "store/etcd_transport.h"

#include "base/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* A login of this connection that is younger is not given up for a stream that was refused: it may
 * be refused again and again, and to check a password costs etcd a tenth of a second. */
enum { LOGIN_FRESH_MS = 10000 };
enum { TOKEN_MAX = 4096, FIELD_NAME = 1, FIELD_PASSWORD = 2, FIELD_TOKEN = 2, WIRE_BYTES = 2 };

/* --- messages ------------------------------------------------------------------------------------
 */

static void append_varint(text_buffer *out, uint64_t value) {
    char byte;
    for (; value >= 128; value >>= 7) {
        byte = (char)(value | 128);
        text_append(out, &byte, 1);
    }
    byte = (char)value;
    text_append(out, &byte, 1);
}

static void append_field(text_buffer *out, unsigned field, const char *text) {
    append_varint(out, field << 3 | WIRE_BYTES);
    append_varint(out, strlen(text));
    text_append_text(out, text);
}

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* Find the token among the fields of an answer, which are texts and messages, all of them. */
static bool find_token(const uint8_t *bytes, size_t size, const uint8_t **token, size_t *length) {
    const uint8_t *at = bytes, *end = bytes + size;
    uint64_t tag, have;
    while (at < end) {
        if (!take_varint(&at, end, &tag) || (tag & 7) != WIRE_BYTES ||
            !take_varint(&at, end, &have) || have > (uint64_t)(end - at))
            return false;
        if (tag >> 3 == FIELD_TOKEN) {
            *token = at;
            *length = (size_t)have;
            return have > 0 && have <= TOKEN_MAX;
        }
        at += have;
    }
    return false;
}

static bool is_printable(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    return true;
}

/* --- the call ------------------------------------------------------------------------------------
 */

static void drop_request(etcd_channel *channel) {
    if (channel->login_request.bytes != NULL)
        OPENSSL_cleanse(channel->login_request.bytes, channel->login_request.capacity);
    text_free(&channel->login_request);
}

static void login_message(etcd_channel *channel, exchange *x) {
    const uint8_t *token;
    size_t length;
    if (channel->token != NULL || !find_token(x->reader.body, x->reader.size, &token, &length) ||
        !is_printable(token, length))
        return;
    channel->token = hooks_alloc(channel->hooks, length + 1);
    if (channel->token == NULL)
        return;
    memcpy(channel->token, token, length);
    channel->token[length] = '\0';
}

/* Nobody gets in like this: whoever waits is told. */
static void refuse(etcd_channel *channel, const char *why) {
    dial_note(channel, why);
    dial_give_up(channel, IPALLOC_E_UNAVAILABLE);
}

static void explain(etcd_channel *channel, const ending *end) {
    char user[48], why[WHY_MAX];
    text_quote(channel->user, strlen(channel->user), user, sizeof user);
    if (strstr(end->text, "authentication is not enabled") != NULL)
        snprintf(why, sizeof why, "user \"%s\" was given, but authentication is not enabled there",
                 user);
    else if (strstr(end->text, "authentication failed") != NULL)
        snprintf(why, sizeof why, "user \"%s\" is unknown, or the password is wrong", user);
    else
        snprintf(why, sizeof why, "user \"%s\" cannot log in: %.60s", user, end->text);
    refuse(channel, why);
}

static void login_failed(etcd_channel *channel, const ending *end) {
    switch (ending_judge(end).verdict) {
    case VERDICT_ELSEWHERE:
        if (end->grpc_code < 0 || channel->endpoint_count > 1) {
            dial_leave_soon(channel, IPALLOC_E_UNAVAILABLE, false, end->text);
            break;
        }
        dial_note(channel, end->text);
        dial_back_off(channel);
        break;
    case VERDICT_LATER:
        dial_back_off(channel);
        break;
    default:
        explain(channel, end);
        break;
    }
}

static void login_ended(etcd_channel *channel, exchange *x, const ending *end) {
    message_reset(&x->reader, channel->hooks);
    drop_request(channel);
    bool good = end->grpc_code == 0 && channel->token != NULL;
    if (!good) {
        hooks_free(channel->hooks, channel->token);
        channel->token = NULL;
    }
    if (good) {
        channel->answered_ms = channel->logged_in_ms = hooks_monotonic_ms(channel->hooks);
        dial_worked(channel);
    } else if (end->grpc_code == 0) {
        refuse(channel, "it answered a login without a token");
    } else {
        login_failed(channel, end);
    }
}

bool login_is_needed(const etcd_channel *channel) {
    return channel->user != NULL && (channel->token == NULL || channel->login.in != NULL);
}

void login_begin(etcd_channel *channel) {
    exchange *x = &channel->login;
    text_buffer *request = &channel->login_request;
    if (x->in != NULL)
        return;
    text_init(request, channel->hooks);
    append_field(request, FIELD_NAME, channel->user);
    append_field(request, FIELD_PASSWORD, channel->password != NULL ? channel->password : "");
    *x = (exchange){.method = "/etcdserverpb.Auth/Authenticate",
                    .request = {request->bytes, request->length},
                    .timeout_ms = channel->timeout_ms,
                    .patience_ms = dial_patience(channel, channel->timeout_ms),
                    .message = login_message,
                    .ended = login_ended};
    if (!request->failed && h2_submit(channel, x) == IPALLOC_OK) {
        list_append(&channel->flight, x);
        return;
    }
    drop_request(channel);
    dial_note(channel, "out of memory");
    dial_give_up(channel, IPALLOC_E_NOMEM);
}

uint64_t login_due(const etcd_channel *channel) {
    return channel->login.in == NULL ? UINT64_MAX : channel->login.sent_ms + channel->timeout_ms;
}

void login_forget(etcd_channel *channel, const exchange *refused) {
    /* Who was refused with an older token only missed the new one. */
    if (channel->token == NULL || refused->sent_ms < channel->logged_in_ms)
        return;
    hooks_free(channel->hooks, channel->token);
    channel->token = NULL;
}

void channel_log_in_again(etcd_channel *channel) {
    lock_take(&channel->lock);
    exchange refused = {.sent_ms = hooks_monotonic_ms(channel->hooks)};
    if (channel->logged_in_ms < channel->greeted_ms ||
        refused.sent_ms - channel->logged_in_ms >= LOGIN_FRESH_MS)
        login_forget(channel, &refused);
    lock_give(&channel->lock);
}

static void free_secret(etcd_channel *channel, char *text) {
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    hooks_free(channel->hooks, text);
}

void login_free(etcd_channel *channel) {
    message_reset(&channel->login.reader, channel->hooks);
    drop_request(channel);
    hooks_free(channel->hooks, channel->user);
    free_secret(channel, channel->password);
    free_secret(channel, channel->token);
}
