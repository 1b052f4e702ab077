/* kubeproxy_world.c: see kubeproxy_world.h. */
#include "kubeproxy_world.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct collection {
    struct string_map objects;
    client_change changed;
    void *context;
};

/* --- the client's functions ------------------------------------------------------------------- */

struct collection *client_follow(struct client *client, const char *path, client_change changed,
                                 void *context) {
    struct collection *collection = memory_allocate(sizeof *collection);
    (void)client;
    (void)path;
    collection->changed = changed;
    collection->context = context;
    return collection;
}

struct json_object *client_find(const struct collection *collection, const char *name) {
    return string_map_find(&collection->objects, name);
}

struct visiting {
    void (*visit)(void *context, const char *name, struct json_object *object);
    void *context;
};

static void visit_one(void *context, const char *name, void *value) {
    const struct visiting *visiting = context;
    visiting->visit(visiting->context, name, value);
}

void client_each(const struct collection *collection,
                 void (*visit)(void *context, const char *name, struct json_object *object),
                 void *context) {
    struct visiting visiting = {visit, context};
    string_map_each(&collection->objects, visit_one, &visiting);
}

/* --- the world -------------------------------------------------------------------------------- */

static void put_object(void *value) {
    json_object_put(value);
}

static void collection_end(struct collection *collection) {
    string_map_clear(&collection->objects, put_object);
    free(collection);
}

void world_begin(struct proxy *proxy, const struct proxy_options *options) {
    *proxy = (struct proxy){.options = options};
    proxy_follow(proxy);
}

void world_end(struct proxy *proxy) {
    struct collection *services = proxy->services;
    struct collection *slices = proxy->slices;
    proxy_clear(proxy);
    collection_end(services);
    collection_end(slices);
}

static void change(struct collection *collection, const char *name, struct json_object *object) {
    char key[400];
    snprintf(key, sizeof key, "default/%s", name);
    struct json_object *old = string_map_take(&collection->objects, key);
    if (object != NULL) {
        string_map_set(&collection->objects, key, object);
    }
    if (old != NULL || object != NULL) {
        collection->changed(collection->context, key, old, object);
    }
    json_object_put(old);
}

static struct json_object *parse(struct text *text) {
    struct text problem = {0};
    for (char *at = text->data; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct json_object *object = json_parse(text->data, text->size, &problem);
    ck_assert_msg(object != NULL, "%s: %s", text->data, problem.data);
    text_clear(text);
    return object;
}

static void add_form(struct text *text, const char *form, va_list values) {
    char *words;
    ck_assert_int_ge(vasprintf(&words, form, values), 0);
    text_add(text, words);
    free(words);
}

void world_put_service(struct proxy *proxy, const char *name, const char *spec, ...) {
    struct text text = {0};
    va_list values;
    va_start(values, spec);
    text_format(&text, "{'metadata':{'name':'%s','namespace':'default'},", name);
    add_form(&text, spec, values);
    text_add(&text, "}");
    va_end(values);
    change(proxy->services, name, parse(&text));
}

void world_put_slice(struct proxy *proxy, const char *name, const char *service, const char *fields,
                     ...) {
    struct text text = {0};
    va_list values;
    va_start(values, fields);
    text_format(&text,
                "{'metadata':{'name':'%s','namespace':'default','labels':{"
                "'kubernetes.io/service-name':'%s'}},",
                name, service);
    add_form(&text, fields, values);
    text_add(&text, "}");
    va_end(values);
    change(proxy->slices, name, parse(&text));
}

void world_remove_service(struct proxy *proxy, const char *name) {
    change(proxy->services, name, NULL);
}

void world_remove_slice(struct proxy *proxy, const char *name) {
    change(proxy->slices, name, NULL);
}
