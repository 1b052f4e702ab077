/*
 * managed_case.h: one object and who writes it, for the tests of managed_fields.h.
 *
 * JSON in these tests is written with ' for ", so that it can be read.
 */
#ifndef MANAGED_CASE_H
#define MANAGED_CASE_H

#include "managed_fields.h"

/* The Service, whoever writes it next, and what came of the last apply. */
extern struct json_object *object;
extern struct field_writer writer;
extern struct outcome outcome;

void case_begin(void);
void case_end(void);

struct json_object *case_value(const char *text);

/* Apply the config, which is taken. Returns the code: 200, or that of the refusal. */
int case_apply_value(const char *manager, struct json_object *config, bool force);
const char *case_said(void); /* the message of a refusal */

/* Replace the object. */
void case_update(const char *manager, const char *wanted);

/* Of the object's managedFields. */
struct json_object *case_entry_of(const char *manager, const char *operation);
size_t case_entry_count(void);

#endif
