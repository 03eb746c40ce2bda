// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include "wait_fields.h"

// Go sees no size of the table.
static const struct dx_wait_field *wait_field(unsigned i) { return &dx_wait_fields[i]; }
*/
import "C"

import (
	"fmt"
	"reflect"
)

// Wait is struct dx_wait.
type Wait struct{ raw C.struct_dx_wait }

func (w *Wait) c() *C.struct_dx_wait { return &w.raw }

// eachField calls f with each field of a strategy that is written down in a struct of another type,
// such as dx.Wait, and with its row in the library. The tag toml of a field is its name in C.
func eachField(strategy reflect.Value, f func(value reflect.Value, row *C.struct_dx_wait_field)) {
	for i := range strategy.NumField() {
		name := strategy.Type().Field(i).Tag.Get("toml")
		row := C.uint(0)
		for row < C.dx_wait_field_count && C.GoString(C.wait_field(row).name) != name {
			row++
		}
		if row == C.dx_wait_field_count {
			panic(fmt.Sprintf("libdx: struct dx_wait has no field %q", name))
		}
		f(strategy.Field(i), C.wait_field(row))
	}
}

// WaitOf returns a strategy that is written down in such a struct.
func WaitOf(strategy any) (w Wait) {
	eachField(reflect.ValueOf(strategy), func(value reflect.Value, row *C.struct_dx_wait_field) {
		C.dx_wait_field_set(row, &w.raw, C.int64_t(value.Convert(reflect.TypeFor[int64]()).Int()))
	})
	return w
}

// CopyTo sets the struct to which strategy points.
func (w Wait) CopyTo(strategy any) {
	eachField(reflect.ValueOf(strategy).Elem(), func(value reflect.Value, row *C.struct_dx_wait_field) {
		value.Set(reflect.ValueOf(int64(C.dx_wait_field_get(row, &w.raw))).Convert(value.Type()))
	})
}
