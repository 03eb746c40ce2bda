// SPDX-License-Identifier: Apache-2.0

package env

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// system reads what the kernel says of the machine, below root: "/" but in tests.
type system struct{ root string }

// text returns a file without the space around it; empty if it cannot be read.
func (s system) text(path string) string {
	data, err := os.ReadFile(filepath.Join(s.root, path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// field returns the first value of "name : value" in /proc/cpuinfo.
func field(cpuinfo, name string) string {
	for line := range strings.Lines(cpuinfo) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// cpuModel falls back on numbers where the kernel gives no name, as it does on most of arm64.
func cpuModel(cpuinfo string) string {
	for _, name := range []string{"model name", "cpu model", "Model", "cpu"} {
		if model := field(cpuinfo, name); model != "" {
			return model
		}
	}
	if part := field(cpuinfo, "CPU part"); part != "" {
		return runtime.GOARCH + " implementer " + field(cpuinfo, "CPU implementer") + " part " + part
	}
	return Unknown
}

// onlineCPUs counts a list such as "0-3,8".
func (s system) onlineCPUs() int {
	count := 0
	for part := range strings.SplitSeq(s.text("sys/devices/system/cpu/online"), ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange && err == nil {
			last, err = strconv.Atoi(to)
		}
		if err != nil || last < first {
			return runtime.NumCPU()
		}
		count += last - first + 1
	}
	return count
}

func (s system) smt(cpuinfo string) string {
	switch s.text("sys/devices/system/cpu/smt/active") {
	case "1":
		return Yes
	case "0":
		return No
	}
	siblings, errSiblings := strconv.Atoi(field(cpuinfo, "siblings"))
	cores, errCores := strconv.Atoi(field(cpuinfo, "cpu cores"))
	switch {
	case errSiblings != nil || errCores != nil:
		return Unknown
	case siblings > cores:
		return Yes
	default:
		return No
	}
}

func (s system) governor() string {
	files, _ := filepath.Glob(filepath.Join(s.root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
	var names []string
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			names = append(names, strings.TrimSpace(string(data)))
		}
	}
	slices.Sort(names)
	return orUnknown(strings.Join(slices.Compact(names), ","))
}

func (s system) distribution() string {
	for line := range strings.Lines(s.text("etc/os-release")) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			return orUnknown(strings.Trim(name, `"'`))
		}
	}
	return Unknown
}

// products are parts of the DMI names that virtual machines give themselves.
var products = []struct{ part, name string }{
	{"KVM", "KVM"},
	{"QEMU", "QEMU"},
	{"VMware", "VMware"},
	{"VirtualBox", "VirtualBox"},
	{"innotek", "VirtualBox"},
	{"Xen", "Xen"},
	{"Bochs", "Bochs"},
	{"Parallels", "Parallels"},
	{"Apple Virtualization", "Apple Virtualization"},
	{"OpenStack", "KVM (OpenStack)"},
	{"Google Compute Engine", "KVM (Google)"},
	{"Amazon EC2", "Amazon EC2"},
	{"Microsoft Corporation Virtual", "Hyper-V"},
}

// hypervisor believes the CPU's flag first: firmware names are also found on bare machines of
// cloud providers, and small hypervisors give no firmware names at all.
func (s system) hypervisor(cpuinfo string) string {
	flags := strings.Fields(field(cpuinfo, "flags"))
	flagged := slices.Contains(flags, "hypervisor")
	if len(flags) > 0 && !flagged {
		return "none"
	}
	if kind := s.text("sys/hypervisor/type"); kind != "" {
		return kind
	}
	dmi := s.text("sys/class/dmi/id/sys_vendor") + " " + s.text("sys/class/dmi/id/product_name")
	for _, p := range products {
		if strings.Contains(dmi, p.part) {
			return p.name
		}
	}
	if flagged {
		return "yes, kind unknown"
	}
	return Unknown
}

var (
	unified = regexp.MustCompile(`(?m)^0::(/.*)$`)
	legacy  = regexp.MustCompile(`(?m)^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(/.*)$`)
)

// cpuQuota returns the tightest quota of the process's control group and of the groups above it,
// of either version of control groups.
func (s system) cpuQuota() string {
	membership := s.text("proc/self/cgroup")
	tightest, found := 0.0, false
	consider := func(cpus float64, ok bool) {
		if ok && (!found || cpus < tightest) {
			tightest, found = cpus, true
		}
	}
	for _, group := range upwards(unified.FindStringSubmatch(membership)) {
		consider(ratio(strings.Fields(s.text("sys/fs/cgroup/" + group + "/cpu.max"))))
	}
	for _, group := range upwards(legacy.FindStringSubmatch(membership)) {
		dir := "sys/fs/cgroup/cpu/" + group
		consider(ratio([]string{s.text(dir + "/cpu.cfs_quota_us"), s.text(dir + "/cpu.cfs_period_us")}))
	}
	switch {
	case found:
		return strconv.FormatFloat(tightest, 'f', -1, 64)
	case membership == "":
		return Unknown
	default:
		return "none"
	}
}

// upwards lists the group that a pattern found, its parents, and the root, which is where a
// container sees its own group.
func upwards(match []string) []string {
	if len(match) < 2 {
		return nil
	}
	var groups []string
	for group := filepath.Clean(match[1]); ; group = filepath.Dir(group) {
		groups = append(groups, group)
		if group == "/" {
			return groups
		}
	}
}

// ratio turns quota and period into CPUs. "max" and -1 mean that there is no quota.
func ratio(quotaAndPeriod []string) (cpus float64, ok bool) {
	if len(quotaAndPeriod) != 2 {
		return 0, false
	}
	quota, errQuota := strconv.ParseFloat(quotaAndPeriod[0], 64)
	period, errPeriod := strconv.ParseFloat(quotaAndPeriod[1], 64)
	if errQuota != nil || errPeriod != nil || quota <= 0 || period <= 0 {
		return 0, false
	}
	return quota / period, true
}
