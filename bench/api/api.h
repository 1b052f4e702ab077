/*
 * api.h: the benchmark of ipalloc-apiserver: what its parts share.
 *
 *   client.c  many connections that create or delete Services as fast as they are answered
 *   server.c  the server, a process of its own with a store of its own
 *   bare.c    SQLite alone, committing the rows that the server's store was seen to write
 *   common.c  the clock, and the end of a run that went wrong
 *   main.c    the cases and their table
 *
 * Whatever fails ends the program: a figure would mean nothing. Rates are per second.
 */
#ifndef IPALLOC_BENCH_API_H
#define IPALLOC_BENCH_API_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { API_PATH_MAX = 4096, API_CLIENTS_MAX = 64 };

uint64_t api_now_ns(void);
void api_broken(const char *what, const char *why) __attribute__((noreturn, cold));

/* --- the server ------------------------------------------------------------------------------- */

typedef struct api_server {
    pid_t process;
    uint16_t port;
    char store[API_PATH_MAX]; /* its file */
} api_server;

/* Start `program` with a new store in `directory`. */
void api_server_start(api_server *server, const char *program, const char *directory);
void api_server_stop(api_server *server);

/* Processor time that it has taken so far, of all its threads. */
uint64_t api_server_cpu_ns(const api_server *server);

/* --- the client ------------------------------------------------------------------------------- */

typedef struct api_work {
    uint16_t port;
    unsigned clients;
    bool deletes;     /* create otherwise */
    const char *name; /* Services are called NAME-0, NAME-1, ... */
    uint64_t count;   /* how many, at most */
    uint64_t end_ns;  /* no request begins after this; 0: do all */
} api_work;

/* Returns how many were done; *spent_ns is from the first request to the last answer. */
uint64_t api_client_run(const api_work *work, uint64_t *spent_ns);

/* --- SQLite alone ----------------------------------------------------------------------------- */

typedef struct api_bare api_bare;

/* A database in `directory` with the rows of `existing` Services, and more of them to write as the
 * store at `store`, whose server has ended, has them. */
api_bare *api_bare_open(const char *directory, const char *store, uint64_t existing);
void api_bare_close(api_bare *bare);

/* Commit one Service's rows after another for that long, from so many threads. Returns the rate. */
double api_bare_run(api_bare *bare, unsigned threads, uint64_t stretch_ns);

/* Bytes of keys and values of one Service's rows. */
double api_bare_bytes(const api_bare *bare);

#endif
