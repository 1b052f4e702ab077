/* server.c: ipalloc-apiserver as a child process; see api.h. */
#include "api.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void become_server(const char *program, const char *store, int output) {
    char store_option[API_PATH_MAX + 32];
    snprintf(store_option, sizeof store_option, "--store=sqlite:%s", store);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    execl(program, program, "--listen=127.0.0.1:0", store_option,
          "--service-cluster-ip-range=10.0.0.0/11", "--endpoint-slices=off", (char *)NULL);
    fprintf(stderr, "ipalloc-bench-api: %s: %s\n", program, strerror(errno));
    _exit(127);
}

/* Its first line says where it serves. */
static uint16_t read_port(int output) {
    static const char before_port[] = "http://127.0.0.1:";
    char line[1024];
    size_t size = 0;
    while (size < sizeof line - 1) {
        ssize_t got = read(output, line + size, sizeof line - 1 - size);
        if (got <= 0)
            break;
        size += (size_t)got;
        line[size] = '\0';
        const char *at = strstr(line, before_port);
        if (at != NULL && strchr(at, '\n') != NULL)
            return (uint16_t)strtoul(at + strlen(before_port), NULL, 10);
    }
    api_broken("the server", "did not start");
}

void api_server_start(api_server *server, const char *program, const char *directory) {
    static unsigned number;
    int ends[2];
    snprintf(server->store, sizeof server->store, "%s/server-%u.db", directory, number++);
    if (pipe(ends) != 0 || (server->process = fork()) < 0)
        api_broken("the server", strerror(errno));
    if (server->process == 0)
        become_server(program, server->store, ends[1]);
    close(ends[1]);
    server->port = read_port(ends[0]);
    close(ends[0]);
}

void api_server_stop(api_server *server) {
    int status = 0;
    kill(server->process, SIGTERM);
    if (waitpid(server->process, &status, 0) != server->process || status != 0)
        api_broken("the server", "did not end well");
}

uint64_t api_server_cpu_ns(const api_server *server) {
    clockid_t clock;
    struct timespec spent;
    if (clock_getcpuclockid(server->process, &clock) != 0 || clock_gettime(clock, &spent) != 0)
        api_broken("the server", "does not say its processor time");
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}
