/*
 * nginx_text.c: see nginx_text.h.
 *
 * Each request goes to a Service's virtual IP on a connection of its own: kube-proxy draws the
 * endpoint, so that one that is drained or new needs nothing of nginx. What comes from users stands
 * between quotes and was checked by routes.c.
 */
#include "nginx_text.h"

#include <string.h>
#include <unistd.h>

static void add_head(struct text *out, const struct ingress_options *options) {
    const char *directory = options->directory;
    if (geteuid() == 0) {
        text_add(out, "user nobody nogroup;\n");
    }
    text_format(out,
                "daemon on;\n"
                "worker_processes auto;\n"
                "pid \"%s/nginx.pid\";\n"
                "error_log \"%s/error.log\" warn;\n"
                "events { worker_connections 4096; }\n"
                "http {\n"
                "    access_log off;\n"
                "    server_tokens off;\n",
                directory, directory);
    static const char *const kinds[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        text_format(out, "    %s_temp_path \"%s/tmp-%s\";\n", kinds[i], directory, kinds[i]);
    }
    text_add(out, "    client_max_body_size 64m;\n"
                  "    server_names_hash_bucket_size 512;\n"
                  "    server_names_hash_max_size 65536;\n"
                  "    map $http_upgrade $connection_upgrade { default upgrade; \"\" close; }\n"
                  "    proxy_http_version 1.1;\n"
                  "    proxy_connect_timeout 3s;\n"
                  "    proxy_set_header Host $http_host;\n"
                  "    proxy_set_header Upgrade $http_upgrade;\n"
                  "    proxy_set_header Connection $connection_upgrade;\n"
                  "    proxy_set_header X-Real-IP $remote_addr;\n"
                  "    proxy_set_header X-Forwarded-For $remote_addr;\n" /* not what it says */
                  "    proxy_set_header X-Forwarded-Proto $scheme;\n"
                  "    proxy_set_header X-Forwarded-Host $http_host;\n");
}

static void add_backend(struct text *out, const char *how, const char *path, const char *backend) {
    text_format(out, "        location %s \"%s\" { ", how, path);
    if (backend[0] != '\0') {
        text_format(out, "proxy_pass http://%s; }\n", backend);
    } else {
        text_add(out, "return 503; }\n");
    }
}

static bool has_exact(const struct site *site, const char *path) {
    for (const struct location *at = site->locations; at != NULL; at = at->next) {
        if (at->exact && strcmp(at->path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* A prefix is one of whole elements: /foo is for /foo and /foo/bar, and not for /foobar. */
static void add_location(struct text *out, const struct site *site,
                         const struct location *location) {
    if (location->exact) {
        add_backend(out, "=", location->path, location->backend);
        return;
    }
    if (location->path[0] != '\0' && !has_exact(site, location->path)) {
        add_backend(out, "=", location->path, location->backend);
    }
    struct text below = {0};
    text_format(&below, "%s/", location->path);
    add_backend(out, "^~", below.data, location->backend);
    text_clear(&below);
}

static bool takes_everything(const struct site *site) {
    for (const struct location *at = site->locations; at != NULL; at = at->next) {
        if (!at->exact && at->path[0] == '\0') {
            return true;
        }
    }
    return false;
}

/* The star of "*.example.com" stands for one label. */
static void add_name(struct text *out, const char *host) {
    if (host[0] == '\0') {
        text_add(out, "        server_name _;\n");
    } else if (!text_starts_with(host, "*.")) {
        text_format(out, "        server_name \"%s\";\n", host);
    } else {
        text_add(out, "        server_name \"~^[^.]+\\.");
        for (const char *at = host + 2; *at != '\0'; at++) {
            text_format(out, *at == '.' ? "\\%c" : "%c", *at);
        }
        text_add(out, "$\";\n");
    }
}

static void add_site(struct text *out, const struct ingress_options *options,
                     const struct site *site) {
    const char *role = site->host[0] == '\0' ? " default_server" : "";
    text_format(out, "    server {\n        listen %d%s;\n        listen [::]:%d%s;\n",
                options->http_port, role, options->http_port, role);
    if (site->certificate[0] != '\0') {
        text_format(out,
                    "        listen %d ssl%s;\n        listen [::]:%d ssl%s;\n"
                    "        ssl_certificate \"%s/%s\";\n        ssl_certificate_key \"%s/%s\";\n",
                    options->https_port, role, options->https_port, role, options->directory,
                    site->certificate, options->directory, site->certificate);
    }
    add_name(out, site->host);
    for (const struct location *at = site->locations; at != NULL; at = at->next) {
        add_location(out, site, at);
    }
    if (!takes_everything(site)) {
        text_add(out, "        location / { return 404; }\n");
    }
    text_add(out, "    }\n");
}

/* Names that no certificate is for. */
static void add_rejection(struct text *out, const struct ingress_options *options) {
    text_format(
        out,
        "    server {\n        listen %d ssl default_server;\n        listen [::]:%d ssl "
        "default_server;\n        server_name _;\n        ssl_reject_handshake on;\n    }\n",
        options->https_port, options->https_port);
}

static bool has_default_certificate(const struct site *sites) {
    for (const struct site *at = sites; at != NULL; at = at->next) {
        if (at->host[0] == '\0' && at->certificate[0] != '\0') {
            return true;
        }
    }
    return false;
}

void nginx_print(struct text *out, const struct ingress_options *options,
                 const struct site *sites) {
    add_head(out, options);
    if (!has_default_certificate(sites)) {
        add_rejection(out, options);
    }
    for (const struct site *at = sites; at != NULL; at = at->next) {
        add_site(out, options, at);
    }
    text_add(out, "}\n");
}
