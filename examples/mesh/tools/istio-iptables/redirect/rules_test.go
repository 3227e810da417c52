package redirect

import (
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	config := Default()
	config.ExcludeOutboundCIDRs = []string{"10.0.0.0/8"}
	want := `*nat
:MESH_INBOUND - [0:0]
:MESH_IN_REDIRECT - [0:0]
:MESH_OUTPUT - [0:0]
:MESH_REDIRECT - [0:0]
-A MESH_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A MESH_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A MESH_INBOUND -p tcp --dport 15000 -j RETURN
-A MESH_INBOUND -p tcp --dport 15021 -j RETURN
-A MESH_INBOUND -p tcp -j MESH_IN_REDIRECT
-A MESH_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A MESH_OUTPUT -o lo -j RETURN
-A MESH_OUTPUT -d 10.0.0.0/8 -j RETURN
-A MESH_OUTPUT -p tcp -j MESH_REDIRECT
-A PREROUTING -p tcp -j MESH_INBOUND
-A OUTPUT -p tcp -j MESH_OUTPUT
COMMIT
`
	if got := config.Rules(false); got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := config.Rules(true); strings.Contains(got, "PREROUTING") || strings.Contains(got, "-A OUTPUT") {
		t.Errorf("jumps would be installed twice:\n%s", got)
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"port 0":     func(c *Config) { c.InboundPort = 0 },
		"large port": func(c *Config) { c.ExcludeInboundPorts = []uint{70000} },
		"no CIDR":    func(c *Config) { c.ExcludeOutboundCIDRs = []string{"10.0.0.1"} },
		"IPv6":       func(c *Config) { c.ExcludeOutboundCIDRs = []string{"fd00::/8"} },
	} {
		config := Default()
		change(&config)
		if err := config.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
