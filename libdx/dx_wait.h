/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait strategy: how a side waits for the other. One struct, the same for callers and for
 * serving threads, the same keys in C, in Go and in tuning/NAME.toml.
 *
 *   spin   look up to `limit` times, with a CPU relax instruction between looks
 *   yield  after every `yield_every` looks, give the CPU to somebody else
 *   park   announce it, look once more, then sleep until rung or the deadline
 *
 * `limit` begins at spin_start and stays there (adapt off), or moves between spin_min and
 * spin_max: up by spin_inc when a wait ended before parking, or parked so briefly (less than twice
 * the time of spin_max looks) that spinning would have ended it, too; down by spin_dec otherwise.
 * Where the other side never runs while we spin (one CPU and a real-time priority), spinning cannot
 * pay: after 8 waits in a row that took spin_max looks in vain, the limit is 0, also below
 * spin_min. It is tried again after sleeps that took 8 times as long as spin_max looks.
 *
 * A *look* is one load of the awaited word (a serving thread: one round over its slots) and one
 * relax; it takes 10 to 45 ns on today's x86.
 */
#ifndef DX_WAIT_H
#define DX_WAIT_H

#include <stdint.h>

#include "dx_status.h"

DX_BEGIN_DECLS

/* What is executed between two looks. */
enum dx_relax {
    DX_RELAX_NONE = 0,
    DX_RELAX_PAUSE = 1, /* PAUSE on x86, YIELD on Arm, nothing elsewhere */
    /* The CPU rests until the awaited word is written, a few microseconds at most, which is then
     * the time of a look: see dx_wait_hardware. PAUSE where the CPU cannot, and where a serving
     * thread has several slots to watch. */
    DX_RELAX_HARDWARE = 2,
};

/* How to sleep when spinning did not pay. */
enum dx_park {
    DX_PARK_NEVER = 0,    /* spin for ever; deadlines still hold */
    DX_PARK_FUTEX = 1,    /* a futex in the region: processes under one kernel */
    DX_PARK_SEM = 2,      /* a semaphore in the region, timed on the monotonic clock */
    DX_PARK_POLL = 3,     /* sleep poll_ns, look, repeat: needs nothing from the other side */
    DX_PARK_DOORBELL = 4, /* an eventfd: only where there is a rendezvous (unix:) */
};

/* Who moves the spin limit. */
enum dx_adapt {
    DX_ADAPT_OFF = 0,  /* nobody: it stays at spin_start */
    DX_ADAPT_STEP = 1, /* spin_inc and spin_dec, between spin_min and spin_max */
    DX_ADAPT_COST = 2, /* as STEP, but spin_max is lowered to what parking costs here */
    DX_ADAPT_LOAD = 3, /* as COST, and every look yields while more threads (or goroutines) of this
                        * process spin than it has CPUs (by affinity, cgroup quota, GOMAXPROCS) */
};

struct dx_wait {
    uint32_t spin_min;       /* looks, 0 ... spin_max */
    uint32_t spin_max;       /* looks, 0 ... 1e9; 0 parks at once ("sleep only") */
    uint32_t spin_start;     /* looks, spin_min ... spin_max */
    uint32_t spin_inc;       /* looks added when spinning paid */
    uint32_t spin_dec;       /* looks taken away when it did not */
    uint32_t yield_every;    /* looks between yields; 0: never yield */
    uint32_t burst;          /* goroutines: calls in a row before a yield is forced; 0: never */
    uint32_t relax;          /* enum dx_relax */
    uint32_t park;           /* enum dx_park */
    uint32_t adapt;          /* enum dx_adapt */
    int64_t park_timeout_ns; /* longest single sleep, 1e3 ... 1e12; a deadline shortens it */
    int64_t poll_ns;         /* DX_PARK_POLL: sleep between looks, 1e3 ... 1e9 */
    int64_t silence_ns;      /* a peer under another kernel (a VM) whose heart stands still for so
                              * long is dead, 3e8 ... 1e12; 0: 1e9. Alike on both sides: each
                              * beats every quarter of its own, 100 to 250 ms, so that less than
                              * 5e8 is too little for a peer with the default */
    uint64_t reserved[3];    /* zero */
};

/*
 * Fills *wait with the preset `name`: "latency", "balanced" (the default everywhere),
 * "throughput" or "low-power". Returns DX_ERR_INVALID for an unknown name and leaves *wait as it
 * was. Any thread, never blocks.
 */
DX_API dx_status dx_wait_preset(const char *name, struct dx_wait *wait);

/*
 * Fills *wait from a preset's name or from a file: lines "key = value" with the fields of struct
 * dx_wait as keys, in TOML (tuning/balanced.toml is one). A line preset = "NAME" says what the rest
 * differs from; without it that is "balanced". DX_ERR_INVALID: dx_last_error() names the file, the
 * line and what is wrong there; *wait is left as it was. Any thread; blocks for the file.
 */
DX_API dx_status dx_wait_load(const char *name_or_path, struct dx_wait *wait);

/*
 * Fills *wait with what is used where none is given: what the environment variable DX_WAIT names,
 * as for dx_wait_load, or else the preset "balanced".
 */
DX_API dx_status dx_wait_default(struct dx_wait *wait);

/* Returns the name of preset i (0, 1, ...) or NULL after the last. */
DX_API const char *dx_wait_preset_name(unsigned i);

/*
 * Checks every field against its range and the fields against each other. Returns DX_OK or
 * DX_ERR_INVALID; dx_last_error() then names the field, its value and its range.
 */
DX_API dx_status dx_wait_check(const struct dx_wait *wait);

/*
 * Returns what DX_RELAX_HARDWARE is on this machine: "umwait" (Intel), "mwaitx" (AMD), "wfe" (Arm),
 * or "pause" where the CPU has none of them. Any thread, never blocks; the text is constant.
 */
DX_API const char *dx_wait_hardware(void);

/*
 * Measures, within some milliseconds, what a park and its wake-up cost between two threads of this
 * process (median of some 100 rounds, by the park kind of *wait; futex if it never parks; for a
 * timed poll the poll interval is the answer), and what one look costs (in picoseconds). Used by
 * DX_ADAPT_COST when a channel opens. Blocks; starts and ends one thread. Returns DX_ERR_SYSTEM if
 * no thread can be started.
 */
DX_API dx_status dx_wait_measure(const struct dx_wait *wait, int64_t *park_ns, int64_t *look_ps);

DX_END_DECLS

#endif
