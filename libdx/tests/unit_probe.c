/* SPDX-License-Identifier: Apache-2.0 */
/* Static probes: when they are passed. */
#include "pair.h"
#include "probe_trap.h"

static const struct dx_config config = {
    .slots = 2, .request_capacity = 64, .response_capacity = 64};

static void assert_deaths(unsigned count)
{
    assert_int_equal(atomic_load(probe_hits()), count);
}

/* Whoever looks at it, and however often. */
static void a_death_is_traced_once(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct dx_caller *callers[] = {pair_caller(p), pair_caller(p)};
    struct dx_peer_info info;
    assert_true(probe_count("peer_dead") > 0);
    for (unsigned life = 1; life <= 3; life++) {
        pair_lose_guest(p);
        assert_deaths(life);
        for (size_t i = 0; i < 2; i++)
            assert_status(pair_echo(callers[i], life, DX_FOREVER), DX_ERR_PEER_DEAD);
        assert_status(pair_echo(callers[0], life, 20 * MS), DX_ERR_NO_PEER);
        dx_channel_peer_info(p->host, &info);
        assert_int_equal(info.peer, DX_PEER_DEAD);
        assert_deaths(life);
    }
    pair_attach(p, NULL);
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_ALIVE);
    assert_status(pair_close_guest(p), DX_OK);
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_CLOSED);
    assert_deaths(3);
}

/* It may end before it has said its session: then that of the one before it is there. */
static void a_death_after_another_life_is_traced_whatever_its_session(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct dx_peer_lines *guest = &p->host->peers[DX_GUEST];
    unsigned before = atomic_load(probe_hits());
    pair_lose_guest(p);
    uint64_t session = dx_load_relaxed(&guest->session);
    pair_attach(p, NULL);
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_ALIVE);
    assert_status(pair_close_guest(p), DX_OK);
    dx_store_relaxed(&guest->session, session);
    dx_store_relaxed(&guest->state, DX_PEER_STATE_OPEN);
    for (int looks = 0; looks < 3; looks++)
        assert_int_equal(dx_channel_peer(p->host), DX_PEER_DEAD);
    assert_deaths(before + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_death_is_traced_once),
        PAIR_TEST(a_death_after_another_life_is_traced_whatever_its_session),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
