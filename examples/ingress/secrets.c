/* secrets.c: see secrets.h. OpenSSL judges what is in a Secret, before nginx has to. */
#include "secrets.h"

#include "base64.h"
#include "file.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_part(struct json_object *secret, const char *name, struct text *out,
                      struct text *why) {
    const char *encoded = json_member_text(json_member(secret, "data"), name);
    if (encoded[0] == '\0' || !base64_read(encoded, strlen(encoded), out) || out->size == 0) {
        text_format(why, "has no %s", name);
        return false;
    }
    return true;
}

static bool belong_together(const struct text *certificate, const struct text *key,
                            struct text *why) {
    BIO *certificate_bytes = BIO_new_mem_buf(certificate->data, (int)certificate->size);
    BIO *key_bytes = BIO_new_mem_buf(key->data, (int)key->size);
    X509 *parsed = PEM_read_bio_X509(certificate_bytes, NULL, NULL, NULL);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(key_bytes, NULL, NULL, (void *)(uintptr_t) "");
    bool well = parsed != NULL && private != NULL && X509_check_private_key(parsed, private) == 1;
    if (!well) {
        text_add(why, parsed == NULL    ? "has no PEM certificate in tls.crt"
                      : private == NULL ? "has no PEM key in tls.key, or one with a password"
                                        : "has a key that is not of its certificate");
    }
    EVP_PKEY_free(private);
    X509_free(parsed);
    BIO_free(key_bytes);
    BIO_free(certificate_bytes);
    return well;
}

bool secret_read(struct json_object *secret, struct text *pem, struct text *why) {
    struct text certificate = {0};
    struct text key = {0};
    bool well = false;
    if (secret == NULL) {
        text_add(why, "does not exist");
    } else if (read_part(secret, "tls.crt", &certificate, why) &&
               read_part(secret, "tls.key", &key, why)) {
        well = belong_together(&certificate, &key, why);
    }
    if (well) {
        text_append(pem, certificate.data, certificate.size);
        text_add(pem, "\n");
        text_append(pem, key.data, key.size);
        text_add(pem, "\n");
    }
    text_clear(&certificate);
    text_clear(&key);
    return well;
}

void secret_file(const char *name, const struct text *pem, struct text *path) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < pem->size; i++) {
        hash = (hash ^ (unsigned char)pem->data[i]) * UINT64_C(0x100000001b3);
    }
    text_format(path, "tls/%.*s.%s.%016llx.pem", (int)strcspn(name, "/"), name,
                strchr(name, '/') + 1, (unsigned long long)hash);
}

bool secret_write(const char *directory, const char *path, const struct text *pem) {
    struct text whole = {0};
    text_format(&whole, "%s/%s", directory, path);
    bool well = file_holds(whole.data, pem->data, pem->size) ||
                file_write(whole.data, pem->data, pem->size);
    text_clear(&whole);
    return well;
}

void secrets_sweep(const char *directory, const char *configuration) {
    struct text path = {0};
    struct text named = {0};
    text_format(&path, "%s/tls", directory);
    DIR *files = opendir(path.data);
    struct dirent *file;
    while (files != NULL && (file = readdir(files)) != NULL) {
        named.size = 0;
        text_format(&named, "/tls/%s\"", file->d_name);
        if (file->d_name[0] != '.' && strstr(configuration, named.data) == NULL) {
            unlinkat(dirfd(files), file->d_name, 0);
        }
    }
    if (files != NULL) {
        closedir(files);
    }
    text_clear(&path);
    text_clear(&named);
}
