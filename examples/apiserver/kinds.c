/* kinds.c: see kinds.h. */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

void kind_validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
    if (json_member_text(metadata, "generateName")[0] != '\0') {
        check_generate_name(json_member_text(metadata, "generateName"), problems);
    }
    check_subdomain("metadata.name", json_member_text(metadata, "name"), problems);
    metadata_validate(metadata, problems);
}

void kind_check_choice(const char *field, const char *value, const char *const *choices,
                       ipalloc_service_problems *problems) {
    struct text listed = {0};
    bool found = false;
    for (size_t i = 0; choices[i] != NULL; i++) {
        found = found || strcmp(value, choices[i]) == 0;
        text_format(&listed, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
    }
    if (!found) {
        struct json_object *shown = json_object_new_string(value);
        problem_add(problems, "FieldValueNotSupported", field,
                    "Unsupported value: %.100s: supported values: %s", json_line(shown, NULL),
                    listed.data);
        json_object_put(shown);
    }
    text_clear(&listed);
}

void kind_check_address(const char *field, const char *value, int family,
                        ipalloc_service_problems *problems) {
    ipalloc_addr address;
    char canonical[IPALLOC_ADDR_TEXT];
    if (ipalloc_addr_parse(value, strlen(value), &address, NULL) != IPALLOC_OK) {
        refuse_value(problems, field, value, address_rule(value));
        return;
    }
    ipalloc_addr_format(&address, canonical);
    if (family != 0 && address.family != family) {
        refuse_value(problems, field, value,
                     family == 4 ? "must be an IPv4 address" : "must be an IPv6 address");
    } else if (strcmp(canonical, value) != 0) {
        char rule[96];
        snprintf(rule, sizeof rule, "must be in canonical form (\"%s\")", canonical);
        refuse_value(problems, field, value, rule);
    }
}

void kind_check_reachable(const char *field, const char *value,
                          ipalloc_service_problems *problems) {
    ipalloc_addr address;
    char special[128];
    if (ipalloc_addr_parse_legacy(value, strlen(value), &address, NULL, NULL) == IPALLOC_OK) {
        const char *rule = special_address_rule(value, &address, special);
        if (rule != NULL) {
            refuse_value(problems, field, value, rule);
        }
    }
}

void kind_check_endpoint_address(const char *field, const char *value, int family,
                                 ipalloc_service_problems *problems) {
    ipalloc_addr address;
    kind_check_address(field, value, family, problems);
    if (ipalloc_addr_parse_legacy(value, strlen(value), &address, NULL, NULL) != IPALLOC_OK) {
        refuse_value(problems, field, value, "must be a valid IP address"); /* as well */
    }
    kind_check_reachable(field, value, problems);
}

void kind_check_label(const char *field, const char *value, ipalloc_service_problems *problems) {
    const char *rule = name_rule_dns1123(value);
    if (rule != NULL) {
        refuse_value(problems, field, value, rule);
    }
}

void kind_check_path_segment(const char *field, const char *value,
                             ipalloc_service_problems *problems) {
    bool up = strcmp(value, "..") == 0;
    if (value[0] == '\0') {
        kind_require(field, problems);
    } else if (up || strcmp(value, ".") == 0) {
        refuse_value(problems, field, value, up ? "may not be '..'" : "may not be '.'");
    } else {
        if (strchr(value, '/') != NULL) {
            refuse_value(problems, field, value, "may not contain '/'");
        }
        if (strchr(value, '%') != NULL) {
            refuse_value(problems, field, value, "may not contain '%'");
        }
    }
}

void kind_check_protocol(const char *field, const char *value, ipalloc_service_problems *problems) {
    static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
    kind_check_choice(field, value, protocols, problems);
}

void kind_require(const char *field, ipalloc_service_problems *problems) {
    problem_add(problems, "FieldValueRequired", field, "Required value");
}

void kind_duplicate(const char *field, const char *value, ipalloc_service_problems *problems) {
    struct json_object *shown = json_object_new_string(value);
    problem_add(problems, "FieldValueDuplicate", field, "Duplicate value: %.300s",
                json_line(shown, NULL));
    json_object_put(shown);
}

bool kind_seen(struct json_object *set, const char *value) {
    bool before = json_object_object_get_ex(set, value, NULL) != 0;
    if (!before) {
        json_set(set, value, json_object_new_boolean(true));
    }
    return before;
}

void kind_default_protocols(struct json_object *ports) {
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        if (json_member_text(port, "protocol")[0] == '\0') {
            json_set_text(port, "protocol", "TCP");
        }
    }
}

void kind_tell_first(ipalloc_service_problems *problems, size_t since) {
    for (size_t first = 0; since < problems->count && since > 0; first++, since++) {
        ipalloc_service_problem one = problems->items[since];
        memmove(&problems->items[first + 1], &problems->items[first],
                (since - first) * sizeof problems->items[0]);
        problems->items[first] = one;
    }
}

void kind_check_port(const char *field, int64_t port, ipalloc_service_problems *problems) {
    if (port < 1 || port > UINT16_MAX) {
        problem_add(problems, "FieldValueInvalid", field,
                    "Invalid value: %lld: must be between 1 and 65535, inclusive", (long long)port);
    }
}

void cell_listed(struct text *out, const char *words) {
    text_format(out, "%s%s", out->size > 0 ? "," : "", words);
}
