/* delete_options.h: DeleteOptions, of the query and of the body. */
#ifndef APISERVER_DELETE_OPTIONS_H
#define APISERVER_DELETE_OPTIONS_H

#include "http.h"
#include "json.h"
#include "status.h"

struct delete_options {
    struct json_object *body;           /* the texts below point into it */
    const char *uid, *resource_version; /* preconditions; "": none */
    int64_t grace;                      /* seconds; -1: none given */
    bool dry_run;
};

/* Read and judge them. False with the outcome set (400, 415, 422) where they are not usable. Clear
 * in both cases. */
bool delete_options_read(const struct request *request, struct delete_options *options,
                         struct outcome *outcome);
void delete_options_clear(struct delete_options *options);

#endif
