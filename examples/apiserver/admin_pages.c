/* admin_pages.c: operations over HTTP; see admin_pages.h. */
#include "admin_pages.h"

#include "admin.h"
#include "server.h"
#include "service_cidrs.h"
#include "watch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SQLITE_URL "sqlite:"

static int code_of(int status) {
    switch (status) {
    case IPALLOC_OK:
        return 200;
    case IPALLOC_E_INVALID:
        return 400;
    case IPALLOC_E_NOT_FOUND:
    case IPALLOC_E_NOT_IN_RANGE:
        return 404;
    case IPALLOC_E_FULL:
    case IPALLOC_E_TAKEN:
    case IPALLOC_E_NOT_OWNER:
    case IPALLOC_E_CONFLICT:
    case IPALLOC_E_MISMATCH:
    case IPALLOC_E_BUSY:
        return 409;
    case IPALLOC_E_UNAVAILABLE:
    case IPALLOC_E_READ_ONLY:
        return 503;
    case IPALLOC_E_UNKNOWN_OUTCOME:
        return 504;
    default:
        return 500;
    }
}

static void refuse(const struct request *request, struct reply *reply, int status, int code,
                   const char *message) {
    struct json_object *value = json_object_new_object();
    json_set_text(value, "status", ipalloc_status_name(status));
    json_set_text(value, "message", message);
    reply_json(request, reply, code, value);
}

void admin_pages_unavailable(const struct request *request, struct reply *reply, const char *why) {
    refuse(request, reply, IPALLOC_E_UNAVAILABLE, code_of(IPALLOC_E_UNAVAILABLE), why);
}

/* --- arguments -------------------------------------------------------------------------------- */

/* Those parameters that are arguments of the operation; others are not looked at. */
static struct json_object *arguments_of_parameters(const struct request *request,
                                                   const struct admin_operation *operation) {
    struct json_object *arguments = json_object_new_object();
    const char *at = operation->arguments;
    while (*at != '\0') {
        char name[32];
        size_t length = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        const char *value = request_parameter(request, name);
        if (value != NULL && text_is_clean(value, strlen(value))) {
            json_set_text(arguments, name, value);
        }
        at += length + (at[length] == ' ' ? 1 : 0);
    }
    return arguments;
}

static bool is_json(const struct request *request) {
    static const char json[] = "application/json";
    const char *type = request_header(request, "Content-Type");
    size_t length = strlen(json);
    return type != NULL && strncasecmp(type, json, length) == 0 &&
           (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

/* NULL with what is wrong in `problem`. */
static struct json_object *arguments_of_body(const struct request *request, struct text *problem) {
    if (!is_json(request)) {
        text_add(problem, "the arguments come as application/json");
        return NULL;
    }
    struct json_object *arguments = json_parse(request->body, request->body_size, problem);
    if (arguments != NULL && !json_object_is_type(arguments, json_type_object)) {
        text_add(problem, "the arguments are one JSON object");
        json_object_put(arguments);
        return NULL;
    }
    return arguments;
}

/* A copy goes beside the store and nowhere else: who asks is not known. */
static bool place_backup(const struct server *server, struct json_object *arguments,
                         struct text *problem) {
    const char *name = json_member_text(arguments, "path");
    const char *store = server->options->store.url;
    struct text path = {0};
    if (!text_starts_with(store, SQLITE_URL)) {
        return true; /* it has no files, and says so */
    }
    if (name[0] == '\0' || strchr(name, '/') != NULL) {
        text_add(problem, "path: a server puts the copy beside its store; give a file name without "
                          "a directory");
        return false;
    }
    const char *file = store + strlen(SQLITE_URL);
    const char *slash = strrchr(file, '/');
    text_append(&path, file, slash != NULL ? (size_t)(slash + 1 - file) : 0);
    text_add(&path, name);
    json_set_text(arguments, "path", path.data);
    text_clear(&path);
    return true;
}

/* Its flags say which pools a server has; one that they do not name would keep it from starting. */
static bool defines_nothing(struct json_object *arguments, struct text *problem) {
    if (json_member(arguments, "define") == NULL) {
        return true;
    }
    text_add(problem, "define: a server's pools come from its flags and its ServiceCIDRs");
    return false;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void run(struct server *server, const struct request *request,
                const struct admin_operation *operation, struct json_object *arguments,
                struct reply *reply) {
    struct admin admin = {.store = server->store, .registry = server->registry};
    ipalloc_error error = {0};
    int status = admin_document(operation, &admin, arguments, &reply->body, &error);
    if (status != IPALLOC_OK) {
        reply->store_silent =
            status == IPALLOC_E_UNAVAILABLE || status == IPALLOC_E_UNKNOWN_OUTCOME;
        refuse(request, reply, status, code_of(status), error.message);
        return;
    }
    reply->code = 200;
    reply->content_type = "application/json";
    if (operation->writes) {
        hub_wake(server->hub);
        service_cidrs_note_release(server);
    }
}

static void answer(struct server *server, const struct request *request,
                   const struct admin_operation *operation, struct reply *reply) {
    struct text problem = {0};
    struct json_object *arguments = request->method == METHOD_GET
                                        ? arguments_of_parameters(request, operation)
                                        : arguments_of_body(request, &problem);
    bool fine = arguments != NULL;
    if (fine && strcmp(operation->name, "backup") == 0) {
        fine = place_backup(server, arguments, &problem);
    }
    fine = fine && defines_nothing(arguments, &problem);
    if (fine) {
        run(server, request, operation, arguments, reply);
    } else {
        refuse(request, reply, IPALLOC_E_INVALID, 400, problem.data);
    }
    json_object_put(arguments);
    text_clear(&problem);
}

void admin_pages_answer(struct server *server, const struct request *request, struct reply *reply) {
    const struct admin_operation *operation = admin_find(request->path + strlen(ADMIN_PAGES));
    if (operation == NULL) {
        refuse(request, reply, IPALLOC_E_NOT_FOUND, 404, "there is no such operation");
    } else if (request->method == METHOD_POST ||
               (request->method == METHOD_GET && !operation->acts)) {
        answer(server, request, operation, reply);
    } else {
        reply->allow = operation->acts ? "POST" : "GET, HEAD, POST";
        refuse(request, reply, IPALLOC_E_INVALID, 405, "this operation is asked for by POST");
    }
}
