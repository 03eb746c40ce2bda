// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	readsOrWrites = regexp.MustCompile(`\b(?:p?(?:read|write)(?:v2?)?|poll|ppoll|p?select|epoll_p?wait2?|recv(?:from|m?msg)?|` +
		`send(?:to|m?msg|file)?|splice|tee)\s*\(`)
	readsOrWritesInGo = regexp.MustCompile(`\b(?:unix|syscall)\.(?:Read|Write|Pread|Pwrite|Readv|Writev|Preadv2?|` +
		`Pwritev2?|Poll|Ppoll|Select|EpollWait|Recv\w*|Send\w*|Splice|Tee)\(`)
	// Where descriptors that others hold are read and written, in ways that cannot wait.
	readsShared = map[string]bool{"libdx/doorbell.c": true, "libdx/rendezvous_wire.c": true, "libdx/fd.c": true,
		"libdx/fd_wait.c": true, "go/dx/doorbell_linux.go": true}
	// Where only our own are: files that we opened, and what nobody else was given.
	readsOwn = map[string]bool{"libdx/ivshmem_bind.c": true, "libdx/ivshmem_device.c": true, "libdx/liveness_kernel.c": true,
		"libdx/ivshmem_vfio.c": true, "libdx/native_bell.c": true, "libdx/random.c": true,
		"libdx/region_check.c": true, "libdx/region_memory.c": true, "libdx/rendezvous.c": true,
		"libdx/server_set.c":        true,
		"libdx/libdx_rendezvous.go": true}
)

// checkShared finds reads and writes of descriptors that others may hold, too: what they do to
// them must not make us wait.
func checkShared(files []file) (found []string) {
	for _, f := range files {
		folder := path.Dir(f.path)
		if f.isTest() || readsShared[f.path] || readsOwn[f.path] {
			continue
		}
		pattern, code := readsOrWritesInGo, f.text
		switch {
		case f.isC() && folder == "libdx":
			pattern, code = readsOrWrites, blankC(f.text)
		case !f.isGo() || folder != "libdx" && folder != "go/dx":
			continue
		}
		for _, at := range pattern.FindAllStringIndex(code, -1) {
			found = append(found, fmt.Sprintf("%s:%d: %s): others may hold that descriptor, too; see libdx/doorbell.h",
				f.path, lineAt(code, at[0]), strings.TrimSpace(code[at[0]:at[1]])))
		}
	}
	return found
}

func TestShared(t *testing.T) {
	expect(t, checkShared, []file{
		{"libdx/doorbell.c", "write(fd, &one, 8);"}, {"libdx/liveness_kernel.c", "read(fd, text, 4);"},
		{"libdx/a.c", "/* read(fd) */ dx_fd_readable(fd, 0); dx_stream_read(s); region_read(a);"},
		{"libdx/tests/a.c", "write(fd, a, 1);"}, {"libdx/tools/a.c", "write(1, a, 1);"},
		{"go/dx/doorbell_linux.go", "unix.Read(fd, b)"}, {"vm/a.go", "unix.Read(fd, b)"},
	})
	expect(t, checkShared, []file{
		{"libdx/a.c", "read(fd, a, 1);\nwrite(fd, a, 1);\npoll(&p, 1, 0);\nrecvmsg(s, &m, 0);"},
		{"go/dx/a.go", "unix.Write(fd, b)"},
	}, "libdx/a.c:1", "libdx/a.c:2", "libdx/a.c:3", "libdx/a.c:4", "go/dx/a.go:1")
}
