#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: cplusplus.sh LIBRARY LINKED...: the public headers compile as C++11 to C++23, each by itself
# and with all warnings of -Wall -Wextra -Wpedantic, and a program that uses dx.hpp does so and runs.
# LIBRARY is libdx.a, LINKED what it needs. CXX names the compiler, g++ if unset.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
compiler=${CXX:-g++}
warnings=(-Wall -Wextra -Wpedantic -Werror)
mkdir "$temp/include"
ln -s "$top/libdx" "$temp/include/dx"

for standard in 11 14 17 20 23; do
    # Compilers that are older than it call C++23 by another name.
    option=-std=c++$standard
    "$compiler" "$option" -x c++ -fsyntax-only /dev/null 2>/dev/null || option=-std=c++2b
    for header in "$top"/libdx/dx.h "$top"/libdx/dx_*.h "$top"/libdx/dx.hpp; do
        name=${header##*/}
        printf '#include <dx/%s>\nint alone;\n' "$name" >"$temp/alone.cc"
        "$compiler" "$option" "${warnings[@]}" -fsyntax-only -I "$temp/include" "$temp/alone.cc" ||
            { echo "$name, $option"; exit 1; }
    done
    "$compiler" "$option" "${warnings[@]}" -g -I "$temp/include" "$top/libdx/tests/cplusplus.cc" \
        "$@" -pthread -o "$temp/program"
    "$temp/program" >"$temp/said" || { echo "the program of $option has failed"; exit 1; }
    [ "$(cat "$temp/said")" = 'all right' ]
done
