/* routes.c: see routes.h. */
#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ingress_note(struct ingress *ingress, const char *reason, const char *format, ...) {
    char words[600];
    va_list values;
    va_start(values, format);
    vsnprintf(words, sizeof words, format, values);
    va_end(values);
    for (char *at = words; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\t') {
            *at = ' ';
        }
    }
    text_format(&ingress->problems, "%s\t%s\n", reason, words);
}

/* --- backends --------------------------------------------------------------------------------- */

/* The number of a Service's port, asked for by number or name; 0: it has none such. */
static int64_t service_port(struct json_object *service, struct json_object *wanted) {
    struct json_object *ports = json_at(service, "spec", "ports", NULL);
    const char *name = json_member_text(wanted, "name");
    int64_t number = json_member_number(wanted, "number", 0);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        int64_t own = json_member_number(port, "port", 0);
        if (name[0] != '\0' ? strcmp(json_member_text(port, "name"), name) == 0 : own == number) {
            return own;
        }
    }
    return 0;
}

/* "ADDRESS:PORT" of the Service's virtual IP, or "" with a note why there is none. */
static char *find_backend(struct ingress *ingress, struct json_object *backend,
                          const struct route_lookup *lookup) {
    struct json_object *wanted = json_member(backend, "service");
    const char *own_name = json_member_text(wanted, "name");
    struct text name = {0};
    struct text out = {0};
    text_format(&name, "%.*s/%s", (int)strcspn(ingress->name, "/"), ingress->name, own_name);
    struct json_object *service =
        wanted != NULL ? lookup->service(lookup->context, name.data) : NULL;
    const char *address = json_member_text(json_member(service, "spec"), "clusterIP");
    int64_t port = service_port(service, json_member(wanted, "port"));
    if (wanted == NULL) {
        ingress_note(ingress, "BackendNotServed", "only backends that are Services are served");
    } else if (service == NULL) {
        ingress_note(ingress, "BackendNotFound", "there is no Service %s", name.data);
    } else if (port == 0) {
        ingress_note(ingress, "BackendNotFound", "the Service %s has no port %s", name.data,
                     json_line(json_member(wanted, "port"), NULL));
    } else if (address[0] == '\0' || strcmp(address, "None") == 0) {
        ingress_note(ingress, "BackendNotServed", "the Service %s has no ClusterIP", name.data);
    } else {
        text_format(&out, strchr(address, ':') != NULL ? "[%s]:%lld" : "%s:%lld", address,
                    (long long)port);
    }
    text_clear(&name);
    return out.data != NULL ? out.data : memory_copy("");
}

/* --- paths ------------------------------------------------------------------------------------ */

/* What would end the quoted word in the configuration, or is no part of a path in a request. */
static bool is_clean_path(const char *path) {
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0'; at++) {
        if (*at <= ' ' || *at == 127 || strchr("\"'\\;{}", *at) != NULL) {
            return false;
        }
    }
    return path[0] == '/' || path[0] == '\0';
}

static const struct location *find_location(const struct site *site, bool exact, const char *path) {
    const struct location *at = site->locations;
    while (at != NULL && (at->exact != exact || strcmp(at->path, path) != 0)) {
        at = at->next;
    }
    return at;
}

static void add_location(struct ingress *ingress, struct site *site, bool exact, const char *path,
                         char *backend) {
    struct location *location = memory_allocate(sizeof *location);
    *location = (struct location){.next = site->locations,
                                  .exact = exact,
                                  .path = memory_copy(path),
                                  .backend = backend,
                                  .owner = ingress};
    site->locations = location;
}

static void note_conflict(struct ingress *ingress, const struct site *site, const char *what,
                          const struct location *present) {
    const char *host = site->host[0] != '\0' ? site->host : "*";
    if (present->owner == ingress) {
        ingress_note(ingress, "Conflict", "%s of host \"%s\" is given twice, and the first counts",
                     what, host);
    } else {
        ingress_note(ingress, "Conflict", "%s of host \"%s\" belongs to the Ingress %s already",
                     what, host, present->owner->name);
    }
}

static void add_path(struct ingress *ingress, struct site *site, struct json_object *rule,
                     const struct route_lookup *lookup) {
    const char *given = json_member_text(rule, "path");
    bool exact = strcmp(json_member_text(rule, "pathType"), "Exact") == 0;
    if (!is_clean_path(given)) {
        ingress_note(ingress, "BadPath",
                     "the path \"%.100s\" is left out: it must begin with / and have no spaces, "
                     "quotes, backslashes, semicolons or braces",
                     given);
        return;
    }
    char *path = memory_copy(given);
    size_t length = strlen(path);
    while (!exact && length > 0 && path[length - 1] == '/') {
        path[--length] = '\0';
    }
    const struct location *present = find_location(site, exact, path);
    if (present != NULL) {
        struct text what = {0};
        text_format(&what, "the %s path \"%.100s\"", exact ? "exact" : "prefix", given);
        note_conflict(ingress, site, what.data, present);
        text_clear(&what);
    } else {
        add_location(ingress, site, exact, path,
                     find_backend(ingress, json_member(rule, "backend"), lookup));
    }
    free(path);
}

/* --- sites ------------------------------------------------------------------------------------ */

static struct site *ensure_site(struct site **sites, const char *host) {
    struct site **at = sites;
    while (*at != NULL && strcmp((*at)->host, host) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = memory_allocate(sizeof **at);
        (*at)->host = memory_copy(host);
        (*at)->certificate = memory_copy("");
    }
    return *at;
}

static bool names_host(struct json_object *tls, const char *host) {
    struct json_object *hosts = json_member(tls, "hosts");
    for (size_t i = 0; i < json_length(hosts); i++) {
        struct json_object *name = json_object_array_get_idx(hosts, i);
        if (json_object_is_type(name, json_type_string) &&
            strcmp(json_object_get_string(name), host) == 0) {
            return true;
        }
    }
    return json_length(hosts) == 0;
}

static void add_certificate(struct ingress *ingress, struct site *site,
                            const struct route_lookup *lookup) {
    struct json_object *list = json_at(ingress->object, "spec", "tls", NULL);
    for (size_t i = 0; i < json_length(list) && site->certificate[0] == '\0'; i++) {
        struct json_object *tls = json_object_array_get_idx(list, i);
        struct text name = {0};
        struct text path = {0};
        struct text why = {0};
        text_format(&name, "%.*s/%s", (int)strcspn(ingress->name, "/"), ingress->name,
                    json_member_text(tls, "secretName"));
        if (names_host(tls, site->host)) {
            if (lookup->certificate(lookup->context, name.data, &path, &why)) {
                free(site->certificate);
                site->certificate = memory_copy(path.data);
            } else {
                ingress_note(ingress, "BadCertificate",
                             "host \"%s\" is served without TLS: the Secret %s %s", site->host,
                             name.data, why.data);
            }
        }
        text_clear(&name);
        text_clear(&path);
        text_clear(&why);
    }
}

/* What would end the quoted word in the configuration is no name in a request either. */
static bool is_clean_host(const char *host) {
    size_t star = text_starts_with(host, "*.") ? 2 : 0;
    return host[star + strspn(host + star, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0';
}

static void add_rule(struct site **sites, struct ingress *ingress, struct json_object *rule,
                     const struct route_lookup *lookup) {
    const char *host = json_member_text(rule, "host");
    struct json_object *paths = json_at(rule, "http", "paths", NULL);
    if (!is_clean_host(host)) {
        ingress_note(ingress, "BadHost",
                     "the host \"%.100s\" is left out: it is no name in small letters", host);
        return;
    }
    struct site *site = ensure_site(sites, host);
    add_certificate(ingress, site, lookup);
    for (size_t i = 0; i < json_length(paths); i++) {
        add_path(ingress, site, json_object_array_get_idx(paths, i), lookup);
    }
}

static void add_rules(struct site **sites, struct ingress *ingress,
                      const struct route_lookup *lookup) {
    struct json_object *rules = json_at(ingress->object, "spec", "rules", NULL);
    for (size_t i = 0; i < json_length(rules); i++) {
        add_rule(sites, ingress, json_object_array_get_idx(rules, i), lookup);
    }
}

/* On a host that has rules; what an Ingress takes as a whole is not to be told. */
static void add_rest(struct ingress *ingress, struct site *site, struct json_object *backend,
                     const struct route_lookup *lookup) {
    if (find_location(site, false, "") == NULL) {
        add_location(ingress, site, false, "", find_backend(ingress, backend, lookup));
    }
}

/* For the hosts that it has rules for; without any, for those that nobody has rules for. */
static void add_default(struct site **sites, struct ingress *ingress,
                        const struct route_lookup *lookup) {
    struct json_object *rules = json_at(ingress->object, "spec", "rules", NULL);
    struct json_object *backend = json_at(ingress->object, "spec", "defaultBackend", NULL);
    struct site *all = ensure_site(sites, "");
    const struct location *present = find_location(all, false, "");
    for (size_t i = 0; backend != NULL && i < json_length(rules); i++) {
        const char *host = json_member_text(json_object_array_get_idx(rules, i), "host");
        if (is_clean_host(host)) {
            add_rest(ingress, ensure_site(sites, host), backend, lookup);
        }
    }
    if (backend != NULL && json_length(rules) == 0) {
        if (present != NULL) {
            note_conflict(ingress, all, "the default backend", present);
        } else {
            add_certificate(ingress, all, lookup);
            add_rest(ingress, all, backend, lookup);
        }
    }
}

struct site *routes_make(struct ingress *ingresses, const struct route_lookup *lookup) {
    struct site *sites = NULL;
    ensure_site(&sites, "");
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        if (!at->left_out) {
            add_rules(&sites, at, lookup);
        }
    }
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        if (!at->left_out) {
            add_default(&sites, at, lookup);
        }
    }
    return sites;
}

void routes_free(struct site *sites) {
    while (sites != NULL) {
        struct site *next = sites->next;
        while (sites->locations != NULL) {
            struct location *location = sites->locations;
            sites->locations = location->next;
            free(location->path);
            free(location->backend);
            free(location);
        }
        free(sites->host);
        free(sites->certificate);
        free(sites);
        sites = next;
    }
}
