/* moment.c: see moment.h. */
#include "moment.h"

#include <stdio.h>
#include <string.h>

static struct tm parts_of(time_t seconds) {
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    return parts;
}

/* Years have four digits (moment_is_writable); the room is for what a compiler thinks of an int. */
static void format(time_t seconds, const char *fraction, char out[MOMENT_TEXT]) {
    struct tm parts = parts_of(seconds);
    char date[80];
    snprintf(date, sizeof date, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    snprintf(out, MOMENT_TEXT, "%.19s%sZ", date, fraction);
}

void moment_format(time_t seconds, char out[MOMENT_TEXT]) {
    format(seconds, "", out);
}

void moment_format_micro(const struct moment *moment, char out[MOMENT_TEXT]) {
    char fraction[16];
    snprintf(fraction, sizeof fraction, ".%06d", (int)moment->microseconds);
    format(moment->seconds, fraction, out);
}

bool moment_is_writable(int64_t seconds) {
    return seconds >= INT64_C(-62135596800) && seconds <= MOMENT_LAST;
}

/* Exactly `count` digits; moves behind them. */
static bool read_number(const char **at, size_t count, int *out) {
    *out = 0;
    for (size_t i = 0; i < count; i++, ++*at) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool read_mark(const char **at, char mark) {
    bool is_there = **at == mark;
    *at += is_there;
    return is_there;
}

/* The date and the time of day, each within its bounds: timegm would let 31 June be 1 July. */
static bool read_date(const char **at, struct tm *parts) {
    *parts = (struct tm){0};
    bool formed = read_number(at, 4, &parts->tm_year) && read_mark(at, '-') &&
                  read_number(at, 2, &parts->tm_mon) && read_mark(at, '-') &&
                  read_number(at, 2, &parts->tm_mday) && read_mark(at, 'T') &&
                  read_number(at, 2, &parts->tm_hour) && read_mark(at, ':') &&
                  read_number(at, 2, &parts->tm_min) && read_mark(at, ':') &&
                  read_number(at, 2, &parts->tm_sec);
    parts->tm_year -= 1900;
    parts->tm_mon--;
    struct tm same = *parts;
    (void)timegm(&same);
    return formed && same.tm_mday == parts->tm_mday && same.tm_mon == parts->tm_mon &&
           same.tm_hour == parts->tm_hour && same.tm_min == parts->tm_min &&
           same.tm_sec == parts->tm_sec;
}

/* Digits behind a dot; six of them count. */
static bool read_fraction(const char **at, bool micro, int32_t *microseconds) {
    size_t digits = 0;
    *microseconds = 0;
    if (read_mark(at, '.')) {
        for (; **at >= '0' && **at <= '9'; ++*at, digits++) {
            *microseconds = digits < 6 ? *microseconds * 10 + (**at - '0') : *microseconds;
        }
        for (size_t i = digits; i < 6; i++) {
            *microseconds *= 10;
        }
        return micro ? digits == 6 : digits > 0;
    }
    return !micro;
}

/* Z, or how far the clock that was read is ahead of UTC. */
static bool read_offset(const char **at, int *seconds) {
    int sign = **at == '-' ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    *seconds = 0;
    if (read_mark(at, 'Z')) {
        return true;
    }
    if (!read_mark(at, '+') && !read_mark(at, '-')) {
        return false;
    }
    bool formed = read_number(at, 2, &hours) && read_mark(at, ':') && read_number(at, 2, &minutes);
    *seconds = sign * (hours * 3600 + minutes * 60);
    return formed && hours < 24 && minutes < 60;
}

bool moment_read(const char *text, bool micro, struct moment *out) {
    struct tm parts;
    int offset;
    if (!read_date(&text, &parts) || !read_fraction(&text, micro, &out->microseconds) ||
        !read_offset(&text, &offset) || *text != '\0') {
        return false;
    }
    out->seconds = timegm(&parts) - offset;
    return moment_is_writable(out->seconds);
}

bool moment_parse(const char *text, time_t *out) {
    struct moment moment = {0};
    bool is_one = moment_read(text, false, &moment);
    *out = is_one ? moment.seconds : 0;
    return is_one;
}
