package config

import "log/slog"

// masked stands where a secret would be shown.
const masked = "(set)"

// Secret is a text that no log, table or error shows; Reveal gives it to the one place that needs it.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret for %s and %v.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString masks the secret for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue masks the secret for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the secret for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
