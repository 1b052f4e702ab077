/*
 * configuration.h: from Ingresses to a configuration that nginx takes.
 *
 * Where nginx refuses the whole, those that it refuses beside their elders are looked for by halves
 * and left out; they are remembered, so that one bad Ingress among many costs its tests once and
 * not with every change.
 */
#ifndef INGRESS_CONFIGURATION_H
#define INGRESS_CONFIGURATION_H

#include "client.h"
#include "options.h"
#include "routes.h"
#include "string_map.h"

struct configurator {
    const struct ingress_options *options;
    struct collection *services, *secrets;
    struct string_map bad; /* Ingress: what nginx refused of it, and its words */
    char *refused;         /* the whole that nginx refused last: said once */
};

/* In `out`, the configuration for these, with problems noted at each; false: nginx takes none. */
bool configuration_find(struct configurator *configurator, struct ingress *ingresses,
                        struct text *out);

/* Is it time to try one again that was refused? */
bool configuration_is_due(const struct configurator *configurator);

void configurator_clear(struct configurator *configurator);

#endif
