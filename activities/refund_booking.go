package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// Kinds of a refund's ERP operations. They are not those of the order's own booking, whose compensation looks for the latter: what a
// refund made is never taken for what the order made.
const (
	kindRefundMemo     = "refund_credit_memo"
	kindRefundPosting  = "refund_posting"
	kindRefundReversal = "refund_receipt_reversal"
	kindRefundDeposit  = "refund_deposit"
	kindHold           = "hold"
	kindUnhold         = "unhold"
)

// Steps of a refund in the ERP, for the operation keys refund:<orderId>/<refundId>:<step>:<n>.
const (
	refundStepMemo     = "credit_memo"
	refundStepPosting  = "ar_refund"
	refundStepReversal = "receipt_reversal"
	refundStepDeposit  = "deposit"
)

func (in BookRefundInput) key(step string) string {
	return refundKey(in.OrderID, in.RefundID, step, in.Attempt)
}

// reference names a document of a refund, whatever the attempt: an ERP that has it from an earlier one says so, and it is adopted.
func (in BookRefundInput) reference(step string) string {
	return erp.Reference("refund:" + in.OrderID + "/" + in.RefundID + ":" + step)
}

// made picks the operations of a step of this refund, of any attempt.
func (in BookRefundInput) made(step string) func(journal.Operation) bool {
	prefix := "refund:" + in.OrderID + "/" + in.RefundID + ":" + step + ":"
	return func(stored journal.Operation) bool { return strings.HasPrefix(stored.Key, prefix) }
}

func (in BookRefundInput) invoiced() bool { return in.Invoice != "" || in.CreditMemo != "" }

// CreditRefund makes the credit memo of a refund, with our operation key as its reference. An order that is not invoiced has nothing to
// credit, and neither has one whose credit memo the ERP itself began with: UndoNothing, with that memo as the document.
func (b *Booking) CreditRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	booked, err := b.creditRefund(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) creditRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	if in.CreditMemo != "" || in.Invoice == "" {
		return RefundBooked{Result: UndoNothing, Document: in.CreditMemo}, nil
	}
	if !in.Breakdown.Total.Equal(in.Amount.Amount) {
		return RefundBooked{}, bug("refund %s of %s has a breakdown of %s", in.RefundID, in.Amount, in.Breakdown.Total)
	}
	if in.Way == WayVoid {
		// Taken back first, the receipt leaves the invoice open, and the credit memo closes it. The other way round both would stay open.
		if _, _, err := b.reverse(ctx, in, in.CaptureID); err != nil {
			return RefundBooked{}, err
		}
	}
	key := in.key(refundStepMemo)
	document, err := b.mapped("credit_memo", mappings.Input{
		Order: in.Order, Site: in.Site, Date: in.Date, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		SalesOrder: canonical.SalesOrder{Number: in.SalesOrder},
		Invoice:    canonical.Invoice{Number: in.Invoice, SalesOrder: in.SalesOrder, Currency: in.Amount.Currency},
		Credit: mappings.Credit{
			Reference: erp.Reference(key), RefundID: in.RefundID, Reason: refundReason(in), Note: in.Reason,
			Amount: in.Amount.Amount, Tax: in.Breakdown.Tax, Restock: in.Restock, Lines: restockLines(in.Breakdown),
		},
	})
	if err != nil {
		return RefundBooked{}, err
	}
	memo, err := bookOnce(ctx, b, in, refundStepMemo, b.findCreditMemo(in.Invoice),
		b.creditMemo(key, kindRefundMemo, in.OrderID, in.Invoice, in.Amount, document))
	return RefundBooked{Result: UndoDone, Document: memo.Number}, err
}

func restockLines(breakdown canonical.RefundBreakdown) []mappings.CreditLine {
	var lines []mappings.CreditLine
	for _, share := range breakdown.Lines {
		lines = append(lines, mappings.CreditLine{Number: share.Line, SKU: share.SKU, Quantity: share.Quantity})
	}
	return lines
}

var reasonCode = regexp.MustCompile(`^[A-Z][A-Z0-9_-]{1,29}$`)

// refundReason is the ERP's reason code: the one that was given, where it is a code, else the site's, else whether goods come back.
func refundReason(in BookRefundInput) string {
	switch {
	case reasonCode.MatchString(in.Reason):
		return in.Reason
	case in.Site["refundReason"] != "":
		return in.Site["refundReason"]
	case in.Restock:
		return "RETURN"
	default:
		return "REFUND"
	}
}

// PostRefund books the money that went back in AR: as a refund that closes the credit memo; where the capture was voided, so that the
// money never moved, by taking the receipt back; before there is an invoice, by taking the deposit back and posting what stays of it anew.
// A hold that was released was never booked: UndoNothing.
func (b *Booking) PostRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	booked, err := b.postRefund(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) postRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	switch {
	case in.Way == WayReversal || in.Way == WayNone:
		return RefundBooked{Result: UndoNothing}, nil
	case !in.invoiced():
		return b.lowerDeposit(ctx, in)
	case in.Way == WayRefund:
		return b.refundMemo(ctx, in)
	}
	ours, err := b.madeMemo(ctx, in)
	if err != nil {
		return RefundBooked{}, err
	}
	if in.CreditMemo != "" && !ours {
		// The ERP's own credit memo stands against a paid invoice: a refund closes it, and what the void took out of the clearing account
		// meets what the receipt put there.
		return b.refundMemo(ctx, in)
	}
	reversed, found, err := b.reverse(ctx, in, in.CaptureID)
	if err != nil || !found {
		return RefundBooked{Result: UndoNothing}, err
	}
	return RefundBooked{Result: UndoDone, Document: reversed.Reference}, nil
}

// madeMemo tells whether this refund made its credit memo itself.
func (b *Booking) madeMemo(ctx context.Context, in BookRefundInput) (bool, error) {
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return false, err
	}
	made := in.made(refundStepMemo)
	for _, stored := range all {
		if stored.Kind == kindRefundMemo && made(stored) && stored.State == journal.OperationSucceeded {
			return true, nil
		}
	}
	return false, nil
}

// refundMemo posts the money that left against the credit memo. Its reference is the gateway's transaction.
func (b *Booking) refundMemo(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	switch {
	case in.CreditMemo == "":
		return RefundBooked{}, &fault.Fault{
			Kind: fault.MissingReference, System: b.system(), Code: "CREDIT_MEMO_MISSING", Message: "there is no credit memo that the refund could be posted against",
		}
	case in.TransactionID == "":
		return RefundBooked{}, bug("refund %s is posted without the gateway's transaction", in.RefundID)
	}
	key := in.key(refundStepPosting)
	posting := erp.RefundPosting{
		Reference: in.TransactionID, CustomerCode: in.CustomerCode, CreditMemo: in.CreditMemo, Amount: in.Amount.Amount, Currency: in.Amount.Currency,
		Date: in.Date, BankCode: in.Site["bank"], Narration: in.OrderID, TransactionID: in.TransactionID,
	}
	find := b.findPosting(posting.Reference, in.Amount)
	posted, err := bookOnce(ctx, b, in, refundStepPosting, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundPosting, orderID: in.OrderID, reference: posting.Reference, amount: in.Amount, input: posting,
		hashOf: []any{posting.Reference, posting.CreditMemo}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			sent, err := decoded[erp.RefundPosting](stored)
			if err != nil {
				return canonical.Receipt{}, err
			}
			return b.Port.PostRefund(ctx, key, sent)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
	return RefundBooked{Result: UndoDone, Document: posted.Reference}, err
}

// findPosting looks up an AR payment of ours. One of another amount was posted by somebody else: it is not adopted.
func (b *Booking) findPosting(reference string, amount canonical.Money) func(context.Context) (canonical.Receipt, error) {
	return func(ctx context.Context) (canonical.Receipt, error) {
		found, err := b.Port.FindReceipt(ctx, reference)
		if err == nil && !canonical.NewMoney(found.Amount, found.Currency).Equal(amount) {
			return found, &fault.Fault{
				Kind: fault.Conflict, System: b.system(), Code: "DUPLICATE_REFERENCE", Message: "a payment of this reference exists with another amount or currency",
			}
		}
		return found, err
	}
}

// reverse takes a receipt or deposit back whole; found is false where the ERP has none.
func (b *Booking) reverse(ctx context.Context, in BookRefundInput, source string) (reversed canonical.Receipt, found bool, err error) {
	if source == "" {
		return canonical.Receipt{}, false, nil
	}
	receipt, err := b.Port.FindReceipt(ctx, source)
	if fault.Is(err, fault.NotFound) {
		return canonical.Receipt{}, false, nil
	}
	if err != nil {
		return canonical.Receipt{}, false, err
	}
	key := in.key(refundStepReversal)
	whole := canonical.NewMoney(receipt.Amount, receipt.Currency)
	reversal := erp.ReceiptReversal{
		Reference: in.reference(refundStepReversal), Source: receipt.Reference, CustomerCode: in.CustomerCode, Date: in.Date,
		Amount: whole.Amount, Currency: whole.Currency, BankCode: in.Site["bank"], Narration: in.OrderID,
	}
	find := b.findPosting(reversal.Reference, whole)
	reversed, err = bookOnce(ctx, b, in, refundStepReversal, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundReversal, orderID: in.OrderID, reference: reversal.Reference, amount: in.Amount, input: reversal,
		hashOf: []any{reversal.Source}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			sent, err := decoded[erp.ReceiptReversal](stored)
			if err != nil {
				return canonical.Receipt{}, err
			}
			return b.Port.ReverseReceipt(ctx, key, sent)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
	return reversed, err == nil, err
}

// lowerDeposit takes a refund out of an order's deposit: no ERP pays a part of one back, so the whole is reversed, and what stays is
// posted as a deposit of its own name.
func (b *Booking) lowerDeposit(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	source, err := b.currentDeposit(ctx, in)
	if err != nil || source == "" {
		return RefundBooked{Result: UndoNothing}, err
	}
	deposit, err := b.Port.FindReceipt(ctx, source)
	if fault.Is(err, fault.NotFound) {
		return RefundBooked{Result: UndoNothing}, nil
	}
	if err != nil {
		return RefundBooked{}, err
	}
	rest := deposit.Amount.Sub(in.Amount.Amount)
	if rest.IsNegative() {
		return RefundBooked{}, &fault.Fault{
			Kind: fault.Conflict, System: b.system(), Code: "DEPOSIT_TOO_SMALL",
			Message: fmt.Sprintf("deposit %s of %s is less than the refund of %s", source, canonical.NewMoney(deposit.Amount, deposit.Currency), in.Amount),
		}
	}
	reversed, found, err := b.reverse(ctx, in, source)
	if err != nil || !found {
		return RefundBooked{Result: UndoNothing}, err
	}
	if rest.IsZero() {
		return RefundBooked{Result: UndoDone, Document: reversed.Reference}, nil
	}
	posted, err := b.depositRest(ctx, in, rest)
	return RefundBooked{Result: UndoDone, Document: posted.Reference}, err
}

func (b *Booking) depositRest(ctx context.Context, in BookRefundInput, rest decimal.Decimal) (canonical.Receipt, error) {
	key, reference := in.key(refundStepDeposit), in.reference(refundStepDeposit)
	amount := canonical.NewMoney(rest, in.Amount.Currency)
	document, err := b.mapped("deposit", mappings.Input{
		Order: in.Order, Site: in.Site, Date: in.Date, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		Payment: canonical.Payment{OrderID: in.OrderID, Currency: amount.Currency, CaptureID: in.CaptureID},
		Credit:  mappings.Credit{Reference: reference, RefundID: in.RefundID, Reason: refundReason(in), Note: in.Reason, Amount: rest},
	})
	if err != nil {
		return canonical.Receipt{}, err
	}
	find := b.findPosting(reference, amount)
	return bookOnce(ctx, b, in, refundStepDeposit, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundDeposit, orderID: in.OrderID, reference: reference, amount: amount, input: erpDocument(document),
		hashOf: []any{reference}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			return withDocument(ctx, key, stored, b.Port.PostReceipt)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
}

// currentDeposit is the reference of the deposit that an order's money stands in now: the order's own, or what the last refund left of
// it. "" where nothing is left. A refund that has begun stays with the deposit it began with; one that another refund is just replacing is
// waited for.
func (b *Booking) currentDeposit(ctx context.Context, in BookRefundInput) (string, error) {
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return "", err
	}
	mine := in.made(refundStepReversal)
	current := in.CaptureID
	for _, stored := range all {
		if stored.Kind != kindRefundReversal || stored.State == journal.OperationRefused || stored.State == journal.OperationAbsent {
			continue
		}
		var sent erp.ReceiptReversal
		if err := json.Unmarshal(stored.Request, &sent); err != nil {
			return "", fmt.Errorf("read stored reversal: %w", err)
		}
		if mine(stored) {
			return sent.Source, nil
		}
		if current, err = replacement(all, stored, sent); err != nil {
			return "", err
		}
	}
	return current, nil
}

// replacement is the deposit that came in the place of one that a refund has reversed.
func replacement(all []journal.Operation, reversal journal.Operation, sent erp.ReceiptReversal) (string, error) {
	refund, _, _ := strings.Cut(reversal.Key, ":"+refundStepReversal+":")
	for _, stored := range all {
		if stored.Kind == kindRefundDeposit && stored.State == journal.OperationSucceeded && strings.HasPrefix(stored.Key, refund+":") {
			return stored.Reference, nil
		}
	}
	if reversal.State == journal.OperationSucceeded && sent.Amount.Equal(reversal.Amount.Amount) {
		return "", nil // paid back whole
	}
	return "", &fault.Fault{Kind: fault.Busy, System: reversal.System, Message: "another refund is just replacing the order's deposit"}
}

// bookOnce performs a step of a refund, unless an earlier attempt has made its document already.
func bookOnce[R any](ctx context.Context, b *Booking, in BookRefundInput, step string, find func(context.Context, journal.Operation) (R, error),
	op erpOperation[R],
) (R, error) {
	if in.Attempt > 1 {
		ofStep := in.made(step)
		former := func(stored journal.Operation) bool {
			return stored.Kind == op.kind && stored.Key != op.key && ofStep(stored)
		}
		made, exists, err := resolveErp(ctx, b.Operations, in.OrderID, former, b.Settle, b.Clock(), find)
		if err != nil || exists {
			return made, err
		}
	}
	return performErp(ctx, b.Operations, b.system(), op)
}

// TagRefund shows in the ERP what became of the payment, on the sales order and the invoice; it makes no accounting entry.
func (b *Booking) TagRefund(ctx context.Context, in BookRefundInput) error {
	return toTemporal(b.tagRefund(ctx, in))
}

func (b *Booking) tagRefund(ctx context.Context, in BookRefundInput) error {
	if in.SalesOrder == "" && in.Invoice == "" {
		return nil
	}
	tag := refundTag(in)
	return b.tag(ctx, in.key(tagStep(tag)), in.OrderID, erp.PaymentStatusChange{
		// The capture stays the transaction that the ERP knows the payment by.
		SalesOrder: in.SalesOrder, Invoice: in.Invoice, TransactionID: in.CaptureID, Status: tag,
		Amount: in.Amount.Amount, Currency: in.Amount.Currency, At: b.Clock().UTC(),
	})
}

func refundTag(in BookRefundInput) erp.PaymentTag {
	switch {
	case !in.Whole:
		return erp.TagPartiallyRefunded
	case in.Way == WayRefund:
		return erp.TagRefunded
	default:
		return erp.TagVoided
	}
}

// CancelRefunded cancels the sales order of a refund that leaves nothing paid, where it was not invoiced.
func (b *Booking) CancelRefunded(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	booked, err := b.cancelRefunded(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) cancelRefunded(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	if !in.Whole || in.invoiced() || in.SalesOrder == "" {
		return RefundBooked{Result: UndoNothing}, nil
	}
	undone, err := b.cancel(ctx, in.key, in.OrderID, in.SalesOrder, in.Site)
	return RefundBooked(undone), err
}

// HoldSalesOrder suspends a sales order that has not left yet, or releases it. UndoTooLate: it is invoiced, shipped, cancelled or already in
// the hands of the warehouse; Document is the ERP's status. To release one that is not suspended is UndoNothing.
func (b *Booking) HoldSalesOrder(ctx context.Context, in HoldSalesOrderInput) (RefundBooked, error) {
	booked, err := b.holdSalesOrder(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) holdSalesOrder(ctx context.Context, in HoldSalesOrderInput) (RefundBooked, error) {
	find := func(ctx context.Context) (canonical.SalesOrder, error) {
		return b.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: in.SalesOrder})
	}
	step, change := kindHold, erp.SalesOrderChange{Number: in.SalesOrder, State: erp.SalesOrderHold}
	if in.Release {
		step, change.State = kindUnhold, erp.SalesOrderOpen
	}
	key := OperationKey("fraud-review", in.OrderID+"/late", step, in.Attempt)
	now, err := find(ctx)
	switch {
	case err != nil:
		return RefundBooked{}, err
	case in.Release && !now.OnHold:
		return b.releasedBefore(ctx, key, now)
	case !in.Release && left(now):
		return RefundBooked{Result: UndoTooLate, Document: now.Status}, nil
	}
	changed, err := b.change(ctx, key, step, in.OrderID, change)
	if !in.Release && (fault.Is(err, fault.Conflict) || fault.Is(err, fault.DeclinedByPolicy)) {
		if now, err = find(ctx); err == nil {
			return RefundBooked{Result: UndoTooLate, Document: now.Status}, nil
		}
	}
	return RefundBooked{Result: UndoDone, Document: changed.Number}, err
}

// releasedBefore answers a release of an order that is not suspended: ours did it, and its answer was lost, or there was nothing to release.
// It is never sent again: the order may be ready by now, and would be set back.
func (b *Booking) releasedBefore(ctx context.Context, key string, now canonical.SalesOrder) (RefundBooked, error) {
	stored, err := b.Operations.Get(ctx, key)
	if errors.Is(err, journal.ErrNotFound) {
		return RefundBooked{Result: UndoNothing, Document: now.Number}, nil
	}
	if err != nil || stored.State.Final() {
		return RefundBooked{Result: UndoDone, Document: now.Number}, err
	}
	outcome, err := json.Marshal(now)
	if err != nil {
		return RefundBooked{}, err
	}
	return RefundBooked{Result: UndoDone, Document: now.Number}, journalFault(b.Operations.Succeed(ctx, key, "", outcome))
}

// left tells that goods of the order, or their invoice, have gone out.
func left(order canonical.SalesOrder) bool {
	if order.Invoice != "" {
		return true
	}
	for _, line := range order.Lines {
		if line.Shipped.IsPositive() {
			return true
		}
	}
	return false
}
