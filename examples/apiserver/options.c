/*
 * options.c: flags and their rules, those of kube-apiserver where it has the flag too.
 *
 * Values are shown through text_add_shown, so that a stray control character in a flag cannot
 * rewrite the terminal. Nothing here touches a file or a socket.
 */
#include "options.h"

#include "service_rules.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char help_head[] =
    "Usage: ipalloc-apiserver [FLAG...]\n"
    "\n"
    "An API server for Kubernetes Services, for kubectl and other clients. Every Service and its\n"
    "addresses are one durable transaction.\n"
    "\n"
    "  --service-cluster-ip-range=CIDR[,CIDR]  ClusterIPs; two of different families for\n"
    "                                          dual-stack, the first is the default family\n"
    "                                          (default 10.96.0.0/16)\n"
    "  --service-node-port-range=MIN-MAX       node ports, both ends included; also MIN+COUNT or\n"
    "                                          one PORT (default 30000-32767)\n"
    "  --load-balancer-ip-range=[NAME=]CIDR[,CIDR]\n"
    "                                          addresses for Services of type LoadBalancer; with "
    "a\n"
    "                                          NAME for those with the annotation\n"
    "                                          ipalloc/load-balancer-pool: NAME; more than once\n"
    "                                          (default none: they stay pending)\n"
    "  --endpoint-slices=on|off                keep EndpointSlices of what Services select, and\n"
    "                                          remove Pods that end and old Events; default on\n"
    "  --listen=ADDRESS:PORT                   where to serve; port 0 picks a free one and prints\n"
    "                                          it (default 127.0.0.1:8001). There is no\n"
    "                                          authentication: keep it on loopback\n";

static const char help_tail[] =
    "  --help                                  this text\n"
    "  --version                               the version\n"
    "\n"
    "Try:  kubectl --server=http://127.0.0.1:8001 create service clusterip web --tcp=80\n";

void options_help(struct text *out) {
    text_add(out, help_head);
    text_add(out, store_flags_help);
    text_add(out, help_tail);
}

#define SHOWN_MAX 120 /* characters of a value that a message repeats */

static void text_add_shown(struct text *text, const char *value, size_t size) {
    text_add(text, "\"");
    for (size_t i = 0; i < size && i < SHOWN_MAX; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
            text_format(text, "\\x%02x", byte);
        } else {
            text_append(text, value + i, 1);
        }
    }
    text_add(text, size > SHOWN_MAX ? "...\"" : "\"");
}

static bool refuse(struct text *problem, const char *flag, const char *value, const char *rule) {
    text_format(problem, "--%s=", flag);
    text_add_shown(problem, value, strlen(value));
    text_format(problem, ": %s", rule);
    return false;
}

static size_t count_entries(const char *list) {
    size_t count = 1;
    for (const char *at = list; (at = strchr(at, ',')) != NULL; at++) {
        count++;
    }
    return count;
}

/* Parse "CIDR,CIDR"; host bits are cleared, as kube-apiserver does. */
/* `list` is the value, or the end of it. */
static bool parse_cidrs(const char *flag, const char *value, const char *list, ipalloc_cidr *out,
                        size_t count, struct text *problem) {
    const char *at = list;
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(at, ",");
        ipalloc_error error = {0};
        if (ipalloc_cidr_parse_masked(at, length, &out[i], &error) != IPALLOC_OK) {
            struct text rule = {0};
            text_format(&rule, "%s[%zu] is not a valid cidr: %s", flag, i, error.message);
            refuse(problem, flag, value, rule.data);
            text_clear(&rule);
            return false;
        }
        at += length + 1;
    }
    return true;
}

static unsigned host_bits(const ipalloc_cidr *cidr) {
    return (cidr->base.family == 4 ? 32u : 128u) - cidr->prefix_length;
}

static bool parse_cluster_ranges(struct options *options, const char *value, struct text *problem) {
    static const char flag[] = "service-cluster-ip-range";
    ipalloc_cidr *ranges = options->cluster_ranges;
    if (value[0] == '\0') {
        return refuse(problem, flag, value,
                      "--service-cluster-ip-range must contain at least one valid cidr");
    }
    size_t count = count_entries(value);
    if (count > OPTIONS_CLUSTER_RANGES_MAX) {
        return refuse(problem, flag, value,
                      "--service-cluster-ip-range must not contain more than two entries");
    }
    if (!parse_cidrs(flag, value, value, ranges, count, problem)) {
        return false;
    }
    if (count == 2 && ranges[0].base.family == ranges[1].base.family) {
        return refuse(problem, flag, value,
                      "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of "
                      "different IP family");
    }
    for (size_t i = 0; i < count; i++) {
        if (host_bits(&ranges[i]) < 3) {
            return refuse(problem, flag, value,
                          "the service cluster IP range must be at least 8 IP addresses");
        }
    }
    options->cluster_range_count = count;
    return true;
}

/* "NAME=CIDR,..." is a pool with a name; without, it is the default one. Where the CIDRs begin. */
static const char *find_balancer(struct options *options, const char *value,
                                 struct balancer_ranges **out) {
    const char *equals = strchr(value, '=');
    size_t size = equals != NULL ? (size_t)(equals - value) : 0;
    size_t at = 0;
    *out = NULL;
    while (at < options->balancer_count &&
           (strlen(options->balancers[at].name) != size ||
            memcmp(options->balancers[at].name, value, size) != 0)) {
        at++;
    }
    if (size <= OPTIONS_BALANCER_NAME_MAX && at < OPTIONS_BALANCERS_MAX) {
        *out = &options->balancers[at];
        memcpy((*out)->name, value, size);
        options->balancer_count += at == options->balancer_count;
    }
    return equals != NULL ? equals + 1 : value;
}

static bool parse_load_balancer_ranges(struct options *options, const char *value,
                                       struct text *problem) {
    static const char flag[] = "load-balancer-ip-range";
    struct balancer_ranges *balancer;
    const char *cidrs = find_balancer(options, value, &balancer);
    if (cidrs[0] == '\0') {
        return refuse(problem, flag, value, "it must contain at least one CIDR");
    }
    if (balancer == NULL) {
        return refuse(problem, flag, value,
                      "at most eight pools can have a name, of at most 40 letters");
    }
    if (balancer->count > 0) {
        return refuse(problem, flag, value, "that pool is given twice");
    }
    if (cidrs != value && name_rule_dns1123(balancer->name) != NULL) {
        return refuse(problem, flag, value, name_rule_dns1123(balancer->name));
    }
    size_t count = count_entries(cidrs);
    if (count > OPTIONS_LOAD_BALANCER_RANGES_MAX) {
        return refuse(problem, flag, value, "it must not contain more than eight entries");
    }
    if (!parse_cidrs(flag, value, cidrs, balancer->ranges, count, problem)) {
        return false;
    }
    balancer->count = count;
    return true;
}

/* A port at *at, digits only, which moves behind them. */
static bool parse_port(const char **at, uint32_t *out) {
    const char *start = *at;
    uint32_t port = 0;
    while (**at >= '0' && **at <= '9' && *at - start < 6) {
        port = port * 10 + (uint32_t)(**at - '0');
        (*at)++;
    }
    *out = port;
    return *at != start;
}

static const char *judge_ports(const char *value, uint32_t *first, uint32_t *last) {
    static const char unparsable[] =
        "unable to parse port range: it must be PORT, MIN-MAX or MIN+COUNT";
    const char *at = value + strspn(value, " \t");
    if (!parse_port(&at, first)) {
        return unparsable;
    }
    *last = *first;
    if (*at == '-' || *at == '+') {
        char sign = *at++;
        if (!parse_port(&at, last)) {
            return unparsable;
        }
        *last += sign == '+' ? *first : 0;
    }
    if (at[strspn(at, " \t")] != '\0') {
        return unparsable;
    }
    if (*first > UINT16_MAX || *last > UINT16_MAX) {
        return "the port range cannot be greater than 65535";
    }
    if (*last < *first) {
        return "end port cannot be less than start port";
    }
    return *first == 0 ? "port 0 cannot be a node port" : NULL;
}

static bool parse_node_ports(struct options *options, const char *value, struct text *problem) {
    uint32_t first = 0;
    uint32_t last = 0;
    const char *rule = judge_ports(value, &first, &last);
    if (rule != NULL) {
        return refuse(problem, "service-node-port-range", value, rule);
    }
    options->node_port_first = (uint16_t)first;
    options->node_port_last = (uint16_t)last;
    return true;
}

static bool parse_listen(struct options *options, const char *value, struct text *problem) {
    static const char flag[] = "listen";
    static const char rule[] =
        "it must be ADDRESS:PORT with a numeric address, IPv6 in brackets: 127.0.0.1:8001, "
        "[::1]:8001";
    const char *colon = strrchr(value, ':');
    if (colon == NULL || colon == value) {
        return refuse(problem, flag, value, rule);
    }
    bool bracketed = value[0] == '[' && colon[-1] == ']';
    const char *host = value + (bracketed ? 1 : 0);
    size_t host_length = (size_t)(colon - value) - (bracketed ? 2 : 0);
    ipalloc_error error;
    if (ipalloc_addr_parse(host, host_length, &options->listen_address, &error) != IPALLOC_OK ||
        (options->listen_address.family == 6) != bracketed) {
        return refuse(problem, flag, value, rule);
    }
    const char *at = colon + 1;
    uint32_t port = 0;
    if (!parse_port(&at, &port) || *at != '\0' || port > UINT16_MAX) {
        return refuse(problem, flag, value, "the port must be a number from 0 to 65535");
    }
    options->listen_port = (uint16_t)port;
    return true;
}

/* No two ranges may share an address, whatever they are for. */
static bool ranges_are_apart(const struct options *options, struct text *problem) {
    ipalloc_cidr
        all[OPTIONS_CLUSTER_RANGES_MAX + OPTIONS_BALANCERS_MAX * OPTIONS_LOAD_BALANCER_RANGES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < options->cluster_range_count; i++) {
        all[count++] = options->cluster_ranges[i];
    }
    for (size_t i = 0; i < options->balancer_count; i++) {
        for (size_t j = 0; j < options->balancers[i].count; j++) {
            all[count++] = options->balancers[i].ranges[j];
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (ipalloc_cidr_overlaps(&all[i], &all[j])) {
                char first[IPALLOC_CIDR_TEXT];
                char second[IPALLOC_CIDR_TEXT];
                ipalloc_cidr_format(&all[i], first);
                ipalloc_cidr_format(&all[j], second);
                text_format(problem,
                            "--load-balancer-ip-range: the ranges %s and %s overlap; ranges must "
                            "not share an address",
                            first, second);
                return false;
            }
        }
    }
    return true;
}

static bool parse_endpoint_slices(struct options *options, const char *value,
                                  struct text *problem) {
    options->endpoint_slices = strcmp(value, "on") == 0;
    return options->endpoint_slices || strcmp(value, "off") == 0 ||
           refuse(problem, "endpoint-slices", value, "it must be on or off");
}

static const struct {
    const char *name;
    bool (*parse)(struct options *, const char *value, struct text *problem);
} flags[] = {
    {"service-cluster-ip-range", parse_cluster_ranges},
    {"service-node-port-range", parse_node_ports},
    {"load-balancer-ip-range", parse_load_balancer_ranges},
    {"endpoint-slices", parse_endpoint_slices},
    {"listen", parse_listen},
};

#define OWN_FLAGS  (sizeof flags / sizeof flags[0])
#define FLAG_COUNT (OWN_FLAGS + STORE_FLAG_NAMES_MAX)

/* This server's own flags, then those of the store. */
static const char *flag_name(size_t index) {
    return index < OWN_FLAGS ? flags[index].name : store_flag_names[index - OWN_FLAGS];
}

static bool parse_value(struct options *options, size_t index, const char *value,
                        struct text *problem) {
    if (index < OWN_FLAGS) {
        return flags[index].parse(options, value, problem);
    }
    struct text rule = {0};
    const char *name = flag_name(index);
    bool fine = store_flags_take(&options->store, name, value, &rule);
    if (!fine) {
        refuse(problem, name, value, rule.data);
    }
    text_clear(&rule);
    return fine;
}

static bool refuse_unknown(const char *argument, struct text *problem) {
    static const char servers[] = "--etcd-servers";
    text_add_shown(problem, argument, strlen(argument));
    text_add(problem, ": no such flag; --help lists them");
    if (text_starts_with(argument, servers)) {
        text_add(problem, "; etcd's endpoints and the prefix are one URL: "
                          "--store=etcd:http://HOST:PORT,http://HOST:PORT/PREFIX");
    }
    return false;
}

static bool parse_one(struct options *options, const char *argument, bool seen[FLAG_COUNT],
                      struct text *problem) {
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const char *name = flag_name(i);
        size_t length = strlen(name);
        if (!text_starts_with(argument, "--") || strncmp(argument + 2, name, length) != 0) {
            continue;
        }
        const char *rest = argument + 2 + length;
        if (*rest == '\0') {
            text_format(problem, "--%s: it needs a value: --%s=...", name, name);
            return false;
        }
        if (*rest != '=') {
            continue;
        }
        if (seen[i] && strcmp(name, "load-balancer-ip-range") != 0) { /* a pool each time */
            return refuse(problem, name, rest + 1, "the flag is given twice");
        }
        seen[i] = true;
        return parse_value(options, i, rest + 1, problem);
    }
    return refuse_unknown(argument, problem);
}

static void set_defaults(struct options *options) {
    struct text ignored = {0};
    *options = (struct options){.store.url = "memory:", .balancer_count = 1};
    parse_cluster_ranges(options, "10.96.0.0/16", &ignored);
    parse_node_ports(options, "30000-32767", &ignored);
    parse_listen(options, "127.0.0.1:8001", &ignored);
    parse_endpoint_slices(options, "on", &ignored);
}

enum options_result options_parse(int count, char **arguments, struct options *options,
                                  struct text *problem) {
    bool seen[FLAG_COUNT] = {false};
    set_defaults(options);
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            return OPTIONS_HELP;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            return OPTIONS_VERSION;
        }
        if (!parse_one(options, arguments[i], seen, problem)) {
            return OPTIONS_WRONG;
        }
    }
    return store_flags_check(&options->store, problem) && ranges_are_apart(options, problem)
               ? OPTIONS_RUN
               : OPTIONS_WRONG;
}
