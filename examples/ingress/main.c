/*
 * main.c: ipalloc-ingress: follow Ingresses, and let nginx serve them.
 *
 * All is rendered anew with each change (of a few milliseconds together), tested, and only then
 * taken; a configuration that nginx refuses is tried again without the Ingress that breaks it, so
 * the others are served. Without an API server the last configuration goes on serving. SIGTERM ends
 * nginx, too, after what it is doing.
 *
 * Exit codes: 0 after SIGTERM or SIGINT, 1 where nginx or the directory refuse, 2 for the command
 * line.
 */
#include "client.h"
#include "configuration.h"
#include "nginx.h"
#include "secrets.h"
#include "string_map.h"
#include "tell.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define CONTROLLER    "ipalloc/ingress" /* spec.controller of our IngressClass */
#define OLD_CLASS     "kubernetes.io/ingress.class"
#define SETTLE_MS     50   /* what comes together is rendered together, */
#define SETTLE_ROUNDS 10   /* but does not wait for ever */
#define CHECK_MS      1000 /* between two looks whether nginx lives */

struct program {
    struct ingress_options options;
    struct client *client;
    struct collection *ingresses, *classes, *services;
    struct configurator configurator;
    struct string_map told;  /* Ingress: its problems, as they were told (owned texts) */
    struct string_map owned; /* Ingresses whose status we have written */
    int signals;
    bool due, served;
    bool astray;      /* somebody else has written a status of ours; */
    time_t served_at; /* who does so again and again is answered once a second */
    bool lost;        /* nginx has ended and does not start again, which was said */
};

static void say(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "ipalloc-ingress: %s\n", line);
}

/* --- what there is ---------------------------------------------------------------------------- */

static void on_change(void *context, const char *name, struct json_object *old,
                      struct json_object *new) {
    struct program *program = context;
    (void)name;
    /* Our own writing of a status is no news. */
    program->due = program->due || old == NULL || new == NULL || json_member(new, "spec") == NULL ||
                   !json_object_equal(json_member(old, "spec"), json_member(new, "spec")) ||
                   !json_object_equal(json_at(old, "metadata", "annotations", NULL),
                                      json_at(new, "metadata", "annotations", NULL));
}

static struct json_object *published_addresses(const struct program *program) {
    const struct ingress_options *options = &program->options;
    struct json_object *out = json_object_new_array();
    struct json_object *points =
        options->publish_service != NULL
            ? json_at(client_find(program->services, options->publish_service), "status",
                      "loadBalancer", "ingress", NULL)
            : NULL;
    for (size_t i = 0; i < json_length(points); i++) {
        struct json_object *point = json_object_new_object();
        json_carry(json_object_array_get_idx(points, i), point, "ip");
        json_carry(json_object_array_get_idx(points, i), point, "hostname");
        json_object_array_add(out, point);
    }
    if (options->publish_address != NULL) {
        struct json_object *point = json_object_new_object();
        json_set_text(point, "ip", options->publish_address);
        json_object_array_add(out, point);
    }
    return out;
}

/* What somebody else writes into the status of one that we serve is put right. */
static void on_ingress(void *context, const char *name, struct json_object *old,
                       struct json_object *new) {
    struct program *program = context;
    on_change(context, name, old, new);
    if (new != NULL && string_map_find(&program->owned, name) != NULL) {
        struct json_object *addresses = published_addresses(program);
        struct json_object *present = json_at(new, "status", "loadBalancer", "ingress", NULL);
        program->astray =
            program->astray || (!json_object_equal(addresses, present) && json_length(present) > 0);
        json_object_put(addresses);
    }
}

/* A Service's status has the addresses that are published. */
static void on_service(void *context, const char *name, struct json_object *old,
                       struct json_object *new) {
    struct program *program = context;
    on_change(context, name, old, new);
    program->due =
        program->due || !json_object_equal(json_member(old, "status"), json_member(new, "status"));
}

static bool is_ours(const struct program *program, struct json_object *ingress) {
    const char *wanted = json_member_text(json_member(ingress, "spec"), "ingressClassName");
    struct json_object *annotations = json_at(ingress, "metadata", "annotations", NULL);
    if (wanted[0] == '\0') {
        wanted = json_member_text(annotations, OLD_CLASS);
    }
    struct json_object *class = client_find(program->classes, program->options.class);
    const char *controller = json_member_text(json_member(class, "spec"), "controller");
    return strcmp(wanted, program->options.class) == 0 && strcmp(controller, CONTROLLER) == 0;
}

static bool is_younger(const struct ingress *one, const struct ingress *other) {
    const char *born = json_member_text(json_member(one->object, "metadata"), "creationTimestamp");
    int order =
        strcmp(born, json_member_text(json_member(other->object, "metadata"), "creationTimestamp"));
    return order > 0 || (order == 0 && strcmp(one->name, other->name) > 0);
}

struct gathering {
    struct program *program;
    struct ingress *first;
};

static void gather_one(void *context, const char *name, struct json_object *object) {
    struct gathering *gathering = context;
    if (!is_ours(gathering->program, object)) {
        return;
    }
    struct ingress *ingress = memory_allocate(sizeof *ingress);
    ingress->name = memory_copy(name);
    ingress->object = json_object_get(object);
    struct ingress **at = &gathering->first;
    while (*at != NULL && is_younger(ingress, *at)) {
        at = &(*at)->next;
    }
    ingress->next = *at;
    *at = ingress;
}

static void ingresses_free(struct ingress *ingresses) {
    while (ingresses != NULL) {
        struct ingress *next = ingresses->next;
        json_object_put(ingresses->object);
        text_clear(&ingresses->problems);
        free(ingresses->name);
        free(ingresses);
        ingresses = next;
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

struct forgetting {
    struct program *program;
    struct text names;
};

static void find_forgotten(void *context, const char *name, void *value) {
    struct forgetting *forgetting = context;
    struct json_object *ingress = client_find(forgetting->program->ingresses, name);
    (void)value;
    if (ingress == NULL || !is_ours(forgetting->program, ingress)) {
        text_format(&forgetting->names, "%s\n", name);
    }
}

/* What was ours and has another class now is not served here any more. */
static void forget_others(struct program *program) {
    struct forgetting forgetting = {.program = program};
    string_map_each(&program->owned, find_forgotten, &forgetting);
    char *rest = forgetting.names.data;
    for (char *name; rest != NULL && (name = strsep(&rest, "\n")) != NULL && name[0] != '\0';) {
        struct json_object *ingress = client_find(program->ingresses, name);
        if (ingress != NULL) {
            tell_addresses(program->client, name, ingress, NULL);
        }
        string_map_take(&program->owned, name);
        free(string_map_take(&program->told, name));
    }
    text_clear(&forgetting.names);
}

static bool tell_all(struct program *program, struct ingress *ingresses) {
    struct json_object *addresses = published_addresses(program);
    bool well = true;
    for (struct ingress *at = ingresses; at != NULL; at = at->next) {
        const char *problems = at->problems.size > 0 ? at->problems.data : "";
        const char *told = string_map_find(&program->told, at->name);
        if (strcmp(problems, told != NULL ? told : "") != 0) {
            bool heard = tell_problems(program->client, at);
            well = well && heard;
            if (heard) {
                free(string_map_take(&program->told, at->name));
                string_map_set(&program->told, at->name, memory_copy(problems));
            }
        }
        well = tell_addresses(program->client, at->name, at->object,
                              at->left_out ? NULL : addresses) &&
               well;
        string_map_set(&program->owned, at->name, program);
    }
    forget_others(program);
    json_object_put(addresses);
    return well;
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool serve(struct program *program) {
    struct gathering gathering = {.program = program};
    struct text configuration = {0};
    struct text problem = {0};
    program->astray = false;
    program->served_at = time(NULL);
    client_each(program->ingresses, gather_one, &gathering);
    bool well = configuration_find(&program->configurator, gathering.first, &configuration);
    bool runs = nginx_is_running(&program->options);
    if (well && (!runs || !nginx_has(&program->options, configuration.data))) {
        well = nginx_use(&program->options, configuration.data, &problem);
        if (!well) {
            say(NULL, problem.data);
        }
    }
    if (well) {
        secrets_sweep(program->options.directory, configuration.data);
    }
    if (well && !program->served) {
        printf("ipalloc-ingress: serving %zu Ingresses\n", client_count(program->ingresses));
        fflush(stdout);
        program->served = true;
    }
    well = tell_all(program, gathering.first) && well;
    ingresses_free(gathering.first);
    text_clear(&configuration);
    text_clear(&problem);
    return well;
}

static void keep_alive(struct program *program) {
    struct text problem = {0};
    if (!program->served || nginx_is_running(&program->options)) {
        return;
    }
    if (!program->lost) {
        say(NULL, "nginx has ended; starting it again");
    }
    bool starts = nginx_start(&program->options, &problem);
    if (!starts && !program->lost) {
        say(NULL, problem.data);
    }
    program->lost = !starts;
    text_clear(&problem);
}

static void run(struct program *program) {
    struct pollfd signals = {.fd = program->signals, .events = POLLIN};
    for (;;) {
        client_wait(program->client, &signals, 1, CHECK_MS);
        if (poll(&signals, 1, 0) > 0) {
            return;
        }
        keep_alive(program);
        program->due = program->due || configuration_is_due(&program->configurator) ||
                       (program->astray && time(NULL) != program->served_at);
        if (program->due && client_has_synced(program->client)) {
            for (int i = 0;
                 i < SETTLE_ROUNDS && client_wait(program->client, NULL, 0, SETTLE_MS) > 0; i++) {
            }
            program->due = false;
            program->due = !serve(program); /* what failed is tried again */
        }
    }
}

/* --- start and end ---------------------------------------------------------------------------- */

static int start(struct program *program, struct text *problem) {
    struct client_options options = {.server = program->options.server,
                                     .name = "ipalloc-ingress",
                                     .log = say,
                                     .drops_managed_fields = true};
    sigset_t signals;
    if (!nginx_prepare(&program->options, problem)) {
        return EXIT_FAILURE;
    }
    program->client = client_open(&options, problem);
    if (program->client == NULL) {
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    program->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    program->due = true;
    program->ingresses =
        client_follow(program->client, "/apis/networking.k8s.io/v1/ingresses", on_ingress, program);
    program->classes = client_follow(program->client, "/apis/networking.k8s.io/v1/ingressclasses",
                                     on_change, program);
    program->services = client_follow(program->client, "/api/v1/services", on_service, program);
    struct collection *secrets =
        client_follow(program->client, "/api/v1/secrets?fieldSelector=type%3Dkubernetes.io/tls",
                      on_change, program);
    program->configurator = (struct configurator){
        .options = &program->options, .services = program->services, .secrets = secrets};
    run(program);
    nginx_quit(&program->options);
    return EXIT_SUCCESS;
}

int main(int count, char **arguments) {
    static struct program program;
    struct text problem = {0};
    int code = 2;
    if (ingress_options_parse(count, arguments, &program.options, &problem)) {
        if (program.options.help) {
            struct text help = {0};
            ingress_options_help(&help);
            fputs(help.data, stdout);
            text_clear(&help);
            return EXIT_SUCCESS;
        }
        code = start(&program, &problem);
    }
    if (problem.size > 0) {
        say(NULL, problem.data);
    }
    client_close(program.client);
    string_map_clear(&program.told, free);
    string_map_clear(&program.owned, NULL);
    configurator_clear(&program.configurator);
    text_clear(&problem);
    return code;
}
