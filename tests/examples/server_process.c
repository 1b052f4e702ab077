/* server_process.c: processes, libcurl and sockets for the API server's tests. */
#include "server_process.h"

#include "support.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t hash_of(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

const char *server_store_url(const char *url) {
    static char other[1024];
    const char *store = getenv("STORE_URL");
    if (store == NULL || strncmp(url, "etcd:", strlen("etcd:")) == 0) {
        return url;
    }
    if (strcmp(url, "memory:") == 0) { /* each a fresh one */
        snprintf(other, sizeof other, "%s/memory-%ld-%.0f", store, (long)getpid(),
                 seconds_now() * 1e9);
    } else {
        snprintf(other, sizeof other, "%s/%016llx", store, (unsigned long long)hash_of(url));
    }
    return other;
}

static void run_binary(const char *const *arguments, int output, int errors, bool free_port) {
    static const char store[] = "--store=";
    const char *binary = getenv("APISERVER");
    const char *words[SERVER_ARGUMENTS_MAX + 4] = {binary};
    char store_flag[1100];
    size_t count = 1;
    bool stored = getenv("STORE_URL") == NULL;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        free_port = free_port && strncmp(arguments[i], "--listen=", strlen("--listen=")) != 0;
    }
    if (free_port) {
        words[count++] = "--listen=127.0.0.1:0";
    }
    for (size_t i = 0; arguments[i] != NULL; i++) {
        words[count++] = arguments[i];
        if (!stored && strncmp(arguments[i], store, strlen(store)) == 0) {
            snprintf(store_flag, sizeof store_flag, "%s%s", store,
                     server_store_url(arguments[i] + strlen(store)));
            words[count - 1] = store_flag;
            stored = true;
        }
    }
    if (!stored) {
        snprintf(store_flag, sizeof store_flag, "%s%s", store, server_store_url("memory:"));
        words[count++] = store_flag;
    }
    words[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execv(binary, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Read one line, or up to the end; gives up after PATIENCE_MS. */
static size_t read_line(int descriptor, char *out, size_t capacity) {
    size_t size = 0;
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    while (size + 1 < capacity && poll(&ready, 1, PATIENCE_MS) > 0 &&
           read(descriptor, out + size, 1) == 1) {
        if (out[size] == '\n') {
            break;
        }
        size++;
    }
    out[size] = '\0';
    return size;
}

struct server_process server_launch(const char *const *arguments) {
    struct server_process server = {0};
    int pipes[2];
    ck_assert_ptr_nonnull(getenv("APISERVER"));
    ck_assert_int_eq(pipe(pipes), 0);
    server.pid = fork();
    ck_assert_int_ge(server.pid, 0);
    if (server.pid == 0) {
        run_binary(arguments, pipes[1], STDERR_FILENO, true);
    }
    close(pipes[1]);
    server.output = pipes[0];
    return server;
}

bool server_await(struct server_process *server) {
    static const char on[] = "serving on http://127.0.0.1:";
    read_line(server->output, server->start_line, sizeof server->start_line);
    const char *url = strstr(server->start_line, on);
    if (url != NULL) {
        server->port = (unsigned)strtoul(url + strlen(on), NULL, 10);
    }
    /* The read end stays open, so that the server's last words do not fail. */
    return url != NULL;
}

struct server_process server_start(const char *const *arguments) {
    struct server_process server = server_launch(arguments);
    ck_assert_msg(server_await(&server), "the server did not start: %s", server.start_line);
    return server;
}

int server_run(const char *const *arguments, char *errors, size_t capacity) {
    int pipes[2];
    int status = 0;
    size_t size = 0;
    ssize_t got;
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        run_binary(arguments, STDOUT_FILENO, pipes[1], false);
    }
    close(pipes[1]);
    while (size + 1 < capacity && (got = read(pipes[0], errors + size, capacity - 1 - size)) > 0) {
        size += (size_t)got;
    }
    errors[size] = '\0';
    close(pipes[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void server_kill(struct server_process *server) {
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

int server_stop(struct server_process *server) {
    int status = -1;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
    server->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- libcurl ------------------------------------------------------------------------------------
 */

static size_t keep_body(char *bytes, size_t size, size_t count, void *context) {
    struct answer *answer = context;
    answer->text = realloc(answer->text, answer->size + size * count + 1);
    memcpy(answer->text + answer->size, bytes, size * count);
    answer->size += size * count;
    answer->text[answer->size] = '\0';
    return size * count;
}

/* The value of the header where the line is one of this name. */
static void keep_value(char *out, size_t capacity, const char *name, const char *line,
                       size_t size) {
    size_t length = strlen(name);
    if (size > length + 2 && strncasecmp(line, name, length) == 0) {
        snprintf(out, capacity, "%.*s", (int)(size - length - 2), line + length);
    }
}

static size_t keep_header(char *bytes, size_t size, size_t count, void *context) {
    struct answer *answer = context;
    size_t length = size * count;
    keep_value(answer->warning, sizeof answer->warning, "Warning: ", bytes, length);
    keep_value(answer->allow, sizeof answer->allow, "Allow: ", bytes, length);
    keep_value(answer->content_type, sizeof answer->content_type, "Content-Type: ", bytes, length);
    return length;
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *name,
                                     const char *value) {
    char line[256];
    /* Without a value: not sent, also where libcurl would add one of its own. */
    snprintf(line, sizeof line, value != NULL ? "%s: %s" : "%s:", name, value);
    return curl_slist_append(headers, line);
}

struct answer server_ask(const struct server_process *server, const char *method, const char *path,
                         const char *content_type, const char *accept, const void *body,
                         size_t body_size) {
    struct answer answer = {0};
    char url[2048];
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = add_header(NULL, "Content-Type", content_type);
    headers = add_header(headers, "Accept", accept != NULL ? accept : "application/json");
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server->port, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS * 3);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_size);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.code);
    ck_assert_msg(result == CURLE_OK, "%s %s: %s", method, path, curl_easy_strerror(result));
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    answer.json = answer.text != NULL ? json_tokener_parse(answer.text) : NULL;
    return answer;
}

struct answer server_get(const struct server_process *server, const char *path) {
    return server_ask(server, "GET", path, NULL, NULL, NULL, 0);
}

struct answer server_post(const struct server_process *server, const char *path, const char *body) {
    return server_ask(server, "POST", path, "application/json", NULL, body, strlen(body));
}

void answer_free(struct answer *answer) {
    json_object_put(answer->json);
    free(answer->text);
    *answer = (struct answer){0};
}

const char *json_text_at(struct json_object *value, const char *path) {
    char part[128];
    while (*path != '\0' && value != NULL) {
        size_t length = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        path += length + (path[length] == '.');
        struct json_object *inner = NULL;
        if (json_object_is_type(value, json_type_array)) {
            inner = json_object_array_get_idx(value, strtoul(part, NULL, 10));
        } else if (json_object_is_type(value, json_type_object)) {
            json_object_object_get_ex(value, part, &inner);
        }
        value = inner;
    }
    return value != NULL ? json_object_get_string(value) : "";
}

const char *answer_text(const struct answer *answer, const char *path) {
    return json_text_at(answer->json, path);
}

/* --- sockets ------------------------------------------------------------------------------------
 */

int server_connect(const struct server_process *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return descriptor;
}

bool socket_write(int descriptor, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = send(descriptor, at, size, MSG_NOSIGNAL);
        if (written <= 0) {
            return false;
        }
        at += written;
        size -= (size_t)written;
    }
    return true;
}

size_t socket_read_until(int descriptor, char *out, size_t capacity, const char *until) {
    size_t size = 0;
    out[0] = '\0';
    while (size + 1 < capacity) {
        ssize_t got = recv(descriptor, out + size, capacity - 1 - size, 0);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
        out[size] = '\0';
        if (until != NULL && strstr(out, until) != NULL) {
            break;
        }
    }
    return size;
}
