/*
 * test_metrics.c: OpenMetrics text under Kubernetes' names, right from the first scrape.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";
#define IPS   "kube_apiserver_clusterip_allocator_"
#define PORTS "kube_apiserver_nodeport_allocator_"

static char *scrape(fixture *f) {
    size_t length = ipalloc_metrics(f->registry, NULL, 0);
    char *text = malloc(length + 1);
    memset(text, 'x', length + 1);
    ck_assert_uint_eq(ipalloc_metrics(f->registry, text, length), length);
    ck_assert_int_eq(text[0], 'x'); /* no room for the NUL: nothing is written */
    ck_assert_uint_eq(ipalloc_metrics(f->registry, text, length + 1), length);
    ck_assert_uint_eq(strlen(text), length);
    return text;
}

static void assert_line(fixture *f, const char *line) {
    char *text = scrape(f);
    const char *found = strstr(text, line);
    ck_assert_msg(found != NULL && (found == text || found[-1] == '\n') &&
                      found[strlen(line)] == '\n',
                  "%s is not in\n%s", line, text);
    free(text);
}

START_TEST(counters_tell_asked_for_from_picked_and_granted_from_refused) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30");
    ipalloc_addr held = addr("10.96.0.1");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.1");
    allocate(&f, pool, "Service/b", SLOT);
    allocate(&f, pool, "Service/b", SLOT); /* existing: nothing was allocated */
    ipalloc_reserve(f.registry, pool, "Service/c", SLOT, &held, NULL, NULL);
    ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, NULL);
    assert_line(&f, IPS "allocated_ips{cidr=\"10.96.0.0/30\"} 2");
    assert_line(&f, IPS "available_ips{cidr=\"10.96.0.0/30\"} 0");
    assert_line(&f, IPS "allocation_total{cidr=\"10.96.0.0/30\",scope=\"static\"} 1");
    assert_line(&f, IPS "allocation_total{cidr=\"10.96.0.0/30\",scope=\"dynamic\"} 1");
    assert_line(&f, IPS "allocation_errors_total{cidr=\"10.96.0.0/30\",scope=\"static\"} 1");
    assert_line(&f, IPS "allocation_errors_total{cidr=\"10.96.0.0/30\",scope=\"dynamic\"} 1");
    ipalloc_cidr more = cidr("10.97.0.0/30");
    OK(&f, ipalloc_pool_add_range(pool, &more, &f.error)); /* counters outlive a change */
    assert_line(&f, IPS "allocation_total{cidr=\"10.96.0.0/30\",scope=\"static\"} 1");
    fixture_reopen(&f);
    assert_line(&f, IPS "allocated_ips{cidr=\"10.96.0.0/30\"} 2");
    assert_line(&f, IPS "available_ips{cidr=\"10.97.0.0/30\"} 2");
    fixture_close(&f);
}
END_TEST

START_TEST(ports_have_their_own_names) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_ports(&f, "node-ports", 30000, 30009);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve_port(txn, pool, SLOT, 30001, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_line(&f, PORTS "allocated_ports{range=\"30000-30009\"} 1");
    assert_line(&f, PORTS "available_ports{range=\"30000-30009\"} 9");
    assert_line(&f, PORTS "allocation_total{range=\"30000-30009\",scope=\"static\"} 1");
    fixture_close(&f);
}
END_TEST

START_TEST(the_text_ends_with_eof_and_names_each_family_once) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    define_pool(&f, "one", "10.96.0.0/24");
    define_pool(&f, "two", "10.97.0.0/24");
    char *text = scrape(&f);
    ck_assert_str_eq(text + strlen(text) - 6, "# EOF\n");
    const char *family = "# TYPE " IPS "allocated_ips gauge\n";
    const char *first = strstr(text, family);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, family));
    ck_assert_ptr_nonnull(strstr(text, "# TYPE " IPS "allocation counter\n"));
    free(text);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("metrics");
    TCase *c = tcase_create("text");
    tcase_add_loop_test(c, counters_tell_asked_for_from_picked_and_granted_from_refused, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, ports_have_their_own_names, 0, STORE_KINDS);
    tcase_add_loop_test(c, the_text_ends_with_eof_and_names_each_family_once, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
