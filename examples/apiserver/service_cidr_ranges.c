/* service_cidr_ranges.c: sets of CIDRs; see service_cidrs.h. Two CIDRs are nested or apart. */
#include "service_cidrs.h"

#include "text.h"

#include <stdlib.h>

void service_cidr_list_add(struct service_cidr_list *list, const ipalloc_cidr *cidr) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->cidrs = memory_resize(list->cidrs, list->capacity * sizeof *list->cidrs);
    }
    list->cidrs[list->count++] = *cidr;
}

void service_cidr_list_free(struct service_cidr_list *list) {
    free(list->cidrs);
    *list = (struct service_cidr_list){0};
}

/* Is the i-th covered by another one? Of equal ones the first stays. */
static bool is_covered(const struct service_cidr_list *list, size_t i) {
    const ipalloc_cidr *cidr = &list->cidrs[i];
    for (size_t j = 0; j < list->count; j++) {
        const ipalloc_cidr *other = &list->cidrs[j];
        bool same = other->prefix_length == cidr->prefix_length;
        if (j != i && ipalloc_cidr_covers(other, cidr) && (!same || j < i)) {
            return true;
        }
    }
    return false;
}

static int compare_cidrs(const void *a, const void *b) {
    const ipalloc_cidr *left = a;
    const ipalloc_cidr *right = b;
    return ipalloc_addr_compare(&left->base, &right->base);
}

void service_cidr_list_reduce(struct service_cidr_list *list) {
    struct service_cidr_list kept = {0};
    for (size_t i = 0; i < list->count; i++) {
        if (!is_covered(list, i)) {
            service_cidr_list_add(&kept, &list->cidrs[i]);
        }
    }
    service_cidr_list_free(list);
    *list = kept;
    if (kept.count > 0) {
        qsort(kept.cidrs, kept.count, sizeof *kept.cidrs, compare_cidrs);
    }
}

static unsigned host_bits(const ipalloc_cidr *cidr) {
    return (cidr->base.family == 4 ? 32u : 128u) - cidr->prefix_length;
}

bool service_cidr_is_usable(const ipalloc_cidr *cidr) {
    return host_bits(cidr) >= (cidr->base.family == 4 ? 2u : 1u);
}

static ipalloc_addr last_address(const ipalloc_cidr *cidr) {
    ipalloc_addr last = cidr->base;
    size_t bytes = cidr->base.family == 4 ? 4 : 16;
    for (size_t bit = cidr->prefix_length; bit < 8 * bytes; bit++) {
        last.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    }
    return last;
}

static bool serves(const ipalloc_cidr *cidr, const ipalloc_addr *address) {
    ipalloc_addr last = last_address(cidr);
    bool is_broadcast = cidr->base.family == 4 && ipalloc_addr_compare(address, &last) == 0;
    return service_cidr_is_usable(cidr) && ipalloc_cidr_contains(cidr, address) && !is_broadcast &&
           ipalloc_addr_compare(address, &cidr->base) != 0;
}

bool service_cidr_list_serves(const struct service_cidr_list *list, const ipalloc_addr *address) {
    for (size_t i = 0; i < list->count; i++) {
        if (serves(&list->cidrs[i], address)) {
            return true;
        }
    }
    return false;
}

static void add_parts(struct service_cidr_list *out, const ipalloc_cidr *range,
                      const ipalloc_cidr *taken) {
    ipalloc_cidr parts[IPALLOC_CIDR_PARTS_MAX];
    size_t count = 0;
    if (ipalloc_cidr_subtract(range, taken, parts, IPALLOC_CIDR_PARTS_MAX, &count, NULL) !=
        IPALLOC_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        service_cidr_list_add(out, &parts[i]);
    }
}

void service_cidr_list_add_rest(struct service_cidr_list *out, const ipalloc_cidr *range,
                                const struct service_cidr_list *taken) {
    struct service_cidr_list rest = {0};
    service_cidr_list_add(&rest, range);
    for (size_t i = 0; i < taken->count; i++) {
        struct service_cidr_list left = {0};
        for (size_t j = 0; j < rest.count; j++) {
            add_parts(&left, &rest.cidrs[j], &taken->cidrs[i]);
        }
        service_cidr_list_free(&rest);
        rest = left;
    }
    for (size_t i = 0; i < rest.count; i++) {
        service_cidr_list_add(out, &rest.cidrs[i]);
    }
    service_cidr_list_free(&rest);
}
