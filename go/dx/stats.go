// SPDX-License-Identifier: Apache-2.0

package dx

import "dx/libdx"

// Stats are the counters of dx_stats.h. A wait is counted by the phase that ended it; the waits of a
// [Stream] are added when it ends.
type Stats struct {
	Calls         uint64 // answered calls, of servers calls served
	RequestBytes  uint64 // payload only
	ResponseBytes uint64 // payload only
	Looks         uint64 // at the awaited word, or rounds over the slots
	Spin          uint64 // waits that ended while spinning
	Yield         uint64 // waits that ended after a yield and before a park
	Park          uint64 // waits that ended after a park was begun
	Errors        uint64 // calls that failed, timeouts included
	Timeouts      uint64 // calls that failed with ErrTimeout or ErrNoPeer
	Parks         uint64 // sleeps begun; one wait may need several
	ParkNs        uint64 // time asleep
	Spurious      uint64 // sleeps that a ring ended, and nothing had come
	Rings         uint64 // system calls made to wake the other side
	Rescued       uint64 // answers found when a sleep timed out; 0 except after a race
	Yields        uint64 // yields; includes those that Burst forces
	SpinLimit     uint64 // gauge: the spin limit now, in looks; of several, the largest
}

// StatsOf says whose counters: all callers or all serving threads of one side.
type StatsOf int

// The values.
const (
	HostCallers  StatsOf = libdx.StatsHostCallers
	GuestServers StatsOf = libdx.StatsGuestServers
	GuestCallers StatsOf = libdx.StatsGuestCallers
	HostServers  StatsOf = libdx.StatsHostServers
)

// Stats sums the counters of a kind. They lie in the region, so that both sides
// and observers can read them all.
func (ch *Channel) Stats(of StatsOf) (Stats, error) {
	if err := ch.enter(); err != nil {
		return Stats{}, err
	}
	defer func() { _ = ch.leave() }()
	raw, err := ch.raw.ReadStats(int(of))
	return Stats(raw), ours(err)
}

// SlotStats returns the counters of the caller that holds a slot.
func (ch *Channel) SlotStats(slot int) (Stats, error) {
	if err := ch.enter(); err != nil {
		return Stats{}, err
	}
	defer func() { _ = ch.leave() }()
	raw, err := ch.raw.ReadSlotStats(uint32(slot))
	return Stats(raw), ours(err)
}

// RegionBytes is the size of the shared region, also after Close.
func (ch *Channel) RegionBytes() uint64 { return ch.bytes }

// FD is the region's descriptor: a host passes it to the guest of a memfd:
// region. It belongs to the channel, so that it must not be used beside or after
// Close, when its number may be another file's; from then on FD returns -1.
func (ch *Channel) FD() int {
	if ch.enter() != nil {
		return -1
	}
	defer func() { _ = ch.leave() }()
	return ch.raw.FD()
}

// Observer reads the counters of a region as a third process.
type Observer struct{ ch *Channel }

// Observe maps the region read-only. It takes no lock and writes nothing, and
// works on the region of a dead host as well.
func Observe(url string) (*Observer, error) {
	raw, err := libdx.Observe(url)
	if err != nil {
		return nil, ours(err)
	}
	return &Observer{&Channel{raw: raw}}, nil
}

// Stats sums the counters of a kind.
func (o *Observer) Stats(of StatsOf) (Stats, error) { return o.ch.Stats(of) }

// Close ends the observation. It may be called again.
func (o *Observer) Close() error {
	o.ch.mu.Lock()
	defer o.ch.mu.Unlock()
	o.ch.closing = true
	return o.ch.unmapIfUnused()
}
