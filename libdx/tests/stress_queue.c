/* SPDX-License-Identifier: Apache-2.0 */
/* Threads with a queue each keep calls in flight, with deadlines and cancels among them. Every
 * answer is verified, and each call has one completion. Under ThreadSanitizer this also checks the
 * order of payloads. */
#include "dice.h"
#include "dx_answer.h"
#include "queued.h"

#define QUEUES 3
#define ANSWERERS 2
#define DEPTH 8u

#ifdef DX_TSAN
#define CALLS 4000u
#else
#define CALLS 40000u
#endif

/* One thread, and what it saw. */
struct client {
    pthread_t thread;
    struct dx_queue *queue;
    struct dice dice;
    uint64_t submitted;
    uint64_t answered;
    uint64_t given_up; /* timed out, or cancelled */
    uint64_t wrong;
    bool in_flight[DEPTH];
    uint64_t sent[DEPTH]; /* of each tag */
};

/* The answer to a number, by whoever serves. */
static uint64_t answer_to(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15u ^ number >> 7;
}

static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    uint64_t number;
    atomic_fetch_add(&((struct desk *)user)->runs, 1u);
    if (request->bytes != sizeof number)
        return -1;
    memcpy(&number, request->data, sizeof number);
    uint64_t answer = answer_to(number);
    memcpy(response->data, &answer, sizeof answer);
    response->bytes = sizeof answer;
    return (int32_t)(number & 0xffff);
}

/* Requests that others answer, last come first served. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct kept {
        struct dx_token token;
        const void *data;
        void *response;
    } kept[QUEUES * DEPTH];
    uint32_t count;
    uint64_t answered;
    uint64_t wrong;
    bool over;
} later = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Every other request is answered by another thread. */
static int32_t keep_some(void *user, const struct dx_request *request, struct dx_response *response)
{
    uint64_t number;
    struct kept k = {.data = request->data, .response = response->data};
    memcpy(&number, request->data, sizeof number);
    if (number % 2 == 0 || dx_answer_later(request, &k.token) != DX_OK)
        return answer(user, request, response);
    atomic_fetch_add(&((struct desk *)user)->runs, 1u);
    (void)pthread_mutex_lock(&later.lock);
    later.kept[later.count++] = k; /* no more than there are slots */
    (void)pthread_cond_signal(&later.changed);
    (void)pthread_mutex_unlock(&later.lock);
    return 0;
}

static bool take_kept(struct kept *k)
{
    (void)pthread_mutex_lock(&later.lock);
    while (later.count == 0 && !later.over)
        (void)pthread_cond_wait(&later.changed, &later.lock);
    bool got = later.count != 0;
    if (got)
        *k = later.kept[--later.count];
    (void)pthread_mutex_unlock(&later.lock);
    return got;
}

static void *answer_kept(void *user)
{
    struct kept k;
    while (take_kept(&k)) {
        uint64_t number;
        memcpy(&number, k.data, sizeof number);
        uint64_t result = answer_to(number);
        memcpy(k.response, &result, sizeof result);
        dx_status status = dx_answer(&k.token, sizeof result, (int32_t)(number & 0xffff));
        dx_status again = dx_answer(&k.token, 0, -1);
        (void)pthread_mutex_lock(&later.lock);
        later.answered++;
        later.wrong += (status != DX_OK && status != DX_ERR_CANCELLED) || again != DX_ERR_INVALID;
        (void)pthread_mutex_unlock(&later.lock);
    }
    return user;
}

static void submit(struct client *c, uint64_t tag)
{
    uint64_t number = c->submitted;
    int64_t timeout_ns = dice_below(&c->dice, 50) == 0 ? 1000 : PATIENCE;
    void *at = dice_below(&c->dice, 2) == 0 ? dx_queue_request(c->queue) : NULL;
    dx_status status;
    if (at != NULL) {
        memcpy(at, &number, sizeof number);
        status = dx_queue_submit_in_place(c->queue, tag, TYPE_ECHO, sizeof number, timeout_ns);
    } else {
        status = dx_queue_submit(c->queue, tag, TYPE_ECHO, &number, sizeof number, timeout_ns);
    }
    if (status == DX_OK) {
        c->in_flight[tag] = true;
        c->sent[tag] = number;
        c->submitted++;
    } else if (status != DX_ERR_NO_SLOT) { /* those that were given up may still have them all */
        c->wrong++;
    }
    if (status == DX_OK && dice_below(&c->dice, 50) == 0)
        c->wrong += dx_queue_cancel(c->queue, tag) != DX_OK;
}

static void finish(struct client *c, const struct dx_completion *done)
{
    if (done->tag >= DEPTH || !c->in_flight[done->tag]) {
        c->wrong++;
        return;
    }
    uint64_t number = c->sent[done->tag];
    c->in_flight[done->tag] = false;
    if (done->result == DX_OK) {
        uint64_t expected = answer_to(number);
        c->answered++;
        c->wrong += done->bytes != sizeof expected || done->status != (int32_t)(number & 0xffff) ||
                    memcmp(done->data, &expected, sizeof expected) != 0;
    } else {
        c->given_up++;
        c->wrong += done->result != DX_ERR_TIMEOUT && done->result != DX_ERR_CANCELLED;
    }
    c->wrong += dx_queue_seen(c->queue, done) != DX_OK;
}

static void *run_client(void *user)
{
    struct client *c = user;
    struct dx_completion done[DEPTH];
    uint32_t count;
    while (c->submitted < CALLS || dx_queue_in_flight(c->queue) != 0) {
        for (uint64_t tag = 0; tag < DEPTH && c->submitted < CALLS; tag++)
            if (!c->in_flight[tag])
                submit(c, tag);
        uint32_t room = 1 + (uint32_t)dice_below(&c->dice, DEPTH);
        dx_status status = dice_below(&c->dice, 3) == 0
                               ? dx_queue_poll(c->queue, done, room, &count)
                               : dx_queue_wait(c->queue, 1, PATIENCE, done, room, &count);
        c->wrong += status != DX_OK;
        /* All that was submitted has ended, and all of it was given up. */
        if (status == DX_OK && count == 0 && dx_queue_in_flight(c->queue) == 0)
            c->wrong += dx_queue_wait_slot(c->queue, PATIENCE) != DX_OK;
        for (uint32_t i = 0; i < count; i++)
            finish(c, &done[i]);
        if (count != 0)
            watchdog_step();
    }
    return NULL;
}

static void run(void **state, uint32_t spin, uint32_t threads, dx_handler handler)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.spin_max = wait.spin_start = spin;
    wait.spin_min = 0;
    const struct dx_config config = {
        .slots = QUEUES * DEPTH, .request_capacity = 8, .response_capacity = 8, .wait = &wait};
    struct client clients[QUEUES];
    struct pair *p = pair_new(state, &config);
#ifdef DX_TSAN
    pair_share(p);
#endif
    serving_start(&p->serving, p->guest, handler, &p->desk,
                  (struct dx_serve_options){.threads = threads});
    for (int i = 0; i < QUEUES; i++) {
        clients[i] = (struct client){.dice = {(uint64_t)i + 1}};
        assert_status(dx_queue_open(p->host, DEPTH, &clients[i].queue), DX_OK);
    }
    for (int i = 0; i < QUEUES; i++)
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    uint64_t answered = 0;
    for (int i = 0; i < QUEUES; i++) {
        (void)pthread_join(clients[i].thread, NULL);
        dx_queue_close(clients[i].queue);
        answered += clients[i].answered;
    }
    for (int i = 0; i < QUEUES; i++) {
        assert_int_equal(clients[i].wrong, 0);
        assert_int_equal(clients[i].answered + clients[i].given_up, CALLS);
    }
    /* No handler ran twice for one call. */
    assert_in_range(atomic_load(&p->desk.runs), answered, (uint64_t)QUEUES * CALLS);
}

static void calls_in_flight_are_answered_right_by_spinning(void **state)
{
    run(state, 2000, 1, answer);
}

static void calls_in_flight_are_answered_right_by_sleeping(void **state)
{
    run(state, 0, 1, answer);
}

static void calls_in_flight_are_answered_right_by_a_pool(void **state)
{
    run(state, 100, 3, answer);
}

static void answers_by_other_threads_are_right(void **state)
{
    pthread_t answerers[ANSWERERS];
    for (int i = 0; i < ANSWERERS; i++)
        assert_int_equal(pthread_create(&answerers[i], NULL, answer_kept, NULL), 0);
    run(state, 100, 2, keep_some);
    (void)pthread_mutex_lock(&later.lock);
    later.over = true;
    (void)pthread_cond_broadcast(&later.changed);
    (void)pthread_mutex_unlock(&later.lock);
    for (int i = 0; i < ANSWERERS; i++)
        (void)pthread_join(answerers[i], NULL);
    assert_int_equal(later.wrong, 0);
    assert_true(later.answered > 0);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        PAIR_TEST(calls_in_flight_are_answered_right_by_spinning),
        PAIR_TEST(calls_in_flight_are_answered_right_by_sleeping),
        PAIR_TEST(calls_in_flight_are_answered_right_by_a_pool),
        PAIR_TEST(answers_by_other_threads_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
