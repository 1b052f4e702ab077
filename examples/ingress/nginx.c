/* nginx.c: see nginx.h. */
#include "nginx.h"

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NGINX_WORDS_MAX 4000 /* of what it says about a configuration */

extern char **environ;

static void path_of(const struct ingress_options *options, const char *name, struct text *out) {
    text_format(out, "%s/%s", options->directory, name);
}

/* --- files ------------------------------------------------------------------------------------ */

static bool make_directory(const char *path, mode_t mode, struct text *problem) {
    if (mkdir(path, mode) != 0 && errno != EEXIST) {
        text_format(problem, "%s: %s", path, strerror(errno));
        return false;
    }
    chmod(path, mode);
    return true;
}

bool nginx_prepare(const struct ingress_options *options, struct text *problem) {
    struct text secrets = {0};
    path_of(options, "tls", &secrets);
    bool well = make_directory(options->directory, 0711, problem) &&
                make_directory(secrets.data, 0700, problem);
    text_clear(&secrets);
    return well;
}

static bool write_file(const struct ingress_options *options, const char *name, const char *words,
                       struct text *problem) {
    struct text path = {0};
    path_of(options, name, &path);
    bool well = file_write(path.data, words, strlen(words));
    if (!well) {
        text_format(problem, "%s: %s", path.data, strerror(errno));
    }
    text_clear(&path);
    return well;
}

bool nginx_has(const struct ingress_options *options, const char *configuration) {
    struct text path = {0};
    path_of(options, "nginx.conf", &path);
    bool same = file_holds(path.data, configuration, strlen(configuration));
    text_clear(&path);
    return same;
}

/* --- processes -------------------------------------------------------------------------------- */

/* Run nginx with these words; what it says goes to `said`. True if it ended with 0. */
static bool run(const struct ingress_options *options, const char *configuration, bool test,
                struct text *said) {
    char *words[8] = {memory_copy(options->nginx), memory_copy("-p"),
                      memory_copy(options->directory), memory_copy("-c"),
                      memory_copy(configuration)};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int ends[2];
    int how = -1;
    char bytes[512];
    ssize_t got;
    if (test) {
        words[5] = memory_copy("-t");
        words[6] = memory_copy("-q");
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        text_add(said, strerror(errno));
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    int failed = posix_spawnp(&child, options->nginx, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    /* A started nginx keeps the other end open; only one that was asked to test says all of it. */
    while (failed == 0 && test && (got = read(ends[0], bytes, sizeof bytes)) > 0) {
        size_t room = said->size < NGINX_WORDS_MAX ? NGINX_WORDS_MAX - said->size : 0;
        text_append(said, bytes, (size_t)got < room ? (size_t)got : room);
    }
    if (failed == 0) {
        waitpid(child, &how, 0);
    } else {
        text_format(said, "%s: %s", options->nginx, strerror(failed));
    }
    close(ends[0]);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        free(words[i]);
    }
    return failed == 0 && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

/* A pid file outlives a crash, and its number may be another program's by now: ours is the master
 * that has this configuration in its title. */
static bool is_our_nginx(const struct ingress_options *options, int pid) {
    char path[32];
    char title[8192];
    struct text configuration = {0};
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    FILE *file = fopen(path, "re");
    size_t size = file != NULL ? fread(title, 1, sizeof title - 1, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    title[size] = '\0';
    for (size_t i = 0; i < size; i++) {
        if (title[i] == '\0') { /* between two words */
            title[i] = ' ';
        }
    }
    path_of(options, "nginx.conf", &configuration);
    bool is_ours = strstr(title, "nginx") != NULL && strstr(title, configuration.data) != NULL;
    text_clear(&configuration);
    return is_ours;
}

/* 0: it does not run. */
static pid_t running_pid(const struct ingress_options *options) {
    struct text path = {0};
    char words[32] = "";
    path_of(options, "nginx.pid", &path);
    FILE *file = fopen(path.data, "re");
    if (file != NULL) {
        words[fread(words, 1, sizeof words - 1, file)] = '\0';
        fclose(file);
    }
    text_clear(&path);
    long pid = strtol(words, NULL, 10);
    return pid > 1 && pid <= INT_MAX && is_our_nginx(options, (int)pid) ? (pid_t)pid : 0;
}

bool nginx_is_running(const struct ingress_options *options) {
    return running_pid(options) != 0;
}

bool nginx_test(const struct ingress_options *options, const char *configuration,
                struct text *problem) {
    struct text path = {0};
    path_of(options, "candidate.conf", &path);
    bool well = write_file(options, "candidate.conf", configuration, problem) &&
                run(options, path.data, true, problem);
    text_clear(&path);
    return well;
}

bool nginx_start(const struct ingress_options *options, struct text *problem) {
    struct text path = {0};
    path_of(options, "nginx.conf", &path);
    bool well = run(options, path.data, false, problem);
    if (!well && problem->size == 0) {
        text_format(problem, "nginx does not start; %s/error.log says why", options->directory);
    }
    text_clear(&path);
    return well;
}

bool nginx_use(const struct ingress_options *options, const char *configuration,
               struct text *problem) {
    pid_t pid = running_pid(options);
    if (!write_file(options, "nginx.conf", configuration, problem)) {
        return false;
    }
    if (pid == 0) {
        return nginx_start(options, problem);
    }
    if (kill(pid, SIGHUP) != 0) {
        text_format(problem, "nginx (process %d): %s", (int)pid, strerror(errno));
        return false;
    }
    return true;
}

void nginx_quit(const struct ingress_options *options) {
    pid_t pid = running_pid(options);
    if (pid != 0) {
        kill(pid, SIGQUIT);
    }
}
