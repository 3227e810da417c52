package taint

import (
	"encoding/json"
	"strings"
	"testing"
)

const list = `{"kind": "List", "items": [
 {"kind": "Node", "metadata": {"name": "fresh"}, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoExecute"}]}},
 {"kind": "Node", "metadata": {"name": "recovered"}, "spec": {"taints": [{"key": "mesh.example.com/cni-not-ready", "effect": "NoSchedule"}]}},
 {"kind": "Node", "metadata": {"name": "good"}},
 {"kind": "Node", "metadata": {"name": "waiting"}, "spec": {"taints": [{"key": "mesh.example.com/cni-not-ready", "effect": "NoSchedule"}]}},
 {"kind": "Pod", "metadata": {"name": "a", "labels": {"k8s-app": "istio-cni-node"}}, "spec": {"nodeName": "recovered"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
 {"kind": "Pod", "metadata": {"name": "b", "labels": {"k8s-app": "istio-cni-node"}}, "spec": {"nodeName": "good"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
 {"kind": "Pod", "metadata": {"name": "c", "labels": {"k8s-app": "istio-cni-node"}}, "spec": {"nodeName": "waiting"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}},
 {"kind": "Pod", "metadata": {"name": "d", "labels": {"k8s-app": "other"}}, "spec": {"nodeName": "fresh"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
]}`

func TestDecide(t *testing.T) {
	patches, err := Decide(strings.NewReader(list), "k8s-app", "istio-cni-node")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(patches)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"node":"fresh","patch":{"spec":{"taints":[{"key":"gpu","value":"yes","effect":"NoExecute"},{"key":"mesh.example.com/cni-not-ready","effect":"NoSchedule"}]}}},` +
		`{"node":"recovered","patch":{"spec":{"taints":[]}}}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecideRefusesOtherInput(t *testing.T) {
	if _, err := Decide(strings.NewReader("nodes"), "a", "b"); err == nil {
		t.Error("no error")
	}
}
