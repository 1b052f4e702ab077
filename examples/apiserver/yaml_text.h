/*
 * yaml_text.h: YAML documents to and from json-c values, over libyaml.
 *
 * Read as kubectl and kube-apiserver read them: the words of YAML 1.1 (yes, on, 0777, ~), keys as
 * text, merge keys. Stricter where leniency hides mistakes: one document, no key twice, no tag but
 * the standard ones, no directive, no NUL byte. Bounded: at most JSON_DEPTH_MAX deep,
 * YAML_ANCHORS_MAX anchors, and aliases together stand for at most YAML_ALIASED_MAX values, so that
 * no small document grows large.
 */
#ifndef APISERVER_YAML_TEXT_H
#define APISERVER_YAML_TEXT_H

#include "json.h"

#define YAML_ANCHORS_MAX 100
#define YAML_ALIASED_MAX 10000

/* The value that the document says (JSON is YAML too); the caller puts it. NULL with what is wrong
 * and where in `problem`. A NUL follows the bytes, as for json_parse. */
struct json_object *yaml_parse(const char *bytes, size_t size, struct text *problem);

/* What a plain word means: yes is true, 0x1f is 31, ~ is null and anything else is text. */
struct json_object *yaml_word(const char *word, size_t size);

/* Append the value as a document in block style. Read again it gives the same value. */
void yaml_add(struct text *out, struct json_object *value);

#endif
