// Command istio-cni is a chained CNI plugin that redirects the traffic of pods
// to their proxies.
package main

import (
	"context"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"example.com/mesh/cni/pkg/netns"
	"example.com/mesh/cni/pkg/plugin"
	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/version"
	"example.com/mesh/tools/istio-iptables/redirect"
)

func main() {
	// Runtimes speak to plugins by environment and never pass arguments.
	if os.Getenv("CNI_COMMAND") == "" && len(os.Args) > 1 {
		cli.Main(cli.NewRoot("istio-cni", "CNI plugin of the mesh; runtimes call it with CNI_COMMAND"))
	}
	mesh := &plugin.Plugin{Enter: netns.Do, Apply: redirect.Apply, Installed: redirect.Installed, Print: types.PrintResult}
	skel.PluginMainFuncs(mesh.Funcs(context.Background()), cniversion.All, "istio-cni "+version.Get().Version)
}
