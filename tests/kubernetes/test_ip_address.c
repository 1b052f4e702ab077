/*
 * test_ip_address.c: IPAddress objects read, refused and written.
 */
#include "stored_support.h"

#include <stdlib.h>
#include <string.h>

static ipalloc_error error;

static ipalloc_ip_address decoded(ipalloc_bytes stored) {
    ipalloc_ip_address o = {.size = sizeof o};
    ck_assert_status_error(ipalloc_ip_address_decode(stored, &o, &error), IPALLOC_OK, &error);
    return o;
}

static ipalloc_bytes encoded(const ipalloc_ip_address *o) {
    size_t needed, again;
    ck_assert_status_error(ipalloc_ip_address_encode(o, NULL, 0, &needed, &error), IPALLOC_OK,
                           &error);
    uint8_t *out = malloc(needed);
    ck_assert_ptr_nonnull(out);
    ck_assert_status(ipalloc_ip_address_encode(o, out, needed, &again, &error), IPALLOC_OK);
    ck_assert_uint_eq(needed, again);
    return (ipalloc_bytes){out, needed};
}

/* --- reading --------------------------------------------------------------------------------- */

static const struct {
    const char *path, *address, *uid, *name;
} REAL[] = {
    {IP_ADDRESS_SAMPLE, "10.96.0.1", "4b314f5b-6b13-479f-b957-322ee1c44d2c", "kubernetes"},
    {WEB_ADDRESS_SAMPLE, "10.96.0.10", "4e8d0f9a-eee8-4049-88bd-3fdf4bc3df09", "web"},
    {IPV6_ADDRESS_SAMPLE, "fd00:10:96::e7d4", "504c5ebc-946c-4240-97e3-8eba7e59a2a6", "web"},
};

START_TEST(what_kube_apiserver_stored_is_read) {
    ipalloc_bytes stored = sample_read(REAL[_i].path);
    ipalloc_ip_address o = decoded(stored);
    ck_assert_str_eq(addr_text(&o.address), REAL[_i].address);
    ck_assert_str_eq(o.uid, REAL[_i].uid);
    ck_assert(o.creation_time_s == 1795408744 || o.creation_time_s == 1795408745);
    ck_assert(!o.deleting && o.managed && o.of_service);
    ck_assert_str_eq(o.parent_group, "");
    ck_assert_str_eq(o.parent_resource, "services");
    ck_assert_str_eq(o.parent_namespace, "default");
    ck_assert_str_eq(o.parent_name, REAL[_i].name);
    ck_assert_uint_eq(o.managed_fields.size, 4 + 0x110);
    bytes_free(stored);
}
END_TEST

START_TEST(what_was_read_is_written_to_the_same_bytes) {
    ipalloc_bytes stored = sample_read(REAL[_i].path);
    ipalloc_ip_address o = decoded(stored);
    ipalloc_bytes again = encoded(&o);
    ck_assert_bytes_eq(again, stored);
    bytes_free(again);
    bytes_free(stored);
}
END_TEST

/* In the golden file names are no names: they are put right in their place. */
static ipalloc_bytes golden_read(void) {
    ipalloc_bytes stored = sample_read("api-golden/networking.k8s.io.v1.IPAddress.pb");
    uint8_t *name = memmem(stored.data, stored.size, "nameValue", 9);
    memcpy(name, "10.96.0.7", 9);
    uint8_t *group = memmem(stored.data, stored.size, "groupValue", 10);
    for (uint8_t *c = group; c < (const uint8_t *)stored.data + stored.size; c++)
        *c = *c == 'V' ? 'v' : *c;
    return stored;
}

START_TEST(the_golden_file_is_read) {
    ipalloc_bytes stored = golden_read();
    ipalloc_ip_address o = decoded(stored);
    ck_assert_str_eq(addr_text(&o.address), "10.96.0.7");
    ck_assert_str_eq(o.uid, "uidValue");
    ck_assert_int_eq(o.creation_time_s, 1199149261);
    ck_assert(o.deleting && o.deletion_time_s == 1230771661);
    ck_assert(!o.managed && !o.of_service);
    ck_assert_str_eq(o.parent_group, "groupvalue");
    ck_assert_str_eq(o.parent_resource, "resourcevalue");
    ck_assert_str_eq(o.parent_namespace, "namespacevalue");
    ck_assert_str_eq(o.parent_name, "namevalue");
    bytes_free(stored);
}
END_TEST

START_TEST(older_versions_are_read) {
    /* 1.27 had the parent's uid in field 5 */
    ipalloc_bytes stored =
        enveloped("networking.k8s.io/v1alpha1", "IPAddress",
                  BYTES("\012\012\012\01010.0.0.1\022\031\012\027\022\010services"
                        "\032\001n\042\003web\052\003uid"));
    ipalloc_ip_address o = decoded(stored);
    ck_assert(o.of_service && !o.managed);
    ck_assert_str_eq(o.parent_name, "web");
    bytes_free(stored);
}
END_TEST

static const struct {
    const char *object;
    size_t size;
    const char *message;
} DAMAGED[] = {
#define ROW(object, message) \
    { object, sizeof(object) - 1, message }
    ROW("", "IPAddress: metadata is missing"),
    ROW("\012\000", "IPAddress: spec is missing"),
    ROW("\012\000\022\000", "spec: parentRef is missing"),
    ROW("\012\000\022\002\010\000", "spec: parentRef has wire type 0, not 2"),
    ROW("\012\002\010\000\022\002\012\000", "metadata: name has wire type 0, not 2"),
    ROW("\012\000\022\004\012\002\010\001", "parentRef: group has wire type 0, not 2"),
    ROW("\012\000\022\002\012\000", "IPAddress: name \"\": it must be an address"),
    ROW("\012\012\012\01010.0.0.1\022\002\012\000",
        "IPAddress: parentRef.resource \"\": must be a name of 1 to 63 characters"),
#undef ROW
};

START_TEST(a_damaged_one_is_refused) {
    ipalloc_bytes stored = enveloped("networking.k8s.io/v1", "IPAddress",
                                     (ipalloc_bytes){DAMAGED[_i].object, DAMAGED[_i].size});
    ipalloc_ip_address o = {.size = sizeof o, .creation_time_s = 77};
    ck_assert_status(ipalloc_ip_address_decode(stored, &o, &error), IPALLOC_E_CORRUPT);
    ck_assert_str_eq(error.message, DAMAGED[_i].message);
    ck_assert_int_eq(o.creation_time_s, 77);
    bytes_free(stored);
}
END_TEST

START_TEST(another_kind_is_no_damage) {
    ipalloc_bytes stored = sample_read(NODE_PORTS_SAMPLE);
    ipalloc_ip_address o = {.size = sizeof o};
    ck_assert_status(ipalloc_ip_address_decode(stored, &o, &error), IPALLOC_E_INVALID);
    o.size = 0;
    ck_assert_status(ipalloc_ip_address_decode(stored, &o, &error), IPALLOC_E_INVALID);
    bytes_free(stored);
}
END_TEST

/* --- made from texts ------------------------------------------------------------------------- */

typedef struct texts {
    const char *name, *family, *manager, *group, *resource, *namespace, *parent, *uid;
} texts;

static int make(const texts *t, ipalloc_ip_address *out) {
    ipalloc_ip_address_text text = {.size = sizeof text,
                                    .name = text_of(t->name),
                                    .uid = text_of(t->uid),
                                    .family_label = text_of(t->family),
                                    .managed_by_label = text_of(t->manager),
                                    .parent_group = text_of(t->group),
                                    .parent_resource = text_of(t->resource),
                                    .parent_namespace = text_of(t->namespace),
                                    .parent_name = text_of(t->parent)};
    *out = (ipalloc_ip_address){.size = sizeof *out};
    return ipalloc_ip_address_make(&text, out, &error);
}

#define MANAGER   "ipallocator.k8s.io"
#define LONG_NAME "a234567890123456789012345678901234567890123456789012345678901234" /* 64 */

static const struct {
    texts texts;
    bool managed, of_service;
} GOOD[] = {
    {{"10.0.0.1", "IPv4", MANAGER, "", "services", "n", "web", "u"}, true, true},
    {{"fd00::1", "IPv6", MANAGER, "", "services", "n", "0-web", ""}, true, true},
    /* made by people: of anything */
    {{"10.0.0.1", "", "", "", "services", "n", "web", "u"}, false, true},
    {{"10.0.0.1", "IPv4", "somebody", "", "services", "n", "web", "u"}, false, true},
    {{"fd00::1", "", "", "gateway.networking.k8s.io", "gateways", "n", "gw", ""}, false, false},
    {{"fd00::1", "", "", "", "nodes", "", "node-1.example.org", ""}, false, false},
    {{"fd00::1", "", "", "", "services", "", "web", ""}, false, false},
    {{"fd00::1", "", "", "", "services", "a.B", "web", ""}, false, false},
    {{"fd00::1", "", "", "", "services", "n", "a.b", ""}, false, false},
    {{"fd00::1", "", "", "g", "services", "n", "web", ""}, false, false},
};

START_TEST(good_texts_make_an_object) {
    const texts *t = &GOOD[_i].texts;
    ipalloc_ip_address o;
    ck_assert_status_error(make(t, &o), IPALLOC_OK, &error);
    ck_assert_str_eq(addr_text(&o.address), t->name);
    ck_assert_str_eq(o.uid, t->uid);
    ck_assert_str_eq(o.parent_group, t->group);
    ck_assert_str_eq(o.parent_resource, t->resource);
    ck_assert_str_eq(o.parent_namespace, t->namespace);
    ck_assert_str_eq(o.parent_name, t->parent);
    ck_assert_int_eq(o.managed, GOOD[_i].managed);
    ck_assert_int_eq(o.of_service, GOOD[_i].of_service);
    ck_assert(!o.deleting && o.creation_time_s == 0 && o.managed_fields.size == 0);
}
END_TEST

START_TEST(good_objects_are_read_as_they_were_written) {
    ipalloc_ip_address o;
    ck_assert_status(make(&GOOD[_i].texts, &o), IPALLOC_OK);
    o.creation_time_s = 1795408744;
    o.deleting = true;
    o.deletion_time_s = 1795408745;
    ipalloc_bytes written = encoded(&o);
    ipalloc_ip_address again = decoded(written);
    ck_assert_int_eq(ipalloc_addr_compare(&o.address, &again.address), 0);
    ck_assert_str_eq(o.uid, again.uid);
    ck_assert_int_eq(again.creation_time_s, 1795408744);
    ck_assert(again.deleting && again.deletion_time_s == 1795408745);
    ck_assert(o.managed == again.managed && o.of_service == again.of_service);
    ck_assert_str_eq(o.parent_group, again.parent_group);
    ck_assert_str_eq(o.parent_resource, again.parent_resource);
    ck_assert_str_eq(o.parent_namespace, again.parent_namespace);
    ck_assert_str_eq(o.parent_name, again.parent_name);
    bytes_free(written);
}
END_TEST

static const struct {
    texts texts;
    const char *message;
} BAD[] = {
    {{"", "", "", "", "r", "", "p", ""}, "IPAddress: name \"\": it must be an address"},
    {{"web", "", "", "", "r", "", "p", ""},
     "IPAddress: name \"web\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"},
    {{"010.0.0.1", "", "", "", "r", "", "p", ""},
     "IPAddress: name \"010.0.0.1\": must not have leading 0s"},
    {{"::ffff:10.0.0.1", "", "", "", "r", "", "p", ""},
     "IPAddress: name \"::ffff:10.0.0.1\": must not be an IPv4-mapped IPv6 address"},
    {{"FD00::1", "", "", "", "r", "", "p", ""},
     "IPAddress: name \"FD00::1\": it is not the canonical text of an address; that is fd00::1"},
    {{"10.0.0.1", "", "", "A", "r", "", "p", ""},
     "IPAddress: parentRef.group \"A\": must be empty or a lowercase RFC 1123 subdomain"},
    {{"10.0.0.1", "", "", "", "", "", "p", ""},
     "IPAddress: parentRef.resource \"\": must be a name of 1 to 63 characters"},
    {{"10.0.0.1", "", "", "", LONG_NAME, "", "p", ""},
     "IPAddress: parentRef.resource \"" LONG_NAME "\": must be a name of 1 to 63 characters"},
    {{"10.0.0.1", "", "", "", "r", "a/b", "p", ""},
     "IPAddress: parentRef.namespace \"a/b\": must be empty or a name of up to 63 characters"},
    {{"10.0.0.1", "", "", "", "r", LONG_NAME, "p", ""},
     "IPAddress: parentRef.namespace \"" LONG_NAME
     "\": must be empty or a name of up to 63 characters"},
    {{"10.0.0.1", "", "", "", "r", "", "", ""},
     "IPAddress: parentRef.name \"\": must be a name of 1 to 253 characters"},
    {{"10.0.0.1", "", "", "", "r", "", "..", ""},
     "IPAddress: parentRef.name \"..\": must be a name of 1 to 253 characters"},
    {{"10.0.0.1", "", "", "", "r", "", "p\xff\n", ""},
     "IPAddress: parentRef.name \"p\\xFF\\x0A\": must be a name of 1 to 253 characters"},
    {{"10.0.0.1", "", "", "", "r", "", "p", LONG_NAME},
     "IPAddress: uid \"" LONG_NAME "\": must be at most 63 printable characters"},
    {{"10.0.0.1", "", "", "", "r", "", "p", "a b"},
     "IPAddress: uid \"a b\": must be at most 63 printable characters"},
    {{"10.0.0.1", "IPv6", "", "", "r", "", "p", ""},
     "IPAddress: ipaddress.kubernetes.io/ip-family \"IPv6\": the address is IPv4"},
    {{"fd00::1", "ipv6", "", "", "r", "", "p", ""},
     "IPAddress: ipaddress.kubernetes.io/ip-family \"ipv6\": the address is IPv6"},
    {{"fd00::1", "", MANAGER, "", "services", "n", "p", ""},
     "IPAddress: ipaddress.kubernetes.io/ip-family \"\": the address is IPv6"},
    {{"10.0.0.1", "IPv4", MANAGER, "g", "services", "n", "p", ""},
     "IPAddress: parentRef.group \"g\": what ipallocator.k8s.io manages belongs to a Service, of "
     "no "
     "group"},
    {{"10.0.0.1", "IPv4", MANAGER, "", "pods", "n", "p", ""},
     "IPAddress: parentRef.resource \"pods\": what ipallocator.k8s.io manages belongs to services"},
    {{"10.0.0.1", "IPv4", MANAGER, "", "services", "", "p", ""},
     "IPAddress: parentRef.namespace \"\": a Service has a namespace, a lowercase RFC 1123 label"},
    {{"10.0.0.1", "IPv4", MANAGER, "", "services", "N", "p", ""},
     "IPAddress: parentRef.namespace \"N\": a Service has a namespace, a lowercase RFC 1123 label"},
    {{"10.0.0.1", "IPv4", MANAGER, "", "services", "n", "p.q", ""},
     "IPAddress: parentRef.name \"p.q\": a Service's name is a lowercase RFC 1123 label"},
};

START_TEST(bad_texts_are_refused) {
    ipalloc_ip_address o;
    ck_assert_status(make(&BAD[_i].texts, &o), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, BAD[_i].message);
    ck_assert_int_eq(o.address.family, 0);
}
END_TEST

START_TEST(no_texts_are_refused) {
    ipalloc_ip_address o = {.size = sizeof o};
    ipalloc_ip_address_text text = {.size = 0};
    ck_assert_status(ipalloc_ip_address_make(NULL, &o, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_ip_address_make(&text, &o, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_ip_address_make(&text, NULL, &error), IPALLOC_E_INVALID);
    text = (ipalloc_ip_address_text){.size = sizeof text, .name = {NULL, 5}};
    ck_assert_status(ipalloc_ip_address_make(&text, &o, &error), IPALLOC_E_INVALID);
    ck_assert_str_eq(error.message, "IPAddress: name \"\": it must be an address");
    text.name = text_of("x");
    ck_assert_status(ipalloc_ip_address_make(&text, &o, NULL), IPALLOC_E_INVALID);
}
END_TEST

/* --- writing --------------------------------------------------------------------------------- */

/* The real value of 10.96.0.10 without its managedFields. */
static const char BARE[] =
    "k8s\000\012!\012\024networking.k8s.io/v1\022\011IPAddress\022\314\001\012\253\001\012\01210."
    "96.0.10\022\000\032\000\042\000*$4e8d0f9a-eee8-4049-88bd-3fdf4bc3df092\0008\000B\010\010\351"
    "\206\217\330\006\020\000Z)\012!ipaddress.kubernetes.io/"
    "ip-family\022\004IPv4Z8\012\042ipaddress.kubernetes.io/"
    "managed-by\022\022ipallocator.k8s.io\022\034\012\032\012\000\022\010services\032\007default"
    "\042\003web\032\000\042\000";

static ipalloc_ip_address web_address(void) {
    ipalloc_ip_address o;
    ck_assert_status(make(&(texts){"10.96.0.10", "IPv4", MANAGER, "", "services", "default", "web",
                                   "4e8d0f9a-eee8-4049-88bd-3fdf4bc3df09"},
                          &o),
                     IPALLOC_OK);
    o.creation_time_s = 1795408745;
    return o;
}

START_TEST(a_real_value_is_built_from_nothing) {
    ipalloc_ip_address o = web_address();
    ipalloc_bytes built = encoded(&o);
    ck_assert_bytes_eq(built, BYTES(BARE));
    bytes_free(built);
}
END_TEST

START_TEST(managed_fields_go_out_as_they_came_in) {
    ipalloc_bytes stored = sample_read(WEB_ADDRESS_SAMPLE);
    ipalloc_ip_address o = web_address();
    o.managed_fields = decoded(stored).managed_fields;
    ipalloc_bytes built = encoded(&o);
    ck_assert_bytes_eq(built, stored);
    bytes_free(built);
    bytes_free(stored);
}
END_TEST

START_TEST(members_that_no_reader_would_take_are_not_written) {
    size_t needed = 77;
    ipalloc_ip_address o = web_address();
    o.address.family = 5;
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    o.address = (ipalloc_addr){6, {[10] = 255, [11] = 255, [12] = 10}};
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    memset(o.parent_name, 'a', sizeof o.parent_name); /* no NUL */
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    memset(o.uid, 'a', sizeof o.uid);
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    o.parent_namespace[0] = '\0';
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    o.managed_fields = (ipalloc_bytes){NULL, 5};
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o.managed_fields = BYTES("\x08\x01");
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    o.size = 0;
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    o = web_address();
    ck_assert_status(ipalloc_ip_address_encode(&o, NULL, 0, NULL, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_ip_address_encode(NULL, NULL, 0, &needed, &error), IPALLOC_E_INVALID);
    ck_assert_uint_eq(needed, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ip_address");
    TCase *tc = tcase_create("ip_address");
    tcase_add_loop_test(tc, what_kube_apiserver_stored_is_read, 0, LENGTH(REAL));
    tcase_add_loop_test(tc, what_was_read_is_written_to_the_same_bytes, 0, LENGTH(REAL));
    tcase_add_test(tc, the_golden_file_is_read);
    tcase_add_test(tc, older_versions_are_read);
    tcase_add_loop_test(tc, a_damaged_one_is_refused, 0, LENGTH(DAMAGED));
    tcase_add_test(tc, another_kind_is_no_damage);
    tcase_add_loop_test(tc, good_texts_make_an_object, 0, LENGTH(GOOD));
    tcase_add_loop_test(tc, good_objects_are_read_as_they_were_written, 0, LENGTH(GOOD));
    tcase_add_loop_test(tc, bad_texts_are_refused, 0, LENGTH(BAD));
    tcase_add_test(tc, no_texts_are_refused);
    tcase_add_test(tc, a_real_value_is_built_from_nothing);
    tcase_add_test(tc, managed_fields_go_out_as_they_came_in);
    tcase_add_test(tc, members_that_no_reader_would_take_are_not_written);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
