/*
 * ipalloc.h: the umbrella. Includes every public header of ipalloc.
 *
 * status.h    codes, errors, hooks          addr.h      addresses and CIDRs
 * range.h     the allocator in memory       store.h     where a registry lives
 * registry.h  pools and transactions        repair.h    leases against owners' records
 * service.h   the API-server hook           kubernetes.h  what a cluster keeps in etcd
 */
#ifndef IPALLOC_IPALLOC_H
#define IPALLOC_IPALLOC_H

#include <ipalloc/addr.h>
#include <ipalloc/kubernetes.h>
#include <ipalloc/range.h>
#include <ipalloc/registry.h>
#include <ipalloc/repair.h>
#include <ipalloc/service.h>
#include <ipalloc/status.h>
#include <ipalloc/store.h>

#endif
