//go:build !agent

package bootstrap

import (
	"strings"
	"testing"
)

func TestRenderFindsMisspeltField(t *testing.T) {
	_, err := Render(`{"node": {"idd": "x"}}`, values())
	if err == nil || !strings.Contains(err.Error(), "idd") {
		t.Errorf("error = %v", err)
	}
}
