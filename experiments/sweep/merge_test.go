// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shardLogs measures 22 runs in 3 shards.
func shardLogs(t *testing.T) (logs []string) {
	t.Helper()
	files := grids(t)
	for shard := 1; shard <= 3; shard++ {
		log := filepath.Join(t.TempDir(), "log.jsonl")
		c := mustParse(t, append(files, "-log", log, "-shard", fmt.Sprintf("%d/3", shard))...)
		if code := measureAll(context.Background(), c, (&fake{}).measure); code != 0 {
			t.Fatal(code)
		}
		logs = append(logs, log)
	}
	return logs
}

func TestMergedShardsAreTheWholeSweep(t *testing.T) {
	logs := shardLogs(t)
	all := filepath.Join(t.TempDir(), "all.jsonl")
	if err := mergeLogs(all, logs); err != nil {
		t.Fatal(err)
	}
	wantComplete(t, all, 22)
	if err := mergeLogs(all, append(logs, all)); err != nil { // everything is there already
		t.Fatal(err)
	}
	wantComplete(t, all, 22)
}

func TestMergeLeavesOutHalfALineAndKeepsTheRest(t *testing.T) {
	logs := shardLogs(t)
	cut(t, logs[2], 10)
	all := filepath.Join(t.TempDir(), "all.jsonl")
	if err := mergeLogs(all, logs); err != nil {
		t.Fatal(err)
	}
	wantComplete(t, all, 21)
}

func TestContradictionsAreRefusedAndNothingIsMerged(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"another result":     {`"ops":1,`, `"ops":999,`, "two different results of run"},
		"another parameter":  {`"burst":16`, `"burst":17`, "call different parameters cell"},
		"not of a sweep":     {`"cell_key"`, `"no_key"`, "no cell_key"},
		"no line of results": {"\n", "\nnonsense\n", ":2: "},
	} {
		t.Run(name, func(t *testing.T) {
			logs := shardLogs(t)
			data, err := os.ReadFile(logs[0])
			if err != nil {
				t.Fatal(err)
			}
			odd := filepath.Join(t.TempDir(), "odd.jsonl")
			if err := os.WriteFile(odd, bytes.Replace(data, []byte(c.from), []byte(c.to), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			all := filepath.Join(t.TempDir(), "all.jsonl")
			if err := mergeLogs(all, logs[:1]); err != nil {
				t.Fatal(err)
			}
			before := len(counted(t, all))
			err = mergeLogs(all, []string{logs[1], odd})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), odd) {
				t.Errorf("error %v does not say %q and the file", err, c.want)
			}
			if after := len(counted(t, all)); after != before {
				t.Errorf("%d results became %d", before, after)
			}
		})
	}
}
