// SPDX-License-Identifier: Apache-2.0

package stat

import (
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Encode returns the whole histogram as text, in the compressed form that tools
// for HDR histograms read: a few hundred bytes for round trips that are alike.
func (l *Latency) Encode() (string, error) {
	text, err := l.histogram.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("histogram: %w", err)
	}
	return string(text), nil
}

// DecodeLatency returns what Encode wrote. Times are then those of the
// histogram: to three significant digits, the longest included.
func DecodeLatency(text string) (*Latency, error) {
	histogram, err := hdr.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	l := NewLatency()
	if lost := l.histogram.Merge(histogram); lost != 0 {
		return nil, fmt.Errorf("histogram: %d times are beyond %d ns", lost, highestNs)
	}
	l.count, l.maxNs = uint64(histogram.TotalCount()), histogram.Max()
	return l, nil
}
