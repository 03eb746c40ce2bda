/* SPDX-License-Identifier: Apache-2.0 */
/* A server's part of the slot protocol: the test plays the caller, word by word, and compares what
 * the server says and how often its handler ran with the table of docs/protocol.md. */
#include "words.h"

/* How an event's epoch and sequence stand to those of the word before it. */
struct relation {
    bool new_epoch;
    bool new_sequence;
};

static const struct relation relations[] = {
    {false, false}, {false, true}, {true, false}, {true, true}};

static const uint32_t befores[] = {DX_CALLER_READY,
                                   DX_CALLER_SENDING,
                                   DX_CALLER_COMPLETED,
                                   DX_CALLER_ABANDONED,
                                   DX_CALLER_UNINITIALIZED,
                                   DX_CALLER_INITIALIZING,
                                   6,
                                   7,
                                   128,
                                   255};

/* States that have a name, and of those that have none the first, the last and some between: each
 * event is a turn of two threads, which a loaded machine makes wait for the CPU. */
static const uint32_t events[] = {0,  1,  2,  3,   4,   5,   6,   7,   8,   9,
                                  15, 16, 31, 100, 127, 128, 129, 200, 254, 255};

/* What must follow from an event. */
struct expected {
    uint64_t word;
    uint32_t runs;
    uint32_t result; /* only if the word is an answer that is new */
    bool answered;
};

/* The table, written a second time: from the word before, the event, and the server's word. */
static struct expected expect(uint64_t before, uint64_t event, uint64_t server)
{
    struct expected e = {.word = server};
    bool same_epoch = dx_word_epoch(before) == dx_word_epoch(event);
    bool same_call = same_epoch && dx_word_sequence(before) == dx_word_sequence(event);
    uint32_t state = dx_word_state(event);
    if (event == before)
        return e;
    if (state == DX_CALLER_SENDING) {
        e.answered = true;
        e.runs = 1;
    } else if (state == DX_CALLER_ABANDONED) {
        e.answered = !(same_call && dx_word_state(before) == DX_CALLER_SENDING);
        e.result = DX_RESULT_CANCELLED;
    } else if ((state == DX_CALLER_READY || state == DX_CALLER_COMPLETED) && !same_epoch) {
        e.word = dx_word(dx_word_epoch(event), DX_SERVER_READY, dx_word_sequence(event));
    }
    if (e.answered)
        e.word = dx_word(dx_word_epoch(event), DX_SERVER_ACKNOWLEDGED, dx_word_sequence(event));
    return e;
}

/* Plays one event and compares; prints which one is wrong. */
static bool event_is_as_expected(struct pair *p, uint64_t before, uint64_t event)
{
    struct expected e = expect(before, event, server_word(p, PLAYED));
    uint32_t runs = atomic_load(&p->desk.runs);
    play_caller(p, PLAYED, event);
    fence(p);
    uint64_t word = server_word(p, PLAYED);
    uint32_t ran = atomic_load(&p->desk.runs) - runs;
    uint32_t result = dx_load_relaxed(&p->host->server_lines[PLAYED].result);
    if (word == e.word && ran == e.runs && (!e.answered || result == e.result))
        return true;
    print_error("after %016llx, %016llx: word %016llx (expected %016llx), %u runs (%u), result %u "
                "(%u)\n",
                (unsigned long long)before, (unsigned long long)event, (unsigned long long)word,
                (unsigned long long)e.word, ran, e.runs, result, e.result);
    return false;
}

static void server_follows_the_table_for_every_state_and_event(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_new(state, &config);
    uint32_t epoch = p->host->epoch;
    uint32_t sequence = UINT32_MAX - 100; /* it wraps on the way */
    unsigned wrong = 0;
    show_slots(p);
    pair_serve_one(p);
    play_request(p, PLAYED, TYPE_ECHO, 8);
    for (size_t b = 0; b < sizeof befores / sizeof *befores; b++)
        for (size_t r = 0; r < sizeof relations / sizeof *relations; r++)
            for (size_t e = 0; e < sizeof events / sizeof *events; e++) {
                uint64_t greeted = dx_word(++epoch, DX_CALLER_READY, ++sequence);
                uint64_t before = dx_word(epoch, befores[b], sequence);
                play_caller(p, PLAYED, greeted);
                fence(p);
                if (before != greeted)
                    wrong += !event_is_as_expected(p, greeted, before);
                epoch += relations[r].new_epoch;
                sequence += relations[r].new_sequence;
                wrong += !event_is_as_expected(p, before, dx_word(epoch, events[e], sequence));
            }
    assert_int_equal(wrong, 0);
}

/* A request left by one server for the next, and what becomes of it. */
struct legacy {
    const char *what;
    uint32_t caller;  /* the caller's state, with sequence 5 */
    uint64_t server;  /* the server's state << 32 | sequence; in the caller's epoch */
    bool other_epoch; /* ... or in another one */
    uint64_t journal; /* (slot + 1) << 32 | sequence */
    uint32_t worker;  /* that says so */
    uint64_t word;    /* the server's state << 32 | sequence in the end */
    uint32_t result;  /* if that is an answer that is new */
    uint32_t runs;
};

#define AT(state, sequence) ((uint64_t)(state) << 32 | (sequence))
#define ACK(sequence) AT(DX_SERVER_ACKNOWLEDGED, sequence)
#define JOURNAL(slot, sequence) AT((slot) + 1u, sequence)

static const struct legacy legacies[] = {
    {"pending", DX_CALLER_SENDING, ACK(4), false, 0, 0, ACK(5), 0, 1},
    {"pending as the first", DX_CALLER_SENDING, AT(DX_SERVER_READY, 0), false, 0, 0, ACK(5), 0, 1},
    {"begun", DX_CALLER_SENDING, ACK(4), false, JOURNAL(PLAYED, 5), 0, ACK(5), DX_RESULT_LOST, 0},
    {"begun by the last worker", DX_CALLER_SENDING, ACK(4), false, JOURNAL(PLAYED, 5),
     DX_SERVE_THREADS_MAX - 1, ACK(5), DX_RESULT_LOST, 0},
    {"another slot begun", DX_CALLER_SENDING, ACK(4), false, JOURNAL(PLAYED + 2, 5), 0, ACK(5), 0,
     1},
    {"the call before begun", DX_CALLER_SENDING, ACK(4), false, JOURNAL(PLAYED, 4), 0, ACK(5), 0,
     1},
    {"answered", DX_CALLER_SENDING, ACK(5), false, JOURNAL(PLAYED, 5), 0, ACK(5), 0, 0},
    {"given up", DX_CALLER_ABANDONED, ACK(4), false, 0, 0, ACK(5), DX_RESULT_CANCELLED, 0},
    {"given up and begun", DX_CALLER_ABANDONED, ACK(4), false, JOURNAL(PLAYED, 5), 0, ACK(5),
     DX_RESULT_LOST, 0},
    {"given up and answered", DX_CALLER_ABANDONED, ACK(5), false, JOURNAL(PLAYED, 5), 0, ACK(5), 0,
     0},
    {"given back", DX_CALLER_COMPLETED, ACK(5), false, JOURNAL(PLAYED, 5), 0, ACK(5), 0, 0},
    {"a new life", DX_CALLER_READY, ACK(4), true, 0, 0, AT(DX_SERVER_READY, 5), 0, 0},
    {"a new life given back", DX_CALLER_COMPLETED, ACK(4), true, 0, 0, AT(DX_SERVER_READY, 5), 0,
     0},
    {"a new life, answer of the old", DX_CALLER_READY, ACK(5), true, JOURNAL(PLAYED, 5), 0,
     AT(DX_SERVER_READY, 5), 0, 0},
    {"greeted", DX_CALLER_READY, AT(DX_SERVER_READY, 5), false, 0, 0, AT(DX_SERVER_READY, 5), 0, 0},
    {"garbage", 77, ACK(4), false, JOURNAL(PLAYED, 5), 0, ACK(4), 0, 0},
};

static void leave(struct pair *p, const struct legacy *l)
{
    uint32_t epoch = p->host->epoch;
    struct dx_server_line *line = &p->host->server_lines[PLAYED];
    for (uint32_t w = 0; w < DX_SERVE_THREADS_MAX; w++)
        dx_store_relaxed(&dx_channel_worker(p->host, DX_GUEST, w)->serving,
                         w == l->worker ? (uint64_t)(epoch & 0xffffu) << 48 | l->journal : 0);
    dx_store_relaxed(&line->result, (uint32_t)DX_RESULT_OK);
    dx_store_release(&line->word, dx_word(l->other_epoch ? epoch - 1 : epoch,
                                          (uint32_t)(l->server >> 32), (uint32_t)l->server));
    play_request(p, PLAYED, TYPE_ECHO, 8);
    play_caller(p, PLAYED, dx_word(epoch, l->caller, 5));
}

static void a_new_server_judges_what_the_old_one_left(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_host(state, &config);
    uint32_t epoch = p->host->epoch;
    show_slots(p);
    for (size_t i = 0; i < sizeof legacies / sizeof *legacies; i++) {
        const struct legacy *l = &legacies[i];
        leave(p, l);
        atomic_store(&p->desk.runs, 0u);
        pair_attach(p, NULL);
        pair_serve_one(p);
        fence(p);
        uint64_t word = server_word(p, PLAYED);
        uint32_t result = dx_load_relaxed(&p->host->server_lines[PLAYED].result);
        uint32_t runs = atomic_load(&p->desk.runs);
        dx_stop(p->guest);
        assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
        assert_status(pair_close_guest(p), DX_OK);
        if (word != dx_word(epoch, (uint32_t)(l->word >> 32), (uint32_t)l->word) ||
            result != l->result || runs != l->runs)
            fail_msg("%s: word %016llx, result %u, %u runs", l->what, (unsigned long long)word,
                     result, runs);
    }
}

/* A journal says which request was begun in this life of the caller. One of an earlier life, whose
 * sequence began at the same number, says nothing of it. */
static void a_journal_of_an_earlier_life_does_not_make_a_request_lost(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_new(state, &config);
    uint32_t epoch = p->host->epoch;
    show_slots(p);
    pair_serve_one(p);
    play_request(p, PLAYED, TYPE_ECHO, 8);
    play_caller(p, PLAYED, dx_word(epoch, DX_CALLER_SENDING, 1));
    fence(p);
    play_caller(p, PLAYED, dx_word(epoch + 1, DX_CALLER_READY, 0));
    fence(p);
    assert_true(server_word(p, PLAYED) == dx_word(epoch + 1, DX_SERVER_READY, 0));
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(pair_close_guest(p), DX_OK);

    play_caller(p, PLAYED, dx_word(epoch + 1, DX_CALLER_SENDING, 1));
    pair_attach(p, NULL);
    pair_serve_one(p);
    await_server_word(p, PLAYED, dx_word(epoch + 1, DX_SERVER_ACKNOWLEDGED, 1));
    assert_int_equal(p->host->server_lines[PLAYED].result, DX_RESULT_OK);
    assert_int_equal(atomic_load(&p->desk.runs), 2);
}

/* Fields that a hostile caller may write, and the result that it gets for it. */
static void a_request_that_cannot_be_is_refused_unrun(void **state)
{
    static const struct {
        uint32_t type;
        uint32_t bytes;
        uint32_t result;
    } wrong[] = {
        {TYPE_ECHO, WORDS_CAPACITY + 1, DX_RESULT_REQUEST_TOO_LARGE},
        {TYPE_ECHO, UINT32_MAX, DX_RESULT_REQUEST_TOO_LARGE},
        {DX_TYPE_PING, WORDS_CAPACITY + 1, DX_RESULT_REQUEST_TOO_LARGE},
        {1, 0, DX_RESULT_TYPE},
        {127, 0, DX_RESULT_TYPE},
        {65536, 0, DX_RESULT_TYPE},
        {UINT32_MAX, 0, DX_RESULT_TYPE},
        {DX_TYPE_PING, WORDS_CAPACITY, DX_RESULT_OK},
    };
    struct dx_config config = words_config();
    struct pair *p = pair_new(state, &config);
    show_slots(p);
    pair_serve_one(p);
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        play_request(p, PLAYED, wrong[i].type, wrong[i].bytes);
        play_caller(p, PLAYED, dx_word(p->host->epoch, DX_CALLER_SENDING, i + 1));
        await_server_word(p, PLAYED, dx_word(p->host->epoch, DX_SERVER_ACKNOWLEDGED, i + 1));
        assert_int_equal(p->host->server_lines[PLAYED].result, wrong[i].result);
        assert_int_equal(p->host->server_lines[PLAYED].response_bytes, 0);
    }
    assert_int_equal(atomic_load(&p->desk.runs), 0);
}

static void a_server_survives_numbers_that_are_out_of_range(void **state)
{
    struct dx_config config = words_config();
    struct pair *p = pair_new(state, &config);
    const uint32_t cells = p->host->geometry.cells;
    const uint32_t parked[] = {cells, cells + 1, UINT32_MAX, UINT32_MAX - 1, 1, 0};
    dx_store_release(&p->host->peers[DX_HOST].slots_used, UINT32_MAX);
    pair_serve_one(p);
    play_request(p, PLAYED, TYPE_ECHO, 8);
    for (uint32_t i = 0; i < sizeof parked / sizeof *parked; i++) {
        dx_store_seqcst(&p->host->caller_lines[PLAYED].parked, parked[i]);
        play_caller(p, PLAYED, dx_word(p->host->epoch, DX_CALLER_SENDING, i + 1));
        fence(p);
        assert_true(server_word(p, PLAYED) ==
                    dx_word(p->host->epoch, DX_SERVER_ACKNOWLEDGED, i + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(server_follows_the_table_for_every_state_and_event),
        PAIR_TEST(a_new_server_judges_what_the_old_one_left),
        PAIR_TEST(a_journal_of_an_earlier_life_does_not_make_a_request_lost),
        PAIR_TEST(a_request_that_cannot_be_is_refused_unrun),
        PAIR_TEST(a_server_survives_numbers_that_are_out_of_range),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
