package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
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

// invoiced tells that goods of the refund were invoiced, or that the ERP has credited them itself.
func (in BookRefundInput) invoiced() bool {
	return in.Invoice != "" || in.CreditMemo != "" || slices.ContainsFunc(in.Parts, func(part RefundPart) bool { return part.Invoice != "" })
}

// CreditRefund makes the credit memo of a refund, with our operation key as its reference: one for each invoice that its money was captured
// for. An order that is not invoiced has nothing to credit, and neither has one whose credit memo the ERP itself began with: UndoNothing,
// with that memo as the document. What stands in a deposit still is not credited: PostRefund takes it out of that.
func (b *Booking) CreditRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	booked, err := b.creditRefund(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) creditRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	if in.CreditMemo != "" || !in.invoiced() {
		return RefundBooked{Result: UndoNothing, Document: in.CreditMemo}, nil
	}
	pieces, err := in.pieces()
	if err != nil {
		return RefundBooked{}, err
	}
	credits, err := b.creditsOf(ctx, in, pieces)
	if err != nil {
		return RefundBooked{}, err
	}
	booked := RefundBooked{Result: UndoNothing}
	var numbers []string
	for i, credit := range credits {
		memo, err := b.creditOne(ctx, in, credit)
		if err != nil {
			return RefundBooked{}, err
		}
		credits[i].memo, numbers = memo.Number, append(numbers, memo.Number)
	}
	if len(numbers) > 0 {
		booked.Result, booked.Document = UndoDone, strings.Join(numbers, memoSeparator)
	}
	for _, part := range in.Parts {
		booked.Credited = append(booked.Credited, creditedOf(part, credits)...)
	}
	return booked, nil
}

// creditOne makes the credit memo of one invoice.
func (b *Booking) creditOne(ctx context.Context, in BookRefundInput, credit refundCredit) (canonical.CreditMemo, error) {
	if in.Way == WayVoid {
		// Taken back first, the receipt leaves the invoice open, and the credit memo closes it. The other way round both would stay open.
		for _, piece := range credit.pieces {
			if _, _, err := b.reverse(ctx, in, piece.refundPiece, piece.CaptureID); err != nil {
				return canonical.CreditMemo{}, err
			}
		}
	}
	key := in.key(credit.step)
	amount := canonical.NewMoney(credit.amount, in.Amount.Currency)
	document, err := b.mapped("credit_memo", mappings.Input{
		Order: in.Order, Site: in.Site, Date: in.Date, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		SalesOrder: canonical.SalesOrder{Number: in.SalesOrder},
		Invoice:    canonical.Invoice{Number: credit.invoice, SalesOrder: in.SalesOrder, Currency: in.Amount.Currency},
		Credit: mappings.Credit{
			Reference: erp.Reference(key), RefundID: in.RefundID, Reason: refundReason(in), Note: in.Reason,
			Amount: credit.amount, Tax: credit.tax, Restock: in.Restock, Lines: credit.lines,
		},
	})
	if err != nil {
		return canonical.CreditMemo{}, err
	}
	return bookOnce(ctx, b, in, credit.step, b.findCreditMemo(credit.invoice),
		b.creditMemo(key, kindRefundMemo, in.OrderID, credit.invoice, amount, document))
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
	if in.Way == WayReversal || in.Way == WayNone {
		return RefundBooked{Result: UndoNothing}, nil
	}
	pieces, err := in.pieces()
	if err != nil {
		return RefundBooked{}, err
	}
	booked := RefundBooked{Result: UndoNothing}
	var documents []string
	for _, piece := range pieces {
		one, err := b.postPiece(ctx, in, piece)
		if err != nil {
			return RefundBooked{}, err
		}
		if one.Result == UndoDone {
			booked.Result, documents = UndoDone, append(documents, one.Document)
		}
	}
	booked.Document = strings.Join(documents, ", ")
	return booked, nil
}

// postPiece books what went back of one capture.
func (b *Booking) postPiece(ctx context.Context, in BookRefundInput, piece refundPiece) (RefundBooked, error) {
	postings, deposit := in.postingsOf(piece)
	switch {
	case deposit:
		return b.lowerDeposit(ctx, in, piece)
	case in.Way == WayRefund:
		return b.refundMemos(ctx, in, postings)
	}
	ours, err := b.madeMemo(ctx, in)
	if err != nil {
		return RefundBooked{}, err
	}
	if postings[0].memo != "" && !ours {
		// The ERP's own credit memo stands against a paid invoice: a refund closes it, and what the void took out of the clearing account
		// meets what the receipt put there.
		return b.refundMemos(ctx, in, postings)
	}
	reversed, found, err := b.reverse(ctx, in, piece, piece.CaptureID)
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
	for _, stored := range all {
		if stored.Kind == kindRefundMemo && strings.HasPrefix(stored.Key, refundKeys(in.OrderID, in.RefundID)) && stored.State == journal.OperationSucceeded {
			return true, nil
		}
	}
	return false, nil
}

// refundMemos posts what went back of one capture, against each of its credit memos.
func (b *Booking) refundMemos(ctx context.Context, in BookRefundInput, postings []refundPosting) (RefundBooked, error) {
	var documents []string
	for _, posting := range postings {
		posted, err := b.refundMemo(ctx, in, posting)
		if err != nil {
			return RefundBooked{}, err
		}
		documents = append(documents, posted.Reference)
	}
	return RefundBooked{Result: UndoDone, Document: strings.Join(documents, ", ")}, nil
}

// refundMemo posts the money that left against a credit memo. Its reference is the gateway's transaction; of several memos for one, that is the
// first one's.
func (b *Booking) refundMemo(ctx context.Context, in BookRefundInput, piece refundPosting) (canonical.Receipt, error) {
	switch {
	case piece.memo == "":
		return canonical.Receipt{}, &fault.Fault{
			Kind: fault.MissingReference, System: b.system(), Code: "CREDIT_MEMO_MISSING", Message: "there is no credit memo that the refund could be posted against",
		}
	case piece.TransactionID == "":
		return canonical.Receipt{}, bug("refund %s is posted without the gateway's transaction", in.RefundID)
	}
	step, reference := piece.step(refundStepPosting), piece.TransactionID
	if piece.further {
		step += "-" + piece.memo
		reference = in.reference(step)
	}
	key := in.key(step)
	posting := erp.RefundPosting{
		Reference: reference, CustomerCode: in.CustomerCode, CreditMemo: piece.memo, Amount: piece.Amount.Amount, Currency: piece.Amount.Currency,
		Date: in.Date, BankCode: in.Site["bank"], Narration: in.OrderID, TransactionID: piece.TransactionID,
	}
	find := b.findPosting(posting.Reference, piece.Amount)
	return bookOnce(ctx, b, in, step, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundPosting, orderID: in.OrderID, reference: posting.Reference, amount: piece.Amount, input: posting,
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
func (b *Booking) reverse(ctx context.Context, in BookRefundInput, piece refundPiece, source string) (reversed canonical.Receipt, found bool, err error) {
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
	step := piece.step(refundStepReversal)
	key := in.key(step)
	whole := canonical.NewMoney(receipt.Amount, receipt.Currency)
	reversal := erp.ReceiptReversal{
		Reference: in.reference(step), Source: receipt.Reference, CustomerCode: in.CustomerCode, Date: in.Date,
		Amount: whole.Amount, Currency: whole.Currency, BankCode: in.Site["bank"], Narration: in.OrderID,
	}
	find := b.findPosting(reversal.Reference, whole)
	reversed, err = bookOnce(ctx, b, in, step, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundReversal, orderID: in.OrderID, reference: reversal.Reference, amount: piece.Amount, input: reversal,
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

// lowerDeposit takes what went back of a capture out of its deposit: no ERP pays a part of one back, so the whole is reversed, and what stays is
// posted as a deposit of its own name.
func (b *Booking) lowerDeposit(ctx context.Context, in BookRefundInput, piece refundPiece) (RefundBooked, error) {
	source, err := b.currentDeposit(ctx, in, piece)
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
	rest := deposit.Amount.Sub(piece.Amount.Amount)
	if rest.IsNegative() {
		return RefundBooked{}, &fault.Fault{
			Kind: fault.Conflict, System: b.system(), Code: "DEPOSIT_TOO_SMALL",
			Message: fmt.Sprintf("deposit %s of %s is less than the refund of %s", source, canonical.NewMoney(deposit.Amount, deposit.Currency), piece.Amount),
		}
	}
	if err := b.unused(ctx, in, piece, source); err != nil {
		return RefundBooked{}, err
	}
	reversed, found, err := b.reverse(ctx, in, piece, source)
	if err != nil || !found {
		return RefundBooked{Result: UndoNothing}, err
	}
	if rest.IsZero() {
		return RefundBooked{Result: UndoDone, Document: reversed.Reference}, nil
	}
	posted, err := b.depositRest(ctx, in, piece, rest)
	return RefundBooked{Result: UndoDone, Document: posted.Reference}, err
}

// unused refuses to lower a deposit that an invoice has used meanwhile: reversed whole, it would leave the invoice open. A void undoes the payment
// itself, and with it all that was paid of it.
func (b *Booking) unused(ctx context.Context, in BookRefundInput, piece refundPiece, source string) error {
	port, tells := b.Port.(erp.ChangePort)
	if !tells || in.Way != WayRefund {
		return nil
	}
	if begun, err := b.tookDeposit(ctx, in, piece); begun || err != nil {
		return err
	}
	deposit, err := port.FindDeposit(ctx, source)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case deposit.Unapplied.LessThan(deposit.Amount):
		return b.depositInUse(canonical.NewMoney(deposit.Amount.Sub(deposit.Unapplied), deposit.Currency).String() + " of deposit " + source +
			" has paid invoices that the refund knew nothing of: book it by hand (skip)")
	}
	return nil
}

// depositInUse tells that no ERP gives a part of a deposit back that others have used.
func (b *Booking) depositInUse(message string) error {
	return &fault.Fault{Kind: fault.Conflict, System: b.system(), Code: "DEPOSIT_IN_USE", Message: message}
}

func (b *Booking) depositRest(ctx context.Context, in BookRefundInput, piece refundPiece, rest decimal.Decimal) (canonical.Receipt, error) {
	step := piece.step(refundStepDeposit)
	key, reference := in.key(step), in.reference(step)
	amount := canonical.NewMoney(rest, in.Amount.Currency)
	document, err := b.mapped("deposit", mappings.Input{
		Order: in.Order, Site: in.Site, Date: in.Date, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		Payment: canonical.Payment{OrderID: in.OrderID, Currency: amount.Currency, CaptureID: piece.CaptureID},
		Credit:  mappings.Credit{Reference: reference, RefundID: in.RefundID, Reason: refundReason(in), Note: in.Reason, Amount: rest},
	})
	if err != nil {
		return canonical.Receipt{}, err
	}
	find := b.findPosting(reference, amount)
	return bookOnce(ctx, b, in, step, whichever(find), erpOperation[canonical.Receipt]{
		key: key, kind: kindRefundDeposit, orderID: in.OrderID, reference: reference, amount: amount, input: erpDocument(document),
		hashOf: []any{reference}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			return withDocument(ctx, key, stored, b.Port.PostReceipt)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
}

// currentDeposit is the reference of the deposit that a capture's money stands in now: the capture's own, or what the last refund left of
// it. "" where nothing is left. A refund that has begun stays with the deposit it began with; one that another refund is just replacing is
// waited for.
func (b *Booking) currentDeposit(ctx context.Context, in BookRefundInput, piece refundPiece) (string, error) {
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return "", err
	}
	mine := in.made(piece.step(refundStepReversal))
	current := piece.CaptureID
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
		if sent.Source != current {
			continue // of another capture
		}
		if current, err = replacement(all, stored, sent); err != nil {
			return "", err
		}
	}
	return current, nil
}

// replacement is the deposit that came in the place of one that a refund has reversed.
func replacement(all []journal.Operation, reversal journal.Operation, sent erp.ReceiptReversal) (string, error) {
	place := strings.Replace(reversal.Key, ":"+refundStepReversal, ":"+refundStepDeposit, 1)
	place = place[:strings.LastIndex(place, ":")+1] // of any attempt
	for _, stored := range all {
		if stored.Kind == kindRefundDeposit && stored.State == journal.OperationSucceeded && strings.HasPrefix(stored.Key, place) {
			return stored.Reference, nil
		}
	}
	if reversal.State == journal.OperationSucceeded && sent.Amount.Equal(reversal.Amount.Amount) {
		return "", nil // paid back whole
	}
	return "", &fault.Fault{Kind: fault.Busy, System: reversal.System, Message: "another refund is just replacing the order's deposit"}
}

// bookOnce performs a step of a refund, unless another attempt, be it of a run before this one, has made its document already.
func bookOnce[R any](ctx context.Context, b *Booking, in BookRefundInput, step string, find func(context.Context, journal.Operation) (R, error),
	op erpOperation[R],
) (R, error) {
	ofStep := in.made(step)
	former := func(stored journal.Operation) bool {
		return stored.Kind == op.kind && stored.Key != op.key && ofStep(stored)
	}
	made, exists, err := resolveErp(ctx, b.Operations, in.OrderID, former, b.Settle, b.Clock(), find)
	if err != nil || exists {
		return made, err
	}
	return performErp(ctx, b.Operations, b.system(), op)
}

// TagRefund shows in the ERP what became of the payment, on the sales order and the invoice; it makes no accounting entry.
func (b *Booking) TagRefund(ctx context.Context, in BookRefundInput) error {
	return toTemporal(b.tagRefund(ctx, in))
}

func (b *Booking) tagRefund(ctx context.Context, in BookRefundInput) error {
	invoices := in.taggedInvoices()
	if in.SalesOrder == "" && invoices[0] == "" {
		return nil
	}
	tag := refundTag(in)
	key := in.key(tagStep(tag))
	known, err := b.knownBy(ctx, key, in)
	if err != nil {
		return err
	}
	change := erp.PaymentStatusChange{
		SalesOrder: in.SalesOrder, Invoice: invoices[0], TransactionID: known, Status: tag,
		Amount: in.Amount.Amount, Currency: in.Amount.Currency, At: b.Clock().UTC(),
	}
	if err := b.tag(ctx, key, in.OrderID, change); err != nil {
		return err
	}
	for _, invoice := range invoices[1:] {
		change.SalesOrder, change.Invoice = "", invoice
		if err := b.tag(ctx, in.key(tagStep(tag)+"-"+invoice), in.OrderID, change); err != nil {
			return err
		}
	}
	return nil
}

// taggedInvoices are the invoices that a refund concerns; the first one is tagged with the sales order, and may be "".
func (in BookRefundInput) taggedInvoices() []string {
	if len(in.Parts) == 0 {
		return []string{in.Invoice}
	}
	var invoices []string
	for _, part := range in.Parts {
		if invoice := cmp.Or(part.Invoice, in.Invoice); !slices.Contains(invoices, invoice) {
			invoices = append(invoices, invoice)
		}
	}
	slices.SortStableFunc(invoices, func(a, b string) int { // none goes with the sales order alone
		return cmp.Compare(min(len(b), 1), min(len(a), 1))
	})
	return slices.DeleteFunc(invoices, func(invoice string) bool { return invoice == "" && len(invoices) > 1 })
}

// knownBy is the capture by which the ERP knows the payment, and goes on knowing it: the last one that it was told of, where shipments are
// captured one by one. What was begun with another one goes on with that.
func (b *Booking) knownBy(ctx context.Context, key string, in BookRefundInput) (string, error) {
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return "", err
	}
	known := in.CaptureID
	for _, stored := range all {
		if stored.Kind != kindTag {
			continue
		}
		sent, err := decoded[erp.PaymentStatusChange](stored.Request)
		switch {
		case err != nil:
			return "", err
		case stored.Key == key:
			return sent.TransactionID, nil
		case sent.Status == erp.TagCaptured && stored.State == journal.OperationSucceeded:
			known = sent.TransactionID
		}
	}
	return known, nil
}

// refundTag is what the ERP is to show. An order of which a part was captured and voided, and the rest refunded, is refunded.
func refundTag(in BookRefundInput) erp.PaymentTag {
	switch {
	case !in.Whole:
		return erp.TagPartiallyRefunded
	case in.Way == WayRefund, in.PaymentStatus == canonical.PaymentRefunded:
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
	return RefundBooked{Result: undone.Result, Document: undone.Document}, err
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
