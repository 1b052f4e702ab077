/* ipallocctl map: small ranges, compared with the drawing that they should give. */
#include "ctl_process.h"
#include "ctl_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static ipalloc_error error;

static void begin_open(void) {
    begin();
    open_store();
}

static void hold(ipalloc_pool *pool, const char *address) {
    ipalloc_addr parsed = addr(address);
    ck_assert_status_error(ipalloc_reserve(registry, pool, address, "s", &parsed, NULL, &error),
                           IPALLOC_OK, &error);
}

/* The first `count` addresses of one /24. */
static void hold_many(ipalloc_pool *pool, const char *base, unsigned from, unsigned count) {
    ipalloc_addr address = addr(base);
    for (unsigned i = 0; i < count; i++) {
        char owner[32];
        address.bytes[3] = (uint8_t)(from + i);
        snprintf(owner, sizeof owner, "o/%u/%u", address.bytes[2], address.bytes[3]);
        require_status(ipalloc_reserve(registry, pool, owner, "s", &address, NULL, &error),
                       IPALLOC_OK);
    }
}

static void let_go(ipalloc_pool *pool, const char *address) {
    ipalloc_addr parsed = addr(address);
    ck_assert_status(ipalloc_release(registry, pool, address, &parsed, 0, &error), IPALLOC_OK);
}

static void expect_drawing(const char *what, const char *options, const char *drawing) {
    struct ran ran = ctl_expect(0, "map %s %s --store=%s", what, options, url);
    ck_assert_str_eq(ran.out, drawing);
    ran_free(&ran);
}

START_TEST(a_small_range_shows_each_address) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/28", 3600000);
    hold(pool, "10.96.0.1");
    hold(pool, "10.96.0.6");
    hold(pool, "10.96.0.9");
    let_go(pool, "10.96.0.9");
    exclude(pool, "10.96.0.12", "10.96.0.13");
    expect_drawing("p", "--ascii",
                   "p  10.96.0.0/28\n"
                   "10.96.0.0 -#....#..~..xx.-\n"
                   "14 usable: 2 held (14.3 %), 1 cooling, 2 excluded, 9 free\n"
                   ". free   # held   ~ cooling   x excluded   - not usable\n");
    expect_drawing("p", "",
                   "p  10.96.0.0/28\n"
                   "10.96.0.0 -█····█··~··xx·-\n"
                   "14 usable: 2 held (14.3 %), 1 cooling, 2 excluded, 9 free\n"
                   "· free   █ held   ~ cooling   x excluded   - not usable\n");
    end();
}
END_TEST

START_TEST(the_static_band_is_told_apart) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/24", 0);
    hold(pool, "10.96.0.10");
    hold(pool, "10.96.0.200");
    expect_drawing("p", "--ascii",
                   "p  10.96.0.0/24\n"
                   "10.96.0.0   -:::::::::#::::::"
                   "...............................................\n"
                   "10.96.0.64  "
                   "................................................................\n"
                   "10.96.0.128 "
                   "................................................................\n"
                   "10.96.0.192 "
                   "........#......................................................-\n"
                   "static band 10.96.0.1 - 10.96.0.16\n"
                   "254 usable: 2 held (0.8 %), 0 cooling, 0 excluded, 252 free\n"
                   ". free   : free, static band   # held   - not usable\n");
    end();
}
END_TEST

START_TEST(a_part_of_a_range_is_drawn_closer) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/16", 0);
    hold(pool, "10.96.7.1");
    hold(pool, "10.96.7.4");
    hold(pool, "10.96.8.0");
    exclude(pool, "10.96.7.14", "10.96.7.255");
    expect_drawing("10.96.7.0/28", "--ascii",
                   "p  10.96.7.0/28\n"
                   "10.96.7.0 .#..#.........xx\n"
                   "static band 10.96.0.1 - 10.96.1.0\n"
                   "2 held, 0 cooling, 2 excluded\n"
                   ". free   # held   x excluded\n");
    end();
}
END_TEST

START_TEST(a_draining_range_says_so) {
    begin_open();
    ipalloc_cidr range = cidr("10.96.0.0/28");
    ipalloc_pool *pool = define("p", "10.96.0.0/28", 0);
    hold(pool, "10.96.0.6");
    ck_assert_status_error(ipalloc_pool_drain_range(pool, &range, &error), IPALLOC_OK, &error);
    struct ran ran = ctl_expect(0, "map p --ascii --store=%s", url);
    ck_assert_msg(strstr(ran.out, "p  10.96.0.0/28  draining\n") != NULL, "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "_____#________") != NULL, "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "_ free, draining: not given out   # held") != NULL, "%s",
                  ran.out);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_large_range_is_drawn_by_density) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/12", 0);
    hold_many(pool, "10.96.8.0", 0, 2);     /* of 2048 in a mark: the lowest level */
    hold_many(pool, "10.111.255.0", 1, 10); /* the last mark */
    exclude(pool, "10.96.16.0", "10.96.23.255");
    struct ran ran = ctl_expect(0, "map p --ascii --columns=40 --store=%s", url);
    /* 16 marks fit beside a label, 768 are asked for: 512 marks of 2048 addresses. */
    ck_assert_msg(strstr(ran.out, "p  10.96.0.0/12  each mark is 2048 addresses\n") == ran.out,
                  "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "\n10.96.0.0    .1x.............\n10.96.128.0  ......") != NULL,
                  "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "\n10.111.128.0 ...............1\nstatic") != NULL, "%s",
                  ran.out);
    ck_assert_msg(strstr(ran.out, "\n1-9 partly held   . free   x excluded\n") != NULL, "%s",
                  ran.out);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(marks_tell_how_full_a_block_is) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.0.0.0/18", 0); /* 16 addresses a mark at 1024 marks */
    hold_many(pool, "10.0.1.0", 0, 16);
    hold_many(pool, "10.0.1.0", 16, 15);
    hold_many(pool, "10.0.1.0", 32, 8);
    hold_many(pool, "10.0.1.0", 48, 1);
    hold_many(pool, "10.0.1.0", 64, 8);
    exclude(pool, "10.0.1.72", "10.0.1.79"); /* all that may be held is */
    struct ran ran = ctl_expect(0, "map p --ascii --columns=50 --store=%s", url);
    ck_assert_msg(strstr(ran.out, "\n10.0.0.0  ::::::::::::::::#951#...........\n") != NULL, "%s",
                  ran.out);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(an_ipv6_range_of_any_size_is_drawn) {
    begin_open();
    ipalloc_pool *pool = define("p", "fd00::/64", 0);
    hold(pool, "fd00::8000:0:0:1");
    struct ran ran = ctl_expect(0, "map p --ascii --store=%s", url);
    ck_assert_msg(strstr(ran.out, "\nfd00::8000:0:0:0 1...") != NULL, "%s", ran.out);
    ck_assert_msg(strstr(ran.out, "18446744073709551615 usable: 1 held (0.0 %), 0 cooling, 0 "
                                  "excluded, 18446744073709551614 free\n") != NULL,
                  "%s", ran.out);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(ports_are_drawn_too) {
    begin_open();
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_PORT,
                                          .port_first = 30000,
                                          .port_last = 30019};
    ipalloc_pool *pool = NULL;
    ipalloc_txn *txn = NULL;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "o"};
    ck_assert_status(ipalloc_pool_define(registry, "ports", &definition, &pool, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_reserve_port(txn, pool, "s", 30017, NULL, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    expect_drawing("ports", "--ascii",
                   "ports  30000-30019\n"
                   "30000 ::::::::::::::::.#..\n"
                   "static band 30000 - 30015\n"
                   "20 usable: 1 held (5.0 %), 0 cooling, 0 excluded, 19 free\n"
                   ". free   : free, static band   # held\n");
    end();
}
END_TEST

START_TEST(colour_only_where_it_is_asked_for_or_seen) {
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/28", 0);
    hold(pool, "10.96.0.6");
    struct ran ran = ctl_expect(0, "map p --store=%s", url); /* into a file */
    ck_assert_ptr_null(strchr(ran.out, '\033'));
    ran_free(&ran);
    ran = ctl_expect(0, "map p --color=always --store=%s", url);
    ck_assert_ptr_nonnull(strstr(ran.out, "\033[32m█\033[0m"));
    ran_free(&ran);
    end();
}
END_TEST

/* -1: this machine has none to give. */
static int open_terminal(void) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0 && (grantpt(terminal) != 0 || unlockpt(terminal) != 0)) {
        close(terminal);
        terminal = -1;
    }
    return terminal;
}

/* What it writes to a terminal of so many columns. */
static void run_on_terminal(unsigned short columns, char *out, size_t capacity) {
    struct winsize window = {.ws_row = 24, .ws_col = columns};
    char store_flag[600];
    size_t size = 0;
    ssize_t got;
    int terminal = open_terminal();
    ck_assert_int_ge(terminal, 0);
    ck_assert_int_eq(ioctl(terminal, TIOCSWINSZ, &window), 0);
    int inner = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(inner, 0);
    snprintf(store_flag, sizeof store_flag, "--store=%s", url);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(inner, STDOUT_FILENO);
        execl(getenv("IPALLOCCTL"), "ipallocctl", "map", "p", store_flag, NULL);
        _exit(127);
    }
    close(inner);
    while (size + 1 < capacity &&
           (got = read(terminal, out + size, capacity - 1 - size)) > 0) { /* EIO at its end */
        size += (size_t)got;
    }
    out[size] = '\0';
    close(terminal);
    waitpid(pid, NULL, 0);
}

START_TEST(a_terminals_width_is_used_and_colour_unless_refused) {
    char out[65536];
    int terminal = open_terminal();
    if (terminal < 0) { /* in a bare root directory, /dev/pts is not mounted */
        printf("no terminals here: nothing is tried on one\n");
        return;
    }
    close(terminal);
    begin_open();
    ipalloc_pool *pool = define("p", "10.96.0.0/24", 0);
    hold(pool, "10.96.0.6");
    unsetenv("NO_COLOR");
    run_on_terminal(150, out, sizeof out); /* 128 marks and a label */
    ck_assert_msg(strstr(out, "\n10.96.0.128 ") != NULL, "%s", out);
    ck_assert_msg(strstr(out, "\n10.96.0.64 ") == NULL, "%s", out);
    ck_assert_msg(strchr(out, '\033') != NULL, "%s", out);
    run_on_terminal(80, out, sizeof out);
    ck_assert_msg(strstr(out, "\n10.96.0.64 ") != NULL, "%s", out);
    ck_assert_msg(strstr(out, "\n10.96.0.32 ") == NULL, "%s", out);
    setenv("NO_COLOR", "1", 1);
    run_on_terminal(40, out, sizeof out);
    ck_assert_msg(strstr(out, "\n10.96.0.16 ") != NULL, "%s", out);
    ck_assert_msg(strchr(out, '\033') == NULL, "%s", out);
    end();
}
END_TEST

static const struct {
    const char *what;
    const char *says;
} refusals[] = {
    {"q", "there is no pool"},
    {"10.97.0.0/24", "10.97.0.0/24 is in no pool"},
    {"10.96.0.1/24", "10.96.0.1/24"},
};

START_TEST(what_is_no_range_is_refused) {
    begin_open();
    define("p", "10.96.0.0/28", 0);
    struct ran ran = ctl_expect(1, "map %s --store=%s", refusals[_i].what, url);
    ck_assert_msg(strstr(ran.errors, refusals[_i].says) != NULL, "%s", ran.errors);
    ran_free(&ran);
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl map");
    TCase *cases = tcase_create("map");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_small_range_shows_each_address);
    tcase_add_test(cases, the_static_band_is_told_apart);
    tcase_add_test(cases, a_part_of_a_range_is_drawn_closer);
    tcase_add_test(cases, a_draining_range_says_so);
    tcase_add_test(cases, a_large_range_is_drawn_by_density);
    tcase_add_test(cases, marks_tell_how_full_a_block_is);
    tcase_add_test(cases, an_ipv6_range_of_any_size_is_drawn);
    tcase_add_test(cases, ports_are_drawn_too);
    tcase_add_test(cases, colour_only_where_it_is_asked_for_or_seen);
    tcase_add_test(cases, a_terminals_width_is_used_and_colour_unless_refused);
    tcase_add_loop_test(cases, what_is_no_range_is_refused, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
