/*
 * openmetrics.c: see openmetrics.h. Each line is taken apart with what the lines before it have
 * said of the family in hand; series that have been are remembered by their text.
 */
#include "openmetrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, LABELS_MAX_BYTES = 512, FAMILIES_MAX = 64, LINES_MAX = 8192 };

typedef struct sample {
    char name[NAME_MAX_BYTES];
    char labels[LABELS_MAX_BYTES]; /* as written, without le */
    char le[32];                   /* "" where there is none */
    char value[64];
} sample;

typedef struct checker {
    char families[FAMILIES_MAX][NAME_MAX_BYTES];
    size_t family_count;
    char type[32]; /* of the last family; "" before it is said */
    bool has_unit, has_help, has_samples;
    char *series[LINES_MAX]; /* all samples so far: name, labels and le */
    size_t series_count;
    bool in_histogram; /* buckets of `labels` are being counted */
    char labels[LABELS_MAX_BYTES];
    double bound, bucket; /* the last one's */
    bool has_infinity, has_count, has_sum;
    char *problem;
    const char *line;
} checker;

static bool fail(checker *c, const char *why) {
    snprintf(c->problem, OPENMETRICS_PROBLEM, "%s: %.150s", why, c->line);
    return false;
}

static bool is_name_start(char ch) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
}

static bool is_digit(char ch) {
    return ch >= '0' && ch <= '9';
}

/* Take a name; returns what follows it, NULL if there is none. */
static const char *take_name(const char *at, char *out, size_t capacity) {
    size_t length = 0;
    if (!is_name_start(at[0]))
        return NULL;
    while (is_name_start(at[length]) || is_digit(at[length]))
        length++;
    if (length >= capacity)
        return NULL;
    memcpy(out, at, length);
    out[length] = '\0';
    return at + length;
}

/* Take text up to the closing quote, with its escapes as written. */
static const char *take_quoted(const char *at, char *out, size_t capacity) {
    size_t length = 0;
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if (*at == '\0' || length + 3 > capacity)
            return NULL;
        if (*at == '\\') {
            if (strchr("\\\"n", at[1]) == NULL || at[1] == '\0')
                return NULL;
            out[length++] = *at++;
        }
        out[length++] = *at;
    }
    out[length] = '\0';
    return at + 1;
}

static bool has_label(const char *labels, const char *name) {
    char wanted[NAME_MAX_BYTES + 3];
    snprintf(wanted, sizeof wanted, ",%s=", name);
    return strstr(labels, wanted) != NULL;
}

static const char *take_labels(const char *at, sample *out) {
    char name[NAME_MAX_BYTES], value[256];
    size_t used = 0;
    if (*at != '{')
        return at;
    at++;
    while (*at != '}') {
        at = take_name(at, name, sizeof name);
        if (at == NULL || *at != '=' || has_label(out->labels, name))
            return NULL;
        at = take_quoted(at + 1, value, sizeof value);
        if (at == NULL || (strcmp(name, "le") == 0 && out->le[0] != '\0'))
            return NULL;
        if (strcmp(name, "le") == 0)
            snprintf(out->le, sizeof out->le, "%.31s", value);
        else
            used += (size_t)snprintf(out->labels + used, sizeof out->labels - used, ",%s=\"%s\"",
                                     name, value);
        if (used >= sizeof out->labels || (*at != ',' && *at != '}'))
            return NULL;
        if (*at == ',' && *++at == '}')
            return NULL;
    }
    return at + 1;
}

/* Digits with an optional fraction and exponent: what we write; NaN and Inf are not among it. */
static bool is_number(const char *text) {
    if (*text == '-' || *text == '+')
        text++;
    size_t digits = strspn(text, "0123456789");
    text += digits;
    if (digits == 0)
        return false;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        text += digits;
        if (digits == 0)
            return false;
    }
    return *text == '\0';
}

/* A bound as OpenMetrics writes floats: with a point, no exponent in this range, no zero too many.
 */
static bool is_canonical_bound(const char *text) {
    const char *point = strchr(text, '.');
    size_t length = strlen(text);
    if (strcmp(text, "+Inf") == 0)
        return true;
    return is_number(text) && point != NULL && (text[length - 1] != '0' || point[2] == '\0') &&
           (text[0] != '0' || point == text + 1);
}

/* --- families --------------------------------------------------------------------------------- */

static bool end_histogram(checker *c) {
    bool whole = !c->in_histogram || (c->has_infinity && c->has_count && c->has_sum);
    c->in_histogram = false;
    return whole || fail(c, "before this line, a histogram without +Inf, count or sum");
}

static const char *family(const checker *c) {
    return c->family_count > 0 ? c->families[c->family_count - 1] : "";
}

static bool begin_family(checker *c, const char *name) {
    if (!end_histogram(c))
        return false;
    for (size_t i = 0; i < c->family_count; i++)
        if (strcmp(c->families[i], name) == 0)
            return fail(c, "a family in two blocks");
    if (c->family_count == FAMILIES_MAX)
        return fail(c, "too many families for this checker");
    snprintf(c->families[c->family_count++], NAME_MAX_BYTES, "%s", name);
    c->type[0] = '\0';
    c->has_unit = c->has_help = c->has_samples = false;
    return true;
}

static bool note_type(checker *c, const char *type) {
    static const char *const TYPES[] = {"gauge", "counter", "histogram"};
    const char *suffix = strrchr(family(c), '_');
    if (c->type[0] != '\0')
        return fail(c, "a second TYPE");
    for (size_t i = 0; i < 3; i++)
        if (strcmp(TYPES[i], type) == 0)
            snprintf(c->type, sizeof c->type, "%s", type);
    if (c->type[0] == '\0')
        return fail(c, "a type that we do not write");
    if (suffix != NULL && (strcmp(suffix, "_total") == 0 || strcmp(suffix, "_bucket") == 0 ||
                           strcmp(suffix, "_count") == 0 || strcmp(suffix, "_sum") == 0))
        return fail(c, "a family named like a series");
    return true;
}

static bool note_unit(checker *c, const char *unit) {
    size_t name = strlen(family(c)), length = strlen(unit);
    if (c->has_unit)
        return fail(c, "a second UNIT");
    c->has_unit = true;
    return (length > 0 && name > length + 1 && family(c)[name - length - 1] == '_' &&
            strcmp(family(c) + name - length, unit) == 0) ||
           fail(c, "a unit that is not the end of the name");
}

static bool note_help(checker *c, const char *help) {
    if (c->has_help || help[0] == '\0')
        return fail(c, "a second or an empty HELP");
    c->has_help = true;
    for (; *help != '\0'; help++) {
        if (*help == '\\' && (help[1] == '\0' || strchr("\\\"n", *++help) == NULL))
            return fail(c, "a bad escape");
    }
    return true;
}

/* "# <KEYWORD> <name> <rest>" */
static bool read_metadata(checker *c) {
    char name[NAME_MAX_BYTES];
    const char *at = c->line + 2;
    const char *keyword = at;
    at = strchr(at, ' ');
    size_t length = at != NULL ? (size_t)(at - keyword) : 0;
    at = at != NULL ? take_name(at + 1, name, sizeof name) : NULL;
    if (at == NULL || *at != ' ')
        return fail(c, "metadata without a name");
    if (strcmp(family(c), name) != 0 && !begin_family(c, name))
        return false;
    if (c->has_samples)
        return fail(c, "metadata behind its samples");
    if (length == 4 && memcmp(keyword, "TYPE", 4) == 0)
        return note_type(c, at + 1);
    if (length == 4 && memcmp(keyword, "UNIT", 4) == 0)
        return note_unit(c, at + 1);
    if (length == 4 && memcmp(keyword, "HELP", 4) == 0)
        return note_help(c, at + 1);
    return fail(c, "a comment that is no metadata");
}

/* --- samples ---------------------------------------------------------------------------------- */

static bool note_bucket(checker *c, const sample *s) {
    double bound = strcmp(s->le, "+Inf") == 0 ? INFINITY : strtod(s->le, NULL);
    double value = strtod(s->value, NULL);
    if (!is_canonical_bound(s->le))
        return fail(c, "a bucket's bound that is not canonical");
    if (!c->in_histogram || strcmp(c->labels, s->labels) != 0 || c->has_count || c->has_sum) {
        if (!end_histogram(c))
            return false;
        c->in_histogram = true;
        snprintf(c->labels, sizeof c->labels, "%s", s->labels);
        c->bound = -INFINITY;
        c->bucket = 0;
        c->has_infinity = c->has_count = c->has_sum = false;
    }
    if (bound <= c->bound || value < c->bucket || strchr(s->value, '.') != NULL)
        return fail(c, "buckets out of order, or falling");
    c->bound = bound;
    c->bucket = value;
    c->has_infinity = isinf(bound);
    return true;
}

static bool note_histogram(checker *c, const sample *s, const char *suffix) {
    bool *seen = strcmp(suffix, "_count") == 0 ? &c->has_count : &c->has_sum;
    if (strcmp(suffix, "_bucket") == 0)
        return s->le[0] != '\0' ? note_bucket(c, s) : fail(c, "a bucket without le");
    if (!c->in_histogram || strcmp(c->labels, s->labels) != 0 || !c->has_infinity || *seen)
        return fail(c, "a count or sum that is not behind its buckets");
    *seen = true;
    if (strcmp(suffix, "_count") == 0 && strtod(s->value, NULL) != c->bucket)
        return fail(c, "a count that is not that of +Inf");
    return true;
}

static bool check_suffix(checker *c, const sample *s) {
    size_t length = strlen(family(c));
    const char *suffix = s->name + length;
    if (c->family_count == 0 || strncmp(s->name, family(c), length) != 0)
        return fail(c, "a sample outside its family");
    if (c->type[0] == '\0' || !c->has_help)
        return fail(c, "a sample before its TYPE and HELP");
    if (strcmp(c->type, "histogram") == 0)
        return (strcmp(suffix, "_bucket") == 0 || strcmp(suffix, "_count") == 0 ||
                strcmp(suffix, "_sum") == 0)
                   ? note_histogram(c, s, suffix)
                   : fail(c, "a series that a histogram does not have");
    if (s->le[0] != '\0')
        return fail(c, "le outside a histogram");
    return strcmp(suffix, strcmp(c->type, "counter") == 0 ? "_total" : "") == 0 ||
           fail(c, "a series that its type does not have");
}

static bool note_series(checker *c, const sample *s) {
    char text[NAME_MAX_BYTES + LABELS_MAX_BYTES + 64];
    snprintf(text, sizeof text, "%s|%s|%s", s->name, s->labels, s->le);
    for (size_t i = 0; i < c->series_count; i++)
        if (strcmp(c->series[i], text) == 0)
            return fail(c, "a series twice");
    if (c->series_count == LINES_MAX)
        return fail(c, "too many series for this checker");
    c->series[c->series_count++] = strdup(text);
    return true;
}

static bool read_sample(checker *c) {
    sample s = {.labels = ""};
    const char *at = take_name(c->line, s.name, sizeof s.name);
    at = at != NULL ? take_labels(at, &s) : NULL;
    if (at == NULL || *at != ' ')
        return fail(c, "no sample");
    snprintf(s.value, sizeof s.value, "%.63s", at + 1);
    if (!is_number(s.value) || s.value[0] == '-' || s.value[0] == '+')
        return fail(c, "a value that we do not write");
    c->has_samples = true;
    return check_suffix(c, &s) && note_series(c, &s);
}

/* --- the whole text --------------------------------------------------------------------------- */

static bool check_lines(checker *c, char *copy) {
    bool ended = false;
    for (char *line = copy; *line != '\0';) {
        char *end = strchr(line, '\n');
        c->line = line;
        if (end == NULL)
            return fail(c, "a last line without its end");
        *end = '\0';
        if (ended)
            return fail(c, "something behind the end mark");
        for (const char *at = line; *at != '\0'; at++)
            if (*at < ' ' || *at > '~')
                return fail(c, "a byte that is not printable ASCII");
        if (strcmp(line, "# EOF") == 0)
            ended = end_histogram(c);
        else if (!(strncmp(line, "# ", 2) == 0 ? read_metadata(c) : read_sample(c)))
            return false;
        if (strcmp(line, "# EOF") == 0 && !ended)
            return false;
        line = end + 1;
    }
    c->line = "";
    return ended || fail(c, "no end mark");
}

bool openmetrics_check(const char *text, char problem[OPENMETRICS_PROBLEM]) {
    checker *c = calloc(1, sizeof *c);
    char *copy = strdup(text);
    c->problem = problem;
    bool fine = check_lines(c, copy);
    for (size_t i = 0; i < c->series_count; i++)
        free(c->series[i]);
    free(copy);
    free(c);
    return fine;
}

const char *openmetrics_value(const char *text, const char *series) {
    static char value[64];
    size_t length = strlen(series);
    for (const char *at = text; (at = strstr(at, series)) != NULL; at += length) {
        if ((at == text || at[-1] == '\n') && at[length] == ' ') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at + length + 1, "\n"),
                     at + length + 1);
            return value;
        }
    }
    return NULL;
}
