/* What a table of fields does to objects: see schema.h. */
#include "resource.h"
#include "support.h"

#include <string.h>

static const struct {
    const struct resource *resource;
    const char *object, *arranged;
} rows[] = {
    {&resource_config_maps, "{\"immutable\":true,\"data\":{\"a\":\"b\"},\"kind\":\"ConfigMap\"}",
     "{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"b\"},\"immutable\":true}"},
    /* a time, base64, a member and an element that none would be let in with now */
    {&resource_events, "{\"lastTimestamp\":\"once\",\"kind\":\"Event\"}",
     "{\"kind\":\"Event\",\"lastTimestamp\":\"once\"}"},
    {&resource_secrets, "{\"type\":\"a\",\"data\":{\"a\":\"!\"}}",
     "{\"data\":{\"a\":\"!\"},\"type\":\"a\"}"},
    {&resource_ingress_classes, "{\"spec\":{\"parameters\":1,\"controller\":\"a/b\"}}",
     "{\"spec\":{\"controller\":\"a/b\",\"parameters\":1}}"},
    {&resource_endpoints, "{\"subsets\":[1,{\"ports\":[{\"port\":\"a\",\"name\":\"b\"}]}]}",
     "{\"subsets\":[1,{\"ports\":[{\"name\":\"b\",\"port\":\"a\"}]}]}"},
};

/* A record begins with apiVersion, kind and metadata, whatever is carried over from the last one.
 */
START_TEST(what_was_stored_is_arranged_and_never_refused) {
    struct json_object *object = json_tokener_parse(rows[_i].object);
    struct json_object *out = schema_arrange(rows[_i].resource->schema, object);
    ck_assert_str_eq(json_line(out, NULL), rows[_i].arranged);
    json_object_put(out);
    json_object_put(object);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schema");
    TCase *cases = tcase_create("schema");
    tcase_add_loop_test(cases, what_was_stored_is_arranged_and_never_refused, 0, LENGTH(rows));
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
