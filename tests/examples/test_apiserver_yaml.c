/* YAML in and out: words, structure, limits, refusals; each row is a rule of yaml_text.h. */
#include "support.h"
#include "yaml_text.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *yaml;
    const char *json;  /* NULL: refused */
    const char *words; /* what the refusal says */
};

static const struct row rows[] = {
    /* words of YAML 1.1 */
    {"[y, Yes, YES, true, True, on, ON]", "[true,true,true,true,true,true,true]", NULL},
    {"[n, No, NO, false, FALSE, off, Off]", "[false,false,false,false,false,false,false]", NULL},
    {"[~, null, Null, NULL]", "[null,null,null,null]", NULL},
    {"a:\nb: \n", "{\"a\":null,\"b\":null}", NULL},
    {"['yes', \"null\", '80', !!str 80]", "[\"yes\",\"null\",\"80\",\"80\"]", NULL},
    {"[yEs, oN, nUll, ya]", "[\"yEs\",\"oN\",\"nUll\",\"ya\"]", NULL},
    /* numbers */
    {"[0, 80, -1, +7, 1_000]", "[0,80,-1,7,1000]", NULL},
    {"[0x1F, 0o17, 017, 0b101, -0x10]", "[31,15,15,5,-16]", NULL},
    {"[08, 1.5, .5, 2., 1e3, 1.5e-1]", "[8,1.5,0.5,2,1000,0.15]", NULL},
    {"[9223372036854775807, -9223372036854775808]", "[9223372036854775807,-9223372036854775808]",
     NULL},
    {"[1.2.3, 10.96.0.1, 1-2, 0x, 0b2, e5, -, +, ., 2001-01-01]",
     "[\"1.2.3\",\"10.96.0.1\",\"1-2\",\"0x\",\"0b2\",\"e5\",\"-\",\"+\",\".\",\"2001-01-01\"]",
     NULL},
    {"[.inf, -.inf, .nan, nan, inf, 1e999]",
     "[\".inf\",\"-.inf\",\".nan\",\"nan\",\"inf\",\"1e999\"]", NULL},
    /* keys are text */
    {"80: a\nyes: b\n'': c\n1.5: d\n0x10: e\n",
     "{\"80\":\"a\",\"true\":\"b\",\"\":\"c\",\"1.5\":\"d\",\"16\":\"e\"}", NULL},
    {"~: a", NULL, "a key must be a word"},
    {"[a]: b", NULL, "a key must be a word"},
    {"a: 1\nb: 2\na: 3", NULL, "line 3 column 1: key \"a\" already set in map"},
    {"1: a\n0x1: b", NULL, "already set"},
    /* structure */
    {"---\na: [b, {c: d}]\n...\n", "{\"a\":[\"b\",{\"c\":\"d\"}]}", NULL},
    {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}", NULL},
    {"# remark\n{\"a\": \"b\", \"c\": [1]}", "{\"a\":\"b\",\"c\":[1]}", NULL},
    {" {\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xf0\x9f\x98\x80\"}", NULL},
    {"{a: b, c: d}", "{\"a\":\"b\",\"c\":\"d\"}", NULL},
    /* anchors, aliases, merge keys */
    {"a: &x {b: 1}\nc: *x", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}", NULL},
    {"a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}", NULL},
    {"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3",
     "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"c\":3,\"b\":1}}", NULL},
    {"d:\n  <<: [{a: 1}, {a: 2, b: 2}]", "{\"d\":{\"a\":1,\"b\":2}}", NULL},
    {"d: {<<: 3}", NULL, "map merge requires"},
    {"d: {<<: [3]}", NULL, "map merge requires"},
    {"'<<': 3", "{\"<<\":3}", NULL},
    {"a: &x [*x]", NULL, "undefined alias"},
    {"a: *y", NULL, "undefined alias"},
    /* tags */
    {"[!!int 3, !!bool yes, !!null ~, !!float 1.5]", "[3,true,null,1.5]", NULL},
    {"!!map {a: !!seq [b]}", "{\"a\":[\"b\"]}", NULL},
    {"a: !!int b", NULL, "does not fit"},
    {"a: !thing b", NULL, "a tag that is not known"},
    {"a: !!python/object {}", NULL, "a tag that is not known"},
    {"a: !!binary Zm9v", NULL, "a tag that is not known"},
    /* directives; a % further in is none */
    {"%YAML 1.1\n---\na: b", NULL, "directives are not read"},
    {"a: b\n...\n%TAG ! b\n---\n", NULL, "directives are not read"},
    {"a: b%\nc:\n  |\n  %d", "{\"a\":\"b%\",\"c\":\"%d\"}", NULL},
    {"\n%", NULL, "directives are not read"},
    /* what is no document, or more than one */
    {"", NULL, "the body is empty"},
    {"# nothing\n", NULL, "the body is empty"},
    {"~", NULL, "null is not an object"},
    {"a: 1\n---\nb: 2", NULL, "more than one document"},
    {"a: [1", NULL, "did not find expected"},
    {"a: b: c", NULL, "mapping values are not allowed"},
    {"a:\n\t- b", NULL, "line 2"},
    {"a: \"\\0\"", NULL, "NUL"},
    {"a: \xff", NULL, "UTF-8"},
    {"{\"a\": \"b\"", NULL, "did not find expected"},
};

START_TEST(documents_are_read_as_the_rules_say) {
    const struct row *row = &rows[_i];
    struct text problem = {0};
    struct json_object *value = yaml_parse(row->yaml, strlen(row->yaml), &problem);
    if (row->json == NULL) {
        ck_assert_msg(value == NULL, "%s gave %s", row->yaml, json_line(value, NULL));
        ck_assert_msg(problem.size > 0 && strstr(problem.data, row->words) != NULL, "%s: %s",
                      row->yaml, problem.data);
    } else {
        struct json_object *expected = json_tokener_parse(row->json);
        ck_assert_msg(value != NULL, "%s: %s", row->yaml, problem.data);
        ck_assert_msg(json_object_equal(value, expected), "%s gave %s", row->yaml,
                      json_line(value, NULL));
        json_object_put(expected);
    }
    json_object_put(value);
    text_clear(&problem);
}
END_TEST

START_TEST(what_is_written_reads_the_same) {
    const struct row *row = &rows[_i];
    struct json_object *value = row->json != NULL ? json_tokener_parse(row->json) : NULL;
    struct text written = {0};
    struct text problem = {0};
    if (value != NULL) {
        yaml_add(&written, value);
        struct json_object *again = yaml_parse(written.data, written.size, &problem);
        ck_assert_msg(again != NULL && json_object_equal(value, again), "%s was written as\n%s%s",
                      row->json, written.data, problem.size > 0 ? problem.data : "");
        json_object_put(again);
    }
    text_clear(&written);
    json_object_put(value);
}
END_TEST

START_TEST(text_is_quoted_only_where_it_must_be) {
    struct json_object *value = json_tokener_parse(
        "{\"kind\":\"Service\",\"a\":\"yes\",\"b\":\"80\",\"c\":[\"x: y\",\"\"],\"d\":{},\"e\":[],"
        "\"f\":80,\"g\":true,\"h\":null,\"i\":\"one\\ntwo\\n\"}");
    struct text written = {0};
    yaml_add(&written, value);
    ck_assert_str_eq(written.data, "kind: Service\na: \"yes\"\nb: \"80\"\nc:\n- 'x: y'\n- \"\"\n"
                                   "d: {}\ne: []\nf: 80\ng: true\nh: null\ni: |\n  one\n  two\n");
    text_clear(&written);
    json_object_put(value);
}
END_TEST

static void refused(const struct text *yaml, const char *words) {
    struct text problem = {0};
    struct json_object *value = yaml_parse(yaml->data, yaml->size, &problem);
    ck_assert_ptr_null(value);
    ck_assert_msg(strstr(problem.data, words) != NULL, "%s", problem.data);
    text_clear(&problem);
}

/* Ten of ten of ten: 10^9 values from a few hundred bytes. */
START_TEST(aliases_of_aliases_end_before_memory_does) {
    struct text yaml = {0};
    text_add(&yaml, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        text_format(&yaml, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            text_format(&yaml, "%s*a%d", j > 0 ? "," : "", i - 1);
        }
        text_add(&yaml, "]\n");
    }
    refused(&yaml, "the aliases stand for too many values");
    text_clear(&yaml);
}
END_TEST

START_TEST(merged_aliases_count_too) {
    struct text yaml = {0};
    text_add(&yaml, "a: &a {");
    for (int i = 0; i < 200; i++) {
        text_format(&yaml, "%sk%d: v", i > 0 ? ", " : "", i);
    }
    text_add(&yaml, "}\nb:\n");
    for (int i = 0; i < 60; i++) {
        text_add(&yaml, "- {<<: *a}\n");
    }
    refused(&yaml, "the aliases stand for too many values");
    text_clear(&yaml);
}
END_TEST

START_TEST(depth_and_anchors_are_bounded) {
    struct text deep = {0};
    for (int i = 0; i < 100000; i++) {
        text_add(&deep, "[");
    }
    refused(&deep, "nested too deeply");
    text_clear(&deep);
    for (int i = 0; i < JSON_DEPTH_MAX + 1; i++) {
        text_add(&deep, "- ");
    }
    refused(&deep, "nested too deeply");
    text_clear(&deep);
    for (int i = 0; i <= YAML_ANCHORS_MAX; i++) {
        text_format(&deep, "- &a%d x\n", i);
    }
    refused(&deep, "too many anchors");
    text_clear(&deep);
}
END_TEST

/* Aliases that hang values below values do not get around the limit of depth. */
START_TEST(aliases_do_not_nest_deeper) {
    struct text yaml = {0};
    text_add(&yaml, "a0: &a0 [x]\n");
    for (int i = 1; i < 90; i++) {
        text_format(&yaml, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    refused(&yaml, "nested too deeply");
    text_clear(&yaml);
}
END_TEST

/* Documents of marks that mean something, and what is read is written and read again. */
START_TEST(random_documents_are_refused_or_read_but_never_harm) {
    static const char marks[] = "a1-:?&*!|>[]{},#%@'\"~\\ \n\t<.x\xc3\xa9\xff";
    uint64_t state = test_seed();
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        char bytes[64];
        struct text problem = {0};
        struct text written = {0};
        size_t size = test_random(&state) % sizeof bytes;
        for (size_t j = 0; j < size; j++) {
            bytes[j] = marks[test_random(&state) % (sizeof marks - 1)];
        }
        char *exact = memcpy(memory_allocate(size + 1), bytes, size);
        struct json_object *value = yaml_parse(exact, size, &problem);
        ck_assert((value == NULL) == (problem.size > 0));
        if (value != NULL) {
            yaml_add(&written, value);
            struct json_object *again = yaml_parse(written.data, written.size, &problem);
            ck_assert_msg(json_object_equal(value, again), "%s was written as %s",
                          json_line(value, NULL), written.data);
            json_object_put(again);
        }
        free(exact);
        json_object_put(value);
        text_clear(&written);
        text_clear(&problem);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("yaml");
    TCase *cases = tcase_create("yaml");
    int count = (int)(sizeof rows / sizeof rows[0]);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, documents_are_read_as_the_rules_say, 0, count);
    tcase_add_loop_test(cases, what_is_written_reads_the_same, 0, count);
    tcase_add_test(cases, text_is_quoted_only_where_it_must_be);
    tcase_add_test(cases, aliases_of_aliases_end_before_memory_does);
    tcase_add_test(cases, merged_aliases_count_too);
    tcase_add_test(cases, depth_and_anchors_are_bounded);
    tcase_add_test(cases, aliases_do_not_nest_deeper);
    tcase_add_test(cases, random_documents_are_refused_or_read_but_never_harm);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
