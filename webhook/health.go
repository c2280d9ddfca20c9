package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// health is the answer of /healthz and /readyz.
type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

// healthz tells that the process runs.
func (s *Server) healthz(c echo.Context) error { return c.JSON(http.StatusOK, health{Status: "ok"}) }

// readyz tells whether the process can take orders: 200, or 503 with the parts that fail.
func (s *Server) readyz(c echo.Context) error {
	answer := s.readiness.ask(c.Request().Context())
	if answer.Status != "ready" {
		return c.JSON(http.StatusServiceUnavailable, answer)
	}
	return c.JSON(http.StatusOK, answer)
}

// describe gives the API's description.
func (s *Server) describe(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", openapi)
}

const (
	readinessTimeout = 3 * time.Second
	readinessAge     = time.Second // anybody may ask, so that the database and Temporal are asked at most this often
)

// readiness keeps the last answer for a moment.
type readiness struct {
	checks []Check
	clock  func() time.Time
	log    *slog.Logger

	mutex sync.Mutex
	at    time.Time
	last  health
}

func (r *readiness) ask(ctx context.Context) health {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if now := r.clock(); r.at.IsZero() || now.Sub(r.at) >= readinessAge {
		r.last = r.run(context.WithoutCancel(ctx))
		r.at = now
	}
	return r.last
}

// run asks every part at once. Why one fails is logged; a stranger only learns which.
func (r *readiness) run(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	failures := make([]error, len(r.checks))
	var group sync.WaitGroup
	for i, check := range r.checks {
		group.Go(func() { failures[i] = check.Do(ctx) })
	}
	group.Wait()
	answer := health{Status: "ready", Checks: map[string]string{}}
	for i, check := range r.checks {
		answer.Checks[check.Name] = "ok"
		if failures[i] != nil {
			answer.Status, answer.Checks[check.Name] = "not ready", "failed"
			r.log.WarnContext(ctx, "not ready", "part", check.Name, "error", failures[i])
		}
	}
	return answer
}
