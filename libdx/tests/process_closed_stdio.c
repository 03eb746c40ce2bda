/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that were started with standard input, output or error closed, and print all the same.
 * A thread writes to the closed descriptors for as long as everything else is done: what it writes
 * must never arrive anywhere, and at the end none of them may be open.
 */
#include <fcntl.h>

#include "dx_native.h"
#include "pair.h"
#include "transports.h"

#define ROUNDS 8
#define PINGS 20

/* What went wrong in a child, as its exit code. */
enum { PRINTED = 1, LEFT_OPEN, NO_HOST, NO_GUEST, NO_OBSERVER, NO_CALLER, NO_BELL, NO_ANSWER };

struct program {
    char url[TEST_URL_BYTES];
    unsigned closed; /* a bit for each of 0, 1 and 2 */
    _Atomic uint32_t tries;
    _Atomic uint32_t prints;
    _Atomic bool ends;
};

static void *print(void *user)
{
    static const char text[] = "a line that a program prints";
    struct program *p = user;
    while (!atomic_load(&p->ends)) {
        for (int fd = 0; fd < 3; fd++)
            if ((p->closed & 1u << fd) != 0 && write(fd, text, sizeof text - 1) >= 0)
                atomic_fetch_add(&p->prints, 1u);
        atomic_fetch_add(&p->tries, 1u);
        (void)sched_yield();
    }
    return NULL;
}

/* A round goes on only when the printer has tried. */
static void let_it_print(struct program *p)
{
    uint32_t before = atomic_load(&p->tries);
    while (atomic_load(&p->tries) == before)
        (void)sched_yield();
}

static int ping(struct dx_channel *host)
{
    struct dx_caller *caller;
    if (dx_caller_open(host, 0, &caller) != DX_OK)
        return NO_CALLER;
    int code = 0;
    for (int i = 0; i < PINGS && code == 0; i++)
        if (dx_call(caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, PATIENCE) != DX_OK)
            code = NO_ANSWER;
    dx_caller_close(caller);
    return code;
}

/* The descriptors that other languages wait at. */
static int take_bell(struct dx_channel *host)
{
    struct dx_native_bell *bell;
    int fd;
    if (dx_native_bell_open(host, dx_cell_shared(host->geometry.slots, DX_HOST), &bell, &fd) !=
        DX_OK)
        return NO_BELL;
    dx_native_bell_close(bell);
    return fd < 3 ? NO_BELL : 0;
}

static int observe(const char *url)
{
    struct dx_channel *observer;
    dx_status status;
    /* On a busy machine whoever serves the rendezvous may need longer than an attempt. */
    do
        status = dx_observe(url, &observer);
    while (status == DX_ERR_TIMEOUT || status == DX_ERR_NO_PEER);
    if (status != DX_OK)
        return NO_OBSERVER;
    return dx_close(observer) == DX_OK ? 0 : NO_OBSERVER;
}

/* A host and a guest live, meet and part. */
static int live(struct program *p)
{
    struct dx_channel *host;
    struct dx_channel *guest;
    struct serving serving;
    char url[TEST_URL_BYTES];
    const struct dx_config config = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    if (dx_create(p->url, &config, &host) != DX_OK)
        return NO_HOST;
    memcpy(url, p->url, sizeof url);
    if (strcmp(url, "memfd:") == 0)
        (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(host));
    if (dx_channel_fd(host) < 3)
        return NO_HOST;
    if (dx_attach(url, NULL, PATIENCE, &guest) != DX_OK || dx_channel_fd(guest) < 3)
        return NO_GUEST;
    serving = (struct serving){.channel = guest, .handler = test_handler, .started = true};
    if (pthread_create(&serving.thread, NULL, serving_run, &serving) != 0)
        return NO_GUEST;
    int code = ping(host);
    if (code == 0)
        code = take_bell(host);
    if (code == 0)
        code = observe(url);
    let_it_print(p);
    dx_stop(guest);
    (void)serving_join(&serving);
    (void)dx_close(guest);
    (void)dx_close(host);
    return code;
}

static int run_closed(void *user)
{
    struct program *p = user;
    pthread_t printer;
    for (int fd = 0; fd < 3; fd++)
        if ((p->closed & 1u << fd) != 0)
            (void)close(fd);
    if (pthread_create(&printer, NULL, print, p) != 0)
        return NO_HOST;
    int code = 0;
    for (int round = 0; round < ROUNDS && code == 0; round++)
        code = live(p);
    atomic_store(&p->ends, true);
    (void)pthread_join(printer, NULL);
    if (code == 0 && atomic_load(&p->prints) != 0)
        code = PRINTED;
    for (int fd = 0; fd < 3; fd++)
        if (code == 0 && (p->closed & 1u << fd) != 0 && fcntl(fd, F_GETFD) >= 0)
            code = LEFT_OPEN;
    return code;
}

static void try_all_closed(const char *url)
{
    for (unsigned closed = 1; closed < 8; closed++) {
        struct program p = {.closed = closed};
        (void)snprintf(p.url, sizeof p.url, "%s", url);
        int status = test_in_child(run_closed, &p);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            print_error("%s, closed are %u\n", url, closed);
        assert_exited(status);
    }
}

static void what_is_printed_to_closed_descriptors_arrives_nowhere(void **state)
{
    char url[TEST_URL_BYTES];
    (void)state;
    for (size_t i = 0; i < TRANSPORTS; i++)
        try_all_closed(transports[i].url(test_path(transports[i].name), url));
    try_all_closed("memfd:");
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_to_closed_descriptors_arrives_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
