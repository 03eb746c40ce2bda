#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# encodings.sh OBJDUMP PROCESSOR FILE: the instructions of DX_RELAX_HARDWARE are in this program or library, as objdump
# reads them. Few machines can run them; this is what can be shown on the others.
set -euo pipefail

case $2 in
x86_64) wanted='umonitor umwait monitorx mwaitx' ;;
aarch64) wanted='ldaxr wfe' ;;
*) wanted= ;;
esac
text=$("$1" -d "$3")
for instruction in $wanted; do
    grep -qwE "$instruction" <<<"$text" || {
        echo "$3 has no $instruction"
        exit 1
    }
done
echo "found: ${wanted:-nothing was wanted of $2}"
