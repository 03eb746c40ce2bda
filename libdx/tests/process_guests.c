/* SPDX-License-Identifier: Apache-2.0 */
/* Several guests of one host: told apart, killed and replaced without the others noticing, too
 * many of them, and what a next host makes of those who live on. */
#include "channel.h"
#include "child.h"
#include "liveness_kernel.h"

#define KERNEL "DX_TEST_KERNEL"
#define PLACES 3u
#define REPLACED 20

/* Verified calls on one place until they are to end, or one fails. */
struct traffic {
    pthread_t thread;
    bool started;
    struct tally *tally;
    struct dx_caller *caller;
    _Atomic bool ends; /* it is to end */
    _Atomic bool over; /* it has */
    _Atomic uint64_t calls;
    dx_status status;
};

struct scene {
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *channels[PLACES];
    struct dx_caller *callers[PLACES];
    struct traffic traffic[PLACES];
    struct child children[PLACES + 1];
};

static struct scene *set_scene(void **state, const char *scheme, const char *tag)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    (void)snprintf(s->url, sizeof s->url, "%s:%s", scheme, test_path(tag));
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    return s;
}

static dx_status traffic_end(struct traffic *t)
{
    atomic_store(&t->ends, true);
    if (t->started)
        (void)pthread_join(t->thread, NULL);
    t->started = false;
    return t->status;
}

static dx_status close_place(struct scene *s, uint32_t place)
{
    dx_caller_close(s->callers[place]);
    s->callers[place] = NULL;
    dx_status status = dx_close(s->channels[place]);
    s->channels[place] = NULL;
    return status;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    dx_status status = DX_OK;
    if (s == NULL)
        return 0;
    for (uint32_t i = 0; i < PLACES + 1; i++)
        child_kill(&s->children[i]);
    for (uint32_t i = PLACES; i-- > 0;) {
        (void)traffic_end(&s->traffic[i]);
        if (close_place(s, i) != DX_OK)
            status = DX_ERR_BUSY;
    }
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

static dx_status create(struct scene *s, uint32_t places)
{
    struct dx_config config = child_config();
    dx_status status = dx_create_places(s->url, &config, places, s->channels);
    for (uint32_t i = 0; status == DX_OK && i < places; i++)
        status = dx_caller_open(s->channels[i], 0, &s->callers[i]);
    return status;
}

static struct scene *set_host_scene(void **state, const char *scheme, const char *tag)
{
    struct scene *s = set_scene(state, scheme, tag);
    assert_status(create(s, PLACES), DX_OK);
    return s;
}

/* kernel: of which number, or NULL for ours. */
static void start_guest(struct scene *s, uint32_t index, const char *kernel)
{
    if (kernel != NULL)
        assert_int_equal(setenv(KERNEL, kernel, 1), 0);
    s->children[index] = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(unsetenv(KERNEL), 0);
    assert_int_equal(child_hear(&s->children[index]), 'a');
}

static void start_guests(struct scene *s)
{
    for (uint32_t i = 0; i < PLACES; i++)
        start_guest(s, i, NULL);
}

static struct dx_peer_info info_of(const struct scene *s, uint32_t place)
{
    struct dx_peer_info info;
    dx_channel_peer_info(s->channels[place], &info);
    return info;
}

static dx_status call(struct scene *s, uint32_t place)
{
    uint64_t number;
    dx_status status = child_call(s->callers[place], s->tally, TYPE_ECHO, PATIENCE, &number);
    return status == DX_OK && atomic_load(&s->tally->runs[number]) != 1 ? DX_ERR_CORRUPT : status;
}

static void call_well(struct scene *s, uint32_t place)
{
    for (int i = 0; i < 20; i++)
        assert_status(call(s, place), DX_OK);
}

static void *traffic_run(void *user)
{
    struct traffic *t = user;
    while (!atomic_load(&t->ends) && t->status == DX_OK) {
        uint64_t number;
        t->status = child_call(t->caller, t->tally, TYPE_ECHO, PATIENCE, &number);
        if (t->status == DX_OK && atomic_load(&t->tally->runs[number]) != 1)
            t->status = DX_ERR_CORRUPT;
        (void)atomic_fetch_add(&t->calls, 1u);
        /* As many numbers as the tally has must do. */
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 100000}, NULL);
    }
    atomic_store(&t->over, true);
    return NULL;
}

static void traffic_start(struct scene *s, uint32_t place)
{
    struct traffic *t = &s->traffic[place];
    *t = (struct traffic){.tally = s->tally, .caller = s->callers[place], .started = true};
    assert_int_equal(pthread_create(&t->thread, NULL, traffic_run, t), 0);
}

/* Traffic that goes on: some calls more than there are now. */
static void traffic_await(struct traffic *t)
{
    uint64_t before = atomic_load(&t->calls);
    while (atomic_load(&t->calls) < before + 5 && !atomic_load(&t->over))
        (void)sched_yield();
    assert_false(atomic_load(&t->over));
}

static void guests_are_told_apart(void **state)
{
    struct scene *s = set_host_scene(state, "unix", "apart");
    assert_int_equal(info_of(s, 0).peer, DX_PEER_NONE);
    start_guests(s);
    for (uint32_t i = 0; i < PLACES; i++) {
        struct dx_peer_info a = info_of(s, i);
        assert_int_equal(a.peer, DX_PEER_ALIVE);
        assert_int_equal(a.place, i);
        assert_int_equal(a.places, PLACES);
        assert_int_equal(a.pid, s->children[i].pid);
        assert_int_equal(a.remote, 0);
        assert_true(a.session != 0 && a.id != DX_NO_ID);
        struct dx_peer_info b = info_of(s, (i + 1) % PLACES);
        assert_true(a.session != b.session && a.id != b.id);
        assert_true(a.kernel == b.kernel);
        call_well(s, i);
    }
    uint64_t session = info_of(s, 1).session;
    child_kill(&s->children[1]);
    while (info_of(s, 1).peer == DX_PEER_ALIVE)
        (void)sched_yield();
    assert_int_equal(info_of(s, 1).peer, DX_PEER_DEAD);
    start_guest(s, 1, NULL);
    assert_int_equal(info_of(s, 1).pid, s->children[1].pid);
    assert_true(info_of(s, 1).session != session);
}

static void one_guest_too_many_is_told_how_many_there_may_be(void **state)
{
    struct scene *s = set_host_scene(state, "unix", "many");
    struct dx_channel *channel;
    start_guests(s);
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_GUEST_EXISTS);
    assert_non_null(strstr(dx_last_error(), "3 of its 3 places"));
    /* It gets the place of the first one that leaves, whichever that is. */
    s->children[PLACES] = child_start("guest", s->url, s->tally_fd);
    child_kill(&s->children[2]);
    assert_int_equal(child_hear(&s->children[PLACES]), 'a');
    assert_int_equal(info_of(s, 2).pid, s->children[PLACES].pid);
    for (uint32_t i = 0; i < PLACES; i++)
        call_well(s, i);
}

static void the_others_do_not_notice(struct scene *s)
{
    start_guests(s);
    traffic_start(s, 0);
    traffic_start(s, 2);
    for (int i = 0; i < REPLACED; i++) {
        call_well(s, 1);
        uint64_t session = info_of(s, 1).session;
        child_kill(&s->children[1]);
        traffic_await(&s->traffic[0]);
        traffic_await(&s->traffic[2]);
        assert_status(call(s, 1), DX_ERR_PEER_DEAD);
        start_guest(s, 1, NULL);
        assert_true(info_of(s, 1).session != session);
    }
    for (uint32_t place = 0; place < PLACES; place += 2)
        assert_status(traffic_end(&s->traffic[place]), DX_OK);
}

static void the_others_do_not_notice_at_a_socket(void **state)
{
    the_others_do_not_notice(set_host_scene(state, "unix", "socket"));
}

static void the_others_do_not_notice_in_a_file(void **state)
{
    the_others_do_not_notice(set_host_scene(state, "file", "file"));
}

/* Each place has a guest from another kernel, and nobody takes one twice. */
static void guests_from_several_kernels_have_a_place_each(void **state)
{
    struct scene *s = set_host_scene(state, "file", "kernels");
    start_guest(s, 0, "2");
    start_guest(s, 1, "3");
    start_guest(s, 2, NULL);
    for (uint32_t i = 0; i < PLACES; i++) {
        assert_int_equal(info_of(s, i).pid, s->children[i].pid);
        assert_int_equal(info_of(s, i).remote, i < 2);
        call_well(s, i);
    }
    struct dx_channel *channel;
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_GUEST_EXISTS);
    /* Its heartbeat tells, to a guest of a third kernel and to a host alike. */
    child_kill(&s->children[0]);
    start_guest(s, 0, "4");
    assert_int_equal(info_of(s, 0).pid, s->children[0].pid);
    for (uint32_t i = 0; i < PLACES; i++)
        call_well(s, i);
}

static void a_place_that_the_host_closes_takes_nobody(void **state)
{
    struct scene *s = set_host_scene(state, "unix", "closed");
    struct dx_channel *channel;
    start_guests(s);
    assert_status(close_place(s, 1), DX_OK);
    assert_int_equal(child_end(&s->children[1]), -DX_ERR_PEER_CLOSED << 8);
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_GUEST_EXISTS);
    assert_non_null(strstr(dx_last_error(), "2 of its 3 places, the others are closed"));
    call_well(s, 0);
    call_well(s, 2);
}

/* Role "places": a host of several guests, until it is killed. */
static int host_of_places(const char *url)
{
    struct dx_channel *channels[PLACES];
    struct dx_config config = child_config();
    char command;
    if (dx_create_places(url, &config, PLACES, channels) != DX_OK)
        return 100;
    child_report('a');
    return read(CHILD_COMMANDS, &command, 1) == 1 ? 0 : 1;
}

/* The guest of place 1 is stopped when the host dies, and so outlives it. */
static struct scene *set_orphan_scene(void **state, const char *tag)
{
    struct scene *s = set_scene(state, "file", tag);
    s->children[PLACES] = child_start("places", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[PLACES]), 'a');
    start_guest(s, 0, NULL);
    start_guest(s, 1, NULL);
    assert_int_equal(kill(s->children[1].pid, SIGSTOP), 0);
    test_await_state(s->children[1].pid, 'T');
    child_kill(&s->children[PLACES]);
    assert_int_equal(child_end(&s->children[0]), -DX_ERR_PEER_DEAD << 8);
    return s;
}

static void a_new_host_meets_the_guests_that_live_on(void **state)
{
    struct scene *s = set_orphan_scene(state, "meets");
    assert_status(create(s, PLACES), DX_OK);
    assert_int_equal(info_of(s, 1).pid, s->children[1].pid);
    start_guest(s, 0, NULL);
    assert_int_equal(info_of(s, 0).pid, s->children[0].pid);
    call_well(s, 0);
    assert_int_equal(kill(s->children[1].pid, SIGCONT), 0);
    call_well(s, 1);
}

static void places_do_not_move_under_a_guest_that_lives_on(void **state)
{
    struct scene *s = set_orphan_scene(state, "moves");
    struct dx_config larger = child_config();
    larger.request_capacity *= 2;
    assert_status(create(s, 1), DX_ERR_GUEST_EXISTS);
    assert_non_null(strstr(dx_last_error(), "one of its 3 places"));
    assert_status(create(s, 2), DX_ERR_GUEST_EXISTS);
    assert_status(dx_create_places(s->url, &larger, PLACES, s->channels), DX_ERR_GUEST_EXISTS);
    assert_null(s->channels[0]);
    child_kill(&s->children[1]);
    assert_status(create(s, 2), DX_OK);
    start_guest(s, 0, NULL);
    start_guest(s, 1, NULL);
    call_well(s, 0);
    call_well(s, 1);
}

/* What a header says of places that are not there is an error, and no signal. */
static void places_that_a_header_makes_up_are_refused(void **state)
{
    struct scene *s = set_host_scene(state, "file", "lies");
    struct dx_channel *channel;
    start_guest(s, 0, NULL);
    struct dx_header *first = s->channels[0]->header;
    struct dx_header *second = s->channels[1]->header;
    const struct dx_geometry *g = &s->channels[0]->geometry;
    /* No room for histograms, so that nothing follows the last place. */
    assert_int_equal(truncate(s->channels[0]->region.url.path,
                              (off_t)((PLACES - 1) * g->place_bytes + g->region_bytes)),
                     0);
    first->places = DX_GUESTS_MAX;
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_GUEST_EXISTS);
    assert_status(dx_observe_place(s->url, PLACES, &channel), DX_ERR_SHORT);
    first->places = DX_GUESTS_MAX + 1;
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_GEOMETRY);
    first->places = PLACES;
    second->place = 2;
    assert_status(dx_observe_place(s->url, 1, &channel), DX_ERR_GEOMETRY);
    assert_status(dx_observe_place(s->url, PLACES, &channel), DX_ERR_NO_SLOT);
    start_guest(s, 1, NULL); /* the place whose header is right */
    assert_int_equal(info_of(s, 2).pid, s->children[1].pid);
    call_well(s, 0);
    call_well(s, 2);
    second->place = 1;
}

static void impossible_numbers_of_guests_are_refused(void **state)
{
    struct dx_channel *channels[1];
    (void)state;
    assert_status(dx_create_places("memfd:", NULL, 0, channels), DX_ERR_INVALID);
    assert_status(dx_create_places("memfd:", NULL, DX_GUESTS_MAX + 1, channels), DX_ERR_INVALID);
    assert_non_null(strstr(dx_last_error(), "1 to 30"));
}

#define scened(test) cmocka_unit_test_teardown(test, clear_scene)

int main(int argc, char **argv)
{
    const char *kernel = getenv(KERNEL);
    if (kernel != NULL)
        dx_kernel_pretend((uint32_t)strtoul(kernel, NULL, 10));
    if (argc == 3 && strcmp(argv[1], "places") == 0)
        return host_of_places(argv[2]);
    child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        scened(guests_are_told_apart),
        scened(one_guest_too_many_is_told_how_many_there_may_be),
        scened(the_others_do_not_notice_at_a_socket),
        scened(the_others_do_not_notice_in_a_file),
        scened(guests_from_several_kernels_have_a_place_each),
        scened(a_place_that_the_host_closes_takes_nobody),
        scened(a_new_host_meets_the_guests_that_live_on),
        scened(places_do_not_move_under_a_guest_that_lives_on),
        scened(places_that_a_header_makes_up_are_refused),
        cmocka_unit_test(impossible_numbers_of_guests_are_refused),
    };
    test_begin();
    return cmocka_run_group_tests_name("process_guests", tests, NULL, nothing_is_left);
}
