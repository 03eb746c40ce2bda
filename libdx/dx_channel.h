/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Channels: create a region, attach to it, close it.
 *
 * A struct dx_channel is one side's handle on a region of shared memory. Either side may start
 * first, and either may be restarted. A host that finds the region of a dead host takes it over
 * under a new epoch. A guest that attaches again goes on where the slots stand.
 *
 * @par URLs
 * @code{.unparsed}
 *   shm:NAME          POSIX shared memory /dev/shm/NAME. NAME has at most
 *                     200 characters of [A-Za-z0-9._-].
 *   file:PATH         Any file that can be mapped, such as the one behind an
 *                     ivshmem device.
 *   unix:PATH         Memory that is handed over at a Unix socket. The end
 *                     of a process is known at once there. The host serves
 *                     the socket, unless a daemon (dx rendezvous PATH) does.
 *   memfd:            dx_create only: an unnamed, sealed region. Give
 *                     dx_channel_fd() to the guest, by inheritance or
 *                     through a socket. It carries no lock.
 *   memfd:N           dx_attach only: the inherited descriptor N.
 *   ivshmem:plain     dx_attach only, in a QEMU guest: the memory of the PCI
 *                     device 1af4:1110. The other side is the host's
 *                     file:PATH or shm:NAME. If there are several devices,
 *                     ivshmem:plain?addr=0000:00:03.0 chooses one. The
 *                     device's resource files in sysfs belong to root, and
 *                     are needed.
 *   ivshmem:doorbell  As ivshmem:plain, for a device that QEMU connected to
 *                     a host's unix:PATH. Either side wakes the other by
 *                     interrupt. It needs vfio-pci (dx_device_bind). Without
 *                     that the guest rings through sysfs and polls, or only
 *                     polls, and dx_channel_notice says so.
 * @endcode
 * A relative path is taken from the current folder at the time of the call.
 *
 * @par Safety
 * Names are created with mode 0600. A link, a file of another user and a file that is open to others
 * are refused. Nothing that exists is ever truncated. One host and one guest hold a region at a time.
 *
 * @par Liveness
 * The kernel's file locks tell who lives. So whoever looks notices at once that a process was killed.
 * Peers under different kernels (a program in a VM) cannot see each other's locks. There each peer
 * writes a heartbeat into the region, and a peer whose heartbeat has not changed for the strategy's
 * peer_timeout_ns (1 s) counts as dead. Parking is then a timed poll. Both sides find out by
 * themselves which of the two it is.
 *
 * @par fork
 * A channel belongs to the process that opened it. The child's copy is inert: it holds no lock, no
 * memory of the region and no socket. So the end of the parent is noticed, however long its children
 * live. In the child, each function that would use the region returns DX_ERR_FORKED (or NULL, or
 * DX_PEER_NONE). dx_caller_close() and dx_close() free what the copy has and tell nobody.
 *   - A pre-fork server forks its workers first, or lets each worker attach for itself.
 *   - A daemon calls daemon(3) before dx_create().
 *   - A handler that forks may return in the child. Its dx_serve() then ends with DX_ERR_FORKED. If
 *     that dx_serve() has several threads, the child must call exec or _exit in the handler.
 *   - A child that was made by clone(2) or _Fork, without the handlers of pthread_atfork, holds no
 *     lock either. It must not use the channel.
 *
 * @par Removed names
 * The name of an open channel can be removed, moved or given to another file: by logind when a
 * user's last session ends (RemoveIPC), by cleaners, or by hand. Each side notices this within half a
 * second. Then dx_channel_notice() says so. A call that waits for a first guest ends with
 * DX_ERR_NAME_REMOVED, because no guest can come. So does a dx_serve() that goes on through restarts,
 * after the other side has died. Two sides that are attached go on.
 *
 * @par Closed descriptors
 * A program that closes descriptors which it does not know (closefrom) may close those of a channel.
 * Both sides live on. If a name leads to the region, it is opened again to see whether the other side
 * lives. Otherwise the other side counts as alive, and dx_channel_notice() says so.
 *
 * @par Stacks
 * Every function of the library works on a thread whose stack has 16 KiB (PTHREAD_STACK_MIN), beside
 * what a handler needs. Threads that the library starts have the program's default stack size, but at
 * least 256 KiB. Sanitizers need more.
 */
/* clang-format on */
#ifndef DX_CHANNEL_H
#define DX_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "dx_peer.h"
#include "dx_status.h"
#include "dx_wait.h"

DX_BEGIN_DECLS

/** How many slots a region can have, of both sides together. */
#define DX_SLOTS_MAX 4096u
/** How many bytes a request or a response can have. */
#define DX_CAPACITY_MAX ((size_t)1 << 30)
/** How many guests a host can have at once. */
#define DX_GUESTS_MAX 30u

struct dx_channel;

/**
 * What a region is to be like.
 *
 * Begin with DX_CONFIG_INIT, which is all zero, and set what differs.
 */
struct dx_config {
    uint32_t slots;             /**< slots on which the host calls, 0 ... DX_SLOTS_MAX; 0 means 1 if
                                   guest_slots is 0, too */
    uint32_t guest_slots;       /**< slots on which the guest calls, 0 ... DX_SLOTS_MAX - slots */
    size_t request_capacity;    /**< bytes a request may have, 0 ... DX_CAPACITY_MAX */
    size_t response_capacity;   /**< bytes a response may have, 0 ... DX_CAPACITY_MAX */
    const struct dx_wait *wait; /**< how to wait; copied; NULL: dx_wait_default() */
    uint64_t reserved[8];       /**< must be zero; room for later versions */
};
/** A struct dx_config of which nothing is set yet. */
#define DX_CONFIG_INIT                                                                             \
    {                                                                                              \
        0, 0, 0, 0, NULL,                                                                          \
        {                                                                                          \
            0, 0, 0, 0, 0, 0, 0, 0                                                                 \
        }                                                                                          \
    }

/**
 * Creates the region and becomes its host.
 *
 * It does not wait for a guest.
 *
 * The region that a dead host left is taken over. If a guest is still attached to it, that works
 * only with the same sizes. A file that exists and holds no region of dx must consist of zero
 * bytes. Any other file is refused and left as it was. All memory is reserved before it is touched.
 *
 * @param url       where the region is: shm:, file:, unix: or memfd:
 * @param config    the region's sizes and this side's wait strategy; NULL means DX_CONFIG_INIT
 * @param[out] out  set to the channel, which the program owns until dx_close(); NULL on failure
 *
 * @retval DX_ERR_HOST_EXISTS   a living host holds the region
 * @retval DX_ERR_GUEST_EXISTS  the dead host's guest lives, and its sizes are others
 * @retval DX_ERR_NOT_DX        the file exists, holds no region and is not all zero
 * @retval DX_ERR_SHORT         the file exists and is too short for the region
 * @retval DX_ERR_PERMISSION    the file belongs to another user, is open to others or is a link
 * @retval DX_ERR_URL           the URL is wrong, or is one for guests
 * @retval DX_ERR_INVALID       a field of config or of its wait strategy is out of its range, or a
 *                              reserved word is not zero
 * @retval DX_ERR_SYSTEM        there is no room for the memory, RLIMIT_FSIZE forbids it, or another
 *                              system call failed
 *
 * @threads Any thread. If the dead host's guest seems to be under another kernel, this blocks for
 *          peer_timeout_ns to see whether it lives.
 */
DX_API dx_status dx_create(const char *url, const struct dx_config *config,
                           struct dx_channel **out);

/**
 * Creates a region with places for several guests at once, and becomes its host.
 *
 * Each place is a region of its own, with all that config says, and begins at a multiple of 64 KiB.
 * The host's ends are ordinary channels with one guest at a time each. A guest takes the first free
 * place. Close channels[0] last: with it the name ends, and new guests cannot find the others.
 *
 * A guest does not notice what another one does, not even its death. But all of them map the same
 * memory and could write anywhere in it. Guests that do not trust each other need one dx_create()
 * each.
 *
 * All places of a dead host are taken over. While a guest is left in any of them, that works only
 * with the same sizes and as many places.
 *
 * @param url            as for dx_create()
 * @param config         as for dx_create(), for each place
 * @param guests         the number of places, 1 ... DX_GUESTS_MAX
 * @param[out] channels  an array of `guests` elements, set to the host's ends. The program owns
 * each of them until dx_close(). All are NULL on failure
 *
 * @return DX_OK, or an error of dx_create()
 *
 * @threads As dx_create().
 */
DX_API dx_status dx_create_places(const char *url, const struct dx_config *config, uint32_t guests,
                                  struct dx_channel **channels);

/**
 * Attaches to a region as the guest.
 *
 * It waits until the region exists, its host lives, and a previous guest has gone. Memory that is
 * all zero, such as that of a new ivshmem device, has no host yet. While it waits, it looks every
 * millisecond at first and later less often, with up to 95 ms between two looks: waiting costs less
 * than 0.1 % of a CPU in the long run. Where the host has several places, the first free one is
 * taken.
 *
 * Where the host or a former guest is under another kernel, each attempt also waits for their
 * heartbeats, whatever timeout_ns says: up to 0.25 s for a living host, 0.5 s for a host that is
 * gone, and peer_timeout_ns for former guests that did not close, for all places together.
 *
 * @param url         where the region is
 * @param wait        this side's wait strategy, which is copied; NULL: dx_wait_default()
 * @param timeout_ns  how long to wait, in ns; 0: not at all, negative: for ever
 * @param[out] out    set to the channel, which the program owns until dx_close(); NULL on failure
 *
 * @retval DX_ERR_NO_PEER       nothing is there
 * @retval DX_ERR_STALE         there is only a dead host's region
 * @retval DX_ERR_GUEST_EXISTS  all places are taken; dx_last_error() tells how many there are
 * @retval DX_ERR_NOT_DX        the memory holds no region
 * @retval DX_ERR_VERSION       the region is of another, incompatible version
 * @retval DX_ERR_GEOMETRY      the sizes in the region's header contradict each other
 * @retval DX_ERR_SHORT         the file is shorter than its header says
 * @retval DX_ERR_PERMISSION    the file belongs to another user, is open to others or is a link
 * @retval DX_ERR_URL           the URL is wrong, or is one for hosts
 * @retval DX_ERR_INVALID       a field of the wait strategy is out of its range
 * @retval DX_ERR_SYSTEM        a system call failed, for example because no descriptor is free
 * @retval DX_ERR_TIMEOUT       unix: the socket's server does not greet us in time, for which it is
 *                              given at least a second
 * @retval DX_ERR_CORRUPT       unix: the socket's server speaks another protocol
 *
 * @threads Any thread. Blocks.
 */
DX_API dx_status dx_attach(const char *url, const struct dx_wait *wait, int64_t timeout_ns,
                           struct dx_channel **out);

/**
 * Maps a region read-only, as a third process, to read its counters.
 *
 * The channel is for dx_stats_read() and dx_stats_read_slot() and nothing else. It takes no lock
 * and writes nothing, and it works on the region of a dead host as well.
 *
 * @param url       where the region is
 * @param[out] out  set to the channel, which the program owns until dx_close(); NULL on failure
 *
 * @return DX_OK, or an error of dx_attach()
 *
 * @threads Any thread.
 */
DX_API dx_status dx_observe(const char *url, struct dx_channel **out);

/**
 * Maps one place of several read-only, as dx_observe() does.
 *
 * @param url       where the region is
 * @param place     the number of the place, from 0
 * @param[out] out  as for dx_observe()
 *
 * @retval DX_ERR_NO_SLOT  there is no place of this number
 * @return DX_OK, or an error of dx_attach()
 *
 * @threads Any thread.
 */
DX_API dx_status dx_observe_place(const char *url, uint32_t place, struct dx_channel **out);

/**
 * Stops the channel for good.
 *
 * Calls in flight and dx_serve() return DX_ERR_STOPPED soon; a handler that is running ends first.
 * New calls return it at once.
 *
 * @param channel  the channel
 *
 * @threads Any thread and any signal handler. Never blocks.
 */
DX_API void dx_stop(struct dx_channel *channel);

/**
 * Tells the other side that this one ends, releases the region and frees the channel.
 *
 * A host also removes the name that it made. In the child of a fork it frees the copy and does
 * nothing else, and is never busy. Close the callers that the child knows first.
 *
 * @param channel  the channel; NULL is allowed
 *
 * @retval DX_ERR_BUSY  a caller is open or dx_serve() runs; nothing has changed
 *
 * @threads One thread; nobody may use the channel afterwards.
 */
DX_API dx_status dx_close(struct dx_channel *channel);

/**
 * Returns how this side parks now.
 *
 * @param channel  the channel
 *
 * @return An enum dx_park: what its strategy says, or DX_PARK_POLL where the other side cannot wake
 *         it. Then it wakes after poll_ns
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint32_t dx_channel_park_kind(const struct dx_channel *channel);

/**
 * Returns a text for people: what this channel does without, why, and what it does instead.
 *
 * An example is ivshmem:doorbell without vfio.
 *
 * @param channel  the channel
 *
 * @return The text, which the channel owns; "" if there is nothing to say
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_channel_notice(const struct dx_channel *channel);

/**
 * Returns how long a request can be.
 *
 * @param channel  the channel
 *
 * @return The size in bytes
 *
 * @threads Any thread. Never blocks.
 */
DX_API size_t dx_channel_request_capacity(const struct dx_channel *channel);

/**
 * Returns how long a response can be.
 *
 * @param channel  the channel
 *
 * @return The size in bytes
 *
 * @threads Any thread. Never blocks.
 */
DX_API size_t dx_channel_response_capacity(const struct dx_channel *channel);

/**
 * Returns the number of slots on which this side calls.
 *
 * @param channel  the channel
 *
 * @return The number, 0 ... DX_SLOTS_MAX
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint32_t dx_channel_slots(const struct dx_channel *channel);

/**
 * Returns the size of the region of this place.
 *
 * @param channel  the channel
 *
 * @return The size in bytes
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint64_t dx_channel_region_bytes(const struct dx_channel *channel);

/**
 * Returns the region's descriptor.
 *
 * No descriptor of the library is ever 0, 1 or 2, even in a program that was started with some of
 * those closed.
 *
 * @param channel  the channel, which owns the descriptor
 *
 * @return The descriptor; -1 if the channel has none
 *
 * @threads Any thread. Never blocks.
 */
DX_API int dx_channel_fd(const struct dx_channel *channel);

DX_END_DECLS

#endif
