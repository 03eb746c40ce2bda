/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Peers: whether the other side is there, and who it is.
 *
 * dx_channel.h says how the end of a peer is noticed.
 */
#ifndef DX_PEER_H
#define DX_PEER_H

#include <stdint.h>

#include "dx_status.h"

DX_BEGIN_DECLS

struct dx_channel;

/** Whether the other side is there. */
enum dx_peer {
    DX_PEER_NONE = 0,   /**< nobody has been there yet */
    DX_PEER_ALIVE = 1,  /**< it is there, and lives */
    DX_PEER_CLOSED = 2, /**< it called dx_close() */
    DX_PEER_DEAD = 3    /**< its process ended without dx_close() */
};

/**
 * Returns whether the other side is there.
 *
 * It costs a system call.
 *
 * @param channel  the channel
 *
 * @return What is known of the other side now
 *
 * @threads Any thread. Never blocks.
 */
DX_API enum dx_peer dx_channel_peer(const struct dx_channel *channel);

/**
 * Waits until the other side is there and lives.
 *
 * It returns at once if the other side does. It sleeps until the other side comes. Where that side
 * cannot wake it, it looks at least ten times a second.
 *
 * @param channel     the channel
 * @param timeout_ns  how long to wait, in ns; negative: for ever, 0: not at all
 *
 * @retval DX_ERR_NO_PEER       nobody was there at the deadline
 * @retval DX_ERR_STOPPED       the channel was stopped
 * @retval DX_ERR_FORKED        another process opened the channel
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 *
 * @threads Any thread, several at once. Blocks.
 */
DX_API dx_status dx_wait_peer(struct dx_channel *channel, int64_t timeout_ns);

/**
 * Who the other side is.
 *
 * `peer`, `place` and `remote` are what this side found out. All else is what the other side says
 * of itself. A guest that lies may take another guest's id, but not its place. The session is
 * random and new for each life: a host that finds another session than before has another guest,
 * whatever else is equal.
 */
struct dx_peer_info {
    enum dx_peer peer; /**< as dx_channel_peer(), but NONE for a peer that is still beginning. If it
                          is not ALIVE, what follows tells of the last peer */
    uint32_t place;    /**< this channel's place, 0 ... places - 1 */
    uint32_t places;   /**< how many the memory has */
    uint32_t id;       /**< its id at the Unix socket, or DX_NO_ID. A VM keeps its own */
    uint64_t session;  /**< the session of its present life; 0: nobody has been there */
    uint64_t kernel;   /**< equal for all peers under one kernel; 0: it does not say */
    uint32_t pid;      /**< its process id under its own kernel */
    uint32_t remote;   /**< 1 if it is under another kernel than this process, else 0 */
    uint64_t reserved[4]; /**< zero; room for later versions */
};
/** The id of a peer that has none. */
#define DX_NO_ID UINT32_MAX

/**
 * Tells who the other side is.
 *
 * @param channel   the channel
 * @param[out] out  filled with what is known
 *
 * @threads Any thread. Never blocks.
 */
DX_API void dx_channel_peer_info(const struct dx_channel *channel, struct dx_peer_info *out);

DX_END_DECLS

#endif
