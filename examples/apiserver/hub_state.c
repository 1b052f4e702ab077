/* hub_state.c: states, present and past; see hub_state.h. */
#include "hub_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an object was before it changed for the first time after the wanted revision. */
struct former {
    const char *key;
    uint64_t sequence;
    struct shared_text *text; /* NULL: it was not there */
};

struct taking {
    const struct shelf *shelf;
    struct former *formers; /* by key, each key once */
    size_t former_count;
    char prefix[IPALLOC_RECORD_KEY_MAX]; /* of the wanted keys */
    char after[IPALLOC_RECORD_KEY_MAX];  /* the last unwanted key */
    struct hub_state *state;
};

static int compare_formers(const void *a, const void *b) {
    const struct former *left = a;
    const struct former *right = b;
    int order = strcmp(left->key, right->key);
    return order != 0 ? order : left->sequence < right->sequence ? -1 : 1;
}

/* Under the lock. */
static void find_formers(struct taking *taking, const struct hub *hub,
                         const struct resource *resource, uint64_t revision) {
    size_t count = 0;
    uint64_t events = hub->next_event - hub->first_event;
    taking->formers = memory_allocate((size_t)events * sizeof *taking->formers + 1);
    for (uint64_t at = hub->first_event; at < hub->next_event; at++) {
        const struct event *event = &hub->events[at % HUB_EVENTS_MAX];
        if (event->resource == resource && event->revision > revision) {
            taking->formers[count++] = (struct former){event->key, at, event->before};
        }
    }
    if (count > 0) {
        qsort(taking->formers, count, sizeof *taking->formers, compare_formers);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(taking->formers[i].key, taking->formers[i - 1].key) != 0) {
            taking->formers[taking->former_count++] = taking->formers[i];
        }
    }
}

static bool is_wanted(const struct taking *taking, const char *key) {
    return text_starts_with(key, taking->prefix) && strcmp(key, taking->after) > 0;
}

static void take(struct taking *taking, const char *key, struct shared_text *text) {
    if (text != NULL && is_wanted(taking, key)) {
        taking->state->texts[taking->state->count++] = shared_text_hold(text);
    }
}

/* Both lists are by key: walk them together; what was counts more than what is. */
static void merge(struct taking *taking) {
    struct shelf_walk walk = {.shelf = taking->shelf};
    const struct item *item;
    size_t j = 0;
    while ((item = shelf_peek(&walk)) != NULL || j < taking->former_count) {
        int order = item == NULL                ? 1
                    : j == taking->former_count ? -1
                                                : strcmp(item->key, taking->formers[j].key);
        if (order < 0) {
            take(taking, item->key, item->text);
        } else {
            take(taking, taking->formers[j].key, taking->formers[j].text);
        }
        if (order <= 0) {
            shelf_step(&walk);
        }
        j += order >= 0;
    }
}

enum hub_answer hub_state_take(struct hub *hub, const struct resource *resource,
                               const char *namespace, uint64_t revision, const char *start,
                               struct hub_state *state) {
    struct taking taking = {.shelf = &hub->shelves[resource_index(resource)], .state = state};
    const char *of_kind = resource->view == NULL ? resource->record_prefix : "";
    snprintf(taking.prefix, sizeof taking.prefix, "%s%s%s", of_kind, namespace,
             namespace[0] != '\0' ? "/" : "");
    snprintf(taking.after, sizeof taking.after, "%s%s", of_kind, start);
    *state = (struct hub_state){0};
    pthread_mutex_lock(&hub->lock);
    enum hub_answer answer = HUB_STATE;
    if (revision != 0 && revision < hub->floor) {
        answer = HUB_TOO_OLD;
        state->revision = hub->floor;
    } else if (revision > hub->revision) {
        answer = HUB_TOO_NEW;
        state->revision = hub->revision;
    } else {
        state->revision = revision != 0 ? revision : hub->revision;
        if (state->revision < hub->revision) {
            find_formers(&taking, hub, resource, state->revision);
        }
        size_t most = taking.shelf->count + taking.former_count;
        state->texts = memory_allocate((most + 1) * sizeof(struct shared_text *));
        merge(&taking);
    }
    pthread_mutex_unlock(&hub->lock);
    free(taking.formers);
    return answer;
}

void hub_state_drop(struct hub *hub, struct hub_state *state) {
    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < state->count; i++) {
        shared_text_drop(state->texts[i]);
    }
    pthread_mutex_unlock(&hub->lock);
    free(state->texts);
    *state = (struct hub_state){0};
}
