/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Results: what a function returns, and how to tell people.
 *
 * 0 is success. Errors are negative, and their numbers never change. A mistake of the
 * program, such as NULL where none is allowed, is an assert. What can happen in a correct program
 * is a dx_status. dx_call() has a table of what each one means for a call.
 */
#ifndef DX_STATUS_H
#define DX_STATUS_H

#include "dx_export.h"

DX_BEGIN_DECLS

/** The result of a function. */
typedef enum dx_status {
    DX_OK = 0,               /**< success */
    DX_ERR_INVALID = -1,     /**< an argument is out of its range */
    DX_ERR_TIMEOUT = -2,     /**< the deadline passed; the call may still run */
    DX_ERR_STOPPED = -3,     /**< dx_stop was called on this channel */
    DX_ERR_PEER_CLOSED = -4, /**< the other side called dx_close */
    DX_ERR_PEER_DEAD = -5,   /**< the other side's process ended without dx_close */
    DX_ERR_NO_PEER = -6,     /**< no other side was there until the deadline */
    DX_ERR_LOST = -7,        /**< the handler began and did not return, or its process ended */
    DX_ERR_REQUEST_TOO_LARGE = -8,  /**< the request exceeds the slot's request capacity */
    DX_ERR_RESPONSE_TOO_LARGE = -9, /**< the handler's response exceeds the slot's capacity */
    DX_ERR_BUFFER_TOO_SMALL = -10,  /**< the response does not fit the buffer given to dx_call */
    DX_ERR_BUSY = -11,              /**< still in use: open callers, or a serving thread */
    DX_ERR_HOST_EXISTS = -12,       /**< a living host holds this region */
    DX_ERR_GUEST_EXISTS = -13,      /**< a living guest holds this region */
    DX_ERR_NOT_DX = -14,            /**< the bytes are not a dx region */
    DX_ERR_VERSION = -15,           /**< a dx region of another, incompatible version */
    DX_ERR_GEOMETRY = -16,          /**< sizes or offsets in the header contradict each other */
    DX_ERR_SHORT = -17,             /**< the file is shorter than its header says */
    DX_ERR_STALE = -18,             /**< the region's host is gone and no new one came */
    DX_ERR_PERMISSION = -19,        /**< wrong owner, open to others, a link, or refused */
    DX_ERR_URL = -20,               /**< the URL is malformed or names no known transport */
    DX_ERR_NO_SLOT = -21,           /**< every slot is held by a caller */
    DX_ERR_SYSTEM = -22,            /**< a system call failed; dx_last_error() names it */
    DX_ERR_TYPE = -23,         /**< a message type that users may not send, or that is unknown */
    DX_ERR_CANCELLED = -24,    /**< the call was given up before the server began it */
    DX_ERR_CORRUPT = -25,      /**< the other side wrote something impossible */
    DX_ERR_ENDED = -26,        /**< the other side has ended the stream and reads no more */
    DX_ERR_FORKED = -27,       /**< this process was forked by the one that opened it */
    DX_ERR_NAME_REMOVED = -28, /**< the region's name is gone: nobody new can come */
} dx_status;

/**
 * Returns a sentence for a status.
 *
 * @param status  any number
 *
 * @return A constant text, never NULL
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_status_string(dx_status status);

/**
 * Returns the detail of the calling thread's latest dx function that failed.
 *
 * The text is empty before the first failure, and after a failure of which the status says all: a
 * deadline that passed, a stop, a peer that ended. It never tells of an older failure. A function
 * that succeeds may keep the text or empty it. After a dx_serve() with several threads, it tells
 * only what happened on the thread that called dx_serve().
 *
 * @return What was wrong, with what value, and what to do. The library owns the text. It lasts
 *         until this thread's next failure
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_last_error(void);

DX_END_DECLS

#endif
