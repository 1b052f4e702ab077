/*
 * etcd_tls_files.c: certificates and keys: read from PEM files, checked before anything is dialled.
 *
 * May use: base/, OpenSSL. Files are read by our own system calls, so that a file that is missing
 * is told from one that makes no sense; a key that wants a passphrase is refused (OpenSSL would ask
 * at the terminal). OpenSSL's own memory does not come through the hooks: it knows one allocator
 * for the whole process.
 */
#include "store/etcd_tls.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

enum { FILE_MAX = 4 << 20 };

typedef struct reading {
    const channel_options *options;
    SSL_CTX *context;
    ipalloc_error *error;
} reading;

/* --- files ---------------------------------------------------------------------------------------
 */

static int refuse(const reading *r, const char *role, const char *path, int number,
                  const char *why) {
    char quoted[192];
    text_quote(path, strlen(path), quoted, sizeof quoted);
    return error_set_errno(r->error, IPALLOC_E_INVALID, number, "etcd: %s \"%s\" %s", role, quoted,
                           why);
}

/* Read all of it into `text`. */
static int read_open_file(const reading *r, const char *role, const char *path, int file,
                          text_buffer *text) {
    char part[4096];
    ssize_t got;
    while ((got = r->options->system->pread(file, part, sizeof part, (off_t)text->length)) > 0) {
        text_append(text, part, (size_t)got);
        if (text->failed)
            return error_no_memory(r->error);
        if (text->length > FILE_MAX)
            return refuse(r, role, path, 0, "is too large");
    }
    return got == 0 ? IPALLOC_OK : refuse(r, role, path, errno, "cannot be read");
}

static int read_file(const reading *r, const char *role, const char *path, text_buffer *text) {
    int file = r->options->system->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return refuse(r, role, path, errno, "cannot be read");
    int status = read_open_file(r, role, path, file, text);
    r->options->system->close(file);
    return status;
}

static void wipe(text_buffer *text) {
    if (text->bytes != NULL)
        OPENSSL_cleanse(text->bytes, text->capacity);
    text_free(text);
}

/* Read a file and have `use` make something of it. */
static int with_file(const reading *r, const char *role, const char *path,
                     int (*use)(const reading *r, const char *role, const char *path, BIO *bio)) {
    text_buffer text;
    text_init(&text, r->options->hooks);
    int status = read_file(r, role, path, &text);
    if (status == IPALLOC_OK) {
        BIO *bio = BIO_new_mem_buf(text.bytes != NULL ? text.bytes : "", (int)text.length);
        status = bio == NULL ? error_no_memory(r->error) : use(r, role, path, bio);
        BIO_free(bio);
    }
    wipe(&text);
    ERR_clear_error();
    return status;
}

/* Instead of asking at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *context) {
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* --- what they hold ------------------------------------------------------------------------------
 */

static int use_authorities(const reading *r, const char *role, const char *path, BIO *bio) {
    X509_STORE *store = SSL_CTX_get_cert_store(r->context);
    size_t count = 0;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        int added = X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
        if (added != 1)
            return error_no_memory(r->error);
        count++;
    }
    return count > 0 ? IPALLOC_OK : refuse(r, role, path, 0, "holds no certificate (PEM)");
}

static int check_time(const reading *r, const char *role, const char *path, X509 *certificate) {
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return refuse(r, role, path, 0, "has expired");
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        return refuse(r, role, path, 0, "is not valid yet");
    return IPALLOC_OK;
}

/* The first one is the client's, the rest lead to its authority. */
static int use_certificate(const reading *r, const char *role, const char *path, BIO *bio) {
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    if (certificate == NULL)
        return refuse(r, role, path, 0, "holds no certificate (PEM)");
    int status = check_time(r, role, path, certificate);
    if (status == IPALLOC_OK && SSL_CTX_use_certificate(r->context, certificate) != 1)
        status = refuse(r, role, path, 0, "cannot be used");
    X509_free(certificate);
    while (status == IPALLOC_OK &&
           (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        if (SSL_CTX_add1_chain_cert(r->context, certificate) != 1)
            status = error_no_memory(r->error);
        X509_free(certificate);
    }
    return status;
}

static int use_key(const reading *r, const char *role, const char *path, BIO *bio) {
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (key == NULL)
        return refuse(r, role, path, 0, "holds no private key that can be read (PEM, unencrypted)");
    /* That checks it against the certificate, too. */
    int used = SSL_CTX_use_PrivateKey(r->context, key);
    EVP_PKEY_free(key);
    if (used == 1 && SSL_CTX_check_private_key(r->context) == 1)
        return IPALLOC_OK;
    return refuse(r, role, path, 0, "does not belong to the client certificate");
}

/* --- all of them ---------------------------------------------------------------------------------
 */

static int use_files(const reading *r) {
    const channel_options *options = r->options;
    if ((options->cert_file == NULL) != (options->key_file == NULL))
        return error_set(r->error, IPALLOC_E_INVALID,
                         "etcd: a client certificate and its key are given together or not at all");
    int status = IPALLOC_OK;
    if (options->ca_file != NULL)
        status = with_file(r, "CA file", options->ca_file, use_authorities);
    else if (SSL_CTX_set_default_verify_paths(r->context) != 1)
        status = error_no_memory(r->error);
    if (status == IPALLOC_OK && options->cert_file != NULL)
        status = with_file(r, "client certificate", options->cert_file, use_certificate);
    if (status == IPALLOC_OK && options->key_file != NULL)
        status = with_file(r, "client key", options->key_file, use_key);
    return status;
}

int tls_read_files(const channel_options *options, SSL_CTX **out, ipalloc_error *error) {
    static const uint8_t H2[] = {2, 'h', '2'};
    reading r = {options, SSL_CTX_new(TLS_client_method()), error};
    if (r.context == NULL)
        return error_no_memory(error);
    SSL_CTX_set_verify(r.context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(r.context, SSL_MODE_RELEASE_BUFFERS);
    int status = SSL_CTX_set_min_proto_version(r.context, TLS1_2_VERSION) == 1 &&
                         SSL_CTX_set_alpn_protos(r.context, H2, sizeof H2) == 0
                     ? use_files(&r)
                     : error_no_memory(error);
    if (status == IPALLOC_OK)
        *out = r.context;
    else
        SSL_CTX_free(r.context);
    return status;
}
