// SPDX-License-Identifier: Apache-2.0

// Package peer starts this program again as something else: a guest beside us or in a virtual
// machine, a channel that lies idle, a process of a soak. Such a program, and the TestMain of its
// tests, begins with Become.
package peer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"dx/vm/quick"
)

// roleEnv makes this program what it names; what that is told stands after it, as JSON.
const roleEnv = "DX_ROLE"

var roles = map[string]func(text []byte) error{}

// Role is what a process can be; C is what it is told.
type Role[C any] struct{ name string }

// Of declares a role. An error of main is said on standard error and makes the exit code 1.
func Of[C any](name string, main func(C) error) Role[C] {
	roles[name] = func(text []byte) error {
		var c C
		if err := json.Unmarshal(text, &c); err != nil {
			return fmt.Errorf("%s: %w", roleEnv, err)
		}
		return main(c)
	}
	return Role[C]{name}
}

// Become makes this process what it was started as, and then does not return. In a process that
// nobody started so, it does nothing.
func Become() {
	quick.Init()
	name, text, found := strings.Cut(os.Getenv(roleEnv), " ")
	if !found {
		return
	}
	signal.Ignore(os.Interrupt) // whoever started us ends us
	err := fmt.Errorf("%s: no such role in this program", roleEnv)
	if main := roles[name]; main != nil {
		err = main([]byte(text))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Variable is the setting of the environment that makes this program that role.
func (r Role[C]) Variable(c C) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // cannot be: what a role is told is plain data that was checked
	}
	return roleEnv + "=" + r.name + " " + string(text)
}

// Command is a process with that role beside us, not started yet.
func (r Role[C]) Command(c C) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), r.Variable(c))
	cmd.Stderr = os.Stderr
	return cmd, nil
}
