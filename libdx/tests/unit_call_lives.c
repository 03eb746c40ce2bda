/* SPDX-License-Identifier: Apache-2.0 */
/* Calls across the lives of a host: what runs on behalf of an earlier one must not suffer. */
#include "lives.h"

/* A host whose only call is in the guest's handler, and given up; then a new host in its place. */
static void replace_host_in_mid_call(struct pair *p, uint64_t request)
{
    const struct dx_config config = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    char url[TEST_URL_BYTES];
    test_shm_url(test_path("lives"), url);
    assert_status(dx_create(url, &config, &p->host), DX_OK);
    assert_non_null(dx_caller_request(pair_caller(p))); /* nobody has ever read there */
    assert_status(dx_attach(url, NULL, 0, &p->guest), DX_OK);
    pair_serve(p, (struct dx_serve_options){.flags = DX_SERVE_THROUGH_RESTART});
    int64_t limit_ns = 50 * MS;
    do { /* until the handler begins in time */
        calling_start(&p->calls[0], p->callers[0], TYPE_BLOCK, request, limit_ns);
        assert_status(calling_join(&p->calls[0]), DX_ERR_TIMEOUT);
        limit_ns *= 2;
        assert_in_range(limit_ns, 0, 60 * SECOND);
    } while (sem_trywait(&p->desk.entered) != 0);
    pair_close_callers(p);
    p->host->region.created = false; /* a host that dies leaves its name */
    dx_status closed = dx_close(p->host);
    p->host = NULL;
    assert_status(closed, DX_OK);
    assert_status(dx_create(url, &config, &p->host), DX_OK);
}

static void a_new_host_is_not_given_a_request_that_a_handler_still_reads(void **state)
{
    const uint64_t request = 0x1122334455667788u;
    uint64_t read_now;
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *state = p;
    (void)sem_init(&p->desk.entered, 0, 0);
    (void)sem_init(&p->desk.release, 0, 0);
    replace_host_in_mid_call(p, request);

    struct dx_caller *caller = pair_caller(p);
    void *place = dx_caller_request(caller);
    if (place != NULL)
        memset(place, 0, sizeof request);
    memcpy(&read_now, p->desk.latest_data, sizeof read_now);
    (void)sem_post(&p->desk.release);
    assert_int_equal(read_now, request);

    assert_status(pair_echo(caller, 7, PATIENCE), DX_OK);
    assert_non_null(dx_caller_request(caller));
    assert_int_equal(p->desk.runs, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_new_host_is_not_given_a_request_that_a_handler_still_reads),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
