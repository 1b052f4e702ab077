/*
 * cluster.h: many servers that draw from one range by what each has heard, simulated.
 *
 * The truth is one list of free addresses. What a server believes is the truth as it was `lag`
 * earlier, but for its own commits and claims, which it knows at once. A request draws uniformly
 * from what its server believes to be free, its commit is judged `commit_time` later, and where
 * another was faster the server takes in all that it has not heard and draws again. Each address
 * that is given out is made up for by the release of a random one, so that the range stays as full
 * as it is. Times are in seconds and pass only here: the same seed gives the same figures anywhere.
 */
#ifndef BENCH_SCALE_CLUSTER_H
#define BENCH_SCALE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scale_case {
    uint32_t addresses;
    uint32_t free_at_first; /* and on average afterwards */
    uint32_t servers;
    double rate;        /* requests a second, of all servers together */
    double lag;         /* until the others have heard of a commit */
    double commit_time; /* from the draw to the instant that decides */
    uint64_t requests;
    uint64_t warm_up; /* of them, not counted */
    bool lags_differ; /* each server has its own lag, exponential around the mean */
    uint64_t seed;
} scale_case;

typedef struct scale_result {
    uint64_t requests;        /* that were counted and got an address */
    uint64_t draws;           /* of theirs, committed or in conflict */
    uint64_t conflicts;       /* of those */
    uint64_t first_conflicts; /* of the first draws of requests */
    uint64_t confirmed;       /* requests whose server saw nothing free and asked the store */
    uint64_t full;            /* of these, those for which nothing was free indeed */
    uint32_t draws_max;       /* of one request */
    uint32_t draws_99;        /* so many or fewer in 99 of 100 requests */
} scale_result;

/* False where there is no memory. */
bool scale_simulate(const scale_case *c, scale_result *out);

/* The probability that a request's first draw is in conflict, by the formula. Others commit
 * r = rate * (1 - 1/servers) a second, and as many addresses are released. Of the F free ones, the
 * part u = r * lag / F was released so lately that the others have not heard: nobody draws those,
 * so that each of the rest is taken with the hazard h = r / (F * (1 - u)). What a server believes
 * to be free was free one lag ago; the part u of it was fresh then, and exposed for part of the lag
 * only. So there is no conflict with the probability exp(-h * commit_time) * ((1 - u) * exp(-h *
 * lag) + u * (1 - exp(-h * lag)) / (h * lag)); where little is unheard, a conflict's is r * (lag +
 * commit_time) / F. Where u reaches 1, all that is free is known to its releasers only. Lags that
 * differ are taken by their mean. */
double scale_first_conflict(const scale_case *c);

/* Draws of a request on average: who has taken in everything is exposed for two round trips only.
 */
double scale_draws(const scale_case *c);

#endif
