package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/not-ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.Handle("/moved", http.RedirectHandler("/readyz", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()
	gone := httptest.NewServer(mux)
	gone.Close()

	for _, test := range []struct {
		name string
		args []string
		want string // in the error; empty: healthy
	}{
		{"healthy", []string{server.URL + "/readyz"}, ""},
		{"not ready", []string{server.URL + "/not-ready"}, "503"},
		{"moved", []string{server.URL + "/moved"}, "302"},
		{"nobody listens", []string{gone.URL + "/readyz"}, "refused"},
		{"no address", []string{"readyz"}, "readyz"},
		{"no argument", nil, "usage"},
		{"two arguments", []string{server.URL, server.URL}, "usage"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(t.Context(), test.args)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
