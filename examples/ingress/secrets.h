/* secrets.h: certificates out of Secrets, as files that nginx reads. */
#ifndef INGRESS_SECRETS_H
#define INGRESS_SECRETS_H

#include "json.h"

/* The Secret's certificate and key as one PEM text, if they are, and belong together; otherwise
 * false with `why` ("has no tls.crt", ...). */
bool secret_read(struct json_object *secret, struct text *pem, struct text *why);

/* "tls/NAMESPACE.NAME.HASH.pem": another content has another name, so that a configuration which is
 * in use never sees half of it. */
void secret_file(const char *name, const struct text *pem, struct text *path);

/* Written whole, readable by its owner only. */
bool secret_write(const char *directory, const char *path, const struct text *pem);

/* Remove those that this configuration, which is used by now, does not name: a key whose Secret is
 * gone does not stay on the disk. */
void secrets_sweep(const char *directory, const char *configuration);

#endif
