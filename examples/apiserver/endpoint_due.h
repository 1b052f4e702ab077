/*
 * endpoint_due.h: which Services are to be looked at by the endpoints' keeper, and which one next.
 *
 * There are two lines, and each gives one in turn: what was changed itself stands in the first and
 * so waits for one other at most, whatever one Pod's change made due in the second. What the server
 * refused stands aside and comes again by itself, later each time. No clock of its own: the caller
 * says what time it is, in milliseconds of any clock that does not go back.
 */
#ifndef APISERVER_ENDPOINT_DUE_H
#define APISERVER_ENDPOINT_DUE_H

#include "string_map.h"

#include <stdint.h>
#include <sys/queue.h>

#define DUE_AGAIN_MS      500   /* after the first refusal, then twice as long each time */
#define DUE_AGAIN_MOST_MS 60000 /* at most */

enum due_line { DUE_FIRST, DUE_SECOND, DUE_ASIDE, DUE_LINES };

TAILQ_HEAD(due_row, due);

struct due_list {
    struct string_map all;          /* of struct due: those in a line, and those refused before */
    struct due_row rows[DUE_LINES]; /* those aside by their time */
    enum due_line turn;
};

void due_open(struct due_list *list);
void due_close(struct due_list *list);

/* To the end of that line (DUE_FIRST or DUE_SECOND), unless it stands in it, or in a better one,
 * already. */
void due_add(struct due_list *list, const char *service, enum due_line line);

/* The server refused what it needs. */
void due_refused(struct due_list *list, const char *service, uint64_t now);

/* How often in a row it did. */
unsigned due_refusals(const struct due_list *list, const char *service);

/* It is as it should be: earlier refusals count no longer. */
void due_settled(struct due_list *list, const char *service);

/* The next one, which the caller frees; NULL: none is due now. */
char *due_take(struct due_list *list, uint64_t now);

/* Milliseconds until one is due; -1: none stands in any line. */
int due_wait(const struct due_list *list, uint64_t now);

#endif
