// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"math"

	"dx/libdx"
)

// createPlaces makes a host with one channel for each of its guests.
func createPlaces(url string, guests int, config Config) ([]*Channel, error) {
	slots, err := toUint32("Slots", config.Slots)
	if err != nil {
		return nil, err
	}
	guestSlots, err := toUint32("GuestSlots", config.GuestSlots)
	if err != nil {
		return nil, err
	}
	places, err := toUint32("guests", guests)
	if err != nil {
		return nil, err
	}
	if config.RequestBytes < 0 || config.ResponseBytes < 0 {
		return nil, newError(libdx.ErrInvalid, "capacities of %d and %d bytes: they cannot be negative",
			config.RequestBytes, config.ResponseBytes)
	}
	first, err := newChannel(config.Options)
	if err != nil {
		return nil, err
	}
	wait := libdx.WaitOf(first.wait)
	raws, err := libdx.CreatePlaces(url, places, slots, guestSlots, uint64(config.RequestBytes),
		uint64(config.ResponseBytes), &wait)
	if err != nil {
		return nil, ours(err)
	}
	channels := make([]*Channel, len(raws))
	var shared *doorbell
	for i, raw := range raws {
		ch := &Channel{raw: raw, wait: first.wait, path: first.path, sleep: first.sleep,
			slowFence: first.slowFence}
		channels[i] = ch.ready(shared)
		shared = ch.doorbell
	}
	return channels, nil
}

func toUint32(name string, value int) (uint32, error) {
	if value < 0 || int64(value) > math.MaxUint32 {
		return 0, newError(libdx.ErrInvalid, "%s is %d: it cannot be", name, value)
	}
	return uint32(value), nil
}
