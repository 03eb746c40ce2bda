// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Given returns a cloud image of the user's: a file, qcow2 or raw, or a http or https URL of one,
// which is downloaded to the cache folder once.
func Given(ctx context.Context, cache, from string, p Progress) (Image, error) {
	file := from
	if at, err := url.Parse(from); err == nil && (at.Scheme == "http" || at.Scheme == "https") {
		if file, err = download(ctx, cache, at, p); err != nil {
			return Image{}, fmt.Errorf("image %s: %w", from, err)
		}
	}
	image, err := inspect(ctx, file)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", from, err)
	}
	return image, nil
}

// inspect asks qemu-img what a file is. An image that is the overlay of another one is refused: it
// could name any file of ours as its base.
func inspect(ctx context.Context, file string) (Image, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Image{}, err
	}
	if s, err := os.Stat(file); err != nil {
		return Image{}, err
	} else if !s.Mode().IsRegular() {
		return Image{}, errors.New("is no regular file")
	}
	var out bytes.Buffer
	if err := run(ctx, job{args: []string{"qemu-img", "info", "--force-share", "--output=json", file}, stdout: &out}); err != nil {
		return Image{}, err
	}
	var info struct {
		Format  string `json:"format"`
		Bytes   int64  `json:"virtual-size"`
		Backing string `json:"backing-filename"`
	}
	if err := json.Unmarshal(out.Bytes(), &info); err != nil {
		return Image{}, fmt.Errorf("qemu-img info: %w", err)
	}
	switch {
	case info.Format != "qcow2" && info.Format != "raw":
		return Image{}, fmt.Errorf("format %s: only qcow2 and raw boot here", info.Format)
	case info.Backing != "":
		return Image{}, fmt.Errorf("it is an overlay of %s; \"qemu-img convert -O qcow2\" makes a whole one of it", info.Backing)
	case info.Format == "raw" && !hasPartitions(file):
		return Image{}, errors.New("neither qcow2 nor a raw disk with a partition table")
	}
	return Image{Disk: file, Format: info.Format, Bytes: info.Bytes}, nil
}

// hasPartitions looks for the last two bytes of a boot sector, which GPT disks have, too: to
// qemu-img whatever it does not know is a raw disk.
func hasPartitions(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var sector [512]byte
	_, err = io.ReadFull(f, sector[:])
	return err == nil && sector[510] == 0x55 && sector[511] == 0xaa
}

// download returns the file of a URL. It appears under its name when it is whole.
func download(ctx context.Context, cache string, from *url.URL, p Progress) (string, error) {
	sum := sha256.Sum256([]byte(from.String()))
	name := "given-" + hex.EncodeToString(sum[:6]) + "-" + safeName(path.Base(from.Path))
	file := filepath.Join(cache, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	unlock, err := lockCache(ctx, cache, p)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(file); err == nil {
		return file, nil // somebody else was faster
	}
	if err := sweepCache(cache); err != nil {
		return "", err
	}
	out, err := os.CreateTemp(cache, unfinished)
	if err != nil {
		return "", err
	}
	err = fetch(ctx, from, out, p)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(out.Name(), file)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return "", err
	}
	return file, nil
}

func fetch(ctx context.Context, from *url.URL, out io.Writer, p Progress) error {
	p.Step("downloading "+path.Base(from.Path), 0)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server says %s", answer.Status)
	}
	counted := &countingReader{from: answer.Body, total: answer.ContentLength, progress: p}
	n, err := io.Copy(out, counted)
	if err == nil && answer.ContentLength >= 0 && n != answer.ContentLength {
		err = fmt.Errorf("%d bytes came of %d", n, answer.ContentLength)
	}
	return err
}

// countingReader tells the progress of a download a few times a second.
type countingReader struct {
	from        io.Reader
	done, total int64
	progress    Progress
	told        time.Time
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.done += int64(n)
	if c.total > 0 && time.Since(c.told) > 200*time.Millisecond {
		c.told = time.Now()
		c.progress.Done(float64(c.done) / float64(c.total))
	}
	return n, err
}

// safeName keeps what a file name may consist of.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, name)
}
