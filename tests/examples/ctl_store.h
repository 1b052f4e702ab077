/*
 * ctl_store.h: the SQLite store that a test of ipallocctl works on: filled here, closed while the
 * program runs, and looked into after that.
 */
#ifndef CTL_STORE_H
#define CTL_STORE_H

#include "support.h"

extern const char *directory; /* a new one */
extern char url[512];         /* of the store in it */
extern ipalloc_store *store;  /* NULL while it is closed, as the registry on it */
extern ipalloc_registry *registry;

void begin(void); /* makes the directory */
void open_store(void);
void close_store(void);
void end(void); /* close it and remove the directory */

/* A pool of one range, lowest address first; addresses of it that are never given out. */
ipalloc_pool *define(const char *name, const char *range, uint64_t cool_down_ms);
void exclude(ipalloc_pool *pool, const char *first, const char *last);

#endif
