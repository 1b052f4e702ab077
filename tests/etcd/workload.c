/* workload.c: the pools and names that clients, judge and final look share. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const POOL_NAMES[WORKLOAD_POOLS] = {"small", "cool", "ports"};

static const char *const CIDRS[WORKLOAD_POOLS] = {"10.96.0.0/27", "10.97.0.0/28", NULL};
enum { PORT_FIRST = 30000, PORT_LAST = 30023 };

static ipalloc_cidr cidr_of(int pool) {
    ipalloc_cidr out;
    if (ipalloc_cidr_parse(CIDRS[pool], strlen(CIDRS[pool]), &out, NULL) != IPALLOC_OK)
        abort();
    return out;
}

int workload_define(ipalloc_registry *registry, ipalloc_pool *pools[WORKLOAD_POOLS],
                    ipalloc_error *error) {
    for (int i = 0; i < WORKLOAD_POOLS; i++) {
        ipalloc_pool_definition d = {.size = sizeof d, .kind = IPALLOC_POOL_IPV4};
        ipalloc_cidr range = {0};
        if (i == POOL_PORTS) {
            d.kind = IPALLOC_POOL_PORT;
            d.port_first = PORT_FIRST;
            d.port_last = PORT_LAST;
        } else {
            range = cidr_of(i);
            d.ranges = &range;
            d.range_count = 1;
            d.cool_down_ms = i == POOL_COOL ? COOL_DOWN_MS : 0;
        }
        int status = ipalloc_pool_define(registry, POOL_NAMES[i], &d, &pools[i], error);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

uint32_t workload_pool_first(int pool) {
    return pool == POOL_PORTS ? PORT_FIRST : 1;
}

uint32_t workload_pool_count(int pool) {
    return pool == POOL_PORTS ? PORT_LAST - PORT_FIRST + 1
                              : (UINT32_C(1) << (32 - cidr_of(pool).prefix_length)) - 2;
}

/* Half as much again, and two milliseconds (registry.h); a client hears a moment later. */
uint64_t workload_pool_rest_ns(int pool) {
    return pool == POOL_COOL ? (COOL_DOWN_MS * 3 / 2 + 2 + 50) * UINT64_C(1000000) : 0;
}

int workload_pool_of(unsigned slot) {
    static const int POOLS[SLOTS] = {POOL_SMALL, POOL_SMALL, POOL_COOL, POOL_PORTS};
    return POOLS[slot];
}

bool workload_is_record_owner(uint32_t owner) {
    return owner < SHARED_FIRST && owner % OWNERS_PER_CLIENT >= PLAIN_OWNERS;
}

void workload_owner_name(uint32_t owner, char out[32]) {
    snprintf(out, 32, "Service/nemesis/%u", owner);
}

static bool number_behind(const char *text, const char *before, unsigned *out) {
    char *end = NULL;
    size_t length = strlen(before);
    if (strncmp(text, before, length) != 0 || text[length] == '\0')
        return false;
    *out = (unsigned)strtoul(text + length, &end, 10);
    return *end == '\0';
}

bool workload_owner_parse(const char *name, uint32_t *out) {
    return number_behind(name, "Service/nemesis/", out);
}

void workload_slot_name(unsigned slot, char out[16]) {
    snprintf(out, 16, "slot-%u", slot);
}

bool workload_slot_parse(const char *name, uint16_t *out) {
    unsigned slot;
    if (!number_behind(name, "slot-", &slot) || slot >= SLOTS)
        return false;
    *out = (uint16_t)slot;
    return true;
}

ipalloc_addr workload_address(int pool, uint32_t number) {
    ipalloc_addr out = cidr_of(pool).base;
    out.bytes[3] = (uint8_t)(out.bytes[3] + number);
    return out;
}

uint32_t workload_number(int pool, const ipalloc_addr *address, uint16_t port) {
    return pool == POOL_PORTS ? port : (uint32_t)(address->bytes[3] - cidr_of(pool).base.bytes[3]);
}

bool workload_sight(const ipalloc_lease *lease, step *out) {
    uint16_t slot = 0;
    uint32_t owner = 0;
    if (lease->slot_count != 1 || !workload_slot_parse(lease->slots[0], &slot) ||
        !workload_owner_parse(lease->owner, &owner))
        return false;
    int pool = workload_pool_of(slot);
    *out = (step){.kind = STEP_SEE,
                  .pool = (uint8_t)pool,
                  .slot = slot,
                  .number = workload_number(pool, &lease->address, lease->port),
                  .owner = owner,
                  .generation = lease->generation};
    return strcmp(lease->pool, POOL_NAMES[pool]) == 0;
}

void workload_record_key(uint32_t owner, char out[48]) {
    snprintf(out, 48, "holds/%u", owner);
}

size_t workload_record_write(const holding held[SLOTS], char *out, size_t capacity) {
    size_t used = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        if (held[i].held)
            used += (size_t)snprintf(out + used, capacity - used, "%u %u %llu\n", i, held[i].number,
                                     (unsigned long long)held[i].generation);
    return used;
}

bool workload_record_read(const char *text, size_t size, holding held[SLOTS]) {
    char copy[512];
    memset(held, 0, SLOTS * sizeof *held);
    if (size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    for (const char *at = copy; *at != '\0'; at = strchr(at, '\n') + 1) {
        unsigned slot, number;
        unsigned long long generation;
        if (sscanf(at, "%u %u %llu\n", &slot, &number, &generation) != 3 || slot >= SLOTS ||
            held[slot].held || strchr(at, '\n') == NULL)
            return false;
        held[slot] = (holding){true, number, generation};
    }
    return true;
}

void workload_journal_path(const char *directory, unsigned client, unsigned life, char *out,
                           size_t capacity) {
    snprintf(out, capacity, "%s/client-%u-life-%u", directory, client, life);
}
