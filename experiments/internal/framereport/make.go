// SPDX-License-Identifier: Apache-2.0

package framereport

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dx/experiments/internal/framelog"
	"dx/experiments/internal/frameplot"
)

// Names of the files that Make leaves.
const (
	TextName = "performance_report.txt"
	HTMLName = "report.html"
)

// Made is what Make did.
type Made struct {
	Document Document
	Charts   []frameplot.Chart
	// TextPath and HTMLPath are the report.
	TextPath, HTMLPath string
}

// Make reads a folder that frames wrote and draws the charts and writes the report into out. Each
// file appears complete or not at all; if the context is done it ends with its error.
func Make(ctx context.Context, folder, out string) (m Made, err error) {
	f, err := framelog.Read(folder)
	if err != nil {
		return m, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return m, err
	}
	if m.Charts, err = frameplot.Draw(ctx, f, out); err != nil {
		return m, err
	}
	m.Document = Build(f, m.Charts)
	m.TextPath, m.HTMLPath, err = m.Document.Write(out)
	return m, err
}

// Write writes the report in both forms into the folder of its charts. Each file appears complete or
// not at all.
func (d Document) Write(dir string) (text, html string, err error) {
	text, html = filepath.Join(dir, TextName), filepath.Join(dir, HTMLName)
	if err := replace(text, d.Text); err != nil {
		return text, html, err
	}
	return text, html, replace(html, func(w io.Writer) error { return d.HTML(w, dir) })
}

// replace writes a file of another name beside it and renames it.
func replace(path string, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	err = write(temp)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
