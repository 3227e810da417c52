package report

import "regexp"

// redactions match secrets in YAML, JSON, environment and header syntax.
var redactions = []struct {
	pattern *regexp.Regexp
	with    []byte
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`), []byte("REDACTED PRIVATE KEY")},
	{regexp.MustCompile(`(?i)\b(bearer|basic) +[A-Za-z0-9+/=._~-]{8,}`), []byte("${1} REDACTED")},
	{regexp.MustCompile(`(?i)("?[\w.-]*(?:password|passwd|secret|token|api[_-]?key|authorization|credential)[\w.-]*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|[^\s,}]+)`), []byte(`${1}"REDACTED"`)},
	{regexp.MustCompile(`://[^/\s:@]+:[^/\s@]+@`), []byte("://REDACTED@")},
}

// Redact replaces what looks like a secret. It would rather hide too much.
func Redact(data []byte) []byte {
	for _, redaction := range redactions {
		data = redaction.pattern.ReplaceAll(data, redaction.with)
	}
	return data
}
