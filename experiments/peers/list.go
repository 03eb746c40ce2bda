// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// peerKind is one of those that are compared.
type peerKind struct {
	name     string
	as       string // how it is set up, for people
	language string
	program  *program
	way      string        // of the program
	warmup   time.Duration // before the first slice
	group    string
}

// The groups of peers, which share a panel of a chart.
const (
	groupDX     = "dx"
	groupKernel = "kernel"
	groupShared = "shared"
	groupRPC    = "rpc"
)

const (
	warmup = 100 * time.Millisecond
	// A virtual machine of Java compiles what it runs for long.
	warmupJava = 3 * time.Second
)

// The programs, each in its folder. What a folder needs from a registry or a package is named, so that
// one that cannot be made says what is missing.
var (
	programDX      = &program{folder: "dx", make: makeGo}
	programKernel  = &program{folder: "kernel", make: makeC("-lrt")}
	programNetRPC  = &program{folder: "netrpc", make: makeGo}
	programGRPC    = &program{folder: "grpc", make: makeGo, needs: "the Go module google.golang.org/grpc"}
	programShmipc  = &program{folder: "shmipc", make: makeGo, needs: "the Go module github.com/cloudwego/shmipc-go"}
	programZeroMQ  = &program{folder: "zeromq", make: makeC("-lzmq"), needs: "the package libzmq3-dev"}
	programNNG     = &program{folder: "nng", make: makeC("-lnng"), needs: "the package libnng-dev"}
	programIceoryx = &program{folder: "iceoryx2", make: makeRust, needs: "cargo and the crate iceoryx2"}
	programAeron   = &program{folder: "aeron", make: makeJava("io.aeron", "aeron-all", "1.44.1"),
		needs: "a JDK, Maven, and its artifact io.aeron:aeron-all:1.44.1"}
	programStyx = &program{folder: "styx", make: cannotBeHad("the module proxy did not serve it when this was written; there is no program for it"),
		needs: "the Go module github.com/arloliu/styx"}
)

// all are the peers in the order of tables: dx, then what shares memory, the kernel's own, and RPC.
var all = []peerKind{
	{"dx-c", "preset latency: spins for milliseconds", "c", programDX, "c-latency", warmup, groupDX},
	{"dx-c-default", "preset balanced, as it comes", "c", programDX, "c-balanced", warmup, groupDX},
	{"dx-c-parked", "never spins", "c", programDX, "c-parked", warmup, groupDX},
	{"dx-go", "preset latency: spins for milliseconds", "go", programDX, "go-latency", warmup, groupDX},
	{"dx-go-default", "preset balanced, as it comes", "go", programDX, "go-balanced", warmup, groupDX},
	{"dx-go-parked", "never spins", "go", programDX, "go-parked", warmup, groupDX},
	{"aeron", "1.44.1, IPC, busy spin on both sides, memory touched before, driver in the server on one thread", "java",
		programAeron, "busy", warmupJava, groupShared},
	{"aeron-default", "1.44.1, IPC, default driver and back-off on both sides", "java", programAeron, "default", warmupJava, groupShared},
	{"iceoryx2", "0.10, request-response, busy loops on both sides", "rust", programIceoryx, "busy", warmup, groupShared},
	{"iceoryx2-event", "0.10, request-response, each side woken by an event of its own", "rust", programIceoryx, "event", warmup, groupShared},
	{"shmipc", "0.2.0, memfd, slices of the payload's size, a stream for each caller, as in its benchmark", "go",
		programShmipc, "tuned", warmup, groupShared},
	{"shmipc-default", "0.2.0, its default configuration", "go", programShmipc, "default", warmup, groupShared},
	{"styx", "known, and not measured: its Go module, github.com/arloliu/styx, cannot be had", "go", programStyx, "", warmup, groupShared},
	{"futex", "shared memory, a futex for each message", "c", programKernel, "futex", warmup, groupShared},
	{"eventfd", "shared memory, an eventfd for each message", "c", programKernel, "eventfd", warmup, groupShared},
	{"pipe", "a pipe each way", "c", programKernel, "pipe", warmup, groupKernel},
	{"unix-stream", "Unix socket, stream", "c", programKernel, "unix-stream", warmup, groupKernel},
	{"unix-seqpacket", "Unix socket, seqpacket", "c", programKernel, "unix-seqpacket", warmup, groupKernel},
	{"tcp", "loopback, TCP_NODELAY", "c", programKernel, "tcp", warmup, groupKernel},
	{"mq", "a POSIX message queue each way", "c", programKernel, "mq", warmup, groupKernel},
	{"zeromq", "REQ and REP over ipc:, as its own latency test", "c", programZeroMQ, "req", warmup, groupRPC},
	{"nng", "REQ and REP over ipc:", "c", programNNG, "req", warmup, groupRPC},
	{"netrpc", "net/rpc over a Unix socket", "go", programNetRPC, "shared", warmup, groupRPC},
	{"grpc", "gRPC-Go over a Unix socket, a stream for each caller", "go", programGRPC, "stream", warmup, groupRPC},
	{"grpc-default", "gRPC-Go over a Unix socket, unary calls", "go", programGRPC, "unary", warmup, groupRPC},
}

// plain are those that need a C compiler and Go, and nothing from elsewhere.
const plain = "plain"

func isPlain(p peerKind) bool { return p.program.needs == "" }

// selected are the peers that a list names, in the order of all.
func selected(list string) (found []peerKind, err error) {
	wanted := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		known := false
		for _, p := range all {
			if name == p.name || name == "all" || name == plain && isPlain(p) {
				wanted[p.name], known = true, true
			}
		}
		if !known {
			return nil, fmt.Errorf("-peers %q: %q is none of: all, %s, %s", list, name, plain, strings.Join(names(), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(p peerKind) bool { return !wanted[p.name] }), nil
}

func names() (list []string) {
	for _, p := range all {
		list = append(list, p.name)
	}
	return list
}

// kindOf is the peer of that name; of results of another version it knows the name alone.
func kindOf(name string) peerKind {
	for _, p := range all {
		if p.name == name {
			return p
		}
	}
	return peerKind{name: name, group: groupRPC}
}
