/*
 * cooldown.c: the nodes and the four heaps behind cooldown.h.
 *
 * May use: base/, core/rest_clock.h. A node is found by its id. Laid out, the id is the number
 * itself and one bit says whether it is in use, so that nothing needs clearing. Otherwise ids come
 * from a free list and a hash table (open addressing, closed up on removal) leads from the number
 * to its id. Invariant: a node in use stands in exactly one heap, and heap.ids[node.position] is
 * its id.
 */
#include "core/cooldown.h"

#include "core/rest_clock.h"

#include <assert.h>
#include <string.h>

enum { HEAPS = 4, CAPACITY_MIN = 16 };

#define NO_ID   UINT32_MAX
#define IDS_MAX ((uint64_t)UINT32_MAX) /* ids are 32 bits, one of them means "none" */

typedef struct node {
    uint64_t since;    /* on the clock that never goes back */
    uint64_t sequence; /* breaks ties: first come, first out */
    uint32_t position; /* in its heap; the next free id where the node is free */
    uint32_t heap;
} node;

typedef struct heap {
    uint32_t *ids;
    uint32_t count, capacity;
} heap;

struct cooldown {
    const hooks *hooks;
    cooldown_options options;
    rest_clock clock;
    uint64_t next_sequence;
    node *nodes;
    heap heaps[HEAPS];
    uint64_t *in_use; /* laid out: one bit a number */
    u128 *numbers;    /* otherwise: by id */
    uint32_t *index;  /* otherwise: hash table of ids, NO_ID for empty */
    uint32_t node_count, node_capacity, first_free_id;
    uint64_t index_capacity, seed;
};

/* --- making and unmaking -----------------------------------------------------------------------
 */

static int heap_number(int side, enum cooldown_state state) {
    return side * 2 + (state == COOLDOWN_RESTED);
}

static int side_of(const cooldown *c, u128 number) {
    return number >= c->options.split;
}

static bool lay_out_heap(cooldown *c, int side, enum cooldown_state state) {
    const cooldown_options *o = &c->options;
    heap *queue = &c->heaps[heap_number(side, state)];
    uint64_t capacity = (uint64_t)(side == 0 ? o->split : o->size - o->split);
    if (capacity == 0 || (state == COOLDOWN_RESTED && !o->keep_rested))
        return true;
    queue->ids = hooks_alloc(c->hooks, capacity * sizeof *queue->ids);
    queue->capacity = (uint32_t)capacity;
    return queue->ids != NULL;
}

static bool lay_out(cooldown *c) {
    size_t size = (size_t)c->options.size;
    if (size == 0)
        return true;
    c->nodes = hooks_alloc(c->hooks, size * sizeof *c->nodes);
    c->in_use = hooks_alloc_zeroed(c->hooks, (size + 63) / 64 * sizeof *c->in_use);
    bool enough = c->nodes != NULL && c->in_use != NULL;
    for (int side = 0; side < 2; side++)
        enough = enough && lay_out_heap(c, side, COOLDOWN_RESTING) &&
                 lay_out_heap(c, side, COOLDOWN_RESTED);
    return enough;
}

cooldown *cooldown_create(const hooks *h, const cooldown_options *options) {
    assert(!options->laid_out || options->size < IDS_MAX);
    cooldown *c = hooks_alloc_zeroed(h, sizeof *c);
    if (c == NULL)
        return NULL;
    c->hooks = h;
    c->clock.hooks = h;
    c->options = *options;
    c->first_free_id = NO_ID;
    c->seed = (uint64_t)(uintptr_t)c * 0x9e3779b97f4a7c15u;
    if (options->laid_out && !lay_out(c)) {
        cooldown_destroy(c);
        return NULL;
    }
    cooldown_now(c);
    return c;
}

void cooldown_destroy(cooldown *c) {
    if (c == NULL)
        return;
    for (int i = 0; i < HEAPS; i++)
        hooks_free(c->hooks, c->heaps[i].ids);
    hooks_free(c->hooks, c->nodes);
    hooks_free(c->hooks, c->in_use);
    hooks_free(c->hooks, c->numbers);
    hooks_free(c->hooks, c->index);
    hooks_free(c->hooks, c);
}

/* --- the clock ---------------------------------------------------------------------------------
 */

uint64_t cooldown_now(cooldown *c) {
    return rest_clock_now(&c->clock);
}

static uint64_t since_of(cooldown *c, uint64_t released_at_wall_ms) {
    cooldown_now(c);
    return rest_clock_since(&c->clock, released_at_wall_ms);
}

/* --- heaps -------------------------------------------------------------------------------------
 */

static bool older(const cooldown *c, uint32_t a, uint32_t b) {
    const node *left = &c->nodes[a], *right = &c->nodes[b];
    return left->since != right->since ? left->since < right->since
                                       : left->sequence < right->sequence;
}

static void place(cooldown *c, heap *queue, uint32_t position, uint32_t id) {
    queue->ids[position] = id;
    c->nodes[id].position = position;
}

static void sift_up(cooldown *c, heap *queue, uint32_t position) {
    uint32_t id = queue->ids[position];
    while (position > 0 && older(c, id, queue->ids[(position - 1) / 2])) {
        place(c, queue, position, queue->ids[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    place(c, queue, position, id);
}

static void sift_down(cooldown *c, heap *queue, uint32_t position) {
    uint32_t id = queue->ids[position];
    for (;;) {
        uint64_t child = (uint64_t)position * 2 + 1;
        if (child + 1 < queue->count && older(c, queue->ids[child + 1], queue->ids[child]))
            child++;
        if (child >= queue->count || older(c, id, queue->ids[child]))
            break;
        place(c, queue, position, queue->ids[child]);
        position = (uint32_t)child;
    }
    place(c, queue, position, id);
}

static void heap_insert(cooldown *c, int which, uint32_t id) {
    heap *queue = &c->heaps[which];
    assert(queue->count < queue->capacity);
    c->nodes[id].heap = (uint32_t)which;
    place(c, queue, queue->count++, id);
    sift_up(c, queue, queue->count - 1);
}

static void heap_remove(cooldown *c, uint32_t id) {
    heap *queue = &c->heaps[c->nodes[id].heap];
    uint32_t position = c->nodes[id].position;
    assert(position < queue->count && queue->ids[position] == id);
    uint32_t last = queue->ids[--queue->count];
    if (last == id)
        return;
    place(c, queue, position, last);
    sift_up(c, queue, position);
    sift_down(c, queue, c->nodes[last].position);
}

static bool heap_reserve(cooldown *c, heap *queue, uint64_t wanted) {
    if (wanted <= queue->capacity)
        return true;
    uint64_t capacity = queue->capacity > 0 ? (uint64_t)queue->capacity * 2 : CAPACITY_MIN;
    if (capacity > IDS_MAX)
        return false;
    uint32_t *ids = hooks_realloc(c->hooks, queue->ids, capacity * sizeof *ids);
    if (ids == NULL)
        return false;
    queue->ids = ids;
    queue->capacity = (uint32_t)capacity;
    return true;
}

/* --- from number to node -----------------------------------------------------------------------
 */

static u128 number_of(const cooldown *c, uint32_t id) {
    return c->options.laid_out ? id : c->numbers[id];
}

static uint64_t home_of(const cooldown *c, u128 number) {
    uint64_t high = random_mix((uint64_t)(number >> 64) ^ c->seed);
    return random_mix((uint64_t)number + high) & (c->index_capacity - 1);
}

/* The index entry of `number`, or the empty one where it belongs. */
static uint64_t index_position(const cooldown *c, u128 number) {
    uint64_t position = home_of(c, number);
    while (c->index[position] != NO_ID && c->numbers[c->index[position]] != number)
        position = (position + 1) & (c->index_capacity - 1);
    return position;
}

static uint32_t id_of(const cooldown *c, u128 number) {
    if (c->options.laid_out) {
        uint64_t small = (uint64_t)number;
        return c->in_use[small / 64] >> (small % 64) & 1 ? (uint32_t)small : NO_ID;
    }
    return c->index_capacity == 0 ? NO_ID : c->index[index_position(c, number)];
}

/* Twice as many index entries as nodes at least, so that probing stays short. */
static bool grow_index(cooldown *c) {
    uint64_t capacity = c->index_capacity > 0 ? c->index_capacity * 2 : CAPACITY_MIN;
    uint32_t *index = hooks_alloc(c->hooks, capacity * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0xff, capacity * sizeof *index); /* NO_ID everywhere */
    uint32_t *old = c->index;
    uint64_t old_capacity = c->index_capacity;
    c->index = index;
    c->index_capacity = capacity;
    for (uint64_t i = 0; i < old_capacity; i++)
        if (old[i] != NO_ID)
            index[index_position(c, c->numbers[old[i]])] = old[i];
    hooks_free(c->hooks, old);
    return true;
}

static bool grow_nodes(cooldown *c) {
    uint64_t capacity = c->node_capacity > 0 ? (uint64_t)c->node_capacity * 2 : CAPACITY_MIN;
    if (capacity > IDS_MAX)
        return false;
    u128 *numbers = hooks_realloc(c->hooks, c->numbers, capacity * sizeof *numbers);
    if (numbers == NULL)
        return false;
    c->numbers = numbers;
    node *nodes = hooks_realloc(c->hooks, c->nodes, capacity * sizeof *nodes);
    if (nodes == NULL)
        return false;
    c->nodes = nodes;
    c->node_capacity = (uint32_t)capacity;
    return true;
}

uint64_t cooldown_total(const cooldown *c) {
    uint64_t count = 0;
    for (int i = 0; i < HEAPS; i++)
        count += c->heaps[i].count;
    return count;
}

/* Everything that one more number may need, so that nothing can fail after this. */
static bool make_room(cooldown *c, int side) {
    if (c->options.laid_out)
        return true;
    uint64_t in_use = cooldown_total(c);
    if ((in_use + 1) * 2 > c->index_capacity && !grow_index(c))
        return false;
    if (c->first_free_id == NO_ID && c->node_count == c->node_capacity && !grow_nodes(c))
        return false;
    heap *resting = &c->heaps[heap_number(side, COOLDOWN_RESTING)];
    heap *rested = &c->heaps[heap_number(side, COOLDOWN_RESTED)];
    uint64_t wanted = (uint64_t)resting->count + rested->count + 1;
    return heap_reserve(c, resting, wanted) &&
           (!c->options.keep_rested || heap_reserve(c, rested, wanted));
}

static uint32_t new_id(cooldown *c, u128 number) {
    if (c->options.laid_out) {
        uint64_t small = (uint64_t)number;
        c->in_use[small / 64] |= (uint64_t)1 << (small % 64);
        return (uint32_t)small;
    }
    uint32_t id = c->first_free_id;
    if (id != NO_ID)
        c->first_free_id = c->nodes[id].position;
    else
        id = c->node_count++;
    c->numbers[id] = number;
    c->index[index_position(c, number)] = id;
    return id;
}

static void drop_from_index(cooldown *c, u128 number) {
    uint64_t mask = c->index_capacity - 1;
    uint64_t hole = index_position(c, number);
    for (uint64_t next = (hole + 1) & mask; c->index[next] != NO_ID; next = (next + 1) & mask) {
        uint64_t home = home_of(c, c->numbers[c->index[next]]);
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; /* its home lies behind the hole */
        c->index[hole] = c->index[next];
        hole = next;
    }
    c->index[hole] = NO_ID;
}

static void free_id(cooldown *c, uint32_t id) {
    if (c->options.laid_out) {
        c->in_use[id / 64] &= ~((uint64_t)1 << (id % 64));
        return;
    }
    drop_from_index(c, c->numbers[id]);
    c->nodes[id].position = c->first_free_id;
    c->first_free_id = id;
}

/* --- what the header offers --------------------------------------------------------------------
 */

int cooldown_put(cooldown *c, u128 number, uint64_t released_at_wall_ms) {
    assert(number < c->options.size && id_of(c, number) == NO_ID);
    uint64_t since = since_of(c, released_at_wall_ms);
    int side = side_of(c, number);
    if (!make_room(c, side))
        return IPALLOC_E_NOMEM;
    uint32_t id = new_id(c, number);
    c->nodes[id] = (node){.since = since, .sequence = c->next_sequence++};
    bool rested = c->options.keep_rested && c->options.rest_ms == 0;
    heap_insert(c, heap_number(side, rested ? COOLDOWN_RESTED : COOLDOWN_RESTING), id);
    return IPALLOC_OK;
}

enum cooldown_state cooldown_state_of(const cooldown *c, u128 number) {
    uint32_t id = id_of(c, number);
    if (id == NO_ID)
        return COOLDOWN_ABSENT;
    return c->nodes[id].heap % 2 == 0 ? COOLDOWN_RESTING : COOLDOWN_RESTED;
}

bool cooldown_remove(cooldown *c, u128 number) {
    uint32_t id = id_of(c, number);
    if (id == NO_ID)
        return false;
    heap_remove(c, id);
    free_id(c, id);
    return true;
}

static uint32_t oldest_resting_id(const cooldown *c) {
    const heap *low = &c->heaps[heap_number(0, COOLDOWN_RESTING)];
    const heap *high = &c->heaps[heap_number(1, COOLDOWN_RESTING)];
    if (low->count == 0)
        return high->count == 0 ? NO_ID : high->ids[0];
    if (high->count == 0)
        return low->ids[0];
    return older(c, low->ids[0], high->ids[0]) ? low->ids[0] : high->ids[0];
}

bool cooldown_oldest_resting(const cooldown *c, u128 *number) {
    uint32_t id = oldest_resting_id(c);
    if (id == NO_ID)
        return false;
    *number = number_of(c, id);
    return true;
}

bool cooldown_due(const cooldown *c, uint64_t now, u128 *number) {
    uint32_t id = oldest_resting_id(c);
    if (id == NO_ID || rest_clock_add(c->nodes[id].since, c->options.rest_ms) > now)
        return false;
    *number = number_of(c, id);
    return true;
}

void cooldown_promote(cooldown *c, u128 number) {
    uint32_t id = id_of(c, number);
    assert(c->options.keep_rested && id != NO_ID);
    heap_remove(c, id);
    heap_insert(c, heap_number(side_of(c, number), COOLDOWN_RESTED), id);
}

bool cooldown_oldest_rested(const cooldown *c, int side, bool (*skip)(void *context, u128 number),
                            void *context, u128 *number) {
    const heap *queue = &c->heaps[heap_number(side, COOLDOWN_RESTED)];
    uint32_t best = NO_ID;
    for (uint32_t i = 0; i < queue->count; i++) {
        uint32_t id = queue->ids[i];
        if (best != NO_ID && older(c, best, id))
            continue;
        if (skip != NULL && skip(context, number_of(c, id)))
            continue;
        best = id;
        if (i == 0)
            break; /* the top of the heap is the oldest of all */
    }
    if (best == NO_ID)
        return false;
    *number = number_of(c, best);
    return true;
}

uint64_t cooldown_count(const cooldown *c, int side, enum cooldown_state state) {
    assert(state != COOLDOWN_ABSENT);
    return c->heaps[heap_number(side, state)].count;
}

u128 cooldown_at(const cooldown *c, uint64_t index) {
    int which = 0;
    while (index >= c->heaps[which].count)
        index -= c->heaps[which++].count;
    return number_of(c, c->heaps[which].ids[index]);
}

uint64_t cooldown_word(const cooldown *c, uint64_t word) {
    assert(c->options.laid_out && word < ((uint64_t)c->options.size + 63) / 64);
    return c->in_use[word];
}

static bool validate_heap(const cooldown *c, int which) {
    const heap *queue = &c->heaps[which];
    for (uint32_t i = 0; i < queue->count; i++) {
        uint32_t id = queue->ids[i];
        const node *n = &c->nodes[id];
        u128 number = number_of(c, id);
        if (n->position != i || n->heap != (uint32_t)which || number >= c->options.size ||
            id_of(c, number) != id || side_of(c, number) != which / 2)
            return false;
        if (i > 0 && older(c, id, queue->ids[(i - 1) / 2]))
            return false;
        if (n->since > c->clock.latest_ms || n->sequence >= c->next_sequence)
            return false;
    }
    return queue->count <= queue->capacity;
}

static uint64_t count_in_use(const cooldown *c) {
    uint64_t count = 0;
    if (c->options.laid_out)
        for (uint64_t word = 0; word < ((uint64_t)c->options.size + 63) / 64; word++)
            count += (unsigned)__builtin_popcountll(c->in_use[word]);
    for (uint64_t i = 0; i < c->index_capacity; i++)
        count += c->index[i] != NO_ID;
    return count;
}

bool cooldown_validate(const cooldown *c) {
    for (int i = 0; i < HEAPS; i++)
        if (!validate_heap(c, i))
            return false;
    return count_in_use(c) == cooldown_total(c);
}
