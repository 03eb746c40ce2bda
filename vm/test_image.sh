#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A Debian guest from a cloud image, with the real QEMU: vm/test_image.sh [MIRROR]. The image is made
# here, of Debian's packages and with a boot loader of its own, as cloud images are, and is given by a
# URL on the loopback; gcc comes over the network. Takes four minutes, root, and grub-pc-bin and fdisk besides what vm/vm up needs.
# Not part of ./run check.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d /tmp/dxvm-XXXXXX)
export XDG_STATE_HOME=$work XDG_CACHE_HOME=$work DX_VM_NAME=image-$$ DX_VM_REGION=4M
vm=$top/vm/vm
server=

end() {
    "$vm" down >/dev/null 2>&1 || true
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap end EXIT

packages=systemd-sysv,systemd-resolved,udev,dbus,openssh-server,sudo,cloud-init,cloud-guest-utils
packages+=,linux-image-cloud-amd64,initramfs-tools,iproute2,netplan.io,e2fsprogs,fdisk,ca-certificates
arguments='root=/dev/vda1 ro console=ttyS0,115200'

echo '== an image with a partition table and a boot loader'
mkdir "$work/root" "$work/web"
# shellcheck disable=SC2016 # the hooks' shell expands them
unshare --pid --mount --fork --kill-child -- mmdebstrap --mode=root --variant=minbase --quiet \
    --aptopt='APT::Install-Recommends "false"' --include="$packages" \
    --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*; : >"$1"/etc/machine-id' \
    --customize-hook='echo "/dev/vda1 / ext4 defaults 0 1" >"$1"/etc/fstab' \
    bookworm - "$@" | tar --extract --numeric-owner --directory="$work/root"
mke2fs -q -F -t ext4 -d "$work/root" "$work/part" 1900M
rm -rf "$work/root"
cat >"$work/grub.cfg" <<EOF
set root=(hd0,msdos1)
linux /vmlinuz $arguments
initrd /initrd.img
boot
EOF
grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -c "$work/grub.cfg" -o "$work/core.img" \
    biosdisk part_msdos ext2 linux
truncate -s 2G "$work/disk"
echo 'start=2048, type=83, bootable' | sfdisk --quiet "$work/disk"
dd status=none conv=notrunc bs=440 count=1 if=/usr/lib/grub/i386-pc/boot.img of="$work/disk"
dd status=none conv=notrunc bs=512 seek=1 if="$work/core.img" of="$work/disk"
dd status=none conv=notrunc,sparse bs=1M seek=1 if="$work/part" of="$work/disk"
qemu-img convert -O qcow2 "$work/disk" "$work/web/cloud.qcow2"
rm "$work/disk" "$work/part"

echo '== up, from a URL'
mkfifo "$work/says"
(cd "$work/web" && exec python3 -u -m http.server --bind 127.0.0.1 0) >"$work/says" 2>/dev/null &
server=$!
read -r line <"$work/says"
port=${line##* port }
port=${port%% *}
"$vm" up -image "http://127.0.0.1:$port/cloud.qcow2" -timeout 10m
"$vm" ssh sudo cat /sys/class/dmi/id/sys_vendor
"$vm" ssh lspci -n | grep 1af4:1110
"$vm" ssh 'gcc --version | head -1 && test -e /usr/include/openssl/sha.h'
echo '== twice'
"$vm" up -image "http://127.0.0.1:$port/cloud.qcow2"
echo '== down'
"$vm" down
left=$(find "$work" -name "*$DX_VM_NAME*"; find /dev/shm -name "dx-vm-$DX_VM_NAME*")
[ -z "$left" ] || { echo "FAILED: left: $left"; exit 1; }
echo 'all right'
