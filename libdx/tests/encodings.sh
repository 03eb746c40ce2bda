#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# encodings.sh FILE: the instructions of DX_RELAX_HARDWARE are in this program or library, as objdump
# reads them. Few machines can run them; this is what can be shown on the others.
set -euo pipefail

case $(uname -m) in
x86_64) wanted='umonitor umwait monitorx mwaitx' ;;
aarch64) wanted='ldaxr wfe' ;;
*) wanted= ;;
esac
text=$(objdump -d "$1")
for instruction in $wanted; do
    grep -qwE "$instruction" <<<"$text" || {
        echo "$1 has no $instruction"
        exit 1
    }
done
echo "found: ${wanted:-nothing was wanted on this CPU}"
