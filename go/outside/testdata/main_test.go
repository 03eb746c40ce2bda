// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"time"
)

func TestShoutAndCarry(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if text, err := shout(ctx, "hello"); text != "HELLO" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := carry(ctx, "unix:"+t.TempDir()+"/s", "text"); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
