/* kinds.h: what the small kinds (pods.c, endpoint_slices.c, ...) share: cells, rules, fields. */
#ifndef APISERVER_KINDS_H
#define APISERVER_KINDS_H

#include "resource.h"
#include "service_rules.h"
#include "status.h"
#include "table.h"

/* The fields that every object begins with, also in the store; `spec` and the like follow. */
#define KIND_FIELDS                                                                     \
    {"apiVersion", FIELD_TEXT, 0, false, NULL}, {"kind", FIELD_TEXT, 0, false, NULL}, { \
        "metadata", FIELD_OBJECT, 1, false, &schema_metadata                            \
    }

/* Rules of metadata, with a name that is a DNS subdomain (RFC 1123). */
void kind_validate(struct json_object *object, ipalloc_service_problems *problems);

/* Note it unless `value` is one of the choices (ended by NULL, in alphabetical order). */
void kind_check_choice(const char *field, const char *value, const char *const *choices,
                       ipalloc_service_problems *problems);

/* Note it unless the text is an address in its canonical form; `family` 0: of either. */
void kind_check_address(const char *field, const char *value, int family,
                        ipalloc_service_problems *problems);

/* Note it unless 1 to 65535. */
void kind_check_port(const char *field, int64_t port, ipalloc_service_problems *problems);

/* Append a value to a cell, after a comma if it is not the first. */
void cell_listed(struct text *out, const char *words);

#endif
