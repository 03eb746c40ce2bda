// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/stat"
	"dx/libdx/tools/mapping"
	"dx/vm/machine"
	"dx/vm/quick"
)

// guestTime is how long booting a guest and measuring one mapping may take, without caches.
const guestTime = 3 * time.Minute

// subject is one mapping that is measured, in a process and, in a guest, a boot of its own.
type subject struct {
	Where  string `json:"where"` // host, guest
	Asked  string `json:"asked"` // the kind that was asked for: write-back, uncached, write-combining
	Source source `json:"source"`
	// Again marks the second measurement of the same, for A/A.
	Again bool `json:"again"`
}

// measured is what was found of it.
type measured struct {
	subject
	answer
}

func (s subject) String() string {
	text := s.Where + ", " + string(s.Source)
	if s.Again {
		text += " again"
	}
	return text
}

func subjectsOf(c config) []subject {
	all := []subject{{"host", "write-back", private, false}, {"host", "write-back", shared, false}}
	if c.guest {
		all = append(all,
			subject{"guest", "write-back", private, false},
			subject{"guest", "uncached", resource, false},
			subject{"guest", "write-combining", resourceWC, false},
			subject{"guest", "write-back", physical, false},
			subject{"guest", "uncached", resource, true})
	}
	return all
}

// measure runs the probe where the subject is; it notes the accelerator of the guest.
func (s subject) measure(ctx context.Context, c config, e *env.Environment) (measured, error) {
	o := order{s.Source, c.sizes, c.runs, c.target.Nanoseconds()}
	var out []byte
	var err error
	if s.Where == "host" {
		out, err = onHost(ctx, o)
	} else {
		out, err = s.inGuest(ctx, c, o, e)
	}
	if err != nil {
		return measured{}, fmt.Errorf("%s: %w", s, err)
	}
	a, err := readAnswer(out)
	return measured{s, a}, err
}

func onHost(ctx context.Context, o order) ([]byte, error) {
	cmd, err := probeRole.Command(o)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	return cmd.Output()
}

// inGuest boots a guest of its own: what was mapped before decides what a mapping becomes.
func (s subject) inGuest(ctx context.Context, c config, o order, e *env.Environment) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	size := int64(0)
	for _, n := range c.sizes {
		size = max(size, int64(n))
	}
	folder, err := os.MkdirTemp("/dev/shm", "dx-mapping-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	region, err := machine.CreateRegion(filepath.Join(folder, "region"), size)
	if err != nil {
		return nil, err
	}
	memory := int(384 + 3*size>>20)
	guest, err := quick.Boot(ctx, quick.Config{Region: region, MemoryMiB: memory})
	if err != nil {
		return nil, err
	}
	defer guest.Kill()
	e.Accelerator = string(guest.Accel)
	var out, said bytes.Buffer
	command, err := guest.Start([]string{quick.Self}, []string{probeRole.Variable(o)}, &out, &said)
	if err != nil {
		return nil, err
	}
	select {
	case <-command.Ended():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := command.Wait(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}

// readAnswer reads what a probe has printed.
func readAnswer(text []byte) (answer, error) {
	var a answer
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("the answer of the probe: %w", err)
	}
	for d.More() {
		var f figure
		if err := d.Decode(&f); err != nil {
			return a, fmt.Errorf("a figure of the probe: %w", err)
		}
		a.Figures = append(a.Figures, f)
	}
	if a.Unavailable == "" && len(a.Figures) == 0 {
		return a, errors.New("the probe has measured nothing")
	}
	return a, nil
}

// lines are those of result.jsonl: the mapping, and each of its loops.
func (m measured) lines() []any {
	type head struct {
		Record string `json:"record"`
		subject
	}
	all := []any{struct {
		head
		answer
	}{head{"mapping", m.subject}, m.answer}}
	for _, f := range m.Figures {
		all = append(all, struct {
			head
			figure
		}{head{"loop", m.subject}, f})
	}
	return all
}

// find returns the figure of a loop; false if there is none.
func (m measured) find(loop string, bytes int) (figure, bool) {
	for _, f := range m.Figures {
		if f.Name == loop && f.Bytes == bytes {
			return f, true
		}
	}
	return figure{}, false
}

// perLine returns the nanoseconds of each run for one line of memory.
func (f figure) perLine() []float64 {
	var all []float64
	for _, ns := range f.RunsNs {
		all = append(all, float64(ns)/float64(f.Passes)/float64(f.Bytes/mapping.LineBytes))
	}
	return all
}

// perAccess returns the median for one load or store; 0 for memcpy.
func (f figure) perAccess() float64 {
	if f.AccessesPerLine == 0 {
		return 0
	}
	return stat.Median(f.perLine()) / float64(f.AccessesPerLine)
}

// bytesPerSecond counts the bytes that were loaded, stored or copied, and no others.
func (f figure) bytesPerSecond() float64 {
	var ns int64
	for _, run := range f.RunsNs {
		ns += run
	}
	return stat.Rate(uint64(f.TouchedBytes(f.Bytes))*uint64(f.Passes)*uint64(len(f.RunsNs)), ns)
}
