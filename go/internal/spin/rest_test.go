// SPDX-License-Identifier: Apache-2.0

package spin

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Few machines have these instructions: what is here says what they would execute.
func TestTheInstructionsAreTheOnesMeant(t *testing.T) {
	// A test that runs has no symbols; one that is only built has.
	program := filepath.Join(t.TempDir(), "spin.test")
	if text, err := exec.Command("go", "test", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, text)
	}
	objdump := cmp.Or(os.Getenv("OBJDUMP"), "objdump")
	for symbol, wanted := range map[string]map[string][]string{
		"amd64": {
			"umwait": {"umonitor %rax", "rdtsc", "$0x1388", "umwait %ecx"},
			"mwaitx": {"monitorx", "$0x1388", "mwaitx"},
		},
		"arm64": {"wfe": {"ldaxr", "wfe"}},
	}[runtime.GOARCH] {
		text, err := exec.Command(objdump, "-d", "--no-show-raw-insn",
			"--disassemble=dx/go/internal/spin."+symbol+".abi0", program).Output()
		if err != nil {
			t.Fatalf("%s, which comes with the C compiler: %v", objdump, err)
		}
		rest := strings.Join(strings.Fields(string(text)), " ")
		for _, instruction := range wanted {
			_, after, found := strings.Cut(rest, instruction)
			if !found {
				t.Fatalf("%s: no %q where it belongs:\n%s", symbol, instruction, text)
			}
			rest = after
		}
	}
}

func TestARestWatchesTheWordThatIsAwaited(t *testing.T) {
	word := uint64(3)
	rests := 0
	h := hardware{"fake", func(watched *uint64, value uint64, untilEqual bool) {
		rests++
		if watched != &word || (value == 7) != untilEqual {
			t.Errorf("watches %p for %d, equal %v", watched, value, untilEqual)
		}
		if rests == 2 {
			word = 7
		}
	}}
	if n := h.until(&word, 7, 9); n != 3 || rests != 2 {
		t.Errorf("look %d after %d rests, want 3 after 2", n, rests)
	}
	rests, word = 0, 3
	if n := h.untilOther(&word, 3, 9); n != 2 || rests != 2 {
		t.Errorf("look %d after %d rests, want 2 after 2", n, rests)
	}
	rests, word = 5, 3
	if n := h.until(&word, 7, 4); n != 0 || rests != 9 {
		t.Errorf("nothing came: look %d after %d rests", n, rests-5)
	}
}

// On a CPU that has the instructions this runs them, else PAUSE.
func TestARestEndsByItself(t *testing.T) {
	t.Logf("this CPU waits by %s", Hardware())
	for _, h := range []hardware{have, none} {
		word := uint64(3)
		began := time.Now()
		if h.until(&word, 7, 100) != 0 || h.untilOther(&word, 3, 100) != 0 {
			t.Error("saw what is not there")
		}
		if h.until(&word, 3, 1) != 1 || h.untilOther(&word, 7, 1) != 1 {
			t.Error("did not see what is there")
		}
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("%v", took)
		}
	}
}
