package authz

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/codes"
)

func check(t *testing.T, headers map[string]string) *authv3.CheckResponse {
	t.Helper()
	server := NewServer("X-Ext-Authz", "allow", slog.New(slog.NewTextHandler(io.Discard, nil)))
	response, err := server.Check(context.Background(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Headers: headers}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestAllowed(t *testing.T) {
	response := check(t, map[string]string{"x-ext-authz": "allow"})
	if code := codes.Code(response.GetStatus().GetCode()); code != codes.OK {
		t.Fatalf("code = %s", code)
	}
	added := response.GetOkResponse().GetResponseHeadersToAdd()
	if len(added) != 1 || added[0].GetHeader().GetKey() != ResultHeader || added[0].GetHeader().GetValue() != "allowed" {
		t.Errorf("headers = %v", added)
	}
}

func TestDenied(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"no headers":  nil,
		"other value": {"x-ext-authz": "Allow"},
		"other name":  {"x-authz": "allow"},
	} {
		response := check(t, headers)
		if code := codes.Code(response.GetStatus().GetCode()); code != codes.PermissionDenied {
			t.Errorf("%s: code = %s", name, code)
		}
		denied := response.GetDeniedResponse()
		if denied.GetStatus().GetCode() != typev3.StatusCode_Forbidden || !strings.Contains(denied.GetBody(), `"x-ext-authz" must be "allow"`) {
			t.Errorf("%s: response = %v", name, denied)
		}
	}
}
