/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_turn.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "clock.h"

/* Who sleeps in more than one of so many calls of a turn leaves the CPU to others anyway. */
#define CALLS_PER_SLEEP 64u
/* The line has stopped when nobody has come or was called for so long. */
#define STOPPED_NS 1000000ll

struct sleeper {
    pthread_cond_t called;
    bool is_called;
    struct sleeper *next;
};

/* Of the process. */
static struct {
    pthread_once_t once;
    pthread_mutex_t lock; /* guards what follows */
    pthread_condattr_t monotonic;
    bool ready;
    struct sleeper *first;
    uint32_t waiting;
    uint32_t awake;
    uint32_t generation;
    uint64_t moves;  /* of the line */
    int64_t turn_ns; /* a turn, lately */
} turns = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void before_fork(void)
{
    (void)pthread_mutex_lock(&turns.lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&turns.lock);
}

static void count_anew(void)
{
    turns.awake = 0;
    turns.generation = turns.generation == UINT32_MAX ? 1 : turns.generation + 1;
}

/* The threads that slept are not there. */
static void in_child(void)
{
    turns.first = NULL;
    turns.waiting = 0;
    count_anew();
    (void)pthread_mutex_unlock(&turns.lock);
}

static void prepare(void)
{
    (void)pthread_condattr_init(&turns.monotonic);
    (void)pthread_condattr_setclock(&turns.monotonic, CLOCK_MONOTONIC);
    turns.generation = 1;
    turns.turn_ns = DX_TURN_NS;
    turns.ready = pthread_atfork(before_fork, in_parent, in_child) == 0;
}

void dx_turn_init(struct dx_turn *turn, uint32_t burst)
{
    /* The calls of a turn are the next power of two, so that one AND finds the end of it. */
    uint64_t calls = 1;
    while (calls < (uint64_t)burst * DX_CALLS_PER_BURST && calls <= UINT32_MAX)
        calls *= 2;
    uint32_t mask = burst == 0 ? UINT32_MAX : (uint32_t)(calls - 1);
    *turn = (struct dx_turn){.mask = mask, .mask_most = mask, .taken = -1};
}

/* CPUs that the thread may use; more than there are threads if that cannot be known. */
static uint32_t usable_cpus(void)
{
    cpu_set_t set;
    bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    return known && CPU_COUNT(&set) > 0 ? (uint32_t)CPU_COUNT(&set) : UINT32_MAX;
}

/* Counts the thread among those that are awake, if it is not yet. */
static void count_in(struct dx_turn *turn)
{
    if (turn->generation == turns.generation)
        return;
    turn->generation = turns.generation;
    turns.awake++;
}

static void line_up(struct sleeper *self)
{
    struct sleeper **last = &turns.first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = self;
    turns.waiting++;
    turns.moves++;
}

static void call_first(void)
{
    struct sleeper *first = turns.first;
    turns.first = first->next;
    turns.waiting--;
    turns.moves++;
    first->is_called = true;
    (void)pthread_cond_signal(&first->called);
}

/* Has as many threads awake as there are CPUs. */
static void call_next(uint32_t cpus)
{
    for (; turns.awake < cpus && turns.first != NULL; turns.awake++)
        call_first();
}

/* Those who were called have stopped calling, and would not wake us. */
static void call_all(void)
{
    while (turns.first != NULL)
        call_first();
    count_anew();
}

static void await_call(struct sleeper *self, const struct dx_turn *turn, int64_t now)
{
    int64_t before_ns = (int64_t)(turns.waiting - 1) * turns.turn_ns / turn->cpus;
    int64_t until_ns = now + before_ns + before_ns / 8 + STOPPED_NS;
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    while (!self->is_called) {
        struct timespec until = dx_clock_timespec(until_ns);
        uint64_t moves = turns.moves;
        if (pthread_cond_timedwait(&self->called, &turns.lock, &until) == 0)
            continue;
        until_ns = dx_clock_ns() + STOPPED_NS;
        if (turns.moves == moves)
            call_all();
    }
    (void)pthread_setcancelstate(before, NULL);
}

/* Sleeps for as long as others have their turns; false if the thread need not. */
static bool take_turns(struct dx_turn *turn, bool contended, int64_t now)
{
    if (!turns.ready)
        return false;
    turn->cpus = usable_cpus();
    (void)pthread_mutex_lock(&turns.lock);
    count_in(turn);
    bool sleeps = turns.first != NULL || (contended && turns.awake > turn->cpus);
    if (sleeps) {
        struct sleeper self = {.is_called = false};
        (void)pthread_cond_init(&self.called, &turns.monotonic);
        line_up(&self);
        turns.awake--;
        call_next(turn->cpus);
        await_call(&self, turn, now);
        (void)pthread_cond_destroy(&self.called);
    }
    (void)pthread_mutex_unlock(&turns.lock);
    return sleeps;
}

/* How long the turn took that ends now says how long the next is to be. */
static void measure(struct dx_turn *turn, int64_t now)
{
    int64_t took = now - turn->began_ns;
    (void)pthread_mutex_lock(&turns.lock);
    int64_t counts = took < STOPPED_NS ? took : STOPPED_NS;
    turns.turn_ns += (counts - turns.turn_ns) / 8;
    (void)pthread_mutex_unlock(&turns.lock);
    if (took > DX_TURN_NS && turn->mask >= DX_TURN_CALLS_MIN)
        turn->mask /= 2;
    else if (took < DX_TURN_NS / 4 && turn->mask < turn->mask_most)
        turn->mask = 2 * turn->mask + 1;
}

static void note_switches(struct dx_turn *turn, const struct rusage *usage)
{
    turn->taken = usage->ru_nivcsw;
    turn->slept = usage->ru_nvcsw;
}

void dx_turn_end(struct dx_turn *turn)
{
    (void)pthread_once(&turns.once, prepare);
    struct rusage usage;
    (void)getrusage(RUSAGE_THREAD, &usage);
    bool waited = turn->began_ns != 0;
    bool taken = turn->taken >= 0 && usage.ru_nivcsw != turn->taken;
    bool busy = usage.ru_nvcsw - turn->slept <= turn->mask / CALLS_PER_SLEEP;
    int64_t now = dx_clock_ns();
    if (waited && !taken)
        measure(turn, now);
    turn->began_ns = 0;
    note_switches(turn, &usage);
    if (!busy || !take_turns(turn, taken || waited, now)) {
        /* In a crowd a yield may cost as much time as all others have: there the line does it. */
        if (!waited)
            (void)sched_yield();
        return;
    }
    (void)getrusage(RUSAGE_THREAD, &usage);
    note_switches(turn, &usage);
    turn->began_ns = dx_clock_ns();
}

void dx_turn_leave(struct dx_turn *turn)
{
    if (turn->generation == 0)
        return;
    (void)pthread_mutex_lock(&turns.lock);
    if (turn->generation == turns.generation && turns.awake > 0)
        turns.awake--;
    turn->generation = 0;
    call_next(turn->cpus);
    (void)pthread_mutex_unlock(&turns.lock);
}
