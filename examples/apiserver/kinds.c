/* kinds.c: see kinds.h. */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

void kind_validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
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
        refuse_value(problems, field, value,
                     "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
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

void kind_check_port(const char *field, int64_t port, ipalloc_service_problems *problems) {
    if (port < 1 || port > UINT16_MAX) {
        problem_add(problems, "FieldValueInvalid", field,
                    "Invalid value: %lld: must be between 1 and 65535, inclusive", (long long)port);
    }
}

void cell_listed(struct text *out, const char *words) {
    text_format(out, "%s%s", out->size > 0 ? "," : "", words);
}
