package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestRunExitStatus(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		code   int
		stderr string
	}{
		"success":       {nil, 0, ""},
		"plain error":   {errors.New("boom"), 1, "tool: error: boom\n"},
		"own status":    {&ExitError{Code: 7, Err: errors.New("seven")}, 7, "tool: error: seven\n"},
		"silent status": {&ExitError{Code: 3}, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := NewRoot("tool", "a tool")
			root.AddCommand(&cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error { return test.err }})
			var stderr bytes.Buffer
			root.SetErr(&stderr)
			root.SetArgs([]string{"do"})
			if code := Run(context.Background(), root); code != test.code {
				t.Errorf("code = %d, want %d", code, test.code)
			}
			if stderr.String() != test.stderr {
				t.Errorf("stderr = %q, want %q", stderr.String(), test.stderr)
			}
		})
	}
}

func TestVersionCommand(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"version"}, 0, "revision: "},
		{[]string{"version", "-o", "json"}, 0, `"goVersion"`},
		{[]string{"version", "-o", "nonsense"}, 1, "unknown output format"},
	} {
		root := NewRoot("tool", "a tool")
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(test.args)
		if code := Run(context.Background(), root); code != test.code {
			t.Errorf("%v: code = %d, want %d", test.args, code, test.code)
		}
		if !strings.Contains(out.String(), test.want) {
			t.Errorf("%v: output %q lacks %q", test.args, out.String(), test.want)
		}
	}
}
