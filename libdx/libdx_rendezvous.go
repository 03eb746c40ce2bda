// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include <stdlib.h>
#include "fd.h"
#include "transport.h"
#include "rendezvous.h"

struct served {
	struct dx_region memory;
	struct dx_rendezvous *server;
};

static void served_close(struct served *s)
{
	dx_rendezvous_close(s->server);
	dx_region_close(&s->memory);
	free(s);
}

static dx_status served_open(const char *path, uint64_t bytes, uint32_t vectors, struct served **out)
{
	struct served *s = calloc(1, sizeof *s);
	if (s == NULL)
		return DX_ERR_SYSTEM;
	s->memory = (struct dx_region){.fd = -1, .url = {.transport = &dx_transport_memfd, .fd = -1}};
	const struct dx_region_size size = {bytes, bytes, 1, 0};
	dx_status status = dx_region_create_memfd(path, size, bytes, &s->memory);
	// Nobody is the host of this memory yet.
	if (status == DX_OK)
		status = dx_region_unlock(s->memory.fd, DX_LOCK_HOST, path);
	const struct dx_rendezvous_config config = {.memory = s->memory.fd, .vectors = vectors, .self = -1};
	if (status == DX_OK)
		status = dx_rendezvous_open(path, &config, &s->server);
	if (status == DX_OK)
		status = dx_rendezvous_publish(s->server);
	if (status != DX_OK)
		served_close(s);
	else
		*out = s;
	return status;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rendezvous serves a socket as dx rendezvous does, but in this process.
type Rendezvous struct {
	served *C.struct_served
	end    int // an eventfd
	ended  chan struct{}
}

// ServeRendezvous serves memory of so many bytes, a power of two, at the path of a Unix socket, with
// 1 to 4 vectors for each peer, until Close. The socket is there when it returns.
func ServeRendezvous(path string, bytes uint64, vectors int) (*Rendezvous, error) {
	if bytes < 4096 || bits.OnesCount64(bytes) != 1 || vectors < 0 {
		return nil, fmt.Errorf("a rendezvous of %d bytes and %d vectors: it cannot be", bytes, vectors)
	}
	fd, err := C.dx_fd_eventfd()
	if fd < 0 {
		return nil, fmt.Errorf("rendezvous: %w", err)
	}
	end := int(fd)
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	r := &Rendezvous{end: end, ended: make(chan struct{})}
	err = checked(func() C.dx_status {
		return C.served_open(text, C.uint64_t(bytes), C.uint32_t(vectors), &r.served)
	})
	if err != nil {
		_ = unix.Close(end)
		return nil, err
	}
	go r.serve()
	return r, nil
}

func (r *Rendezvous) serve() {
	waits := []unix.PollFd{{Fd: int32(C.dx_rendezvous_fd(r.served.server)), Events: unix.POLLIN},
		{Fd: int32(r.end), Events: unix.POLLIN}}
	for waits[1].Revents == 0 {
		n, err := unix.Poll(waits, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			break // cannot be
		}
		if n > 0 && waits[0].Revents != 0 {
			C.dx_rendezvous_step(r.served.server)
		}
	}
	close(r.ended)
}

// FD is the descriptor of the memory, which stays ours.
func (r *Rendezvous) FD() int { return int(r.served.memory.fd) }

// Close ends all connections and removes the socket. Who has the memory keeps it. Once.
func (r *Rendezvous) Close() error {
	one := [8]byte{1}
	if _, err := unix.Write(r.end, one[:]); err != nil {
		return err
	}
	<-r.ended
	C.served_close(r.served)
	return unix.Close(r.end)
}
