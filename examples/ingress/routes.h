/*
 * routes.h: which host and path leads where: all Ingresses of our class put together.
 *
 * What is wrong with one Ingress is noted at that one, and leaves out as little as possible: a
 * path, a certificate, or, where nginx itself refuses it, the Ingress.
 */
#ifndef INGRESS_ROUTES_H
#define INGRESS_ROUTES_H

#include "json.h"

/* An Ingress, in the order of their age: the elder has its way where two want the same. */
struct ingress {
    struct ingress *next;
    char *name; /* "NAMESPACE/NAME" */
    struct json_object *object;
    bool left_out;        /* nginx refuses it */
    struct text problems; /* a line each: REASON, a tab, words */
};

struct location {
    struct location *next;
    bool exact;
    char *path;    /* of a prefix: without a slash at its end, so "" is everything */
    char *backend; /* "ADDRESS:PORT"; "": there is none, 503 */
    const struct ingress *owner;
};

struct site {
    struct site *next;
    char *host;        /* "" all that no other takes; "*.example.com" */
    char *certificate; /* the file of a Secret's certificate and key, relative to the directory;
                          "": no TLS */
    struct location *locations;
};

/* How the objects that an Ingress names are found. */
struct route_lookup {
    struct json_object *(*service)(void *context, const char *name);
    /* Is it a Secret with a certificate and its key? Then their file is in `path`, else why not. */
    bool (*certificate)(void *context, const char *name, struct text *path, struct text *why);
    void *context;
};

/* A list to be freed before the Ingresses; notes problems at them. What an Ingress has as its
 * default backend comes after all that has a path, for those of its hosts where no Ingress takes
 * everything. */
struct site *routes_make(struct ingress *ingresses, const struct route_lookup *lookup);
void routes_free(struct site *sites);

void ingress_note(struct ingress *ingress, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
