// SPDX-License-Identifier: Apache-2.0

// Mapping measures what single loads and stores cost through each kind of mapping
// of an ivshmem device's memory, and tells by time which kind each really is. See -h.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/libdx/tools/mapping"
)

const usage = `mapping measures loads and stores through UC, WC and WB mappings of shared memory.

  go run ./experiments/mapping
  go run ./experiments/mapping -sizes 32768,1048576 -runs 9
  go run ./experiments/mapping -guest=false

On the host it goes over private memory and over shared memory, which are write-back.
Then it boots a guest for each kind of mapping of an ivshmem device, because the
first mapping decides for all: uncached (resource2), write-combining (resource2_wc),
write-back (/dev/mem, where the guest's kernel grants it), and uncached once more,
which shows how far the same thing differs from itself (A/A).

Loops load 1 to 8 times a line with 1 to 64 bytes, stream (MOVNTDQA), store, store
around the cache, and copy. Not what was asked for but time tells the kind of a
mapping: a line that is read again costs about 1 ns from a cache and 100 ns and more
without one.

It prints a table and what follows from it, and leaves result.jsonl, table.txt,
environment.json, mapping.png and mapping.svg in -out.
Exit code: 0 all right, 1 a failed run, 2 wrong flags, 130 interrupted.

Flags:
`

// config is what one invocation measures.
type config struct {
	sizes  []int
	runs   int
	target time.Duration
	guest  bool
	out    string
}

func main() {
	command.Into("mapping", parse, func(c config) string { return c.out }, measureAll)
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := command.Flags("mapping", usage, stderr)
	sizes := fs.String("sizes", "32768,16777216", "bytes to go over: a list of powers of two from 32768 on")
	fs.IntVar(&c.runs, "runs", 5, "runs of each loop, interleaved")
	fs.DurationVar(&c.target, "duration", 5*time.Millisecond, "of one run of one loop, about")
	fs.BoolVar(&c.guest, "guest", true, "also boot guests")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/mapping-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	if err := cmp.Or(command.Within("runs", c.runs, 1, 10000), command.Within("duration", c.target, 1, time.Minute)); err != nil {
		return c, err
	}
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < mapping.KindBytes || n > 1<<30 || n&(n-1) != 0 {
			return c, fmt.Errorf("-sizes %q: powers of two from %d to 2^30", *sizes, mapping.KindBytes)
		}
		c.sizes = append(c.sizes, n)
	}
	c.out = command.Folder(c.out, "mapping")
	return c, nil
}

// measureAll measures every mapping, and reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	e := env.Capture(".")
	subjects := subjectsOf(c)
	bar := progress.New("mapping", len(subjects))
	var all []measured
	var err error
	for _, s := range subjects {
		bar.Describe(s.String())
		var m measured
		if m, err = s.measure(ctx, c, &e); err != nil {
			break
		}
		all = append(all, m)
		bar.Add(1)
	}
	bar.Close()
	if len(all) > 0 {
		err = errors.Join(err, report(c, e, all))
	}
	return command.Code(ctx, "mapping", err, "complete mappings are kept in "+c.out)
}

// report prints the table and what follows, and writes everything to -out.
func report(c config, e env.Environment, all []measured) error {
	text := table(c, all) + "\n" + strings.Join(sentences(e.Accelerator, all), "\n") + "\n"
	fmt.Print(text)
	if err := write(c.out, "table.txt", []byte(text+"\n"+longTable(all))); err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	w, err := result.OpenWriter(c.out)
	if err != nil {
		return err
	}
	for _, m := range all {
		for _, line := range m.lines() {
			err = errors.Join(err, w.WriteLine(line))
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	base := filepath.Join(c.out, "mapping")
	if err := draw(c, e, all, base+".png", base+".svg"); err != nil {
		return err
	}
	fmt.Printf("\n%s\nresults: %s (result.jsonl, table.txt, environment.json, mapping.png, mapping.svg)\n",
		e.Footer(), c.out)
	return nil
}

func write(dir, name string, text []byte) error {
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}
