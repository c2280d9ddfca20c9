package world

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answering is a world whose API answers with one after the other, the last one again and again; it counts.
func answering(t *testing.T, answers ...http.HandlerFunc) (*World, *atomic.Int64) {
	t.Helper()
	calls := &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client went once the body is read
		answers[min(int(calls.Add(1)), len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	return &World{API: server.URL, Client: &http.Client{Timeout: 10 * time.Second}}, calls
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{}`))
	}
}

func TestWhatIsToBeRepeatedIsRepeated(t *testing.T) {
	w, calls := answering(t, status(http.StatusServiceUnavailable, "Retry-After", "0"), status(http.StatusTooManyRequests, "Retry-After", "0"), status(http.StatusOK))
	require.NoError(t, w.Decide(t.Context(), "WEB-1", "accept"))
	require.EqualValues(t, 3, calls.Load())
}

func TestNoAnswerInTimeIsRepeated(t *testing.T) {
	w, calls := answering(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, status(http.StatusAccepted))
	w.Client.Timeout = 100 * time.Millisecond
	require.NoError(t, w.Cancel(t.Context(), "WEB-1"))
	require.EqualValues(t, 2, calls.Load())
}

func TestOtherAnswersAreNotRepeated(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"conflict":                        status(http.StatusConflict),
		"failure":                         status(http.StatusInternalServerError),
		"unavailable, and not to repeat":  status(http.StatusServiceUnavailable),
		"conflict with an unasked header": status(http.StatusConflict, "Retry-After", "0"),
		"cut":                             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			w, calls := answering(t, answer)
			w.Client.Transport = &http.Transport{DisableKeepAlives: true}
			require.Error(t, w.Pay(t.Context(), "WEB-1", "token"))
			require.EqualValues(t, 1, calls.Load())
		})
	}
}

func TestPatienceEndsWithTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w, calls := answering(t, func(w http.ResponseWriter, r *http.Request) {
		status(http.StatusServiceUnavailable, "Retry-After", "3600")(w, r)
		cancel()
	})
	require.Error(t, w.Resolve(ctx, "att-1", "retry"))
	require.EqualValues(t, 1, calls.Load())
}

func TestReleaseNamesTheRoute(t *testing.T) {
	var asked url.Values
	w, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		w.WriteHeader(http.StatusNoContent)
	})
	require.NoError(t, w.Release(t.Context(), w.API, "POST /pts/v2/*/*/voids"))
	require.Equal(t, url.Values{"route": {"POST /pts/v2/*/*/voids"}}, asked)
}
