// SPDX-License-Identifier: Apache-2.0

package env

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// FileName is that of an environment in a folder of results.
const FileName = "environment.json"

// Save writes it into a folder of results.
func (e Environment) Save(dir string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, FileName), append(text, '\n'), 0o644)
}
