/* SPDX-License-Identifier: Apache-2.0 */
/* Which call in flight has a tag: a table with open addressing, at most half full, in which a
 * removal moves what follows back, so that nothing is marked as removed. */
#ifndef DX_QUEUE_TAGS_H
#define DX_QUEUE_TAGS_H

#include "queue.h"

/* Spreads numbers that lie close together (Knuth, The Art of Computer Programming 6.4). */
static inline uint32_t dx_tag_home(const struct dx_queue *q, uint64_t tag)
{
    return (uint32_t)((tag * 0x9e3779b97f4a7c15u) >> 32) & q->tag_mask;
}

static inline uint64_t dx_tag_at(const struct dx_queue *q, uint32_t place)
{
    return q->flights[q->tags[place] - 1].tag;
}

/* Where the tag is, or where the search for it ends. */
static inline uint32_t dx_tag_place(const struct dx_queue *q, uint64_t tag)
{
    uint32_t place = dx_tag_home(q, tag);
    while (q->tags[place] != 0 && dx_tag_at(q, place) != tag)
        place = (place + 1) & q->tag_mask;
    return place;
}

static inline uint32_t dx_tag_find(const struct dx_queue *q, uint64_t tag)
{
    return q->tags[dx_tag_place(q, tag)] - 1; /* 0 becomes DX_NO_FLIGHT */
}

static inline void dx_tag_put(struct dx_queue *q, uint32_t flight)
{
    q->tags[dx_tag_place(q, q->flights[flight].tag)] = flight + 1;
}

static inline void dx_tag_remove(struct dx_queue *q, uint64_t tag)
{
    uint32_t hole = dx_tag_place(q, tag);
    for (uint32_t place = (hole + 1) & q->tag_mask; q->tags[place] != 0;
         place = (place + 1) & q->tag_mask) {
        uint32_t from_home = (place - dx_tag_home(q, dx_tag_at(q, place))) & q->tag_mask;
        if (from_home < ((place - hole) & q->tag_mask))
            continue; /* the hole lies before its home */
        q->tags[hole] = q->tags[place];
        hole = place;
    }
    q->tags[hole] = 0;
}

#endif
