// SPDX-License-Identifier: Apache-2.0

// Package quick boots a guest in two to three seconds, without root and without a disk: Debian's
// cloud kernel, and an initramfs that holds the very program that calls Boot. That program is the
// guest's init, and it runs there whatever it is told to run, most often itself in another role:
//
//	func main() {
//		quick.Init() // does not return in the guest
//		guest, err := quick.Boot(ctx, quick.Config{Region: region})
//		defer guest.Kill()
//		command, err := guest.Start([]string{quick.Self, "-role", "guest"}, nil, os.Stdout, os.Stderr)
//		err = command.Wait()
//	}
//
// Programs may be linked dynamically: their libraries are packed with them. A guest can run any
// number of commands, one after the other or together, for as long as it lives.
//
// The guest is a machine of the host's architecture, or an x86-64 or aarch64 whose code is translated:
// then Config.Program is a static program for it.
package quick
