/*
 * main.c: ipallocctl, looking inside a store and repairing it.
 *
 * Exit codes: 0 done; 1 refused or failed; 2 the command line.
 */
#include "command.h"

#include <string.h>

/* In the order of --help. */
static const struct command *const commands[] = {
    &command_pools,
    &command_list,
    &command_show,
    &command_map,
    &command_check,
    &command_reserve,
    &command_allocate,
    &command_release,
    &command_exclude,
    &command_include,
    &command_repair,
    &command_import,
    &command_export,
    &command_backup,
    &command_copy,
    &command_accept,
    NULL,
};

static const char common_help[] =
    "Common options:\n"
    "  --store=sqlite:PATH     the store; what only looks works beside the process that owns it\n"
    "  --store=etcd:URL[,URL...][/PREFIX]   the store; everything works beside the servers on it.\n"
    "                          With --etcd-cafile, --etcd-certfile, --etcd-keyfile, --etcd-user,\n"
    "                          --etcd-password-file, --etcd-timeout as ipalloc-apiserver's\n"
    "  --server=URL            ask the ipalloc-apiserver that owns the store, for instance\n"
    "                          http://127.0.0.1:8001. It listens on loopback unless told "
    "otherwise,\n"
    "                          and has no authentication: whoever reaches it may do all this\n"
    "  -o table|json           how results look (default table); JSON is one document\n"
    "  --color=auto|always|never   colour in drawings (auto: on a terminal, unless NO_COLOR is "
    "set)\n"
    "  --columns=N             width of drawings (default: the terminal's, or 80)\n"
    "  --ascii                 drawings in plain ASCII\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 done, 1 refused or failed (one line on standard error), 2 the command line.\n";

static void print_help(void) {
    puts("Usage: ipallocctl COMMAND [OPTION...]\n"
         "\n"
         "Look inside an ipalloc store and repair it.\n");
    for (size_t i = 0; commands[i] != NULL; i++) {
        printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\nipallocctl COMMAND --help tells more of each.\n\n%s", common_help);
}

static void print_command_help(const struct command *command) {
    printf("Usage: ipallocctl %s %s\n\n%s\n%s", command->name, command->usage, command->help,
           common_help);
}

static int run(struct invocation *invocation, struct text *problem) {
    const struct command *command = invocation->command;
    if (command->run != NULL) {
        return command->run(invocation, problem);
    }
    int code = command->prepare != NULL ? command->prepare(invocation, problem) : EXIT_DONE;
    if (code != EXIT_DONE) {
        return code;
    }
    struct show *show = show_begin(invocation);
    int status = invocation->store != NULL ? local_run(invocation, show, problem)
                                           : remote_run(invocation, show, problem);
    if (fflush(stdout) != 0 && status == IPALLOC_OK) {
        text_add(problem, "the result could not be written to standard output");
        return EXIT_REFUSED;
    }
    return status == IPALLOC_OK ? EXIT_DONE : EXIT_REFUSED;
}

int main(int count, char **words) {
    struct invocation invocation;
    struct text retry = {0};
    struct text problem = {0};
    int code = EXIT_DONE;
    switch (arguments_parse(count, words, commands, &invocation, &retry, &problem)) {
    case ARGUMENTS_HELP:
        if (invocation.command != NULL) {
            print_command_help(invocation.command);
        } else {
            print_help();
        }
        break;
    case ARGUMENTS_VERSION:
        printf("ipallocctl %s\n", ipalloc_version());
        break;
    case ARGUMENTS_WRONG:
        code = EXIT_USAGE;
        break;
    case ARGUMENTS_RUN:
        code = run(&invocation, &problem);
        break;
    }
    if (problem.size > 0) {
        fprintf(stderr, "ipallocctl: %s\n", problem.data);
    }
    json_object_put(invocation.arguments);
    text_clear(&retry);
    text_clear(&problem);
    return code;
}
