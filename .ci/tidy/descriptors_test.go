// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

// fdSource is where descriptors are born: see there why.
const fdSource = "libdx/fd.c"

var (
	makesDescriptor = regexp.MustCompile(`\b(open(?:at2?|64|dir)?|creat|socket(?:pair)?|accept4?|` +
		`recvmm?sg|eventfd|memfd_\w+|epoll_create1?|fopen(?:64)?|freopen|tmpfile|dup[23]?|pipe2?|` +
		`timerfd_create|signalfd|inotify_init1?|shm_open|mk\w*temp\w*|pidfd_\w+|fcntl)\s*\(`)
	makesDescriptorInGo = regexp.MustCompile(`\b(?:unix|syscall)\.(?:Open(?:at2?)?|Creat|Socket(?:pair)?|` +
		`Accept4?|Recvmsg\w*|Eventfd|MemfdCreate|EpollCreate1?|Dup[23]?|Pipe2?|TimerfdCreate|` +
		`Signalfd|InotifyInit1?|PidfdOpen)\(`)
	duplicatesLow = regexp.MustCompile(`\bF_DUPFD\w*,\s*[0-2]\)`)
	// What fcntl does besides.
	harmlessFcntl = regexp.MustCompile(`^fcntl\s*\([^,]*,\s*(?:F_GETFD|F_GETFL|F_SETFL|F_GET_SEALS|F_ADD_SEALS|F_OFD_\w+)\b`)
)

// checkDescriptors finds places where a descriptor could become 0, 1 or 2. The tool fills those at
// its start, and Go's runtime does for programs in Go.
func checkDescriptors(files []file) (found []string) {
	for _, f := range files {
		pattern := duplicatesLow
		folder := path.Dir(f.path)
		switch {
		case f.isTest() || !f.isC() && !f.isGo():
			continue
		case f.isC() && folder == "libdx" && f.path != fdSource:
			pattern = makesDescriptor
		case f.isGo() && (folder == "libdx" || folder == "go/dx"):
			pattern = regexp.MustCompile(makesDescriptorInGo.String() + "|" + duplicatesLow.String())
		}
		code := f.text
		if f.isC() {
			code = blankC(code)
		}
		for _, at := range pattern.FindAllStringIndex(code, -1) {
			if harmlessFcntl.MatchString(code[at[0]:]) {
				continue
			}
			found = append(found, fmt.Sprintf("%s:%d: %s): descriptors come from %s, above 2", f.path,
				lineAt(code, at[0]), strings.TrimSpace(code[at[0]:at[1]]), fdSource))
		}
	}
	return found
}

func TestDescriptors(t *testing.T) {
	expect(t, checkDescriptors, []file{
		{fdSource, "open(a, 0); fcntl(fd, F_DUPFD_CLOEXEC, LOW);"},
		{"libdx/a.c", "/* open(a) */ dx_fd_open(a, 0); dx_rendezvous_open(p); fcntl(fd, F_OFD_SETLK, &l);"},
		{"libdx/tools/a.c", "open(a, 0);"}, {"libdx/tests/a.c", "open(a, 0);"},
		{"vm/a.go", "unix.Open(a)"}, {"go/dx/a.go", "unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)"},
	})
	expect(t, checkDescriptors, []file{
		{"libdx/a.c", "open(a, 0);\nsocket(1, 2, 3); accept4(a);\neventfd(0, 0);\nmemfd_create(a, 0);"},
		{"libdx/b.c", "fcntl(fd, F_DUPFD_CLOEXEC, 0);\nfopen(a, b);\nrecvmsg(a, b, c);\nopendir(a);"},
		{"libdx/a.go", "unix.Eventfd(0, 0)\nunix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)"},
		{"vm/a.go", "unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)"},
	}, "libdx/a.c:1", "libdx/a.c:2: socket", "libdx/a.c:2: accept4", "libdx/a.c:3", "libdx/a.c:4",
		"libdx/b.c:1", "libdx/b.c:2", "libdx/b.c:3", "libdx/b.c:4", "libdx/a.go:1", "libdx/a.go:2", "vm/a.go:1")
}
