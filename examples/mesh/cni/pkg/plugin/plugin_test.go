package plugin

import (
	"context"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"example.com/mesh/tools/istio-iptables/redirect"
)

const chained = `{"cniVersion": "1.0.0", "name": "net", "type": "istio-cni", "excludeNamespaces": ["kube-system"],
 "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]}}`

type recorder struct {
	entered, printed string
	applied          bool
	installed        bool
}

func (r *recorder) plugin() *Plugin {
	return &Plugin{
		Enter:     func(path string, work func() error) error { r.entered = path; return work() },
		Apply:     func(context.Context, redirect.Config) error { r.applied = true; return nil },
		Installed: func(context.Context) (bool, error) { return r.installed, nil },
		Print:     func(_ types.Result, version string) error { r.printed = version; return nil },
	}
}

func args(namespace, stdin string) *skel.CmdArgs {
	return &skel.CmdArgs{
		ContainerID: "c1", Netns: "/var/run/netns/c1", IfName: "eth0", StdinData: []byte(stdin),
		Args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + namespace + ";K8S_POD_NAME=p",
	}
}

func TestAddRedirectsAndPassesTheResultOn(t *testing.T) {
	var r recorder
	if err := r.plugin().Funcs(context.Background()).Add(args("default", chained)); err != nil {
		t.Fatal(err)
	}
	if !r.applied || r.entered != "/var/run/netns/c1" || r.printed != "1.0.0" {
		t.Errorf("got %+v", r)
	}
}

func TestAddLeavesExcludedNamespacesAlone(t *testing.T) {
	var r recorder
	if err := r.plugin().Funcs(context.Background()).Add(args("kube-system", chained)); err != nil {
		t.Fatal(err)
	}
	if r.applied || r.printed != "1.0.0" {
		t.Errorf("got %+v", r)
	}
}

func TestAddMustBeChained(t *testing.T) {
	var r recorder
	err := r.plugin().Funcs(context.Background()).Add(args("default", `{"cniVersion": "1.0.0", "name": "net", "type": "istio-cni"}`))
	if err == nil || !strings.Contains(err.Error(), "no previous result") {
		t.Errorf("error = %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, installed := range []bool{true, false} {
		r := recorder{installed: installed}
		err := r.plugin().Funcs(context.Background()).Check(args("default", chained))
		if (err == nil) != installed {
			t.Errorf("installed = %v: error = %v", installed, err)
		}
	}
}
