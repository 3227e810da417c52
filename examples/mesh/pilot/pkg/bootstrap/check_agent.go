//go:build agent

package bootstrap

import (
	"encoding/json"
	"errors"
)

// check sees to it that the bootstrap is JSON. The agent leaves the schema to
// the Envoy it starts next and does not link Envoy's API for it.
func check(data []byte) error {
	if !json.Valid(data) {
		return errors.New("not valid JSON")
	}
	return nil
}
