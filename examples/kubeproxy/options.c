/* options.c: see options.h. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ipalloc-kubeproxy --server=URL [FLAG...]\n"
    "\n"
    "Programs this network namespace's nftables so that traffic to Services reaches their "
    "endpoints.\n"
    "\n"
    "  --server=URL              the API server, http://HOST:PORT\n"
    "  --node-name=NAME          this Node's name; for traffic policies of Local\n"
    "  --cluster-cidr=CIDR,...   the Pods' addresses: what comes to a ClusterIP from elsewhere is\n"
    "                            masqueraded\n"
    "  --balance=random|hash     how an endpoint is drawn; default random\n"
    "  --healthz=ADDRESS:PORT    answer /healthz there\n"
    "  --once                    program what there is now, and end\n"
    "  --dry-run                 print the ruleset, and end; needs no rights\n"
    "  --iptables                with --dry-run: print it for iptables-restore, a block a family\n"
    "  --cleanup                 remove our tables, and end\n";

void proxy_options_help(struct text *out) {
    text_add(out, help);
}

static bool refuse(struct text *problem, const char *name, const char *value, const char *rule) {
    text_format(problem, "--%s=\"%.200s\": %s", name, value, rule);
    return false;
}

static bool take_cidrs(struct proxy_options *options, const char *value, struct text *problem) {
    for (const char *at = value;; at++) {
        size_t size = strcspn(at, ",");
        ipalloc_cidr cidr;
        ipalloc_error error = {0};
        if (options->cluster_cidr_count == CLUSTER_CIDRS_MAX) {
            return refuse(problem, "cluster-cidr", value, "at most 8 CIDRs");
        }
        if (ipalloc_cidr_parse(at, size, &cidr, &error) != IPALLOC_OK) {
            return refuse(problem, "cluster-cidr", value, error.message);
        }
        ipalloc_cidr_format(&cidr, options->cluster_cidrs[options->cluster_cidr_count++]);
        at += size;
        if (*at == '\0') {
            return true;
        }
    }
}

static bool is_place(const char *value) {
    const char *colon = strrchr(value, ':');
    char *end = NULL;
    long port = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    return colon != NULL && colon > value && end > colon + 1 && *end == '\0' && port >= 1 &&
           port <= UINT16_MAX;
}

static bool take_value(struct proxy_options *options, const char *name, const char *value,
                       struct text *problem) {
    if (strcmp(name, "server") == 0) {
        options->server = value;
    } else if (strcmp(name, "node-name") == 0) {
        options->node = value;
    } else if (strcmp(name, "healthz") == 0) {
        options->healthz = value;
        return is_place(value) ||
               refuse(problem, name, value,
                      "it must be ADDRESS:PORT, as 127.0.0.1:10256 or [::]:10256");
    } else if (strcmp(name, "cluster-cidr") == 0) {
        return take_cidrs(options, value, problem);
    } else if (strcmp(name, "balance") == 0) {
        options->hash = strcmp(value, "hash") == 0;
        return options->hash || strcmp(value, "random") == 0 ||
               refuse(problem, name, value, "it must be random or hash");
    } else {
        text_format(problem, "--%.100s: no such flag; --help lists them", name);
        return false;
    }
    return true;
}

static bool take_word(struct proxy_options *options, const char *name, struct text *problem) {
    static const struct {
        const char *name;
        enum proxy_mode mode;
    } modes[] = {{"once", PROXY_ONCE},
                 {"dry-run", PROXY_DRY_RUN},
                 {"cleanup", PROXY_CLEANUP},
                 {"help", PROXY_HELP}};
    if (strcmp(name, "iptables") == 0) {
        options->iptables = true;
        return true;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(name, modes[i].name) == 0) {
            options->mode = modes[i].mode;
            return true;
        }
    }
    text_format(problem, "--%.100s: no such flag, or it needs a value; --help lists them", name);
    return false;
}

bool proxy_options_parse(int count, char **arguments, struct proxy_options *options,
                         struct text *problem) {
    *options = (struct proxy_options){.node = ""};
    for (int i = 1; i < count; i++) {
        char name[64];
        const char *value = strchr(arguments[i], '=');
        const char *begin = arguments[i] + 2;
        if (!text_starts_with(arguments[i], "--")) {
            text_format(problem, "\"%.200s\": only flags are taken; --help lists them",
                        arguments[i]);
            return false;
        }
        size_t size = value != NULL ? (size_t)(value - begin) : strlen(begin);
        snprintf(name, sizeof name, "%.*s", (int)(size < 60 ? size : 60), begin);
        if (!(value != NULL ? take_value(options, name, value + 1, problem)
                            : take_word(options, name, problem))) {
            return false;
        }
    }
    if (options->mode == PROXY_HELP || options->mode == PROXY_CLEANUP) {
        return true;
    }
    if (options->server == NULL) {
        text_add(problem, "--server=URL is missing: which API server to follow");
        return false;
    }
    if (options->iptables && options->mode != PROXY_DRY_RUN) {
        text_add(problem, "--iptables only prints: it needs --dry-run");
        return false;
    }
    return true;
}
