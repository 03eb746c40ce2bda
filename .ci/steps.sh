# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The checks, one function each. Sourced by run, which starts each in a process of its own with
# TMPDIR set to a folder that is removed afterwards.

# In the order of their start, two beside each other: a third one would cost more than it saves, as
# tests that spin spin longer where CPUs are short. Those that run many tests at once come beside those
# that do not. What measures a little, to check it, may run beside others: no check is of how fast
# anything is. The last one looks at what the others left.
step_order=(gcc tidy shellcheck gofmt clang-format govet cppcheck asan model world clang-tidy gotest
    arm64 builds grpc outside forward pingpong frames browser vm soak fuzz tsan goasan docs abi install packages leftovers)
step_last='leftovers'
# What a person runs before each commit. goquick is part of gotest, and so of no full run.
step_quick=(gcc goquick tidy shellcheck gofmt clang-format cppcheck govet leftovers)

declare -A step_text=(
    [gcc]='build with gcc -O2 -Werror; unit and process tests'
    [asan]='unit, process and stress tests under AddressSanitizer and UBSan'
    [world]='libdx and dx in a world in which each allocation and each system call fails, under AddressSanitizer'
    [tsan]='stress tests under ThreadSanitizer'
    [gotest]='go test -race ./...'
    [goasan]='in go/dx what closes under use, with the C library under AddressSanitizer'
    [goquick]='go test of the bindings, without -race; for -quick, since gotest does it all'
    [fuzz]='libFuzzer on regions, and with 20,000 inputs on both ends of the rendezvous protocol'
    [docs]='the reference from the public headers, by Doxygen without a warning'
    [abi]='the binary interface is that of the last release, by libabigail'
    [install]='install, then build and run programs outside the tree against it'
    [packages]='a source archive that builds by itself; Debian packages of it, installed, used and removed'
    [arm64]='libdx, the tool and the Go package for arm64, and their tests, by qemu-aarch64'
    [builds]='libdx, the tool and the Go package with each compiler, without a warning; headers as C++; what other systems are told'
    [tidy]='the rules of .ci/tidy: sizes, memory-order labels, banned words, licences'
    [shellcheck]='shellcheck on every script'
    [gofmt]='gofmt on every Go file'
    [clang-format]='clang-format on every file in C and C++'
    [cppcheck]='cppcheck on every C file'
    [govet]='go vet ./...'
    [model]='the slot protocol and its memory orders in Promela, searched by spin; every mutation is found'
    [clang-tidy]='clang-tidy on every C file'
    [grpc]='gRPC over go/dxnet, in a module of its own'
    [forward]='ssh, curl and nginx, and iperf3 through dx forward'
    [outside]='Go programs elsewhere that require this module by replace, workspace and vendor'
    [pingpong]='a short verified run of experiments/pingpong, and what it writes'
    [browser]='the report of frames in a headless Chromium: no error, no request, nothing cut off'
    [frames]='short verified frames, and spoilt ones that experiments/frames must find'
    [vm]='verified calls and frames into a virtual machine, and its size checked'
    [soak]='200 kills, stops and closes under verified calls of experiments/soak'
    [leftovers]='no shared memory and no process is left by the checks before'
)
declare -A step_tools=(
    [gcc]='gcc g++ cmake make cmocka inih pkg-config ncurses tmux sdt promtool'
    [asan]='gcc g++ cmake make cmocka inih pkg-config ncurses tmux' [world]='gcc g++ cmake make cmocka inih' [tsan]='gcc g++ cmake make cmocka inih'
    [gotest]='cc go parallel openssl qemu-system-x86_64 qemu-system-aarch64 aarch64-linux-gnu-gcc' [goasan]='cc go' [goquick]='cc go' [fuzz]='clang g++ libfuzzer cmake make cmocka inih' [docs]='cc cmake make doxygen' [abi]='cc cmake make abidw' [install]='cc cmake make pkg-config doxygen libuv'
    [packages]='cc cmake make doxygen inih ncurses pkg-config dpkg-buildflags lintian fakeroot'
    [builds]='gcc clang musl-gcc cmake make go openssl'
    [arm64]='aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64 arm64-libraries cmake make pkg-config go'
    [tidy]='go' [shellcheck]='shellcheck' [gofmt]='go' [clang-format]='clang-format'
    [cppcheck]='cppcheck' [govet]='cc go openssl' [clang-tidy]='clang-tidy cmocka inih openssl ncurses zeromq nng'
    [grpc]='cc go' [outside]='cc go' [forward]='cc cmake make sshd ssh ssh-keygen nginx curl iperf3'
    [pingpong]='cc go' [browser]='cc go chromium'
    [model]='spin tcc clang cc' [frames]='cc go openssl' [vm]='cc go openssl qemu-system-x86_64' [soak]='cc go' [leftovers]=''
)

tools_of() { # step...
    local step
    for step in "$@"; do
        printf '%s' "${step_tools[$step]:+${step_tools[$step]// /$'\n'}$'\n'}"
    done | sort -u
}

# With what Go builds libdx in all checks, so that it does so once.
gate_cgo_cflags='-O2 -g -D_FORTIFY_SOURCE=3 -Werror'

# What one clone has compiled, another one need not: the names of folders count in no cache.
compile_once() {
    export GOFLAGS=-trimpath
    if command -v ccache >/dev/null; then
        export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
        export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
    fi
}

run_step() { # step
    local tool
    for tool in ${step_tools[$1]}; do
        has "$tool" || {
            echo "$tool is missing"
            return 1
        }
    done
    if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
    export CGO_CFLAGS=$gate_cgo_cflags
    compile_once
    "step_$1"
}

# Files that are tracked or could be, one a line, of those names that match a regular expression;
# fails if there is none, because a check of no file proves nothing.
sources() { # regex
    local file
    if [ -e .git ]; then
        git ls-files -co --exclude-standard
    else
        find . \( -name .git -o -path './build*' -o -path ./out \) -prune -o -type f -printf '%P\n'
    fi | while read -r file; do [ ! -f "$file" ] || printf '%s\n' "$file"; done | grep -E "$1" || {
        echo "no file matches $1" >&2
        return 1
    }
}

build_with() { # name option... [-- option of the build...]
    local name=$1 options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    cmake -S . -B "build/check-$name" -DDX_WERROR=ON -DCMAKE_BUILD_TYPE=None "${options[@]}"
    cmake --build "build/check-$name" "${@:2}"
}

# Tests wait more than they run, and none needs the machine to itself.
test_all() { # name label...
    local name=$1 label jobs labels
    shift
    for label in "$@"; do
        ctest --test-dir "build/check-$name" -N -L "^$label\$" --no-tests=error >"$TMPDIR/tests" || {
            echo "no test has the label $label"
            return 1
        }
    done
    labels=$(IFS='|' && echo "$*")
    jobs=$((2 * $(nproc)))
    ctest --test-dir "build/check-$name" -L "^($labels)\$" -j "$jobs" --output-on-failure
}

step_gcc() {
    build_with gcc -DCMAKE_C_COMPILER=gcc -DCMAKE_C_FLAGS='-O2 -D_FORTIFY_SOURCE=3'
    test_all gcc unit process
}

# Of two checks, one after the other.
build_asan() {
    mkdir -p build
    exec 8>build/check-asan.lock
    flock 8
    build_with asan -DCMAKE_C_COMPILER=gcc -DCMAKE_C_FLAGS='-O1 -g1' -DDX_SANITIZE=address "$@"
    exec 8>&-
}

step_asan() {
    build_asan
    test_all asan unit process stress
}

step_world() {
    build_asan -- --target world
    ctest --test-dir build/check-asan -L '^world$' -V -j "$(nproc)" --no-tests=error
}

# Older ThreadSanitizers refuse the address layouts of newer kernels, unless these are not random.
step_tsan() {
    local compiler prefix targets
    printf 'int main(void) { return 0; }\n' >"$TMPDIR/probe.c"
    for compiler in clang gcc; do
        "$compiler" -fsanitize=thread "$TMPDIR/probe.c" -o "$TMPDIR/probe" || continue
        for prefix in env 'setarch -R'; do
            # shellcheck disable=SC2086 # words on purpose
            if $prefix "$TMPDIR/probe"; then break 2; fi
        done
        prefix=
    done
    [ -n "${prefix:-}" ] || {
        echo 'neither clang nor gcc can run a program under ThreadSanitizer here'
        return 1
    }
    echo "ThreadSanitizer of $compiler, started by $prefix"
    mapfile -t targets < <(sources '/tests/stress_.*\.c$' | sed 's|.*/||; s|\.c$||')
    build_with "tsan-$compiler" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS='-O2 -g1' \
        -DDX_SANITIZE=thread -- --target "${targets[@]}"
    # shellcheck disable=SC2086 # words on purpose
    $prefix ctest --test-dir "build/check-tsan-$compiler" -L '^stress$' --no-tests=error \
        -j "$(nproc)" --output-on-failure
}

step_fuzz() {
    build_with fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS='-O1 -g1' -- --target fuzz_attach fuzz_rendezvous
    ctest --test-dir build/check-fuzz -R '^fuzz_attach$' --no-tests=error --output-on-failure
    mkdir "$TMPDIR/corpus"
    libdx/tests/corpus.sh unpack libdx/tests/fuzz_rendezvous.corpus "$TMPDIR/corpus"
    build/check-fuzz/libdx/tests/fuzz_rendezvous -runs=20000 -max_len=512 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix=build/check-fuzz/ "$TMPDIR/corpus"
}

# Each function of the public headers has a page, and Doxygen finds nothing to complain of.
step_docs() {
    local name
    make_docs "$TMPDIR/docs" -DDX_WERROR=ON
    while read -r name; do
        grep -q '^.SH THREADS' "$TMPDIR/docs/reference/man3/$name.3" || { echo "$name: no good page"; return 1; }
    done < <(sed -nE 's/^ +(dx_[a-z0-9_]+);$/\1/p' libdx/libdx.map)
    [ -s "$TMPDIR/docs/reference/html/index.html" ]
}

make_docs() { # folder option...
    cmake -S . -B "$1" -DDX_TESTS=OFF -DDX_TOOL=OFF "${@:2}"
    cmake --build "$1" --target docs
}

step_abi() { libdx/abi/abi.sh compare "$TMPDIR/abi"; }

step_install() { libdx/tests/install.sh; }

step_forward() {
    build_c forward -- --target dx_tool
    libdx/tests/forward_programs.sh build/check-forward/dx
}

step_packages() { libdx/packaging/debian/test.sh; }

# Without tests and files of strategies: cmocka and inih are here for one C library only.
build_c() { # name option... [-- option of the build...]
    build_with "$1" -DDX_TESTS=OFF -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON "${@:2}"
}

build_go() { # CC CGO_CFLAGS setting...
    env CC="$1" CGO_CFLAGS="$2 -Werror" CGO_ENABLED=1 "${@:3}" go build ./go/... ./libdx ./libdx/tools/...
}

step_builds() {
    local setting fortify=-D_FORTIFY_SOURCE words
    PATH=$PWD/libdx/packaging:$PATH # musl-cc: its name is in the keys of caches, and no folder
    build_c clang -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS="-O2 $fortify=2"
    build_c musl -DCMAKE_C_COMPILER=musl-cc -DCMAKE_C_FLAGS=-O2
    clang -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only libdx/dx.h libdx/dx_*.h
    # What an error means is told by each C library in its own way.
    words=$(build/check-musl/dx info file:/dev/null/x 2>&1 || true)
    [[ $words == *'Not a directory'* ]] || { echo "musl: $words"; return 1; }
    # One file that runs in any guest.
    ! readelf -l build/check-musl/dx | grep -q INTERP || { echo 'musl: dx is not static'; return 1; }
    build_go clang "-O1 $fortify=2"
    build_go musl-cc -O1
    for setting in CGO_ENABLED=0 GOOS=darwin GOOS=windows GOOS=freebsd GOARCH=386; do
        env CGO_ENABLED=0 "$setting" go vet ./go/...
    done
    CGO_ENABLED=0 go test -count=1 -run WithoutTheCLibrary ./go/dx
    refuses '64-bit Linux' -m32
    refuses '64-bit Linux' -U__linux__
}

refuses() { # words option
    local said
    said=$(gcc "$2" -ffreestanding -fsyntax-only -x c libdx/dx.h 2>&1) && return 1
    [[ $said == *"$1"* ]] || { printf '%s: %s\n' "$2" "$said"; return 1; }
}

step_tidy() { go test -count=1 ./.ci/tidy; }

step_shellcheck() {
    local files
    # What has no #! line is sourced by one that has, and is checked with it.
    files=$(sources '(\.sh|^run|^\.ci/run|^vm/vm|/musl-cc)$' | xargs grep -l '^#!')
    # shellcheck disable=SC2086 # words on purpose
    shellcheck --external-sources --check-sourced $files
}

step_gofmt() {
    local files wrong
    files=$(sources '\.go$')
    # shellcheck disable=SC2086 # words on purpose
    wrong=$("$(go env GOROOT)/bin/gofmt" -d $files)
    printf '%s' "$wrong"
    [ -z "$wrong" ]
}

step_clang-format() {
    local files
    files=$(sources '\.([ch]|hpp|cc)$')
    # shellcheck disable=SC2086 # words on purpose
    clang-format --dry-run -Werror $files
}

step_cppcheck() {
    local library tests
    library=$(sources '\.c$' | grep -v /tests/)
    # Tests write fields again and again on purpose, which the style checks take for a slip.
    tests=$(sources '/tests/.*\.c$')
    # shellcheck disable=SC2086 # words on purpose
    cppcheck_with warning,performance,portability,style $library
    # shellcheck disable=SC2086 # words on purpose
    cppcheck_with warning,performance,portability $tests
}

cppcheck_with() { # severities file...
    cppcheck --enable="$1" --inline-suppr --error-exitcode=1 --std=c11 -D_GNU_SOURCE -DDX_INIH -Ilibdx \
        -D__linux__ -D__SIZEOF_POINTER__=8 \
        --quiet "${@:2}"
}

step_model() { libdx/model/check.sh; }

# The warnings are those of CMakeLists.txt: what is not the library is built by no other clang. A
# process looks at several files, but for those of va_list, of which clang 14 then tells untruths.
# max-nodes is what the analyzer follows in its own shallow mode; its default, 225,000, takes three times
# as long.
step_clang-tidy() {
    local files
    files=$(sources '\.c$')
    mkdir "$TMPDIR/include"
    ln -s "$PWD/libdx" "$TMPDIR/include/dx"
    # shellcheck disable=SC2016 # the words are those of the inner shell
    {
        # shellcheck disable=SC2086 # words on purpose
        grep -Lw va_list $files | xargs -n 8
        # shellcheck disable=SC2086 # words on purpose
        grep -lw va_list $files
    } | xargs -P 2 -I FILES sh -c 'clang-tidy --quiet FILES -- -Wall -Wextra -Wshadow -Wstrict-prototypes \
        -Wconversion -std=c11 -D_GNU_SOURCE -DDX_INIH -Ilibdx -Ilibdx/tests -I"$TMPDIR/include" \
        -Xclang -analyzer-config -Xclang max-nodes=75000'
}

step_pingpong() {
    local out=$TMPDIR/pingpong results wrong
    go run ./experiments/pingpong -threads 1,2 -runs 1 -duration 200ms -verify \
        -out "$out"
    results=$(find "$out" -name result.jsonl)
    [ -s "$results" ] || {
        echo "no result.jsonl, or an empty one, in $(find "$out")"
        return 1
    }
    wrong=$(grep -vE '"errors": ?0[,}].*"verified": ?true|"verified": ?true.*"errors": ?0[,}]' \
        "$results" || true)
    [ -z "$wrong" ] || {
        printf 'not without errors and verified:\n%s\n' "$wrong"
        return 1
    }
    for picture in png svg; do
        [ -n "$(find "$out" -name "*.$picture" -size +0)" ] || {
            echo "no $picture picture in $(find "$out")"
            return 1
        }
    done
}

step_browser() {
    go test -count=1 -tags browser -run 'Browser|Broken' ./experiments/internal/frames
}

step_frames() {
    local out=$TMPDIR/frames code=0
    go run ./experiments/frames -sizes 64KiB,1080p -frames 4 -runs 1 -out "$out"
    # Every frame counts, in both directions, and every one is right.
    [ "$(grep -c '"experiment":"frames",.*"direction":"guest-host"' "$out/result.jsonl")" = 24 ]
    [ "$(grep -c '"experiment":"frames",.*"ok":true' "$out/result.jsonl")" = \
        "$(grep -c '"experiment":"frames",' "$out/result.jsonl")" ]
    [ "$(wc -l <"$out/latency_results.csv")" = 5 ]
    grep -q 'frames arrived as they were sent' "$out/performance_report.txt"
    [ -s "$out/report.html" ]
    go run ./experiments/frames -baseline=false -sizes 64KiB -frames 10 -runs 1 \
        -fault flip -phases transfer -out "$out-spoilt" || code=$?
    [ "$code" = 1 ] && grep -q '"ok":false' "$out-spoilt/result.jsonl"
}

# Of both numbers of callers there are results, and all of these are right.
calls_are_right() { # direction
    local right
    right=$(tee "$TMPDIR/calls.jsonl" | grep "\"direction\":\"$1\"" |
        grep '"accelerator":"[a-z]*".*"errors":0,.*"verified":true,"verify_failures":0')
    diff <(printf '%s\n' "$right") "$TMPDIR/calls.jsonl"
    [ "$(grep -o '"threads":[0-9]*' <<<"$right" | sort -u | wc -l)" = 2 ]
}

step_vm() {
    local calls=$TMPDIR/calls frames=$TMPDIR/frames direction transport
    # A machine that gets no CPU for a while is not dead.
    for direction in host-guest guest-host; do
        go run ./experiments/pingpong -transport ivshmem -direction "$direction" \
            -threads 1,4 -runs 1 -duration 300ms -peer-timeout 1000s -verify -out "$calls-$direction"
        calls_are_right "$direction" <"$calls-$direction/result.jsonl"
    done
    printf '%s\n' 'preset = "latency"' 'park = "never"' 'peer_timeout_ns = 1_000_000_000_000' >"$TMPDIR/wait.toml"
    for transport in ivshmem ivshmem-doorbell; do
        go run ./experiments/frames -baseline=false -transport "$transport" -wait "$TMPDIR/wait.toml" \
            -sizes 1080p -frames 3 -runs 1 -phases transfer -out "$frames-$transport"
        [ "$(grep "\"transport\":\"$transport\"" "$frames-$transport/result.jsonl" | grep -c \
            '"experiment":"frames",.*"ok":true.*"accelerator":"[a-z]*"')" = 18 ]
    done
    # An ivshmem device of 24 MB cannot be, and QEMU would say so in its own way.
    go test -count=1 -run 'Region|Impossible' ./vm/machine
}

step_soak() {
    local out=$TMPDIR/soak
    go run ./experiments/soak -kills 200 -faults 20 -hang 2m -host mixed \
        -guest mixed -out "$out"
    grep -q '"verdict": "all right"' "$out/report.json"
    [ "$(grep -c '"kind":"kill.*"recovered":true' "$out/events.jsonl")" -ge 100 ]
}
