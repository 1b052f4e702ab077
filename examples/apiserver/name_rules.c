/* name_rules.c: names, labels and annotations; the texts are kube-apiserver's. */
#include "service_rules.h"

#include "status.h"

#include <string.h>

#define NAME_MAX_BYTES        63
#define PREFIX_MAX_BYTES      253
#define ANNOTATIONS_MAX_BYTES (256u << 10)

static const char too_long[] = "must be no more than 63 characters";

static bool is_lower(char byte) {
    return byte >= 'a' && byte <= 'z';
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_letter_or_digit(char byte) {
    return is_lower(byte) || is_digit(byte) || (byte >= 'A' && byte <= 'Z');
}

/* Lower-case letters, digits and '-', which is not at the ends. */
static bool is_label(const char *name, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool inner = name[i] == '-' && i > 0 && i + 1 < length;
        if (!is_lower(name[i]) && !is_digit(name[i]) && !inner) {
            return false;
        }
    }
    return length > 0;
}

const char *name_rule_dns1035(const char *name) {
    if (strlen(name) > NAME_MAX_BYTES) {
        return too_long;
    }
    if (is_label(name, strlen(name)) && is_lower(name[0])) {
        return NULL;
    }
    return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
           "an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
           "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
}

const char *name_rule_dns1123(const char *name) {
    if (strlen(name) > NAME_MAX_BYTES) {
        return too_long;
    }
    if (is_label(name, strlen(name))) {
        return NULL;
    }
    return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
           "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
           "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
}

/* Dots between labels, at most 253 bytes in all. */
static bool is_subdomain(const char *name, size_t length) {
    size_t start = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i == length || name[i] == '.') {
            if (!is_label(name + start, i - start)) {
                return false;
            }
            start = i + 1;
        }
    }
    return length <= PREFIX_MAX_BYTES;
}

/* Letters, digits and -_. between letters or digits. */
static bool is_word(const char *word, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool inner = memchr("-_.", word[i], 3) != NULL && i > 0 && i + 1 < length;
        if (!is_letter_or_digit(word[i]) && !inner) {
            return false;
        }
    }
    return length > 0;
}

static const char *key_rule(const char *key) {
    const char *slash = strchr(key, '/');
    const char *name = slash != NULL ? slash + 1 : key;
    if (slash != NULL && !is_subdomain(key, (size_t)(slash - key))) {
        return slash == key ? "prefix part must be non-empty"
                            : "prefix part a lowercase RFC 1123 subdomain must consist of lower "
                              "case alphanumeric characters, '-' or '.', and must start and end "
                              "with an alphanumeric character (e.g. 'example.com', regex used for "
                              "validation is "
                              "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    }
    if (name[0] == '\0') {
        return "name part must be non-empty";
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        return "name part must be no more than 63 characters";
    }
    return is_word(name, strlen(name))
               ? NULL
               : "name part must consist of alphanumeric characters, '-', '_' or '.', and must "
                 "start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
                 "'123-abc', regex used for validation is "
                 "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
}

static const char *value_rule(const char *value) {
    if (strlen(value) > NAME_MAX_BYTES) {
        return too_long;
    }
    return value[0] == '\0' || is_word(value, strlen(value))
               ? NULL
               : "a valid label must be an empty string or consist of alphanumeric characters, "
                 "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                 "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                 "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
}

static void refuse(ipalloc_service_problems *problems, const char *field, const char *value,
                   const char *rule) {
    if (rule != NULL) {
        struct json_object *shown = json_object_new_string(value);
        problem_add(problems, "FieldValueInvalid", field, "Invalid value: %.120s: %s",
                    json_line(shown, NULL), rule);
        json_object_put(shown);
    }
}

static void validate_labels(struct json_object *labels, const char *field,
                            ipalloc_service_problems *problems) {
    if (labels == NULL) {
        return;
    }
    json_object_object_foreach(labels, key, member) {
        refuse(problems, field, key, key_rule(key));
        const char *value = json_object_get_string(member);
        refuse(problems, field, value, value_rule(value));
    }
}

static void validate_annotations(struct json_object *annotations,
                                 ipalloc_service_problems *problems) {
    size_t total = 0;
    if (annotations == NULL) {
        return;
    }
    json_object_object_foreach(annotations, key, member) {
        refuse(problems, "metadata.annotations", key, key_rule(key));
        total += strlen(key) + (size_t)json_object_get_string_len(member);
    }
    if (total > ANNOTATIONS_MAX_BYTES) {
        problem_add(problems, "FieldValueTooLong", "metadata.annotations",
                    "Too long: may not be more than %u bytes", ANNOTATIONS_MAX_BYTES);
    }
}

void metadata_validate(struct json_object *metadata, ipalloc_service_problems *problems) {
    validate_labels(json_member(metadata, "labels"), "metadata.labels", problems);
    validate_annotations(json_member(metadata, "annotations"), problems);
}

void selector_validate(struct json_object *spec, ipalloc_service_problems *problems) {
    validate_labels(json_member(spec, "selector"), "spec.selector", problems);
}

void external_name_validate(const char *name, ipalloc_service_problems *problems) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.') {
        length--;
    }
    if (name[0] == '\0') {
        problem_add(problems, "FieldValueRequired", "spec.externalName", "Required value");
    } else if (!is_subdomain(name, length)) {
        refuse(problems, "spec.externalName", name,
               "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
               "'-' or '.', and must start and end with an alphanumeric character (e.g. "
               "'example.com', regex used for validation is "
               "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
    }
}

const char *port_name_rule(const char *name) {
    bool letter = false;
    size_t length = strlen(name);
    if (length > 15) {
        return "must be no more than 15 characters";
    }
    for (size_t i = 0; i < length; i++) {
        letter = letter || is_lower(name[i]);
        if (!is_lower(name[i]) && !is_digit(name[i]) && name[i] != '-') {
            return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        }
    }
    if (!letter) {
        return "must contain at least one letter (a-z)";
    }
    if (strstr(name, "--") != NULL) {
        return "must not contain consecutive hyphens";
    }
    return name[0] == '-' || name[length - 1] == '-' ? "must not begin or end with a hyphen" : NULL;
}
