/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client believes of a server's words, and what a server suffers from its clients. Neither
 * loses a descriptor, rings what is no eventfd, or waits; and an honest client hears of each that
 * came, and once of each that left.
 */
#include "fuzz_rendezvous.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "rendezvous.h"
#include "rendezvous_link_private.h"

#define OWN_ID 5
#define PEERS 8u
#define CLIENTS 16u
#define GREETING_NS 60000000000ll

struct fuzz_tally fuzz_tally;

#define require(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *at;
    size_t left;
};

static unsigned take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static int lowest_free(void)
{
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    require(fd >= 0);
    (void)close(fd);
    return fd;
}

/* -1: none. What belongs to it is closed with it. */
static int new_descriptor(unsigned kind)
{
    int pair[2] = {-1, -1};
    switch (kind % FUZZ_KINDS) {
    case FUZZ_EVENTFD:
        return eventfd(0, EFD_CLOEXEC);
    case FUZZ_FULL:
        pair[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        require(eventfd_write(pair[0], UINT64_MAX - 1) == 0);
        return pair[0];
    case FUZZ_MEMFD:
        return memfd_create("fuzz", MFD_CLOEXEC);
    case FUZZ_PIPE: /* nobody reads it: to write to it is SIGPIPE */
        require(pipe2(pair, O_CLOEXEC) == 0);
        (void)close(pair[0]);
        return pair[1];
    case FUZZ_SOCKET:
        require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        (void)close(pair[0]);
        return pair[1];
    default:
        return -1;
    }
}

static int64_t value_of(unsigned what, struct input *in)
{
    uint64_t any = 0;
    switch (what % FUZZ_VALUES) {
    case FUZZ_ZERO:
        return 0;
    case FUZZ_MEMORY:
        return DX_IVSHMEM_MEMORY;
    case FUZZ_OWN:
        return OWN_ID;
    case FUZZ_PEER:
        return take(in) % PEERS;
    case FUZZ_LARGE:
        return DX_IVSHMEM_IDS - 1 + take(in) % 2;
    default:
        for (unsigned i = 0; i < sizeof any; i++)
            any = any << 8 | take(in);
        return (int64_t)any;
    }
}

/* Sends what there is room for; the other end may be gone. */
static void send_bytes(int socket, void *bytes, size_t count, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count != 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return;
}

static void say(int socket, struct input *in)
{
    unsigned what = take(in);
    unsigned kind = take(in);
    int64_t value = value_of(what, in);
    size_t bytes = (kind & FUZZ_PIECE) != 0 ? 1 + take(in) % 7 : sizeof value;
    int fds[2] = {new_descriptor(kind & 0x3f), -1};
    size_t count = fds[0] >= 0;
    if (count != 0 && (kind & FUZZ_TWO) != 0)
        fds[count++] = fds[0];
    send_bytes(socket, &value, bytes, fds, count);
    if (fds[0] >= 0)
        (void)close(fds[0]);
}

static void join_a_hostile_server(struct input *in)
{
    int pair[2];
    int memory;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    while (in->left != 0)
        say(pair[1], in);
    (void)close(pair[1]); /* all is said, and nothing is to be waited for */
    struct dx_link *link = dx_link_new();
    require(link != NULL);
    link->socket = pair[0];
    dx_status status = dx_link_be_greeted(link, "fuzz", dx_clock_ns() + GREETING_NS, &memory);
    require((status == DX_OK) == (memory >= 0));
    require(status == DX_OK || status == DX_ERR_NO_PEER || status == DX_ERR_CORRUPT);
    fuzz_tally.greeted += status == DX_OK;
    fuzz_tally.refused += status != DX_OK;
    if (status == DX_OK) {
        enum dx_link_heard heard;
        do
            heard = dx_link_hear_news(link);
        while (heard == DX_LINK_HEARD);
        require(heard == DX_LINK_END);
        for (uint32_t doorbell_id = 0; doorbell_id <= PEERS + 1; doorbell_id++)
            dx_link_ring(link, doorbell_id);
        dx_link_forget_rings(link);
        (void)close(memory);
    }
    dx_link_close(link);
}

/* A server of ours, its clients, and what the honest one knows. */
struct scene {
    char path[64];
    struct dx_rendezvous *server;
    uint32_t vectors;
    int clients[CLIENTS];
    int honest;
    struct dx_ivshmem_reader reader;
    uint32_t heard; /* messages */
    int64_t honest_id;
    uint8_t *told;  /* of how many eventfds of each id the honest client was told */
    uint8_t *there; /* which ids the server says are there */
};

static bool joined(void *user, uint32_t id, int bell)
{
    struct scene *s = user;
    require(id > 0 && id < DX_IVSHMEM_IDS && !s->there[id]);
    s->there[id] = 1;
    fuzz_tally.joined++;
    (void)close(bell);
    return true;
}

static void left(void *user, uint32_t id)
{
    struct scene *s = user;
    require(id < DX_IVSHMEM_IDS && s->there[id]);
    s->there[id] = 0;
    fuzz_tally.left++;
}

static int enter(const struct scene *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, s->path, sizeof s->path);
    require(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    (void)close(fd); /* too many wait */
    return -1;
}

/* What the honest client is told after the greeting. */
static void hear_of(struct scene *s, const struct dx_ivshmem_message *m)
{
    require(m->value >= 0 && m->value < (int64_t)DX_IVSHMEM_IDS);
    uint8_t *told = &s->told[m->value];
    if (m->fd >= 0) {
        require(*told < s->vectors);
        (*told)++;
    } else {
        require(m->value != s->honest_id);
        *told = 0;
    }
}

static void hear(struct scene *s)
{
    struct dx_ivshmem_message m;
    enum dx_ivshmem_read read;
    while ((read = dx_ivshmem_receive(s->honest, &s->reader, &m)) == DX_IVSHMEM_MESSAGE) {
        if (s->heard == 0)
            require(m.value == DX_IVSHMEM_VERSION && m.fd < 0);
        else if (s->heard == 1)
            s->honest_id = m.value;
        else if (s->heard == 2)
            require(m.value == DX_IVSHMEM_MEMORY && m.fd >= 0);
        else
            hear_of(s, &m);
        s->heard++;
        if (m.fd >= 0)
            (void)close(m.fd);
    }
    require(read == DX_IVSHMEM_NOTHING_YET); /* it is never sent away */
}

static void talk(int client, unsigned what)
{
    char words[] = "what the protocol does not have";
    int fd = what == FUZZ_SEND_DESCRIPTOR ? eventfd(0, EFD_CLOEXEC) : -1;
    send_bytes(client, words, sizeof words, &fd, fd >= 0);
    if (fd >= 0)
        (void)close(fd);
}

static void read_some(int client, bool all)
{
    struct dx_ivshmem_message m;
    struct dx_ivshmem_reader reader = DX_IVSHMEM_READER_INIT;
    do {
        if (dx_ivshmem_receive(client, &reader, &m) != DX_IVSHMEM_MESSAGE)
            break;
        if (m.fd >= 0)
            (void)close(m.fd);
    } while (all);
    dx_ivshmem_reader_close(&reader);
}

static void act(struct scene *s, struct input *in)
{
    unsigned what = take(in) % FUZZ_STEPS;
    int *client = &s->clients[take(in) % CLIENTS];
    if (what == FUZZ_ENTER && *client < 0)
        *client = enter(s);
    if (*client < 0)
        return;
    switch (what) {
    case FUZZ_LEAVE:
        (void)close(*client);
        *client = -1;
        break;
    case FUZZ_READ_ONE:
    case FUZZ_READ_ALL:
        read_some(*client, what == FUZZ_READ_ALL);
        break;
    case FUZZ_TALK:
    case FUZZ_SEND_DESCRIPTOR:
        talk(*client, what);
        break;
    case FUZZ_END_WRITING:
    case FUZZ_END_READING:
        (void)shutdown(*client, what == FUZZ_END_WRITING ? SHUT_WR : SHUT_RD);
        break;
    default:
        break;
    }
}

static uint32_t known_to(const uint8_t *ids)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id < 8 * CLIENTS; id++)
        count += ids[id] != 0;
    return count;
}

/* Until nobody but the honest client is there, and it knows so. */
static void settle(struct scene *s)
{
    for (int turns = 0; known_to(s->there) != 1 || known_to(s->told) != 1; turns++) {
        require(turns < 1000);
        dx_rendezvous_step(s->server);
        hear(s);
    }
    require(s->told[s->honest_id] == s->vectors);
}

static void open_scene(struct scene *s, int memory, int self, uint32_t vectors)
{
    static unsigned scenes;
    const char *folder = getenv("TMPDIR");
    *s = (struct scene){.vectors = vectors, .reader = DX_IVSHMEM_READER_INIT};
    memset(s->clients, -1, sizeof s->clients);
    s->told = calloc(2, DX_IVSHMEM_IDS);
    require(s->told != NULL);
    s->there = s->told + DX_IVSHMEM_IDS;
    (void)snprintf(s->path, sizeof s->path, "%s/dx-fuzz-%d-%u", folder != NULL ? folder : "/tmp",
                   (int)getpid(), scenes++);
    const struct dx_rendezvous_config config = {.memory = memory,
                                                .vectors = vectors,
                                                .self = self,
                                                .joined = joined,
                                                .left = left,
                                                .user = s};
    require(dx_rendezvous_open(s->path, &config, &s->server) == DX_OK);
    require(dx_rendezvous_publish(s->server) == DX_OK);
    s->honest = enter(s);
    require(s->honest >= 0);
}

static void serve_hostile_clients(struct input *in)
{
    struct scene s;
    int memory = memfd_create("fuzz", MFD_CLOEXEC);
    int self = -1;
    unsigned shape = take(in);
    open_scene(&s, memory, self, 1 + shape % DX_RENDEZVOUS_VECTORS_MAX);
    while (in->left != 0) {
        act(&s, in);
        dx_rendezvous_step(s.server);
        hear(&s);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (s.clients[i] >= 0)
            (void)close(s.clients[i]);
    settle(&s);
    (void)close(s.honest);
    dx_rendezvous_close(s.server);
    require(access(s.path, F_OK) != 0);
    (void)close(memory);
    free(s.told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    int before = lowest_free();
    if (take(&in) % 2 == 0)
        join_a_hostile_server(&in);
    else
        serve_hostile_clients(&in);
    require(lowest_free() == before);
    return 0;
}
