/*
 * openmetrics.h: is a text OpenMetrics 1.0, read as strictly as its specification allows? And what
 * does it say of one series?
 */
#ifndef IPALLOC_TEST_OPENMETRICS_H
#define IPALLOC_TEST_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>

enum { OPENMETRICS_PROBLEM = 256 };

/* true; or false, and why not with the line in `problem`. Checked: the end mark; one block a
 * family, its metadata first and once; names, label and number syntax; the suffixes of each type;
 * no series twice; of histograms the order, canonical bounds and sums of their buckets, and that
 * +Inf is there and is the count. Exemplars and timestamps are refused: we write none. */
bool openmetrics_check(const char *text, char problem[OPENMETRICS_PROBLEM]);

/* The value of `series`, spelled as in the text; NULL if it is not there. A static buffer. */
const char *openmetrics_value(const char *text, const char *series);

#endif
