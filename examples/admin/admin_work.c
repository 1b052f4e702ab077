/* admin_work.c: arguments, places and values of the operations; see admin_work.h. */
#include "admin_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int admin_refuse(ipalloc_error *error, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    *error = (ipalloc_error){.status = status};
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

/* --- arguments -------------------------------------------------------------------------------- */

bool admin_text(struct json_object *arguments, const char *name, const char **out,
                ipalloc_error *error) {
    struct json_object *value = json_member(arguments, name);
    *out = NULL;
    if (value == NULL) {
        return true;
    }
    if (!json_object_is_type(value, json_type_string)) {
        admin_refuse(error, IPALLOC_E_INVALID, "%s: must be text", name);
        return false;
    }
    *out = json_object_get_string(value);
    return true;
}

bool admin_needed_text(struct json_object *arguments, const char *name, const char **out,
                       ipalloc_error *error) {
    if (!admin_text(arguments, name, out, error)) {
        return false;
    }
    if (*out == NULL || **out == '\0') {
        admin_refuse(error, IPALLOC_E_INVALID, "%s: must be given", name);
        return false;
    }
    return true;
}

static bool parse_digits(const char *text, size_t length, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    if (length == 0 || length > 20 || (length > 1 && text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return value <= max;
}

bool admin_number(struct json_object *arguments, const char *name, uint64_t absent, uint64_t max,
                  uint64_t *out, ipalloc_error *error) {
    struct json_object *value = json_member(arguments, name);
    *out = absent;
    if (value == NULL) {
        return true;
    }
    bool fits =
        json_object_is_type(value, json_type_string) || json_object_is_type(value, json_type_int);
    const char *text = json_object_get_string(value);
    if (!fits || !parse_digits(text, strlen(text), max, out)) {
        admin_refuse(error, IPALLOC_E_INVALID, "%s: must be a whole number up to %" PRIu64, name,
                     max);
        return false;
    }
    return true;
}

bool admin_truth(struct json_object *arguments, const char *name, bool *out, ipalloc_error *error) {
    struct json_object *value = json_member(arguments, name);
    *out = false;
    if (value == NULL) {
        return true;
    }
    const char *text = json_object_get_string(value);
    bool right = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    if (!right) {
        admin_refuse(error, IPALLOC_E_INVALID, "%s: must be true or false", name);
        return false;
    }
    *out = text[0] == 't';
    return true;
}

/* --- places ------------------------------------------------------------------------------------
 */

int admin_place_parse(const char *text, size_t length, struct admin_place *out,
                      ipalloc_error *error) {
    uint64_t port = 0;
    *out = (struct admin_place){0};
    out->is_port = length > 0 && length <= 6 && strspn(text, "0123456789") >= length;
    if (out->is_port) {
        if (!parse_digits(text, length, UINT16_MAX, &port)) {
            return admin_refuse(error, IPALLOC_E_INVALID,
                                "\"%.*s\" is no port: a number up to 65535 without leading zeros",
                                (int)length, text);
        }
        out->port = (uint16_t)port;
        snprintf(out->text, sizeof out->text, "%u", out->port);
        return IPALLOC_OK;
    }
    int status = ipalloc_addr_parse(text, length, &out->address, error);
    if (status == IPALLOC_OK) {
        ipalloc_addr_format(&out->address, out->text);
    }
    return status;
}

struct admin_place admin_place_of(const ipalloc_addr *address, uint16_t port) {
    struct admin_place place = {.is_port = address->family == 0, .address = *address, .port = port};
    if (place.is_port) {
        snprintf(place.text, sizeof place.text, "%u", place.port);
    } else {
        ipalloc_addr_format(&place.address, place.text);
    }
    return place;
}

struct admin_place admin_place_of_lease(const ipalloc_lease *lease) {
    return admin_place_of(&lease->address, lease->port);
}

bool admin_pool_is_port(const ipalloc_pool *pool) {
    return ipalloc_pool_kind_of(pool) == IPALLOC_POOL_PORT;
}

bool admin_range_of(ipalloc_pool *pool, const struct admin_place *place, ipalloc_pool_range *out) {
    if (admin_pool_is_port(pool) != place->is_port) {
        return false;
    }
    for (size_t i = 0;; i++) {
        *out = (ipalloc_pool_range){.size = sizeof *out};
        if (ipalloc_pool_get_range(pool, i, out, NULL) != IPALLOC_OK) {
            return false;
        }
        if (place->is_port
                ? place->port >= out->stats.port_first && place->port <= out->stats.port_last
                : ipalloc_cidr_contains(&out->cidr, &place->address)) {
            return true;
        }
    }
}

void admin_range_format(const ipalloc_pool *pool, const ipalloc_pool_range *range,
                        char out[IPALLOC_CIDR_TEXT]) {
    if (admin_pool_is_port(pool)) {
        snprintf(out, IPALLOC_CIDR_TEXT, "%u-%u", range->stats.port_first, range->stats.port_last);
    } else {
        ipalloc_cidr_format(&range->cidr, out);
    }
}

/* Every range there is, for the message that none of them fits. */
static void list_ranges(struct admin *admin, struct text *out) {
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        ipalloc_pool_range range = {.size = sizeof range};
        char words[IPALLOC_CIDR_TEXT];
        for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
            admin_range_format(pool, &range, words);
            text_format(out, "%s%s %s", out->size > 0 ? ", " : "", ipalloc_pool_name(pool), words);
            range = (ipalloc_pool_range){.size = sizeof range};
        }
    }
}

static int refuse_no_pool(struct admin *admin, const struct admin_place *place,
                          ipalloc_error *error) {
    struct text ranges = {0};
    list_ranges(admin, &ranges);
    int status = admin_refuse(error, IPALLOC_E_NOT_IN_RANGE, "%s is in no pool; there is %s",
                              place->text, ranges.size > 0 ? ranges.data : "none");
    text_clear(&ranges);
    return status;
}

int admin_find_pool(struct admin *admin, const char *name, const struct admin_place *place,
                    ipalloc_pool **out, ipalloc_error *error) {
    ipalloc_pool_range range;
    ipalloc_pool *pool = NULL;
    ipalloc_pool *found = NULL;
    if (name != NULL) {
        int status = ipalloc_pool_open(admin->registry, name, out, error);
        if (status == IPALLOC_OK && !admin_range_of(*out, place, &range)) {
            status = admin_refuse(error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s",
                                  place->text, name);
        }
        return status;
    }
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        if (!admin_range_of(pool, place, &range)) {
            continue;
        }
        if (found != NULL) {
            return admin_refuse(error, IPALLOC_E_INVALID,
                                "%s is in pool %s and in pool %s: say which", place->text,
                                ipalloc_pool_name(found), ipalloc_pool_name(pool));
        }
        found = pool;
    }
    *out = found;
    return found != NULL ? IPALLOC_OK : refuse_no_pool(admin, place, error);
}

/* --- values ------------------------------------------------------------------------------------
 */

void admin_set_count(struct json_object *object, const char *name, ipalloc_count count) {
    char words[IPALLOC_COUNT_TEXT];
    ipalloc_count_format(count, words);
    json_set_text(object, name, words);
}

void admin_set_place(struct json_object *object, const struct admin_place *place) {
    if (place->is_port) {
        json_set_number(object, "port", place->port);
    } else {
        json_set_text(object, "address", place->text);
    }
}

void admin_set_moment(struct json_object *object, const char *name, uint64_t wall_clock_ms) {
    char seconds[32];
    char words[64];
    struct tm moment;
    time_t whole = (time_t)(wall_clock_ms / 1000);
    if (wall_clock_ms == 0 || gmtime_r(&whole, &moment) == NULL) {
        return;
    }
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &moment);
    snprintf(words, sizeof words, "%s.%03uZ", seconds, (unsigned)(wall_clock_ms % 1000));
    json_set_text(object, name, words);
}

/* Owners and slots may be any bytes; JSON may not. */
static struct json_object *bytes_value(const char *bytes) {
    struct text text = {0};
    if (text_is_clean(bytes, strlen(bytes))) {
        return json_object_new_string(bytes);
    }
    for (const char *at = bytes; *at != '\0'; at++) {
        text_format(&text, (unsigned char)*at >= 0x80 ? "%%%02X" : "%c", (unsigned char)*at);
    }
    struct json_object *value = json_object_new_string(text.data);
    text_clear(&text);
    return value;
}

struct json_object *admin_lease_value(const ipalloc_lease *lease) {
    struct json_object *value = json_object_new_object();
    struct json_object *slots = json_object_new_array();
    struct admin_place place = admin_place_of_lease(lease);
    json_set_text(value, "pool", lease->pool);
    admin_set_place(value, &place);
    json_set(value, "owner", bytes_value(lease->owner));
    for (size_t i = 0; i < lease->slot_count; i++) {
        json_object_array_add(slots, bytes_value(lease->slots[i]));
    }
    json_set(value, "slots", slots);
    json_set_number(value, "generation", (int64_t)lease->generation);
    admin_set_moment(value, "since", lease->time_ms);
    return value;
}
