/*
 * etcd_url.c: reads an etcd store's URL. See etcd_url.h for its form.
 *
 * May use: base/. Strict: what is not understood is refused with the part that is meant, because a
 * mistaken prefix is another, empty store.
 */
#include "store/etcd_url.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char DEFAULT_PORT[] = "2379";
static const char DEFAULT_PREFIX[] = "/ipalloc/";

typedef struct part {
    const char *text;
    size_t length;
} part;

static int refuse(part p, const char *why, ipalloc_error *error) {
    char quoted[ETCD_URL_ERROR_MAX];
    return error_set(error, IPALLOC_E_INVALID, "etcd store: \"%s\": %s",
                     text_quote(p.text, p.length, quoted, sizeof quoted), why);
}

static bool starts_with(part p, const char *word) {
    size_t length = strlen(word);
    return p.length >= length && memcmp(p.text, word, length) == 0;
}

static part without_first(part p, size_t count) {
    return (part){p.text + count, p.length - count};
}

/* The first `length` bytes up to one of `ends`. */
static part until(part p, const char *ends) {
    size_t length = 0;
    while (length < p.length && strchr(ends, p.text[length]) == NULL)
        length++;
    return (part){p.text, length};
}

/* --- hosts ---------------------------------------------------------------------------------------
 */

static bool all_of(part p, const char *more) {
    for (size_t i = 0; i < p.length; i++) {
        char c = p.text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && strchr(more, c) == NULL)
            return false;
    }
    return p.length > 0;
}

static int add_host(part whole, part name, part port, etcd_place *out, ipalloc_error *error) {
    uint64_t number;
    if (port.length == 0)
        return refuse(whole, "the port after ':' is missing", error);
    if (!text_parse_decimal(port.text, port.length, 65535, &number) || number == 0)
        return refuse(whole, "the port must be a number from 1 to 65535", error);
    if (out->host_count == ETCD_HOSTS_MAX)
        return refuse(whole, "more than 16 hosts", error);
    if (name.length + port.length + 2 > ETCD_HOST_MAX)
        return refuse(whole, "the host's name is too long", error);
    snprintf(out->hosts[out->host_count], ETCD_HOST_MAX, "%.*s:%.*s", (int)name.length, name.text,
             (int)port.length, port.text);
    out->host_count++;
    return IPALLOC_OK;
}

/* "[::1]" and what may follow it. */
static int parse_bracketed(part host, etcd_place *out, ipalloc_error *error) {
    part inner = until(without_first(host, 1), "]");
    part name = {host.text, inner.length + 2};
    if (name.length > host.length)
        return refuse(host, "the ']' is missing", error);
    if (!all_of(inner, ":.%-_") || memchr(inner.text, ':', inner.length) == NULL)
        return refuse(host, "only an IPv6 address stands in brackets", error);
    part rest = without_first(host, name.length);
    if (rest.length == 0)
        return add_host(host, name, (part){DEFAULT_PORT, sizeof DEFAULT_PORT - 1}, out, error);
    if (rest.text[0] != ':')
        return refuse(host, "after ']' only a port may follow", error);
    return add_host(host, name, without_first(rest, 1), out, error);
}

static int parse_host(part host, etcd_place *out, ipalloc_error *error) {
    if (host.length == 0)
        return refuse(host, "a host is missing", error);
    if (host.text[0] == '[')
        return parse_bracketed(host, out, error);
    part name = until(host, ":");
    part rest = without_first(host, name.length);
    if (!all_of(name, ".-_"))
        return refuse(host, "not a host's name or address", error);
    if (rest.length == 0)
        return add_host(host, name, (part){DEFAULT_PORT, sizeof DEFAULT_PORT - 1}, out, error);
    rest = without_first(rest, 1);
    if (memchr(rest.text, ':', rest.length) != NULL)
        return refuse(host, "an IPv6 address must stand in brackets", error);
    return add_host(host, name, rest, out, error);
}

/* The scheme, which every host may repeat. */
static int parse_scheme(part *rest, bool *tls, ipalloc_error *error) {
    *tls = starts_with(*rest, "https://");
    if (!*tls && !starts_with(*rest, "http://"))
        return refuse(*rest, "after \"etcd:\" http:// or https:// must follow", error);
    *rest = without_first(*rest, *tls ? 8 : 7);
    return IPALLOC_OK;
}

static int parse_hosts(part *rest, etcd_place *out, ipalloc_error *error) {
    for (;;) {
        part host = until(*rest, ",/");
        int status = parse_host(host, out, error);
        if (status != IPALLOC_OK)
            return status;
        *rest = without_first(*rest, host.length);
        if (rest->length == 0 || rest->text[0] == '/')
            return IPALLOC_OK;
        *rest = without_first(*rest, 1);
        if (!starts_with(*rest, "http:") && !starts_with(*rest, "https:"))
            continue;
        bool tls;
        part here = *rest;
        status = parse_scheme(rest, &tls, error);
        if (status != IPALLOC_OK)
            return status;
        if (tls != out->tls)
            return refuse(here, "all hosts must be http:// or all https://", error);
    }
}

/* --- the prefix ----------------------------------------------------------------------------------
 */

static int parse_prefix(part rest, etcd_place *out, ipalloc_error *error) {
    while (rest.length > 0 && rest.text[rest.length - 1] == '/')
        rest.length--;
    if (rest.length == 0)
        rest = (part){DEFAULT_PREFIX, sizeof DEFAULT_PREFIX - 2};
    if (rest.length > ETCD_PREFIX_MAX)
        return refuse(rest, "the prefix is longer than 512 bytes", error);
    for (size_t i = 0; i < rest.length; i++) {
        unsigned char c = (unsigned char)rest.text[i];
        if (c <= ' ' || c >= 0x7f || strchr("?#%\\\"", c) != NULL)
            return refuse(rest, "the prefix may not hold blanks, control bytes or ? # % \\ \"",
                          error);
        if (i > 0 && c == '/' && rest.text[i - 1] == '/')
            return refuse(rest, "the prefix has an empty part (//)", error);
    }
    memcpy(out->prefix, rest.text, rest.length);
    memcpy(out->prefix + rest.length, "/", 2);
    out->prefix_length = rest.length + 1;
    return IPALLOC_OK;
}

int etcd_url_parse(const char *text, etcd_place *out, ipalloc_error *error) {
    part rest = {text, strlen(text)};
    *out = (etcd_place){0};
    if (memchr(text, '@', rest.length) != NULL) /* shows no password */
        return error_set(error, IPALLOC_E_INVALID,
                         "etcd store: the URL has an '@'; user and password do not belong into it, "
                         "they are options of their own");
    int status = parse_scheme(&rest, &out->tls, error);
    if (status == IPALLOC_OK)
        status = parse_hosts(&rest, out, error);
    return status == IPALLOC_OK ? parse_prefix(rest, out, error) : status;
}
