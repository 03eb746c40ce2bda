// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The notation is explained in atomic.h: a label stands at its own operation and names its
// partner, and perhaps the file in which the partner stands.
const (
	wrappers     = "libdx/atomic.h"
	protocol     = "docs/protocol.md"
	linesToLabel = 12 // how many lines, its own included, a label's comment and operation take
)

var (
	pairText  = regexp.MustCompile(`\b([RAS]\d+) (<->|->|<-) ([RAS]\d+)\b(?: \(([\w.]+)\))?`)
	labelText = regexp.MustCompile(`\b[RAS]\d+\b`)
	labelRow  = regexp.MustCompile(`(?m)^\| ([RS]\d+) `)
	// An operation that orders something, or the call of a look or of a wrapper around one.
	operation = regexp.MustCompile(`\bdx_(load|store|add|exchange|cas|fence)_\w+\(|\blook\(|` +
		`\batomic\.\w+\(|\.(Load|Store|Add|Swap|CompareAndSwap)\(`)
	ordering = regexp.MustCompile(`\bdx_(load_acquire|store_release|fence_store_load|` +
		`\w+_acqrel|\w+_seqcst)\(`)
	directAtomic = regexp.MustCompile(`\b(atomic_(load|store|exchange|compare_exchange|fetch|` +
		`thread_fence|signal_fence|flag)\w*|memory_order_\w+|__(atomic|sync)_\w+)\b`)
	weakAtomic = regexp.MustCompile(`\b(atomic_\w+_explicit|memory_order_\w+|__(atomic|sync)_\w+)\b`)
)

// label is one place where a label stands: "own arrow partner (where)".
type label struct {
	own, arrow, partner, where string
	path                       string
	line                       int
}

func (l label) String() string {
	return fmt.Sprintf("%s:%d: %s %s %s", l.path, l.line, l.own, l.arrow, l.partner)
}

func isLabelled(f file) bool {
	inside := strings.HasPrefix(f.path, "libdx/") || strings.HasPrefix(f.path, "go/")
	return inside && f.path != wrappers && !f.isTest() && (f.isC() || f.isGo())
}

// labelsOf returns the labels at operations; one in prose that only mentions a pair is none.
func labelsOf(f file) (labels []label) {
	text := strings.Split(f.text, "\n")
	for i, line := range text {
		pairs := pairText.FindAllStringSubmatch(line, -1)
		if len(pairs) == 0 {
			continue
		}
		near := strings.Join(text[i:min(i+linesToLabel, len(text))], "\n")
		if !operation.MatchString(near) {
			continue
		}
		for _, m := range pairs {
			labels = append(labels, label{m[1], m[2], m[3], m[4], f.path, i + 1})
		}
	}
	return labels
}

// checkLabels finds labels without their partner, and differences to the protocol's list.
func checkLabels(files []file) (found []string) {
	var labels []label
	listed := map[string]bool{}
	haveProtocol := false
	for _, f := range files {
		if isLabelled(f) {
			labels = append(labels, labelsOf(f)...)
		}
		if f.path == protocol {
			haveProtocol = true
			for _, name := range labelText.FindAllString(f.text, -1) {
				listed[name] = true
			}
			rows := map[string]bool{}
			for _, row := range labelRow.FindAllStringSubmatch(f.text, -1) {
				if rows[row[1]] {
					found = append(found, fmt.Sprintf("%s: %s names two pairs", protocol, row[1]))
				}
				rows[row[1]] = true
			}
		}
	}
	if !haveProtocol {
		found = append(found, protocol+" is missing")
	}
	used := map[string]bool{}
	for _, l := range labels {
		used[l.own] = true
		found = append(found, checkPartner(l, labels)...)
		if haveProtocol && !listed[l.own] {
			found = append(found, fmt.Sprintf("%v: %s is not in %s", l, l.own, protocol))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if !used[name] {
			found = append(found, fmt.Sprintf("%s: %s stands at no operation", protocol, name))
		}
	}
	return found
}

func checkPartner(l label, labels []label) []string {
	kinds := map[string]string{"R->A": "<-", "A<-R": "->", "S<->S": "<->"}
	back := kinds[l.own[:1]+l.arrow+l.partner[:1]]
	if back == "" {
		return []string{fmt.Sprintf("%v: not R -> A, A <- R or S <-> S", l)}
	}
	isBack := func(p label) bool {
		return p.own == l.partner && p.arrow == back && p.partner == l.own
	}
	if !slices.ContainsFunc(labels, isBack) {
		return []string{fmt.Sprintf("%v: no %s %s %s anywhere", l, l.partner, back, l.own)}
	}
	isThere := func(p label) bool {
		return isBack(p) && (l.where == "" || filepath.Base(p.path) == l.where)
	}
	if !slices.ContainsFunc(labels, isThere) {
		return []string{fmt.Sprintf("%v: no %s %s %s in %s", l, l.partner, back, l.own, l.where)}
	}
	return nil
}

// checkUnlabelled finds operations of libdx that order something and do not say what and for whom.
func checkUnlabelled(files []file) (found []string) {
	for _, f := range files {
		if !isLabelled(f) || !f.isC() {
			continue
		}
		last := -linesToLabel
		text := strings.Split(f.text, "\n")
		for i, code := range strings.Split(blankC(f.text), "\n") {
			if pairText.MatchString(text[i]) {
				last = i
			}
			if at := ordering.FindString(code); at != "" && i-last >= linesToLabel {
				found = append(found, fmt.Sprintf("%s:%d: %s...) has no label", f.path, i+1, at))
			}
		}
	}
	return found
}

// checkDirectAtomics finds C code that goes around the wrappers. Tests may share a counter among
// their own threads, in the one order that needs no thought.
func checkDirectAtomics(files []file) (found []string) {
	for _, f := range files {
		if !strings.HasPrefix(f.path, "libdx/") || !f.isC() || f.path == wrappers {
			continue
		}
		code, pattern := blankC(f.text), directAtomic
		if f.isTest() {
			pattern = weakAtomic
		}
		for _, at := range pattern.FindAllStringIndex(code, -1) {
			found = append(found, fmt.Sprintf("%s:%d: %s outside of %s", f.path,
				lineAt(code, at[0]), code[at[0]:at[1]], wrappers))
		}
	}
	return found
}

const (
	release = "/* R1 -> A1 (b.c): the bytes before the word. */\ndx_store_release(&w, 1);\n"
	acquire = "/* A1 <- R1: the bytes. */\nif (dx_load_acquire(&w) == 1)\n"
)

func TestLabelsInPairs(t *testing.T) {
	expect(t, checkLabels, []file{
		{"libdx/a.c", "/* S1 <-> S2 (c.go), S3 <-> S4: a fence. */\ndx_fence_store_load();\n" + release},
		{"libdx/b.c", acquire},
		{"libdx/atomic.h", "/* R7 -> A7 is how a label looks */ dx_load_acquire(p)"},
		{"libdx/slot.h", "/* R8 -> A8 in prose */"},
		{"libdx/tests/unit_a.c", "/* R9 -> A9 */ dx_load_acquire(p)"},
		{"go/dx/c.go", "// S2 <-> S1 (a.c)\n// S4 <-> S3: the same.\nw.Store(1)\n"},
		{"docs/protocol.md", "| R1 | A1 |\n| S1 | S2 |\n S3, S4"},
	})
}

func TestLabelsThatAreWrong(t *testing.T) {
	doc := file{"docs/protocol.md", "R1 -> A1, S1 <-> S2"}
	both := file{"libdx/b.c", release + acquire +
		"/* S1 <-> S2 */ dx_fence_store_load();\n/* S2 <-> S1 */ dx_fence_store_load();\n"}
	expect(t, checkLabels, []file{doc, both})
	without := func(what string) file {
		return file{"libdx/b.c", strings.Replace(both.text, what, "", 1)}
	}

	expect(t, checkLabels, []file{both}, "docs/protocol.md is missing")
	expect(t, checkLabels, []file{doc, without("A1 <- R1")}, "no A1 <- R1 anywhere", "A1 stands at no")
	expect(t, checkLabels, []file{doc, without("R1 -> A1")}, "no R1 -> A1 anywhere", "R1 stands at no")
	expect(t, checkLabels, []file{doc, without("S2 <-> S1")}, "no S2 <-> S1 anywhere", "S2 stands at no")
	expect(t, checkLabels, []file{doc, without("dx_fence_store_load();\n/* S2 <-> S1 */ dx_fence_store_load();\n")},
		"S1 stands at no", "S2 stands at no")
	expect(t, checkLabels, []file{{doc.path, "R1 A1 S1"}, both}, "S2 is not in docs/protocol.md")
	expect(t, checkLabels, []file{{doc.path, doc.text + " A2"}, both}, "A2 stands at no operation")
	expect(t, checkLabels, []file{{doc.path, "| R1 | A1 |\n| S1 | S2 |\n| R1 | A1 |"}, both}, "R1 names two pairs")
	expect(t, checkLabels, []file{doc, both, {"libdx/c.c", "/* R1 <- A1 */ dx_load_acquire(p)"}},
		"not R -> A")
	expect(t, checkLabels, []file{doc, both, {"libdx/c.c", "/* A1 <- R1 (c.c) */ dx_load_acquire(p)"}},
		"no R1 -> A1 in c.c")
}

func TestUnlabelled(t *testing.T) {
	far := strings.Repeat("\n", 10)
	expect(t, checkUnlabelled, []file{
		{"libdx/a.c", release + far + "/* A2 <- R2 */" + far + "\ndx_load_acquire(p); dx_load_relaxed(p)"},
		{"libdx/atomic.h", "dx_load_acquire(p)"}, {"libdx/tests/unit_a.c", "dx_load_acquire(p)"},
		{"libdx/b.c", "/* dx_load_acquire(p) */ dx_count(p, 1);"},
	})
	expect(t, checkUnlabelled, []file{
		{"libdx/a.c", release + far + "dx_load_acquire(p);"},
		{"libdx/b.h", "dx_store_release(p, 1);\ndx_fence_store_load();\ndx_cas_seqcst(p, &e, 1);"},
		{"libdx/c.c", "dx_exchange_acqrel(p, 1);"},
	}, "a.c:13: dx_load_acquire(", "b.h:1", "b.h:2", "b.h:3", "c.c:1: dx_exchange_acqrel(")
}

func TestDirectAtomics(t *testing.T) {
	expect(t, checkDirectAtomics, []file{
		{"libdx/atomic.h", "atomic_load_explicit(p, memory_order_relaxed)"},
		{"libdx/a.c", "/* memory_order_relaxed */ _Atomic int a; atomic_int b; dx_load_relaxed(&a);"},
		{"libdx/tests/pair.h", "atomic_store(&a, 1);"},
		{"experiments/floor/a.c", "__atomic_load_n(p, 0);"},
	})
	expect(t, checkDirectAtomics, []file{
		{"libdx/a.c", "x = atomic_load_explicit(p, memory_order_acquire);\natomic_store(p, 1);\n"},
		{"libdx/tests/unit_a.c", "__atomic_load_n(p, 0); atomic_load_explicit(p, o);"},
		{"libdx/a.h", "__sync_synchronize(); atomic_thread_fence(0); atomic_fetch_add(p, 1);"},
	}, "a.c:1: atomic_load_explicit", "a.c:1: memory_order_acquire", "a.c:2: atomic_store",
		"unit_a.c:1: __atomic_load_n", "unit_a.c:1: atomic_load_explicit", "__sync_synchronize", "atomic_thread_fence", "atomic_fetch_add")
}
