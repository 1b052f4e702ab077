/*
 * endpoint_keeper.h: what follows from Services and Pods in the server's own background: the
 * EndpointSlices of Services, Pods that have had their time to end, Events that are old, Services
 * that wait for a load-balancer address.
 *
 * A thread that is a client of the server like any other (examples/client): it follows the objects
 * by watches and writes by requests, so it holds no lock of the server's and bypasses no rule. All
 * that it does follows from what is stored: after a restart, or where several servers share a store
 * and all do the same, it comes to the same objects of the same names.
 */
#ifndef APISERVER_ENDPOINT_KEEPER_H
#define APISERVER_ENDPOINT_KEEPER_H

struct endpoint_keeper;

/* Start it for the server that serves at `url`. NULL: no thread could be started. */
struct endpoint_keeper *endpoint_keeper_start(const char *url);
void endpoint_keeper_stop(struct endpoint_keeper *keeper);

#endif
