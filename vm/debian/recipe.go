// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const suite = "bookworm"

// Ready is the line that the guest writes to its second serial port when one can log in.
const Ready = "dx-ready"

// Incomplete is written instead of Ready by a guest that could not install its packages.
const Incomplete = "dx-ready without packages"

// wanted is what a user finds in each guest, given or built: enough to compile libdx there.
var wanted = []string{"gcc", "libc6-dev", "libssl-dev", "make", "pciutils"}

// basics are what the built disk has beside them. busybox-static is for the initrd.
var basics = []string{"systemd-sysv", "systemd-resolved", "udev", "dbus", "kmod", "openssh-server",
	"sudo", "cloud-init", "linux-image-cloud-amd64", "busybox-static", "iproute2", "procps",
	"ca-certificates", "e2fsprogs"}

// unwanted are paths that packages would fill with what nobody reads in a test guest.
var unwanted = []string{"/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*"}

// sizeMiB is the file system as it is built; it grows to the size of the overlay at its first boot.
const sizeMiB = 1400

// files are put into the built disk. Their contents are explained there.
var files = map[string]string{
	"/etc/hostname": "dx\n",
	"/etc/fstab":    "/dev/vda / ext4 noatime,x-systemd.growfs 0 0\n",
	// The name of the card follows its PCI slot, which changes with the list of devices.
	"/etc/systemd/network/80-dx.network": "[Match]\nName=en*\n\n[Network]\nDHCP=ipv4\n",
	// Without the list of data sources cloud-init asks the network for each of some thirty clouds;
	// of its modules these are the ones that the seed speaks to.
	"/etc/cloud/cloud.cfg.d/90_dx.cfg": `datasource_list: [NoCloud, None]
network: {config: disabled}
cloud_init_modules: [bootcmd, write-files, set_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: []
cloud_final_modules: []
`,
	// Not after cloud-final.service, which itself waits for the target that wants this unit.
	"/etc/systemd/system/dx-ready.service": `[Unit]
Description=Tell the host that one can log in
After=ssh.service cloud-init.service systemd-user-sessions.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-/bin/sh -c '` + applyRule + `'
ExecStart=/bin/sh -c 'echo ` + Ready + ` >/dev/ttyS1'

[Install]
WantedBy=multi-user.target
`,
}

// prepare runs in the new root after the packages are there. Host keys belong to one guest, not to
// a disk that many start from; timers serve no purpose in a guest of minutes. cloud-init's last two
// stages have nothing to do here, but would take seconds of CPU time after the guest is ready.
const prepare = `set -e
chroot "$1" systemctl enable --quiet dx-ready.service ssh.service systemd-networkd.service systemd-resolved.service
chroot "$1" systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service serial-getty@ttyS1.service cloud-config.service cloud-final.service
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/boot/initrd.img-*
: >"$1"/etc/machine-id
`

// recipeID names the built disk in the cache: another recipe is another disk.
func recipeID(mirrors []string) string {
	all := []string{suite, prepare, initScript, fmt.Sprint(sizeMiB), fmt.Sprint(files),
		strings.Join(mirrors, " "), strings.Join(unwanted, " "), strings.Join(packages(), " ")}
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return hex.EncodeToString(sum[:6])
}

func packages() []string { return append(append([]string{}, basics...), wanted...) }
