/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx forward: connections of sockets carried by streams. One process, one thread, one epoll.
 *
 *   forward.c          the command line, and the loop
 *   forward_address.c  sockets: where to listen and where to connect to
 *   forward_link.c     one connection: a socket and a stream, and the bytes between them
 *   forward_dial.c     -listen: accepts at a socket, and opens a stream for each connection
 *   forward_serve.c    -connect: takes up streams, and connects to a socket for each
 *
 * The protocol is that of go/dxnet: a stream of type FORWARD_TYPE. The side that takes it up first
 * writes FORWARD_HELLO; the bytes of the connection follow. A status of errno ends a stream that
 * was refused or reset.
 */
#ifndef DX_TOOL_FORWARD_H
#define DX_TOOL_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "../dx.h"

#define FORWARD_TYPE 0x6e63u
#define FORWARD_HELLO 1

/* Where a socket is. */
struct forward_address {
    struct sockaddr_storage socket;
    socklen_t bytes;
    const char *text; /* as it was given */
    dev_t device;     /* of the name of a Unix socket that listens */
    ino_t inode;
};

struct forward_options {
    const char *url;
    struct forward_address address;
    bool listens;     /* -listen, else -connect */
    bool any_address; /* also other machines */
    bool creates;     /* this side is the host of the channel */
    bool verbose;
    uint32_t conns;  /* at once, of each guest */
    uint32_t guests; /* of a host that serves */
    size_t buffer;
    struct dx_wait wait; /* of this side */
};

/* What the loop calls when a descriptor that it watches has news. */
struct forward_watch {
    void (*ready)(struct forward_watch *watch, uint32_t events);
};

struct forward_link;

struct forward {
    struct forward_options *options;
    int epoll;
    int pause_ms;               /* of the next wait; negative: none. Set anew in each round */
    struct forward_link *links; /* a list */
    struct forward_link *work;  /* of those that have more to do at once, or look for it */
    bool moved;                 /* a link has moved something in this round */
    bool due;                   /* the side has something to do in this round */
    int64_t side_ns;            /* when it last had its turn */
    struct forward_link *dead;  /* that are freed at the end of the round */
    uint32_t link_count;
};

/* forward_address.c. Returns false and says why if the text is no address. */
bool forward_parse_address(const char *verb, const char *text, bool any,
                           struct forward_address *out);
/* A socket that listens; -1 and dx_last_error(). */
int forward_listen(struct forward_address *address);
void forward_unlisten(const struct forward_address *address, int fd);
/* A socket that connects, or has; -1 and errno. */
int forward_connect(const struct forward_address *address);

/* forward.c: watches a descriptor, as epoll's edges; false and dx_last_error() if that is not
 * possible. */
bool forward_watch(struct forward *f, int fd, uint32_t events, struct forward_watch *watch);
void forward_unwatch(struct forward *f, int fd);
/* The loop waits no longer than this before its next round. */
void forward_soon(struct forward *f, int ms);
void forward_say(const struct forward *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* forward_link.c. */
enum forward_state {
    FORWARD_GREETING,   /* dialed: the other side has yet to take the stream up */
    FORWARD_CONNECTING, /* serving: the socket has yet to connect */
    FORWARD_OPEN,
    FORWARD_ENDING, /* dialed: both directions have ended, and the other side has yet to say so */
    FORWARD_DONE,   /* serving: the handler is to return `status` */
};

struct forward_link {
    struct forward_watch socket; /* of `fd` */
    struct forward_watch news;   /* dialed: of the stream's descriptor */
    struct forward *forward;
    struct forward_link *next, **at; /* in the list of all */
    struct forward_link *next_work;
    bool works; /* is in the list of work */
    bool dead;
    enum forward_state state;
    int fd;
    bool readable, writable; /* the socket, as far as is known */
    bool moved;              /* something, since moved_ns */
    bool came_soon;          /* that, after what had moved before */
    int64_t moved_ns;        /* when the last thing did */
    int64_t looks_ns;        /* for more to move, before it waits to be told */
    bool read_ended;         /* nothing more comes from the socket */
    bool write_ended;        /* nothing more goes to it */
    struct dx_stream *stream;
    struct dx_caller *caller; /* dialed, else NULL */
    int32_t status;           /* serving: of the handler */
    bool greeted;             /* the other side was told that the socket has connected */
    void (*freed)(struct forward_link *link);
};

struct forward_link *forward_link_new(struct forward *f, int fd, enum forward_state state);
/* Moves what can be moved, and says what it waits for. The link may be gone after it. */
void forward_link_move(struct forward_link *link);
/* Closes its socket and takes it out of all lists; forward_bury frees it. With `reset` the program
 * at the socket sees an error, else an end. */
void forward_link_free(struct forward_link *link, bool reset);
void forward_bury(struct forward *f);
/* The stream has failed. */
void forward_link_fail(struct forward_link *link);
/* Ends it, whatever it is doing; the program at the socket sees an error. */
void forward_link_cut(struct forward_link *link);
/* It has more to do at once, after all others had their turn. */
void forward_link_later(struct forward_link *link);

/* A side of the channel: -listen or -connect. */
struct forward_side {
    /* Once; DX_OK, or why it cannot be. */
    dx_status (*open)(struct forward *f);
    /* What no descriptor tells of. DX_OK, or why the program ends. */
    dx_status (*round)(struct forward *f);
    void (*close)(struct forward *f);
};
extern const struct forward_side forward_dial, forward_serve;

/* Has this status to do with the other side's end, after which another may come? */
bool forward_peer_ended(dx_status status);

#endif
