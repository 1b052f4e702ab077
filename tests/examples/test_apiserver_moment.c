/* Times: what Go's clients read, and what is kept of it. */
#include "moment.h"
#include "support.h"

#include <string.h>

static const struct {
    const char *text;
    bool micro;
    const char *kept; /* NULL: refused */
} rows[] = {
    {"2024-02-29T23:59:59Z", false, "2024-02-29T23:59:59Z"},
    {"2024-01-01T01:30:00+02:00", false, "2023-12-31T23:30:00Z"},
    {"2024-01-01T00:00:00-00:30", false, "2024-01-01T00:30:00Z"},
    {"2024-01-01T00:00:00.5Z", false, "2024-01-01T00:00:00Z"},
    {"1969-12-31T23:59:59Z", false, "1969-12-31T23:59:59Z"},
    {"0001-01-01T00:00:00Z", false, "0001-01-01T00:00:00Z"},
    {"9999-12-31T23:59:59Z", false, "9999-12-31T23:59:59Z"},
    {"2024-01-01T00:00:00.000001Z", true, "2024-01-01T00:00:00.000001Z"},
    {"2024-01-01T02:00:00.100000+02:00", true, "2024-01-01T00:00:00.100000Z"},
    {"", false, NULL},
    {"now", false, NULL},
    {"2024-01-01", false, NULL},
    {"2024-01-01T00:00:00", false, NULL},
    {"2024-01-01 00:00:00Z", false, NULL},
    {"2024-1-01T00:00:00Z", false, NULL},
    {"2023-02-29T00:00:00Z", false, NULL},
    {"2024-04-31T00:00:00Z", false, NULL},
    {"2024-13-01T00:00:00Z", false, NULL},
    {"2024-00-01T00:00:00Z", false, NULL},
    {"2024-01-01T24:00:00Z", false, NULL},
    {"2024-01-01T00:60:00Z", false, NULL},
    {"2024-01-01T00:00:60Z", false, NULL},
    {"2024-01-01T00:00:00.Z", false, NULL},
    {"2024-01-01T00:00:00+0200", false, NULL},
    {"2024-01-01T00:00:00+24:00", false, NULL},
    {"2024-01-01T00:00:00ZZ", false, NULL},
    {"12024-01-01T00:00:00Z", false, NULL},
    {"0001-01-01T00:00:00+01:00", false, NULL},
    {"9999-12-31T23:59:59-01:00", false, NULL},
    {"2024-01-01T00:00:00Z", true, NULL},
    {"2024-01-01T00:00:00.00000Z", true, NULL},
    {"2024-01-01T00:00:00.0000000Z", true, NULL},
};

START_TEST(a_time_is_kept_in_utc_or_refused) {
    struct moment moment = {0};
    char text[MOMENT_TEXT] = "";
    bool is_read = moment_read(rows[_i].text, rows[_i].micro, &moment);
    ck_assert_msg(is_read == (rows[_i].kept != NULL), "%s", rows[_i].text);
    if (is_read && rows[_i].micro) {
        moment_format_micro(&moment, text);
    } else if (is_read) {
        moment_format(moment.seconds, text);
    }
    ck_assert_str_eq(text, rows[_i].kept != NULL ? rows[_i].kept : "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("moment");
    TCase *cases = tcase_create("moment");
    tcase_add_loop_test(cases, a_time_is_kept_in_utc_or_refused, 0, LENGTH(rows));
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
