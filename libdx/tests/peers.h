/* SPDX-License-Identifier: Apache-2.0 */
/* Raw clients and servers of a rendezvous, which say and hear single messages. */
#ifndef DX_TEST_PEERS_H
#define DX_TEST_PEERS_H

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "rendezvous.h"
#include "rendezvous_name.h"
#include "rendezvous_wire.h"
#include "test.h"

/* A server that the test steps by itself. */
struct place {
    const char *path;
    int memory;
    int self;
    struct dx_rendezvous *server;
    uint32_t joined;
    uint32_t left;
};

static inline bool place_joined(void *user, uint32_t id, int bell)
{
    struct place *p = user;
    (void)id;
    p->joined++;
    (void)close(bell);
    return true;
}

static inline void place_left(void *user, uint32_t id)
{
    struct place *p = user;
    (void)id;
    p->left++;
}

static inline struct place *place_open(void **state, const char *tag, uint32_t vectors)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *state = p;
    p->path = test_path(tag);
    p->memory = memfd_create("memory", MFD_CLOEXEC);
    assert_int_equal(ftruncate(p->memory, 8192), 0);
    p->self = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const struct dx_rendezvous_config config = {.memory = p->memory,
                                                .vectors = vectors,
                                                .self = p->self,
                                                .joined = place_joined,
                                                .left = place_left,
                                                .user = p};
    assert_status(dx_rendezvous_open(p->path, &config, &p->server), DX_OK);
    return p;
}

static inline int place_free(void **state)
{
    struct place *p = *state;
    dx_rendezvous_close(p->server);
    (void)close(p->memory);
    (void)close(p->self);
    free(p);
    return 0;
}

static inline bool can_read(int fd, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1;
}

/* Does what there is for the server to do. */
static inline void place_settle(struct place *p)
{
    while (can_read(dx_rendezvous_fd(p->server), 0))
        dx_rendezvous_step(p->server);
}

struct visitor {
    struct place *place; /* whose server is to be stepped while we wait; NULL: it has a thread */
    int socket;
    struct dx_ivshmem_reader reader;
    int64_t id;
    int bell;
};

/* Until there is something to read. */
static inline void visitor_wait(struct visitor *v)
{
    struct pollfd waits[2] = {
        {.fd = v->socket, .events = POLLIN},
        {.fd = v->place != NULL ? dx_rendezvous_fd(v->place->server) : -1, .events = POLLIN}};
    while (waits[0].revents == 0) {
        (void)poll(waits, 2, -1);
        if (v->place != NULL && waits[1].revents != 0)
            dx_rendezvous_step(v->place->server);
    }
}

/* The next message, which is there or on its way. */
static inline struct dx_ivshmem_message visitor_hear(struct visitor *v)
{
    struct dx_ivshmem_message m = {.value = INT64_MIN, .fd = -1};
    enum dx_ivshmem_read read;
    while ((read = dx_ivshmem_receive(v->socket, &v->reader, &m)) == DX_IVSHMEM_NOTHING_YET)
        visitor_wait(v);
    assert_int_equal(read, DX_IVSHMEM_MESSAGE);
    return m;
}

static inline void visitor_expect(struct visitor *v, int64_t value, bool with_fd)
{
    struct dx_ivshmem_message m = visitor_hear(v);
    assert_int_equal(m.value, value);
    assert_int_equal(m.fd >= 0, with_fd);
    if (m.fd >= 0)
        (void)close(m.fd);
}

static inline bool visitor_is_out(struct visitor *v)
{
    struct dx_ivshmem_message m;
    enum dx_ivshmem_read read;
    while ((read = dx_ivshmem_receive(v->socket, &v->reader, &m)) == DX_IVSHMEM_MESSAGE)
        if (m.fd >= 0)
            (void)close(m.fd);
    return read == DX_IVSHMEM_END;
}

/* Connects and is let in; hears nothing yet. */
static inline struct visitor visitor_enter(struct place *p)
{
    struct visitor v = {.place = p, .reader = DX_IVSHMEM_READER_INIT, .bell = -1, .id = -1};
    assert_status(dx_socket_connect(p->path, &v.socket), DX_OK);
    place_settle(p);
    return v;
}

/* Hears all that it is greeted with, up to its own eventfd; how many others it was told of. */
static inline uint32_t visitor_be_greeted(struct visitor *v)
{
    uint32_t others = 0;
    assert_int_equal(visitor_hear(v).value, DX_IVSHMEM_VERSION);
    v->id = visitor_hear(v).value;
    while (v->bell < 0) {
        struct dx_ivshmem_message m = visitor_hear(v);
        if (m.value == v->id)
            v->bell = m.fd;
        else if (m.fd >= 0)
            (void)close(m.fd);
        others += m.value > 0 && m.value != v->id;
    }
    return others;
}

static inline void visitor_leave(struct visitor *v)
{
    dx_ivshmem_reader_close(&v->reader);
    (void)close(v->socket);
    if (v->bell >= 0)
        (void)close(v->bell);
    v->socket = v->bell = -1;
}

#endif
