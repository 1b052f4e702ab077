/*
 * addr.c: addresses and CIDRs: strict text in, canonical text out, prefix arithmetic.
 *
 * May use: base/, inet_pton (whose grammar is the strict one), libcidr through cidr_guard.h.
 * Invariant: an address that leaves this file has its unused bytes zero; one that was read from
 * text is never IPv4-mapped.
 */
#include <ipalloc/addr.h>

#include "base/error.h"
#include "base/text.h"
#include "base/u128.h"
#include "core/cidr_guard.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { QUOTED = 128, ADDR_TEXT_LENGTH_MAX = IPALLOC_ADDR_TEXT - 1 };

static int address_bytes(const ipalloc_addr *address) {
    return address->family == 4 ? 4 : 16;
}

static uint8_t address_bits(const ipalloc_addr *address) {
    return address->family == 4 ? 32 : 128;
}

static bool is_mapped(const ipalloc_addr *address) {
    static const uint8_t PREFIX[12] = {[10] = 0xff, [11] = 0xff};
    return address->family == 6 && memcmp(address->bytes, PREFIX, sizeof PREFIX) == 0;
}

/* --- text in -----------------------------------------------------------------------------------
 */

static bool has_leading_zero(const char *text, size_t length) {
    for (size_t i = 0; i + 1 < length; i++) {
        bool starts = i == 0 || text[i - 1] == '.';
        if (starts && text[i] == '0' && text[i + 1] >= '0' && text[i + 1] <= '9')
            return true;
    }
    return false;
}

static const char *why_not_an_address(const char *text, size_t length) {
    if (memchr(text, '%', length) != NULL)
        return "a zone is not allowed";
    if (memchr(text, ':', length) == NULL && has_leading_zero(text, length))
        return "must not have leading 0s";
    return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

static int refuse(const char *text, size_t length, const char *why, ipalloc_error *error) {
    char quoted[QUOTED];
    return error_set(error, IPALLOC_E_INVALID, "\"%s\": %s",
                     text_quote(text, length, quoted, sizeof quoted), why);
}

/* inet_pton on text with a length. */
static bool read_address(const char *text, size_t length, ipalloc_addr *out) {
    char copy[IPALLOC_ADDR_TEXT];
    if (length == 0 || length > ADDR_TEXT_LENGTH_MAX || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = (ipalloc_addr){.family = strchr(copy, ':') != NULL ? 6 : 4};
    return inet_pton(out->family == 4 ? AF_INET : AF_INET6, copy, out->bytes) == 1;
}

int ipalloc_addr_parse(const char *text, size_t length, ipalloc_addr *out, ipalloc_error *error) {
    if (text == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "address: NULL");
    ipalloc_addr read;
    if (!read_address(text, length, &read))
        return refuse(text, length, why_not_an_address(text, length), error);
    if (is_mapped(&read))
        return refuse(text, length, "must not be an IPv4-mapped IPv6 address", error);
    *out = read;
    return IPALLOC_OK;
}

static ipalloc_addr mask(const ipalloc_addr *address, uint8_t prefix_length) {
    ipalloc_addr masked = *address;
    for (int i = 0; i < 16; i++) {
        int kept = (int)prefix_length - i * 8;
        uint8_t bits = kept >= 8 ? 0xff : kept <= 0 ? 0 : (uint8_t)(0xff << (8 - kept));
        masked.bytes[i] &= bits;
    }
    return masked;
}

/* The strict grammar with host bits kept: address, one slash, canonical prefix length. */
static int read_cidr(const char *text, size_t length, ipalloc_cidr *out, ipalloc_error *error) {
    const char *slash = memchr(text, '/', length);
    if (slash == NULL)
        return refuse(text, length, "a CIDR needs a prefix length, (e.g. 10.9.8.0/24)", error);
    size_t address_length = (size_t)(slash - text);
    ipalloc_cidr read;
    if (!read_address(text, address_length, &read.base))
        return refuse(text, length, why_not_an_address(text, address_length), error);
    if (is_mapped(&read.base))
        return refuse(text, length, "must not be an IPv4-mapped IPv6 address", error);
    uint64_t prefix_length;
    const char *digits = slash + 1;
    size_t digit_count = length - address_length - 1;
    if (digit_count > 1 && digits[0] == '0')
        return refuse(text, length, "must not have leading 0s in the prefix length", error);
    if (!text_parse_decimal(digits, digit_count, address_bits(&read.base), &prefix_length))
        return refuse(text, length,
                      read.base.family == 4 ? "the prefix length must be a number from 0 to 32"
                                            : "the prefix length must be a number from 0 to 128",
                      error);
    read.prefix_length = (uint8_t)prefix_length;
    int status = cidr_guard_check(text, length, &read, error);
    if (status == IPALLOC_OK)
        *out = read;
    return status;
}

int ipalloc_cidr_parse_masked(const char *text, size_t length, ipalloc_cidr *out,
                              ipalloc_error *error) {
    if (text == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "CIDR: NULL");
    ipalloc_cidr read;
    int status = read_cidr(text, length, &read, error);
    if (status != IPALLOC_OK)
        return status;
    read.base = mask(&read.base, read.prefix_length);
    *out = read;
    return IPALLOC_OK;
}

int ipalloc_cidr_parse(const char *text, size_t length, ipalloc_cidr *out, ipalloc_error *error) {
    if (text == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "CIDR: NULL");
    ipalloc_cidr read;
    int status = read_cidr(text, length, &read, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_cidr masked = {mask(&read.base, read.prefix_length), read.prefix_length};
    if (ipalloc_addr_compare(&masked.base, &read.base) != 0) {
        char quoted[QUOTED], proper[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&masked, proper);
        return error_set(
            error, IPALLOC_E_INVALID,
            "\"%s\": must not have bits set beyond the prefix length; did you mean %s?",
            text_quote(text, length, quoted, sizeof quoted), proper);
    }
    *out = read;
    return IPALLOC_OK;
}

/* --- old stored text ---------------------------------------------------------------------------
 */

enum { LEGACY_TEXT_MAX = 256 };

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_hex(char byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* Copy `text` without the leading zeros of its numbers; returns the new length. */
static size_t drop_leading_zeros(const char *text, size_t length, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool starts = i == 0 || !is_hex(text[i - 1]);
        while (starts && i + 1 < length && text[i] == '0' && is_hex(text[i + 1]))
            i++;
        out[used++] = text[i];
    }
    return used;
}

/* Go reads an IPv4-mapped address as the IPv4 one. */
static void unmap(ipalloc_addr *address) {
    if (!is_mapped(address))
        return;
    ipalloc_addr ipv4 = {.family = 4};
    memcpy(ipv4.bytes, address->bytes + 12, 4);
    *address = ipv4;
}

int ipalloc_addr_parse_legacy(const char *text, size_t length, ipalloc_addr *out, bool *was_strict,
                              ipalloc_error *error) {
    if (text == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "address: NULL");
    bool strict = ipalloc_addr_parse(text, length, out, error) == IPALLOC_OK;
    if (was_strict != NULL)
        *was_strict = strict;
    if (strict)
        return IPALLOC_OK;
    char shorter[LEGACY_TEXT_MAX] = {0};
    ipalloc_addr read;
    if (length > sizeof shorter)
        return refuse(text, length, why_not_an_address(text, length), error);
    size_t shorter_length = drop_leading_zeros(text, length, shorter);
    if (!read_address(shorter, shorter_length, &read))
        return refuse(text, length, why_not_an_address(text, length), error);
    unmap(&read);
    *out = read;
    return IPALLOC_OK;
}

int ipalloc_cidr_parse_legacy(const char *text, size_t length, ipalloc_cidr *out, bool *was_strict,
                              ipalloc_error *error) {
    if (text == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "CIDR: NULL");
    int status = ipalloc_cidr_parse(text, length, out, error);
    if (was_strict != NULL)
        *was_strict = status == IPALLOC_OK;
    if (status != IPALLOC_E_INVALID)
        return status;
    char shorter[LEGACY_TEXT_MAX] = {0};
    if (length > sizeof shorter)
        return status;
    size_t shorter_length = drop_leading_zeros(text, length, shorter);
    return ipalloc_cidr_parse_masked(shorter, shorter_length, out, error);
}

/* --- text out ----------------------------------------------------------------------------------
 */

typedef struct zero_run {
    int start, length;
} zero_run;

/* RFC 5952: the longest run of at least two zero groups, the first of several. */
static zero_run longest_zero_run(const uint16_t groups[8]) {
    zero_run best = {-1, 1};
    for (int i = 0; i < 8; i++) {
        int length = 0;
        while (i + length < 8 && groups[i + length] == 0)
            length++;
        if (length > best.length)
            best = (zero_run){i, length};
        i += length;
    }
    return best;
}

static size_t format_ipv6(const ipalloc_addr *address, char out[IPALLOC_ADDR_TEXT]) {
    uint16_t groups[8];
    for (int i = 0; i < 8; i++)
        groups[i] = (uint16_t)(address->bytes[2 * i] << 8 | address->bytes[2 * i + 1]);
    zero_run run = longest_zero_run(groups);
    size_t used = 0;
    for (int i = 0; i < 8; i++) {
        if (i == run.start) {
            used += (size_t)snprintf(out + used, IPALLOC_ADDR_TEXT - used, "::");
            i += run.length - 1;
            continue;
        }
        bool after_run = run.start >= 0 && i == run.start + run.length;
        used += (size_t)snprintf(out + used, IPALLOC_ADDR_TEXT - used, "%s%x",
                                 i == 0 || after_run ? "" : ":", groups[i]);
    }
    return used;
}

size_t ipalloc_addr_format(const ipalloc_addr *address, char out[IPALLOC_ADDR_TEXT]) {
    const uint8_t *b = address->bytes;
    if (address->family == 4)
        return (size_t)snprintf(out, IPALLOC_ADDR_TEXT, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    if (is_mapped(address))
        return (size_t)snprintf(out, IPALLOC_ADDR_TEXT, "::ffff:%u.%u.%u.%u", b[12], b[13], b[14],
                                b[15]);
    if (address->family == 6)
        return format_ipv6(address, out);
    return (size_t)snprintf(out, IPALLOC_ADDR_TEXT, "invalid");
}

size_t ipalloc_cidr_format(const ipalloc_cidr *cidr, char out[IPALLOC_CIDR_TEXT]) {
    char address[IPALLOC_ADDR_TEXT];
    ipalloc_addr_format(&cidr->base, address);
    return (size_t)snprintf(out, IPALLOC_CIDR_TEXT, "%s/%u", address, cidr->prefix_length);
}

size_t ipalloc_count_format(ipalloc_count count, char out[IPALLOC_COUNT_TEXT]) {
    char digits[IPALLOC_COUNT_TEXT];
    size_t length = 0;
    u128 rest = count_value(count);
    do {
        digits[length++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    assert(length < IPALLOC_COUNT_TEXT);
    for (size_t i = 0; i < length; i++)
        out[i] = digits[length - 1 - i];
    out[length] = '\0';
    return length;
}

/* --- comparing ---------------------------------------------------------------------------------
 */

int ipalloc_addr_compare(const ipalloc_addr *a, const ipalloc_addr *b) {
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, (size_t)address_bytes(a));
}

bool ipalloc_cidr_contains(const ipalloc_cidr *cidr, const ipalloc_addr *address) {
    if (cidr->base.family != address->family)
        return false;
    ipalloc_addr masked = mask(address, cidr->prefix_length);
    return ipalloc_addr_compare(&masked, &cidr->base) == 0;
}

bool ipalloc_cidr_overlaps(const ipalloc_cidr *a, const ipalloc_cidr *b) {
    return a->prefix_length <= b->prefix_length ? ipalloc_cidr_contains(a, &b->base)
                                                : ipalloc_cidr_contains(b, &a->base);
}

bool ipalloc_cidr_covers(const ipalloc_cidr *outer, const ipalloc_cidr *inner) {
    return outer->prefix_length <= inner->prefix_length &&
           ipalloc_cidr_contains(outer, &inner->base);
}

/* --- taking apart ------------------------------------------------------------------------------
 */

static bool is_cidr(const ipalloc_cidr *cidr) {
    if (cidr == NULL || (cidr->base.family != 4 && cidr->base.family != 6) ||
        cidr->prefix_length > address_bits(&cidr->base))
        return false;
    ipalloc_addr masked = mask(&cidr->base, cidr->prefix_length);
    return memcmp(&masked, &cidr->base, sizeof masked) == 0;
}

/* The bit of an address that a prefix of that length ends with. */
static uint8_t last_prefix_bit(uint8_t prefix_length) {
    assert(prefix_length > 0);
    return (uint8_t)(0x80 >> (prefix_length - 1) % 8);
}

static bool is_upper_half(const ipalloc_addr *address, uint8_t prefix_length) {
    return (address->bytes[(prefix_length - 1) / 8] & last_prefix_bit(prefix_length)) != 0;
}

/* The half that `address` does not lie in, of the CIDR one bit shorter that it lies in. */
static ipalloc_cidr other_half(const ipalloc_addr *address, uint8_t prefix_length) {
    ipalloc_cidr half = {mask(address, prefix_length), prefix_length};
    half.base.bytes[(prefix_length - 1) / 8] ^= last_prefix_bit(prefix_length);
    return half;
}

/* Halving `from` towards `taken` leaves one half each time: those below it from the largest down,
 * then those above it from the smallest up, are in ascending order. */
static void write_rest(const ipalloc_cidr *from, const ipalloc_cidr *taken, ipalloc_cidr *out) {
    const ipalloc_addr *at = &taken->base;
    for (int length = from->prefix_length + 1; length <= taken->prefix_length; length++)
        if (is_upper_half(at, (uint8_t)length))
            *out++ = other_half(at, (uint8_t)length);
    for (int length = taken->prefix_length; length > from->prefix_length; length--)
        if (!is_upper_half(at, (uint8_t)length))
            *out++ = other_half(at, (uint8_t)length);
}

int ipalloc_cidr_subtract(const ipalloc_cidr *from, const ipalloc_cidr *taken, ipalloc_cidr *out,
                          size_t capacity, size_t *count, ipalloc_error *error) {
    if (!is_cidr(from) || !is_cidr(taken) || count == NULL || (out == NULL && capacity > 0))
        return error_set(error, IPALLOC_E_INVALID,
                         "subtract: from and taken must be CIDRs, out and count not NULL");
    bool apart = !ipalloc_cidr_overlaps(from, taken);
    bool inside = !apart && ipalloc_cidr_covers(from, taken);
    *count = apart ? 1 : inside ? (size_t)(taken->prefix_length - from->prefix_length) : 0;
    if (*count > capacity)
        return error_set(error, IPALLOC_E_INVALID, "subtract: %zu CIDRs are left, and out has %zu",
                         *count, capacity);
    if (apart)
        out[0] = *from;
    else if (inside)
        write_rest(from, taken, out);
    return IPALLOC_OK;
}
