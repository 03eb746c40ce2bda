/* SPDX-License-Identifier: Apache-2.0 */
/* Where a region's bytes come from, and the kernel locks by which its holders are known to live. */
#ifndef DX_REGION_H
#define DX_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dx_status.h"
#include "layout.h"

#define DX_PATH_MAX 4096
#define DX_NOTICE_BYTES 512

struct dx_transport;

/* A parsed URL. */
struct dx_url {
    const struct dx_transport *transport;
    char path[DX_PATH_MAX]; /* shm, file; unix: the socket's; ivshmem: the device's address or "" */
    int fd;                 /* memfd; -1: none given */
    bool doorbell;          /* ivshmem: also its registers and its interrupt */
    int64_t greet_by_ns;    /* unix: when whoever serves it must have greeted us; 0: soon */
};

/* Where the region's name lies, so that its end can be told from what only looks like it. */
struct dx_region_name {
    _Atomic uint32_t known;
    dev_t device; /* of what has the name: the region's file, or a socket */
    ino_t inode;
    dev_t folder_device;
    ino_t folder_inode;
    char folder[DX_PATH_MAX];      /* in which the name lies, see dx_region_folder */
    char removed[DX_NOTICE_BYTES]; /* for people, when it is gone */
};

/* A mapped region. While it is being opened the descriptor's own open file description carries the
 * locks. dx_region_seal leaves that description to the mapping alone, which no child inherits and
 * no close of a descriptor ends. From then on the descriptor is another one, without locks. */
struct dx_region {
    struct dx_url url;
    int fd;
    void *base;
    uint64_t bytes;      /* mapped */
    uint64_t page_bytes; /* of the mapping */
    uint64_t offset;     /* from where in the file */
    uint32_t place;
    struct dx_link *link; /* unix: who is there; else NULL */
    bool created;         /* the name is ours to remove */
    bool shared_nothing;  /* sealed: the descriptor carries no lock */
    dev_t device;         /* of the file, since it is sealed */
    ino_t inode;
    bool read_only;
    struct dx_region_name name;
    char notice[DX_NOTICE_BYTES]; /* what could not be had, for people; "" if all could */
};

/* DX_ERR_URL says what is wrong with it. */
dx_status dx_url_parse(const char *url, struct dx_url *out);

/* The same into memory of its own, which is too large for a small stack; to be freed. On failure
 * *out is NULL. DX_ERR_SYSTEM: there is none. */
dx_status dx_url_new(const char *url, struct dx_url **out);

/* Opens, or creates with zero bytes, for a host; takes the host's lock of place 0 and maps that.
 * *fresh is true if the bytes are new and all zero. A new name appears only by dx_region_publish.
 */
struct dx_region_size {
    uint64_t bytes;  /* of one place */
    uint64_t stride; /* from the beginning of one place to that of the next */
    uint32_t places; /* of the memory */
    uint64_t room;   /* behind them, to be had on demand; memory without it does, too */
};

/* Of all places together. */
static inline uint64_t dx_region_memory_bytes(struct dx_region_size size)
{
    return (size.places - 1) * size.stride + size.bytes;
}

dx_status dx_region_create(const struct dx_url *url, struct dx_region_size size,
                           struct dx_region *out, bool *fresh);

/* Another place of what was just created as place 0, with a descriptor and a lock of its own. */
dx_status dx_region_create_place(const struct dx_region *first, struct dx_region_size size,
                                 uint32_t place, struct dx_region *out, bool *fresh);

/* Does the name still stand for the file that we hold? DX_ERR_SYSTEM: that cannot be told. */
dx_status dx_region_check_name(const char *path, int fd, bool *same);

/* Gives a fresh region its name. DX_ERR_HOST_EXISTS if another took it meanwhile. */
dx_status dx_region_publish(struct dx_region *region);

/* Opens and maps what exists; takes no lock. DX_ERR_NO_PEER if there is nothing. */
dx_status dx_region_open(const struct dx_url *url, bool read_only, struct dx_region *out);

/* Does the name still stand for what is open, is that still ours alone, and all of it mapped? True
 * of what has no name in a file system. */
bool dx_region_is_current(const struct dx_region *region);

/* Maps a place of what is open, in place of what was mapped; bytes 0: the whole file, as place 0.
 * Offset and bytes must lie within the file. What was mapped stays if it cannot be mapped. */
dx_status dx_region_view(struct dx_region *region, uint32_t place, uint64_t offset, uint64_t bytes);

/* Bytes of the region's file; 0 if that cannot be said. */
uint64_t dx_region_file_bytes(const struct dx_region *region);

/* Unmaps and closes, which ends the locks; removes a name that is ours. */
void dx_region_close(struct dx_region *region);

/* The descriptor checks that every open passes: a regular file of ours that is closed to others. */
dx_status dx_region_check_owner(int fd, const char *path);

/* Locks, one byte each. A host holds HOST from before it looks at the region, and OPEN from when
 * what the region says of its host is true: without OPEN its state may be that of a dead one. */
enum dx_lock { DX_LOCK_HOST = DX_HOST, DX_LOCK_GUEST = DX_GUEST, DX_LOCK_OPEN = 32 };

/* The same lock of another place. */
static inline uint32_t dx_lock_at(uint32_t place, enum dx_lock lock)
{
    return place << 20 | (uint32_t)lock;
}

/* Takes a lock, and gives it back. DX_ERR_BUSY if another description has it; DX_ERR_SYSTEM. */
dx_status dx_region_lock(int fd, uint32_t lock, const char *path);
dx_status dx_region_unlock(int fd, uint32_t lock, const char *path);

/* Does another description hold the lock? The first function also says no if that cannot be told.
 */
bool dx_region_lock_held(int fd, uint32_t lock);
dx_status dx_region_lock_see(int fd, uint32_t lock, const char *path, bool *held);

/* The same, with DX_LOCK_UNSEEN where it cannot be told. Of a sealed region a program may have
 * closed the descriptor: then another one is opened by name. */
enum dx_lock_look { DX_LOCK_FREE = 0, DX_LOCK_HELD = 1, DX_LOCK_UNSEEN = 2 };
enum dx_lock_look dx_region_lock_look_by(int fd, uint32_t lock);
enum dx_lock_look dx_region_lock_look(const struct dx_region *region, uint32_t lock);

/* For people who look for a holder among the descriptors of processes: a sealed region's descriptor
 * has a lock without meaning, at this distance after the lock that says who lives. */
#define DX_LOCK_HINT (1u << 28)
void dx_region_lock_hint(int fd, uint32_t lock);

/* Takes the guest's lock for a host that begins. DX_ERR_BUSY if a guest keeps it, which one that is
 * only just finding its host dead does for a moment. */
dx_status dx_region_lock_out_guest(int fd, uint32_t place, const char *path);

/* The same for every place that there could be; only the lock of place 0 is kept. */
dx_status dx_region_lock_out_guests(int fd, const char *path);

/* Is the first page of a place all zero? Then nobody has begun there. */
bool dx_region_is_blank(const void *base);

/* Call it when all locks are held. From here on they end with the mapping, and so with this
 * process, whoever has a copy of a descriptor. Without /proc and without a name this cannot be
 * done, and the region stays as it is. DX_ERR_SYSTEM: no descriptor. */
dx_status dx_region_seal(struct dx_region *region);

/* Is this the file of a region that is or was sealed? Is the region's descriptor still its own, and
 * not closed by the program? A descriptor of the file by its name; -1: none can be had. */
bool dx_region_is_file(const struct dx_region *region, int fd);
bool dx_region_fd_is_ours(const struct dx_region *region);
int dx_region_open_name(const struct dx_region *region);

/* The folder in which the name lies or will lie, kept in the region. Not while another thread may
 * look at it, which is once the name is remembered. */
const char *dx_region_folder(struct dx_region *region);

/* Remembers what stands under the name of a sealed region, if it is the region and has a name;
 * once. Is it gone? `before`: what was said last, which holds where it cannot be told, as after a
 * chroot. Also true if another file has the name now, such as a second host's. */
void dx_region_remember_name(struct dx_region *region);
bool dx_region_name_is_gone(const struct dx_region *region, bool before);

/* Maps region->fd with `bytes` from region->offset, which need not be a page's beginning; unmaps
 * it. map_found also makes sure that the first page can be looked at. */
dx_status dx_region_map(struct dx_region *region, uint64_t bytes);
dx_status dx_region_map_found(struct dx_region *region, uint64_t bytes);
dx_status dx_region_map_file(struct dx_region *region); /* all of it */
void dx_region_unmap(struct dx_region *region);

/* Where the whole pages begin that a region has mapped, and their bytes. */
void *dx_region_pages(const struct dx_region *region, uint64_t *bytes);

/* The same without a region: where `offset` lies, or NULL with errno. Pages of so many bytes are
 * those of the file, which dx_region_page_bytes says. */
uint64_t dx_region_page_bytes(int fd);
void *dx_region_map_part(int fd, uint64_t offset, uint64_t bytes, bool read_only, uint64_t page);
void dx_region_unmap_part(void *at, uint64_t offset, uint64_t bytes, uint64_t page);

/* Makes sure that bytes of what is mapped can be read without a SIGBUS, where nobody may have
 * reserved them. Before Linux 5.14 this cannot be known, and DX_OK is returned. */
dx_status dx_region_touch(const struct dx_region *region, uint64_t from, uint64_t bytes);
dx_status dx_region_touch_at(const struct dx_region *region, void *mapped, uint64_t bytes);

/* Reserves the bytes of a file from `from` up to `to`, which makes it larger if need be, so that no
 * touch of them can be a SIGBUS. blank: all of them are zero, and nobody uses them. What is there
 * stays; if it fails a file that was blank is again as it was. DX_ERR_SYSTEM names what is lacking,
 * also a limit of the process. */
dx_status dx_region_reserve(int fd, const char *path, uint64_t from, uint64_t to, bool blank);

/* DX_ERR_SYSTEM where RLIMIT_FSIZE forbids a file of so many bytes, before SIGXFSZ does. */
dx_status dx_region_check_limit(const char *path, uint64_t bytes);

/* The next part of a file with data in it, from *from up to *to, which is at most end. False if
 * there is none: holes are skipped. */
bool dx_region_next_data(int fd, uint64_t *from, uint64_t *to, uint64_t end);

/* False with errno if they cannot be written. */
bool dx_region_write_zeros(int fd, uint64_t from, uint64_t to);

/* Is every byte of the file zero? One that is not may be somebody's: such a file is not ours. */
dx_status dx_region_check_blank(int fd, const char *path, bool *blank);

/* Does the file begin with a magic of dx? DX_ERR_SYSTEM: it cannot be read. */
dx_status dx_region_check_dx(int fd, const char *path, bool *is_dx);

/* What exists and whose host lock we have: may we use it, and is it large enough? Maps it. *fresh:
 * it was never used. */
dx_status dx_region_take_over(struct dx_region *region, struct dx_region_size size, bool *fresh);

/* Unnamed memory of `length` bytes, of which those of the region are reserved; with the host's
 * lock, and mapped. The same file with a description, and so with locks, of its own. */
dx_status dx_region_create_memfd(const char *name, struct dx_region_size size, uint64_t length,
                                 struct dx_region *out);
dx_status dx_region_reopen_fd(int fd, const char *name, bool read_only, int *out);

#endif
