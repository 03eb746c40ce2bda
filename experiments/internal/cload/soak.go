// SPDX-License-Identifier: Apache-2.0

package cload

/*
#include <stdlib.h>
#include "../../../libdx/dx.h"
#include "soak.h"
*/
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"

	"dx/experiments/internal/ledger"
	"dx/go/dx"
	"dx/libdx"
)

// The ledger is the same in both languages: these fail to compile if it is not.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(ledger.Header{})-C.sizeof_struct_soak_header]
	_ = [1]struct{}{}[unsafe.Sizeof(ledger.Caller{})-C.sizeof_struct_soak_caller]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Header{}.Scribbling)-unsafe.Offsetof(C.struct_soak_header{}.scribbling)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Header{}.BadRequests)-unsafe.Offsetof(C.struct_soak_header{}.bad_requests)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Caller{}.ForgedError)-unsafe.Offsetof(C.struct_soak_caller{}.forged_error)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Caller{}.Lives)-unsafe.Offsetof(C.struct_soak_caller{}.lives)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Caller{}.NoticeNs)-unsafe.Offsetof(C.struct_soak_caller{}.notice_ns)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Caller{}.Failed)-unsafe.Offsetof(C.struct_soak_caller{}.failed)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Caller{}.ByLife)-unsafe.Offsetof(C.struct_soak_caller{}.by_life)]
	_ = [1]struct{}{}[unsafe.Offsetof(ledger.Handled{}.Repeated)-unsafe.Offsetof(C.struct_soak_handled{}.repeated)]
	_ = [1]struct{}{}[ledger.HostLives-C.SOAK_HOST_LIVES]
	_ = [1]struct{}{}[ledger.LeastBytes-C.SOAK_LEAST_BYTES]
)

func statusError(status C.int) error {
	if status == C.DX_OK {
		return nil
	}
	return &dx.Error{Status: dx.Status(status)}
}

// SoakHost is a host whose callers, in C, go on through every death of the guest.
type SoakHost struct {
	host *Host
	soak *C.struct_soak_host
}

// StartSoak starts one caller for each place in the ledger. The channel stays the Host's.
func (h *Host) StartSoak(l *ledger.Ledger, life uint32) (*SoakHost, error) {
	var status C.int
	soak := C.soak_host_start(h.channel, (*C.struct_soak_header)(l.Address()),
		C.uint32_t(len(l.Callers)), C.uint32_t(life), &status)
	if soak == nil {
		return nil, failure("start callers", status)
	}
	return &SoakHost{h, soak}, nil
}

// Slots gives all slots back, takes them all and makes a call on each: how many were right.
func (s *SoakHost) Slots() int { return int(C.soak_host_slots(s.soak)) }

// Close ends the callers and closes the channel.
func (s *SoakHost) Close() error {
	C.soak_host_stop(s.soak)
	return s.host.Close()
}

// SoakGuest is an attached guest in C.
type SoakGuest struct{ channel *C.struct_dx_channel }

// AttachSoak attaches as soon as there is a host without a guest, until ctx ends.
func AttachSoak(ctx context.Context, url string, w *libdx.Wait) (*SoakGuest, error) {
	const attempt = 20 * time.Millisecond // so that the context is looked at
	runtime.LockOSThread()                // the error's text belongs to the thread
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	g := &SoakGuest{}
	for {
		status := C.dx_attach(text, waitPointer(w), C.int64_t(attempt), &g.channel)
		switch status {
		case C.DX_OK:
			return g, nil
		case C.DX_ERR_NO_PEER, C.DX_ERR_STALE, C.DX_ERR_GUEST_EXISTS:
			if ctx.Err() == nil {
				continue
			}
		}
		return nil, &dx.Error{Status: dx.Status(status), Detail: C.GoString(C.dx_last_error())}
	}
}

// Serve answers until Stop, or until the host is gone.
func (g *SoakGuest) Serve(l *ledger.Ledger, life uint32, throughRestart bool) error {
	flag := C.int(0)
	if throughRestart {
		flag = 1
	}
	return statusError(C.soak_serve(g.channel, (*C.struct_soak_header)(l.Address()),
		C.uint32_t(len(l.Callers)), C.uint32_t(life), flag))
}

// Stop ends Serve. Any goroutine, before Close.
func (g *SoakGuest) Stop() { C.dx_stop(g.channel) }

// Close closes the channel, after Serve.
func (g *SoakGuest) Close() error { return statusError(C.int(C.dx_close(g.channel))) }

// HeapBytes is what this process has from C's malloc; 0 if the C library cannot tell.
func HeapBytes() uint64 { return uint64(C.soak_heap_bytes()) }

// fillSoakC, answerSoakC and judgeSoakC are the C side of package ledger, for its test.
func fillSoakC(to []byte, from ledger.Sender) int {
	return int(C.soak_fill((*C.uchar)(&to[0]), C.size_t(len(to)), senderC(from)))
}

func answerSoakC(data []byte, most int) (ledger.Sender, bool) {
	var from C.struct_soak_sender
	good := C.soak_answer((*C.uchar)(&data[0]), C.size_t(len(data)), C.size_t(most), &from)
	return ledger.Sender{Caller: uint32(from.caller), Life: uint32(from.life),
		Number: uint64(from.number)}, good != 0
}

func judgeSoakC(answer []byte, most int, asked ledger.Sender) ledger.Verdict {
	return ledger.Verdict(C.soak_judge((*C.uchar)(unsafe.SliceData(answer)), C.size_t(len(answer)),
		C.size_t(most), senderC(asked)))
}

func senderC(s ledger.Sender) C.struct_soak_sender {
	return C.struct_soak_sender{caller: C.uint32_t(s.Caller), life: C.uint32_t(s.Life),
		number: C.uint64_t(s.Number)}
}
