/* space.h: addresses and ports as numbers, for drawing what lies between them. */
#ifndef ADMIN_SPACE_H
#define ADMIN_SPACE_H

#include "admin_work.h"

__extension__ typedef unsigned __int128 wide;

wide wide_of_address(const ipalloc_addr *address);
ipalloc_addr address_of_wide(uint8_t family, wide number);
wide wide_of_place(const struct admin_place *place);
ipalloc_count count_of_wide(wide number);

/* Digits only; false for anything else or beyond 2^128-1. */
bool wide_parse(const char *digits, wide *out);

/* The last address of a CIDR. */
ipalloc_addr cidr_last(const ipalloc_cidr *cidr);

#endif
