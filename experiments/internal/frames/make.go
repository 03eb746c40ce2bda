// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"os"

	"dx/experiments/internal/report"
)

// Made is what Make did.
type Made struct {
	Document report.Document
	Charts   []Chart
	// TextPath and HTMLPath are the report.
	TextPath, HTMLPath string
}

// Make reads a folder that frames wrote and draws the charts and writes the report into out. Each
// file appears complete or not at all; if the context is done it ends with its error.
func Make(ctx context.Context, folder, out string) (m Made, err error) {
	f, err := Read(folder)
	if err != nil {
		return m, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return m, err
	}
	if m.Charts, err = Draw(ctx, f, out); err != nil {
		return m, err
	}
	m.Document = Build(f, m.Charts)
	m.TextPath, m.HTMLPath, err = m.Document.Write(out)
	return m, err
}
