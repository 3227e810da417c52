package meshconfig

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	headerPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// validate fills in defaults and checks what only the whole configuration can
// tell.
func (c *Config) validate() error {
	clusters := map[string]*Cluster{}
	var errs []error
	for i := range c.Clusters {
		cluster := &c.Clusters[i]
		errs = append(errs, cluster.validate()...)
		if first, taken := clusters[cluster.Name]; taken {
			errs = append(errs, cluster.errorf("name is already used at %s", first.source))
			continue
		}
		clusters[cluster.Name] = cluster
	}
	names, ports := map[string]*Listener{}, map[uint32]*Listener{}
	for i := range c.Listeners {
		listener := &c.Listeners[i]
		errs = append(errs, listener.validate(clusters)...)
		if first, taken := names[listener.Name]; taken {
			errs = append(errs, listener.errorf("name is already used at %s", first.source))
		}
		if first, taken := ports[listener.Port]; taken {
			errs = append(errs, listener.errorf("duplicate port %d: listener %q at %s has it", listener.Port, first.Name, first.source))
		}
		names[listener.Name], ports[listener.Port] = listener, listener
	}
	return errors.Join(errs...)
}

func (c *Cluster) validate() (errs []error) {
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, c.errorf("name must be letters, digits, dots, dashes and underscores"))
	}
	if c.Protocol == "" {
		c.Protocol = HTTP1
	}
	if c.Protocol != HTTP1 && c.Protocol != HTTP2 {
		errs = append(errs, c.errorf("unknown protocol %q: want http1 or http2", c.Protocol))
	}
	if len(c.Endpoints) == 0 {
		errs = append(errs, c.errorf("needs at least one endpoint"))
	}
	addresses := 0
	for _, endpoint := range c.Endpoints {
		if endpoint.IsIP() {
			addresses++
		}
	}
	if addresses != 0 && addresses != len(c.Endpoints) {
		errs = append(errs, c.errorf("endpoints mix IP addresses and DNS names: make two clusters of them"))
	}
	return errs
}

func (l *Listener) validate(clusters map[string]*Cluster) (errs []error) {
	if !namePattern.MatchString(l.Name) {
		errs = append(errs, l.errorf("name must be letters, digits, dots, dashes and underscores"))
	}
	if l.Address == "" {
		l.Address = "0.0.0.0"
	}
	if _, err := netip.ParseAddr(l.Address); err != nil {
		errs = append(errs, l.errorf("address %q is not an IP address", l.Address))
	}
	if l.Port < 1 || l.Port > 65535 {
		errs = append(errs, l.errorf("port %d is not between 1 and 65535", l.Port))
	}
	if authz := l.ExtAuthz; authz != nil {
		cluster, found := clusters[authz.Cluster]
		switch {
		case !found:
			errs = append(errs, l.errorf("extAuthz: %s", missing(authz.Cluster, clusters)))
		case cluster.Protocol != HTTP2:
			errs = append(errs, l.errorf("extAuthz: cluster %q must have protocol http2, since it is asked over gRPC", authz.Cluster))
		}
	}
	if len(l.Routes) == 0 {
		errs = append(errs, l.errorf("needs at least one route"))
	}
	for i := range l.Routes {
		for _, problem := range l.Routes[i].validate(l.Routes[:i], clusters) {
			errs = append(errs, l.errorf("route %q: %s", l.Routes[i].Prefix, problem))
		}
	}
	return errs
}

func (r *Route) validate(earlier []Route, clusters map[string]*Cluster) (problems []string) {
	if !strings.HasPrefix(r.Prefix, "/") {
		problems = append(problems, "prefix must start with /")
	}
	if r.PrefixRewrite != "" && !strings.HasPrefix(r.PrefixRewrite, "/") {
		problems = append(problems, "prefixRewrite must start with /")
	}
	for _, other := range earlier {
		if strings.HasPrefix(r.Prefix, other.Prefix) {
			problems = append(problems, fmt.Sprintf("never matches, since route %q before it takes the same requests", other.Prefix))
			break
		}
	}
	if _, found := clusters[r.Cluster]; !found {
		problems = append(problems, missing(r.Cluster, clusters))
	}
	for _, name := range slices.Sorted(maps.Keys(r.ResponseHeaders)) {
		if !headerPattern.MatchString(name) {
			problems = append(problems, fmt.Sprintf("response header %q is not a valid header name", name))
		}
		if strings.ContainsAny(r.ResponseHeaders[name], "\x00\r\n") {
			problems = append(problems, fmt.Sprintf("response header %q: value must not contain NUL, CR or LF", name))
		}
	}
	return problems
}

func (c *Cluster) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: cluster %q: %w", c.source, c.Name, fmt.Errorf(format, args...))
}

func (l *Listener) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: listener %q: %w", l.source, l.Name, fmt.Errorf(format, args...))
}

func missing(name string, clusters map[string]*Cluster) string {
	if name == "" {
		return "needs a cluster"
	}
	known := strings.Join(slices.Sorted(maps.Keys(clusters)), ", ")
	if known == "" {
		known = "none"
	}
	return fmt.Sprintf("cluster %q does not exist (known: %s)", name, known)
}
