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

/* Rules of metadata, with a name that is a DNS subdomain (RFC 1123), generated or not. */
void kind_validate(struct json_object *object, ipalloc_service_problems *problems);

/* Note it unless `value` is one of the choices (ended by NULL, in alphabetical order). */
void kind_check_choice(const char *field, const char *value, const char *const *choices,
                       ipalloc_service_problems *problems);

/* Note it unless the text is an address in its canonical form; `family` 0: of either. */
void kind_check_address(const char *field, const char *value, int family,
                        ipalloc_service_problems *problems);

/* Note an address at which nobody else could reach anything: loopback, link-local, ... */
void kind_check_reachable(const char *field, const char *value, ipalloc_service_problems *problems);

/* Both, for where traffic may go. */
void kind_check_endpoint_address(const char *field, const char *value, int family,
                                 ipalloc_service_problems *problems);

/* Note it unless it is a label of RFC 1123. */
void kind_check_label(const char *field, const char *value, ipalloc_service_problems *problems);

/* What a ConfigMap or Secret may hold, and its parts: a name that a file could have for each. */
#define KIND_DATA_MAX_BYTES (1 << 20)
#define KIND_DATA_FIELD     96 /* bytes of the words for one part; a longer key is cut */

/* "data[KEY]" */
const char *kind_data_field(const char *member, const char *key, char out[KIND_DATA_FIELD]);

/* Note each key that could not be a file's name; returns how many bytes the values have (those of
 * binary data or a Secret's are written in base64). */
size_t kind_check_data(struct json_object *data, const char *member, bool encoded,
                       ipalloc_service_problems *problems);

/* Note each part (the list ends with NULL) that differs though the stored object is immutable. */
void kind_check_immutable(struct json_object *old, struct json_object *object,
                          const char *const *parts, ipalloc_service_problems *problems);

/* Note a reference's kind or name that is missing or could not stand in a URL. */
void kind_check_path_segment(const char *field, const char *value,
                             ipalloc_service_problems *problems);

/* Note it unless TCP, UDP or SCTP. */
void kind_check_protocol(const char *field, const char *value, ipalloc_service_problems *problems);

/* Note a missing or empty value; and one that an earlier element has. */
void kind_require(const char *field, ipalloc_service_problems *problems);
void kind_duplicate(const char *field, const char *value, ipalloc_service_problems *problems);

/* Was it put into the set (an empty object, in the beginning) before? It is in afterwards. */
bool kind_seen(struct json_object *set, const char *value);

/* A port without a protocol is TCP. */
void kind_default_protocols(struct json_object *ports);

/* Tell those noted after the first `since` before them: rules of an update often come first. */
void kind_tell_first(ipalloc_service_problems *problems, size_t since);

/* Note it unless 1 to 65535. */
void kind_check_port(const char *field, int64_t port, ipalloc_service_problems *problems);

/* Append a value to a cell, after a comma if it is not the first. */
void cell_listed(struct text *out, const char *words);

#endif
