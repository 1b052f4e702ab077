/*
 * service_cidr_settle.c: make the ClusterIP pools what the ServiceCIDR objects ask for; see
 * service_cidrs.h.
 *
 * One pass reads the objects, sets the ranges of each family's pool, and writes what came of it
 * into the objects' conditions. It can be cut off anywhere: the next one starts from the same
 * truth. It runs after a write of a ServiceCIDR, at the start, and in the hub's thread after a
 * release while something drains.
 */
#include "service_cidrs.h"

#include "cluster.h"
#include "hub.h"
#include "object_store.h"
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX  4    /* of setting ranges, while addresses are just being given */
#define HOLDERS_SHOWN 3    /* named in a condition; the others are counted */
#define HELD_MANY     1000 /* from so many held on, conditions change at most once a second */
#define NOT_YET_RELEASED                                                                       \
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a " \
    "new ServiceCIDR"

/* One ServiceCIDR object, and what is found out about it. */
struct wish {
    struct wish *next;
    struct json_object *object;
    ipalloc_cidr cidrs[SERVICE_CIDR_CIDRS_MAX];
    size_t count;
    bool deleting;
    bool blocked;        /* its ranges could not be set; `reason` and `holders` say why */
    const char *reason;  /* of Ready being False; NULL: it is True */
    uint64_t held;       /* addresses that only it and others being deleted have */
    struct text holders; /* some of them */
};

struct pass {
    struct server *server;
    struct wish *wishes;
    struct service_cidr_list serving[2]; /* by family: what is to be given from */
    uint64_t draining;                   /* addresses held in draining ranges, after the pass */
    bool failed;                         /* something is left to do */
};

static size_t family_index(int family) {
    return family == 6;
}

static const char *name_of(const struct wish *wish) {
    return json_member_text(json_member(wish->object, "metadata"), "name");
}

static struct object_place place_of(struct server *server, const char *name) {
    return (struct object_place){.server = server,
                                 .resource = &resource_service_cidrs,
                                 .namespace = "",
                                 .name = name,
                                 .internal = true};
}

static void log_failure(const char *what, const struct outcome *outcome) {
    fprintf(stderr, "ipalloc-apiserver: ServiceCIDR %s: %s\n", what,
            json_member_text(outcome->value, "message"));
}

/* --- reading ---------------------------------------------------------------------------------- */

static int see_object(void *context, const ipalloc_entry *entry) {
    struct pass *pass = context;
    ipalloc_error error = {0};
    struct json_object *object = record_parse(pass->server, entry, &error);
    if (object == NULL) {
        fprintf(stderr, "ipalloc-apiserver: %s\n", error.message);
        return IPALLOC_E_CORRUPT;
    }
    struct wish *wish = memory_allocate(sizeof *wish);
    wish->object = object;
    wish->count = service_cidr_read(object, wish->cidrs);
    wish->deleting = json_member(json_member(object, "metadata"), "deletionTimestamp") != NULL;
    wish->next = pass->wishes;
    pass->wishes = wish;
    return IPALLOC_OK;
}

static void forget_wishes(struct pass *pass) {
    while (pass->wishes != NULL) {
        struct wish *wish = pass->wishes;
        pass->wishes = wish->next;
        json_object_put(wish->object);
        text_clear(&wish->holders);
        free(wish);
    }
}

static bool read_wishes(struct pass *pass) {
    ipalloc_error error = {0};
    forget_wishes(pass);
    return ipalloc_record_scan(pass->server->registry, resource_service_cidrs.record_prefix, NULL,
                               0, see_object, pass, NULL, &error) == IPALLOC_OK;
}

static bool has_default(const struct pass *pass) {
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        if (strcmp(name_of(wish), SERVICE_CIDR_DEFAULT) == 0) {
            return true;
        }
    }
    return false;
}

static struct json_object *flags_as_list(const struct options *options) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < options->cluster_range_count; i++) {
        char text[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&options->cluster_ranges[i], text);
        json_object_array_add(list, json_object_new_string(text));
    }
    return list;
}

static bool make_default(struct server *server) {
    struct object_place place = place_of(server, SERVICE_CIDR_DEFAULT);
    struct outcome outcome = {0};
    struct json_object *object = json_object_new_object();
    json_set_text(json_ensure(object, "metadata"), "name", SERVICE_CIDR_DEFAULT);
    json_set(json_ensure(object, "spec"), "cidrs", flags_as_list(server->options));
    object_create(&place, object, &outcome);
    json_object_put(object);
    bool made = outcome.code == 201;
    if (!made) {
        log_failure(SERVICE_CIDR_DEFAULT " could not be made", &outcome);
    }
    outcome_clear(&outcome);
    return made;
}

/* What the objects want given out: those that are not being deleted and have something to give. */
static void gather_serving(struct pass *pass) {
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count && !wish->deleting; i++) {
            const ipalloc_cidr *cidr = &wish->cidrs[i];
            if (service_cidr_is_usable(cidr)) {
                service_cidr_list_add(&pass->serving[family_index(cidr->base.family)], cidr);
            } else {
                wish->reason = "NoUsableAddress";
            }
        }
    }
    service_cidr_list_reduce(&pass->serving[0]);
    service_cidr_list_reduce(&pass->serving[1]);
}

/* --- the pools -------------------------------------------------------------------------------- */

static bool holds_something(const ipalloc_pool_range *range) {
    ipalloc_count used = range->stats.total.used;
    return used.low > 0 || used.high > 0;
}

/* What the pool has beyond `serving` and somebody holds something in. */
static void gather_rest(ipalloc_pool *pool, const struct service_cidr_list *serving,
                        struct service_cidr_list *rest) {
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        if (holds_something(&range)) {
            service_cidr_list_add_rest(rest, &range.cidr, serving);
        }
    }
}

static int set_ranges(ipalloc_pool *pool, const struct service_cidr_list *serving,
                      ipalloc_error *error) {
    struct service_cidr_list rest = {0};
    gather_rest(pool, serving, &rest);
    if (serving->count + rest.count == 0) { /* a pool has a range; this one gives nothing */
        ipalloc_pool_range range = {.size = sizeof range};
        ipalloc_pool_get_range(pool, 0, &range, NULL);
        service_cidr_list_add(&rest, &range.cidr);
    }
    size_t count = serving->count + rest.count;
    ipalloc_pool_range_spec *specs = memory_allocate(count * sizeof *specs);
    for (size_t i = 0; i < count; i++) {
        bool draining = i >= serving->count;
        specs[i] = (ipalloc_pool_range_spec){.cidr = draining ? rest.cidrs[i - serving->count]
                                                              : serving->cidrs[i],
                                             .draining = draining};
    }
    int status = ipalloc_pool_set_ranges(pool, specs, count, error);
    free(specs);
    service_cidr_list_free(&rest);
    return status;
}

/* TAKEN: something was given between our look and the change; CONFLICT: much is going on. */
static int set_ranges_patiently(ipalloc_pool *pool, const struct service_cidr_list *serving,
                                ipalloc_error *error) {
    int status = IPALLOC_E_TAKEN;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        status = set_ranges(pool, serving, error);
        if (status != IPALLOC_E_TAKEN && status != IPALLOC_E_CONFLICT) {
            break;
        }
    }
    /* What has just become empty goes, and the lonely ends that nobody holds any more. */
    return status == IPALLOC_OK ? set_ranges(pool, serving, error) : status;
}

static void block_family(struct pass *pass, int family, const ipalloc_error *error) {
    pass->failed = true;
    fprintf(stderr, "ipalloc-apiserver: ServiceCIDRs: %s\n", error->message);
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count; i++) {
            if (wish->cidrs[i].base.family == family && !wish->blocked) {
                wish->blocked = true;
                text_add(&wish->holders, error->message);
            }
        }
    }
}

static void settle_family(struct pass *pass, int family) {
    const struct service_cidr_list *serving = &pass->serving[family_index(family)];
    ipalloc_pool *pool = cluster_pool(pass->server, family);
    ipalloc_error error = {0};
    int status = IPALLOC_OK;
    if (pool != NULL) {
        status = set_ranges_patiently(pool, serving, &error);
    } else if (serving->count > 0) {
        status = cluster_define_pool(pass->server, family, serving->cidrs, serving->count, &error);
    }
    if (status != IPALLOC_OK) {
        block_family(pass, family, &error);
    }
}

static bool has_family(const struct pass *pass, int family) {
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        for (size_t i = 0; i < wish->count; i++) {
            if (wish->cidrs[i].base.family == family) {
                return true;
            }
        }
    }
    return false;
}

/* The default family stays; the other one is there while a ServiceCIDR has it. */
static void publish_pools(struct pass *pass) {
    struct server *server = pass->server;
    int first = server->options->cluster_ranges[0].base.family;
    int second = first == 4 ? 6 : 4;
    cluster_publish_pools(server, cluster_pool(server, first),
                          has_family(pass, second) ? cluster_pool(server, second) : NULL);
}

/* --- who holds what --------------------------------------------------------------------------- */

static bool has_address(const struct wish *wish, const ipalloc_addr *address) {
    for (size_t i = 0; i < wish->count; i++) {
        if (ipalloc_cidr_contains(&wish->cidrs[i], address)) {
            return true;
        }
    }
    return false;
}

/* "10.97.0.5 (Service default/web)" */
static void add_holder(struct text *out, const ipalloc_lease *lease) {
    char address[IPALLOC_ADDR_TEXT];
    const char *owner = lease->owner;
    bool is_service = text_starts_with(owner, "Service/");
    ipalloc_addr_format(&lease->address, address);
    text_format(out, "%s%s (", out->size > 0 ? ", " : "", address);
    if (is_service) {
        owner += strlen("Service/");
        const char *uid = strrchr(owner, '/');
        text_format(out, "Service %.*s)", (int)(uid != NULL ? uid - owner : (long)strlen(owner)),
                    owner);
    } else {
        text_format(out, "%s)", owner);
    }
}

static int see_lease(void *context, const ipalloc_lease *lease) {
    struct pass *pass = context;
    const struct service_cidr_list *serving = &pass->serving[family_index(lease->address.family)];
    if (service_cidr_list_serves(serving, &lease->address)) {
        return IPALLOC_OK;
    }
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        if (wish->deleting && has_address(wish, &lease->address)) {
            if (wish->held < HOLDERS_SHOWN) {
                add_holder(&wish->holders, lease);
            }
            wish->held++;
        }
    }
    return IPALLOC_OK;
}

static bool is_any_deleting(const struct pass *pass) {
    for (const struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        if (wish->deleting) {
            return true;
        }
    }
    return false;
}

static void find_holders(struct pass *pass) {
    for (int family = 4; family <= 6; family += 2) {
        ipalloc_pool *pool = cluster_pool(pass->server, family);
        ipalloc_error error = {0};
        if (pool != NULL &&
            ipalloc_list(pass->server->registry, pool, see_lease, pass, &error) != IPALLOC_OK) {
            block_family(pass, family, &error);
        }
    }
}

/* --- what the objects are told ---------------------------------------------------------------- */

static void describe_state(const struct wish *wish, const char **status, const char **reason,
                           struct text *message) {
    bool is_default = strcmp(name_of(wish), SERVICE_CIDR_DEFAULT) == 0;
    *status = "False";
    if (wish->blocked) {
        *reason = wish->deleting ? "Terminating" : "NotUsable";
        text_add(message, wish->holders.data);
    } else if (wish->deleting && wish->held == 0) {
        *reason = "Terminating";
        text_add(message, "Nothing holds an address of it any more; other finalizers keep it");
    } else if (wish->deleting) {
        *reason = "Terminating";
        text_format(message, NOT_YET_RELEASED ": %" PRIu64 " %s: %s%s", wish->held,
                    wish->held == 1 ? "address" : "addresses", wish->holders.data,
                    wish->held > HOLDERS_SHOWN ? ", ..." : "");
    } else if (wish->reason != NULL) {
        *reason = wish->reason;
        text_add(message, "A CIDR of the ServiceCIDR has no address that can be given");
    } else {
        *status = "True";
        *reason = "";
        text_format(message, "Kubernetes %sService CIDR is ready", is_default ? "default " : "");
    }
}

static struct json_object *find_ready(struct json_object *conditions) {
    for (size_t i = 0; i < json_length(conditions); i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        if (strcmp(json_member_text(condition, "type"), "Ready") == 0) {
            return condition;
        }
    }
    return NULL;
}

/* The object's Ready condition becomes this; the time is that of the last change of status. */
static struct json_object *set_ready(void *context, struct json_object *current,
                                     struct outcome *failure) {
    const struct wish *wish = context;
    const char *status;
    const char *reason;
    struct text message = {0};
    struct json_object *wanted = json_copy(current);
    struct json_object *all = json_ensure(wanted, "status");
    struct json_object *conditions = json_member(all, "conditions");
    struct json_object *ready = find_ready(conditions);
    (void)failure;
    if (conditions == NULL) {
        conditions = json_object_new_array();
        json_set(all, "conditions", conditions);
    }
    if (ready == NULL) {
        ready = json_object_new_object();
        json_object_array_add(conditions, ready);
    }
    describe_state(wish, &status, &reason, &message);
    if (strcmp(json_member_text(ready, "status"), status) != 0) {
        char moment[MOMENT_TEXT];
        moment_format(time(NULL), moment);
        json_set_text(ready, "lastTransitionTime", moment);
    }
    json_set_text(ready, "message", message.data);
    json_set_text(ready, "reason", reason);
    json_set_text(ready, "status", status);
    json_set_text(ready, "type", "Ready");
    text_clear(&message);
    return wanted;
}

/* Nothing holds it any more: without the finalizer it goes. */
static struct json_object *drop_finalizer(void *context, struct json_object *current,
                                          struct outcome *failure) {
    struct json_object *wanted = json_copy(current);
    struct json_object *metadata = json_member(wanted, "metadata");
    struct json_object *finalizers = json_member(metadata, "finalizers");
    (void)context;
    (void)failure;
    for (size_t i = json_length(finalizers); i > 0; i--) {
        const char *name = json_object_get_string(json_object_array_get_idx(finalizers, i - 1));
        if (strcmp(name, SERVICE_CIDR_FINALIZER) == 0) {
            json_object_array_del_idx(finalizers, i - 1, 1);
        }
    }
    return wanted;
}

/* Do others keep it too? */
static bool has_other_finalizers(const struct wish *wish) {
    struct json_object *finalizers = json_at(wish->object, "metadata", "finalizers", NULL);
    for (size_t i = 0; i < json_length(finalizers); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(finalizers, i));
        if (strcmp(name, SERVICE_CIDR_FINALIZER) != 0) {
            return true;
        }
    }
    return false;
}

static void change(struct pass *pass, struct wish *wish, object_edit edit, bool status_only) {
    struct object_place place = place_of(pass->server, name_of(wish));
    struct outcome outcome = {0};
    object_update(&place, edit, wish, status_only, &outcome);
    if (outcome.code != 200 && outcome.code != 404) {
        log_failure(name_of(wish), &outcome);
        pass->failed = true;
    }
    outcome_clear(&outcome);
}

/* Returns whether the object went away. */
static bool tell(struct pass *pass, struct wish *wish) {
    bool over = wish->deleting && !wish->blocked && wish->held == 0;
    bool stays = !over || has_other_finalizers(wish);
    if (stays) {
        change(pass, wish, set_ready, true);
    }
    if (over) {
        change(pass, wish, drop_finalizer, false);
    }
    return !stays;
}

/* --- a pass ----------------------------------------------------------------------------------- */

static uint64_t held_in_draining(struct server *server) {
    uint64_t held = 0;
    for (int family = 4; family <= 6; family += 2) {
        ipalloc_pool *pool = cluster_pool(server, family);
        ipalloc_pool_range range = {.size = sizeof range};
        for (size_t i = 0;
             pool != NULL && ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
            held += range.draining ? range.stats.total.used.low : 0;
        }
    }
    return held;
}

/* Returns whether a further pass has something to do at once. */
static bool run_pass(struct pass *pass) {
    struct server *server = pass->server;
    bool again = false;
    if (!read_wishes(pass)) {
        pass->failed = true;
        return false;
    }
    if (!has_default(pass)) {
        pass->failed = !make_default(server);
        return !pass->failed;
    }
    gather_serving(pass);
    settle_family(pass, 4);
    settle_family(pass, 6);
    publish_pools(pass);
    if (is_any_deleting(pass)) {
        find_holders(pass);
    }
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        again = tell(pass, wish) || again;
    }
    return again;
}

static void free_pass(struct pass *pass) {
    forget_wishes(pass);
    service_cidr_list_free(&pass->serving[0]);
    service_cidr_list_free(&pass->serving[1]);
}

void service_cidrs_settle(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    bool again = true;
    pthread_mutex_lock(&state->settling);
    for (int i = 0; again && i < ATTEMPTS_MAX; i++) {
        struct pass pass = {.server = server};
        again = run_pass(&pass);
        uint64_t held = held_in_draining(server);
        pthread_mutex_lock(&state->lock);
        state->failed = pass.failed || again;
        state->held = held;
        state->settled = monotonic_seconds();
        pthread_mutex_unlock(&state->lock);
        free_pass(&pass);
    }
    pthread_mutex_unlock(&state->settling);
}

void service_cidrs_released(struct server *server) {
    struct cidr_state *state = &server->cidrs;
    pthread_mutex_lock(&state->lock);
    uint64_t held_then = state->held;
    bool failed = state->failed;
    bool rested = monotonic_seconds() > state->settled;
    pthread_mutex_unlock(&state->lock);
    if (held_then == 0 && !failed) {
        return; /* nothing drains */
    }
    uint64_t held = held_in_draining(server);
    bool changed = held != held_then && (held < HELD_MANY || rested);
    if (changed || (failed && rested)) {
        service_cidrs_settle(server);
    }
}

/* --- the start -------------------------------------------------------------------------------- */

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
                      "ranges as ServiceCIDRs");
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
    struct object_place place = place_of(server, SERVICE_CIDR_DEFAULT);
    struct outcome outcome = {0};
    struct json_object *given = flags_as_list(server->options);
    bool fine = true;
    object_get(&place, &outcome);
    struct json_object *stored = json_at(outcome.value, "spec", "cidrs", NULL);
    if (outcome.code == 200 && is_extended(given, stored)) {
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
