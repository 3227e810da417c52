// Package taint decides which nodes must not get pods yet, because the CNI
// plugin is not ready there.
package taint

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Taint is a node's taint.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// notReady is the taint of nodes without a ready CNI pod.
var notReady = Taint{Key: "mesh.example.com/cni-not-ready", Effect: "NoSchedule"}

// Patch is a merge patch for one node.
type Patch struct {
	Node  string `json:"node"`
	Patch struct {
		Spec struct {
			Taints []Taint `json:"taints"`
		} `json:"spec"`
	} `json:"patch"`
}

type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		NodeName string  `json:"nodeName"`
		Taints   []Taint `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// Decide reads a Kubernetes List of nodes and pods, as kubectl prints it, and
// returns a patch for each node whose taint is not as it should be. CNI pods
// are those whose label has the value.
func Decide(list io.Reader, label, value string) ([]Patch, error) {
	var parsed struct {
		Items []object `json:"items"`
	}
	if err := json.NewDecoder(list).Decode(&parsed); err != nil {
		return nil, fmt.Errorf("list of nodes and pods: %w", err)
	}
	ready := map[string]bool{}
	for _, item := range parsed.Items {
		if item.Kind == "Pod" && item.Metadata.Labels[label] == value && item.ready() {
			ready[item.Spec.NodeName] = true
		}
	}
	var patches []Patch
	for _, item := range parsed.Items {
		if item.Kind != "Node" || ready[item.Metadata.Name] != slices.ContainsFunc(item.Spec.Taints, ours) {
			continue
		}
		// Empty and not absent, so that a merge patch clears the last taint.
		taints := slices.DeleteFunc(append([]Taint{}, item.Spec.Taints...), ours)
		if !ready[item.Metadata.Name] {
			taints = append(taints, notReady)
		}
		patch := Patch{Node: item.Metadata.Name}
		patch.Patch.Spec.Taints = taints
		patches = append(patches, patch)
	}
	return patches, nil
}

func ours(taint Taint) bool { return taint.Key == notReady.Key }

func (o object) ready() bool {
	for _, condition := range o.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}
