package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/shopspring/decimal"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// RefundRequest asks to pay an order back. Amounts of the wish are in the order's currency.
type RefundRequest struct {
	RefundID   string // unique within the order: 1 to 30 of A-Z a-z 0-9 . _ -
	Wish       canonical.RefundWish
	Restock    bool // the goods come back into stock
	Reason     string
	Actor      string
	Origin     workflows.RefundOrigin
	CreditMemo string // of origin erp: the memo that asks for it
}

var refundIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,30}$`)

// RequestRefund takes a refund: its row is committed with what it reserves of the payment, then its workflow started. The same request again
// gives the stored refund and created=false; another one under the same ID is a Conflict, and so is a refund of more than is left. Until
// the order is confirmed, a refund of everything is a cancel (the record says so), and a partial one is NotNow. Once the row is committed
// a failed start is no error: the sweeper starts it.
func (s *Starter) RequestRefund(ctx context.Context, orderID string, request RefundRequest) (record journal.RefundRecord, created bool, err error) {
	if !refundIDShape.MatchString(request.RefundID) {
		return journal.RefundRecord{}, false, &Error{Kind: Invalid, Message: "the refund can't be taken", Problems: []canonical.Problem{{
			Pointer: "/refundId", Rule: canonical.RulePattern, Message: "must be 1 to 30 of A-Z, a-z, 0-9, '.', '_' and '-'",
		}}}
	}
	taken, order, err := s.orderOf(ctx, orderID)
	if err != nil {
		return journal.RefundRecord{}, false, err
	}
	asked, err := newRefund(order, request)
	if err != nil {
		return journal.RefundRecord{}, false, err
	}
	earlier, err := s.store.Refund(ctx, orderID, request.RefundID)
	switch {
	case err == nil && earlier.BodyHash != asked.BodyHash:
		return journal.RefundRecord{}, false, refundDiffers(nil)
	case err == nil:
		return earlier, false, nil
	case !errors.Is(err, journal.ErrNotFound):
		return journal.RefundRecord{}, false, err
	}
	if beforeConfirmation(taken.Status) {
		record, created, err = s.cancelInstead(ctx, order, asked, request.Wish)
		if !Is(err, TooLate) {
			return record, created, err
		}
		if taken, _, err = s.orderOf(ctx, orderID); err != nil { // it was confirmed, or ended otherwise, a moment ago
			return journal.RefundRecord{}, false, err
		}
	}
	return s.takeRefund(ctx, taken, order, asked, request.Wish)
}

// orderOf reads an order with the document that it runs on.
func (s *Starter) orderOf(ctx context.Context, orderID string) (journal.OrderRecord, canonical.Order, error) {
	record, err := s.store.Order(ctx, orderID)
	if err != nil {
		return journal.OrderRecord{}, canonical.Order{}, stored(err, "order")
	}
	var order canonical.Order
	if err := json.Unmarshal(record.Input, &order); err != nil {
		return journal.OrderRecord{}, canonical.Order{}, fmt.Errorf("read order %s: not an order", orderID)
	}
	return record, order, nil
}

// newRefund is the row of a request.
func newRefund(order canonical.Order, request RefundRequest) (journal.RefundRecord, error) {
	// Decimals marshal without trailing zeros, so that "5" and "5.00" are the same wish. Who asks is not part of what is asked.
	body, err := json.Marshal(struct {
		Wish       canonical.RefundWish
		Restock    bool
		Reason     string
		CreditMemo string
	}{request.Wish, request.Restock, request.Reason, request.CreditMemo})
	if err != nil {
		return journal.RefundRecord{}, fmt.Errorf("encode refund: %w", err)
	}
	sum := sha256.Sum256(body)
	return journal.RefundRecord{
		OrderID: order.OrderID, RefundID: request.RefundID, BodyHash: hex.EncodeToString(sum[:]), Origin: string(request.Origin),
		Actor: request.Actor, Reason: request.Reason, CreditMemo: request.CreditMemo, Currency: order.Currency, Restock: request.Restock,
		Status: canonical.RefundReceived,
	}, nil
}

func refundDiffers(err error) *Error {
	return &Error{Kind: Conflict, Message: "a refund of this ID exists with another body", Err: err}
}

// beforeConfirmation tells that an order runs and may still be cancelled.
func beforeConfirmation(status canonical.OrderStatus) bool {
	return beforeReview(status) || status == canonical.OrderCapturing || status == canonical.OrderBooking
}

// cancelInstead answers a refund of everything, of an order that is not confirmed, by cancelling the order. TooLate: it is not
// running any more.
func (s *Starter) cancelInstead(ctx context.Context, order canonical.Order, asked journal.RefundRecord, wish canonical.RefundWish,
) (journal.RefundRecord, bool, error) {
	whole, problems := canonical.ApportionRefund(order, nil, wish)
	if len(problems) > 0 {
		return journal.RefundRecord{}, false, unrefundable(problems)
	}
	if !whole.Total.Equal(order.Total) {
		return journal.RefundRecord{}, false, &Error{
			Kind: NotNow, Message: "the order is not confirmed yet: until then only all of it can be refunded, which cancels the order",
		}
	}
	reason := "refund " + asked.RefundID
	if asked.Reason != "" {
		reason += ": " + asked.Reason
	}
	if _, err := s.Cancel(ctx, order.OrderID, workflows.CancelRequest{Actor: asked.Actor, Reason: reason}); err != nil {
		return journal.RefundRecord{}, false, err
	}
	asked.Cancels, asked.Amount = true, whole.Total
	return s.storeRefund(ctx, asked, func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
		return whole, nil
	})
}

// takeRefund reserves and starts a refund of money that was taken.
func (s *Starter) takeRefund(ctx context.Context, taken journal.OrderRecord, order canonical.Order, asked journal.RefundRecord,
	wish canonical.RefundWish,
) (journal.RefundRecord, bool, error) {
	record, created, err := s.storeRefund(ctx, asked, apportion(order, wish))
	if err != nil || record.StartedAt != nil || record.Cancels {
		return record, created, err
	}
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	if err := s.startRefund(start, record, taken, order); err != nil {
		s.log.WarnContext(ctx, "refund not started, the sweeper will", "order", order.OrderID, "refund", record.RefundID, "error", err)
	}
	return record, created, nil
}

func (s *Starter) storeRefund(ctx context.Context, asked journal.RefundRecord,
	apportion func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error),
) (journal.RefundRecord, bool, error) {
	record, created, err := s.store.TakeRefund(ctx, asked, apportion)
	if errors.Is(err, journal.ErrRefundDiffers) {
		return journal.RefundRecord{}, false, refundDiffers(err)
	}
	return record, created, err
}

// apportion works out, on the locked payment, what a wish comes to; what can't be paid back it refuses with the reason.
func apportion(order canonical.Order, wish canonical.RefundWish) func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
	return func(earlier []canonical.RefundBreakdown, payment journal.Payment) (canonical.RefundBreakdown, error) {
		if payment.Captured.IsZero() && payment.Status == canonical.PaymentAuthorized {
			return apportionHold(order, earlier, wish)
		}
		money := balanceOf(order, earlier, payment)
		if reason := money.nothingLeft(payment.Status); reason != "" {
			return canonical.RefundBreakdown{}, &Error{Kind: Conflict, Message: reason}
		}
		breakdown, problems := canonical.ApportionWithin(order, earlier, wish, money.left)
		if len(problems) > 0 {
			return canonical.RefundBreakdown{}, unrefundable(problems)
		}
		if breakdown.Total.GreaterThan(money.left) {
			return canonical.RefundBreakdown{}, &Error{Kind: Conflict, Message: fmt.Sprintf("%s asked, but %s",
				money.text(breakdown.Total), money.figures())}
		}
		return breakdown, nil
	}
}

// apportionHold gives back a payment that is authorized alone: all or nothing, since the hold is released.
func apportionHold(order canonical.Order, earlier []canonical.RefundBreakdown, wish canonical.RefundWish) (canonical.RefundBreakdown, error) {
	breakdown, problems := canonical.ApportionRefund(order, earlier, wish)
	if len(problems) > 0 {
		return canonical.RefundBreakdown{}, unrefundable(problems)
	}
	if !breakdown.Total.Equal(order.Total) {
		return canonical.RefundBreakdown{}, &Error{
			Kind: NotNow, Message: "the payment is authorized, but not captured yet: only all of it can be given back",
		}
	}
	return breakdown, nil
}

// balance is how an order's money stands for one more refund.
type balance struct {
	currency                              string
	captured, refunded, chargedBack, left decimal.Decimal
}

// balanceOf counts what is refunded, and what other refunds are about to take.
func balanceOf(order canonical.Order, earlier []canonical.RefundBreakdown, payment journal.Payment) balance {
	taken := decimal.Zero
	for _, refund := range earlier {
		taken = taken.Add(refund.Total)
	}
	return balance{
		currency: order.Currency, captured: payment.Captured, refunded: decimal.Max(taken, payment.Refunded),
		chargedBack: payment.ChargedBack, left: payment.LeftAfter(earlier),
	}
}

// nothingLeft says why no refund is possible at all, "" where one is.
func (b balance) nothingLeft(status canonical.PaymentStatus) string {
	switch {
	case b.captured.IsZero() && status == canonical.PaymentVoided:
		return "the payment is voided: the buyer was not charged"
	case b.captured.IsZero() && status == canonical.PaymentReversed:
		return "the authorization is reversed: the buyer was not charged"
	case b.captured.IsZero():
		return "nothing was captured: there is nothing to refund"
	case b.left.IsPositive():
		return ""
	case b.chargedBack.IsPositive():
		return "nothing is left to refund: " + b.figures()
	default:
		return "already refunded, or about to be: " + b.figures()
	}
}

func (b balance) figures() string {
	text := b.text(b.captured) + " captured, " + b.text(b.refunded) + " refunded or about to be"
	if b.chargedBack.IsPositive() {
		text += ", " + b.text(b.chargedBack) + " charged back"
	}
	return text + ": " + b.text(b.left) + " left"
}

func (b balance) text(amount decimal.Decimal) string {
	return canonical.FormatAmount(amount, b.currency) + " " + b.currency
}

// unrefundable refuses a wish: a Conflict where it only asks for more than is left, else it is Invalid.
func unrefundable(problems []canonical.Problem) *Error {
	kind, message := Conflict, "more than is left of the order"
	if slices.ContainsFunc(problems, func(p canonical.Problem) bool { return p.Rule != canonical.RuleMaximum }) {
		kind, message = Invalid, "the refund can't be taken"
	}
	return &Error{Kind: kind, Message: message, Problems: problems}
}

// startRefund starts a refund's workflow once for ever and notes that it runs.
func (s *Starter) startRefund(ctx context.Context, refund journal.RefundRecord, taken journal.OrderRecord, order canonical.Order) error {
	channel, found := s.settings.Channel(taken.Channel)
	if !found {
		return fmt.Errorf("start refund %s of order %s: its channel %q is no longer configured", refund.RefundID, taken.OrderID, taken.Channel)
	}
	_, err := s.engine.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.RefundWorkflowID(taken.OrderID, refund.RefundID),
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: fmt.Sprintf("Refund %s of order %s, %s %s", refund.RefundID, taken.OrderID,
			canonical.FormatAmount(refund.Breakdown.Total, refund.Currency), refund.Currency),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchOrderID.ValueSet(taken.OrderID),
			workflows.SearchErp.ValueSet(taken.Erp),
			workflows.SearchPaymentStatus.ValueSet(string(taken.PaymentStatus)),
			workflows.SearchNeedsAttention.ValueSet(false),
		),
	}, workflows.Refund, workflows.RefundInput{
		RefundID: refund.RefundID, Order: order, Breakdown: refund.Breakdown, Restock: refund.Restock, Reason: refund.Reason, Actor: refund.Actor,
		Origin: workflows.RefundOrigin(refund.Origin), CreditMemo: refund.CreditMemo, Erp: taken.Erp, Site: siteOf(channel, taken.Erp),
		CustomerCode: taken.CustomerCode, SalesOrder: taken.ErpOrderNumber, Invoice: taken.ErpInvoice, Policy: policy(channel.Policy),
	})
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return fmt.Errorf("start refund %s of order %s: %w", refund.RefundID, taken.OrderID, err)
	}
	return s.store.MarkRefundStarted(ctx, taken.OrderID, refund.RefundID)
}

// resumeRefund does what a crash left undone of a refund: it starts its workflow, or, where it is a cancel, follows the order to its end.
func (s *Starter) resumeRefund(ctx context.Context, refund journal.RefundRecord) (done bool, err error) {
	taken, order, err := s.orderOf(ctx, refund.OrderID)
	if err != nil {
		return false, err
	}
	if refund.Cancels {
		return s.endCancel(ctx, refund, taken)
	}
	if refund.Status.Final() { // started by another process, which forgot to say so
		return true, s.store.MarkRefundStarted(ctx, refund.OrderID, refund.RefundID)
	}
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return true, s.startRefund(bounded, refund, taken, order)
}

// endCancel gives a refund that cancels its order the end that the order came to.
func (s *Starter) endCancel(ctx context.Context, refund journal.RefundRecord, taken journal.OrderRecord) (done bool, err error) {
	progress := journal.RefundProgress{OrderID: refund.OrderID, RefundID: refund.RefundID, Status: canonical.RefundCompleted}
	switch {
	case beforeConfirmation(taken.Status):
		return false, nil
	case kept(taken.Status):
		progress.Status = canonical.RefundRefused
		progress.Why = "the order was confirmed before the cancel was heard; ask for a refund once more, under another ID"
	}
	if err := s.store.RecordRefund(ctx, progress, nil); err != nil {
		return false, err
	}
	return true, s.store.MarkRefundStarted(ctx, refund.OrderID, refund.RefundID)
}
