/* SPDX-License-Identifier: Apache-2.0 */
/* Whose descriptor carries the lock: memfd: hands one to the guest, and programs close all that
 * they do not know. */
#include <fcntl.h>
#include <sys/stat.h>

#include "channel.h"
#include "child.h"
#include "life.h"

/* A host of memfd: whose guest inherits its descriptor. The guest is a child of the host's process,
 * calls or serves for as long as the host lives, and then reports why it ended. */
struct heritage {
    bool serves;
    bool closes_number; /* after it attached */
    int reports[2];     /* 'a', then the status with its sign turned */
};

static void report(const struct heritage *h, char what)
{
    if (write(h->reports[1], &what, 1) != 1)
        _exit(9);
}

static void be_guest(const struct heritage *h, int fd)
{
    char url[32];
    struct dx_channel *c;
    struct dx_caller *caller;
    watchdog_show_stacks();
    (void)snprintf(url, sizeof url, "memfd:%d", fd);
    if (dx_attach(url, NULL, PATIENCE, &c) != DX_OK || dx_caller_open(c, 0, &caller) != DX_OK)
        _exit(1);
    if (h->closes_number)
        (void)close(fd);
    report(h, 'a');
    dx_status status = h->serves
                           ? dx_serve(c, child_handler, NULL, NULL)
                           : dx_call(caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, DX_FOREVER);
    report(h, (char)-status);
    _exit(0);
}

static int be_host(void *user)
{
    const struct heritage *h = user;
    const struct dx_config config = life_config();
    struct dx_channel *c;
    if (dx_create("memfd:", &config, &c) != DX_OK)
        return 1;
    int fd = dx_channel_fd(c);
    if (fork() == 0)
        be_guest(h, fd);
    (void)pause();
    return 2;
}

static void check_heritage(struct heritage h)
{
    char byte = '\0';
    assert_int_equal(pipe2(h.reports, O_CLOEXEC), 0);
    pid_t host = fork();
    if (host == 0) {
        watchdog_show_stacks();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(be_host(&h));
    }
    assert_true(host > 0);
    (void)close(h.reports[1]);
    assert_int_equal(read(h.reports[0], &byte, 1), 1);
    assert_int_equal(byte, 'a');
    (void)kill(host, SIGKILL);
    (void)waitpid(host, NULL, 0);
    assert_int_equal(read(h.reports[0], &byte, 1), 1);
    assert_int_equal(byte, -DX_ERR_PEER_DEAD);
    (void)close(h.reports[0]);
}

static void a_guest_of_memfd_that_serves_notices_its_host_s_death(void **state)
{
    (void)state;
    check_heritage((struct heritage){.serves = true});
}

static void a_guest_of_memfd_that_calls_notices_its_host_s_death(void **state)
{
    (void)state;
    check_heritage((struct heritage){.serves = false});
}

static void a_guest_of_memfd_may_close_the_number_that_it_inherited(void **state)
{
    (void)state;
    check_heritage((struct heritage){.serves = true, .closes_number = true});
}

/* As closefrom(3) and then open: the number is another file's, which has no lock. */
static void take_number(int fd, const char *path)
{
    int other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(other > 2);
    assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);
    (void)close(other);
}

static void assert_number_is_left_alone(int fd)
{
    assert_true(fcntl(fd, F_GETFD) >= 0);
    (void)close(fd);
}

static void a_peer_lives_on_when_the_program_has_closed_our_descriptor(void **state)
{
    (void)state;
    char url[TEST_URL_BYTES];
    const char *other = test_path("other");
    const char *path = test_path("closed");
    const struct dx_config config = life_config();
    struct dx_channel *host;
    struct dx_channel *guest;
    struct dx_channel *third;
    assert_status(dx_create(test_shm_url(path, url), &config, &host), DX_OK);
    assert_status(dx_attach(url, NULL, PATIENCE, &guest), DX_OK);
    int fd = dx_channel_fd(guest);
    (void)close(fd);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_ALIVE);
    take_number(fd, other);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_ALIVE);
    /* Nor are we dead for the others. */
    assert_int_equal(dx_channel_peer(host), DX_PEER_ALIVE);
    assert_status(dx_attach(url, NULL, 0, &third), DX_ERR_GUEST_EXISTS);
    int host_fd = dx_channel_fd(host);
    take_number(host_fd, other);
    assert_status(dx_create(url, &config, &third), DX_ERR_HOST_EXISTS);
    assert_status(dx_close(guest), DX_OK);
    assert_int_equal(dx_channel_peer(host), DX_PEER_CLOSED);
    assert_status(dx_close(host), DX_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_number_is_left_alone(fd);
    assert_number_is_left_alone(host_fd);
}

static void a_death_is_noticed_when_the_program_has_closed_our_descriptor(void **state)
{
    (void)state;
    char url[TEST_URL_BYTES];
    const char *path = test_path("noticed");
    struct dx_channel *guest;
    int tally = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(tally, sizeof(struct tally)), 0);
    struct child host = child_start("host", test_shm_url(path, url), tally);
    assert_int_equal(child_hear(&host), 'a');
    assert_status(dx_attach(url, NULL, PATIENCE, &guest), DX_OK);
    (void)close(dx_channel_fd(guest));
    assert_int_equal(dx_channel_peer(guest), DX_PEER_ALIVE);
    child_kill(&host);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_DEAD);
    assert_status(dx_close(guest), DX_OK);
    (void)close(tally);
}

static void what_cannot_be_seen_is_no_death_and_is_said(void **state)
{
    (void)state;
    char url[32];
    const struct dx_config config = life_config();
    struct dx_channel *host;
    struct dx_channel *guest;
    assert_status(dx_create("memfd:", &config, &host), DX_OK);
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(host));
    assert_status(dx_attach(url, NULL, PATIENCE, &guest), DX_OK);
    assert_string_equal(dx_channel_notice(guest), "");
    (void)close(dx_channel_fd(guest));
    assert_int_equal(dx_channel_peer(guest), DX_PEER_ALIVE);
    assert_non_null(strstr(dx_channel_notice(guest), "descriptor"));
    /* What the other side says is believed. */
    assert_status(dx_close(host), DX_OK);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_CLOSED);
    assert_status(dx_close(guest), DX_OK);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_of_memfd_that_serves_notices_its_host_s_death),
        cmocka_unit_test(a_guest_of_memfd_that_calls_notices_its_host_s_death),
        cmocka_unit_test(a_guest_of_memfd_may_close_the_number_that_it_inherited),
        cmocka_unit_test(a_peer_lives_on_when_the_program_has_closed_our_descriptor),
        cmocka_unit_test(a_death_is_noticed_when_the_program_has_closed_our_descriptor),
        cmocka_unit_test(what_cannot_be_seen_is_no_death_and_is_said),
    };
    child_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
