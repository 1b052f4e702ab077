/*
 * etcd_tls.c: not there yet.
 */
#include "store/etcd_tls.h"

#include "base/error.h"

int tls_open(const channel_options *options, tls_context **out, ipalloc_error *error) {
    (void)options;
    (void)out;
    return error_set(error, IPALLOC_E_UNAVAILABLE, "etcd: TLS is not there yet");
}
void tls_close(tls_context *tls) {
    (void)tls;
}
int tls_begin(etcd_channel *channel, const endpoint *to) {
    (void)channel;
    (void)to;
    return IPALLOC_E_NOMEM;
}
void tls_end(etcd_channel *channel) {
    (void)channel;
}
enum link_result tls_shake_hands(etcd_channel *channel, char *why, bool *hopeless) {
    (void)channel;
    (void)why;
    (void)hopeless;
    return LINK_FAILED;
}
enum link_result tls_receive(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                             char *why, bool *hopeless) {
    (void)channel;
    (void)bytes;
    (void)size;
    (void)got;
    (void)why;
    (void)hopeless;
    return LINK_FAILED;
}
bool tls_put(etcd_channel *channel, const uint8_t *bytes, size_t size) {
    (void)channel;
    (void)bytes;
    (void)size;
    return false;
}
