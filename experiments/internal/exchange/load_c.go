// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"dx/experiments/internal/cload"
	"dx/go/dx"
)

// cLoad calls from C threads.
type cLoad struct {
	host    *cload.Host
	where   string
	threads int
}

func (l *cLoad) url() string                         { return l.where }
func (l *cLoad) fd() int                             { return l.host.FD() }
func (l *cLoad) park() dx.Park                       { return dx.Park(l.host.Park()) }
func (l *cLoad) open(payload int, verify bool) error { return l.host.Open(payload, verify) }
func (l *cLoad) stop()                               { l.host.Stop() }
func (l *cLoad) close() error                        { return l.host.Close() }
func (l *cLoad) stats(of dx.StatsOf) dx.Stats        { return l.host.Stats(int(of)) }

func (l *cLoad) slice(of stretch) (slice, error) {
	room := 0
	var schedule *cload.Schedule
	switch {
	case of.open != nil:
		o := of.open
		room = int(o.end-o.first)/l.threads + 1
		schedule = &cload.Schedule{RatePerS: o.ratePerS, Begin: o.begin, First: o.first, End: o.end,
			Spin: o.spin, Longest: o.longest, NoCalls: o.noCalls}
	case of.timed:
		room = samplesKept / l.threads
	}
	counts, elapsed, err := l.host.Slice(of.d, room, schedule)
	if err != nil {
		return slice{}, err
	}
	s := newSlice(of)
	s.elapsed = elapsed
	for _, c := range counts {
		s.add(c)
	}
	return s, nil
}
