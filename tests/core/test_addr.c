/*
 * test_addr.c: what is read as an address or CIDR, what is not, and how it is written.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

/* --- strict CIDRs ------------------------------------------------------------------------------
 */

/* Texts that libcidr or some Go parser takes in some way, and what we say. NULL: refused. The rows
 * follow field studies of libcidr's parser; `strict` is Kubernetes' strict validation. */
static const struct {
    const char *text, *strict, *masked, *legacy;
} CIDRS[] = {
    {"10.0.0.0/16", "10.0.0.0/16", "10.0.0.0/16", "10.0.0.0/16"},
    {"10.0.0.0/255.255.0.0", NULL, NULL, NULL},
    {"10.0.0.0/0xffff0000", NULL, NULL, NULL},
    {"10.0.0.0/4294901760", NULL, NULL, NULL},
    {"10.0/16", NULL, NULL, NULL},
    {"10.1/16", NULL, NULL, NULL},
    {"10/8", NULL, NULL, NULL},
    {"10", NULL, NULL, NULL},
    {"10.0.0.0", NULL, NULL, NULL},
    {"10.0.0.0/", NULL, NULL, NULL},
    {"010.0.0.0/8", NULL, NULL, "10.0.0.0/8"}, /* never octal: CVE-2021-29923 */
    {"0x0a.0.0.0/8", NULL, NULL, NULL},
    {"10.0.0.0/08", NULL, NULL, "10.0.0.0/8"},
    {"10.0.0.0/010", NULL, NULL, "10.0.0.0/10"},
    {"fd00::/064", NULL, NULL, "fd00::/64"},
    {"10.0.0.0/00", NULL, NULL, "0.0.0.0/0"},
    {"0.0.0.0/00", NULL, NULL, "0.0.0.0/0"},
    {"1.2.3/24", NULL, NULL, NULL},
    {"1..2.3/24", NULL, NULL, NULL},
    {"1.2.3./24", NULL, NULL, NULL},
    {"10.0.0.0//16", NULL, NULL, NULL},
    {"10.0.0.0/8/16", NULL, NULL, NULL},
    {"10.0.0.0/-1", NULL, NULL, NULL},
    {"10.0.0.0/-8", NULL, NULL, NULL},
    {"10.0.0.0/x", NULL, NULL, NULL},
    {"10.0.0.0/abc", NULL, NULL, NULL},
    {"10.0.0.0/::", NULL, NULL, NULL},
    {"10.0.0.0/ffff::", NULL, NULL, NULL},
    {"10.0.0.0/18446744073709551624", NULL, NULL, NULL},
    {"10.0.0.0/8a", NULL, NULL, NULL},
    {"10.0.0.0/8x", NULL, NULL, NULL},
    {"10.0.0.0/16n", NULL, NULL, NULL},
    {"10.0.0.0/4294967304", NULL, NULL, NULL},
    {"10.0.0.0/33", NULL, NULL, NULL},
    {"10.0.0.0/+8", NULL, NULL, NULL},
    {" 10.0.0.0/8", NULL, NULL, NULL},
    {"10.0.0.0/8 ", NULL, NULL, NULL},
    {"\t10.0.0.0/8", NULL, NULL, NULL},
    {"10.0.0.0/8\n", NULL, NULL, NULL},
    {"10.0.0.0 /8", NULL, NULL, NULL},
    {"10.96.5.7/12", NULL, "10.96.0.0/12", "10.96.0.0/12"},
    {"192.0.2.1/24", NULL, "192.0.2.0/24", "192.0.2.0/24"},
    {"::ffff:1.2.3.4/100", NULL, NULL, NULL},
    {"::ffff:10.0.0.0/104", NULL, NULL, NULL},
    {"::ffff:a00:0/104", NULL, NULL, NULL},
    {"::1.2.3.4/128", "::102:304/128", "::102:304/128", "::102:304/128"},
    {"64:ff9b::10.0.0.1/96", NULL, "64:ff9b::/96", "64:ff9b::/96"},
    {"64:ff9b::/96", "64:ff9b::/96", "64:ff9b::/96", "64:ff9b::/96"},
    {"fd00::/255.255.0.0", NULL, NULL, NULL},
    {"fd00::/ffff:ffff::", NULL, NULL, NULL},
    {"fd00::1/64/96", NULL, NULL, NULL},
    {"1::2::3/64", NULL, NULL, NULL},
    {"1::2::3", NULL, NULL, NULL},
    {"1:2:3:4:5:6:7:8:9/64", NULL, NULL, NULL},
    {"1:2:3:4:5:6:7:8:9", NULL, NULL, NULL},
    {"r:1:2:3:4:5:6:7/64", NULL, NULL, NULL},
    {"1:2:3:4:5:6:7:8:9::/64", NULL, NULL, NULL},
    {"1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20::/64", NULL, NULL, NULL},
    {"1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:10:11:12:13:14", NULL, NULL, NULL},
    {"fe80::1%eth0/64", NULL, NULL, NULL},
    {"FD00::/108", "fd00::/108", "fd00::/108", "fd00::/108"},
    {"4.3.2.1.in-addr.arpa", NULL, NULL, NULL},
    {"x.in-addr.arpa", NULL, NULL, NULL},
    {".in-addr.arpa", NULL, NULL, NULL},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.int", NULL, NULL, NULL},
    {"4.3.2.1.in-addr.arpa/8", NULL, NULL, NULL},
    /* ends of the grammar */
    {"", NULL, NULL, NULL},
    {"/", NULL, NULL, NULL},
    {"/8", NULL, NULL, NULL},
    {":/8", NULL, NULL, NULL},
    {"::/", NULL, NULL, NULL},
    {"0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0"},
    {"255.255.255.255/32", "255.255.255.255/32", "255.255.255.255/32", "255.255.255.255/32"},
    {"255.255.255.255/0", NULL, "0.0.0.0/0", "0.0.0.0/0"},
    {"256.0.0.0/8", NULL, NULL, NULL},
    {"::/0", "::/0", "::/0", "::/0"},
    {"::/128", "::/128", "::/128", "::/128"},
    {"::/129", NULL, NULL, NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
    {"0000:0000:0000:0000:0000:0000:0000:0001/128", "::1/128", "::1/128", "::1/128"},
    {"00000:0:0:0:0:0:0:1/128", NULL, NULL, "::1/128"},
    {"fd00::1/64", NULL, "fd00::/64", "fd00::/64"},
    {"fd00::/7", NULL, "fc00::/7", "fc00::/7"},
    {"10.0.0.1/31", NULL, "10.0.0.0/31", "10.0.0.0/31"},
    {"10.96.000.000/16", NULL, NULL, "10.96.0.0/16"},
    {"10.96.0.10/016", NULL, NULL, "10.96.0.0/16"},
};

static void check_cidr(int status, const ipalloc_cidr *got, const ipalloc_cidr *untouched,
                       const char *expected, const ipalloc_error *error) {
    if (expected == NULL) {
        ck_assert_status(status, IPALLOC_E_INVALID);
        ck_assert_mem_eq(got, untouched, sizeof *got);
        ck_assert_int_eq(error->status, IPALLOC_E_INVALID);
        ck_assert_uint_gt(strlen(error->message), 0);
        return;
    }
    ck_assert_status_error(status, IPALLOC_OK, error);
    char text[IPALLOC_CIDR_TEXT];
    ck_assert_uint_eq(ipalloc_cidr_format(got, text), strlen(expected));
    ck_assert_str_eq(text, expected);
}

START_TEST(a_cidr_is_read_as_its_rule_says) {
    const char *text = CIDRS[_i].text;
    size_t length = strlen(text);
    ipalloc_cidr before, got;
    ipalloc_error error = {0};
    memset(&before, 0x5a, sizeof before);
    got = before;
    check_cidr(ipalloc_cidr_parse(text, length, &got, &error), &got, &before, CIDRS[_i].strict,
               &error);
    got = before;
    check_cidr(ipalloc_cidr_parse_masked(text, length, &got, &error), &got, &before,
               CIDRS[_i].masked, &error);
    got = before;
    bool was_strict = CIDRS[_i].strict == NULL;
    check_cidr(ipalloc_cidr_parse_legacy(text, length, &got, &was_strict, &error), &got, &before,
               CIDRS[_i].legacy, &error);
    ck_assert_int_eq(was_strict, CIDRS[_i].strict != NULL);
}
END_TEST

/* --- strict addresses --------------------------------------------------------------------------
 */

static const struct {
    const char *text, *strict, *legacy;
} ADDRESSES[] = {
    {"10.96.0.10", "10.96.0.10", "10.96.0.10"},
    {"0.0.0.0", "0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255", "255.255.255.255"},
    {"255.255.255.256", NULL, NULL},
    {"1.2.3", NULL, NULL},
    {"1.2.3.4.5", NULL, NULL},
    {"1.2.3.", NULL, NULL},
    {".1.2.3", NULL, NULL},
    {"1..2.3", NULL, NULL},
    {"1.2.3.-4", NULL, NULL},
    {"1.2.3.+4", NULL, NULL},
    {"0x1.2.3.4", NULL, NULL},
    {"010.0.0.1", NULL, "10.0.0.1"},
    {"10.000.0.001", NULL, "10.0.0.1"},
    {"08.0.0.1", NULL, "8.0.0.1"},
    {"00.0.0.0", NULL, "0.0.0.0"},
    {"1.2.3.0000000000000000000000000000000000004", NULL, "1.2.3.4"},
    {"10.96.0.10 ", NULL, NULL},
    {" 10.96.0.10", NULL, NULL},
    {"10.96.0.10\n", NULL, NULL},
    {"10.96.0.10/32", NULL, NULL},
    {"", NULL, NULL},
    {".", NULL, NULL},
    {":", NULL, NULL},
    {":::", NULL, NULL},
    {"::", "::", "::"},
    {"::1", "::1", "::1"},
    {"1::", "1::", "1::"},
    {"fd00::a", "fd00::a", "fd00::a"},
    {"FD00:10:96::9A", "fd00:10:96::9a", "fd00:10:96::9a"},
    {"fd00::000a", "fd00::a", "fd00::a"},
    {"fd00::0000a", NULL, "fd00::a"},
    {"1:2:3:4:5:6:7", NULL, NULL},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7:8::", NULL, NULL},
    {"::1:2:3:4:5:6:7:8", NULL, NULL},
    {"1:2:3:4::5:6:7:8", NULL, NULL},
    {"1:2:3:4:5:6:7:8:9", NULL, NULL},
    {"1::2::3", NULL, NULL},
    {"12345::", NULL, NULL},
    {"g::", NULL, NULL},
    {"1:2:3:4:5:6:7:", NULL, NULL},
    {":1:2:3:4:5:6:7", NULL, NULL},
    {"::1.2.3.4", "::102:304", "::102:304"},
    {"::0.1.0.2", "::1:2", "::1:2"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304", "1:2:3:4:5:6:102:304"},
    {"1:2:3:4:5:6:7:1.2.3.4", NULL, NULL},
    {"1.2.3.4::", NULL, NULL},
    {"::1.2.3", NULL, NULL},
    {"::1.2.3.04", NULL, "::102:304"},
    {"::ffff:1.2.3.4", NULL, "1.2.3.4"},
    {"::ffff:102:304", NULL, "1.2.3.4"},
    {"::FFFF:1.2.3.4", NULL, "1.2.3.4"},
    {"::fffe:1.2.3.4", "::fffe:102:304", "::fffe:102:304"},
    {"fe80::1%eth0", NULL, NULL},
    {"fe80::1%", NULL, NULL},
    {"[::1]", NULL, NULL},
    {"localhost", NULL, NULL},
    {"1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20", NULL, NULL},
};

START_TEST(an_address_is_read_as_its_rule_says) {
    const char *text = ADDRESSES[_i].text;
    ipalloc_addr before, got;
    ipalloc_error error = {0};
    memset(&before, 0x5a, sizeof before);
    got = before;
    const char *expected[2] = {ADDRESSES[_i].strict, ADDRESSES[_i].legacy};
    for (int legacy = 0; legacy < 2; legacy++) {
        bool was_strict = expected[0] == NULL;
        got = before;
        int status = legacy
                         ? ipalloc_addr_parse_legacy(text, strlen(text), &got, &was_strict, &error)
                         : ipalloc_addr_parse(text, strlen(text), &got, &error);
        if (legacy)
            ck_assert_int_eq(was_strict, expected[0] != NULL);
        if (expected[legacy] == NULL) {
            ck_assert_status(status, IPALLOC_E_INVALID);
            ck_assert_mem_eq(&got, &before, sizeof got);
            continue;
        }
        ck_assert_status_error(status, IPALLOC_OK, &error);
        ck_assert_str_eq(addr_text(&got), expected[legacy]);
    }
}
END_TEST

START_TEST(text_needs_no_nul_and_may_hold_none) {
    ipalloc_addr address;
    ipalloc_cidr range;
    ck_assert_status(ipalloc_addr_parse("10.0.0.123", 9, &address, NULL), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&address), "10.0.0.12");
    ck_assert_status(ipalloc_cidr_parse("10.0.0.0/81", 10, &range, NULL), IPALLOC_OK);
    ck_assert_int_eq(range.prefix_length, 8);
    ck_assert_status(ipalloc_addr_parse("10.0.0.1\0", 9, &address, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_addr_parse("10.0\0.0.1", 9, &address, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse("10.0.0.0/8\0", 11, &range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse("10.0.0.0\0/8", 11, &range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse_legacy("10.0.0.0\0/8", 11, &range, NULL, NULL),
                     IPALLOC_E_INVALID);
}
END_TEST

START_TEST(long_text_is_refused_by_every_reader) {
    static char text[100000];
    memset(text, '1', sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = ':';
    memcpy(text + sizeof text - 5, "::/64", 5);
    static const size_t LENGTHS[] = {46, 47, 49, 50, 51, 64, 128, 255, 256, 257, 4096, 100000};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        const char *tail = text + sizeof text - LENGTHS[i];
        ipalloc_addr address;
        ipalloc_cidr range;
        ck_assert_status(ipalloc_addr_parse(tail, LENGTHS[i], &address, NULL), IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_cidr_parse(tail, LENGTHS[i], &range, NULL), IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_cidr_parse_masked(tail, LENGTHS[i], &range, NULL),
                         IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_addr_parse_legacy(tail, LENGTHS[i], &address, NULL, NULL),
                         IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_cidr_parse_legacy(tail, LENGTHS[i], &range, NULL, NULL),
                         IPALLOC_E_INVALID);
    }
}
END_TEST

START_TEST(null_is_invalid) {
    ipalloc_addr address;
    ipalloc_cidr range;
    ck_assert_status(ipalloc_addr_parse(NULL, 0, &address, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_addr_parse("::", 2, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_addr_parse_legacy(NULL, 0, &address, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_addr_parse_legacy("::", 2, NULL, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse(NULL, 0, &range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse("::/0", 4, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse_masked(NULL, 0, &range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse_masked("::/0", 4, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse_legacy(NULL, 0, &range, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_parse_legacy("::/0", 4, NULL, NULL, NULL), IPALLOC_E_INVALID);
}
END_TEST

static const struct {
    const char *text, *in_message;
} REFUSALS[] = {
    {"10.96.5.7/12", "did you mean 10.96.0.0/12?"},
    {"10.96.5.7/12", "must not have bits set beyond the prefix length"},
    {"010.0.0.0/8", "must not have leading 0s"},
    {"10.0.0.0/08", "must not have leading 0s"},
    {"::ffff:1.2.3.4/128", "must not be an IPv4-mapped IPv6 address"},
    {"fe80::1%eth0/64", "zone"},
    {"10.0.0.0", "needs a prefix length"},
    {"10.0.0.0/33", "0 to 32"},
    {"::/129", "0 to 128"},
    {"ab\ncd/8", "\"ab\\x0Acd/8\""},
};

START_TEST(a_refusal_shows_the_text_and_the_rule) {
    ipalloc_cidr range;
    ipalloc_error error;
    const char *text = REFUSALS[_i].text;
    ck_assert_status(ipalloc_cidr_parse(text, strlen(text), &range, &error), IPALLOC_E_INVALID);
    ck_assert_msg(strstr(error.message, REFUSALS[_i].in_message) != NULL, "%s", error.message);
    char quoted[64];
    if (strchr(text, '\n') == NULL) {
        snprintf(quoted, sizeof quoted, "\"%s\"", text);
        ck_assert_msg(strstr(error.message, quoted) != NULL, "%s", error.message);
    }
}
END_TEST

/* --- text out ----------------------------------------------------------------------------------
 */

/* RFC 5952 as Go's netip prints it. */
static const struct {
    uint16_t groups[8];
    const char *text;
} WRITTEN[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0}, "::"},
    {{0, 0, 0, 0, 0, 0, 0, 1}, "::1"},
    {{1, 0, 0, 0, 0, 0, 0, 0}, "1::"},
    {{0, 0, 0, 0, 0, 0, 0x102, 0x304}, "::102:304"},
    {{0, 0, 0, 0, 0, 0, 1, 2}, "::1:2"},
    {{0, 0, 0, 0, 0, 0xffff, 0x102, 0x304}, "::ffff:1.2.3.4"},
    {{0, 0, 0, 0, 0, 0xfffe, 0x102, 0x304}, "::fffe:102:304"},
    {{0, 0, 0, 0, 1, 0xffff, 0x102, 0x304}, "::1:ffff:102:304"},
    {{1, 0, 2, 3, 4, 5, 6, 7}, "1:0:2:3:4:5:6:7"}, /* one group is not shortened */
    {{0, 1, 2, 3, 4, 5, 6, 7}, "0:1:2:3:4:5:6:7"},
    {{1, 2, 3, 4, 5, 6, 7, 0}, "1:2:3:4:5:6:7:0"},
    {{1, 2, 3, 4, 5, 6, 0, 0}, "1:2:3:4:5:6::"},
    {{0, 0, 3, 4, 5, 6, 7, 8}, "::3:4:5:6:7:8"},
    {{1, 0, 0, 4, 5, 0, 0, 8}, "1::4:5:0:0:8"}, /* the first of two equal runs */
    {{1, 0, 0, 4, 0, 0, 0, 8}, "1:0:0:4::8"},   /* the longer one */
    {{0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}, "2001:db8::1:0:0:1"},
    {{0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}, "2001:db8:0:1:1:1:1:1"},
    {{0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xa}, "2001:db8::a"},
    {{0xABCD, 0xEF, 0, 0, 0, 0, 0, 0x0f00}, "abcd:ef::f00"},
    {{0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff},
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {{0x64, 0xff9b, 0, 0, 0, 0, 0xa00, 1}, "64:ff9b::a00:1"},
};

START_TEST(ipv6_is_written_as_rfc_5952) {
    ipalloc_addr address = {.family = 6};
    for (int i = 0; i < 8; i++) {
        address.bytes[2 * i] = (uint8_t)(WRITTEN[_i].groups[i] >> 8);
        address.bytes[2 * i + 1] = (uint8_t)WRITTEN[_i].groups[i];
    }
    char text[IPALLOC_ADDR_TEXT];
    ck_assert_uint_eq(ipalloc_addr_format(&address, text), strlen(WRITTEN[_i].text));
    ck_assert_str_eq(text, WRITTEN[_i].text);
}
END_TEST

START_TEST(no_address_is_written_as_invalid) {
    ck_assert_str_eq(addr_text(&(ipalloc_addr){0}), "invalid");
    ck_assert_str_eq(addr_text(&(ipalloc_addr){.family = 5}), "invalid");
}
END_TEST

/* Half of the groups are zero, so that every kind of run comes. */
static ipalloc_addr random_address(uint64_t *state) {
    ipalloc_addr address = {.family = test_random(state) % 4 == 0 ? 4 : 6};
    for (int i = 0; i < (address.family == 4 ? 4 : 16); i += 2) {
        uint64_t drawn = test_random(state);
        if (drawn % 2 == 0 && address.family == 6)
            continue;
        address.bytes[i] = drawn % 4 == 1 ? 0 : (uint8_t)(drawn >> 8);
        address.bytes[i + 1] = (uint8_t)(drawn >> 16);
    }
    return address;
}

START_TEST(random_addresses_and_cidrs_round_trip) {
    uint64_t state = test_seed();
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        ipalloc_addr address = random_address(&state), again;
        char text[IPALLOC_CIDR_TEXT];
        size_t length = ipalloc_addr_format(&address, text);
        if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') != NULL)
            continue; /* is written, but never read */
        ck_assert_uint_eq(length, strlen(text));
        ck_assert_status(ipalloc_addr_parse(text, length, &again, NULL), IPALLOC_OK);
        ck_assert_mem_eq(&address, &again, sizeof address);
        ipalloc_cidr range, masked, range_again;
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "/%u",
                             (unsigned)(test_random(&state) % (address.family == 4 ? 33 : 129)));
        ck_assert_status(ipalloc_cidr_parse_masked(text, length, &masked, NULL), IPALLOC_OK);
        ck_assert(ipalloc_cidr_contains(&masked, &address));
        length = ipalloc_cidr_format(&masked, text);
        if (ipalloc_cidr_parse(text, length, &range, NULL) != IPALLOC_OK)
            continue; /* masked down to an IPv4-mapped one */
        ck_assert_mem_eq(&range, &masked, sizeof range);
        ck_assert_status(ipalloc_cidr_parse_legacy(text, length, &range_again, NULL, NULL),
                         IPALLOC_OK);
        ck_assert_mem_eq(&range, &range_again, sizeof range);
    }
}
END_TEST

/* Whatever is taken is written as something that is taken again with the same meaning. */
START_TEST(mutated_text_is_refused_or_round_trips) {
    static const char ALPHABET[] = "0123456789abcdefABCDEF:./%x +-\n";
    uint64_t state = test_seed();
    for (uint64_t i = 0; i < test_scaled(50000); i++) {
        char text[64];
        const char *start = CIDRS[test_random(&state) % (sizeof CIDRS / sizeof *CIDRS)].text;
        size_t length = (size_t)snprintf(text, sizeof text, "%s", start);
        length = length < sizeof text ? length : sizeof text - 1;
        for (uint64_t k = test_random(&state) % 3; k > 0 && length > 0; k--)
            text[test_random(&state) % length] =
                ALPHABET[test_random(&state) % (sizeof ALPHABET - 1)];
        ipalloc_cidr first, second;
        if (ipalloc_cidr_parse_masked(text, length, &first, NULL) != IPALLOC_OK)
            continue;
        char written[IPALLOC_CIDR_TEXT];
        size_t written_length = ipalloc_cidr_format(&first, written);
        if (strchr(written, '.') != NULL && strchr(written, ':') != NULL)
            continue; /* masked down to an IPv4-mapped one */
        ck_assert_status(ipalloc_cidr_parse(written, written_length, &second, NULL), IPALLOC_OK);
        ck_assert_mem_eq(&first, &second, sizeof first);
    }
}
END_TEST

/* --- counts ------------------------------------------------------------------------------------
 */

static const struct {
    ipalloc_count count;
    const char *text;
} COUNTS[] = {
    {{0, 0}, "0"},
    {{0, 9}, "9"},
    {{0, 10}, "10"},
    {{0, 4294967294}, "4294967294"},
    {{0, UINT64_MAX}, "18446744073709551615"},
    {{1, 0}, "18446744073709551616"},
    {{1, 1}, "18446744073709551617"},
    {{UINT64_MAX, UINT64_MAX}, "340282366920938463463374607431768211455"},
};

START_TEST(a_count_is_written_in_decimal) {
    char text[IPALLOC_COUNT_TEXT];
    ck_assert_uint_eq(ipalloc_count_format(COUNTS[_i].count, text), strlen(COUNTS[_i].text));
    ck_assert_str_eq(text, COUNTS[_i].text);
}
END_TEST

/* --- comparing ---------------------------------------------------------------------------------
 */

START_TEST(addresses_are_ordered_by_family_then_numerically) {
    static const char *const ORDERED[] = {
        "0.0.0.0",         "0.0.0.1", "0.0.1.0", "1.0.0.0", "127.255.255.255", "128.0.0.0",
        "255.255.255.255", "::",      "::1",     "::ff",    "::100",           "1::",
        "7fff:ffff::",     "8000::",  "ffff::",
    };
    int count = sizeof ORDERED / sizeof *ORDERED;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            ipalloc_addr a = addr(ORDERED[i]), b = addr(ORDERED[j]);
            int order = ipalloc_addr_compare(&a, &b);
            ck_assert_int_eq((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}
END_TEST

static const struct {
    const char *cidr, *address;
    bool inside;
} CONTAINED[] = {
    {"10.0.0.0/8", "10.0.0.0", true},
    {"10.0.0.0/8", "10.255.255.255", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"10.0.0.0/8", "9.255.255.255", false},
    {"10.0.0.4/30", "10.0.0.3", false},
    {"10.0.0.4/30", "10.0.0.7", true},
    {"10.0.0.4/30", "10.0.0.8", false},
    {"10.0.0.1/32", "10.0.0.1", true},
    {"10.0.0.1/32", "10.0.0.0", false},
    {"0.0.0.0/0", "255.255.255.255", true},
    {"0.0.0.0/0", "::", false},
    {"::/0", "10.0.0.1", false},
    {"::/0", "ffff::1", true},
    {"fd00::/64", "fd00::ffff:ffff:ffff:ffff", true},
    {"fd00::/64", "fd00:0:0:1::", false},
    {"fd00::/127", "fd00::1", true},
    {"fd00::/127", "fd00::2", false},
    {"a00::/8", "10.0.0.0", false},
};

START_TEST(a_cidr_contains_its_addresses) {
    ipalloc_cidr range = cidr(CONTAINED[_i].cidr);
    ipalloc_addr address = addr(CONTAINED[_i].address);
    ck_assert_int_eq(ipalloc_cidr_contains(&range, &address), CONTAINED[_i].inside);
}
END_TEST

static const struct {
    const char *a, *b;
    bool overlap;
} OVERLAPS[] = {
    {"10.0.0.0/8", "10.0.0.0/8", true},    {"10.0.0.0/8", "10.96.0.0/16", true},
    {"10.0.0.0/8", "11.0.0.0/8", false},   {"10.0.0.0/9", "10.128.0.0/9", false},
    {"0.0.0.0/0", "203.0.113.0/24", true}, {"0.0.0.0/0", "::/0", false},
    {"::/0", "fd00::/108", true},          {"fd00::/64", "fd00:0:0:1::/64", false},
    {"10.0.0.0/32", "10.0.0.0/31", true},  {"10.0.0.2/32", "10.0.0.0/31", false},
    {"a00::/8", "10.0.0.0/8", false},
};

START_TEST(cidrs_overlap_if_one_contains_the_other) {
    ipalloc_cidr a = cidr(OVERLAPS[_i].a), b = cidr(OVERLAPS[_i].b);
    ck_assert_int_eq(ipalloc_cidr_overlaps(&a, &b), OVERLAPS[_i].overlap);
    ck_assert_int_eq(ipalloc_cidr_overlaps(&b, &a), OVERLAPS[_i].overlap);
}
END_TEST

static const struct {
    const char *outer, *inner;
    bool covers;
} COVERED[] = {
    {"10.0.0.0/8", "10.0.0.0/8", true},
    {"10.0.0.0/8", "10.255.0.0/16", true},
    {"10.255.0.0/16", "10.0.0.0/8", false},
    {"10.0.0.0/8", "11.0.0.0/16", false},
    {"0.0.0.0/0", "203.0.113.7/32", true},
    {"0.0.0.0/0", "::/0", false},
    {"::/0", "::/128", true},
    {"fd00::/64", "fd00:0:0:1::/80", false},
    {"10.0.0.0/32", "10.0.0.0/32", true},
    {"a00::/8", "10.0.0.0/9", false},
};

START_TEST(a_cidr_covers_what_lies_wholly_in_it) {
    ipalloc_cidr outer = cidr(COVERED[_i].outer), inner = cidr(COVERED[_i].inner);
    ck_assert_int_eq(ipalloc_cidr_covers(&outer, &inner), COVERED[_i].covers);
}
END_TEST

/* --- taking apart ------------------------------------------------------------------------------
 */

static const struct {
    const char *from, *taken, *rest;
} REMAINDERS[] = {
    {"10.96.0.0/24", "10.96.0.0/24", ""},
    {"10.96.0.0/28", "10.96.0.0/24", ""},
    {"10.96.0.0/24", "10.97.0.0/24", "10.96.0.0/24"},
    {"10.96.0.0/24", "fd00::/64", "10.96.0.0/24"},
    {"10.96.0.0/24", "10.96.0.0/28", "10.96.0.16/28 10.96.0.32/27 10.96.0.64/26 10.96.0.128/25"},
    {"10.96.0.0/24", "10.96.0.240/28", "10.96.0.0/25 10.96.0.128/26 10.96.0.192/27 10.96.0.224/28"},
    {"10.96.0.0/29", "10.96.0.5/32", "10.96.0.0/30 10.96.0.4/32 10.96.0.6/31"},
    {"0.0.0.0/0", "128.0.0.0/1", "0.0.0.0/1"},
    {"fd00::/62", "fd00:0:0:2::/64", "fd00::/63 fd00:0:0:3::/64"},
    {"fd00::/126", "fd00::3/128", "fd00::/127 fd00::2/128"},
};

START_TEST(the_rest_of_a_cidr_is_the_fewest_cidrs_in_ascending_order) {
    ipalloc_cidr from = cidr(REMAINDERS[_i].from), taken = cidr(REMAINDERS[_i].taken);
    ipalloc_cidr rest[IPALLOC_CIDR_PARTS_MAX];
    char text[512] = "", one[IPALLOC_CIDR_TEXT];
    size_t count;
    ck_assert_status(
        ipalloc_cidr_subtract(&from, &taken, rest, IPALLOC_CIDR_PARTS_MAX, &count, NULL),
        IPALLOC_OK);
    for (size_t i = 0, used = 0; i < count; i++) {
        ipalloc_cidr_format(&rest[i], one);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ", one);
    }
    ck_assert_str_eq(text, REMAINDERS[_i].rest);
}
END_TEST

/* The index-th block of 2^block_bits addresses at the low end of a base. */
static ipalloc_cidr small_cidr(const char *base, unsigned host_bits, unsigned index) {
    ipalloc_addr address = addr(base);
    uint8_t bits = address.family == 4 ? 32 : 128;
    address.bytes[bits / 8 - 1] = (uint8_t)(index << host_bits);
    return (ipalloc_cidr){address, (uint8_t)(bits - host_bits)};
}

static bool any_contains(const ipalloc_cidr *list, size_t count, const ipalloc_addr *address) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += ipalloc_cidr_contains(&list[i], address);
    ck_assert_uint_le(found, 1); /* no two of them share an address */
    return found == 1;
}

/* Every pair of the 63 CIDRs over 32 addresses, address by address. */
START_TEST(the_rest_has_each_address_of_one_and_not_of_the_other) {
    static const char *const BASES[] = {"10.96.0.0", "fd00::"};
    ipalloc_cidr rest[IPALLOC_CIDR_PARTS_MAX];
    size_t count;
    for (unsigned a = 1; a < 64; a++) {
        for (unsigned b = 1; b < 64; b++) {
            unsigned a_bits = 0, b_bits = 0; /* numbered as a heap: 1 is all, 32..63 the leaves */
            while (a >> (5 - a_bits) == 0)
                a_bits++;
            while (b >> (5 - b_bits) == 0)
                b_bits++;
            ipalloc_cidr from = small_cidr(BASES[_i], a_bits, a - (32u >> a_bits));
            ipalloc_cidr taken = small_cidr(BASES[_i], b_bits, b - (32u >> b_bits));
            ck_assert_status(ipalloc_cidr_subtract(&from, &taken, rest, 5, &count, NULL),
                             IPALLOC_OK);
            for (unsigned i = 0; i < 32; i++) {
                ipalloc_addr address = small_cidr(BASES[_i], 0, i).base;
                require(any_contains(rest, count, &address) ==
                        (ipalloc_cidr_contains(&from, &address) &&
                         !ipalloc_cidr_contains(&taken, &address)));
            }
        }
    }
}
END_TEST

static void set_bit(ipalloc_addr *address, unsigned bit, bool value) {
    uint8_t one = (uint8_t)(0x80 >> bit % 8);
    address->bytes[bit / 8] =
        (uint8_t)(value ? address->bytes[bit / 8] | one : address->bytes[bit / 8] & ~one);
}

static ipalloc_cidr first_bits_of(ipalloc_addr address, uint8_t prefix_length) {
    for (unsigned bit = prefix_length; bit < (address.family == 4 ? 32 : 128); bit++)
        set_bit(&address, bit, false);
    return (ipalloc_cidr){address, prefix_length};
}

/* All pairs of prefix lengths: as many parts as there are lengths between, each one length, none
 * overlapping, and what differs from `taken` in one bit lies in the part of that length. */
START_TEST(every_pair_of_prefix_lengths_leaves_one_part_a_length) {
    ipalloc_addr random = {.family = _i == 0 ? 4 : 6};
    uint64_t state = test_seed();
    uint8_t bits = random.family == 4 ? 32 : 128;
    for (unsigned i = 0; i < bits / 8u; i++)
        random.bytes[i] = (uint8_t)test_random(&state);
    for (uint8_t outer = 0; outer <= bits; outer++) {
        for (uint8_t inner = outer; inner <= bits; inner++) {
            ipalloc_cidr rest[IPALLOC_CIDR_PARTS_MAX];
            ipalloc_cidr from = first_bits_of(random, outer), taken = first_bits_of(random, inner);
            size_t count;
            require_status(
                ipalloc_cidr_subtract(&from, &taken, rest, IPALLOC_CIDR_PARTS_MAX, &count, NULL),
                IPALLOC_OK);
            require(count == (size_t)(inner - outer));
            uint64_t lengths[3] = {0}, wanted[3] = {0};
            for (size_t i = 0; i < count; i++) {
                unsigned length = rest[i].prefix_length;
                ipalloc_addr flipped = taken.base;
                set_bit(&flipped, length - 1,
                        (taken.base.bytes[(length - 1) / 8] >> (7 - (length - 1) % 8) & 1) == 0);
                require(ipalloc_cidr_contains(&rest[i], &flipped));
                require(ipalloc_cidr_covers(&from, &rest[i]));
                require(!ipalloc_cidr_overlaps(&taken, &rest[i]));
                require(i == 0 || ipalloc_addr_compare(&rest[i - 1].base, &rest[i].base) < 0);
                lengths[length / 64] |= 1ull << length % 64;
            }
            for (unsigned length = outer + 1u; length <= inner; length++)
                wanted[length / 64] |= 1ull << length % 64;
            require(memcmp(lengths, wanted, sizeof lengths) == 0);
        }
    }
}
END_TEST

START_TEST(a_rest_that_does_not_fit_writes_nothing_and_says_how_much_it_is) {
    ipalloc_cidr from = cidr("10.96.0.0/24"), taken = cidr("10.96.0.0/28"), rest[4] = {0};
    ipalloc_cidr untouched[4] = {0};
    size_t count = 9;
    ipalloc_error error;
    ck_assert_status(ipalloc_cidr_subtract(&from, &taken, rest, 3, &count, &error),
                     IPALLOC_E_INVALID);
    ck_assert_uint_eq(count, 4);
    ck_assert_mem_eq(rest, untouched, sizeof rest);
    ck_assert_ptr_nonnull(strstr(error.message, "4 CIDRs"));
    ck_assert_status(ipalloc_cidr_subtract(&from, &taken, NULL, 0, &count, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_uint_eq(count, 4);
    ck_assert_status(ipalloc_cidr_subtract(&taken, &from, NULL, 0, &count, NULL), IPALLOC_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(what_is_no_cidr_is_not_taken_apart) {
    ipalloc_cidr fine = cidr("10.96.0.0/24"), odd = fine, long_one = fine, none = {0}, rest[4];
    size_t count;
    odd.base.bytes[3] = 1;
    long_one.prefix_length = 33;
    const ipalloc_cidr *const bad[] = {&odd, &long_one, &none, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_status(ipalloc_cidr_subtract(bad[i], &fine, rest, 4, &count, NULL),
                         IPALLOC_E_INVALID);
        ck_assert_status(ipalloc_cidr_subtract(&fine, bad[i], rest, 4, &count, NULL),
                         IPALLOC_E_INVALID);
    }
    ck_assert_status(ipalloc_cidr_subtract(&fine, &fine, NULL, 4, &count, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_cidr_subtract(&fine, &fine, rest, 4, NULL, NULL), IPALLOC_E_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("addr");
    TCase *tc = tcase_create("addr");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_cidr_is_read_as_its_rule_says, 0, ROWS(CIDRS));
    tcase_add_loop_test(tc, an_address_is_read_as_its_rule_says, 0, ROWS(ADDRESSES));
    tcase_add_test(tc, text_needs_no_nul_and_may_hold_none);
    tcase_add_test(tc, long_text_is_refused_by_every_reader);
    tcase_add_test(tc, null_is_invalid);
    tcase_add_loop_test(tc, a_refusal_shows_the_text_and_the_rule, 0, ROWS(REFUSALS));
    tcase_add_loop_test(tc, ipv6_is_written_as_rfc_5952, 0, ROWS(WRITTEN));
    tcase_add_test(tc, no_address_is_written_as_invalid);
    tcase_add_test(tc, random_addresses_and_cidrs_round_trip);
    tcase_add_test(tc, mutated_text_is_refused_or_round_trips);
    tcase_add_loop_test(tc, a_count_is_written_in_decimal, 0, ROWS(COUNTS));
    tcase_add_test(tc, addresses_are_ordered_by_family_then_numerically);
    tcase_add_loop_test(tc, a_cidr_contains_its_addresses, 0, ROWS(CONTAINED));
    tcase_add_loop_test(tc, cidrs_overlap_if_one_contains_the_other, 0, ROWS(OVERLAPS));
    tcase_add_loop_test(tc, a_cidr_covers_what_lies_wholly_in_it, 0, ROWS(COVERED));
    tcase_add_loop_test(tc, the_rest_of_a_cidr_is_the_fewest_cidrs_in_ascending_order, 0,
                        ROWS(REMAINDERS));
    tcase_add_loop_test(tc, the_rest_has_each_address_of_one_and_not_of_the_other, 0, 2);
    tcase_add_loop_test(tc, every_pair_of_prefix_lengths_leaves_one_part_a_length, 0, 2);
    tcase_add_test(tc, a_rest_that_does_not_fit_writes_nothing_and_says_how_much_it_is);
    tcase_add_test(tc, what_is_no_cidr_is_not_taken_apart);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
