// SPDX-License-Identifier: Apache-2.0

// Package debian brings the disk that a Debian 12 guest boots from, and the seed that makes it ours.
//
// The disk is either one that the user gives, a file or a URL, or it is built from Debian's
// packages, which takes about a minute and a half once and is kept in the user's cache folder. It is
// never written to: each guest has an overlay of its own.
//
//	built    minbase, cloud-init, sshd, sudo, gcc and libssl-dev in an ext4 file system without
//	         partitions or boot loader. QEMU loads the kernel itself, with a small initrd whose
//	         busybox loads the six modules that the disk needs and hands over: seconds less than
//	         firmware, boot loader and Debian's own initrd.
//	given    boots as it likes. cloud-init installs what is missing, if the guest has a network.
//
// Everything here runs without root where Debian's unprivileged user namespaces allow it. Nothing
// it starts outlives the process, and what is half done has a temporary name.
package debian
