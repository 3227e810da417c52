// Package plugin is the mesh's chained CNI plugin: after the network plugins
// have set up a pod's interfaces, it redirects the pod's traffic to its proxy.
package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"example.com/mesh/tools/istio-iptables/redirect"
)

// Config is the plugin's entry in a conflist.
type Config struct {
	types.PluginConf
	ExcludeNamespaces []string `json:"excludeNamespaces"`
}

type podArgs struct {
	types.CommonArgs
	K8S_POD_NAMESPACE types.UnmarshallableString //nolint:revive // the name is the CNI argument
}

// Plugin carries out the CNI verbs.
type Plugin struct {
	// Enter runs work inside the network namespace at path.
	Enter func(path string, work func() error) error
	// Apply and Installed work on the redirect rules of the current namespace.
	Apply     func(context.Context, redirect.Config) error
	Installed func(context.Context) (bool, error)
	// Print writes the result of ADD for the runtime.
	Print func(result types.Result, cniVersion string) error
}

// Funcs returns the verbs for skel. DEL has nothing to do: the rules vanish
// with the pod's namespace.
func (p *Plugin) Funcs(ctx context.Context) skel.CNIFuncs {
	return skel.CNIFuncs{
		Add:   func(args *skel.CmdArgs) error { return p.add(ctx, args) },
		Check: func(args *skel.CmdArgs) error { return p.check(ctx, args) },
		Del:   func(*skel.CmdArgs) error { return nil },
	}
}

func (p *Plugin) add(ctx context.Context, args *skel.CmdArgs) error {
	config, excluded, err := parse(args)
	if err != nil {
		return err
	}
	if !excluded {
		apply := func() error { return p.Apply(ctx, redirect.Default()) }
		if err := p.Enter(args.Netns, apply); err != nil {
			return fmt.Errorf("redirect traffic of container %s: %w", args.ContainerID, err)
		}
	}
	return p.Print(config.PrevResult, config.CNIVersion)
}

func (p *Plugin) check(ctx context.Context, args *skel.CmdArgs) error {
	_, excluded, err := parse(args)
	if err != nil || excluded {
		return err
	}
	return p.Enter(args.Netns, func() error {
		installed, err := p.Installed(ctx)
		if err == nil && !installed {
			err = errors.New("redirect rules are missing")
		}
		return err
	})
}

func parse(args *skel.CmdArgs) (config *Config, excluded bool, err error) {
	config = &Config{}
	if err := json.Unmarshal(args.StdinData, config); err != nil {
		return nil, false, fmt.Errorf("network configuration: %w", err)
	}
	if err := version.ParsePrevResult(&config.PluginConf); err != nil {
		return nil, false, fmt.Errorf("previous result: %w", err)
	}
	if config.PrevResult == nil {
		return nil, false, errors.New("no previous result: istio-cni must come after the network plugin in a conflist")
	}
	pod := podArgs{CommonArgs: types.CommonArgs{IgnoreUnknown: true}}
	if err := types.LoadArgs(args.Args, &pod); err != nil {
		return nil, false, fmt.Errorf("CNI_ARGS: %w", err)
	}
	return config, slices.Contains(config.ExcludeNamespaces, string(pod.K8S_POD_NAMESPACE)), nil
}
