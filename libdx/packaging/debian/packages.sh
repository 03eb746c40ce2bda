#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# packages.sh BUILD FOLDER: makes the Debian packages libdx0.2, libdx-dev and dx-tools of this source tree
# in FOLDER, by CMake in BUILD. DX_PACKAGE_MAINTAINER="Name <address>" says who makes them.

set -euo pipefail
build=$(realpath "${1:?where to build}") out=$(realpath "${2:?which folder}")
top=$(cd "$(dirname "$0")/../../.." && pwd)
export DEB_BUILD_MAINT_OPTIONS='hardening=+all reproducible=+all'
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    if [ -e "$top/.git" ]; then
        SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct)
    else
        SOURCE_DATE_EPOCH=$(stat -c %Y "$top/CMakeLists.txt")
    fi
fi
export SOURCE_DATE_EPOCH
flags() { (cd "$top" && dpkg-buildflags --get "$1"); }

options=("-DCMAKE_C_FLAGS=$(flags CFLAGS) $(flags CPPFLAGS)")
options+=("-DCMAKE_SHARED_LINKER_FLAGS=$(flags LDFLAGS)" "-DCMAKE_EXE_LINKER_FLAGS=$(flags LDFLAGS)")
if [ -n "${DX_PACKAGE_MAINTAINER:-}" ]; then options+=("-DCPACK_PACKAGE_CONTACT=$DX_PACKAGE_MAINTAINER"); fi
# Debian wants no static programs.
cmake -S "$top" -B "$build" -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_BUILD_TYPE=None -DDX_TESTS=OFF \
    -DDX_STATIC_TOOL=OFF -DCMAKE_INSTALL_DOCDIR=share/doc/libdx-dev "${options[@]}"
cmake --build "$build"
rm -f "$build"/*.deb
(cd "$build" && cpack -G DEB)
mv "$build"/*.deb "$out"
