/*
 * network.c: namespaces by unshare and setns, links by ip(8), cuts by nft(8).
 *
 * Each node drops what comes from the addresses in its set `cut`, whether the connection is new or
 * old: a cut is one way, and nobody is told.
 */
#include "network.h"

#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECT_MS = 300, HUB = -1 };

struct network {
    int count;
    int namespaces[NETWORK_NODES_MAX];
    char addresses[NETWORK_NODES_MAX][24];
};

/* Also called where no test of Check runs. */
static void must(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "network: %s failed\n", what);
        abort();
    }
}

/* ---- commands ---- */

static int wait_status(pid_t pid) {
    int how = 0;
    return waitpid(pid, &how, 0) == pid && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

/* Run a command line in a node, or at the bridge. */
__attribute__((format(printf, 3, 4))) static bool run(const network *n, int node, const char *form,
                                                      ...) {
    char line[1024];
    va_list values;
    va_start(values, form);
    vsnprintf(line, sizeof line, form, values);
    va_end(values);
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        if (node != HUB)
            network_enter(n, node);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    return wait_status(pid) == 0;
}

/* ---- namespaces ---- */

static bool write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

/* An ordinary user may have a network of his own only in a user namespace of his own. */
static bool unshare_network(void) {
    char map[64];
    if (geteuid() == 0)
        return unshare(CLONE_NEWNET) == 0;
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)geteuid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/uid_map", map);
}

void network_enter(const network *n, int node) {
    if (setns(n->namespaces[node], CLONE_NEWNET) != 0)
        _exit(126);
}

/* A new namespace as a descriptor: made by a child, which goes once it is held. */
static pid_t make_namespace(int *out) {
    int ends[2];
    char path[64], byte = 0;
    must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        byte = unshare(CLONE_NEWNET) == 0;
        if (write(ends[1], &byte, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        byte = 0;
    close(ends[0]);
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    *out = byte == 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return pid;
}

static bool add_node(network *n, int node) {
    static const char RULES[] = "add table ip cut; add set ip cut from { type ipv4_addr; }; "
                                "add chain ip cut input { type filter hook input priority 0; }; "
                                "add rule ip cut input ip saddr @from drop";
    snprintf(n->addresses[node], sizeof n->addresses[node], "10.199.0.%d", node + 1);
    pid_t holder = make_namespace(&n->namespaces[node]);
    bool made = n->namespaces[node] >= 0 &&
                run(n, HUB,
                    "ip link add node%d type veth peer name eth0 netns %d && "
                    "ip link set node%d master bridge0 up",
                    node, (int)holder, node) &&
                run(n, node,
                    "ip link set lo up && ip addr add %s/24 dev eth0 && ip link set eth0 up && "
                    "nft '%s'",
                    n->addresses[node], RULES);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    return made;
}

network *network_create(int nodes, const char **why) {
    network *n = calloc(1, sizeof *n);
    must(n != NULL && nodes <= NETWORK_NODES_MAX, "calloc");
    *why = "asked not to (NO_NETWORK)";
    if (getenv("NO_NETWORK") != NULL)
        goto none;
    *why = "needs root, or user namespaces for everybody";
    if (!unshare_network())
        goto none;
    *why = "ip(8) cannot make a bridge here (Debian package iproute2)";
    if (!run(n, HUB,
             "ip link set lo up && ip link add bridge0 type bridge && "
             "ip addr add 10.199.0.254/24 dev bridge0 && ip link set bridge0 up"))
        goto none;
    *why = "ip(8) and nft(8) cannot make a node here (Debian packages iproute2, nftables)";
    for (; n->count < nodes; n->count++)
        if (!add_node(n, n->count))
            goto none;
    return n;
none:
    free(n);
    return NULL;
}

void network_destroy(network *n) {
    if (n == NULL)
        return;
    for (int i = 0; i < n->count; i++)
        close(n->namespaces[i]);
    free(n);
}

const char *network_address(const network *n, int node) {
    return n->addresses[node];
}

/* ---- cuts ---- */

void network_cut(network *n, int from, int to) {
    ck_assert_msg(run(n, to, "nft 'add element ip cut from { %s }'", n->addresses[from]),
                  "node %d cannot be cut off from %d", to, from);
}

void network_heal(network *n) {
    for (int i = 0; i < n->count; i++)
        ck_assert_msg(run(n, i, "nft 'flush set ip cut from'"), "node %d cannot be healed", i);
}

/* In a process of its own, because it moves into the node. */
static bool connects(const char *host, unsigned port) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failed = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof failed;
    struct pollfd ready = {.fd = s, .events = POLLOUT};
    inet_pton(AF_INET, host, &to.sin_addr);
    if (connect(s, (struct sockaddr *)&to, sizeof to) == 0)
        return true;
    return poll(&ready, 1, CONNECT_MS) == 1 &&
           getsockopt(s, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 && failed == 0;
}

bool network_reaches(const network *n, int from, int to, unsigned port) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        network_enter(n, from);
        _exit(connects(n->addresses[to], port) ? 0 : 1);
    }
    return wait_status(pid) == 0;
}
