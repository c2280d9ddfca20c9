package outbound_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// cut answers by closing the connection after the request was read.
func cut(t *testing.T, partial string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		connection, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = buffer.WriteString(partial)
		_ = buffer.Flush()
		_ = connection.Close()
	}
}

func post(ctx context.Context, t *testing.T, transport http.RoundTripper, url, body string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	return outbound.Client(transport).Do(request)
}

func TestACallThatEndsWithoutAnAnswerTellsWhetherItWasSent(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	hang := make(chan struct{})
	var arrived sync.Map // bodies that the hanging server has read
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived.Store(string(body), true)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(hang)
	resetting := httptest.NewServer(cut(t, ""))
	defer resetting.Close()
	truncating := httptest.NewServer(cut(t, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":"))
	defer truncating.Close()
	garbage := httptest.NewServer(cut(t, "no http at all\r\n\r\n"))
	defer garbage.Close()
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 2000))
	}))
	defer long.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()

	tests := []struct {
		name, url string
		readOnly  bool
		kind      fault.Kind
		code      string
		endless   func(body string) bool // a call that its time-out ends, and whether that was long enough to get as far as is meant
	}{
		{"refused", closed.URL, false, fault.Connection, outbound.CodeNotSent, nil},
		{"TLS handshake never answered", "https://" + silent.Addr().String(), false, fault.Connection, outbound.CodeNotSent, func(string) bool { return true }},
		{"reset after the request", resetting.URL, false, fault.UnknownOutcome, outbound.CodeNoAnswer, nil},
		{"no answer in time", hanging.URL, false, fault.UnknownOutcome, outbound.CodeTimeout, func(body string) bool { _, there := arrived.Load(body); return there }},
		{"answer breaks off", truncating.URL, false, fault.UnknownOutcome, outbound.CodeBrokenAnswer, nil},
		{"answer is no HTTP", garbage.URL, false, fault.UnknownOutcome, outbound.CodeNoAnswer, nil},
		{"answer too long", long.URL, false, fault.UnknownOutcome, outbound.CodeAnswerTooLong, nil},
		{"reset, but it only reads", resetting.URL, true, fault.Connection, outbound.CodeNoAnswer, nil},
		{"breaks off, but it only reads", truncating.URL, true, fault.Connection, outbound.CodeBrokenAnswer, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			call := func(timeout time.Duration) (*outbound.Recorder, error) {
				transport := outbound.Transport(outbound.Config{System: "test", Timeout: timeout, MaxBody: 1000})
				ctx, recorder := outbound.WithRecorder(outbound.WithOperation(t.Context(), "order/1:authorize:1"))
				if test.readOnly {
					ctx = outbound.WithReadOnly(ctx)
				}
				_, err := post(ctx, t, transport, test.url+"/pts/v2/payments/7000000000000000000001/captures?x=1", timeout.String())
				return recorder, err
			}
			timeout := time.Minute
			if test.endless != nil {
				timeout = 100 * time.Millisecond
			}
			recorder, err := call(timeout)
			for test.endless != nil && !test.endless(timeout.String()) && timeout < time.Minute { // a busy machine takes its time to send
				timeout *= 2
				recorder, err = call(timeout)
			}
			f := fault.As(err)
			require.NotNil(t, f, "%v", err)
			require.Equal(t, test.kind, f.Kind)
			require.Equal(t, test.code, f.Code)
			require.Equal(t, "test", f.System)
			require.Error(t, f.Err)
			calls := recorder.Calls()
			require.Len(t, calls, 1)
			require.Equal(t, string(test.kind)+"/"+test.code, calls[0].Error)
			require.Equal(t, "/pts/v2/payments/{id}/captures", calls[0].Route)
			require.Equal(t, "order/1:authorize:1", calls[0].OperationKey)
		})
	}
}

func TestTheCallersOwnEndCountsToo(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := post(ctx, t, outbound.Transport(outbound.Config{System: "test"}), server.URL, "{}")
	require.True(t, fault.Is(err, fault.UnknownOutcome))
	require.Equal(t, outbound.CodeCancelled, fault.As(err).Code)
}

// net/http repeats a request on a reused connection that broke when it thinks it idempotent: as an Idempotency-Key makes it, or the method.
func TestARequestIsNeverSentTwice(t *testing.T) {
	tests := map[string]struct {
		method string
		body   string
		kind   fault.Kind
	}{
		"a change": {http.MethodPost, "{}", fault.UnknownOutcome},
		"a look":   {http.MethodGet, "", fault.Connection},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			var last atomic.Pointer[http.Request]
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				last.Store(r)
				if requests.Add(1) == 1 {
					w.WriteHeader(http.StatusOK)
					return
				}
				cut(t, "")(w, r)
			}))
			defer server.Close()
			transport := outbound.Transport(outbound.Config{System: "test"})
			send := func() error {
				request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL, strings.NewReader(test.body))
				require.NoError(t, err)
				request.Header.Set("Idempotency-Key", "k")
				response, err := outbound.Client(transport).Do(request)
				if err == nil {
					_ = response.Body.Close()
				}
				return err
			}
			require.NoError(t, send())
			require.True(t, fault.Is(send(), test.kind))
			require.EqualValues(t, 2, requests.Load())
			require.EqualValues(t, len(test.body), last.Load().ContentLength)
			require.Empty(t, last.Load().TransferEncoding)
		})
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	response, err := post(t.Context(), t, outbound.Transport(outbound.Config{System: "test"}), server.URL, "{}")
	require.NoError(t, err)
	_ = response.Body.Close()
	require.Equal(t, http.StatusTemporaryRedirect, response.StatusCode)
	require.EqualValues(t, 1, requests.Load())
}

func TestTheBreakerOpensOnServerErrorsAndHealsByAProbe(t *testing.T) {
	var status, requests atomic.Int32
	status.Store(http.StatusBadGateway)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	opened := func(openFor time.Duration) http.RoundTripper {
		transport := outbound.Transport(outbound.Config{System: "test",
			Breaker: outbound.Breaker{FailureRatio: 0.5, MinRequests: 3, Window: time.Hour, OpenFor: openFor}})
		for range 3 {
			response, err := post(t.Context(), t, transport, server.URL, "{}")
			require.NoError(t, err, "a 5xx is an answer")
			_ = response.Body.Close()
			require.Equal(t, http.StatusBadGateway, response.StatusCode)
		}
		return transport
	}
	ctx, recorder := outbound.WithRecorder(t.Context())
	_, err := post(ctx, t, opened(time.Hour), server.URL, "{}")
	f := fault.As(err)
	require.NotNil(t, f)
	require.Equal(t, fault.RateLimit, f.Kind)
	require.Equal(t, outbound.CodeBreakerOpen, f.Code)
	require.Positive(t, f.RetryAfter)
	require.LessOrEqual(t, f.RetryAfter, time.Hour)
	require.EqualValues(t, 3, requests.Load(), "an open breaker sends nothing")
	require.Equal(t, "rate_limit/BREAKER_OPEN", recorder.Calls()[0].Error)

	transport := opened(10 * time.Millisecond)
	status.Store(http.StatusOK)
	require.Eventually(t, func() bool {
		response, err := post(t.Context(), t, transport, server.URL, "{}")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
}

func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	transport := outbound.Transport(outbound.Config{System: "test", Breaker: outbound.Breaker{FailureRatio: 0.1, MinRequests: 1}})
	for range 20 {
		response, err := post(t.Context(), t, transport, server.URL, "{}")
		require.NoError(t, err)
		_ = response.Body.Close()
	}
}

func TestConnectionsThatFailOpenTheBreaker(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	transport := outbound.Transport(outbound.Config{System: "test", Breaker: outbound.Breaker{MinRequests: 2}})
	for range 2 {
		_, err := post(t.Context(), t, transport, closed.URL, "{}")
		require.True(t, fault.Is(err, fault.Connection))
	}
	_, err := post(t.Context(), t, transport, closed.URL, "{}")
	require.True(t, fault.Is(err, fault.RateLimit))
}

func TestTheClientSideLimitWaitsShortlyAndThenRefuses(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	send := func(transport http.RoundTripper) error {
		response, err := post(t.Context(), t, transport, server.URL, "{}")
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	strict := outbound.Transport(outbound.Config{System: "test", Limit: 0.01, MaxWait: time.Millisecond,
		Breaker: outbound.Breaker{MinRequests: 1, FailureRatio: 0.01}})
	require.NoError(t, send(strict))
	for range 3 {
		f := fault.As(send(strict))
		require.NotNil(t, f)
		require.Equal(t, fault.RateLimit, f.Kind)
		require.Equal(t, outbound.CodeClientLimit, f.Code, "our own limit says nothing of the system: the breaker stays closed")
		require.Greater(t, f.RetryAfter, time.Minute)
	}
	require.EqualValues(t, 1, requests.Load())

	patient := outbound.Transport(outbound.Config{System: "test", Limit: 50})
	require.NoError(t, send(patient))
	require.NoError(t, send(patient), "a short queue is waited for")
}

func TestNothingSecretIsLoggedOrRecorded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("v-c-correlation-id", "corr-1")
		w.Header().Set("Set-Cookie", "secret-cookie")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "secret-answer")
	}))
	defer server.Close()
	var logged bytes.Buffer
	var observed []outbound.Call
	transport := outbound.Transport(outbound.Config{System: "test", Logger: slog.New(slog.NewJSONHandler(&logged, nil)),
		Observe: func(call outbound.Call) { observed = append(observed, call) }})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/a/b?token=secret-query", strings.NewReader("secret-body"))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer secret-bearer")
	response, err := outbound.Client(transport).Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "secret-answer", string(body))
	require.Contains(t, logged.String(), "corr-1")
	require.Contains(t, logged.String(), `"route":"/a/b"`)
	require.NotContains(t, logged.String(), "secret")
	require.Len(t, observed, 1)
	require.Equal(t, "corr-1", observed[0].CorrelationID)
	require.Equal(t, http.StatusBadRequest, observed[0].Status)
}

func TestRouteOfReplacesIDs(t *testing.T) {
	for path, want := range map[string]string{
		"/pts/v2/payments": "/pts/v2/payments",
		"/pts/v2/payments/7000000000000000000001/captures":              "/pts/v2/payments/{id}/captures",
		"/tms/v2/customers/F2F3ADA770102B51E053A2598D0A9078":            "/tms/v2/customers/{id}",
		"/tss/v2/searches/5b1b2e5c-0000-4000-8000-000000000001":         "/tss/v2/searches/{id}",
		"/up/v1/payment-details/eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJGbGV4L": "/up/v1/payment-details/{id}",
	} {
		require.Equal(t, want, outbound.RouteOf(path))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"-1":                            0,
		"soon":                          0,
		"999999999999999999999":         0,
		"100000":                        time.Hour,
		"Mon, 05 Jan 2026 08:00:30 GMT": 30 * time.Second,
		"Mon, 05 Jan 2026 07:00:00 GMT": 0,
		"Tue, 06 Jan 2026 08:00:00 GMT": time.Hour,
	} {
		header := http.Header{}
		header.Set("Retry-After", value)
		require.Equal(t, want, outbound.RetryAfter(header, now), "%q", value)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Mon, 05 Jan 2026 08:00:30 GMT")
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		wait := outbound.RetryAfter(http.Header{"Retry-After": {value}}, now)
		if wait < 0 || wait > time.Hour {
			t.Fatalf("wait is %s", wait)
		}
	})
}
