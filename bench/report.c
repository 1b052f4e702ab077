/*
 * report.c: a table for people, JSON lines for programs.
 */
#include "bench.h"

#include <stdio.h>

bool result_meets(const scenario *s, const result *r) {
    switch (s->budget_kind) {
    case AT_MOST:
        return r->ratio.median <= s->budget;
    case AT_LEAST:
        return r->ratio.median >= s->budget;
    case NO_BUDGET:
        break;
    }
    return true;
}

void report_head(bool json) {
    if (!json)
        printf("%-38s %-12s %14s %7s %9s %9s  %s\n", "case", "subject", "median", "spread",
               "x limit", "budget", "verdict");
}

static const char *verdict(const scenario *s, size_t subject_index, const result *r) {
    if (subject_index != 1 || s->budget_kind == NO_BUDGET)
        return "";
    if (r->rounds == 0)
        return "not measured";
    return result_meets(s, r) ? "met" : "missed";
}

static void json_number(const char *name, double value) {
    if (isnan(value))
        printf(",\"%s\":null", name);
    else
        printf(",\"%s\":%.6g", name, value);
}

static void json_line(const scenario *s, size_t subject_index, const result *r) {
    printf("{\"case\":\"%s\",\"subject\":\"%s\",\"unit\":\"%s\"", s->name,
           s->subjects[subject_index].name, s->unit);
    json_number("median", r->value.median);
    json_number("spread", r->value.spread);
    json_number("ratio_to_limit", subject_index == 0 ? 1 : r->ratio.median);
    json_number("ratio_spread", subject_index == 0 ? 0 : r->ratio.spread);
    printf(",\"rounds\":%u,\"rounds_repeated\":%u", r->rounds, r->repeated);
    if (*verdict(s, subject_index, r) != '\0') {
        json_number(s->budget_kind == AT_MOST ? "budget_max" : "budget_min", s->budget);
        printf(",\"verdict\":\"%s\"", verdict(s, subject_index, r));
    }
    printf("}\n");
}

static void table_line(const scenario *s, size_t subject_index, const result *r) {
    char value[32], ratio[16] = "", budget[16] = "";
    if (r->rounds == 0) { /* the machine was too busy: every round was thrown away */
        printf("%-38s %-12s %14s\n", s->name, s->subjects[subject_index].name, "not measured");
        return;
    }
    snprintf(value, sizeof value, r->value.median < 1000 ? "%.2f %s" : "%.0f %s", r->value.median,
             s->unit);
    if (subject_index != 0)
        snprintf(ratio, sizeof ratio, "%.2f", r->ratio.median);
    if (subject_index == 1 && s->budget_kind != NO_BUDGET)
        snprintf(budget, sizeof budget, "%s %g",
                 s->budget_kind == AT_MOST ? "<=" : ">=", s->budget);
    printf("%-38s %-12s %14s %5.0f %% %9s %9s  %s\n", s->name, s->subjects[subject_index].name,
           value, r->value.spread * 100, ratio, budget, verdict(s, subject_index, r));
}

void report_line(bool json, const scenario *s, size_t subject_index, const result *r) {
    if (json)
        json_line(s, subject_index, r);
    else
        table_line(s, subject_index, r);
    fflush(stdout);
}
