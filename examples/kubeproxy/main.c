/*
 * main.c: ipalloc-kubeproxy: follow Services and EndpointSlices, and program nftables so that every
 * virtual IP, node port and external address leads to an endpoint.
 *
 * A change is one transaction of what differs; the first one, and whatever follows a trouble, is
 * one transaction that replaces all. So existing addresses answer all the time, also while the
 * program is started again: its end leaves the rules (--cleanup removes them).
 *
 * Exit codes: 0; 1 where the kernel or a socket refuses; 2 for the command line.
 */
#include "conntrack.h"
#include "iptables_rules.h"
#include "kernel.h"
#include "proxy.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_MS         5    /* changes come in groups: wait so long for the next of them, */
#define SETTLE_LONGEST_MS 50   /* and no longer than this for all */
#define CHECK_S           10   /* between two looks whether the rules are still there */
#define RETRY_MS          1000 /* after what is refused; then twice as long, and so on, */
#define RETRY_LONGEST_MS  30000
#define DESCRIPTORS_MAX   256

struct program {
    struct proxy_options options;
    struct proxy proxy;
    struct kernel *kernel;
    int signals; /* a signalfd */
    bool whole;  /* all is to be programmed anew */
    bool said_first, told_trouble, told_conntrack;
    time_t checked;
    int retry_ms;     /* 0: the last one went well */
    int64_t retry_at; /* not before */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "ipalloc-kubeproxy: %s\n", line);
}

/* --- programming ------------------------------------------------------------------------------ */

/* In one transaction with those whom session affinity binds. */
static bool program_whole(struct program *program, struct text *problem) {
    struct text commands = {0};
    struct text saved = {0};
    kernel_save_clients(program->kernel, &program->proxy.rules, &saved);
    nft_add_whole(&commands, &program->proxy.rules, &program->options);
    text_append(&commands, saved.data != NULL ? saved.data : "", saved.size);
    bool well = kernel_run_most(program->kernel, commands.data, problem);
    text_clear(&commands);
    text_clear(&saved);
#ifdef __GLIBC__
    malloc_trim(0); /* libnftables took some 50 KB a Service for this */
#endif
    return well;
}

static bool program_changes(struct program *program, struct text *problem) {
    struct text commands = {0};
    nft_add_changes(&commands, &program->proxy.rules);
    bool well = commands.size == 0 || kernel_run(program->kernel, commands.data, problem);
    text_clear(&commands);
    return well;
}

static void forget_stale(struct program *program) {
    struct text problem = {0};
    if (program->proxy.stale.count > 0 && !conntrack_forget(&program->proxy.stale, &problem) &&
        !program->told_conntrack) {
        program->told_conntrack = true;
        fprintf(
            stderr,
            "ipalloc-kubeproxy: the kernel's list of flows is closed to us (%s): clients of UDP "
            "that stay at one port go on to endpoints that are gone until they pause\n",
            problem.data);
    }
    string_map_clear(&program->proxy.stale, free);
    text_clear(&problem);
}

static void say_first(struct program *program, int64_t begun) {
    printf("ipalloc-kubeproxy: programmed %zu Services in %" PRId64 " ms\n",
           client_count(program->proxy.services), now_ms() - begun);
    fflush(stdout);
    program->said_first = true;
}

/* Bring the kernel up to date. False: not now; try again. */
static bool synchronize(struct program *program) {
    struct text problem = {0};
    int64_t begun = now_ms();
    proxy_settle(&program->proxy);
    bool well =
        program->whole ? program_whole(program, &problem) : program_changes(program, &problem);
    if (!well && !program->whole) {
        fprintf(stderr, "ipalloc-kubeproxy: a change was refused: %s; programming all anew\n",
                problem.data);
        problem.size = 0;
        program->whole = true;
        well = program_whole(program, &problem);
    }
    if (well) {
        ruleset_settle(&program->proxy.rules);
        forget_stale(program);
        health_synced(program->proxy.health);
        if (!program->said_first) {
            say_first(program, begun);
        }
    } else if (!program->told_trouble) {
        fprintf(stderr, "ipalloc-kubeproxy: the ruleset is refused: %s; trying again\n",
                problem.size > 0 ? problem.data : "no reason given");
    }
    program->whole = !well;
    program->told_trouble = !well;
    program->retry_ms = well ? 0 : program->retry_ms == 0 ? RETRY_MS : program->retry_ms * 2;
    if (program->retry_ms > RETRY_LONGEST_MS) {
        program->retry_ms = RETRY_LONGEST_MS;
    }
    program->retry_at = now_ms() + program->retry_ms;
    text_clear(&problem);
    return well;
}

/* Somebody may have flushed them. */
static void check_rules(struct program *program) {
    time_t now = time(NULL);
    if (!program->said_first || now - program->checked < CHECK_S) {
        return;
    }
    program->checked = now;
    if (!kernel_has_ours(program->kernel)) {
        say(NULL, "the rules are gone; programming them anew");
        program->whole = true;
    } else if (client_silence(program->proxy.client) < CHECK_S * 4.0) {
        health_synced(program->proxy.health);
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

/* Wait for what happens. Returns false once a signal has asked to end. */
static bool wait_for_changes(struct program *program, int timeout_ms) {
    struct pollfd others[DESCRIPTORS_MAX];
    others[0] = (struct pollfd){.fd = program->signals, .events = POLLIN};
    size_t count = 1 + health_descriptors(program->proxy.health, others + 1, DESCRIPTORS_MAX - 1);
    client_wait(program->proxy.client, others, count, timeout_ms);
    health_answer(program->proxy.health);
    return poll(others, 1, 0) <= 0;
}

/* Changes come in groups: a Service and its slices. */
static bool gather(struct program *program) {
    int64_t end = now_ms() + SETTLE_LONGEST_MS;
    size_t before = 0;
    bool goes_on = true;
    while (goes_on && program->proxy.due.count != before && now_ms() < end) {
        before = program->proxy.due.count;
        goes_on = wait_for_changes(program, SETTLE_MS);
    }
    return goes_on;
}

static int run(struct program *program) {
    int timeout_ms = 0;
    program->whole = true;
    while (wait_for_changes(program, timeout_ms)) {
        timeout_ms = CHECK_S * 1000;
        if (!client_has_synced(program->proxy.client)) {
            continue;
        }
        if (program->proxy.due.count > 0 && !gather(program)) {
            break;
        }
        check_rules(program);
        if (program->whole && program->retry_ms > 0 && now_ms() < program->retry_at) {
            timeout_ms = (int)(program->retry_at - now_ms()) + 1;
            continue;
        }
        if (program->whole || program->proxy.due.count > 0) {
            timeout_ms = synchronize(program) ? timeout_ms : program->retry_ms;
        }
        if (program->options.mode == PROXY_ONCE && program->said_first) {
            break;
        }
    }
    return EXIT_SUCCESS;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_iptables(struct program *program) {
    for (int family = 4; family <= 6; family += 2) {
        struct iptables tables = {.family = family, .options = &program->options};
        struct text out = {0};
        proxy_each_target(&program->proxy,
                          (void (*)(void *, const struct target *))iptables_add_target, &tables);
        iptables_print(&tables, &out);
        printf("# ip%stables-restore --noflush\n%s", family == 4 ? "" : "6", out.data);
        text_clear(&out);
    }
}

static int print_rules(struct program *program) {
    while (!client_has_synced(program->proxy.client)) {
        if (!wait_for_changes(program, -1)) {
            return EXIT_FAILURE;
        }
    }
    if (program->options.iptables) {
        print_iptables(program);
        return EXIT_SUCCESS;
    }
    struct text out = {0};
    proxy_settle(&program->proxy);
    nft_add_whole(&out, &program->proxy.rules, &program->options);
    fwrite(out.data, 1, out.size, stdout);
    text_clear(&out);
    return EXIT_SUCCESS;
}

static int clean_up(struct kernel *kernel, struct text *problem) {
    struct text commands = {0};
    nft_add_cleanup(&commands);
    bool well = kernel_run(kernel, commands.data, problem);
    text_clear(&commands);
    return well ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- start and end ---------------------------------------------------------------------------- */

static int signal_descriptor(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int follow(struct program *program, struct text *problem) {
    struct client_options options = {.server = program->options.server,
                                     .name = "ipalloc-kubeproxy",
                                     .log = say,
                                     .drops_managed_fields = true};
    program->proxy.options = &program->options;
    program->proxy.health = health_open(program->options.healthz, problem);
    if (program->proxy.health == NULL) {
        return EXIT_FAILURE;
    }
    program->proxy.client = client_open(&options, problem);
    if (program->proxy.client == NULL) {
        return 2;
    }
    program->signals = signal_descriptor();
    proxy_follow(&program->proxy);
    return program->options.mode == PROXY_DRY_RUN ? print_rules(program) : run(program);
}

static int start(struct program *program, struct text *problem) {
    if (program->options.mode == PROXY_HELP) {
        proxy_options_help(problem);
        fputs(problem->data, stdout);
        text_clear(problem);
        return EXIT_SUCCESS;
    }
    if (program->options.mode != PROXY_DRY_RUN) {
        program->kernel = kernel_open(problem);
        if (program->kernel == NULL) {
            return EXIT_FAILURE;
        }
    }
    return program->options.mode == PROXY_CLEANUP ? clean_up(program->kernel, problem)
                                                  : follow(program, problem);
}

int main(int count, char **arguments) {
    struct program program = {0};
    struct text problem = {0};
    int code = 2;
    if (proxy_options_parse(count, arguments, &program.options, &problem)) {
        code = start(&program, &problem);
    }
    if (problem.size > 0) {
        fprintf(stderr, "ipalloc-kubeproxy: %s\n", problem.data);
    }
    client_close(program.proxy.client);
    proxy_clear(&program.proxy);
    health_close(program.proxy.health);
    kernel_close(program.kernel);
    text_clear(&problem);
    return code;
}
