/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "times.h"

#define CODE_FAILED 1
#define CODE_USAGE 2
#define CODE_CANNOT 3
#define SECOND_NS 1000000000ll
#define SPIN_NS                                                                                    \
    20000ll /* what remains of a wait for a start is spun away: no sleep is so short               \
             */
#define CALLERS_MAX 4096

struct order {
    int64_t duration_ns;
    int timed;
    double rate_per_s; /* 0: each call follows the one before */
    int calls;
};

struct caller {
    void *peer;
    unsigned char *request;
    unsigned char *response;
    uint64_t sequence;
    uint64_t made;
    uint64_t errors;
    uint64_t wrong;
    uint64_t missed;
    pthread_t thread;
    unsigned index;
    /* cppcheck-suppress unusedStructMember */
    char apart[64]; /* the next one's counters are on another line */
};

static struct peer_options options;
static struct caller *callers;
static struct times *round_trips; /* one for each caller, as from_intended */
static struct times *from_intended;
static struct order order;
static int64_t began_ns;
static atomic_int ended;

static void say(const char *format, va_list list)
{
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
}

_Noreturn void peer_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
    _exit(CODE_FAILED);
}

_Noreturn void peer_cannot(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(format, list);
    va_end(list);
    _exit(CODE_CANNOT);
}

void *peer_new(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        peer_fail("no memory for %zu bytes", bytes);
    return memory;
}

void peer_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0 || pthread_detach(thread) != 0)
        peer_fail("cannot start a thread");
}

char *peer_path(const struct peer_options *o, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", o->at, name) < 0)
        peer_fail("no memory for a path");
    return path;
}

char *peer_path_of(const struct peer_options *o, const char *name, unsigned index)
{
    char *path;
    if (asprintf(&path, "%s/%s-%u", o->at, name, index) < 0)
        peer_fail("no memory for a path");
    return path;
}

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / SECOND_NS, .tv_nsec = at_ns % SECOND_NS};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Each request has its own number, which the response must have, too. */
static void call_once(struct caller *c)
{
    uint64_t got = 0;
    c->sequence++;
    memcpy(c->request, &c->sequence, sizeof c->sequence);
    if (peer_call(c->peer, c->request, c->response) != 0) {
        c->errors++;
        return;
    }
    memcpy(&got, c->response, sizeof got);
    if (got != c->sequence)
        c->wrong++;
    c->made++;
}

/* A call that fails ends the order for its caller: the next one might hang. */
static void run_closed(struct caller *c)
{
    if (!order.timed) {
        while (!atomic_load_explicit(&ended, memory_order_relaxed) && c->errors == 0)
            call_once(c);
        return;
    }
    int64_t before_ns = now_ns();
    while (!atomic_load_explicit(&ended, memory_order_relaxed) && c->errors == 0) {
        uint64_t made = c->made;
        call_once(c);
        int64_t after_ns = now_ns();
        if (c->made > made)
            times_record(&round_trips[c->index], after_ns - before_ns);
        before_ns = after_ns;
    }
}

/* Call number n is to start n/rate after the begin and belongs to caller n modulo their number. One
 * that is late starts at once; those that are left after twice the duration are missed. */
static void run_scheduled(struct caller *c)
{
    double interval_ns = 1e9 / order.rate_per_s;
    for (uint64_t n = c->index;; n += options.callers) {
        int64_t start_ns = (int64_t)((double)n * interval_ns);
        int64_t now = now_ns() - began_ns;
        if (start_ns >= order.duration_ns)
            return;
        if (now > 2 * order.duration_ns) {
            c->missed++;
            continue;
        }
        if (start_ns - now > SPIN_NS)
            sleep_until(began_ns + start_ns - SPIN_NS);
        do
            now = now_ns() - began_ns;
        while (now < start_ns);
        if (!order.calls) {
            c->made++;
            continue;
        }
        uint64_t made = c->made;
        call_once(c);
        int64_t end = now_ns() - began_ns;
        if (c->made > made) {
            times_record(&round_trips[c->index], end - now);
            times_record(&from_intended[c->index], end - start_ns);
        }
    }
}

static void *run(void *argument)
{
    struct caller *c = argument;
    if (order.rate_per_s > 0)
        run_scheduled(c);
    else
        run_closed(c);
    return NULL;
}

static void answer(int64_t elapsed_ns)
{
    uint64_t errors = 0;
    uint64_t wrong = 0;
    uint64_t missed = 0;
    (void)printf("{\"calls\":[");
    for (unsigned i = 0; i < options.callers; i++) {
        (void)printf("%s%llu", i == 0 ? "" : ",", (unsigned long long)callers[i].made);
        errors += callers[i].errors;
        wrong += callers[i].wrong;
        missed += callers[i].missed;
    }
    (void)printf("],\"elapsed_ns\":%lld,\"errors\":%llu,\"wrong\":%llu,\"missed\":%llu",
                 (long long)elapsed_ns, (unsigned long long)errors, (unsigned long long)wrong,
                 (unsigned long long)missed);
    (void)printf(",\"round_trips\":");
    times_print(stdout, round_trips, options.callers);
    (void)printf(",\"from_intended\":");
    times_print(stdout, from_intended, options.callers);
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void carry_out(void)
{
    memset(round_trips, 0, options.callers * sizeof *round_trips);
    memset(from_intended, 0, options.callers * sizeof *from_intended);
    atomic_store(&ended, 0);
    began_ns = now_ns();
    for (unsigned i = 0; i < options.callers; i++) {
        struct caller *c = &callers[i];
        c->made = c->errors = c->wrong = c->missed = 0;
        if (pthread_create(&c->thread, NULL, run, c) != 0)
            peer_fail("cannot start a thread");
    }
    if (order.rate_per_s == 0) {
        sleep_until(began_ns + order.duration_ns);
        atomic_store(&ended, 1);
    }
    for (unsigned i = 0; i < options.callers; i++)
        (void)pthread_join(callers[i].thread, NULL);
    answer(now_ns() - began_ns);
}

/* Reads "NANOSECONDS TIMED RATE CALLS". */
static void read_order(char *line)
{
    char *rest = line;
    order.duration_ns = strtoll(rest, &rest, 10);
    order.timed = (int)strtol(rest, &rest, 10);
    order.rate_per_s = strtod(rest, &rest);
    char *last = rest;
    order.calls = (int)strtol(last, &rest, 10);
    if (order.duration_ns <= 0 || rest == last)
        peer_fail("no order: %s", line);
}

static void open_callers(void)
{
    callers = peer_new(options.callers * sizeof *callers);
    round_trips = peer_new(options.callers * sizeof *round_trips);
    from_intended = peer_new(options.callers * sizeof *from_intended);
    for (unsigned i = 0; i < options.callers; i++) {
        callers[i].index = i;
        callers[i].sequence = (uint64_t)i << 40;
        callers[i].request = peer_new(options.payload_bytes);
        callers[i].response = peer_new(options.payload_bytes);
        memset(callers[i].request, (int)(i + 1), options.payload_bytes);
        callers[i].peer = peer_open(&options, i);
    }
}

static void ready(void)
{
    (void)puts("ready");
    (void)fflush(stdout);
}

static _Noreturn void usage(void)
{
    (void)fputs("server|client -way NAME -at FOLDER -payload BYTES -callers NUMBER\n", stderr);
    _exit(CODE_USAGE);
}

static void parse(int count, char **arguments)
{
    for (int i = 2; i + 1 < count; i += 2) {
        const char *name = arguments[i];
        const char *value = arguments[i + 1];
        if (strcmp(name, "-way") == 0)
            options.way = value;
        else if (strcmp(name, "-at") == 0)
            options.at = value;
        else if (strcmp(name, "-payload") == 0)
            options.payload_bytes = strtoul(value, NULL, 10);
        else if (strcmp(name, "-callers") == 0)
            options.callers = (unsigned)strtoul(value, NULL, 10);
        else
            usage();
    }
    if (options.way == NULL || options.at == NULL || options.payload_bytes < sizeof(uint64_t) ||
        options.callers < 1 || options.callers > CALLERS_MAX)
        usage();
}

int peer_main(int count, char **arguments)
{
    char line[128];
    if (count < 2)
        usage();
    parse(count, arguments);
    (void)prctl(PR_SET_TIMERSLACK, 1); /* else a sleep takes 50 us longer than was asked for */
    if (strcmp(arguments[1], "server") == 0) {
        peer_serve(&options);
        ready();
        while (fgets(line, sizeof line, stdin) != NULL) {
        }
        peer_end(&options, 1);
        _exit(0); /* threads still wait for requests */
    }
    if (strcmp(arguments[1], "client") != 0)
        usage();
    open_callers();
    ready();
    while (fgets(line, sizeof line, stdin) != NULL) {
        read_order(line);
        carry_out();
    }
    peer_end(&options, 0);
    _exit(0);
}

#ifndef PEER_HAS_MAIN
int main(int count, char **arguments)
{
    return peer_main(count, arguments);
}
#endif
