/*
 * kind_client.h: objects of the kinds beside Services over HTTP, all named "x", and what is told of
 * those that are refused: code, reason and text to the letter of kube-apiserver 1.36's. Where ours
 * says something else, the row of the table says so.
 *
 * JSON is written with single quotes, without its outer braces.
 */
#ifndef KIND_CLIENT_H
#define KIND_CLIENT_H

#include "server_process.h"

struct kind {
    const char *name; /* as messages call it, with its group */
    const char *path; /* of the collection */
};

extern const struct kind pods, nodes, endpoints, slices, ingresses, classes, secrets, config_maps,
    events;

/* A server for each test: Check's fixture. */
void kinds_start(void);
void kinds_stop(void);

/* One request with a whole JSON text. */
struct answer ask(const char *method, const char *path, const char *type, const char *json);

/* POST of an object with these fields beside metadata.name. */
struct answer create(const struct kind *kind, const char *fields);

/* A merge patch of the object, or of what is below it ("/status"). */
struct answer change(const struct kind *kind, const char *below, const char *fields);

/* The same, and a DELETE, failing the test unless they succeed. */
void must_make(const struct kind *kind, const char *fields);
void must_remove(const struct kind *kind);

/* One refusal. */
struct row {
    const struct kind *kind;
    const char *before;  /* what is there, and changed by a merge patch; NULL: nothing, a create */
    const char *fields;  /* beside metadata.name, which is "x"; of a patch: all */
    const char *reasons; /* of each cause, without "FieldValue", joined by a blank */
    const char *message; /* after `KIND "x" is invalid: ` */
};

void expect_refusal(struct answer *answer, const struct row *row); /* frees the answer */
void expect_each(const struct row *rows, size_t count);
/* Each row is a patch of the object's status. */
void expect_each_status(const struct row *rows, size_t count);
#define EXPECT_EACH(rows) expect_each(rows, sizeof(rows) / sizeof(rows)[0])

/* `count` elements between the two texts, with commas; the caller frees it. */
char *repeated(const char *before, const char *element, size_t count, const char *after);

/* --- texts that many rows share --------------------------------------------------------------- */

#define LABEL                                                                                    \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "   \
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN                                                                                 \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "  \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define WILDCARD                                                                              \
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, " \
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "   \
    "alphanumeric character (e.g. '*.example.com', regex used for validation is "             \
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define KEY                                                                              \
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " \
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
#define SERVICE_NAME                                                                             \
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an " \
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "         \
    "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
#define NO_ADDRESS "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
#define PORT_RANGE "must be between 1 and 65535, inclusive"
#define PROTOCOLS  "supported values: \"SCTP\", \"TCP\", \"UDP\""
#define IMMUTABLE  "Forbidden: field is immutable when `immutable` is set"

#endif
