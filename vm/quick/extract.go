// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
)

// Offsets in a bzImage, by the kernel's Documentation/arch/x86/boot.rst.
const (
	setupSectorsAt  = 0x1f1
	magicAt         = 0x202
	payloadOffsetAt = 0x248
	payloadLengthAt = 0x24c
	headerBytes     = 0x250
	sectorBytes     = 512
	vmlinuxMax      = 1 << 28
)

var (
	lz4Legacy = []byte{0x02, 0x21, 0x4c, 0x18}
	elfMagic  = []byte("\x7fELF")
)

// vmlinux takes the kernel proper out of a bzImage, which saves the guest half a second of
// unpacking it in translated code. It knows LZ4, which is what Debian's cloud kernels use; other
// images are booted as they are.
func vmlinux(image []byte) ([]byte, error) {
	if len(image) < headerBytes || string(image[magicAt:magicAt+4]) != "HdrS" {
		return nil, errors.New("this is no bzImage")
	}
	sectors := int(image[setupSectorsAt])
	if sectors == 0 {
		sectors = 4
	}
	begin := uint64(sectors+1)*sectorBytes + uint64(binary.LittleEndian.Uint32(image[payloadOffsetAt:]))
	length := uint64(binary.LittleEndian.Uint32(image[payloadLengthAt:]))
	if begin+length > uint64(len(image)) || length < 8 {
		return nil, errors.New("the bzImage is cut off")
	}
	payload := image[begin : begin+length]
	if !bytes.HasPrefix(payload, lz4Legacy) {
		return nil, errors.New("the kernel is not compressed by LZ4")
	}
	// The last four bytes are the length of what is inside.
	want := binary.LittleEndian.Uint32(payload[length-4:])
	kernel, err := io.ReadAll(io.LimitReader(lz4.NewReader(bytes.NewReader(payload[:length-4])), vmlinuxMax))
	if err != nil {
		return nil, fmt.Errorf("unpacking the kernel: %w", err)
	}
	if len(kernel) != int(want) || !bytes.HasPrefix(kernel, elfMagic) {
		return nil, fmt.Errorf("unpacking the kernel gave %d bytes that are not the %d of an ELF file",
			len(kernel), want)
	}
	return kernel, nil
}
