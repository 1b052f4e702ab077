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

/* The same, but a line "add rule" or "add element" that is refused is told and left out: one thing
 * that this kernel cannot do does not keep all others away. Changes `commands`. */
bool kernel_run_most(struct kernel *kernel, char *commands, struct text *problem);

/* Commands that put back who is bound to which endpoint, for the ruleset's sets of clients. */
void kernel_save_clients(struct kernel *kernel, struct ruleset *set, struct text *out);

#endif
