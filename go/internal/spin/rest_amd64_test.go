// SPDX-License-Identifier: Apache-2.0

package spin

import "testing"

func TestTheBitsOfCPUIDDecide(t *testing.T) {
	for _, c := range []struct {
		leaf7, extended uint32
		want            string
	}{
		{0, 0, "pause"}, {^uint32(waitpkg), ^uint32(monitorx), "pause"}, {waitpkg, 0, "umwait"},
		{0, monitorx, "mwaitx"}, {waitpkg, monitorx, "umwait"},
	} {
		if h := choose(c.leaf7, c.extended); h.name != c.want || (h.rest == nil) != (c.want == "pause") {
			t.Errorf("%#x, %#x: %s, want %s", c.leaf7, c.extended, h.name, c.want)
		}
	}
}
