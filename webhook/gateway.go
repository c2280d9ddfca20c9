package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/starter"
)

const (
	// maxDeliveries bounds deliveries under way; beyond it the sweeper delivers.
	maxDeliveries = 64
	// deliveryTimeout bounds one delivery right after the answer.
	deliveryTimeout = 5 * time.Second
	// sweepAfter is when the sweeper takes on an event that was not delivered at once; longer than that delivery may take.
	sweepAfter = 2 * deliveryTimeout
)

// received says what became of a webhook.
type received struct {
	Status string `json:"status"`
}

// probe answers the gateway's health check.
func (s *Server) probe(c echo.Context) error { return c.JSON(http.StatusOK, received{"ready"}) }

// receiveGateway takes a webhook of the gateway: its signature is checked over the body as it stands, the event is stored durably, then
// acknowledged, then brought to its process. An event that came before is acknowledged again.
func (s *Server) receiveGateway(c echo.Context) error {
	r := c.Request()
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.deps.HTTP.WebhookLimit))
	if err != nil {
		return readFault(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return s.probe(c) // the health check is a POST without a body
	}
	if err := s.deps.Verifier.Verify(r.Header, body); err != nil {
		s.deps.Metrics.Webhook(cybersource.System, "refused")
		s.log.WarnContext(r.Context(), "webhook refused", "reason", err.Error())
		return newProblem(http.StatusUnauthorized, typeSignature, "the signature does not fit")
	}
	event, err := cybersource.ParseEvent(body, s.deps.MLEKeys...)
	switch {
	case errors.Is(err, cybersource.ErrEncrypted):
		// The gateway sends it again: a key that is configured meanwhile opens it.
		p := newProblem(http.StatusServiceUnavailable, typeUnavailable, "no key opens the event")
		p.retryAfter, p.cause = retryLater, err
		return p
	case err != nil:
		s.deps.Metrics.Webhook(cybersource.System, "unreadable")
		s.log.ErrorContext(r.Context(), "signed webhook is not an event", "bytes", len(body))
		return malformed(canonical.RuleMalformed, "is not an event")
	case event.Test:
		return c.JSON(http.StatusOK, received{"test"})
	}
	return s.keep(c, event, body)
}

// keep stores an event, acknowledges it, and has it delivered.
func (s *Server) keep(c echo.Context, event cybersource.Event, body []byte) error {
	delivery := starter.Delivery{Event: event}
	if found, _ := canonical.FindCardNumbers(body); len(found) == 0 {
		delivery.Body = body
	}
	item, err := starter.InboxItem(delivery)
	if err != nil {
		return err
	}
	item.NextTryAt = s.clock().Add(sweepAfter)
	created, err := s.deps.Store.Receive(c.Request().Context(), item)
	if err != nil {
		return err
	}
	if !created {
		s.deps.Metrics.Webhook(cybersource.System, "duplicate")
		return c.JSON(http.StatusOK, received{"duplicate"})
	}
	s.deps.Metrics.Webhook(cybersource.System, "accepted")
	s.deliver(c.Request().Context(), func(ctx context.Context) error { return s.deps.Starter.Deliver(ctx, item) })
	return c.JSON(http.StatusOK, received{"accepted"})
}

// deliver does so beside the answer, unless too much is under way: the sweeper then does.
func (s *Server) deliver(ctx context.Context, do func(ctx context.Context) error) {
	select {
	case s.slots <- struct{}{}:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryTimeout)
	s.deliveries.Go(func() {
		defer func() { cancel(); <-s.slots }()
		if err := do(ctx); err != nil {
			s.log.WarnContext(ctx, "event not delivered, the sweeper will", "error", err)
		}
	})
}
