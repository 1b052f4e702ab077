/*
 * selector.h: which Services a list or watch asks for: by namespace, by labels, by fields.
 *
 * Labels: "a=b,c!=d,e in (x,y),f notin (z),g,!h". Fields: metadata.name, metadata.namespace,
 * spec.type and spec.clusterIP with =, == and !=.
 */
#ifndef APISERVER_SELECTOR_H
#define APISERVER_SELECTOR_H

#include "json.h"

struct selector;

/* Parse both texts (NULL: everything). NULL with the rule in `problem` where one is malformed. */
struct selector *selector_parse(const char *namespace, const char *labels, const char *fields,
                                struct text *problem);
void selector_free(struct selector *selector);

/* Does the object match? */
bool selector_matches(const struct selector *selector, struct json_object *object);

#endif
