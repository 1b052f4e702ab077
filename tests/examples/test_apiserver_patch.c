/* The patches of patch.c: the RFCs' own examples, Kubernetes' directives, and refusals. */
#include "patch.h"
#include "resource.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

struct row {
    enum patch_kind kind;
    const char *object, *patch;
    const char *result; /* NULL: refused */
};

/* How lists merge depends on whose they are: a part of a kind, and what is done to it. */
struct merge_row {
    const struct resource *resource;
    const char *part; /* the path element below the object; NULL: the object itself */
    struct row row;
};

static const struct row rows[] = {
    /* RFC 7386, appendix A */
    {PATCH_MERGE, "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {PATCH_MERGE, "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {PATCH_MERGE, "{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {PATCH_MERGE, "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {PATCH_MERGE, "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {PATCH_MERGE, "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {PATCH_MERGE, "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
     "{\"a\":{\"b\":\"d\"}}"},
    {PATCH_MERGE, "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {PATCH_MERGE, "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {PATCH_MERGE, "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {PATCH_MERGE, "{}", "[]", NULL},
    /* RFC 6902, appendix A */
    {PATCH_JSON, "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
     "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
    {PATCH_JSON, "{\"foo\":[\"bar\",\"baz\"]}",
     "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
     "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
    {PATCH_JSON, "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]",
     "{\"foo\":\"bar\"}"},
    {PATCH_JSON, "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
     "{\"foo\":[\"bar\",\"baz\"]}"},
    {PATCH_JSON, "{\"baz\":\"qux\",\"foo\":\"bar\"}",
     "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
     "{\"baz\":\"boo\",\"foo\":\"bar\"}"},
    {PATCH_JSON, "{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
     "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
     "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
    {PATCH_JSON, "{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
     "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
     "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
    {PATCH_JSON, "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
     "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},"
     "{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
     "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"},
    {PATCH_JSON, "{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]",
     NULL},
    {PATCH_JSON, "{\"foo\":\"bar\"}",
     "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
     "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
    {PATCH_JSON, "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]",
     NULL},
    {PATCH_JSON, "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]",
     "{\"/\":9,\"~1\":10}"},
    {PATCH_JSON, "{\"foo\":[\"bar\"]}",
     "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
     "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
    {PATCH_JSON, "{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]",
     "{\"a\":[1],\"b\":[1]}"},
    {PATCH_JSON, "{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL},
    {PATCH_JSON, "{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", NULL},
    {PATCH_JSON, "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL},
    {PATCH_JSON, "{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/01\"}]", NULL},
    {PATCH_JSON, "{\"a\":1}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", NULL},
    {PATCH_JSON, "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"a\"}]", NULL},
    {PATCH_JSON, "{\"a\":1}", "[3]", NULL},
    {PATCH_JSON, "{\"a\":1}", "{}", NULL},
    /* one operation that fails undoes those before it: nothing is returned */
    {PATCH_JSON, "{\"a\":1}",
     "[{\"op\":\"add\",\"path\":\"/b\",\"value\":1},{\"op\":\"remove\",\"path\":\"/c\"}]", NULL},
    /* strategic merge: ports by port and protocol */
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"nodePort\":30080}]}",
     "{\"ports\":[{\"port\":80,\"targetPort\":8080}]}",
     "{\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"nodePort\":30080,\"targetPort\":8080}]}"},
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":53,\"protocol\":\"TCP\"}]}",
     "{\"ports\":[{\"port\":53,\"protocol\":\"UDP\"}]}",
     "{\"ports\":[{\"port\":53,\"protocol\":\"TCP\"},{\"port\":53,\"protocol\":\"UDP\"}]}"},
    {PATCH_STRATEGIC,
     "{\"ports\":[{\"port\":53,\"protocol\":\"TCP\"},{\"port\":53,"
     "\"protocol\":\"UDP\"}]}",
     "{\"ports\":[{\"port\":53,\"protocol\":\"UDP\",\"$patch\":\"delete\"}]}",
     "{\"ports\":[{\"port\":53,\"protocol\":\"TCP\"}]}"},
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":1},{\"port\":2},{\"port\":3}]}",
     "{\"$setElementOrder/ports\":[{\"port\":3},{\"port\":4},{\"port\":1}],"
     "\"ports\":[{\"port\":4},{\"port\":2,\"$patch\":\"delete\"}]}",
     "{\"ports\":[{\"port\":3},{\"port\":4},{\"port\":1}]}"},
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":1}]}",
     "{\"ports\":[{\"$patch\":\"replace\"},{\"port\":2}]}", "{\"ports\":[{\"port\":2}]}"},
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":1}]}", "{\"ports\":[{\"targetPort\":2}]}", NULL},
    {PATCH_STRATEGIC, "{\"ports\":[{\"port\":1}]}", "{\"ports\":null}", "{}"},
    {PATCH_STRATEGIC, "{\"externalIPs\":[\"1.1.1.1\"]}", "{\"externalIPs\":[\"2.2.2.2\"]}",
     "{\"externalIPs\":[\"2.2.2.2\"]}"},
    {PATCH_STRATEGIC, "{\"selector\":{\"a\":\"b\",\"c\":\"d\"}}",
     "{\"selector\":{\"a\":null,\"e\":\"f\"}}", "{\"selector\":{\"c\":\"d\",\"e\":\"f\"}}"},
    {PATCH_STRATEGIC, "{\"selector\":{\"a\":\"b\"}}",
     "{\"selector\":{\"$patch\":\"replace\",\"e\":\"f\"}}", "{\"selector\":{\"e\":\"f\"}}"},
    {PATCH_STRATEGIC, "{\"selector\":{\"a\":\"b\"},\"x\":1}",
     "{\"selector\":{\"$patch\":\"delete\"}}", "{\"x\":1}"},
    {PATCH_STRATEGIC, "{\"spec\":{\"a\":1,\"b\":2}}",
     "{\"spec\":{\"$retainKeys\":[\"b\",\"c\"],\"c\":3}}", "{\"spec\":{\"b\":2,\"c\":3}}"},
    {PATCH_STRATEGIC, "{}", "[]", NULL},
};

static void check_patch(const struct row *row, const struct structure *structure) {
    struct text problem = {0};
    struct json_object *object = json_tokener_parse(row->object);
    struct json_object *patch = json_tokener_parse(row->patch);
    ck_assert_ptr_nonnull(object);
    ck_assert_ptr_nonnull(patch);
    struct json_object *out = patch_apply(row->kind, structure, object, patch, &problem);
    if (row->result == NULL) {
        ck_assert_msg(out == NULL, "%s gave %s", row->patch, json_line(out, NULL));
        ck_assert_msg(problem.size > 0, "%s: no reason", row->patch);
    } else {
        struct json_object *expected = json_tokener_parse(row->result);
        ck_assert_msg(out != NULL, "%s: %s", row->patch, problem.data);
        ck_assert_msg(json_object_equal(out, expected), "%s gave %s", row->patch,
                      json_line(out, NULL));
        json_object_put(expected);
    }
    /* the object itself is never changed */
    struct json_object *before = json_tokener_parse(row->object);
    ck_assert_msg(json_object_equal(object, before), "%s changed it", row->patch);
    json_object_put(before);
    json_object_put(out);
    json_object_put(object);
    json_object_put(patch);
    text_clear(&problem);
}

START_TEST(patches_do_what_their_rules_say) {
    struct structure service = structure_of(resource_services.schema);
    struct structure spec = structure_member(&service, "spec");
    check_patch(&rows[_i], &spec);
}
END_TEST

static const struct merge_row merge_rows[] = {
    {&resource_services,
     "metadata",
     {PATCH_STRATEGIC, "{\"finalizers\":[\"a\",\"b\"]}", "{\"finalizers\":[\"b\",\"c\"]}",
      "{\"finalizers\":[\"a\",\"b\",\"c\"]}"}},
    {&resource_services,
     "metadata",
     {PATCH_STRATEGIC, "{\"finalizers\":[\"a\",\"b\"]}",
      "{\"$deleteFromPrimitiveList/finalizers\":[\"a\"]}", "{\"finalizers\":[\"b\"]}"}},
    /* a Pod's ports by containerPort, within containers by name */
    {&resource_pods,
     "spec",
     {PATCH_STRATEGIC,
      "{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":1,\"name\":\"x\"}]},"
      "{\"name\":\"b\"}]}",
      "{\"containers\":[{\"name\":\"b\",\"image\":\"i\"},{\"name\":\"a\",\"ports\":["
      "{\"containerPort\":2},{\"containerPort\":1,\"name\":\"y\"}]}]}",
      "{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":1,\"name\":\"y\"},"
      "{\"containerPort\":2}]},{\"name\":\"b\",\"image\":\"i\"}]}"}},
    {&resource_pods,
     "spec",
     {PATCH_STRATEGIC, "{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":1}]}]}",
      "{\"containers\":[{\"name\":\"a\",\"ports\":[{\"port\":2}]}]}", NULL}},
    /* what the schema does not read, too */
    {&resource_pods,
     "spec",
     {PATCH_STRATEGIC, "{\"volumes\":[{\"name\":\"a\"}],\"tolerations\":[{\"key\":\"a\"}]}",
      "{\"volumes\":[{\"name\":\"b\"}],\"tolerations\":[{\"key\":\"b\"}]}",
      "{\"volumes\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"tolerations\":[{\"key\":\"b\"}]}"}},
    {&resource_nodes,
     "status",
     {PATCH_STRATEGIC, "{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}]}",
      "{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"n\"}]}",
      "{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},"
      "{\"type\":\"Hostname\",\"address\":\"n\"}]}"}},
    /* lists that are one value: of slices, of Endpoints, of Ingresses */
    {&resource_endpoint_slices,
     NULL,
     {PATCH_STRATEGIC, "{\"ports\":[{\"port\":1}],\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]}]}",
      "{\"ports\":[{\"name\":\"a\"}],\"endpoints\":[]}",
      "{\"ports\":[{\"name\":\"a\"}],\"endpoints\":[]}"}},
    {&resource_endpoints,
     NULL,
     {PATCH_STRATEGIC, "{\"subsets\":[{\"ports\":[{\"port\":1}]}]}",
      "{\"subsets\":[{\"ports\":[{\"port\":2}]}]}", "{\"subsets\":[{\"ports\":[{\"port\":2}]}]}"}},
    {&resource_ingresses,
     "spec",
     {PATCH_STRATEGIC, "{\"rules\":[{\"host\":\"a\"}]}", "{\"rules\":[{\"host\":\"b\"}]}",
      "{\"rules\":[{\"host\":\"b\"}]}"}},
};

START_TEST(lists_merge_by_their_kinds_keys) {
    const struct merge_row *row = &merge_rows[_i];
    struct structure structure = structure_of(row->resource->schema);
    if (row->part != NULL) {
        structure = structure_member(&structure, row->part);
    }
    check_patch(&row->row, &structure);
}
END_TEST

/* Operations that double a value each time: 60 of them would fill any memory. */
START_TEST(copies_of_copies_end_before_memory_does) {
    static const char *const paths[] = {"/a/b%d", "/a/-"}; /* each time another member */
    static const char *const objects[] = {"{\"a\":{}}", "{\"a\":[[]]}"};
    struct text patch = {0};
    struct text problem = {0};
    text_add(&patch, "[");
    for (int i = 0; i < 60; i++) {
        char path[16];
        snprintf(path, sizeof path, paths[_i], i);
        text_format(&patch, "%s{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"%s\"}", i > 0 ? "," : "",
                    path);
    }
    text_add(&patch, "]");
    struct json_object *object = json_tokener_parse(objects[_i]);
    struct json_object *operations = json_tokener_parse(patch.data);
    ck_assert_ptr_null(patch_apply(PATCH_JSON, NULL, object, operations, &problem));
    ck_assert_uint_gt(problem.size, 0);
    json_object_put(object);
    json_object_put(operations);
    text_clear(&patch);
    text_clear(&problem);
}
END_TEST

START_TEST(the_content_type_decides_the_kind) {
    ck_assert_int_eq(patch_kind_of("application/merge-patch+json"), PATCH_MERGE);
    ck_assert_int_eq(patch_kind_of("application/json-patch+json; charset=utf-8"), PATCH_JSON);
    ck_assert_int_eq(patch_kind_of("Application/Strategic-Merge-Patch+JSON"), PATCH_STRATEGIC);
    ck_assert_int_eq(patch_kind_of("application/apply-patch+yaml"), PATCH_APPLY);
    ck_assert_int_eq(patch_kind_of("application/json"), PATCH_UNKNOWN);
    ck_assert_int_eq(patch_kind_of("application/merge-patch+jsonx"), PATCH_UNKNOWN);
    ck_assert_int_eq(patch_kind_of(NULL), PATCH_UNKNOWN);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("patch");
    TCase *cases = tcase_create("patch");
    tcase_set_timeout(cases, 60); /* the sanitizers are slow with many small objects */
    tcase_add_loop_test(cases, patches_do_what_their_rules_say, 0,
                        (int)(sizeof rows / sizeof rows[0]));
    tcase_add_loop_test(cases, lists_merge_by_their_kinds_keys, 0,
                        (int)(sizeof merge_rows / sizeof merge_rows[0]));
    tcase_add_loop_test(cases, copies_of_copies_end_before_memory_does, 0, 2);
    tcase_add_test(cases, the_content_type_decides_the_kind);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
