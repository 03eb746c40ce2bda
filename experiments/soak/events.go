// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
)

// eventWriter writes a line a fault, each as soon as it is known.
type eventWriter struct {
	file *os.File
	err  error
}

func newEventWriter(path string) (*eventWriter, error) {
	file, err := os.Create(path)
	return &eventWriter{file: file}, err
}

func (w *eventWriter) write(f *fault) {
	line, err := json.Marshal(f)
	if err == nil {
		_, err = w.file.Write(append(line, '\n'))
	}
	if w.err == nil {
		w.err = err
	}
}

// close returns the first error of all writes.
func (w *eventWriter) close() error {
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}
