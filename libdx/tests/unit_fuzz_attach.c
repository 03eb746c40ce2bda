/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs for fuzz_attach.c that are the same in every run: each field of a region at each value at
 * which code breaks, and damage at random. DX_TEST_SECONDS makes the random part longer. */
#include "channel.h"
#include "dice.h"
#include "fuzz.h"
#include "slot.h"
#include "test.h"

#define RANDOM_INPUTS 1500u
#define PATCHES_MAX 24u
#define FIELDS_MAX 4096u

/* An input under construction. */
struct input {
    uint8_t bytes[FUZZ_HEAD_BYTES + FUZZ_REGION_MAX];
    size_t size;
};

static void begin_input(struct input *in, unsigned flags, unsigned shape)
{
    in->bytes[0] = (uint8_t)flags;
    in->bytes[1] = (uint8_t)shape;
    in->size = FUZZ_HEAD_BYTES;
}

static void add_patch(struct input *in, size_t offset, size_t count, uint64_t value)
{
    uint8_t *at = in->bytes + in->size;
    assert_true(offset % 4 == 0 && offset / 4 <= UINT16_MAX && count >= 1 && count <= 8);
    at[0] = (uint8_t)(offset / 4);
    at[1] = (uint8_t)(offset / 4 >> 8);
    at[2] = (uint8_t)(count - 1);
    memcpy(at + 3, &value, sizeof value);
    in->size += FUZZ_PATCH_BYTES;
}

/* Runs it in memory of just its size. */
static void run_input(const struct input *in)
{
    uint8_t *copy = malloc(in->size);
    assert_non_null(copy);
    memcpy(copy, in->bytes, in->size);
    assert_int_equal(LLVMFuzzerTestOneInput(copy, in->size), 0);
    free(copy);
}

/* Runs it and says how far it came. */
static const struct fuzz_tally *tally_of(const struct input *in)
{
    memset((void *)&fuzz_tally, 0, sizeof fuzz_tally);
    run_input(in);
    return &fuzz_tally;
}

static struct input *new_input(void **state)
{
    *state = malloc(sizeof(struct input));
    assert_non_null(*state);
    return *state;
}

static int free_input(void **state)
{
    free(*state);
    return 0;
}

/* A field of the region: u32 or u64. */
struct field {
    uint32_t offset;
    uint32_t bytes;
};

struct fields {
    struct field at[FIELDS_MAX];
    size_t count;
};

static void add_fields(struct fields *f, uint64_t offset, const char *widths)
{
    for (; *widths != '\0'; widths++) {
        uint32_t bytes = (uint32_t)(*widths - '0');
        assert_true(f->count < FIELDS_MAX);
        f->at[f->count++] = (struct field){(uint32_t)offset, bytes};
        offset += bytes;
    }
}

/* Everything that a guest or an observer reads, by the widths of the fields. */
static void find_fields(unsigned shape, struct fields *f)
{
    const struct fuzz_shape *s = &fuzz_shapes[shape];
    struct dx_geometry g;
    f->count = 0;
    assert_status(dx_geometry_make(s->host_slots, s->guest_slots, s->request_capacity,
                                   s->response_capacity, &g),
                  DX_OK);
    add_fields(f, 0, "844844444444444488888888");
    for (unsigned peer = 0; peer < 3; peer++)
        add_fields(f, sizeof(struct dx_header) + peer * sizeof(struct dx_peer_lines), "84444");
    for (uint32_t slot = 0; slot < g.slots && slot < 4; slot++) {
        add_fields(f, g.callers_offset + slot * sizeof(struct dx_caller_line), "84444");
        add_fields(f, g.servers_offset + slot * sizeof(struct dx_server_line), "84444");
        add_fields(f, g.counters_offset + slot * sizeof(struct dx_counters), "88");
    }
    for (uint32_t w = 0; w < 2 * DX_SERVE_THREADS_MAX; w++)
        add_fields(f, g.workers_offset + w * sizeof(struct dx_worker), "8");
    for (uint32_t cell = 0; cell < g.cells; cell += cell < 4 ? 1 : 7)
        add_fields(f, g.cells_offset + cell * sizeof(struct dx_cell), "448888");
}

static void regions_in_good_order_are_attached_to_and_served(void **state)
{
    struct input *in = new_input(state);
    for (unsigned shape = 0; shape < FUZZ_SHAPES; shape++) {
        bool serves = fuzz_shapes[shape].host_slots != 0;
        bool calls = fuzz_shapes[shape].guest_slots != 0;
        begin_input(in, 0, shape);
        const struct fuzz_tally *seen = tally_of(in);
        assert_int_equal(seen->observed, 1);
        assert_int_equal(seen->attached, 1);
        assert_int_equal(seen->served != 0, serves);
        assert_int_equal(seen->answered != 0, calls);
        begin_input(in, FUZZ_POOL | FUZZ_COPY, shape);
        assert_int_equal(tally_of(in)->attached, 1);
        begin_input(in, FUZZ_NO_HOST, shape);
        seen = tally_of(in);
        assert_int_equal(seen->observed, 1);
        assert_int_equal(seen->attached, 0);
        begin_input(in, FUZZ_SHORT, shape);
        assert_int_equal(tally_of(in)->observed, 0);
    }
}

static void the_bytes_of_a_region_are_as_good_as_patches(void **state)
{
    struct input *in = new_input(state);
    for (unsigned shape = 0; shape < FUZZ_SHAPES; shape++) {
        _Alignas(DX_LINE) static unsigned char bytes[FUZZ_REGION_MAX];
        begin_input(in, FUZZ_RAW, shape);
        size_t size = fuzz_region(shape, bytes);
        memcpy(in->bytes + in->size, bytes, size);
        in->size += size;
        assert_int_equal(tally_of(in)->attached, 1);
        /* Without its end, which is added in zeros, or is not. */
        in->size -= 1;
        assert_int_equal(tally_of(in)->attached, 1);
        in->bytes[0] |= FUZZ_CUT;
        assert_int_equal(tally_of(in)->observed, 0);
    }
}

static void each_field_may_have_any_value(void **state)
{
    struct input *in = new_input(state);
    struct fields *fields = malloc(sizeof *fields);
    assert_non_null(fields);
    memset((void *)&fuzz_tally, 0, sizeof fuzz_tally);
    for (unsigned shape = 0; shape < FUZZ_SHAPES; shape++) {
        find_fields(shape, fields);
        for (size_t i = 0; i < fields->count; i++) {
            for (size_t edge = 0; edge < DICE_EDGES; edge++) {
                begin_input(in, i % 3 == 0 ? FUZZ_COPY : 0, shape);
                add_patch(in, fields->at[i].offset, fields->at[i].bytes, dice_edges[edge]);
                if (fields->at[i].bytes == 8 || dice_edges[edge] <= UINT32_MAX)
                    run_input(in);
            }
        }
    }
    free(fields);
    /* Most of them are no reason to refuse the region. */
    assert_true(fuzz_tally.attached > 4000 && fuzz_tally.served > 4000);
}

static void damage_at_random(struct input *in, struct dice *dice, const struct fields *fields,
                             unsigned shape)
{
    begin_input(in, (unsigned)dice_roll(dice) & (FUZZ_COPY | FUZZ_POOL), shape);
    for (uint64_t n = 1 + dice_below(dice, PATCHES_MAX); n > 0; n--) {
        const struct field *f = &fields->at[dice_below(dice, fields->count)];
        uint64_t value = dice_below(dice, 3) == 0 ? dice_roll(dice) : dice_edge(dice);
        /* A word of the right epoch is more of a lie than one of any. */
        if (f->bytes == 8 && dice_below(dice, 2) == 0)
            value = dx_word((uint32_t)dice_below(dice, 7), (uint32_t)dice_below(dice, 7),
                            (uint32_t)dice_below(dice, 9));
        /* The header lets nothing pass: mostly leave it alone. */
        if (f->offset >= sizeof(struct dx_header) || dice_below(dice, 16) == 0)
            add_patch(in, f->offset, f->bytes, value);
    }
}

static void any_fields_may_have_any_values(void **state)
{
    struct input *in = new_input(state);
    struct fields *fields = malloc(FUZZ_SHAPES * sizeof *fields);
    struct dice dice = {.state = 1};
    assert_non_null(fields);
    for (unsigned shape = 0; shape < FUZZ_SHAPES; shape++)
        find_fields(shape, &fields[shape]);
    int64_t until = dx_clock_ns() + dice_test_seconds(0) * SECOND / 2;
    memset((void *)&fuzz_tally, 0, sizeof fuzz_tally);
    for (unsigned i = 0; i < RANDOM_INPUTS || dx_clock_ns() < until; i++) {
        damage_at_random(in, &dice, &fields[i % FUZZ_SHAPES], i % FUZZ_SHAPES);
        run_input(in);
    }
    free(fields);
    assert_true(fuzz_tally.attached > RANDOM_INPUTS / 4 && fuzz_tally.served > RANDOM_INPUTS / 4);
}

static void any_bytes_may_be_there(void **state)
{
    struct input *in = new_input(state);
    struct dice dice = {.state = 2};
    int64_t until = dx_clock_ns() + dice_test_seconds(0) * SECOND / 2;
    for (unsigned i = 0; i < RANDOM_INPUTS || dx_clock_ns() < until; i++) {
        _Alignas(DX_LINE) static unsigned char bytes[FUZZ_REGION_MAX];
        begin_input(in, FUZZ_RAW | ((unsigned)dice_roll(&dice) & FUZZ_CUT), 0);
        size_t size = fuzz_region(i, bytes);
        size_t from = dice_below(&dice, 2) * sizeof(struct dx_header); /* the header, or not */
        for (uint64_t n = dice_below(&dice, 400); n > 0; n--)
            bytes[from + dice_below(&dice, size - from)] = (unsigned char)dice_roll(&dice);
        size -= dice_below(&dice, 4) == 0 ? dice_below(&dice, size + 1) : 0;
        memcpy(in->bytes + in->size, bytes, size);
        in->size += size;
        run_input(in);
    }
}

#define FUZZ_TEST(f) cmocka_unit_test_teardown(f, free_input)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FUZZ_TEST(regions_in_good_order_are_attached_to_and_served),
        FUZZ_TEST(the_bytes_of_a_region_are_as_good_as_patches),
        FUZZ_TEST(each_field_may_have_any_value),
        FUZZ_TEST(any_fields_may_have_any_values),
        FUZZ_TEST(any_bytes_may_be_there),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
