/*
 * test_envelope.c: what a stored value is, by its first bytes and its envelope.
 */
#include "stored_support.h"

#include "kubernetes/envelope.h"
#include "kubernetes/names.h"

#include <stdlib.h>
#include <string.h>

static ipalloc_error error;

static const struct {
    const char *path;
    int kind;
    const char *api_version, *kind_name;
} ROWS[] = {
    {"api-golden/core.v1.RangeAllocation.pb", IPALLOC_STORED_RANGE_ALLOCATION, "v1",
     "RangeAllocation"},
    {"api-golden/networking.k8s.io.v1.IPAddress.pb", IPALLOC_STORED_IP_ADDRESS,
     "networking.k8s.io/v1", "IPAddress"},
    {"api-golden/networking.k8s.io.v1.ServiceCIDR.pb", IPALLOC_STORED_SERVICE_CIDR,
     "networking.k8s.io/v1", "ServiceCIDR"},
    {NODE_PORTS_SAMPLE, IPALLOC_STORED_RANGE_ALLOCATION, "v1", "RangeAllocation"},
    {IPV6_ADDRESS_SAMPLE, IPALLOC_STORED_IP_ADDRESS, "networking.k8s.io/v1", "IPAddress"},
    {SERVICE_CIDR_SAMPLE, IPALLOC_STORED_SERVICE_CIDR, "networking.k8s.io/v1", "ServiceCIDR"},
    {"stored-by-1.36.2/registry_services_specs_default_web.bin", IPALLOC_STORED_OTHER, "v1",
     "Service"},
    {"stored-by-1.36.2-as-json/registry_ranges_serviceips.bin", IPALLOC_STORED_JSON, "", ""},
    {"stored-by-1.36.2-as-json/registry_servicecidrs_kubernetes.bin", IPALLOC_STORED_JSON, "", ""},
};

START_TEST(a_stored_value_is) {
    ipalloc_bytes stored = sample_read(ROWS[_i].path);
    ipalloc_stored found = {.size = sizeof found};
    ck_assert_status_error(ipalloc_stored_kind_of(stored, &found, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(found.kind, ROWS[_i].kind);
    ck_assert(bytes_are(found.api_version, ROWS[_i].api_version));
    ck_assert(bytes_are(found.kind_name, ROWS[_i].kind_name));
    ck_assert_uint_eq(found.provider.size, 0);
    ck_assert_uint_gt(found.object.size, 0);
    bytes_free(stored);
}
END_TEST

static const struct {
    const char *api_version, *kind;
    int is;
} KINDS[] = {
    {"v1", "RangeAllocation", IPALLOC_STORED_RANGE_ALLOCATION},
    {"v2", "RangeAllocation", IPALLOC_STORED_OTHER},
    {"networking.k8s.io/v1beta1", "IPAddress", IPALLOC_STORED_IP_ADDRESS},
    {"networking.k8s.io/v1alpha1", "IPAddress", IPALLOC_STORED_IP_ADDRESS},
    {"networking.k8s.io/v2", "IPAddress", IPALLOC_STORED_OTHER},
    {"networking.k8s.io/v1beta1", "ServiceCIDR", IPALLOC_STORED_SERVICE_CIDR},
    {"networking.k8s.io/v1alpha1", "ServiceCIDR", IPALLOC_STORED_SERVICE_CIDR},
    {"v1", "ServiceCIDR", IPALLOC_STORED_OTHER},
    {"networking.k8s.io/v1", "Ingress", IPALLOC_STORED_OTHER},
};

START_TEST(versions_that_were_before_are_known) {
    ipalloc_bytes stored = enveloped(KINDS[_i].api_version, KINDS[_i].kind, BYTES("whatever"));
    ipalloc_stored found = {.size = sizeof found};
    ck_assert_status_error(ipalloc_stored_kind_of(stored, &found, &error), IPALLOC_OK, &error);
    ck_assert_int_eq(found.kind, KINDS[_i].is);
    ck_assert_bytes_eq(found.object, BYTES("whatever"));
    bytes_free(stored);
}
END_TEST

START_TEST(an_encrypted_value_says_by_whom) {
    ipalloc_stored found = {.size = sizeof found};
    ck_assert_status(ipalloc_stored_kind_of(BYTES("k8s:enc:aescbc:v1:key1:\x01\x02"), &found, NULL),
                     IPALLOC_OK);
    ck_assert_int_eq(found.kind, IPALLOC_STORED_ENCRYPTED);
    ck_assert_bytes_eq(found.provider, BYTES("aescbc"));
}
END_TEST

#define TYPE   "\x0a\x15\x0a\x02v1\x12\x0fRangeAllocation"
#define OBJECT "\x12\x00"
#define TAIL   "\x1a\x00\x22\x00"
static const char MAGIC[] = "k8s"; /* with its NUL */

static const struct {
    bool magic;
    const char *bytes;
    size_t size;
    const char *message;
} REFUSED[] = {
#define ROW(magic, bytes, message) \
    { magic, bytes, sizeof(bytes) - 1, message }
    ROW(false, "", "stored value: it is empty"),
    ROW(false, "k8s",
        "stored value: begins with \"k8s\"; Kubernetes writes \"k8s\" and a NUL byte, or JSON"),
    ROW(false, "\x01\x02 and what was meant to be here",
        "stored value: begins with \"\\x01\\x02 and what was \"; Kubernetes writes \"k8s\" and a "
        "NUL byte, or JSON"),
    ROW(false, "k8s:enc:", "stored value: begins with \"k8s:enc:\", but no provider follows"),
    ROW(false, "k8s:enc::v1:", "stored value: begins with \"k8s:enc:\", but no provider follows"),
    ROW(false,
        "k8s:enc:a b:v1:", "stored value: begins with \"k8s:enc:\", but no provider follows"),
    ROW(true, "", "envelope: typeMeta is missing"),
    ROW(true, TYPE, "envelope: raw is missing"),
    ROW(true, TYPE OBJECT, "envelope: contentEncoding is missing"),
    ROW(true, TYPE OBJECT "\x1a\x00", "envelope: contentType is missing"),
    ROW(true, TYPE OBJECT TAIL TYPE, "envelope: field 1 stands behind field 4"),
    ROW(true, TYPE OBJECT TAIL "\x2a\x00", "envelope: there is an unknown field"),
    ROW(true, TYPE OBJECT "\x1a\x04gzip\x22\x00",
        "envelope: contentEncoding and contentType must be empty"),
    ROW(true, TYPE OBJECT "\x1a\x00\x22\x01x",
        "envelope: contentEncoding and contentType must be empty"),
    ROW(true, "\x0a\x00" OBJECT TAIL, "typeMeta: apiVersion is missing"),
    ROW(true, "\x0a\x04\x0a\x02v1" OBJECT TAIL, "typeMeta: kind is missing"),
    ROW(true, "\x0a\x06\x0a\x02v1\x12\x00" OBJECT TAIL, "typeMeta: apiVersion or kind is no name"),
    ROW(true, "\x0a\x05\x0a\x00\x12\x01x" OBJECT TAIL, "typeMeta: apiVersion or kind is no name"),
    ROW(true, "\x0a\x07\x0a\x00\x12\x01x\x1a\x00" OBJECT TAIL,
        "typeMeta: there is an unknown field"),
#undef ROW
};

static ipalloc_bytes refused_bytes(int i) {
    char bytes[256];
    size_t magic = REFUSED[i].magic ? sizeof MAGIC : 0;
    memcpy(bytes, MAGIC, magic);
    memcpy(bytes + magic, REFUSED[i].bytes, REFUSED[i].size);
    return bytes_copy(bytes, magic + REFUSED[i].size);
}

START_TEST(what_is_none_of_these_forms_is_damage) {
    ipalloc_bytes stored = refused_bytes(_i);
    ipalloc_stored found = {.size = sizeof found, .kind = 77};
    ck_assert_status(ipalloc_stored_kind_of(stored, &found, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, REFUSED[_i].message);
    ck_assert_int_eq(found.kind, 77);
    bytes_free(stored);
}
END_TEST

START_TEST(a_value_has_a_longest_length) {
    size_t size = IPALLOC_STORED_BYTES_MAX + 1;
    char *bytes = calloc(1, size);
    ck_assert_ptr_nonnull(bytes);
    bytes[0] = '{';
    ipalloc_stored found = {.size = sizeof found};
    ck_assert_status(ipalloc_stored_kind_of((ipalloc_bytes){bytes, size - 1}, &found, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_stored_kind_of((ipalloc_bytes){bytes, size}, &found, &error),
                     IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, "stored value: 16777217 bytes; at most 16777216 are read");
    free(bytes);
    ck_assert_status(ipalloc_stored_kind_of((ipalloc_bytes){NULL, 9}, &found, &error),
                     IPALLOC_E_CORRUPT);
}
END_TEST

START_TEST(the_output_needs_its_size) {
    ipalloc_stored found = {.size = 0};
    ck_assert_status(ipalloc_stored_kind_of(BYTES("{}"), &found, &error), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "ipalloc_stored: set size to sizeof(ipalloc_stored)");
    ck_assert_status(ipalloc_stored_kind_of(BYTES("{}"), NULL, &error), IPALLOC_E_INVALID);
}
END_TEST

/* A program that was built when there was less of it. */
START_TEST(an_older_output_gets_what_it_knows) {
    ipalloc_stored found = {.size = offsetof(ipalloc_stored, object)};
    ck_assert_status(ipalloc_stored_kind_of(BYTES("{}"), &found, &error), IPALLOC_OK);
    ck_assert_int_eq(found.kind, IPALLOC_STORED_JSON);
    ck_assert_ptr_null(found.object.data);
    ck_assert_uint_eq(found.size, offsetof(ipalloc_stored, object));
}
END_TEST

static const struct {
    const char *path; /* NULL: an encrypted one */
    enum ipalloc_stored_kind wanted;
    const char *message;
} OTHERS[] = {
    {WEB_ADDRESS_SAMPLE, IPALLOC_STORED_RANGE_ALLOCATION,
     "RangeAllocation: the value is of kind IPAddress, networking.k8s.io/v1"},
    {"stored-by-1.36.2/registry_services_specs_default_web.bin", IPALLOC_STORED_IP_ADDRESS,
     "IPAddress: the value is of kind Service, v1"},
    {"stored-by-1.36.2-as-json/registry_servicecidrs_kubernetes.bin", IPALLOC_STORED_SERVICE_CIDR,
     "ServiceCIDR: the value is JSON, not protobuf: read it with a JSON parser"},
    {NULL, IPALLOC_STORED_RANGE_ALLOCATION,
     "RangeAllocation: the value is encrypted at rest (provider kms): read it through "
     "kube-apiserver"},
};

START_TEST(another_kind_is_refused_by_its_name) {
    ipalloc_bytes object, stored = OTHERS[_i].path != NULL ? sample_read(OTHERS[_i].path)
                                                           : bytes_copy("k8s:enc:kms:v2:x:", 17);
    ck_assert_status(envelope_open(stored, OTHERS[_i].wanted, &object, &error), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, OTHERS[_i].message);
    bytes_free(stored);
}
END_TEST

START_TEST(damage_has_no_kind) {
    ipalloc_bytes object;
    ck_assert_status(envelope_open(BYTES("k8"), IPALLOC_STORED_IP_ADDRESS, &object, &error),
                     IPALLOC_E_CORRUPT);
}
END_TEST

static void put_much(wire_writer *w, const void *object) {
    wire_put_raw(w, NULL, *(const size_t *)object);
}

static void put_zeros(wire_writer *w, const void *object) {
    for (size_t i = 0; i < *(const size_t *)object; i++)
        wire_put_raw(w, "\0", 1);
}

START_TEST(what_is_written_has_a_longest_length) {
    size_t needed = 0, much = IPALLOC_STORED_BYTES_MAX;
    ck_assert_status(envelope_encode(put_much, &much, NULL, 0, &needed, &error), IPALLOC_OK);
    ck_assert_uint_eq(needed, much);
    much++;
    ck_assert_status(envelope_encode(put_much, &much, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message,
                     "stored value: it would have 16777217 bytes; at most 16777216 are written");
}
END_TEST

START_TEST(what_does_not_fit_is_not_written) {
    uint8_t out[8];
    size_t needed = 0, size = 4;
    memset(out, 0x5a, sizeof out);
    ck_assert_status(envelope_encode(put_zeros, &size, out, 3, &needed, &error), IPALLOC_E_NOMEM);
    ck_assert_str_eq(error.message, "stored value: 4 bytes do not fit in 3");
    ck_assert_uint_eq(needed, 4);
    ck_assert_uint_eq(out[0], 0x5a);
    ck_assert_status(envelope_encode(put_zeros, &size, out, sizeof out, &needed, &error),
                     IPALLOC_OK);
    ck_assert_mem_eq(out, "\0\0\0\0\x5a\x5a\x5a\x5a", 8);
}
END_TEST

START_TEST(bad_text_in_a_store_is_damage) {
    error = (ipalloc_error){.status = IPALLOC_E_INVALID};
    ck_assert_int_eq(corrupt_if_invalid(IPALLOC_E_INVALID, &error), IPALLOC_E_CORRUPT);
    ck_assert_int_eq(error.status, IPALLOC_E_CORRUPT);
    ck_assert_int_eq(corrupt_if_invalid(IPALLOC_E_INVALID, NULL), IPALLOC_E_CORRUPT);
    ck_assert_int_eq(corrupt_if_invalid(IPALLOC_E_NOMEM, NULL), IPALLOC_E_NOMEM);
    ck_assert_int_eq(corrupt_if_invalid(IPALLOC_OK, NULL), IPALLOC_OK);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("envelope");
    TCase *tc = tcase_create("envelope");
    tcase_add_loop_test(tc, a_stored_value_is, 0, LENGTH(ROWS));
    tcase_add_loop_test(tc, versions_that_were_before_are_known, 0, LENGTH(KINDS));
    tcase_add_test(tc, an_encrypted_value_says_by_whom);
    tcase_add_loop_test(tc, what_is_none_of_these_forms_is_damage, 0, LENGTH(REFUSED));
    tcase_add_test(tc, a_value_has_a_longest_length);
    tcase_add_test(tc, the_output_needs_its_size);
    tcase_add_test(tc, an_older_output_gets_what_it_knows);
    tcase_add_loop_test(tc, another_kind_is_refused_by_its_name, 0, LENGTH(OTHERS));
    tcase_add_test(tc, damage_has_no_kind);
    tcase_add_test(tc, what_is_written_has_a_longest_length);
    tcase_add_test(tc, what_does_not_fit_is_not_written);
    tcase_add_test(tc, bad_text_in_a_store_is_damage);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
