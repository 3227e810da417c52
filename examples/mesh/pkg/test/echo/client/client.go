// Package client sends requests to an echo server, or to anything else that
// speaks HTTP.
package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/mesh/pkg/test/echo/echogrpc"
)

// Header is one "key=value" of a request.
type Header struct{ Name, Value string }

// ParseHeader splits "key=value".
func ParseHeader(text string) (Header, error) {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return Header{}, fmt.Errorf("header %q: want KEY=VALUE", text)
	}
	return Header{Name: name, Value: value}, nil
}

// Options say what to send.
type Options struct {
	URL     string
	Method  string
	Body    string
	Headers []Header
	Count   int
	Timeout time.Duration
}

// HTTP sends the requests one after another and prints each answer. Every
// request is sent; the error counts those that failed or were not answered
// with 2xx.
func HTTP(ctx context.Context, o Options, out io.Writer) error {
	client := &http.Client{Timeout: o.Timeout}
	return repeat(ctx, o.Count, out, func() error { return o.sendHTTP(ctx, client, out) })
}

// GRPC does the same with the echo service at "host:port" or
// "grpc://host:port".
func GRPC(ctx context.Context, o Options, out io.Writer) error {
	conn, err := grpc.NewClient(strings.TrimPrefix(o.URL, "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", o.URL, err)
	}
	defer conn.Close()
	return repeat(ctx, o.Count, out, func() error { return o.sendGRPC(ctx, conn, out) })
}

func repeat(ctx context.Context, count int, out io.Writer, send func() error) error {
	failed := 0
	for i := range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintf(out, "--- request %d of %d\n", i+1, count)
		if err := send(); err != nil {
			failed++
			fmt.Fprintf(out, "error: %v\n", err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d requests failed", failed, count)
	}
	return nil
}

func (o *Options) sendHTTP(ctx context.Context, client *http.Client, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, o.Method, o.URL, strings.NewReader(o.Body))
	if err != nil {
		return err
	}
	for _, header := range o.Headers {
		request.Header.Add(header.Name, header.Value)
		// net/http takes Host from its own field and ignores the header.
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Fprintf(out, "StatusCode=%d\n", response.StatusCode)
	if err := response.Header.Write(out); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if _, err := io.Copy(out, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

func (o *Options) sendGRPC(ctx context.Context, conn *grpc.ClientConn, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	for _, header := range o.Headers {
		ctx = metadata.AppendToOutgoingContext(ctx, header.Name, header.Value)
	}
	request, err := structpb.NewStruct(map[string]any{"body": o.Body})
	if err != nil {
		return err
	}
	response, err := echogrpc.Call(ctx, conn, request)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, protojson.MarshalOptions{Multiline: true}.Format(response))
	return err
}
