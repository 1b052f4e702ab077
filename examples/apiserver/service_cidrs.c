/*
 * service_cidrs.c: the kind ServiceCIDR: its descriptor and rules. What follows from a change is in
 * service_cidr_settle.c.
 *
 * Rules and texts are kube-apiserver's; better than there: a CIDR of any length is served, and one
 * that shares addresses with the load-balancer ranges is refused.
 */
#include "service_cidrs.h"

#include "balancers.h"
#include "cluster.h"
#include "object_store.h"
#include "record.h"
#include "service_rules.h"
#include "table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct json_object *cidrs_of(struct json_object *object) {
    return json_at(object, "spec", "cidrs", NULL);
}

static const char *cidr_text(struct json_object *cidrs, size_t index) {
    return json_object_get_string(json_object_array_get_idx(cidrs, index));
}

size_t service_cidr_read(struct json_object *object, ipalloc_cidr out[SERVICE_CIDR_CIDRS_MAX]) {
    struct json_object *cidrs = cidrs_of(object);
    size_t count = 0;
    for (size_t i = 0; i < json_length(cidrs) && count < SERVICE_CIDR_CIDRS_MAX; i++) {
        const char *text = cidr_text(cidrs, i);
        if (ipalloc_cidr_parse(text, strlen(text), &out[count], NULL) == IPALLOC_OK) {
            count++;
        }
    }
    return count;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The rule that the text breaks, as KEP-4858 words it; NULL: none. */
static const char *cidr_rule(const char *text, char canonical_rule[96]) {
    ipalloc_cidr cidr;
    char canonical[IPALLOC_CIDR_TEXT];
    size_t length = strlen(text);
    if (ipalloc_cidr_parse(text, length, &cidr, NULL) == IPALLOC_OK) {
        ipalloc_cidr_format(&cidr, canonical);
        snprintf(canonical_rule, 96, "must be in canonical form (\"%s\")", canonical);
        return strcmp(canonical, text) != 0 ? canonical_rule : NULL;
    }
    if (ipalloc_cidr_parse_masked(text, length, &cidr, NULL) == IPALLOC_OK) {
        return "must not have bits set beyond the prefix length";
    }
    if (ipalloc_cidr_parse_legacy(text, length, &cidr, NULL, NULL) == IPALLOC_OK) {
        return "must not have leading 0s in IP or prefix length";
    }
    if (strncasecmp(text, "::ffff:", strlen("::ffff:")) == 0 && strchr(text, '.') != NULL) {
        return "must not have an IPv4-mapped IPv6 address";
    }
    return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
}

static void refuse_at(ipalloc_service_problems *problems, size_t index, const char *text,
                      const char *rule) {
    char field[48];
    snprintf(field, sizeof field, "spec.cidrs[%zu]", index);
    refuse_value(problems, field, text, rule);
}

/* About all of them at once: kube-apiserver shows the spec as it is inside. */
static void refuse_all(ipalloc_service_problems *problems, struct json_object *cidrs,
                       const char *rule) {
    struct json_object *spec = json_object_new_object();
    json_set(spec, "CIDRs", json_object_get(cidrs));
    problem_add(problems, "FieldValueInvalid", "spec.cidrs", "Invalid value: %.300s: %s",
                json_line(spec, NULL), rule);
    json_object_put(spec);
}

static bool are_of_two_families(struct json_object *cidrs) {
    int families[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        ipalloc_cidr cidr;
        const char *text = cidr_text(cidrs, i);
        if (ipalloc_cidr_parse_legacy(text, strlen(text), &cidr, NULL, NULL) != IPALLOC_OK) {
            return false;
        }
        families[i] = cidr.base.family;
    }
    return families[0] != families[1];
}

static void validate_cidrs(struct json_object *cidrs, ipalloc_service_problems *problems) {
    size_t count = json_length(cidrs);
    if (count == 0) {
        problem_add(problems, "FieldValueRequired", "spec.cidrs",
                    "Required value: at least one CIDR required");
        return;
    }
    if (count > SERVICE_CIDR_CIDRS_MAX) {
        refuse_all(problems, cidrs, "may only hold up to 2 values");
        return;
    }
    if (count == 2 && !are_of_two_families(cidrs)) {
        refuse_all(problems, cidrs,
                   "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
                   "2001:db8::/64");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char canonical_rule[96];
        const char *text = cidr_text(cidrs, i);
        const char *rule = cidr_rule(text, canonical_rule);
        if (rule != NULL) {
            refuse_at(problems, i, text, rule);
        }
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
    check_subdomain("metadata.name", json_member_text(metadata, "name"), problems);
    metadata_validate(metadata, problems);
    validate_cidrs(cidrs_of(object), problems);
}

/* Nothing changes but that a second family may be added. */
static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    static const char rule[] = "field is immutable";
    struct json_object *before = cidrs_of(old);
    struct json_object *after = cidrs_of(object);
    size_t count = json_length(before);
    if (json_length(after) < count || (count == 2 && json_length(after) > 2)) {
        problem_add(problems, "FieldValueInvalid", "spec.cidrs", "Invalid value: %.300s: %s",
                    json_line(after, NULL), rule);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cidr_text(before, i), cidr_text(after, i)) != 0) {
            refuse_at(problems, i, cidr_text(after, i), rule);
        }
    }
}

/* The first range of the pool that shares an address with the CIDR. */
static bool find_overlap(ipalloc_pool *pool, const ipalloc_cidr *cidr, ipalloc_cidr *found) {
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; pool != NULL && ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK;
         i++) {
        if (ipalloc_cidr_overlaps(&range.cidr, cidr)) {
            *found = range.cidr;
            return true;
        }
    }
    return false;
}

static bool find_balancer_overlap(struct server *server, const ipalloc_cidr *cidr,
                                  ipalloc_cidr *found) {
    ipalloc_pool *pool = NULL;
    bool any = false;
    while (!any && ipalloc_pool_next(server->registry, &pool) == IPALLOC_OK) {
        any = balancers_is_pool(pool) && ipalloc_pool_kind_of(pool) == cidr->base.family &&
              find_overlap(pool, cidr, found);
    }
    return any;
}

static bool has_finalizer(struct json_object *finalizers) {
    for (size_t i = 0; i < json_length(finalizers); i++) {
        if (strcmp(cidr_text(finalizers, i), SERVICE_CIDR_FINALIZER) == 0) {
            return true;
        }
    }
    return false;
}

/* While it lives it has the finalizer, so that deleting it waits for its addresses. */
static void ensure_finalizer(struct json_object *object) {
    struct json_object *metadata = json_member(object, "metadata");
    struct json_object *finalizers = json_member(metadata, "finalizers");
    if (json_member(metadata, "deletionTimestamp") != NULL || has_finalizer(finalizers)) {
        return;
    }
    if (finalizers == NULL) {
        finalizers = json_object_new_array();
        json_set(metadata, "finalizers", finalizers);
    }
    json_object_array_add(finalizers, json_object_new_string(SERVICE_CIDR_FINALIZER));
}

static int on_change(ipalloc_txn *txn, const struct object_change *change, ipalloc_error *error) {
    ipalloc_cidr cidrs[SERVICE_CIDR_CIDRS_MAX];
    size_t count = service_cidr_read(change->object, cidrs);
    (void)txn;
    ensure_finalizer(change->object);
    for (size_t i = 0; i < count; i++) {
        ipalloc_cidr taken;
        if (find_balancer_overlap(change->server, &cidrs[i], &taken)) {
            char text[IPALLOC_CIDR_TEXT];
            char other[IPALLOC_CIDR_TEXT];
            char rule[160];
            ipalloc_cidr_format(&cidrs[i], text);
            ipalloc_cidr_format(&taken, other);
            snprintf(rule, sizeof rule,
                     "must not share addresses with %s, which --load-balancer-ip-range gives out",
                     other);
            refuse_at(change->problems, i, text, rule);
        }
    }
    if (change->problems->count > 0) {
        error->status = IPALLOC_E_INVALID;
        return IPALLOC_E_INVALID;
    }
    return IPALLOC_OK;
}

static const char *uid_of(struct json_object *object) {
    return json_member_text(json_member(object, "metadata"), "uid");
}

/* The client is told what it came to, not what it was before. What a create or an update left may
 * be gone already, or be another of its name; it is told of what it left. */
static void committed(const struct object_place *place, bool deletes, struct outcome *outcome) {
    int code = outcome->code;
    struct outcome now = {0};
    char uid[UID_TEXT];
    service_cidrs_settle(place->server);
    if (strcmp(json_member_text(outcome->value, "kind"), "ServiceCIDR") != 0) {
        return; /* deleted */
    }
    snprintf(uid, sizeof uid, "%s", uid_of(outcome->value));
    object_get(place, &now);
    bool there = now.code == 200 && strcmp(uid_of(now.value), uid) == 0;
    if (there) {
        outcome_set(outcome, code, json_object_get(now.value));
    } else if (deletes && (now.code == 200 || now.code == 404)) {
        outcome_deleted(outcome, place->resource, place->name, uid);
    }
    outcome_clear(&now);
}

/* --- the descriptor --------------------------------------------------------------------------- */

static void cidrs_cell(struct text *out, struct json_object *object) {
    struct json_object *cidrs = cidrs_of(object);
    for (size_t i = 0; i < json_length(cidrs); i++) {
        text_format(out, "%s%s", i > 0 ? "," : "", cidr_text(cidrs, i));
    }
}

static const struct column columns[] = {
    {"Name", "string", "name", "The ServiceCIDR's name.", 0, cell_name},
    {"CIDRs", "string", "", "Where ClusterIPs come from; at most one of each family.", 0,
     cidrs_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field spec_fields[] = {
    {"cidrs", FIELD_TEXT_LIST, 1, false, NULL},
};
static const struct schema schema_spec = {"ServiceCIDRSpec", spec_fields, SCHEMA_COUNT(spec_fields),
                                          false};

static const struct field status_fields[] = {
    {"conditions", FIELD_OBJECT_LIST, 1, false, &schema_condition},
};
static const struct schema schema_status = {"ServiceCIDRStatus", status_fields,
                                            SCHEMA_COUNT(status_fields), false};

static const struct field service_cidr_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL},
    {"kind", FIELD_TEXT, 0, false, NULL},
    {"metadata", FIELD_OBJECT, 1, false, &schema_metadata},
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
static const struct schema schema_service_cidr = {"ServiceCIDR", service_cidr_fields,
                                                  SCHEMA_COUNT(service_cidr_fields), false};

const struct resource resource_service_cidrs = {
    .group = "networking.k8s.io",
    .version = "v1",
    .kind = "ServiceCIDR",
    .plural = "servicecidrs",
    .singular = "servicecidr",
    .has_status = true,
    .verbs = VERB_ALL,
    .record_prefix = "servicecidrs/",
    .schema = &schema_service_cidr,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .validate = validate,
    .validate_update = validate_update,
    .create = on_change,
    .update = on_change,
    .committed = committed,
};
