// SPDX-License-Identifier: Apache-2.0

package dx

// tagTable finds the flight with a tag, as queue_tags.h does: a map costs more.
// It has open addressing and is at most half full.
type tagTable struct {
	at   []*flight // a power of two of them
	mask uint64
}

func newTagTable(depth int) tagTable {
	size := 2
	for size < 2*depth {
		size *= 2
	}
	return tagTable{make([]*flight, size), uint64(size - 1)}
}

// home spreads numbers that lie close together (Knuth, The Art of Computer Programming 6.4).
func (t *tagTable) home(tag uint64) uint64 { return tag * 0x9e3779b97f4a7c15 >> 32 & t.mask }

// place is where the tag is, or where the search for it ends.
func (t *tagTable) place(tag uint64) uint64 {
	i := t.home(tag)
	for t.at[i] != nil && t.at[i].tag != tag {
		i = (i + 1) & t.mask
	}
	return i
}

func (t *tagTable) find(tag uint64) *flight { return t.at[t.place(tag)] }

func (t *tagTable) put(f *flight) { t.at[t.place(f.tag)] = f }

// remove moves what follows back, so that nothing is marked as removed.
func (t *tagTable) remove(tag uint64) {
	hole := t.place(tag)
	for i := (hole + 1) & t.mask; t.at[i] != nil; i = (i + 1) & t.mask {
		if (i-t.home(t.at[i].tag))&t.mask < (i-hole)&t.mask {
			continue // the hole lies before its home
		}
		t.at[hole], hole = t.at[i], i
	}
	t.at[hole] = nil
}
