/*
 * remote.c: asking a server to run the operation: GET /ipalloc/v1/NAME?argument=value for what only
 * looks, POST with the arguments as JSON for what writes. The answer is the same document that a
 * store of our own gives, and it is shown the same way.
 */
#include "command.h"

#ifdef WITH_CURL

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_S 5L
#define SILENCE_MAX_S     120L /* a large list takes a while to begin */
#define ANSWER_MAX        ((size_t)1 << 30)

static size_t keep_answer(char *bytes, size_t size, size_t count, void *context) {
    struct text *answer = context;
    if (answer->size + size * count > ANSWER_MAX) {
        return 0;
    }
    text_append(answer, bytes, size * count);
    return size * count;
}

static bool add_query(CURL *curl, struct json_object *arguments, struct text *url) {
    char separator = '?';
    json_object_object_foreach(arguments, name, value) {
        const char *words = json_object_get_string(value);
        char *escaped = curl_easy_escape(curl, words, (int)strlen(words));
        if (escaped == NULL) {
            return false;
        }
        text_format(url, "%c%s=%s", separator, name, escaped);
        curl_free(escaped);
        separator = '&';
    }
    return true;
}

static bool make_url(CURL *curl, const struct invocation *invocation,
                     const struct admin_operation *operation, struct text *url) {
    size_t length = strlen(invocation->server);
    while (length > 0 && invocation->server[length - 1] == '/') {
        length--;
    }
    text_append(url, invocation->server, length);
    text_format(url, "/ipalloc/v1/%s", operation->name);
    return operation->acts || add_query(curl, invocation->arguments, url);
}

static void set_options(CURL *curl, const char *url, struct text *answer) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* what the line says and nothing else */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_MAX_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
}

static CURLcode ask(CURL *curl, const struct invocation *invocation,
                    const struct admin_operation *operation, struct text *answer, long *code) {
    struct text url = {0};
    size_t size = 0;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (headers != NULL && make_url(curl, invocation, operation, &url)) {
        set_options(curl, url.data, answer);
        if (operation->acts) {
            const char *body = json_line(invocation->arguments, &size);
            curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
        }
        result = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, code);
    }
    curl_slist_free_all(headers);
    text_clear(&url);
    return result;
}

/* --- the answer --------------------------------------------------------------------------------
 */

/* The status that a server's answer names, by its name. */
static int status_named(const char *name) {
    for (int status = 0; status > -64; status--) {
        if (strcmp(ipalloc_status_name(status), name) == 0) {
            return status;
        }
    }
    return IPALLOC_E_UNAVAILABLE;
}

static int say_refusal(struct json_object *document, long code, struct text *problem) {
    const char *message = json_member_text(document, "message");
    int status = status_named(json_member_text(document, "status"));
    if (message[0] == '\0') {
        text_format(problem, "the server answered with code %ld, and not as an ipalloc-apiserver",
                    code);
    } else if (json_member(document, "kind") != NULL) {
        show_add_clean(problem, message); /* a server without these pages */
    } else {
        text_format(problem, "%s: ", ipalloc_strerror(status));
        show_add_clean(problem, message);
    }
    return status != IPALLOC_OK ? status : IPALLOC_E_UNAVAILABLE;
}

static bool show_document(struct json_object *document, struct show *show, struct text *problem) {
    struct json_object *items = json_member(document, "items");
    for (size_t i = 0; i < json_length(items); i++) {
        show_item(show, json_object_get(json_object_array_get_idx(items, i)));
    }
    json_remove(document, "items");
    json_remove(document, "kind");
    return show_end(show, document, problem);
}

static int read_answer(const struct text *answer, long code, struct show *show,
                       struct text *problem) {
    struct text ignored = {0};
    struct json_object *document =
        answer->size > 0 ? json_parse(answer->data, answer->size, &ignored) : NULL;
    int status = IPALLOC_OK;
    text_clear(&ignored);
    if (code != 200 || !json_object_is_type(document, json_type_object)) {
        status = say_refusal(document, code, problem);
        show_abandon(show);
    } else {
        status = show_document(document, show, problem) ? IPALLOC_OK : IPALLOC_E_CONFLICT;
    }
    json_object_put(document);
    return status;
}

int remote_run(const struct invocation *invocation, struct show *show, struct text *problem) {
    const struct admin_operation *operation = invocation->operation;
    struct text answer = {0};
    long code = 0;
    CURL *curl = curl_easy_init();
    CURLcode result =
        curl != NULL ? ask(curl, invocation, operation, &answer, &code) : CURLE_OUT_OF_MEMORY;
    int status = IPALLOC_E_UNAVAILABLE;
    if (result == CURLE_OK) {
        status = read_answer(&answer, code, show, problem);
    } else {
        show_add_clean(problem, invocation->server);
        text_format(problem, ": %s", curl_easy_strerror(result));
        show_abandon(show);
    }
    curl_easy_cleanup(curl);
    text_clear(&answer);
    return status;
}

#else

int remote_run(const struct invocation *invocation, struct show *show, struct text *problem) {
    (void)invocation;
    text_add(problem, "--server is not built in: it needs libcurl when ipallocctl is built");
    show_abandon(show);
    return IPALLOC_E_UNAVAILABLE;
}

#endif
