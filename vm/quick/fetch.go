// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fetchKernel unpacks Debian's cloud kernel, which is small and has what virtual machines need, into a
// folder, by apt as it is set up here. Nothing is installed. If the package lists of the system are
// missing, old or of another architecture, it fetches its own.
func fetchKernel(ctx context.Context, folder, debian string, say func(string)) error {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not here, which would fetch it", tool)
		}
	}
	say("fetching Debian's cloud kernel for the guest (some 25 MB, once)")
	err := download(ctx, folder, debian, nil)
	if err != nil && ctx.Err() == nil {
		private, listErr := privateLists(ctx, filepath.Join(folder, "apt"), debian)
		if listErr != nil {
			return errors.Join(err, listErr)
		}
		err = download(ctx, folder, debian, private)
	}
	if err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(folder, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("apt-get fetched %d packages, not 1", len(packages))
	}
	_, err = output(ctx, folder, "dpkg-deb", "-x", packages[0], folder)
	return err
}

// privateLists makes apt work in a folder of ours, and returns the options for that.
func privateLists(ctx context.Context, folder, debian string) ([]string, error) {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o700); err != nil {
			return nil, err
		}
	}
	options := []string{"-o", "Dir::State::lists=" + filepath.Join(folder, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(folder, "cache"), "-o", "APT::Sandbox::User=",
		// As if nothing were installed on a machine of that architecture.
		"-o", "Dir::State::status=/dev/null", "-o", "APT::Architecture=" + debian, "-o", "APT::Architectures=" + debian}
	_, err := output(ctx, folder, "apt-get", append(options, "update")...)
	return options, err
}

func download(ctx context.Context, folder, debian string, options []string) error {
	// It depends on the current kernel of its kind.
	latest := "linux-image-cloud-" + debian + ":" + debian
	list, err := output(ctx, folder, "apt-cache", append(options, "depends", latest)...)
	if err != nil {
		return err
	}
	name := dependency(list)
	if name == "" {
		return fmt.Errorf("apt-cache knows no kernel behind %s", latest)
	}
	// As root, apt would give itself up to a user who may not write here.
	_, err = output(ctx, folder, "apt-get", append(options, "-o", "APT::Sandbox::User=", "download", name)...)
	return err
}

// dependency finds the package with the kernel in what apt-cache depends says.
func dependency(list string) string {
	for line := range strings.Lines(list) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if found && strings.HasPrefix(name, "linux-image-") {
			return name
		}
	}
	return ""
}

// output runs a command whose error text is for people.
func output(ctx context.Context, folder, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// modified is when a file was last changed; the zero time if it is not there.
func modified(path string) time.Time {
	s, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return s.ModTime()
}
