/* ingress_world.c: see ingress_world.h. */
#include "ingress_world.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *parse(const char *format, const char *words) {
    struct text text = {0};
    struct text problem = {0};
    text_format(&text, format, words);
    for (char *at = text.data; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct json_object *object = json_parse(text.data, text.size, &problem);
    ck_assert_msg(object != NULL, "%s in %s", problem.data, text.data);
    text_clear(&text);
    return object;
}

void world_add(struct ingress **list, const char *name, const char *spec) {
    struct ingress *ingress = memory_allocate(sizeof *ingress);
    ingress->name = memory_copy(name);
    ingress->object = parse("{'spec':{%s}}", spec);
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = ingress;
}

void world_free(struct ingress *list) {
    while (list != NULL) {
        struct ingress *next = list->next;
        json_object_put(list->object);
        text_clear(&list->problems);
        free(list->name);
        free(list);
        list = next;
    }
}

struct json_object *world_service(void *context, const char *name) {
    static struct json_object *services[26];
    const char *own = strchr(name, '/') + 1;
    (void)context;
    if (own[0] < 'a' || own[0] > 'z' || own[1] != '\0') {
        return NULL;
    }
    struct json_object **at = &services[own[0] - 'a'];
    if (*at == NULL) {
        char address[32];
        snprintf(address, sizeof address, "10.96.0.%d", own[0]);
        *at = parse("{'spec':{'clusterIP':'%s','ports':[{'name':'http','port':80}]}}", address);
    }
    return *at;
}
