// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package cstream is a C program's end of a stream, for tests that pair it with
// Go's: a host that sends a pattern and checks that it comes back, and a guest that
// sends back what comes.
package cstream

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo LDFLAGS: -lpthread -Wl,--unresolved-symbols=ignore-all
#include <stdlib.h>
#include "../../../libdx/dx.h"

#define PATIENCE (20 * 1000000000ll)

static unsigned char byte_at(uint64_t at)
{
    return (unsigned char)((at * 0x9e3779b97f4a7c15ull) >> 56);
}

static int32_t no_call(void *user, const struct dx_request *q, struct dx_response *r)
{
    (void)user, (void)q, (void)r;
    return 0;
}

static int32_t send_back(void *user, struct dx_stream *s)
{
    (void)user;
    for (;;) {
        const void *data;
        size_t bytes;
        dx_status status = dx_stream_peek(s, 1, &data, &bytes, PATIENCE);
        if (status != DX_OK || bytes == 0)
            return status == DX_OK ? 1 : (int32_t)status;
        status = dx_stream_write(s, data, bytes, NULL, PATIENCE);
        if (status != DX_OK)
            return (int32_t)status;
        dx_stream_consume(s, bytes);
    }
}

static dx_status guest(const char *url)
{
    struct dx_channel *channel;
    const struct dx_serve_options options = {.stream = send_back};
    dx_status status = dx_attach(url, NULL, PATIENCE, &channel);
    if (status == DX_OK) {
        status = dx_serve(channel, no_call, NULL, &options);
        (void)dx_close(channel);
    }
    return status;
}

// Sends what there is room for; true if there is more to send.
static int send(struct dx_stream *s, uint64_t total)
{
    void *room;
    size_t bytes;
    while (dx_stream_bytes_written(s) < total &&
           dx_stream_reserve(s, 1, &room, &bytes, 0) == DX_OK) {
        uint64_t at = dx_stream_bytes_written(s);
        bytes = total - at < bytes ? (size_t)(total - at) : bytes;
        for (size_t i = 0; i < bytes; i++)
            ((unsigned char *)room)[i] = byte_at(at + i);
        dx_stream_commit(s, bytes);
    }
    if (dx_stream_bytes_written(s) < total)
        return 1;
    dx_stream_close_write(s);
    return 0;
}

static dx_status exchange(struct dx_stream *s, uint64_t total)
{
    int more = 1;
    for (;;) {
        const void *data;
        size_t bytes;
        more = more && send(s, total);
        dx_status status = dx_stream_peek(s, 1, &data, &bytes, 0);
        if (status == DX_ERR_TIMEOUT)
            status = dx_stream_wait(
                s, DX_STREAM_READABLE | (more ? DX_STREAM_WRITABLE : 0u), PATIENCE);
        else if (status == DX_OK && bytes == 0)
            return dx_stream_bytes_read(s) == total ? DX_OK : DX_ERR_CORRUPT;
        if (status != DX_OK)
            return status;
        for (size_t i = 0; i < bytes; i++)
            if (((const unsigned char *)data)[i] != byte_at(dx_stream_bytes_read(s) + i))
                return DX_ERR_CORRUPT;
        dx_stream_consume(s, bytes);
    }
}

static dx_status host(const char *url, size_t capacity, uint64_t total, uint32_t type,
                      int32_t *result)
{
    const struct dx_config config = {
        .slots = 1, .request_capacity = capacity, .response_capacity = capacity};
    struct dx_channel *channel;
    struct dx_caller *caller;
    struct dx_stream *s;
    dx_status status = dx_create(url, &config, &channel);
    if (status != DX_OK)
        return status;
    status = dx_caller_open(channel, 0, &caller);
    if (status == DX_OK) {
        status = dx_stream_open(caller, type, NULL, PATIENCE, &s);
        if (status == DX_OK) {
            dx_status outcome = exchange(s, total);
            status = dx_stream_end(s, result, PATIENCE);
            status = outcome != DX_OK ? outcome : status;
        }
        dx_caller_close(caller);
    }
    (void)dx_close(channel);
    return status;
}
*/
import "C"

import (
	"unsafe"

	"dx/libdx"
)

// Guest attaches at url and sends back every stream, until its host is gone; it
// returns why serving ended.
func Guest(url string) libdx.Status {
	u := C.CString(url)
	defer C.free(unsafe.Pointer(u))
	return libdx.Status(C.guest(u))
}

// Host creates a region at url with one slot of capacity bytes each way, sends
// total bytes of the pattern in a stream of this type, and checks that they come
// back. status is the handler's.
func Host(url string, capacity int, total uint64, kind uint32) (status int32, outcome libdx.Status) {
	u := C.CString(url)
	defer C.free(unsafe.Pointer(u))
	var result C.int32_t
	outcome = libdx.Status(C.host(u, C.size_t(capacity), C.uint64_t(total), C.uint32_t(kind), &result))
	return int32(result), outcome
}
