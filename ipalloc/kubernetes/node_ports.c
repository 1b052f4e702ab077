/*
 * node_ports.c: claims and releases of node ports and of the health-check port.
 *
 * Slots: nodePort/<port>/<protocol> and healthCheckNodePort. A port's number and protocol are
 * unique in a Service and short, which its name is not; so one node port that serves TCP and UDP is
 * one lease with two slots.
 *
 * A create lets ports of one number share a node port over their protocols and refuses one node
 * port for two numbers; an update gives every new port one of its own and allows both (so does
 * kube-apiserver). Beyond what it does, a port that is only renamed keeps its node port.
 *
 * An update may shuffle node ports between slots. What is not needed any more is released first,
 * which frees the slot at once and the port with the commit; what is still needed but changes its
 * slot waits in a slot of its own (nodePort/moving/<n>), so that a port that stays is held by some
 * slot at every moment.
 */
#include "kubernetes/service_work.h"

#include <stdio.h>
#include <string.h>

static void slot_of_port(const ipalloc_service_port *port, char slot[IPALLOC_SLOT_MAX + 1]) {
    snprintf(slot, IPALLOC_SLOT_MAX + 1, "nodePort/%d/%s", (int)port->port, port_protocol(port));
}

static void slot_of_moving(size_t index, char slot[IPALLOC_SLOT_MAX + 1]) {
    snprintf(slot, IPALLOC_SLOT_MAX + 1, "nodePort/moving/%zu", index);
}

static bool same_slot(const ipalloc_service_port *a, const ipalloc_service_port *b) {
    return a->port == b->port && strcmp(port_protocol(a), port_protocol(b)) == 0;
}

static bool allocates_node_ports(const ipalloc_service *service) {
    return type_is(service, "NodePort") ||
           (type_is(service, "LoadBalancer") && service->allocate_load_balancer_node_ports);
}

/* Is the number among the new object's node ports, as far as they are known? */
static bool is_wanted(const service_work *work, int32_t number) {
    for (size_t i = 0; i < work->after.port_count; i++)
        if (work->node_ports[i] == number)
            return true;
    return false;
}

/* What the stored object holds; nothing where its type has no node ports. */
static size_t held_count(const service_work *work) {
    bool holds = work->updating && needs_node_ports(&work->before);
    return holds ? work->before.port_count : 0;
}

static bool is_held(const service_work *work, int32_t number) {
    for (size_t i = 0; i < held_count(work); i++)
        if (work->before.ports[i].node_port == number)
            return true;
    return false;
}

static int32_t held_in_slot(const service_work *work, const ipalloc_service_port *port) {
    for (size_t i = 0; i < held_count(work); i++)
        if (same_slot(&work->before.ports[i], port))
            return work->before.ports[i].node_port;
    return 0;
}

/* --- one claim -------------------------------------------------------------------------------- */

static int refuse_number(service_work *work, size_t index, int status, const char *holder) {
    int32_t number = work->node_ports[index];
    char field[FIELD_TEXT], value[VALUE_TEXT], why[VALUE_TEXT];
    return problem_claim(work, status, indexed_field("ports", index, ".nodePort", field),
                         number_value(number, value), port_refusal(work, status, why), holder);
}

static int refuse_any(service_work *work, const char *what, int status) {
    char why[VALUE_TEXT], detail[VALUE_TEXT + 128];
    snprintf(detail, sizeof detail, "failed to allocate a %s: %s", what,
             port_refusal(work, status, why));
    return problem_claim(work, status, NULL, "", detail, "");
}

/* Claim `number` (0: any) for the index-th port. */
static int claim_for_port(service_work *work, size_t index, int32_t number) {
    char slot[IPALLOC_SLOT_MAX + 1], holder[IPALLOC_OWNER_MAX + 1];
    slot_of_port(&work->after.ports[index], slot);
    int status = claim_port(work, slot, number, &work->node_ports[index]);
    if (!claim_is_refused(status))
        return status;
    if (number == 0)
        return refuse_any(work, "nodePort", status);
    return refuse_number(work, index, status, port_holder(work, number, status, holder));
}

/* --- create ----------------------------------------------------------------------------------- */

/* The node port asked for by the first port of the same number that asks; 0 if none does. */
static int32_t requested_for_number(const ipalloc_service *after, int32_t port) {
    for (size_t i = 0; i < after->port_count; i++)
        if (after->ports[i].port == port && after->ports[i].node_port != 0)
            return after->ports[i].node_port;
    return 0;
}

static void share_requested(service_work *work) {
    const ipalloc_service *after = &work->after;
    if (!allocates_node_ports(after))
        return;
    for (size_t i = 0; i < after->port_count; i++)
        if (work->node_ports[i] == 0)
            work->node_ports[i] = requested_for_number(after, after->ports[i].port);
}

/* Does an earlier port of another number want the same node port? */
static bool wanted_by_another_number(const service_work *work, size_t index) {
    const ipalloc_service_port *ports = work->after.ports;
    for (size_t i = 0; i < index; i++)
        if (work->node_ports[i] == work->node_ports[index] && ports[i].port != ports[index].port)
            return true;
    return false;
}

/* The node port that an earlier port of the same number has got; 0 if none. */
static int32_t shared_number(const service_work *work, size_t index) {
    const ipalloc_service_port *ports = work->after.ports;
    for (size_t i = 0; i < index; i++)
        if (ports[i].port == ports[index].port && work->node_ports[i] != 0)
            return work->node_ports[i];
    return 0;
}

/* --- update: what is held --------------------------------------------------------------------- */

/* A port that has no number to ask for keeps the one in its slot, unless another port wants it. */
static void keep_by_slot(service_work *work) {
    if (!allocates_node_ports(&work->after))
        return;
    for (size_t i = 0; i < work->after.port_count; i++) {
        int32_t held = held_in_slot(work, &work->after.ports[i]);
        if (work->node_ports[i] == 0 && held != 0 && !is_wanted(work, held))
            work->node_ports[i] = held;
    }
}

/* Does the slot of this stored port keep its number? */
static bool stays(const service_work *work, const ipalloc_service_port *held) {
    for (size_t i = 0; i < work->after.port_count; i++)
        if (same_slot(&work->after.ports[i], held))
            return needs_node_ports(&work->after) && work->node_ports[i] == held->node_port;
    return false;
}

static bool moves(const service_work *work, const ipalloc_service_port *held) {
    return held->node_port != 0 && needs_node_ports(&work->after) && !stays(work, held) &&
           is_wanted(work, held->node_port);
}

static int move_away(service_work *work, size_t index) {
    char from[IPALLOC_SLOT_MAX + 1], to[IPALLOC_SLOT_MAX + 1];
    slot_of_port(&work->before.ports[index], from);
    slot_of_moving(index, to);
    return rename_slot(work, work->pools.node_ports, from, to);
}

/* Empty every slot that gets another number, by releasing or by moving. `moved` has a place for
 * each stored port. */
static int make_room(service_work *work, bool *moved) {
    int status = IPALLOC_OK;
    for (size_t i = 0; i < held_count(work) && status == IPALLOC_OK; i++) {
        const ipalloc_service_port *held = &work->before.ports[i];
        moved[i] = moves(work, held);
        if (moved[i])
            status = move_away(work, i);
        else if (!stays(work, held))
            status = release_port(work, held->node_port);
    }
    return status;
}

static int end_moves(service_work *work, const bool *moved) {
    int status = IPALLOC_OK;
    for (size_t i = 0; i < held_count(work) && status == IPALLOC_OK; i++) {
        char slot[IPALLOC_SLOT_MAX + 1];
        slot_of_moving(i, slot);
        if (moved[i])
            status = release_slot(work, work->pools.node_ports, slot);
    }
    return status;
}

static bool was_health_check_port(const service_work *work, int32_t number) {
    return work->updating && needs_health_check_port(&work->before) &&
           work->before.health_check_node_port == number;
}

/* --- claims ----------------------------------------------------------------------------------- */

/* One node port per Service for one purpose: not for two numbers at once on create, and not for
 * what is its health-check port until the commit. */
static bool is_taken_by_itself(const service_work *work, size_t index) {
    return was_health_check_port(work, work->node_ports[index]) ||
           (!work->updating && wanted_by_another_number(work, index));
}

static int claim_requested(service_work *work) {
    for (size_t i = 0; i < work->after.port_count; i++) {
        int32_t number = work->node_ports[i];
        if (number == 0 || held_in_slot(work, &work->after.ports[i]) == number)
            continue;
        if (is_taken_by_itself(work, i))
            return refuse_number(work, i, IPALLOC_E_TAKEN, "");
        int status = claim_for_port(work, i, number);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

static int claim_any(service_work *work) {
    if (!allocates_node_ports(&work->after))
        return IPALLOC_OK;
    for (size_t i = 0; i < work->after.port_count; i++) {
        if (work->node_ports[i] != 0)
            continue;
        int status = claim_for_port(work, i, work->updating ? 0 : shared_number(work, i));
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

/* --- the health-check port -------------------------------------------------------------------- */

static int refuse_health_check_port(service_work *work, int status, int32_t number,
                                    const char *holder) {
    char why[VALUE_TEXT], detail[VALUE_TEXT + 128];
    snprintf(detail, sizeof detail, "failed to allocate requested HealthCheck NodePort %d: %s",
             (int)number, port_refusal(work, status, why));
    return problem_claim(work, status, NULL, "", detail, holder);
}

/* What serves as a node port of this very Service, or did until now, cannot be it as well. */
static int claim_health_check_port(service_work *work) {
    char holder[IPALLOC_OWNER_MAX + 1];
    int32_t number = work->after.health_check_node_port;
    if (number != 0 && (is_wanted(work, number) || is_held(work, number)))
        return refuse_health_check_port(work, IPALLOC_E_TAKEN, number, "");
    int status =
        claim_port(work, "healthCheckNodePort", number, &work->after.health_check_node_port);
    if (!claim_is_refused(status))
        return status;
    if (number == 0)
        return refuse_any(work, "HealthCheck NodePort 0", status);
    return refuse_health_check_port(work, status, number,
                                    port_holder(work, number, status, holder));
}

static bool gains_health_check_port(const service_work *work) {
    bool held = work->updating && needs_health_check_port(&work->before) &&
                work->before.health_check_node_port != 0;
    return needs_health_check_port(&work->after) && !held;
}

static int drop_health_check_port(service_work *work) {
    bool held = work->updating && needs_health_check_port(&work->before);
    if (!held || needs_health_check_port(&work->after))
        return IPALLOC_OK;
    return release_port(work, work->before.health_check_node_port);
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Numbers that were asked for go first: a free pick must not take them. */
static int claim_all(service_work *work) {
    bool gains = gains_health_check_port(work);
    bool asked_for = work->after.health_check_node_port != 0;
    int status = claim_requested(work);
    if (status == IPALLOC_OK && gains && asked_for)
        status = claim_health_check_port(work);
    if (status == IPALLOC_OK)
        status = claim_any(work);
    if (status == IPALLOC_OK && gains && !asked_for)
        status = claim_health_check_port(work);
    return status;
}

static bool claims_something(const service_work *work) {
    for (size_t i = 0; i < work->after.port_count; i++)
        if (work->node_ports[i] != 0 || allocates_node_ports(&work->after))
            return true;
    return needs_health_check_port(&work->after);
}

static int refuse_unconfigured(service_work *work) {
    return problem_claim(work, IPALLOC_E_INVALID, NULL, "",
                         "failed to allocate a nodePort: no node-port range is configured", "");
}

int service_claim_node_ports(service_work *work) {
    bool moved[IPALLOC_SERVICE_PORTS_MAX] = {false};
    bool needs = needs_node_ports(&work->after);
    if (needs && work->pools.node_ports == NULL && claims_something(work))
        return refuse_unconfigured(work);
    if (needs && work->updating)
        keep_by_slot(work);
    else if (needs)
        share_requested(work);
    int status = make_room(work, moved);
    if (status == IPALLOC_OK && needs)
        status = claim_all(work);
    if (status == IPALLOC_OK)
        status = end_moves(work, moved);
    if (status == IPALLOC_OK)
        status = drop_health_check_port(work);
    return status;
}
