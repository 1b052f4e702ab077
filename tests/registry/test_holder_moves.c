/*
 * test_holder_moves.c: who has it, asked while it passes from a claim to a lease, or is let go.
 */
#include "servers.h"

#include "registry/holder.h"

#include <string.h>

#define PLACE "10.96.0.9"

static const char SLOT[] = "clusterIP/IPv4";

enum { A, B };

enum moment { BEFORE_THE_READ, BEHIND_THE_READ };

typedef struct crossing {
    ipalloc_txn *txn; /* NULL: it has ended */
    bool commits;     /* else it aborts */
} crossing;

static void end_it(void *context, enum shared_call call) {
    crossing *c = context;
    ipalloc_txn *txn = c->txn;
    if (call != SHARED_GET || txn == NULL)
        return;
    c->txn = NULL;
    if (c->commits)
        ck_assert_status(ipalloc_txn_commit(txn, NULL, NULL), IPALLOC_OK);
    else
        ipalloc_txn_abort(txn);
}

/* Somebody has claimed the place, and is done at that moment of our asking. */
static void ask_while_it_ends(enum moment moment, bool commits, const char *wanted) {
    servers s;
    servers_open(&s, 1, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[A];
    ipalloc_addr address = addr(PLACE);
    place p = place_of_addr(&address);
    char holder[IPALLOC_OWNER_MAX + 1];
    crossing c = {.commits = commits};
    c.txn = begin(f, "Service/a");
    OK(f, ipalloc_txn_reserve(c.txn, s.pools[A], SLOT, &address, NULL, &f->error));
    shared_server *server = &s.cluster.servers[A];
    server->before_context = server->behind_context = &c;
    *(moment == BEFORE_THE_READ ? &server->before : &server->behind) = end_it;
    ck_assert(holder_find(s.pools[A], &p, holder));
    ck_assert_ptr_null(c.txn);
    ck_assert_str_eq(holder, "Service/a");
    ck_assert_int_eq(holder_find(s.pools[A], &p, holder), wanted[0] != '\0');
    ck_assert_str_eq(holder, wanted);
    servers_close(&s);
}

START_TEST(who_commits_while_we_ask_is_named) {
    ask_while_it_ends(_i, true, "Service/a");
}
END_TEST

/* It was so when we asked. */
START_TEST(who_lets_go_while_we_ask_is_named_once_more) {
    ask_while_it_ends(_i, false, "");
}
END_TEST

/* A claim on what another server has leased already is none for long. */
START_TEST(a_lease_counts_more_than_a_claim) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    ipalloc_addr address = addr(PLACE);
    place p = place_of_addr(&address);
    char holder[IPALLOC_OWNER_MAX + 1];
    ipalloc_txn *txn = begin(f, "Service/late");
    OK(f, ipalloc_txn_reserve(txn, s.pools[B], SLOT, &address, NULL, &f->error));
    reserve(&s.f[A], s.pools[A], "Service/early", SLOT, PLACE);
    ck_assert(holder_find(s.pools[B], &p, holder));
    ck_assert_str_eq(holder, "Service/early");
    ipalloc_txn_abort(txn);
    servers_close(&s);
}
END_TEST

START_TEST(a_store_that_cannot_be_asked_names_nobody) {
    servers s;
    servers_open(&s, 1, "10.96.0.0/24", WITH(0), NULL);
    ipalloc_addr address = addr(PLACE);
    place p = place_of_addr(&address);
    char holder[IPALLOC_OWNER_MAX + 1];
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, PLACE);
    s.cluster.servers[A].cut = true;
    ck_assert(!holder_find(s.pools[A], &p, holder));
    ck_assert_str_eq(holder, "");
    servers_close(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("holder moves");
    TCase *tc = tcase_create("holder");
    tcase_add_loop_test(tc, who_commits_while_we_ask_is_named, BEFORE_THE_READ,
                        BEHIND_THE_READ + 1);
    tcase_add_loop_test(tc, who_lets_go_while_we_ask_is_named_once_more, BEFORE_THE_READ,
                        BEHIND_THE_READ + 1);
    tcase_add_test(tc, a_lease_counts_more_than_a_claim);
    tcase_add_test(tc, a_store_that_cannot_be_asked_names_nobody);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
