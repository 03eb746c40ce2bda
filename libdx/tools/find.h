/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the regions and sockets of this user on this machine: files in /dev/shm that begin as a
 * region of dx, files that a process of this user maps and that begin so, memory without a name in
 * such a process, sockets, and in a VM the memory of ivshmem devices. Nothing is locked and nothing
 * is changed.
 */
#ifndef DX_TOOL_FIND_H
#define DX_TOOL_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../dx_status.h"
#include "../region.h"

#define FIND_BLOCK_BYTES 512u /* of st_blocks: stat(2) */

struct found {
    char *url;           /* what programs give to dx_attach; "memfd:" for memory without a name */
    char descriptor[64]; /* /proc/PID/fd/N, by which memory without a file is looked at; else "" */
    bool is_device;      /* in a VM: memory of an ivshmem device, which cannot be removed */
    bool is_socket;      /* a socket that no process has bound: nobody can serve it any more */
    uint64_t bytes;      /* that it takes: of a sparse file what is there */
    int64_t modified_s;  /* seconds since 1970 */
    dev_t device;        /* of the memory's file, or of the socket's */
    ino_t inode;
    pid_t user; /* a process that maps it, other than this one; 0: none was seen */
};

struct found_list {
    struct found *items; /* by URL */
    size_t count;
    char
        problem[DX_NOTICE_BYTES]; /* what could not be looked at first, so that more may be there */
    int sockets_error;            /* why Unix sockets cannot be listed (unix_diag); 0: they are */
};

void find_all(struct found_list *list);
void find_free(struct found_list *list);

/* The URL by which look_open gets at it: its own, or memfd:N with a descriptor that is opened here
 * and to be closed by the caller (*fd, else -1). DX_ERR_NO_PEER: it is gone. */
#define FIND_URL_BYTES 4200
dx_status find_open(const struct found *f, char *url, int *fd);

#endif
