/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Answers later: a handler returns at once, and any thread answers the request afterwards.
 *
 * A handler that needs time holds up the other slots of its serving thread. Instead, it can call
 * dx_answer_later(), hand the token to another thread, and return. That thread writes the response
 * and calls dx_answer().
 *
 * @code
 *   struct job { struct dx_token token; const void *data; size_t bytes; void *response; };
 *
 *   int32_t handler(void *user, const struct dx_request *request, struct dx_response *response)
 *   {
 *       struct job *job = malloc(sizeof *job);
 *       if (job == NULL || dx_answer_later(request, &job->token) != DX_OK) {
 *           free(job);
 *           return -1;                         // this is the answer
 *       }
 *       job->data = request->data;             // valid until dx_answer()
 *       job->bytes = request->bytes;
 *       job->response = response->data;        // likewise
 *       hand_over(user, job);                  // another thread calls dx_answer()
 *       return 0;                              // not looked at
 *   }
 * @endcode
 *
 * Each request is answered once. Until then its slot is in use: as many requests can be pending as
 * the other side has slots. The caller sees that its request was taken up
 * (dx_queue_progress(), dx_queue_wait_progress()).
 *
 * What is pending when dx_close() is called, or when the serving process dies, is answered with
 * DX_ERR_LOST. No request is handled twice. dx_stop() and the end of dx_serve() answer nothing:
 * tokens can be answered until dx_close().
 */
/* clang-format on */
#ifndef DX_ANSWER_H
#define DX_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "dx_export.h"
#include "dx_serve.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/** Names a request that is answered later. It may be copied; a copy names the same request. */
struct dx_token {
    uint64_t reserved[3]; /**< of the library */
};

/**
 * Tells the library that a request is answered later.
 *
 * After it, the handler's return value and response->bytes are not looked at. The request's data
 * and the response's memory stay valid until dx_answer() or dx_close(). The structs dx_request and
 * dx_response do not: copy what is needed of them.
 *
 * @param request     what the handler was given, that pointer itself and no copy of the struct
 * @param[out] token  set to what names the request
 *
 * @retval DX_ERR_INVALID  it was called for this request before
 * @retval DX_ERR_SYSTEM   no memory to keep the copy of the request (DX_SERVE_COPY); the handler
 *                         must answer by its return
 *
 * @threads The thread of the handler, while the handler runs. Never blocks.
 */
DX_API dx_status dx_answer_later(const struct dx_request *request, struct dx_token *token);

/**
 * Answers a request.
 *
 * The token has ended then, whatever this returns. The response must have been written before.
 *
 * @param token   what dx_answer_later() has set
 * @param bytes   how long the response is; if that is more than there is room for, the caller gets
 *                DX_ERR_RESPONSE_TOO_LARGE
 * @param status  the status that the caller sees, which may be any number
 *
 * @retval DX_ERR_CANCELLED           nobody hears the answer: the caller has given up
 * @retval DX_ERR_PEER_DEAD           nobody hears the answer: the caller has died
 * @retval DX_ERR_RESPONSE_TOO_LARGE  bytes is more than there is room for
 * @retval DX_ERR_INVALID             the request was answered before
 * @retval DX_ERR_STOPPED             the channel was closed
 * @retval DX_ERR_FORKED              another process opened the channel
 *
 * @threads Any thread. Two threads can answer at the same time: one of them gets DX_ERR_INVALID.
 *          It waits for no other process.
 */
DX_API dx_status dx_answer(const struct dx_token *token, size_t bytes, int32_t status);

/**
 * Says whether somebody still waits for the answer.
 *
 * @param token  what dx_answer_later() has set
 *
 * @retval DX_OK                the caller waits
 * @retval DX_ERR_CANCELLED     it has given up: by its deadline, or by dx_queue_cancel()
 * @retval DX_ERR_PEER_DEAD     it has died
 * @retval DX_ERR_PEER_CLOSED   it has closed its channel
 * @retval DX_ERR_STOPPED       dx_stop() or dx_close() was called
 * @retval DX_ERR_INVALID       the request was answered before
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_FORKED        another process opened the channel
 *
 * @threads Any thread. Never blocks. It costs a system call.
 */
DX_API dx_status dx_token_check(const struct dx_token *token);

/**
 * Waits until nobody waits for the answer any more.
 *
 * It is for work that can be broken off. A cancelled or dead caller ends the wait at once while
 * the channel is served; otherwise, and after a dx_stop() that no dx_serve() has noticed, within
 * 1 s. The token is still to be answered, unless the wait ends because it was.
 *
 * @param token       what dx_answer_later() has set
 * @param timeout_ns  how long to wait, in ns; DX_FOREVER waits without limit
 *
 * @return As dx_token_check(), but for DX_OK
 * @retval DX_ERR_TIMEOUT  the caller still waits
 *
 * @threads Any thread. Blocks; the thread may be cancelled there (pthread_cancel).
 */
DX_API dx_status dx_token_wait(const struct dx_token *token, int64_t timeout_ns);

DX_END_DECLS

#endif
