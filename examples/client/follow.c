/*
 * follow.c: one collection, kept by a list (in pages) and a watch from where the list ends.
 *
 * A watch that ends is begun again where it was; only where the server has forgotten what came
 * after that (410) all is listed anew, and only differences are called back. A server that says
 * nothing is left when the watch should have ended by itself.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define WATCH_S          30   /* a watch lasts so long, and is begun again */
#define SILENCE_MS       5000 /* beyond that, and for a page of a list */
#define CONNECT_MS       2000
#define PAUSE_FIRST_MS   50
#define PAUSE_LONGEST_MS 5000
#define AT_ONCE_MS       1000               /* a watch that ends sooner is of no use */
#define BODY_MAX         ((size_t)64 << 20) /* of a page, and of a line of a watch */

/* --- changes ---------------------------------------------------------------------------------- */

static const char *version_of(struct json_object *value) {
    return json_member_text(json_member(value, "metadata"), "resourceVersion");
}

static void call_back(struct collection *collection, const char *name, struct json_object *old,
                      struct json_object *new) {
    collection->client->changes++;
    if (collection->changed != NULL) {
        collection->changed(collection->context, name, old, new);
    }
}

/* "NAMESPACE/NAME" or "NAME"; the caller frees it. */
static char *name_of(struct json_object *value) {
    struct json_object *metadata = json_member(value, "metadata");
    const char *namespace = json_member_text(metadata, "namespace");
    struct text name = {0};
    text_format(&name, "%s%s%s", namespace, namespace[0] != '\0' ? "/" : "",
                json_member_text(metadata, "name"));
    return name.data;
}

/* The object is there now, with this value (taken). */
static void put(struct collection *collection, struct json_object *value) {
    char *name = name_of(value);
    if (name[0] == '\0') { /* no object of a server's */
        free(name);
        json_object_put(value);
        return;
    }
    struct object *object = string_map_find(&collection->objects, name);
    if (object == NULL) {
        object = memory_allocate(sizeof *object);
        string_map_set(&collection->objects, name, object);
    }
    struct json_object *old = object->value;
    if (collection->client->drops_managed_fields) {
        json_remove(json_member(value, "metadata"), "managedFields");
    }
    object->mark = collection->mark;
    if (old != NULL && strcmp(version_of(old), version_of(value)) == 0) {
        json_object_put(value);
    } else {
        object->value = value;
        call_back(collection, name, old, value);
        json_object_put(old);
    }
    free(name);
}

static void drop(struct collection *collection, const char *name) {
    struct object *object = string_map_take(&collection->objects, name);
    if (object != NULL) {
        call_back(collection, name, object->value, NULL);
        json_object_put(object->value);
        free(object);
    }
}

struct unlisted {
    unsigned mark;
    struct text names; /* a line each: a name has no line break */
};

static void gather_unlisted(void *context, const char *name, void *value) {
    struct unlisted *unlisted = context;
    if (((struct object *)value)->mark != unlisted->mark) {
        text_format(&unlisted->names, "%s\n", name);
    }
}

/* What the list that has just been read does not have. */
static void drop_unlisted(struct collection *collection) {
    struct unlisted unlisted = {.mark = collection->mark};
    string_map_each(&collection->objects, gather_unlisted, &unlisted);
    char *rest = unlisted.names.data;
    for (char *name; rest != NULL && (name = strsep(&rest, "\n")) != NULL && name[0] != '\0';) {
        drop(collection, name);
    }
    text_clear(&unlisted.names);
}

static void free_object(void *value) {
    json_object_put(((struct object *)value)->value);
    free(value);
}

void follow_clear(struct collection *collection) {
    string_map_clear(&collection->objects, free_object);
    text_clear(&collection->trouble);
}

/* --- trouble ---------------------------------------------------------------------------------- */

static void set_text(char **to, const char *text) {
    char *copy = text != NULL && text[0] != '\0' ? memory_copy(text) : NULL;
    free(*to);
    *to = copy;
}

/* For longer the more often it happened, with some chance in it so that followers do not come at
 * once. */
static void pause_for(struct collection *collection, unsigned times_before) {
    struct client *client = collection->client;
    int64_t pause = (int64_t)PAUSE_FIRST_MS << (times_before < 7 ? times_before : 7);
    client->random = client->random * 1103515245u + 12345u;
    pause = pause < PAUSE_LONGEST_MS ? pause : PAUSE_LONGEST_MS;
    pause = pause / 2 + (int64_t)(client->random >> 8) % (pause / 2 + 1);
    collection->resume = client_now() + pause;
}

static void pause_after(struct collection *collection, const char *why) {
    struct client *client = collection->client;
    pause_for(collection, collection->failures++);
    if (!collection->told_trouble && collection->failures > 1) {
        collection->told_trouble = true;
        client_say(client, "%s: %s; trying again", collection->url, why);
    }
}

static void note_success(struct collection *collection) {
    collection->failures = 0;
    collection->heard = client_now();
    if (collection->told_trouble) {
        collection->told_trouble = false;
        client_say(collection->client, "%s: goes on", collection->url);
    }
}

static void list_anew(struct collection *collection) {
    set_text(&collection->version, NULL);
    set_text(&collection->continue_from, NULL);
}

/* A watch says that all is to be listed. Whom the next one tells so again, as soon as it begins (a
 * server that forgets faster than it lists, or a broken one), lists with a pause. */
static void list_after_watch(struct collection *collection) {
    if (client_now() - collection->begun >= AT_ONCE_MS) {
        collection->useless = 0;
    } else if (collection->useless++ > 0) {
        pause_for(collection, collection->useless - 2);
    }
    list_anew(collection);
}

/* --- a list ----------------------------------------------------------------------------------- */

static void take_page(struct collection *collection, struct json_object *list) {
    struct json_object *items = json_member(list, "items");
    struct json_object *metadata = json_member(list, "metadata");
    const char *next = json_member_text(metadata, "continue");
    for (size_t i = 0; i < json_length(items); i++) {
        put(collection, json_object_get(json_object_array_get_idx(items, i)));
    }
    set_text(&collection->continue_from, next);
    if (next[0] == '\0') {
        drop_unlisted(collection);
        set_text(&collection->version, json_member_text(metadata, "resourceVersion"));
        collection->synced = true;
    }
}

/* Anything else that is answered with 200 (by a proxy, say) must not look like an empty list: all
 * that is known would be gone. */
static bool is_list(struct json_object *list) {
    struct json_object *items = json_member(list, "items");
    bool listed = json_object_is_type(items, json_type_array) ||
                  (items == NULL && json_object_object_get_ex(list, "items", NULL));
    return listed && version_of(list)[0] != '\0';
}

static void end_of_list(struct collection *collection, long code) {
    struct text problem = {0};
    struct json_object *list = NULL;
    if (code == 200) {
        list = json_parse(collection->body.data != NULL ? collection->body.data : "",
                          collection->body.size, &problem);
    }
    if (list != NULL && is_list(list)) {
        note_success(collection);
        take_page(collection, list);
    } else {
        list_anew(collection);
        text_format(&problem, "%sthe list is answered with %ld%s", problem.size > 0 ? ": " : "",
                    code, list != NULL ? ", and is none" : "");
        pause_after(collection, problem.data);
    }
    json_object_put(list);
    text_clear(&problem);
}

/* --- a watch ---------------------------------------------------------------------------------- */

static void take_error(struct collection *collection, struct json_object *status) {
    if (json_member_number(status, "code", 0) == 410) {
        list_after_watch(collection);
    } else {
        text_format(&collection->trouble, "the watch ends: %s",
                    json_member_text(status, "message"));
    }
    collection->ended = true;
}

static void take_event(struct collection *collection, struct json_object *event) {
    const char *type = json_member_text(event, "type");
    struct json_object *value = json_member(event, "object");
    if (strcmp(type, "ERROR") == 0) {
        take_error(collection, value);
        return;
    }
    note_success(collection);
    collection->useless = 0;
    set_text(&collection->version, version_of(value));
    if (strcmp(type, "DELETED") == 0) {
        char *name = name_of(value);
        drop(collection, name);
        free(name);
    } else if (strcmp(type, "BOOKMARK") != 0) {
        put(collection, json_object_get(value));
    }
}

static void take_line(struct collection *collection, const char *line, size_t size) {
    struct text problem = {0};
    struct json_object *event = json_parse(line, size, &problem);
    if (event != NULL && json_member(event, "object") != NULL) {
        take_event(collection, event);
    } else {
        collection->ended = true;
        list_anew(collection); /* what it was is unknown */
        text_add(&collection->trouble, "an event that is no JSON");
    }
    json_object_put(event);
    text_clear(&problem);
}

/* Whole lines are events; the rest waits for more. */
static bool take_lines(struct collection *collection) {
    struct text *body = &collection->body;
    size_t start = 0;
    size_t scanned = collection->scanned;
    char *end;
    while (!collection->ended &&
           (end = memchr(body->data + scanned, '\n', body->size - scanned)) != NULL) {
        scanned = (size_t)(end - body->data) + 1;
        if (scanned - start > 1) {
            take_line(collection, body->data + start, scanned - 1 - start);
        }
        start = scanned;
    }
    if (start > 0) {
        memmove(body->data, body->data + start, body->size - start);
        body->size -= start;
    }
    collection->scanned = body->size;
    return !collection->ended;
}

static void end_of_watch(struct collection *collection, long code) {
    if (collection->trouble.size > 0) {
        pause_after(collection, collection->trouble.data);
    } else if (collection->ended) {
        return; /* judged already */
    } else if (code == 410) {
        list_after_watch(collection);
    } else if (code != 200) {
        char why[64];
        snprintf(why, sizeof why, "the watch is answered with %ld", code);
        pause_after(collection, why);
    } else if (client_now() - collection->begun < AT_ONCE_MS) {
        pause_after(collection, "the watch ends at once");
    }
}

/* --- transfers -------------------------------------------------------------------------------- */

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
    struct collection *collection = context;
    long code = 0;
    curl_easy_getinfo(collection->transfer, CURLINFO_RESPONSE_CODE, &code);
    collection->heard = client_now();
    text_append(&collection->body, bytes, size * count);
    if (collection->body.size > BODY_MAX) {
        return 0;
    }
    bool goes_on = collection->phase != PHASE_WATCHING || code != 200 || take_lines(collection);
    return goes_on ? size * count : 0;
}

static void set_up(struct collection *collection, const char *url) {
    CURL *transfer = curl_easy_init();
    curl_easy_setopt(transfer, CURLOPT_URL, url);
    curl_easy_setopt(transfer, CURLOPT_HTTPHEADER, collection->client->headers);
    curl_easy_setopt(transfer, CURLOPT_USERAGENT, collection->client->name);
    curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(transfer, CURLOPT_WRITEDATA, collection);
    curl_easy_setopt(transfer, CURLOPT_PRIVATE, collection);
    curl_easy_setopt(transfer, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(transfer, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(transfer, CURLOPT_TIMEOUT_MS,
                     collection->phase == PHASE_WATCHING ? WATCH_S * 1000L + SILENCE_MS
                                                         : 4L * SILENCE_MS);
    collection->transfer = transfer;
    collection->begun = client_now();
    collection->ended = false;
    collection->trouble.size = 0;
    collection->body.size = 0;
    collection->scanned = 0;
    curl_multi_add_handle(collection->client->transfers, transfer);
}

/* A path may have a selector already. */
static char first_separator(const struct collection *collection) {
    return strchr(collection->url, '?') != NULL ? '&' : '?';
}

static void start_list(struct collection *collection) {
    struct text url = {0};
    text_format(&url, "%s%climit=%u", collection->url, first_separator(collection),
                collection->page);
    if (collection->continue_from != NULL) {
        char *escaped = curl_easy_escape(NULL, collection->continue_from, 0);
        text_format(&url, "&continue=%s", escaped);
        curl_free(escaped);
    } else {
        collection->mark++;
    }
    collection->phase = PHASE_LISTING;
    set_up(collection, url.data);
    text_clear(&url);
}

static void start_watch(struct collection *collection) {
    struct text url = {0};
    text_format(&url,
                "%s%cwatch=true&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s",
                collection->url, first_separator(collection), WATCH_S, collection->version);
    collection->phase = PHASE_WATCHING;
    set_up(collection, url.data);
    text_clear(&url);
}

int follow_start_due(struct collection *collection) {
    if (collection->transfer != NULL) {
        return -1;
    }
    int64_t left = collection->resume - client_now();
    if (left > 0) {
        return (int)left;
    }
    if (collection->version == NULL) {
        start_list(collection);
    } else {
        start_watch(collection);
    }
    return -1;
}

void follow_stop(struct collection *collection) {
    if (collection->transfer != NULL) {
        curl_multi_remove_handle(collection->client->transfers, collection->transfer);
        curl_easy_cleanup(collection->transfer);
        collection->transfer = NULL;
    }
}

void follow_done(struct collection *collection, CURLcode result) {
    long code = 0;
    bool watched = collection->phase == PHASE_WATCHING;
    curl_easy_getinfo(collection->transfer, CURLINFO_RESPONSE_CODE, &code);
    follow_stop(collection);
    collection->phase = PHASE_PAUSED;
    if (result != CURLE_OK && !watched && collection->body.size > BODY_MAX &&
        collection->page > 1) {
        collection->page = (collection->page + 7) / 8; /* of large objects, fewer at once */
    } else if (result != CURLE_OK && !collection->ended) {
        if (!watched) {
            list_anew(collection);
        }
        pause_after(collection, curl_easy_strerror(result));
    } else if (watched) {
        end_of_watch(collection, code);
    } else {
        end_of_list(collection, code);
    }
}
