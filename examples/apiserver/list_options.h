/*
 * list_options.h: what a list request asks for besides selectors: pages and versions.
 *
 * The rules and texts are kube-apiserver's: limit and continue, resourceVersion with
 * resourceVersionMatch, and what of it a watch may say. A page's continue token is opaque to
 * clients: base64 of {"v","rv","start"}, where the next page begins behind the object `start` in
 * the state at `rv`; rv -1 goes on in the present state after a token has expired.
 */
#ifndef APISERVER_LIST_OPTIONS_H
#define APISERVER_LIST_OPTIONS_H

#include "http.h"
#include "record.h"
#include "status.h"

#define LIST_START_TEXT 520 /* "NAMESPACE/NAME" */

struct list_options {
    uint64_t limit;              /* 0: everything */
    bool continues;              /* a continue token was given */
    bool exact;                  /* the state at `revision`, not the present one */
    uint64_t revision;           /* 0: any; without `exact`: no older than that */
    char start[LIST_START_TEXT]; /* "": from the first */
};

/* Read and check them. False with the outcome set: 400, 410 or 422. */
bool list_options_read(const struct server *server, const struct request *request,
                       struct list_options *options, struct outcome *outcome);

/* What a watch may not say: 422. */
bool list_options_check_watch(const struct request *request, struct outcome *outcome);

/* The token for what comes behind `start`; revision 0: in the present state. */
void list_token_format(const struct server *server, uint64_t revision, const char *start,
                       struct text *out);

/* A list of a version that is yet to come: 504, with how long to wait. */
void list_too_new(const struct server *server, uint64_t asked, uint64_t present,
                  struct outcome *outcome);

#endif
