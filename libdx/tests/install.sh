#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds and installs libdx into a temporary folder, then uses it from programs outside the source
# tree: by pkg-config and by CMake, shared and static, in place and after the folder was moved.
# Exit code 0 if all of it holds. CC names the compiler, cc if unset.

set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
temp=$(mktemp -d)
build=$top/build/check-install
region=dx-install-$$
started=()

clean_up() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -rf "$temp" "/dev/shm/$region" "/dev/shm/$region-2"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

install_library() { # prefix
    cmake -S "$top" -B "$build" -DDX_TESTS=OFF -DDX_WERROR=ON \
        -DCMAKE_C_COMPILER="${CC:-cc}" -DCMAKE_INSTALL_LIBDIR=lib
    cmake --build "$build"
    cmake --install "$build" --prefix "$1"
}

# The names behind DX_API in the public headers, one a line, sorted.
declared() {
    cat "$top"/libdx/dx.h "$top"/libdx/dx_*.h | grep -v '^#' | tr '\n' ' ' |
        grep -oE 'DX_API [^;(]*\(' | sed -E 's/.*[^a-z0-9_]([a-z0-9_]+)\($/\1/' | sort
}

exported() { # library
    nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

check_library() { # prefix
    local library=$1/lib/libdx.so name
    name=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]$/\1/p')
    [ "$name" = libdx.so.0.2 ] || fail "soname is '$name', not libdx.so.0.2"
    declared >"$temp/declared"
    exported "$library" >"$temp/exported"
    [ -s "$temp/declared" ] || fail 'no DX_API declaration found'
    diff -u "$temp/declared" "$temp/exported" ||
        fail 'declared DX_API (-) and exported (+) differ: mend libdx/libdx.map'
    for library in "$1"/lib/libdx.{so,a}; do
        ! grep -q dx_fault "$library" || fail "$library has the fault points of the tests in it"
    done
}

check_files() { # prefix
    local file header
    for file in include/dx/dx.hpp lib/libdx.a lib/pkgconfig/dx.pc lib/cmake/dx/dxConfig.cmake \
        share/doc/dx/examples/{{,stream_}{host,guest},queue_host,{restart,loop,uv}_guest}.c; do
        [ -f "$1/$file" ] || fail "$file is not installed"
    done
    if command -v doxygen >/dev/null; then
        for file in dx_{call,create,serve,config,park} dx_caller.h; do
            [ -f "$1/share/man/man3/$file.3" ] || fail "man page $file(3) is not installed"
        done
        LC_ALL=C grep -q '^.SH PARAMETERS' "$1/share/man/man3/dx_call.3" ||
            fail 'dx_call(3) names no parameters'
    fi
    [[ $("$1/bin/dx" -h) == *'dx info'* ]] || fail 'bin/dx does not explain itself'
    [ "$("$1/bin/dx" -version)" = "dx $(PKG_CONFIG_PATH=$1/lib/pkgconfig pkg-config --modversion dx)" ] ||
        fail 'bin/dx and dx.pc are of different versions'
    ! readelf -l "$1/bin/dx" | grep -q INTERP ||
        fail 'bin/dx needs a loader and shared libraries, which a guest may not have'
    # Each public header stands alone, and no private one is there.
    for header in "$1"/include/dx/*; do
        case ${header##*/} in
        dx.hpp) continue ;; # cplusplus.sh
        dx.h | dx_*.h) ;;
        *) fail "${header##*/} is private, yet installed" ;;
        esac
        printf '#include <dx/%s>\nint alone;\n' "${header##*/}" >"$temp/alone.c"
        "${CC:-cc}" -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I "$1/include" \
            "$temp/alone.c"
    done
}

# Runs a program in the background under a deadline; its pid is then the last of `started`.
start() { # log input program
    timeout -k 5 30 "$3" "shm:$region" <"$2" >"$1" 2>&1 &
    started+=($!)
}

# Runs host and guest of a folder, `first` started first, and compares what the host prints.
exchange() { # folder prefix suffix first input expected
    local first=$4 second=guest program code
    [ "$first" = host ] || second=host
    started=()
    for program in "$first" "$second"; do
        start "$temp/$program.log" "$5" "$1/$2$program$3"
    done
    for program in "$first" "$second"; do
        code=0
        wait "${started[0]}" || code=$?
        [ "$code" = 0 ] || {
            cat "$temp/host.log" "$temp/guest.log"
            fail "$1/$2$program$3 ended with $code"
        }
        started=("${started[@]:1}")
    done
    diff "$6" "$temp/host.log" || fail "$1/$2host$3 printed something else (>)"
    [ ! -s "$temp/guest.log" ] || fail "$1/$2guest$3 printed: $(cat "$temp/guest.log")"
    [ ! -e "/dev/shm/$region" ] || fail 'the region is still there'
}

# One guest serves two hosts, and ends by a signal.
serve_two_hosts() { # folder suffix expected
    local code=0
    started=()
    start "$temp/guest.log" /dev/null "$1/restart_guest$2"
    for _ in 1 2; do
        timeout -k 5 30 "$1/host$2" "shm:$region" >"$temp/host.log" || fail "$1/host$2 ended with $?"
        diff "$3" "$temp/host.log" || fail "$1/host$2 printed something else (>)"
    done
    kill -TERM "${started[0]}"
    wait "${started[0]}" || code=$?
    started=()
    [ "$code" = 0 ] || fail "$1/restart_guest$2 ended with $code: $(cat "$temp/guest.log")"
}

# One guest serves two hosts at once in an event loop, and ends when both have closed. One host has
# many calls in flight, whose answers come in any order.
serve_in_a_loop() { # program suffix expected
    local code=0 folder=${1%/*} kind
    started=()
    timeout -k 5 30 "$1$2" "shm:$region" "shm:$region-2" >"$temp/guest.log" 2>&1 &
    started+=($!)
    timeout -k 5 30 "$folder/queue_host$2" "shm:$region-2" >"$temp/queue.log" 2>&1 &
    started+=($!)
    timeout -k 5 30 "$folder/host$2" "shm:$region" >"$temp/host.log" || fail "host$2 ended with $?"
    for kind in "$1" queue_host; do
        wait "${started[0]}" || code=$?
        started=("${started[@]:1}")
        [ "$code" = 0 ] || fail "$kind$2 ended with $code: $(cat "$temp/guest.log" "$temp/queue.log")"
    done
    diff "$3" "$temp/host.log" || fail "host$2 of $1 printed something else (>)"
    sort -n "$temp/queue.log" | diff "$3" - || fail "queue_host$2 of $1 printed something else (>)"
}

# All examples; the streams' input is 20 times as long as their ring.
exchange_all() { # folder suffix first
    seq 10 | awk '{ print $1 " squared is " $1 * $1 }' >"$temp/squares"
    exchange "$1" '' "$2" "$3" /dev/null "$temp/squares"
    serve_two_hosts "$1" "$2" "$temp/squares"
    serve_in_a_loop "$1/loop_guest" "$2" "$temp/squares"
    [ -n "$2" ] || serve_in_a_loop "$1/uv_guest" '' "$temp/squares" # Debian's libuv.a has another name
    seq 200000 >"$temp/numbers"
    echo '200000 lines, 1288895 bytes' >"$temp/counts"
    exchange "$1" stream_ "$2" "$3" "$temp/numbers" "$temp/counts"
}

use_pkg_config() { # prefix folder
    local program flags libraries
    export PKG_CONFIG_PATH=$1/lib/pkgconfig
    mkdir -p "$2"
    for program in {,stream_}{host,guest} queue_host {restart,loop,uv}_guest; do
        libraries=(dx)
        [ "$program" != uv_guest ] || libraries+=(libuv)
        read -ra flags < <(pkg-config --cflags --libs "${libraries[@]}")
        "${CC:-cc}" "$temp/outside/$program.c" "${flags[@]}" -o "$2/$program"
        [ "$program" != uv_guest ] || continue
        read -ra flags < <(pkg-config --static --cflags --libs "${libraries[@]}")
        "${CC:-cc}" -static "$temp/outside/$program.c" "${flags[@]}" -o "$2/${program}_static"
    done
    LD_LIBRARY_PATH=$1/lib exchange_all "$2" '' host
    exchange_all "$2" _static guest
}

use_cmake() { # prefix folder
    cmake -S "$temp/outside" -B "$2" -DCMAKE_PREFIX_PATH="$1" -DCMAKE_C_COMPILER="${CC:-cc}"
    cmake --build "$2"
    # Read whole: a reader that stops early would fail the pipe.
    [[ $(ldd "$2/host") == *"$1/lib/libdx.so.0.2"* ]] || fail 'host is not linked to libdx.so.0.2'
    [[ $(ldd "$2/host_static") != *libdx* ]] || fail 'host_static needs libdx.so'
    exchange_all "$2" '' guest
    exchange_all "$2" _static host
}

say 'build and install'
install_library "$temp/prefix"
say 'what is installed'
check_files "$temp/prefix"
check_library "$temp/prefix"
mkdir "$temp/outside"
cp "$top/libdx/tests/outside/CMakeLists.txt" "$temp"/prefix/share/doc/dx/examples/*.c \
    "$temp/outside"
for place in prefix moved; do
    [ "$place" = prefix ] || mv "$temp/prefix" "$temp/$place"
    say "pkg-config, $place"
    use_pkg_config "$temp/$place" "$temp/by-pkg-config-$place"
    say "CMake, $place"
    use_cmake "$temp/$place" "$temp/by-cmake-$place"
done
say 'all of it holds'
