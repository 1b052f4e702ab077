/*
 * command.h: what a subcommand is. Each is one file that says how it is called, which operation of
 * examples/admin it asks for, and how the result looks as a table; main.c has the list of them.
 *
 * Parsing (arguments.c) is kept apart from doing (local.c, remote.c) and from showing (show.c): a
 * command line is wholly checked before anything is opened.
 */
#ifndef IPALLOCCTL_COMMAND_H
#define IPALLOCCTL_COMMAND_H

#include "admin.h"
#include "store_flags.h"

#include <stdio.h>

struct table;
struct command;

/* Exit codes. */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

/* A command line that was understood. */
struct invocation {
    const struct command *command;
    const struct admin_operation *operation; /* the command's, or what its prepare chose */
    const char *store;                       /* flags.url; NULL if a server is asked */
    struct store_flags flags;                /* how to open it */
    const char *server;                      /* http://... */
    bool json;
    bool color;
    bool ascii;
    bool dry_run;
    unsigned columns;              /* of the terminal, or what was asked for */
    struct json_object *arguments; /* of the operation */
    const char *retry;             /* the same line for a server, to be shown */
    void *state;                   /* the command's own, from its prepare to its show_end */
};

/* An option beside the common ones. */
struct command_option {
    const char *flag;     /* "--pool" */
    const char *argument; /* of the operation; NULL: the command's prepare looks at it */
    bool is_truth;        /* takes no value */
    bool is_needed;
};

#define COMMAND_OPTIONS_MAX     6
#define COMMAND_POSITIONALS_MAX 2

struct command {
    const char *name;
    const char *operation; /* of admin.h */
    const char *summary;
    const char *usage;                                /* its own part of the synopsis */
    const char *help;                                 /* what it does, and an example */
    const char *positionals[COMMAND_POSITIONALS_MAX]; /* arguments; a leading '?' if it may miss */
    struct command_option options[COMMAND_OPTIONS_MAX];
    const char *const *headings; /* of its table; ends with NULL; NULL: show_item prints freely */
    /* Do it all, on what `positionals` name: such a command takes neither --store nor --server, has
     * no operation, and nothing below is asked for. The exit code, with what is wrong. */
    int (*run)(struct invocation *invocation, struct text *problem);
    /* Fill in more arguments, from files for instance. The exit code: EXIT_DONE to go on, else with
     * what is wrong. */
    int (*prepare)(struct invocation *invocation, struct text *problem);
    /* One item, or the members where there are no items: as rows of the table, or printed. */
    void (*show_item)(const struct invocation *invocation, struct table *table,
                      struct json_object *item);
    /* After the last item; may be NULL. False with what went wrong after all. In JSON it may only
     * judge, not print. */
    bool (*show_end)(const struct invocation *invocation, struct json_object *members,
                     struct text *problem);
};

extern const struct command command_accept, command_allocate, command_backup, command_check,
    command_copy, command_export, command_import, command_exclude, command_include, command_list,
    command_map, command_pools, command_release, command_repair, command_reserve, command_show;

/* --- arguments.c -------------------------------------------------------------------------------
 */

enum arguments_result { ARGUMENTS_RUN, ARGUMENTS_HELP, ARGUMENTS_VERSION, ARGUMENTS_WRONG };

/* Understand the command line. WRONG with one line in `problem`. The caller puts the arguments and
 * clears `retry`, where the line for a server is kept. */
enum arguments_result arguments_parse(int count, char **words,
                                      const struct command *const *commands,
                                      struct invocation *invocation, struct text *retry,
                                      struct text *problem);

/* --- files.c -----------------------------------------------------------------------------------
 */

/* Read a whole file, or standard input for "-". False with what is wrong. */
bool file_read(const char *path, struct text *out, struct text *problem);

/* Write a new file; it must not exist. False with what is wrong. */
bool file_write(const char *path, const void *bytes, size_t size, struct text *problem);

/* --- import_files.c ----------------------------------------------------------------------------
 */

struct import_files {
    struct json_object *items; /* for the operation; the caller's */
    size_t values;             /* that were read */
    size_t skipped;            /* of them, about something else */
};

/* Read what a file, the files of a directory, or standard input ("-") say. False with what is
 * wrong and where. */
bool import_files_read(const char *path, struct import_files *files, struct text *problem);

/* --- doing -------------------------------------------------------------------------------------
 */

struct show;

/* Run it on a store of its own, or on a server's; results go to `show`. OK or a negative status,
 * with what to say in `problem`. */
int local_run(const struct invocation *invocation, struct show *show, struct text *problem);
int remote_run(const struct invocation *invocation, struct show *show, struct text *problem);

/* --- show.c ------------------------------------------------------------------------------------
 */

struct show *show_begin(const struct invocation *invocation);
void show_item(void *show, struct json_object *item); /* takes the item over */
void show_progress(void *show, uint64_t done);
bool show_end(struct show *show, struct json_object *members, struct text *problem);
/* Without an end: the operation failed. Frees it as show_end does. */
void show_abandon(struct show *show);

/* A cell of a row; NULL and "" show as "-". The cells of a row are given one after another. */
void table_cell(struct table *table, const char *words);
void table_member(struct table *table, struct json_object *item, const char *name);

/* Members of a value as text: lists joined by commas. Borrowed until the next call. */
const char *show_text(struct json_object *item, const char *name, struct text *buffer);

/* Append, with what could disturb a terminal written as \xNN. */
void show_add_clean(struct text *out, const char *words);

#endif
