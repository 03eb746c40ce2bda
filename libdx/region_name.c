/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name may be removed while its region is in use: by logind when a user's last session ends
 * (RemoveIPC), by cleaners of old files, by hand. Both sides go on, and nobody else finds them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "atomic.h"
#include "transport.h"

const char *dx_region_folder(struct dx_region *region)
{
    const char *path = region->url.path;
    const char *slash = strrchr(path, '/');
    char *folder = region->name.folder;
    if (slash == NULL)
        (void)snprintf(folder, sizeof region->name.folder, ".");
    else
        (void)snprintf(folder, sizeof region->name.folder, "%.*s",
                       slash == path ? 1 : (int)(slash - path), path);
    return folder;
}

void dx_region_remember_name(struct dx_region *region)
{
    struct stat s;
    struct stat folder;
    enum dx_transport_name name = region->url.transport->name;
    /* Relaxed: ours. */
    if (dx_load_relaxed(&region->name.known) != 0 || name == DX_NAME_NONE ||
        lstat(region->url.path, &s) != 0 || stat(dx_region_folder(region), &folder) != 0)
        return;
    /* A host that begins has no name yet, and another's may stand there. */
    if (name == DX_NAME_SOCKET ? !S_ISSOCK(s.st_mode)
                               : s.st_dev != region->device || s.st_ino != region->inode)
        return;
    region->name.device = s.st_dev;
    region->name.inode = s.st_ino;
    region->name.folder_device = folder.st_dev;
    region->name.folder_inode = folder.st_ino;
    (void)snprintf(region->name.removed, sizeof region->name.removed,
                   "%.300s: the name was removed or given to another file while this channel was "
                   "open, so that nobody can find it any more: close it and begin anew (dx doctor "
                   "says whether RemoveIPC does that)",
                   region->url.path);
    /* R14 -> A14: all of the name before its thread looks. */
    dx_store_release(&region->name.known, 1u);
}

bool dx_region_name_is_gone(const struct dx_region *region, bool before)
{
    const struct dx_region_name *name = &region->name;
    struct stat s;
    /* A14 <- R14. */
    if (dx_load_acquire(&name->known) == 0)
        return false;
    if (lstat(region->url.path, &s) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return before;
    } else if (s.st_dev == name->device && s.st_ino == name->inode) {
        return false;
    }
    /* The file itself says so, if it is the region. Else only the folder in which the name was can
     * say that it is not there: a process may have another root by now, or other mounts. */
    if (region->url.transport->name == DX_NAME_FILE && dx_region_is_file(region, region->fd) &&
        fstat(region->fd, &s) == 0 && s.st_nlink == 0)
        return true;
    return stat(name->folder, &s) == 0
               ? s.st_dev == name->folder_device && s.st_ino == name->folder_inode
               : before;
}
