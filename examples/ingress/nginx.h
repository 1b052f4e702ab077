/*
 * nginx.h: the nginx that serves: its files, tests of a configuration, start, reload, end.
 *
 * It runs on its own: when this program dies, nginx goes on, and the next start finds it by its pid
 * file and only reloads it.
 */
#ifndef INGRESS_NGINX_H
#define INGRESS_NGINX_H

#include "options.h"

/* Make the directory and what is in it. */
bool nginx_prepare(const struct ingress_options *options, struct text *problem);

/* Would nginx take this configuration? Its words in `problem` if not. */
bool nginx_test(const struct ingress_options *options, const char *configuration,
                struct text *problem);

/* Is that the configuration on disk, from which a running nginx was loaded? */
bool nginx_has(const struct ingress_options *options, const char *configuration);

/* Use it, a tested one: from now on, without losing a request. */
bool nginx_use(const struct ingress_options *options, const char *configuration,
               struct text *problem);

bool nginx_is_running(const struct ingress_options *options);

/* Start it with the configuration on disk. */
bool nginx_start(const struct ingress_options *options, struct text *problem);

/* Let it finish what it is doing, and end. */
void nginx_quit(const struct ingress_options *options);

#endif
