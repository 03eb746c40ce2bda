// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"errors"
	"sync"
)

// Bounds of what a process can make us keep.
const (
	lineMax  = 1 << 20 // bytes; a longer line is cut
	linesMax = 16      // not yet taken; what comes then is an error for its writer
)

// Lines is a Writer that hands on what is written to it, line by line. It never blocks its writer.
type Lines struct {
	mu   sync.Mutex
	text []byte
	c    chan string
}

// NewLines returns an empty one.
func NewLines() *Lines { return &Lines{c: make(chan string, linesMax)} }

// C brings the lines, without their ends. It is never closed.
func (l *Lines) C() <-chan string { return l.c }

var errLines = errors.New("lines are written that nobody takes")

func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	for {
		line, rest, whole := bytes.Cut(l.text, []byte{'\n'})
		if !whole && len(l.text) < lineMax {
			return len(p), nil
		}
		select {
		case l.c <- string(line):
		default:
			return 0, errLines
		}
		l.text = append(l.text[:0], rest...)
	}
}
