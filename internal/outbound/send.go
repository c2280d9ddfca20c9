package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// NewBase is the bottom of the stack: HTTP/1.1 with connections that count what they wrote. HTTP/2 is left out on purpose:
// there calls share a connection, so that a failure on it would make every call in flight an unknown outcome. Idle
// connections are given up sooner than servers usually do it, because a request on a connection that the server is just closing
// ends without an answer.
func NewBase() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: connection}, nil
		},
		Protocols:              protocols,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        20 * time.Second,
		MaxResponseHeaderBytes: 64 * 1024,
	}
}

// send does one try and reads the whole answer within the time-out.
func (t *transport) send(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), t.config.Timeout)
	defer cancel()
	var progress progress
	once := request.Clone(httptrace.WithClientTrace(ctx, progress.trace()))
	// Without GetBody net/http can't replay a body, not even when an Idempotency-Key header makes it think it may. What only reads has none: it
	// would be replayed with its signature, which a system with replay protection takes for a wrong key.
	once.GetBody = nil
	if safeMethod(once.Method) && (once.Body == nil || once.Body == http.NoBody) {
		once.Body = nothing{}
	}
	response, err := t.config.Base.RoundTrip(once)
	if err != nil {
		return nil, t.lost(request, progress.sent(), noAnswerCode(err), err)
	}
	body, err := readBounded(response.Body, t.config.MaxBody)
	if err != nil {
		f := t.lost(request, true, brokenAnswerCode(err), err)
		f.HTTPStatus = response.StatusCode
		f.RequestID = t.correlation(response.Header)
		return nil, f
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	response.Request = request
	if response.StatusCode >= http.StatusInternalServerError {
		return response, errServerError
	}
	return response, nil
}

// nothing is a body that is empty; net/http looks into that of a method that usually has none, and then sends none.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

// lost is the fault for a call without a complete answer.
func (t *transport) lost(request *http.Request, sent bool, code string, cause error) *fault.Fault {
	f := &fault.Fault{Kind: fault.UnknownOutcome, System: t.config.System, Code: code,
		Message: "the request was sent, but no complete answer came", Err: cause}
	switch {
	case !sent:
		f.Kind, f.Code, f.Message = fault.Connection, CodeNotSent, "the system can't be reached, nothing was sent"
	case readOnly(request.Context()) || safeMethod(request.Method):
		f.Kind, f.Message = fault.Connection, "no complete answer came to a request that only reads"
	}
	return f
}

func noAnswerCode(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return CodeCancelled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return CodeTimeout
	default:
		return CodeNoAnswer
	}
}

var errTooLong = errors.New("answer is longer than allowed")

func brokenAnswerCode(err error) string {
	if errors.Is(err, errTooLong) {
		return CodeAnswerTooLong
	}
	if code := noAnswerCode(err); code != CodeNoAnswer {
		return code
	}
	return CodeBrokenAnswer
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func readBounded(body io.ReadCloser, limit int64) ([]byte, error) {
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if int64(len(content)) > limit {
		return nil, errTooLong
	}
	return content, nil
}

// progress watches how far a request came. Its callbacks run on the connection's goroutines.
type progress struct {
	wroteHeaders atomic.Bool
	connection   atomic.Pointer[countedConn]
	before       atomic.Int64 // bytes the connection had written when this request got it
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if counted := countedOf(info.Conn); counted != nil {
				p.before.Store(counted.written.Load())
				p.connection.Store(counted)
			}
		},
		WroteHeaders: func() { p.wroteHeaders.Store(true) },
	}
}

// sent tells whether a byte may have left. WroteHeaders alone means only "in the buffer": a connection that counts knows better.
// When in doubt the request counts as sent.
func (p *progress) sent() bool {
	if counted := p.connection.Load(); counted != nil {
		return counted.written.Load() > p.before.Load()
	}
	return p.wroteHeaders.Load()
}

// countedConn counts the bytes handed to the operating system. A write counts from its beginning, and what it did not write
// is taken off at its end: whoever looks while it runs sees it as sent.
type countedConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countedConn) Write(data []byte) (int, error) {
	c.written.Add(int64(len(data)))
	count, err := c.Conn.Write(data)
	c.written.Add(int64(count - len(data)))
	return count, err
}

func countedOf(connection net.Conn) *countedConn {
	if secured, ok := connection.(*tls.Conn); ok {
		connection = secured.NetConn()
	}
	counted, _ := connection.(*countedConn)
	return counted
}
