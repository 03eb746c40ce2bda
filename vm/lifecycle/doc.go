// SPDX-License-Identifier: Apache-2.0

// Package lifecycle brings a Debian guest up, keeps it, and takes it down again.
//
// QEMU dies with whoever started it (package machine), and so a guest that outlives `up` has a
// keeper: a process of its own session that owns QEMU, the guest's ssh connection and, in doorbell
// mode, the ivshmem server. What ends when, by whatever means:
//
//	up is interrupted or killed     the keeper reads the end of a pipe, and cleans up
//	the keeper is killed            the kernel kills QEMU and the others; the next command cleans up
//	QEMU ends, the guest powers off the keeper cleans up
//	down                            the keeper is asked to, by SIGTERM
//
// All that a guest has lies in one folder, or is recorded in its state file before it is made. A
// process is recorded with the time of its start, so that one that got its number later is never
// taken for it. A folder's lock is held by up and down while they work, and never by a keeper.
package lifecycle
