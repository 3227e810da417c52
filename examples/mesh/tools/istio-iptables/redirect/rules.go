// Package redirect computes and applies the iptables rules that send a
// workload's TCP traffic through its proxy.
package redirect

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Chains in the nat table.
const (
	chainInbound         = "MESH_INBOUND"
	chainInboundRedirect = "MESH_IN_REDIRECT"
	chainOutput          = "MESH_OUTPUT"
	chainRedirect        = "MESH_REDIRECT"
)

// Config says what is redirected where.
type Config struct {
	// OutboundPort and InboundPort are the proxy's own listeners.
	OutboundPort uint16
	InboundPort  uint16
	// ProxyUID is the user whose traffic is the proxy's, which must not
	// return to the proxy.
	ProxyUID uint32
	// ExcludeInboundPorts and ExcludeOutboundCIDRs are left alone.
	ExcludeInboundPorts  []uint
	ExcludeOutboundCIDRs []string
}

// Default returns the configuration of a mesh that does not choose its own.
func Default() Config {
	return Config{OutboundPort: 15001, InboundPort: 15006, ProxyUID: 1337, ExcludeInboundPorts: []uint{15000, 15021}}
}

// Validate checks what the types leave open.
func (c Config) Validate() error {
	if c.OutboundPort == 0 || c.InboundPort == 0 {
		return errors.New("the proxy's ports must not be 0")
	}
	for _, port := range c.ExcludeInboundPorts {
		if port < 1 || port > 65535 {
			return fmt.Errorf("excluded inbound port %d is not between 1 and 65535", port)
		}
	}
	for _, cidr := range c.ExcludeOutboundCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil || !prefix.Addr().Is4() {
			return fmt.Errorf("excluded outbound range %q is not an IPv4 CIDR", cidr)
		}
	}
	return nil
}

// Rules returns the nat table in the format of iptables-restore --noflush.
// That format empties our own chains but would append a second jump to the
// built-in ones, so the jumps are left out where they are installed already.
func (c Config) Rules(installed bool) string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("*nat")
	for _, chain := range []string{chainInbound, chainInboundRedirect, chainOutput, chainRedirect} {
		line(":%s - [0:0]", chain)
	}
	line("-A %s -p tcp -j REDIRECT --to-ports %d", chainRedirect, c.OutboundPort)
	line("-A %s -p tcp -j REDIRECT --to-ports %d", chainInboundRedirect, c.InboundPort)
	for _, port := range c.ExcludeInboundPorts {
		line("-A %s -p tcp --dport %d -j RETURN", chainInbound, port)
	}
	line("-A %s -p tcp -j %s", chainInbound, chainInboundRedirect)
	line("-A %s -m owner --uid-owner %d -j RETURN", chainOutput, c.ProxyUID)
	line("-A %s -o lo -j RETURN", chainOutput)
	for _, cidr := range c.ExcludeOutboundCIDRs {
		line("-A %s -d %s -j RETURN", chainOutput, cidr)
	}
	line("-A %s -p tcp -j %s", chainOutput, chainRedirect)
	if !installed {
		line("-A PREROUTING -p tcp -j %s", chainInbound)
		line("-A OUTPUT -p tcp -j %s", chainOutput)
	}
	line("COMMIT")
	return out.String()
}
