/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real processes for tests that kill them. A child is this same program, started anew with a role
 * and a URL, so that it shares no lock and no thread with us. It reads commands from its standard
 * input and reports by single characters; both are what tests synchronise by. A page of shared
 * memory counts how often the handler of each call has begun, whichever process ran it.
 */
#ifndef DX_TEST_CHILD_H
#define DX_TEST_CHILD_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "pair.h"

#define CHILD_COMMANDS 0 /* the child's descriptors */
#define CHILD_REPORTS 100
#define CHILD_TALLY 101

#define CHILD_BURST 20u /* calls of one 'c' command */
#define TALLY_CALLS (1u << 20)

/* How often the handler of call n has begun. Numbers are never used twice. */
struct tally {
    _Atomic uint32_t next;
    _Atomic uint32_t runs[TALLY_CALLS];
};

static inline struct tally *tally_map(int fd)
{
    void *page = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static inline uint64_t tally_number(struct tally *t)
{
    return atomic_fetch_add(&t->next, 1u);
}

struct child {
    pid_t pid;
    int commands;
    int reports;
};

static inline void child_report(char report)
{
    if (write(CHILD_REPORTS, &report, 1) != 1)
        _exit(9);
}

static inline uint64_t answer_to(uint64_t number)
{
    return number * 3 + 1;
}

/* For both sides' processes: what a handler does with a call. TYPE_BLOCK waits for a byte. */
struct service {
    struct tally *tally;
    sem_t *entered; /* NULL in a child, which reports and waits for a command */
    sem_t *release;
};

static inline int32_t child_handler(void *user, const struct dx_request *request,
                                    struct dx_response *response)
{
    const struct service *service = user;
    uint64_t number = TALLY_CALLS;
    char byte;
    if (request->bytes == sizeof number)
        memcpy(&number, request->data, sizeof number);
    if (number >= TALLY_CALLS)
        return -1;
    atomic_fetch_add(&service->tally->runs[number], 1u);
    if (request->type == TYPE_BLOCK && service->entered != NULL) {
        (void)sem_post(service->entered);
        test_wait(service->release);
    } else if (request->type == TYPE_BLOCK) {
        child_report('e');
        if (read(CHILD_COMMANDS, &byte, 1) != 1)
            _exit(8);
    }
    number = answer_to(number);
    memcpy(response->data, &number, sizeof number);
    response->bytes = sizeof number;
    return 0;
}

/* One call with a number of its own; DX_ERR_CORRUPT if the answer is not the one to it. */
static inline dx_status child_call(struct dx_caller *caller, struct tally *tally, uint32_t type,
                                   int64_t timeout_ns, uint64_t *number)
{
    uint64_t response = 0;
    size_t bytes = sizeof response;
    *number = tally_number(tally);
    dx_status status =
        dx_call(caller, type, number, sizeof *number, &response, &bytes, NULL, timeout_ns);
    if (status == DX_OK && (bytes != sizeof response || response != answer_to(*number)))
        return DX_ERR_CORRUPT;
    return status;
}

/* The region that hosts of these tests make. */
static inline struct dx_config child_config(void)
{
    return (struct dx_config){
        .slots = 2, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};
}

/* Role "guest": attaches ('a'), serves, ends with the number of why. */
static inline int child_guest(const char *url, struct tally *tally)
{
    struct dx_channel *channel;
    struct service service = {.tally = tally};
    if (dx_attach(url, NULL, PATIENCE, &channel) != DX_OK)
        return 100;
    child_report('a');
    dx_status status = dx_serve(channel, child_handler, &service, NULL);
    (void)dx_close(channel);
    return -(int)status;
}

static inline char child_burst(struct dx_caller *caller, struct tally *tally, int64_t timeout_ns)
{
    for (unsigned i = 0; i < CHILD_BURST; i++) {
        uint64_t number;
        if (child_call(caller, tally, TYPE_ECHO, timeout_ns, &number) != DX_OK)
            return 'f';
    }
    return 'k';
}

/* Role "host": creates ('a'), then does as it is told: 'c' calls and reports 'k' if all is right,
 * 'd' the same on the second slot with a short deadline, 'b' makes a call that blocks, 's' serves
 * for ever, 'q' closes. */
static inline int child_host(const char *url, struct tally *tally)
{
    struct dx_channel *channel;
    struct dx_caller *callers[2];
    struct dx_config config = child_config();
    struct service service = {.tally = tally};
    uint64_t number;
    char command;
    if (dx_create(url, &config, &channel) != DX_OK)
        return 100;
    for (int i = 0; i < 2; i++)
        if (dx_caller_open(channel, 0, &callers[i]) != DX_OK)
            return 101;
    child_report('a');
    while (read(CHILD_COMMANDS, &command, 1) == 1 && command != 'q') {
        if (command == 'c')
            child_report(child_burst(callers[0], tally, PATIENCE));
        else if (command == 'd')
            child_report(child_burst(callers[1], tally, SECOND));
        else if (command == 'b')
            (void)child_call(callers[0], tally, TYPE_BLOCK, DX_FOREVER, &number);
        else if (command == 's')
            return -(int)dx_serve(channel, child_handler, &service, NULL);
    }
    dx_caller_close(callers[0]);
    dx_caller_close(callers[1]);
    return -(int)dx_close(channel);
}

/* In main: runs a role and does not return, if this process was started for one. */
static inline void child_main(int argc, char **argv)
{
    if (argc != 3)
        return;
    watchdog_show_stacks();
    struct tally *tally = tally_map(CHILD_TALLY);
    if (tally == NULL)
        _exit(102);
    exit(strcmp(argv[1], "guest") == 0 ? child_guest(argv[2], tally) : child_host(argv[2], tally));
}

/* Starts a role. Between fork and exec nothing is called that another thread could have locked. */
static inline struct child child_start(const char *role, const char *url, int tally_fd)
{
    int commands[2];
    int reports[2];
    assert_int_equal(pipe2(commands, O_CLOEXEC), 0);
    assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        char *const arguments[] = {(char *)"child", (char *)role, (char *)url, NULL};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || dup2(commands[0], CHILD_COMMANDS) < 0 ||
            dup2(reports[1], CHILD_REPORTS) < 0 || dup2(tally_fd, CHILD_TALLY) < 0)
            _exit(103);
        (void)execv("/proc/self/exe", arguments);
        _exit(104);
    }
    assert_true(pid > 0);
    (void)close(commands[0]);
    (void)close(reports[1]);
    return (struct child){.pid = pid, .commands = commands[1], .reports = reports[0]};
}

/* What the child reports next; '\0' if it has ended. */
static inline char child_hear(const struct child *c)
{
    char report = '\0';
    while (read(c->reports, &report, 1) < 0 && errno == EINTR)
        ;
    watchdog_step();
    return report;
}

static inline void child_tell(const struct child *c, char command)
{
    assert_int_equal(write(c->commands, &command, 1), 1);
}

/* Waits for its end and returns the wait status; frees what we hold of it. */
static inline int child_end(struct child *c)
{
    int status = -1;
    if (c->pid == 0)
        return 0;
    (void)waitpid(c->pid, &status, 0);
    (void)close(c->commands);
    (void)close(c->reports);
    c->pid = 0;
    return status;
}

static inline void child_kill(struct child *c)
{
    if (c->pid != 0)
        (void)kill(c->pid, SIGKILL);
    (void)child_end(c);
}

/* cmocka group teardown: no name of ours and no child is left. */
static inline int nothing_is_left(void **state)
{
    char prefix[64];
    int left = 0;
    (void)state;
    test_remove_paths(); /* a host that was killed cannot remove its name */
    (void)snprintf(prefix, sizeof prefix, "dx-test-%d-", (int)getpid());
    DIR *directory = opendir("/dev/shm");
    if (directory == NULL)
        return -1;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        left += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(directory);
    return left == 0 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : -1;
}

#endif
