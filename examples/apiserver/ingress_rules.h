/* ingress_rules.h: hooks of resource.h for the kind Ingress. */
#ifndef APISERVER_INGRESS_RULES_H
#define APISERVER_INGRESS_RULES_H

#include "kinds.h"

/* How a class was named before there was a field for it. */
#define INGRESS_CLASS_ANNOTATION "kubernetes.io/ingress.class"

void ingress_validate(struct json_object *object, ipalloc_service_problems *problems);
void ingress_validate_status(struct json_object *old, struct json_object *object,
                             ipalloc_service_problems *problems);

/* A new one that names its class in both ways must mean the same by them. */
void ingress_judge(struct server *server, struct json_object *old, struct json_object *object,
                   ipalloc_service_problems *problems);

#endif
