// SPDX-License-Identifier: Apache-2.0

package machine

import "fmt"

// Descriptors that QEMU inherits, by the order of exec.Cmd.ExtraFiles.
const (
	consoleFD = 3
	signalFD  = 4
	initrdFD  = 5
)

// args composes the command line. c has its defaults and has been checked.
func (c Config) args() []string {
	a := []string{
		"-name", quoted(c.Name), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
	}
	a = append(a, c.board()...)
	if c.Kernel != "" {
		a = append(a, "-kernel", c.Kernel)
		if initrd := c.initrd(); initrd != "" {
			a = append(a, "-initrd", initrd)
		}
		if c.Append != "" {
			a = append(a, "-append", c.Append)
		}
	}
	for i, d := range c.Disks {
		access := "off"
		if d.ReadOnly {
			access = "on"
		}
		a = append(a, "-drive", fmt.Sprintf("if=none,id=disk%d,format=%s,read-only=%s,file=%s",
			i, d.Format, access, quoted(d.Path)), "-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	a = append(a, c.network()...)
	a = append(a, c.Region.args()...)
	return append(a, c.Extra...)
}

func (c Config) initrd() string {
	if c.Initrd == "" && c.InitrdFile != nil {
		return fmt.Sprintf("/dev/fd/%d", initrdFD)
	}
	return c.Initrd
}

// network is user networking: the guest reaches out by QEMU itself, and nothing reaches in but by
// the forwarded ports of the loopback address.
func (c Config) network() []string {
	if len(c.Forwards) == 0 && !c.Network {
		return nil
	}
	user := "user,id=net"
	for _, f := range c.Forwards {
		user += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", f.HostPort, f.GuestPort)
	}
	return []string{"-netdev", user, "-device", "virtio-net-pci,netdev=net,romfile="}
}

func (r Region) args() []string {
	switch r.Kind() {
	case "doorbell":
		return []string{"-chardev", "socket,id=ivshmem,path=" + quoted(r.Socket),
			"-device", fmt.Sprintf("ivshmem-doorbell,chardev=ivshmem,vectors=%d", r.Vectors)}
	case "plain":
		// prealloc takes the memory now and fails plainly: without it a full tmpfs kills QEMU, and
		// whoever else maps the file, at some later write.
		return []string{"-object", fmt.Sprintf(
			"memory-backend-file,id=region,share=on,prealloc=on,size=%d,mem-path=%s", r.Bytes, quoted(r.Path)),
			"-device", "ivshmem-plain,memdev=region"}
	}
	return nil
}
