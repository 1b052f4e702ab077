/*
 * watchman.c: a process beside a cluster, which cleans up behind a test that could not.
 *
 * It holds the reading end of a pipe whose writing end only the test has. A byte means that the
 * test has stopped its cluster itself; the end of the pipe without one means that the test is dead,
 * by a failed assertion, a signal or Check's time limit: then the watchman shows the end of what
 * each member said, and removes the directory. The members die by the death signal of their parent.
 * The watchman leads a session of its own, so that what kills the test's process group leaves it
 * be.
 */
#include "cluster_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN_BYTES = 3000, GRACE_MS = 200 };

/* The end of a member's log, whole lines. */
static void show_log(const etcd_member *member) {
    static char text[SHOWN_BYTES + 1];
    FILE *file = fopen(member->log, "r");
    if (file == NULL)
        return;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, size > SHOWN_BYTES ? size - SHOWN_BYTES : 0, SEEK_SET);
    text[fread(text, 1, SHOWN_BYTES, file)] = '\0';
    fclose(file);
    const char *from = size > SHOWN_BYTES ? strchr(text, '\n') : text;
    fprintf(stderr, "--- the end of %s\n%s", member->log, from != NULL ? from : text);
}

static void keep_watch(etcd_cluster *cluster, int pipe_end) {
    char byte;
    ssize_t got;
    do {
        got = read(pipe_end, &byte, 1);
    } while (got < 0);
    if (got == 1)
        return;
    sleep_ms(GRACE_MS); /* until the members are dead, too: they write into the directory */
    for (int i = 0; i < cluster->count; i++)
        show_log(&cluster->members[i]);
    test_directory_remove(cluster->directory);
}

/* Everything but stderr is closed: whoever reads the test's other pipes waits for their end. */
static void close_others(int but) {
    long open_max = sysconf(_SC_OPEN_MAX);
    for (int i = 0; i < (open_max > 4096 ? 4096 : (int)open_max); i++)
        if (i != but && i != STDERR_FILENO)
            close(i);
}

void watchman_start(etcd_cluster *cluster) {
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    cluster->watchman_pid = fork();
    ck_assert_int_ge(cluster->watchman_pid, 0);
    if (cluster->watchman_pid == 0) {
        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        close_others(ends[0]);
        keep_watch(cluster, ends[0]);
        _exit(0);
    }
    close(ends[0]);
    cluster->watchman = ends[1];
}

void watchman_dismiss(etcd_cluster *cluster) {
    ck_assert_int_eq(write(cluster->watchman, "", 1), 1);
    close(cluster->watchman);
    waitpid(cluster->watchman_pid, NULL, 0);
}
