// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"dx/vm/machine"
)

// RegionFile tells the file that we made from whatever else is at its path.
type RegionFile struct {
	Path   string `json:"path,omitempty"`
	Making string `json:"making,omitempty"` // the name it has until it is known by its inode
	Device uint64 `json:"device,omitempty"`
	Inode  uint64 `json:"inode,omitempty"`
}

// make makes the region's file. It is recorded by save under a name that nobody else uses before
// it is there, by its inode before it gets its own name, and gets that only if nothing has it: so
// a kill at any point leaves nothing unknown, and nothing existing is touched.
func (r *RegionFile) make(bytes int64, save func() error) (machine.Region, error) {
	if err := save(); err != nil {
		return machine.Region{}, err
	}
	region, err := machine.CreateRegion(r.Making, bytes)
	if err != nil {
		return machine.Region{}, err
	}
	if r.Device, r.Inode, err = inodeOf(r.Making); err != nil {
		return machine.Region{}, err
	}
	if err := save(); err != nil {
		return machine.Region{}, err
	}
	err = os.Link(r.Making, r.Path)
	if errors.Is(err, fs.ErrExist) {
		if s, err := os.Lstat(r.Path); err == nil {
			return machine.Region{}, &existsError{r.Path, s}
		}
	}
	if err != nil {
		return machine.Region{}, fmt.Errorf("region: %w", err)
	}
	region.Path = r.Path
	return region, os.Remove(r.Making)
}

// remove removes what make has made, as far as it came.
func (r RegionFile) remove() error {
	if r.Making != "" {
		if err := os.Remove(r.Making); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("region: %w", err)
		}
	}
	if r.Inode == 0 {
		return nil
	}
	device, inode, err := inodeOf(r.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (device != r.Device || inode != r.Inode) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(r.Path)
}

func inodeOf(path string) (device, inode uint64, err error) {
	s, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	stat := s.Sys().(*syscall.Stat_t)
	return uint64(stat.Dev), stat.Ino, nil
}
