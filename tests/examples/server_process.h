/*
 * server_process.h: the real ipalloc-apiserver for tests: started on a free loopback port, killed
 * with the test that started it, spoken to with libcurl or a raw socket.
 *
 * The binary is named by the environment variable APISERVER (meson sets it).
 */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server_process {
    pid_t pid;
    int output; /* its standard output, read up to the start line */
    unsigned port;
    char start_line[1024];
};

#define SERVER_ARGUMENTS_MAX 12

/* Start it with these further arguments (NULL-terminated list), on a free port unless they have a
 * --listen, and wait until it serves. Fails the
 * test if it does not. */
struct server_process server_start(const char *const *arguments);

/* The same in two steps, for servers that start at the same moment: has it begun to serve? If not,
 * it has ended. */
struct server_process server_launch(const char *const *arguments);
bool server_await(struct server_process *server);

/* What stands for a store URL: the same, or, where the environment's STORE_URL names another store
 * (an etcd), a prefix of its own in that one for each URL. */
const char *server_store_url(const char *url);

/* Run it to its end: the exit code, and what it wrote to standard error. */
int server_run(const char *const *arguments, char *errors, size_t capacity);

/* kill -9, or SIGTERM and the exit code. */
void server_kill(struct server_process *server);
int server_stop(struct server_process *server);

struct answer {
    long code;
    char *text; /* NUL-terminated */
    size_t size;
    struct json_object *json; /* NULL if it is none */
    char warning[1024];
    char allow[128];
    char content_type[128];
};

/* One request; content_type and accept may be NULL, body may be NULL. */
struct answer server_ask(const struct server_process *server, const char *method, const char *path,
                         const char *content_type, const char *accept, const void *body,
                         size_t body_size);

/* The common ones, with text bodies of JSON. */
struct answer server_get(const struct server_process *server, const char *path);
struct answer server_post(const struct server_process *server, const char *path, const char *body);
void answer_free(struct answer *answer);

/* A text inside the answer, by a path of names separated by dots ("spec.clusterIP"), list elements
 * by number ("items.0.metadata.name"); "" where it is absent. Numbers are returned as text. */
const char *answer_text(const struct answer *answer, const char *path);
const char *json_text_at(struct json_object *value, const char *path);

/* A connected socket whose reads give up after ten seconds. */
int server_connect(const struct server_process *server);

/* Write all of it; read until the peer closes, `until` has been read, or ten seconds are over. */
bool socket_write(int descriptor, const void *bytes, size_t size);
size_t socket_read_until(int descriptor, char *out, size_t capacity, const char *until);

double seconds_now(void);

#endif
