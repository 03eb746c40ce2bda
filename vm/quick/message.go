// SPDX-License-Identifier: Apache-2.0

package quick

// The host and the guest's init talk on the signal line, one JSON object a line.

// order is what the host tells the init.
type order struct {
	ID   int      `json:"id,omitempty"` // of the command that is meant
	Run  []string `json:"run,omitempty"`
	Env  []string `json:"env,omitempty"`
	In   []byte   `json:"in,omitempty"`   // for the command's standard input
	Kill int      `json:"kill,omitempty"` // a signal for the command; answered by Sent
	Off  bool     `json:"off,omitempty"`  // power off
}

// news is what the init tells the host.
type news struct {
	ID    int    `json:"id,omitempty"`
	Ready bool   `json:"ready,omitempty"` // the guest can take orders
	Out   []byte `json:"out,omitempty"`   // the command said this on its standard output
	Err   []byte `json:"err,omitempty"`   // or on its standard error
	Sent  bool   `json:"sent,omitempty"`  // the signal was sent; the command has stopped if it was SIGSTOP
	Ended bool   `json:"ended,omitempty"`
	Fail  string `json:"fail,omitempty"` // how it ended, if not with exit code 0
}

// Places in the guest.
const (
	// Self is the guest's path of the program that called Boot, or of Config.Program: it is also the
	// guest's init.
	Self       = "/init"
	modulesDir = "/modules"
	// initEnv is set, by the kernel's command line, for the init alone.
	initEnv = "DX_QUICK_INIT"
)
