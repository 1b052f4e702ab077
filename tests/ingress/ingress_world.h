/*
 * ingress_world.h: Ingresses as texts, in which ' stands for ", and a world of Services to which
 * they lead: any name of one letter, at 10.96.0.<letter's code>, port 80, called "http".
 */
#ifndef IPALLOC_TEST_INGRESS_WORLD_H
#define IPALLOC_TEST_INGRESS_WORLD_H

#include "routes.h"

/* The last one of the list, with this spec. The list begins empty, as NULL. */
void world_add(struct ingress **list, const char *name, const char *spec);
void world_free(struct ingress *list);

/* The Service of that name ("default/a"), or NULL; lives as long as the program. */
struct json_object *world_service(void *context, const char *name);

/* {'path':…}: a rule's path. */
#define PATH(path, type, service)                                                     \
    "{'path':'" path "','pathType':'" type "','backend':{'service':{'name':'" service \
    "','port':{'number':80}}}}"
#define RULE(host, paths) "{'host':'" host "','http':{'paths':[" paths "]}}"
#define REST(service)     "'defaultBackend':{'service':{'name':'" service "','port':{'name':'http'}}}"

#endif
