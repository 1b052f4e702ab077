/*
 * export.c: ipallocctl export: everything as one JSON document, or ClusterIPs and node ports as
 * files of the bytes that a Kubernetes cluster keeps in etcd.
 *
 * Kubernetes' files are made in memory first: what it cannot represent is refused before a file is
 * written.
 */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define ENCODED_MAX 4096 /* an IPAddress; its texts are bounded */

struct file {
    char *name;
    struct text bytes;
};

/* A range that is exported, and its bitmap. */
struct range {
    char *pool;
    ipalloc_range_allocation allocation;
    char *words;
    uint8_t *bitmap;
    size_t bitmap_size;
};

struct exporting {
    char *directory;
    char *pool; /* NULL: those of a cluster */
    struct range *ranges;
    size_t range_count;
    struct file *files;
    size_t file_count;
    size_t not_of_services;
    struct text problem; /* empty: all went well */
};

/* --- files -------------------------------------------------------------------------------------
 */

static struct file *add_file(struct exporting *exporting, const char *kind, const char *words) {
    struct text name = {0};
    exporting->files =
        memory_resize(exporting->files, (exporting->file_count + 1) * sizeof *exporting->files);
    struct file *file = &exporting->files[exporting->file_count++];
    text_format(&name, "%s-%s.bin", kind, words);
    for (char *at = name.data; (at = strchr(at, '/')) != NULL;) {
        *at = '_';
    }
    *file = (struct file){.name = name.data};
    return file;
}

static bool write_files(struct exporting *exporting, struct text *problem) {
    bool fine = mkdir(exporting->directory, 0777) == 0;
    if (!fine) {
        show_add_clean(problem, exporting->directory);
        text_format(problem, ": %s", strerror(errno));
    }
    for (size_t i = 0; fine && i < exporting->file_count; i++) {
        struct text path = {0};
        struct file *file = &exporting->files[i];
        text_format(&path, "%s/%s", exporting->directory, file->name);
        fine = file_write(path.data, file->bytes.data, file->bytes.size, problem);
        text_clear(&path);
    }
    return fine;
}

/* --- ranges ------------------------------------------------------------------------------------
 */

static bool is_wanted(const struct exporting *exporting, const char *pool) {
    return exporting->pool != NULL
               ? strcmp(exporting->pool, pool) == 0
               : strcmp(pool, "services-v4") == 0 || strcmp(pool, "services-v6") == 0 ||
                     strcmp(pool, "node-ports") == 0;
}

static void fail(struct exporting *exporting, const char *what, const char *why) {
    if (exporting->problem.size == 0) {
        show_add_clean(&exporting->problem, what);
        text_add(&exporting->problem, ": ");
        show_add_clean(&exporting->problem, why);
    }
}

static void add_range(struct exporting *exporting, const char *pool, const char *words,
                      size_t length) {
    ipalloc_error error = {0};
    exporting->ranges =
        memory_resize(exporting->ranges, (exporting->range_count + 1) * sizeof *exporting->ranges);
    struct range *range = &exporting->ranges[exporting->range_count++];
    struct text copy = {0};
    text_append(&copy, words, length);
    *range = (struct range){
        .pool = memory_copy(pool), .allocation.size = sizeof range->allocation, .words = copy.data};
    ipalloc_bytes text = {range->words, length};
    if (ipalloc_range_allocation_make(text, (ipalloc_bytes){"", 0}, &range->allocation, &error) !=
        IPALLOC_OK) {
        fail(exporting, range->words, error.message);
        return;
    }
    range->bitmap_size = ipalloc_range_allocation_bitmap_size(&range->allocation);
    range->bitmap = memory_allocate(range->bitmap_size);
}

/* "range=10.96.0.0/16 active" or "ports=30000-32767". */
static void take_pool(struct exporting *exporting, struct json_object *item) {
    struct json_object *lines = json_member(item, "definition");
    const char *pool = json_member_text(item, "name");
    for (size_t i = 0; is_wanted(exporting, pool) && i < json_length(lines); i++) {
        const char *line = json_object_get_string(json_object_array_get_idx(lines, i));
        if (line != NULL &&
            (text_starts_with(line, "range=") || text_starts_with(line, "ports="))) {
            const char *words = line + strlen("range=");
            add_range(exporting, pool, words, strcspn(words, " "));
        }
    }
}

/* --- leases ------------------------------------------------------------------------------------
 */

/* Set the place's bit. False if the range has no such place. */
static bool set_bit(struct range *range, struct json_object *item) {
    uint64_t number = 0;
    ipalloc_addr address;
    const char *words = json_member_text(item, "address");
    int64_t port = json_member_number(item, "port", 0);
    int status = IPALLOC_E_NOT_IN_RANGE;
    if (range->allocation.is_ports) {
        status = ipalloc_range_allocation_item_of_port(&range->allocation, (uint16_t)port, &number);
    } else if (ipalloc_addr_parse(words, strlen(words), &address, NULL) == IPALLOC_OK) {
        status = ipalloc_range_allocation_item(&range->allocation, &address, &number);
    }
    return status == IPALLOC_OK &&
           ipalloc_range_allocation_bitmap_set(&range->allocation, range->bitmap,
                                               range->bitmap_size, number, true) == IPALLOC_OK;
}

/* The Service of Service/NAMESPACE/NAME/UID, or of Import/Service/NAMESPACE/NAME. */
static bool split_owner(const char *owner, ipalloc_ip_address *object) {
    bool imported = text_starts_with(owner, "Import/Service/");
    if (!imported && !text_starts_with(owner, "Service/")) {
        return false;
    }
    const char *namespace = owner + strlen(imported ? "Import/Service/" : "Service/");
    size_t namespace_length = strcspn(namespace, "/");
    const char *name = namespace + namespace_length + (namespace[namespace_length] == '/');
    size_t name_length = strcspn(name, "/");
    if (namespace_length >= sizeof object->parent_namespace ||
        name_length >= sizeof object->parent_name) {
        return false;
    }
    memcpy(object->parent_namespace, namespace, namespace_length);
    memcpy(object->parent_name, name, name_length);
    memcpy(object->parent_resource, "services", sizeof "services");
    object->of_service = object->managed = true;
    return true;
}

/* As a server that makes the object now would: RFC 9562, version 4. False without random bytes. */
static bool stamp(ipalloc_ip_address *object) {
    uint8_t bytes[16];
    char *at = object->uid;
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return false;
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += snprintf(at, 4, dash ? "-%02x" : "%02x", bytes[i]);
    }
    object->creation_time_s = time(NULL);
    return true;
}

static void add_address(struct exporting *exporting, struct json_object *item) {
    uint8_t bytes[ENCODED_MAX];
    size_t size = 0;
    ipalloc_error error = {0};
    ipalloc_ip_address object = {.size = sizeof object};
    const char *words = json_member_text(item, "address");
    if (words[0] == '\0') {
        return; /* a port */
    }
    if (!split_owner(json_member_text(item, "owner"), &object)) {
        exporting->not_of_services++;
        return;
    }
    if (!stamp(&object)) {
        fail(exporting, words, "there are no random bytes for its uid");
    } else if (ipalloc_addr_parse(words, strlen(words), &object.address, &error) != IPALLOC_OK ||
               ipalloc_ip_address_encode(&object, bytes, sizeof bytes, &size, &error) !=
                   IPALLOC_OK) {
        fail(exporting, words, error.message);
    } else {
        text_append(&add_file(exporting, "ipaddress", words)->bytes, bytes, size);
    }
}

static void take_lease(struct exporting *exporting, struct json_object *item) {
    const char *pool = json_member_text(item, "pool");
    bool set = false;
    if (!is_wanted(exporting, pool)) {
        return;
    }
    for (size_t i = 0; exporting->problem.size == 0 && !set && i < exporting->range_count; i++) {
        set = strcmp(exporting->ranges[i].pool, pool) == 0 && set_bit(&exporting->ranges[i], item);
    }
    if (!set) {
        struct text place = {0};
        fail(
            exporting,
            show_text(item, json_member(item, "port") != NULL ? "port" : "address", &place),
            "it is held, and Kubernetes' RangeAllocation has no place for it: the ends of a range, "
            "and what is beyond the first 65,536 addresses of an IPv6 range");
        text_clear(&place);
    }
    add_address(exporting, item);
}

static void show_export(const struct invocation *invocation, struct table *table,
                        struct json_object *item) {
    const char *type = json_member_text(item, "type");
    (void)table;
    if (strcmp(type, "pool") == 0) {
        take_pool(invocation->state, item);
    } else if (strcmp(type, "lease") == 0) {
        take_lease(invocation->state, item);
    }
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void encode_range(struct exporting *exporting, struct range *range) {
    ipalloc_error error = {0};
    size_t size = 0;
    ipalloc_range_allocation *allocation = &range->allocation;
    int status =
        ipalloc_range_allocation_bitmap_use(allocation, range->bitmap, range->bitmap_size, &error);
    if (status == IPALLOC_OK) {
        status = ipalloc_range_allocation_encode(allocation, NULL, 0, &size, &error);
    }
    uint8_t *bytes = memory_allocate(size);
    if (status == IPALLOC_OK) {
        status = ipalloc_range_allocation_encode(allocation, bytes, size, &size, &error);
    }
    if (status == IPALLOC_OK) {
        struct file *file = add_file(exporting, "rangeallocation", range->words);
        text_append(&file->bytes, bytes, size);
    } else {
        fail(exporting, range->words, error.message);
    }
    free(bytes);
}

static void free_exporting(struct exporting *exporting) {
    for (size_t i = 0; i < exporting->range_count; i++) {
        free(exporting->ranges[i].pool);
        free(exporting->ranges[i].words);
        free(exporting->ranges[i].bitmap);
    }
    for (size_t i = 0; i < exporting->file_count; i++) {
        free(exporting->files[i].name);
        text_clear(&exporting->files[i].bytes);
    }
    free(exporting->ranges);
    free(exporting->files);
    free(exporting->directory);
    free(exporting->pool);
    text_clear(&exporting->problem);
    free(exporting);
}

static bool finish(const struct invocation *invocation, struct json_object *members,
                   struct text *problem) {
    struct exporting *exporting = invocation->state;
    (void)members;
    if (exporting == NULL) {
        return true;
    }
    for (size_t i = 0; exporting->problem.size == 0 && i < exporting->range_count; i++) {
        encode_range(exporting, &exporting->ranges[i]);
    }
    if (exporting->problem.size == 0 && exporting->range_count == 0) {
        fail(exporting, exporting->pool != NULL ? exporting->pool : "services-v4",
             "there is no such pool to be exported");
    }
    text_append(problem, exporting->problem.data != NULL ? exporting->problem.data : "",
                exporting->problem.size);
    bool fine = problem->size == 0 && write_files(exporting, problem);
    if (fine) {
        printf("%zu files in %s\n", exporting->file_count, exporting->directory);
    }
    if (fine && exporting->not_of_services > 0) {
        printf("%zu addresses are held by no Service: they are in the bitmap and have no "
               "IPAddress\n",
               exporting->not_of_services);
    }
    free_exporting(exporting);
    return fine;
}

static int choose_form(struct invocation *invocation, struct text *problem) {
    struct json_object *arguments = invocation->arguments;
    struct json_object *directory = json_member(arguments, "kubernetes");
    struct json_object *pool = json_member(arguments, "pool");
    if (directory == NULL && pool != NULL) {
        text_add(problem, "export: --pool goes with --kubernetes");
        return EXIT_USAGE;
    }
    if (directory == NULL) {
        invocation->json = true;
        return EXIT_DONE;
    }
    if (invocation->json) {
        text_add(problem, "export: --kubernetes writes files, not JSON");
        return EXIT_USAGE;
    }
    struct exporting *exporting = memory_allocate(sizeof *exporting);
    exporting->directory = memory_copy(json_object_get_string(directory));
    exporting->pool = pool != NULL ? memory_copy(json_object_get_string(pool)) : NULL;
    invocation->state = exporting;
    json_remove(arguments, "kubernetes");
    json_remove(arguments, "pool");
    return EXIT_DONE;
}

const struct command command_export = {
    .name = "export",
    .operation = "export",
    .summary = "everything as JSON, or as a Kubernetes cluster stores it",
    .usage = "[--kubernetes DIRECTORY [--pool POOL]] (--store=STORE | --server=URL)",
    .help =
        "Pools, leases and records as one JSON document on standard output, which import makes\n"
        "the same again; generations and times are left out (backup makes an exact copy).\n"
        "With --kubernetes, a new directory gets a file for each range of the pools services-v4,\n"
        "services-v6 and node-ports (or of --pool), with the RangeAllocation's bytes, and one for\n"
        "each address of a Service, with the IPAddress's. What Kubernetes cannot represent is\n"
        "refused, and nothing is written.\n"
        "\n"
        "  ipallocctl export --store=sqlite:services.db >services.json\n"
        "  ipallocctl export --kubernetes dump --store=sqlite:services.db\n",
    .options = {{.flag = "--kubernetes", .argument = "kubernetes"},
                {.flag = "--pool", .argument = "pool"}},
    .prepare = choose_form,
    .show_item = show_export,
    .show_end = finish,
};
