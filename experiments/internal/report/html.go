// SPDX-License-Identifier: Apache-2.0

package report

import (
	_ "embed" // of the template
	"encoding/base64"
	"html/template"
	"io"
	"os"
	"path/filepath"
)

//go:embed page.html.tmpl
var pageText string

// svgBytesMax is up to which size a chart is embedded as SVG, sharp at any size; one with thousands of
// dots is smaller as PNG.
const svgBytesMax = 256 << 10

// HTML writes the document as one page that needs nothing else; charts are those in dir.
func (d Document) HTML(w io.Writer, dir string) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"data": func(name string) (template.URL, error) { return embedded(dir, name) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, d)
}

// embedded is a picture as a URL that holds it.
func embedded(dir, name string) (template.URL, error) {
	kind := "svg+xml"
	picture, err := os.ReadFile(filepath.Join(dir, name+".svg"))
	if err == nil && len(picture) > svgBytesMax {
		kind = "png"
		picture, err = os.ReadFile(filepath.Join(dir, name+".png"))
	}
	if err != nil {
		return "", err
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture)), nil
}
