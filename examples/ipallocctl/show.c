/*
 * show.c: results on standard output, as one JSON document or as a table.
 *
 * A table is written page by page, as kubectl does: the columns of a page are as wide as its cells
 * and never narrower than those before, so that a list of any length needs the memory of one page.
 */
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS_MAX 16
#define PAGE_CELLS  16384
#define GAP         3 /* spaces between columns, as kubectl */

struct table {
    const char *const *headings; /* NULL: no table */
    size_t columns;
    size_t widths[COLUMNS_MAX];
    char *cells[PAGE_CELLS];
    size_t cell_count;
    bool headed;
};

struct show {
    const struct invocation *invocation;
    struct table table;
    bool some;
    bool progress_shown;
};

/* --- cells -------------------------------------------------------------------------------------
 */

void show_add_clean(struct text *out, const char *words) {
    bool clean = text_is_clean(words, strlen(words));
    for (const char *at = words; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool control = byte < 0x20 || byte == 0x7f;
        /* C1 controls are two bytes in UTF-8, the first of which is 0xc2. */
        bool second = byte == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] < 0xa0;
        if (control || second || (!clean && byte >= 0x80)) {
            text_format(out, "\\x%02x", byte);
            if (second) {
                at++;
                text_format(out, "\\x%02x", (unsigned char)*at);
            }
        } else {
            text_append(out, at, 1);
        }
    }
}

static size_t width_of(const char *words) {
    size_t width = 0;
    for (; *words != '\0'; words++) {
        width +=
            ((unsigned char)*words & 0xc0) != 0x80; /* not a byte in the middle of a character */
    }
    return width;
}

static void print_cell(const struct table *table, size_t column, const char *words) {
    bool is_last = column + 1 == table->columns;
    fputs(words, stdout);
    for (size_t width = width_of(words); !is_last && width < table->widths[column] + GAP; width++) {
        fputc(' ', stdout);
    }
    if (is_last) {
        fputc('\n', stdout);
    }
}

static void flush_table(struct table *table) {
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = width_of(table->cells[i]);
        size_t *widest = &table->widths[i % table->columns];
        *widest = width > *widest ? width : *widest;
    }
    for (size_t i = 0; !table->headed && i < table->columns; i++) {
        print_cell(table, i, table->headings[i]);
    }
    table->headed = true;
    for (size_t i = 0; i < table->cell_count; i++) {
        print_cell(table, i % table->columns, table->cells[i]);
        free(table->cells[i]);
    }
    table->cell_count = 0;
}

void table_cell(struct table *table, const char *words) {
    struct text clean = {0};
    if (table->cell_count + table->columns > PAGE_CELLS &&
        table->cell_count % table->columns == 0) {
        flush_table(table);
    }
    show_add_clean(&clean, words == NULL || words[0] == '\0' ? "-" : words);
    table->cells[table->cell_count++] = clean.data;
}

const char *show_text(struct json_object *item, const char *name, struct text *buffer) {
    struct json_object *value = json_member(item, name);
    text_clear(buffer);
    text_add(buffer, "");
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_length(value); i++) {
            text_format(buffer, "%s%s", i > 0 ? "," : "",
                        json_object_get_string(json_object_array_get_idx(value, i)));
        }
    } else if (value != NULL) {
        text_add(buffer, json_object_get_string(value));
    }
    return buffer->data;
}

void table_member(struct table *table, struct json_object *item, const char *name) {
    struct text buffer = {0};
    table_cell(table, show_text(item, name, &buffer));
    text_clear(&buffer);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

struct show *show_begin(const struct invocation *invocation) {
    struct show *show = memory_allocate(sizeof *show);
    show->invocation = invocation;
    show->table.headings = invocation->command->headings;
    while (show->table.headings != NULL && show->table.headings[show->table.columns] != NULL) {
        show->table.widths[show->table.columns] = strlen(show->table.headings[show->table.columns]);
        show->table.columns++;
    }
    return show;
}

static void print_text(struct text *text) {
    fwrite(text->data, 1, text->size, stdout);
    text_clear(text);
}

static void begin_document(struct show *show) {
    struct text text = {0};
    if (!show->some) {
        admin_document_begin(show->invocation->operation, &text);
        print_text(&text);
    }
}

static void clear_progress(struct show *show) {
    if (show->progress_shown) {
        fputs("\r\033[K", stderr);
        show->progress_shown = false;
    }
}

void show_item(void *context, struct json_object *item) {
    struct show *show = context;
    struct text text = {0};
    if (show->invocation->json) {
        begin_document(show);
        admin_document_item(&text, !show->some, item);
        print_text(&text);
    } else {
        show->invocation->command->show_item(show->invocation, &show->table, item);
    }
    show->some = true;
    json_object_put(item);
}

/* For people who wait: only where they see it, and not where the rows themselves run by. */
void show_progress(void *context, uint64_t done) {
    struct show *show = context;
    if (isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1) {
        fprintf(stderr, "\r%" PRIu64 " done", done);
        show->progress_shown = true;
    }
}

bool show_end(struct show *show, struct json_object *members, struct text *problem) {
    const struct invocation *invocation = show->invocation;
    struct text text = {0};
    clear_progress(show);
    if (invocation->json) {
        begin_document(show);
        admin_document_end(show->invocation->operation, members, &text);
        print_text(&text);
    } else {
        if (!show->invocation->operation->is_list) {
            invocation->command->show_item(invocation, &show->table, members);
        }
        if (show->table.headings != NULL) {
            flush_table(&show->table);
        }
    }
    bool fine = invocation->command->show_end == NULL ||
                invocation->command->show_end(invocation, members, problem);
    free(show);
    return fine;
}

void show_abandon(struct show *show) {
    clear_progress(show);
    for (size_t i = 0; i < show->table.cell_count; i++) {
        free(show->table.cells[i]);
    }
    free(show);
}
