#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# manuals.sh DX FOLDER: each verb of the command has a man page in the folder, which names each flag
# that its -h explains; dx(1) names each verb.
set -euo pipefail

dx=$1
folder=$2
verbs=$("$dx" -h | sed -n 's/^  dx \([a-z]*\)  .*/\1/p')
[ -n "$verbs" ] || {
    echo "dx -h names no verb"
    exit 1
}
wrong=0
for verb in $verbs; do
    page=$folder/dx-$verb.1
    if [ ! -f "$page" ]; then
        echo "$verb: no man page"
        wrong=1
        continue
    fi
    grep -qx "\.B $verb" "$folder/dx.1" || { echo "dx.1 does not name $verb" && wrong=1; }
    # In roff a minus is written \-.
    for flag in $("$dx" "$verb" -h | sed -n 's/^  -\([a-z-]*\) .*  .*/\1/p'); do
        grep -qF "\\-${flag//-/\\-}" "$page" || { echo "$page does not name -$flag" && wrong=1; }
    done
done
exit "$wrong"
