/* The decoder of protobuf.c: bodies that kubectl 1.33 sent, and every damage to them. */
#include "protobuf.h"
#include "resource.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t load(const char *name, uint8_t *out, size_t capacity) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("TEST_DATA"), name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    size_t size = fread(out, 1, capacity, file);
    fclose(file);
    return size;
}

/* Decode from memory of exactly that size, so that a sanitizer sees any read beyond it. */
static struct json_object *decode(const struct schema *schema, const uint8_t *bytes, size_t size,
                                  struct text *problem) {
    uint8_t *exact = malloc(size > 0 ? size : 1);
    memcpy(exact, bytes, size);
    struct json_object *object = protobuf_decode(schema, exact, size, problem);
    free(exact);
    return object;
}

static const struct {
    const char *file, *json;
    bool namespace;
} recorded[] = {
    {"kubectl-1.33-create-clusterip-web.bin",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"labels\":"
     "{\"app\":\"web\"}},\"spec\":{\"ports\":[{\"name\":\"80-8080\",\"protocol\":\"TCP\",\"port\":"
     "80,\"targetPort\":8080},{\"name\":\"443-https\",\"protocol\":\"TCP\",\"port\":443,"
     "\"targetPort\":\"https\"}],\"selector\":{\"app\":\"web\"},\"type\":\"ClusterIP\"},"
     "\"status\":{\"loadBalancer\":{}}}",
     false},
    {"kubectl-1.33-create-nodeport-door.bin",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"door\",\"labels\":"
     "{\"app\":\"door\"}},\"spec\":{\"ports\":[{\"name\":\"80-8080\",\"protocol\":\"TCP\","
     "\"port\":80,\"targetPort\":8080,\"nodePort\":30080}],\"selector\":{\"app\":\"door\"},"
     "\"type\":\"NodePort\"},\"status\":{\"loadBalancer\":{}}}",
     false},
    {"kubectl-1.33-create-clusterip-quiet.bin",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"quiet\",\"labels\":"
     "{\"app\":\"quiet\"}},\"spec\":{\"selector\":{\"app\":\"quiet\"},\"clusterIP\":\"None\","
     "\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}",
     false},
    {"kubectl-1.33-create-externalname-far.bin",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"far\",\"labels\":"
     "{\"app\":\"far\"}},\"spec\":{\"selector\":{\"app\":\"far\"},\"type\":\"ExternalName\","
     "\"externalName\":\"example.com\"},\"status\":{\"loadBalancer\":{}}}",
     false},
    {"kubectl-1.33-create-namespace.bin",
     "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"team\"},\"spec\":{},"
     "\"status\":{}}",
     true},
};

START_TEST(what_kubectl_sent_reads_as_its_json_would) {
    uint8_t bytes[4096];
    struct text problem = {0};
    size_t size = load(recorded[_i].file, bytes, sizeof bytes);
    struct json_object *object =
        decode(recorded[_i].namespace ? resource_namespaces.schema : resource_services.schema,
               bytes, size, &problem);
    ck_assert_msg(object != NULL, "%s", problem.data);
    struct json_object *expected = json_tokener_parse(recorded[_i].json);
    ck_assert_msg(json_object_equal(object, expected), "%s", json_line(object, NULL));
    json_object_put(object);
    json_object_put(expected);
}
END_TEST

START_TEST(every_truncation_is_refused_or_read_but_never_overrun) {
    uint8_t bytes[4096];
    size_t size = load(recorded[_i].file, bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        struct text problem = {0};
        struct json_object *object = decode(resource_services.schema, bytes, cut, &problem);
        ck_assert((object == NULL) == (problem.size > 0));
        json_object_put(object);
        text_clear(&problem);
    }
}
END_TEST

START_TEST(every_bit_flip_is_refused_or_read_but_never_overrun) {
    uint8_t bytes[4096];
    size_t size = load(recorded[_i].file, bytes, sizeof bytes);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct text problem = {0};
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct json_object *object = decode(resource_services.schema, bytes, size, &problem);
        ck_assert((object == NULL) == (problem.size > 0));
        json_object_put(object);
        text_clear(&problem);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(random_damage_is_refused_or_read_but_never_overrun) {
    uint8_t bytes[4096];
    uint64_t state = test_seed();
    size_t size = load(recorded[_i].file, bytes, sizeof bytes);
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        uint8_t damaged[4096];
        struct text problem = {0};
        memcpy(damaged, bytes, size);
        for (uint64_t hits = test_random(&state) % 8; hits < 8; hits++) {
            damaged[test_random(&state) % size] = (uint8_t)test_random(&state);
        }
        struct json_object *object =
            decode(resource_services.schema, damaged, test_random(&state) % size + 1, &problem);
        ck_assert((object == NULL) == (problem.size > 0));
        json_object_put(object);
        text_clear(&problem);
    }
}
END_TEST

/* Bodies written by hand: the object alone, as field 2 of the envelope. */
static const struct {
    const char *what, *bytes;
    size_t size;
    const char *problem;
} refused[] = {
    {"nothing", "", 0, "does not begin with k8s"},
    {"another magic", "k8t\0", 4, "does not begin with k8s"},
    {"a number without end", "k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 16,
     "more than ten bytes"},
    {"field number 0", "k8s\0\x02\x00", 6, "field number is out of range"},
    {"a group", "k8s\0\x0b", 5, "unknown protobuf wire type"},
    {"a length beyond the end", "k8s\0\x12\x05\x0a", 7, "longer than its message"},
    {"the greatest length", "k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15,
     "longer than its message"},
    {"metadata as a number", "k8s\0\x12\x02\x08\x01", 8, "wrong wire type"},
    {"a name that is no UTF-8", "k8s\0\x12\x05\x0a\x03\x0a\x01\xff", 11, "not valid UTF-8"},
    {"a name with a NUL", "k8s\0\x12\x06\x0a\x04\x0a\x02\x61\x00", 12, "not valid UTF-8"},
    {"a year of five digits", "k8s\0\x12\x0b\x0a\x09\x42\x07\x08\x80\xea\xb1\xa1\xb0\x07", 17,
     "no year of four digits"},
    {"a port that is text", "k8s\0\x12\x07\x12\x05\x0a\x03\x1a\x01\x31", 13, "wrong wire type"},
};

START_TEST(malformed_protobuf_is_refused_by_name) {
    struct text problem = {0};
    struct json_object *object = decode(
        resource_services.schema, (const uint8_t *)refused[_i].bytes, refused[_i].size, &problem);
    ck_assert_msg(object == NULL, "%s: %s", refused[_i].what, json_line(object, NULL));
    ck_assert_msg(strstr(problem.data, refused[_i].problem) != NULL, "%s: %s", refused[_i].what,
                  problem.data);
    ck_assert_msg(strstr(problem.data, " at byte ") != NULL, "%s", problem.data);
    text_clear(&problem);
}
END_TEST

START_TEST(unknown_fields_of_every_wire_type_are_skipped) {
    static const char bytes[] = "k8s\0"
                                "\x12\x1f" /* the object, 31 bytes */
                                "\xa0\x06\x05"
                                "\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08"
                                "\xa2\x06\x02\x61\x62"
                                "\xa5\x06\x01\x02\x03\x04"
                                "\x0a\x05\x0a\x03"
                                "web";
    struct text problem = {0};
    struct json_object *object =
        decode(resource_services.schema, (const uint8_t *)bytes, sizeof bytes - 1, &problem);
    ck_assert_msg(object != NULL, "%s", problem.data);
    ck_assert_str_eq(json_line(object, NULL), "{\"metadata\":{\"name\":\"web\"}}");
    json_object_put(object);
}
END_TEST

/* An Event's firstTimestamp (an empty message: none), lastTimestamp and eventTime. */
START_TEST(times_are_read_in_utc) {
    static const char bytes[] = "k8s\0"
                                "\x12\x16" /* the object, 22 bytes */
                                "\x32\x00"
                                "\x3a\x06\x08\x80\xe2\xcf\xaa\x06"
                                "\x52\x0a\x08\x80\xe2\xcf\xaa\x06\x10\xd0\xa8\x4b";
    struct text problem = {0};
    struct json_object *object =
        decode(resource_events.schema, (const uint8_t *)bytes, sizeof bytes - 1, &problem);
    ck_assert_msg(object != NULL, "%s", problem.data);
    ck_assert_str_eq(json_line(object, NULL), "{\"lastTimestamp\":\"2023-11-14T22:13:20Z\","
                                              "\"eventTime\":\"2023-11-14T22:13:20.001234Z\"}");
    json_object_put(object);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("protobuf");
    TCase *cases = tcase_create("protobuf");
    int bodies = (int)(sizeof recorded / sizeof recorded[0]);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, what_kubectl_sent_reads_as_its_json_would, 0, bodies);
    tcase_add_loop_test(cases, every_truncation_is_refused_or_read_but_never_overrun, 0, bodies);
    tcase_add_loop_test(cases, every_bit_flip_is_refused_or_read_but_never_overrun, 0, bodies);
    tcase_add_loop_test(cases, random_damage_is_refused_or_read_but_never_overrun, 0, bodies);
    tcase_add_loop_test(cases, malformed_protobuf_is_refused_by_name, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(cases, times_are_read_in_utc);
    tcase_add_test(cases, unknown_fields_of_every_wire_type_are_skipped);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
