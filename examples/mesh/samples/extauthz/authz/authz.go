// Package authz decides about requests for Envoy's external authorization
// filter.
package authz

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// ResultHeader tells clients what was decided.
const ResultHeader = "x-ext-authz-check-result"

// Server allows requests that carry one header with one value.
type Server struct {
	authv3.UnimplementedAuthorizationServer

	header, value string
	log           *slog.Logger
}

// NewServer returns a server that asks for the header with the value.
func NewServer(header, value string, log *slog.Logger) *Server {
	// Envoy sends header names in lower case.
	return &Server{header: strings.ToLower(header), value: value, log: log}
}

// Check implements Envoy's authorization service.
func (s *Server) Check(_ context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	http := request.GetAttributes().GetRequest().GetHttp()
	allowed := http.GetHeaders()[s.header] == s.value
	s.log.Info("checked", "method", http.GetMethod(), "host", http.GetHost(), "path", http.GetPath(), "allowed", allowed)
	if allowed {
		return allow(), nil
	}
	return deny(fmt.Sprintf("denied by ext_authz: header %q must be %q\n", s.header, s.value)), nil
}

func allow() *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			ResponseHeadersToAdd: result("allowed"),
		}},
	}
}

func deny(body string) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden},
			Headers: result("denied"),
			Body:    body,
		}},
	}
}

func result(value string) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{{
		Header:       &corev3.HeaderValue{Key: ResultHeader, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}
}
