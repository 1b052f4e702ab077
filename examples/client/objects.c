/* objects.c: a collection's copy: objects by name, in buckets that grow with their number. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

static size_t hash_of(const char *name) { /* FNV-1a */
    size_t hash = (size_t)UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * (size_t)UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct object **place_of(const struct objects *objects, const char *name) {
    struct object **at = &objects->buckets[hash_of(name) % objects->bucket_count];
    while (*at != NULL && strcmp((*at)->name, name) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void grow(struct objects *objects) {
    struct objects larger = {.bucket_count = objects->bucket_count > 0 ? 2 * objects->bucket_count
                                                                       : BUCKETS_FIRST};
    larger.buckets = memory_allocate(larger.bucket_count * sizeof *larger.buckets);
    for (size_t i = 0; i < objects->bucket_count; i++) {
        while (objects->buckets[i] != NULL) {
            struct object *object = objects->buckets[i];
            objects->buckets[i] = object->next;
            struct object **at = &larger.buckets[hash_of(object->name) % larger.bucket_count];
            object->next = *at;
            *at = object;
        }
    }
    larger.count = objects->count;
    free(objects->buckets);
    *objects = larger;
}

struct object *objects_find(const struct objects *objects, const char *name) {
    return objects->bucket_count > 0 ? *place_of(objects, name) : NULL;
}

struct object *objects_ensure(struct objects *objects, const char *name) {
    if (objects->count >= objects->bucket_count) {
        grow(objects);
    }
    struct object **at = place_of(objects, name);
    if (*at == NULL) {
        size_t size = strlen(name) + 1;
        *at = memory_allocate(sizeof **at + size);
        memcpy((*at)->name, name, size);
        objects->count++;
    }
    return *at;
}

void objects_remove(struct objects *objects, const char *name) {
    struct object **at = objects->bucket_count > 0 ? place_of(objects, name) : NULL;
    if (at != NULL && *at != NULL) {
        struct object *object = *at;
        *at = object->next;
        json_object_put(object->value);
        free(object);
        objects->count--;
    }
}

void objects_each(struct objects *objects, void (*visit)(void *context, struct object *object),
                  void *context) {
    for (size_t i = 0; i < objects->bucket_count; i++) {
        struct object *next;
        for (struct object *object = objects->buckets[i]; object != NULL; object = next) {
            next = object->next;
            visit(context, object);
        }
    }
}

void objects_clear(struct objects *objects) {
    for (size_t i = 0; i < objects->bucket_count; i++) {
        while (objects->buckets[i] != NULL) {
            struct object *object = objects->buckets[i];
            objects->buckets[i] = object->next;
            json_object_put(object->value);
            free(object);
        }
    }
    free(objects->buckets);
    *objects = (struct objects){0};
}

char *object_name(struct json_object *value) {
    struct json_object *metadata = json_member(value, "metadata");
    const char *namespace = json_member_text(metadata, "namespace");
    struct text name = {0};
    text_format(&name, "%s%s%s", namespace, namespace[0] != '\0' ? "/" : "",
                json_member_text(metadata, "name"));
    return name.data;
}
