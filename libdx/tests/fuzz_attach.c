/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest and an observer do with a region of which every byte may be a lie: they may refuse
 * it, and if they take it, no address that they hand out or use lies outside it. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic.h"
#include "channel.h"
#include "dx.h"
#include "dx_native.h"
#include "slot.h"

#define CALL_NS 20000
#define EPOCH_OF_HOST 5u
#define EPOCH_OF_GUEST 1u /* that of the life after 0 */
#define PAGE 4096u
#define FILE_MAX ((size_t)1 << 20)

const struct fuzz_shape fuzz_shapes[FUZZ_SHAPES] = {
    {2, 2, 64, 64}, {3, 0, 0, 1}, {0, 1, 100, 5000}, {70, 3, 8, 0}};

struct fuzz_tally fuzz_tally;

#define require(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The region as a peer's memory, and the descriptions that hold its file. */
struct scene {
    unsigned flags;
    size_t bytes;
    int fd;
    int host_fd; /* holds the host's locks, or -1 */
    char url[32];
};

static void lay_slots(struct dx_channel *c)
{
    const struct dx_geometry *g = &c->geometry;
    for (uint32_t slot = 0; slot < g->slots; slot++) {
        bool of_host = slot < g->host_slots;
        uint32_t epoch = of_host ? EPOCH_OF_HOST : EPOCH_OF_GUEST;
        /* A request that waits; for our own calls an answer to the first, or the greeting. */
        uint64_t caller = dx_word(epoch, DX_CALLER_SENDING, 7);
        uint64_t server = of_host         ? dx_word(epoch, DX_SERVER_ACKNOWLEDGED, 6)
                          : slot % 2 == 0 ? dx_word(epoch, DX_SERVER_ACKNOWLEDGED, 1)
                                          : dx_word(epoch, DX_SERVER_READY, 0);
        c->caller_lines[slot].request_bytes = (uint32_t)g->request_capacity;
        c->caller_lines[slot].type = DX_TYPE_USER;
        c->caller_lines[slot].parked = slot + 1;
        c->caller_lines[slot].word = caller;
        c->server_lines[slot].response_bytes = (uint32_t)g->response_capacity / 2;
        c->server_lines[slot].cell = dx_cell_of_worker(g->slots, dx_other(DX_HOST), 0) + 1;
        c->server_lines[slot].word = server;
    }
    /* Host slot 1 was begun by the guest's worker 2. */
    dx_channel_worker(c, DX_GUEST, 2)->serving = (uint64_t)EPOCH_OF_HOST << 48 | 2ull << 32 | 7;
}

size_t fuzz_region(unsigned shape, unsigned char *bytes)
{
    const struct fuzz_shape *s = &fuzz_shapes[shape % FUZZ_SHAPES];
    struct dx_channel c = {.region = {.base = bytes}};
    require(dx_geometry_make(s->host_slots, s->guest_slots, s->request_capacity,
                             s->response_capacity, &c.geometry) == DX_OK);
    require(c.geometry.region_bytes <= FUZZ_REGION_MAX);
    memset(bytes, 0, c.geometry.region_bytes);
    dx_channel_point(&c);
    dx_header_write(c.header, &c.geometry);
    lay_slots(&c);
    for (uint32_t cell = 0; cell < c.geometry.cells; cell++)
        c.cells[cell].armed = DX_PARK_FUTEX << 1 | 1u;
    c.peers[DX_HOST].epoch = EPOCH_OF_HOST;
    c.peers[DX_HOST].slots_used = s->host_slots;
    c.peers[DX_HOST].state = DX_PEER_STATE_OPEN;
    c.header->magic = DX_MAGIC;
    return c.geometry.region_bytes;
}

static void patch(unsigned char *bytes, size_t size, const uint8_t *data)
{
    size_t count = data[2] % 8 + 1u;
    size_t offset = (data[0] | (size_t)data[1] << 8) * 4 % size;
    memcpy(bytes + offset, data + 3, count < size - offset ? count : size - offset);
}

/* How long a file the input describes, and its bytes. */
static size_t lay(unsigned flags, unsigned shape, const uint8_t *data, size_t size,
                  unsigned char *bytes)
{
    if ((flags & FUZZ_RAW) == 0) {
        size_t region = fuzz_region(shape, bytes);
        for (; size >= FUZZ_PATCH_BYTES; size -= FUZZ_PATCH_BYTES, data += FUZZ_PATCH_BYTES)
            patch(bytes, region, data);
        return region;
    }
    size_t given = size < FUZZ_REGION_MAX ? size : FUZZ_REGION_MAX;
    memset(bytes, 0, sizeof(struct dx_header));
    if (given != 0)
        memcpy(bytes, data, given);
    uint64_t says = ((const struct dx_header *)(const void *)bytes)->region_bytes;
    return (flags & FUZZ_CUT) == 0 && says > given && says <= FILE_MAX ? says : given;
}

static void set_scene(struct scene *s, unsigned shape, const uint8_t *data, size_t size)
{
    static _Alignas(DX_LINE) unsigned char bytes[FUZZ_REGION_MAX];
    s->bytes = lay(s->flags, shape, data, size, bytes);
    if ((s->flags & FUZZ_SHORT) != 0)
        s->bytes = s->bytes > PAGE ? s->bytes - PAGE : 0;
    s->fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(s->fd >= 0 && fchmod(s->fd, 0600) == 0);
    require(ftruncate(s->fd, (off_t)s->bytes) == 0);
    size_t filled = s->bytes < sizeof bytes ? s->bytes : sizeof bytes;
    require(pwrite(s->fd, bytes, filled, 0) == (ssize_t)filled);
    s->host_fd = -1;
    if ((s->flags & FUZZ_NO_HOST) == 0) {
        require(dx_region_reopen_fd(s->fd, "fuzz", false, &s->host_fd) == DX_OK);
        require(dx_region_lock(s->host_fd, DX_LOCK_HOST, "it") == DX_OK);
        require(dx_region_lock(s->host_fd, DX_LOCK_OPEN, "it") == DX_OK);
    }
    (void)snprintf(s->url, sizeof s->url, "memfd:%d", s->fd);
}

/* `bytes` of payload, at the place of their slot and within what is mapped. */
static void require_inside(const struct dx_channel *c, uint32_t slot, const void *data,
                           size_t bytes, uint64_t offset)
{
    const unsigned char *base = c->region.base;
    const unsigned char *at = data;
    require(slot < c->geometry.slots);
    require(at == base + c->geometry.payload_offset + slot * c->geometry.payload_stride + offset);
    require(bytes <= c->region.bytes - (size_t)(at - base));
}

static void require_sane(const struct dx_channel *c)
{
    const struct dx_geometry *g = &c->geometry;
    require(g->slots == g->host_slots + g->guest_slots && g->slots <= DX_SLOTS_MAX);
    require(g->region_bytes <= c->region.bytes);
    require(g->cells_offset + g->cells * sizeof(struct dx_cell) <= g->payload_offset);
    require(g->payload_offset + g->slots * g->payload_stride <= g->region_bytes);
    require(g->request_capacity <= g->response_offset);
    require(g->response_offset + g->response_capacity <= g->payload_stride);
}

static void observe(const struct scene *s)
{
    struct dx_channel *c;
    struct dx_stats stats;
    if (dx_observe(s->url, &c) != DX_OK)
        return;
    atomic_fetch_add(&fuzz_tally.observed, 1u);
    require_sane(c);
    for (int of = DX_STATS_HOST_CALLERS; of <= DX_STATS_HOST_SERVERS; of++)
        require(dx_stats_read(c, (enum dx_stats_of)of, &stats) == DX_OK);
    require(dx_stats_read_slot(c, 0, &stats) == DX_OK);
    require(dx_stats_read_slot(c, c->geometry.slots - 1, &stats) == DX_OK);
    require(dx_stats_read_slot(c, c->geometry.slots, &stats) == DX_ERR_INVALID);
    (void)dx_channel_peer(c);
    require(dx_close(c) == DX_OK);
}

static void read_all(const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        (void)((const volatile unsigned char *)data)[i];
}

/* One call that copies and one that does not. With `begun` the region may hold the answer to the
 * first one already. */
static void call(struct dx_channel *c, bool begun)
{
    struct dx_caller *caller;
    struct dx_reply reply;
    int32_t status;
    if (dx_caller_open(c, 0, &caller) != DX_OK)
        return;
    if (begun)
        dx_native_caller_settle(caller, 0, true, false);
    size_t room = c->geometry.response_capacity / 2;
    size_t bytes = room;
    size_t request = c->geometry.request_capacity;
    /* Of just their sizes, so that a sanitizer sees what lies beyond. */
    void *from = calloc(1, request + 1);
    void *to = malloc(room + 1);
    require(from != NULL && to != NULL);
    if (dx_call(caller, DX_TYPE_USER, from, request, to, &bytes, &status, CALL_NS) == DX_OK) {
        atomic_fetch_add(&fuzz_tally.answered, 1u);
        require(bytes <= room);
    }
    reply = dx_caller_reply(caller);
    require(reply.bytes <= c->geometry.response_capacity);
    read_all(reply.data, reply.bytes);
    if (dx_caller_request(caller) != NULL &&
        dx_call_in_place(caller, DX_TYPE_PING, 0, &reply, CALL_NS) == DX_OK)
        require(reply.bytes <= c->geometry.response_capacity);
    dx_caller_close(caller);
    free(from);
    free(to);
}

static int32_t handle(void *user, const struct dx_request *request, struct dx_response *response)
{
    const struct dx_channel *c = user;
    const struct dx_geometry *g = &c->geometry;
    require(request->type >= DX_TYPE_USER && request->type <= DX_TYPE_MAX);
    require(request->bytes <= g->request_capacity && response->capacity == g->response_capacity);
    require(request->slot < g->host_slots);
    require_inside(c, request->slot, response->data, response->capacity, g->response_offset);
    read_all(request->data, request->bytes);
    memset(response->data, 0x5a, response->capacity);
    response->bytes = request->bytes; /* more than there is room for in some shapes */
    atomic_fetch_add(&fuzz_tally.served, 1u);
    return INT32_MIN;
}

static int32_t handle_in_place(void *user, const struct dx_request *request,
                               struct dx_response *response)
{
    require_inside(user, request->slot, request->data, request->bytes, 0);
    return handle(user, request, response);
}

/* Serves what is there, then finds the host dead. Twice: the second takes over from the first. */
static void serve(struct scene *s, struct dx_channel *c)
{
    bool copy = (s->flags & FUZZ_COPY) != 0;
    const struct dx_serve_options options = {.threads = (s->flags & FUZZ_POOL) != 0 ? 3 : 1,
                                             .flags = copy ? DX_SERVE_COPY : 0};
    (void)close(s->host_fd);
    s->host_fd = -1;
    c->liveness_ns = 0;
    dx_status expected = c->geometry.host_slots != 0 ? DX_ERR_PEER_DEAD : DX_ERR_INVALID;
    for (int i = 0; i < 2; i++)
        require(dx_serve(c, copy ? handle : handle_in_place, c, &options) == expected);
}

static void attach(struct scene *s)
{
    const struct dx_wait wait = {
        .park = DX_PARK_FUTEX, .park_timeout_ns = 1000000, .poll_ns = 1000, .relax = DX_RELAX_NONE};
    struct dx_channel *c;
    if (dx_attach(s->url, &wait, 0, &c) != DX_OK)
        return;
    atomic_fetch_add(&fuzz_tally.attached, 1u);
    require(s->host_fd >= 0); /* nobody attaches to a host that is not there */
    require_sane(c);
    require(dx_channel_peer(c) == DX_PEER_ALIVE);
    call(c, true);
    struct dx_caller *first; /* keeps the first slot, so that the next call gets the second */
    if (dx_caller_open(c, 0, &first) == DX_OK)
        call(c, false);
    dx_caller_close(first);
    serve(s, c);
    require(dx_close(c) == DX_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FUZZ_HEAD_BYTES)
        return 0;
    struct scene s = {.flags = data[0]};
    set_scene(&s, data[1], data + FUZZ_HEAD_BYTES, size - FUZZ_HEAD_BYTES);
    observe(&s);
    attach(&s);
    if (s.host_fd >= 0)
        (void)close(s.host_fd);
    (void)close(s.fd);
    return 0;
}
