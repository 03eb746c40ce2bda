// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"dx/experiments/internal/result"
)

// Sizes of a page in points (a vg.Length is one); its height grows with legend and footer.
const (
	pageWidth  = 720
	plotHeight = 400
	margin     = 14
	// rowHeight is that of one of several rows.
	rowHeight = 280
	rowGap    = 14
	// plotIndent puts the legend under the plot and not under its axis.
	plotIndent = 40
	// plotWidth is about what the vertical axis leaves to the plot; it decides which labels fit.
	plotWidth = pageWidth - 2*margin - 60
)

// DPI of the PNG is twice what a screen shows, for sharp text. A variable, so that tests can draw
// faster.
var DPI = 144

// page is one or more plots side by side, perhaps in several rows, their legend below, and under both
// a note on how to read them and the footer.
type page struct {
	title  string // where the panels have none
	panels []*plot.Plot
	// columns is how many panels lie side by side; 0: all of them.
	columns int
	height  vg.Length // of one of several rows; of a single one that is higher than usual, too
	legend  plot.Legend
	names   []string
	note    string
	footer  string
}

// save draws all formats before it writes the first, so that a failure leaves no odd pair.
func (g page) save(pngPath, svgPath string) error {
	setFonts(g.panels, &g.legend)
	lines := append(wrap(g.note, footerStyle(), pageWidth-2*margin), wrap(g.footer, footerStyle(), pageWidth-2*margin)...)
	legendHeight := heightOf(g.legend, g.names) + margin
	footerHeight := footerStyle().Rectangle("x").Size().Y * 1.5 * vg.Length(len(lines))
	_, rows := g.grid()
	height := max(plotHeight, g.height) + legendHeight + footerHeight + 2*margin
	if rows > 1 {
		height += max(rowHeight, g.height)*vg.Length(rows) - max(plotHeight, g.height)
	}

	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(pageWidth, height), vgimg.UseDPI(DPI))}
	svg := vgsvg.New(pageWidth, height)
	for _, canvas := range []vg.CanvasSizer{png, svg} {
		g.draw(draw.New(canvas), legendHeight, footerHeight, lines)
	}
	for path, content := range map[string]io.WriterTo{pngPath: png, svgPath: svg} {
		if path == "" {
			continue
		}
		if err := replace(path, content); err != nil {
			return fmt.Errorf("chart: %w", err)
		}
	}
	return nil
}

func (g page) grid() (columns, rows int) {
	if columns = g.columns; columns == 0 {
		columns = len(g.panels)
	}
	return columns, (len(g.panels) + columns - 1) / columns
}

func (g page) draw(c draw.Canvas, legendHeight, footerHeight vg.Length, lines []string) {
	c.SetColor(g.panels[0].BackgroundColor)
	c.Fill(c.Rectangle.Path())
	inner := draw.Crop(c, margin, -margin, margin, -margin)
	columns, rows := g.grid()
	width := (inner.Max.X - inner.Min.X) / vg.Length(columns)
	height := (inner.Max.Y - inner.Min.Y - legendHeight - footerHeight) / vg.Length(rows)
	for i, p := range g.panels {
		column, row := vg.Length(i%columns), vg.Length(i/columns)
		left, right := width*column, width*(vg.Length(columns)-1-column)
		above, below := height*row, height*(vg.Length(rows)-1-row)
		if below > 0 {
			below += rowGap
		}
		p.Draw(draw.Crop(inner, left, -right, legendHeight+footerHeight+below, -above))
	}
	if g.title != "" {
		style := g.panels[0].Title.TextStyle
		style.XAlign, style.YAlign = draw.XCenter, draw.YTop
		c.FillText(style, vg.Point{X: inner.Center().X, Y: inner.Max.Y}, g.title)
	}
	below := inner.Min.Y + footerHeight
	legend := inner
	legend.Min.Y, legend.Max.Y = below, below+legendHeight-margin/2
	g.legend.Draw(draw.Crop(legend, plotIndent, 0, 0, 0))
	style := footerStyle()
	for i, line := range lines {
		y := inner.Min.Y + footerHeight*(1-vg.Length(i)/vg.Length(len(lines)))
		c.FillText(style, vg.Point{X: inner.Min.X, Y: y}, line)
	}
}

// heightOf is what the legend takes: its entries are as high as the highest of its texts.
func heightOf(l plot.Legend, names []string) vg.Length {
	var entry vg.Length
	for _, name := range names {
		entry = max(entry, l.TextStyle.Rectangle(name).Max.Y)
	}
	return (entry + l.Padding) * vg.Length(len(names))
}

// wrap breaks a text between words where a line would become wider than width.
func wrap(s string, style text.Style, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && style.Width(longer) > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// shorten cuts a name that is wider than the page.
func shorten(name string) string {
	style := legendStyle()
	const width = pageWidth - 2*margin - plotIndent - 50
	if style.Width(name) <= width {
		return name
	}
	letters := []rune(name)
	for len(letters) > 0 && style.Width(string(letters)+"…") > width {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

// replace writes a picture, of which nobody sees half.
func replace(path string, content io.WriterTo) error {
	var buffer bytes.Buffer
	if _, err := content.WriteTo(&buffer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// An SVG names its typeface and does not hold it; without others to fall back on, a viewer that
	// lacks it would take one with serifs.
	data := bytes.ReplaceAll(buffer.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return result.Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
