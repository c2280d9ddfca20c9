package activities

import (
	"context"
	"errors"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// errNothingLeft stops a refund of the rest where there is none.
var errNothingLeft = errors.New("nothing is left to pay back")

// TakeRest records a refund of all that is left of an order's money, as the API does for what a caller asks, so that it reserves what it
// will pay back. Nothing left is an answer. The same refund id again gives what was recorded first.
func (l *Ledger) TakeRest(ctx context.Context, in TakeRestInput) (TakenRest, error) {
	taken, err := l.takeRest(ctx, in)
	return taken, toTemporal(err)
}

func (l *Ledger) takeRest(ctx context.Context, in TakeRestInput) (TakenRest, error) {
	record, _, err := l.Journal.TakeRefund(ctx, journal.RefundRecord{
		OrderID: in.Order.OrderID, RefundID: in.RefundID, BodyHash: inputHash("rest", in.Order.OrderID), Origin: in.Origin, Actor: in.Actor,
		Reason: in.Reason, Currency: in.Order.Currency, Restock: in.Restock, Status: canonical.RefundReceived,
	}, func(earlier []canonical.RefundBreakdown, payment journal.Payment) (canonical.RefundBreakdown, error) {
		return rest(in.Order, earlier, payment)
	})
	if errors.Is(err, errNothingLeft) {
		return TakenRest{}, nil
	}
	if err != nil {
		return TakenRest{}, err
	}
	// The workflow that asks for it starts it: no sweeper needs to.
	return TakenRest{Breakdown: record.Breakdown, Taken: true}, l.Journal.MarkRefundStarted(ctx, in.Order.OrderID, in.RefundID)
}

// rest is what no refund before has taken, as far as the money goes.
func rest(order canonical.Order, earlier []canonical.RefundBreakdown, payment journal.Payment) (canonical.RefundBreakdown, error) {
	left := payment.LeftAfter(earlier)
	if left.IsZero() {
		return canonical.RefundBreakdown{}, errNothingLeft
	}
	breakdown, problems := canonical.ApportionWithin(order, earlier, canonical.RefundWish{}, left)
	if len(problems) > 0 {
		return canonical.RefundBreakdown{}, &fault.Fault{Kind: fault.Conflict, System: "tenderline", Message: "the rest can't be worked out: " + problems[0].Message}
	}
	return breakdown, nil
}
