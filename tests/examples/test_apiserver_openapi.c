/* OpenAPI 2: the bytes of its protobuf form, and that what kubectl looks for is in all forms. */
#include "openapi.h"
#include "server_process.h"
#include "support.h"

#include <string.h>

#define SERVICE_SCHEMA "io.k8s.api.core.v1.Service"
#define SLICE_SCHEMA   "io.k8s.api.discovery.v1.EndpointSlice"

/* One of each kind of member; the numbers are those of gnostic's OpenAPIv2.proto. */
START_TEST(a_document_is_these_bytes) {
    static const char document[] =
        "{\"swagger\":\"2.0\",\"paths\":{\"/p\":{\"patch\":{\"parameters\":[{\"in\":\"query\","
        "\"name\":\"n\",\"type\":\"string\"}],\"x-a\":\"b\"}}},\"definitions\":{\"D\":{\"type\":"
        "\"object\",\"properties\":{\"f\":{\"type\":\"array\",\"items\":{\"format\":\"g\"}}}}}}";
    static const char expected[] = "0a03322e30" /* swagger */
                                   "4232"       /* paths */
                                   "1230"
                                   "0a022f70"
                                   "122a" /* one, named /p */
                                   "4228" /* its patch */
                                   "4218"
                                   "0a16"
                                   "1214"
                                   "1a12"             /* a parameter, wrapped */
                                   "12057175657279"   /* in */
                                   "22016e"           /* name */
                                   "3206737472696e67" /* type */
                                   "6a0c"
                                   "0a03782d61"
                                   "1205"
                                   "1203226222" /* x-a: "b" as YAML */
                                   "4a2e"       /* definitions */
                                   "0a2c"
                                   "0a0144"
                                   "1227"   /* one, named D */
                                   "ca0119" /* properties */
                                   "0a17"
                                   "0a0166"
                                   "1212" /* one, named f */
                                   "ba0105"
                                   "0a03"
                                   "120167" /* items, with a format */
                                   "b20107"
                                   "0a056172726179" /* type array */
                                   "b20108"
                                   "0a066f626a656374"; /* type object */
    struct json_object *value = json_tokener_parse(document);
    struct text out = {0};
    struct text hex = {0};
    gnostic_encode(value, &out);
    for (size_t i = 0; i < out.size; i++) {
        text_format(&hex, "%02x", (unsigned char)out.data[i]);
    }
    ck_assert_str_eq(hex.data, expected);
    json_object_put(value);
    text_clear(&out);
    text_clear(&hex);
}
END_TEST

START_TEST(each_client_is_answered_in_its_form) {
    static const struct {
        const char *accept, *content_type, *holds;
    } rows[] = {
        {NULL, "application/json", "{\"swagger\":\"2.0\""},
        {"application/json", "application/json", "{\"swagger\":\"2.0\""},
        {"application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
         "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
         "\x0a\x03"
         "2.0"},
        {"application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/octet-stream",
         "\x0a\x03"
         "2.0"},
    };
    struct server_process server = server_start((const char *const[]){NULL});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer =
            server_ask(&server, "GET", "/openapi/v2", NULL, rows[i].accept, NULL, 0);
        ck_assert_int_eq(answer.code, 200);
        ck_assert_mem_eq(answer.text, rows[i].holds, strlen(rows[i].holds));
        ck_assert_str_eq(answer.content_type, rows[i].content_type);
        answer_free(&answer);
    }
    ck_assert_int_eq(server_stop(&server), 0);
}
END_TEST

/* kubectl looks a kind up by its group, version and kind, merges lists by these keys, and takes a
 * dry-run only where the patch operation has the parameter. */
START_TEST(kubectl_finds_what_it_looks_for) {
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"type", "object"},
        {"x-kubernetes-group-version-kind.0.kind", "Service"},
        {"properties.spec.properties.ports.x-kubernetes-patch-merge-key", "port"},
        {"properties.spec.properties.ports.x-kubernetes-patch-strategy", "merge"},
        {"properties.spec.properties.ports.x-kubernetes-list-map-keys.1", "protocol"},
        {"properties.spec.properties.ports.items.properties.nodePort.type", "integer"},
        {"properties.metadata.properties.finalizers.x-kubernetes-list-type", "set"},
        {"properties.spec.properties.clusterIPs.x-kubernetes-patch-strategy", ""},
    };
    struct server_process server = server_start((const char *const[]){NULL});
    struct answer answer = server_get(&server, "/openapi/v2");
    struct json_object *service = json_at(answer.json, "definitions", SERVICE_SCHEMA, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_str_eq(json_text_at(service, rows[i].path), rows[i].value);
    }
    struct json_object *slice = json_at(answer.json, "definitions", SLICE_SCHEMA, NULL);
    ck_assert_str_eq(json_text_at(slice, "properties.ports.type"), "array");
    ck_assert_str_eq(json_text_at(slice, "properties.ports.x-kubernetes-patch-strategy"), "");
    struct json_object *patch = json_at(
        answer.json, "paths", "/api/v1/namespaces/{namespace}/services/{name}", "patch", NULL);
    ck_assert_str_eq(json_text_at(patch, "parameters.0.name"), "dryRun");
    ck_assert_str_eq(json_text_at(patch, "x-kubernetes-group-version-kind.kind"), "Service");
    answer_free(&answer);
    ck_assert_int_eq(server_stop(&server), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("openapi");
    TCase *cases = tcase_create("openapi");
    tcase_add_test(cases, a_document_is_these_bytes);
    tcase_add_test(cases, each_client_is_answered_in_its_form);
    tcase_add_test(cases, kubectl_finds_what_it_looks_for);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
