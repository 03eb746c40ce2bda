/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait strategy says how a side waits for the other. It is one struct, the same for callers and
 * for serving threads. C, Go and tuning/NAME.toml use the same keys. A wait has three phases:
 *
 *   spin   look up to `limit` times, with a CPU relax instruction between looks
 *   yield  give the CPU to another thread after every `yield_every` looks
 *   park   announce the sleep, look once more, then sleep until the other side rings, or until the
 *          deadline
 *
 * A *look* is one load of the awaited word, or one round of a serving thread over its slots, and
 * one relax. It takes 10 to 45 ns on today's x86.
 *
 * `limit` begins at spin_start. With adapt off it stays there. Otherwise it moves between spin_min
 * and spin_max:
 *   - up by spin_inc when a wait ended before parking, or parked for less than twice the time of
 *     spin_max looks, so that spinning would have ended it, too;
 *   - down by spin_dec otherwise.
 * Spinning cannot pay where the other side never runs meanwhile (one CPU and a real-time priority).
 * So after 8 waits in a row in which spin_max looks found nothing, the limit is 0, even below
 * spin_min. Spinning is tried again after sleeps that took 8 times as long as spin_max looks.
 *
 * Which preset:
 *   balanced    the default: near the best rate with any number of callers, and asleep after a few
 *               hundred microseconds of silence
 *   latency     a few callers, with a CPU of its own for each side: spins for milliseconds
 *   throughput  as balanced, with some more calls a second and longer tails
 *   low-power   channels that are idle most of the time
 * Without a choice in the program, the environment variable DX_WAIT names a preset or a file.
 */
#ifndef DX_WAIT_H
#define DX_WAIT_H

#include <stdint.h>

#include "dx_status.h"

DX_BEGIN_DECLS

/* What the CPU does between two looks. */
enum dx_relax {
    DX_RELAX_NONE = 0,
    DX_RELAX_PAUSE = 1, /* PAUSE on x86, YIELD on Arm, nothing elsewhere */
    /* The CPU rests until the awaited word is written, for a few microseconds at most. A look then
     * takes that time. See dx_wait_hardware. It is PAUSE where the CPU cannot do this, and where a
     * serving thread watches several slots. */
    DX_RELAX_HARDWARE = 2,
};

/* How to sleep after spinning found nothing. */
enum dx_park {
    DX_PARK_NEVER = 0,    /* do not sleep: spin until the deadline */
    DX_PARK_FUTEX = 1,    /* a futex in the region: processes under one kernel */
    DX_PARK_SEM = 2,      /* a semaphore in the region, timed on the monotonic clock */
    DX_PARK_POLL = 3,     /* sleep poll_ns, look, repeat; the other side need not ring */
    DX_PARK_DOORBELL = 4, /* an eventfd; only on unix: */
};

/* What moves the spin limit. */
enum dx_adapt {
    DX_ADAPT_OFF = 0,  /* nothing: it stays at spin_start */
    DX_ADAPT_STEP = 1, /* spin_inc and spin_dec, between spin_min and spin_max */
    DX_ADAPT_COST = 2, /* as STEP, with spin_max lowered to what a park costs on this machine */
    DX_ADAPT_LOAD = 3, /* as COST, and every look yields while this process has more spinning
                        * threads (or goroutines) than CPUs (affinity, cgroup quota, GOMAXPROCS) */
};

struct dx_wait {
    uint32_t spin_min;       /* looks, 0 ... spin_max */
    uint32_t spin_max;       /* looks, 0 ... 1e9; 0 parks at once ("sleep only") */
    uint32_t spin_start;     /* looks, spin_min ... spin_max */
    uint32_t spin_inc;       /* looks added when spinning paid */
    uint32_t spin_dec;       /* looks taken away when it did not */
    uint32_t yield_every;    /* looks between yields; 0: never yield */
    uint32_t burst;          /* Go only: calls in a row before a forced yield; 0: never */
    uint32_t relax;          /* enum dx_relax */
    uint32_t park;           /* enum dx_park */
    uint32_t adapt;          /* enum dx_adapt */
    int64_t park_timeout_ns; /* longest single sleep, 1e3 ... 1e12; a deadline may end it earlier */
    int64_t poll_ns;         /* DX_PARK_POLL: sleep between looks, 1e3 ... 1e9 */
    int64_t peer_timeout_ns; /* a peer under another kernel (a VM) counts as dead when its heartbeat
                              * has not changed for so long: 3e8 ... 1e12; 0 means 1e9. Use the
                              * same value on both sides. Each side writes a heartbeat every quarter
                              * of its own value, but every 100 ms at the fastest and every 250 ms
                              * at the slowest. With a peer that uses the default, a value below
                              * 5e8 reports false deaths */
    uint64_t reserved[3];    /* must be zero */
};

/*
 * Fills *wait with the preset `name`: "latency", "balanced", "throughput" or "low-power". For any
 * other name it returns DX_ERR_INVALID and leaves *wait as it was. Any thread, never blocks.
 */
DX_API dx_status dx_wait_preset(const char *name, struct dx_wait *wait);

/*
 * Fills *wait from the name of a preset, or from a TOML file with lines "key = value". Its keys are
 * the fields of struct dx_wait; tuning/balanced.toml is an example. A line preset = "NAME" says
 * from which preset the file differs; without it that is "balanced". Any thread. Blocks for the
 * file.
 *
 * DX_ERR_INVALID: dx_last_error() names the file, the line and what is wrong in it, and *wait is
 * left as it was. There is neither a preset nor a file of that name, or the library was built
 * without inih and reads no files: _INVALID, too. _SYSTEM: the file cannot be read.
 */
DX_API dx_status dx_wait_load(const char *name_or_path, struct dx_wait *wait);

/*
 * Fills *wait with what is used where the program gives no strategy: what the environment variable
 * DX_WAIT names, as for dx_wait_load, or the preset "balanced". Errors as dx_wait_load. Any thread.
 */
DX_API dx_status dx_wait_default(struct dx_wait *wait);

/* Returns the name of preset i (0, 1, ...), or NULL after the last. Any thread, never blocks. */
DX_API const char *dx_wait_preset_name(unsigned i);

/*
 * Checks each field against its range and against the other fields. Returns DX_OK or
 * DX_ERR_INVALID: then dx_last_error() names the field, its value and its range. Any thread, never
 * blocks.
 */
DX_API dx_status dx_wait_check(const struct dx_wait *wait);

/*
 * Returns what DX_RELAX_HARDWARE is on this machine: "umwait" (Intel), "mwaitx" (AMD), "wfe" (Arm),
 * or "pause" where the CPU has none of them. Any thread, never blocks; the text is constant.
 */
DX_API const char *dx_wait_hardware(void);

/*
 * Measures two costs between two threads of this process. It takes some milliseconds.
 *
 *   *park_ns  a park and its wake-up: the median of about 100 rounds by the park kind of *wait. It
 *             is a futex for DX_PARK_NEVER, and poll_ns itself for DX_PARK_POLL
 *   *look_ps  one look, in picoseconds
 *
 * A channel with DX_ADAPT_COST measures this when it opens. Blocks; starts and ends one thread. Any
 * thread. DX_ERR_SYSTEM: no thread can be started, or there is no memory.
 */
DX_API dx_status dx_wait_measure(const struct dx_wait *wait, int64_t *park_ns, int64_t *look_ps);

DX_END_DECLS

#endif
