/* arguments.c: from words to an invocation. Opens nothing; see command.h. */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN     24
#define COLUMNS_MAX     1000

struct parsing {
    int count;
    char **words;
    int at; /* the word being looked at */
    struct invocation *invocation;
    struct text *problem;
    const char *color;   /* auto, always, never */
    const char *columns; /* as given */
    unsigned given;      /* of the flags about the store, one bit each */
    unsigned positional_count;
};

static bool refuse(struct parsing *parsing, const char *word, const char *rule) {
    text_add(parsing->problem, "\"");
    show_add_clean(parsing->problem, word);
    text_format(parsing->problem, "\": %s", rule);
    return false;
}

/* Is the word this flag? Then its value: behind "=", or the next word. NULL value: it misses. */
static bool takes_flag(struct parsing *parsing, const char *flag, const char **value) {
    const char *word = parsing->words[parsing->at];
    size_t length = strlen(flag);
    if (strncmp(word, flag, length) != 0 || (word[length] != '=' && word[length] != '\0')) {
        return false;
    }
    if (word[length] == '=') {
        *value = word + length + 1;
    } else {
        *value = parsing->at + 1 < parsing->count ? parsing->words[++parsing->at] : NULL;
    }
    return true;
}

static bool set_text(struct parsing *parsing, const char *argument, const char *flag,
                     const char *value) {
    struct json_object *arguments = parsing->invocation->arguments;
    if (value == NULL || value[0] == '\0') {
        return refuse(parsing, flag, "it needs a value");
    }
    if (json_member(arguments, argument) != NULL) {
        return refuse(parsing, flag, "it is given twice");
    }
    if (!text_is_clean(value, strlen(value))) {
        return refuse(parsing, value, "it is not valid UTF-8");
    }
    json_set_text(arguments, argument, value);
    return true;
}

/* --- options -----------------------------------------------------------------------------------
 */

static bool set_place_of_work(struct parsing *parsing, const char **place, const char *flag,
                              const char *value) {
    if (value == NULL || value[0] == '\0') {
        return refuse(parsing, flag, "it needs a value");
    }
    if (*place != NULL) {
        return refuse(parsing, flag, "it is given twice");
    }
    *place = value;
    return true;
}

static bool set_output(struct parsing *parsing, const char *value) {
    if (value == NULL || (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)) {
        return refuse(parsing, value != NULL ? value : "-o", "the output is table or json");
    }
    parsing->invocation->json = value[0] == 'j';
    return true;
}

static bool set_color(struct parsing *parsing, const char *value) {
    if (value == NULL || (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 &&
                          strcmp(value, "never") != 0)) {
        return refuse(parsing, value != NULL ? value : "--color",
                      "colour is auto, always or never");
    }
    parsing->color = value;
    return true;
}

/* One of the flags about the store, if the word is one. */
static bool parse_store(struct parsing *parsing, bool *done) {
    struct store_flags *flags = &parsing->invocation->flags;
    for (unsigned i = 0; store_flag_names[i] != NULL; i++) {
        char flag[32];
        const char *value = NULL;
        struct text rule = {0};
        snprintf(flag, sizeof flag, "--%s", store_flag_names[i]);
        if (!takes_flag(parsing, flag, &value)) {
            continue;
        }
        *done = true;
        if (value == NULL || value[0] == '\0') {
            return refuse(parsing, flag, "it needs a value");
        }
        if ((parsing->given & 1U << i) != 0) {
            return refuse(parsing, flag, "it is given twice");
        }
        parsing->given |= 1U << i;
        bool fine = store_flags_take(flags, store_flag_names[i], value, &rule) ||
                    refuse(parsing, value, rule.data);
        text_clear(&rule);
        return fine;
    }
    return true;
}

/* A common option. *done tells whether it was one. */
static bool parse_common(struct parsing *parsing, bool *done) {
    struct invocation *invocation = parsing->invocation;
    const char *word = parsing->words[parsing->at];
    const char *value = NULL;
    *done = false;
    if (!parse_store(parsing, done) || *done) {
        invocation->store = invocation->flags.url;
        return parsing->problem->size == 0;
    }
    *done = true;
    if (takes_flag(parsing, "--server", &value)) {
        return set_place_of_work(parsing, &invocation->server, "--server", value);
    }
    if (strcmp(word, "-ojson") == 0 || strcmp(word, "-otable") == 0) { /* as kubectl has it, too */
        return set_output(parsing, word + 2);
    }
    if (takes_flag(parsing, "-o", &value) || takes_flag(parsing, "--output", &value)) {
        return set_output(parsing, value);
    }
    if (takes_flag(parsing, "--color", &value)) {
        return set_color(parsing, value);
    }
    if (takes_flag(parsing, "--columns", &value)) {
        parsing->columns = value != NULL ? value : "";
        return true;
    }
    if (strcmp(word, "--ascii") == 0) {
        invocation->ascii = true;
        return true;
    }
    *done = false;
    return true;
}

static bool parse_own(struct parsing *parsing, bool *done) {
    const struct command *command = parsing->invocation->command;
    const char *word = parsing->words[parsing->at];
    const char *value = NULL;
    *done = true;
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].flag != NULL; i++) {
        const struct command_option *option = &command->options[i];
        if (option->is_truth && strcmp(word, option->flag) == 0) {
            json_set(parsing->invocation->arguments, option->argument,
                     json_object_new_boolean(true));
            return true;
        }
        if (!option->is_truth && takes_flag(parsing, option->flag, &value)) {
            return set_text(parsing, option->argument, option->flag, value);
        }
    }
    *done = false;
    return true;
}

static bool parse_positional(struct parsing *parsing) {
    const struct command *command = parsing->invocation->command;
    const char *word = parsing->words[parsing->at];
    const char *argument = parsing->positional_count < COMMAND_POSITIONALS_MAX
                               ? command->positionals[parsing->positional_count]
                               : NULL;
    if (argument == NULL) {
        return refuse(parsing, word, "one word too many");
    }
    parsing->positional_count++;
    return set_text(parsing, argument + (argument[0] == '?'), word, word);
}

static bool parse_word(struct parsing *parsing) {
    const char *word = parsing->words[parsing->at];
    bool done = false;
    if (!parse_common(parsing, &done)) {
        return false;
    }
    if (!done && !parse_own(parsing, &done)) {
        return false;
    }
    if (done) {
        return true;
    }
    if (word[0] == '-' && word[1] != '\0') {
        return refuse(parsing, word, "no such option here; --help lists them");
    }
    return parse_positional(parsing);
}

/* --- the whole line ----------------------------------------------------------------------------
 */

static bool check_options(struct parsing *parsing) {
    const struct command *command = parsing->invocation->command;
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].flag != NULL; i++) {
        const struct command_option *option = &command->options[i];
        if (option->is_needed &&
            json_member(parsing->invocation->arguments, option->argument) == NULL) {
            text_format(parsing->problem, "%s: %s must be given", command->name, option->flag);
            return false;
        }
    }
    return true;
}

static bool check_store(struct parsing *parsing) {
    const char *store = parsing->invocation->store;
    if (text_starts_with(store, "memory:")) {
        return refuse(parsing, store, "a memory store is gone with the program that has it");
    }
    return store_flags_check(&parsing->invocation->flags, parsing->problem);
}

static bool check_places(struct parsing *parsing) {
    const struct invocation *invocation = parsing->invocation;
    const struct command *command = invocation->command;
    unsigned count = parsing->positional_count;
    const char *missing = count < COMMAND_POSITIONALS_MAX ? command->positionals[count] : NULL;
    if (missing != NULL && missing[0] != '?') {
        text_format(parsing->problem, "usage: ipallocctl %s %s", command->name, command->usage);
        return false;
    }
    if (command->run != NULL) {
        return (invocation->store == NULL && invocation->server == NULL) ||
               refuse(parsing, command->name, "its stores are words of their own, without --store");
    }
    if ((invocation->store == NULL) == (invocation->server == NULL)) {
        text_format(parsing->problem,
                    "say where: --store=sqlite:PATH, --store=etcd:URL or --server=URL%s",
                    invocation->store != NULL ? ", not both" : "");
        return false;
    }
    return invocation->store != NULL ? check_store(parsing)
                                     : store_flags_check(&invocation->flags, parsing->problem);
}

static bool set_columns(struct parsing *parsing) {
    struct winsize size = {0};
    unsigned columns = COLUMNS_DEFAULT;
    if (parsing->columns != NULL) {
        size_t digits = strspn(parsing->columns, "0123456789");
        columns = digits > 0 && digits < 6 && parsing->columns[digits] == '\0'
                      ? (unsigned)strtoul(parsing->columns, NULL, 10)
                      : 0;
        if (columns < COLUMNS_MIN || columns > COLUMNS_MAX) {
            return refuse(parsing, parsing->columns, "columns are a number from 24 to 1000");
        }
    } else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN) {
        columns = size.ws_col;
    }
    parsing->invocation->columns = columns;
    return true;
}

/* Colour where somebody looks at a terminal and has not said otherwise (https://no-color.org). */
static void decide_color(struct parsing *parsing) {
    const char *refused = getenv("NO_COLOR");
    bool wanted = isatty(STDOUT_FILENO) == 1 && (refused == NULL || refused[0] == '\0');
    if (parsing->color[0] != 'a' || parsing->color[1] != 'u') {
        wanted = parsing->color[0] == 'a';
    }
    parsing->invocation->color = wanted;
}

static void add_quoted(struct text *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=/.:,@%+";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        text_add(out, word);
        return;
    }
    text_add(out, "'");
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'') {
            text_add(out, "'\\''");
        } else {
            text_append(out, at, 1);
        }
    }
    text_add(out, "'");
}

/* The same line for the server that owns the store. */
static void make_retry(const struct parsing *parsing, struct text *retry) {
    text_add(retry, "ipallocctl --server=http://127.0.0.1:8001");
    for (int i = 1; i < parsing->count; i++) {
        if (strcmp(parsing->words[i], "--store") == 0) {
            i++;
        } else if (!text_starts_with(parsing->words[i], "--store=")) {
            text_add(retry, " ");
            add_quoted(retry, parsing->words[i]);
        }
    }
}

static const struct command *find_command(const struct command *const *commands, const char *name) {
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

/* The first word that is no option of the common ones is the command. */
static bool find_name(struct parsing *parsing, const struct command *const *commands) {
    for (parsing->at = 1; parsing->at < parsing->count; parsing->at++) {
        bool done = false;
        if (!parse_common(parsing, &done)) {
            return false;
        }
        if (done) {
            continue;
        }
        const char *word = parsing->words[parsing->at];
        parsing->invocation->command = find_command(commands, word);
        return parsing->invocation->command != NULL ||
               refuse(parsing, word, "no such command; --help lists them");
    }
    text_add(parsing->problem, "say what to do; --help lists the commands");
    return false;
}

static bool asks_for(int count, char **words, const char *flag, const char *short_flag) {
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], flag) == 0 || strcmp(words[i], short_flag) == 0) {
            return true;
        }
    }
    return false;
}

enum arguments_result arguments_parse(int count, char **words,
                                      const struct command *const *commands,
                                      struct invocation *invocation, struct text *retry,
                                      struct text *problem) {
    struct parsing parsing = {.count = count,
                              .words = words,
                              .invocation = invocation,
                              .problem = problem,
                              .color = "auto"};
    *invocation = (struct invocation){.arguments = json_object_new_object()};
    if (asks_for(count, words, "--version", "--version")) {
        return ARGUMENTS_VERSION;
    }
    bool help = asks_for(count, words, "--help", "-h");
    bool named = find_name(&parsing, commands);
    if (help) {
        text_clear(problem);
        return ARGUMENTS_HELP;
    }
    bool fine = named;
    for (parsing.at++; fine && parsing.at < count; parsing.at++) {
        fine = parse_word(&parsing);
    }
    if (!fine || !check_options(&parsing) || !check_places(&parsing) || !set_columns(&parsing)) {
        return ARGUMENTS_WRONG;
    }
    decide_color(&parsing);
    make_retry(&parsing, retry);
    if (invocation->command->operation != NULL) {
        invocation->operation = admin_find(invocation->command->operation);
    }
    invocation->retry = retry->data;
    invocation->dry_run = json_object_get_boolean(json_member(invocation->arguments, "dryRun"));
    return ARGUMENTS_RUN;
}
