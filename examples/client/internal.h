/* internal.h: what client.c (the loop) and follow.c (one list and watch) share. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "client.h"
#include "string_map.h"

#include <curl/curl.h>

struct object {
    unsigned mark; /* of the list that named it last */
    struct json_object *value;
};

enum phase { PHASE_PAUSED, PHASE_LISTING, PHASE_WATCHING };

struct collection {
    struct client *client;
    struct collection *next;
    client_change changed;
    void *context;
    struct string_map objects; /* of struct object */
    char *url;                 /* without parameters */
    char *version;             /* resourceVersion up to which all is known; NULL: list */
    char *continue_from;       /* the next page; NULL: the first */
    unsigned page;             /* objects to ask for at once */
    unsigned mark;             /* of the list that is being read, or was last */
    bool synced;               /* was listed at least once */
    enum phase phase;
    CURL *transfer;               /* of the list or watch under way; NULL while paused */
    struct text body;             /* of a list, or of a watch's unfinished line, */
    size_t scanned;               /* in which so much has no end of a line */
    bool told_trouble;            /* and not yet that it is over */
    bool ended;                   /* the watch's stream said so itself */
    struct text trouble;          /* and why, if that is a reason to pause */
    int64_t begun, heard, resume; /* monotonic milliseconds */
    unsigned failures;            /* in a row */
    unsigned useless;             /* watches in a row that began and were a reason to list */
};

struct client {
    char *server, *name;
    void (*log)(void *context, const char *line);
    void *log_context;
    bool drops_managed_fields;
    CURLM *transfers;
    CURL *single; /* for client_send: keeps its connection */
    struct curl_slist *headers;
    struct collection *collections;
    size_t changes; /* called back so far */
    unsigned random;
};

int64_t client_now(void); /* monotonic milliseconds */
void client_say(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- follow.c --------------------------------------------------------------------------------- */

/* Begin what is due; returns milliseconds until something will be (-1: nothing). */
int follow_start_due(struct collection *collection);
/* Its transfer is over. */
void follow_done(struct collection *collection, CURLcode result);
void follow_stop(struct collection *collection);
/* Forget the copy. */
void follow_clear(struct collection *collection);

#endif
