/*
 * no_judy.c: built without Judy: this peer is left out.
 */
#include "pair.h"

const subject JUDY_SUBJECT = {0};
