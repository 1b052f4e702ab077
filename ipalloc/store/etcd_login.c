/*
 * etcd_login.c: user and password.
 */
#include "store/etcd_transport.h"

bool login_is_needed(etcd_channel *channel) {
    return channel->user != NULL && channel->token == NULL;
}

void login_begin(etcd_channel *channel) {
    (void)channel;
}

void login_free(etcd_channel *channel) {
    hooks_free(channel->hooks, channel->user);
    hooks_free(channel->hooks, channel->password);
    hooks_free(channel->hooks, channel->token);
}
