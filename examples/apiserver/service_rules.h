/*
 * service_rules.h: what Kubernetes asks of a Service apart from addresses: defaults, names, ports,
 * labels. Addresses, families and node ports are the library's matter (ipalloc/service.h).
 */
#ifndef APISERVER_SERVICE_RULES_H
#define APISERVER_SERVICE_RULES_H

#include "json.h"

#include <ipalloc/service.h>

/* Fill in what kube-apiserver defaults: type, protocols, target ports, policies. */
void service_default(struct json_object *object);

/* Drop fields that the new type does not have and that were carried over unchanged, so that a
 * change of type needs no list of what goes with it. */
void service_drop_unneeded(struct json_object *old, struct json_object *object);

/* Note every rule that the object breaks. */
void service_validate(struct json_object *object, ipalloc_service_problems *problems);

/* The rules of names; NULL if `name` keeps them, else the rule as Kubernetes words it. */
const char *name_rule_dns1035(const char *name);
const char *name_rule_dns1123(const char *name);

const char *port_name_rule(const char *name);

/* The parts of service_validate that concern names. */
void selector_validate(struct json_object *spec, ipalloc_service_problems *problems);
void external_name_validate(const char *name, ipalloc_service_problems *problems);

/* Rules of metadata that every kind shares: labels and annotations. */
void metadata_validate(struct json_object *metadata, ipalloc_service_problems *problems);

#endif
