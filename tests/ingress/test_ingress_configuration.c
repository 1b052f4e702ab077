/*
 * test_ingress_configuration.c: which Ingresses are left out where nginx refuses them together.
 *
 * A shell script stands in for nginx: it refuses what holds a word of the file "bad", or two that
 * a line of the file "quarrel" names, everything while there is a file "away", and whatever comes
 * as the call of a number in "fail-at". It counts its calls.
 */
#include "configuration.h"
#include "ingress_world.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char script[] =
    "#!/bin/sh\n"
    "cd \"$2\" && echo >>calls\n"
    "[ ! -e away ] || { echo 'nginx is away' >&2; exit 1; }\n"
    "[ ! -e fail-at ] || ! grep -qx \"$(wc -l <calls)\" fail-at || exit 1\n"
    "while read -r word; do if grep -q \"$word\" \"$4\"; then echo \"I hate $word\" >&2; exit 1; "
    "fi\n"
    "done <bad\n"
    "while read -r one other; do if grep -q \"$one\" \"$4\" && grep -q \"$other\" \"$4\"; then\n"
    "echo \"not $one with $other\" >&2; exit 1; fi; done <quarrel\n";

static const char *directory;
static char program[400];
static struct ingress_options options;
static struct client *client;
static struct configurator configurator;
static struct ingress *ingresses;
static struct text out;

static void write_words(const char *name, const char *words) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(words, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_file(const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    ck_assert_int_eq(unlink(path), 0);
}

static size_t calls(void) {
    char path[400];
    struct stat status = {0};
    snprintf(path, sizeof path, "%s/calls", directory);
    (void)stat(path, &status); /* none yet: 0 */
    return (size_t)status.st_size;
}

static void begin(void) {
    struct client_options server = {.server = "http://127.0.0.1:1", .name = "test"};
    struct text problem = {0};
    directory = test_directory_make();
    write_words("nginx", script);
    write_words("bad", "");
    write_words("quarrel", "");
    snprintf(program, sizeof program, "%s/nginx", directory);
    ck_assert_int_eq(chmod(program, 0700), 0);
    options = (struct ingress_options){
        .directory = directory, .nginx = program, .http_port = 80, .https_port = 443};
    client = client_open(&server, &problem);
    configurator = (struct configurator){.options = &options,
                                         .services = client_follow(client, "/services", NULL, NULL),
                                         .secrets = client_follow(client, "/secrets", NULL, NULL)};
    ingresses = NULL;
}

static void end(void) {
    world_free(ingresses);
    text_clear(&out);
    configurator_clear(&configurator);
    client_close(client);
    test_directory_remove(directory);
}

/* The eldest is called "i0", and its host "i0.x". */
static void add_many(int from, int to) {
    for (int i = from; i < to; i++) {
        char name[32], spec[300];
        snprintf(name, sizeof name, "default/i%d", i);
        snprintf(spec, sizeof spec, "'rules':[" RULE("i%d.x", PATH("/", "Prefix", "a")) "]", i);
        world_add(&ingresses, name, spec);
    }
}

/* As the program does with each change: all are gathered anew. */
static bool find(void) {
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        at->left_out = false;
        at->problems.size = 0;
    }
    return configuration_find(&configurator, ingresses, &out);
}

static const char *left_out(void) {
    static char names[400];
    names[0] = '\0';
    for (const struct ingress *at = ingresses; at != NULL; at = at->next) {
        if (at->left_out) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? " " : "",
                     strchr(at->name, '/') + 1);
            ck_assert_ptr_null(strstr(out.data, names + used + (used > 0)));
        }
    }
    return names;
}

static const char *problems_of(int number) {
    const struct ingress *at = ingresses;
    for (; number > 0; number--) {
        at = at->next;
    }
    return at->problems.size > 0 ? at->problems.data : "";
}

START_TEST(bad_ones_are_found_by_halves_and_remembered) {
    add_many(0, 200);
    write_words("bad", "i0\\.x\ni77\\.x\ni199\\.x\n");
    ck_assert(find());
    ck_assert_str_eq(left_out(), "i0 i77 i199");
    ck_assert_ptr_nonnull(strstr(problems_of(77), "Refused\t"));
    ck_assert_ptr_nonnull(strstr(problems_of(77), "I hate i77"));
    ck_assert_uint_le(calls(), 3 * 12 + 2); /* 8 halvings and 4 to be sure, for each */
    size_t before = calls();
    add_many(200, 201);
    ck_assert(find());
    ck_assert_str_eq(left_out(), "i0 i77 i199");
    ck_assert_ptr_nonnull(strstr(out.data, "i200.x"));
    ck_assert_uint_eq(calls(), before + 1);
}
END_TEST

/* Each is well alone: the younger of two that do not go together gives way. */
START_TEST(who_is_refused_beside_an_elder_is_left_out) {
    add_many(0, 20);
    write_words("quarrel", "i3\\.x i15\\.x\ni4\\.x i5\\.x\n");
    ck_assert(find());
    ck_assert_str_eq(left_out(), "i5 i15");
    ck_assert_ptr_nonnull(strstr(problems_of(15), "not i3"));
    ck_assert_ptr_null(strstr(problems_of(3), "Refused"));
}
END_TEST

START_TEST(nobody_is_to_blame_while_nginx_is_away) {
    add_many(0, 5);
    write_words("away", "");
    ck_assert(!find());
    ck_assert_str_eq(left_out(), "");
    remove_file("away");
    ck_assert(find());
    ck_assert_str_eq(left_out(), "");
    ck_assert_ptr_null(strstr(problems_of(0), "Refused"));
}
END_TEST

/* The whole is refused once, and so is one more of those that are tried to find out why: of 9, 4
 * halvings. */
START_TEST(faults_that_pass_blame_nobody) {
    add_many(0, 9);
    for (size_t second = 2; second <= 7; second++) {
        char at[40];
        snprintf(at, sizeof at, "%zu\n%zu\n", calls() + 1, calls() + second);
        write_words("fail-at", at);
        ck_assert(!find());
        ck_assert_msg(left_out()[0] == '\0', "%zu: %s", second, left_out());
        remove_file("fail-at");
        ck_assert(find());
        ck_assert_str_eq(left_out(), "");
    }
}
END_TEST

/* With one that is bad, and a fault in each of the tests that look for it: it, or nobody. */
START_TEST(a_fault_that_passes_blames_no_other_than_the_bad_one) {
    add_many(0, 9);
    write_words("bad", "i6\\.x\n");
    for (int round = 1; round < 15; round++) {
        char at[16];
        snprintf(at, sizeof at, "%zu\n", calls() + (size_t)round);
        write_words("fail-at", at);
        (void)find();
        ck_assert_msg(left_out()[0] == '\0' || strcmp(left_out(), "i6") == 0, "round %d: %s", round,
                      left_out());
        remove_file("fail-at");
        ck_assert(find());
        ck_assert_str_eq(left_out(), "i6");
        configurator_clear(&configurator); /* what it remembers */
        configurator.refused = NULL;
    }
}
END_TEST

START_TEST(one_that_is_mended_is_served_at_once) {
    add_many(0, 4);
    write_words("bad", "i2\\.x\n");
    ck_assert(find());
    ck_assert_str_eq(left_out(), "i2");
    world_free(ingresses);
    ingresses = NULL;
    add_many(0, 2);
    world_add(&ingresses, "default/i2", "'rules':[" RULE("good.x", PATH("/", "Prefix", "a")) "]");
    ck_assert(find());
    ck_assert_str_eq(left_out(), "");
    ck_assert_ptr_nonnull(strstr(out.data, "good.x"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ingress configuration");
    TCase *tests = tcase_create("configuration");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 50);
    tcase_add_test(tests, bad_ones_are_found_by_halves_and_remembered);
    tcase_add_test(tests, who_is_refused_beside_an_elder_is_left_out);
    tcase_add_test(tests, nobody_is_to_blame_while_nginx_is_away);
    tcase_add_test(tests, faults_that_pass_blame_nobody);
    tcase_add_test(tests, a_fault_that_passes_blames_no_other_than_the_bad_one);
    tcase_add_test(tests, one_that_is_mended_is_served_at_once);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
