/*
 * cluster.c: etcd members as processes: ports, arguments, signals.
 *
 * Ports are drawn at random below those that the kernel gives to outgoing connections, so that a
 * member that was killed finds its own free when it comes back. Where somebody else was faster with
 * one of them, the whole start is tried again.
 */
#include "cluster_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORT_FIRST = 15000, PORT_LAST = 32000, STARTS_MAX = 5, START_SECONDS = 20 };

uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static bool in_path(const char *name) {
    char path[4096];
    const char *left = getenv("PATH");
    for (size_t size; left != NULL && *left != '\0'; left += size + (left[size] == ':')) {
        size = strcspn(left, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)size, left, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

bool etcd_is_here(void) {
    return in_path("etcd") && in_path("etcdctl");
}

/* ---- where a member listens ---- */

static bool is_free(unsigned port) {
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_ge(probe, 0);
    setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool bound = bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
    close(probe);
    return bound;
}

static unsigned draw_port(void) {
    for (;;) {
        uint32_t random = 0;
        ck_assert_int_eq(getrandom(&random, sizeof random, 0), (ssize_t)sizeof random);
        unsigned port = PORT_FIRST + random % (PORT_LAST - PORT_FIRST);
        if (is_free(port))
            return port;
    }
}

static void place(etcd_cluster *c, int i) {
    const char *host = c->options.hosts != NULL ? c->options.hosts[i] : "127.0.0.1";
    etcd_member *m = &c->members[i];
    m->client_port = c->options.hosts != NULL ? 2379 : draw_port();
    m->peer_port = c->options.hosts != NULL ? 2380 : draw_port();
    snprintf(m->host, sizeof m->host, "%s:%u", host, m->client_port);
    snprintf(m->client_url, sizeof m->client_url, "%s://%s:%u",
             c->options.cert_file != NULL ? "https" : "http", host, m->client_port);
    snprintf(m->peer_url, sizeof m->peer_url, "http://%s:%u", host, m->peer_port);
    snprintf(m->log, sizeof m->log, "%s/member-%d.log", c->directory, i);
}

static void place_all(etcd_cluster *c) {
    c->endpoints[0] = '\0';
    for (int i = 0; i < c->count; i++) {
        place(c, i);
        size_t used = strlen(c->endpoints);
        snprintf(c->endpoints + used, sizeof c->endpoints - used, "%s%s", i > 0 ? "," : "",
                 c->members[i].client_url);
    }
}

const char *etcd_endpoints(const etcd_cluster *c, int member_or_all) {
    return member_or_all == ETCD_ALL ? c->endpoints : c->members[member_or_all].client_url;
}

const char *etcd_host(const etcd_cluster *c, int member) {
    return c->members[member].host;
}

const char *etcd_url(etcd_cluster *c, const char *prefix) {
    size_t used = (size_t)snprintf(c->url, sizeof c->url, "etcd:");
    for (int i = 0; i < c->count; i++)
        used += (size_t)snprintf(c->url + used, sizeof c->url - used, "%s%s", i > 0 ? "," : "",
                                 c->members[i].client_url);
    snprintf(c->url + used, sizeof c->url - used, "%s", prefix);
    return c->url;
}

const char *etcd_directory(const etcd_cluster *c) {
    return c->directory;
}

int etcd_member_count(const etcd_cluster *c) {
    return c->count;
}

/* ---- one member ---- */

typedef struct command {
    char texts[32][ETCD_MEMBERS_MAX * 128];
    const char *words[WORDS_MAX + 1];
    size_t text_count, count;
} command;

__attribute__((format(printf, 2, 3))) static void say_word(command *c, const char *form, ...) {
    va_list values;
    char *text = c->texts[c->text_count++];
    va_start(values, form);
    vsnprintf(text, sizeof c->texts[0], form, values);
    va_end(values);
    c->words[c->count++] = text;
}

static void say_tls(command *c, const etcd_options *o) {
    if (o->cert_file == NULL)
        return;
    say_word(c, "--cert-file=%s", o->cert_file);
    say_word(c, "--key-file=%s", o->key_file);
    if (o->ca_file == NULL)
        return;
    say_word(c, "--trusted-ca-file=%s", o->ca_file);
    say_word(c, "--client-cert-auth");
}

/* What 3.4, 3.5 and 3.6 all understand. */
static void say_member(command *c, const etcd_cluster *cluster, int i) {
    const etcd_member *m = &cluster->members[i];
    c->words[c->count++] = "etcd";
    say_word(c, "--name=m%d", i);
    say_word(c, "--data-dir=%s/member-%d", cluster->directory, i);
    say_word(c, "--listen-client-urls=%s", m->client_url);
    say_word(c, "--advertise-client-urls=%s", m->client_url);
    say_word(c, "--listen-peer-urls=%s", m->peer_url);
    say_word(c, "--initial-advertise-peer-urls=%s", m->peer_url);
    char *peers = c->texts[c->text_count++];
    size_t used = (size_t)snprintf(peers, sizeof c->texts[0], "--initial-cluster=");
    for (int j = 0; j < cluster->count; j++)
        used += (size_t)snprintf(peers + used, sizeof c->texts[0] - used, "%sm%d=%s",
                                 j > 0 ? "," : "", j, cluster->members[j].peer_url);
    c->words[c->count++] = peers;
    say_word(c, "--initial-cluster-token=%s", cluster->directory);
    say_word(c, "--initial-cluster-state=%s", m->started_before ? "existing" : "new");
    say_word(c, "--logger=zap");
    say_word(c, "--log-level=warn");
    say_tls(c, &cluster->options);
    const char *const *more = cluster->options.arguments;
    for (; more != NULL && *more != NULL; more++) {
        ck_assert_uint_lt(c->count, WORDS_MAX);
        c->words[c->count++] = *more;
    }
}

/* etcd and etcdctl read their options from the environment, too. */
static void clean_environment(void) {
    extern char **environ;
    struct utsname machine;
    for (char **at = environ; *at != NULL;) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        if (strncmp(name, "ETCD", 4) == 0 && unsetenv(name) == 0)
            at = environ;
        else
            at++;
    }
    if (uname(&machine) == 0 && strcmp(machine.machine, "aarch64") == 0)
        setenv("ETCD_UNSUPPORTED_ARCH", "arm64", 1); /* 3.4 asks for it */
}

static void become_member(const etcd_cluster *cluster, int i, const command *c, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);  /* it died before it could be asked to be told of */
    setpgid(0, 0); /* an interrupt from the terminal is for the test, which decides */
    int nothing = open("/dev/null", O_RDONLY);
    int log = open(cluster->members[i].log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (cluster->options.enter != NULL)
        cluster->options.enter(cluster->options.context, i);
    execvp(c->words[0], (char *const *)(uintptr_t)c->words);
    _exit(127);
}

static void start_member(etcd_cluster *cluster, int i) {
    etcd_member *m = &cluster->members[i];
    command c = {0};
    say_member(&c, cluster, i);
    pid_t parent = getpid(), pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        become_member(cluster, i, &c, parent);
    m->pid = pid;
    m->paused = false;
    m->started_before = true;
}

void etcd_kill(etcd_cluster *cluster, int member) {
    etcd_member *m = &cluster->members[member];
    if (m->pid == 0)
        return;
    kill(m->pid, SIGKILL);
    ck_assert_int_eq(waitpid(m->pid, NULL, 0), m->pid);
    m->pid = 0;
    m->paused = false;
}

/* SIGSTOP is sent at once and takes effect a moment later: wait until the kernel says so. */
void etcd_pause(etcd_cluster *cluster, int member) {
    etcd_member *m = &cluster->members[member];
    int how = 0;
    ck_assert_int_gt(m->pid, 0);
    ck_assert_int_eq(kill(m->pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(m->pid, &how, WUNTRACED), m->pid);
    ck_assert_msg(WIFSTOPPED(how), "member %d ended instead of stopping (%#x)", member,
                  (unsigned)how);
    m->paused = true;
}

void etcd_resume(etcd_cluster *cluster, int member) {
    etcd_member *m = &cluster->members[member];
    ck_assert_int_gt(m->pid, 0);
    ck_assert_int_eq(kill(m->pid, SIGCONT), 0);
    m->paused = false;
}

void etcd_restart(etcd_cluster *cluster, int member) {
    etcd_kill(cluster, member);
    start_member(cluster, member);
}

bool etcd_is_running(const etcd_cluster *cluster, int member) {
    return cluster->members[member].pid != 0;
}

bool etcd_is_paused(const etcd_cluster *cluster, int member) {
    return cluster->members[member].paused;
}

/* ---- all of them ---- */

/* A member that ended by itself, or -1. */
static int fallen_member(etcd_cluster *cluster) {
    for (int i = 0; i < cluster->count; i++) {
        etcd_member *m = &cluster->members[i];
        if (m->pid != 0 && waitpid(m->pid, NULL, WNOHANG) == m->pid) {
            m->pid = 0;
            return i;
        }
    }
    return -1;
}

static void kill_all(etcd_cluster *cluster) {
    for (int i = 0; i < cluster->count; i++)
        if (cluster->members[i].pid != 0)
            kill(cluster->members[i].pid, SIGKILL);
    for (int i = 0; i < cluster->count; i++)
        etcd_kill(cluster, i);
}

/* -1: healthy; else a member that fell, or the count of members when the time is over. */
static int wait_healthy(etcd_cluster *cluster, unsigned seconds) {
    uint64_t deadline = monotonic_ms() + seconds * 1000u;
    for (sleep_ms(50); monotonic_ms() < deadline; sleep_ms(20)) {
        int fallen = fallen_member(cluster);
        if (fallen >= 0)
            return fallen;
        if (etcd_is_healthy(cluster, ETCD_ALL))
            return -1;
    }
    return cluster->count;
}

void etcd_wait_healthy(etcd_cluster *cluster, unsigned seconds) {
    int wrong = wait_healthy(cluster, seconds);
    ck_assert_msg(wrong != cluster->count, "the etcd cluster is not healthy after %u s", seconds);
    ck_assert_msg(wrong < 0, "etcd member %d ended by itself", wrong);
}

/* A member that fell at once may have found its port taken. */
static bool start_all(etcd_cluster *cluster, bool last) {
    place_all(cluster);
    for (int i = 0; i < cluster->count; i++)
        start_member(cluster, i);
    if (last) {
        etcd_wait_healthy(cluster, START_SECONDS);
        return true;
    }
    if (wait_healthy(cluster, START_SECONDS) < 0)
        return true;
    kill_all(cluster);
    for (int i = 0; i < cluster->count; i++) {
        char path[TEXT_MAX];
        snprintf(path, sizeof path, "%s/member-%d", cluster->directory, i);
        test_directory_remove(strdup(path));
        cluster->members[i].started_before = false;
    }
    return false;
}

etcd_cluster *etcd_start(const etcd_options *options) {
    etcd_cluster *c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    if (options != NULL)
        c->options = *options;
    c->count = c->options.members > 0 ? c->options.members : 1;
    ck_assert_int_le(c->count, ETCD_MEMBERS_MAX);
    clean_environment();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* with Check, too, where each test is a child of it */
    c->directory = test_directory_make();
    place_all(c);
    watchman_start(c);
    for (int i = 1; !start_all(c, i == STARTS_MAX); i++)
        ;
    return c;
}

void etcd_stop(etcd_cluster *c) {
    if (c == NULL)
        return;
    kill_all(c);
    watchman_dismiss(c);
    test_directory_remove(c->directory);
    free(c);
}
