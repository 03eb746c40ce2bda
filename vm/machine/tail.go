// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"io"
	"strings"
	"sync"
)

// tail keeps the end of what is written to it, and passes all of it on.
type tail struct {
	mu   sync.Mutex
	kept []byte
	next io.Writer // may be nil
}

const tailBytes = 4096

func newTail(next io.Writer) *tail { return &tail{next: next} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*tailBytes {
		t.kept = append([]byte(nil), t.kept[len(t.kept)-tailBytes:]...)
	}
	t.mu.Unlock()
	if t.next != nil {
		_, _ = t.next.Write(p) // whoever wants a copy must not lose us ours
	}
	return len(p), nil
}

// String is what was kept, without carriage returns and the space around it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept[max(0, len(t.kept)-tailBytes):]
	return strings.TrimSpace(strings.ReplaceAll(string(kept), "\r", ""))
}
