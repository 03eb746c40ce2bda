#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A whole life of a Debian guest, with the real QEMU: vm/test_debian.sh [plain|doorbell]. Takes two
# minutes, and half a minute more the first time, when it builds the disk. Not part of ./run check.
set -euo pipefail

mode=${1:-plain}
case $mode in plain | doorbell) ;; *) echo "vm/test_debian.sh [plain|doorbell], and not $mode" >&2; exit 2 ;; esac
command -v cc >/dev/null || { echo 'cc is missing: on Debian, apt-get install gcc libc6-dev' >&2; exit 2; }
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d /tmp/dxvm-XXXXXX)
export XDG_STATE_HOME=$work DX_VM_NAME=test-$$ IVSHMEM_MODE=$mode DX_VM_REGION=4M
vm=$top/vm/vm
up=

end() {
    if [ -n "$up" ]; then kill -9 "$up" 2>/dev/null || true; fi
    "$vm" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE COMMAND...: the command ends with this code.
expect() {
    local want=$1 code=0
    shift
    "$@" || code=$?
    [ "$code" = "$want" ] || fail "$* ended with $code, not $want"
}

expect_nothing() {
    local left
    left=$(find "$work" -mindepth 1 -name "*$DX_VM_NAME*"
        find /dev/shm -name "dx-vm-$DX_VM_NAME*")
    [ -z "$left" ] || fail "left: $left"
    # QEMU and ssh have a path of the folder in their command lines.
    if pgrep -fa -- "$work"; then fail 'a process is left'; fi
}

echo '== refused before anything starts'
expect 2 "$vm" up -region 24M
expect 3 "$vm" status
expect_nothing

echo '== killed while it boots'
mkfifo "$work/steps"
"$top/build/vm/vm" up 2>"$work/steps" &
up=$!
said=
while read -r line; do
    case $line in *booting*) break ;; esac
    said+=$line$'\n'
done <"$work/steps"
[ -n "$line" ] || fail "vm up ended before the guest booted: ${said:-it said nothing}"
kill -9 "$up"
wait "$up" || true
up=
expect 0 "$vm" down
expect_nothing

echo '== up'
expect 0 "$vm" up
"$vm" up | grep 'is up already' >/dev/null
expect 0 "$vm" status -json

echo '== inside'
"$vm" ssh sudo -n true
"$vm" ssh 'lspci -nn | grep 1af4:1110'

"$vm" ssh 'cat >/tmp/a.c && gcc -o /tmp/a /tmp/a.c -lcrypto && /tmp/a' <<'END'
#include <openssl/sha.h>
#include <stdio.h>
int main(void)
{
    unsigned char sum[32];
    SHA256((const unsigned char *)"abc", 3, sum);
    return sum[0] == 0xba ? puts("OpenSSL works") < 0 : 1;
}
END

echo '== a program of ours'
printf '%s\n' '#include <stdio.h>' 'int main(int n, char **a) { int c; while ((c = getchar()) >= 0) putchar(c);' \
    'fputs(a[n - 1], stdout); return 7; }' >"$work/p.c"
cc -static -o "$work/p" "$work/p.c"
code=0
out=$(printf 'in ' | "$vm" run "$work/p" "it's" 'a  b') || code=$?
[ "$code:$out" = '7:in a  b' ] || fail "run gave $code:$out"

if [ "$mode" = plain ]; then
    echo '== the region is the same memory'
    printf 'from the host' | dd of="/dev/shm/dx-vm-$DX_VM_NAME" conv=notrunc status=none
    printf '%s\n' '#include <fcntl.h>' '#include <stdio.h>' '#include <sys/mman.h>' \
        'int main(int n, char **a) { char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open(a[n - 1], O_RDWR), 0);' \
        'if (m == MAP_FAILED) return 1; printf("%.13s", m); m[0] = 70; return 0; }' >"$work/m.c"
    cc -static -o "$work/m" "$work/m.c"
    device=$("$vm" ssh 'grep -l 0x1110 /sys/bus/pci/devices/*/device')
    out=$("$vm" run "$work/m" "${device%device}resource2_wc")
    [ "$out" = 'from the host' ] || fail "the guest read $out"
    [ "$(head -c 4 "/dev/shm/dx-vm-$DX_VM_NAME")" = From ] || fail 'the host does not see what the guest wrote'
else
    echo '== the guest has an IOMMU, as vfio needs it'
    "$vm" ssh 'ls /sys/kernel/iommu_groups' | grep . >/dev/null
fi

echo '== down'
expect 0 "$vm" down
expect_nothing
expect 0 "$vm" down
expect 3 "$vm" ssh true
echo 'all right'
