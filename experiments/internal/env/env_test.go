// SPDX-License-Identifier: Apache-2.0

package env

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// machine lays out files of a made-up machine.
func machine(t *testing.T, files map[string]string) system {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return system{root}
}

func TestCPUModelIsNamedOrNumbered(t *testing.T) {
	for _, c := range []struct{ cpuinfo, want string }{
		{"processor\t: 0\nmodel\t\t: 85\nmodel name\t: Fast CPU @ 2.5GHz\n", "Fast CPU @ 2.5GHz"},
		{"CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", runtime.GOARCH + " implementer 0x41 part 0xd0c"},
		{"", "unknown"},
	} {
		if got := cpuModel(c.cpuinfo); got != c.want {
			t.Errorf("%q: %q, want %q", c.cpuinfo, got, c.want)
		}
	}
}

func TestOnlineCPUsAreCounted(t *testing.T) {
	for text, want := range map[string]int{
		"0-1\n":       2,
		"0":           1,
		"0-3,8,10-11": 7,
		"nonsense":    runtime.NumCPU(),
		"3-1":         runtime.NumCPU(),
		"":            runtime.NumCPU(),
	} {
		s := machine(t, map[string]string{"sys/devices/system/cpu/online": text})
		if got := s.onlineCPUs(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestSMTIsReadFromTheKernelThenFromCPUInfo(t *testing.T) {
	for _, c := range []struct{ active, cpuinfo, want string }{
		{"1\n", "", Yes},
		{"0\n", "siblings : 4\ncpu cores : 2\n", No},
		{"", "siblings : 4\ncpu cores : 2\n", Yes},
		{"", "siblings : 2\ncpu cores : 2\n", No},
		{"", "", Unknown},
	} {
		s := machine(t, map[string]string{"sys/devices/system/cpu/smt/active": c.active})
		if got := s.smt(c.cpuinfo); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestGovernorsAreListedOnce(t *testing.T) {
	const file = "sys/devices/system/cpu/cpu%/cpufreq/scaling_governor"
	at := func(cpu string) string { return strings.Replace(file, "%", cpu, 1) }
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{nil, Unknown},
		{map[string]string{at("0"): "schedutil\n", at("1"): "schedutil\n"}, "schedutil"},
		{map[string]string{at("0"): "powersave\n", at("12"): "performance\n"}, "performance,powersave"},
	} {
		if got := machine(t, c.files).governor(); got != c.want {
			t.Errorf("%v: %q", c.files, got)
		}
	}
}

func TestHypervisorIsNamedWhereItCanBeTold(t *testing.T) {
	const (
		bare    = "flags\t: fpu vme sse2\n"
		virtual = "flags\t: fpu hypervisor sse2\n"
		vendor  = "sys/class/dmi/id/sys_vendor"
		product = "sys/class/dmi/id/product_name"
	)
	for _, c := range []struct {
		cpuinfo string
		files   map[string]string
		want    string
	}{
		{bare, map[string]string{vendor: "Amazon EC2", product: "m5.metal"}, "none"},
		{virtual, map[string]string{vendor: "QEMU", product: "Standard PC"}, "QEMU"},
		{virtual, map[string]string{vendor: "Microsoft Corporation", product: "Virtual Machine"}, "Hyper-V"},
		{virtual, map[string]string{"sys/hypervisor/type": "xen\n"}, "xen"},
		{virtual, nil, "yes, kind unknown"},
		{"Features : fp asimd\n", nil, Unknown},
		{"Features : fp asimd\n", map[string]string{product: "KVM Virtual Machine"}, "KVM"},
		{"", nil, Unknown},
	} {
		if got := machine(t, c.files).hypervisor(c.cpuinfo); got != c.want {
			t.Errorf("%q %v: %q, want %q", c.cpuinfo, c.files, got, c.want)
		}
	}
}

func TestCPUQuotaIsTheTightestOfAllGroups(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing readable", nil, Unknown},
		{"no quota", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, "none"},
		{"no controller", map[string]string{"proc/self/cgroup": "0::/\n"}, "none"},
		{"own group", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, "1.5"},
		{"parent is tighter", map[string]string{
			"proc/self/cgroup":          "0::/a/b\n",
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
			"sys/fs/cgroup/a/cpu.max":   "200000 100000\n"}, "2"},
		{"container sees its group as the root", map[string]string{
			"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, "0.5"},
		{"version 1", map[string]string{
			"proc/self/cgroup":                        "3:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us":  "300000\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n"}, "3"},
		{"version 1 without quota", map[string]string{
			"proc/self/cgroup":                    "1:cpu:/\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := machine(t, c.files).cpuQuota(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestDistributionIsThePrettyName(t *testing.T) {
	for text, want := range map[string]string{
		"NAME=x\nPRETTY_NAME=\"Some Linux 12\"\n": "Some Linux 12",
		"NAME=x\n": Unknown,
	} {
		s := machine(t, map[string]string{"etc/os-release": text})
		if got := s.distribution(); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestRepositoryTellsCommitAndDirt(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
		cmd.Env = environment()
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, text)
		}
	}
	expect := func(when string, wantCommit bool, wantDirty string) {
		t.Helper()
		commit, dirty := repository(dir, []string{filepath.Join(dir, "log.jsonl"), "elsewhere"})
		isHash := regexp.MustCompile(`^[0-9a-f]{40,64}$`).MatchString(commit)
		if isHash != wantCommit || !isHash && commit != "" || dirty != wantDirty {
			t.Errorf("%s: commit %q, dirty %q", when, commit, dirty)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	expect("no repository", false, Unknown)
	git("init", "--quiet")
	expect("no commit", false, No)
	write("file", "1")
	expect("untracked file", false, Yes)
	git("add", ".")
	git("commit", "--quiet", "--no-verify", "-m", "x")
	expect("committed", true, No)
	write("log.jsonl", "results")
	expect("a file that the measurement writes", true, No)
	write("file", "2")
	expect("changed", true, Yes)

	dir = filepath.Join(dir, "missing")
	expect("no such folder", false, Unknown)
}

func TestCaptureFillsEveryFieldAndNoHostname(t *testing.T) {
	e := Capture(".")
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	for key, value := range fields {
		if value == host {
			t.Errorf("%s is the name of this machine", key)
		}
		if key != "git_commit" && (value == "" || value == 0.0) {
			t.Errorf("%s is empty", key)
		}
	}
	if _, err := time.Parse(time.RFC3339, e.Date); err != nil || !strings.HasSuffix(e.Date, "Z") {
		t.Errorf("date %q: %v", e.Date, err)
	}
	if e.Accelerator != "none" {
		t.Errorf("accelerator %q", e.Accelerator)
	}
	t.Logf("%s\n%s", text, e.Footer())
}

func TestFooterIsOneShortLine(t *testing.T) {
	e := Environment{
		CPUModel: "Fast CPU", LogicalCPUs: 8, UsableCPUs: 8, Kernel: "6.1.0", Hypervisor: "KVM",
		GitCommit: "0123456789abcdef0123456789abcdef01234567", GitDirty: Yes,
	}
	for _, c := range []struct {
		change func(*Environment)
		want   string
	}{
		{func(*Environment) {}, "Fast CPU, 8 CPUs, in a VM, kernel 6.1.0, commit 0123456789ab+dirty"},
		{func(e *Environment) { e.GitDirty = No }, "Fast CPU, 8 CPUs, in a VM, kernel 6.1.0, commit 0123456789ab"},
		{func(e *Environment) { e.GitDirty = Unknown }, "Fast CPU, 8 CPUs, in a VM, kernel 6.1.0, commit 0123456789ab+unknown"},
		{func(e *Environment) { e.GitCommit = ""; e.Hypervisor = "none" }, "Fast CPU, 8 CPUs, kernel 6.1.0, no commit"},
		{func(e *Environment) { e.GitDirty = No; e.UsableCPUs = 2; e.Hypervisor = Unknown }, "Fast CPU, 2 of 8 CPUs, kernel 6.1.0, commit 0123456789ab"},
	} {
		changed := e
		c.change(&changed)
		if got := changed.Footer(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
