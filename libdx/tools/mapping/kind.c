/* SPDX-License-Identifier: Apache-2.0 */
#include "kind.h"

#include <stdint.h>

#include "../../clock.h"
#include "loops.h"

#define PASSES 16
#define BUDGET_NS 5000000ll /* a loop stops repeating then */

/* A cache of the first or second level answers in 1 to 4 ns, also under an emulator; no memory
 * does in 20, and uncached loads have been seen to take 100 to 200. */
#define CACHED_BELOW_NS 20.0
#define NOT_CACHED_FROM_NS 80.0

/* Four streaming loads of one line: 1 if the line was brought at once, 4 if each went by itself. */
#define STREAM_RATIO_WC_BELOW 2.0
#define STREAM_RATIO_UC_FROM 3.0

static double one_pass_ns(const struct mapping_loop *loop, void *memory, size_t bytes)
{
    size_t lines = bytes / MAPPING_LINE_BYTES;
    int64_t start_ns = dx_clock_ns();
    loop->run(memory, NULL, bytes);
    return (double)(dx_clock_ns() - start_ns) / (double)lines;
}

/* The best pass: interruptions and other programs only add. */
static double best_ns(const char *name, void *memory, size_t bytes)
{
    const struct mapping_loop *loop = mapping_loop(name);
    int64_t end_ns = dx_clock_ns() + BUDGET_NS;
    double best = 0;
    for (int pass = 0; loop != NULL && pass < PASSES; pass++) {
        double ns = one_pass_ns(loop, memory, bytes);
        if (pass == 0 || ns < best)
            best = ns;
        if (pass >= 2 && dx_clock_ns() >= end_ns)
            break;
    }
    return best;
}

void mapping_kind_time(void *memory, size_t bytes, struct mapping_times *times)
{
    times->first_ns = one_pass_ns(mapping_loop("load-8x1"), memory, bytes);
    times->line_ns = best_ns("load-8x1", memory, bytes);
    times->loads8_ns = best_ns("load-8x8", memory, bytes);
#if defined(__x86_64__)
    times->stream_ns = best_ns("stream-load-16x4", memory, bytes);
#else
    times->stream_ns = 0;
#endif
}

enum mapping_kind mapping_kind_of(const struct mapping_times *t)
{
    if (t->line_ns < CACHED_BELOW_NS)
        return MAPPING_CACHED;
    if (t->line_ns < NOT_CACHED_FROM_NS)
        return MAPPING_UNCLEAR;
    if (t->stream_ns <= 0)
        return MAPPING_NOT_CACHED;
    if (t->stream_ns < STREAM_RATIO_WC_BELOW * t->line_ns)
        return MAPPING_WRITE_COMBINING;
    return t->stream_ns >= STREAM_RATIO_UC_FROM * t->line_ns ? MAPPING_UNCACHED
                                                             : MAPPING_NOT_CACHED;
}

const char *mapping_kind_text(enum mapping_kind kind)
{
    static const char *const texts[] = {
        [MAPPING_CACHED] = "cached (write-back)",
        [MAPPING_WRITE_COMBINING] = "not cached (write-combining)",
        [MAPPING_UNCACHED] = "not cached (uncached)",
        [MAPPING_NOT_CACHED] = "not cached (uncached or write-combining)",
        [MAPPING_UNCLEAR] = "unclear",
    };
    return texts[kind];
}

const char *mapping_kind_name(enum mapping_kind kind)
{
    static const char *const names[] = {
        [MAPPING_CACHED] = "cached",     [MAPPING_WRITE_COMBINING] = "write-combining",
        [MAPPING_UNCACHED] = "uncached", [MAPPING_NOT_CACHED] = "not-cached",
        [MAPPING_UNCLEAR] = "unclear",
    };
    return names[kind];
}
