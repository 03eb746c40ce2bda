/* SPDX-License-Identifier: Apache-2.0 */
/* Verified traffic: every request follows from a number, every answer from its request. */
#ifndef DX_TEST_TRAFFIC_H
#define DX_TEST_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dx.h"

/* Not a multiple of a line, so that there is room behind a request that nobody may touch. */
#define TRAFFIC_CAPACITY 301u
#define TRAFFIC_TYPE (DX_TYPE_USER + 7u)

/* Builds request `number` and returns its length. */
static inline size_t traffic_request(uint64_t number, unsigned char *request)
{
    size_t bytes = sizeof number + number * 31 % (TRAFFIC_CAPACITY - sizeof number + 1);
    memcpy(request, &number, sizeof number);
    for (size_t i = sizeof number; i < bytes; i++)
        request[i] = (unsigned char)((number + i) * 0x9d >> (i & 3));
    return bytes;
}

/* Answers with the request turned round; returns the status that goes with it. */
static inline int32_t traffic_answer(const unsigned char *request, size_t bytes,
                                     unsigned char *answer)
{
    for (size_t i = 0; i < bytes; i++)
        answer[i] = request[bytes - 1 - i] ^ 0x5a;
    return (int32_t)bytes * 3 + 1;
}

static inline bool traffic_is_right(uint64_t number, const void *answer, size_t bytes,
                                    int32_t status)
{
    unsigned char request[TRAFFIC_CAPACITY];
    unsigned char expected[TRAFFIC_CAPACITY];
    size_t length = traffic_request(number, request);
    return traffic_answer(request, length, expected) == status && bytes == length &&
           memcmp(answer, expected, length) == 0;
}

/* A handler for those who trust what they see. */
static inline int32_t traffic_handle(void *user, const struct dx_request *request,
                                     struct dx_response *response)
{
    (void)user;
    if (request->bytes > response->capacity)
        return -1;
    response->bytes = request->bytes;
    return traffic_answer(request->data, request->bytes, response->data);
}

/* Makes request `number`. On DX_OK *right says whether the answer is the one to it. */
static inline dx_status traffic_call(struct dx_caller *caller, uint64_t number, int64_t timeout_ns,
                                     bool *right)
{
    unsigned char request[TRAFFIC_CAPACITY];
    unsigned char answer[TRAFFIC_CAPACITY];
    size_t bytes = sizeof answer;
    int32_t answered = 0;
    dx_status status = dx_call(caller, TRAFFIC_TYPE, request, traffic_request(number, request),
                               answer, &bytes, &answered, timeout_ns);
    *right = status == DX_OK && traffic_is_right(number, answer, bytes, answered);
    return status;
}

/* The same in place. The answer is copied before it is judged: it may change meanwhile. */
static inline dx_status traffic_call_in_place(struct dx_caller *caller, uint64_t number,
                                              int64_t timeout_ns, struct dx_reply *reply,
                                              bool *right)
{
    unsigned char answer[TRAFFIC_CAPACITY];
    unsigned char *request = dx_caller_request(caller);
    *right = false;
    *reply = (struct dx_reply){0};
    if (request == NULL)
        return traffic_call(caller, number, timeout_ns, right);
    dx_status status =
        dx_call_in_place(caller, TRAFFIC_TYPE, traffic_request(number, request), reply, timeout_ns);
    if (status != DX_OK || reply->bytes > sizeof answer)
        return status;
    memcpy(answer, reply->data, reply->bytes);
    *right = traffic_is_right(number, answer, reply->bytes, reply->status);
    return status;
}

#endif
