/* kernel.h: nftables of this network namespace, through libnftables. */
#ifndef KUBEPROXY_KERNEL_H
#define KUBEPROXY_KERNEL_H

#include "options.h"
#include "rules.h"

struct kernel;

/* NULL with what is missing in `problem`. */
struct kernel *kernel_open(struct text *problem);
void kernel_close(struct kernel *kernel);

/* Run a transaction: all of it or, with nft's words in `problem`, nothing. */
bool kernel_run(struct kernel *kernel, const char *commands, struct text *problem);

/* Is our ruleset (still) there? */
bool kernel_has_ours(struct kernel *kernel);

/* Commands that put back who is bound to which endpoint, for the ruleset's sets of clients. */
void kernel_save_clients(struct kernel *kernel, struct ruleset *set, struct text *out);

/* Forget translations of UDP that were made for this address and port ("" : the node's own), so
 * that the next packet is looked up anew. Needs the program `conntrack`; false where it is not
 * there. */
bool kernel_forget_udp(int family, const char *address, int port);

#endif
