package sagepro

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// link is the line between a client and its database.
type link interface {
	// cutBefore loses the next request, and the line with it; the caller learns of it when it waits for the answer.
	cutBefore()
	// cutAfter lets the next request through and loses its answer, and the line with it.
	cutAfter()
	// Close cuts the line now.
	Close() error
}

// cutError is what a client sees of a line that was cut.
func cutError() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// cutDialer makes links and remembers the first: others serve to cancel statements.
type cutDialer struct {
	dialer net.Dialer

	mu   sync.Mutex
	last *cutConn
	used bool
}

func (d *cutDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d *cutDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *cutDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cut := &cutConn{Conn: conn}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.used { // of several hosts the last one that was tried
		d.last = cut
	}
	return cut, nil
}

// connected gives the link of the connection that was made.
func (d *cutDialer) connected() *cutConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = true
	return d.last
}

// What a link does to the next request.
const (
	linkWhole int32 = iota
	linkLosesRequest
	linkLosesAnswer
)

// cutConn is a line that can be cut.
type cutConn struct {
	net.Conn
	state atomic.Int32
}

func (c *cutConn) cutBefore() { c.state.Store(linkLosesRequest) }
func (c *cutConn) cutAfter()  { c.state.Store(linkLosesAnswer) }

// Write swallows a request that gets lost: it was sent, as far as the sender knows.
func (c *cutConn) Write(p []byte) (int, error) {
	if c.state.Load() == linkLosesRequest {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Read waits for the answer that gets lost, so that the database has done what it was asked to.
func (c *cutConn) Read(p []byte) (int, error) {
	switch c.state.Load() {
	case linkLosesAnswer:
		_, _ = c.Conn.Read(make([]byte, len(p))) // nobody hears of it
	case linkLosesRequest:
	default:
		return c.Conn.Read(p)
	}
	_ = c.Close()
	return 0, cutError()
}
