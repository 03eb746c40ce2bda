#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A fuzzer's corpus as one text file: an input a line, in hexadecimal.
#
#   corpus.sh unpack FILE FOLDER   writes each input to a file of its own, for libFuzzer
#   corpus.sh pack FOLDER FILE     the reverse, the shortest first; first let libFuzzer leave out
#                                  what adds nothing: fuzz_NAME -merge=1 SMALLER_FOLDER FOLDER

set -euo pipefail

unpack() { # file folder
    local line number=0
    while read -r line; do
        [[ $line != '#'* ]] || continue
        number=$((number + 1))
        # shellcheck disable=SC2001,SC2059 # no expansion of bash does it; the bytes are a format
        printf "$(sed 's/../\\x&/g' <<<"$line")" >"$2/$number"
    done <"$1"
}

pack() { # folder file
    local input
    {
        echo '# SPDX-License-Identifier: Apache-2.0'
        for input in "$1"/*; do
            od -An -v -tx1 "$input" | tr -d ' \n'
            echo
        done | awk '{ print length($0), $0 }' | sort -n -k1,1 -k2,2 | cut -d ' ' -f 2
    } >"$2"
}

case ${1:-} in
unpack | pack)
    [ $# = 3 ] || { sed -n '3,9s/^# \?//p' "$0" >&2; exit 2; }
    "$@"
    ;;
*) sed -n '3,9s/^# \?//p' "$0" >&2; exit 2 ;;
esac
