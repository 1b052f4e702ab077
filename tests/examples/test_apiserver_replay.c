/*
 * What real kubectls asked, asked again: every request of tests/data/kubectl-*.requests, byte for
 * byte as it was recorded, and the key facts of each answer. No kubectl is needed.
 *
 * record_requests.py says what a record looks like. What the server makes up itself ({{N:PATH}} in
 * a record) is taken from its answer to request N.
 */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_MAX    1000
#define LINE_MAX_BYTES 4096

static const char *const recordings[] = {"kubectl-1.29.requests", "kubectl-1.33.requests"};

struct record {
    char *method, *path, *accept, *content_type;
    char *body;
    size_t body_size;
    long code;
    char *facts; /* lines of "PATH VALUE" */
};

/* --- reading ---------------------------------------------------------------------------------- */

static char *copy_bytes(const char *bytes, size_t size) {
    char *copy = malloc(size + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* The next line without its end, for the caller to free. */
static char *take_line(const char **at) {
    const char *end = strchr(*at, '\n');
    ck_assert_ptr_nonnull(end);
    char *line = copy_bytes(*at, (size_t)(end - *at));
    *at = end + 1;
    return line;
}

/* "NAME: " in front of a header's value: keep the value. */
static void keep_header(char **out, const char *name, const char *line) {
    size_t length = strlen(name);
    if (strncmp(line, name, length) == 0) {
        *out = copy_bytes(line + length, strlen(line + length));
    }
}

static void read_head(const char **at, struct record *record) {
    char *line = take_line(at);
    char *space = strchr(line + 2, ' ');
    ck_assert_msg(strncmp(line, "> ", 2) == 0 && space != NULL, "no request: %s", line);
    record->method = copy_bytes(line + 2, (size_t)(space - line - 2));
    record->path = copy_bytes(space + 1, strlen(space + 1));
    free(line);
    for (;;) {
        line = take_line(at);
        if (strspn(line, "0123456789") == strlen(line)) {
            record->body_size = strtoul(line, NULL, 10);
            free(line);
            return;
        }
        keep_header(&record->accept, "Accept: ", line);
        keep_header(&record->content_type, "Content-Type: ", line);
        free(line);
    }
}

static void read_record(const char **at, struct record *record) {
    read_head(at, record);
    record->body = copy_bytes(*at, record->body_size);
    *at += record->body_size + 1;
    char *line = take_line(at);
    ck_assert_int_eq(sscanf(line, "< %ld", &record->code), 1);
    free(line);
    const char *end = *at;
    while (*end != '\0' && *end != '>') {
        end = strchr(end, '\n') + 1;
    }
    record->facts = copy_bytes(*at, (size_t)(end - *at));
    *at = end;
}

static char *read_file(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", getenv("TEST_DATA"), name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(size + 1);
    ck_assert_uint_eq(fread(bytes, 1, size, file), size);
    bytes[size] = '\0';
    fclose(file);
    return bytes;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* The text with each {{N:PATH}} replaced by what answer N says there; *size is updated. */
static char *fill_in(const char *text, size_t *size, const struct answer *answers) {
    char *out = copy_bytes(text, *size);
    char *place;
    while ((place = memmem(out, *size, "{{", 2)) != NULL) {
        char path[128];
        unsigned number;
        int length = 0;
        if (sscanf(place, "{{%u:%127[^}]}}%n", &number, path, &length) != 2 || length == 0) {
            break; /* braces of the body itself */
        }
        const char *value = answer_text(&answers[number], path);
        ck_assert_msg(value[0] != '\0', "answer %u has no %s", number, path);
        size_t before = (size_t)(place - out);
        size_t behind = *size - before - (size_t)length;
        char *filled = malloc(*size + strlen(value) + 1);
        memcpy(filled, out, before);
        memcpy(filled + before, value, strlen(value));
        memcpy(filled + before + strlen(value), place + length, behind + 1);
        *size = before + strlen(value) + behind;
        free(out);
        out = filled;
    }
    return out;
}

/* A watch does not end by itself: its head is enough. */
static void ask_watch(const struct server_process *server, const struct record *record,
                      const char *path) {
    char request[LINE_MAX_BYTES];
    char head[LINE_MAX_BYTES];
    int descriptor = server_connect(server);
    int size =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n", path, record->accept);
    ck_assert(socket_write(descriptor, request, (size_t)size));
    socket_read_until(descriptor, head, sizeof head, "\r\n\r\n");
    ck_assert_msg(strncmp(head, "HTTP/1.1 200 ", 13) == 0, "%s: %s", path, head);
    close(descriptor);
}

/* --- judging ---------------------------------------------------------------------------------- */

static void judge_fact(const struct answer *answer, const char *request, const char *path,
                       const char *value) {
    char count[32];
    const char *said = answer_text(answer, path);
    if (strcmp(path, "items") == 0 || strcmp(path, "rows") == 0) {
        struct json_object *list = NULL;
        json_object_object_get_ex(answer->json, path, &list);
        snprintf(count, sizeof count, "%zu", json_object_array_length(list));
        said = count;
    }
    ck_assert_msg(strcmp(said, value) == 0, "%s: %s is \"%s\", not \"%s\": %s", request, path, said,
                  value, answer->text);
}

static void judge(const struct record *record, const struct answer *answer, const char *request) {
    ck_assert_msg(answer->code == record->code, "%s: %ld, not %ld: %s", request, answer->code,
                  record->code, answer->text);
    char *facts = copy_bytes(record->facts, strlen(record->facts));
    char *rest = facts;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
        char *space = strchr(line, ' ');
        *space = '\0';
        judge_fact(answer, request, line, space + 1);
    }
    free(facts);
}

static void replay(const struct server_process *server, const struct record *record,
                   struct answer *answers, size_t number) {
    char request[LINE_MAX_BYTES];
    size_t path_size = strlen(record->path);
    size_t body_size = record->body_size;
    char *path = fill_in(record->path, &path_size, answers);
    char *body = fill_in(record->body, &body_size, answers);
    snprintf(request, sizeof request, "request %zu, %s %s", number, record->method, path);
    if (strstr(path, "watch=true") != NULL) {
        ask_watch(server, record, path);
    } else {
        answers[number] = server_ask(server, record->method, path, record->content_type,
                                     record->accept, body_size > 0 ? body : NULL, body_size);
        judge(record, &answers[number], request);
    }
    free(path);
    free(body);
}

static void record_free(struct record *record) {
    free(record->method);
    free(record->path);
    free(record->accept);
    free(record->content_type);
    free(record->body);
    free(record->facts);
}

START_TEST(each_request_of_a_real_kubectl_is_answered_as_it_was) {
    const char *arguments[] = {"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108",
                               "--load-balancer-ip-range=192.0.2.0/24", NULL};
    struct server_process server = server_start(arguments);
    char *bytes = read_file(recordings[_i]);
    struct answer *answers = calloc(RECORDS_MAX, sizeof *answers);
    const char *at = strchr(bytes, '\n') + 1; /* behind the remark */
    size_t count = 0;
    while (*at != '\0') {
        struct record record = {0};
        ck_assert_uint_lt(count, RECORDS_MAX);
        read_record(&at, &record);
        replay(&server, &record, answers, count++);
        record_free(&record);
    }
    ck_assert_uint_gt(count, 200);
    for (size_t i = 0; i < count; i++) {
        answer_free(&answers[i]);
    }
    free(answers);
    free(bytes);
    ck_assert_int_eq(server_stop(&server), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("replay");
    TCase *cases = tcase_create("replay");
    tcase_set_timeout(cases, 110);
    tcase_add_loop_test(cases, each_request_of_a_real_kubectl_is_answered_as_it_was, 0,
                        (int)(sizeof recordings / sizeof recordings[0]));
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
