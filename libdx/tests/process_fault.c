/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process dies or stops at every fault point, as host and as guest, while the other side lives
 * on: calls end in time, the next peer is served and serves, on all slots, and no request runs
 * twice. Under AddressSanitizer every second way to die is tried, and DX_TEST_ONE_WAY_OF says which
 * part elsewhere. A point that was not reached has
 * not been tested, and fails.
 */
#include "crash_scene.h"

enum act {
    KILL_FIRST = 1, /* at the first visit; what hangs on the dead one must end before the next */
    KILL_LATER = 2, /* at a later visit; the next one comes at once */
    STOP_GO_ON = 4,
    STOP_KILL = 8,
    EVERY_ACT = 15,
};

/* Which points are tried, and how. */
struct group {
    enum dx_side victim;
    enum dx_park victims_park;
    enum dx_park park; /* the survivor's */
    uint32_t threads;
    uint32_t flags;
    uint32_t acts;
    uint32_t when; /* DX_FAULT_* */
    enum scheme scheme;
};

struct point {
    const char *name;
    uint32_t when;
    uint32_t later;
};

static const struct point points[DX_FAULT_COUNT] = {
#define POINT(name, when, later) {#name, (when), (later)},
    DX_FAULT_POINTS(POINT)
#undef POINT
};

static bool stops(enum act act)
{
    return act == STOP_GO_ON || act == STOP_KILL;
}

static bool is_late(enum act act)
{
    return act == KILL_LATER || act == STOP_KILL;
}

/* What is to happen to the next faulty process. */
static void plan(struct scene *s, enum dx_fault point, enum act act, uint32_t when)
{
    struct stage *stage = s->stage;
    (void)snprintf(stage->label, sizeof stage->label, "%s, %s",
                   s->victim == DX_HOST ? "host" : "guest", points[point].name);
    atomic_store(&stage->plan.visits, is_late(act) ? points[point].later : 1);
    atomic_store(&stage->plan.signal, (uint32_t)(stops(act) ? SIGSTOP : SIGKILL));
    atomic_store(&stage->plan.reports, CHILD_REPORTS);
    atomic_store(&stage->plan.point, (uint32_t)point);
    atomic_store(&stage->closes, when == DX_FAULT_CLOSE);
}

/* The victim has come to its point. */
static bool await_fault(struct scene *s)
{
    char report;
    while ((report = scene_hear(s, s->victim, PATIENCE)) == 'a')
        s->open[s->victim] = true;
    if (report != FAULT_REPORT)
        print_error("%s: not reached (%d)\n", s->stage->label, report);
    return report == FAULT_REPORT;
}

/* The victim is stopped, which its peer cannot tell from one that is slow. */
static void look_at_stopped(struct scene *s, uint32_t when)
{
    pid_t victim = s->peers[s->victim].pid;
    int status = 0;
    assert_int_equal(waitpid(victim, &status, WUNTRACED), victim);
    assert_true(WIFSTOPPED(status));
    if (!scene_is_open(s, s->survivor))
        return;
    scene_ask(s, s->survivor, 'p', 'p', SLACK);
    scene_ask(s, s->survivor, when == DX_FAULT_CALLS ? 't' : 'T', 't', SLACK);
    scene_tell(s, s->survivor, 'l');
}

/* The victim is dead, and no other comes: the survivor's calls end. A victim that never came before
 * is worth waiting for. */
static void look_at_dead(struct scene *s, uint32_t when)
{
    if (!scene_is_open(s, s->survivor) || (when & DX_FAULT_ALONE) != 0)
        return;
    scene_ask(s, s->survivor, 'p', 'p', SLACK);
    scene_tell(s, s->survivor, 'l');
}

/* Brings the faulty process to its point and through what happens there. Afterwards the victim
 * goes on, or there is none. */
static bool meet_fault(struct scene *s, enum act act, uint32_t when)
{
    scene_start(s, s->victim, true);
    if (!await_fault(s))
        return false;
    if (stops(act))
        look_at_stopped(s, when);
    if (act != STOP_GO_ON) {
        scene_kill(s, s->victim);
        if (act == KILL_FIRST)
            look_at_dead(s, when);
        if (scene_region_dies(s))
            scene_kill(s, s->survivor);
        return true;
    }
    assert_int_equal(kill(s->peers[s->victim].pid, SIGCONT), 0);
    if (when != DX_FAULT_CLOSE)
        return true;
    assert_exited(child_end(&s->peers[s->victim]));
    s->open[s->victim] = false;
    if (s->victim == DX_HOST)
        scene_kill(s, s->survivor); /* the memory has no name any more */
    return true;
}

static bool try_point(struct scene *s, enum dx_fault point, enum act act, uint32_t when)
{
    bool met = true;
    if ((when & DX_FAULT_ALONE) != 0 || scene_region_dies(s))
        scene_begin_anew(s, when == DX_FAULT_STALE);
    atomic_store(&s->stage->timeout_ns, stops(act) ? 15 * MS : PATIENCE);
    plan(s, point, act, when);
    /* The next victim comes while the survivor is still busy with a call of the last one. */
    if (point == DX_FAULT_ANSWER_AWAITED && act == KILL_FIRST)
        atomic_store(&s->stage->slow_ns[s->survivor], 60 * MS);
    scene_tell(s, s->survivor, 'l');
    if (when == DX_FAULT_LOST) {
        plan(s, DX_FAULT_IN_HANDLER, KILL_LATER, DX_FAULT_CALLS);
        met = meet_fault(s, KILL_LATER, DX_FAULT_CALLS);
        plan(s, point, act, when);
    }
    met = met && meet_fault(s, act, when);
    if (!met)
        scene_begin_anew(s, false);
    scene_recover(s);
    return met;
}

/* The visits and signals that make sense at a point. */
static uint32_t acts_at(enum dx_fault point, uint32_t acts)
{
    return points[point].later > 1 ? acts : acts & ~(uint32_t)KILL_LATER;
}

/* Some builds make each process start slowly. All ways are tried by the others. */
#ifndef DX_TEST_ONE_WAY_OF
#ifdef __SANITIZE_ADDRESS__
#define DX_TEST_ONE_WAY_OF 2
#else
#define DX_TEST_ONE_WAY_OF 1
#endif
#endif

static bool try_point_in_all_ways(struct scene *s, enum dx_fault point, uint32_t *ways)
{
    const struct group *g = s->user;
    for (uint32_t when = DX_FAULT_CALLS; when <= DX_FAULT_CLOSE; when <<= 1) {
        for (uint32_t act = KILL_FIRST; act <= STOP_KILL; act <<= 1) {
            if ((points[point].when & g->when & when) == 0 || (acts_at(point, g->acts) & act) == 0)
                continue;
            if ((*ways)++ % DX_TEST_ONE_WAY_OF == 0 && !try_point(s, point, act, when))
                return false;
        }
    }
    return true;
}

static void every_point_of_a_group(void **state)
{
    struct scene *s = *state;
    uint32_t not_mine = s->victim == DX_HOST ? DX_FAULT_OF_GUEST : DX_FAULT_OF_HOST;
    uint32_t ways = 0;
    bool met = true;
    scene_begin_anew(s, false);
    scene_recover(s);
    for (uint32_t point = 0; point < DX_FAULT_COUNT && met; point++)
        if ((points[point].when & not_mine) == 0)
            met = try_point_in_all_ways(s, (enum dx_fault)point, &ways);
    scene_print(s, (ways + DX_TEST_ONE_WAY_OF - 1) / DX_TEST_ONE_WAY_OF);
    assert_true(met);
    assert_int_not_equal(ways, 0);
    assert_int_equal(atomic_load(&s->stage->wrong), 0);
}

static int set_group(void **state)
{
    const struct group *g = *state;
    struct scene *s = scene_new(g->victim, g->scheme);
    s->user = g;
    atomic_store(&s->stage->park[g->victim], (uint32_t)g->victims_park);
    atomic_store(&s->stage->park[dx_other(g->victim)], (uint32_t)g->park);
    atomic_store(&s->stage->threads, g->threads);
    atomic_store(&s->stage->flags, g->flags);
    *state = s;
    return 0;
}

#define EVERY_TIME (DX_FAULT_CALLS | DX_FAULT_BEGIN | DX_FAULT_LOST | DX_FAULT_CLOSE)
#define EVERY_TIME_BESIDE (EVERY_TIME & ~(uint32_t)DX_FAULT_ALONE)

static struct group groups[] = {
    {DX_HOST, DX_PARK_FUTEX, DX_PARK_FUTEX, 1, 0, EVERY_ACT, EVERY_TIME, SCHEME_SHM},
    {DX_GUEST, DX_PARK_FUTEX, DX_PARK_FUTEX, 1, 0, EVERY_ACT, EVERY_TIME, SCHEME_SHM},
    {DX_HOST, DX_PARK_SEM, DX_PARK_SEM, 2, DX_SERVE_THROUGH_RESTART, KILL_LATER, EVERY_TIME_BESIDE,
     SCHEME_FILE},
    {DX_GUEST, DX_PARK_SEM, DX_PARK_SEM, 2, DX_SERVE_THROUGH_RESTART, KILL_LATER, EVERY_TIME_BESIDE,
     SCHEME_MEMFD},
    {DX_HOST, DX_PARK_POLL, DX_PARK_FUTEX, 1, DX_SERVE_COPY, KILL_LATER, DX_FAULT_CALLS,
     SCHEME_SHM},
    {DX_GUEST, DX_PARK_POLL, DX_PARK_FUTEX, 1, DX_SERVE_COPY, KILL_LATER, DX_FAULT_CALLS,
     SCHEME_MEMFD},
    {DX_HOST, DX_PARK_DOORBELL, DX_PARK_DOORBELL, 1, 0, KILL_FIRST, DX_FAULT_CALLS | DX_FAULT_CLOSE,
     SCHEME_UNIX},
    {DX_GUEST, DX_PARK_DOORBELL, DX_PARK_DOORBELL, 1, 0, KILL_LATER | STOP_GO_ON, EVERY_TIME,
     SCHEME_UNIX},
    {DX_HOST, DX_PARK_FUTEX, DX_PARK_FUTEX, 1, PEER_LOOPS, KILL_LATER, DX_FAULT_CALLS, SCHEME_SHM},
    {DX_GUEST, DX_PARK_DOORBELL, DX_PARK_DOORBELL, 1, PEER_LOOPS, KILL_LATER, DX_FAULT_CALLS,
     SCHEME_UNIX},
    {DX_HOST, DX_PARK_FUTEX, DX_PARK_FUTEX, 1, PEER_SETS, KILL_LATER, DX_FAULT_CALLS, SCHEME_SHM},
};

#define GROUP(name, i)                                                                             \
    {                                                                                              \
        name, every_point_of_a_group, set_group, scene_free, &groups[i]                            \
    }

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        GROUP("a_host_may_die_or_stop_at_every_point", 0),
        GROUP("a_guest_may_die_or_stop_at_every_point", 1),
        GROUP("a_host_that_parks_by_semaphore_may_die_at_every_point", 2),
        GROUP("a_guest_that_parks_by_semaphore_may_die_at_every_point", 3),
        GROUP("a_host_that_polls_may_die_at_every_point", 4),
        GROUP("a_guest_that_polls_may_die_at_every_point", 5),
        GROUP("a_host_at_a_rendezvous_may_die_at_every_point", 6),
        GROUP("a_guest_at_a_rendezvous_may_die_or_stop_at_every_point", 7),
        GROUP("a_host_of_event_loops_may_die_at_every_point", 8),
        GROUP("a_guest_of_event_loops_may_die_at_every_point", 9),
        GROUP("a_host_of_server_sets_may_die_at_every_point", 10),
    };
    scene_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
