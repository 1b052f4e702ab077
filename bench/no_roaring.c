/*
 * no_roaring.c: built without CRoaring: this peer is left out.
 */
#include "pair.h"

const subject ROARING_SUBJECT = {0};
