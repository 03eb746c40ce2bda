/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx top: what regions do now. top_model.c looks at them again and again and has the rates between
 * two looks; top_lines.c puts them into lines of text, which are printed or drawn; top_json.c is
 * for programs; screen/screen.c draws them on a terminal.
 */
#ifndef DX_TOOL_TOP_H
#define DX_TOOL_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "find.h"
#include "latency.h"
#include "look.h"

/* What a side, or the caller of a slot, did between two looks: all but `asleep` a second. */
struct top_rates {
    double calls;  /* answered calls of its callers */
    double serves; /* calls that its servers served */
    double errors;
    double timeouts;
    double spin; /* waits that ended so */
    double yield;
    double park;
    double parks;
    double rings;
    double asleep; /* seconds asleep a second, of all its threads together */
};

struct top_side {
    const char *state; /* as in dx info */
    uint32_t pid;
    double beats; /* a second */
    struct top_rates rates;
    struct latency latencies[LATENCY_KINDS]; /* since the histograms were switched on */
};

/* One place of a region. */
struct top_place {
    const struct report *now;
    struct top_side sides[REPORT_SIDES];
};

/* A slot of a place, and who calls on it. */
struct top_slot {
    uint32_t slot;
    enum dx_side side;  /* which calls on it */
    const char *caller; /* states, by docs/protocol.md */
    const char *server;
    uint32_t sequence; /* of its latest call */
    struct top_rates rates;
};

struct top_region {
    char *url;
    dev_t device; /* of what was found; 0 if the URL was given */
    ino_t inode;
    bool open;
    bool seen;      /* while the list is renewed */
    unsigned looks; /* 2: there was an earlier look, so that there are rates */
    int64_t read_ns;
    double seconds; /* between the two looks */
    struct look look;
    struct report now[DX_GUESTS_MAX];
    struct report before[DX_GUESTS_MAX];
    struct dx_stats *slots_now; /* of all places, one after the other; NULL: not wanted */
    struct dx_stats *slots_before;
    char problem[DX_NOTICE_BYTES]; /* why it cannot be read; "" */
    bool unseen;                   /* that is no fault of the region's, but of the look at it */
};

enum top_order { TOP_BY_RATE, TOP_BY_ERRORS, TOP_BY_PARKS, TOP_BY_URL, TOP_ORDERS };

struct top {
    const char *url; /* NULL: all regions of this user */
    bool want_slots;
    enum top_order order;
    int64_t found_ns;
    struct top_region **regions; /* sorted */
    size_t count;
    char problem[DX_NOTICE_BYTES]; /* what could not be looked for, at the latest search; "" */
};

/* Looks at everything again. False: there is no memory, or the URL that was given cannot be read at
 * the first look, and its region's problem says why. */
bool top_look(struct top *t);
void top_free(struct top *t);

const char *top_order_name(enum top_order order);
void top_sort(struct top *t);

/* Rates of a place; those of a slot. */
void top_place(const struct top_region *r, uint32_t place, struct top_place *out);
bool top_slot(const struct top_region *r, uint32_t place, uint32_t slot, struct top_slot *out);

/* Lines of text of at most 80 columns, but for URLs and errors. */
enum top_style { TOP_PLAIN, TOP_HEAD, TOP_REGION, TOP_DEAD, TOP_BUSY };

struct top_line {
    enum top_style style;
    size_t region; /* index of the region that it is of */
    char text[256];
};

struct top_lines {
    struct top_line *items;
    size_t count;
};

#define TOP_COLUMNS 80

/* The head of the table of sides, and of slots. */
extern const char top_head[];
extern const char top_slot_head[];

/* Lines of all regions; slots: of the region `slots_of` also its slots (SIZE_MAX: of each). False:
 * there is no memory. */
#define TOP_NO_SLOTS (SIZE_MAX - 1)
bool top_lines_make(const struct top *t, size_t slots_of, struct top_lines *out);
void top_lines_free(struct top_lines *lines);

/* One JSON object, on one line. */
void top_print_json(const struct top *t, FILE *out);

/* Draws until a key or a signal ends it: an exit code. NULL: this dx was built without ncurses. */
extern int (*top_screen)(struct top *t, int64_t every_ns);
int top_screen_run(struct top *t, int64_t every_ns);

#endif
