/*
 * status.h: what a request came to: an object, or a Kubernetes Status that says why not.
 *
 * Codes, reasons and texts are those that kubectl knows from kube-apiserver.
 */
#ifndef APISERVER_STATUS_H
#define APISERVER_STATUS_H

#include "json.h"

#include <ipalloc/service.h>

struct resource;

/* An HTTP code and the value to send, which the outcome owns. */
struct outcome {
    int code;
    struct json_object *value;
    bool store_silent; /* the store could not be asked, or its answer did not come */
};

void outcome_set(struct outcome *outcome, int code, struct json_object *value);
void outcome_clear(struct outcome *outcome);

/* A failure with a reason of Kubernetes' ("NotFound") and a message. */
void outcome_fail(struct outcome *outcome, int code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* 400: the text is no resourceVersion. */
void outcome_no_version(struct outcome *outcome, const char *text);

/* Failures about one object. */
void outcome_not_found(struct outcome *outcome, const struct resource *resource, const char *name);
void outcome_exists(struct outcome *outcome, const struct resource *resource, const char *name,
                    bool dying);
void outcome_conflict(struct outcome *outcome, const struct resource *resource, const char *name,
                      const char *why);

/* The same, where it is not called by its plural: "Service", "ServiceCIDR.networking.k8s.io". */
void outcome_conflict_of(struct outcome *outcome, const char *kind, const char *name,
                         const char *why);

#define CONFLICT_MODIFIED                                                                    \
    "the object has been modified; please apply your changes to the latest version and try " \
    "again"

/* A failure with these causes (taken). */
void outcome_causes(struct outcome *outcome, int code, const char *reason, const char *message,
                    struct json_object *causes);

/* 422 Invalid with a cause per problem, or 500 where one is an internal error ("range is full").
 * `kind` is with its group: "ServiceCIDR.networking.k8s.io". */
void outcome_problems(struct outcome *outcome, const char *kind, const char *name,
                      const ipalloc_service_problems *problems);

/* The same for an object of that kind. */
void outcome_refused(struct outcome *outcome, const struct resource *resource, const char *name,
                     const ipalloc_service_problems *problems);

/* What a library call answered, where no field is to blame. */
void outcome_library(struct outcome *outcome, const struct resource *resource, const char *name,
                     const ipalloc_error *error);

/* The Success that a deletion answers with. */
void outcome_deleted(struct outcome *outcome, const struct resource *resource, const char *name,
                     const char *uid);

/* Note a refused field; beyond IPALLOC_SERVICE_PROBLEMS_MAX they are only counted out. */
void problem_add(ipalloc_service_problems *problems, const char *reason, const char *field,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
