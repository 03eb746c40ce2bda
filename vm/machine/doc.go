// SPDX-License-Identifier: Apache-2.0

// Package machine starts and ends QEMU. It is the one place that composes QEMU's command line, so
// that the quick guest of the tests and the Debian guest differ only in what they boot.
//
// A machine is a q35, or on aarch64 a virt, with two serial lines and, if it has a Region, one ivshmem
// device (PCI 1af4:1110). The first line is the console: what the guest says there is kept for error
// messages. The second is the signal line: the guest says there that it is ready, and what else its
// program and the host agree upon. Both are socket pairs: they have no name in any folder, nobody can
// take the host's place, and their end is the end of QEMU.
//
// QEMU dies with the process that called Start, however that ends. Who wants a machine that stays
// (vm/vm up) keeps a process for it. Nothing listens on the network but what Forward asks for, on
// the loopback address.
//
// A typical life, on x86-64:
//
//	region, err := machine.CreateRegion("/dev/shm/mine", 4<<20)
//	m, err := machine.Start(machine.Config{Accel: machine.TCG, Kernel: "vmlinuz", Initrd: "initrd",
//		Append: "console=ttyS0", Region: region})
//	defer m.Kill()
//	err = m.Await(ctx, "ready") // a line that the guest writes to /dev/ttyS1
package machine
