/* body.c: request bodies and options in, replies out; see body.h. */
#include "body.h"

#include "protobuf.h"
#include "yaml_text.h"

#include <string.h>
#include <strings.h>

enum body_kind { BODY_JSON, BODY_YAML, BODY_PROTOBUF, BODY_UNKNOWN };

static enum body_kind body_kind_of(const struct request *request) {
    const char *type = request_header(request, "Content-Type");
    if (type == NULL) {
        return BODY_JSON;
    }
    static const struct {
        const char *type;
        enum body_kind kind;
    } kinds[] = {
        {"application/json", BODY_JSON},
        {"application/yaml", BODY_YAML},
        {"application/vnd.kubernetes.protobuf", BODY_PROTOBUF},
    };
    size_t length = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (length == strlen(kinds[i].type) && strncasecmp(type, kinds[i].type, length) == 0) {
            return kinds[i].kind;
        }
    }
    return BODY_UNKNOWN;
}

/* The value that the bytes say, not yet judged. */
static struct json_object *parse_body(const struct request *request, const struct schema *schema,
                                      struct outcome *outcome) {
    struct text problem = {0};
    struct json_object *value = NULL;
    switch (body_kind_of(request)) {
    case BODY_JSON:
        value = json_parse(request->body, request->body_size, &problem);
        break;
    case BODY_YAML:
        value = yaml_parse(request->body, request->body_size, &problem);
        break;
    case BODY_PROTOBUF:
        value = protobuf_decode(schema, request->body, request->body_size, &problem);
        break;
    case BODY_UNKNOWN:
        outcome_fail(outcome, 415, "UnsupportedMediaType",
                     "the body of the request was in an unknown format - accepted media types "
                     "include: application/json, application/yaml, "
                     "application/vnd.kubernetes.protobuf");
        return NULL;
    }
    if (value == NULL) {
        outcome_fail(outcome, 400, "BadRequest",
                     "the object provided is unrecognized (must be of type %s): %s",
                     schema->go_name, problem.data);
    }
    text_clear(&problem);
    return value;
}

static bool check_kind(struct json_object *value, const struct resource *resource,
                       struct outcome *outcome) {
    const char *kind = json_member_text(value, "kind");
    const char *version = json_member_text(value, "apiVersion");
    char expected[RESOURCE_TEXT];
    resource_api_version(resource, expected);
    if (kind[0] != '\0' && strcmp(kind, resource->kind) != 0) {
        outcome_fail(outcome, 400, "BadRequest",
                     "%.63s in version \"%.63s\" cannot be handled as a %s", kind, version,
                     resource->kind);
        return false;
    }
    if (version[0] != '\0' && strcmp(version, expected) != 0) {
        outcome_fail(outcome, 400, "BadRequest",
                     "the API version in the data (%.63s) does not match the expected API version "
                     "(%s)",
                     version, expected);
        return false;
    }
    return true;
}

/* Each unknown field is a warning of its own. */
static void add_lines(struct text *out, const char *unknown) {
    const char *next;
    while ((next = strstr(unknown, ", unknown field ")) != NULL) {
        text_format(out, "%.*s\n", (int)(next - unknown), unknown);
        unknown = next + strlen(", ");
    }
    text_add(out, unknown);
}

/* What to do about unknown fields, as fieldValidation says; write_options.c has judged that. */
static bool judge_unknown(const struct request *request, struct text *unknown, struct reply *reply,
                          struct outcome *outcome) {
    const char *mode = request_parameter(request, "fieldValidation");
    bool warn = mode == NULL || mode[0] == '\0' || strcmp(mode, "Warn") == 0;
    if (warn && unknown->size > 0 && reply->warning.size == 0) {
        add_lines(&reply->warning, unknown->data);
    }
    bool refused = !warn && strcmp(mode, "Strict") == 0 && unknown->size > 0;
    if (refused) {
        outcome_fail(outcome, 400, "BadRequest", "strict decoding error: %.900s", unknown->data);
    }
    return !refused;
}

struct json_object *body_decode_value(const struct request *request,
                                      const struct resource *resource, struct json_object *value,
                                      struct reply *reply, struct outcome *outcome) {
    struct text unknown = {0};
    struct text problem = {0};
    struct json_object *object = NULL;
    if (check_kind(value, resource, outcome)) {
        object = schema_decode(resource->schema, value, &unknown, &problem);
        if (object == NULL) {
            outcome_fail(outcome, 400, "BadRequest",
                         "%s in version \"%s\" cannot be handled as a %s: %s", resource->kind,
                         resource->version, resource->kind, problem.data);
        } else if (!judge_unknown(request, &unknown, reply, outcome)) {
            json_object_put(object);
            object = NULL;
        }
    }
    text_clear(&unknown);
    text_clear(&problem);
    return object;
}

struct json_object *body_parse(const struct request *request, const struct schema *schema,
                               struct outcome *outcome) {
    struct text unknown = {0};
    struct text problem = {0};
    struct json_object *value = parse_body(request, schema, outcome);
    struct json_object *out = NULL;
    if (value != NULL) {
        out = schema_decode(schema, value, &unknown, &problem);
        if (out == NULL) {
            outcome_fail(outcome, 400, "BadRequest",
                         "the object provided is unrecognized (must be of type %s): %s",
                         schema->go_name, problem.data);
        }
    }
    json_object_put(value);
    text_clear(&unknown);
    text_clear(&problem);
    return out;
}

struct json_object *body_decode(const struct request *request, const struct resource *resource,
                                struct reply *reply, struct outcome *outcome) {
    struct json_object *value = parse_body(request, resource->schema, outcome);
    struct json_object *object =
        value != NULL ? body_decode_value(request, resource, value, reply, outcome) : NULL;
    json_object_put(value);
    return object;
}

bool wants_table(const struct request *request, enum table_object *include) {
    const char *accept = request_header(request, "Accept");
    const char *object = request_parameter(request, "includeObject");
    *include = TABLE_OBJECT_METADATA;
    if (object != NULL && strcmp(object, "Object") == 0) {
        *include = TABLE_OBJECT_WHOLE;
    } else if (object != NULL && strcmp(object, "None") == 0) {
        *include = TABLE_OBJECT_NONE;
    }
    /* Clients that can read tables name them first. */
    const char *table = accept != NULL ? strstr(accept, "as=Table") : NULL;
    const char *comma = accept != NULL ? strchr(accept, ',') : NULL;
    return table != NULL && (comma == NULL || table < comma);
}

void reply_outcome(const struct request *request, struct reply *reply,
                   const struct resource *resource, struct outcome *outcome) {
    enum table_object include;
    struct json_object *value = outcome->value;
    reply->store_silent = outcome->store_silent;
    bool is_object =
        resource != NULL && strcmp(json_member_text(value, "kind"), resource->kind) == 0;
    if (is_object && wants_table(request, &include)) {
        struct json_object *metadata = json_member(value, "metadata");
        struct json_object *table =
            table_new(resource, true, json_member_text(metadata, "resourceVersion"));
        table_add(table, resource, value, include);
        reply_json(request, reply, outcome->code, table);
    } else {
        reply_json(request, reply, outcome->code, json_object_get(value));
    }
    outcome_clear(outcome);
}

void reply_as_wanted(const struct request *request, struct reply *reply) {
    static const char yaml[] = "application/yaml";
    const char *accept = request_header(request, "Accept");
    bool is_json = reply->content_type != NULL && reply->watch == NULL &&
                   strcmp(reply->content_type, "application/json") == 0;
    if (!is_json || accept == NULL || strncasecmp(accept, yaml, strlen(yaml)) != 0 ||
        strchr(",; ", accept[strlen(yaml)]) == NULL) {
        return;
    }
    struct json_object *value = json_tokener_parse(reply->body.data);
    if (value != NULL) {
        text_clear(&reply->body);
        yaml_add(&reply->body, value);
        reply->content_type = yaml;
    }
    json_object_put(value);
}
