/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry: what follows from the sizes that a creator chooses, and what a header may say. */
#include "layout.h"
#include "test.h"

static const uint32_t slot_counts[] = {0, 1, 2, 3, 8, 63, 64, 1000, 4095, 4096};
static const size_t capacities[] = {
    0, 1, 63, 64, 65, 100, 127, 128, 4096, 6220800, DX_CAPACITY_MAX};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Calls visit for every geometry of the two lists that is allowed. */
static void each_geometry(void (*visit)(const struct dx_geometry *g))
{
    for (size_t h = 0; h < COUNT(slot_counts); h++)
        for (size_t g = 0; g < COUNT(slot_counts); g++)
            for (size_t q = 0; q < COUNT(capacities); q++)
                for (size_t s = 0; s < COUNT(capacities); s++) {
                    struct dx_geometry geometry;
                    uint32_t slots = slot_counts[h] + slot_counts[g];
                    if (slots == 0 || slots > DX_SLOTS_MAX)
                        continue;
                    assert_status(dx_geometry_make(slot_counts[h], slot_counts[g], capacities[q],
                                                   capacities[s], &geometry),
                                  DX_OK);
                    visit(&geometry);
                }
}

static void check_no_overlap(const struct dx_geometry *g)
{
    assert_int_equal(g->slots, g->host_slots + g->guest_slots);
    assert_int_equal(g->cells, g->slots + 2 * (DX_SERVE_THREADS_MAX + 1));
    assert_true(g->callers_offset >= DX_HEADER_BYTES);
    assert_true(g->servers_offset >= g->callers_offset + 64ull * g->slots);
    assert_true(g->counters_offset >= g->servers_offset + 64ull * g->slots);
    assert_true(g->workers_offset >= g->counters_offset + 128ull * g->slots);
    assert_true(g->cells_offset >= g->workers_offset + 192ull * 2 * DX_SERVE_THREADS_MAX);
    assert_true(g->payload_offset >= g->cells_offset + 64ull * g->cells);
    assert_true(g->response_offset >= g->request_capacity);
    assert_true(g->payload_stride >= g->response_offset + g->response_capacity);
    assert_true(g->region_bytes >= g->payload_offset + g->payload_stride * g->slots);
}

static void sections_do_not_overlap(void **state)
{
    (void)state;
    each_geometry(check_no_overlap);
}

static void check_alignment(const struct dx_geometry *g)
{
    assert_int_equal(g->callers_offset % DX_LINE, 0);
    assert_int_equal(g->servers_offset % DX_LINE, 0);
    assert_int_equal(g->counters_offset % DX_LINE, 0);
    assert_int_equal(g->workers_offset % DX_LINE, 0);
    assert_int_equal(g->cells_offset % DX_LINE, 0);
    assert_int_equal(g->payload_offset % DX_LINE, 0);
    assert_int_equal(g->payload_stride % DX_LINE, 0);
    assert_int_equal(g->response_offset % DX_LINE, 0);
    assert_int_equal(g->region_bytes % 4096, 0);
}

static void sections_begin_on_lines_and_the_region_is_whole_pages(void **state)
{
    (void)state;
    each_geometry(check_alignment);
}

static void check_odd_stride(const struct dx_geometry *g)
{
    if (g->request_capacity == 0 && g->response_capacity == 0)
        assert_int_equal(g->payload_stride, 0);
    else
        assert_int_equal(g->payload_stride / DX_LINE % 2, 1);
}

static void payload_of_a_slot_is_an_odd_number_of_lines(void **state)
{
    (void)state;
    each_geometry(check_odd_stride);
}

static void check_cells(const struct dx_geometry *g)
{
    /* Those of slots come first; every other one is used once. */
    uint32_t next = g->slots;
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        for (uint32_t w = 0; w < DX_SERVE_THREADS_MAX; w++)
            assert_int_equal(dx_cell_of_worker(g->slots, (enum dx_side)side, w), next++);
        assert_int_equal(dx_cell_shared(g->slots, (enum dx_side)side), next++);
    }
    assert_int_equal(next, g->cells);
}

static void every_sleeper_has_a_cell_of_its_own(void **state)
{
    (void)state;
    each_geometry(check_cells);
}

static void sizes_out_of_range_are_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        uint32_t host_slots;
        uint32_t guest_slots;
        size_t request_capacity;
        size_t response_capacity;
        const char *named;
    } wrong[] = {
        {0, 0, 64, 64, "0 slots"},
        {4097, 0, 64, 64, "4097 slots"},
        {0, 4097, 64, 64, "4097 slots"},
        {4096, 1, 64, 64, "4097 slots"},
        {1, UINT32_MAX, 64, 64, "4294967296 slots"}, /* their sum is 0 in 32 bits */
        {1, 0, DX_CAPACITY_MAX + 1, 64, "request capacity 1073741825"},
        {1, 0, 64, DX_CAPACITY_MAX + 1, "response capacity 1073741825"},
        {1, 0, SIZE_MAX, 64, "request capacity 18446744073709551615"},
        {1, 0, 64, SIZE_MAX - 62, "response capacity 18446744073709551553"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct dx_geometry g;
        assert_status(dx_geometry_make(wrong[i].host_slots, wrong[i].guest_slots,
                                       wrong[i].request_capacity, wrong[i].response_capacity, &g),
                      DX_ERR_INVALID);
        assert_detail(wrong[i].named);
    }
}

static void geometries_are_equal_when_all_sizes_are(void **state)
{
    (void)state;
    struct dx_geometry a;
    struct dx_geometry b;
    const uint32_t base[4] = {2, 3, 64, 128};
    assert_status(dx_geometry_make(base[0], base[1], base[2], base[3], &a), DX_OK);
    assert_status(dx_geometry_make(base[0], base[1], base[2], base[3], &b), DX_OK);
    assert_true(dx_geometry_equal(&a, &b));
    for (int field = 0; field < 4; field++) {
        uint32_t other[4];
        memcpy(other, base, sizeof other);
        other[field]++;
        assert_status(dx_geometry_make(other[0], other[1], other[2], other[3], &b), DX_OK);
        assert_false(dx_geometry_equal(&a, &b));
        assert_false(dx_geometry_equal(&b, &a));
    }
}

/* A header in memory of just its size, so that a sanitizer sees a read beyond it. */
static struct dx_header *new_header(size_t request_capacity, size_t response_capacity,
                                    struct dx_geometry *g)
{
    struct dx_header *header = calloc(1, sizeof *header);
    assert_non_null(header);
    assert_status(dx_geometry_make(3, 2, request_capacity, response_capacity, g), DX_OK);
    dx_header_write(header, g);
    header->magic = DX_MAGIC;
    return header;
}

static void flip(struct dx_header *header, size_t bit)
{
    ((unsigned char *)header)[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

static bool is_bit_of(size_t bit, size_t offset, size_t bytes)
{
    return bit >= offset * 8 && bit < (offset + bytes) * 8;
}

/* Any later minor version is compatible, sizeof(sem_t) is another library's affair, and reserved
 * bytes are nobody's. */
static bool may_differ(size_t bit)
{
    return is_bit_of(bit, offsetof(struct dx_header, version), 2) ||
           is_bit_of(bit, offsetof(struct dx_header, sem_bytes), 4) ||
           is_bit_of(bit, offsetof(struct dx_header, histograms), 4);
}

/* Of 1 place, one flipped bit makes 0 (which means 1), 3, 5, 9 or 17: they are possible, and are
 * read. */
static bool may_be_places(size_t bit)
{
    size_t first = offsetof(struct dx_header, places) * 8;
    return bit >= first && bit < first + 5;
}

static dx_status status_of_flipped(size_t bit)
{
    if (is_bit_of(bit, offsetof(struct dx_header, magic), 8))
        return DX_ERR_NOT_DX;
    if (is_bit_of(bit, offsetof(struct dx_header, version), 4))
        return DX_ERR_VERSION;
    return DX_ERR_GEOMETRY;
}

static void every_flipped_bit_of_a_header_is_refused(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_geometry read;
    /* 17 and 16 whole lines: no flipped size stays within the slack of a line, nor within the line
     * that is added to make their sum odd. */
    struct dx_header *header = new_header(1088, 1024, &g);
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_OK);
    assert_memory_equal(&read, &g, sizeof g);
    for (size_t bit = 0; bit < sizeof *header * 8; bit++) {
        flip(header, bit);
        dx_status status = dx_header_check(header, g.region_bytes, &read);
        uint64_t claimed = header->region_bytes;
        flip(header, bit);
        if (may_differ(bit) || may_be_places(bit))
            assert_status(status, DX_OK);
        else if (claimed > g.region_bytes)
            assert_status(status, DX_ERR_SHORT);
        else
            assert_status(status, status_of_flipped(bit));
    }
    free(header);
}

/* Within the slack of a line a capacity is whatever the header says: nothing moves by it, so that
 * the only flips of it that pass are those from which the very same offsets follow. */
static void a_flipped_capacity_passes_only_if_nothing_moves(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_header *header = new_header(1000, 100, &g);
    for (size_t bit = 0; bit < sizeof *header * 8; bit++) {
        struct dx_geometry read;
        flip(header, bit);
        dx_status status = dx_header_check(header, g.region_bytes, &read);
        flip(header, bit);
        if (status != DX_OK || may_differ(bit) || may_be_places(bit))
            continue;
        assert_true(is_bit_of(bit, offsetof(struct dx_header, request_capacity), 4) ||
                    is_bit_of(bit, offsetof(struct dx_header, response_capacity), 4));
        read.request_capacity = g.request_capacity;
        read.response_capacity = g.response_capacity;
        assert_memory_equal(&read, &g, sizeof g);
    }
    free(header);
}

static void a_header_with_too_few_bytes_behind_it_is_short(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_geometry read;
    struct dx_header *header = new_header(100, 100, &g);
    const uint64_t wrong[] = {0, 1, 127, 128, 4095, 4096, g.payload_offset, g.region_bytes - 1};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char named[32];
        (void)snprintf(named, sizeof named, "%llu bytes", (unsigned long long)wrong[i]);
        assert_status(dx_header_check(header, wrong[i], &read), DX_ERR_SHORT);
        assert_detail(named);
    }
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_OK);
    assert_status(dx_header_check(header, g.region_bytes + 1, &read), DX_OK);
    assert_status(dx_header_check(header, UINT64_MAX, &read), DX_OK);
    free(header);
}

/* The verdict on a header in which one field has another value. */
static dx_status status_with(const struct dx_header *right, size_t offset, const void *value,
                             size_t bytes)
{
    struct dx_header header;
    struct dx_geometry read;
    memcpy((void *)&header, (const void *)right, sizeof header);
    memcpy((unsigned char *)&header + offset, value, bytes);
    return dx_header_check(&header, UINT64_MAX, &read);
}

static void offsets_are_compared_and_never_believed(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_header *header = new_header(100, 100, &g);
    /* The second line: eight offsets and nothing else. */
    for (size_t at = DX_LINE; at < sizeof *header; at += sizeof(uint64_t)) {
        uint64_t right = 0;
        memcpy(&right, (const unsigned char *)header + at, sizeof right);
        const uint64_t wrong[] = {UINT64_MAX, UINT64_MAX - 63, 1ull << 63,     1ull << 32,
                                  0,          right + 64,      right + 0x1000, right - 64};
        assert_status(status_with(header, at, &right, sizeof right), DX_OK);
        for (size_t k = 0; k < COUNT(wrong); k++)
            assert_status(status_with(header, at, &wrong[k], sizeof wrong[k]), DX_ERR_GEOMETRY);
    }
    free(header);
}

static void sizes_of_a_header_are_held_to_the_same_limits(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_header *header = new_header(100, 100, &g);
    const size_t sizes[] = {offsetof(struct dx_header, host_slots),
                            offsetof(struct dx_header, guest_slots),
                            offsetof(struct dx_header, request_capacity),
                            offsetof(struct dx_header, response_capacity)};
    const uint32_t huge = UINT32_MAX;
    const uint32_t none[2] = {0, 0};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_status(status_with(header, sizes[i], &huge, sizeof huge), DX_ERR_GEOMETRY);
        assert_detail("4294967295");
    }
    assert_status(status_with(header, sizes[0], none, sizeof none), DX_ERR_GEOMETRY);
    free(header);
}

static void another_major_version_is_named_and_another_minor_one_is_taken(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_geometry read;
    struct dx_header *header = new_header(100, 100, &g);
    header->version = 2u << 16 | 7u;
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_ERR_VERSION);
    assert_detail("2.7");
    header->version = DX_PROTOCOL_MAJOR << 16 | 0xffffu;
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_OK);
    free(header);
}

static void a_header_without_the_magic_is_not_dx(void **state)
{
    (void)state;
    struct dx_geometry g;
    struct dx_geometry read;
    struct dx_header *header = new_header(100, 100, &g);
    header->magic = DX_MAGIC_REBUILDING;
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_ERR_NOT_DX);
    header->magic = 0;
    assert_status(dx_header_check(header, g.region_bytes, &read), DX_ERR_NOT_DX);
    assert_detail("0x0000000000000000");
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_do_not_overlap),
        cmocka_unit_test(sections_begin_on_lines_and_the_region_is_whole_pages),
        cmocka_unit_test(payload_of_a_slot_is_an_odd_number_of_lines),
        cmocka_unit_test(every_sleeper_has_a_cell_of_its_own),
        cmocka_unit_test(sizes_out_of_range_are_refused_and_named),
        cmocka_unit_test(geometries_are_equal_when_all_sizes_are),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_refused),
        cmocka_unit_test(a_flipped_capacity_passes_only_if_nothing_moves),
        cmocka_unit_test(a_header_with_too_few_bytes_behind_it_is_short),
        cmocka_unit_test(offsets_are_compared_and_never_believed),
        cmocka_unit_test(sizes_of_a_header_are_held_to_the_same_limits),
        cmocka_unit_test(another_major_version_is_named_and_another_minor_one_is_taken),
        cmocka_unit_test(a_header_without_the_magic_is_not_dx),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
