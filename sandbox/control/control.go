// Package control is what every HTTP sandbox shares: the faults that tests and demonstrations inject, the record of
// recent requests, the reset, and the append-only file that keeps a sandbox's state over restarts.
//
// A sandbox mounts the control surface on its own mux and wraps the whole of it:
//
//	mux := http.NewServeMux()
//	c := control.New(control.Options{FormatError: apiError})
//	c.Mount(mux, control.Hooks{Reset: s.reset, Ledger: s.ledger})
//	handler := c.Wrap(mux)
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Prefix is the path below which the control surface lives. Faults never touch it.
const Prefix = "/_sandbox/"

const (
	defaultMaxBody = 8 << 20 // an order of 10,000 lines has some 2 MB
	maxControlBody = 1 << 20
	garbageBody    = "<html><head><title>Gateway</title></head><body>upstream is resting</body></html>\n"
)

// Options sets up a Control. The zero value works.
type Options struct {
	// Clock gives the time for the request record; nil is time.Now.
	Clock func() time.Time
	// Logger hears of injected faults and failed resets; nil discards.
	Logger *slog.Logger
	// FormatError writes the answer of a `status` fault in the style of the API that the sandbox stands in for.
	// nil writes {"error":{"status":..,"reason":".."}}.
	FormatError func(w http.ResponseWriter, r *http.Request, status int, reason string)
	// MaxBody bounds request bodies in bytes; zero is 8 MiB.
	MaxBody int64
	// Random gives a number in [0,1) for a fault's rate; nil is math/rand.
	Random func() float64
}

// Hooks are the sandbox's own part of the control surface.
type Hooks struct {
	// Reset empties the state. It must leave what the sandbox is seeded with.
	Reset func() error
	// Ledger gives what GET /_sandbox/ledger answers, as a value that encodes to JSON.
	Ledger func() any
}

// Request is one line of GET /_sandbox/requests. Neither query nor body are kept: they may hold personal data.
type Request struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Status int       `json:"status"` // 0: the connection was cut without an answer
	Fault  Mode      `json:"fault,omitempty"`
}

// Control injects faults into a sandbox and records its requests. It is safe for concurrent use.
type Control struct {
	options  Options
	faults   *Planted[Fault]
	requests Recent[Request]
}

// New returns a Control without faults.
func New(opts Options) *Control {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.FormatError == nil {
		opts.FormatError = plainError
	}
	if opts.MaxBody <= 0 {
		opts.MaxBody = defaultMaxBody
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	return &Control{options: opts, faults: NewPlanted((*Fault).prepare)}
}

// Wrap applies the faults to every route outside /_sandbox/, bounds request bodies and records method, path and status.
func (c *Control) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix) {
			r.Body = http.MaxBytesReader(w, r.Body, max(c.options.MaxBody, maxControlBody))
			next.ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, c.options.MaxBody)
		entry := Request{At: c.options.Clock().UTC(), Method: r.Method, Path: r.URL.Path}
		struck, found := c.take(r.Method, r.URL.Path)
		if !found {
			seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(seen, r)
			entry.Status = seen.status
			c.requests.Add(entry)
			return
		}
		entry.Fault = struck.Fault.Mode
		c.options.Logger.Info("sandbox fault", "mode", string(entry.Fault), "method", r.Method, "path", r.URL.Path)
		c.play(struck, next, w, r, entry)
	})
}

// Mount adds the control routes to the sandbox's mux.
func (c *Control) Mount(mux *http.ServeMux, h Hooks) {
	MountRecord(mux, c.faults, &c.requests)
	mux.HandleFunc("POST "+Prefix+"reset", func(w http.ResponseWriter, _ *http.Request) { c.reset(w, h) })
	mux.HandleFunc("GET "+Prefix+"ledger", func(w http.ResponseWriter, _ *http.Request) {
		if h.Ledger == nil {
			WriteJSON(w, http.StatusOK, map[string]any{})
			return
		}
		WriteJSON(w, http.StatusOK, h.Ledger())
	})
}

// WriteJSON answers with v as JSON. The sandboxes use it for their own control routes too.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // nobody is left to tell when the caller went
}

// ReadJSON reads a bounded control body into v and refuses unknown fields, so that a misspelt setting shows.
// An empty body leaves v as it is.
func ReadJSON(r *http.Request, v any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody+1))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if len(raw) > maxControlBody {
		return errors.New("body is larger than 1 MiB")
	}
	if len(strings.TrimSpace(string(raw))) == 0 {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("decode body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode body: more than one JSON value")
	}
	return nil
}

// Refuse answers a control request that can't be served.
func Refuse(w http.ResponseWriter, status int, err error) {
	WriteJSON(w, status, map[string]string{"error": err.Error()})
}

func (c *Control) reset(w http.ResponseWriter, h Hooks) {
	c.faults.EndAll() // first: who waits in a fault is to come before the reset, not into what it leaves
	if h.Reset != nil {
		if err := h.Reset(); err != nil {
			c.options.Logger.Error("sandbox reset", "error", err)
			Refuse(w, http.StatusInternalServerError, err)
			return
		}
	}
	c.requests.Clear()
	w.WriteHeader(http.StatusNoContent)
}

func plainError(w http.ResponseWriter, _ *http.Request, status int, reason string) {
	WriteJSON(w, status, map[string]any{"error": map[string]any{"status": status, "reason": reason}})
}

// statusWriter remembers the status for the request record. Unwrap keeps flush and hijack reachable.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= http.StatusOK {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
