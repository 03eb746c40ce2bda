/* SPDX-License-Identifier: Apache-2.0 */
/* A caller's part of the slot protocol: the test plays the server, also a hostile one. */
#include "words.h"

/* A host with a caller that a server of this epoch has greeted; there is no guest. */
static struct dx_caller *greeted_caller(struct pair *p)
{
    struct dx_caller *caller = pair_caller(p);
    dx_store_release(&p->host->server_lines[PLAYED].word,
                     dx_word(p->host->epoch, DX_SERVER_READY, 0));
    return caller;
}

/* Waits for a request, also if it has been given up meanwhile. */
static void await_request(const struct pair *p, uint32_t sequence)
{
    while (dx_word_sequence(dx_load_acquire(&p->host->caller_lines[PLAYED].word)) != sequence)
        (void)sched_yield();
}

/* Answers the request under way with these fields. */
static void play_answer(struct pair *p, uint32_t sequence, uint32_t bytes, uint32_t result)
{
    struct dx_server_line *line = &p->host->server_lines[PLAYED];
    await_request(p, sequence);
    dx_store_relaxed(&line->response_bytes, bytes);
    dx_store_relaxed(&line->result, result);
    dx_store_release(&line->word, dx_word(p->host->epoch, DX_SERVER_ACKNOWLEDGED, sequence));
    dx_fence_store_load();
    (void)dx_cell_ring(&p->host->cells[PLAYED]);
}

static void every_result_has_its_status_and_what_cannot_be_is_corrupt(void **state)
{
    static const struct {
        uint32_t bytes;
        uint32_t result;
        dx_status status;
    } answers[] = {
        {0, DX_RESULT_OK, DX_OK},
        {8, DX_RESULT_OK, DX_OK},
        {WORDS_CAPACITY + 1, DX_RESULT_OK, DX_ERR_CORRUPT},
        {UINT32_MAX, DX_RESULT_OK, DX_ERR_CORRUPT},
        {0x80000000u, DX_RESULT_OK, DX_ERR_CORRUPT},
        {0, DX_RESULT_REQUEST_TOO_LARGE + 1, DX_ERR_CORRUPT},
        {0, UINT32_MAX, DX_ERR_CORRUPT},
        {UINT32_MAX, DX_RESULT_TOO_LARGE, DX_ERR_RESPONSE_TOO_LARGE},
        {0, DX_RESULT_LOST, DX_ERR_LOST},
        {0, DX_RESULT_CANCELLED, DX_ERR_CANCELLED},
        {0, DX_RESULT_TYPE, DX_ERR_TYPE},
        {0, DX_RESULT_REQUEST_TOO_LARGE, DX_ERR_REQUEST_TOO_LARGE},
        {8, DX_RESULT_OK, DX_OK}, /* and none of them spoils the next call */
    };
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = greeted_caller(p);
    for (uint32_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        calling_start(&p->calls[0], caller, TYPE_ECHO, i, PATIENCE);
        play_answer(p, i + 1, answers[i].bytes, answers[i].result);
        assert_status(calling_join(&p->calls[0]), answers[i].status);
        if (answers[i].status == DX_OK) {
            assert_int_equal(dx_caller_reply(caller).bytes, answers[i].bytes);
        } else {
            assert_null(dx_caller_reply(caller).data);
            assert_int_equal(dx_caller_reply(caller).bytes, 0);
        }
    }
}

/* Each of these words stands there for the whole of a call, and none of them ends it. */
static void a_word_that_is_not_the_answer_is_never_taken_for_it(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = greeted_caller(p);
    const uint32_t epoch = p->host->epoch;
    uint32_t n = 0; /* the sequence of the call before */
    for (int i = 0; i < 12; i++, n++) {
        const uint64_t wrong[] = {
            dx_word(epoch - 1, DX_SERVER_ACKNOWLEDGED, n + 1), /* an answer of an earlier life */
            dx_word(epoch + 1, DX_SERVER_ACKNOWLEDGED, n + 1),
            dx_word(epoch, DX_SERVER_ACKNOWLEDGED, n + 2),
            dx_word(epoch, DX_SERVER_ACKNOWLEDGED, n),
            dx_word(epoch, DX_SERVER_READY, n + 1),
            dx_word(epoch, DX_SERVER_PROCESSING, n + 1),
            dx_word(epoch, DX_SERVER_WAITING_HOST_INIT, n + 1),
            dx_word(epoch, DX_SERVER_UNINITIALIZED, n + 1),
            dx_word(epoch, 255, n + 1),
            dx_word(0, DX_SERVER_ACKNOWLEDGED, n + 1),
            0,
            UINT64_MAX,
        };
        uint64_t number = 1;
        calling_start(&p->calls[0], caller, TYPE_ECHO, number, 40 * MS);
        await_request(p, n + 1);
        dx_store_release(&p->host->server_lines[PLAYED].word, wrong[i]);
        assert_status(calling_join(&p->calls[0]), DX_ERR_TIMEOUT);
        /* Nor does it make the slot free again. */
        assert_null(dx_caller_request(caller));
        assert_status(dx_call(caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, MS), DX_ERR_NO_PEER);
        /* The answer, late: the server lets go of the slot. */
        dx_store_release(&p->host->server_lines[PLAYED].word,
                         dx_word(epoch, DX_SERVER_ACKNOWLEDGED, n + 1));
        assert_non_null(dx_caller_request(caller));
    }
}

static void a_greeting_of_another_life_is_not_taken_for_ours(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = pair_caller(p);
    const uint32_t epoch = p->host->epoch;
    const uint64_t wrong[] = {
        0,
        UINT64_MAX,
        dx_word(epoch - 1, DX_SERVER_READY, 0),
        dx_word(epoch + 1, DX_SERVER_READY, 0),
        dx_word(epoch, DX_SERVER_WAITING_HOST_INIT, 0),
        dx_word(epoch, DX_SERVER_PROCESSING, 0),
        dx_word(0, DX_SERVER_READY, 0),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        dx_store_release(&p->host->server_lines[PLAYED].word, wrong[i]);
        assert_status(dx_call(caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, 10 * MS),
                      DX_ERR_NO_PEER);
        /* Nothing was sent to whoever that is. */
        assert_true(dx_load_relaxed(&p->host->caller_lines[PLAYED].word) ==
                    dx_word(epoch, DX_CALLER_READY, 0));
    }
}

static void a_caller_survives_cells_that_are_out_of_range(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = greeted_caller(p);
    const uint32_t cells = p->host->geometry.cells;
    const uint32_t wrong[] = {cells, cells + 1, UINT32_MAX, UINT32_MAX - 1, 1, 2, 0};
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        dx_store_seqcst(&p->host->server_lines[PLAYED].cell, wrong[i]);
        calling_start(&p->calls[0], caller, TYPE_ECHO, i, PATIENCE);
        play_answer(p, i + 1, 8, DX_RESULT_OK);
        assert_status(calling_join(&p->calls[0]), DX_OK);
    }
}

/* The copy goes to a buffer that holds what was checked, not what stands there a moment later. */
static void a_length_is_read_once(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = greeted_caller(p);
    calling_start(&p->calls[0], caller, TYPE_ECHO, 1, PATIENCE);
    play_answer(p, 1, 8, DX_RESULT_OK);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    dx_store_relaxed(&p->host->server_lines[PLAYED].response_bytes, UINT32_MAX);
    assert_int_equal(dx_caller_reply(caller).bytes, 8);
}

static void sequence_wraps_around(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    caller->sequence = UINT32_MAX - 3;
    for (uint64_t i = 0; i < 8; i++)
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
    assert_int_equal(caller->sequence, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(every_result_has_its_status_and_what_cannot_be_is_corrupt),
        PAIR_TEST(a_word_that_is_not_the_answer_is_never_taken_for_it),
        PAIR_TEST(a_greeting_of_another_life_is_not_taken_for_ours),
        PAIR_TEST(a_caller_survives_cells_that_are_out_of_range),
        PAIR_TEST(a_length_is_read_once),
        PAIR_TEST(sequence_wraps_around),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
