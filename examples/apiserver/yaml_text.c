/*
 * yaml_text.c: libyaml's events to json-c values; see yaml_text.h.
 *
 * Events rather than libyaml's own documents, so that depth, anchors and the values that aliases
 * stand for are counted before anything is built. An alias gets a copy: nothing is shared inside a
 * value. An anchor can be named only behind its value, so there are no cycles.
 */
#include "yaml_text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    char *name;
    struct json_object *value;
};

struct reading {
    yaml_parser_t parser;
    struct text *problem;
    struct anchor anchors[YAML_ANCHORS_MAX];
    size_t anchor_count;
    size_t aliased;
    size_t depth;
};

static bool fail(struct reading *reading, const yaml_mark_t *mark, const char *words) {
    if (reading->problem->size == 0) {
        text_format(reading->problem, "yaml: line %zu column %zu: %s", mark->line + 1,
                    mark->column + 1, words);
    }
    return false;
}

static bool next_event(struct reading *reading, yaml_event_t *event) {
    if (yaml_parser_parse(&reading->parser, event) != 0) {
        return true;
    }
    const char *words = reading->parser.problem;
    yaml_mark_t mark = reading->parser.problem_mark;
    if (reading->parser.error == YAML_READER_ERROR) {
        mark = reading->parser.mark; /* where the bytes are no characters there is no other */
    }
    return fail(reading, &mark, words != NULL ? words : "out of memory");
}

static bool read_node(struct reading *reading, yaml_event_t *event, struct json_object **out);

/* --- anchors and aliases ---------------------------------------------------------------------- */

static struct anchor *find_anchor(struct reading *reading, const char *name) {
    for (size_t i = 0; i < reading->anchor_count; i++) {
        if (strcmp(reading->anchors[i].name, name) == 0) {
            return &reading->anchors[i];
        }
    }
    return NULL;
}

static bool keep_anchor(struct reading *reading, const yaml_mark_t *mark, const char *name,
                        struct json_object *value) {
    struct anchor *anchor = find_anchor(reading, name);
    if (anchor != NULL) { /* the newest of a name counts */
        json_object_put(anchor->value);
    } else if (reading->anchor_count == YAML_ANCHORS_MAX) {
        return fail(reading, mark, "too many anchors");
    } else {
        anchor = &reading->anchors[reading->anchor_count++];
        anchor->name = memory_copy(name);
    }
    anchor->value = json_object_get(value);
    return true;
}

static size_t count_values(struct json_object *value) {
    size_t count = 1;
    for (size_t i = 0; i < json_length(value); i++) {
        count += count_values(json_object_array_get_idx(value, i));
    }
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member) {
            (void)name;
            count += count_values(member);
        }
    }
    return count;
}

static bool read_alias(struct reading *reading, const yaml_event_t *event,
                       struct json_object **out) {
    struct anchor *anchor = find_anchor(reading, (const char *)event->data.alias.anchor);
    if (anchor == NULL) {
        return fail(reading, &event->start_mark, "found undefined alias");
    }
    reading->aliased += count_values(anchor->value);
    if (reading->aliased > YAML_ALIASED_MAX) {
        return fail(reading, &event->start_mark, "the aliases stand for too many values");
    }
    if (reading->depth + json_depth(anchor->value) > JSON_DEPTH_MAX) {
        return fail(reading, &event->start_mark, "nested too deeply");
    }
    *out = json_copy(anchor->value);
    return true;
}

/* --- scalars ---------------------------------------------------------------------------------- */

static bool is_tag(const yaml_char_t *tag, const char *name) {
    return tag != NULL && strcmp((const char *)tag, name) == 0;
}

static bool read_scalar(struct reading *reading, const yaml_event_t *event,
                        struct json_object **out) {
    const yaml_char_t *tag = event->data.scalar.tag;
    const char *word = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (memchr(word, '\0', size) != NULL) {
        return fail(reading, &event->start_mark, "a NUL character, which no field may hold");
    }
    if (event->data.scalar.quoted_implicit || is_tag(tag, YAML_STR_TAG)) {
        *out = json_object_new_string_len(word, (int)size);
        return true;
    }
    *out = yaml_word(word, size);
    if (tag == NULL) {
        return true;
    }
    enum json_type type = json_object_get_type(*out);
    bool fits = (is_tag(tag, YAML_INT_TAG) && type == json_type_int) ||
                (is_tag(tag, YAML_FLOAT_TAG) && type != json_type_string) ||
                (is_tag(tag, YAML_BOOL_TAG) && type == json_type_boolean) ||
                (is_tag(tag, YAML_NULL_TAG) && type == json_type_null);
    return fits || fail(reading, &event->start_mark, "a tag that is not known, or does not fit");
}

/* --- lists and objects ------------------------------------------------------------------------ */

static bool enter(struct reading *reading, const yaml_event_t *event, const yaml_char_t *tag,
                  const char *standard) {
    if (tag != NULL && !is_tag(tag, standard)) {
        return fail(reading, &event->start_mark, "a tag that is not known");
    }
    if (++reading->depth > JSON_DEPTH_MAX) {
        return fail(reading, &event->start_mark, "nested too deeply");
    }
    return true;
}

static bool read_list(struct reading *reading, const yaml_event_t *begin,
                      struct json_object **out) {
    *out = json_object_new_array();
    bool going = enter(reading, begin, begin->data.sequence_start.tag, YAML_SEQ_TAG);
    bool ended = false;
    while (going && !ended) {
        yaml_event_t event;
        struct json_object *element = NULL;
        if (!next_event(reading, &event)) {
            return false;
        }
        ended = event.type == YAML_SEQUENCE_END_EVENT;
        going = ended || read_node(reading, &event, &element);
        yaml_event_delete(&event);
        if (!ended) {
            json_object_array_add(*out, element);
        }
    }
    reading->depth--;
    return going;
}

/* Members that a merge key brings do not replace those that are written out. */
static bool merge(struct reading *reading, const yaml_mark_t *mark, struct json_object *object,
                  struct json_object *source) {
    if (json_object_is_type(source, json_type_array)) {
        bool merged = true;
        for (size_t i = 0; merged && i < json_length(source); i++) {
            struct json_object *element = json_object_array_get_idx(source, i);
            merged = json_object_is_type(element, json_type_object)
                         ? merge(reading, mark, object, element)
                         : fail(reading, mark, "map merge requires map or sequence of maps");
        }
        return merged;
    }
    if (!json_object_is_type(source, json_type_object)) {
        return fail(reading, mark, "map merge requires map or sequence of maps");
    }
    json_object_object_foreach(source, name, member) {
        if (!json_object_object_get_ex(object, name, NULL)) {
            json_set(object, name, json_object_get(member));
        }
    }
    return true;
}

/* A key as JSON has it: text, whatever YAML takes it for. */
static bool read_key(struct reading *reading, const yaml_event_t *event, struct text *key,
                     bool *merges) {
    struct json_object *value = NULL;
    if (event->type != YAML_SCALAR_EVENT && event->type != YAML_ALIAS_EVENT) {
        return fail(reading, &event->start_mark, "a key must be a word");
    }
    bool read = event->type == YAML_ALIAS_EVENT ? read_alias(reading, event, &value)
                                                : read_scalar(reading, event, &value);
    enum json_type type = json_object_get_type(value);
    *merges = event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
              strcmp((const char *)event->data.scalar.value, "<<") == 0;
    if (read && (type == json_type_null || type == json_type_object || type == json_type_array)) {
        read = fail(reading, &event->start_mark, "a key must be a word");
    }
    if (read) {
        text_add(key, json_object_get_string(value));
        text_append(key, "", 0); /* an empty key too is a text */
    }
    json_object_put(value);
    return read;
}

/* One member, whose key has arrived in `event`. */
static bool read_member(struct reading *reading, const yaml_event_t *event,
                        struct json_object *object, struct json_object **merged) {
    struct text key = {0};
    bool merges = false;
    yaml_event_t inner;
    struct json_object *value = NULL;
    bool done = read_key(reading, event, &key, &merges);
    const char *name = key.data != NULL ? key.data : "";
    if (done && !merges && json_object_object_get_ex(object, name, NULL)) {
        struct text words = {0};
        text_format(&words, "key \"%.100s\" already set in map", name);
        done = fail(reading, &event->start_mark, words.data);
        text_clear(&words);
    }
    if (done && next_event(reading, &inner)) {
        done = read_node(reading, &inner, &value);
        yaml_event_delete(&inner);
    } else {
        done = false;
    }
    if (!done) {
        json_object_put(value);
    } else if (merges) {
        json_object_put(*merged);
        *merged = value;
    } else {
        json_set(object, name, value);
    }
    text_clear(&key);
    return done;
}

static bool read_object(struct reading *reading, const yaml_event_t *begin,
                        struct json_object **out) {
    struct json_object *merged = NULL;
    *out = json_object_new_object();
    bool going = enter(reading, begin, begin->data.mapping_start.tag, YAML_MAP_TAG);
    bool ended = false;
    while (going && !ended) {
        yaml_event_t event;
        going = next_event(reading, &event);
        if (going) {
            ended = event.type == YAML_MAPPING_END_EVENT;
            going = ended || read_member(reading, &event, *out, &merged);
            yaml_event_delete(&event);
        }
    }
    if (going && merged != NULL) {
        going = merge(reading, &begin->start_mark, *out, merged);
    }
    json_object_put(merged);
    reading->depth--;
    return going;
}

/* The node that `event` begins. A half-built value is left in `out` on failure. */
static bool read_node(struct reading *reading, yaml_event_t *event, struct json_object **out) {
    const yaml_char_t *anchor = NULL;
    bool read = false;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(reading, event, out);
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        read = read_scalar(reading, event, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        read = read_list(reading, event, out);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        read = read_object(reading, event, out);
        break;
    default:
        return fail(reading, &event->start_mark, "it ends too early");
    }
    return read &&
           (anchor == NULL || keep_anchor(reading, &event->start_mark, (const char *)anchor, *out));
}

/* --- the document ----------------------------------------------------------------------------- */

/* Take the next event, which must be of this type. */
static bool expect(struct reading *reading, yaml_event_type_t type, const char *otherwise) {
    yaml_event_t event;
    if (!next_event(reading, &event)) {
        return false;
    }
    bool found = event.type == type;
    yaml_mark_t mark = event.start_mark;
    yaml_event_delete(&event);
    return found || fail(reading, &mark, otherwise);
}

static bool read_document(struct reading *reading, struct json_object **out) {
    yaml_event_t event;
    if (!expect(reading, YAML_STREAM_START_EVENT, "no stream") ||
        !expect(reading, YAML_DOCUMENT_START_EVENT, "the body is empty") ||
        !next_event(reading, &event)) {
        return false;
    }
    bool read = read_node(reading, &event, out);
    yaml_event_delete(&event);
    return read && expect(reading, YAML_DOCUMENT_END_EVENT, "the document goes on") &&
           expect(reading, YAML_STREAM_END_EVENT, "more than one document");
}

/* libyaml compares each %TAG with all before it, which for 200,000 of them takes minutes. Only
 * directives have a % at the beginning of a line: what else does stands further in. */
static bool has_directive(const char *bytes, size_t size) {
    const char *end = bytes + size;
    for (const char *at = bytes; at != NULL && at < end; at++) {
        if (*at == '%') {
            return true;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL) {
            break;
        }
    }
    return false;
}

static void end_reading(struct reading *reading) {
    for (size_t i = 0; i < reading->anchor_count; i++) {
        free(reading->anchors[i].name);
        json_object_put(reading->anchors[i].value);
    }
    yaml_parser_delete(&reading->parser);
    free(reading);
}

struct json_object *yaml_parse(const char *bytes, size_t size, struct text *problem) {
    struct json_object *value = NULL;
    const char *first = bytes + (size > 0 ? strspn(bytes, " \t\r\n") : 0);
    if (size > 0 && *first == '{') { /* JSON's escapes are not all YAML's */
        struct text not_json = {0};
        value = json_parse(bytes, size, &not_json);
        text_clear(&not_json);
        if (value != NULL) {
            return value;
        }
    }
    if (has_directive(bytes, size)) {
        text_add(problem, "yaml: a line begins with %: directives are not read");
        return NULL;
    }
    struct reading *reading = memory_allocate(sizeof *reading);
    reading->problem = problem;
    if (yaml_parser_initialize(&reading->parser) == 0) {
        text_add(problem, "yaml: out of memory");
    } else {
        yaml_parser_set_encoding(&reading->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reading->parser, (const unsigned char *)bytes, size);
        if (read_document(reading, &value) && value == NULL) {
            text_add(problem, "yaml: null is not an object");
        }
    }
    if (problem->size > 0) {
        json_object_put(value);
        value = NULL;
    }
    end_reading(reading);
    return value;
}
