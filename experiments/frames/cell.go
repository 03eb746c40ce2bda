// SPDX-License-Identifier: Apache-2.0

package main

import "dx/experiments/internal/result"

// cell is one combination that is measured.
type cell struct {
	size        size
	direction   result.Direction
	variant     string
	ring, chunk int // of overlapped, else 0
}

func (c config) cells() (cells []cell) {
	for _, s := range c.sizes {
		for _, d := range c.directions {
			for _, v := range c.variants {
				cells = append(cells, c.settings(cell{size: s, direction: d, variant: v})...)
			}
		}
	}
	return cells
}

// settings are the rings and chunks with which a cell is measured.
func (c config) settings(of cell) (cells []cell) {
	if of.variant != variantOverlapped {
		return []cell{of}
	}
	for _, ring := range c.rings {
		for _, chunk := range c.chunks {
			of.ring, of.chunk = ring, chunk
			cells = append(cells, of)
		}
	}
	return cells
}

func (c cell) String() string {
	text := c.size.name + " " + c.variant + " " + string(c.direction)
	if c.variant == variantOverlapped {
		text += ", " + setting(c.ring, c.chunk)
	}
	return text
}

// setting names a ring and a chunk; it is empty where there is none.
func setting(ring, chunk int) string {
	if ring == 0 {
		return ""
	}
	return formatSize(ring) + "/" + formatSize(chunk)
}

// room is what the region holds: a frame, or a ring.
func (c cell) room() int {
	if c.variant == variantOverlapped {
		return c.ring
	}
	return c.size.bytes
}
