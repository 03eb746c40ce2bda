#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The binary interface of libdx.so: its functions, and the types of the public headers.
#
#   abi.sh compare FOLDER  builds the library in FOLDER and compares it with libdx.xml; exit code 1 if
#                          a program that was built against that could misbehave with this
#   abi.sh renew FOLDER    writes libdx.xml anew, which says that a break is meant

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
stored=$here/libdx.xml

# The compiler must keep what the types are, and need not make anything fast.
build() { # folder
    cmake -S "$top" -B "$1" -DCMAKE_C_FLAGS="-g -O0 -ffile-prefix-map=$top/=" -DCMAKE_BUILD_TYPE=None -DDX_TESTS=OFF \
        -DDX_TOOL=OFF -DDX_DOCS=OFF -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON
    cmake --build "$1" --target dx
}

describe() { # folder
    build "$1" >"$1/log" 2>&1 || {
        cat "$1/log"
        exit 1
    }
    rm -rf "$1/headers"
    mkdir "$1/headers"
    cp "$top"/libdx/dx.h "$top"/libdx/dx_*.h "$1/headers"
    abidw --no-architecture --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
        --no-parameter-names --no-write-default-sizes --type-id-style hash \
        --exported-interfaces-only --drop-private-types --headers-dir "$1/headers" \
        --suppressions "$here/dx.abignore" --out-file "$1/libdx.xml" "$1/libdx.so"
}

# A function that is added breaks nothing.
compare() { # folder
    local code=0
    abidiff --no-architecture --no-corpus-path --no-added-syms --suppressions "$here/dx.abignore" \
        "$stored" "$1/libdx.xml" || code=$?
    [ "$code" = 0 ] || {
        cat >&2 <<END
THE ABI HAS CHANGED, as said above: programs that were built against the last release may misbehave.
docs/contributing.md says what to do. ./run abi stores the new interface, once that is decided.
END
        return 1
    }
}

mkdir -p "${2:?a folder to build in}"
describe "$2"
case $1 in
compare) compare "$2" ;;
renew)
    # abidiff knows a file by how it begins.
    sed '1a<!-- SPDX-License-Identifier: Apache-2.0; written by abi.sh renew -->' \
        "$2/libdx.xml" >"$stored"
    ;;
*)
    sed -n '3,9s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
