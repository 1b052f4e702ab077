/*
 * stored_support.c: reading samples, putting objects into envelopes.
 */
#include "stored_support.h"

#include "kubernetes/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const SAMPLES[SAMPLE_COUNT] = {
    "api-golden/core.v1.RangeAllocation.pb",
    "api-golden/networking.k8s.io.v1.IPAddress.pb",
    "api-golden/networking.k8s.io.v1.ServiceCIDR.pb",
    NODE_PORTS_SAMPLE,
    IP_ADDRESS_SAMPLE,
    IPV6_ADDRESS_SAMPLE,
    WEB_ADDRESS_SAMPLE,
    SERVICE_CIDR_SAMPLE,
    "stored-by-1.36.2/registry_services_specs_default_kubernetes.bin",
    "stored-by-1.36.2/registry_services_specs_default_web.bin",
};

ipalloc_bytes bytes_copy(const void *bytes, size_t size) {
    void *copy = malloc(size > 0 ? size : 1);
    ck_assert_ptr_nonnull(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    return (ipalloc_bytes){copy, size};
}

void bytes_free(ipalloc_bytes bytes) {
    free((void *)(uintptr_t)bytes.data);
}

ipalloc_bytes sample_read(const char *path) {
    char whole[4096];
    uint8_t bytes[16384];
    const char *folder = getenv("TEST_DATA");
    snprintf(whole, sizeof whole, "%s/kubernetes/%s", folder != NULL ? folder : "tests/data", path);
    FILE *file = fopen(whole, "rb");
    ck_assert_msg(file != NULL, "%s cannot be read", whole);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_lt(size, sizeof bytes);
    return bytes_copy(bytes, size);
}

ipalloc_bytes text_of(const char *text) {
    return (ipalloc_bytes){text, strlen(text)};
}

ipalloc_bytes enveloped(const char *api_version, const char *kind, ipalloc_bytes object) {
    uint8_t bytes[16384];
    wire_writer w = {bytes, sizeof bytes, 0};
    envelope_put_tail(&w);
    wire_put_bytes(&w, 2, object.data, object.size);
    envelope_put_head(&w, api_version, kind);
    ck_assert_uint_le(w.used, sizeof bytes);
    return bytes_copy(bytes + sizeof bytes - w.used, w.used);
}
