package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// A refund goes against the captures that have room, oldest first. Where the first has not enough it is split: one follow-on refund, and one
// operation, against each. All parts of an attempt are begun in one transaction, so that their sum is reserved before the first is sent.

// part is one operation of a refund.
type part struct {
	journal.Operation
	attempt, index int
}

// parts are what a refund has begun, by attempt and index.
type parts []part

// partKey is the key of a refund's part: ":refund:" for the first, ":refund-2:" for the second.
func partKey(in UndoPaymentInput, attempt, index int) string {
	step := stepRefund
	if index > 1 {
		step += "-" + strconv.Itoa(index)
	}
	if in.RefundID == "" {
		return orderKey(in.OrderID, step, attempt)
	}
	return refundKey(in.OrderID, in.RefundID, step, attempt)
}

// readPartKey is its inverse. The keys of time-out forms begin like those of parts, and are none.
func readPartKey(in UndoPaymentInput, key string) (attempt, index int, ok bool) {
	rest, ok := strings.CutPrefix(key, strings.TrimSuffix(partKey(in, 0, 1), ":0"))
	which, number, found := strings.Cut(rest, ":")
	if !ok || !found {
		return 0, 0, false
	}
	index = 1
	if which != "" {
		digits, dashed := strings.CutPrefix(which, "-")
		var err error
		if index, err = strconv.Atoi(digits); err != nil || !dashed {
			return 0, 0, false
		}
	}
	attempt, err := strconv.Atoi(number)
	return attempt, index, err == nil
}

// partsOf reads what a refund, or the compensation of an order, has begun.
func (p *Payments) partsOf(ctx context.Context, in UndoPaymentInput) (parts, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, in.OrderID)
	var begun parts
	for _, stored := range operations {
		attempt, index, ok := readPartKey(in, stored.Key)
		if ok && stored.Effect == journal.EffectRefund {
			begun = append(begun, part{stored, attempt, index})
		}
	}
	slices.SortFunc(begun, func(a, b part) int { return cmp.Or(cmp.Compare(a.attempt, b.attempt), cmp.Compare(a.index, b.index)) })
	return begun, err
}

func (ps parts) of(attempt int) (same parts) {
	for _, one := range ps {
		if one.attempt == attempt {
			same = append(same, one)
		}
	}
	return same
}

// open is the attempt that has not ended; nil for none.
func (ps parts) open() parts {
	for _, one := range ps {
		if !one.State.Final() {
			return ps.of(one.attempt)
		}
	}
	return nil
}

// paid is what has gone back.
func (ps parts) paid() decimal.Decimal {
	total := decimal.Zero
	for _, one := range ps {
		if one.State == journal.OperationSucceeded {
			total = total.Add(one.Amount.Amount)
		}
	}
	return total
}

// missing is what of the refund has not gone back. A refund goes on with the amount it began with: that of the first attempt of which
// something went back, or may.
func (ps parts) missing(asked decimal.Decimal) decimal.Decimal {
	for _, one := range ps {
		if one.State.Final() && one.State != journal.OperationSucceeded {
			continue
		}
		asked = decimal.Zero
		for _, same := range ps.of(one.attempt) {
			asked = asked.Add(same.Amount.Amount)
		}
		break
	}
	return asked.Sub(ps.paid())
}

// done tells that all of it has gone back, by which transaction first.
func (ps parts) done() (first string, done bool) {
	paid := ps.paid()
	if !paid.IsPositive() || ps.missing(paid).IsPositive() {
		return "", false
	}
	return ps.first(), true
}

func (ps parts) first() string {
	for _, one := range ps {
		if one.State == journal.OperationSucceeded {
			return one.OutsideID
		}
	}
	return ""
}

// next is the attempt in which the rest can be begun, 0 where this one was refused and another needs somebody's word. What was begun
// against a capture that was voided since, and the rest of what went back in part, goes on by itself.
func (ps parts) next(attempt int, live []journal.Captured) int {
	used := ps.of(attempt)
	if len(used) == 0 {
		return attempt
	}
	gone := func(one part) bool {
		return one.Related != "" && !slices.ContainsFunc(live, func(c journal.Captured) bool { return c.ID == one.Related })
	}
	if ps.paid().IsPositive() || slices.ContainsFunc(used, gone) {
		return ps[len(ps)-1].attempt + 1
	}
	return 0
}

// portion is what of an amount goes against one capture.
type portion struct {
	of     journal.Captured
	amount decimal.Decimal
}

// allot spreads an amount over the captures that have room, oldest first; left is what finds none.
func allot(captures []journal.Captured, amount decimal.Decimal) (portions []portion, left decimal.Decimal) {
	left = amount
	for _, capture := range captures {
		if take := decimal.Min(left, capture.Room()); take.IsPositive() {
			portions = append(portions, portion{capture, take})
			left = left.Sub(take)
		}
	}
	return portions, left
}

// reserveParts begins an attempt to pay an amount back. One part alone is begun where it is sent.
func (p *Payments) reserveParts(ctx context.Context, in UndoPaymentInput, attempt int, amount canonical.Money) ([]money, error) {
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return nil, err
	}
	portions, left := allot(captures, amount.Amount)
	if left.IsPositive() {
		return nil, &fault.Fault{
			Kind: fault.Conflict, System: "journal", Code: journal.CodeExceedsCaptured,
			Message: fmt.Sprintf("refund of %s asked, no capture has room for %s of it", amount, canonical.NewMoney(left, amount.Currency)),
		}
	}
	var ops []money
	var intents []journal.Operation
	for i, one := range portions {
		op, err := p.refundOf(in, one.of, partKey(in, attempt, i+1), canonical.NewMoney(one.amount, amount.Currency))
		if err != nil {
			return nil, err
		}
		intent, err := p.intent(op)
		if err != nil {
			return nil, err
		}
		ops, intents = append(ops, op), append(intents, intent)
	}
	if len(ops) == 1 {
		return ops, nil
	}
	return ops, journalFault(p.Journal.ReservePayments(ctx, intents, journal.EffectRefund))
}

// carriedOn are parts that were begun before.
func (p *Payments) carriedOn(in UndoPaymentInput, payment journal.Payment, begun parts) ([]money, error) {
	var ops []money
	for _, one := range begun {
		op, err := p.refundOf(in, captureOf(one.Operation, payment), one.Key, one.Amount)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// captureOf is the capture that an operation was begun against. What names none was begun when a payment had one only.
func captureOf(stored journal.Operation, payment journal.Payment) journal.Captured {
	id := stored.Related
	if id == "" {
		id = payment.CaptureID
	}
	return journal.Captured{ID: id, Sale: id == payment.AuthorizationID, Amount: stored.Amount.Amount}
}

// refundOf pays an amount of one capture back.
func (p *Payments) refundOf(in UndoPaymentInput, capture journal.Captured, key string, amount canonical.Money) (money, error) {
	op := money{
		key: key, kind: cybersource.KindRefund, orderID: in.OrderID, code: followOnCode(in.OrderID, "F", key), guard: p.transactionID(key),
		effect: journal.EffectRefund, amount: amount, mark: in.Mark, hashOf: []any{capture.ID}, of: capture.ID,
	}
	request, err := cybersource.RefundRequest(resourceOf(capture), capture.ID, op.code, op.guard, op.amount)
	if err != nil {
		return money{}, bug("%v", err)
	}
	op.request = request
	return op, nil
}

// resourceOf is what holds captured money: the sale itself, or its capture.
func resourceOf(capture journal.Captured) cybersource.Resource {
	if capture.Sale {
		return cybersource.Payments
	}
	return cybersource.Captures
}

// refundForRefund pays the refund's amount back; one that has begun goes on with the amount it began with. Once a part has gone back, the
// refund is never refused: what is left of it waits for a person.
func (p *Payments) refundForRefund(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	undone, err := p.refundInParts(ctx, in)
	if err == nil && undone.Result == UndoDone || err != nil && retryable(err) {
		return undone, err
	}
	begun, readErr := p.partsOf(ctx, in)
	if readErr != nil {
		return Undone{}, readErr
	}
	if paid := begun.paid(); paid.IsPositive() {
		return Undone{}, partlyPaid(begun, paid, undone.Why, err)
	}
	return undone, err
}

// partlyPaid is the failure of a refund of which something has gone back and the rest can't. It is no refusal: the refund may not be given up.
func partlyPaid(begun parts, paid decimal.Decimal, why string, cause error) error {
	if cause != nil {
		why = cause.Error()
	}
	currency := begun[0].Amount.Currency
	return &fault.Fault{
		Kind: fault.UnknownOutcome, System: system, Final: true, Err: cause,
		Message: fmt.Sprintf("%s has gone back, and %s has not: %s", canonical.NewMoney(paid, currency), canonical.NewMoney(begun.missing(paid), currency), why),
	}
}

// retryable tells that the same call may end otherwise.
func retryable(err error) bool {
	f := fault.As(err)
	return f == nil || f.Kind.Retryable()
}

func (p *Payments) refundInParts(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	begun, err := p.partsOf(ctx, in)
	if err != nil {
		return Undone{}, err
	}
	if first, done := begun.done(); done {
		return p.undone(ctx, in.OrderID, first, nil)
	}
	payment, err := p.settled(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	carried := begun.open()
	attempt := begun.next(in.Attempt, captures)
	if carried == nil && attempt == 0 {
		carried = begun.of(in.Attempt)
	}
	if carried != nil {
		ops, err := p.carriedOn(in, payment, carried)
		if err != nil {
			return Undone{}, err
		}
		return p.payParts(ctx, in, p.watched(in.OrderID, ops))
	}
	if payment.CaptureID == "" {
		return p.refusedFor(ctx, in)
	}
	if missing := begun.missing(in.Amount.Amount); !missing.Equal(in.Amount.Amount) {
		in.Amount = canonical.NewMoney(missing, in.Amount.Currency)
	}
	return p.beginRefund(ctx, in, attempt)
}

// beginRefund opens an attempt. Where another refund takes the room of a capture meanwhile, the others may have it still.
func (p *Payments) beginRefund(ctx context.Context, in UndoPaymentInput, attempt int) (Undone, error) {
	const races = 8
	for range races {
		if refused, full, err := p.full(ctx, in); full || err != nil { // the gateway caps no refunds, and the plan may be old
			return refused, err
		}
		ops, err := p.reserveParts(ctx, in, attempt, in.Amount)
		if err == nil {
			var undone Undone
			if undone, err = p.payParts(ctx, in, watching{ops: ops}); !lostRace(err) {
				return undone, err
			}
		}
		if !lostRace(err) {
			return p.refundStep(ctx, in, cybersource.Outcome{}, err)
		}
	}
	return Undone{}, p.waitForRoom("other refunds take what this one asks for")
}

// lostRace tells that the journal has no room for what it had a moment ago.
func lostRace(err error) bool {
	return noRoom(err) && fault.As(err).Code == journal.CodeExceedsCaptured
}

// watching are parts with what their look-ups find: crowded tells that what the console has done leaves no room for them.
type watching struct {
	ops     []money
	crowded *bool
}

// watched lets parts that were begun before ask for room before they are sent again.
func (p *Payments) watched(orderID string, ops []money) watching {
	w := watching{ops: ops, crowded: new(bool)}
	for i := range w.ops {
		w.ops[i].fits = func(ctx context.Context) (bool, error) {
			_, view, err := p.reconcile(ctx, orderID)
			*w.crowded = view.crowded != ""
			return !*w.crowded, err
		}
	}
	return w
}

// payParts carries the parts of an attempt to their end, each as far as it gets.
func (p *Payments) payParts(ctx context.Context, in UndoPaymentInput, w watching) (Undone, error) {
	var failure error
	var voided []money
	for _, op := range w.ops {
		_, err := p.follow(ctx, op, cybersource.Refunded)
		if lostRace(err) {
			return Undone{}, err // one part alone, and nothing of it is begun
		}
		if alreadyVoided(err) {
			voided = append(voided, op)
			continue
		}
		failure = worse(failure, err)
	}
	switch {
	case failure != nil && retryable(failure):
		return Undone{}, failure
	case len(voided) > 0:
		return p.refundOfVoided(ctx, in, voided)
	case w.crowded != nil && *w.crowded && givenUp(failure):
		refused, _, err := p.full(ctx, in)
		return refused, err
	case failure != nil:
		return p.refundStep(ctx, in, cybersource.Outcome{}, failure)
	}
	begun, err := p.partsOf(ctx, in)
	return p.undone(ctx, in.OrderID, begun.first(), err)
}

// worse keeps of two failures the one that the activity has to end with: one that may still end well comes before a refusal.
func worse(a, b error) error {
	if a == nil || b != nil && retryable(b) && !retryable(a) {
		return b
	}
	return a
}

// refundOfVoided is for captures that turn out to be voided: the refund's own void has come through after all, or somebody else's has
// taken the money back. What other captures have room for still goes on.
func (p *Payments) refundOfVoided(ctx context.Context, in UndoPaymentInput, voided []money) (Undone, error) {
	if _, _, err := p.reconcile(ctx, in.OrderID); err != nil {
		return Undone{}, err
	}
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	for _, capture := range captures {
		if slices.ContainsFunc(voided, func(op money) bool { return op.of == capture.ID }) { // its record is behind the refusal
			if err := p.noteVoided(ctx, in, capture.ID); err != nil {
				return Undone{}, err
			}
		}
	}
	own, err := p.ownVoid(ctx, in, voided)
	if err != nil || own != "" {
		return p.undone(ctx, in.OrderID, own, err)
	}
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	begun, err := p.partsOf(ctx, in)
	if err != nil {
		return Undone{}, err
	}
	if payment.Captured.IsPositive() && payment.Refundable.GreaterThanOrEqual(begun.missing(in.Amount.Amount)) {
		return p.refundInParts(ctx, in)
	}
	undone, err := p.refusedFor(ctx, in)
	if held(payment).Equal(in.Amount.Amount) {
		undone.Result = UndoNothing // the void has left the hold, which can be released: another plan
	}
	return undone, err
}

// ownVoid is the transaction of the refund's own void of one of the captures, "" where there is none.
func (p *Payments) ownVoid(ctx context.Context, in UndoPaymentInput, voided []money) (string, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, in.OrderID)
	own := map[string]bool{}
	for _, stored := range operations {
		if strings.HasPrefix(stored.Key, refundKeys(in.OrderID, in.RefundID)) {
			own[stored.Reference] = true
		}
	}
	for _, stored := range operations {
		of := slices.ContainsFunc(voided, func(op money) bool { return stored.Related == "" || stored.Related == op.of })
		if stored.Effect == journal.EffectVoidCapture && stored.State == journal.OperationSucceeded && of && own[stored.Reference] {
			return stored.OutsideID, err
		}
	}
	return "", err
}

// inParts names what a refund's void or refund gave back of each capture, as the ERP is to book it: with the shipment that was captured, and
// what the ERP has told of that.
func (p *Payments) inParts(ctx context.Context, in UndoPaymentInput, undone Undone, failure error) (Undone, error) {
	if failure != nil || undone.Result != UndoDone {
		return undone, failure
	}
	operations, err := p.Journal.Operations().ByOrder(ctx, in.OrderID)
	if err != nil {
		return undone, err
	}
	shipments, err := p.Journal.Shipments(ctx, in.OrderID)
	if err != nil {
		return undone, err
	}
	gone := partsGone(in, undone, operations)
	for _, one := range gone {
		part := RefundPart{TransactionID: one.OutsideID, CaptureID: captureOf(one, journal.Payment{Payment: undone.Payment}).ID, Amount: one.Amount}
		part.Shipment = shipmentOf(in.OrderID, part.CaptureID, operations)
		at := slices.IndexFunc(shipments, func(r journal.ShipmentRecord) bool { return part.Shipment != "" && r.Shipment.Number == part.Shipment })
		if at >= 0 {
			part.Invoice, part.Lines = shipments[at].Shipment.Invoice, shipments[at].Shipment.Lines
		}
		undone.Parts = append(undone.Parts, part)
	}
	return undone, nil
}

// partsGone are the operations by which money of a refund went back: its refunds, in the order in which they were begun, and its void. One that
// the console has made, and the refund has adopted, is found by its transaction.
func partsGone(in UndoPaymentInput, undone Undone, operations []journal.Operation) []journal.Operation {
	var gone []part
	for _, stored := range operations {
		moves := stored.Effect == journal.EffectRefund || stored.Effect == journal.EffectVoidCapture
		mine := strings.HasPrefix(stored.Key, refundKeys(in.OrderID, in.RefundID)) || stored.OutsideID != "" && stored.OutsideID == undone.TransactionID
		if !moves || !mine || stored.State != journal.OperationSucceeded {
			continue
		}
		attempt, index, _ := readPartKey(in, stored.Key)
		gone = append(gone, part{stored, attempt, index})
	}
	slices.SortStableFunc(gone, func(a, b part) int { return cmp.Or(cmp.Compare(a.attempt, b.attempt), cmp.Compare(a.index, b.index)) })
	list := make([]journal.Operation, 0, len(gone))
	for _, one := range gone {
		list = append(list, one.Operation)
	}
	return list
}

// shipmentOf is the shipment that a capture was made for, "" for one of the whole order.
func shipmentOf(orderID, captureID string, operations []journal.Operation) string {
	for _, stored := range operations {
		if stored.Effect != journal.EffectCapture || stored.OutsideID != captureID {
			continue
		}
		rest, ofShipment := strings.CutPrefix(stored.Key, "shipment:"+orderID+"/")
		if number, _, found := strings.Cut(rest, ":"+stepCapture+":"); ofShipment && found {
			return number
		}
	}
	return ""
}
