// Package webhook is Tenderline's HTTP side: the API for shops and people, the intake of the gateway's webhooks, and the remote codec of
// the Temporal UI. openapi.yaml describes it; the tests hold the handlers to that text.
//
// What comes in is searched for card numbers as it stands, before anything is decoded, logged or stored.
package webhook

import (
	"context"
	"crypto/rsa"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/converter"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/telemetry"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

//go:embed openapi.yaml
var openapi []byte

// Starter is the door to the processes; *starter.Starter has it.
type Starter interface {
	SubmitOrder(ctx context.Context, order canonical.Order) (record journal.OrderRecord, created bool, err error)
	PaymentOutcome(ctx context.Context, orderID string, wait time.Duration) (view workflows.OrderView, known bool, err error)
	Cancel(ctx context.Context, orderID string, request workflows.CancelRequest) (workflows.CancelAnswer, error)
	NewToken(ctx context.Context, orderID string, token workflows.NewToken) (workflows.NewTokenAnswer, error)
	RequestRefund(ctx context.Context, orderID string, request starter.RefundRequest) (record journal.RefundRecord, created bool, err error)
	Decide(ctx context.Context, orderID string, decision workflows.Decision) (starter.Verdict, error)
	Resolve(ctx context.Context, answer workflows.Resolution) (workflows.ResolutionAnswer, error)
	RetryAll(ctx context.Context, bulk starter.BulkRetry) (done []starter.Retried, more bool, err error)
	ResolveEvent(ctx context.Context, eventID string, answer workflows.Resolution) (workflows.ResolutionAnswer, error)
	Deliver(ctx context.Context, item journal.InboxItem) error
	RunSettlement(ctx context.Context, run starter.SettlementRun) (starter.StartedDay, error)
	Backfill(ctx context.Context, from, to string, run starter.SettlementRun) ([]starter.StartedDay, error)
	ApproveSettlement(ctx context.Context, merchant, date, actor, reason string) (workflows.ResolutionAnswer, error)
	OpenChargeback(ctx context.Context, opened starter.OpenedCase) error
	EndChargeback(ctx context.Context, ended starter.EndedCase) (journal.ChargebackRecord, error)
	Run(ctx context.Context, interval time.Duration)
}

// Store is what of the central journal is read and, for webhooks, written here; *journal.Store has it.
type Store interface {
	Order(ctx context.Context, orderID string) (journal.OrderRecord, error)
	Orders(ctx context.Context, filter journal.OrderFilter) (page []journal.OrderRecord, next string, err error)
	Timeline(ctx context.Context, orderID string) ([]journal.Event, error)
	Payment(ctx context.Context, orderID string) (journal.Payment, error)
	Refund(ctx context.Context, orderID, refundID string) (journal.RefundRecord, error)
	Refunds(ctx context.Context, orderID string) ([]journal.RefundRecord, error)
	Audit(ctx context.Context, orderID string) ([]journal.AuditEntry, error)
	Review(ctx context.Context, orderID string) (journal.Review, error)
	Reviews(ctx context.Context, filter journal.ReviewFilter) (page []journal.Review, next string, err error)
	CustomerHistory(ctx context.Context, orderID string) (journal.CustomerHistory, error)
	Attention(ctx context.Context, id string) (journal.Attention, error)
	Attentions(ctx context.Context, filter journal.AttentionFilter) (page []journal.Attention, next string, err error)
	Inbox(ctx context.Context, filter journal.InboxFilter) (page []journal.InboxItem, next string, err error)
	Receive(ctx context.Context, item journal.InboxItem) (created bool, err error)
	SettlementDay(ctx context.Context, merchant, date string) (journal.SettlementRecord, error)
	SettlementDays(ctx context.Context, filter journal.SettlementFilter) (page []journal.SettlementRecord, next string, err error)
	SettlementFile(ctx context.Context, merchant, date, kind string) (io.ReadCloser, error)
	CheckedDays(ctx context.Context, merchant, date string) ([]journal.SettlementRecord, error)
	Postings(ctx context.Context, merchant, date string) ([]journal.Posting, error)
	Payments(ctx context.Context, filter journal.PaymentFilter) (page []journal.Payment, next string, err error)
	CashPosition(ctx context.Context, from, to string, zone *time.Location) ([]journal.CashDay, error)
	Chargeback(ctx context.Context, caseID string) (journal.ChargebackRecord, error)
	Chargebacks(ctx context.Context, filter journal.ChargebackFilter) (page []journal.ChargebackRecord, next string, err error)
	Stock(ctx context.Context, codes ...string) ([]journal.StockLevel, error)
}

// Check is a part of readiness.
type Check struct {
	Name string // as /readyz shows it: "journal", "temporal"
	Do   func(ctx context.Context) error
}

// Deps are what a server stands on. Traces, Logger and Clock may be left out; Metrics too.
type Deps struct {
	Starter  Starter
	Store    Store
	Keys     config.Keys
	HTTP     config.HTTP
	Listen   config.Metrics // address of the metrics server; empty: none
	CodecUse config.Codec
	Codec    converter.PayloadCodec // opens Temporal payloads
	Verifier cybersource.Verifier   // of gateway webhooks
	MLEKeys  []*rsa.PrivateKey      // open encrypted webhooks
	Erps     map[string]ErpVerifier // of changes that ERPs push, by the ERP's name
	Zone     *time.Location         // of the merchant, whose days lists and the cash position count; nil: UTC
	Checks   []Check
	Metrics  *telemetry.Metrics
	Traces   *telemetry.Traces
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Configured is what of a server's dependencies the settings give: callers, limits, addresses and the gateway's webhook keys. Starter,
// Store, Codec and Checks remain to be set.
func Configured(c config.Config) (Deps, error) {
	keys, err := c.Cybersource.WebhookKeySet()
	if err != nil {
		return Deps{}, err
	}
	mle, err := c.Cybersource.MLEKeys()
	if err != nil {
		return Deps{}, err
	}
	zone, err := time.LoadLocation(c.Settlement.TimeZone)
	if err != nil {
		return Deps{}, fmt.Errorf("%s_SETTLEMENT_TIME_ZONE: %w", config.Prefix, err)
	}
	erps := map[string]ErpVerifier{}
	for _, erp := range c.ERPs() {
		changes, known := c.Changes(erp)
		if !known {
			continue // no order is booked there: nobody waits for its changes
		}
		pushKeys, err := changes.WebhookKeySet()
		if err != nil {
			return Deps{}, fmt.Errorf("webhook keys of %s: %w", erp, err)
		}
		erps[erp] = ErpVerifier{Keys: pushKeys, MaxAge: changes.WebhookMaxAge}
	}
	return Deps{
		Erps: erps, Zone: zone,
		Keys: c.API.Keys, HTTP: c.HTTP, Listen: c.Metrics, CodecUse: c.Codec, MLEKeys: mle,
		Verifier: cybersource.Verifier{Keys: keys, MaxAge: c.Cybersource.WebhookMaxAge},
	}, nil
}

// Server is the API. Handler serves it within a test or another program, Run as a process.
type Server struct {
	deps       Deps
	log        *slog.Logger
	clock      func() time.Time
	tracer     trace.Tracer // nil: no traces
	echo       *echo.Echo
	patterns   map[string]bool // of all routes
	callers    *limits         // by API key
	strangers  *limits         // by address, of requests without a valid key
	readiness  readiness
	deliveries sync.WaitGroup
	slots      chan struct{} // bounds deliveries under way
}

// New checks the dependencies and builds the routes; it listens to nothing.
func New(deps Deps) (*Server, error) {
	if deps.Starter == nil || deps.Store == nil || deps.Codec == nil {
		return nil, errors.New("make api: starter, store and codec are required")
	}
	if deps.CodecUse.Open && !config.Loopback(deps.HTTP.Address) {
		return nil, errors.New("make api: an open codec is for an API that listens on loopback only")
	}
	if deps.HTTP.BodyLimit <= 0 || deps.HTTP.WebhookLimit <= 0 || deps.HTTP.Timeout <= 0 {
		return nil, errors.New("make api: body limits and time-out are required")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Metrics == nil {
		deps.Metrics = telemetry.NewMetrics()
	}
	s := &Server{
		deps: deps, log: deps.Logger, clock: deps.Clock,
		callers:   newLimits(deps.HTTP.Rate, deps.HTTP.Burst, deps.Clock),
		strangers: newLimits(deps.HTTP.Rate, deps.HTTP.Burst, deps.Clock),
		slots:     make(chan struct{}, maxDeliveries),
	}
	if deps.Traces != nil {
		s.tracer = deps.Traces.Tracer("http")
	}
	s.readiness = readiness{checks: deps.Checks, clock: deps.Clock, log: deps.Logger}
	var err error
	if s.echo, err = s.routes(); err != nil {
		return nil, err
	}
	s.patterns = map[string]bool{}
	for _, route := range s.echo.Routes() {
		s.patterns[route.Path] = true
	}
	return s, nil
}

// Handler serves the API.
func (s *Server) Handler() http.Handler { return s.echo }

// routes is the API at a glance: who may do what.
func (s *Server) routes() (*echo.Echo, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.fail
	var err error
	if e.IPExtractor, err = addressOf(s.deps.HTTP.TrustedProxies); err != nil {
		return nil, err
	}
	e.Pre(s.observe, s.recoverPanic, secure, s.bound)

	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/openapi.yaml", s.describe)

	v1 := e.Group("/v1")
	everybody := []config.Role{config.RoleShop, config.RoleAnalyst, config.RoleOperator, config.RoleFinance}
	people := []config.Role{config.RoleAnalyst, config.RoleOperator, config.RoleFinance}
	books := []config.Role{config.RoleOperator, config.RoleFinance}
	v1.POST("/orders", s.submitOrder, s.only(config.RoleShop))
	v1.GET("/orders", s.listOrders, s.only(everybody...))
	v1.GET("/orders/:orderId", s.showOrder, s.only(everybody...))
	v1.POST("/orders/:orderId/payment", s.newPayment, s.only(config.RoleShop))
	v1.POST("/orders/:orderId/cancel", s.cancelOrder, s.only(config.RoleShop, config.RoleOperator))
	v1.POST("/orders/:orderId/refunds", s.requestRefund, s.only(config.RoleShop, config.RoleOperator, config.RoleFinance))
	v1.GET("/orders/:orderId/refunds", s.listRefunds, s.only(everybody...))
	v1.GET("/orders/:orderId/refunds/:refundId", s.showRefund, s.only(everybody...))
	v1.GET("/orders/:orderId/audit", s.auditOrder, s.only(config.RoleAnalyst, config.RoleOperator, config.RoleFinance))
	v1.GET("/fraud-reviews", s.listReviews, s.only(config.RoleAnalyst, config.RoleOperator))
	v1.GET("/fraud-reviews/:orderId", s.showReview, s.only(config.RoleAnalyst, config.RoleOperator)) // shows personal data
	v1.POST("/fraud-reviews/:orderId/decision", s.decide, s.only(config.RoleAnalyst))
	v1.GET("/attention", s.listAttention, s.only(books...))
	v1.POST("/attention/retry", s.retryAttention, s.only(config.RoleOperator))
	v1.GET("/attention/:id", s.showAttention, s.only(books...))
	v1.POST("/attention/:id/resolve", s.resolve, s.only(books...))
	v1.GET("/inbox", s.listInbox, s.only(config.RoleOperator))
	v1.POST("/inbox/:id/:verb", s.resolveEvent, s.only(config.RoleOperator))

	v1.GET("/settlements", s.listSettlements, s.only(books...))
	v1.POST("/settlements/backfill", s.backfillSettlements, s.only(books...))
	v1.GET("/settlements/:date", s.showSettlement, s.only(books...))
	v1.POST("/settlements/:date/run", s.runSettlement, s.only(books...))
	v1.GET("/settlements/:date/discrepancies", s.showDiscrepancies, s.only(books...))
	v1.POST("/settlements/:date/approve", s.approveSettlement, s.only(config.RoleFinance))
	v1.GET("/payments", s.listPayments, s.only(books...))
	v1.GET("/cash", s.showCash, s.only(books...))
	v1.GET("/chargebacks", s.listChargebacks, s.only(people...))
	v1.POST("/chargebacks", s.openChargeback, s.only(config.RoleFinance))
	v1.GET("/chargebacks/:caseId", s.showChargeback, s.only(people...))
	v1.POST("/chargebacks/:caseId/outcome", s.endChargeback, s.only(config.RoleFinance))
	v1.GET("/stock", s.listStock, s.only(everybody...))

	e.POST("/webhooks/erp/:erp", s.receiveErp, s.limitStrangers)
	e.GET("/webhooks/cybersource", s.probe, s.limitStrangers)
	e.POST("/webhooks/cybersource", s.receiveGateway, s.limitStrangers)

	e.OPTIONS("/codec/:verb", s.codecPreflight, s.codecOrigin)
	e.POST("/codec/:verb", s.codec, s.codecOrigin, s.codecCaller)
	return e, nil
}

// The limits of connections, beside those of the settings.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	answerGrace       = 5 * time.Second // to write an answer after the handler's time is up
)

// Run serves until the context ends, then lets requests under way finish. A busy address is an error at once.
func (s *Server) Run(ctx context.Context) error {
	api, err := s.serve(ctx, s.deps.HTTP.Address, s.Handler())
	if err != nil {
		return err
	}
	servers := []*running{api}
	if s.deps.Listen.Address != "" {
		metrics, err := s.serve(ctx, s.deps.Listen.Address, s.metricsHandler())
		if err != nil {
			return errors.Join(err, api.server.Close())
		}
		servers = append(servers, metrics)
	}
	s.log.InfoContext(ctx, "api listens", "address", api.address, "metrics", s.deps.Listen.Address)
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-servers[0].ended:
	case failed = <-servers[len(servers)-1].ended:
	}
	return errors.Join(failed, s.shutdown(ctx, servers))
}

// running is a server that listens; ended gives the error it stopped with.
type running struct {
	server  *http.Server
	address string
	ended   chan error
}

func (s *Server) serve(ctx context.Context, address string, handler http.Handler) (*running, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	r := &running{
		address: listener.Addr().String(), ended: make(chan error, 1),
		server: &http.Server{
			Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: s.deps.HTTP.Timeout,
			WriteTimeout: s.deps.HTTP.Timeout + answerGrace, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		},
	}
	go func() {
		err := r.server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		r.ended <- err
	}()
	return r, nil
}

// shutdown lets requests and deliveries under way finish, as long as the settings allow.
func (s *Server) shutdown(ctx context.Context, servers []*running) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.deps.HTTP.ShutdownTimeout)
	defer cancel()
	var failed []error
	for _, r := range servers {
		if err := r.server.Shutdown(ctx); err != nil {
			failed = append(failed, fmt.Errorf("shut down %s: %w", r.address, err), r.server.Close())
		}
	}
	done := make(chan struct{})
	go func() { s.deliveries.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done(): // what was not delivered is in the inbox
	}
	return errors.Join(failed...)
}

// RunSweeper starts what a crash left behind and delivers what waits in the inbox, until the context ends.
func (s *Server) RunSweeper(ctx context.Context, interval time.Duration) {
	s.deps.Starter.Run(ctx, interval)
}

// metricsHandler serves what is for the operators' network alone.
func (s *Server) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.deps.Metrics.Handler())
	mux.Handle("GET /healthz", s.echo)
	mux.Handle("GET /readyz", s.echo)
	return mux
}
