/* show_place.c: ipallocctl show. */
#include "command.h"

#include <string.h>

/* In the order of the answer; those that are absent are left out. */
static const struct {
    const char *title;
    const char *member;
} lines[] = {
    {"Address", "address"},
    {"Port", "port"},
    {"State", "state"},
    {"Owner", "owner"},
    {"Slots", "slots"},
    {"Generation", "generation"},
    {"Since", "since"},
    {"Last owner", "lastOwner"},
    {"Released", "releasedAt"},
    {"Free again", "freeAt"},
    {"Excluded from", "excludedFirst"},
    {"Excluded to", "excludedLast"},
    {"Pool", "pool"},
    {"Range", "range"},
    {"Band", "band"},
};

static void show_place(const struct invocation *invocation, struct table *table,
                       struct json_object *place) {
    struct text buffer = {0};
    struct text clean = {0};
    (void)invocation;
    (void)table;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (json_member(place, lines[i].member) != NULL) {
            text_clear(&clean);
            show_add_clean(&clean, show_text(place, lines[i].member, &buffer));
            printf("%s:%*s%s\n", lines[i].title, (int)(15 - strlen(lines[i].title)), "",
                   clean.data != NULL ? clean.data : "");
        }
    }
    if (json_member_truth(place, "draining", false)) {
        puts("Draining:       yes: nothing more is given out of this range");
    }
    text_clear(&buffer);
    text_clear(&clean);
}

const struct command command_show = {
    .name = "show",
    .operation = "show",
    .summary = "all that is known of one address or port",
    .usage = "ADDRESS|PORT [--pool POOL] (--store=STORE | --server=URL) [-o table|json]",
    .help =
        "Who holds it, or why it is not given out: it cools after a release, it is excluded, or\n"
        "it is an end of its range. A port that is in several pools is shown for each.\n"
        "\n"
        "  ipallocctl show 10.96.0.10 --store=sqlite:services.db\n",
    .positionals = {"place"},
    .options = {{.flag = "--pool", .argument = "pool"}},
    .show_item = show_place,
};
