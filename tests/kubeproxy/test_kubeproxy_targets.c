/* Which endpoints a Service's port has, out of what slices say of them; how they are drawn; who
 * asks for their health. */
#include "kubeproxy_world.h"
#include "support.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Endpoints N at 10.20.0.N, a letter each: r ready, e serving while it ends, n neither; upper case:
 * on this node. */
static const struct {
    const char *endpoints, *all, *local;
    size_t local_ready;
} rows[] = {
    {"", "", "", 0},      {"rr", "12", "", 0},  {"rRn", "12", "2", 1}, {"ren", "1", "", 0},
    {"een", "12", "", 0}, {"rEN", "1", "2", 0}, /* ready ones elsewhere; here one that ends is
                                                   better than none */
    {"REe", "1", "1", 1}, {"nN", "", "", 0},
};

static void put_endpoints(struct proxy *proxy, const char *letters) {
    struct text items = {0};
    text_add(&items, "");
    for (size_t i = 0; letters[i] != '\0'; i++) {
        bool local = letters[i] < 'a';
        char kind = (char)(letters[i] | 0x20);
        text_format(&items, "%s{'addresses':['10.20.0.%zu'],'nodeName':'%s','conditions':{",
                    i > 0 ? "," : "", i + 1, local ? "node1" : "node2");
        text_format(&items, "'ready':%s,'serving':%s,'terminating':%s}}",
                    kind == 'r' ? "true" : "false", kind != 'n' ? "true" : "false",
                    kind == 'e' ? "true" : "false");
    }
    world_put_slice(
        proxy, "web-1", "web",
        "'addressType':'IPv4','ports':[{'protocol':'TCP','port':8080}],'endpoints':[%s]",
        items.data);
    text_clear(&items);
}

static void put_web(struct proxy *proxy) {
    world_put_service(proxy, "web",
                      "'spec':{'clusterIPs':['10.96.0.1'],'ports':[{'protocol':'TCP','port':80}]}");
}

static const char *numbers_of(const struct endpoint_list *list, char out[16]) {
    for (size_t i = 0; i < list->count; i++) {
        out[i] = strrchr(list->items[i].address, '.')[1];
    }
    out[list->count] = '\0';
    return out;
}

static void check_row(void *context, const struct target *target) {
    int row = *(int *)context;
    char found[16];
    ck_assert_int_eq(target->family, 4);
    ck_assert_str_eq(numbers_of(&target->all, found), rows[row].all);
    ck_assert_str_eq(numbers_of(&target->local, found), rows[row].local);
    ck_assert_uint_eq(target->local_ready, rows[row].local_ready);
    *(int *)context = -1;
}

START_TEST(ready_endpoints_are_taken_or_those_that_serve_while_they_end) {
    struct proxy_options options = {.node = "node1"};
    struct proxy proxy;
    int row = _i;
    world_begin(&proxy, &options);
    put_web(&proxy);
    put_endpoints(&proxy, rows[_i].endpoints);
    proxy_each_target(&proxy, check_row, &row);
    ck_assert_int_eq(row, -1);
    world_end(&proxy);
}
END_TEST

/* A seed of each rule's own would give the first of three a third, but the last four ninths. */
START_TEST(a_hash_is_the_same_in_all_rules) {
    struct proxy_options options = {.node = "", .hash = true};
    struct proxy proxy;
    struct text out = {0};
    size_t hashes = 0;
    size_t seeds = 0;
    world_begin(&proxy, &options);
    put_web(&proxy);
    put_endpoints(&proxy, "rrr");
    proxy_settle(&proxy);
    nft_add_whole(&out, &proxy.rules, &options);
    for (const char *at = out.data; (at = strstr(at, "jhash ")) != NULL; at++) {
        hashes++;
    }
    for (const char *at = out.data; (at = strstr(at, "mod 3 seed 0x69706163 ")) != NULL; at++) {
        seeds++;
    }
    ck_assert_uint_eq(hashes, 2);
    ck_assert_uint_eq(seeds, 2);
    text_clear(&out);
    world_end(&proxy);
}
END_TEST

static void expect_stale(struct proxy *proxy, const char *way, const char *endpoints) {
    proxy_settle(proxy);
    const char *found = string_map_find(&proxy->stale, way);
    ck_assert_msg(found != NULL, "%s is not stale", way);
    ck_assert_str_eq(found, endpoints);
    string_map_clear(&proxy->stale, free);
}

START_TEST(flows_of_udp_are_looked_at_whenever_a_way_leads_elsewhere) {
    struct proxy_options options = {.node = ""};
    struct proxy proxy;
    static const char slice[] =
        "'addressType':'IPv4','ports':[{'protocol':'UDP','port':%d}],'endpoints':[{'addresses':["
        "'10.20.0.1']}]";
    static const char service[] = "'spec':{'type':'NodePort','clusterIPs':['10.96.0.1'],'ports':[{"
                                  "'protocol':'UDP','port':53,'nodePort':%d}]}";
    world_begin(&proxy, &options);
    world_put_service(&proxy, "dns", service, 30053);
    expect_stale(&proxy, "4 10.96.0.1 53", "|");
    world_put_slice(&proxy, "dns-1", "dns", slice, 5353);
    expect_stale(&proxy, "4 - 30053", "||10.20.0.1 5353|");
    proxy_settle(&proxy);
    ck_assert_uint_eq(proxy.stale.count, 0);
    world_put_service(&proxy, "dns", service, 30054);
    expect_stale(&proxy, "4 - 30053", "|");
    world_remove_service(&proxy, "dns");
    expect_stale(&proxy, "4 10.96.0.1 53", "|");
    world_end(&proxy);
}
END_TEST

static int connect_to(int port) {
    struct sockaddr_in place = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int asker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(asker, (struct sockaddr *)&place, sizeof place), 0);
    return asker;
}

/* Somewhere nobody listens now. */
static int free_port(void) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(taken, (struct sockaddr *)&place, size), 0);
    ck_assert_int_eq(getsockname(taken, (struct sockaddr *)&place, &size), 0);
    close(taken);
    return ntohs(place.sin_port);
}

/* One who is slow to ask is answered when he does, and holds up nobody; nor do more of them than
 * can be kept. */
START_TEST(who_is_slow_to_ask_for_health_is_not_waited_for) {
    char place[32];
    char told[400] = "";
    struct text problem = {0};
    int idle[100];
    int port = free_port();
    snprintf(place, sizeof place, "127.0.0.1:%d", port);
    struct health *health = health_open(place, &problem);
    ck_assert_msg(health != NULL, "%s", problem.data);
    health_synced(health);
    for (size_t i = 0; i < LENGTH(idle); i++) {
        idle[i] = connect_to(port);
        health_answer(health);
    }
    int last = idle[LENGTH(idle) - 1];
    ck_assert_int_eq(send(last, "GET /healthz HTTP/1.1\r\n\r\n", 25, 0), 25);
    health_answer(health);
    ck_assert_int_gt(recv(last, told, sizeof told - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(told, "200 OK"));
    ck_assert_ptr_nonnull(strstr(told, "\"healthy\":true"));
    for (size_t i = 0; i < LENGTH(idle); i++) {
        close(idle[i]);
    }
    health_answer(health);
    struct pollfd waited[8];
    ck_assert_uint_eq(health_descriptors(health, waited, 8), 1);
    health_close(health);
}
END_TEST

/* Over a connection to that address; "" where this machine has no such family. */
static const char *ask_health(struct health *health, const char *address, int port) {
    static char told[400];
    char text[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *place = NULL;
    snprintf(text, sizeof text, "%d", port);
    ck_assert_int_eq(getaddrinfo(address, text, &hints, &place), 0);
    int asker = socket(place->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    told[0] = '\0';
    if (asker >= 0 && connect(asker, place->ai_addr, place->ai_addrlen) == 0) {
        ck_assert_int_eq(send(asker, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
        health_answer(health); /* takes the connection, */
        health_answer(health); /* and what it asks */
        ssize_t got = recv(asker, told, sizeof told - 1, 0);
        told[got > 0 ? got : 0] = '\0';
    }
    ck_assert(told[0] != '\0' || errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
    freeaddrinfo(place);
    close(asker);
    return told;
}

START_TEST(a_services_health_is_answered_in_both_families) {
    struct text problem = {0};
    struct text body = {0};
    struct target target = {.local_ready = 2};
    int port = free_port();
    text_format(
        &body, "{\"spec\":{\"externalTrafficPolicy\":\"Local\",\"healthCheckNodePort\":%d}}", port);
    struct json_object *service = json_parse(body.data, body.size, &problem);
    struct health *health = health_open(NULL, &problem);
    health_note(health, "default/web", service, &target);
    ck_assert_ptr_nonnull(strstr(ask_health(health, "127.0.0.1", port), "200 OK"));
    const char *told = ask_health(health, "::1", port);
    ck_assert(told[0] == '\0' || strstr(told, "\"localEndpoints\":2") != NULL);
    health_note(health, "default/web", service, NULL);
    ck_assert_ptr_nonnull(strstr(ask_health(health, "127.0.0.1", port), " 503 "));
    told = ask_health(health, "::1", port);
    ck_assert(told[0] == '\0' || strstr(told, " 503 ") != NULL);
    health_close(health);
    json_object_put(service);
    text_clear(&body);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kubeproxy's targets");
    TCase *cases = tcase_create("targets");
    tcase_add_loop_test(cases, ready_endpoints_are_taken_or_those_that_serve_while_they_end, 0,
                        LENGTH(rows));
    tcase_add_test(cases, a_hash_is_the_same_in_all_rules);
    tcase_add_test(cases, flows_of_udp_are_looked_at_whenever_a_way_leads_elsewhere);
    tcase_add_test(cases, a_services_health_is_answered_in_both_families);
    tcase_add_test(cases, who_is_slow_to_ask_for_health_is_not_waited_for);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
