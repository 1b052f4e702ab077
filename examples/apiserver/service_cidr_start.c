/*
 * service_cidr_start.c: the default ServiceCIDR and --service-cluster-ip-range, which it is made
 * from and must agree with; see service_cidrs.h.
 */
#include "service_cidr_pass.h"

#include <stdio.h>
#include <string.h>

static struct json_object *flags_as_list(const struct options *options) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < options->cluster_range_count; i++) {
        char text[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&options->cluster_ranges[i], text);
        json_object_array_add(list, json_object_new_string(text));
    }
    return list;
}

bool service_cidr_make_default(struct server *server) {
    struct object_place place = service_cidr_place(server, SERVICE_CIDR_DEFAULT);
    struct outcome outcome = {0};
    struct json_object *object = json_object_new_object();
    json_set_text(json_ensure(object, "metadata"), "name", SERVICE_CIDR_DEFAULT);
    json_set(json_ensure(object, "spec"), "cidrs", flags_as_list(server->options));
    object_create(&place, object, &outcome);
    json_object_put(object);
    bool made = outcome.code == 201 || (outcome.code == 409 && server->shared); /* by another one */
    if (!made) {
        fprintf(stderr,
                "ipalloc-apiserver: ServiceCIDR " SERVICE_CIDR_DEFAULT " could not be made: %s\n",
                json_member_text(outcome.value, "message"));
    }
    outcome_clear(&outcome);
    return made;
}

static struct json_object *take_flags(void *context, struct json_object *current,
                                      struct outcome *failure) {
    const struct server *server = context;
    struct json_object *wanted = json_copy(current);
    (void)failure;
    json_set(json_ensure(wanted, "spec"), "cidrs", flags_as_list(server->options));
    return wanted;
}

static void say_other_ranges(struct json_object *given, struct json_object *stored,
                             struct text *problem) {
    struct json_object *lists[] = {given, stored};
    static const char *const before[] = {": --service-cluster-ip-range=",
                                         ", but the store was made with "};
    text_add(problem, ipalloc_strerror(IPALLOC_E_MISMATCH));
    for (size_t i = 0; i < 2; i++) {
        text_add(problem, before[i]);
        for (size_t j = 0; j < json_length(lists[i]); j++) {
            text_format(problem, "%s%s", j > 0 ? "," : "",
                        json_object_get_string(json_object_array_get_idx(lists[i], j)));
        }
    }
    text_add(problem, " (ServiceCIDR " SERVICE_CIDR_DEFAULT "); start it with that, and add other "
                      "ranges as ServiceCIDRs; to replace it, delete that one first");
}

/* The stored ones are the first of the given ones. */
static bool is_extended(struct json_object *given, struct json_object *stored) {
    for (size_t i = 0; i < json_length(stored); i++) {
        if (!json_object_equal(json_object_array_get_idx(given, i),
                               json_object_array_get_idx(stored, i))) {
            return false;
        }
    }
    return json_length(stored) > 0 && json_length(given) > json_length(stored);
}

bool service_cidrs_check_flags(struct server *server, struct text *problem) {
    struct object_place place = service_cidr_place(server, SERVICE_CIDR_DEFAULT);
    struct outcome outcome = {0};
    struct json_object *given = flags_as_list(server->options);
    bool fine = true;
    object_get(&place, &outcome);
    struct json_object *stored = json_at(outcome.value, "spec", "cidrs", NULL);
    bool dying = json_at(outcome.value, "metadata", "deletionTimestamp", NULL) != NULL;
    if (outcome.code == 200 && dying) {
        /* Whoever deleted it may replace it: it is made from the flags once nothing holds it. */
    } else if (outcome.code == 200 && is_extended(given, stored)) {
        object_update(&place, take_flags, server, false, &outcome);
        fine = outcome.code == 200;
        text_add(problem, fine ? "" : json_member_text(outcome.value, "message"));
    } else if (outcome.code == 200 && !json_object_equal(given, stored)) {
        say_other_ranges(given, stored, problem);
        fine = false;
    } else if (outcome.code != 200 && outcome.code != 404) {
        text_add(problem, json_member_text(outcome.value, "message"));
        fine = false;
    }
    json_object_put(given);
    outcome_clear(&outcome);
    return fine;
}
