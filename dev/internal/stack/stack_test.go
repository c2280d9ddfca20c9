package stack_test

import (
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

func TestStackTakesOrders(t *testing.T) {
	ports, err := stack.FreePorts()
	require.NoError(t, err)
	s, err := stack.Start(t.Context(), stack.Options{TempDir: t.TempDir(), Ports: ports, NoUI: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	w := s.World()
	token, err := w.Token(t.Context(), "approve")
	require.NoError(t, err)
	answer, err := w.Submit(t.Context(), world.NewOrder("WEB-1", token))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
	view, err := w.AwaitEnd(t.Context(), "WEB-1", time.Minute)
	t.Logf("%+v", view)
	parked, _ := w.Parked(t.Context(), "WEB-1")
	t.Logf("%+v", parked)
	require.NoError(t, err)
	require.Equal(t, "confirmed", view.Status)
	money, err := w.Money(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, "48.19", money.Captured.StringFixed(2))
	books, err := w.Books(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, books.SalesOrders, 1)
	t.Logf("%+v", books)
}
