/* listen.h: the listening socket, opened before the store so that a busy port creates nothing. */
#ifndef APISERVER_LISTEN_H
#define APISERVER_LISTEN_H

#include "options.h"

#define LISTEN_URL_TEXT 80

struct listener {
    int descriptor;
    char url[LISTEN_URL_TEXT]; /* with the port that the system picked */
};

bool listen_open(const struct options *options, struct listener *listener, struct text *problem);

#endif
