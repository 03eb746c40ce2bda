# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Checks of Go modules beside this one. Sourced by run, after steps.sh.

# shellcheck disable=SC2154 # both are associative arrays of .ci/steps.sh
step_text[grpc]='gRPC over go/dxnet, in a module of its own'
step_tools[grpc]='cc go'
# shellcheck disable=SC2154
step_text[outside]='Go programs elsewhere that require this module by replace, workspace and vendor'
step_tools[outside]='cc go'

step_grpc() {
    cd go/dxnet/grpctest
    go vet ./...
    GORACE=atexit_sleep_ms=0 go test -race -vet=off -count=1 -timeout 0 ./...
}

step_outside() { go/outside/outside.sh; }
