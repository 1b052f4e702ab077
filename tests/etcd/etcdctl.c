/*
 * etcdctl.c: etcd looked at from outside, by its own tool. Nothing here uses the library: it is
 * what the library is judged by.
 */
#include "cluster_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 10 };

/* ---- one run ---- */

static void become_etcdctl(const char *const *words, int output) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(words[0], (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Read until the end, or for so long. */
static char *read_text(int from, unsigned seconds) {
    uint64_t deadline = monotonic_ms() + seconds * 1000u;
    size_t size = 0, capacity = 4096;
    char *text = malloc(capacity);
    ck_assert_ptr_nonnull(text);
    for (;;) {
        uint64_t now = monotonic_ms();
        struct pollfd ready = {.fd = from, .events = POLLIN};
        if (now >= deadline || poll(&ready, 1, (int)(deadline - now)) <= 0)
            break;
        ssize_t got = read(from, text + size, capacity - size - 1);
        if (got <= 0)
            break;
        size += (size_t)got;
        if (capacity - size < 2048) {
            capacity *= 2;
            text = realloc(text, capacity);
            ck_assert_ptr_nonnull(text);
        }
    }
    text[size] = '\0';
    return text;
}

/* Its exit status; one that is not over within `seconds` is killed: -1. */
static int wait_for(pid_t pid, uint64_t deadline_ms) {
    int how = 0;
    while (waitpid(pid, &how, WNOHANG) == 0) {
        if (monotonic_ms() > deadline_ms) {
            kill(pid, SIGKILL);
            waitpid(pid, &how, 0);
            return -1;
        }
        sleep_ms(1);
    }
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static int run(const char *const *words, unsigned seconds, char **output) {
    int ends[2];
    uint64_t deadline = monotonic_ms() + seconds * 1000u + 500;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        become_etcdctl(words, ends[1]);
    close(ends[1]);
    char *text = read_text(ends[0], seconds);
    close(ends[0]);
    int status = wait_for(pid, deadline);
    if (output != NULL)
        *output = text;
    else
        free(text);
    return status;
}

/* ---- how it gets in ---- */

typedef struct arguments {
    const char *words[WORDS_MAX + 1];
    size_t count;
    char texts[8][ETCD_MEMBERS_MAX * 97 + 64];
    size_t text_count;
} arguments;

static void add(arguments *a, const char *word) {
    ck_assert_uint_lt(a->count, WORDS_MAX);
    a->words[a->count++] = word;
}

static void add_option(arguments *a, const char *name, const char *value) {
    if (value == NULL)
        return;
    char *text = a->texts[a->text_count++];
    snprintf(text, sizeof a->texts[0], "--%s=%s", name, value);
    add(a, text);
}

int etcd_ctl_words(etcd_cluster *cluster, int member_or_all, unsigned seconds, char **output,
                   const char *const *words) {
    const etcd_options *o = &cluster->options;
    arguments a = {0};
    char limit[32];
    seconds = seconds != 0 ? seconds : SECONDS;
    snprintf(limit, sizeof limit, "%us", seconds);
    add(&a, "etcdctl");
    add_option(&a, "endpoints", etcd_endpoints(cluster, member_or_all));
    add_option(&a, "command-timeout", limit);
    add_option(&a, "dial-timeout", limit);
    add_option(&a, "cacert", o->ctl_ca_file);
    add_option(&a, "cert", o->ctl_cert_file);
    add_option(&a, "key", o->ctl_key_file);
    add_option(&a, "user", cluster->user);
    for (; *words != NULL; words++)
        add(&a, *words);
    return run(a.words, seconds, output);
}

void etcd_ctl_user(etcd_cluster *cluster, const char *user) {
    cluster->user = user;
}

/* ---- status ---- */

/* The number behind "name": in `text`; 0 where there is none. */
static uint64_t number_of(const char *text, const char *name) {
    const char *found = strstr(text, name);
    return found != NULL ? strtoull(found + strlen(name), NULL, 10) : 0;
}

bool etcd_member_status(etcd_cluster *cluster, int member, etcd_status *out) {
    static const char *const WORDS[] = {"endpoint", "status", "--write-out=json", NULL};
    char *text = NULL;
    if (!etcd_is_running(cluster, member) || etcd_is_paused(cluster, member))
        return false;
    bool answered = etcd_ctl_words(cluster, member, 1, &text, WORDS) == 0 &&
                    strstr(text, "\"member_id\":") != NULL;
    if (answered)
        *out = (etcd_status){.cluster_id = number_of(text, "\"cluster_id\":"),
                             .member_id = number_of(text, "\"member_id\":"),
                             .leader = number_of(text, "\"leader\":"),
                             .term = number_of(text, "\"raft_term\":"),
                             .revision = number_of(text, "\"revision\":")};
    free(text);
    return answered;
}

int etcd_leader(etcd_cluster *cluster) {
    etcd_status all[ETCD_MEMBERS_MAX] = {{0}};
    const etcd_status *newest = NULL;
    for (int i = 0; i < cluster->count; i++)
        if (etcd_member_status(cluster, i, &all[i]) && all[i].leader != 0 &&
            (newest == NULL || all[i].term > newest->term))
            newest = &all[i];
    for (int i = 0; newest != NULL && i < cluster->count; i++)
        if (all[i].member_id == newest->leader)
            return i;
    return -1;
}

bool etcd_is_healthy(etcd_cluster *cluster, int member_or_all) {
    static const char *const WORDS[] = {"endpoint", "health", NULL};
    return etcd_ctl_words(cluster, member_or_all, 1, NULL, WORDS) == 0;
}

uint64_t etcd_compact(etcd_cluster *cluster) {
    char *text = NULL, revision[32];
    ck_assert_int_eq(etcd_ctl(cluster, &text, "get", "/", "--limit=1", "--write-out=json"), 0);
    uint64_t now = number_of(text, "\"revision\":");
    ck_assert_uint_gt(now, 0);
    free(text);
    snprintf(revision, sizeof revision, "%llu", (unsigned long long)now);
    ck_assert_int_eq(etcd_ctl(cluster, &text, "compact", revision), 0);
    free(text);
    return now;
}

/* ---- keys ---- */

static int digit_of(char c) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(DIGITS, c) : NULL;
    return found != NULL ? (int)(found - DIGITS) : -1;
}

/* Decode the base64 text behind `name` where it stands. NULL where the name is not before `end`. */
static char *bytes_of(char *text, const char *name, const char *end, size_t *size) {
    char *from = strstr(text, name), *out = from;
    *size = 0;
    if (from == NULL || from > end)
        return NULL;
    uint32_t bits = 0;
    int count = 0;
    for (from += strlen(name); digit_of(*from) >= 0; from++) {
        bits = bits << 6 | (uint32_t)digit_of(*from);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*size)++] = (char)(bits >> count & 0xff);
        }
    }
    return out;
}

static uint64_t number_before(const char *text, const char *name, const char *end) {
    const char *found = strstr(text, name);
    return found != NULL && found < end ? number_of(found, name) : 0;
}

/* One "{"key":...}" at `text`; what follows it is returned. Base64 has no brace. */
static char *read_key(char *text, void (*visit)(void *, const etcd_key *), void *context) {
    static char NOTHING[] = "";
    char *end = strchr(text, '}');
    ck_assert_ptr_nonnull(end);
    etcd_key key = {.create_revision = number_before(text, "\"create_revision\":", end),
                    .mod_revision = number_before(text, "\"mod_revision\":", end),
                    .lease = number_before(text, "\"lease\":", end)};
    key.value = bytes_of(text, "\"value\":\"", end, &key.value_size);
    if (key.value == NULL)
        key.value = NOTHING;
    char *name = bytes_of(text, "\"key\":\"", end, &key.key_size);
    ck_assert_ptr_nonnull(name);
    name[key.key_size] = '\0';
    key.key = name;
    visit(context, &key);
    return end + 1;
}

size_t etcd_read_all(etcd_cluster *cluster, const char *prefix,
                     void (*visit)(void *context, const etcd_key *key), void *context) {
    char *text = NULL;
    size_t count = 0;
    int status = etcd_ctl(cluster, &text, "get", "--prefix", prefix, "--write-out=json");
    ck_assert_msg(status == 0, "etcdctl cannot read %s: %s", prefix, text);
    char *at = strstr(text, "\"kvs\":[");
    for (at = at != NULL ? strchr(at, '{') : NULL; at != NULL && *at == '{'; count++) {
        at = read_key(at, visit, context);
        at += *at == ',';
    }
    free(text);
    return count;
}
