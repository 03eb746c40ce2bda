// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/frames/madeup"
)

// TestMain draws coarsely, unless somebody wants to look at the pictures.
func TestMain(m *testing.M) {
	if os.Getenv("CHART_DIR") == "" {
		chart.DPI = 40
	}
	os.Exit(m.Run())
}

// folder makes results up. CHART_DIR keeps the pictures for looking at.
func folder(t *testing.T, name string, s madeup.Spec) Folder {
	t.Helper()
	dir := t.TempDir()
	if kept := os.Getenv("CHART_DIR"); kept != "" {
		dir = filepath.Join(kept, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := madeup.Write(dir, s); err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryChartIsDrawnOrSaysWhyNot(t *testing.T) {
	full := madeup.Usual
	full.Rings, full.Counted, full.Noise, full.Failed = true, true, 0.05, 40
	one := madeup.Few
	one.Runs, one.Frames = 1, 1
	for name, c := range map[string]struct {
		spec    madeup.Spec
		skipped map[string]string
	}{
		"full": {full, map[string]string{}},
		"one":  {one, map[string]string{"ring_size": "two are needed", "latency_percentiles": "200 for the median"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := folder(t, name, c.spec)
			charts, err := Draw(context.Background(), f, f.Path)
			if err != nil {
				t.Fatal(err)
			}
			if len(charts) != len(drawers) {
				t.Errorf("%d charts", len(charts))
			}
			for _, one := range charts {
				if why := c.skipped[one.Name]; why != "" || one.Skipped != "" {
					if why == "" || !strings.Contains(one.Skipped, why) {
						t.Errorf("%s is left out: %q, want %q", one.Name, one.Skipped, why)
					}
					continue
				}
				check(t, filepath.Join(f.Path, one.Name))
			}
		})
	}
}

// check wants both formats, with machine and commit in the text of one.
func check(t *testing.T, base string) {
	t.Helper()
	file, err := os.Open(base + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := png.Decode(file); err != nil {
		t.Errorf("%s: %v", base, err)
	}
	svg, err := os.ReadFile(base + ".svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Made-up CPU", "0123456789ab", "</svg>"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("%s: no %q", base, want)
		}
	}
}

func TestAllFailedFramesLeaveOnlyWhatNeedsNoTime(t *testing.T) {
	s := madeup.Few
	s.Failed = 1 << 30
	f := folder(t, "failed", s)
	charts, err := Draw(context.Background(), f, f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		if drawn := c.Skipped == ""; drawn != (c.Name == "memory_levels") {
			t.Errorf("%s: %q", c.Name, c.Skipped)
		}
	}
}

func TestDrawingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := folder(t, "cancelled", madeup.Few)
	if charts, err := Draw(ctx, f, f.Path); !errors.Is(err, context.Canceled) || len(charts) != 0 {
		t.Errorf("%v, %v", charts, err)
	}
}

func TestOutlineCountsEveryTimeOnce(t *testing.T) {
	list := edges(1, 2, false)
	dots := outline([]float64{1e6, 1.5e6, 2e6, 2.1e6, 0.5e6}, list, 0)
	sum := 0.0
	for _, dot := range dots {
		sum += dot.Y
	}
	if sum != 3 || len(dots) != bins+2 || dots[0].Y != 0 || dots[len(dots)-1].Y != 0 || dots[len(dots)-2].Y != 1 {
		t.Errorf("%v of 3 in %v", sum, dots)
	}
}

func TestPhasesSumToTheTotalUnlessTheyOverlap(t *testing.T) {
	f := folder(t, "phases", madeup.Few)
	for _, c := range CellsOf(f.Records) {
		write, read, rest, all, overlapped := split(c)
		total := c.MeanNs("total").Median
		if sum := write + read + rest + all; sum < total*0.99 || sum > total*1.01 {
			t.Errorf("%+v: %v of %v", c.Key, sum, total)
		}
		if overlapped != (c.Variant == "overlapped") {
			t.Errorf("%+v: overlapped %v", c.Key, overlapped)
		}
	}
}
