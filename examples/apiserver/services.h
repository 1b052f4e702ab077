/* services.h: the parts of the descriptor of services.c that have a file of their own. */
#ifndef APISERVER_SERVICES_H
#define APISERVER_SERVICES_H

#include "resource.h"

extern const struct schema schema_service; /* service_schema.c */

#define SERVICE_COLUMNS 7
extern const struct column service_columns[SERVICE_COLUMNS]; /* service_columns.c */

#endif
