/* kernel.c: see kernel.h. */
#include "kernel.h"

#include "nft_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

struct kernel {
    struct nft_ctx *nft;
};

static const char *ip_word(int family) {
    return family == 4 ? "ip" : "ip6";
}

struct kernel *kernel_open(struct text *problem) {
    struct kernel *kernel = memory_allocate(sizeof *kernel);
    struct text told = {0};
    kernel->nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (kernel->nft != NULL) {
        nft_ctx_buffer_output(kernel->nft);
        nft_ctx_buffer_error(kernel->nft);
    }
    if (kernel->nft == NULL || !kernel_run(kernel, "list tables", &told)) {
        text_format(problem,
                    "nftables cannot be used (%s): it takes root, or CAP_NET_ADMIN in this network "
                    "namespace; --dry-run needs neither",
                    told.size > 0 ? told.data : "libnftables does not start");
        kernel_close(kernel);
        kernel = NULL;
    }
    text_clear(&told);
    return kernel;
}

void kernel_close(struct kernel *kernel) {
    if (kernel != NULL) {
        nft_ctx_free(kernel->nft);
        free(kernel);
    }
}

bool kernel_run(struct kernel *kernel, const char *commands, struct text *problem) {
    int failed = nft_run_cmd_from_buffer(kernel->nft, commands);
    const char *told = nft_ctx_get_error_buffer(kernel->nft);
    if (failed != 0) {
        size_t size = strcspn(told, "\n");
        text_append(problem, told, size < 300 ? size : 300);
    }
    return failed == 0;
}

bool kernel_has_ours(struct kernel *kernel) {
    bool there = true;
    for (int family = 4; family <= 6 && there; family += 2) {
        char command[80];
        struct text problem = {0};
        snprintf(command, sizeof command, "list chain %s " NFT_TABLE " prerouting",
                 ip_word(family));
        there = kernel_run(kernel, command, &problem) &&
                strstr(nft_ctx_get_output_buffer(kernel->nft), "jump services") != NULL;
        text_clear(&problem);
    }
    return there;
}

/* --- clients of session affinity ---------------------------------------------------------------
 */

struct saving {
    struct kernel *kernel;
    struct text *out;
};

/* nft prints elements as it reads them, with the time that each has left. */
static void save_set(void *context, struct rule *rule) {
    struct saving *saving = context;
    struct text problem = {0};
    char command[160];
    if (rule->kind != RULE_SET) {
        return;
    }
    snprintf(command, sizeof command, "list set %s " NFT_TABLE " %s", ip_word(rule->family),
             rule->key);
    if (kernel_run(saving->kernel, command, &problem)) {
        const char *listed = nft_ctx_get_output_buffer(saving->kernel->nft);
        const char *elements = strstr(listed, "elements = {");
        const char *end = elements != NULL ? strchr(elements, '}') : NULL;
        if (end != NULL) {
            text_format(saving->out, "add element %s " NFT_TABLE " %s %.*s\n",
                        ip_word(rule->family), rule->key, (int)(end + 1 - strchr(elements, '{')),
                        strchr(elements, '{'));
        }
    }
    text_clear(&problem);
}

void kernel_save_clients(struct kernel *kernel, struct ruleset *set, struct text *out) {
    struct saving saving = {kernel, out};
    ruleset_each(set, save_set, &saving);
}

/* --- conntrack -------------------------------------------------------------------------------- */

bool kernel_forget_udp(int family, const char *address, int port) {
    char number[16];
    char *words[] = {(char[]){"conntrack"},
                     (char[]){"-D"},
                     (char[]){"-f"},
                     family == 4 ? (char[]){"ipv4"} : (char[]){"ipv6"},
                     (char[]){"-p"},
                     (char[]){"udp"},
                     (char[]){"--dport"},
                     number,
                     NULL,
                     NULL,
                     NULL};
    char direction[] = "-d";
    char *destination = memory_copy(address);
    posix_spawn_file_actions_t actions;
    pid_t child;
    int how = 0;
    snprintf(number, sizeof number, "%d", port);
    if (address[0] != '\0') {
        words[8] = direction;
        words[9] = destination;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    bool started = posix_spawnp(&child, "conntrack", &actions, NULL, words, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    free(destination);
    return started && waitpid(child, &how, 0) == child; /* 1 is: there was none */
}
