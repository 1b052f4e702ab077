/* options.h: the command line. */
#ifndef INGRESS_OPTIONS_H
#define INGRESS_OPTIONS_H

#include "text.h"

struct ingress_options {
    const char *server;    /* the API server's URL */
    const char *class;     /* the IngressClass that is served */
    const char *directory; /* of nginx' configuration, absolute */
    const char *nginx;     /* the program */
    int http_port, https_port;
    const char *publish_service; /* "NAMESPACE/NAME": its external addresses are the Ingresses' */
    const char *publish_address; /* or this; both NULL: no status is written */
    bool help;
};

/* False with one line in `problem` that names the flag, the value and the rule. */
bool ingress_options_parse(int count, char **arguments, struct ingress_options *options,
                           struct text *problem);
void ingress_options_help(struct text *out);

#endif
