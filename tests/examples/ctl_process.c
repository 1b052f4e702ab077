/* ctl_process.c: ipallocctl as a child process; see ctl_process.h. */
#include "ctl_process.h"

#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

static void run_words(char *line, int out, int errors) {
    char *words[WORDS_MAX] = {getenv("IPALLOCCTL")};
    size_t count = 1;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count + 1 < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execv(words[0], words);
    _exit(127);
}

static char *read_all(FILE *file) {
    size_t size = 0;
    char *text = NULL;
    rewind(file);
    FILE *memory = open_memstream(&text, &size);
    int byte;
    while ((byte = fgetc(file)) != EOF) {
        fputc(byte, memory);
    }
    fclose(memory);
    fclose(file);
    return text;
}

static struct ran run(const char *format, va_list arguments) {
    struct ran ran = {.code = -1};
    char line[4096];
    int status = 0;
    FILE *out = tmpfile();
    FILE *errors = tmpfile();
    ck_assert_ptr_nonnull(getenv("IPALLOCCTL"));
    ck_assert(out != NULL && errors != NULL);
    vsnprintf(line, sizeof line, format, arguments);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        run_words(line, fileno(out), fileno(errors));
    }
    waitpid(pid, &status, 0);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ran.out = read_all(out);
    ran.errors = read_all(errors);
    ran.json = ran.out[0] == '{' ? json_tokener_parse(ran.out) : NULL;
    return ran;
}

struct ran ctl(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct ran ran = run(format, arguments);
    va_end(arguments);
    return ran;
}

struct ran ctl_expect(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct ran ran = run(format, arguments);
    va_end(arguments);
    ck_assert_msg(ran.code == code, "%s: exit code %d, expected %d: %s", format, ran.code, code,
                  ran.errors);
    const char *newline = strchr(ran.errors, '\n');
    bool one_line = newline != NULL && newline[1] == '\0';
    ck_assert_msg(code == 0 ? ran.errors[0] == '\0' : one_line, "%s: said: %s", format, ran.errors);
    return ran;
}

void ran_free(struct ran *ran) {
    json_object_put(ran->json);
    free(ran->out);
    free(ran->errors);
    *ran = (struct ran){0};
}

void expect_in(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text);
}
