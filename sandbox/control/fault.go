package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Mode says what a fault does to a request.
type Mode string

// The modes of POST /_sandbox/faults.
const (
	ModeStatus     Mode = "status"      // answers Status and Reason without running the request
	ModeDropBefore Mode = "drop_before" // cuts the connection without running the request
	ModeDropAfter  Mode = "drop_after"  // waits DelayMS as ModeDelay does, runs the request, so that it commits, then cuts the connection without an answer
	ModeDelay      Mode = "delay"       // waits DelayMS, less if the client goes or the fault is ended, then runs the request
	ModeTruncate   Mode = "truncate"    // runs the request, sends half of the answer's body, then cuts the connection
	ModeGarbage    Mode = "garbage"     // answers 200 with something that isn't JSON, without running the request
)

// Fault is one fault as posted to /_sandbox/faults.
type Fault struct {
	// Route is "METHOD /path": a path segment `*` matches any one segment, a last segment `**` the rest, the method
	// `*` any method. The query takes no part.
	Route string `json:"route"`
	Mode  Mode   `json:"mode"`
	// Status and Reason are for ModeStatus: the HTTP status and the API's own error code.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	// DelayMS is for ModeDelay and ModeDropAfter, in milliseconds; with ModeStatus it delays the answer.
	DelayMS int `json:"delayMs,omitempty"`
	// Rate is the share of matching requests that it hits, 0 to 1; absent is 1.
	Rate *float64 `json:"rate,omitempty"`
	// Times is how many requests it hits before it is spent; 0 is no limit.
	Times int `json:"times,omitempty"`
	// Hits counts the requests that it hit. Output only.
	Hits int `json:"hits"`

	method   string
	segments []string
}

// Add adds a fault, after those that are there; the first one that matches a request wins.
func (c *Control) Add(f Fault) error { return c.faults.Add(f) }

// take finds the fault for a request.
func (c *Control) take(method, path string) (Struck[Fault], bool) {
	return c.faults.Take(func(f *Fault) (hit, spent bool) {
		if !f.matches(method, path) || f.Rate != nil && c.options.Random() >= *f.Rate {
			return false, false
		}
		f.Hits++
		return true, f.Times > 0 && f.Hits >= f.Times
	})
}

// prepare makes a posted fault ready.
func (f *Fault) prepare() (route string, err error) {
	f.Hits = 0
	return f.Route, f.compile()
}

func (f *Fault) compile() error {
	method, path, ok := strings.Cut(strings.TrimSpace(f.Route), " ")
	path = strings.TrimSpace(path)
	if !ok || method == "" || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("route %q is not \"METHOD /path\"", f.Route)
	}
	if strings.HasPrefix(path, Prefix) {
		return fmt.Errorf("route %q is of the control surface", f.Route)
	}
	f.method, f.segments = strings.ToUpper(method), strings.Split(path, "/")
	if err := CheckLimits(f.Rate, f.Times, f.DelayMS); err != nil {
		return err
	}
	switch f.Mode {
	case ModeStatus:
		if f.Status < 200 || f.Status > 599 {
			return errors.New("status is not between 200 and 599")
		}
	case ModeDropBefore, ModeDropAfter, ModeDelay, ModeTruncate, ModeGarbage:
	default:
		return fmt.Errorf("mode %q is none of status, drop_before, drop_after, delay, truncate, garbage", f.Mode)
	}
	return nil
}

func (f *Fault) matches(method, path string) bool {
	if f.method != "*" && f.method != method {
		return false
	}
	segments := strings.Split(path, "/")
	for i, want := range f.segments {
		if want == "**" && i == len(f.segments)-1 {
			return len(segments) > i
		}
		if i >= len(segments) || want != "*" && want != segments[i] {
			return false
		}
	}
	return len(segments) == len(f.segments)
}

func (c *Control) play(struck Struck[Fault], next http.Handler, w http.ResponseWriter, r *http.Request, entry Request) {
	switch f := struck.Fault; f.Mode {
	case ModeStatus:
		buffer(r)
		_ = struck.Wait(r.Context(), f.DelayMS) // who goes has asked all the same
		entry.Status = f.Status
		c.requests.Add(entry)
		c.options.FormatError(w, r, f.Status, f.Reason)
	case ModeGarbage:
		entry.Status = http.StatusOK
		c.requests.Add(entry)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, garbageBody)
	case ModeDropBefore:
		c.requests.Add(entry)
		cut(w)
	case ModeDropAfter:
		if f.DelayMS > 0 {
			buffer(r)
			_ = struck.Wait(r.Context(), f.DelayMS)
		}
		// The client may be gone before the handler is done: what it asked for is committed all the same.
		run(next, r.WithContext(context.WithoutCancel(r.Context())))
		c.requests.Add(entry)
		cut(w)
	case ModeTruncate:
		answer := run(next, r.WithContext(context.WithoutCancel(r.Context())))
		entry.Status = answer.status
		c.requests.Add(entry)
		truncate(w, answer)
	case ModeDelay:
		// The server notices that a client went only once the body is read.
		buffer(r)
		_ = struck.Wait(r.Context(), f.DelayMS)
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		// A slow system still does what it was told by a caller that gave up.
		next.ServeHTTP(seen, r.WithContext(context.WithoutCancel(r.Context())))
		entry.Status = seen.status
		c.requests.Add(entry)
	}
}

// buffer reads the body to its end and puts it back, with the error of a body that is too large after what was read.
func buffer(r *http.Request) {
	var read bytes.Buffer
	_, err := read.ReadFrom(r.Body)
	rest := io.Reader(&read)
	if err != nil {
		rest = io.MultiReader(&read, failingReader{err})
	}
	r.Body = io.NopCloser(rest)
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// cut closes the connection without another byte.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 has no connection to take over; this resets the stream
	}
	_ = conn.Close()
}

// truncate announces the whole body, sends half of it and cuts.
func truncate(w http.ResponseWriter, answer *recorder) {
	body := answer.body.Bytes()
	if len(body) < 2 {
		cut(w) // half of nothing would be a whole answer
		return
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// recorder takes an answer that nobody, or not all of it, will be told.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func run(h http.Handler, r *http.Request) *recorder {
	answer := &recorder{header: http.Header{}}
	h.ServeHTTP(answer, r)
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	return answer
}

func (a *recorder) Header() http.Header { return a.header }

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

func (a *recorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
