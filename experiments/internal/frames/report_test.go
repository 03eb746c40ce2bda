// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dx/experiments/internal/frames/madeup"
	"dx/experiments/internal/report"
)

// made is the report of made-up results, as text and as HTML.
func made(t *testing.T, s madeup.Spec) (m Made, text, html string) {
	t.Helper()
	dir := t.TempDir()
	if err := madeup.Write(dir, s); err != nil {
		t.Fatal(err)
	}
	m, err := Make(context.Background(), dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	return m, read(m.TextPath), read(m.HTMLPath)
}

// described is the text alone, without charts, which take most of the time.
func described(t *testing.T, s madeup.Spec) (report.Document, string) {
	t.Helper()
	dir := t.TempDir()
	if err := madeup.Write(dir, s); err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := Build(f, nil)
	var text strings.Builder
	if err := d.Text(&text); err != nil {
		t.Fatal(err)
	}
	return d, text.String()
}

// lines are those that hold all words.
func lines(text string, words ...string) (found []string) {
	for line := range strings.Lines(text) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

func TestVerdictsFollowTheData(t *testing.T) {
	noisy, slow, few, writes := madeup.Few, madeup.Few, madeup.Few, madeup.Few
	noisy.Noise = 0.1
	slow.Overlap = 0.8
	few.Runs = 4
	writes.CopyFactor = 6
	for name, c := range map[string]struct {
		spec    madeup.Spec
		overlap string // of memcpy
		copies  string // against 4.2
	}{
		"faster by more than the noise":       {madeup.Few, "faster", "less than 4.2"},
		"faster by less than the noise":       {noisy, "no difference beyond the noise", "less than 4.2"},
		"slower":                              {slow, "slower", "less than 4.2"},
		"too few runs":                        {few, "none: fewer than 5 runs", "none: fewer than 5 runs"},
		"a copy that takes six times as long": {writes, "faster", "more than 4.2"},
	} {
		_, text := described(t, c.spec)
		_, table, _ := strings.Cut(text, "Speed of the total / speed of one memcpy")
		if got := lines(table, "4K overlapped"); len(got) == 0 || !strings.Contains(got[0], c.overlap) {
			t.Errorf("%s: %q, want %q", name, got[0], c.overlap)
		}
		_, table, _ = strings.Cut(text, "Time of a copy / time of a read")
		if got := lines(table, "4K copy"); len(got) == 0 || !strings.Contains(got[0], c.copies) {
			t.Errorf("%s: %q, want %q", name, got[0], c.copies)
		}
		if c.overlap != "faster" && len(lines(text, "4K overlapped", "faster")) > strings.Count(text, "overlapped / copy") {
			t.Errorf("%s: something is called faster", name)
		}
	}
}

func TestFiguresAreThoseThatWerePutIn(t *testing.T) {
	_, text := described(t, madeup.Usual)
	for what, pattern := range map[string]string{
		"memcpy and its ratio": `4K copy +24883200 +200 +0 +5 +10\.\d \[.*5\.00 \[5\.00-5\.00\]`,
		"rate of zero copy":    `4K zero_copy: (8\.9\d|9\.0\d) \[`,
		"ns a load":            `4K copy +6\.(39|40|41|42) \[`,
		"all frames":           `All 1800 frames arrived as they were sent\.`,
		"level":                `A 4K frame \(24883200 bytes\) lies at the level memory`,
		"median of notify":     `4K copy +200 +9\d\dns +(9\d\dns|1\.0\dµs) +- +- +- +1\.\d\dµs`,
		"NA":                   `(?s)NA:\s+l1d_misses.*instructions:\s+not`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s: nothing matches %s", what, pattern)
		}
	}
}

func TestFailedFramesAreSaidFirst(t *testing.T) {
	s := madeup.Few
	s.Failed = 7
	m, text, html := made(t, s)
	if !m.Document.Failed || !strings.Contains(html, `class="failed"`) {
		t.Error("the page does not say that frames failed")
	}
	for _, want := range []string{"FAILED: 7 of 135 frames", "1080p copy: 3 of 15, the first because: the frame that arrived is not the one that was sent"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if d, text := described(t, madeup.Few); d.Failed || strings.Contains(text, "FAILED") {
		t.Error("a report without failures says that frames failed")
	}
}

func TestAllFramesMayFail(t *testing.T) {
	s := madeup.Few
	s.Failed = 1 << 30
	_, text := described(t, s)
	if !strings.Contains(text, "FAILED: 135 of 135") || strings.Contains(text, "NaN") || strings.Contains(text, "faster") {
		t.Errorf("%.3000s", text)
	}
}

func TestOneFrameSaysLittle(t *testing.T) {
	s := madeup.Few
	s.Runs, s.Frames = 1, 1
	_, text, html := made(t, s)
	for _, never := range []string{"NaN", "Inf", ": faster", ": slower"} {
		if strings.Contains(text, never) || strings.Contains(html, never) {
			t.Errorf("there is a %q", never)
		}
	}
	if !strings.Contains(text, "ring_size") && !strings.Contains(text, "two are needed") {
		t.Error("charts that are left out are not named")
	}
}

var reference = regexp.MustCompile(`(?:src|href)="([^"]{0,20})|url\(|@import|<script|<iframe|<object`)

func TestThePageNeedsNothingElse(t *testing.T) {
	s := madeup.Usual
	s.Rings, s.Counted = true, true
	m, _, html := made(t, s)
	for _, found := range reference.FindAllStringSubmatch(html, -1) {
		if !strings.HasPrefix(found[1], "data:") {
			t.Errorf("the page refers to %q", found[0])
		}
	}
	if n := strings.Count(html, "<img src=\"data:image/"); n != len(m.Charts) || n != 7 {
		t.Errorf("%d pictures of %d charts", n, len(m.Charts))
	}
}

func TestTextOfTheDataIsNoHTML(t *testing.T) {
	dir := t.TempDir()
	line := `{"experiment":"frames","frame":"<script>alert(1)</script>","size_bytes":64,"variant":"copy","run":1,"iteration":1,"total_ns":5,"ok":true}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "result.jsonl"), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Make(context.Background(), dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(m.HTMLPath)
	if err != nil || strings.Contains(string(html), "<script") || !strings.Contains(string(html), "&lt;script") {
		t.Errorf("%v: the name of a frame became HTML", err)
	}
}

func TestAnInterruptedReportLeavesTheOldOne(t *testing.T) {
	dir := t.TempDir()
	if err := madeup.Write(dir, madeup.Few); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, report.HTMLName)
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Make(ctx, dir, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(old); string(text) != "old" {
		t.Errorf("%.20q", text)
	}
}

func TestTheSameFolderGivesTheSameReport(t *testing.T) {
	s := madeup.Few
	s.Runs = 1
	_, text, html := made(t, s)
	if _, again, htmlAgain := made(t, s); text != again || html != htmlAgain {
		t.Error("two reports of the same data differ")
	}
}
