/* crew.c: workers are this program, started again with other words. */
#include "crew.h"

#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FINISH_SECONDS = 90, POLL_MS = 20 };

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- starting ---- */

static void log_path(const crew *c, unsigned life, char *out, size_t capacity) {
    snprintf(out, capacity, "%s/worker-life-%u.log", c->directory, life);
}

static void become_worker(const crew *c, unsigned worker, int input) {
    const crew_worker *w = &c->workers[worker];
    char life[16], first[16], count[16], seed[32], log[4200];
    snprintf(life, sizeof life, "%u", w->life);
    snprintf(first, sizeof first, "%u", w->first_client);
    snprintf(count, sizeof count, "%u", w->client_count);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
    log_path(c, w->life, log, sizeof log);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input, STDIN_FILENO);
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (c->net != NULL)
        network_enter(c->net, c->first_node + (int)worker);
    execl("/proc/self/exe", "worker", "worker", c->url, c->directory, life, first, count, seed,
          (char *)NULL);
    _exit(127);
}

static void start_worker(crew *c, unsigned worker) {
    crew_worker *w = &c->workers[worker];
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    w->life = c->next_life++;
    w->pid = fork();
    ck_assert_int_ge(w->pid, 0);
    if (w->pid == 0)
        become_worker(c, worker, ends[0]);
    close(ends[0]);
    w->input = ends[1];
}

void crew_start(crew *c, unsigned workers) {
    ck_assert_uint_le(workers, WORKERS_MAX);
    c->worker_count = workers;
    for (unsigned i = 0, client = 0; i < workers; i++) {
        unsigned left = workers - i;
        c->workers[i].first_client = client;
        c->workers[i].client_count = (CREW_CLIENTS - client + left - 1) / left;
        client += c->workers[i].client_count;
        start_worker(c, i);
    }
}

/* ---- ends ---- */

void crew_kill(crew *c, unsigned worker) {
    crew_worker *w = &c->workers[worker];
    int how = 0;
    crew_must_be_alive(c);
    kill(w->pid, SIGKILL);
    ck_assert_int_eq(waitpid(w->pid, &how, 0), w->pid);
    ck_assert_msg(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "worker %u ended by itself (%#x)",
                  worker, (unsigned)how);
    close(w->input);
    w->pid = 0;
}

void crew_restart(crew *c, unsigned worker) {
    start_worker(c, worker);
}

void crew_stop(crew *c, unsigned worker) {
    int how = 0;
    crew_must_be_alive(c);
    ck_assert_int_eq(kill(c->workers[worker].pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(c->workers[worker].pid, &how, WUNTRACED), c->workers[worker].pid);
    ck_assert(WIFSTOPPED(how));
}

void crew_resume(crew *c, unsigned worker) {
    ck_assert_int_eq(kill(c->workers[worker].pid, SIGCONT), 0);
}

static void show_log(const crew *c, const crew_worker *w) {
    char path[4200], text[2048];
    log_path(c, w->life, path, sizeof path);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    fprintf(stderr, "--- what the worker of clients %u.. said:\n%s", w->first_client, text);
}

void crew_must_be_alive(crew *c) {
    for (unsigned i = 0; i < c->worker_count; i++) {
        crew_worker *w = &c->workers[i];
        int how = 0;
        if (w->pid == 0 || waitpid(w->pid, &how, WNOHANG) != w->pid)
            continue;
        w->pid = 0;
        show_log(c, w);
        ck_abort_msg("worker %u ended by itself (%#x)", i, (unsigned)how);
    }
}

void crew_finish(crew *c) {
    uint64_t limit = journal_now() + FINISH_SECONDS * UINT64_C(1000000000);
    for (unsigned i = 0; i < c->worker_count; i++)
        close(c->workers[i].input);
    for (unsigned i = 0; i < c->worker_count; i++) {
        crew_worker *w = &c->workers[i];
        int how = 0;
        while (waitpid(w->pid, &how, WNOHANG) == 0) {
            ck_assert_msg(journal_now() < limit, "worker %u does not come to an end", i);
            pause_ms(POLL_MS);
        }
        w->pid = 0;
        if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) {
            show_log(c, w);
            ck_abort_msg("worker %u ended with %#x", i, (unsigned)how);
        }
    }
}

/* ---- journals ---- */

static bool is_acknowledged_change(const operation *o) {
    return o->outcome == OUTCOME_OK && o->kind <= OPERATION_TRANSACTION;
}

static bool client_works_since(const crew *c, unsigned client, unsigned life, uint64_t since) {
    char path[4200];
    operation *all = NULL;
    size_t count = 0;
    bool works = false;
    workload_journal_path(c->directory, client, life, path, sizeof path);
    if (access(path, R_OK) != 0)
        return false;
    journal_read_since(path, since, &all, &count);
    for (size_t i = 0; i < count && !works; i++)
        works = is_acknowledged_change(&all[i]);
    free(all);
    return works;
}

bool crew_others_work_since(crew *c, unsigned but, uint64_t since, unsigned seconds) {
    uint64_t limit = journal_now() + seconds * UINT64_C(1000000000);
    for (;;) {
        bool all = true;
        crew_must_be_alive(c);
        for (unsigned i = 0; i < c->worker_count; i++) {
            const crew_worker *w = &c->workers[i];
            for (unsigned k = 0; k < w->client_count && all && i != but; k++)
                all = client_works_since(c, w->first_client + k, w->life, since);
        }
        if (all || journal_now() > limit)
            return all;
        pause_ms(POLL_MS);
    }
}

bool crew_works_since(crew *c, uint64_t since, unsigned seconds) {
    return crew_others_work_since(c, WORKERS_MAX, since, seconds);
}

operation *crew_history(const crew *c, size_t *count) {
    operation *all = NULL;
    *count = 0;
    for (unsigned client = 0; client < CREW_CLIENTS; client++)
        for (unsigned life = 0; life < c->next_life; life++) {
            char path[4200];
            workload_journal_path(c->directory, client, life, path, sizeof path);
            if (access(path, R_OK) == 0)
                journal_read(path, &all, count);
        }
    return all;
}

void crew_pools(judged_history *h) {
    h->pool_count = WORKLOAD_POOLS;
    for (int i = 0; i < WORKLOAD_POOLS; i++)
        h->pools[i] =
            (judged_pool){workload_pool_first(i), workload_pool_count(i), workload_pool_rest_ns(i)};
}
