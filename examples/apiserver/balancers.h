/*
 * balancers.h: the pools of load-balancer addresses: load-balancers-v4 and -v6, and for those with
 * a name load-balancers-NAME-v4 and -v6.
 *
 * --load-balancer-ip-range says at each start what they are. What a pool had before and somebody
 * holds stays held and gives nothing new (it drains), and goes with the first start that finds it
 * empty; so does a pool that no flag names any more.
 */
#ifndef APISERVER_BALANCERS_H
#define APISERVER_BALANCERS_H

#include "server.h"

/* Make the pools what the flags say. False with one line in `problem`. */
bool balancers_define(struct server *server, struct text *problem);

bool balancers_is_pool(const ipalloc_pool *pool);

/* Does a flag name that pool ("": the default one)? */
bool balancers_has(const struct server *server, const char *name);

/* Is there any address of theirs at all, to be given or held? */
bool balancers_any(const struct server *server);

/* The pool of that name and family (4, 6) that gives addresses; NULL: no flag says so. */
ipalloc_pool *balancers_find(const struct server *server, const char *name, int family);

/* The same, or one that only keeps what it holds; NULL: the store has none. */
ipalloc_pool *balancers_find_any(const struct server *server, const char *name, int family);

#endif
