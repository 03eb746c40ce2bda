// SPDX-License-Identifier: Apache-2.0

// Package env records on what a result was measured. Whatever cannot be told is "unknown" (or
// empty, for the commit): a missing fact never stops a measurement, and never looks like a zero.
package env

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Answers of the fields that are a yes or a no.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Environment is what every result carries about its machine and its source. It holds no name of
// the machine and no path.
type Environment struct {
	// GitCommit is the full hash of HEAD; empty if there is none or no repository.
	GitCommit string `json:"git_commit"`
	// GitDirty says whether files differ from GitCommit, untracked ones included: yes, no, unknown.
	GitDirty string `json:"git_dirty"`
	// CPUModel is the processor's name for itself.
	CPUModel string `json:"cpu_model"`
	// LogicalCPUs counts the CPUs that are online; UsableCPUs those this process may run on.
	LogicalCPUs int `json:"logical_cpus"`
	UsableCPUs  int `json:"usable_cpus"`
	// SMT says whether two of them can be threads of one core, as far as the kernel sees.
	SMT string `json:"smt"`
	// Governor is the frequency governor, several joined by a comma.
	Governor string `json:"governor"`
	// Kernel is the release, OS the distribution.
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	// Hypervisor is "none", a product, "yes, kind unknown", or "unknown".
	Hypervisor string `json:"hypervisor"`
	// Accelerator is how the guest is run: kvm, tcg, or "none" where both sides are processes of
	// this machine. Capture sets "none"; who starts a VM sets the other.
	Accelerator string `json:"accelerator"`
	// GoVersion and CCompiler are what built and runs the experiment.
	GoVersion string `json:"go_version"`
	CCompiler string `json:"c_compiler"`
	// Date is when Capture ran: RFC 3339, UTC.
	Date string `json:"date"`
	// CgroupCPUQuota is the CPUs that the tightest control group grants, such as "1.5"; "none".
	CgroupCPUQuota string `json:"cgroup_cpu_quota"`
	// GOMAXPROCS is that of the capturing process.
	GOMAXPROCS int `json:"gomaxprocs"`
}

// Capture looks at this machine and at the repository that holds repoDir. It starts git and cc,
// each for 5 s at most, and never fails. Call it once, before anything is measured. Files that the
// measurement itself writes, such as a log of results, are no changes of what is measured.
func Capture(repoDir string, written ...string) Environment {
	s := system{root: "/"}
	cpuinfo := s.text("proc/cpuinfo")
	commit, dirty := repository(repoDir, written)
	return Environment{
		GitCommit:      commit,
		GitDirty:       dirty,
		CPUModel:       cpuModel(cpuinfo),
		LogicalCPUs:    s.onlineCPUs(),
		UsableCPUs:     runtime.NumCPU(),
		SMT:            s.smt(cpuinfo),
		Governor:       s.governor(),
		Kernel:         orUnknown(s.text("proc/sys/kernel/osrelease")),
		OS:             s.distribution(),
		Hypervisor:     s.hypervisor(cpuinfo),
		Accelerator:    "none",
		GoVersion:      runtime.Version(),
		CCompiler:      compiler(),
		Date:           time.Now().UTC().Format(time.RFC3339),
		CgroupCPUQuota: s.cpuQuota(),
		GOMAXPROCS:     runtime.GOMAXPROCS(0),
	}
}

// Footer returns one short line for charts: CPU model, CPUs, kernel, commit and whether the tree
// differed from it.
func (e Environment) Footer() string {
	parts := []string{e.CPUModel}
	if e.UsableCPUs == e.LogicalCPUs {
		parts = append(parts, fmt.Sprintf("%d CPUs", e.LogicalCPUs))
	} else {
		parts = append(parts, fmt.Sprintf("%d of %d CPUs", e.UsableCPUs, e.LogicalCPUs))
	}
	if e.Hypervisor != "none" && e.Hypervisor != Unknown {
		parts = append(parts, "in a VM")
	}
	return strings.Join(append(parts, "kernel "+e.Kernel, e.Commit()), ", ")
}

// Commit returns the short form for people: "commit 0123456789ab", with "+dirty" if files differ.
func (e Environment) Commit() string {
	if e.GitCommit == "" {
		return "no commit"
	}
	commit := "commit " + e.GitCommit[:min(12, len(e.GitCommit))]
	switch e.GitDirty {
	case Yes:
		return commit + "+dirty"
	case No:
		return commit
	default:
		return commit + "+unknown"
	}
}

// repository asks git about the checkout that holds dir.
func repository(dir string, written []string) (commit, dirty string) {
	git := func(args ...string) (string, error) {
		return output("git", append([]string{"-C", dir}, args...)...)
	}
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil || top == "" {
		return "", Unknown
	}
	commit, err = git("rev-parse", "--verify", "--quiet", "HEAD")
	if err != nil {
		commit = ""
	}
	paths := []string{"."}
	for _, path := range written {
		if inside, ok := within(top, path); ok {
			paths = append(paths, ":(exclude,literal)"+inside)
		}
	}
	// Paths are those of the top folder.
	changes, err := output("git", append([]string{"-C", top, "status", "--porcelain", "-uall", "--"}, paths...)...)
	switch {
	case err != nil:
		return commit, Unknown
	case changes == "":
		return commit, No
	default:
		return commit, Yes
	}
}

// within returns the path of a file relative to the folder top, which has no links in it.
func within(top, path string) (string, bool) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", false
	}
	inside, err := filepath.Rel(top, filepath.Join(folder, filepath.Base(absolute)))
	return inside, err == nil && filepath.IsLocal(inside)
}

func compiler() string {
	text, err := output("cc", "--version")
	if err != nil {
		return Unknown
	}
	first, _, _ := strings.Cut(text, "\n")
	return orUnknown(first)
}

// output runs a program for 5 s at most: a repository on a dead network disk must not hold up an
// experiment.
func output(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment()
	text, err := cmd.Output()
	return strings.TrimSpace(string(text)), err
}

// environment is ours without git's own variables, which a hook sets and which would lead to its
// repository instead of the one asked for. Looks must not take git's index lock from somebody who is
// committing.
func environment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	return append(kept, "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
}

func orUnknown(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return Unknown
	}
	return s
}
