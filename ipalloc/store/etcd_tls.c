/*
 * etcd_tls.c: TLS over memory: what the socket brings goes into one BIO, what OpenSSL wants to send
 * comes out of another. And what to say when it does not work.
 *
 * May use: base/, etcd_link.c, OpenSSL. The server's certificate must lead to an authority that is
 * trusted and must be for the name or the address that was dialled; ALPN must agree on h2. In TLS
 * 1.3 a server looks at the client's certificate after the client thinks that all is well: such
 * refusals come with the first bytes that are read.
 */
#include "store/etcd_tls.h"

#include "base/error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_SIZE = 16 << 10 };

struct tls_context {
    const hooks *hooks;
    SSL_CTX *context;
    bool own_authorities; /* a CA file was given */
    bool shows_certificate;
};

struct tls_session {
    SSL *ssl;
    BIO *in, *out; /* the session's */
    char name[256];
    bool closed; /* the other side has nothing more to say */
};

int tls_open(const channel_options *options, tls_context **out, ipalloc_error *error) {
    tls_context *tls = hooks_alloc_zeroed(options->hooks, sizeof *tls);
    if (tls == NULL)
        return error_no_memory(error);
    tls->hooks = options->hooks;
    tls->own_authorities = options->ca_file != NULL;
    tls->shows_certificate = options->cert_file != NULL;
    int status = tls_read_files(options, &tls->context, error);
    if (status == IPALLOC_OK)
        *out = tls;
    else
        hooks_free(options->hooks, tls);
    return status;
}

void tls_close(tls_context *tls) {
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    hooks_free(tls->hooks, tls);
}

/* --- a session -----------------------------------------------------------------------------------
 */

static bool expect_peer(tls_session *session) {
    X509_VERIFY_PARAM *parameters = SSL_get0_param(session->ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, session->name) == 1)
        return true;
    ERR_clear_error(); /* it is no address */
    return X509_VERIFY_PARAM_set1_host(parameters, session->name, 0) == 1 &&
           SSL_set_tlsext_host_name(session->ssl, session->name) == 1;
}

static bool prepare(tls_session *session, const tls_context *tls) {
    session->ssl = SSL_new(tls->context);
    if (session->ssl == NULL)
        return false;
    session->in = BIO_new(BIO_s_mem());
    session->out = BIO_new(BIO_s_mem());
    if (session->in == NULL || session->out == NULL) {
        BIO_free(session->in);
        BIO_free(session->out);
        return false;
    }
    BIO_set_mem_eof_return(session->in, -1); /* empty means: wait */
    SSL_set_bio(session->ssl, session->in, session->out);
    SSL_set_connect_state(session->ssl);
    return expect_peer(session);
}

int tls_begin(etcd_channel *channel, const endpoint *to) {
    tls_session *session = hooks_alloc_zeroed(channel->hooks, sizeof *session);
    if (session == NULL)
        return IPALLOC_E_NOMEM;
    snprintf(session->name, sizeof session->name, "%s", to->name);
    channel->link.tls = session;
    if (prepare(session, channel->tls))
        return IPALLOC_OK;
    tls_end(channel);
    return IPALLOC_E_NOMEM;
}

void tls_end(etcd_channel *channel) {
    tls_session *session = channel->link.tls;
    channel->link.tls = NULL;
    if (session == NULL)
        return;
    SSL_free(session->ssl);
    hooks_free(channel->hooks, session);
    ERR_clear_error();
}

/* --- why it failed -------------------------------------------------------------------------------
 */

static void explain_certificate(const etcd_channel *channel, long verdict, char *why) {
    const tls_session *session = channel->link.tls;
    switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(why, WHY_MAX, "its certificate is not for \"%.64s\" (wrong name)", session->name);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        snprintf(why, WHY_MAX, "its certificate has expired");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(why, WHY_MAX, "its certificate is not valid yet");
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        snprintf(why, WHY_MAX, "its certificate is not signed by %s",
                 channel->tls->own_authorities ? "an authority of the CA file"
                                               : "an authority that the system trusts (no CA file "
                                                 "was given)");
        break;
    default:
        snprintf(why, WHY_MAX, "its certificate is refused: %s",
                 X509_verify_cert_error_string(verdict));
    }
}

/* Alerts by which a server refuses a client for its certificate, or for showing none. */
static bool is_about_our_certificate(int reason) {
    switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return true;
    default:
        return false;
    }
}

static bool is_no_tls(int reason) {
    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
           reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNEXPECTED_MESSAGE ||
           reason == SSL_R_BAD_RECORD_TYPE || reason == SSL_R_RECORD_LENGTH_MISMATCH;
}

static void explain_error(const etcd_channel *channel, unsigned long code, char *why) {
    int reason = ERR_GET_REASON(code);
    bool of_ssl = ERR_GET_LIB(code) == ERR_LIB_SSL;
    const char *text = ERR_reason_error_string(code);
    if (of_ssl && is_about_our_certificate(reason))
        snprintf(why, WHY_MAX, "it %s (%s)",
                 channel->tls->shows_certificate ? "refuses our client certificate"
                                                 : "wants a client certificate",
                 text != NULL ? text : "alert");
    else if (of_ssl && reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
        snprintf(why, WHY_MAX, "it does not offer HTTP/2 (ALPN h2): no etcd is there");
    else if (of_ssl && is_no_tls(reason))
        snprintf(why, WHY_MAX, "it does not speak TLS (http:// rather than https://?)");
    else
        snprintf(why, WHY_MAX, "TLS failed: %s", text != NULL ? text : "unknown error");
}

static void explain(const etcd_channel *channel, char *why, bool *hopeless) {
    const tls_session *session = channel->link.tls;
    long verdict = SSL_get_verify_result(session->ssl);
    unsigned long code = ERR_peek_error();
    *hopeless = true;
    if (verdict != X509_V_OK) {
        explain_certificate(channel, verdict, why);
    } else if (code != 0) {
        explain_error(channel, code, why);
    } else {
        *hopeless = false;
        snprintf(why, WHY_MAX, "it ended TLS");
    }
    ERR_clear_error();
}

/* --- bytes ---------------------------------------------------------------------------------------
 */

/* Move what OpenSSL wants to send into the link. */
static bool drain(etcd_channel *channel) {
    uint8_t bytes[4096];
    int got;
    while ((got = BIO_read(channel->link.tls->out, bytes, sizeof bytes)) > 0)
        if (!link_put_raw(channel, bytes, (size_t)got))
            return false;
    return true;
}

static enum link_result send_what_there_is(etcd_channel *channel, char *why) {
    if (drain(channel))
        return link_pending(channel) > 0 ? link_send(channel, why) : LINK_OK;
    snprintf(why, WHY_MAX, "out of memory");
    return LINK_FAILED;
}

/* Bring more bytes to OpenSSL. */
static enum link_result feed(etcd_channel *channel, char *why) {
    uint8_t bytes[RECORD_SIZE];
    size_t got = 0;
    enum link_result result = link_receive_raw(channel, bytes, sizeof bytes, &got, why);
    if (result != LINK_OK)
        return result;
    if (got == 0) {
        channel->link.tls->closed = true;
    } else if (BIO_write(channel->link.tls->in, bytes, (int)got) != (int)got) {
        snprintf(why, WHY_MAX, "out of memory");
        return LINK_FAILED;
    }
    return LINK_OK;
}

static bool agreed_on_h2(const tls_session *session) {
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(session->ssl, &protocol, &size);
    return size == 2 && memcmp(protocol, "h2", 2) == 0;
}

static enum link_result finish_handshake(etcd_channel *channel, char *why, bool *hopeless) {
    if (agreed_on_h2(channel->link.tls))
        return LINK_OK;
    *hopeless = true;
    snprintf(why, WHY_MAX, "it does not offer HTTP/2 (ALPN h2): no etcd is there");
    return LINK_FAILED;
}

/* What a port for plain text does to us, too: an answer that is no TLS may be lost with a reset. */
static enum link_result end_in_handshake(bool failed, char *why) {
    char how[WHY_MAX] = "it closed the connection";
    if (failed)
        snprintf(how, sizeof how, "%s", why);
    snprintf(why, WHY_MAX,
             "%.80s while TLS began (does it speak plain text? then http:// it must be)", how);
    return LINK_FAILED;
}

enum link_result tls_shake_hands(etcd_channel *channel, char *why, bool *hopeless) {
    tls_session *session = channel->link.tls;
    for (;;) {
        ERR_clear_error();
        int done = SSL_do_handshake(session->ssl);
        int reason = done == 1 ? SSL_ERROR_NONE : SSL_get_error(session->ssl, done);
        if (reason != SSL_ERROR_NONE && reason != SSL_ERROR_WANT_READ) {
            explain(channel, why, hopeless);
            char unused[WHY_MAX]; /* the alert that tells the server */
            (void)send_what_there_is(channel, unused);
            return LINK_FAILED;
        }
        enum link_result sent = send_what_there_is(channel, why);
        if (sent == LINK_FAILED && channel->link.out.failed)
            return LINK_FAILED;
        if (done == 1) /* where it takes nothing more, the first message finds out */
            return finish_handshake(channel, why, hopeless);
        char other[WHY_MAX];
        enum link_result result = feed(channel, sent == LINK_FAILED ? other : why);
        if (sent == LINK_FAILED && (result != LINK_OK || session->closed))
            return LINK_FAILED; /* it did not say why before */
        if (result == LINK_BLOCKED)
            return LINK_BLOCKED;
        if (result == LINK_FAILED || session->closed)
            return end_in_handshake(result == LINK_FAILED, why);
    }
}

enum link_result tls_receive(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                             char *why, bool *hopeless) {
    tls_session *session = channel->link.tls;
    for (;;) {
        ERR_clear_error();
        int read = SSL_read(session->ssl, bytes, size < INT32_MAX ? (int)size : INT32_MAX);
        if (read > 0) {
            *got = (size_t)read;
            return LINK_OK;
        }
        int reason = SSL_get_error(session->ssl, read);
        if (reason == SSL_ERROR_ZERO_RETURN || (reason == SSL_ERROR_WANT_READ && session->closed)) {
            *got = 0;
            return LINK_OK;
        }
        if (reason != SSL_ERROR_WANT_READ) {
            explain(channel, why, hopeless);
            return LINK_FAILED;
        }
        enum link_result result = feed(channel, why);
        if (result != LINK_OK)
            return result;
    }
}

bool tls_has_more(const tls_session *session) {
    return SSL_pending(session->ssl) > 0 || BIO_pending(session->in) > 0;
}

bool tls_put(etcd_channel *channel, const uint8_t *bytes, size_t size) {
    ERR_clear_error();
    size_t written = 0; /* memory takes it all */
    return SSL_write_ex(channel->link.tls->ssl, bytes, size, &written) == 1 && written == size &&
           drain(channel);
}
