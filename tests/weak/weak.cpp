/*
 * weak.cpp: the programs of weak.h, run by Relacy.
 *
 * bitmap.c is compiled here, as C++ and with relacy_atomic.h behind its atomics. What each thread
 * holds is also noted outside of the model (`holder`), right after the exchange that claims and
 * right before the one that releases, so that a double shows at once.
 * The search is repeated from the same start, so nothing here may differ between two runs: memory
 * is static, random numbers are counted.
 */
#include "relacy_atomic.h"

/* The plain forms: the others may look at the words without atomics. */
#define bits_fast_supported bits_fast_supported_here
#include "core/bits.h"
#undef bits_fast_supported
static bool bits_fast_supported(void) {
    return false;
}

#include "core/bitmap.c"
#if __has_include("core/bitmap_claim.c")
#include "core/bitmap_claim.c"
#include "core/bitmap_random.c"
#include "core/bitmap_walk.c"
#endif

enum {
    CELLS_MAX = 64,
    ARENA_BYTES = 8192,
    PLACES_MAX = 8,
    SITES_MAX = 128,
    STEPS_TO_LIVELOCK = 4000,
    NOBODY = -1,
    KEPT = -2,    /* held from before the threads start */
    ANYBODY = -3, /* released by several: whoever is first, nobody keeps account */
};

static const weak_program *running;
static weak_search searching;
static bool preparing; /* or looking back: only one thread runs */

static weak_site sites[SITES_MAX];
static unsigned site_count;
static uint64_t weakenings_used;

/* ---- what relacy_atomic.h asks for ---- */

alignas(relacy_cell) static unsigned char cells[CELLS_MAX][sizeof(relacy_cell)];
static unsigned cell_count;

void *relacy_new_cell(void) {
    if (cell_count == CELLS_MAX)
        abort();
    return cells[cell_count++];
}

static void destroy_cells(void) {
    while (cell_count > 0)
        reinterpret_cast<relacy_cell *>(cells[--cell_count])->~relacy_cell();
}

/* In an exhaustive search each would double the executions, for a retry that contention tries too.
 */
bool relacy_spurious_failures(void) {
    return searching.random_executions > 0 && !preparing;
}

static void note_site(enum weak_kind kind, const char *function, unsigned line) {
    unsigned at = 0;
    while (at < site_count &&
           (sites[at].line < line || (sites[at].line == line && sites[at].kind < kind)))
        at++;
    if (at < site_count && sites[at].line == line && sites[at].kind == kind)
        return;
    if (site_count == SITES_MAX)
        abort();
    memmove(sites + at + 1, sites + at, (site_count - at) * sizeof *sites);
    sites[at] = weak_site{kind, line, function};
    site_count++;
}

const weak_site *weak_sites(unsigned *count) {
    *count = site_count;
    return sites;
}

rl::memory_order relacy_order(enum weak_kind kind, rl::memory_order usual, const char *function,
                              unsigned line) {
    static const rl::memory_order ORDERS[] = {rl::mo_relaxed, rl::mo_acquire, rl::mo_release,
                                              rl::mo_acq_rel};
    const weakening *weakened = &searching.weakened;
    if (preparing)
        return usual;
    note_site(kind, function, line);
    if (weakened->kind != kind || (weakened->line != 0 && weakened->line != line) ||
        (weakened->function != NULL && strstr(function, weakened->function) == NULL))
        return usual;
    weakenings_used++;
    return ORDERS[weakened->order];
}

/* What assert calls when it fails. */
extern "C" [[noreturn]] void __assert_fail(const char *condition, const char *, unsigned line,
                                           const char *function) noexcept {
    rl::ctx().fail_test(condition, rl::test_result_user_assert_failed,
                        rl::debug_info(function, "bitmap.c", line));
    abort();
}

/* ---- what bitmap.c asks for: hooks without a heap ---- */

alignas(64) static unsigned char arena[ARENA_BYTES];
static uint64_t randoms[WEAK_THREADS_MAX];

void *hooks_alloc(const hooks *, size_t bytes) {
    return bytes <= sizeof arena ? arena : NULL;
}

void *hooks_alloc_zeroed(const hooks *, size_t bytes) {
    return bytes <= sizeof arena ? memset(arena, 0, bytes) : NULL;
}

void hooks_free(const hooks *, void *) {
}

uint64_t hooks_random_hooked(hooks *) {
    return random_mix(preparing ? 1 : ++randoms[rl::thread_index()]);
}

uint64_t hooks_random_below(hooks *h, uint64_t bound) {
    return hooks_random_hooked(h) % bound;
}

/* ---- an execution ---- */

static bitmap *map;
static hooks h;
static int holder[PLACES_MAX];
static uint64_t places[PLACES_MAX]; /* the numbers that the program is about */
static unsigned place_count;

static void add_place(uint64_t number) {
    for (unsigned i = 0; i < place_count; i++) {
        if (places[i] == number)
            return;
    }
    if (place_count == PLACES_MAX)
        abort();
    places[place_count++] = number;
}

static bool has_number(enum weak_verb verb) {
    return verb == TAKE || verb == RELEASE || verb == RELEASE_ANY || verb == LOOKUP;
}

static void collect_places(void) {
    place_count = 0;
    for (uint64_t free_number : running->free) {
        if (free_number != 0)
            add_place(free_number - 1);
    }
    for (auto &steps : running->threads)
        for (const weak_step &step : steps)
            if (has_number(step.verb))
                add_place(step.number);
}

static unsigned place_of(uint64_t number) {
    for (unsigned i = 0; i < place_count; i++) {
        if (places[i] == number)
            return i;
    }
    rl::ctx().fail_test("a number that was never free", rl::test_result_user_assert_failed, $);
    return 0;
}

static void require(bool condition, const char *what) {
    if (!condition)
        rl::ctx().fail_test(what, rl::test_result_user_assert_failed, $);
}

template <typename word> static uint64_t claim_all(word *numbers) {
    if constexpr (requires { bitmap_claim_many(map, &h, BITMAP_LOWEST, 0, 0, 0, numbers); })
        return bitmap_claim_many(map, &h, BITMAP_LOWEST, 0, running->size, running->size, numbers);
    else
        return bitmap_claim_many(map, &h, 0, running->size, running->size, numbers);
}

/* All taken but the program's free numbers, with the flags as the program wants them. */
static void prepare_map(void) {
    uint64_t numbers[LEVELS_MAX * 8 * WORD_BITS], stamp, number;
    if (running->size > sizeof numbers / sizeof *numbers ||
        (map = bitmap_create(&h, running->size)) == NULL)
        abort();
    require(claim_all(numbers) == running->size, "not all could be taken");
    if (running->flags == CLOSED)
        require(bitmap_prove_full(map, &stamp, &number), "not full at the start");
    for (number = 0; running->flags == STALE && number < running->size; number += LINE_BITS) {
        bitmap_release(map, number);
        bitmap_take(map, number);
    }
    for (uint64_t free_number : running->free) {
        if (free_number != 0)
            bitmap_release(map, free_number - 1);
    }
}

static void prepare_holders(void) {
    for (unsigned i = 0; i < place_count; i++)
        holder[i] = KEPT;
    for (uint64_t free_number : running->free) {
        if (free_number != 0)
            holder[place_of(free_number - 1)] = NOBODY;
    }
    for (auto &steps : running->threads)
        for (const weak_step &step : steps)
            if (step.verb == RELEASE_ANY)
                holder[place_of(step.number)] = ANYBODY;
}

template <int threads> struct execution : rl::test_suite<execution<threads>, threads> {
    rl::var<int> payload[PLACES_MAX];
    rl::var<int> note;
    rl::atomic<int> signal, mark;
    bool last_answer[threads];
    uint64_t stamps[threads];
    bool proved[threads];

    void before() {
        preparing = true;
        cell_count = 0;
        memset(randoms, 0, sizeof randoms);
        for (auto &one : payload)
            one($) = 0;
        note($) = 0;
        signal.store(0, rl::mo_relaxed, $);
        mark.store(0, rl::mo_relaxed, $);
        prepare_map();
        prepare_holders();
        preparing = false;
    }

    void claimed(int self, uint64_t number) {
        unsigned place = place_of(number);
        if (holder[place] == ANYBODY)
            return;
        require(holder[place] == NOBODY, "a number given out twice");
        holder[place] = self;
        int before_me = payload[place]($);
        payload[place]($) = before_me + 1;
    }

    bool release(int self, uint64_t number) {
        unsigned place = place_of(number);
        require(holder[place] == self || holder[place] == KEPT, "a program that makes no sense");
        int mine = payload[place]($);
        payload[place]($) = mine + 1;
        holder[place] = NOBODY;
        require(bitmap_release(map, number), "a release of a held number did nothing");
        return true;
    }

    bool take(int self, uint64_t number) {
        if (!bitmap_take(map, number))
            return false;
        claimed(self, number);
        return true;
    }

    bool claim(int self) {
        uint64_t number;
        if (!bitmap_claim_any(map, &h, BITMAP_LOWEST, 0, running->size, &number))
            return false;
        claimed(self, number);
        return true;
    }

    /* As a range does it. */
    bool allocate(int self, enum bitmap_choice choice) {
        uint64_t number;
        for (;;) {
            if (bitmap_claim_any(map, &h, choice, 0, running->size, &number)) {
                claimed(self, number);
                return true;
            }
            if (bitmap_prove_full(map, &stamps[self], &number)) {
                proved[self] = true;
                return false;
            }
            if (take(self, number))
                return true;
        }
    }

    bool must_allocate(int self, enum bitmap_choice choice, bool must) {
        bool got = allocate(self, choice);
        require(got || !must, "FULL while something is free");
        return got;
    }

    bool dry_run(int self) {
        uint64_t number;
        if (bitmap_find_any(map, &h, BITMAP_LOWEST, 0, running->size, NULL, NULL, &number))
            return true;
        proved[self] = bitmap_prove_full(map, &stamps[self], &number);
        return !proved[self];
    }

    bool still(int self, bool must_be_over) {
        bool holds = proved[self] && bitmap_still_full(map, stamps[self]);
        require(!(holds && must_be_over), "an old proof of FULL holds after a release");
        return holds;
    }

    bool perform(int self, weak_step step, bool yes) {
        uint64_t number;
        switch (step.verb) {
        case ALLOCATE:
            return must_allocate(self, BITMAP_RANDOM, false);
        case LOWEST:
            return must_allocate(self, BITMAP_LOWEST, false);
        case MUST_ALLOCATE:
            return must_allocate(self, BITMAP_RANDOM, true);
        case MUST_LOWEST:
            return must_allocate(self, BITMAP_LOWEST, true);
        case LOWEST_IF:
            return must_allocate(self, BITMAP_LOWEST, yes);
        case CLAIM:
            return claim(self);
        case TAKE:
            return take(self, step.number);
        case RELEASE:
            return release(self, step.number);
        case RELEASE_ANY:
            return !bitmap_release(map, step.number);
        case LOOKUP:
            return !bitmap_is_taken(map, step.number);
        case DRY_RUN:
            return dry_run(self);
        case PROVE:
            return proved[self] = bitmap_prove_full(map, &stamps[self], &number);
        case SIGNAL:
            signal.fetch_add(1, rl::mo_release, $);
            return true;
        case MARK:
            mark.fetch_add(1, rl::mo_seq_cst, $);
            return true;
        case MARKED:
            return mark.load(rl::mo_seq_cst, $) != 0;
        case NOT_FULL:
            return !bitmap_prove_full(map, &stamps[self], &number);
        case OVER:
            return !still(self, false);
        case SIGNALLED:
            return signal.load(rl::mo_acquire, $) != 0;
        case STILL_IF:
            return still(self, yes);
        case WRITE_NOTE:
            note($) = self;
            return true;
        case READ_NOTE_UNLESS:
            return yes || (int)note($) >= 0;
        case END:
            break;
        }
        return false;
    }

    void thread(unsigned index) {
        bool yes = false;
        proved[index] = false;
        for (const weak_step &step : running->threads[index]) {
            if (step.verb == END)
                break;
            yes = perform((int)index, step, yes);
        }
        last_answer[index] = yes;
    }

    void check_place(unsigned place) {
        uint64_t number = places[place];
        bool taken = bitmap_is_taken(map, number);
        require(holder[place] == ANYBODY || taken == (holder[place] != NOBODY),
                "a number lost or given back by nobody");
        require(taken || bitmap_claim_any(map, &h, BITMAP_LOWEST, number, number + 1, &number),
                "at rest, a claim does not find what is free");
    }

    /* At rest: the flags are right, the leaves are what the threads say, and claims find it all. */
    void after() {
        uint64_t number;
        preparing = true;
        bool any_yes = false;
        for (bool yes : last_answer)
            any_yes = any_yes || yes;
        require(any_yes || !running->one_yes, "no one order explains the answers");
        require(bitmap_validate(map), "a free number without its flags is left");
        for (unsigned i = 0; i < place_count; i++)
            check_place(i);
        require(bitmap_prove_full(map, &stamps[0], &number), "at rest, FULL is not found");
        bitmap_destroy(&h, map);
        destroy_cells();
    }
};

/* ---- the search ---- */

template <int threads> static void simulate(rl::test_params *params) {
    rl::simulate<execution<threads>>(*params);
}

/* Relacy writes while its own operator new is in force, so the text goes where nobody allocates. */
class output : public std::streambuf {
  public:
    output() {
        setp(text, text + sizeof text - 1);
    }
    const char *finish() {
        *pptr() = '\0';
        return text;
    }

  private:
    char text[64 * 1024]; /* a history longer than this is cut off */
};

/* The line after the name of the suite. */
static void first_line(const char *text, char *what, size_t size) {
    const char *begin = strchr(text, '\n');
    if (begin != NULL)
        snprintf(what, size, "%.*s", (int)strcspn(begin + 1, "\n"), begin + 1);
}

weak_result weak_run(const weak_program *program, const weak_search *search, bool verbose) {
    running = program;
    searching = *search;
    weakenings_used = 0;
    collect_places();
    output said;
    std::ostream stream(&said), nowhere(NULL);
    rl::test_params params;
    params.output_stream = &stream;
    params.progress_stream = &nowhere;
    params.execution_depth_limit = STEPS_TO_LIVELOCK;
    params.search_type = search->random_executions > 0 ? rl::sched_random : rl::sched_bound;
    params.iteration_count = search->random_executions;
    params.context_bound = program->switches + search->more_switches - search->fewer_switches;
    if (program->threads[2][0].verb != END)
        simulate<3>(&params);
    else
        simulate<2>(&params);
    weak_result result = {};
    result.failed = params.test_result != rl::test_result_success;
    result.data_race = params.test_result == rl::test_result_data_race;
    result.executions = params.stop_iteration;
    result.weakened = weakenings_used > 0;
    if (result.failed) {
        const char *text = said.finish();
        first_line(text, result.what, sizeof result.what);
        if (verbose)
            fputs(text, stderr);
    }
    return result;
}
