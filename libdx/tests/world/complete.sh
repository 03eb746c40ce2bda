#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: complete.sh LIBRARY...: every function of the system or the C library that they call has a
# stand-in (symbols.txt), or is one that cannot fail or is not made to (cannot_fail.txt). What a
# compiler or a sanitizer adds by itself begins with two underscores and is left out.

set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
called=$(nm "$@" | awk '$1 == "U" { print $2 }' | sort -u)
defined=$(nm "$@" | awk 'NF == 3 && $2 ~ /[A-TV-Z]/ { print $3 }' | sort -u)
if [ -z "$called" ] || [ -z "$defined" ]; then
    echo "$* call nothing: these are no libraries"
    exit 1
fi
unknown=$(comm -23 <(printf '%s\n' "$called") <(printf '%s\n' "$defined") |
    grep -v '^__\|^_GLOBAL_OFFSET_TABLE_$' |
    comm -23 - <(cut -d ' ' -f 1 "$here/symbols.txt" "$here/cannot_fail.txt" | sort -u))
[ -z "$unknown" ] && exit 0
printf 'dx calls what the failing world does not know:\n%s\n' "$unknown"
exit 1
