/* nginx_text.h: routes as nginx' configuration. */
#ifndef INGRESS_NGINX_TEXT_H
#define INGRESS_NGINX_TEXT_H

#include "options.h"
#include "routes.h"

/* The file that holds the certificate and key of a Secret; relative to the directory. */
typedef const char *(*certificate_file)(void *context, const char *secret);

void nginx_print(struct text *out, const struct ingress_options *options, const struct site *sites,
                 certificate_file file, void *context);

#endif
