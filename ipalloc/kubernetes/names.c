/*
 * names.c: what Kubernetes takes as a name (k8s.io/apimachinery, util/validation and
 * api/validation/path).
 */
#include "kubernetes/names.h"

#include <ipalloc/kubernetes.h>
#include <string.h>

static bool is_lower_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!is_lower_alphanumeric(text[i]) && text[i] != '-')
            return false;
    return length > 0 && text[0] != '-' && text[length - 1] != '-';
}

bool name_is_label(ipalloc_bytes name) {
    return name.size < IPALLOC_DNS_LABEL_TEXT && is_label(name.data, name.size);
}

/* A single label may be longer than 63 bytes here: so it may in Kubernetes. */
bool name_is_subdomain(ipalloc_bytes name) {
    const char *text = name.data;
    size_t start = 0;
    if (name.size >= IPALLOC_DNS_SUBDOMAIN_TEXT)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (text[i] != '.')
            continue;
        if (!is_label(text + start, i - start))
            return false;
        start = i + 1;
    }
    return name.size > 0 && is_label(text + start, name.size - start);
}

bool name_is_word(ipalloc_bytes name, size_t longest) {
    const char *text = name.data;
    for (size_t i = 0; i < name.size; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    return name.size > 0 && name.size <= longest;
}

bool name_is_path_segment(ipalloc_bytes name, size_t longest) {
    return name_is_word(name, longest) && memchr(name.data, '/', name.size) == NULL &&
           memchr(name.data, '%', name.size) == NULL && !bytes_are(name, ".") &&
           !bytes_are(name, "..");
}

bool bytes_are(ipalloc_bytes bytes, const char *text) {
    return bytes.size == strlen(text) &&
           (bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
}
