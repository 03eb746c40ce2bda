# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Checks of what is in Go. Sourced by run, after steps.sh.

# One set of flags, so that what one check compiles the other need not. What others wrote to draw runs in
# one goroutine of ours, and took most of the time of the tests that draw: the race detector does not
# look at it.
race_flags=(-race)
for package in gonum.org/v1 codeberg.org git.sr.ht github.com/golang/freetype golang.org/x/image image compress; do
    race_flags+=("-gcflags=$package/...=-race=false")
done

# Its own limit of time is off: .ci/watch.sh ends what hangs, by a signal that makes each program say
# where its goroutines are. A program under the race detector would rest for a second at its end.
# govet is a check by itself.
step_gotest() {
    GORACE=atexit_sleep_ms=0 CGO_CFLAGS='-O1 -g' go test "${race_flags[@]}" -vet=off -ldflags='-s -w' \
        -count=1 -timeout 0 ./...
}

step_goasan() { CGO_CFLAGS='-O1 -g' go test -asan -count=1 -timeout 0 -run 'Storm|Clos|Answer' ./go/dx; }

step_goquick() { go test -count=1 -timeout 0 ./go/... ./vm/child ./libdx; }

step_govet() { CGO_CFLAGS='-O1 -g' go vet "${race_flags[@]}" ./... ./.ci/tidy; }

step_grpc() {
    go vet -C go/dxnet/grpctest ./...
    GORACE=atexit_sleep_ms=0 go test -C go/dxnet/grpctest -race -vet=off -count=1 -timeout 0 ./...
}

step_outside() { go/outside/outside.sh; }
