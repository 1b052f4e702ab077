/* service_records.c: reading Services out of the store; see service_records.h. */
#include "service_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE        256 /* records held in memory at once */
#define PORT_POOL   "node-ports"
#define OWNER_START "Service/"

/* --- one Service -------------------------------------------------------------------------------
 */

struct service {
    struct admin *admin;
    struct json_object *object;
    const char *key;
    uint64_t revision;
    char owner[IPALLOC_OWNER_MAX + 1];
    service_claim_visit visit;
    void *context;
    ipalloc_error *error;
};

static int claim_port(const struct service *service, int64_t port, const char *slot) {
    struct service_claim claim = {.owner = service->owner,
                                  .record_key = service->key,
                                  .record_revision = service->revision,
                                  .place = {.is_port = true, .port = (uint16_t)port},
                                  .pool = PORT_POOL};
    if (port <= 0 || port > UINT16_MAX) {
        return IPALLOC_OK;
    }
    snprintf(claim.place.text, sizeof claim.place.text, "%" PRId64, port);
    snprintf(claim.slot, sizeof claim.slot, "%s", slot);
    return service->visit(service->context, &claim, service->error);
}

static const char *family_name(const ipalloc_addr *address) {
    return address->family == 4 ? "IPv4" : "IPv6";
}

/* Where it lies in no pool, it is said to be missing from the pool of its kind. */
static int claim_address(const struct service *service, const char *words, const char *purpose,
                         const char *pool_v4, const char *pool_v6) {
    struct service_claim claim = {
        .owner = service->owner, .record_key = service->key, .record_revision = service->revision};
    ipalloc_error ignored;
    if (admin_place_parse(words, strlen(words), &claim.place, &ignored) != IPALLOC_OK ||
        claim.place.is_port) {
        return IPALLOC_OK; /* "None", or nothing that could be held */
    }
    claim.pool = claim.place.address.family == 4 ? pool_v4 : pool_v6;
    snprintf(claim.slot, sizeof claim.slot, "%s/%s", purpose, family_name(&claim.place.address));
    return service->visit(service->context, &claim, service->error);
}

static int claim_cluster_ips(const struct service *service, struct json_object *spec) {
    struct json_object *list = json_member(spec, "clusterIPs");
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < json_length(list); i++) {
        const char *words = json_object_get_string(json_object_array_get_idx(list, i));
        status = claim_address(service, words != NULL ? words : "", "clusterIP", "services-v4",
                               "services-v6");
    }
    return status;
}

/* Of other types Kubernetes keeps the number that was given and allocates nothing. */
static bool has_node_ports(struct json_object *spec) {
    const char *type = json_member_text(spec, "type");
    return strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0;
}

static int claim_ports(const struct service *service, struct json_object *spec) {
    struct json_object *list = json_member(spec, "ports");
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < json_length(list); i++) {
        struct json_object *port = json_object_array_get_idx(list, i);
        const char *protocol = json_member_text(port, "protocol");
        char slot[IPALLOC_SLOT_MAX + 1];
        snprintf(slot, sizeof slot, "nodePort/%" PRId64 "/%.8s",
                 json_member_number(port, "port", 0), protocol[0] != '\0' ? protocol : "TCP");
        status = claim_port(service, json_member_number(port, "nodePort", 0), slot);
    }
    return status == IPALLOC_OK
               ? claim_port(service, json_member_number(spec, "healthCheckNodePort", 0),
                            "healthCheckNodePort")
               : status;
}

/* A load balancer's address is ours only where a pool of ours has it: others may set it too. */
static int claim_ingress(const struct service *service) {
    struct json_object *list = json_at(service->object, "status", "loadBalancer", "ingress", NULL);
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < json_length(list); i++) {
        const char *words = json_member_text(json_object_array_get_idx(list, i), "ip");
        struct admin_place place;
        ipalloc_pool *pool = NULL;
        ipalloc_error ignored;
        if (admin_place_parse(words, strlen(words), &place, &ignored) == IPALLOC_OK &&
            admin_find_pool(service->admin, NULL, &place, &pool, &ignored) == IPALLOC_OK) {
            status = claim_address(service, words, "loadBalancer", ipalloc_pool_name(pool),
                                   ipalloc_pool_name(pool));
        }
    }
    return status;
}

static int visit_claims(const struct service *service) {
    struct json_object *spec = json_member(service->object, "spec");
    struct service_claim itself = {
        .owner = service->owner, .record_key = service->key, .record_revision = service->revision};
    int status = service->visit(service->context, &itself, service->error);
    if (status == IPALLOC_OK && strcmp(json_member_text(spec, "type"), "ExternalName") != 0) {
        status = claim_cluster_ips(service, spec);
    }
    if (status == IPALLOC_OK && has_node_ports(spec)) {
        status = claim_ports(service, spec);
    }
    return status == IPALLOC_OK ? claim_ingress(service) : status;
}

static int refuse_record(ipalloc_error *error, const char *key, const char *why) {
    return admin_refuse(error, IPALLOC_E_CORRUPT, "the record %s is no Service: %s", key, why);
}

/* The object, and who owns its addresses. The caller puts the object. */
static int read_service(struct service *service, const char *bytes, size_t size,
                        ipalloc_error *error) {
    struct text problem = {0};
    service->object = json_parse(bytes, size, &problem);
    const char *uid = json_member_text(json_member(service->object, "metadata"), "uid");
    int status = IPALLOC_OK;
    if (service->object == NULL) {
        status = refuse_record(error, service->key, problem.data);
    } else if (uid[0] == '\0') {
        status = refuse_record(error, service->key, "it has no uid");
    } else {
        snprintf(service->owner, sizeof service->owner, OWNER_START "%s/%s",
                 service->key + strlen(SERVICE_RECORDS), uid);
    }
    text_clear(&problem);
    return status;
}

/* --- all Services ------------------------------------------------------------------------------
 */

struct stored {
    char key[IPALLOC_RECORD_KEY_MAX + 1];
    uint64_t revision;
    struct text value;
};

struct page {
    struct stored records[PAGE];
    size_t count;
};

static int keep_record(void *context, const ipalloc_entry *entry) {
    struct page *page = context;
    struct stored *stored = &page->records[page->count++];
    memcpy(stored->key, entry->key.data, entry->key.size);
    stored->key[entry->key.size] = '\0';
    stored->revision = entry->revision;
    text_append(&stored->value, entry->value.data, entry->value.size);
    return IPALLOC_OK;
}

static int visit_stored(struct admin *admin, const struct stored *stored, service_claim_visit visit,
                        void *context, ipalloc_error *error) {
    struct service service = {.admin = admin,
                              .key = stored->key,
                              .revision = stored->revision,
                              .visit = visit,
                              .context = context,
                              .error = error};
    int status = read_service(&service, stored->value.data, stored->value.size, error);
    if (status == IPALLOC_OK) {
        status = visit_claims(&service);
    }
    json_object_put(service.object);
    return status;
}

int service_claims_visit(struct admin *admin, service_claim_visit visit, void *context,
                         ipalloc_error *error) {
    struct page *page = memory_allocate(sizeof *page);
    char after[IPALLOC_RECORD_KEY_MAX + 1] = "";
    int status = IPALLOC_OK;
    do {
        page->count = 0;
        status = ipalloc_record_scan(admin->registry, SERVICE_RECORDS, after, PAGE, keep_record,
                                     page, NULL, error);
        for (size_t i = 0; i < page->count; i++) {
            if (status == IPALLOC_OK) {
                status = visit_stored(admin, &page->records[i], visit, context, error);
            }
            memcpy(after, page->records[i].key, sizeof after);
            text_clear(&page->records[i].value);
        }
    } while (status == IPALLOC_OK && page->count == PAGE);
    free(page);
    return status;
}

/* --- one owner ---------------------------------------------------------------------------------
 */

static int keep_one(void *context, const ipalloc_entry *entry) {
    struct stored *stored = context;
    stored->revision = entry->revision;
    text_append(&stored->value, entry->value.data, entry->value.size);
    return IPALLOC_OK;
}

static int refuse_if_same(void *context, const struct service_claim *claim, ipalloc_error *error) {
    const struct admin_place *place = context;
    if (claim->pool == NULL || strcmp(claim->place.text, place->text) != 0 ||
        claim->place.is_port != place->is_port) {
        return IPALLOC_OK;
    }
    return admin_refuse(error, IPALLOC_E_TAKEN,
                        "%s is still named by %s, in %s: change or delete the Service, which "
                        "releases it",
                        place->text, claim->owner, claim->slot);
}

bool service_key_of_owner(const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    if (!text_starts_with(owner, OWNER_START)) {
        return false;
    }
    const char *name = owner + strlen(OWNER_START);
    const char *slash = strchr(name, '/');
    const char *uid = slash != NULL ? strchr(slash + 1, '/') : NULL;
    if (uid == NULL || uid[1] == '\0' || strchr(uid + 1, '/') != NULL) {
        return false;
    }
    snprintf(key, IPALLOC_RECORD_KEY_MAX + 1, SERVICE_RECORDS "%.*s", (int)(uid - name), name);
    return true;
}

int service_still_lists(struct admin *admin, const char *owner, const struct admin_place *place,
                        ipalloc_error *error) {
    struct stored stored = {0};
    struct service service = {.admin = admin,
                              .key = stored.key,
                              .visit = refuse_if_same,
                              .context = (void *)(uintptr_t)place,
                              .error = error};
    if (!service_key_of_owner(owner, stored.key)) {
        return IPALLOC_OK;
    }
    int status = ipalloc_record_get(admin->registry, stored.key, keep_one, &stored, error);
    if (status == IPALLOC_OK) {
        status = read_service(&service, stored.value.data, stored.value.size, error);
    } else if (status == IPALLOC_E_NOT_FOUND) {
        return IPALLOC_OK;
    }
    if (status == IPALLOC_OK && strcmp(service.owner, owner) == 0) {
        status = place != NULL ? visit_claims(&service)
                               : admin_refuse(error, IPALLOC_E_TAKEN,
                                              "%s exists: delete the Service, which releases what "
                                              "it holds",
                                              owner);
    }
    json_object_put(service.object);
    text_clear(&stored.value);
    return status;
}
