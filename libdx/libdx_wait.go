// SPDX-License-Identifier: Apache-2.0

package libdx

import "reflect"

// Wait is struct dx_wait, field by field.
type Wait struct {
	SpinMin, SpinMax, SpinStart uint32
	SpinInc, SpinDec            uint32
	YieldEvery, Burst           uint32
	Relax, Park, Adapt          uint32
	ParkTimeoutNs, PollNs       int64
	PeerTimeoutNs               int64
	reserved                    [3]uint64
}

// WaitOf returns a strategy that is written down in a struct of another type, such as dx.Wait, whose
// fields have the names of ours.
func WaitOf(strategy any) (w Wait) {
	from, to := reflect.ValueOf(strategy), reflect.ValueOf(&w).Elem()
	for i := range from.NumField() {
		field := to.FieldByName(from.Type().Field(i).Name)
		field.Set(from.Field(i).Convert(field.Type()))
	}
	return w
}

// CopyTo sets the struct to which strategy points, as WaitOf reads it.
func (w Wait) CopyTo(strategy any) {
	from, to := reflect.ValueOf(w), reflect.ValueOf(strategy).Elem()
	for i := range to.NumField() {
		field := to.Field(i)
		field.Set(from.FieldByName(to.Type().Field(i).Name).Convert(field.Type()))
	}
}
