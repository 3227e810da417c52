package meshconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is a named piece of YAML.
type File struct {
	Name string
	Data []byte
}

// Parse decodes the files, merges them and checks the result. The error joins
// everything that is wrong.
func Parse(files []File) (*Config, error) {
	merged := &Config{}
	var errs []error
	for _, file := range files {
		if err := decodeInto(merged, file); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file.Name, err))
		}
	}
	// References may point into a file that did not decode, so checking now
	// would report follow-up errors that are not there.
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := merged.validate(); err != nil {
		return nil, err
	}
	return merged, nil
}

func decodeInto(merged *Config, file File) error {
	strict := yaml.NewDecoder(bytes.NewReader(file.Data))
	strict.KnownFields(true)
	nodes := yaml.NewDecoder(bytes.NewReader(file.Data))
	for {
		var part Config
		if err := strict.Decode(&part); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return readable(err)
		}
		// Strict decoding exists only from bytes, line numbers only on
		// nodes: hence the second pass over the same document.
		var document yaml.Node
		if err := nodes.Decode(&document); err != nil {
			return err
		}
		for i, line := range itemLines(&document, "listeners") {
			part.Listeners[i].source = position{file.Name, line}
		}
		for i, line := range itemLines(&document, "clusters") {
			part.Clusters[i].source = position{file.Name, line}
		}
		merged.Listeners = append(merged.Listeners, part.Listeners...)
		merged.Clusters = append(merged.Clusters, part.Clusters...)
	}
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type meshconfig\.(\w+)`)

// readable says what the decoder's errors mean to someone who writes YAML and
// does not know our types.
func readable(err error) error {
	var mismatch *yaml.TypeError
	if !errors.As(err, &mismatch) {
		return err
	}
	var errs []error
	for _, text := range mismatch.Errors {
		match := unknownField.FindStringSubmatchIndex(text)
		if match != nil {
			field, owner := text[match[2]:match[3]], text[match[4]:match[5]]
			text = fmt.Sprintf("%sunknown field %q in a %s", text[:match[0]], field, strings.ToLower(owner))
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// itemLines returns the line of each item in the top-level list called key.
func itemLines(document *yaml.Node, key string) []int {
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	pairs := document.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value != key {
			continue
		}
		list := pairs[i+1]
		if list.Alias != nil {
			list = list.Alias
		}
		lines := make([]int, len(list.Content))
		for j, item := range list.Content {
			lines[j] = item.Line
		}
		return lines
	}
	return nil
}

func parseEndpoint(text string) (Endpoint, error) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return Endpoint{}, fmt.Errorf("%q is not an endpoint such as app:8080", text)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return Endpoint{}, fmt.Errorf("endpoint %q: port must be between 1 and 65535", text)
	}
	return Endpoint{Host: host, Port: uint32(port)}, nil
}
