/* Every route of ipalloc-apiserver, and everything malformed that a client can send. */
#include "server_process.h"
#include "support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICES "/api/v1/namespaces/default/services"
#define MIB      ((size_t)1 << 20)

/* One server for the whole program; the tests run in this process, one after another. */
static struct server_process server;

static void start(void) {
    const char *arguments[] = {"--load-balancer-ip-range=192.0.2.0/24", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* --- routes -------------------------------------------------------------------------------------
 */

static const struct {
    const char *path;
    long code;
    const char *kind; /* of the JSON answer, "" for text */
    const char *holds;
} routes[] = {
    {"/", 200, "", "<h1>ipalloc API server</h1>"},
    {"/healthz", 200, "", "ok"},
    {"/livez", 200, "", "ok"},
    {"/readyz", 200, "", "ok"},
    {"/metrics", 200, "", "kube_apiserver_clusterip_allocator_allocated_ips"},
    {"/metrics", 200, "", "ipalloc_apiserver_requests_total"},
    {"/version", 200, "", "gitVersion"},
    {"/api", 200, "APIVersions", "\"v1\""},
    {"/apis", 200, "APIGroupList", "networking.k8s.io/v1"},
    {"/apis/networking.k8s.io", 200, "APIGroup", "preferredVersion"},
    {"/apis/networking.k8s.io/v1", 200, "APIResourceList", "ipaddresses"},
    {"/apis/networking.k8s.io/v2", 404, "Status", "could not find"},
    {"/apis/batch", 404, "Status", "could not find"},
    {"/apis/", 200, "APIGroupList", "networking.k8s.io/v1"},
    {"/api/v1", 200, "APIResourceList", "\"services\""},
    {"/api/v1/", 200, "APIResourceList", "\"services\""},
    {"/api?timeout=32s", 200, "APIVersions", "\"v1\""},
    {"/openapi/v3", 200, "", "/openapi/v3/api/v1?hash="},
    {"/openapi/v3/api/v1", 200, "", "fieldValidation"},
    {"/openapi/v2", 200, "", "x-kubernetes-patch-merge-key"},
    {"/api/v1/namespaces", 200, "NamespaceList", "kube-system"},
    {"/api/v1/namespaces/default", 200, "Namespace", "Active"},
    {"/api/v1/namespaces/nowhere", 404, "Status", "namespaces \\\"nowhere\\\" not found"},
    {"/api/v1/services", 200, "ServiceList", "kubernetes"},
    {SERVICES, 200, "ServiceList", "kubernetes"},
    {SERVICES "?pretty=true", 200, "ServiceList", "\n  \"apiVersion\": "},
    {"/api/v1/namespaces/kube-system/services", 200, "ServiceList", "\"items\":[]"},
    {SERVICES "/kubernetes", 200, "Service", "10.96.0.1"},
    {SERVICES "/kubernetes/status", 200, "Service", "10.96.0.1"},
    {SERVICES "/missing", 404, "Status", "services \\\"missing\\\" not found"},
    {SERVICES "/kubernetes/scale", 404, "Status", "could not find"},
    {"/api/v1/gadgets", 404, "Status", "could not find"},
    {"/apis/apps/v1", 404, "Status", "could not find"},
    {"/nothing", 404, "Status", "could not find"},
    {"/api/v1/namespaces/default/services/a/b/c/d", 404, "Status", "could not find"},
    {"/api/v1/namespaces//services", 404, "Status", "could not find"},
    {"/../../etc/passwd", 404, "Status", "could not find"},
    {SERVICES "/%00", 404, "Status", "not found"},
    {SERVICES "/kubernetes%00x", 404, "Status", "not found"},
    {SERVICES "/%ff", 400, "Status", "not valid UTF-8"},
    {SERVICES "?labelSelector=%ff", 400, "Status", "not valid UTF-8"},
    {SERVICES "?labelSelector=a%3Db", 200, "ServiceList", "\"items\":[]"},
    {SERVICES "?labelSelector=component+in+(apiserver,x),provider,!other", 200, "ServiceList",
     "kubernetes"},
    {SERVICES "?labelSelector=component+notin+(apiserver)", 200, "ServiceList", "\"items\":[]"},
    {SERVICES "?labelSelector=component!%3Dother", 200, "ServiceList", "kubernetes"},
    {SERVICES "?labelSelector=a+in+(", 400, "Status", "unable to parse requirement"},
    {SERVICES "?labelSelector=%3D%3D", 400, "Status", "unable to parse requirement"},
    {SERVICES "?labelSelector=a,,b", 400, "Status", "unable to parse requirement"},
    {SERVICES "?fieldSelector=metadata.name%3Dkubernetes", 200, "ServiceList", "10.96.0.1"},
    {SERVICES "?fieldSelector=metadata.name!%3Dkubernetes", 200, "ServiceList", "\"items\":[]"},
    {SERVICES "?fieldSelector=spec.type%3DNodePort", 200, "ServiceList", "\"items\":[]"},
    {SERVICES "?fieldSelector=spec.nodeName%3Dx", 400, "Status",
     "field label not supported: spec.nodeName"},
    {SERVICES "?watch=true&resourceVersion=abc", 400, "Status", "resourceVersion: Invalid value"},
};

START_TEST(every_route_answers) {
    struct answer answer = server_get(&server, routes[_i].path);
    ck_assert_msg(answer.code == routes[_i].code, "%s: %ld %s", routes[_i].path, answer.code,
                  answer.text);
    ck_assert_msg(strstr(answer.text, routes[_i].holds) != NULL, "%s: %s", routes[_i].path,
                  answer.text);
    ck_assert_str_eq(answer_text(&answer, "kind"), routes[_i].kind);
    answer_free(&answer);
}
END_TEST

static const struct {
    const char *method, *path, *allow;
} wrong_methods[] = {
    {"POST", "/healthz", "GET, HEAD"},
    {"DELETE", "/api/v1", "GET, HEAD"},
    {"DELETE", SERVICES, "GET, HEAD, POST"},
    {"PUT", SERVICES, "GET, HEAD, POST"},
    {"POST", SERVICES "/kubernetes", "GET, HEAD, PUT, PATCH, DELETE"},
    {"DELETE", SERVICES "/kubernetes/status", "GET, HEAD, PUT, PATCH"},
    {"DELETE", "/api/v1/namespaces/default", "GET, HEAD, PUT, PATCH"},
    {"TRACE", SERVICES, "GET, HEAD, POST"},
    {"FROB", SERVICES, "GET, HEAD, POST"},
};

START_TEST(a_wrong_method_is_405_and_says_which_are_right) {
    struct answer answer = server_ask(&server, wrong_methods[_i].method, wrong_methods[_i].path,
                                      "application/json", NULL, "{}", 2);
    ck_assert_int_eq(answer.code, 405);
    ck_assert_str_eq(answer.allow, wrong_methods[_i].allow);
    ck_assert_str_eq(answer_text(&answer, "reason"), "MethodNotAllowed");
    answer_free(&answer);
}
END_TEST

START_TEST(the_status_page_needs_nothing_from_elsewhere) {
    struct answer answer = server_get(&server, "/");
    ck_assert_ptr_null(strstr(answer.text, "http://"));
    ck_assert_ptr_null(strstr(answer.text, "https://"));
    ck_assert_ptr_null(strstr(answer.text, "<script"));
    ck_assert_ptr_nonnull(strstr(answer.text, "10.96.0.0/16"));
    ck_assert_ptr_nonnull(strstr(answer.text, "30000-32767"));
    answer_free(&answer);
}
END_TEST

START_TEST(tables_have_kubectl_s_columns) {
    struct answer answer =
        server_ask(&server, "GET", SERVICES, NULL,
                   "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", NULL, 0);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Table");
    ck_assert_str_eq(answer_text(&answer, "columnDefinitions.0.name"), "Name");
    ck_assert_str_eq(answer_text(&answer, "columnDefinitions.6.name"), "Selector");
    ck_assert_str_eq(answer_text(&answer, "columnDefinitions.6.priority"), "1");
    ck_assert_str_eq(answer_text(&answer, "rows.0.cells.0"), "kubernetes");
    ck_assert_str_eq(answer_text(&answer, "rows.0.cells.2"), "10.96.0.1");
    ck_assert_str_eq(answer_text(&answer, "rows.0.cells.4"), "443/TCP");
    ck_assert_str_eq(answer_text(&answer, "rows.0.object.kind"), "PartialObjectMetadata");
    ck_assert_str_ne(answer_text(&answer, "metadata.resourceVersion"), "");
    answer_free(&answer);
}
END_TEST

/* --- bodies -------------------------------------------------------------------------------------
 */

#define JSON "application/json"

static const struct {
    const char *method, *path, *type, *body;
    long code;
    const char *says;
} bodies[] = {
    {"POST", SERVICES, JSON, "", 400, "the body is empty"},
    {"POST", SERVICES, JSON, "{", 400, "at line 1 column "},
    {"POST", SERVICES, JSON, "{\"a\":1,}", 400, "at line 1 column "},
    {"POST", SERVICES, JSON, "{\n\"a\": x}", 400, "at line 2 column "},
    {"POST", SERVICES, JSON, "{\"a\":1} trailing", 400, "at line 1 column "},
    {"POST", SERVICES, JSON, "'single'", 400, "at line 1"},
    {"POST", SERVICES, JSON, "null", 400, "null is not an object"},
    {"POST", SERVICES, JSON, "[]", 400, "cannot unmarshal array"},
    {"POST", SERVICES, JSON, "\"text\"", 400, "cannot unmarshal string"},
    {"POST", SERVICES, JSON, "12", 400, "cannot unmarshal number"},
    {"POST", SERVICES, JSON, "NaN", 400, "cannot"},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"name\":\"\xff\"}}", 400, "at line 1 column "},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"name\":\"a\\u0000b\"}}", 400, "u0000"},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"name\":7}}", 400,
     "cannot unmarshal number into field metadata.name of type string"},
    {"POST", SERVICES, JSON, "{\"metadata\":[]}", 400, "into field metadata of type ObjectMeta"},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"labels\":{\"a\":1}}}", 400,
     "cannot unmarshal number into field metadata.labels of type string"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":{}}}", 400, "spec.ports"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":[1]}}", 400, "spec.ports"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":[{\"port\":\"80\"}]}}", 400,
     "cannot unmarshal string into field spec.ports[0].port of type int32"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":[{\"port\":80.5}]}}", 400, "spec.ports[0].port"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":[{\"port\":99999999999}]}}", 400, "int32"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"ports\":[{\"port\":1e400}]}}", 400, ""},
    {"POST", SERVICES, JSON, "{\"spec\":{\"clusterIPs\":\"10.0.0.1\"}}", 400, "[]string"},
    {"POST", SERVICES, JSON, "{\"spec\":{\"publishNotReadyAddresses\":\"yes\"}}", 400, "bool"},
    {"POST", SERVICES, JSON, "{\"kind\":\"Pod\"}", 400, "cannot be handled as a Service"},
    {"POST", SERVICES, JSON, "{\"apiVersion\":\"v2\"}", 400,
     "the API version in the data (v2) does not match"},
    {"POST", SERVICES "?fieldValidation=Strict", JSON,
     "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"prots\":[],\"ports\":[{\"port\":1,\"prot\":2}]}}",
     400,
     "strict decoding error: unknown field \\\"spec.ports[0].prot\\\", unknown field "
     "\\\"spec.prots\\\""},
    {"POST", SERVICES "?fieldValidation=Maybe", JSON, "{}", 422,
     "Unsupported value: \\\"Maybe\\\""},
    {"PATCH", SERVICES "/kubernetes?fieldValidation=Maybe&dryRun=Some&force=true",
     "application/merge-patch+json", "{}", 422,
     "PatchOptions.meta.k8s.io \\\"\\\" is invalid: [force: Forbidden: may not be specified for "
     "non-apply patch, dryRun: Unsupported value: [\\\"Some\\\"]: supported values: \\\"All\\\", "
     "fieldValidation: Unsupported value: \\\"Maybe\\\""},
    {"DELETE", SERVICES "/kubernetes?dryRun=Some", NULL, NULL, 422,
     "DeleteOptions.meta.k8s.io \\\"\\\" is invalid: dryRun: Unsupported value"},
    {"POST", SERVICES "?dryRun=Some", JSON, "{}", 422, "dryRun: Unsupported value: [\\\"Some\\\"]"},
    {"DELETE", SERVICES "/kubernetes", JSON,
     "{\"propagationPolicy\":\"Away\",\"dryRun\":[\"Some\"]}", 422,
     "[propagationPolicy: Unsupported value: \\\"Away\\\": supported values: \\\"Foreground\\\", "
     "\\\"Background\\\", \\\"Orphan\\\", \\\"nil\\\", dryRun: Unsupported value: [\\\"Some\\\"]: "
     "supported values: \\\"All\\\"]"},
    {"DELETE", SERVICES "/kubernetes?propagationPolicy=Orphan", JSON, "{\"orphanDependents\":true}",
     422, "orphanDependents and deletionPropagation cannot be both set"},
    {"DELETE", SERVICES "/kubernetes", "text/plain", "{}", 415, "in an unknown format"},
    {"POST", SERVICES, "text/plain", "{}", 415, "in an unknown format"},
    {"POST", SERVICES, "application/xml", "{}", 415, "in an unknown format"},
    {"POST", SERVICES, "application/jsonx", "{}", 415, "in an unknown format"},
    {"POST", SERVICES, "application/vnd.kubernetes.protobuf", "{}", 400, "does not begin with k8s"},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"name\":\"x\",\"namespace\":\"other\"}}", 400,
     "the namespace of the provided object does not match the namespace sent on the request"},
    {"POST", SERVICES, JSON, "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\"}}", 400,
     "resourceVersion should not be set on objects to be created"},
    {"POST", "/api/v1/namespaces/nowhere/services", JSON, "{\"metadata\":{\"name\":\"x\"}}", 404,
     "namespaces \\\"nowhere\\\" not found"},
    {"PUT", SERVICES "/kubernetes", JSON, "{\"metadata\":{\"name\":\"other\"}}", 400,
     "the name of the object (other) does not match the name on the URL (kubernetes)"},
    {"PUT", SERVICES "/missing", JSON,
     "{\"metadata\":{\"name\":\"missing\",\"resourceVersion\":\"5\"}}", 404,
     "services \\\"missing\\\" not found"},
    {"PUT", SERVICES "/missing/status", JSON, "{\"metadata\":{\"name\":\"missing\"}}", 404,
     "services \\\"missing\\\" not found"},
    {"PUT", SERVICES "/missing", JSON, "{\"metadata\":{\"name\":\"other\"}}", 400,
     "the name of the object (other) does not match the name on the URL (missing)"},
    {"PUT", "/api/v1/namespaces/nowhere/services/x", JSON, "{\"metadata\":{\"name\":\"x\"}}", 404,
     "namespaces \\\"nowhere\\\" not found"},
    {"PUT", SERVICES "/kubernetes", JSON,
     "{\"metadata\":{\"name\":\"kubernetes\",\"resourceVersion\":\"5\"}}", 409,
     "Operation cannot be fulfilled on services \\\"kubernetes\\\": the object has been modified; "
     "please apply your changes to the latest version and try again"},
    {"PUT", SERVICES "/kubernetes", JSON,
     "{\"metadata\":{\"name\":\"kubernetes\",\"uid\":\"abc\"}}", 409,
     "Precondition failed: UID in precondition: abc, UID in object meta: "},
    {"PUT", SERVICES "/kubernetes", JSON, /* whatever stands in managedFields */
     "{\"metadata\":{\"name\":\"kubernetes\",\"managedFields\":[{\"manager\":\"m\",\"operation\":"
     "\"Update\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:spec\":{"
     "\"foo\":"
     "\"x\",\"f:a\":1,\"k:{}\":[],\".\":2}}}]},\"spec\":{\"ports\":[{\"port\":-1}]}}",
     422, "spec.ports[0].port"},
    {"PUT", SERVICES "/kubernetes", JSON,
     "{\"metadata\":{\"name\":\"kubernetes\",\"managedFields\":[null]},\"spec\":{\"ports\":[{"
     "\"port\":-1}]}}",
     422, "spec.ports[0].port"},
    {"PATCH", SERVICES "/kubernetes", JSON, "{}", 415, "application/json-patch+json"},
    {"PATCH", SERVICES "/kubernetes", "application/merge-patch+json", "[", 400,
     "error decoding patch"},
    {"PATCH", SERVICES "/kubernetes", "application/merge-patch+json", "[]", 400,
     "the patch must be a JSON object"},
    {"PATCH", SERVICES "/kubernetes", "application/json-patch+json",
     "[{\"op\":\"remove\",\"path\":\"/nope\"}]", 422, "remove operation does not apply"},
    {"PATCH", SERVICES "/kubernetes", "application/apply-patch+yaml", "kind: [Service", 422,
     "fieldManager: Required value: is required for apply patch"},
    {"PATCH", SERVICES "/kubernetes?fieldManager=m", "application/apply-patch+yaml",
     "kind: [Service", 400, "error decoding YAML: yaml: line "},
    {"POST", SERVICES, "application/yaml", "kind: Service\nkind: Service\n", 400,
     "yaml: line 2 column 1: key \\\"kind\\\" already set in map"},
    {"PATCH", SERVICES "/kubernetes", "application/merge-patch+json",
     "{\"spec\":{\"ports\":[{\"port\":\"x\"}]}}", 400, "cannot unmarshal string"},
    {"PATCH", SERVICES "/missing", "application/merge-patch+json", "{}", 404, "not found"},
    {"DELETE", SERVICES "/missing", NULL, NULL, 404, "services \\\"missing\\\" not found"},
    {"DELETE", SERVICES "/kubernetes", JSON, "{", 400, "DeleteOptions"},
    {"DELETE", SERVICES "/kubernetes", JSON, "[]", 400, "DeleteOptions"},
    {"DELETE", SERVICES "/kubernetes", JSON, "{\"preconditions\":{\"uid\":\"x\"}}", 409,
     "the UID in the precondition (x) does not match the UID in record ("},
    {"POST", "/api/v1/namespaces", JSON, "{\"metadata\":{\"name\":\"Bad_Name\"}}", 422,
     "lowercase RFC 1123 label"},
    {"POST", "/api/v1/namespaces", JSON, "{\"metadata\":{\"name\":\"default\"}}", 409,
     "namespaces \\\"default\\\" already exists"},
};

START_TEST(a_malformed_body_is_refused_with_a_status_that_says_what_and_where) {
    struct answer answer =
        server_ask(&server, bodies[_i].method, bodies[_i].path, bodies[_i].type, NULL,
                   bodies[_i].body, bodies[_i].body != NULL ? strlen(bodies[_i].body) : 0);
    ck_assert_msg(answer.code == bodies[_i].code, "%s: %ld %s", bodies[_i].body, answer.code,
                  answer.text);
    ck_assert_msg(strstr(answer.text, bodies[_i].says) != NULL, "%s: %s", bodies[_i].body,
                  answer.text);
    ck_assert_str_eq(answer_text(&answer, "kind"), "Status");
    ck_assert_str_eq(answer_text(&answer, "status"), "Failure");
    ck_assert_int_eq(atol(answer_text(&answer, "code")), bodies[_i].code);
    ck_assert_str_ne(answer_text(&answer, "reason"), "");
    answer_free(&answer);
    answer = server_get(&server, SERVICES); /* and nothing has changed */
    ck_assert_str_eq(answer_text(&answer, "items.1"), "");
    answer_free(&answer);
}
END_TEST

START_TEST(a_nul_byte_in_the_body_is_refused_with_its_place) {
    static const char body[] = "{\"metadata\":{\"name\":\"a\0b\"}}";
    struct answer answer = server_ask(&server, "POST", SERVICES, JSON, NULL, body, sizeof body - 1);
    ck_assert_int_eq(answer.code, 400);
    ck_assert_ptr_nonnull(strstr(answer.text, "a NUL byte at line 1 column 23 (byte 22)"));
    answer_free(&answer);
}
END_TEST

START_TEST(nesting_too_deep_is_refused) {
    char body[4096];
    size_t size = 0;
    size += (size_t)snprintf(body, sizeof body, "{\"metadata\":");
    for (int i = 0; i < 1000; i++) {
        body[size++] = '[';
    }
    struct answer answer = server_ask(&server, "POST", SERVICES, JSON, NULL, body, size);
    ck_assert_int_eq(answer.code, 400);
    ck_assert_ptr_nonnull(strstr(answer.text, "nesting too deep"));
    answer_free(&answer);
}
END_TEST

START_TEST(yaml_is_read_and_answered) {
    static const char service[] = "apiVersion: v1\nkind: Service\nmetadata: {name: in-yaml}\n"
                                  "spec:\n  clusterIP: 10.96.9.9\n  ports:\n  - port: 80\n";
    struct answer answer = server_ask(&server, "POST", SERVICES, "application/yaml",
                                      "application/yaml", service, strlen(service));
    ck_assert_int_eq(answer.code, 201);
    ck_assert_msg(strstr(answer.text, "\n  clusterIP: 10.96.9.9\n") != NULL, "%s", answer.text);
    answer_free(&answer);
    answer =
        server_ask(&server, "GET", SERVICES, NULL, "application/yaml, application/json", NULL, 0);
    ck_assert_msg(strncmp(answer.text, "kind: ServiceList\n", 18) == 0, "%s", answer.text);
    answer_free(&answer);
    answer =
        server_ask(&server, "GET", SERVICES, NULL, "application/json, application/yaml", NULL, 0);
    ck_assert_ptr_nonnull(answer.json);
    answer_free(&answer);
    answer = server_ask(&server, "DELETE", SERVICES "/in-yaml", NULL, NULL, NULL, 0);
    answer_free(&answer);
}
END_TEST

START_TEST(unknown_fields_are_dropped_with_a_warning) {
    struct answer answer =
        server_post(&server, SERVICES "?dryRun=All",
                    "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"ports\":[{\"port\":1,\"prot\":2}],"
                    "\"bogus\":1}}");
    ck_assert_int_eq(answer.code, 201);
    /* one of its own each; this is the last */
    ck_assert_str_eq(answer.warning, "299 - \"unknown field \\\"spec.bogus\\\"\"");
    ck_assert_str_eq(answer_text(&answer, "spec.bogus"), "");
    answer_free(&answer);
}
END_TEST

/* --- sizes --------------------------------------------------------------------------------------
 */

static void expect_too_large(struct answer *answer) {
    ck_assert_int_eq(answer->code, 413);
    ck_assert_str_eq(answer_text(answer, "reason"), "RequestEntityTooLarge");
    answer_free(answer);
}

START_TEST(a_body_over_the_limit_is_413) {
    size_t size = 3 * MIB + 1;
    char *body = calloc(1, size);
    memset(body, ' ', size);
    struct answer answer = server_ask(&server, "POST", SERVICES, JSON, NULL, body, size);
    expect_too_large(&answer);
    answer = server_ask(&server, "POST", SERVICES, JSON, NULL, body, size - 1);
    ck_assert_int_eq(answer.code, 400); /* 3 MiB of blanks is no object, but not too large */
    answer_free(&answer);
    /* A report or an import of a whole store is more than an object. */
    answer = server_ask(&server, "POST", "/ipalloc/v1/import", JSON, NULL, body, size);
    ck_assert_int_eq(answer.code, 400);
    answer_free(&answer);
    free(body);
}
END_TEST

START_TEST(an_object_over_what_the_store_takes_is_413_and_holds_nothing) {
    struct text_buffer {
        char bytes[2 * 1024 * 1024];
    } *body = calloc(1, sizeof *body);
    size_t size = (size_t)sprintf(body->bytes, "{\"metadata\":{\"name\":\"big\"},\"spec\":{"
                                               "\"clusterIP\":\"10.96.0.99\",\"ports\":[{"
                                               "\"port\":1}],\"selector\":{\"a\":\"b\"");
    while (size < 3 * MIB / 2) {
        size += (size_t)sprintf(body->bytes + size, ",\"k%zu\":\"v\"", size);
    }
    size += (size_t)sprintf(body->bytes + size, "}}}");
    struct answer answer = server_ask(&server, "POST", SERVICES, JSON, NULL, body->bytes, size);
    expect_too_large(&answer);
    answer = server_post(&server, SERVICES "?dryRun=All",
                         "{\"metadata\":{\"name\":\"y\"},\"spec\":{\"clusterIP\":\"10.96.0.99\","
                         "\"ports\":[{\"port\":1}]}}");
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
    free(body);
}
END_TEST

static void expect_raw(const char *request, size_t size, const char *expected) {
    char reply[8192];
    int descriptor = server_connect(&server);
    socket_write(descriptor, request, size);
    socket_read_until(descriptor, reply, sizeof reply, expected);
    ck_assert_msg(strstr(reply, expected) != NULL, "%.200s: %s", request, reply);
    close(descriptor);
}

START_TEST(a_chunked_body_over_the_limit_is_413) {
    char *body = malloc(5 * MIB);
    size_t size = (size_t)sprintf(body, "POST " SERVICES " HTTP/1.1\r\nHost: x\r\n"
                                        "Content-Type: application/json\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        size += (size_t)sprintf(body + size, "100000\r\n");
        memset(body + size, ' ', MIB);
        size += MIB;
        size += (size_t)sprintf(body + size, "\r\n");
    }
    size += (size_t)sprintf(body + size, "0\r\n\r\n");
    expect_raw(body, size, "\"RequestEntityTooLarge\"");
    free(body);
}
END_TEST

static const struct {
    const char *what, *request, *expected;
} raw[] = {
    {"a Content-Length beyond all reason",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}",
     "HTTP/1.1 413"},
    {"a Content-Length beyond 64 bits",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
     "HTTP/1.1 4"},
    {"a Content-Length that is no number",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n{}", "HTTP/1.1 400"},
    {"a negative Content-Length",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", "HTTP/1.1 400"},
    {"both lengths",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400"},
    {"a body longer than its Content-Length is the next request",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
     "Content-Length: 2\r\n\r\n{}{\"metadata\":{}}\r\n\r\n",
     "HTTP/1.1 422"},
    {"a chunk size that is no number",
     "POST " SERVICES " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     "HTTP/1.1 400"},
    {"HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", "ok"},
    {"two requests in one packet",
     "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n",
     "gitVersion"},
    {"HEAD", "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "Content-Length: 2"},
};

START_TEST(raw_requests_get_their_answer) {
    expect_raw(raw[_i].request, strlen(raw[_i].request), raw[_i].expected);
}
END_TEST

START_TEST(what_is_not_http_is_cut_off) {
    char reply[64];
    int descriptor = server_connect(&server);
    socket_write(descriptor, "hello\r\n\r\n", 9);
    ck_assert_uint_eq(socket_read_until(descriptor, reply, sizeof reply, NULL), 0);
    ck_assert_int_eq(recv(descriptor, reply, 1, 0), 0); /* the end, and not a time-out */
    close(descriptor);
}
END_TEST

START_TEST(headers_over_the_limit_are_431) {
    static char request[64 * 1024];
    size_t size = (size_t)sprintf(request, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(request + size, 'a', 40 * 1024);
    size += 40 * 1024;
    size += (size_t)sprintf(request + size, "\r\n\r\n");
    char reply[4096];
    int descriptor = server_connect(&server);
    socket_write(descriptor, request, size);
    socket_read_until(descriptor, reply, sizeof reply, "\r\n");
    /* the server may close before it has read all, so that the reply is lost: both are refusals */
    ck_assert_msg(reply[0] == '\0' || strstr(reply, " 431 ") != NULL, "%s", reply);
    close(descriptor);
    struct answer answer = server_get(&server, "/healthz");
    ck_assert_int_eq(answer.code, 200);
    answer_free(&answer);
}
END_TEST

START_TEST(random_bytes_never_stop_the_server) {
    uint64_t state = test_seed();
    for (uint64_t i = 0; i < test_scaled(200); i++) {
        char bytes[512];
        size_t size = (size_t)snprintf(bytes, sizeof bytes,
                                       "POST " SERVICES " HTTP/1.1\r\nHost: x\r\n"
                                       "Content-Length: 200\r\n\r\n");
        for (size_t at = test_random(&state) % size; at < sizeof bytes; at++) {
            bytes[at] = (char)test_random(&state);
        }
        int descriptor = server_connect(&server);
        socket_write(descriptor, bytes, sizeof bytes);
        struct pollfd answered = {.fd = descriptor, .events = POLLIN};
        poll(&answered, 1, 10); /* what it answers, if anything, does not matter here */
        close(descriptor);
    }
    struct answer answer = server_get(&server, "/healthz");
    ck_assert_int_eq(answer.code, 200);
    answer_free(&answer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver http");
    TCase *cases = tcase_create("http");
    tcase_set_timeout(cases, 60);
    tcase_add_unchecked_fixture(cases, start, stop);
    tcase_add_loop_test(cases, every_route_answers, 0, (int)(sizeof routes / sizeof routes[0]));
    tcase_add_loop_test(cases, a_wrong_method_is_405_and_says_which_are_right, 0,
                        (int)(sizeof wrong_methods / sizeof wrong_methods[0]));
    tcase_add_test(cases, the_status_page_needs_nothing_from_elsewhere);
    tcase_add_test(cases, tables_have_kubectl_s_columns);
    tcase_add_loop_test(cases, a_malformed_body_is_refused_with_a_status_that_says_what_and_where,
                        0, (int)(sizeof bodies / sizeof bodies[0]));
    tcase_add_test(cases, a_nul_byte_in_the_body_is_refused_with_its_place);
    tcase_add_test(cases, nesting_too_deep_is_refused);
    tcase_add_test(cases, yaml_is_read_and_answered);
    tcase_add_test(cases, unknown_fields_are_dropped_with_a_warning);
    tcase_add_test(cases, a_body_over_the_limit_is_413);
    tcase_add_test(cases, an_object_over_what_the_store_takes_is_413_and_holds_nothing);
    tcase_add_test(cases, a_chunked_body_over_the_limit_is_413);
    tcase_add_loop_test(cases, raw_requests_get_their_answer, 0, (int)(sizeof raw / sizeof raw[0]));
    tcase_add_test(cases, headers_over_the_limit_are_431);
    tcase_add_test(cases, what_is_not_http_is_cut_off);
    tcase_add_test(cases, random_bytes_never_stop_the_server);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
