/*
 * test_record.c: the text form: keys in address order, one spelling per meaning.
 */
#include "registry/record.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static hooks heap;

static void setup(void) {
    ck_assert_status(hooks_init(&heap, NULL, NULL), IPALLOC_OK);
}

static const struct {
    int kind;
    const char *text, *key;
} PLACES[] = {
    {IPALLOC_POOL_IPV4, "0.0.0.0", "000.000.000.000"},
    {IPALLOC_POOL_IPV4, "10.96.0.10", "010.096.000.010"},
    {IPALLOC_POOL_IPV4, "255.255.255.255", "255.255.255.255"},
    {IPALLOC_POOL_IPV6, "::", "0000:0000:0000:0000:0000:0000:0000:0000"},
    {IPALLOC_POOL_IPV6, "fd00::a", "fd00:0000:0000:0000:0000:0000:0000:000a"},
    {IPALLOC_POOL_PORT, "0", "00000"},
    {IPALLOC_POOL_PORT, "30000", "30000"},
    {IPALLOC_POOL_PORT, "65535", "65535"},
};

START_TEST(a_place_has_a_text_and_a_key_and_both_are_read_back) {
    place p, again;
    char text[IPALLOC_ADDR_TEXT], key[PLACE_KEY_TEXT];
    ck_assert(place_parse(PLACES[_i].kind, PLACES[_i].text, strlen(PLACES[_i].text), &p));
    ck_assert_str_eq(place_format(&p, text), PLACES[_i].text);
    place_format_key(&p, key);
    ck_assert_str_eq(key, PLACES[_i].key);
    ck_assert(place_parse_key(PLACES[_i].kind, key, strlen(key), &again));
    ck_assert_int_eq(place_compare(&p, &again), 0);
    for (size_t i = 0; i < strlen(key); i++) { /* shorter is not read, nor is anything after it */
        ck_assert(!place_parse_key(PLACES[_i].kind, key, i, &again));
    }
    key[strlen(key)] = '0';
    ck_assert(!place_parse_key(PLACES[_i].kind, key, strlen(PLACES[_i].key) + 1, &again));
}
END_TEST

static const struct {
    int kind;
    const char *key;
} BAD_KEYS[] = {
    {IPALLOC_POOL_IPV4, "256.000.000.000"},
    {IPALLOC_POOL_IPV4, "10.96.0.10"},
    {IPALLOC_POOL_IPV4, "010,096.000.010"},
    {IPALLOC_POOL_IPV4, "0x0.096.000.010"},
    {IPALLOC_POOL_IPV6, "FD00:0000:0000:0000:0000:0000:0000:000a"},
    {IPALLOC_POOL_IPV6, "fd00.0000:0000:0000:0000:0000:0000:000a"},
    {IPALLOC_POOL_PORT, "65536"},
    {IPALLOC_POOL_PORT, "3000a"},
};

START_TEST(other_spellings_of_a_key_are_refused) {
    place p;
    ck_assert(!place_parse_key(BAD_KEYS[_i].kind, BAD_KEYS[_i].key, strlen(BAD_KEYS[_i].key), &p));
}
END_TEST

START_TEST(keys_sort_as_addresses_do) {
    uint64_t state = test_seed();
    for (uint64_t i = 0; i < test_scaled(2000); i++) {
        place a = {.kind = _i == 0 ? IPALLOC_POOL_IPV4 : IPALLOC_POOL_IPV6}, b = a;
        for (size_t byte = 0; byte < (_i == 0 ? 4u : 16u); byte++) {
            a.bytes[byte] = (uint8_t)test_random(&state);
            b.bytes[byte] =
                test_random(&state) % 2 == 0 ? a.bytes[byte] : (uint8_t)test_random(&state);
        }
        record_key first = key_of_lease("p", &a), second = key_of_lease("p", &b);
        int by_place = place_compare(&a, &b), by_key = strcmp(first.text, second.text);
        ck_assert_int_eq(by_place > 0, by_key > 0);
        ck_assert_int_eq(by_place < 0, by_key < 0);
    }
}
END_TEST

START_TEST(every_word_survives_and_has_one_spelling) {
    char bytes[256], back[256];
    for (int i = 1; i < 256; i++)
        bytes[i - 1] = (char)i;
    text_buffer t;
    text_init(&t, &heap);
    text_append_word(&t, bytes, 255);
    ck_assert(word_parse(t.bytes, t.length, back, sizeof back));
    ck_assert_mem_eq(back, bytes, 255);
    ck_assert(!word_parse(t.bytes, t.length, back, 255)); /* no room for the NUL */
    for (size_t i = 0; i < t.length; i++)
        ck_assert(t.bytes[i] > ' ' && t.bytes[i] < 0x7f);
    text_free(&t);
    static const char *const BAD[] = {"", "%41", "%0", "%", "%00", "%2f", "a b", "\x80", "%G0"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        ck_assert_msg(!word_parse(BAD[i], strlen(BAD[i]), back, sizeof back), "%s", BAD[i]);
}
END_TEST

START_TEST(a_lease_record_reads_as_an_operator_expects) {
    text_buffer t;
    place p;
    ck_assert(place_parse(IPALLOC_POOL_IPV4, "10.96.0.10", 10, &p));
    static const char SLOTS[2][64] = {"clusterIP/IPv4", "two words"};
    text_init(&t, &heap);
    lease_append(&t, &p, "Service/default/web/1", SLOTS, 2, 7, 1700000000000);
    ck_assert_str_eq(t.bytes, "address=10.96.0.10\n"
                              "owner=Service/default/web/1\n"
                              "slot=clusterIP/IPv4\n"
                              "slot=two%20words\n"
                              "generation=7\n"
                              "time=1700000000000\n");
    ipalloc_lease lease = {.size = sizeof lease};
    ck_assert(lease_parse(bytes_of_buffer(&t), &p, &lease));
    ck_assert_str_eq(lease.slots[1], "two words");
    text_free(&t);
}
END_TEST

static const char *const BAD_LEASES[] = {
    "",
    "address=10.96.0.11\nowner=a\nslot=s\ngeneration=1\ntime=1\n", /* another address */
    "address=010.96.0.10\nowner=a\nslot=s\ngeneration=1\ntime=1\n",
    "port=10\nowner=a\nslot=s\ngeneration=1\ntime=1\n",
    "address=10.96.0.10\nowner=\nslot=s\ngeneration=1\ntime=1\n",
    "address=10.96.0.10\nowner=a\ngeneration=1\ntime=1\n", /* no slot */
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=0\ntime=1\n",
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=01\ntime=1\n",
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=9007199254740992\ntime=1\n",
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=1\ntime=-1\n",
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=1\ntime=1",
    "address=10.96.0.10\nowner=a\nslot=s\ngeneration=1\ntime=1\nmore=1\n",
    "owner=a\naddress=10.96.0.10\nslot=s\ngeneration=1\ntime=1\n",
};

START_TEST(anything_else_is_not_a_lease_record) {
    place p;
    ipalloc_lease lease;
    ck_assert(place_parse(IPALLOC_POOL_IPV4, "10.96.0.10", 10, &p));
    ck_assert(!lease_parse(bytes_of(BAD_LEASES[_i]), &p, &lease));
}
END_TEST

START_TEST(a_sighting_record_reads_as_an_operator_expects) {
    text_buffer t;
    const sighting s = {.generation = 7,
                        .owner = "Service/default/web/1",
                        .record = "services/default/two words",
                        .first_ms = 1700000000000,
                        .last_ms = 1700000060000,
                        .count = 2};
    sighting read;
    text_init(&t, &heap);
    sighting_append(&t, &s);
    ck_assert_str_eq(t.bytes, "generation=7\n"
                              "owner=Service/default/web/1\n"
                              "record=services/default/two%20words\n"
                              "first=1700000000000\n"
                              "last=1700000060000\n"
                              "count=2\n");
    ck_assert(sighting_parse(bytes_of_buffer(&t), &read));
    ck_assert_str_eq(read.record, s.record);
    ck_assert_uint_eq(read.last_ms, s.last_ms);
    text_free(&t);
}
END_TEST

static const char *const BAD_SIGHTINGS[] = {
    "",
    "generation=0\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=1\n",
    "generation=9007199254740992\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=1\n",
    "generation=1\nowner=\nrecord=r\nfirst=1\nlast=1\ncount=1\n",
    "generation=1\nowner=a\nfirst=1\nlast=1\ncount=1\n", /* no record */
    "generation=1\nowner=a\nrecord=r\nfirst=2\nlast=1\ncount=2\n",
    "generation=1\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=0\n",
    "generation=1\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=18446744073709551615\n",
    "generation=1\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=1",
    "generation=1\nowner=a\nrecord=r\nfirst=1\nlast=1\ncount=1\nmore=1\n",
};

START_TEST(anything_else_is_not_a_sighting_record) {
    sighting s;
    ck_assert(!sighting_parse(bytes_of(BAD_SIGHTINGS[_i]), &s));
}
END_TEST

static const struct {
    const char *name;
    bool valid;
} NAMES[] = {{"a", true},   {"services-v4", true}, {"0", true},    {"", false},   {"-a", false},
             {"a-", false}, {"A", false},          {"a.b", false}, {"a b", false}};

START_TEST(pool_names_are_plain) {
    ck_assert(pool_name_is_valid(NAMES[_i].name, strlen(NAMES[_i].name)) == NAMES[_i].valid);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("record");
    TCase *c = tcase_create("text");
    tcase_add_unchecked_fixture(c, setup, NULL);
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, a_place_has_a_text_and_a_key_and_both_are_read_back, 0,
                        (int)(sizeof PLACES / sizeof PLACES[0]));
    tcase_add_loop_test(c, other_spellings_of_a_key_are_refused, 0,
                        (int)(sizeof BAD_KEYS / sizeof BAD_KEYS[0]));
    tcase_add_loop_test(c, keys_sort_as_addresses_do, 0, 2);
    tcase_add_test(c, every_word_survives_and_has_one_spelling);
    tcase_add_test(c, a_lease_record_reads_as_an_operator_expects);
    tcase_add_loop_test(c, anything_else_is_not_a_lease_record, 0,
                        (int)(sizeof BAD_LEASES / sizeof BAD_LEASES[0]));
    tcase_add_test(c, a_sighting_record_reads_as_an_operator_expects);
    tcase_add_loop_test(c, anything_else_is_not_a_sighting_record, 0,
                        (int)(sizeof BAD_SIGHTINGS / sizeof BAD_SIGHTINGS[0]));
    tcase_add_loop_test(c, pool_names_are_plain, 0, (int)(sizeof NAMES / sizeof NAMES[0]));
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
