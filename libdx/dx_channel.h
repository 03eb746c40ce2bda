/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * Channels. A struct dx_channel is one side's handle on a region of shared memory. Either side may
 * start first, and either may be restarted. A host that finds the region of a dead host takes it
 * over under a new epoch. A guest that attaches again goes on where the slots stand.
 *
 * URLs:
 *   shm:NAME          POSIX shared memory /dev/shm/NAME. NAME has at most 200 characters of
 *                     [A-Za-z0-9._-].
 *   file:PATH         Any file that can be mapped, such as the one behind an ivshmem device.
 *   unix:PATH         Memory that is handed over at a Unix socket. The end of a process is known at
 *                     once there. The host serves the socket, unless a daemon (dx rendezvous PATH)
 *                     does.
 *   memfd:            dx_create only: an unnamed, sealed region. Give dx_channel_fd() to the guest,
 *                     by inheritance or through a socket. It carries no lock.
 *   memfd:N           dx_attach only: the inherited descriptor N.
 *   ivshmem:plain     dx_attach only, in a QEMU guest: the memory of the PCI device 1af4:1110. The
 *                     other side is the host's file:PATH or shm:NAME. If there are several devices,
 *                     ivshmem:plain?addr=0000:00:03.0 chooses one. The device's resource files in
 *                     sysfs belong to root, and are needed.
 *   ivshmem:doorbell  As ivshmem:plain, for a device that QEMU connected to a host's unix:PATH.
 *                     Either side wakes the other by interrupt. It needs vfio-pci (dx_device_bind).
 *                     Without that the guest rings through sysfs and polls, or only polls, and
 *                     dx_channel_notice says so.
 *
 * A relative path is taken from the current folder at the time of the call.
 *
 * Safety. Names are created with mode 0600. A link, a file of another user and a file that is open
 * to others are refused. Nothing that exists is ever truncated. One host and one guest hold a
 * region at a time.
 *
 * Liveness. The kernel's file locks tell who lives. So whoever looks notices at once that a process
 * was killed. Peers under different kernels (a program in a VM) cannot see each other's locks.
 * There each peer writes a heartbeat into the region, and a peer whose heartbeat has not changed
 * for the strategy's peer_timeout_ns (1 s) counts as dead. Parking is then a timed poll. Both sides find
 * out by themselves which of the two it is.
 *
 * fork. A channel belongs to the process that opened it. The child's copy is inert: it holds no
 * lock, no memory of the region and no socket. So the end of the parent is noticed, however long
 * its children live. In the child, each function that would use the region returns DX_ERR_FORKED
 * (or NULL, or DX_PEER_NONE). dx_caller_close and dx_close free what the copy has and tell nobody.
 *   - A pre-fork server forks its workers first, or lets each worker attach for itself.
 *   - A daemon calls daemon(3) before dx_create.
 *   - A handler that forks may return in the child. Its dx_serve then ends with DX_ERR_FORKED. If
 *     that dx_serve has several threads, the child must call exec or _exit in the handler.
 *   - A child that was made by clone(2) or _Fork, without the handlers of pthread_atfork, holds no
 *     lock either. It must not use the channel.
 *
 * Removed names. The name of an open channel can be removed, moved or given to another file: by
 * logind when a user's last session ends (RemoveIPC), by cleaners, or by hand. Each side notices
 * this within half a second. Then dx_channel_notice says so. A call that waits for a first guest
 * ends with DX_ERR_NAME_REMOVED, because no guest can come. So does a dx_serve that goes on through
 * restarts, after the other side has died. Two sides that are attached go on.
 *
 * Closed descriptors. A program that closes descriptors which it does not know (closefrom) may
 * close those of a channel. Both sides live on. If a name leads to the region, it is opened again
 * to see whether the other side lives. Otherwise the other side counts as alive, and
 * dx_channel_notice says so.
 *
 * Stacks. Every function of the library works on a thread whose stack has 16 KiB
 * (PTHREAD_STACK_MIN), beside what a handler needs. Threads that the library starts have the
 * program's default stack size, but at least 256 KiB. Sanitizers need more.
 */
/* clang-format on */
#ifndef DX_CHANNEL_H
#define DX_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "dx_status.h"
#include "dx_wait.h"

DX_BEGIN_DECLS

#define DX_SLOTS_MAX 4096u
#define DX_CAPACITY_MAX ((size_t)1 << 30)
#define DX_GUESTS_MAX 30u

struct dx_channel;

/* Begin with DX_CONFIG_INIT, which is all zero, and set what differs. */
struct dx_config {
    uint32_t slots;             /* slots on which the host calls, 0 ... DX_SLOTS_MAX; 0 means 1 if
                                   guest_slots is 0, too */
    uint32_t guest_slots;       /* slots on which the guest calls, 0 ... DX_SLOTS_MAX - slots */
    size_t request_capacity;    /* bytes a request may have, 0 ... DX_CAPACITY_MAX */
    size_t response_capacity;   /* bytes a response may have, 0 ... DX_CAPACITY_MAX */
    const struct dx_wait *wait; /* NULL: dx_wait_default; copied */
};
#define DX_CONFIG_INIT                                                                             \
    {                                                                                              \
        0, 0, 0, 0, NULL                                                                           \
    }

/*
 * Creates the region and becomes its host. Does not wait for a guest.
 *
 * The region that a dead host left is taken over. If a guest is still attached to it, that works
 * only with the same sizes. A file that exists and holds no region of dx must consist of zero
 * bytes; otherwise it is refused with DX_ERR_NOT_DX and left as it was. All memory is reserved
 * before it is touched: where there is no room for it, or RLIMIT_FSIZE forbids it, the result is
 * DX_ERR_SYSTEM.
 *
 * config may be NULL, which is DX_CONFIG_INIT. The program owns *out until dx_close. On failure
 * *out is NULL. Any thread. If the dead host's guest seems to be under another kernel, this blocks
 * for peer_timeout_ns to see whether it lives.
 *
 * DX_ERR_HOST_EXISTS, _GUEST_EXISTS, _NOT_DX, _SHORT, _PERMISSION, _URL, _INVALID, _SYSTEM.
 */
DX_API dx_status dx_create(const char *url, const struct dx_config *config,
                           struct dx_channel **out);

/*
 * As dx_create, for several guests at once. The memory gets `guests` (1 ... DX_GUESTS_MAX) places.
 * Each place is a region of its own, with all that config says, and begins at a multiple of 64 KiB.
 * channels[0 ... guests - 1] are set to the host's ends. They are ordinary channels with one guest
 * at a time each, and the program owns each of them until dx_close. A guest takes the first free
 * place. Close channels[0] last: with it the name ends, and new guests cannot find the others.
 *
 * A guest does not notice what another one does, not even its death. But all of them map the same
 * memory and could write anywhere in it. Guests that do not trust each other need one dx_create
 * each.
 *
 * All places of a dead host are taken over. While a guest is left in any of them, that works only
 * with the same sizes and as many places. Errors as dx_create. On failure all channels are NULL.
 */
DX_API dx_status dx_create_places(const char *url, const struct dx_config *config, uint32_t guests,
                                  struct dx_channel **channels);

/*
 * Attaches as the guest. Waits up to timeout_ns (0: not at all, negative: for ever) until the
 * region exists, its host lives, and a previous guest has gone. Memory that is all zero, such as
 * that of a new ivshmem device, has no host yet. While it waits, it looks every millisecond at
 * first and later less often, with up to 95 ms between two looks: waiting costs less than 0.1 % of
 * a CPU in the long run. Where the host has several places, the first free one is taken.
 *
 * Where the host or a former guest is under another kernel, each attempt also waits for their
 * heartbeats, whatever timeout_ns says: up to 0.25 s for a living host, 0.5 s for a host that is
 * gone, and peer_timeout_ns for former guests that did not close, for all places together.
 *
 * wait may be NULL (dx_wait_default). It is copied. The program owns *out until dx_close. On
 * failure *out is NULL. Any thread. Blocks.
 *
 * DX_ERR_NO_PEER (nothing is there), _STALE (only a dead host's region), _GUEST_EXISTS (all places
 * are taken; dx_last_error tells how many there are), _NOT_DX, _VERSION, _GEOMETRY, _SHORT,
 * _PERMISSION, _URL, _INVALID, _SYSTEM (for example no free descriptor, which dx_last_error says).
 * On unix: also _TIMEOUT (the socket's server does not greet us in time, for which it is given at
 * least a second) and _CORRUPT (it speaks another protocol).
 */
DX_API dx_status dx_attach(const char *url, const struct dx_wait *wait, int64_t timeout_ns,
                           struct dx_channel **out);

/*
 * Maps the region read-only, as a third process, for dx_stats_read and nothing else. It takes no
 * lock and writes nothing, and it works on the region of a dead host as well. Close it by dx_close.
 * Errors as dx_attach. Any thread.
 */
DX_API dx_status dx_observe(const char *url, struct dx_channel **out);

/* As dx_observe, for one place of several. DX_ERR_NO_SLOT: there is no place of this number. */
DX_API dx_status dx_observe_place(const char *url, uint32_t place, struct dx_channel **out);

/*
 * Stops the channel for good. Calls in flight and dx_serve return DX_ERR_STOPPED soon; a handler
 * that is running ends first. New calls return it at once. Any thread and any signal handler. Never
 * blocks.
 */
DX_API void dx_stop(struct dx_channel *channel);

/*
 * Tells the other side that this one ends, releases the region and frees the channel. A host also
 * removes the name that it made. While a caller is open or dx_serve runs, it returns DX_ERR_BUSY
 * and changes nothing. One thread; nobody may use the channel afterwards. NULL is allowed.
 *
 * In the child of a fork it frees the copy and does nothing else, and is never busy. Close the
 * callers that the child knows first.
 */
DX_API dx_status dx_close(struct dx_channel *channel);

/* Returns whether the other side is there. It costs a system call. Any thread, never blocks. */
enum dx_peer { DX_PEER_NONE = 0, DX_PEER_ALIVE = 1, DX_PEER_CLOSED = 2, DX_PEER_DEAD = 3 };
DX_API enum dx_peer dx_channel_peer(const struct dx_channel *channel);

/*
 * Waits up to timeout_ns (negative: for ever, 0: not at all) until the other side is there and
 * lives. Returns DX_OK at once if it does. It sleeps until the other side comes; where that side
 * cannot wake it, it looks at least ten times a second. Any thread, several at once. Blocks.
 *
 * DX_ERR_NO_PEER (at the deadline), _STOPPED, _FORKED, _NAME_REMOVED (nobody can come), and for a
 * guest _GUEST_EXISTS (its place was given to another).
 */
DX_API dx_status dx_wait_peer(struct dx_channel *channel, int64_t timeout_ns);

/*
 * Who the other side is. `peer`, `place` and `remote` are what this side found out. All else is
 * what the other side says of itself. A guest that lies may take another guest's id, but not its
 * place. The session is random and new for each life: a host that finds another session than before
 * has another guest, whatever else is equal.
 */
struct dx_peer_info {
    enum dx_peer peer; /* as dx_channel_peer, but NONE for a peer that is still beginning. If it
                          is not ALIVE, what follows tells of the last peer */
    uint32_t place;    /* this channel's, 0 ... places - 1 */
    uint32_t places;   /* how many the memory has */
    uint32_t id;       /* its id at the Unix socket, or DX_NO_ID. A VM keeps its own */
    uint64_t session;  /* 0: nobody has been there */
    uint64_t kernel;   /* equal for all peers under one kernel; 0: it does not say */
    uint32_t pid;      /* its process id under its own kernel */
    uint32_t remote;   /* 1 if it is under another kernel than this process, else 0 */
};
#define DX_NO_ID UINT32_MAX
/* Fills *out. Any thread, never blocks. */
DX_API void dx_channel_peer_info(const struct dx_channel *channel, struct dx_peer_info *out);

/* Returns how this side parks now (enum dx_park). That is what its strategy says, or DX_PARK_POLL
 * where the other side cannot wake it: then it wakes after poll_ns. Any thread, never blocks. */
DX_API uint32_t dx_channel_park_kind(const struct dx_channel *channel);

/* Returns a text for people: what this channel does without, why, and what it does instead. An
 * example is ivshmem:doorbell without vfio. It is "" if there is nothing to say. The channel owns
 * the text. Any thread, never blocks. */
DX_API const char *dx_channel_notice(const struct dx_channel *channel);

/*
 * dx_channel_request_capacity   the largest request, in bytes
 * dx_channel_response_capacity  the largest response, in bytes
 * dx_channel_slots              slots on which this side calls
 * dx_channel_region_bytes       size of the region of this place
 * dx_channel_fd                 the region's descriptor, which the channel owns; -1 if it has none.
 *                               No descriptor of the library is ever 0, 1 or 2, even in a program
 *                               that was started with some of those closed
 *
 * Any thread. They never block.
 */
DX_API size_t dx_channel_request_capacity(const struct dx_channel *channel);
DX_API size_t dx_channel_response_capacity(const struct dx_channel *channel);
DX_API uint32_t dx_channel_slots(const struct dx_channel *channel);
DX_API uint64_t dx_channel_region_bytes(const struct dx_channel *channel);
DX_API int dx_channel_fd(const struct dx_channel *channel);

DX_END_DECLS

#endif
