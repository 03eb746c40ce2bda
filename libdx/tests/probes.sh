#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# probes.sh FILE: the static probes of this library are in its notes, and each is one nop. Those on the
# way of a call have their arguments in registers or as constants: nothing is loaded for them.
set -euo pipefail
export LC_ALL=C

notes=$(readelf -n "$1")
code=$(objdump -d --no-show-raw-insn "$1")
probes='call_begin call_end park peer_dead queue_complete queue_submit stream_begin stream_end wake'
on_the_way=' call_begin call_end queue_complete queue_submit '

fail() {
    echo "$1"
    exit 1
}

# "NAME LOCATION ARGUMENTS" of each.
found=$(awk '$1 == "Provider:" { mine = $2 == "libdx" } !mine { next }
    $1 == "Name:" { name = $2 }
    $1 == "Location:" { sub(/^0x0*/, "", $2); sub(/,$/, "", $2); at = $2 }
    $1 == "Arguments:" { sub(/^ *Arguments: */, ""); print name, at, $0 }' <<<"$notes")
names=$(cut -d ' ' -f 1 <<<"$found" | sort -u)
[ "$names" = "${probes// /$'\n'}" ] || fail "the probes are: $names"

while read -r name location arguments; do
    grep -qE "^ *$location:[[:space:]]+nop\$" <<<"$code" ||
        fail "$name at $location is no nop: $(grep -E "^ *$location:" <<<"$code")"
    if [[ $on_the_way == *" $name "* && $arguments == *[\(\[]* ]]; then
        fail "$name at $location loads its arguments from memory: $arguments"
    fi
done <<<"$found"
echo "found: $(wc -l <<<"$found") places of ${probes}"
