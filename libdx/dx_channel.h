/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * Channels: one side's handle on a region. Either side may start first and either may be
 * restarted: a host that finds the region of a dead host takes it over under a new epoch, and a
 * guest that attaches again continues where slots stand.
 *
 * URLs:
 *   shm:NAME      POSIX shared memory /dev/shm/NAME; NAME of [A-Za-z0-9._-], at most 200 long
 *   file:PATH     any file that can be mapped, such as the one behind an ivshmem device
 *   memfd:        dx_create only: an unnamed sealed region; pass dx_channel_fd() to the guest, by
 *                 inheritance or a socket: it carries no lock
 *   memfd:N       dx_attach only: the inherited descriptor N
 *   ivshmem:plain dx_attach only, in a QEMU guest: the memory of the PCI device 1af4:1110, whose
 *                 other side is the host's file:PATH or shm:NAME. Of several devices one is chosen
 *                 by ivshmem:plain?addr=0000:00:03.0. Needs the device's resource files in sysfs,
 *                 which are root's
 *   ivshmem:doorbell  the same, of a device that QEMU connected to a host's unix:PATH: either side
 *                 wakes the other by interrupt. Needs vfio-pci (dx_device_bind). Without it, it
 *                 rings by sysfs and polls, or only polls, and dx_channel_notice says so
 *   unix:PATH     memory handed over at a Unix socket, where the end of a process is known at
 *                 once. The host serves it, unless a daemon (dx rendezvous PATH) does
 *
 * Names are created with mode 0600; a link, a file of another user or one open to others is
 * refused. Nothing that exists is ever truncated. One host and one guest hold a region at a time;
 * the kernel's file locks tell who lives, so that a killed process is noticed at once by whoever
 * looks. Peers under different kernels (a program in a VM) cannot see each other's locks: there
 * each peer's heart beats in the region, one that stands still for the strategy's silence_ns (1 s)
 * counts as dead, and parking is a timed poll. Both find out by themselves which it is.
 *
 * fork: a channel belongs to the process that opened it. The child's copy is inert: it holds no
 * lock, no memory of the region and no socket, so that the end of the parent is noticed however
 * long its children live. In the child each function that would use the region returns
 * DX_ERR_FORKED (or NULL, or DX_PEER_NONE). dx_caller_close and dx_close free what the copy has,
 * whatever was open in the parent's other threads, and tell nobody. So a pre-fork server forks its
 * workers first, or lets each worker attach for itself, and a daemon calls daemon(3) before
 * dx_create. A handler that forks may return in the child: its dx_serve then ends with
 * DX_ERR_FORKED. If that has several threads, the child must call exec or _exit in the handler. A
 * child that is made without the handlers of pthread_atfork, by clone(2) or _Fork, holds no lock
 * either, but must not use the channel.
 *
 * A name can be removed, moved or given to another file while its channel is open: by logind at the
 * end of a user's last session (RemoveIPC), by cleaners, by hand. Each side notices within half a
 * second. dx_channel_notice then says so, and each call that waits for a first guest, and each
 * dx_serve that goes on through restarts after the other side died, ends with DX_ERR_NAME_REMOVED,
 * since nobody can come. Two that are attached go on. A relative path is taken from the current
 * folder at the time of the call.
 *
 * A program that closes descriptors which it does not know (closefrom) may close the channel's:
 * both sides live on. Where a name leads to the region it is opened again to look whether the other
 * side lives. Elsewhere that side counts as alive, and dx_channel_notice says so.
 *
 * Every function of the library works on a thread whose stack has 16 KiB (PTHREAD_STACK_MIN),
 * beside what a handler needs that it calls. Threads that the library starts have the program's
 * default size, and 256 KiB where that is less. Sanitizers need more.
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

/* Begin with DX_CONFIG_INIT (or all zero, which means the same) and set what differs. */
struct dx_config {
    uint32_t slots;             /* slots on which the host calls; 0 means 1; at most DX_SLOTS_MAX */
    uint32_t guest_slots;       /* slots on which the guest calls, 0 ... DX_SLOTS_MAX - slots */
    size_t request_capacity;    /* bytes a request may have, 0 ... DX_CAPACITY_MAX */
    size_t response_capacity;   /* bytes a response may have, 0 ... DX_CAPACITY_MAX */
    const struct dx_wait *wait; /* NULL: dx_wait_default; copied */
};
#define DX_CONFIG_INIT                                                                             \
    {                                                                                              \
        1, 0, 0, 0, NULL                                                                           \
    }

/*
 * Creates the region and becomes its host. Does not wait for a guest. A region that a dead host
 * left is taken over; with a guest still attached to it, only if all sizes are the same. Of a file
 * that exists and has no region of dx in it every byte must be zero: any other is refused with
 * DX_ERR_NOT_DX and left as it was. All memory is reserved before it is touched; where there is no
 * room, or RLIMIT_FSIZE forbids it, that is DX_ERR_SYSTEM.
 * *out is owned by the caller of this function until dx_close; on failure it is NULL.
 * DX_ERR_HOST_EXISTS, _GUEST_EXISTS, _NOT_DX, _SHORT, _PERMISSION, _URL, _INVALID, _SYSTEM.
 */
DX_API dx_status dx_create(const char *url, const struct dx_config *config,
                           struct dx_channel **out);

/*
 * The same for several guests at once: `guests` (1 ... DX_GUESTS_MAX) places in one
 * memory, each at a multiple of 64 KiB and a region of its own with all that config says, and fills
 * channels[0 ... guests - 1] with the host's ends of them: ordinary channels, each owned by the
 * caller until dx_close, and each with one guest at a time. A guest takes the first place that is
 * free. What one guest does, also its death, the others do not notice; but all of them map one
 * memory and could write there what they like: guests that do not trust each other need a host's
 * call each. Close channels[0] last: with it end the name and the way in for new guests. All places
 * of a dead host are taken over; while a guest is left in any of them, only with the same sizes and
 * as many places. Errors as dx_create; on failure all of channels are NULL.
 */
DX_API dx_status dx_create_places(const char *url, const struct dx_config *config, uint32_t guests,
                                  struct dx_channel **channels);

/*
 * Attaches as the guest. Waits up to timeout_ns (0: do not wait; negative: for ever) for the
 * region to appear, its host to live and a previous guest to be gone. Memory that is all zero, as
 * that of a new ivshmem device, waits for its host. It looks every millisecond at first, later less
 * often, up to 95 ms apart, so that waiting costs less than 0.1 % of a CPU in the long run.
 * Where the host has several places, the first one that is free is taken; DX_ERR_GUEST_EXISTS says
 * how many there are. wait may be NULL (dx_wait_default); it is copied. Where the host or a former
 * guest is under another kernel, each attempt listens for their hearts: up to 0.25 s for a living
 * host, 0.5 s for one that is gone, silence_ns for former guests that were not closed, in all
 * places at once, whatever timeout_ns says. On failure *out is NULL. DX_ERR_NO_PEER (nothing
 * there), _STALE (a dead host's), _GUEST_EXISTS, _NOT_DX, _VERSION, _GEOMETRY, _SHORT, _PERMISSION,
 * _URL, _INVALID, _SYSTEM (among others: no descriptor is left, which dx_last_error says); at a
 * rendezvous also _TIMEOUT (whoever serves it does not greet us in time, for which it is given at
 * least a second) and _CORRUPT (it speaks something else).
 */
DX_API dx_status dx_attach(const char *url, const struct dx_wait *wait, int64_t timeout_ns,
                           struct dx_channel **out);

/*
 * Maps the region read-only, as a third process: for dx_stats_read and nothing else. Takes no
 * lock, writes nothing, and works on the region of a dead host as well. Errors as dx_attach.
 */
DX_API dx_status dx_observe(const char *url, struct dx_channel **out);

/* The same for one place of several. DX_ERR_NO_SLOT: there are not so many. */
DX_API dx_status dx_observe_place(const char *url, uint32_t place, struct dx_channel **out);

/*
 * Stops the channel: calls in flight and dx_serve return DX_ERR_STOPPED soon (a handler that is
 * running ends first), new ones at once. Any thread and any signal handler; never blocks.
 */
DX_API void dx_stop(struct dx_channel *channel);

/*
 * Tells the other side, releases the region, and frees the channel. A host also removes a name
 * that it owns. DX_ERR_BUSY, and nothing is changed, while a caller is open or dx_serve runs.
 * In the child of a fork it frees the copy and does nothing else, and is never busy: close the
 * callers that the child knows first. NULL is allowed. One thread; nobody may use the channel
 * afterwards.
 */
DX_API dx_status dx_close(struct dx_channel *channel);

/* What the other side is doing now; costs a system call. */
enum dx_peer { DX_PEER_NONE = 0, DX_PEER_ALIVE = 1, DX_PEER_CLOSED = 2, DX_PEER_DEAD = 3 };
DX_API enum dx_peer dx_channel_peer(const struct dx_channel *channel);

/*
 * Waits up to timeout_ns (negative: for ever, 0: not at all) until the other side is there and
 * lives: DX_OK at once if it is. DX_ERR_NO_PEER at the deadline, _STOPPED; _GUEST_EXISTS for a
 * guest whose place was given to another. Sleeps until the other side comes; where that cannot wake
 * us, it looks at least ten times a second. Any thread, several at once.
 */
DX_API dx_status dx_wait_peer(struct dx_channel *channel, int64_t timeout_ns);

/*
 * Who the other side is. All but `peer`, `place` and `elsewhere` is what it says of itself: a guest
 * that lies may take another's id, yet none but its own place. The session is random and new for
 * each life, so that a host that finds another one than before has another guest, whatever else is
 * equal.
 */
struct dx_peer_info {
    enum dx_peer peer;  /* as dx_channel_peer, but NONE for one that is only just beginning: what
                           follows is of a dead one's if it is not alive */
    uint32_t place;     /* this channel's, 0 ... places - 1 */
    uint32_t places;    /* of the memory */
    uint32_t id;        /* at the rendezvous: a virtual machine keeps its own; DX_NO_ID: none */
    uint64_t session;   /* 0: nobody has been there */
    uint64_t kernel;    /* equal for all under one kernel; 0: does not say */
    uint32_t pid;       /* under its own kernel */
    uint32_t elsewhere; /* 1 if that is another kernel than ours */
};
#define DX_NO_ID UINT32_MAX
DX_API void dx_channel_peer_info(const struct dx_channel *channel, struct dx_peer_info *out);

/* How this side parks now (enum dx_park): as its strategy says, or DX_PARK_POLL, with the
 * strategy's poll_ns as the bound of a wake-up, where the other side cannot wake it. */
DX_API uint32_t dx_channel_park(const struct dx_channel *channel);

/* What of the URL could not be had, why, and what is done instead, for people: of ivshmem:doorbell
 * without vfio, for example. "" if nothing. Lasts as long as the channel. */
DX_API const char *dx_channel_notice(const struct dx_channel *channel);

/* Bytes of a request or a response that fit a slot; slots on which this side calls; bytes of the
 * whole region; the region's descriptor (owned by the channel; -1 if none). No descriptor of the
 * library is ever 0, 1 or 2, also in a program that was started with some of those closed. */
DX_API size_t dx_channel_request_capacity(const struct dx_channel *channel);
DX_API size_t dx_channel_response_capacity(const struct dx_channel *channel);
DX_API uint32_t dx_channel_slots(const struct dx_channel *channel);
DX_API uint64_t dx_channel_region_bytes(const struct dx_channel *channel);
DX_API int dx_channel_fd(const struct dx_channel *channel);

DX_END_DECLS

#endif
