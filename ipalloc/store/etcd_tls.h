/*
 * etcd_tls.h (internal): TLS for etcd_link.c. OpenSSL does the work, over memory; sockets are ours.
 */
#ifndef IPALLOC_STORE_ETCD_TLS_H
#define IPALLOC_STORE_ETCD_TLS_H

#include "store/etcd_transport.h"

#include <openssl/types.h>

/* The context with what the files hold (etcd_tls_files.c). As tls_open. */
int tls_read_files(const channel_options *options, SSL_CTX **out, ipalloc_error *error);

/* Read the files. OK; INVALID (a file that cannot be used: says which and why); NOMEM. */
int tls_open(const channel_options *options, tls_context **out, ipalloc_error *error);
void tls_close(tls_context *tls); /* NULL is fine */

/* Begin with a connection to this endpoint. OK or NOMEM. */
int tls_begin(etcd_channel *channel, const endpoint *to);
void tls_end(etcd_channel *channel); /* fine where none began */

/* Go on with the handshake. LINK_OK when it is over. Where it failed, `why` says so, and *hopeless
 * whether trying again is no use unless somebody changes something. */
enum link_result tls_shake_hands(etcd_channel *channel, char *why, bool *hopeless);

/* Plain bytes in and out. As link_receive; what is written goes to the link's `out`. */
enum link_result tls_receive(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                             char *why, bool *hopeless);
bool tls_has_more(const tls_session *session); /* received, and not read yet */
bool tls_put(etcd_channel *channel, const uint8_t *bytes, size_t size);

#endif
