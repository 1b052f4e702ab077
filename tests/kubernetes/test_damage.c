/*
 * test_damage.c: stored values cut short, with flipped bits and with random bytes: each is
 * refused, or means the same when it is written and read again. Run under sanitizers.
 */
#include "stored_support.h"

#include <stdlib.h>
#include <string.h>

enum { ENCODED_MAX = 16384 };

/* A RangeAllocation is written to the same bytes. */
static bool range_allocation_survives(ipalloc_bytes stored) {
    uint8_t out[ENCODED_MAX];
    size_t needed;
    ipalloc_error error = {.status = IPALLOC_OK};
    ipalloc_range_allocation a = {.size = sizeof a};
    int status = ipalloc_range_allocation_decode(stored, &a, &error);
    if (status != IPALLOC_OK) {
        require(error.status == status && error.message[0] != '\0');
        return false;
    }
    require_status(ipalloc_range_allocation_encode(&a, out, sizeof out, &needed, &error),
                   IPALLOC_OK);
    require(needed == stored.size && memcmp(out, stored.data, needed) == 0);
    uint64_t walked = 0;
    for (uint64_t i = 0; ipalloc_range_allocation_next(&a, &i) == IPALLOC_OK; i++)
        walked += ipalloc_range_allocation_has(&a, i);
    require(walked == ipalloc_range_allocation_count(&a));
    return true;
}

/* An IPAddress is written in the form in which it is made: that is read to the same bytes. */
static bool ip_address_survives(ipalloc_bytes stored) {
    uint8_t once[ENCODED_MAX], twice[ENCODED_MAX];
    size_t once_size, twice_size;
    ipalloc_error error = {.status = IPALLOC_OK};
    ipalloc_ip_address o = {.size = sizeof o}, again = o;
    int status = ipalloc_ip_address_decode(stored, &o, &error);
    if (status != IPALLOC_OK) {
        require(error.status == status && error.message[0] != '\0');
        return false;
    }
    require_status(ipalloc_ip_address_encode(&o, once, sizeof once, &once_size, &error),
                   IPALLOC_OK);
    require_status(ipalloc_ip_address_decode((ipalloc_bytes){once, once_size}, &again, &error),
                   IPALLOC_OK);
    require_status(ipalloc_ip_address_encode(&again, twice, sizeof twice, &twice_size, &error),
                   IPALLOC_OK);
    require(once_size == twice_size && memcmp(once, twice, once_size) == 0);
    require(o.managed == again.managed && o.deleting == again.deleting &&
            o.creation_time_s == again.creation_time_s);
    return true;
}

static bool service_cidr_survives(ipalloc_bytes stored) {
    ipalloc_error error = {.status = IPALLOC_OK};
    ipalloc_service_cidr s = {.size = sizeof s};
    int status = ipalloc_service_cidr_decode(stored, &s, &error);
    if (status != IPALLOC_OK)
        require(error.status == status && error.message[0] != '\0');
    else
        require(s.cidr_count == 1 || s.cidr_count == 2);
    return status == IPALLOC_OK;
}

/* By at most one of the three, and by the one that its envelope names. */
static bool survives(ipalloc_bytes stored) {
    ipalloc_stored found = {.size = sizeof found};
    int status = ipalloc_stored_kind_of(stored, &found, NULL);
    bool range = range_allocation_survives(stored), address = ip_address_survives(stored),
         service_cidr = service_cidr_survives(stored);
    require(status == IPALLOC_OK || status == IPALLOC_E_CORRUPT);
    require(!range || found.kind == IPALLOC_STORED_RANGE_ALLOCATION);
    require(!address || found.kind == IPALLOC_STORED_IP_ADDRESS);
    require(!service_cidr || found.kind == IPALLOC_STORED_SERVICE_CIDR);
    return range || address || service_cidr;
}

START_TEST(every_value_cut_short_is_refused) {
    ipalloc_bytes stored = sample_read(SAMPLES[_i]);
    for (size_t size = 0; size < stored.size; size++) {
        ipalloc_bytes cut = bytes_copy(stored.data, size);
        require(!survives(cut));
        bytes_free(cut);
    }
    bytes_free(stored);
}
END_TEST

START_TEST(every_flipped_bit_is_refused_or_means_something) {
    ipalloc_bytes stored = sample_read(SAMPLES[_i]);
    uint8_t *bytes = (uint8_t *)(uintptr_t)stored.data;
    for (size_t bit = 0; bit < stored.size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        survives(stored);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes_free(stored);
}
END_TEST

/* One change: a byte, a run from elsewhere, or another length. */
static size_t damage(uint8_t *bytes, size_t size, uint64_t *seed) {
    uint64_t draw = test_random(seed);
    size_t at = (size_t)(test_random(seed) % size), from = (size_t)(test_random(seed) % size);
    size_t room = size - (at > from ? at : from), length = room < 8 ? room : 8;
    switch (draw % 4) {
    case 0:
        bytes[at] = (uint8_t)(draw >> 8);
        return size;
    case 1:
        bytes[at] = (uint8_t)(bytes[at] + (draw >> 8) % 3 - 1);
        return size;
    case 2:
        memmove(bytes + at, bytes + from, length);
        return size;
    default:
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length > 0 ? size - length : size;
    }
}

START_TEST(random_damage_is_refused_or_means_something) {
    uint64_t seed = test_seed() + (uint64_t)_i;
    ipalloc_bytes sample = sample_read(SAMPLES[_i]);
    for (uint64_t round = 0; round < test_scaled(10000); round++) {
        uint8_t bytes[1024];
        size_t size = sample.size;
        ck_assert_uint_le(size, sizeof bytes);
        memcpy(bytes, sample.data, size);
        for (uint64_t changes = 1 + test_random(&seed) % 4; changes > 0; changes--)
            size = damage(bytes, size, &seed);
        ipalloc_bytes damaged = bytes_copy(bytes, size);
        survives(damaged);
        bytes_free(damaged);
    }
    bytes_free(sample);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stored_damage");
    TCase *tc = tcase_create("stored_damage");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_value_cut_short_is_refused, 0, SAMPLE_COUNT);
    tcase_add_loop_test(tc, every_flipped_bit_is_refused_or_means_something, 0, SAMPLE_COUNT);
    tcase_add_loop_test(tc, random_damage_is_refused_or_means_something, 0, SAMPLE_COUNT);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
