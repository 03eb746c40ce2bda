// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"dx/experiments/internal/progress"
)

// program is one that is both sides of one or more peers.
type program struct {
	folder string // in experiments/peers
	make   func(context.Context, making) (command []string, err error)
	needs  string // from elsewhere; empty: nothing
}

// making is what a program is made with.
type making struct {
	source    string // its folder
	temporary string // for what is made for this run
	cache     string // for what is kept for the next ones
}

// built is what came of it.
type built struct {
	commands map[*program][]string
	missing  map[*program]string // why
}

// buildAll makes programs. Only an interruption is an error.
func buildAll(ctx context.Context, programs []*program, temporary string) (built, error) {
	b := built{map[*program][]string{}, map[*program]string{}}
	here, err := sources(ctx)
	if err != nil {
		return b, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = temporary // nothing is kept
	}
	bar := progress.New("peers: make", len(programs))
	defer bar.Close()
	for _, p := range programs {
		bar.Describe(p.folder)
		if b.commands[p] == nil && b.missing[p] == "" {
			m := making{filepath.Join(here, p.folder), filepath.Join(temporary, p.folder), filepath.Join(cache, "dx", "peers", p.folder)}
			if err = errors.Join(os.MkdirAll(m.temporary, 0o755), os.MkdirAll(m.cache, 0o755)); err == nil {
				b.commands[p], err = p.make(ctx, m)
			}
			if ctx.Err() != nil {
				return b, ctx.Err()
			}
			if err != nil {
				b.missing[p] = p.explain(err)
			}
		}
		bar.Add(1)
	}
	return b, nil
}

func (p *program) explain(err error) string {
	if p.needs == "" {
		return err.Error()
	}
	return fmt.Sprintf("it needs %s: %v", p.needs, err)
}

// sources is the folder of this program's source, from anywhere in its checkout.
func sources(ctx context.Context) (string, error) {
	text, err := output(ctx, "", "go", "list", "-f", "{{.Dir}}", "dx/experiments/peers")
	if err != nil {
		return "", fmt.Errorf("the sources of the peers' programs are not found, start this within its checkout: %w", err)
	}
	return strings.TrimSpace(text), nil
}

// output runs a tool and returns what it prints. Its error holds the end of what it complained of.
func output(ctx context.Context, folder, tool string, args ...string) (string, error) {
	var text, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &text, &complaint
	err := cmd.Run()
	if err == nil {
		return text.String(), nil
	}
	said := lastLine(complaint.String())
	if said == "" {
		said = lastLine(text.String())
	}
	if said == "" {
		return "", err
	}
	return "", fmt.Errorf("%s: %s", tool, said)
}

var complains = regexp.MustCompile(`(?i)error|exception|timeout|cannot|failed`)

// lastLine is the first line of a text that complains, else its last one.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if complains.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// cannotBeHad is for a peer that is known and has no program. It asks nobody.
func cannotBeHad(why string) func(context.Context, making) ([]string, error) {
	return func(context.Context, making) ([]string, error) { return nil, errors.New(why) }
}

// makeC compiles all C files of the folder with the timing loop that they share.
func makeC(libraries ...string) func(context.Context, making) ([]string, error) {
	return func(ctx context.Context, m making) ([]string, error) {
		files, err := filepath.Glob(filepath.Join(m.source, "*.c"))
		if err != nil {
			return nil, err
		}
		compiler := os.Getenv("CC")
		if compiler == "" {
			compiler = "cc"
		}
		made := filepath.Join(m.temporary, "program")
		args := append([]string{"-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-pthread", "-o", made,
			filepath.Join(filepath.Dir(m.source), "c", "peer.c")}, files...)
		_, err = output(ctx, "", compiler, append(args, libraries...)...)
		return []string{made}, err
	}
}

// makeGo builds a program in Go, in whichever module it is.
func makeGo(ctx context.Context, m making) ([]string, error) {
	made := filepath.Join(m.temporary, "program")
	_, err := output(ctx, m.source, "go", "build", "-o", made, ".")
	return []string{made}, err
}

// makeRust builds a program in Rust; cargo keeps what it fetched and built.
func makeRust(ctx context.Context, m making) ([]string, error) {
	if _, err := exec.LookPath("cargo"); err != nil {
		return nil, err
	}
	_, err := output(ctx, m.source, "cargo", "build", "--release", "--quiet", "--locked", "--target-dir", m.cache)
	return []string{filepath.Join(m.cache, "release", filepath.Base(m.source))}, err
}

// makeJava compiles the folder's Java against an artifact, which Maven fetches once.
func makeJava(group, artifact, version string) func(context.Context, making) ([]string, error) {
	return func(ctx context.Context, m making) ([]string, error) {
		for _, tool := range []string{"java", "javac"} {
			if _, err := exec.LookPath(tool); err != nil {
				return nil, err
			}
		}
		jar := filepath.Join(m.cache, artifact+"-"+version+".jar")
		if _, err := os.Stat(jar); err != nil {
			if _, err := exec.LookPath("mvn"); err != nil {
				return nil, err
			}
			if _, err := output(ctx, m.temporary, "mvn", "--batch-mode", "--quiet",
				"org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
				"-Dartifact="+group+":"+artifact+":"+version, "-DoutputDirectory="+m.cache); err != nil {
				return nil, err
			}
		}
		files, err := filepath.Glob(filepath.Join(m.source, "*.java"))
		if err != nil {
			return nil, err
		}
		if _, err := output(ctx, "", "javac", append([]string{"-nowarn", "-cp", jar, "-d", m.temporary}, files...)...); err != nil {
			return nil, err
		}
		return []string{"java", "--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED", "--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED",
			"-cp", m.temporary + ":" + jar, "Peer"}, nil
	}
}
