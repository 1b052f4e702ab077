/*
 * map.c: ipallocctl map: a range drawn as marks, one for each address where they fit, else one for
 * a block of 2^n of them, filled by how much of it is held.
 *
 * Rows are as wide as a power of two, so that they begin at round addresses.
 */
#include "command.h"

#include "space.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MIN     16
#define ROW_MAX     128
#define ROWS_WANTED 48 /* at most so many, where the row has the width hoped for */
#define LABEL_HOPED 16 /* of IPv4, with its space */

enum state {
    STATE_FREE,
    STATE_FREE_STATIC,
    STATE_FREE_DRAINING,
    STATE_HELD,
    STATE_COOLING,
    STATE_EXCLUDED,
    STATE_UNUSABLE,
    STATE_COUNT
};

static const struct {
    const char *ascii;
    const char *mark;
    const char *color; /* as the terminal wants it */
    const char *meaning;
} states[STATE_COUNT] = {
    [STATE_FREE] = {".", "\u00b7", "0", "free"},
    [STATE_FREE_STATIC] = {":", ":", "36", "free, static band"},
    [STATE_FREE_DRAINING] = {"_", "_", "33", "free, draining: not given out"},
    [STATE_HELD] = {"#", "\u2588", "32", "held"},
    [STATE_COOLING] = {"~", "~", "34", "cooling"},
    [STATE_EXCLUDED] = {"x", "x", "35", "excluded"},
    [STATE_UNUSABLE] = {"-", "-", "90", "not usable"},
};

/* Levels of a block that is partly held; a full one is STATE_HELD. */
#define LEVELS_ASCII 9
#define LEVELS_MARK  7
static const char *const levels_ascii[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const levels_mark[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                          "\u2585", "\u2586", "\u2587"};

struct drawing {
    const struct invocation *invocation;
    bool is_port;
    uint8_t family;
    wide base;   /* of the first mark */
    wide places; /* drawn, usable or not */
    wide per_cell;
    wide first, last; /* usable ones */
    wide static_first, static_last;
    bool some_usable, some_static, draining;
    size_t cell_count;
    struct json_object **cells; /* by number; NULL: nothing in it */
    bool seen[STATE_COUNT];
    bool seen_level;
    const char *color_now;
};

/* --- reading the result ------------------------------------------------------------------------
 */

static wide wide_member(struct json_object *value, const char *name) {
    wide number = 0;
    wide_parse(json_member_text(value, name), &number);
    return number;
}

/* A port or an address as a number; false where it is absent. */
static bool place_member(struct json_object *item, const char *name, wide *out) {
    struct json_object *value = json_member(item, name);
    struct admin_place place;
    ipalloc_error ignored;
    const char *words = value != NULL ? json_object_get_string(value) : "";
    if (admin_place_parse(words, strlen(words), &place, &ignored) != IPALLOC_OK) {
        return false;
    }
    *out = wide_of_place(&place);
    return true;
}

static bool read_drawing(struct json_object *item, struct drawing *drawing) {
    struct json_object *list = json_member(item, "cells");
    const char *base = json_member_text(item, "base");
    int64_t count = json_member_number(item, "cellCount", 0);
    drawing->is_port = base[0] == '\0';
    drawing->family = strchr(base, ':') != NULL ? 6 : 4;
    drawing->per_cell = wide_member(item, "placesPerCell");
    drawing->places = wide_member(item, "places");
    drawing->draining = json_member_truth(item, "draining", false);
    drawing->some_usable =
        place_member(item, "first", &drawing->first) && place_member(item, "last", &drawing->last);
    drawing->some_static = place_member(item, "staticFirst", &drawing->static_first) &&
                           place_member(item, "staticLast", &drawing->static_last);
    if (!place_member(item, "base", &drawing->base) || drawing->per_cell == 0 || count <= 0 ||
        count > UINT16_MAX + 1) {
        return false;
    }
    drawing->cell_count = (size_t)count;
    drawing->cells = memory_allocate(drawing->cell_count * sizeof(struct json_object *));
    for (size_t i = 0; i < json_length(list); i++) {
        struct json_object *cell = json_object_array_get_idx(list, i);
        int64_t number = json_member_number(cell, "cell", -1);
        if (number >= 0 && number < count) {
            drawing->cells[number] = cell;
        }
    }
    return true;
}

/* --- one mark ----------------------------------------------------------------------------------
 */

static wide smaller(wide a, wide b) {
    return a < b ? a : b;
}

/* How many places of from..to lie in first..last. */
static wide overlap(wide from, wide to, wide first, wide last) {
    from = from > first ? from : first;
    to = smaller(to, last);
    return from <= to ? to - from + 1 : 0;
}

static void put_color(struct drawing *drawing, const char *color) {
    if (drawing->invocation->color && drawing->color_now != color) {
        printf("\033[%sm", color);
        drawing->color_now = color;
    }
}

static void put_state(struct drawing *drawing, enum state state) {
    drawing->seen[state] = true;
    put_color(drawing, states[state].color);
    fputs(drawing->invocation->ascii ? states[state].ascii : states[state].mark, stdout);
}

static void put_level(struct drawing *drawing, wide held, wide usable) {
    bool ascii = drawing->invocation->ascii;
    unsigned levels = ascii ? LEVELS_ASCII : LEVELS_MARK;
    unsigned level = (unsigned)((long double)held / (long double)usable * levels);
    level = level < levels ? level : levels - 1;
    drawing->seen_level = true;
    put_color(drawing, states[STATE_HELD].color);
    fputs(ascii ? levels_ascii[level] : levels_mark[level], stdout);
}

static void put_free(struct drawing *drawing, wide from, wide to) {
    wide in_static =
        drawing->some_static ? overlap(from, to, drawing->static_first, drawing->static_last) : 0;
    wide usable = overlap(from, to, drawing->first, drawing->last);
    if (drawing->draining) {
        put_state(drawing, STATE_FREE_DRAINING);
    } else {
        put_state(drawing, in_static == usable ? STATE_FREE_STATIC : STATE_FREE);
    }
}

static void put_cell(struct drawing *drawing, size_t index) {
    struct json_object *cell = drawing->cells[index];
    wide from = drawing->base + index * drawing->per_cell;
    wide to = smaller(from + (drawing->per_cell - 1), drawing->base + (drawing->places - 1));
    wide usable = drawing->some_usable ? overlap(from, to, drawing->first, drawing->last) : 0;
    wide held = (wide)json_member_number(cell, "held", 0);
    wide excluded = smaller(wide_member(cell, "excluded"), usable);
    if (held > 0 && held >= usable - excluded) {
        put_state(drawing, STATE_HELD);
    } else if (held > 0) {
        put_level(drawing, held, usable - excluded);
    } else if (usable == 0) {
        put_state(drawing, STATE_UNUSABLE);
    } else if (excluded == usable) {
        put_state(drawing, STATE_EXCLUDED);
    } else if (json_member_number(cell, "cooling", 0) > 0) {
        put_state(drawing, STATE_COOLING);
    } else {
        put_free(drawing, from, to);
    }
}

/* --- rows --------------------------------------------------------------------------------------
 */

static void format_label(const struct drawing *drawing, size_t cell, char out[IPALLOC_ADDR_TEXT]) {
    wide number = drawing->base + cell * drawing->per_cell;
    if (drawing->is_port) {
        snprintf(out, IPALLOC_ADDR_TEXT, "%u", (unsigned)number);
    } else {
        ipalloc_addr address = address_of_wide(drawing->family, number);
        ipalloc_addr_format(&address, out);
    }
}

static size_t widest_label(const struct drawing *drawing, size_t row) {
    size_t widest = 0;
    char label[IPALLOC_ADDR_TEXT];
    for (size_t cell = 0; cell < drawing->cell_count; cell += row) {
        format_label(drawing, cell, label);
        widest = strlen(label) > widest ? strlen(label) : widest;
    }
    return widest;
}

static size_t choose_row(const struct drawing *drawing) {
    size_t row = ROW_MAX;
    while (row > ROW_MIN && row + widest_label(drawing, row) + 1 > drawing->invocation->columns) {
        row /= 2;
    }
    return row;
}

static void draw_rows(struct drawing *drawing) {
    size_t row = choose_row(drawing);
    int width = (int)widest_label(drawing, row);
    char label[IPALLOC_ADDR_TEXT];
    for (size_t cell = 0; cell < drawing->cell_count; cell++) {
        if (cell % row == 0) {
            format_label(drawing, cell, label);
            printf("%-*s ", width, label);
        }
        put_cell(drawing, cell);
        if ((cell + 1) % row == 0 || cell + 1 == drawing->cell_count) {
            if (drawing->color_now != NULL) {
                fputs("\033[0m", stdout);
                drawing->color_now = NULL;
            }
            putchar('\n');
        }
    }
}

/* --- around it ---------------------------------------------------------------------------------
 */

static void print_title(struct json_object *item, const struct drawing *drawing) {
    char words[IPALLOC_COUNT_TEXT];
    printf("%s  %s", json_member_text(item, "pool"), json_member_text(item, "range"));
    if (drawing->draining) {
        printf("  draining");
    }
    if (drawing->per_cell > 1) {
        ipalloc_count_format(count_of_wide(drawing->per_cell), words);
        printf("  each mark is %s %s", words, drawing->is_port ? "ports" : "addresses");
    }
    putchar('\n');
}

static void print_band(struct json_object *item, const struct drawing *drawing) {
    struct text first = {0};
    struct text last = {0};
    if (drawing->some_static) {
        printf("static band %s - %s\n", show_text(item, "staticFirst", &first),
               show_text(item, "staticLast", &last));
    }
    text_clear(&first);
    text_clear(&last);
}

static void print_counts(struct json_object *item) {
    wide size = wide_member(item, "size");
    const char *held = json_member_text(item, "held");
    if (json_member(item, "size") != NULL) {
        long double share =
            size > 0 ? (long double)wide_member(item, "held") / (long double)size : 0.0L;
        printf("%s usable: %s held (%.1Lf %%), %s cooling, %s excluded, %s free\n",
               json_member_text(item, "size"), held, 100.0L * share,
               json_member_text(item, "cooling"), json_member_text(item, "excluded"),
               json_member_text(item, "free"));
    } else {
        printf("%s held, %s cooling, %s excluded\n", held, json_member_text(item, "cooling"),
               json_member_text(item, "excluded"));
    }
}

static void print_legend(struct drawing *drawing) {
    bool ascii = drawing->invocation->ascii;
    const char *gap = "";
    if (drawing->seen_level) {
        printf("%s partly held", ascii ? "1-9" : "\u2581-\u2587");
        gap = "   ";
    }
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        if (drawing->seen[i]) {
            fputs(gap, stdout);
            put_state(drawing, (enum state)i);
            put_color(drawing, "0");
            printf(" %s", states[i].meaning);
            gap = "   ";
        }
    }
    drawing->color_now = NULL;
    putchar('\n');
}

static void show_map(const struct invocation *invocation, struct table *table,
                     struct json_object *item) {
    struct drawing drawing = {.invocation = invocation};
    (void)table;
    if (!read_drawing(item, &drawing)) {
        return;
    }
    print_title(item, &drawing);
    draw_rows(&drawing);
    print_band(item, &drawing);
    print_counts(item);
    print_legend(&drawing);
    free(drawing.cells);
}

/* As many marks as fit the width well. */
static int ask_for_cells(struct invocation *invocation, struct text *problem) {
    size_t row = ROW_MAX;
    (void)problem;
    while (row > ROW_MIN && row + LABEL_HOPED > invocation->columns) {
        row /= 2;
    }
    json_set_number(invocation->arguments, "cells", (int64_t)(row * ROWS_WANTED));
    return EXIT_DONE;
}

const struct command command_map = {
    .name = "map",
    .operation = "map",
    .summary = "draw a pool, or a part of it",
    .usage = "POOL|CIDR [--ascii] [--color=WHEN] [--columns=N]\n"
             "       (--store=STORE | --server=URL) [-o table|json]",
    .help =
        "One mark for each address as long as they fit, else one for a block of them, filled by\n"
        "how much of it is held. A CIDR inside a range is drawn closer.\n"
        "\n"
        "  ipallocctl map services-v4 --store=sqlite:services.db\n"
        "  ipallocctl map 10.96.4.0/24 --store=sqlite:services.db\n",
    .positionals = {"what"},
    .prepare = ask_for_cells,
    .show_item = show_map,
};
