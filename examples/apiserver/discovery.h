/* discovery.h: what kubectl asks first: /version, which groups and kinds there are, and OpenAPI. */
#ifndef APISERVER_DISCOVERY_H
#define APISERVER_DISCOVERY_H

#include "http.h"

/* Answer if the path is one of discovery's; false: it is not. */
bool discovery_answer(const struct request *request, struct reply *reply);

#endif
