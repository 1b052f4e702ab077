/* nginx_text.h: routes as nginx' configuration. */
#ifndef INGRESS_NGINX_TEXT_H
#define INGRESS_NGINX_TEXT_H

#include "options.h"
#include "routes.h"

void nginx_print(struct text *out, const struct ingress_options *options, const struct site *sites);

#endif
