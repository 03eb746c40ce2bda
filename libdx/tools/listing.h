/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of each region and socket of this user: who lives there, and what its memory
 * says. */
#ifndef DX_TOOL_LISTING_H
#define DX_TOOL_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "../region.h"
#include "find.h"
#include "report.h"

struct listing {
    const struct found *found;
    uint32_t places;        /* 0: it cannot be read, and `problem` says why */
    struct report *reports; /* one a place */
    bool alive;             /* a side lives, or a process maps it */
    char problem[DX_NOTICE_BYTES];
    bool unseen; /* that is no fault of the region's, but of the look at it */
};

struct listings {
    struct found_list found;
    struct listing *items;
    size_t count;
    char problem[DX_NOTICE_BYTES]; /* what could not be looked at, and why; "": nothing */
};

/* Finds those whose URL begins with a prefix (NULL: all), and looks at each. False: there was no
 * memory for that. */
bool listing_make(const char *prefix, struct listings *all);
/* Says on standard error if Unix sockets cannot be listed here, and what that means for this verb.
 */
void listing_tell_sockets(const struct listings *all, const char *verb, const char *meaning);
void listing_free(struct listings *all);

/* Was it left behind by processes of dx that are dead, for certain? A socket of a name that a
 * program chose could be another program's. */
bool listing_is_dead(const struct listing *l);

#endif
