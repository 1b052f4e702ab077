/* write_options.h: the options of a write: who writes (fieldManager, force), whether it is kept
 * (dryRun), and how strictly it is read (fieldValidation). */
#ifndef APISERVER_WRITE_OPTIONS_H
#define APISERVER_WRITE_OPTIONS_H

#include "http.h"
#include "managed_fields.h"
#include "resource.h"

struct write_options {
    bool dry_run;
    struct field_writer writer; /* points into the two below */
    char manager[MANAGER_NAME_MAX + 1];
    char api_version[RESOURCE_TEXT];
};

/* Read and judge them; `applies`: the request is a server-side apply. False with the outcome set
 * (422) where one is not usable. `options` must not be moved afterwards. */
bool write_options_read(const struct request *request, bool applies, struct write_options *options,
                        struct outcome *outcome);

#endif
