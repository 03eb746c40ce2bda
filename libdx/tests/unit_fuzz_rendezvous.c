/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs for fuzz_rendezvous.c that are the same in every run: the corpus that libFuzzer found, and
 * steps at random. DX_TEST_SECONDS makes the random part longer. */
#include <stdio.h>

#include "clock.h"
#include "dice.h"
#include "fuzz_rendezvous.h"
#include "test.h"

#ifndef DX_TEST_CORPUS
#define DX_TEST_CORPUS "fuzz_rendezvous.corpus"
#endif

#define RANDOM_INPUTS 500u
#define INPUT_MAX 512u

static void run_input(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1); /* of just its size */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    assert_int_equal(LLVMFuzzerTestOneInput(copy, size), 0);
    free(copy);
}

static size_t bytes_of(const char *line, uint8_t *bytes)
{
    size_t size = 0;
    for (; size < INPUT_MAX && line[2 * size] > ' '; size++) {
        const char digits[3] = {line[2 * size], line[2 * size + 1], '\0'};
        bytes[size] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return size;
}

static void what_was_found_before_is_right(void **state)
{
    (void)state;
    char line[2 * INPUT_MAX + 2];
    uint8_t bytes[INPUT_MAX];
    unsigned inputs = 0;
    FILE *file = fopen(DX_TEST_CORPUS, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        run_input(bytes, bytes_of(line, bytes));
        inputs++;
        watchdog_step();
    }
    (void)fclose(file);
    assert_true(inputs > 100);
}

static void honest_words_are_believed(void **state)
{
    (void)state;
    const uint8_t greeting[] = {
        0,         FUZZ_ZERO,    FUZZ_NONE, FUZZ_OWN,     FUZZ_NONE, FUZZ_MEMORY,  FUZZ_MEMFD,
        FUZZ_ZERO, FUZZ_EVENTFD, FUZZ_OWN,  FUZZ_EVENTFD, FUZZ_PEER, FUZZ_EVENTFD, 3,
        FUZZ_PEER, FUZZ_NONE,    3};
    uint64_t before = fuzz_tally.greeted;
    run_input(greeting, sizeof greeting);
    assert_int_equal(fuzz_tally.greeted, before + 1);
}

/* Mostly the next word of an honest server, so that inputs come far. */
static size_t server_words(struct dice *dice, uint8_t *bytes)
{
    static const uint8_t greeting[] = {FUZZ_ZERO,   FUZZ_NONE,   FUZZ_OWN,  FUZZ_NONE,
                                       FUZZ_MEMORY, FUZZ_MEMFD,  FUZZ_ZERO, FUZZ_EVENTFD,
                                       FUZZ_OWN,    FUZZ_EVENTFD};
    size_t size = 1;
    bytes[0] = 0;
    for (size_t i = 0; i < sizeof greeting; i++)
        bytes[size++] = dice_below(dice, 12) == 0 ? (uint8_t)dice_roll(dice) : greeting[i];
    for (uint64_t more = dice_below(dice, 200); more > 0; more--)
        bytes[size++] = (uint8_t)(dice_below(dice, 4) == 0 ? dice_roll(dice) : dice_below(dice, 7));
    return size;
}

static size_t client_steps(struct dice *dice, uint8_t *bytes)
{
    size_t size = 0;
    bytes[size++] = 1;
    bytes[size++] = (uint8_t)dice_roll(dice);
    for (uint64_t more = dice_below(dice, 200); more > 0; more--) {
        bytes[size++] =
            (uint8_t)dice_below(dice, dice_below(dice, 3) == 0 ? FUZZ_STEPS : FUZZ_TALK);
        bytes[size++] = (uint8_t)dice_roll(dice);
    }
    return size;
}

static void words_and_steps_at_random_do_no_harm(void **state)
{
    (void)state;
    struct dice dice = {.state = 1};
    int64_t until = dx_clock_ns() + dice_test_seconds(0) * DX_NS_PER_S;
    memset(&fuzz_tally, 0, sizeof fuzz_tally);
    for (unsigned i = 0; i < RANDOM_INPUTS || dx_clock_ns() < until; i++) {
        uint8_t bytes[INPUT_MAX] = {0};
        size_t size = i % 2 == 0 ? server_words(&dice, bytes) : client_steps(&dice, bytes);
        run_input(bytes, size);
        watchdog_step();
    }
    assert_true(fuzz_tally.greeted > RANDOM_INPUTS / 10);
    assert_true(fuzz_tally.refused > RANDOM_INPUTS / 10);
    assert_true(fuzz_tally.joined > RANDOM_INPUTS && fuzz_tally.left > RANDOM_INPUTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_before_is_right),
        cmocka_unit_test(honest_words_are_believed),
        cmocka_unit_test(words_and_steps_at_random_do_no_harm),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
