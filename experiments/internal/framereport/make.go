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
	m.TextPath, m.HTMLPath = filepath.Join(out, TextName), filepath.Join(out, HTMLName)
	if err := replace(m.TextPath, m.Document.Text); err != nil {
		return m, err
	}
	return m, replace(m.HTMLPath, func(w io.Writer) error { return m.Document.HTML(w, out) })
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
