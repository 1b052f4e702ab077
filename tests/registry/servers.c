/*
 * servers.c: see servers.h.
 */
#include "servers.h"

#include "registry/registry.h"

void servers_open(servers *s, size_t count, const char *ranges, ipalloc_pool_definition options,
                  const ipalloc_hooks *given_hooks) {
    ipalloc_registry_options with = {.size = sizeof with, .hooks = given_hooks};
    *s = (servers){.count = count};
    shared_open(&s->cluster);
    for (size_t i = 0; i < count; i++) {
        fixture *f = &s->f[i];
        f->store = shared_server_open(&s->cluster, i)->handle;
        OK(f, ipalloc_registry_open(f->store, &with, &f->registry, &f->error));
        s->pools[i] = define_pool_with(f, "services", ranges, options);
    }
    for (size_t i = 0; i < count; i++) {
        s->cluster.servers[i].lags = true;
        servers_tell_all(s, i);
    }
}

void servers_calm(servers *s) {
    for (size_t i = 0; i < s->count; i++) {
        shared_server *server = &s->cluster.servers[i];
        server->cut = server->settle_fails = server->changes_expired = false;
        server->fate_commits = server->unknown_percent = server->settle_percent = 0;
        server->before = NULL;
        server->behind = NULL;
    }
}

void servers_check(servers *s) {
    for (size_t i = 0; i < s->count; i++)
        assert_sound(&s->f[i]);
}

void servers_close(servers *s) {
    servers_calm(s);
    servers_check(s);
    for (size_t i = 0; i < s->count; i++)
        ipalloc_registry_close(s->f[i].registry);
    shared_close(&s->cluster);
}

void servers_tell(servers *s, size_t index, uint64_t up_to) {
    shared_tell(&s->cluster.servers[index], up_to);
    OK(&s->f[index], cache_apply(s->f[index].registry, &s->f[index].error));
}

uint64_t servers_head(servers *s) {
    pthread_mutex_lock(&s->cluster.mutex);
    uint64_t head = s->cluster.head;
    pthread_mutex_unlock(&s->cluster.mutex);
    return head;
}

void servers_tell_all(servers *s, size_t index) {
    servers_tell(s, index, servers_head(s));
}

uint64_t servers_known(const servers *s, size_t index) {
    return s->cluster.servers[index].known_to;
}
