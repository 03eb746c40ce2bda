// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// FileName is the name of the results within a folder of results.
const FileName = "result.jsonl"

// PrepareDir creates the folder and proves that results can be written there, before time is spent
// on measuring them. The folder stays as it was but for being there.
func PrepareDir(dir string) error {
	explain := func(err error) error {
		return fmt.Errorf("result: cannot write to %s: %w; choose another folder or make this one writable", dir, reason(err))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return explain(err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return explain(err)
	}
	defer os.Remove(probe.Name())
	_, err = probe.Write(make([]byte, 64<<10)) // finds a full disk, too
	if err = errors.Join(err, probe.Sync(), probe.Close()); err != nil {
		return explain(err)
	}
	switch info, err := os.Stat(filepath.Join(dir, FileName)); {
	case err == nil && !info.Mode().IsRegular():
		return explain(fmt.Errorf("%s is no regular file", FileName))
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return explain(err)
	}
	return nil
}

// reason leaves out operation and path, which the sentence around it names.
func reason(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// Writer appends cells to a file of results. One goroutine at a time may use it.
type Writer struct {
	file *os.File
	size int64
	torn int64
}

// OpenWriter opens DIR/result.jsonl for appending and creates it if need be. It fails if another
// process is writing there. A last line that an interrupted run left half written is removed: see
// TornBytes.
func OpenWriter(dir string) (*Writer, error) { return OpenLog(filepath.Join(dir, FileName)) }

// OpenLog is OpenWriter for a file of any name.
func OpenLog(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	w := &Writer{file: file}
	if err := w.take(); err != nil {
		file.Close()
		return nil, fmt.Errorf("result: %s: %w", path, err)
	}
	return w, nil
}

// take locks the file and makes it end with a complete line.
func (w *Writer) take() error {
	if err := syscall.Flock(int(w.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.New("another run is writing there; give this one another file")
		}
		return fmt.Errorf("cannot lock: %w", err)
	}
	data, err := io.ReadAll(w.file)
	if err != nil {
		return reason(err)
	}
	w.size = int64(len(data))
	last := data[bytes.LastIndexByte(data, '\n')+1:]
	if len(last) == 0 {
		return nil
	}
	if json.Valid(last) { // only the end of the line is missing
		return w.append([]byte{'\n'})
	}
	w.torn = int64(len(last))
	w.size -= w.torn
	return w.file.Truncate(w.size)
}

// TornBytes returns how many bytes of an unfinished line OpenWriter has removed.
func (w *Writer) TornBytes() int64 { return w.torn }

// Path returns the name of the file.
func (w *Writer) Path() string { return w.file.Name() }

// Write appends one line and returns when it is on the disk, so that a run that is interrupted
// later loses nothing. After an error the file still ends with a complete line. Figures that are no
// number are written as null.
func (w *Writer) Write(c Cell) error {
	for _, x := range []**float64{
		&c.OpsPerS, &c.FloorRTTNs, &c.BareRTTNs, &c.FloorRatio, &c.BareRatio, &c.Fairness, &c.CPUSPerMop,
		&c.PaceCPUSPerMop,
	} {
		*x = known(*x)
	}
	if err := w.WriteLine(c); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("result: %s: %w", w.Path(), reason(err))
	}
	return nil
}

// WriteLine appends a line that is no Cell. Unlike Write it does not wait for the disk: it is for
// results of which there are hundreds a second.
func (w *Writer) WriteLine(v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		err = w.append(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("result: %s: %w", w.Path(), reason(err))
	}
	return nil
}

func (w *Writer) append(text []byte) error {
	n, err := w.file.Write(text)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, w.file.Truncate(w.size))
		}
		return err
	}
	w.size += int64(n)
	return nil
}

// Close ends writing. The Writer is of no use afterwards; a second Close is an error.
func (w *Writer) Close() error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// Experiment returns what the first line of a file of results says that it measured.
func Experiment(path string) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && filepath.Base(path) == FileName {
		return "", fmt.Errorf("%s has no %s: name a folder that an experiment wrote", filepath.Dir(path), FileName)
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	var first struct{ Experiment string }
	switch err := json.NewDecoder(file).Decode(&first); {
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s is empty: nothing was measured", path)
	case err != nil:
		return "", fmt.Errorf("%s:1: %w", path, err)
	case first.Experiment == "":
		return "", fmt.Errorf("%s:1: no experiment", path)
	}
	return first.Experiment, nil
}

// Read returns all cells of a file of results. Anything that is no cell is an error; torn is as of
// ReadLines.
func Read(path string) (cells []Cell, torn bool, err error) {
	torn, err = ReadLines(path, func(line []byte) error {
		var c Cell
		err := json.Unmarshal(line, &c)
		if err == nil {
			cells = append(cells, c)
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("result: %w", err)
	}
	return cells, torn, nil
}

// ReadLines hands each line of a file of results to take. An unfinished last line, which an
// interrupted run leaves, is left out and reported as torn.
func ReadLines(path string, take func(line []byte) error) (torn bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := take(line); err != nil {
			if line[len(line)-1] != '\n' && !json.Valid(line) {
				return true, nil
			}
			return false, fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	return false, nil
}

// ReadLog appends the lines of a file to a slice; a file that is not there has none.
func ReadLog[T any](path string, to *[]T) error {
	_, err := ReadLines(path, func(line []byte) error {
		var one T
		err := json.Unmarshal(line, &one)
		if err == nil {
			*to = append(*to, one)
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Replace writes a file of another name beside it and renames it, so that nobody sees half of it and
// an interrupted run leaves the old one.
func Replace(path string, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(temp), temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
