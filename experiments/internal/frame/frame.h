/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between a host and a guest, phase by phase. Host to guest, the host writes a frame behind
 * a head into its slot and then makes one call for each phase; the type of the call says what the
 * guest does with the frame that lies there, and the response says how long that took, by the
 * guest's clock.
 *
 * Guest to host, the host asks, the guest makes the frame and writes it behind its response, and
 * the host does each phase itself. From then on every response is followed by the frame, untouched.
 *
 * The guest is told everything by these messages: its program needs no sizes and no counts.
 */
#ifndef DX_EXPERIMENT_FRAME_H
#define DX_EXPERIMENT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_DIGEST_BYTES 32u
#define FRAME_STEP 64u             /* sizes of frames are multiples of this */
#define FRAME_BYTES_MAX (1u << 28) /* 256 MiB */

/* What stands before the frame. */
struct frame_head {
    uint64_t sequence; /* the first word of the content says it, too */
    uint64_t bytes;    /* of the content, behind the head */
    uint64_t flags;    /* enum frame_flag */
    uint64_t chunk; /* of PREPARE: bytes after which the guest publishes its progress in a stream */
    unsigned char digest[FRAME_DIGEST_BYTES]; /* SHA-256 of the content; not of MAKE */
    uint64_t fault;                           /* enum frame_fault */
    uint64_t padding1[7];
};
_Static_assert(sizeof(struct frame_head) == 128, "the content begins on a line of its own");

enum frame_flag {
    FRAME_GUEST_SENDS = 1, /* of PREPARE: frames go from guest to host */
    FRAME_IN_PLACE = 2,    /* of MAKE: in the region, where it will be read */
};

/* What goes wrong on purpose, so that verification can be seen to find it. */
enum frame_fault {
    FRAME_FAULT_NONE = 0,
    FRAME_FAULT_FLIP = 1,       /* one bit of the frame changes in the region */
    FRAME_FAULT_SKIP_WRITE = 2, /* the sender does not write the frame */
    FRAME_FAULT_SKIP_COPY = 3,  /* the receiver does not copy it */
};

/* Types of calls. Only what lies between two readings of the guest's clock is in `ns`. */
enum frame_type {
    FRAME_PREPARE =
        128,         /* new memory of head.bytes, not touched yet but for where frames are made */
    FRAME_NOTIFY,    /* nothing: what an exchange costs by itself */
    FRAME_COPY,      /* region to the guest's memory, caches as they are */
    FRAME_READ,      /* every byte in place, caches as they are */
    FRAME_READ_HOT,  /* every byte in place, right after a pass that is not timed */
    FRAME_READ_COLD, /* every byte in place, flushed before */
    FRAME_STRIDED_COLD, /* one load of 8 bytes a line in place, flushed before */
    FRAME_COPY_COLD,    /* as COPY, source and destination flushed before */
    FRAME_WRITE_COLD,   /* stores to the guest's memory and no loads, flushed before */
    FRAME_VERIFY_COPY,  /* SHA-256 of the receiver's memory; a guest says that it begins */
    FRAME_VERIFY_PLACE, /* SHA-256 of the region, likewise */
    FRAME_MEMORY,       /* what the guest occupies */
    FRAME_STREAM,       /* a stream of head.bytes of PREPARE, copied to the guest's memory */
    FRAME_STREAM_DROP,  /* a stream that is read and not copied: a fault that must be found */
    FRAME_COUNT,        /* the guest's copy or write, with its counters running and no clock */
    /* Guest to host. */
    FRAME_MAKE,        /* a frame and its digest, in the guest's memory or in the region */
    FRAME_WRITE,       /* guest's memory to region */
    FRAME_MEMCPY,      /* the same bytes to other memory of the guest */
    FRAME_STREAM_BACK, /* a stream of the frame, from the guest's memory */
};

/* The response. Behind that of COUNT stands what was counted, as text. */
struct frame_report {
    uint64_t sequence;
    int64_t ns;
    uint64_t bytes;    /* that were loaded, stored, copied or hashed */
    uint64_t loads;    /* instructions of a read */
    uint64_t sum;      /* of a read or MAKE: of all words of the frame, modulo 2^64 */
    uint64_t right;    /* of a verification: 1 if digest and sequence are those of the head */
    uint64_t flush;    /* enum frame_flush: how this guest empties its caches */
    int64_t stream_ns; /* what the guest's part of the stream before took, waits included */
    uint64_t anonymous_bytes; /* of PREPARE and MEMORY: private memory that the guest occupies */
    uint64_t text_bytes;      /* of COUNT, else 0 */
    unsigned char digest[FRAME_DIGEST_BYTES]; /* of MAKE */
    uint64_t padding1[2];
};
_Static_assert(sizeof(struct frame_report) == 128, "the content begins on a line of its own");

#define FRAME_TEXT_BYTES 4096u

/* Where a frame from the guest lies in the response. */
#define FRAME_RESPONSE_CONTENT (sizeof(struct frame_report) + FRAME_TEXT_BYTES)

enum frame_flush {
    FRAME_FLUSH_EVICT = 0, /* by reading other memory: for CPUs that cannot flush a line */
    FRAME_FLUSH_CLFLUSH = 1,
    FRAME_FLUSH_CLFLUSHOPT = 2,
    FRAME_FLUSH_CIVAC = 3, /* Arm */
};

#endif
