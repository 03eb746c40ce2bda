// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// User is who logs in to the guest.
const User = "dx"

// Seed is what cloud-init is told about one guest.
type Seed struct {
	Name       string // of the host, and with Instance of the instance
	Instance   string // what differs at each start
	PublicKey  string // lets the user in
	HostKey    string // the guest's own key, private part; made here, so that we know whom we talk to
	HostPublic string
	// Packages are installed by the guest itself, and it says that it is ready when they are there.
	Packages []string
}

// Packages returns what a given image lacks, and nil for a built one.
func (i Image) Packages() []string {
	if i.Built {
		return nil
	}
	return wanted
}

// deviceRule lets the user map the ivshmem device, whose sysfs files are root's. It changes nobody
// else's rights.
const deviceRule = `ACTION=="add|change", SUBSYSTEM=="pci", ATTR{vendor}=="0x1af4", ATTR{device}=="0x1110", ` +
	`RUN+="/bin/sh -c 'chgrp ` + User + ` /sys%p/resource* && chmod g+rw /sys%p/resource*'"` + "\n"

// applyRule makes udev use the rule for a device that is there already.
const applyRule = "udevadm control --reload; udevadm trigger --settle --subsystem-match=pci --action=change"

type writeFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

type seedUser struct {
	Name  string   `json:"name"`
	Shell string   `json:"shell"`
	Sudo  string   `json:"sudo"`
	Lock  bool     `json:"lock_passwd"`
	Keys  []string `json:"ssh_authorized_keys"`
}

type userData struct {
	Hostname    string            `json:"hostname"`
	ManageHosts bool              `json:"manage_etc_hosts"`
	Locale      string            `json:"locale"`
	DeleteKeys  bool              `json:"ssh_deletekeys"`
	KeyTypes    []string          `json:"ssh_genkeytypes"`
	Keys        map[string]string `json:"ssh_keys"`
	Users       []seedUser        `json:"users"`
	Files       []writeFile       `json:"write_files"`
	Run         [][]string        `json:"runcmd,omitempty"`
	Update      bool              `json:"package_update,omitempty"`
	Packages    []string          `json:"packages,omitempty"`
}

// userData is cloud-config as JSON, which is YAML, so that no value needs thought.
func (s Seed) userData() ([]byte, error) {
	d := userData{
		Hostname: s.Name, ManageHosts: true, Locale: "C.UTF-8",
		// The keys of an image that many start from prove nothing; slow to make, ours come along.
		DeleteKeys: true, KeyTypes: []string{"ed25519"},
		Keys:  map[string]string{"ed25519_private": s.HostKey, "ed25519_public": s.HostPublic},
		Users: []seedUser{{User, "/bin/bash", "ALL=(ALL) NOPASSWD:ALL", true, []string{strings.TrimSpace(s.PublicKey)}}},
		Files: []writeFile{{"/etc/udev/rules.d/80-dx-ivshmem.rules", deviceRule}},
	}
	if len(s.Packages) > 0 {
		d.Update, d.Packages = true, s.Packages
		d.Run = append(d.Run, []string{"sh", "-c", fmt.Sprintf(
			"%s; if dpkg -s %s >/dev/null 2>&1; then echo %s; else echo %s; fi >/dev/ttyS1",
			applyRule, strings.Join(s.Packages, " "), Ready, Incomplete)})
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append([]byte("#cloud-config\n"), append(text, '\n')...), err
}

// metaData has an instance that differs at each start: cloud-init does its work once for each.
func (s Seed) metaData() ([]byte, error) {
	text, err := json.Marshal(map[string]string{"instance-id": s.Name + "-" + s.Instance, "local-hostname": s.Name})
	return append(text, '\n'), err
}

// Write makes the disk at path on which cloud-init looks for its data (NoCloud). The files beside
// it that it is made of are removed.
func (s Seed) Write(ctx context.Context, path string) error {
	user, err := s.userData()
	if err != nil {
		return err
	}
	meta, err := s.metaData()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), "seed-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for name, data := range map[string][]byte{"user-data": user, "meta-data": meta} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			return err
		}
	}
	err = run(ctx, job{args: []string{"genisoimage", "-quiet", "-volid", "cidata", "-joliet", "-rock",
		"-output", path, folder}})
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return os.Chmod(path, 0o600)
}

// Overlay makes the disk that one guest writes to, of so many bytes or as large as the image if
// that is larger.
func (i Image) Overlay(ctx context.Context, path string, bytes int64) error {
	err := run(ctx, job{args: []string{"qemu-img", "create", "-q", "-f", "qcow2", "-b", i.Disk, "-F", i.Format,
		path, fmt.Sprint(max(bytes, i.Bytes))}})
	if err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	return os.Chmod(path, 0o600)
}
