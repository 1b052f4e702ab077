/* Whoever sends what is no such object is told so: nothing that is sent is a fault of the server's,
 * and none of it ends the server. */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE       "/api/v1/namespaces/default/"
#define NETWORKING "/apis/networking.k8s.io/v1/"
#define SLICES     "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define STATUS     true

static struct server_process server;

static void start(void) {
    server = server_start((const char *const[]){NULL});
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* --- wrong values ----------------------------------------------------------------------------- */

/* One of each kind with most of its fields. */
static const struct whole {
    const char *path;
    bool has_status;
    const char *object; /* with single quotes */
} wholes[] = {
    {CORE "pods", STATUS,
     "{'metadata':{'name':'x','labels':{'a':'b'},'annotations':{'a':'b'},'ownerReferences':[{"
     "'apiVersion':'v1','kind':'K','name':'n','uid':'u','controller':true}]},'spec':{'nodeName':"
     "'n','nodeSelector':{'a':'b'},'restartPolicy':'Always','containers':[{'name':'c','image':'i',"
     "'args':['a'],'env':[{'name':'A','value':'b'}],'ports':[{'containerPort':80,'name':'http'}]}],"
     "'initContainers':[{'name':'i','ports':[{'containerPort':1}]}],'volumes':[{'name':'v'}]},"
     "'status':{'phase':'Running','podIP':'10.1.0.1','podIPs':[{'ip':'10.1.0.1'}],'conditions':[{"
     "'type':'Ready','status':'True'}],'containerStatuses':[{'ready':true,'restartCount':1}]}}"},
    {"/api/v1/nodes", STATUS,
     "{'metadata':{'name':'x'},'spec':{'podCIDRs':['10.0.0.0/24'],'providerID':'p','taints':[{"
     "'key':'a'}]},'status':{'addresses':[{'type':'InternalIP','address':'10.0.0.1'}],'conditions':"
     "[{'type':'Ready','status':'True'}],'nodeInfo':{'kubeletVersion':'v'}}}"},
    {CORE "endpoints", !STATUS,
     "{'metadata':{'name':'x'},'subsets':[{'addresses':[{'ip':'10.0.0.1','hostname':'a','nodeName':"
     "'n','targetRef':{'kind':'Pod','name':'p'}}],'notReadyAddresses':[{'ip':'10.0.0.2'}],'ports':"
     "[{'port':80,'name':'a','protocol':'TCP','appProtocol':'http'}]}]}"},
    {SLICES, !STATUS,
     "{'metadata':{'name':'x'},'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],"
     "'conditions':{'ready':true},'hints':{'forZones':[{'name':'z'}]},'hostname':'h','nodeName':"
     "'n','targetRef':{'kind':'Pod'},'zone':'z'}],'ports':[{'name':'a','port':80,'protocol':'TCP'}]"
     "}"},
    {NETWORKING "namespaces/default/ingresses", STATUS,
     "{'metadata':{'name':'x'},'spec':{'ingressClassName':'c','defaultBackend':{'resource':{"
     "'apiGroup':'a.b','kind':'K','name':'n'}},'rules':[{'host':'a.example','http':{'paths':[{"
     "'path':'/','pathType':'Prefix','backend':{'service':{'name':'web','port':{'number':80}}}}]}}]"
     ",'tls':[{'hosts':['a.example'],'secretName':'s'}]},'status':{'loadBalancer':{'ingress':[{"
     "'ip':'10.0.0.1'}]}}}"},
    {NETWORKING "ingressclasses", !STATUS,
     "{'metadata':{'name':'x'},'spec':{'controller':'a.b/c','parameters':{'apiGroup':'a.b','kind':"
     "'K','name':'n','scope':'Namespace','namespace':'n'}}}"},
    {CORE "secrets", !STATUS,
     "{'metadata':{'name':'x'},'type':'a','data':{'a':'YQ=='},'stringData':{'b':'c'},'immutable':"
     "false}"},
    {CORE "configmaps", !STATUS,
     "{'metadata':{'name':'x'},'data':{'a':'b'},'binaryData':{'c':'YQ=='},'immutable':false}"},
    {CORE "events", !STATUS,
     "{'metadata':{'name':'x'},'type':'Normal','reason':'R','message':'m','count':1,'source':{"
     "'component':'a'},'involvedObject':{'kind':'Pod','name':'p','namespace':'default'}}"},
};

static const char *const wrong_values[] = {
    "null", "1",  "-1.5",      "true",        "\"x\"",
    "[]",   "{}", "[null,[]]", "{\"\":null}", "[{\"name\":1},{\"name\":\"a\",\"image\":[]}]",
};

static void must_survive(const char *method, const char *path, const char *type,
                         struct json_object *object) {
    const char *body = json_object_to_json_string(object);
    struct answer answer = server_ask(&server, method, path, type, NULL, body, strlen(body));
    ck_assert_msg(answer.code >= 200 && answer.code < 500, "%s %s: %ld to %s", method, path,
                  answer.code, body);
    ck_assert_msg(answer.json != NULL, "%s %s: %s", method, path, answer.text);
    answer_free(&answer);
}

/* Everything that takes a whole object, and what shows it. */
static void send_everywhere(const struct whole *whole, struct json_object *object) {
    char path[256];
    snprintf(path, sizeof path, "%s/x", whole->path);
    must_survive("PUT", path, "application/json", object);
    must_survive("PATCH", path, "application/strategic-merge-patch+json", object);
    if (whole->has_status) {
        snprintf(path, sizeof path, "%s/x/status", whole->path);
        must_survive("PUT", path, "application/json", object);
    }
    struct answer answer =
        server_ask(&server, "GET", whole->path, NULL,
                   "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", NULL, 0);
    ck_assert_int_eq(answer.code, 200);
    answer_free(&answer);
}

static void put_member(struct json_object *node, const char *name, size_t index,
                       struct json_object *value) {
    if (name != NULL) {
        json_object_object_add(node, name, value);
    } else {
        json_object_array_put_idx(node, index, value);
    }
}

static void spoil(const struct whole *whole, struct json_object *object, struct json_object *node);

/* Each wrong value in one place; then the same in each place below. */
static void spoil_member(const struct whole *whole, struct json_object *object,
                         struct json_object *node, const char *name, size_t index) {
    struct json_object *kept =
        name != NULL ? json_object_object_get(node, name) : json_object_array_get_idx(node, index);
    json_object_get(kept);
    for (size_t i = 0; i < sizeof wrong_values / sizeof wrong_values[0]; i++) {
        put_member(node, name, index, json_tokener_parse(wrong_values[i]));
        send_everywhere(whole, object);
    }
    put_member(node, name, index, kept);
    spoil(whole, object, kept);
}

static void spoil(const struct whole *whole, struct json_object *object, struct json_object *node) {
    if (json_object_is_type(node, json_type_object)) {
        json_object_object_foreach(node, name, member) {
            (void)member;
            spoil_member(whole, object, node, name, 0);
        }
    } else if (json_object_is_type(node, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(node); i++) {
            spoil_member(whole, object, node, NULL, i);
        }
    }
}

START_TEST(no_wrong_value_is_a_fault_of_the_server) {
    const struct whole *whole = &wholes[_i];
    char *text = strdup(whole->object);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct answer answer = server_post(&server, whole->path, text);
    ck_assert_msg(answer.code == 201, "%s: %s", whole->path, answer.text);
    answer_free(&answer);
    struct json_object *object = json_tokener_parse(text);
    spoil(whole, object, object);
    json_object_put(object);
    free(text);
}
END_TEST

/* --- protobuf --------------------------------------------------------------------------------- */

/* A whole object in kubectl's envelope, in hexadecimal. */
static const struct {
    const char *path, *hex;
} messages[] = {
    {CORE "pods", "6b3873000a090a0276311203506f6412290a0f5a0a0a0361707012037765620a0178121612101201"
                  "690a0163320818"
                  "500a046874747052026e31"},
    {NETWORKING "namespaces/default/ingresses",
     "6b3873000a1f0a146e6574776f726b696e672e6b38732e696f2f76311207496e677265737312320a030a0178122b1"
     "a"
     "290a09612e6578616d706c65121c0a1a0a18120b22090a03776562120210500a012f1a06507265666978"},
    {CORE "secrets",
     "6b3873000a0c0a027631120653656372657412170a030a017812080a016112036162631a064f7061717565"},
    {SLICES, "6b3873000a240a13646973636f766572792e6b38732e696f2f7631120d456e64706f696e74536c6963651"
             "2290a030a"
             "017822044950763412150a0831302e302e302e311202080142050a030a017a1a050a01611850"},
};

static size_t bytes_of(const char *hex, unsigned char *out) {
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return size;
}

static long post_bytes(const char *path, const unsigned char *bytes, size_t size) {
    struct answer answer =
        server_ask(&server, "POST", path, "application/vnd.kubernetes.protobuf", NULL, bytes, size);
    long code = answer.code;
    answer_free(&answer);
    return code;
}

START_TEST(a_message_that_is_cut_off_is_refused) {
    unsigned char bytes[256];
    size_t size = bytes_of(messages[_i].hex, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *exact = malloc(cut + 1); /* so that a sanitizer sees a byte too far */
        memcpy(exact, bytes, cut);
        long code = post_bytes(messages[_i].path, exact, cut);
        ck_assert_msg(code == 400 || code == 422, "%zu of %zu bytes: %ld", cut, size, code);
        free(exact);
    }
    ck_assert_int_eq(post_bytes(messages[_i].path, bytes, size), 201);
}
END_TEST

START_TEST(a_message_with_a_wrong_byte_is_no_fault_of_the_server) {
    unsigned char bytes[256];
    size_t size = bytes_of(messages[_i].hex, bytes);
    for (size_t at = 4; at < size; at++) {
        static const unsigned char others[] = {0, 0x7f, 0x80, 0xff};
        for (size_t i = 0; i < sizeof others; i++) {
            unsigned char kept = bytes[at];
            bytes[at] = others[i];
            long code = post_bytes(messages[_i].path, bytes, size);
            ck_assert_msg(code >= 200 && code < 500, "byte %zu: %ld", at, code);
            bytes[at] = kept;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hostile");
    TCase *cases = tcase_create("hostile");
    tcase_set_timeout(cases, 100); /* the sanitizers are slow */
    tcase_add_checked_fixture(cases, start, stop);
    tcase_add_loop_test(cases, no_wrong_value_is_a_fault_of_the_server, 0, LENGTH(wholes));
    tcase_add_loop_test(cases, a_message_that_is_cut_off_is_refused, 0, LENGTH(messages));
    tcase_add_loop_test(cases, a_message_with_a_wrong_byte_is_no_fault_of_the_server, 0,
                        LENGTH(messages));
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
