package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tenderline/tenderline/internal/cli/wiring"
)

const (
	probeTimeout    = 3 * time.Second
	healthTimeout   = 10 * time.Second // of a request and of the shutdown
	healthHeaderMax = 16 << 10
)

// health serves /healthz, /readyz and /metrics of a process that has no API.
type health struct {
	checks   []wiring.Check
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
}

// listen opens the monitoring port; an empty address means that there is none.
func listen(ctx context.Context, address string, checks []wiring.Check, metrics http.Handler, log *slog.Logger) (*health, error) {
	h := &health{checks: checks, log: log}
	if address == "" {
		return h, nil
	}
	var err error
	if h.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err != nil {
		return nil, fmt.Errorf("TENDERLINE_METRICS_ADDRESS: %w", err)
	}
	h.server = &http.Server{
		Handler: h.routes(metrics), ReadHeaderTimeout: probeTimeout, ReadTimeout: healthTimeout, WriteTimeout: healthTimeout,
		IdleTimeout: time.Minute, MaxHeaderBytes: healthHeaderMax, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return h, nil
}

func (h *health) routes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { h.answer(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", h.ready)
	return mux
}

func (h *health) address() string {
	if h.listener == nil {
		return "none"
	}
	return h.listener.Addr().String()
}

// run serves until the context ends.
func (h *health) run(ctx context.Context) error {
	if h.server == nil {
		<-ctx.Done()
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- h.server.Serve(h.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve health and metrics: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	err := h.server.Shutdown(ctx)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// ready asks every part at once: 200, or 503 with the parts that fail. Why one fails is in the log.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	failures := make([]error, len(h.checks))
	var group sync.WaitGroup
	for i, check := range h.checks {
		group.Go(func() { failures[i] = check.Do(ctx) })
	}
	group.Wait()
	code, status, parts := http.StatusOK, "ready", map[string]string{}
	for i, check := range h.checks {
		parts[check.Name] = "ok"
		if failures[i] != nil {
			code, status, parts[check.Name] = http.StatusServiceUnavailable, "not ready", "failed"
			h.log.WarnContext(ctx, "not ready", "part", check.Name, "error", failures[i])
		}
	}
	h.answer(w, code, status, parts)
}

func (h *health) answer(w http.ResponseWriter, code int, status string, parts map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	body := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{status, parts}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.log.Debug("answer not written", "error", err)
	}
}
