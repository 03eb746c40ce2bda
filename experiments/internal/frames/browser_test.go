// SPDX-License-Identifier: Apache-2.0

//go:build browser

package frames

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"dx/experiments/internal/frames/madeup"
)

// browser starts a headless Chromium that ends with the test, and is never left out.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("no chromium, chromium-browser or google-chrome in PATH: ./run setup installs one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	limited, cancelTime := context.WithTimeout(context.Background(), time.Hour)
	allocator, cancelAllocator := chromedp.NewExecAllocator(limited, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		cancel()
		cancelAllocator()
		cancelTime()
	})
	return ctx
}

// look is what the script below finds in a page.
type look struct {
	Width, Scroll        int
	Overflowing          []string
	Images, Small, Empty int
	Tables, Bare         int
	Headings             int
}

const script = `(() => {
  const all = s => [...document.querySelectorAll(s)];
  const name = e => e.tagName + ": " + e.textContent.trim().slice(0, 60);
  return {
    Width: window.innerWidth,
    Scroll: document.documentElement.scrollWidth,
    // Text that sticks out of its own box; cells may be wider than the page inside a box that scrolls.
    Overflowing: all("h1, h2, h3, p, li, th, td, figcaption").filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).map(name)
      .concat(all("h1, h2, h3, p, li").filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).map(name)),
    Images: all("img").length,
    Small: all("img").filter(e => e.getBoundingClientRect().width < 300 || e.getBoundingClientRect().height < 150).length,
    Empty: all("img").filter(e => !e.complete || e.naturalWidth === 0).length,
    Tables: all("table").length,
    Bare: all("table").filter(e => e.querySelectorAll("tbody tr").length === 0 || e.querySelectorAll("tbody tr td").length === 0).length,
    Headings: all("h2").length,
  };
})()`

// visit loads a page at a width and returns what is there, and all that went wrong or was asked of
// a network.
func visit(t *testing.T, ctx context.Context, path string, width int64) (l look, wrong []string) {
	t.Helper()
	tab, cancel := chromedp.NewContext(ctx)
	defer cancel()
	var mutex sync.Mutex
	complain := func(format string, args ...any) {
		mutex.Lock()
		defer mutex.Unlock()
		wrong = append(wrong, fmt.Sprintf(format, args...))
	}
	page := "file://" + path
	chromedp.ListenTarget(tab, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complain("exception: %s", e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			complain("console: %s", e.Type)
		case *cdplog.EventEntryAdded:
			complain("log: %s", e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; url != page && !strings.HasPrefix(url, "data:") {
				complain("request: %s", url)
			}
		}
	})
	if err := chromedp.Run(tab, network.Enable(), cdplog.Enable(), chromedp.EmulateViewport(width, 900),
		chromedp.Navigate(page), chromedp.Evaluate(script, &l)); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("CHART_DIR"); dir != "" { // for looking at
		var picture []byte
		if err := chromedp.Run(tab, chromedp.FullScreenshot(&picture, 100)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("report-%d.png", width)), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mutex.Lock()
	defer mutex.Unlock()
	return l, wrong
}

func TestThePageInABrowser(t *testing.T) {
	full := madeup.Usual
	full.Rings, full.Counted, full.Failed = true, true, 3
	m, _, _ := made(t, full)
	ctx := browser(t)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{1280, 400} {
		l, wrong := visit(t, ctx, m.HTMLPath, width)
		if len(wrong) > 0 {
			t.Errorf("%d px: %v", width, wrong)
		}
		if l.Width != int(width) || l.Scroll > l.Width || len(l.Overflowing) > 0 {
			t.Errorf("%d px: the page is %d of %d wide; %q stick out", width, l.Scroll, l.Width, l.Overflowing)
		}
		if l.Images != 7 || l.Small > 0 || l.Empty > 0 {
			t.Errorf("%d px: %d pictures, %d too small, %d not shown", width, l.Images, l.Small, l.Empty)
		}
		if l.Tables < 12 || l.Bare > 0 || l.Headings < 9 {
			t.Errorf("%d px: %d tables, %d without rows, %d headings", width, l.Tables, l.Bare, l.Headings)
		}
	}
}

// The checks above are worth something only if they find what is wrong.
func TestABrokenPageIsFound(t *testing.T) {
	ctx := browser(t)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body  string
		found func(look, []string) bool
	}{
		"script error": {`<script>throw new Error("no")</script>`, func(_ look, wrong []string) bool { return len(wrong) > 0 }},
		"console":      {`<script>console.error("no")</script>`, func(_ look, wrong []string) bool { return len(wrong) > 0 }},
		"request":      {`<img src="http://127.0.0.1:9/x.png">`, func(_ look, wrong []string) bool { return len(wrong) > 0 }},
		"picture":      {`<img src="data:image/png;base64,AAAA">`, func(l look, _ []string) bool { return l.Empty == 1 && l.Small == 1 }},
		"wide":         {`<div style="width:2000px">x</div>`, func(l look, _ []string) bool { return l.Scroll > l.Width }},
		"text":         {`<p style="width:50px">` + strings.Repeat("x", 80) + `</p>`, func(l look, _ []string) bool { return len(l.Overflowing) > 0 }},
		"table":        {`<table><tbody></tbody></table>`, func(l look, _ []string) bool { return l.Bare == 1 }},
	} {
		path := filepath.Join(t.TempDir(), "page.html")
		if err := os.WriteFile(path, []byte("<!DOCTYPE html><title>x</title>"+c.body), 0o644); err != nil {
			t.Fatal(err)
		}
		if l, wrong := visit(t, ctx, path, 800); !c.found(l, wrong) {
			t.Errorf("%s is not found: %+v, %v", name, l, wrong)
		}
	}
}
