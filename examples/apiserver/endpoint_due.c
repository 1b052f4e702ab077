/* endpoint_due.c: see endpoint_due.h. */
#include "endpoint_due.h"

#include <stdlib.h>
#include <string.h>

struct due {
    TAILQ_ENTRY(due) place;
    enum due_line line; /* DUE_LINES: in none */
    unsigned refusals;
    uint64_t at; /* of those aside: when they are due */
    char service[];
};

void due_open(struct due_list *list) {
    *list = (struct due_list){0};
    for (int i = 0; i < DUE_LINES; i++) {
        TAILQ_INIT(&list->rows[i]);
    }
}

void due_close(struct due_list *list) {
    string_map_clear(&list->all, free);
}

static struct due *ensure(struct due_list *list, const char *service) {
    struct due *due = string_map_find(&list->all, service);
    if (due == NULL) {
        due = memory_allocate(sizeof *due + strlen(service) + 1);
        memcpy(due->service, service, strlen(service) + 1);
        due->line = DUE_LINES;
        string_map_set(&list->all, service, due);
    }
    return due;
}

static void leave(struct due_list *list, struct due *due) {
    if (due->line != DUE_LINES) {
        TAILQ_REMOVE(&list->rows[due->line], due, place);
        due->line = DUE_LINES;
    }
}

static void enter(struct due_list *list, struct due *due, enum due_line line) {
    leave(list, due);
    TAILQ_INSERT_TAIL(&list->rows[line], due, place);
    due->line = line;
}

static void forget_if_idle(struct due_list *list, struct due *due) {
    if (due->line == DUE_LINES && due->refusals == 0) {
        free(string_map_take(&list->all, due->service));
    }
}

void due_add(struct due_list *list, const char *service, enum due_line line) {
    struct due *due = ensure(list, service);
    if (due->line > line) {
        enter(list, due, line);
    }
}

static uint64_t pause_after(unsigned refusals) {
    uint64_t pause = DUE_AGAIN_MS;
    for (unsigned i = 1; i < refusals && pause < DUE_AGAIN_MOST_MS; i++) {
        pause *= 2;
    }
    return pause < DUE_AGAIN_MOST_MS ? pause : DUE_AGAIN_MOST_MS;
}

static void stand_aside(struct due_list *list, struct due *due) {
    struct due *before = TAILQ_LAST(&list->rows[DUE_ASIDE], due_row);
    while (before != NULL && before->at > due->at) {
        before = TAILQ_PREV(before, due_row, place);
    }
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&list->rows[DUE_ASIDE], before, due, place);
    } else {
        TAILQ_INSERT_HEAD(&list->rows[DUE_ASIDE], due, place);
    }
    due->line = DUE_ASIDE;
}

void due_refused(struct due_list *list, const char *service, uint64_t now) {
    struct due *due = ensure(list, service);
    due->refusals++;
    due->at = now + pause_after(due->refusals);
    if (due->line == DUE_LINES) { /* else something made it due meanwhile */
        stand_aside(list, due);
    }
}

unsigned due_refusals(const struct due_list *list, const char *service) {
    const struct due *due = string_map_find(&list->all, service);
    return due != NULL ? due->refusals : 0;
}

void due_settled(struct due_list *list, const char *service) {
    struct due *due = string_map_find(&list->all, service);
    if (due != NULL) {
        due->refusals = 0;
        forget_if_idle(list, due);
    }
}

static void bring_back(struct due_list *list, uint64_t now) {
    struct due *due;
    while ((due = TAILQ_FIRST(&list->rows[DUE_ASIDE])) != NULL && due->at <= now) {
        enter(list, due, DUE_SECOND);
    }
}

char *due_take(struct due_list *list, uint64_t now) {
    bring_back(list, now);
    enum due_line other = list->turn == DUE_FIRST ? DUE_SECOND : DUE_FIRST;
    enum due_line line = TAILQ_EMPTY(&list->rows[list->turn]) ? other : list->turn;
    struct due *due = TAILQ_FIRST(&list->rows[line]);
    if (due == NULL) {
        return NULL;
    }
    char *service = memory_copy(due->service);
    list->turn = line == DUE_FIRST ? DUE_SECOND : DUE_FIRST;
    leave(list, due);
    forget_if_idle(list, due);
    return service;
}

int due_wait(const struct due_list *list, uint64_t now) {
    const struct due *aside = TAILQ_FIRST(&list->rows[DUE_ASIDE]);
    if (!TAILQ_EMPTY(&list->rows[DUE_FIRST]) || !TAILQ_EMPTY(&list->rows[DUE_SECOND])) {
        return 0;
    }
    if (aside == NULL) {
        return -1;
    }
    return aside->at > now ? (int)(aside->at - now) : 0;
}
