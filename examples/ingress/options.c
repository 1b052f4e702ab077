/* options.c: see options.h. */
#include "options.h"

#include <ipalloc/addr.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ipalloc-ingress --server=URL --directory=PATH [FLAG...]\n"
    "\n"
    "Follows Ingress objects and lets nginx serve them.\n"
    "\n"
    "  --server=URL                  the API server, http://HOST:PORT\n"
    "  --directory=PATH              where nginx' configuration lies: absolute, made if missing\n"
    "  --class=NAME                  the IngressClass that is served; default ipalloc\n"
    "  --nginx=PATH                  the program; default nginx\n"
    "  --http-port=N --https-port=N  where it listens; default 80 and 443\n"
    "  --publish-service=NS/NAME     write this Service's external addresses into the Ingresses'\n"
    "                                status\n"
    "  --publish-address=IP          or this one\n";

void ingress_options_help(struct text *out) {
    text_add(out, help);
}

static bool refuse(struct text *problem, const char *name, const char *value, const char *rule) {
    text_format(problem, "--%s=\"%.200s\": %s", name, value, rule);
    return false;
}

static bool take_port(int *port, const char *name, const char *value, struct text *problem) {
    char *end;
    long number = strtol(value, &end, 10);
    *port = (int)number;
    return (*end == '\0' && number >= 1 && number <= 65535) ||
           refuse(problem, name, value, "it must be from 1 to 65535");
}

static bool take(struct ingress_options *options, const char *name, const char *value,
                 struct text *problem) {
    const struct {
        const char *name;
        const char **value;
    } texts[] = {{"server", &options->server},
                 {"class", &options->class},
                 {"directory", &options->directory},
                 {"nginx", &options->nginx},
                 {"publish-service", &options->publish_service},
                 {"publish-address", &options->publish_address}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].value = value;
            return value[0] != '\0' || refuse(problem, name, value, "it must not be empty");
        }
    }
    if (strcmp(name, "http-port") == 0) {
        return take_port(&options->http_port, name, value, problem);
    }
    if (strcmp(name, "https-port") == 0) {
        return take_port(&options->https_port, name, value, problem);
    }
    text_format(problem, "--%.100s: no such flag; --help lists them", name);
    return false;
}

static bool judge(const struct ingress_options *options, struct text *problem) {
    ipalloc_addr address;
    const char *ip = options->publish_address;
    const char *service = options->publish_service;
    if (options->server == NULL || options->directory == NULL) {
        text_format(problem, "--%s is missing",
                    options->server == NULL ? "server=URL" : "directory=PATH");
        return false;
    }
    /* It stands in nginx' configuration between quotes. */
    if (options->directory[0] != '/' || strpbrk(options->directory, "\"\\$;{}\n") != NULL) {
        return refuse(problem, "directory", options->directory,
                      "it must be an absolute path without quotes, $, ; or braces");
    }
    if (ip != NULL && service != NULL) {
        return refuse(problem, "publish-address", ip, "there is --publish-service already");
    }
    if (ip != NULL && ipalloc_addr_parse(ip, strlen(ip), &address, NULL) != IPALLOC_OK) {
        return refuse(problem, "publish-address", ip, "it must be an IP address");
    }
    return service == NULL || strchr(service, '/') != NULL ||
           refuse(problem, "publish-service", service, "it must be NAMESPACE/NAME");
}

bool ingress_options_parse(int count, char **arguments, struct ingress_options *options,
                           struct text *problem) {
    *options = (struct ingress_options){
        .class = "ipalloc", .nginx = "nginx", .http_port = 80, .https_port = 443};
    for (int i = 1; i < count; i++) {
        char name[32] = "";
        const char *value = strchr(arguments[i], '=');
        if (strcmp(arguments[i], "--help") == 0) {
            options->help = true;
            return true;
        }
        if (!text_starts_with(arguments[i], "--") || value == NULL ||
            (size_t)(value - arguments[i]) - 2 >= sizeof name) {
            text_format(problem, "\"%.200s\": flags are --NAME=VALUE; --help lists them",
                        arguments[i]);
            return false;
        }
        memcpy(name, arguments[i] + 2, (size_t)(value - arguments[i]) - 2);
        if (!take(options, name, value + 1, problem)) {
            return false;
        }
    }
    return judge(options, problem);
}
