/* client.c: the loop that drives all collections, and single requests; see client.h. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_OBJECTS 500 /* where they are not too large */

int64_t client_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void client_say(struct client *client, const char *format, ...) {
    if (client->log != NULL) {
        char line[512];
        va_list values;
        va_start(values, format);
        vsnprintf(line, sizeof line, format, values);
        va_end(values);
        client->log(client->log_context, line);
    }
}

struct client *client_open(const struct client_options *options, struct text *problem) {
    const char *server = options->server;
    if (!text_starts_with(server, "http://") && !text_starts_with(server, "https://")) {
        text_format(problem, "\"%.200s\" is no URL of an API server: http://HOST:PORT", server);
        return NULL;
    }
    struct client *client = memory_allocate(sizeof *client);
    size_t length = strlen(server);
    client->server = memory_copy(server);
    while (length > 0 && client->server[length - 1] == '/') {
        client->server[--length] = '\0';
    }
    client->name = memory_copy(options->name);
    client->log = options->log;
    client->log_context = options->context;
    client->drops_managed_fields = options->drops_managed_fields;
    client->random = (unsigned)getpid() * 2654435761u;
    client->transfers = curl_multi_init();
    client->headers = curl_slist_append(NULL, "Accept: application/json");
    return client;
}

void client_close(struct client *client) {
    if (client == NULL) {
        return;
    }
    while (client->collections != NULL) {
        struct collection *collection = client->collections;
        client->collections = collection->next;
        follow_stop(collection);
        follow_clear(collection);
        text_clear(&collection->body);
        free(collection->url);
        free(collection->version);
        free(collection->continue_from);
        free(collection);
    }
    curl_easy_cleanup(client->single);
    curl_multi_cleanup(client->transfers);
    curl_slist_free_all(client->headers);
    free(client->server);
    free(client->name);
    free(client);
}

/* --- collections ------------------------------------------------------------------------------ */

struct collection *client_follow(struct client *client, const char *path, client_change changed,
                                 void *context) {
    struct collection *collection = memory_allocate(sizeof *collection);
    struct text url = {0};
    text_format(&url, "%s%s", client->server, path);
    *collection = (struct collection){.client = client,
                                      .next = client->collections,
                                      .changed = changed,
                                      .context = context,
                                      .url = url.data,
                                      .page = PAGE_OBJECTS};
    client->collections = collection;
    return collection;
}

bool client_has_synced(const struct client *client) {
    bool synced = true;
    for (struct collection *at = client->collections; at != NULL; at = at->next) {
        synced = synced && at->synced;
    }
    return synced;
}

double client_silence(const struct client *client) {
    int64_t now = client_now();
    int64_t longest = 0;
    for (struct collection *at = client->collections; at != NULL; at = at->next) {
        if (at->heard == 0) {
            return -1;
        }
        longest = now - at->heard > longest ? now - at->heard : longest;
    }
    return (double)longest / 1000;
}

struct json_object *client_find(const struct collection *collection, const char *name) {
    struct object *object = string_map_find(&collection->objects, name);
    return object != NULL ? object->value : NULL;
}

size_t client_count(const struct collection *collection) {
    return collection->objects.count;
}

struct each {
    void (*visit)(void *context, const char *name, struct json_object *object);
    void *context;
};

static void visit_value(void *context, const char *name, void *value) {
    const struct each *each = context;
    each->visit(each->context, name, ((struct object *)value)->value);
}

void client_each(const struct collection *collection,
                 void (*visit)(void *context, const char *name, struct json_object *object),
                 void *context) {
    struct each each = {visit, context};
    string_map_each(&collection->objects, visit_value, &each);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* Returns milliseconds until a paused one goes on; -1: none is paused. */
static int start_all_due(struct client *client) {
    int soonest = -1;
    for (struct collection *at = client->collections; at != NULL; at = at->next) {
        int left = follow_start_due(at);
        soonest = left >= 0 && (soonest < 0 || left < soonest) ? left : soonest;
    }
    return soonest;
}

static bool take_done(struct client *client) {
    CURLMsg *message;
    int left;
    bool any = false;
    while ((message = curl_multi_info_read(client->transfers, &left)) != NULL) {
        struct collection *collection = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &collection);
        follow_done(collection, result);
        any = true;
    }
    return any;
}

static int sooner(int one, int other) {
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

static bool is_any_ready(struct pollfd *others, size_t count) {
    return count > 0 && poll(others, (nfds_t)count, 0) > 0;
}

/* Sleep until something happens on a connection or on one of the others. */
static void sleep_until_any(struct client *client, struct pollfd *others, size_t count,
                            int timeout_ms) {
    struct curl_waitfd *extra = count > 0 ? memory_allocate(count * sizeof *extra) : NULL;
    for (size_t i = 0; i < count; i++) {
        extra[i].fd = others[i].fd;
        extra[i].events = CURL_WAIT_POLLIN;
    }
    curl_multi_poll(client->transfers, extra, (unsigned)count, timeout_ms < 0 ? 60000 : timeout_ms,
                    NULL);
    free(extra);
}

size_t client_wait(struct client *client, struct pollfd *others, size_t other_count,
                   int timeout_ms) {
    size_t before = client->changes;
    bool synced = client_has_synced(client);
    int64_t end = client_now() + timeout_ms;
    for (;;) {
        int due = start_all_due(client);
        int running;
        curl_multi_perform(client->transfers, &running);
        if (take_done(client)) {
            continue; /* begin what follows */
        }
        int left = timeout_ms < 0 ? -1 : (int)(end - client_now());
        if (client->changes != before || client_has_synced(client) != synced ||
            (timeout_ms >= 0 && left <= 0) || is_any_ready(others, other_count)) {
            return client->changes - before;
        }
        sleep_until_any(client, others, other_count, sooner(left, due));
        if (is_any_ready(others, other_count)) {
            return client->changes - before;
        }
    }
}

/* --- single requests -------------------------------------------------------------------------- */

static size_t collect(char *bytes, size_t size, size_t count, void *context) {
    text_append(context, bytes, size * count);
    return size * count;
}

static long perform(struct client *client, CURL *transfer, const char *type, const char *body,
                    struct text *received, struct text *problem) {
    struct text line = {0};
    long code = 0;
    text_format(&line, "Content-Type: %s", type != NULL ? type : "application/json");
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    headers = curl_slist_append(headers, "Expect:");
    if (body != NULL) {
        headers = curl_slist_append(headers, line.data);
        curl_easy_setopt(transfer, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(transfer, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    }
    curl_easy_setopt(transfer, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(transfer, CURLOPT_USERAGENT, client->name);
    curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(transfer, CURLOPT_WRITEDATA, received);
    CURLcode result = curl_easy_perform(transfer);
    if (result == CURLE_OK) {
        curl_easy_getinfo(transfer, CURLINFO_RESPONSE_CODE, &code);
    } else {
        text_add(problem, curl_easy_strerror(result));
    }
    curl_slist_free_all(headers);
    text_clear(&line);
    return code;
}

int client_send(struct client *client, const char *method, const char *path, const char *type,
                const char *body, int timeout_ms, struct json_object **answer,
                struct text *problem) {
    struct text url = {0};
    struct text received = {0};
    struct text malformed = {0};
    if (client->single == NULL) {
        client->single = curl_easy_init();
    }
    curl_easy_reset(client->single); /* keeps the connection */
    text_format(&url, "%s%s", client->server, path);
    curl_easy_setopt(client->single, CURLOPT_URL, url.data);
    curl_easy_setopt(client->single, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->single, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->single, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(client->single, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    int code = (int)perform(client, client->single, type, body, &received, problem);
    if (answer != NULL) {
        *answer = code != 0 && received.size > 0
                      ? json_parse(received.data, received.size, &malformed)
                      : NULL;
    }
    text_clear(&url);
    text_clear(&received);
    text_clear(&malformed);
    return code;
}
