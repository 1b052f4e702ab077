/* table.c: the columns NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR; see table.h. */
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct column {
    const char *name, *type, *format, *description;
    int priority; /* 1: -o wide only */
};

static const struct column service_columns[] = {
    {"Name", "string", "name", "The Service's name, unique in its namespace.", 0},
    {"Type", "string", "", "ClusterIP, NodePort, LoadBalancer or ExternalName.", 0},
    {"Cluster-IP", "string", "", "The virtual IP.", 0},
    {"External-IP", "string", "", "Addresses that lead here from outside.", 0},
    {"Port(s)", "string", "", "Ports, node ports and protocols.", 0},
    {"Age", "string", "", "Time since creation.", 0},
    {"Selector", "string", "", "Labels of the pods behind it.", 1},
};

static const struct column namespace_columns[] = {
    {"Name", "string", "name", "The namespace's name.", 0},
    {"Status", "string", "", "Active.", 0},
    {"Age", "string", "", "Time since creation.", 0},
};

static bool is_namespace(const char *kind) {
    return strcmp(kind, "Namespace") == 0;
}

static struct json_object *columns_new(const char *kind) {
    bool namespaces = is_namespace(kind);
    const struct column *columns = namespaces ? namespace_columns : service_columns;
    size_t count = namespaces ? sizeof namespace_columns / sizeof namespace_columns[0]
                              : sizeof service_columns / sizeof service_columns[0];
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        struct json_object *column = json_object_new_object();
        json_set_text(column, "name", columns[i].name);
        json_set_text(column, "type", columns[i].type);
        json_set_text(column, "format", columns[i].format);
        json_set_text(column, "description", columns[i].description);
        json_set_number(column, "priority", columns[i].priority);
        json_object_array_add(list, column);
    }
    return list;
}

struct json_object *table_new(const char *kind, bool columns, const char *resource_version) {
    struct json_object *table = json_object_new_object();
    json_set_text(table, "kind", "Table");
    json_set_text(table, "apiVersion", "meta.k8s.io/v1");
    struct json_object *metadata = json_ensure(table, "metadata");
    if (resource_version != NULL) {
        json_set_text(metadata, "resourceVersion", resource_version);
    }
    json_set(table, "columnDefinitions", columns ? columns_new(kind) : NULL);
    json_set(table, "rows", json_object_new_array());
    return table;
}

/* --- cells ------------------------------------------------------------------------------------ */

static void add_listed(struct text *out, const char *words) {
    text_format(out, "%s%s", out->size > 0 ? "," : "", words);
}

static void add_texts(struct text *out, struct json_object *list) {
    for (size_t i = 0; i < json_length(list); i++) {
        add_listed(out, json_object_get_string(json_object_array_get_idx(list, i)));
    }
}

static void add_ingress(struct text *out, struct json_object *service) {
    struct json_object *ingress = json_at(service, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(ingress); i++) {
        struct json_object *point = json_object_array_get_idx(ingress, i);
        const char *ip = json_member_text(point, "ip");
        add_listed(out, ip[0] != '\0' ? ip : json_member_text(point, "hostname"));
    }
}

static void external_cell(struct text *out, struct json_object *service) {
    struct json_object *spec = json_member(service, "spec");
    const char *type = json_member_text(spec, "type");
    if (strcmp(type, "ExternalName") == 0) {
        text_add(out, json_member_text(spec, "externalName"));
        return;
    }
    bool balanced = strcmp(type, "LoadBalancer") == 0;
    if (balanced) {
        add_ingress(out, service);
    }
    add_texts(out, json_member(spec, "externalIPs"));
    if (out->size == 0) {
        text_add(out, balanced ? "<pending>" : "<none>");
    }
}

static void ports_cell(struct text *out, struct json_object *service) {
    struct json_object *ports = json_at(service, "spec", "ports", NULL);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        int64_t node_port = json_member_number(port, "nodePort", 0);
        text_format(out, "%s%" PRId64, i > 0 ? "," : "", json_member_number(port, "port", 0));
        if (node_port > 0) {
            text_format(out, ":%" PRId64, node_port);
        }
        text_format(out, "/%s", json_member_text(port, "protocol"));
    }
    if (out->size == 0) {
        text_add(out, "<none>");
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void selector_cell(struct text *out, struct json_object *service) {
    struct json_object *selector = json_at(service, "spec", "selector", NULL);
    if (!json_object_is_type(selector, json_type_object) ||
        json_object_object_length(selector) == 0) {
        text_add(out, "<none>");
        return;
    }
    size_t count = (size_t)json_object_object_length(selector);
    const char **names = memory_allocate(count * sizeof *names);
    size_t at = 0;
    json_object_object_foreach(selector, name, value) {
        (void)value;
        names[at++] = name;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        text_format(out, "%s%s=%s", i > 0 ? "," : "", names[i],
                    json_member_text(selector, names[i]));
    }
    free(names);
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

static void age_cell(struct text *out, struct json_object *object) {
    const char *created = json_member_text(json_member(object, "metadata"), "creationTimestamp");
    struct tm moment = {0};
    if (strptime(created, "%Y-%m-%dT%H:%M:%SZ", &moment) == NULL) {
        text_add(out, "<unknown>");
        return;
    }
    table_add_age(out, (int64_t)(time(NULL) - timegm(&moment)));
}

static void add_cell(struct json_object *cells, struct text *words) {
    json_object_array_add(cells, json_object_new_string_len(words->data != NULL ? words->data : "",
                                                            (int)words->size));
    text_clear(words);
}

static void add_words(struct json_object *cells, const char *words) {
    json_object_array_add(cells, json_object_new_string(words[0] != '\0' ? words : "<none>"));
}

static struct json_object *service_cells(struct json_object *service) {
    struct json_object *cells = json_object_new_array();
    struct json_object *spec = json_member(service, "spec");
    struct text words = {0};
    add_words(cells, json_member_text(json_member(service, "metadata"), "name"));
    add_words(cells, json_member_text(spec, "type"));
    add_words(cells, json_member_text(spec, "clusterIP"));
    external_cell(&words, service);
    add_cell(cells, &words);
    ports_cell(&words, service);
    add_cell(cells, &words);
    age_cell(&words, service);
    add_cell(cells, &words);
    selector_cell(&words, service);
    add_cell(cells, &words);
    return cells;
}

static struct json_object *namespace_cells(struct json_object *namespace) {
    struct json_object *cells = json_object_new_array();
    struct text words = {0};
    add_words(cells, json_member_text(json_member(namespace, "metadata"), "name"));
    add_words(cells, "Active");
    age_cell(&words, namespace);
    add_cell(cells, &words);
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

void table_add(struct json_object *table, const char *kind, struct json_object *object,
               enum table_object include) {
    struct json_object *row = json_object_new_object();
    json_set(row, "cells", is_namespace(kind) ? namespace_cells(object) : service_cells(object));
    json_set(row, "object", include == TABLE_OBJECT_NONE ? NULL : row_object(object, include));
    json_object_array_add(json_member(table, "rows"), row);
}
