/*
 * selector.h: which objects a list or watch asks for: by namespace, by labels, by fields.
 *
 * Labels: "a=b,c!=d,e in (x,y),f notin (z),g,!h,i>3,j<4". Fields: metadata.name, metadata.namespace
 * and those that the kind names, with =, == and !=.
 */
#ifndef APISERVER_SELECTOR_H
#define APISERVER_SELECTOR_H

#include "resource.h"

struct selector;

/* Parse both texts (NULL: everything). NULL with the rule in `problem` where one is malformed. */
struct selector *selector_parse(const struct resource *resource, const char *namespace,
                                const char *labels, const char *fields, struct text *problem);
void selector_free(struct selector *selector);

/* Does the object match? */
bool selector_matches(const struct selector *selector, struct json_object *object);

#endif
