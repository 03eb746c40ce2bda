// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"dx/experiments/internal/exchange"
)

// expand makes all combinations; the last key of the file varies fastest.
func (r *reader) expand() error {
	total := 1
	for _, s := range r.axes {
		if total *= len(s.values); total > CellsMax {
			return r.fail(s.name, fmt.Errorf("more than %d cells with the keys before", CellsMax))
		}
	}
	for number := range total {
		cell, err := r.cell(number, total)
		if err != nil {
			return err
		}
		r.file.Cells = append(r.file.Cells, cell)
	}
	return nil
}

// cell is combination `number`.
func (r *reader) cell(number, total int) (Cell, error) {
	c := Cell{Name: r.file.Name, Preset: "balanced", Config: r.base}
	chosen := map[string]any{}
	var variant, all []string
	for _, s := range r.axes {
		total /= len(s.values)
		value := s.values[number/total%len(s.values)]
		chosen[s.name] = value
		if len(s.values) == 1 {
			continue
		}
		all = append(all, s.label(value))
		if !s.shown {
			variant = append(variant, s.label(value))
		}
	}
	for _, a := range axes { // the preset first
		if value, given := chosen[a.name]; given {
			if err := a.set(r, &c, value); err != nil {
				return c, r.fail(a.name, err)
			}
		}
	}
	_, minGiven := chosen["spin_min"]
	_, startGiven := chosen["spin_start"]
	exchange.FitSpin(&c.Config.Wait, minGiven, startGiven)
	if err := c.Config.Check(); err != nil {
		return c, r.impossible(err, all)
	}
	c.Variant = strings.Join(variant, ", ")
	c.Key = c.key()
	return c, nil
}

// impossible blames the key that the error is about, or if that is not in the
// file, the last one that is.
func (r *reader) impossible(err error, combination []string) error {
	blamed := ""
	field, ok := errors.AsType[*exchange.FieldError](err)
	for _, s := range r.axes {
		if ok && s.name == field.Field || !ok && strings.Contains(err.Error(), ": "+s.name+" is ") {
			blamed = s.name
		}
	}
	for _, s := range r.axes { // such as a path that is wrong only for these languages
		if blamed == "" && ok && strings.Contains(field.Text, s.name) {
			blamed = s.name
		}
	}
	if blamed == "" {
		blamed = r.keys[len(r.keys)-1]
	}
	if ok && field.Field == blamed {
		err = errors.New(field.Text)
	}
	if len(combination) > 0 {
		err = fmt.Errorf("%w (with %s)", err, strings.Join(combination, ", "))
	}
	return r.fail(blamed, err)
}

// Parameters returns what makes the cell, by the keys of the file, as text; those
// of the whole file are left out.
func (c Cell) Parameters() map[string]string {
	list := map[string]string{}
	wait := reflect.ValueOf(c.Config.Wait)
	for i := range wait.NumField() {
		list[wait.Type().Field(i).Tag.Get("toml")] = fmt.Sprint(wait.Field(i))
	}
	for name, value := range map[string]any{
		"threads": c.Config.Threads, "payload": c.Config.Payload, "direction": c.Config.Direction, "host": c.Config.Host, "guest": c.Config.Guest,
		"path": c.Config.Path, "transport": c.Config.Transport, "rate": c.Config.RatePerS, "pace": c.Config.Pace,
		"pin": c.Config.Pin, "procs": c.Config.Procs, "lock_os_thread": c.Config.LockOSThread, "verify": c.Config.Verify,
	} {
		list[name] = fmt.Sprint(value)
	}
	return list
}
