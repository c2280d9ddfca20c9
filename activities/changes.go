package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/journal"
)

// Changes holds the own-database steps of what starts in an ERP, and of disputes: polled changes, shipments, credit memos, chargebacks. Its
// steps are local activities.
type Changes struct {
	Journal *journal.Store
	Clock   func() time.Time
}

// ErpSource is the source of an ERP's changes in the inbox.
func ErpSource(erp string) string { return "erp-" + erp }

// ChangeEventType is the type of a feed's changes in the inbox: "erp.credit_memo". The body of such an event is a Change as JSON.
func ChangeEventType(feed ChangeFeed) string { return "erp." + string(feed) }

// ChangeEventID is the inbox's ID of a change, however often, and by whichever way (polled or pushed), it is told.
func ChangeEventID(erp string, change Change) string {
	return inputHash("erp-change", erp, change.Feed, change.ID)
}

// feedCursor names the cursor of an ERP's feed.
func feedCursor(erp string, feed ChangeFeed) string { return "erp-changes/" + erp + "/" + string(feed) }

// ReadCursor gives where the poll of a feed stands.
func (c *Changes) ReadCursor(ctx context.Context, in ReadCursorInput) (FeedCursor, error) {
	watermark, err := c.Journal.Cursor(ctx, feedCursor(in.Erp, in.Feed))
	return FeedCursor{Watermark: watermark}, toTemporal(err)
}

// ReceiveChanges stores changes in the inbox and moves the cursor over them, in one transaction. A change that is there already changes
// nothing.
func (c *Changes) ReceiveChanges(ctx context.Context, in ReceiveChangesInput) (ReceivedChanges, error) {
	received, err := c.receiveChanges(ctx, in)
	return received, toTemporal(err)
}

func (c *Changes) receiveChanges(ctx context.Context, in ReceiveChangesInput) (ReceivedChanges, error) {
	items := make([]journal.InboxItem, 0, len(in.Changes))
	for _, change := range in.Changes {
		change.Feed = in.Feed
		item, err := ChangeEvent(in.Erp, change)
		if err != nil {
			return ReceivedChanges{}, err
		}
		items = append(items, item)
	}
	created, err := c.Journal.ReceiveChanges(ctx, items, feedCursor(in.Erp, in.Feed), in.Watermark)
	return ReceivedChanges{New: created}, err
}

// ChangeEvent is a change as the inbox keeps it, polled or pushed.
func ChangeEvent(erp string, change Change) (journal.InboxItem, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return journal.InboxItem{}, bug("encode change %s: %v", change.ID, err)
	}
	return journal.InboxItem{
		ID: ChangeEventID(erp, change), Source: ErpSource(erp), EventType: ChangeEventType(change.Feed), ResourceID: change.Number,
		OrderID: change.OrderID, Body: body,
	}, nil
}

// memoRefusedError says why a credit memo is not refunded. It is an answer, no failure.
type memoRefusedError string

func (r memoRefusedError) Error() string { return string(r) }

// TakeMemo records the refund that a credit memo asks for, so that it reserves what it will pay back. What can't be paid back is refused with
// the reason. The same memo again gives what was recorded first.
func (c *Changes) TakeMemo(ctx context.Context, in TakeMemoInput) (TakenMemo, error) {
	taken, err := c.takeMemo(ctx, in)
	if refused := memoRefusedError(""); errors.As(err, &refused) {
		return TakenMemo{Refused: refused.Error()}, nil
	}
	return taken, toTemporal(err)
}

func (c *Changes) takeMemo(ctx context.Context, in TakeMemoInput) (TakenMemo, error) {
	if err := acceptable(in.Order, in.Memo); err != nil {
		return TakenMemo{}, err
	}
	record, _, err := c.Journal.TakeRefund(ctx, journal.RefundRecord{
		OrderID: in.Order.OrderID, RefundID: in.RefundID, Origin: "erp", Actor: in.Actor, Reason: in.Memo.Reason,
		BodyHash:   inputHash("credit-memo", in.Memo.Number, in.Memo.Amount.String(), in.Memo.Tax.String(), in.Memo.Currency),
		CreditMemo: in.Memo.Number, Currency: in.Order.Currency, Status: canonical.RefundReceived,
	}, func(earlier []canonical.RefundBreakdown, payment journal.Payment) (canonical.RefundBreakdown, error) {
		return apportionMemo(in.Order, in.Memo, earlier, payment)
	})
	if errors.Is(err, journal.ErrRefundDiffers) {
		return TakenMemo{}, memoRefusedError("a refund of this credit memo was taken before, with another amount")
	}
	if err != nil {
		return TakenMemo{}, absent(err)
	}
	// The process of the memo starts the refund: no sweeper needs to.
	return TakenMemo{Breakdown: record.Breakdown}, c.Journal.MarkRefundStarted(ctx, in.Order.OrderID, in.RefundID)
}

// acceptable refuses a memo that is in itself no refund of the order.
func acceptable(order canonical.Order, memo MemoChange) error {
	switch {
	case memo.Own:
		return bug("credit memo %s is our own: it is never refunded", memo.Number)
	case memo.Currency != order.Currency:
		return memoRefusedError(fmt.Sprintf("the credit memo is in %s, the order was paid in %s", memo.Currency, order.Currency))
	case !memo.Amount.IsPositive():
		return memoRefusedError("the credit memo has no amount to pay back")
	case memo.Tax.IsNegative() || memo.Tax.GreaterThan(memo.Amount):
		return memoRefusedError("the tax of the credit memo does not lie within its amount")
	default:
		return nil
	}
}

// apportionMemo works out, on the locked payment, what a memo's amount consists of: its own tax, whatever a rate would say, and goods and
// shipping in proportion to what is left of the order.
func apportionMemo(order canonical.Order, memo MemoChange, earlier []canonical.RefundBreakdown, payment journal.Payment) (canonical.RefundBreakdown, error) {
	if err := payable(order, memo, earlier, payment); err != nil {
		return canonical.RefundBreakdown{}, err
	}
	breakdown, problems := canonical.ApportionRefund(order, earlier, canonical.RefundWish{Amount: &memo.Amount})
	if len(problems) > 0 {
		return canonical.RefundBreakdown{}, memoRefusedError("the amount of the credit memo " + problems[0].Message)
	}
	withoutTax := memo.Amount.Sub(memo.Tax)
	breakdown.Tax = memo.Tax
	breakdown.Shipping = decimal.Min(breakdown.Shipping, withoutTax)
	breakdown.Net = withoutTax.Sub(breakdown.Shipping)
	return breakdown, nil
}

// payable refuses what the money does not cover. A hold alone is released as a whole or not at all.
func payable(order canonical.Order, memo MemoChange, earlier []canonical.RefundBreakdown, payment journal.Payment) error {
	asked := order.Money(memo.Amount)
	switch {
	case payment.Captured.IsZero() && payment.Status == canonical.PaymentAuthorized:
		if memo.Amount.Equal(order.Total) && len(earlier) == 0 {
			return nil
		}
		return memoRefusedError(fmt.Sprintf("%s asked, but the payment is authorized and not captured yet: only all of it can be given back", asked))
	case !payment.Captured.IsPositive():
		return memoRefusedError(fmt.Sprintf("%s asked, but nothing of the order is captured: the payment is %s", asked, cmp.Or(payment.Status, canonical.PaymentNone)))
	}
	if left := payment.LeftAfter(earlier); memo.Amount.GreaterThan(left) {
		return memoRefusedError(fmt.Sprintf("%s asked, but of the captured %s only %s can be paid back: %s is charged back, the rest refunded or about to be",
			asked, order.Money(payment.Captured), order.Money(left), order.Money(payment.ChargedBack)))
	}
	return nil
}

// FindOwnMemo tells which refund or compensation of ours a credit memo belongs to, and whether its money has moved.
func (c *Changes) FindOwnMemo(ctx context.Context, in FindOwnMemoInput) (OwnMemo, error) {
	own, err := c.findOwnMemo(ctx, in)
	return own, toTemporal(err)
}

func (c *Changes) findOwnMemo(ctx context.Context, in FindOwnMemoInput) (OwnMemo, error) {
	if in.Reference == "" {
		return OwnMemo{}, nil
	}
	refunds, err := c.Journal.Refunds(ctx, in.OrderID)
	if err != nil {
		return OwnMemo{}, err
	}
	for _, refund := range refunds {
		if !in.madeBy(refund.RefundID) {
			continue
		}
		if refund.Status != canonical.RefundCompleted {
			return OwnMemo{}, nil
		}
		own := OwnMemo{Known: true, TransactionID: refund.TransactionID, Amount: canonical.NewMoney(refund.Amount, refund.Currency)}
		if strings.Contains(refund.ErpCreditMemo, memoSeparator) && in.Amount.Amount.IsPositive() { // one of several
			own.Amount = in.Amount
		}
		return own, nil
	}
	if names(in.Reference, func(attempt int) string { return orderKey(in.OrderID, kindCreditMemo, attempt) }) {
		return c.compensated(ctx, in.OrderID)
	}
	return OwnMemo{}, nil
}

// madeBy tells that a refund of ours has made the memo: for the order's invoice, or for the one that it credits.
func (in FindOwnMemoInput) madeBy(refundID string) bool {
	for _, step := range []string{refundStepMemo, creditStep("", in.Invoice)} {
		if names(in.Reference, func(attempt int) string { return refundKey(in.OrderID, refundID, step, attempt) }) {
			return true
		}
	}
	return false
}

// names tells whether a reference is that of any attempt's operation, whatever the ERP made of blanks and case. The operations themselves may be in the
// journal of an ERP on premises.
func names(reference string, key func(attempt int) string) bool {
	const attempts = 100 // each of them was refused to a person's face
	reference = strings.TrimSpace(reference)
	for attempt := range attempts {
		if strings.EqualFold(erp.Reference(key(attempt+1)), reference) {
			return true
		}
	}
	return false
}

// compensated tells what the compensation of an order has given back: by voiding its captures, or by refunding them, all together. While one of
// them is not known to have ended, nothing is known of the whole.
func (c *Changes) compensated(ctx context.Context, orderID string) (OwnMemo, error) {
	operations, err := c.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return OwnMemo{}, err
	}
	var own OwnMemo
	for _, stored := range operations {
		gives := stored.Effect == journal.EffectVoidCapture || stored.Effect == journal.EffectRefund
		switch {
		case !gives || !strings.HasPrefix(stored.Key, orderKeys(orderID)):
		case !stored.State.Final():
			return OwnMemo{}, nil
		case stored.State == journal.OperationSucceeded && !own.Known:
			own = OwnMemo{Known: true, TransactionID: stored.OutsideID, Amount: stored.Amount}
		case stored.State == journal.OperationSucceeded:
			own.Amount = canonical.NewMoney(own.Amount.Amount.Add(stored.Amount.Amount), own.Amount.Currency)
		}
	}
	return own, nil
}

// orderKeys begins all keys of an order's own process.
func orderKeys(orderID string) string { return "order:" + orderID + ":" }

// RecordShipment records a shipment once and gives its place among the order's shipments, and what it is worth.
func (c *Changes) RecordShipment(ctx context.Context, in RecordShipmentInput) (ShippedLines, error) {
	shipped, err := c.recordShipment(ctx, in)
	return shipped, toTemporal(err)
}

func (c *Changes) recordShipment(ctx context.Context, in RecordShipmentInput) (ShippedLines, error) {
	record, err := c.Journal.RecordShipment(ctx, in.Order.OrderID, in.Shipment,
		func(earlier []journal.ShipmentRecord) (canonical.Money, bool) {
			return shareOf(in.Order, earlier, in.Shipment)
		})
	if err != nil {
		return ShippedLines{}, absent(err)
	}
	all, err := c.Journal.Shipments(ctx, in.Order.OrderID)
	if err != nil {
		return ShippedLines{}, err
	}
	shipped := ShippedLines{Complete: record.Complete, Final: record.Final, Share: record.Share, Sequence: record.Sequence}
	if shipped.GivenUp, shipped.ByHand, err = c.answered(ctx, in); err != nil {
		return ShippedLines{}, err
	}
	for _, one := range all {
		if invoice := one.Shipment.Invoice; invoice != "" && !slices.Contains(shipped.Invoices, invoice) {
			shipped.Invoices = append(shipped.Invoices, invoice)
		}
	}
	return shipped, nil
}

// answered reads what people have answered to the steps of a shipment, in whichever run of its process: who gave its capture up, and who left the
// receipt of it to people; "" where nobody has.
func (c *Changes) answered(ctx context.Context, in RecordShipmentInput) (givenUp, byHand string, err error) {
	if in.WorkflowID == "" {
		return "", "", nil // a run that began before it was asked for
	}
	filter := journal.AttentionFilter{OrderID: in.Order.OrderID, WorkflowID: in.WorkflowID, State: journal.AttentionResolved}
	for {
		page, next, err := c.Journal.Attentions(ctx, filter)
		if err != nil {
			return "", "", err
		}
		for _, item := range page {
			word := strings.TrimSuffix(item.Actor+": "+item.Reason, ": ")
			switch {
			case item.Step == in.CaptureStep && item.Resolution == ResolutionCompensate:
				givenUp = "given up by " + word
			case item.Step == in.BookStep && item.Resolution == ResolutionSkip:
				byHand = "left out by " + word
			}
		}
		if next == "" {
			return givenUp, byHand, nil
		}
		filter.Cursor = next
	}
}

// shareOf is what a shipment is worth of its order: its lines with their tax, after their own and the header's discount, and the shipping in
// proportion. Shares are differences of rounded sums, and the shipment that completes the order takes what is left, so that all of them
// together are exactly the order.
func shareOf(order canonical.Order, earlier []journal.ShipmentRecord, shipment canonical.Shipment) (share canonical.Money, complete bool) {
	parcels := newParcels(order)
	rest := order.Total
	for _, before := range earlier {
		parcels.ship(before.Shipment)
		rest = rest.Sub(before.Share.Amount)
	}
	before := parcels.worth()
	parcels.ship(shipment)
	if parcels.complete() {
		return order.Money(rest), true
	}
	return order.Money(parcels.worth().Sub(before)), false
}

// parcels is what of an order has left.
type parcels struct {
	order canonical.Order
	lines []parcelLine
	goods decimal.Decimal // net of all lines
}

// parcelLine is an order line with what of it has left.
type parcelLine struct {
	net, tax         decimal.Decimal
	ordered, shipped decimal.Decimal
}

func newParcels(order canonical.Order) *parcels {
	p := &parcels{order: order}
	discounts := canonical.ApportionDiscount(order)
	for i, line := range order.Lines {
		net := line.Extended(order.Currency).Sub(line.Discount).Sub(discounts[i])
		p.lines = append(p.lines, parcelLine{net: net, tax: line.Tax, ordered: line.Quantity})
		p.goods = p.goods.Add(net)
	}
	return p
}

func (p *parcels) complete() bool {
	for _, line := range p.lines {
		if line.shipped.LessThan(line.ordered) {
			return false
		}
	}
	return true
}

// ship takes a shipment's lines out. What an ERP ships beyond the order, such as a line that the warehouse added, was never sold and counts
// for nothing.
func (p *parcels) ship(shipment canonical.Shipment) {
	for _, line := range shipment.Lines {
		if at := p.lineOf(line); at >= 0 && line.Quantity.IsPositive() {
			p.lines[at].shipped = decimal.Min(p.lines[at].shipped.Add(line.Quantity), p.lines[at].ordered)
		}
	}
}

// worth is what has left so far, to the minor unit. It never falls while goods leave.
func (p *parcels) worth() decimal.Decimal {
	total, goods, quantity, ordered := decimal.Zero, decimal.Zero, decimal.Zero, decimal.Zero
	for _, line := range p.lines {
		total = total.Add(canonical.RoundAmount(line.part(line.net.Add(line.tax)), p.order.Currency))
		goods, quantity, ordered = goods.Add(line.part(line.net)), quantity.Add(line.shipped), ordered.Add(line.ordered)
	}
	whole := p.goods
	if !whole.IsPositive() { // all of it is free: shipping goes by quantity
		goods, whole = quantity, ordered
	}
	if !whole.IsPositive() {
		return total
	}
	return total.Add(canonical.RoundAmount(p.order.Shipping.Mul(goods).DivRound(whole, partPlaces), p.order.Currency))
}

// partPlaces is how finely parts are worked out before they are rounded to the minor unit.
const partPlaces = 16

// part is the share of an amount that the shipped quantity has.
func (l parcelLine) part(amount decimal.Decimal) decimal.Decimal {
	if !l.ordered.IsPositive() {
		return decimal.Zero
	}
	return amount.Mul(l.shipped).DivRound(l.ordered, partPlaces)
}

// lineOf finds the order line that a shipment's line is of: the line of its number if that has its stock code, else the first of its stock
// code that is not all gone, else (the ERP names the goods otherwise) the line of its number; -1 for none.
func (p *parcels) lineOf(line canonical.ShipmentLine) int {
	numbered := line.LineNumber - 1
	if numbered < 0 || numbered >= len(p.order.Lines) {
		numbered = -1
	}
	same := func(at int) bool {
		return strings.EqualFold(strings.TrimSpace(p.order.Lines[at].SKU), strings.TrimSpace(line.StockCode))
	}
	if numbered >= 0 && (line.StockCode == "" || same(numbered)) {
		return numbered
	}
	known := false
	for at := range p.order.Lines {
		if !same(at) {
			continue
		}
		if known = true; p.lines[at].shipped.LessThan(p.lines[at].ordered) {
			return at
		}
	}
	if known {
		return -1 // more of it than was ordered
	}
	return numbered
}

// NoticeChargeback is the kind of the notices of a dispute; what happened follows: "chargeback.opened".
const NoticeChargeback = "chargeback."

// RecordChargeback brings a dispute's record, its order's timeline, and the payment behind it forward, and alerts finance. What is recorded
// under a key already changes nothing.
func (c *Changes) RecordChargeback(ctx context.Context, in RecordChargebackInput) error {
	return toTemporal(c.recordCycle(ctx, RecordCycleInput{RecordChargebackInput: in}))
}

// notices tell finance what happened in a dispute.
func (in RecordChargebackInput) notices(at time.Time) []journal.Notice {
	kind := NoticeChargeback + in.Note
	subject := in.sentence()
	if in.OrderID != "" {
		subject += " (order " + in.OrderID + ")"
	}
	data := map[string]string{"caseId": in.Case.ID, "amount": in.Case.Amount.String(), "reason": in.Case.Reason}
	text := subject + "."
	if !in.Case.RespondBy.IsZero() && in.Outcome == ChargebackOpen {
		data["deadline"] = in.Case.RespondBy.UTC().Format("2006-01-02 15:04 MST")
		text += "\nEvidence is due at " + data["deadline"] + "; without it the dispute is lost."
	}
	link := ""
	if in.OrderID != "" {
		link = orderLink(in.OrderID)
	}
	return toAudiences(journal.Notice{
		Kind: kind, Group: kind, OrderID: in.OrderID, Subject: subject, Text: text, Data: data, Link: link, At: at,
	}, kind+"/"+in.Key, journal.AudienceFinance)
}

// sentence says what happened, without anybody's data.
func (in RecordChargebackInput) sentence() string {
	what := "Chargeback"
	if in.Case.Retrieval {
		what = "Retrieval request"
	}
	what += " " + in.Case.ID + " over " + in.Case.Amount.String()
	switch in.Note {
	case "reminded":
		return "Evidence for " + lowerFirst(what) + " is due soon"
	case "overdue":
		return "Evidence for " + lowerFirst(what) + " is overdue"
	case "opened":
		if in.Case.Reason != "" {
			what += " (reason " + in.Case.Reason + ")"
		}
	}
	return what + " " + in.Note
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }
