// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dx/vm/machine"
)

// trialTime is how long a guest may take to show that an accelerator runs it. Translated code
// takes some three seconds, so that what is slower is nothing that we want.
const trialTime = 6 * time.Second

// verdict is what a trial found, for as long as this machine is not booted anew.
type verdict struct {
	Boot  string        `json:"boot"`
	Wish  string        `json:"wish"` // of machine.AccelEnv
	Accel machine.Accel `json:"accelerator"`
	Why   string        `json:"why"`
}

// Accelerator returns the best accelerator that boots a quick guest of this machine's architecture here,
// and why it is that one. The trial takes seconds where the accelerator does not work, so its verdict
// is kept until the machine is booted again. say, which may be nil, is told before.
func Accelerator(ctx context.Context, say func(string)) (machine.Accel, string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", "", err
	}
	kept := filepath.Join(cache, "accelerator.json")
	this := verdict{Boot: bootID(), Wish: os.Getenv(machine.AccelEnv)}
	if old, ok := readVerdict(kept); ok && old.Boot == this.Boot && old.Wish == this.Wish {
		return old.Accel, old.Why, nil
	}
	this.Accel, this.Why, err = machine.Choose(ctx, func(ctx context.Context, a machine.Accel) error {
		return trial(ctx, a, say)
	})
	if err != nil {
		return "", "", err
	}
	if this.Boot != "" {
		keepVerdict(kept, this)
	}
	return this.Accel, this.Why, nil
}

func trial(ctx context.Context, accel machine.Accel, say func(string)) error {
	if _, err := FindKernel(ctx, machine.HostArch(), say); err != nil { // which may take longer than a trial
		return err
	}
	if say != nil {
		say(fmt.Sprintf("trying whether %s runs a guest here (once, up to %v)", accel, trialTime))
	}
	limited, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	g, err := Boot(limited, Config{Accel: accel})
	if err != nil {
		if limited.Err() != nil {
			return errors.New("none was ready after " + trialTime.String())
		}
		return err
	}
	g.Kill()
	return nil
}

func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(text)
}

func readVerdict(path string) (v verdict, ok bool) {
	text, err := os.ReadFile(path)
	return v, err == nil && json.Unmarshal(text, &v) == nil && v.Accel != ""
}

// keepVerdict leaves no verdict if it cannot: then the next one tries again.
func keepVerdict(path string, v verdict) {
	text, err := json.Marshal(v)
	if err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), "accelerator-")
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if closeErr := f.Close(); err == nil && closeErr == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
