/*
 * report.c: a table for people, JSON lines for programs.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 256 };

static bool result_meets(const scenario *s, const result *r) {
    return s->budget_kind == AT_MOST ? r->ratio.median <= s->budget : r->ratio.median >= s->budget;
}

/* "" where there is nothing to judge. */
static const char *verdict(const scenario *s, size_t subject_index, const result *r) {
    if (subject_index != 1 || s->budget_kind == NO_BUDGET)
        return "";
    if (r->rounds == 0)
        return "not measured";
    return result_meets(s, r) ? "met" : "missed";
}

/* --- JSON lines ------------------------------------------------------------------------------- */

static void json_number(FILE *out, const char *name, double value) {
    if (isnan(value))
        fprintf(out, ",\"%s\":null", name);
    else
        fprintf(out, ",\"%s\":%.6g", name, value);
}

static void json_line(FILE *out, const scenario *s, size_t subject_index, const result *r) {
    fprintf(out, "{\"case\":\"%s\",\"subject\":\"%s\",\"unit\":\"%s\"", s->name,
            s->subjects[subject_index].name, s->unit);
    json_number(out, "median", r->value.median);
    json_number(out, "spread", r->value.spread);
    json_number(out, "ratio_to_limit", subject_index == 0 ? 1 : r->ratio.median);
    json_number(out, "ratio_spread", subject_index == 0 ? 0 : r->ratio.spread);
    fprintf(out, ",\"rounds\":%u,\"rounds_repeated\":%u", r->rounds, r->repeated);
    if (*verdict(s, subject_index, r) != '\0') {
        json_number(out, s->budget_kind == AT_MOST ? "budget_max" : "budget_min", s->budget);
        fprintf(out, ",\"verdict\":\"%s\"", verdict(s, subject_index, r));
    }
    fprintf(out, "}\n");
    fflush(out);
}

/* The processor's name without what JSON would have to escape. */
static void processor_name(char out[LINE_MAX_BYTES]) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[LINE_MAX_BYTES];
    snprintf(out, LINE_MAX_BYTES, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        snprintf(out, LINE_MAX_BYTES, "%s", colon + 2);
        out[strcspn(out, "\n\"\\")] = '\0';
        break;
    }
    if (file != NULL)
        fclose(file);
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void json_machine(FILE *out, bool quick) {
    char processor[LINE_MAX_BYTES];
    processor_name(processor);
    fprintf(out, "{\"processor\":\"%s\",\"cores\":%ld,\"compiler\":\"%s\",\"form\":\"%s\"}\n",
            processor, sysconf(_SC_NPROCESSORS_ONLN), COMPILER, quick ? "quick" : "full");
}

/* --- the table -------------------------------------------------------------------------------- */

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

/* --- both ------------------------------------------------------------------------------------- */

void report_head(const report *r, bool quick) {
    if (r->table)
        printf("%-38s %-12s %14s %7s %9s %9s  %s\n", "case", "subject", "median", "spread",
               "x limit", "budget", "verdict");
    if (r->json)
        json_machine(stdout, quick);
    if (r->lines != NULL)
        json_machine(r->lines, quick);
}

void report_scenario(const report *r, const scenario *s, const result results[SUBJECTS_MAX]) {
    for (size_t i = 0; i < s->subject_count; i++) {
        if (r->table)
            table_line(s, i, &results[i]);
        if (r->json)
            json_line(stdout, s, i, &results[i]);
        if (r->lines != NULL)
            json_line(r->lines, s, i, &results[i]);
    }
    fflush(stdout);
}
