/*
 * channel_support.h: what the channel's tests share: a channel to fake servers, calls, streams.
 */
#ifndef IPALLOC_TEST_ETCD_CHANNEL_SUPPORT_H
#define IPALLOC_TEST_ETCD_CHANNEL_SUPPORT_H

#include "fake_etcd.h"

#include "store/etcd_channel.h"

#include <stdio.h>
#include <string.h>

/* One set of hooks for the channels of a test; `hooks_init` it first. */
extern hooks channel_hooks;

/* Fill in options for these hosts: 10 seconds for a call. */
channel_options channel_options_for(const char *const *hosts, size_t count);
etcd_channel *channel_open_to(const char *const *hosts, size_t count);
etcd_channel *channel_open_to_fake(fake_etcd *server);

/* One call. The answer is freed by call_free. */
channel_call call_new(const char *text, bool repeatable);
channel_call call_do(etcd_channel *channel, const char *text, bool repeatable);
void call_free(etcd_channel *channel, channel_call *call);
/* It was answered with this text; frees it. */
void call_was_answered(etcd_channel *channel, channel_call *call, const char *text);

/* What a stream was told. */
typedef struct heard {
    int messages, ended, code;
    char last[256], why[256];
} heard;
stream_listener listener_to(heard *h);
channel_stream *stream_open_to(etcd_channel *channel, heard *h, const char *text);
bool heard_one(void *context);
bool heard_end(void *context);

/* A server that answers each message of a stream with itself, and calls too. */
fake_etcd *fake_start_streaming(void);

uint64_t now_ms(void);

/* What was begun then and may take so long is over in time: half a second is ours, and whatever
 * other tests take of the processors is theirs. */
void over_in_time(uint64_t begun, uint64_t may_take_ms);

#define ck_assert_contains(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" is not in \"%s\"", part, text)

#endif
