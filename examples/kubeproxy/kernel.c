/* kernel.c: see kernel.h. */
#include "kernel.h"

#include "nft_rules.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LEFT_OUT_MAX                                                            \
    16 /* each costs one more try of the whole; with more of them, all is wrong \
        */

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

static bool judge(struct kernel *kernel, int failed, struct text *problem) {
    const char *told = nft_ctx_get_error_buffer(kernel->nft);
    if (failed != 0) {
        size_t size = strcspn(told, "\n");
        text_append(problem, told, size < 300 ? size : 300);
    }
    return failed == 0;
}

bool kernel_run(struct kernel *kernel, const char *commands, struct text *problem) {
    return judge(kernel, nft_run_cmd_from_buffer(kernel->nft, commands), problem);
}

/* The same; but only of what it reads from a file does nft tell the line that failed. */
static bool run_as_file(struct kernel *kernel, const char *commands, struct text *problem) {
    char path[40];
    FILE *file = NULL;
    int descriptor = memfd_create("nft", MFD_CLOEXEC);
    if (descriptor >= 0) {
        file = fdopen(descriptor, "w");
    }
    if (file == NULL || fputs(commands, file) < 0 || fflush(file) != 0) {
        text_format(problem, "no memory for the commands: %s", strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    bool well = judge(kernel, nft_run_cmd_from_filename(kernel->nft, path), problem);
    fclose(file);
    return well;
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

/* The line that nft's message is about ("PATH:LINE:COLUMNS: Error: ..."), if it is one that
 * may be left out. */
static char *refused_line(char *commands, const char *message) {
    const char *colon = strchr(message, ':');
    char *line = commands;
    for (long number = colon != NULL ? strtol(colon + 1, NULL, 10) : 0; number > 1; number--) {
        line += strcspn(line, "\n");
        line += *line != '\0';
    }
    bool may = text_starts_with(line, "add rule ") || text_starts_with(line, "add element ");
    return colon != NULL && may ? line : NULL;
}

bool kernel_run_most(struct kernel *kernel, char *commands, struct text *problem) {
    for (int left_out = 0;; left_out++) {
        problem->size = 0;
        if (run_as_file(kernel, commands, problem)) {
            return true;
        }
        char *line = refused_line(commands, problem->data != NULL ? problem->data : "");
        if (line == NULL || left_out == LEFT_OUT_MAX) {
            return false;
        }
        fprintf(stderr, "ipalloc-kubeproxy: left out, because it is refused: %.*s (%s)\n",
                (int)(strcspn(line, "\n") < 200 ? strcspn(line, "\n") : 200), line, problem->data);
        line[0] = '#';
    }
}

/* --- clients of session affinity ---------------------------------------------------------------
 */

/* nft prints elements as it reads them, with the time that each has left. Listing the whole table
 * once takes a second where it is large; asking for every set would take as long each time. */
static void save_listed(int family, char *listed, struct ruleset *set, struct text *out) {
    for (char *at = listed; (at = strstr(at, "\n\tset ")) != NULL;) {
        char *name = at + strlen("\n\tset ");
        char *end = strstr(name, "\n\t}");
        char *elements = strstr(name, "elements = {");
        if (end == NULL) {
            return;
        }
        *end = '\0'; /* of this set */
        at = end + 1;
        name[strcspn(name, " ")] = '\0';
        if (elements != NULL && elements < end && ruleset_names(set, RULE_SET, family, name)) {
            text_format(out, "add element %s " NFT_TABLE " %s ", ip_word(family), name);
            for (elements = strchr(elements, '{'); *elements != '\0'; elements++) {
                text_append(out, *elements == '\n' ? " " : elements, 1);
            }
            text_add(out, "\n");
        }
    }
}

void kernel_save_clients(struct kernel *kernel, struct ruleset *set, struct text *out) {
    for (int family = 4; family <= 6; family += 2) {
        char command[80];
        struct text problem = {0};
        snprintf(command, sizeof command, "list table %s " NFT_TABLE, ip_word(family));
        if (ruleset_counts(set, RULE_SET, family) > 0 && kernel_run(kernel, command, &problem)) {
            char *listed = memory_copy(nft_ctx_get_output_buffer(kernel->nft));
            save_listed(family, listed, set, out);
            free(listed);
        }
        text_clear(&problem);
    }
}
