// Package starter is the one door to Temporal: everything that starts, signals, updates or queries a workflow from outside.
//
// What it does is safe to repeat. The row of an order or a refund is committed before its workflow is started, and whatever a crash leaves
// between the two the sweeper mends; updates carry an ID, so that a repeat gets the first outcome.
package starter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Engine is what of a Temporal client is used here; client.Client has it.
type Engine interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
	SignalWorkflow(ctx context.Context, workflowID, runID, name string, arg any) error
	GetWorkflow(ctx context.Context, workflowID, runID string) client.WorkflowRun
}

// Store is what of the central journal is used here; *journal.Store has it.
type Store interface {
	TakeOrder(ctx context.Context, order journal.OrderRecord) (stored journal.OrderRecord, created bool, err error)
	MarkStarted(ctx context.Context, orderID string) error
	Unstarted(ctx context.Context, olderThan time.Duration, limit int) ([]journal.OrderRecord, error)
	Order(ctx context.Context, orderID string) (journal.OrderRecord, error)
	TakeRefund(ctx context.Context, refund journal.RefundRecord,
		apportion func(earlier []canonical.RefundBreakdown, p journal.Payment) (canonical.RefundBreakdown, error),
	) (stored journal.RefundRecord, created bool, err error)
	Refund(ctx context.Context, orderID, refundID string) (journal.RefundRecord, error)
	Refunds(ctx context.Context, orderID string) ([]journal.RefundRecord, error)
	Payment(ctx context.Context, orderID string) (journal.Payment, error)
	MarkRefundStarted(ctx context.Context, orderID, refundID string) error
	UnstartedRefunds(ctx context.Context, olderThan time.Duration, limit int) ([]journal.RefundRecord, error)
	RecordRefund(ctx context.Context, refund journal.RefundProgress, progress *journal.Progress, notices ...journal.Notice) error
	Review(ctx context.Context, orderID string) (journal.Review, error)
	NoteReview(ctx context.Context, orderID string, note journal.ReviewNoteRecord, action *journal.Action, events []journal.Event,
		notices ...journal.Notice) error
	Attention(ctx context.Context, id string) (journal.Attention, error)
	Attentions(ctx context.Context, filter journal.AttentionFilter) (page []journal.Attention, next string, err error)
	Resolve(ctx context.Context, id, resolution, actor, reason string, corrected ...string) error
	RecordAction(ctx context.Context, action journal.Action) error
	Receive(ctx context.Context, item journal.InboxItem) (created bool, err error)
	Event(ctx context.Context, id string) (journal.InboxItem, error)
	Pending(ctx context.Context, now time.Time, limit int) ([]journal.InboxItem, error)
	Delivered(ctx context.Context, id string) error
	Ignored(ctx context.Context, id, reason string) error
	GiveUp(ctx context.Context, id string, class fault.Kind, reason string, notices ...journal.Notice) error
	Propose(ctx context.Context, id string, proposal journal.Proposal, notices ...journal.Notice) error
	ResolveEvent(ctx context.Context, id, resolution, actor, reason string, replay bool) error
	Postpone(ctx context.Context, id string, until time.Time, reason string) error
	Replay(ctx context.Context, id string) error
	Shipments(ctx context.Context, orderID string) ([]journal.ShipmentRecord, error)
	Stock(ctx context.Context, codes ...string) ([]journal.StockLevel, error)
	PutStock(ctx context.Context, levels ...journal.StockLevel) (changed []journal.StockLevel, err error)
	Chargeback(ctx context.Context, caseID string) (journal.ChargebackRecord, error)
	Payments(ctx context.Context, filter journal.PaymentFilter) (page []journal.Payment, next string, err error)
	AddNotices(ctx context.Context, notices ...journal.Notice) error
	SettlementDay(ctx context.Context, merchant, date string) (journal.SettlementRecord, error)
}

// Settings tells what a channel decided, how a merchant's days are settled, and how disputes are followed; config.Config has it.
type Settings interface {
	Channel(name string) (config.Channel, bool)
	StockChannels(erp string) []string
	CapturesOnShipment(channel config.Channel) bool
	Merchant(id string) (config.Merchant, bool)
	SettlementErp() string
	Chargebacks() config.Chargeback
	AuthorizationLives() []time.Duration
}

// Options of a Starter. Only the first three are needed.
type Options struct {
	Engine     Engine
	Store      Store
	Channels   Settings
	OlderThan  time.Duration    // orders taken longer ago are swept; default 5 s
	InboxTries int              // deliveries of an event before a person is asked; default 20
	Clock      func() time.Time // default time.Now
	Logger     *slog.Logger     // default: nothing is logged
}

// Starter is the door. It is safe for concurrent use.
type Starter struct {
	engine     Engine
	store      Store
	settings   Settings
	olderThan  time.Duration
	inboxTries int
	clock      func() time.Time
	log        *slog.Logger

	mutex    sync.Mutex
	lookedAt time.Time // for authorizations that are about to run out
}

// startTimeout bounds a start: it goes on when the caller has gone, since the order's row is committed.
const startTimeout = 5 * time.Second

// New makes a starter.
func New(options Options) (*Starter, error) {
	if options.Engine == nil || options.Store == nil || options.Channels == nil {
		return nil, errors.New("make starter: engine, store and channels are required")
	}
	s := &Starter{
		engine: options.Engine, store: options.Store, settings: options.Channels, olderThan: options.OlderThan,
		inboxTries: options.InboxTries, clock: options.Clock, log: options.Logger,
	}
	if s.olderThan <= 0 {
		s.olderThan = 5 * time.Second
	}
	if s.inboxTries <= 0 {
		s.inboxTries = 20
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// siteOf is what the mappings of an ERP read of a channel. A channel that books in another ERP by now has the codes of that one, which go nowhere else.
func siteOf(channel config.Channel, erp string) activities.Site {
	if channel.Erp != erp {
		return nil
	}
	return activities.Site(channel.Site)
}

// policy is a channel's policy as workflows read it; the two are written apart since configuration knows no workflows.
func policy(p config.Policy) workflows.Policy {
	return workflows.Policy{
		Stock:           workflows.StockPolicy(p.Stock),
		Credit:          workflows.CreditPolicy(p.Credit),
		Invoice:         workflows.InvoicePolicy(p.Invoice),
		OnErpFailure:    workflows.FailurePolicy(p.OnErpFailure),
		SaleInOneCall:   p.SaleInOneCall,
		PaymentWait:     p.PaymentWait,
		PaymentTries:    p.PaymentTries,
		PreparationFor:  p.PreparationFor,
		TokenLife:       p.TokenLife,
		ParkDeadline:    p.ParkDeadline,
		ReviewDeadline:  p.ReviewDeadline,
		ReviewDefault:   p.ReviewDefault,
		UntrustedSignal: p.UntrustedSignal,
		ReviewRemind:    p.ReviewRemind,
		ReviewEscalate:  p.ReviewEscalate,
		ReviewPoll:      p.ReviewPoll,

		AuthorizationLife:     p.AuthorizationLife,
		RenewStoredCredential: p.RenewStoredCredential,

		StepTimeout:     p.StepTimeout,
		GatewayPatience: p.GatewayPatience,
		ErpPatience:     p.ErpPatience,
		CallbackFor:     p.CallbackFor,
	}
}

// beforeReview tells that an order has not come to its payment's outcome, so that a review may still begin.
func beforeReview(status canonical.OrderStatus) bool {
	switch status {
	case canonical.OrderReceived, canonical.OrderPreparing, canonical.OrderAuthorizing, canonical.OrderAwaitingPayment, canonical.OrderInReview:
		return true
	default:
		return false
	}
}
