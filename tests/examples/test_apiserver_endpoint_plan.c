/* test_apiserver_endpoint_plan.c: from a Service and its Pods to slices, without a server. */
#include "endpoint_plan.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PODS_MAX = 1000, SLICES_MAX = 64 };

static struct json_object *service;
static struct json_object *pods[PODS_MAX];
static size_t pod_count;
static struct json_object *stored[SLICES_MAX]; /* what a server would have by now */
static size_t stored_count;
static size_t made, changed, removed; /* by the last plan */

/* --- set-up ----------------------------------------------------------------------------------- */

/* JSON in which ' stands for ". */
static struct json_object *json(const char *text) {
    char copy[1024];
    struct text problem = {0};
    snprintf(copy, sizeof copy, "%s", text);
    for (char *at = copy; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct json_object *value = json_parse(copy, strlen(copy), &problem);
    ck_assert_msg(value != NULL, "%s: %s", copy, problem.data);
    return value;
}

static void set_up(void) {
    service = json("{'metadata':{'name':'web','namespace':'default','uid':'u-1','labels':{'team':"
                   "'blue'}},'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','ipFamilies':["
                   "'IPv4'],'selector':{'app':'web'},'ports':[{'name':'','port':80,'protocol':"
                   "'TCP','targetPort':8080}]}}");
    pod_count = stored_count = 0;
}

static void tear_down(void) {
    json_object_put(service);
    while (pod_count > 0) {
        json_object_put(pods[--pod_count]);
    }
    while (stored_count > 0) {
        json_object_put(stored[--stored_count]);
    }
}

static void add_pod(int number) {
    char text[512];
    snprintf(text, sizeof text,
             "{'metadata':{'name':'p%04d','namespace':'default','uid':'u-%d','labels':{'app':'web'"
             "}},'spec':{'nodeName':'n1'},'status':{'phase':'Running','podIP':'10.1.%d.%d',"
             "'conditions':[{'type':'Ready','status':'True'}]}}",
             number, number, number / 250, number % 250 + 1);
    pods[pod_count++] = json(text);
}

static void take_pod(size_t place) {
    json_object_put(pods[place]);
    pods[place] = pods[--pod_count];
}

static void set_ready(size_t place, bool ready) {
    struct json_object *conditions = json_at(pods[place], "status", "conditions", NULL);
    json_set_text(json_object_array_get_idx(conditions, 0), "status", ready ? "True" : "False");
}

/* --- what a server would do with a plan ------------------------------------------------------- */

static const char *name_of(struct json_object *slice) {
    return json_member_text(json_member(slice, "metadata"), "name");
}

static size_t find_stored(const char *name) {
    size_t at = 0;
    while (at < stored_count && strcmp(name_of(stored[at]), name) != 0) {
        at++;
    }
    return at;
}

static bool is_taken(void *context, const char *name) {
    (void)context;
    return find_stored(name) < stored_count;
}

static bool is_planned(struct json_object *plan, const char *name) {
    for (size_t i = 0; i < json_length(plan); i++) {
        if (strcmp(name_of(json_object_array_get_idx(plan, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

static struct json_object *make_plan(struct json_object *endpoints) {
    struct slices_seen seen = {.slices = stored, .count = stored_count, .is_taken = is_taken};
    return endpoints != NULL ? plan_mirror(service, endpoints, &seen)
                             : plan_slices(service, pods, pod_count, &seen);
}

static void store(struct json_object *plan) {
    made = changed = removed = 0;
    for (size_t i = 0; i < json_length(plan); i++) {
        struct json_object *wanted = json_object_array_get_idx(plan, i);
        size_t at = find_stored(name_of(wanted));
        ck_assert_uint_lt(at, SLICES_MAX);
        if (at == stored_count) {
            stored[stored_count++] = json_copy(wanted);
            made++;
        } else if (!plan_is_met(wanted, stored[at])) {
            struct json_object *merged = plan_merge(wanted, stored[at]);
            json_object_put(stored[at]);
            stored[at] = merged;
            changed++;
        }
    }
    for (size_t i = stored_count; i-- > 0;) {
        if (!is_planned(plan, name_of(stored[i]))) {
            json_object_put(stored[i]);
            stored[i] = stored[--stored_count];
            removed++;
        }
    }
}

static void follow_plan(struct json_object *endpoints) {
    struct json_object *plan = make_plan(endpoints);
    store(plan);
    json_object_put(plan);
    plan = make_plan(endpoints); /* and then nothing is left to do */
    size_t before[] = {made, changed, removed};
    store(plan);
    ck_assert_uint_eq(made + changed + removed, 0);
    made = before[0];
    changed = before[1];
    removed = before[2];
    json_object_put(plan);
}

static size_t endpoint_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < stored_count; i++) {
        size_t here = json_length(json_member(stored[i], "endpoints"));
        ck_assert_uint_le(here, SLICE_ENDPOINTS_MAX);
        count += here;
    }
    return count;
}

/* Each address of the Pods is there once. */
static void judge_all_there(void) {
    ck_assert_uint_eq(endpoint_count(), pod_count);
    struct text all = {0};
    for (size_t i = 0; i < stored_count; i++) {
        text_add(&all, json_line(stored[i], NULL));
    }
    for (size_t i = 0; i < pod_count; i++) {
        char quoted[32];
        snprintf(quoted, sizeof quoted, "\"%s\"",
                 json_member_text(json_member(pods[i], "status"), "podIP"));
        const char *at = strstr(all.data, quoted);
        ck_assert_msg(at != NULL && strstr(at + 1, quoted) == NULL, "%s", quoted);
    }
    text_clear(&all);
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(one_pod_of_a_thousand_is_one_slice_of_ten) {
    for (int i = 0; i < 1000; i++) {
        add_pod(i);
    }
    follow_plan(NULL);
    ck_assert_uint_eq(made, 10);
    judge_all_there();
    take_pod(0); /* the first by name */
    follow_plan(NULL);
    ck_assert_uint_eq(made + removed, 0);
    ck_assert_uint_eq(changed, 1);
    set_ready(500, false);
    follow_plan(NULL);
    ck_assert_uint_eq(made + removed, 0);
    ck_assert_uint_eq(changed, 1);
    add_pod(1000);
    follow_plan(NULL);
    ck_assert_uint_eq(made + removed, 0);
    ck_assert_uint_eq(changed, 1);
    judge_all_there();
}
END_TEST

START_TEST(slices_that_became_nearly_empty_are_joined) {
    for (int i = 0; i < 1000; i++) {
        add_pod(i);
    }
    follow_plan(NULL);
    for (size_t i = 0; pod_count > 150; i++) {
        take_pod(i * 7919 % pod_count);
        if (pod_count % 50 == 0) {
            follow_plan(NULL);
            judge_all_there();
        }
    }
    ck_assert_uint_le(stored_count, 3); /* no two of them would fit into one */
}
END_TEST

/* Random Pods come and go; whatever the slices were, all are there once afterwards. */
START_TEST(all_pods_are_there_once_whatever_came_before) {
    uint64_t random = test_seed();
    int number = 0;
    for (int round = 0; round < 40; round++) {
        size_t wanted = test_random(&random) % 400;
        while (pod_count < wanted) {
            add_pod(number++ % 50000);
        }
        while (pod_count > wanted) {
            take_pod(test_random(&random) % pod_count);
        }
        follow_plan(NULL);
        if (pod_count > 0) {
            judge_all_there();
        }
    }
}
END_TEST

/* What moves is written where it goes before it is taken from where it was. */
START_TEST(what_adds_is_told_from_what_only_takes) {
    struct json_object *one = json("{'endpoints':[{'addresses':['10.1.0.1']}]}");
    struct json_object *two =
        json("{'endpoints':[{'addresses':['10.1.0.2']},{'addresses':['10.1.0.1']}]}");
    struct json_object *other = json("{'endpoints':[{'addresses':['10.1.0.3']}]}");
    ck_assert(plan_adds(two, one));
    ck_assert(!plan_adds(one, two));
    ck_assert(plan_adds(other, two));
    ck_assert(!plan_adds(two, two));
    json_object_put(one);
    json_object_put(two);
    json_object_put(other);
}
END_TEST

START_TEST(another_port_is_one_change_of_the_same_slice) {
    add_pod(1);
    follow_plan(NULL);
    ck_assert_uint_eq(made, 1);
    json_set_number(json_object_array_get_idx(json_at(service, "spec", "ports", NULL), 0),
                    "targetPort", 9090);
    follow_plan(NULL);
    ck_assert_uint_eq(changed, 1);
    ck_assert_uint_eq(made + removed, 0);
    ck_assert_ptr_nonnull(strstr(json_line(stored[0], NULL), "9090"));
}
END_TEST

START_TEST(the_empty_slice_of_a_new_service_gets_the_first_endpoints) {
    follow_plan(NULL);
    ck_assert_uint_eq(made, 1);
    add_pod(1);
    follow_plan(NULL);
    ck_assert_uint_eq(changed, 1);
    take_pod(0);
    follow_plan(NULL);
    ck_assert_uint_eq(changed, 1);
    ck_assert_uint_eq(stored_count, 1);
    ck_assert_uint_eq(endpoint_count(), 0);
}
END_TEST

START_TEST(what_others_wrote_into_the_metadata_stays_but_labels_are_the_service_s) {
    add_pod(1);
    follow_plan(NULL);
    struct json_object *metadata = json_member(stored[0], "metadata");
    json_set(metadata, "annotations", json("{'theirs':'1'}"));
    json_set(metadata, "finalizers", json("['theirs/too']"));
    json_set_text(json_member(metadata, "labels"), SLICE_MANAGER_LABEL, "");
    json_set_text(json_at(service, "metadata", "labels", NULL), "team", "red");
    json_set_text(json_at(service, "metadata", "labels", NULL), SLICE_SERVICE_LABEL, "trick");
    set_ready(0, false);
    follow_plan(NULL);
    ck_assert_uint_eq(changed, 1);
    ck_assert_uint_eq(made + removed, 0);
    metadata = json_member(stored[0], "metadata");
    struct json_object *labels = json_member(metadata, "labels");
    ck_assert_str_eq(json_member_text(json_member(metadata, "annotations"), "theirs"), "1");
    ck_assert_uint_eq(json_length(json_member(metadata, "finalizers")), 1);
    ck_assert_str_eq(json_member_text(labels, "team"), "red");
    ck_assert_str_eq(json_member_text(labels, SLICE_SERVICE_LABEL), "web");
    ck_assert_str_eq(json_member_text(labels, SLICE_MANAGER_LABEL), SLICE_MANAGER);
}
END_TEST

START_TEST(a_slice_of_another_family_is_replaced) {
    add_pod(1);
    follow_plan(NULL);
    json_set_text(stored[0], "addressType", "IPv6");
    follow_plan(NULL);
    ck_assert_uint_eq(made, 1);
    ck_assert_uint_eq(removed, 1);
    judge_all_there();
}
END_TEST

/* A name that is somebody else's is passed over, as it would never become free. */
START_TEST(a_name_that_is_taken_is_not_chosen) {
    add_pod(1);
    follow_plan(NULL);
    char first[80];
    snprintf(first, sizeof first, "%s", name_of(stored[0]));
    json_set_text(json_at(stored[0], "metadata", "labels", NULL), SLICE_MANAGER_LABEL, "theirs");
    struct json_object *plan = make_plan(NULL);
    ck_assert_uint_eq(json_length(plan), 1);
    ck_assert_str_ne(name_of(json_object_array_get_idx(plan, 0)), first);
    json_object_put(plan);
}
END_TEST

START_TEST(a_long_name_and_a_hostname_are_carried) {
    char name[64];
    memset(name, 'n', 63);
    name[63] = '\0';
    json_set_text(json_member(service, "metadata"), "name", name);
    add_pod(1);
    json_set_text(json_member(pods[0], "spec"), "hostname", "db-0");
    json_set_text(json_member(pods[0], "spec"), "subdomain", name);
    follow_plan(NULL);
    ck_assert_uint_eq(strlen(name_of(stored[0])), 63);
    struct json_object *endpoint =
        json_object_array_get_idx(json_member(stored[0], "endpoints"), 0);
    ck_assert_str_eq(json_member_text(endpoint, "hostname"), "db-0");
    json_set_text(json_member(pods[0], "spec"), "subdomain", "other");
    follow_plan(NULL);
    endpoint = json_object_array_get_idx(json_member(stored[0], "endpoints"), 0);
    ck_assert_str_eq(json_member_text(endpoint, "hostname"), "");
}
END_TEST

START_TEST(endpoints_are_mirrored_unless_they_say_otherwise) {
    json_remove(json_member(service, "spec"), "selector");
    struct json_object *endpoints =
        json("{'metadata':{'name':'web','labels':{'of':'mine'}},'subsets':[{'addresses':[{'ip':"
             "'192.0.2.1'},{'ip':'2001:db8::1'}],'notReadyAddresses':[{'ip':'192.0.2.1'},{'ip':"
             "'192.0.2.2'}],'ports':[{'port':8080,'protocol':'TCP'}]}]}");
    follow_plan(endpoints);
    ck_assert_uint_eq(made, 2);
    ck_assert_uint_eq(endpoint_count(), 3); /* the one that is in both lists is ready */
    ck_assert_str_eq(json_member_text(json_at(stored[0], "metadata", "labels", NULL), "of"),
                     "mine");
    json_set_text(json_at(endpoints, "metadata", "labels", NULL),
                  "endpointslice.kubernetes.io/skip-mirror", "true");
    follow_plan(endpoints);
    ck_assert_uint_eq(stored_count, 0);
    json_set_text(json_at(endpoints, "metadata", "labels", NULL),
                  "endpointslice.kubernetes.io/skip-mirror", "false");
    follow_plan(endpoints);
    ck_assert_uint_eq(stored_count, 2);
    json_set_text(json_ensure(json_member(endpoints, "metadata"), "annotations"),
                  "control-plane.alpha.kubernetes.io/leader", "{}");
    follow_plan(endpoints);
    ck_assert_uint_eq(stored_count, 0);
    json_object_put(endpoints);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoint plan");
    TCase *tests = tcase_create("plan");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, one_pod_of_a_thousand_is_one_slice_of_ten);
    tcase_add_test(tests, slices_that_became_nearly_empty_are_joined);
    tcase_add_test(tests, all_pods_are_there_once_whatever_came_before);
    tcase_add_test(tests, what_adds_is_told_from_what_only_takes);
    tcase_add_test(tests, another_port_is_one_change_of_the_same_slice);
    tcase_add_test(tests, the_empty_slice_of_a_new_service_gets_the_first_endpoints);
    tcase_add_test(tests, what_others_wrote_into_the_metadata_stays_but_labels_are_the_service_s);
    tcase_add_test(tests, a_slice_of_another_family_is_replaced);
    tcase_add_test(tests, a_name_that_is_taken_is_not_chosen);
    tcase_add_test(tests, a_long_name_and_a_hostname_are_carried);
    tcase_add_test(tests, endpoints_are_mirrored_unless_they_say_otherwise);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
