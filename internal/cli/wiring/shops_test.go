package wiring

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// TestEachShopHasItsOwnBreaker: a shop that is down must not keep another from hearing of its orders.
func TestEachShopHasItsOwnBreaker(t *testing.T) {
	shop := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	down, up := shop(http.StatusServiceUnavailable), shop(http.StatusOK)
	settings, err := config.Load(config.Map(map[string]string{"TENDERLINE_CALLBACK_ALLOW_PRIVATE": "true"}))
	require.NoError(t, err)
	client := New(settings, slog.New(slog.DiscardHandler)).shopClient()
	tell := func(address string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
		require.NoError(t, err)
		response, err := client.Do(request)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		return err
	}
	for range 10 {
		require.NoError(t, tell(down), "an answer, though one that counts")
	}
	refused := fault.As(tell(down))
	require.NotNil(t, refused)
	require.Equal(t, outbound.CodeBreakerOpen, refused.Code)
	require.NoError(t, tell(up))
}
