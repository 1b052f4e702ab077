/*
 * name_rules.c: names, labels, annotations and what else metadata says; the texts are
 * kube-apiserver's (apimachinery's validation). Each broken rule of a value is told, in its order.
 */
#include "service_rules.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX_BYTES       63
#define SUBDOMAIN_MAX_BYTES   253
#define PORT_NAME_MAX_BYTES   15
#define ANNOTATIONS_MAX_BYTES (256u << 10)
#define KEY_MAX_BYTES         512 /* longer ones are told by their length alone */

static const char dns1035_label[] =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
static const char dns1123_label[] =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
#define DNS_1123_SUBDOMAIN                                                                        \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "  \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " \
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
static const char wildcard_subdomain[] =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character (e.g. '*.example.com', regex used for validation is "
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
#define QUALIFIED_NAME                                                                          \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " \
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "      \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
static const char label_value[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

void refuse_value(ipalloc_service_problems *problems, const char *field, const char *value,
                  const char *rule) {
    struct json_object *shown = json_object_new_string(value);
    int room = IPALLOC_ERROR_TEXT - (int)strlen(rule) - (int)sizeof "Invalid value: : ";
    problem_add(problems, "FieldValueInvalid", field, "Invalid value: %.*s: %s", room,
                json_line(shown, NULL), rule);
    json_object_put(shown);
}

/* --- what words are made of ------------------------------------------------------------------- */

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

/* Labels with dots between them. */
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
    return true;
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

/* --- names ------------------------------------------------------------------------------------ */

static const char too_long[] = "must be no more than 63 characters";

const char *name_rule_dns1123(const char *name) {
    if (strlen(name) > LABEL_MAX_BYTES) {
        return too_long;
    }
    if (is_label(name, strlen(name))) {
        return NULL;
    }
    return is_subdomain(name, strlen(name)) ? "must not contain dots" : dns1123_label;
}

void check_service_name(const char *field, const char *name, ipalloc_service_problems *problems) {
    if (strlen(name) > LABEL_MAX_BYTES) {
        refuse_value(problems, field, name, too_long);
    }
    if (!is_label(name, strlen(name)) || !is_lower(name[0])) {
        refuse_value(problems, field, name, dns1035_label);
    }
}

void check_subdomain(const char *field, const char *name, ipalloc_service_problems *problems) {
    if (strlen(name) > SUBDOMAIN_MAX_BYTES) {
        refuse_value(problems, field, name, "must be no more than 253 characters");
    }
    if (!is_subdomain(name, strlen(name))) {
        refuse_value(problems, field, name, DNS_1123_SUBDOMAIN);
    }
}

void check_wildcard_subdomain(const char *field, const char *name,
                              ipalloc_service_problems *problems) {
    if (strlen(name) > SUBDOMAIN_MAX_BYTES) {
        refuse_value(problems, field, name, "must be no more than 253 characters");
    }
    if (!text_starts_with(name, "*.") || !is_subdomain(name + 2, strlen(name + 2))) {
        refuse_value(problems, field, name, wildcard_subdomain);
    }
}

void check_generate_name(const char *base, ipalloc_service_problems *problems) {
    char *masked = memory_copy(base);
    size_t length = strlen(base);
    if (length > 1 && base[length - 1] == '-') {
        masked[length - 1] = 'a';
    }
    if (length > SUBDOMAIN_MAX_BYTES || !is_subdomain(masked, length)) {
        check_subdomain("metadata.generateName", base, problems);
    }
    free(masked);
}

void check_port_name(const char *field, const char *name, ipalloc_service_problems *problems) {
    size_t length = strlen(name);
    bool letter = false;
    bool clean = length > 0;
    for (size_t i = 0; i < length; i++) {
        letter = letter || is_lower(name[i]);
        clean = clean && (is_lower(name[i]) || is_digit(name[i]) || name[i] == '-');
    }
    if (length > PORT_NAME_MAX_BYTES) {
        refuse_value(problems, field, name, "must be no more than 15 characters");
    }
    if (!clean) {
        refuse_value(problems, field, name,
                     "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if (!letter) {
        refuse_value(problems, field, name, "must contain at least one letter (a-z)");
    }
    if (strstr(name, "--") != NULL) {
        refuse_value(problems, field, name, "must not contain consecutive hyphens");
    }
    if (length > 0 && (name[0] == '-' || name[length - 1] == '-')) {
        refuse_value(problems, field, name, "must not begin or end with a hyphen");
    }
}

/* --- keys: [subdomain/]word ------------------------------------------------------------------- */

static void check_key_prefix(const char *field, const char *shown, const char *prefix,
                             ipalloc_service_problems *problems) {
    if (prefix[0] == '\0') {
        refuse_value(problems, field, shown, "prefix part must be non-empty");
        return;
    }
    if (strlen(prefix) > SUBDOMAIN_MAX_BYTES) {
        refuse_value(problems, field, shown, "prefix part must be no more than 253 bytes");
    }
    if (!is_subdomain(prefix, strlen(prefix))) {
        refuse_value(problems, field, shown, "prefix part " DNS_1123_SUBDOMAIN);
    }
}

/* Annotations are judged in lower case and shown as they are. */
static void check_key_as(const char *field, const char *shown, const char *key,
                         ipalloc_service_problems *problems) {
    char prefix[KEY_MAX_BYTES];
    const char *slash = strchr(key, '/');
    const char *word = slash != NULL ? slash + 1 : key;
    if (strchr(word, '/') != NULL) {
        refuse_value(problems, field, shown,
                     "a valid label key " QUALIFIED_NAME " with an optional DNS subdomain prefix "
                     "and '/' (e.g. 'example.com/MyName')");
        return;
    }
    if (slash != NULL) {
        snprintf(prefix, sizeof prefix, "%.*s", (int)(slash - key), key);
        check_key_prefix(field, shown, prefix, problems);
    }
    if (word[0] == '\0') {
        refuse_value(problems, field, shown, "name part must be non-empty");
    } else if (strlen(word) > LABEL_MAX_BYTES) {
        refuse_value(problems, field, shown, "name part must be no more than 63 bytes");
    }
    if (!is_word(word, strlen(word))) {
        refuse_value(problems, field, shown, "name part " QUALIFIED_NAME);
    }
}

void check_key(const char *field, const char *key, ipalloc_service_problems *problems) {
    check_key_as(field, key, key, problems);
}

void check_labels(const char *field, struct json_object *labels,
                  ipalloc_service_problems *problems) {
    if (labels == NULL) {
        return;
    }
    json_object_object_foreach(labels, key, member) {
        const char *value = json_object_get_string(member);
        check_key(field, key, problems);
        if (strlen(value) > LABEL_MAX_BYTES) {
            refuse_value(problems, field, value, "must be no more than 63 bytes");
        }
        if (value[0] != '\0' && !is_word(value, strlen(value))) {
            refuse_value(problems, field, value, label_value);
        }
    }
}

/* --- metadata --------------------------------------------------------------------------------- */

static void check_annotation_key(const char *key, ipalloc_service_problems *problems) {
    char *lower = memory_copy(key);
    for (char *c = lower; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char)(*c - 'A' + 'a');
        }
    }
    check_key_as("metadata.annotations", key, lower, problems);
    free(lower);
}

static void check_annotations(struct json_object *annotations, ipalloc_service_problems *problems) {
    size_t total = 0;
    if (annotations == NULL) {
        return;
    }
    json_object_object_foreach(annotations, key, member) {
        check_annotation_key(key, problems);
        total += strlen(key) + (size_t)json_object_get_string_len(member);
    }
    if (total > ANNOTATIONS_MAX_BYTES) {
        problem_add(problems, "FieldValueTooLong", "metadata.annotations",
                    "Too long: may not be more than %u bytes", ANNOTATIONS_MAX_BYTES);
    }
}

/* Only one owner may be the one that controls the object. Each one more is told with all of them,
 * so this ends where no more is kept: ten thousand would take minutes. */
static void check_controllers(struct json_object *owners, ipalloc_service_problems *problems) {
    struct json_object *first = NULL;
    for (size_t i = 0; i < json_length(owners) && problems->count < IPALLOC_SERVICE_PROBLEMS_MAX;
         i++) {
        struct json_object *owner = json_object_array_get_idx(owners, i);
        if (!json_object_get_boolean(json_member(owner, "controller"))) {
            continue;
        }
        if (first == NULL) {
            first = owner;
            continue;
        }
        problem_add(problems, "FieldValueInvalid", "metadata.ownerReferences",
                    "Invalid value: %.200s: Only one reference can have Controller set to true. "
                    "Found \"true\" in references for %.60s/%.60s and %.60s/%.60s",
                    json_line(owners, NULL), json_member_text(first, "kind"),
                    json_member_text(first, "name"), json_member_text(owner, "kind"),
                    json_member_text(owner, "name"));
    }
}

static void check_owners(struct json_object *owners, ipalloc_service_problems *problems) {
    static const char *const needed[] = {"apiVersion", "kind", "name", "uid"};
    for (size_t i = 0; i < json_length(owners); i++) {
        struct json_object *owner = json_object_array_get_idx(owners, i);
        for (size_t j = 0; j < sizeof needed / sizeof needed[0]; j++) {
            char field[64];
            snprintf(field, sizeof field, "metadata.ownerReferences[%zu].%s", i, needed[j]);
            if (json_member_text(owner, needed[j])[0] == '\0') {
                problem_add(problems, "FieldValueRequired", field,
                            "Required value: must not be empty");
            }
        }
    }
    check_controllers(owners, problems);
}

static bool lists_finalizer(struct json_object *finalizers, const char *name) {
    for (size_t i = 0; i < json_length(finalizers); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(finalizers, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Those without a prefix are Kubernetes' own. */
static void check_finalizer(size_t index, const char *name, ipalloc_service_problems *problems) {
    char field[64];
    check_key("metadata.finalizers", name, problems);
    if (strchr(name, '/') == NULL && strcmp(name, "orphan") != 0 &&
        strcmp(name, "foregroundDeletion") != 0 && strcmp(name, "kubernetes") != 0) {
        snprintf(field, sizeof field, "metadata.finalizers[%zu]", index);
        refuse_value(problems, field, name,
                     "name is neither a standard finalizer name nor is it fully qualified");
    }
}

static void check_finalizers(struct json_object *finalizers, ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(finalizers); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(finalizers, i));
        check_finalizer(i, name, problems);
    }
    if (lists_finalizer(finalizers, "orphan") &&
        lists_finalizer(finalizers, "foregroundDeletion")) {
        problem_add(problems, "FieldValueInvalid", "metadata.finalizers",
                    "Invalid value: %.200s: finalizer orphan and foregroundDeletion cannot be both "
                    "set",
                    json_line(finalizers, NULL));
    }
}

void metadata_validate(struct json_object *metadata, ipalloc_service_problems *problems) {
    check_labels("metadata.labels", json_member(metadata, "labels"), problems);
    check_annotations(json_member(metadata, "annotations"), problems);
    check_owners(json_member(metadata, "ownerReferences"), problems);
    check_finalizers(json_member(metadata, "finalizers"), problems);
}
