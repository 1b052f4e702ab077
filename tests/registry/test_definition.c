/*
 * test_definition.c: the text of pool definitions, strictly read.
 */
#include "registry/definition.h"
#include "support.h"

#include <string.h>

static hooks heap;

static void setup(void) {
    ck_assert_status(hooks_init(&heap, NULL, NULL), IPALLOC_OK);
}

#define OPTIONS                                                                    \
    "strategy=random\nstatic-band=formula\ncool-down-ms=0\nuse-all-addresses=no\n" \
    "reuse-cooling-when-full=no\nrefuse-reserve-cooling=no\n"

static const struct {
    const char *text;
    bool fine;
} TEXTS[] = {
    {"kind=ipv4\nrange=10.0.0.0/24 active\n" OPTIONS, true},
    {"kind=ipv6\nrange=fd00::/64 draining\nrange=fd01::/64 active\n" OPTIONS, true},
    {"kind=port\nports=30000-32767\n" OPTIONS, true},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nstrategy=lowest\nstatic-band=none\ncool-down-ms=5\n"
     "use-all-addresses=yes\nreuse-cooling-when-full=yes\nrefuse-reserve-cooling=yes\n"
     "exclude=10.0.0.1-10.0.0.3\nexclude=10.0.0.4-10.0.0.4\n",
     true},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nstrategy=oldest-freed\nstatic-band=7\ncool-down-ms=5\n"
     "use-all-addresses=yes\nreuse-cooling-when-full=no\nrefuse-reserve-cooling=yes\n",
     true},
    {"kind=ipv4\nrange=10.0.0.0/28 active\nrange=10.0.0.15/32 draining-all\n"
     "range=10.0.0.0/32 draining-all\nrange=10.0.0.16/28 draining-all\n" OPTIONS,
     true},
    {"kind=ipv6\nrange=fd00::/128 draining-all\nrange=fd00::/124 draining\n" OPTIONS, true},
    {"", false},
    {"kind=ipv5\nrange=10.0.0.0/24 active\n" OPTIONS, false},
    {"kind=ipv4\n" OPTIONS, true},
    {"kind=ipv4\nrange=10.0.0.0/24\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/24 gone\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/24 active more\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.1/24 active\n" OPTIONS, false},
    {"kind=ipv4\nrange=fd00::/64 active\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nrange=10.0.0.0/25 active\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/28 active\nrange=10.0.0.15/32 draining\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/28 active\nrange=10.0.0.14/32 draining-all\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/28 active\nrange=10.0.0.14/31 draining-all\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/28 draining-all\nrange=10.0.0.15/32 draining-all\n" OPTIONS, false},
    {"kind=ipv6\nrange=fd00::/124 active\nrange=fd00::f/128 draining-all\n" OPTIONS, false},
    {"kind=port\nports=32767-30000\n" OPTIONS, false},
    {"kind=port\nports=30000\n" OPTIONS, false},
    {"kind=port\nports=30000-65536\n" OPTIONS, false},
    {"kind=port\nrange=10.0.0.0/24 active\nports=30000-32767\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nports=1-2\n" OPTIONS, false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\n" OPTIONS "more=1\n", false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\n" OPTIONS "exclude=10.0.0.3-10.0.0.1\n", false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\n" OPTIONS
     "exclude=10.0.0.1-10.0.0.3\nexclude=10.0.0.3-10.0.0.4\n",
     false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nstrategy=best\n", false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nstrategy=random\nstatic-band=0\ncool-down-ms=0\n"
     "use-all-addresses=no\nreuse-cooling-when-full=no\nrefuse-reserve-cooling=no\n",
     false},
    {"kind=ipv4\nrange=10.0.0.0/24 active\nstrategy=random\nstatic-band=none\ncool-down-ms=0\n"
     "use-all-addresses=maybe\nreuse-cooling-when-full=no\nrefuse-reserve-cooling=no\n",
     false},
};

START_TEST(a_definition_has_one_text) {
    definition d;
    ipalloc_error error;
    text_buffer t;
    int status = definition_parse(bytes_of("pool/p/"), bytes_of(TEXTS[_i].text), &heap, &d, &error);
    if (!TEXTS[_i].fine) {
        ck_assert_status(status, IPALLOC_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, "pool/p/"));
        return;
    }
    ck_assert_status_error(status, IPALLOC_OK, &error);
    text_init(&t, &heap);
    definition_append(&t, &d);
    ck_assert_str_eq(t.bytes, TEXTS[_i].text);
    text_free(&t);
    definition_free(&d);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("definition");
    TCase *c = tcase_create("text");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, a_definition_has_one_text, 0, (int)(sizeof TEXTS / sizeof TEXTS[0]));
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
