/* test_client.c: the programs' client against a server that answers as a script says: in pieces,
 * too late, wrongly, or not at all. What a real one does is in test_endpoints.c. */
#include "client.h"
#include "support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000

/* --- a server that follows a script ------------------------------------------------------------
 */

/* One answer, in the order of the requests. */
struct step {
    const char *asks;  /* in the first line of the request */
    int code;          /* 0: the connection is closed without an answer */
    const char *bytes; /* the body; '|' sends what came so far and waits a moment */
    bool open;         /* the stream goes on, silent */
};

struct script {
    int listener;
    unsigned port;
    const struct step *steps;
    size_t count, done;
    char wrong[512]; /* the first request that the script did not expect */
    int open[16];    /* connections that stay */
    size_t open_count;
    pthread_t thread;
};

static struct script script;

static void send_all(int connection, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(connection, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        size -= (size_t)sent;
    }
}

static bool read_request(int connection, char *out, size_t capacity) {
    size_t size = 0;
    while (size + 1 < capacity) {
        ssize_t got = recv(connection, out + size, capacity - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        out[size] = '\0';
        if (strstr(out, "\r\n\r\n") != NULL) {
            out[strcspn(out, "\r")] = '\0';
            return true;
        }
    }
    return false;
}

static void answer(int connection, const struct step *step) {
    const struct timespec moment = {.tv_nsec = 20 * 1000000};
    char head[200];
    snprintf(head, sizeof head,
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
             step->code);
    send_all(connection, head, strlen(head));
    for (const char *at = step->bytes; *at != '\0';) {
        size_t size = strcspn(at, "|");
        send_all(connection, at, size);
        at += size;
        if (*at == '|') {
            nanosleep(&moment, NULL);
            at++;
        }
    }
}

static void *serve(void *context) {
    struct script *s = context;
    int connection;
    while ((connection = accept(s->listener, NULL, NULL)) >= 0) {
        char line[4096];
        bool stays = false;
        if (s->done < s->count && read_request(connection, line, sizeof line)) {
            const struct step *step = &s->steps[s->done];
            if (strstr(line, step->asks) == NULL && s->wrong[0] == '\0') {
                snprintf(s->wrong, sizeof s->wrong, "step %zu: %.300s", s->done, line);
            }
            if (step->code != 0) {
                answer(connection, step);
            }
            stays = step->open;
            __atomic_add_fetch(&s->done, 1, __ATOMIC_RELEASE);
        } else {
            stays = true; /* the script is over: silence */
        }
        if (stays && s->open_count < sizeof s->open / sizeof s->open[0]) {
            s->open[s->open_count++] = connection;
        } else {
            close(connection);
        }
    }
    return NULL;
}

static void script_start(const struct step *steps, size_t count) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    script = (struct script){.steps = steps, .count = count};
    script.listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(script.listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(script.listener, 16), 0);
    ck_assert_int_eq(getsockname(script.listener, (struct sockaddr *)&address, &size), 0);
    script.port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&script.thread, NULL, serve, &script), 0);
}

static void script_end(void) {
    shutdown(script.listener, SHUT_RDWR);
    pthread_join(script.thread, NULL);
    close(script.listener);
    for (size_t i = 0; i < script.open_count; i++) {
        close(script.open[i]);
    }
    ck_assert_str_eq(script.wrong, "");
}

/* --- what the client makes of it ---------------------------------------------------------------
 */

static struct client *client;
static struct collection *things;
static char told[4096]; /* "+a@1 ~a@2 -a@2": what was called back */

static const char *version_of(struct json_object *value) {
    return json_member_text(json_member(value, "metadata"), "resourceVersion");
}

static void note(void *context, const char *name, struct json_object *old,
                 struct json_object *new) {
    size_t used = strlen(told);
    (void)context;
    snprintf(told + used, sizeof told - used, "%s%c%s@%s", used > 0 ? " " : "",
             old == NULL   ? '+'
             : new == NULL ? '-'
                           : '~',
             name, version_of(new != NULL ? new : old));
}

static void begin(const struct step *steps, size_t count) {
    char url[64];
    struct text problem = {0};
    script_start(steps, count);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", script.port);
    struct client_options options = {.server = url, .name = "test"};
    told[0] = '\0';
    client = client_open(&options, &problem);
    things = client_follow(client, "/things", note, NULL);
}

#define BEGIN(steps) begin(steps, sizeof(steps) / sizeof(steps)[0])

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t steps_done(void) {
    return __atomic_load_n(&script.done, __ATOMIC_ACQUIRE);
}

/* All steps are taken, and this is what was called back. */
static void end_with(const char *wanted) {
    int64_t end = now_ms() + WAIT_MS;
    while ((steps_done() < script.count || strcmp(told, wanted) != 0) && now_ms() < end) {
        client_wait(client, NULL, 0, 20);
    }
    ck_assert_uint_eq(steps_done(), script.count);
    ck_assert_str_eq(told, wanted);
    client_close(client);
    script_end();
}

/* --- tests ------------------------------------------------------------------------------------ */

#define THING(name, version) \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define LIST(items, version) \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define PAGE(items, version, next)                                            \
    "{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next \
    "\"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define GONE \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}\n"
#define WATCH_FROM(version) \
    "watch=true&allowWatchBookmarks=true&timeoutSeconds=30&resourceVersion=" version

START_TEST(events_come_in_any_pieces) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST(THING("a", "1"), "1"), false},
        {WATCH_FROM("1 "), 200,
         "{\"type\":\"MODIF|IED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":"
         "\"2\"}}"
         "}|\n" EVENT("ADDED", THING("b", "3"))
             EVENT("DELETED", THING("a", "4")) "{\"type\":\"ADDED\",\"object\":{\"metadata\":{"
                                               "\"name\":|\"c\",\"resourceVersion\":\"5\"}}}\n",
         true},
    };
    BEGIN(steps);
    end_with("+a@1 ~a@2 +b@3 -a@2 +c@5");
}
END_TEST

/* The half line is forgotten, and told again by the next watch, which begins where whole ones
 * ended.
 */
START_TEST(a_cut_in_the_middle_of_an_event_loses_nothing) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST("", "1"), false},
        {WATCH_FROM("1 "), 200,
         EVENT("ADDED", THING("a", "2")) "|{\"type\":\"ADDED\",\"object\":{\"meta", false},
        {WATCH_FROM("2 "), 200, EVENT("ADDED", THING("b", "3")), true},
    };
    BEGIN(steps);
    end_with("+a@2 +b@3");
}
END_TEST

START_TEST(a_bookmark_moves_the_place_and_tells_nobody) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST("", "1"), false},
        {WATCH_FROM("1 "), 200, EVENT("BOOKMARK", THING("", "70")), false},
        {WATCH_FROM("70 "), 200, EVENT("ADDED", THING("a", "71")), true},
    };
    BEGIN(steps);
    end_with("+a@71");
}
END_TEST

/* What is gone meanwhile, what is another one of the same name, and what is new: nothing else. */
START_TEST(what_was_forgotten_is_listed_and_only_differences_are_told) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST(THING("a", "1") "," THING("b", "2") "," THING("c", "3"), "3"),
         false},
        {WATCH_FROM("3 "), 200, GONE, false},
        {"/things?limit=", 200, LIST(THING("a", "1") "," THING("c", "9") "," THING("d", "8"), "9"),
         false},
        {WATCH_FROM("9 "), 410, "{}", false},
        {"/things?limit=", 200, LIST(THING("d", "8"), "10"), false},
        {WATCH_FROM("10 "), 200, "", true},
    };
    BEGIN(steps);
    int64_t end = now_ms() + WAIT_MS;
    while (steps_done() < script.count && now_ms() < end) {
        client_wait(client, NULL, 0, 20);
    }
    ck_assert_uint_eq(client_count(things), 1);
    ck_assert_ptr_nonnull(strstr(told, "+a@1 +b@2 +c@3 ~c@9 +d@8 -b@2 "));
    ck_assert_ptr_nonnull(strstr(told, "-a@1"));
    ck_assert_ptr_nonnull(strstr(told, "-c@9"));
    end_with(told);
}
END_TEST

/* A proxy's error page, an empty answer, a Status: none of them is an empty list. */
START_TEST(what_is_no_list_takes_nothing_away) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST(THING("a", "1"), "1"), false},
        {WATCH_FROM("1 "), 200, GONE, false},
        {"/things?limit=", 200, "{}", false},
        {"/things?limit=", 200, "", false},
        {"/things?limit=", 200, "<html>", false},
        {"/things?limit=", 200, "{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"9\"}}",
         false},
        {"/things?limit=", 200, "{\"items\":[],\"metadata\":{}}", false},
        {"/things?limit=", 500, LIST("", "2"), false},
        {"/things?limit=", 0, "", false},
        {"/things?limit=", 200, LIST(THING("a", "1") "," THING("b", "5"), "5"), false},
        {WATCH_FROM("5 "), 200, "", true},
    };
    BEGIN(steps);
    end_with("+a@1 +b@5");
}
END_TEST

START_TEST(pages_that_expire_begin_again_and_take_nothing_away) {
    static const struct step steps[] = {
        {"/things?limit=", 200, PAGE(THING("a", "1"), "4", "x%2F"), false},
        {"&continue=x%252F", 410, "{}", false},
        {"/things?limit=500 ", 200, PAGE(THING("a", "1"), "5", "y"), false},
        {"&continue=y", 200, LIST(THING("b", "2"), "5"), false},
        {WATCH_FROM("5 "), 200, GONE, false},
        {"/things?limit=500 ", 200, PAGE(THING("b", "2"), "6", "z"), false},
        {"&continue=z", 200, LIST(THING("a", "1"), "6"), false},
        {WATCH_FROM("6 "), 200, "", true},
    };
    BEGIN(steps);
    end_with("+a@1 +b@2");
}
END_TEST

/* The watch goes on where it was: nothing is to be listed. */
START_TEST(an_error_that_is_not_of_age_is_waited_for) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST(THING("a", "1"), "1"), false},
        {WATCH_FROM("1 "), 200,
         "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"no quorum\"}}\n", false},
        {WATCH_FROM("1 "), 200, EVENT("ADDED", THING("b", "2")), true},
    };
    BEGIN(steps);
    end_with("+a@1 +b@2");
}
END_TEST

/* The pauses after the second, third, fourth and fifth are at least 25, 50, 100 and 200 ms. */
START_TEST(who_is_always_too_old_does_not_list_without_a_pause) {
    enum { TIMES = 5 };
    static struct step steps[2 * TIMES + 2];
    for (int i = 0; i <= TIMES; i++) {
        steps[2 * i] = (struct step){"/things?limit=", 200, LIST(THING("a", "1"), "1"), false};
        steps[2 * i + 1] = i % 2 == 0 ? (struct step){WATCH_FROM("1 "), 410, "{}", false}
                                      : (struct step){WATCH_FROM("1 "), 200, GONE, false};
    }
    steps[2 * TIMES + 1] = (struct step){WATCH_FROM("1 "), 200, "", true};
    int64_t begun = now_ms();
    BEGIN(steps);
    end_with("+a@1");
    ck_assert_int_ge(now_ms() - begun, 375);
}
END_TEST

/* More than the client takes at once: it asks for fewer objects, and for the same place. */
START_TEST(a_page_that_is_too_large_is_asked_for_in_smaller_ones) {
    enum { TOO_MUCH = 65 << 20 };
    static struct step steps[] = {
        {"/things?limit=500 ", 200, PAGE(THING("a", "1"), "5", "m"), false},
        {"/things?limit=500&continue=m ", 200, NULL, false},
        {"/things?limit=63&continue=m ", 200, NULL, false},
        {"/things?limit=8&continue=m ", 200, LIST(THING("b", "2"), "5"), false},
        {WATCH_FROM("5 "), 200, GONE, false},
        {"/things?limit=8 ", 200, LIST(THING("b", "2"), "6"), false},
        {WATCH_FROM("6 "), 200, "", true},
    };
    char *large = malloc(TOO_MUCH + 1);
    ck_assert_ptr_nonnull(large);
    memset(large, ' ', TOO_MUCH);
    large[TOO_MUCH] = '\0';
    steps[1].bytes = steps[2].bytes = large;
    BEGIN(steps);
    end_with("+a@1 +b@2 -a@1");
    free(large);
}
END_TEST

START_TEST(an_event_that_cannot_be_read_is_a_reason_to_list) {
    static const struct step steps[] = {
        {"/things?limit=", 200, LIST("", "1"), false},
        {WATCH_FROM("1 "), 200, "{\"type\":\"ADDED\",\n", true},
        {"/things?limit=", 200, LIST(THING("a", "2"), "2"), false},
        {WATCH_FROM("2 "), 200, "nonsense\n", true},
        {"/things?limit=", 200, LIST(THING("a", "2"), "3"), false},
        {WATCH_FROM("3 "), 500, "{}", false},
        {WATCH_FROM("3 "), 0, "", false},
        {WATCH_FROM("3 "), 200, EVENT("DELETED", THING("a", "4")), true},
    };
    BEGIN(steps);
    end_with("+a@2 -a@2");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("client");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, events_come_in_any_pieces);
    tcase_add_test(tests, a_cut_in_the_middle_of_an_event_loses_nothing);
    tcase_add_test(tests, a_bookmark_moves_the_place_and_tells_nobody);
    tcase_add_test(tests, what_was_forgotten_is_listed_and_only_differences_are_told);
    tcase_add_test(tests, what_is_no_list_takes_nothing_away);
    tcase_add_test(tests, pages_that_expire_begin_again_and_take_nothing_away);
    tcase_add_test(tests, an_error_that_is_not_of_age_is_waited_for);
    tcase_add_test(tests, who_is_always_too_old_does_not_list_without_a_pause);
    tcase_add_test(tests, a_page_that_is_too_large_is_asked_for_in_smaller_ones);
    tcase_add_test(tests, an_event_that_cannot_be_read_is_a_reason_to_list);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
