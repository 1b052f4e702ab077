/* table.c: kind Table; the columns are those of the resource. See table.h. */
#include "table.h"

#include "moment.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static struct json_object *columns_new(const struct resource *resource) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < resource->column_count; i++) {
        const struct column *from = &resource->columns[i];
        struct json_object *column = json_object_new_object();
        json_set_text(column, "name", from->name);
        json_set_text(column, "type", from->type);
        json_set_text(column, "format", from->format);
        json_set_text(column, "description", from->description);
        json_set_number(column, "priority", from->priority);
        json_object_array_add(list, column);
    }
    return list;
}

struct json_object *table_new(const struct resource *resource, bool columns,
                              const char *resource_version) {
    struct json_object *table = json_object_new_object();
    json_set_text(table, "kind", "Table");
    json_set_text(table, "apiVersion", "meta.k8s.io/v1");
    struct json_object *metadata = json_ensure(table, "metadata");
    if (resource_version != NULL) {
        json_set_text(metadata, "resourceVersion", resource_version);
    }
    json_set(table, "columnDefinitions", columns ? columns_new(resource) : NULL);
    json_set(table, "rows", json_object_new_array());
    return table;
}

/* --- cells ------------------------------------------------------------------------------------ */

void cell_name(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "metadata"), "name"));
}

void table_add_age(struct text *out, int64_t seconds) {
    int64_t minutes = seconds / 60;
    int64_t hours = minutes / 60;
    int64_t days = hours / 24;
    int64_t years = days / 365;
    int64_t rest = 0;
    char unit = 's';
    if (seconds < 0) {
        text_add(out, "0s");
        return;
    }
    if (minutes < 2) {
        text_format(out, "%" PRId64 "s", seconds);
        return;
    }
    if (minutes < 10) {
        text_format(out, "%" PRId64 "m", minutes);
        rest = seconds % 60;
    } else if (hours < 3) {
        text_format(out, "%" PRId64 "m", minutes);
    } else if (hours < 8) {
        text_format(out, "%" PRId64 "h", hours);
        rest = minutes % 60;
        unit = 'm';
    } else if (hours < 48) {
        text_format(out, "%" PRId64 "h", hours);
    } else if (days < 8) {
        text_format(out, "%" PRId64 "d", days);
        rest = hours % 24;
        unit = 'h';
    } else if (years < 2) {
        text_format(out, "%" PRId64 "d", days);
    } else {
        text_format(out, "%" PRId64 "y", years);
        rest = years < 8 ? days % 365 : 0;
        unit = 'd';
    }
    if (rest > 0) {
        text_format(out, "%" PRId64 "%c", rest, unit);
    }
}

void cell_age(struct text *out, struct json_object *object) {
    const char *created = json_member_text(json_member(object, "metadata"), "creationTimestamp");
    time_t moment;
    if (!moment_parse(created, &moment)) {
        text_add(out, "<unknown>");
        return;
    }
    table_add_age(out, (int64_t)(time(NULL) - moment));
}

static struct json_object *cells_new(const struct resource *resource, struct json_object *object) {
    struct json_object *cells = json_object_new_array();
    for (size_t i = 0; i < resource->column_count; i++) {
        struct text words = {0};
        resource->columns[i].cell(&words, object);
        json_object_array_add(cells,
                              json_object_new_string(words.size > 0 ? words.data : "<none>"));
        text_clear(&words);
    }
    return cells;
}

static struct json_object *row_object(struct json_object *object, enum table_object include) {
    if (include == TABLE_OBJECT_WHOLE) {
        return json_copy(object);
    }
    struct json_object *partial = json_object_new_object();
    json_set_text(partial, "kind", "PartialObjectMetadata");
    json_set_text(partial, "apiVersion", "meta.k8s.io/v1");
    json_set(partial, "metadata", json_copy(json_member(object, "metadata")));
    return partial;
}

void table_add(struct json_object *table, const struct resource *resource,
               struct json_object *object, enum table_object include) {
    struct json_object *row = json_object_new_object();
    json_set(row, "cells", cells_new(resource, object));
    json_set(row, "object", include == TABLE_OBJECT_NONE ? NULL : row_object(object, include));
    json_object_array_add(json_member(table, "rows"), row);
}
