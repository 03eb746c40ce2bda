/* SPDX-License-Identifier: Apache-2.0 */
/* How what is found is put into its list, and what could not be looked at is noted. */
#ifndef DX_TOOL_FIND_LIST_H
#define DX_TOOL_FIND_LIST_H

#include <dirent.h>
#include <sys/stat.h>

#include "../transport.h"
#include "find.h"
#include "sockets.h"

/* This could not be looked at, because of this error. */
void find_note(struct found_list *list, const char *what, int error);

/* After a failed look at something of a process, which may end, and whose files may be anybody's
 * and anywhere: notes what we lack ourselves. */
void find_note_lack(struct found_list *list, const char *what);

/* The next entry of a folder, or NULL at its end. That of a process may end early. */
const struct dirent *find_next_entry(struct found_list *list, DIR *folder, const char *name);

/* NULL: there is no memory, which is noted. */
struct found *find_add(struct found_list *list, const char *scheme, const char *name,
                       const struct stat *s);
void find_add_file(struct found_list *list, const char *path, const struct stat *s);
struct found *find_inode(const struct found_list *list, dev_t device, ino_t inode);

/* Is it a regular file of this user, closed to others, that begins as a region? *s is what lstat
 * says of it: to open a device could do something. */
bool find_is_region(struct found_list *list, const char *path, struct stat *s);

/* find_process.c: adds what processes of this user map. */
void find_in_processes(struct found_list *list, const struct bound_sockets *sockets);

#endif
