package cybersource

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tenderline/tenderline/sandbox/control"
)

// Server is the stand-in. It is safe for concurrent use; Close ends the deliveries it has under way.
type Server struct {
	cfg      Config
	verifier *verifier
	control  *control.Control
	log      *control.Log
	flex     *flexKey
	outbox   *outbox
	handler  http.Handler

	mu     sync.RWMutex
	books  *books
	silent bool // what is done now is told to no subscription
}

// New builds a Server, with the state of StateDir where there is one.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.normalized()
	if err != nil {
		return nil, err
	}
	v, err := newVerifier(cfg)
	if err != nil {
		return nil, fmt.Errorf("set up keys: %w", err)
	}
	s := &Server{cfg: cfg, verifier: v, flex: &flexKey{}, books: newBooks()}
	s.books.seedTokens()
	s.log, err = control.OpenLog(cfg.StateDir, "cybersource", s.replay)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s.outbox = newOutbox(s)
	s.presetWebhook()
	s.control = control.New(control.Options{Clock: cfg.Clock, Logger: cfg.Logger, FormatError: s.formatFault})
	s.handler = s.control.Wrap(s.routes())
	s.resumeHealthChecks()
	return s, nil
}

// Handler answers the API, and the control surface below /_sandbox/.
func (s *Server) Handler() http.Handler { return s.handler }

// Close stops the deliveries and closes the state file.
func (s *Server) Close() error {
	s.outbox.close()
	return s.log.Close()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]handler{
		"POST /pts/v2/payments":                s.createPayment,
		"PATCH /pts/v2/payments/{id}":          s.incrementAuthorization,
		"POST /pts/v2/payments/{id}/captures":  s.capturePayment,
		"POST /pts/v2/payments/{id}/refunds":   s.refundPayment,
		"POST /pts/v2/captures/{id}/refunds":   s.refundCapture,
		"POST /pts/v2/credits":                 s.createCredit,
		"POST /pts/v2/payments/{id}/reversals": s.reversePayment,
		"POST /pts/v2/reversals":               s.timeoutReversal,
		"POST /pts/v2/payments/{id}/voids":     s.voidOf(kindSale, kindAuth),
		"POST /pts/v2/captures/{id}/voids":     s.voidOf(kindCapture),
		"POST /pts/v2/refunds/{id}/voids":      s.voidOf(kindRefund),
		"POST /pts/v2/credits/{id}/voids":      s.voidOf(kindCredit),
		"POST /pts/v2/voids":                   s.timeoutVoid,

		"POST /tss/v2/searches":         s.createSearch,
		"GET /tss/v2/searches/{id}":     s.repeatSearch,
		"GET /tss/v2/transactions/{id}": s.transactionDetails,

		"POST /risk/v1/decisions":               s.createDecision,
		"POST /risk/v1/decisions/{id}/actions":  s.caseAction,
		"POST /risk/v1/decisions/{id}/comments": s.caseComment,
		"POST /risk/v1/decisions/{id}/marking":  s.caseMarking,
		"POST /risk/v1/lists/{type}/entries":    s.listEntry,

		"GET /notification-subscriptions/v2/products/{organization}":     s.listProducts,
		"POST /notification-subscriptions/v2/webhooks":                   s.createWebhook,
		"POST /notification-subscriptions/v1/webhooks":                   s.createWebhook,
		"GET /notification-subscriptions/v2/webhooks":                    s.listWebhooks,
		"GET /notification-subscriptions/v2/webhooks/{webhookId}":        s.readWebhook,
		"PATCH /notification-subscriptions/v2/webhooks/{webhookId}":      s.changeWebhook,
		"DELETE /notification-subscriptions/v2/webhooks/{webhookId}":     s.deleteWebhook,
		"PUT /notification-subscriptions/v2/webhooks/{webhookId}/status": s.switchWebhook,
		"POST /notification-subscriptions/v1/webhooks/{webhookId}":       s.testWebhook,
		"POST /kms/egress/v2/keys-sym":                                   s.createWebhookKey,

		"POST /microform/v2/sessions":                   s.createMicroformSession,
		"POST /flex/v2/sessions":                        s.createMicroformSession,
		"POST /up/v1/capture-contexts":                  s.createMicroformSession,
		"POST /uc/v1/sessions":                          s.createMicroformSession,
		"GET /up/v1/payment-details/{transientToken}":   s.paymentDetails,
		"GET /flex/v2/payment-details/{transientToken}": s.paymentDetails,

		"GET /reporting/v3/report-downloads":                     s.downloadReport,
		"GET /reporting/v3/report-downloads/{$}":                 s.downloadReport, // as the links of the list have it
		"GET /reporting/v3/reports":                              s.listReports,
		"GET /reporting/v3/reports/{reportId}":                   s.readReport,
		"GET /reporting/v3/report-subscriptions":                 s.listSubscriptions,
		"PUT /reporting/v3/report-subscriptions":                 s.putSubscription,
		"GET /reporting/v3/report-subscriptions/{reportName}":    s.readSubscription,
		"DELETE /reporting/v3/report-subscriptions/{reportName}": s.deleteSubscription,
		"GET /reporting/v3/purchase-refund-details":              s.query(s.purchaseRefundDetails),
		"GET /reporting/v3/payment-batch-summaries":              s.query(s.batchSummaries),
		"GET /reporting/v3/net-fundings":                         s.query(s.netFundings),
		"GET /reporting/v3/chargeback-details":                   s.disputeDetails(false),
		"GET /reporting/v3/retrieval-details":                    s.disputeDetails(true),
		"GET /reporting/v3/chargeback-summaries":                 s.disputeSummaries(false),
		"GET /reporting/v3/retrieval-summaries":                  s.disputeSummaries(true),
	} {
		mux.Handle(pattern, s.api(handle))
	}
	mux.Handle("/", s.api(func(*call) reply {
		return reply{status: http.StatusNotFound, body: object{"response": object{"rmsg": "Resource not found"}}}
	}))
	s.control.Mount(mux, control.Hooks{Reset: s.reset, Ledger: func() any { return s.ledger() }})
	s.mountSandbox(mux)
	return mux
}

// call is one authenticated request.
type call struct {
	*http.Request
	merchant string
	body     []byte
	now      time.Time
}

// reply is an answer: body is encoded as JSON, unless raw or stream is set.
type reply struct {
	status      int
	body        any
	raw         []byte
	stream      func(io.Writer) error // writes the body; it runs without the lock
	contentType string                // "" is application/hal+json
}

type handler func(*call) reply

// api authenticates, runs and answers, with the headers that every answer of the real system has.
func (s *Server) api(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		now := s.cfg.Clock().UTC()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				s.write(w, started, reply{status: http.StatusRequestEntityTooLarge, body: object{"response": object{"rmsg": "Request too large"}}})
			}
			return
		}
		merchant, err := s.verifier.authenticate(r, body)
		if err != nil {
			s.cfg.Logger.Warn("sandbox authentication failed", "method", r.Method, "path", r.URL.Path, "cause", err)
			s.write(w, started, unauthorized())
			return
		}
		s.write(w, started, handle(&call{Request: r, merchant: merchant, body: body, now: now}))
	})
}

func unauthorized() reply {
	return reply{status: http.StatusUnauthorized, body: object{"response": object{"rmsg": "Authentication Failed"}}}
}

func (s *Server) write(w http.ResponseWriter, started time.Time, answer reply) {
	raw := answer.raw
	if raw == nil && answer.stream == nil && answer.status != http.StatusNoContent {
		encoded, err := encode(answer.body)
		if err != nil {
			s.cfg.Logger.Error("encode sandbox answer", "error", err)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		raw = encoded
	}
	h := w.Header()
	h.Set("Content-Type", "application/hal+json")
	if answer.contentType != "" {
		h.Set("Content-Type", answer.contentType)
	}
	h.Set("v-c-correlation-id", uuid.NewString())
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Response-Time", fmt.Sprintf("%dms", time.Since(started).Milliseconds()))
	h.Set("X-OPNET-Transaction-Trace", uuid.NewString())
	w.WriteHeader(answer.status)
	if answer.stream != nil {
		_ = answer.stream(w) // nobody is left to tell when the caller went
		return
	}
	_, _ = w.Write(raw) // nobody is left to tell when the caller went
}

// encode is JSON with & and < as they are, as the real system writes them.
func encode(body any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// formatFault writes an injected failure in the words of the real system.
func (s *Server) formatFault(w http.ResponseWriter, _ *http.Request, status int, reason string) {
	answer := reply{status: status}
	switch {
	case status == http.StatusUnauthorized:
		answer = unauthorized()
	case status >= http.StatusInternalServerError:
		answer.body = object{"submitTimeUtc": utc(s.cfg.Clock()), "status": "SERVER_ERROR", "reason": orElse(reason, "SYSTEM_ERROR"),
			"message": orElse(refusalMessages[reason], refusalMessages["SYSTEM_ERROR"])}
	case status >= http.StatusBadRequest:
		answer.body = object{"submitTimeUtc": utc(s.cfg.Clock()), "status": statusInvalidRequest, "reason": orElse(reason, "INVALID_DATA"),
			"message": orElse(refusalMessages[reason], messageInvalid)}
	default:
		answer.body = object{}
	}
	s.write(w, time.Now(), answer)
}

// reset empties the books. Ids go on where they were, seeded tokens and the preset webhook come back.
func (s *Server) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.Truncate(); err != nil {
		return err
	}
	last := s.books.lastID
	s.books = newBooks()
	s.books.lastID = last
	s.books.seedTokens()
	s.outbox.forget()
	s.addPresetWebhook()
	s.flex.persist(s)
	return nil
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

const (
	upperAlphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	upperHex          = "0123456789ABCDEF"
	decimalDigits     = "0123456789"
)

// randomText gives n characters of the alphabet.
func randomText(alphabet string, n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	for i := range raw {
		raw[i] = alphabet[int(raw[i])%len(alphabet)]
	}
	return string(raw)
}

func randomSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}
