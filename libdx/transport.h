/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways in which two programs come to the same memory: a row of constants and functions for
 * each kind of URL, in a file of its own (transport_*.c). All that differs between them is asked of
 * the row. transport.c has the table of all rows.
 */
#ifndef DX_TRANSPORT_H
#define DX_TRANSPORT_H

#include "region.h"

/* Under which kernel the other side can be, seen from ours. Under another one it sees neither our
 * locks nor our futexes and semaphores, and only its heartbeat tells that it lives. */
enum dx_kernels {
    DX_SAME_KERNEL,  /* the memory cannot leave its kernel */
    DX_ANY_KERNEL,   /* the other side says which it is under */
    DX_OTHER_KERNEL, /* we are in a VM: the memory is a device's, and the host is outside */
};

/* What stands in a file system under the URL's path. */
enum dx_transport_name { DX_NAME_NONE, DX_NAME_FILE, DX_NAME_SOCKET };

struct dx_transport {
    const char *scheme; /* how its URLs begin */
    const char *usage;  /* for people */
    enum dx_kernels kernels;
    enum dx_transport_name name;

    /* Reads what follows the scheme into *out, whose transport is set. */
    dx_status (*parse)(const char *rest, struct dx_url *out);

    /* For a host: opens, or makes with zero bytes, the memory for *out, whose URL is set; takes the
     * lock of place 0 and maps it. *fresh, true before: the bytes are new and all zero. NULL: no
     * host can be on this side. */
    dx_status (*create)(struct dx_region *out, struct dx_region_size size, bool *fresh);

    /* Gives what was created its name. NULL: it needs none. */
    dx_status (*publish)(struct dx_region *region);

    /* For a guest or an observer: opens and maps what exists; takes no lock. */
    dx_status (*attach)(struct dx_region *out);
};

extern const struct dx_transport dx_transport_shm;
extern const struct dx_transport dx_transport_file;
extern const struct dx_transport dx_transport_memfd;
extern const struct dx_transport dx_transport_unix;
extern const struct dx_transport dx_transport_ivshmem;

/* url.c: an absolute path of what follows the scheme of *out, as its path. */
dx_status dx_url_parse_path(const char *path, struct dx_url *out);

#endif
