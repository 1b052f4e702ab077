/* yaml_write.c: json-c values as YAML in block style, through libyaml's emitter; see yaml_text.h.
 */
#include "yaml_text.h"

#include <string.h>
#include <yaml.h>

static int append(void *context, unsigned char *bytes, size_t size) {
    text_append(context, bytes, size);
    return 1;
}

static void emit_word(yaml_emitter_t *emitter, const char *word, size_t size,
                      yaml_scalar_style_t style) {
    yaml_event_t event;
    if (yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)word, (int)size, 1, 1,
                                     style) != 0) {
        yaml_emitter_emit(emitter, &event);
    }
}

/* Text that would be read as something else is quoted. */
static void emit_text(yaml_emitter_t *emitter, const char *text, size_t size) {
    struct json_object *meaning = yaml_word(text, size);
    bool plain = json_object_is_type(meaning, json_type_string) && strcmp(text, "<<") != 0;
    json_object_put(meaning);
    yaml_scalar_style_t style = !plain                             ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                                : memchr(text, '\n', size) != NULL ? YAML_LITERAL_SCALAR_STYLE
                                                                   : YAML_PLAIN_SCALAR_STYLE;
    emit_word(emitter, text, size, style);
}

static void emit_value(yaml_emitter_t *emitter, struct json_object *value);

static void emit_object(yaml_emitter_t *emitter, struct json_object *value) {
    yaml_event_t event;
    yaml_mapping_style_t style =
        json_object_object_length(value) > 0 ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
    yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style);
    yaml_emitter_emit(emitter, &event);
    json_object_object_foreach(value, name, member) {
        emit_text(emitter, name, strlen(name));
        emit_value(emitter, member);
    }
    yaml_mapping_end_event_initialize(&event);
    yaml_emitter_emit(emitter, &event);
}

static void emit_list(yaml_emitter_t *emitter, struct json_object *value) {
    yaml_event_t event;
    yaml_sequence_style_t style =
        json_length(value) > 0 ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style);
    yaml_emitter_emit(emitter, &event);
    for (size_t i = 0; i < json_length(value); i++) {
        emit_value(emitter, json_object_array_get_idx(value, i));
    }
    yaml_sequence_end_event_initialize(&event);
    yaml_emitter_emit(emitter, &event);
}

static void emit_value(yaml_emitter_t *emitter, struct json_object *value) {
    size_t size = 0;
    switch (json_object_get_type(value)) {
    case json_type_object:
        emit_object(emitter, value);
        break;
    case json_type_array:
        emit_list(emitter, value);
        break;
    case json_type_string:
        emit_text(emitter, json_object_get_string(value),
                  (size_t)json_object_get_string_len(value));
        break;
    default: {
        const char *word = json_line(value, &size);
        emit_word(emitter, word, size, YAML_PLAIN_SCALAR_STYLE);
    }
    }
}

void yaml_add(struct text *out, struct json_object *value) {
    yaml_emitter_t emitter;
    yaml_event_t event;
    if (yaml_emitter_initialize(&emitter) == 0) {
        return;
    }
    yaml_emitter_set_output(&emitter, append, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    yaml_emitter_emit(&emitter, &event);
    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
    yaml_emitter_emit(&emitter, &event);
    emit_value(&emitter, value);
    yaml_document_end_event_initialize(&event, 1);
    yaml_emitter_emit(&emitter, &event);
    yaml_stream_end_event_initialize(&event);
    yaml_emitter_emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
}
