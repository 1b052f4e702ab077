/*
 * service_cidr_status.c: what a ServiceCIDR says about itself: whether it is Ready, and if it is
 * being deleted, what still holds it; see service_cidrs.h.
 */
#include "cluster.h"
#include "condition.h"
#include "record.h"
#include "service_cidr_pass.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HOLDERS_SHOWN 3 /* named in a condition; the others are counted */
#define NOT_YET_RELEASED                                                                       \
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a " \
    "new ServiceCIDR"

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

void service_cidr_find_holders(struct pass *pass) {
    for (int family = 4; family <= 6; family += 2) {
        ipalloc_pool *pool = cluster_pool(pass->server, family);
        ipalloc_error error = {0};
        if (pool != NULL &&
            ipalloc_list(pass->server->registry, pool, see_lease, pass, &error) != IPALLOC_OK) {
            service_cidr_block_family(pass, family, &error);
        }
    }
}

/* --- what the objects are told ---------------------------------------------------------------- */

static void describe_state(const struct wish *wish, const char **status, const char **reason,
                           struct text *message) {
    bool is_default = strcmp(wish_name(wish), SERVICE_CIDR_DEFAULT) == 0;
    *status = "False";
    if (wish->blocked) {
        *reason = wish->deleting ? "Terminating" : "NotUsable";
        text_add(message, wish->why.data);
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

/* The object's Ready condition becomes this; the time is that of the last change of status. */
static struct json_object *with_ready(const struct wish *wish, struct json_object *current) {
    const char *status;
    const char *reason;
    struct text message = {0};
    struct json_object *wanted = json_copy(current);
    struct json_object *all = json_ensure(wanted, "status");
    struct json_object *conditions = json_member(all, "conditions");
    struct json_object *ready = condition_find(wanted, "Ready");
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

/* What was found out is about the object as it was read. Who has written since, another server or
 * a client, knew more: it stays as it is, and the next pass judges that. */
static bool is_overtaken(struct wish *wish, struct json_object *current) {
    struct json_object *then = json_member(wish->object, "metadata");
    struct json_object *now = json_member(current, "metadata");
    wish->overtaken = strcmp(json_member_text(then, "resourceVersion"),
                             json_member_text(now, "resourceVersion")) != 0;
    return wish->overtaken;
}

static struct json_object *set_ready(void *context, struct json_object *current,
                                     struct outcome *failure) {
    struct wish *wish = context;
    (void)failure;
    return is_overtaken(wish, current) ? json_copy(current) : with_ready(wish, current);
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

static void log_failure(const char *name, const struct outcome *outcome) {
    fprintf(stderr, "ipalloc-apiserver: ServiceCIDR %s: %s\n", name,
            json_member_text(outcome->value, "message"));
}

static void change(struct pass *pass, struct wish *wish, object_edit edit, bool status_only) {
    struct object_place place = service_cidr_place(pass->server, wish_name(wish));
    struct outcome outcome = {0};
    object_update(&place, edit, wish, status_only, &outcome);
    if (outcome.code != 200 && outcome.code != 404) {
        log_failure(wish_name(wish), &outcome);
        pass->failed = true;
    }
    pass->overtaken = pass->overtaken || wish->overtaken;
    outcome_clear(&outcome);
}

/* Does its condition say so already? */
static bool is_said(struct wish *wish) {
    struct json_object *wanted = with_ready(wish, wish->object);
    bool said = json_object_equal(wanted, wish->object) != 0;
    json_object_put(wanted);
    return said;
}

/* Returns whether the object went away. */
static bool tell(struct pass *pass, struct wish *wish) {
    bool over = wish->deleting && !wish->blocked && wish->held == 0;
    bool stays = !over || has_other_finalizers(wish);
    if (stays && !is_said(wish)) {
        change(pass, wish, set_ready, true);
    }
    if (over) {
        change(pass, wish, drop_finalizer, false);
    }
    return !stays;
}

bool service_cidr_tell_all(struct pass *pass) {
    bool gone = false;
    for (struct wish *wish = pass->wishes; wish != NULL; wish = wish->next) {
        gone = tell(pass, wish) || gone;
    }
    return gone;
}
