/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Wait strategies: how a side waits for the other.
 *
 * A strategy is one struct, the same for callers and for serving threads. C, Go and
 * tuning/NAME.toml use the same keys. A wait has three phases:
 *
 * @code{.unparsed}
 *   spin   look up to `limit` times, with a CPU relax instruction between
 *          looks
 *   yield  give the CPU to another thread after every `yield_every` looks
 *   park   announce the sleep, look once more, then sleep until the other
 *          side rings, or until the deadline
 * @endcode
 *
 * A *look* is one load of the awaited word, or one round of a serving thread over its slots, and
 * one relax. It takes 10 to 45 ns on today's x86.
 *
 * `limit` begins at spin_start. With adapt off it stays there. Otherwise it moves between spin_min
 * and spin_max:
 *   - up by spin_inc when a wait ended before parking, or parked for less than twice the time of
 *     spin_max looks, so that spinning would have ended it, too;
 *   - down by spin_dec otherwise.
 *
 * Spinning cannot pay where the other side never runs meanwhile (one CPU and a real-time priority).
 * So after 8 waits in a row in which spin_max looks found nothing, the limit is 0, even below
 * spin_min. Spinning is tried again after sleeps that took 8 times as long as spin_max looks.
 *
 * Which preset:
 * @code{.unparsed}
 *   balanced    the default: near the best rate with any number of callers,
 *               and asleep after a few hundred microseconds of silence
 *   latency     a few callers, with a CPU of its own for each side: spins
 *               for milliseconds
 *   throughput  as balanced, with some more calls a second and longer tails
 *   low-power   channels that are idle most of the time
 * @endcode
 * Without a choice in the program, the environment variable DX_WAIT names a preset or a file.
 */
#ifndef DX_WAIT_H
#define DX_WAIT_H

#include <stdint.h>

#include "dx_status.h"

DX_BEGIN_DECLS

/** What the CPU does between two looks. */
enum dx_relax {
    DX_RELAX_NONE = 0,  /**< nothing */
    DX_RELAX_PAUSE = 1, /**< PAUSE on x86, YIELD on Arm, nothing elsewhere */
    /** The CPU rests until the awaited word is written, for a few microseconds at most. A look then
     * takes that time. See dx_wait_hardware(). It is PAUSE where the CPU cannot do this, and where
     * a serving thread watches several slots. */
    DX_RELAX_HARDWARE = 2,
};

/** How to sleep after spinning found nothing. */
enum dx_park {
    DX_PARK_NEVER = 0,    /**< do not sleep: spin until the deadline */
    DX_PARK_FUTEX = 1,    /**< a futex in the region: processes under one kernel */
    DX_PARK_SEM = 2,      /**< a semaphore in the region, timed on the monotonic clock */
    DX_PARK_POLL = 3,     /**< sleep poll_ns, look, repeat; the other side need not ring */
    DX_PARK_DOORBELL = 4, /**< an eventfd; only on unix: */
};

/** What moves the spin limit. */
enum dx_adapt {
    DX_ADAPT_OFF = 0,  /**< nothing: it stays at spin_start */
    DX_ADAPT_STEP = 1, /**< spin_inc and spin_dec, between spin_min and spin_max */
    DX_ADAPT_COST = 2, /**< as STEP, with spin_max lowered to what a park costs on this machine */
    DX_ADAPT_LOAD = 3, /**< as COST, and every look yields while this process has more spinning
                        * threads (or goroutines) than CPUs (affinity, cgroup quota, GOMAXPROCS) */
};

/** A wait strategy. */
struct dx_wait {
    uint32_t spin_min;    /**< looks, 0 ... spin_max */
    uint32_t spin_max;    /**< looks, 0 ... 1e9; 0 parks at once ("sleep only") */
    uint32_t spin_start;  /**< looks, spin_min ... spin_max */
    uint32_t spin_inc;    /**< looks added when spinning paid */
    uint32_t spin_dec;    /**< looks taken away when it did not */
    uint32_t yield_every; /**< looks between yields; 0: never yield */
    uint32_t burst;       /**< calls of a turn: then a goroutine must yield. A thread in C, for
                           * which that costs a system call, has 64 times as many, or as many as
                           * take 0.3 ms; more threads than CPUs then line up for the
                           * next turn; 0: no turns */
    uint32_t relax;       /**< enum dx_relax */
    uint32_t park;        /**< enum dx_park */
    uint32_t adapt;       /**< enum dx_adapt */
    int64_t
        park_timeout_ns; /**< longest single sleep, 1e3 ... 1e12; a deadline may end it earlier */
    int64_t poll_ns;     /**< DX_PARK_POLL: sleep between looks, 1e3 ... 1e9 */
    int64_t peer_timeout_ns; /**< a peer under another kernel (a VM) counts as dead when its
                              * heartbeat has not changed for so long: 3e8 ... 1e12; 0 means 1e9.
                              * Use the same value on both sides. Each side writes a heartbeat every
                              * quarter of its own value, but every 100 ms at the fastest and every
                              * 250 ms at the slowest. With a peer that uses the default, a value
                              * below 5e8 reports false deaths */
    uint64_t reserved[3];    /**< must be zero */
};

/**
 * Fills a wait strategy from a preset.
 *
 * @param name       "latency", "balanced", "throughput" or "low-power"
 * @param[out] wait  the strategy
 *
 * @retval DX_ERR_INVALID  there is no such preset; *wait is left as it was
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_wait_preset(const char *name, struct dx_wait *wait);

/**
 * Fills a wait strategy from the name of a preset, or from a file.
 *
 * The file is TOML with lines "key = value". Its keys are the fields of struct dx_wait;
 * tuning/balanced.toml is an example. A line preset = "NAME" says from which preset the file
 * differs; without it that is "balanced".
 *
 * @param name_or_path  a preset, or the path of a file
 * @param[out] wait     the strategy; left as it was on failure
 *
 * @retval DX_ERR_INVALID  something in the file is wrong: dx_last_error() names the file, the line
 *                         and what it is. Or there is neither a preset nor a file of that name, or
 *                         the library was built without inih and reads no files
 * @retval DX_ERR_SYSTEM   the file cannot be read
 *
 * @threads Any thread. Blocks for the file.
 */
DX_API dx_status dx_wait_load(const char *name_or_path, struct dx_wait *wait);

/**
 * Fills a wait strategy with what is used where the program gives none.
 *
 * That is what the environment variable DX_WAIT names, as for dx_wait_load(), or the preset
 * "balanced".
 *
 * @param[out] wait  the strategy; left as it was on failure
 *
 * @return DX_OK, or an error of dx_wait_load()
 *
 * @threads Any thread. Blocks for the file.
 */
DX_API dx_status dx_wait_default(struct dx_wait *wait);

/**
 * Returns the name of a preset.
 *
 * @param i  its number, from 0
 *
 * @return A constant text; NULL after the last preset
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_wait_preset_name(unsigned i);

/**
 * Checks each field of a wait strategy against its range and against the other fields.
 *
 * @param wait  the strategy
 *
 * @retval DX_ERR_INVALID  a field is wrong; dx_last_error() names it, its value and its range
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_wait_check(const struct dx_wait *wait);

/**
 * Returns what DX_RELAX_HARDWARE is on this machine.
 *
 * @return A constant text: "umwait" (Intel), "mwaitx" (AMD), "wfe" (Arm), or "pause" where the CPU
 *         has none of them
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_wait_hardware(void);

/**
 * Measures two costs between two threads of this process.
 *
 * It takes some milliseconds. A channel with DX_ADAPT_COST measures this when it opens.
 *
 * @param wait          the strategy
 * @param[out] park_ns  a park and its wake-up: the median of about 100 rounds by the park kind of
 *                      *wait. It is a futex for DX_PARK_NEVER, and poll_ns itself for DX_PARK_POLL
 * @param[out] look_ps  one look, in picoseconds
 *
 * @retval DX_ERR_SYSTEM  no thread can be started, or there is no memory
 *
 * @threads Any thread. Blocks; starts and ends one thread.
 */
DX_API dx_status dx_wait_measure(const struct dx_wait *wait, int64_t *park_ns, int64_t *look_ps);

DX_END_DECLS

#endif
