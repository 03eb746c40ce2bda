# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The check of experiments/peers. Sourced by run after the other checks, whose lists it continues.

step_order+=(peers)
# shellcheck disable=SC2154 # both are associative arrays of .ci/steps.sh
step_text[peers]='two seconds of experiments/peers with the peers that need nothing from elsewhere'
step_tools[peers]='cc go'

step_peers() {
    local out=$TMPDIR/peers file
    go run ./experiments/peers -peers plain -runs 1 -duration 40ms -payload 64 -threads 1 -rate 1000 -idle 1ms -idle-runs 1 \
        -out "$out"
    # Each of them has a closed loop and a schedule, and all answers are right.
    [ "$(grep -o '"variant":"[a-z-]*"' "$out/result.jsonl" | sort -u | wc -l)" = 14 ]
    [ "$(grep -cE '"errors":0,.*"verified":true,"verify_failures":0' "$out/result.jsonl")" = "$(wc -l <"$out/result.jsonl")" ]
    for file in rate.png rate.svg table.txt environment.json left_out.jsonl; do
        [ -f "$out/$file" ] || { echo "no $file"; return 1; }
    done
}
