// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/exchange"
	"dx/go/dx"
)

// axis is a key whose values make cells.
type axis struct {
	name string
	// shown says that tables tell cells apart by it anyway.
	shown bool
	set   func(r *reader, c *Cell, value any) error
}

// setting is an axis with the values of this file.
type setting struct {
	axis
	values []any // int64, float64, string, bool
}

func (s setting) label(value any) string {
	if f, ok := value.(float64); ok {
		return s.name + " " + strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(s.name, " ", value)
}

// field sets a field of the measurement that has the type of the value.
func field[T any](name string, shown bool, to func(*exchange.Config) *T) axis {
	return axis{name, shown, func(_ *reader, c *Cell, value any) error {
		return assign(reflect.ValueOf(to(&c.Config)).Elem(), value)
	}}
}

var measurementAxes = []axis{
	field("threads", true, func(c *exchange.Config) *int { return &c.Threads }),
	field("payload", true, func(c *exchange.Config) *int { return &c.Payload }),
	field("direction", true, func(c *exchange.Config) *string { return &c.Direction }),
	field("host", true, func(c *exchange.Config) *string { return &c.Host }),
	field("guest", true, func(c *exchange.Config) *string { return &c.Guest }),
	field("path", true, func(c *exchange.Config) *string { return &c.Path }),
	field("transport", true, func(c *exchange.Config) *string { return &c.Transport }),
	field("rate", true, func(c *exchange.Config) *float64 { return &c.RatePerS }),
	field("pace", false, func(c *exchange.Config) *string { return &c.Pace }),
	field("pin", false, func(c *exchange.Config) *string { return &c.Pin }),
	field("procs", false, func(c *exchange.Config) *int { return &c.Procs }),
	field("lock_os_thread", false, func(c *exchange.Config) *bool { return &c.LockOSThread }),
	field("verify", false, func(c *exchange.Config) *bool { return &c.Verify }),
}

// axes has the preset first: what follows changes it.
var axes = slices.Concat([]axis{{"preset", false, setPreset}}, waitAxes(), measurementAxes)

// waitAxes are the keys of a wait strategy, whatever they are.
func waitAxes() (list []axis) {
	wait := reflect.TypeFor[dx.Wait]()
	for i := range wait.NumField() {
		list = append(list, axis{wait.Field(i).Tag.Get("toml"), false,
			func(_ *reader, c *Cell, value any) error {
				return assign(reflect.ValueOf(&c.Config.Wait).Elem().Field(i), value)
			}})
	}
	return list
}

// Keys lists the keys that may be lists and ranges.
func Keys() (names []string) {
	for _, a := range axes {
		names = append(names, a.name)
	}
	return names
}

// setPreset takes the name of a preset, or a file beside the sweep file.
func setPreset(r *reader, c *Cell, value any) error {
	name, ok := value.(string)
	if !ok {
		return fmt.Errorf("%v is no name of a preset", value)
	}
	c.Preset = name
	if !slices.Contains(dx.PresetNames(), name) && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(r.path), name)
	}
	var err error
	c.Config.Wait, err = dx.LoadWait(name)
	return err
}

// assign puts a value of the file into a field, if it fits exactly.
func assign(to reflect.Value, value any) error {
	if named, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		name, ok := value.(string)
		if !ok {
			return fmt.Errorf("%v is no name", value)
		}
		return named.UnmarshalText([]byte(name))
	}
	number, isNumber := value.(int64)
	switch kind := to.Kind(); {
	case kind == reflect.Float64 && isNumber:
		to.SetFloat(float64(number))
	case to.CanInt() && isNumber && !to.OverflowInt(number):
		to.SetInt(number)
	case to.CanUint() && isNumber && number >= 0 && !to.OverflowUint(uint64(number)):
		to.SetUint(uint64(number))
	case to.Type() == reflect.TypeOf(value):
		to.Set(reflect.ValueOf(value))
	case to.CanInt() || to.CanUint():
		return fmt.Errorf("%v is no whole number that fits", value)
	default:
		return fmt.Errorf("%v is no %v", value, to.Type())
	}
	return nil
}

// readAxis takes a key that makes cells.
func (r *reader) readAxis(key string, value any) error {
	at := slices.IndexFunc(axes, func(a axis) bool { return a.name == key })
	if at < 0 {
		return errors.New("unknown key; there are: title, hypothesis, expect, compare, earlier, repeats, " +
			"duration, histograms, " + strings.Join(Keys(), ", "))
	}
	values, err := valuesOf(value)
	if err != nil {
		return err
	}
	s := setting{axes[at], values}
	for i, v := range s.values {
		if slices.Contains(s.values[:i], v) {
			return fmt.Errorf("%v stands there twice", v)
		}
		if err := s.set(r, &Cell{Config: r.base}, v); err != nil {
			return err
		}
	}
	r.axes = append(r.axes, s)
	return nil
}

// valuesOf returns the values of a scalar, a range or a list of both.
func valuesOf(value any) (values []any, err error) {
	switch value := value.(type) {
	case int64, float64, string, bool:
		return []any{value}, nil
	case map[string]any:
		values, err = rangeOf(value)
	case []map[string]any:
		for _, one := range value {
			more, err := rangeOf(one)
			if err != nil {
				return nil, err
			}
			values = append(values, more...)
		}
	case []any:
		for _, one := range value {
			if _, nested := one.([]any); nested {
				return nil, errors.New("a list within a list")
			}
			more, err := valuesOf(one)
			if err != nil {
				return nil, err
			}
			values = append(values, more...)
		}
	default:
		return nil, fmt.Errorf("%v is no value, list or range", value)
	}
	if err == nil && len(values) == 0 {
		err = errors.New("an empty list makes no cells")
	}
	if len(values) > valuesMax {
		err = fmt.Errorf("%d values, at most %d", len(values), valuesMax)
	}
	return values, err
}

// rangeOf expands { from, to, step } or { from, to, factor }.
func rangeOf(table map[string]any) (values []any, err error) {
	const form = "a range is { from = 1, to = 8, step = 1 } or { from = 1, to = 8, factor = 2 }"
	number := func(name string) float64 {
		switch n := table[name].(type) {
		case int64:
			return float64(n)
		case float64:
			return n
		}
		return math.NaN()
	}
	from, to, step, factor := number("from"), number("to"), number("step"), number("factor")
	growing := math.IsNaN(step)
	switch {
	case len(table) != 3 || math.IsNaN(from) || math.IsNaN(to) || growing == math.IsNaN(factor):
		return nil, errors.New(form)
	case from > to:
		return nil, fmt.Errorf("from %v is more than to %v", from, to)
	case !growing && !(step > 0):
		return nil, fmt.Errorf("step %v is not above 0", step)
	case growing && (!(factor > 1) || from <= 0):
		return nil, fmt.Errorf("factor %v must be above 1, and from %v above 0", factor, from)
	case math.IsInf(to, 1) || math.Abs(from) > 1<<53 || to > 1<<53:
		return nil, errors.New("a range of finite numbers below 2^53")
	}
	whole := isWhole(table["from"]) && isWhole(table["to"]) && (growing || isWhole(table["step"]))
	last := math.NaN()
	for i, x := 0, from; x <= to*(1+1e-12); i++ {
		if len(values) > valuesMax {
			return nil, fmt.Errorf("more than %d values", valuesMax)
		}
		switch {
		case !whole:
			values = append(values, x)
		case math.Round(x) != last: // factors such as 1.1 round to the same number
			last = math.Round(x)
			values = append(values, int64(last))
		}
		if x = from + step*float64(i+1); growing {
			x = from * math.Pow(factor, float64(i+1))
		}
	}
	return values, nil
}

func isWhole(value any) bool {
	_, ok := value.(int64)
	return ok
}
