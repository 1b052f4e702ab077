/* copy_count.c: what a store holds, by kind; see copy.h. */
#include "copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void count_kind(struct copy_counts *counts, const char *name, size_t length) {
    size_t last = counts->kind_count;
    if (length >= COPY_KIND_TEXT) {
        name = "other";
        length = strlen(name);
    }
    if (last > 0 && strlen(counts->kinds[last - 1].name) == length &&
        memcmp(counts->kinds[last - 1].name, name, length) == 0) {
        counts->kinds[last - 1].count++; /* keys come in order */
        return;
    }
    if (last == COPY_KINDS_MAX) {
        snprintf(counts->kinds[last - 1].name, COPY_KIND_TEXT, "other");
        counts->kinds[last - 1].count++;
        return;
    }
    memcpy(counts->kinds[last].name, name, length);
    counts->kinds[last].name[length] = '\0';
    counts->kinds[last].count = 1;
    counts->kind_count++;
}

static int see(void *context, const ipalloc_entry *entry) {
    struct copy_counts *counts = context;
    const char *key = entry->key.data;
    if (entry->key.size == strlen(IPALLOC_COPY_MARK) &&
        memcmp(key, IPALLOC_COPY_MARK, entry->key.size) == 0) {
        counts->unfinished = true;
        return IPALLOC_OK;
    }
    const char *end = memchr(key, '/', entry->key.size);
    count_kind(counts, key, end != NULL ? (size_t)(end - key) : entry->key.size);
    counts->entries++;
    counts->bytes += entry->key.size + entry->value.size;
    return IPALLOC_OK;
}

int copy_count(ipalloc_store *store, struct copy_counts *counts, ipalloc_error *error) {
    *counts = (struct copy_counts){0};
    return ipalloc_store_scan(store, (ipalloc_bytes){NULL, 0}, (ipalloc_bytes){NULL, 0}, 0, see,
                              counts, NULL, error);
}

struct json_object *copy_counts_value(const struct copy_counts *counts) {
    struct json_object *value = json_object_new_object();
    for (size_t i = 0; i < counts->kind_count; i++) {
        json_set_number(value, counts->kinds[i].name, (int64_t)counts->kinds[i].count);
    }
    return value;
}

void copy_counts_print(const struct copy_counts *counts) {
    printf("%-14s %12s\n", "KIND", "RECORDS");
    for (size_t i = 0; i < counts->kind_count; i++) {
        printf("%-14s %12" PRIu64 "\n", counts->kinds[i].name, counts->kinds[i].count);
    }
    printf("%-14s %12" PRIu64 "\n", "all", counts->entries);
}
