/* Who owns which field, and server-side apply: managed_fields.h over JSON values, no server. */
#include "field_walk.h"
#include "managed_case.h"
#include "resource.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE(members) "{'apiVersion':'v1','kind':'Service'," members "}"
#define SPEC(members)    SERVICE("'metadata':{'name':'web'},'spec':{" members "}")
#define LABELS(members)  SERVICE("'metadata':{'name':'web','labels':{" members "}}")

static int apply(const char *manager, const char *config) {
    return case_apply_value(manager, case_value(config), false);
}

static int force(const char *manager, const char *config) {
    return case_apply_value(manager, case_value(config), true);
}

/* Write it as a client does that gives back what it read, with one change. */
static void update_member(const char *manager, const char *part, const char *name,
                          const char *wanted) {
    struct json_object *out = json_copy(object);
    struct json_object *into = json_ensure(out, part);
    if (wanted == NULL) {
        json_remove(into, name);
    } else {
        json_set(into, name, case_value(wanted));
    }
    writer.manager = manager;
    writer.applies = false;
    managed_fields_update(&writer, object, out);
    json_object_put(object);
    object = out;
}

static void assert_owns(const char *manager, const char *operation, const char *fields) {
    struct json_object *entry = case_entry_of(manager, operation);
    if (fields == NULL) {
        ck_assert_msg(entry == NULL, "%s still owns %s", manager, json_line(entry, NULL));
        return;
    }
    struct json_object *expected = case_value(fields);
    struct json_object *owned = json_member(entry, "fieldsV1");
    ck_assert_msg(json_object_equal(owned, expected), "%s owns %s", manager,
                  json_line(owned, NULL));
    json_object_put(expected);
}

static void assert_is(const char *part, const char *expected) {
    struct json_object *wanted = case_value(expected);
    struct json_object *present = json_member(object, part);
    ck_assert_msg(json_object_equal(present, wanted), "%s is %s", part, json_line(present, NULL));
    json_object_put(wanted);
}

/* --- updates ---------------------------------------------------------------------------------- */

START_TEST(a_create_owns_what_it_sets_and_the_containers_it_makes) {
    case_update(
        "kubectl-create",
        SERVICE("'metadata':{'name':'web','uid':'u','labels':{'a':'b'},'finalizers':['x/y']},"
                "'spec':{'type':'ClusterIP','selector':{'a':'b'},"
                "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}},"
                "'ports':[{'port':80,'protocol':'TCP'}]}"));
    assert_owns("kubectl-create", "Update",
                "{'f:metadata':{'f:labels':{'.':{},'f:a':{}},"
                "'f:finalizers':{'.':{},'v:\\'x/y\\'':{}}},"
                "'f:spec':{'f:type':{},'f:selector':{},"
                "'f:sessionAffinityConfig':{'.':{},'f:clientIP':{'.':{},'f:timeoutSeconds':{}}},"
                "'f:ports':{'.':{},'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':"
                "{'.':{},'f:port':{},'f:protocol':{}}}}}");
    struct json_object *entry = case_entry_of("kubectl-create", "Update");
    ck_assert_str_eq(json_member_text(entry, "time"), "1970-01-01T00:16:40Z");
    ck_assert_str_eq(json_member_text(entry, "fieldsType"), "FieldsV1");
    ck_assert_str_eq(json_member_text(entry, "apiVersion"), "v1");
}
END_TEST

START_TEST(an_update_takes_what_it_changes_from_all_others) {
    apply("a", SPEC("'type':'NodePort','externalName':'x'"));
    update_member("edit", "spec", "type", "'ClusterIP'");
    assert_owns("a", "Apply", "{'f:spec':{'f:externalName':{}}}");
    assert_owns("edit", "Update", "{'f:spec':{'f:type':{}}}");
    update_member("edit", "spec", "externalName", NULL);
    assert_owns("a", "Apply", NULL); /* it owns nothing any more */
}
END_TEST

START_TEST(an_update_that_changes_nothing_leaves_everything) {
    apply("a", SPEC("'type':'NodePort'"));
    struct json_object *before = json_copy(object);
    writer.now = 5000;
    update_member("edit", "spec", "type", "'NodePort'");
    ck_assert(json_object_equal(before, object));
    json_object_put(before);
}
END_TEST

START_TEST(a_manager_keeps_what_it_wrote_before) {
    case_update("m", SPEC("'type':'NodePort'"));
    update_member("m", "spec", "clusterIP", "'None'");
    assert_owns("m", "Update", "{'f:spec':{'f:type':{},'f:clusterIP':{}}}");
    ck_assert_uint_eq(case_entry_count(), 1);
}
END_TEST

START_TEST(a_write_of_the_status_is_an_entry_of_its_own) {
    case_update("m", SPEC("'type':'NodePort'"));
    writer.subresource = "status";
    update_member("m", "status", "loadBalancer", "{'ingress':[{'ip':'192.0.2.1'}]}");
    struct json_object *entry =
        json_object_array_get_idx(json_at(object, "metadata", "managedFields", NULL), 1);
    ck_assert_str_eq(json_member_text(entry, "subresource"), "status");
    struct json_object *expected = case_value("{'f:status':{'f:loadBalancer':{'f:ingress':{}}}}");
    ck_assert(json_object_equal(json_member(entry, "fieldsV1"), expected));
    json_object_put(expected);
    /* the spec is not the status endpoint's: nothing of it changes hands */
    update_member("m", "spec", "type", "'ClusterIP'");
    ck_assert_uint_eq(case_entry_count(), 2);
    writer.subresource = "";
    ck_assert_int_eq(apply("a", SERVICE("'metadata':{'name':'web'},'status':{'loadBalancer':"
                                        "{'ingress':[{'ip':'192.0.2.9'}]}}")),
                     200);
}
END_TEST

START_TEST(an_empty_list_of_managers_ends_the_keeping) {
    static const char *const resets[] = {"[]", "[{}]"};
    case_update("m", SPEC("'type':'NodePort'"));
    update_member("m", "metadata", "managedFields", resets[_i]);
    ck_assert_uint_eq(case_entry_count(), 0);
    update_member("m", "spec", "type", "'ClusterIP'");
    ck_assert_uint_eq(case_entry_count(), 0);
    /* until somebody applies: what is there then was somebody's */
    ck_assert_int_eq(apply("a", SPEC("'type':'NodePort'")), 409);
    ck_assert_str_eq(case_said(),
                     "Apply failed with 1 conflict: conflict with \"before-first-apply\" "
                     "using v1: .spec.type");
    ck_assert_int_eq(apply("a", SPEC("'type':'ClusterIP'")), 200);
    assert_owns("before-first-apply", "Update", "{'f:spec':{'f:type':{}}}");
}
END_TEST

START_TEST(managers_that_cannot_be_read_are_not_taken) {
    static const char *const bad[] = {
        "[{'manager':'x','operation':'Frob','apiVersion':'v1','fieldsType':'FieldsV1'}]",
        "[{'manager':'x','operation':'Update','fieldsType':'FieldsV1'}]",
        "[{'manager':'x','operation':'Update','apiVersion':'v1','fieldsType':'FieldsV2'}]",
        "[{'manager':'x','operation':'Update','apiVersion':'v1','fieldsType':'FieldsV1',"
        "'fieldsV1':{'spec':{}}}]",
        "[{'manager':'x','operation':'Update','apiVersion':'v1','fieldsType':'FieldsV1',"
        "'fieldsV1':{'f:spec':{'k:[1]':{}}}}]",
    };
    case_update("m", SPEC("'type':'NodePort'"));
    update_member("m", "metadata", "managedFields", bad[_i]);
    assert_owns("m", "Update", "{'f:spec':{'f:type':{}}}");
}
END_TEST

START_TEST(managers_that_a_client_gives_are_taken) {
    case_update("m", SPEC("'type':'NodePort'"));
    update_member("m", "metadata", "managedFields",
                  "[{'manager':'n','operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1',"
                  "'fieldsV1':{'f:spec':{'k:{\\'protocol\\':\\'TCP\\', \\'port\\':1}':{'.':{}},"
                  "'z:unknown':{}}}}]");
    ck_assert_uint_eq(case_entry_count(), 1);
    /* in the one form: keys in order, nothing unknown */
    assert_owns("n", "Apply", "{'f:spec':{'k:{\\'port\\':1,\\'protocol\\':\\'TCP\\'}':{}}}");
}
END_TEST

START_TEST(the_oldest_of_many_updates_become_one) {
    case_update("m0", LABELS("'n':'0'"));
    for (int i = 1; i <= 12; i++) {
        char manager[8], label[8];
        snprintf(manager, sizeof manager, "m%d", i);
        snprintf(label, sizeof label, "l%d", i);
        struct json_object *labels = json_copy(json_at(object, "metadata", "labels", NULL));
        json_set_text(labels, label, "x");
        writer.now += 10;
        update_member(manager, "metadata", "labels", json_line(labels, NULL));
        json_object_put(labels);
        ck_assert_uint_le(case_entry_count(), 10);
    }
    assert_owns("ancient-changes", "Update",
                "{'f:metadata':{'f:labels':{'.':{},'f:n':{},'f:l1':{},'f:l2':{},'f:l3':{}}}}");
    assert_owns("m12", "Update", "{'f:metadata':{'f:labels':{'f:l12':{}}}}");
}
END_TEST

/* --- apply ------------------------------------------------------------------------------------ */

START_TEST(an_apply_owns_exactly_what_it_gives) {
    ck_assert_int_eq(
        apply("a", SERVICE("'metadata':{'name':'web','namespace':'default','labels':{'x':'y'},"
                           "'creationTimestamp':null},"
                           "'spec':{'ports':[{'port':80,'targetPort':'http'}],'selector':{}},"
                           "'status':{'loadBalancer':{}}")),
        200);
    assert_owns("a", "Apply",
                "{'f:metadata':{'f:labels':{'f:x':{}}},'f:spec':{'f:selector':{},'f:ports':"
                "{'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':"
                "{'.':{},'f:port':{},'f:targetPort':{}}}}}");
}
END_TEST

START_TEST(applying_the_same_again_changes_nothing) {
    static const char config[] = SPEC("'type':'NodePort','ports':[{'port':1},{'port':2}]");
    apply("a", config);
    struct json_object *before = json_copy(object);
    writer.now = 9000;
    ck_assert_int_eq(apply("a", config), 200);
    ck_assert_str_eq(json_line(object, NULL), json_line(before, NULL));
    /* one more field, which has this value already: the manager's entry changes, and its time */
    update_member("m", "spec", "sessionAffinity", "'None'");
    ck_assert_int_eq(apply("a", SPEC("'type':'NodePort','sessionAffinity':'None',"
                                     "'ports':[{'port':1},{'port':2}]")),
                     200);
    ck_assert_str_eq(json_member_text(case_entry_of("a", "Apply"), "time"), "1970-01-01T02:30:00Z");
    json_object_put(before);
}
END_TEST

START_TEST(another_value_than_the_owners_is_a_conflict_that_names_both) {
    apply("a", SPEC("'type':'NodePort','ports':[{'port':80,'protocol':'UDP','targetPort':8080}]"));
    ck_assert_int_eq(apply("b", SPEC("'ports':[{'port':80,'protocol':'UDP','targetPort':9090}]")),
                     409);
    ck_assert_str_eq(case_said(), "Apply failed with 1 conflict: conflict with \"a\": "
                                  ".spec.ports[port=80,protocol=\"UDP\"].targetPort");
    struct json_object *cause =
        json_object_array_get_idx(json_at(outcome.value, "details", "causes", NULL), 0);
    ck_assert_str_eq(json_member_text(outcome.value, "reason"), "Conflict");
    ck_assert_str_eq(json_member_text(cause, "reason"), "FieldManagerConflict");
    ck_assert_str_eq(json_member_text(cause, "message"), "conflict with \"a\"");
    ck_assert_str_eq(json_member_text(cause, "field"),
                     ".spec.ports[port=80,protocol=\"UDP\"].targetPort");
    assert_owns("b", "Apply", NULL);
}
END_TEST

START_TEST(conflicts_are_listed_by_manager) {
    case_update("edit", SPEC("'type':'NodePort','externalName':'x'"));
    writer.subresource = "status";
    update_member("lb", "metadata", "labels", "{'l':'1'}");
    writer.subresource = "";
    ck_assert_int_eq(apply("b", SERVICE("'metadata':{'name':'web','labels':{'l':'2'}},"
                                        "'spec':{'type':'ClusterIP','externalName':'y'}")),
                     409);
    ck_assert_str_eq(case_said(), "Apply failed with 3 conflicts: "
                                  "conflicts with \"edit\" using v1:\n"
                                  "- .spec.externalName\n"
                                  "- .spec.type\n"
                                  "conflicts with \"lb\" with subresource \"status\" using v1:\n"
                                  "- .metadata.labels.l");
}
END_TEST

START_TEST(the_same_value_is_owned_by_both) {
    apply("a", SPEC("'type':'NodePort'"));
    ck_assert_int_eq(apply("b", SPEC("'type':'NodePort'")), 200);
    assert_owns("a", "Apply", "{'f:spec':{'f:type':{}}}");
    assert_owns("b", "Apply", "{'f:spec':{'f:type':{}}}");
    /* what one gives up, the other holds */
    ck_assert_int_eq(apply("a", SERVICE("'metadata':{'name':'web'}")), 200);
    assert_is("spec", "{'type':'NodePort'}");
    assert_owns("a", "Apply", NULL);
    ck_assert_int_eq(apply("b", SERVICE("'metadata':{'name':'web'}")), 200);
    ck_assert_ptr_null(json_member(object, "spec"));
}
END_TEST

START_TEST(force_takes_over) {
    apply("a", SPEC("'type':'NodePort','externalName':'x'"));
    ck_assert_int_eq(force("b", SPEC("'type':'ClusterIP'")), 200);
    assert_is("spec", "{'type':'ClusterIP','externalName':'x'}");
    assert_owns("a", "Apply", "{'f:spec':{'f:externalName':{}}}");
    assert_owns("b", "Apply", "{'f:spec':{'f:type':{}}}");
}
END_TEST

START_TEST(what_is_no_longer_given_goes_and_what_the_server_chose_stays) {
    apply("a", SERVICE("'metadata':{'name':'web','labels':{'x':'1','y':'2'}},"
                       "'spec':{'ports':[{'port':80},{'port':443}],'externalName':'x'}"));
    /* the server fills in what nobody gave: nobody owns it */
    struct json_object *spec = json_member(object, "spec");
    json_set_text(spec, "clusterIP", "10.96.0.7");
    for (size_t i = 0; i < 2; i++) {
        struct json_object *port = json_object_array_get_idx(json_member(spec, "ports"), i);
        json_set_number(port, "nodePort", 30000 + (int)i);
        json_set_text(port, "protocol", "TCP");
    }
    ck_assert_int_eq(apply("a", SERVICE("'metadata':{'name':'web','labels':{'y':'2'}},"
                                        "'spec':{'ports':[{'port':80}]}")),
                     200);
    assert_is("spec", "{'clusterIP':'10.96.0.7',"
                      "'ports':[{'port':80,'nodePort':30000,'protocol':'TCP'}]}");
    ck_assert_str_eq(json_line(json_at(object, "metadata", "labels", NULL), NULL), "{\"y\":\"2\"}");
}
END_TEST

START_TEST(a_list_is_merged_in_the_configs_order) {
    static const struct {
        const char *live, *config, *merged; /* a letter is an element */
    } orders[] = {
        {"ab", "ab", "ab"},       {"ab", "ba", "ba"},  {"abc", "ca", "bca"},
        {"ba", "xa", "bxa"},      {"ab", "xa", "xab"}, {"abc", "xc", "abxc"},
        {"azb", "bxa", "zbxa"},   {"", "xy", "xy"},    {"ab", "xyab", "xyab"},
        {"abcd", "dxb", "acdxb"},
    };
    struct json_object *lists[3];
    const char *texts[] = {orders[_i].live, orders[_i].config, orders[_i].merged};
    for (size_t i = 0; i < 3; i++) {
        struct json_object *list = json_object_new_array();
        for (const char *at = texts[i]; *at != '\0'; at++) {
            json_object_array_add(list, json_object_new_string_len(at, 1));
        }
        lists[i] = list;
    }
    struct structure set = {.kind = STRUCTURE_SET};
    struct json_object *merged = fields_merge(&set, lists[0], lists[1]);
    ck_assert_msg(json_object_equal(merged, lists[2]), "%s and %s gave %s", texts[0], texts[1],
                  json_line(merged, NULL));
    for (size_t i = 0; i < 3; i++) {
        json_object_put(lists[i]);
    }
    json_object_put(merged);
}
END_TEST

/* The whole of it has one owner, whichever part is changed. */
START_TEST(an_atomic_field_has_one_owner) {
    static const char *const members[][3] = {
        {"'selector':{'a':'b'}", "'selector':{'c':'d'}", ".spec.selector"},
        {"'externalIPs':['192.0.2.1']", "'externalIPs':['192.0.2.1','192.0.2.2']",
         ".spec.externalIPs"},
        {"'ipFamilies':['IPv4']", "'ipFamilies':['IPv6']", ".spec.ipFamilies"},
        {"'loadBalancerSourceRanges':['10.0.0.0/8']", "'loadBalancerSourceRanges':[]",
         ".spec.loadBalancerSourceRanges"},
        {"'clusterIPs':['10.96.0.1']", "'clusterIPs':['10.96.0.2']", ".spec.clusterIPs"},
    };
    char config[256];
    snprintf(config, sizeof config, SPEC("%s"), members[_i][0]);
    ck_assert_int_eq(apply("a", config), 200);
    snprintf(config, sizeof config, SPEC("%s"), members[_i][1]);
    ck_assert_int_eq(apply("b", config), 409);
    ck_assert_ptr_nonnull(strstr(case_said(), members[_i][2]));
    ck_assert_int_eq(force("b", config), 200);
    struct json_object *wanted = case_value(config);
    ck_assert(json_object_equal(json_member(object, "spec"), json_member(wanted, "spec")));
    json_object_put(wanted);
}
END_TEST

START_TEST(elements_of_sets_and_keyed_lists_have_owners) {
    apply("a", SERVICE("'metadata':{'name':'web','finalizers':['a/1'],'ownerReferences':"
                       "[{'uid':'u1','name':'x','kind':'K','apiVersion':'v1'}]}"));
    ck_assert_int_eq(
        apply("b", SERVICE("'metadata':{'name':'web','finalizers':['b/1'],'ownerReferences':"
                           "[{'uid':'u2','name':'y','kind':'K','apiVersion':'v1'}]}")),
        200);
    assert_owns("b", "Apply",
                "{'f:metadata':{'f:finalizers':{'v:\\'b/1\\'':{}},"
                "'f:ownerReferences':{'k:{\\'uid\\':\\'u2\\'}':{}}}}");
    ck_assert_int_eq(apply("a", SERVICE("'metadata':{'name':'web'}")), 200);
    ck_assert_str_eq(json_line(json_at(object, "metadata", "finalizers", NULL), NULL), "[\"b/1\"]");
    ck_assert_uint_eq(json_length(json_at(object, "metadata", "ownerReferences", NULL)), 1);
}
END_TEST

START_TEST(a_config_that_cannot_be_applied_is_refused) {
    static const char *const configs[][2] = {
        {SPEC("'foo':1"), "failed to create typed patch object (/web; /v1, Kind=Service): "
                          ".spec.foo: field not declared in schema"},
        {SPEC("'ports':[{'port':80},{'port':80,'protocol':'TCP'}]"),
         ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]"},
        {SPEC("'ports':[{'port':80,'x':1}]"),
         ".spec.ports[port=80,protocol=\"TCP\"].x: field not declared in schema"},
        {SPEC("'ports':1"), "cannot unmarshal number into field spec.ports"},
        {SERVICE("'metadata':{'name':'web','managedFields':[]}"),
         "metadata.managedFields must be nil"},
        {"{'apiVersion':'v1','kind':'Pod'}", "invalid object type: /v1, Kind=Pod"},
        {"{'apiVersion':'apps/v1','kind':'Service'}", "invalid object type: apps/v1, Kind=Service"},
        {"{}", "invalid object type: "},
    };
    ck_assert_int_eq(apply("a", configs[_i][0]), 400);
    ck_assert_msg(strstr(case_said(), configs[_i][1]) != NULL, "%s", case_said());
    ck_assert_ptr_null(object);
}
END_TEST

/* --- from client-side to server-side apply ---------------------------------------------------- */

#define ANNOTATED(config, spec)                                                         \
    SERVICE("'metadata':{'name':'web','annotations':{"                                  \
            "'kubectl.kubernetes.io/last-applied-configuration':'" config "'}},'spec':" \
            "{" spec "}")
#define LAST                                                          \
    "{\\'apiVersion\\':\\'v1\\',\\'kind\\':\\'Service\\',\\'spec\\':" \
    "{\\'type\\':\\'NodePort\\',\\'externalName\\':\\'x\\'}}"

START_TEST(kubectl_takes_over_what_it_applied_itself) {
    case_update("kubectl-client-side-apply",
                ANNOTATED(LAST, "'type':'NodePort','externalName':'x'"));
    ck_assert_int_eq(apply("other", SPEC("'type':'ClusterIP'")), 409);
    ck_assert_int_eq(apply("kubectl", SPEC("'type':'ClusterIP','externalName':'x'")), 200);
    assert_is("spec", "{'type':'ClusterIP','externalName':'x'}");
    const char *annotation = json_member_text(json_at(object, "metadata", "annotations", NULL),
                                              "kubectl.kubernetes.io/last-applied-configuration");
    ck_assert_str_eq(annotation, "{\"apiVersion\":\"v1\",\"kind\":\"Service\","
                                 "\"metadata\":{\"name\":\"web\"},"
                                 "\"spec\":{\"externalName\":\"x\",\"type\":\"ClusterIP\"}}\n");
}
END_TEST

START_TEST(what_somebody_changed_since_is_a_conflict_for_kubectl_too) {
    case_update("kubectl-client-side-apply",
                ANNOTATED(LAST, "'type':'NodePort','externalName':'x'"));
    update_member("edit", "spec", "type", "'LoadBalancer'");
    ck_assert_int_eq(apply("kubectl", SPEC("'type':'ClusterIP','externalName':'y'")), 409);
    ck_assert_str_eq(case_said(), "Apply failed with 1 conflict: conflict with \"edit\" using v1: "
                                  ".spec.type");
}
END_TEST

/* --- names ------------------------------------------------------------------------------------ */

START_TEST(a_manager_is_named_by_the_parameter_or_the_user_agent) {
    static const char *const names[][3] = {
        {"m", "kubectl/v1.33.0 (linux)", "m"},
        {"", "kubectl/v1.33.0 (linux)", "kubectl"},
        {NULL, "curl", "curl"},
        {NULL, NULL, "unknown"},
        {NULL, "", "unknown"},
        {NULL, "/x", "unknown"},
        {NULL, "a\tb\x7f/1", "ab"},
        {"gestión", NULL, "gestión"},
    };
    char name[MANAGER_NAME_MAX + 1];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        manager_name(names[i][0], names[i][1], name);
        ck_assert_str_eq(name, names[i][2]);
    }
    char long_agent[400];
    memset(long_agent, 'x', sizeof long_agent);
    long_agent[sizeof long_agent - 1] = '\0';
    manager_name(NULL, long_agent, name);
    ck_assert_uint_eq(strlen(name), MANAGER_NAME_MAX);
    ipalloc_service_problems problems = {.size = sizeof problems};
    ck_assert(manager_name_check("m", "fieldManager", &problems));
    ck_assert(!manager_name_check(long_agent, "fieldManager", &problems));
    ck_assert_str_eq(problems.items[0].message, "Too long: may not be more than 128 bytes");
    ck_assert(!manager_name_check("a\x01", "fieldManager", &problems));
    ck_assert_ptr_nonnull(
        strstr(problems.items[1].message, "invalid character U+0001 (at position 1)"));
    ck_assert(!manager_name_check("\xc3", "fieldManager", &problems));
}
END_TEST

/* --- random ----------------------------------------------------------------------------------- */

static struct json_object *random_config(uint64_t *state) {
    static const char *const labels[] = {"a", "b", "c"};
    static const char *const texts[] = {"type", "externalName", "clusterIP", "sessionAffinity"};
    struct json_object *out = case_value(SERVICE("'metadata':{'name':'web'}"));
    struct json_object *spec = json_object_new_object();
    struct json_object *ports = json_object_new_array();
    for (int i = 0; i < 3; i++) {
        if (test_random(state) % 2 == 0) {
            json_set_text(json_ensure(json_member(out, "metadata"), "labels"), labels[i],
                          test_random(state) % 2 == 0 ? "0" : "1");
        }
        if (test_random(state) % 2 == 0) {
            struct json_object *port = json_object_new_object();
            json_set_number(port, "port", i + 1);
            json_set_number(port, "targetPort", (int64_t)(test_random(state) % 3 + 1));
            json_object_array_add(ports, port);
        }
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (test_random(state) % 3 == 0) {
            json_set_text(spec, texts[i], test_random(state) % 2 == 0 ? "0" : "1");
        }
    }
    if (json_length(ports) > 0) {
        json_set(spec, "ports", ports);
    } else {
        json_object_put(ports);
    }
    if (json_object_object_length(spec) > 0) {
        json_set(out, "spec", spec);
    } else {
        json_object_put(spec);
    }
    return out;
}

/* Is all that the config gives in the object? */
static bool is_laid_over(struct json_object *config) {
    struct structure structure = structure_of(resource_services.schema);
    struct json_object *merged = fields_merge(&structure, object, config);
    struct comparison change = fields_compare(&structure, object, merged);
    bool same = field_set_is_empty(change.modified) && field_set_is_empty(change.added);
    comparison_clear(&change);
    json_object_put(merged);
    return same;
}

START_TEST(whatever_is_applied_is_so_and_all_of_it_goes_again) {
    static const char *const managers[] = {"a", "b", "c"};
    uint64_t state = test_seed();
    for (uint64_t round = 0; round < test_scaled(60); round++) {
        for (int step = 0; step < 8; step++) {
            const char *manager = managers[test_random(&state) % 3];
            struct json_object *config = random_config(&state);
            if (case_apply_value(manager, json_object_get(config), false) == 409) {
                ck_assert_int_eq(case_apply_value(manager, json_object_get(config), true), 200);
            }
            ck_assert_msg(is_laid_over(config), "%s is not in %s", json_line(config, NULL),
                          json_line(object, NULL));
            struct json_object *before = json_copy(object);
            writer.now++;
            ck_assert_int_eq(case_apply_value(manager, config, false), 200);
            ck_assert_str_eq(json_line(object, NULL), json_line(before, NULL));
            json_object_put(before);
        }
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(apply(managers[i], SERVICE("'metadata':{'name':'web'}")), 200);
        }
        ck_assert_uint_eq(case_entry_count(), 0);
        ck_assert_msg(json_member(object, "spec") == NULL, "%s", json_line(object, NULL));
        case_end();
        case_begin();
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("managed");
    TCase *cases = tcase_create("managed");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, case_begin, case_end);
    tcase_add_test(cases, a_create_owns_what_it_sets_and_the_containers_it_makes);
    tcase_add_test(cases, an_update_takes_what_it_changes_from_all_others);
    tcase_add_test(cases, an_update_that_changes_nothing_leaves_everything);
    tcase_add_test(cases, a_manager_keeps_what_it_wrote_before);
    tcase_add_test(cases, a_write_of_the_status_is_an_entry_of_its_own);
    tcase_add_loop_test(cases, an_empty_list_of_managers_ends_the_keeping, 0, 2);
    tcase_add_loop_test(cases, managers_that_cannot_be_read_are_not_taken, 0, 5);
    tcase_add_test(cases, managers_that_a_client_gives_are_taken);
    tcase_add_test(cases, the_oldest_of_many_updates_become_one);
    tcase_add_test(cases, an_apply_owns_exactly_what_it_gives);
    tcase_add_test(cases, applying_the_same_again_changes_nothing);
    tcase_add_test(cases, another_value_than_the_owners_is_a_conflict_that_names_both);
    tcase_add_test(cases, conflicts_are_listed_by_manager);
    tcase_add_test(cases, the_same_value_is_owned_by_both);
    tcase_add_test(cases, force_takes_over);
    tcase_add_test(cases, what_is_no_longer_given_goes_and_what_the_server_chose_stays);
    tcase_add_loop_test(cases, a_list_is_merged_in_the_configs_order, 0, 10);
    tcase_add_loop_test(cases, an_atomic_field_has_one_owner, 0, 5);
    tcase_add_test(cases, elements_of_sets_and_keyed_lists_have_owners);
    tcase_add_loop_test(cases, a_config_that_cannot_be_applied_is_refused, 0, 8);
    tcase_add_test(cases, kubectl_takes_over_what_it_applied_itself);
    tcase_add_test(cases, what_somebody_changed_since_is_a_conflict_for_kubectl_too);
    tcase_add_test(cases, a_manager_is_named_by_the_parameter_or_the_user_agent);
    tcase_add_test(cases, whatever_is_applied_is_so_and_all_of_it_goes_again);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
