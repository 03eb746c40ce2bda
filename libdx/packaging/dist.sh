#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# dist.sh FOLDER: makes dx-VERSION.tar.gz there, of the last commit; in a source tree without git, of its
# files. The same commit makes the same archive. Prints its path.

set -euo pipefail
out=$(realpath "${1:?which folder}")
cd "$(dirname "$0")/../.."
version=$(sed -nE 's/^#define DX_VERSION_[A-Z]+ ([0-9]+)$/\1/p' libdx/dx_version.h | paste -sd.)
name=dx-$version
archive=$out/$name.tar.gz

if [ -e .git ]; then
    [ -z "$(git status --porcelain)" ] ||
        echo 'dist: what is not committed is not in the archive; git status lists it' >&2
    git archive --format=tar --prefix="$name/" HEAD
else
    # What is built lies in build and out; the time is that of the newest file.
    newest=$(find . \( -path ./build -o -path ./out \) -prune -o -type f -printf '%T@\n' | sort -n | tail -n 1)
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${newest%.*}" \
        --exclude=./build --exclude=./out --transform="s|^\.|$name|" .
fi | gzip -n9 >"$archive.part"
mv "$archive.part" "$archive"
echo "$archive"
