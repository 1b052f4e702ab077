/* list_options.c: the parameters of a list, checked, and its continue tokens; see list_options.h.
 */
#include "list_options.h"

#include "resource.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_VERSION   "ipalloc/v1"
#define TOKEN_MAX_BYTES 2048

#define MATCH_FIELD "resourceVersionMatch"

static const char *given(const struct request *request, const char *name) {
    const char *value = request_parameter(request, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* --- the token -------------------------------------------------------------------------------- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648, section 5, without padding. */
static void base64_add(struct text *out, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i += 3) {
        unsigned long group = 0;
        size_t count = size - i < 3 ? size - i : 3;
        for (size_t j = 0; j < 3; j++) {
            group = group << 8 | (j < count ? (unsigned char)bytes[i + j] : 0);
        }
        for (size_t j = 0; j <= count; j++) {
            text_append(out, &letters[group >> (18 - 6 * j) & 63], 1);
        }
    }
}

static bool base64_read(const char *word, struct text *out) {
    unsigned long group = 0;
    unsigned bits = 0;
    for (; *word != '\0' && *word != '='; word++) {
        const char *letter = strchr(letters, *word);
        if (letter == NULL) {
            return false;
        }
        group = (group << 6 | (unsigned long)(letter - letters)) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            char byte = (char)(group >> bits & 0xff);
            text_append(out, &byte, 1);
        }
    }
    return word[strspn(word, "=")] == '\0';
}

void list_token_format(const struct server *server, uint64_t revision, const char *start,
                       struct text *out) {
    char version[RESOURCE_VERSION_TEXT] = "-1";
    struct text json = {0};
    if (revision != 0) {
        resource_version_format(server, revision, version);
    }
    text_format(&json, "{\"v\":\"" TOKEN_VERSION "\",\"rv\":%s,\"start\":\"%s\"}", version, start);
    base64_add(out, json.data, json.size);
    text_clear(&json);
}

/* Does the place lie in what the request lists? */
static bool is_start(const struct request *request, const char *start) {
    const char *slash = strchr(start, '/');
    size_t length = strlen(request->namespace);
    if (start[0] == '\0' || strlen(start) >= LIST_START_TEXT ||
        (slash != NULL) != request->resource->namespaced) {
        return false;
    }
    return length == 0 || (strncmp(start, request->namespace, length) == 0 && start[length] == '/');
}

static bool read_token(const struct server *server, const struct request *request,
                       const char *token, struct list_options *options, struct outcome *outcome) {
    struct text bytes = {0};
    struct text problem = {0};
    struct json_object *value = NULL;
    bool expired = false;
    if (strlen(token) <= TOKEN_MAX_BYTES && base64_read(token, &bytes) && bytes.size > 0) {
        value = json_parse(bytes.data, bytes.size, &problem);
    }
    int64_t version = json_member_number(value, "rv", 0);
    const char *start = json_member_text(value, "start");
    char text[RESOURCE_VERSION_TEXT];
    snprintf(text, sizeof text, "%" PRId64, version);
    bool valid = strcmp(json_member_text(value, "v"), TOKEN_VERSION) == 0 &&
                 is_start(request, start) &&
                 (version == -1 ||
                  resource_version_parse(server, text, &options->revision, &expired) || expired);
    if (valid) {
        options->exact = version != -1;
        /* A token of another life of the store is as old as can be. */
        options->revision = version == -1 ? 0 : expired ? 1 : options->revision;
        snprintf(options->start, sizeof options->start, "%s", start);
    } else {
        outcome_fail(outcome, 400, "BadRequest",
                     "invalid continue token: continue key is not valid: \"%.60s\" was not given "
                     "by a list of this kind and namespace",
                     token);
    }
    json_object_put(value);
    text_clear(&problem);
    text_clear(&bytes);
    return valid;
}

/* --- the rules -------------------------------------------------------------------------------- */

static void forbid(ipalloc_service_problems *problems, const char *field, const char *words) {
    problem_add(problems, "FieldValueForbidden", field, "Forbidden: %s", words);
}

static void check_match(const struct request *request, ipalloc_service_problems *problems) {
    const char *match = given(request, MATCH_FIELD);
    const char *version = given(request, "resourceVersion");
    if (match == NULL) {
        return;
    }
    if (version == NULL) {
        forbid(problems, MATCH_FIELD,
               "resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if (given(request, "continue") != NULL) {
        forbid(problems, MATCH_FIELD,
               "resourceVersionMatch is forbidden when continue is provided");
    }
    if (strcmp(match, "Exact") != 0 && strcmp(match, "NotOlderThan") != 0) {
        problem_add(problems, "FieldValueNotSupported", MATCH_FIELD,
                    "Unsupported value: \"%.40s\": supported values: \"Exact\", \"NotOlderThan\", "
                    "\"\"",
                    match);
    }
    if (strcmp(match, "Exact") == 0 && version != NULL && strcmp(version, "0") == 0) {
        forbid(problems, MATCH_FIELD,
               "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
}

static bool judge(const ipalloc_service_problems *problems, struct outcome *outcome) {
    if (problems->count > 0) {
        outcome_problems(outcome, "ListOptions.meta.k8s.io", "", problems);
    }
    return problems->count == 0;
}

bool list_options_check_watch(const struct request *request, struct outcome *outcome) {
    ipalloc_service_problems problems = {.size = sizeof problems};
    const char *match = given(request, MATCH_FIELD);
    bool initial = given(request, "sendInitialEvents") != NULL;
    bool not_older = match != NULL && strcmp(match, "NotOlderThan") == 0;
    if (initial && !not_older) {
        forbid(&problems, MATCH_FIELD,
               "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if (match != NULL && !initial) {
        forbid(&problems, MATCH_FIELD,
               "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    }
    if (match != NULL && !not_older) {
        problem_add(&problems, "FieldValueNotSupported", MATCH_FIELD,
                    "Unsupported value: \"%.40s\": supported values: \"NotOlderThan\"", match);
    }
    if (match != NULL && given(request, "continue") != NULL) {
        forbid(&problems, MATCH_FIELD,
               "resourceVersionMatch is forbidden when continue is provided");
    }
    return judge(&problems, outcome);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool read_limit(const struct request *request, struct list_options *options,
                       struct outcome *outcome) {
    const char *text = given(request, "limit");
    char *end = NULL;
    errno = 0;
    long long limit = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text != NULL && (errno != 0 || *end != '\0' || strchr(" \t+", *text) != NULL)) {
        outcome_fail(outcome, 400, "BadRequest",
                     "limit: Invalid value: \"%.40s\": it must be a "
                     "whole number",
                     text);
        return false;
    }
    options->limit = limit > 0 ? (uint64_t)limit : 0;
    return true;
}

static bool read_version(const struct server *server, const char *text,
                         struct list_options *options, struct outcome *outcome) {
    bool expired = false;
    if (strcmp(text, "0") == 0) {
        options->limit = 0; /* any state will do, and kube-apiserver too gives it in one piece */
        return true;
    }
    if (resource_version_parse(server, text, &options->revision, &expired)) {
        return true;
    }
    if (expired) {
        outcome_fail(outcome, 410, "Expired",
                     "The resourceVersion for the provided list is too old. (%.24s is of another "
                     "life of this store)",
                     text);
    } else {
        outcome_no_version(outcome, text);
    }
    return false;
}

bool list_options_read(const struct server *server, const struct request *request,
                       struct list_options *options, struct outcome *outcome) {
    ipalloc_service_problems problems = {.size = sizeof problems};
    const char *version = given(request, "resourceVersion");
    const char *match = given(request, MATCH_FIELD);
    const char *token = given(request, "continue");
    *options = (struct list_options){.continues = token != NULL};
    check_match(request, &problems);
    if (given(request, "sendInitialEvents") != NULL) {
        forbid(&problems, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    if (!judge(&problems, outcome) || !read_limit(request, options, outcome)) {
        return false;
    }
    if (token != NULL && version != NULL && strcmp(version, "0") != 0) {
        outcome_fail(outcome, 400, "BadRequest",
                     "specifying resource version is not allowed when using continue");
        return false;
    }
    if (token != NULL) {
        return read_token(server, request, token, options, outcome);
    }
    if (version != NULL && !read_version(server, version, options, outcome)) {
        return false;
    }
    options->exact = options->revision != 0 &&
                     (match != NULL ? strcmp(match, "Exact") == 0 : options->limit > 0);
    return true;
}

void list_too_new(const struct server *server, uint64_t asked, uint64_t present,
                  struct outcome *outcome) {
    char wanted[RESOURCE_VERSION_TEXT];
    char now[RESOURCE_VERSION_TEXT];
    resource_version_format(server, asked, wanted);
    resource_version_format(server, present, now);
    outcome_fail(outcome, 504, "Timeout", "Timeout: Too large resource version: %s, current: %s",
                 wanted, now);
    struct json_object *details = json_ensure(outcome->value, "details");
    struct json_object *cause = json_object_new_object();
    struct json_object *causes = json_object_new_array();
    json_set_text(cause, "reason", "ResourceVersionTooLarge");
    json_set_text(cause, "message", "Too large resource version");
    json_object_array_add(causes, cause);
    json_set(details, "causes", causes);
    json_set_number(details, "retryAfterSeconds", 1);
}
