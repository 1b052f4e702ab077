/*
 * service_rules.h: what Kubernetes asks of a Service apart from addresses: defaults, names, labels,
 * policies. Addresses, families, ports and types are the library's matter (ipalloc/service.h); both
 * are told together, in Kubernetes' order.
 */
#ifndef APISERVER_SERVICE_RULES_H
#define APISERVER_SERVICE_RULES_H

#include "json.h"

#include <ipalloc/addr.h>
#include <ipalloc/service.h>

/* --- service_defaults.c ----------------------------------------------------------------------- */

/* Fill in what kube-apiserver defaults: type, protocols, target ports, policies. */
void service_default(struct json_object *object);

/* Drop fields that the new type does not have and that were carried over unchanged, so that a
 * change of type needs no list of what goes with it. */
void service_drop_unneeded(struct json_object *old, struct json_object *object);

bool service_has_type(struct json_object *spec, const char *type);

/* --- service_rules.c -------------------------------------------------------------------------- */

/* Note every rule of metadata that the object breaks. */
void service_validate_metadata(struct json_object *object, ipalloc_service_problems *problems);

/* Note every rule of the spec that the object breaks and the library does not know. What was stored
 * (`old`, NULL for a create) under older rules of addresses is let pass. */
void service_validate(struct json_object *old, struct json_object *object,
                      ipalloc_service_problems *problems);

/* The same of a status that differs from the stored one. */
void service_validate_status(struct json_object *old, struct json_object *object,
                             ipalloc_service_problems *problems);

/* --- service_warnings.c ----------------------------------------------------------------------- */

/* What Kubernetes warns of in an object that it takes, a line each. */
void service_warn(struct json_object *object, struct text *out);

/* --- problem_order.c -------------------------------------------------------------------------- */

/* In the order in which kube-apiserver's ValidateServiceUpdate and ValidateService find them. */
void problems_sort(ipalloc_service_problems *problems);

/* --- name_rules.c: each notes every rule that the value breaks ----------------------------------
 */

void check_service_name(const char *field, const char *name, ipalloc_service_problems *problems);
void check_subdomain(const char *field, const char *name, ipalloc_service_problems *problems);
/* "*.example.com" stands for one label in place of the star. */
void check_wildcard_subdomain(const char *field, const char *name,
                              ipalloc_service_problems *problems);
void check_port_name(const char *field, const char *name, ipalloc_service_problems *problems);
/* A label's key: [subdomain/]name. */
void check_key(const char *field, const char *key, ipalloc_service_problems *problems);
void check_labels(const char *field, struct json_object *labels,
                  ipalloc_service_problems *problems);

/* Of an object whose names are subdomains. A generated name's last character may still be a dash:
 * something follows it. */
void check_generate_name(const char *base, ipalloc_service_problems *problems);

/* NULL if `name` keeps the rule of RFC 1123 labels, else the rule as Kubernetes words it. */
const char *name_rule_dns1123(const char *name);

/* Rules of metadata that every kind shares: labels, annotations, owners, finalizers. */
void metadata_validate(struct json_object *metadata, ipalloc_service_problems *problems);

/* "Invalid value: <value>: <rule>"; a value that leaves no room for the rule is cut. */
void refuse_value(ipalloc_service_problems *problems, const char *field, const char *value,
                  const char *rule);

/* --- address_rules.c ---------------------------------------------------------------------------
 */

/* What is wrong with an address at which nobody else could reach an endpoint (`value` is its text);
 * NULL: nothing. */
const char *special_address_rule(const char *value, const ipalloc_addr *address, char out[128]);

/* Why the strict parser refuses the text: its form, or that it is no address at all. */
const char *address_rule(const char *value);

#endif
