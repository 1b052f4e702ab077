/* quickstart.c: open, define a pool, allocate, reserve, release, reopen. */
#include <ipalloc/ipalloc.h>
#include <stdio.h>
#include <stdlib.h>

static ipalloc_error error;

static void need(int status) {
    if (status != IPALLOC_OK) {
        fprintf(stderr, "%s: %s\n", ipalloc_strerror(status), error.message);
        exit(1);
    }
}

static void use(ipalloc_registry *registry) {
    char text[IPALLOC_ADDR_TEXT];
    ipalloc_cidr range;
    need(ipalloc_cidr_parse("10.96.0.0/16", 12, &range, &error));
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ipalloc_pool *pool;
    need(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error));

    ipalloc_grant web = {.size = sizeof web}; /* any free address; the same one when asked again */
    need(ipalloc_allocate(registry, pool, "Service/default/web", "clusterIP", &web, &error));
    ipalloc_addr_format(&web.address, text);
    printf("web has %s%s\n", text, web.existing ? ", as before" : "");

    ipalloc_addr dns; /* this one */
    need(ipalloc_addr_parse("10.96.0.10", 10, &dns, &error));
    need(ipalloc_reserve(registry, pool, "Service/dns", "clusterIP", &dns, NULL, &error));
    if (ipalloc_release(registry, pool, "Service/default/web", &dns, 0, &error) != IPALLOC_OK)
        printf("refused: %s\n", error.message); /* only who holds it can release it */
    need(ipalloc_release(registry, pool, "Service/dns", &dns, 0, &error));
}

int main(int argc, char **argv) {
    ipalloc_store *store; /* "sqlite:services.db" keeps it for the next run */
    need(ipalloc_store_open(argc > 1 ? argv[1] : "memory:", NULL, &store, &error));
    for (int time = 0; time < 2; time++) { /* the second time everything is there already */
        ipalloc_registry *registry;
        need(ipalloc_registry_open(store, NULL, &registry, &error));
        use(registry);
        ipalloc_registry_close(registry);
    }
    ipalloc_store_close(store);
    return 0;
}
