/* configuration.c: see configuration.h. */
#include "configuration.h"

#include "nginx.h"
#include "nginx_text.h"
#include "secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REMEMBERED_S 300 /* it may not have been its fault after all */

/* --- rendering -------------------------------------------------------------------------------- */

static struct json_object *find_service(void *context, const char *name) {
    return client_find(((struct configurator *)context)->services, name);
}

/* A certificate that is good is on disk when the configuration names it. */
static bool find_certificate(void *context, const char *name, struct text *path, struct text *why) {
    struct configurator *configurator = context;
    struct text pem = {0};
    bool well = secret_read(client_find(configurator->secrets, name), &pem, why);
    if (well) {
        secret_file(name, &pem, path);
        well = secret_write(configurator->options->directory, path->data, &pem);
        if (!well) {
            text_add(why, "cannot be written to the directory");
        }
    }
    text_clear(&pem);
    return well;
}

static void render(struct configurator *configurator, struct ingress *ingresses, struct text *out) {
    struct route_lookup lookup = {find_service, find_certificate, configurator};
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        if (!at->left_out) {
            at->problems.size = 0;
        }
    }
    struct site *sites = routes_make(ingresses, &lookup);
    out->size = 0;
    nginx_print(out, configurator->options, sites);
    routes_free(sites);
}

/* What it would be if there were no other Ingress. */
static void render_alone(struct configurator *configurator, const struct ingress *ingress,
                         struct text *out) {
    struct ingress alone = {.name = ingress->name, .object = ingress->object};
    render(configurator, &alone, out);
    text_clear(&alone.problems);
}

/* --- what nginx refuses ----------------------------------------------------------------------- */

struct bad {
    char *text;  /* alone */
    char *words; /* of nginx */
    time_t seen;
};

static void bad_free(void *value) {
    struct bad *bad = value;
    if (bad != NULL) {
        free(bad->text);
        free(bad->words);
        free(bad);
    }
}

static void leave_out(struct ingress *ingress, const char *words) {
    ingress->left_out = true;
    ingress->problems.size = 0;
    ingress_note(ingress, "Refused", "it is not served, because nginx refuses it: %.400s", words);
}

/* It was refused before, and is what it was. */
static void leave_out_if_known(struct configurator *configurator, struct ingress *ingress) {
    struct bad *bad = string_map_find(&configurator->bad, ingress->name);
    struct text alone = {0};
    if (bad == NULL) {
        return;
    }
    render_alone(configurator, ingress, &alone);
    if (strcmp(alone.data, bad->text) == 0 && time(NULL) - bad->seen < REMEMBERED_S) {
        leave_out(ingress, bad->words);
    } else {
        bad_free(string_map_take(&configurator->bad, ingress->name));
    }
    text_clear(&alone);
}

static void remember(struct configurator *configurator, struct ingress *ingress, const char *text,
                     const char *words) {
    struct bad *bad = memory_allocate(sizeof *bad);
    *bad = (struct bad){memory_copy(text), memory_copy(words), time(NULL)};
    bad_free(string_map_take(&configurator->bad, ingress->name));
    string_map_set(&configurator->bad, ingress->name, bad);
    leave_out(ingress, words);
}

/* Does nginx take the first `count` of these? Its words if not. */
static bool takes(struct configurator *configurator, struct ingress **items, size_t count,
                  struct text *words) {
    struct ingress *copies = memory_allocate((count + 1) * sizeof *copies);
    struct text text = {0};
    for (size_t i = 0; i < count; i++) {
        copies[i] = (struct ingress){.next = i + 1 < count ? &copies[i + 1] : NULL,
                                     .name = items[i]->name,
                                     .object = items[i]->object};
    }
    render(configurator, count > 0 ? copies : NULL, &text);
    text_clear(words);
    bool well = nginx_test(configurator->options, text.data, words);
    for (size_t i = 0; i < count; i++) {
        text_clear(&copies[i].problems);
    }
    free(copies);
    text_clear(&text);
    return well;
}

/* Of these, which nginx refuses together: how many of the eldest it takes, if it refuses them with
 * the next one. False where that one is not to blame: a full disk, an nginx that is not there, or
 * a fault that came or went while they were tried. */
static bool find_bad(struct configurator *configurator, struct ingress **items, size_t count,
                     size_t *good, struct text *words) {
    size_t taken = 0;
    size_t refused = count;
    if (count == 0 || !takes(configurator, items, 0, words)) {
        return false;
    }
    while (refused - taken > 1) {
        size_t middle = taken + (refused - taken) / 2;
        if (takes(configurator, items, middle, words)) {
            taken = middle;
        } else {
            refused = middle;
        }
    }
    *good = taken;
    return takes(configurator, items, taken, words) &&
           !takes(configurator, items, taken + 1, words);
}

/* The first that breaks what is there without it. Returns whether there is one. */
static bool leave_out_one(struct configurator *configurator, struct ingress *ingresses) {
    struct ingress **items = NULL;
    size_t count = 0;
    size_t good = 0;
    struct text words = {0};
    struct text alone = {0};
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        if (!at->left_out) {
            items = memory_resize(items, (count + 1) * sizeof *items);
            items[count++] = at;
        }
    }
    bool found = find_bad(configurator, items, count, &good, &words);
    if (found) {
        render_alone(configurator, items[good], &alone);
        remember(configurator, items[good], alone.data, words.data != NULL ? words.data : "");
    }
    free(items);
    text_clear(&alone);
    text_clear(&words);
    return found;
}

static void say_refused(struct configurator *configurator, const char *text, const char *words) {
    if (configurator->refused == NULL || strcmp(configurator->refused, text) != 0) {
        size_t length = words != NULL ? strlen(words) : 0;
        while (length > 0 && words[length - 1] == '\n') {
            length--;
        }
        fprintf(stderr,
                "ipalloc-ingress: nginx refuses the configuration, the old one stays: %.*s\n",
                (int)length, words != NULL ? words : "");
        free(configurator->refused);
        configurator->refused = memory_copy(text);
    }
}

bool configuration_find(struct configurator *configurator, struct ingress *ingresses,
                        struct text *out) {
    struct text words = {0};
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        leave_out_if_known(configurator, at);
    }
    render(configurator, ingresses, out);
    bool well = nginx_has(configurator->options, out->data) ||
                nginx_test(configurator->options, out->data, &words);
    while (!well && leave_out_one(configurator, ingresses)) {
        text_clear(&words);
        render(configurator, ingresses, out);
        well = nginx_test(configurator->options, out->data, &words);
    }
    if (!well) {
        say_refused(configurator, out->data, words.data);
    }
    text_clear(&words);
    return well;
}

static void find_due(void *context, const char *name, void *value) {
    (void)name;
    *(bool *)context |= time(NULL) - ((const struct bad *)value)->seen >= REMEMBERED_S;
}

bool configuration_is_due(const struct configurator *configurator) {
    bool due = false;
    string_map_each(&configurator->bad, find_due, &due);
    return due;
}

void configurator_clear(struct configurator *configurator) {
    string_map_clear(&configurator->bad, bad_free);
    free(configurator->refused);
}
