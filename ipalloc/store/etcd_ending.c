/*
 * etcd_ending.c: what a gRPC status of etcd's means: did it happen, is it worth another try?
 *
 * May use: nothing but the texts. "Refused" is said only where etcd's sources leave no other way:
 * the request was looked at before it was proposed, or every member refuses it alike when it is
 * applied. Everything else is not known. The texts are etcd's own, of 3.4 to 3.6.
 */
#include "store/etcd_transport.h"

#include <string.h>

enum grpc_code {
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

static const struct rule {
    int code;
    const char *text; /* contained in the message; "" matches all */
    judgement judgement;
} RULES[] = {
    {GRPC_INVALID_ARGUMENT, "user name is empty", {VERDICT_LOGIN, IPALLOC_E_UNAVAILABLE, ""}},
    {GRPC_INVALID_ARGUMENT,
     "revision of auth store is old",
     {VERDICT_LOGIN, IPALLOC_E_UNAVAILABLE, ""}},
    {GRPC_INVALID_ARGUMENT, "", {VERDICT_REFUSED, IPALLOC_E_INVALID, ""}},
    {GRPC_NOT_FOUND, "", {VERDICT_REFUSED, IPALLOC_E_INVALID, ""}},
    {GRPC_ALREADY_EXISTS, "", {VERDICT_REFUSED, IPALLOC_E_INVALID, ""}},
    {GRPC_PERMISSION_DENIED,
     "",
     {VERDICT_REFUSED, IPALLOC_E_UNAVAILABLE,
      " (the user, or the certificate's common name, needs a role with that right under the "
      "prefix)"}},
    /* Looked at before the request is proposed, and also behind its being applied. */
    {GRPC_RESOURCE_EXHAUSTED,
     "space exceeded",
     {VERDICT_APPLIED, IPALLOC_E_IO,
      " (etcd is full: compact and defragment it, raise --quota-backend-bytes if need be, then "
      "etcdctl alarm disarm)"}},
    {GRPC_RESOURCE_EXHAUSTED, "too many requests", {VERDICT_LATER, IPALLOC_E_UNAVAILABLE, ""}},
    {GRPC_RESOURCE_EXHAUSTED,
     "larger than max",
     {VERDICT_REFUSED, IPALLOC_E_INVALID, " (etcd's --max-request-bytes)"}},
    {GRPC_FAILED_PRECONDITION, "", {VERDICT_REFUSED, IPALLOC_E_INVALID, ""}},
    {GRPC_OUT_OF_RANGE, "compacted", {VERDICT_REFUSED, IPALLOC_E_EXPIRED, ""}},
    {GRPC_OUT_OF_RANGE, "", {VERDICT_REFUSED, IPALLOC_E_INVALID, ""}},
    {GRPC_UNIMPLEMENTED,
     "",
     {VERDICT_REFUSED, IPALLOC_E_UNAVAILABLE, " (is that an etcd of 3.4 or later?)"}},
    {GRPC_DATA_LOSS, "", {VERDICT_APPLIED, IPALLOC_E_CORRUPT, ""}},
    {GRPC_UNAUTHENTICATED, "", {VERDICT_LOGIN, IPALLOC_E_UNAVAILABLE, ""}},
};

judgement ending_judge(const ending *end) {
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        if (RULES[i].code == end->grpc_code && strstr(end->text, RULES[i].text) != NULL)
            return RULES[i].judgement;
    if (end->grpc_code < 0 && end->undone)
        return (judgement){VERDICT_LATER, IPALLOC_E_UNAVAILABLE, ""};
    return (judgement){VERDICT_ELSEWHERE, IPALLOC_E_UNAVAILABLE, ""};
}
