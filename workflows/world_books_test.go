package workflows_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/settlement"
)

// books is the part of the world in which days are settled and things start in the ERP.
type books struct {
	reported  map[string]decimal.Decimal // what the gateway's reports of the day come to, by currency
	fees      map[string]decimal.Decimal // fees among that which are posted as an invoice of the processor
	unmatched map[string]decimal.Decimal // what of it matches nothing
	gl        map[string]canonical.JournalEntry
	ap        map[string]decimal.Decimal        // invoices of the processor, by number
	byHand    map[string]settlement.HandBooking // what of both people booked, by document
	kept      []activities.RecordPostingInput
	read      []activities.ReconcileDayInput
	rates     []erp.Rate // that the ERP keeps
	rateAsks  []activities.ExchangeRatesInput
	ratesOf   []string // the queues of the ERPs that were asked for them
	days      []activities.RecordDayInput
	dates     map[string]string // posting dates, by document
	settled   []activities.SettledOrder
	paid      []string          // orders that an ERP shows as paid
	paidIn    map[string]string // by order, the queue of the ERP that does

	changes  map[activities.ChangeFeed][]activities.Change // what happened in the ERP, oldest first
	broken   map[activities.ChangeFeed][]error             // failures of a feed's polls, in order
	cursors  map[activities.ChangeFeed]time.Time
	inbox    []string // IDs of changes that are durable
	asks     []activities.PollChangesInput
	received []activities.ReceiveChangesInput

	own            []activities.OwnMemo // what is known of an own memo, in order; the last holds
	noMemo         string               // why no refund is taken
	takes          []activities.TakeMemoInput
	acks           []activities.AcknowledgeMemoInput
	worth          map[string]decimal.Decimal // what shipments are worth, by number
	shipped        []string                   // recorded shipments, in order
	deposit        map[string]decimal.Decimal // booked in the ERP, by shipment
	applied        []string                   // invoices that deposits were applied to
	tracked        map[string]string
	givenUp        map[string]string // captures of shipments, in a run before
	receiptsByHand map[string]string // receipts of shipments
	parcelIn       activities.RecordShipmentInput
	ships          []activities.ShipInput
	captures       []activities.CaptureShipmentInput // asked for

	disputes []activities.RecordChargebackInput
	shown    []string // payment statuses of disputes that the ERP shows, in order
	outcomes []activities.BookChargebackInput
	cycles   []activities.RecordCycleInput
	bookedIn string // the queue of the ERP that booked the last of them
}

func newBooks() books {
	return books{
		reported: map[string]decimal.Decimal{}, fees: map[string]decimal.Decimal{}, unmatched: map[string]decimal.Decimal{},
		paidIn: map[string]string{}, gl: map[string]canonical.JournalEntry{}, ap: map[string]decimal.Decimal{}, byHand: map[string]settlement.HandBooking{}, dates: map[string]string{},
		changes: map[activities.ChangeFeed][]activities.Change{}, broken: map[activities.ChangeFeed][]error{},
		cursors: map[activities.ChangeFeed]time.Time{}, worth: map[string]decimal.Decimal{}, deposit: map[string]decimal.Decimal{},
		tracked: map[string]string{},
	}
}

type fakeSettlements struct{ w *world }

// ReconcileDay works out what the ledger still lacks of what is reported, as far as it was kept.
func (f *fakeSettlements) ReconcileDay(ctx context.Context, in activities.ReconcileDayInput) (activities.ReconciledDay, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.ReconciledDay{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.read = append(w.read, in)
	day := activities.ReconciledDay{
		NoData: len(w.reported) == 0, Outcome: settlement.Clean, Rows: 10, Matched: 10,
		Posted: slices.ContainsFunc(w.kept, func(kept activities.RecordPostingInput) bool { return kept.Date == in.Date }),
	}
	for _, currency := range []string{"EUR", "USD"} {
		total, rows := w.reported[currency]
		if !rows {
			continue
		}
		if off := w.unmatched[currency]; !off.IsZero() {
			day.Matched, day.Differences = 9, 1
			day.Why = "a row of " + off.String() + " " + currency + " matches nothing"
			day.Outcome = settlement.Suspended
			if in.Policy.Mismatch == settlement.PolicyPark {
				day.Outcome = settlement.Parked
				continue
			}
		}
		if plan, lacks := w.lacking(in, currency, total); lacks {
			day.Plans = append(day.Plans, plan)
		}
	}
	return day, nil
}

// lacking plans a currency's journal or correction, and its fee invoice.
func (w *world) lacking(in activities.ReconcileDayInput, currency string, total decimal.Decimal) (activities.PlannedPosting, bool) {
	plan := activities.PlannedPosting{Currency: currency}
	invoiced := false
	for _, kept := range w.kept {
		if kept.Plan.Currency != currency || kept.Date != in.Date {
			continue
		}
		plan.Sequence = kept.Plan.Sequence + 1
		if kept.Journal != nil || kept.JournalByHand != nil {
			total = total.Sub(kept.Plan.Journal.Lines[0].Debit).Add(kept.Plan.Journal.Lines[0].Credit)
		}
		invoiced = invoiced || kept.Invoice != nil || kept.InvoiceByHand != nil
	}
	if !total.IsZero() {
		entry := canonical.JournalEntry{Reference: fmt.Sprintf("TL-%s-%s-%d", in.Date, currency, plan.Sequence), Date: in.Date, Currency: currency}
		back, forth := canonical.JournalLine{Account: "1040", Debit: total}, canonical.JournalLine{Account: "1050", Credit: total}
		if total.IsNegative() {
			back, forth = canonical.JournalLine{Account: "1040", Credit: total.Neg()}, canonical.JournalLine{Account: "1050", Debit: total.Neg()}
		}
		entry.Lines = []canonical.JournalLine{back, forth}
		plan.Journal = &entry
	}
	if fee := w.fees[currency]; !fee.IsZero() && !invoiced && in.Policy.Fees == settlement.FeesAsInvoice {
		plan.Invoice = &activities.PlannedInvoice{Supplier: "CYBS", Number: "FEE-" + in.Date + "-" + currency, Amount: canonical.NewMoney(fee, currency)}
	}
	return plan, plan.Journal != nil || plan.Invoice != nil
}

func (f *fakeSettlements) RecordDay(ctx context.Context, in activities.RecordDayInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	f.w.days = append(f.w.days, in)
	return nil
}

// RecordPosting keeps what was posted: never what is not in the ledger. The same place may gain an invoice.
func (f *fakeSettlements) RecordPosting(ctx context.Context, in activities.RecordPostingInput) error {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if in.Journal == nil && in.Invoice == nil && in.JournalByHand == nil && in.InvoiceByHand == nil {
		return w.impossible("nothing of %s was posted, but it is kept", in.Plan.Currency)
	}
	w.bookByHand(in)
	if in.Journal != nil && w.gl[in.Journal.Reference].Reference == "" {
		return w.impossible("journal %s is kept, but not in the ledger", in.Journal.Reference)
	}
	if in.Invoice != nil && w.ap[in.Invoice.Reference].IsZero() {
		return w.impossible("invoice %s is kept, but not in the ledger", in.Invoice.Reference)
	}
	for i, kept := range w.kept {
		if kept.Plan.Currency == in.Plan.Currency && kept.Plan.Sequence == in.Plan.Sequence && kept.Date == in.Date {
			w.kept[i] = in
			return nil
		}
	}
	w.kept = append(w.kept, in)
	return nil
}

// bookByHand is what finance does in the ERP that it said it would.
func (w *world) bookByHand(in activities.RecordPostingInput) {
	if in.JournalByHand != nil {
		w.gl[in.Plan.Journal.Reference], w.byHand[in.Plan.Journal.Reference] = *in.Plan.Journal, *in.JournalByHand
	}
	if in.InvoiceByHand != nil {
		w.ap[in.Plan.Invoice.Number], w.byHand[in.Plan.Invoice.Number] = in.Plan.Invoice.Amount.Amount, *in.InvoiceByHand
	}
}

// SettledOrders gives pages of settled orders; the cursor is where the next one begins.
func (f *fakeSettlements) SettledOrders(ctx context.Context, in activities.SettledPageInput) (activities.SettledPage, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.SettledPage{}, err
	}
	from, _ := strconv.Atoi(in.Cursor)
	to := min(from+in.Limit, len(w.settled))
	page := activities.SettledPage{Orders: w.settled[from:to]}
	if to < len(w.settled) {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

// ExchangeRates tells what the ERP keeps.
func (f *fakeBooking) ExchangeRates(ctx context.Context, in activities.ExchangeRatesInput) (activities.ExchangeRatesAnswer, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.ExchangeRatesAnswer{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.rateAsks, w.ratesOf = append(w.rateAsks, in), append(w.ratesOf, activity.GetInfo(ctx).TaskQueue)
	return activities.ExchangeRatesAnswer{Rates: slices.Clone(w.rates)}, nil
}

// PostJournal posts an entry once under its reference, and refuses what no ledger would take.
func (f *fakeBooking) PostJournal(ctx context.Context, in activities.PostJournalInput) (activities.Posted, error) {
	w := f.w
	return operate(ctx, w, "journal:"+in.Entry.Reference, in.Attempt, func() (activities.Posted, error) {
		if there, posted := w.gl[in.Entry.Reference]; posted {
			return activities.Posted{}, w.impossible("journal %s is posted already: %v", in.Entry.Reference, there)
		}
		if !in.Entry.Balanced() {
			return activities.Posted{}, w.impossible("journal %s does not balance", in.Entry.Reference)
		}
		w.gl[in.Entry.Reference], w.dates[in.Entry.Reference] = in.Entry, in.PostingDate
		return activities.Posted{Reference: in.Entry.Reference, Number: fmt.Sprintf("J%d", len(w.gl))}, nil
	})
}

func (f *fakeBooking) PostFeeInvoice(ctx context.Context, in activities.PostInvoiceInput) (activities.Posted, error) {
	w := f.w
	return operate(ctx, w, "invoice:"+in.Invoice.Number, in.Attempt, func() (activities.Posted, error) {
		if _, posted := w.ap[in.Invoice.Number]; posted {
			return activities.Posted{}, w.impossible("invoice %s is posted already", in.Invoice.Number)
		}
		w.ap[in.Invoice.Number], w.dates[in.Invoice.Number] = in.Invoice.Amount.Amount, in.PostingDate
		return activities.Posted{Reference: in.Invoice.Number, Number: "V1"}, nil
	})
}

func (f *fakeBooking) ShowPaid(ctx context.Context, in activities.ShowPaidInput) error {
	w := f.w
	_, err := operate(ctx, w, "paid:"+in.Orders[0].OrderID, in.Attempt, func() (bool, error) {
		for _, order := range in.Orders {
			w.paid = append(w.paid, order.OrderID)
			w.paidIn[order.OrderID] = activity.GetInfo(ctx).TaskQueue
		}
		return true, nil
	})
	return err
}

// ledgerOf is what the general ledger has of a currency.
func (w *world) ledgerOf(currency string) decimal.Decimal {
	total := decimal.Zero
	for _, entry := range w.gl {
		if entry.Currency == currency {
			total = total.Add(entry.Lines[0].Debit).Sub(entry.Lines[0].Credit)
		}
	}
	return total
}

// requireBooked holds the ledger against the reports: what was reported is in it once, and kept.
func (w *world) requireBooked(t require.TestingT) {
	for currency, total := range w.reported {
		require.True(t, w.ledgerOf(currency).Equal(total), "%s: %s in the ledger, %s reported", currency, w.ledgerOf(currency), total)
	}
	kept := 0
	for _, posting := range w.kept {
		if posting.Journal != nil || posting.JournalByHand != nil {
			kept++
		}
		if posting.Invoice != nil || posting.InvoiceByHand != nil {
			kept++
		}
	}
	require.Equal(t, len(w.gl)+len(w.ap), kept, "every document is kept once")
	require.Empty(t, w.parked)
}

// stages are where the record says that the day has stood.
func (w *world) stages() []activities.SettlementState {
	var states []activities.SettlementState
	for _, day := range w.days {
		states = append(states, day.State)
	}
	return slices.Compact(states)
}

type fakeChanges struct{ w *world }

func (f *fakeChanges) ReadCursor(ctx context.Context, in activities.ReadCursorInput) (activities.FeedCursor, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.FeedCursor{}, err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	return activities.FeedCursor{Watermark: f.w.cursors[in.Feed]}, nil
}

// PollChanges gives the changes of a feed since a time, page by page; the cursor is where the next page begins.
func (f *fakeBooking) PollChanges(ctx context.Context, in activities.PollChangesInput) (activities.ChangePage, error) {
	w := f.w
	w.call(ctx)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.asks = append(w.asks, in)
	if queue := w.broken[in.Feed]; len(queue) > 0 {
		w.broken[in.Feed] = queue[1:]
		if queue[0] != nil {
			return activities.ChangePage{}, queue[0]
		}
	}
	var since []activities.Change
	for _, change := range w.changes[in.Feed] {
		if !change.At.Before(in.Since) {
			since = append(since, change)
		}
	}
	from, _ := strconv.Atoi(in.Cursor)
	to := min(from+in.Limit, len(since))
	page := activities.ChangePage{Changes: since[from:to]}
	if to < len(since) {
		page.Next = strconv.Itoa(to)
	}
	if to > from {
		page.Latest = since[to-1].At
	}
	return page, nil
}

// ReceiveChanges stores what is new and moves the cursor, never back and never over what is not stored.
func (f *fakeChanges) ReceiveChanges(ctx context.Context, in activities.ReceiveChangesInput) (activities.ReceivedChanges, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.ReceivedChanges{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.received = append(w.received, in)
	var out activities.ReceivedChanges
	for _, change := range in.Changes {
		if !slices.Contains(w.inbox, change.ID) {
			w.inbox, out.New = append(w.inbox, change.ID), out.New+1
		}
	}
	if in.Watermark.IsZero() {
		return out, nil
	}
	if in.Watermark.Before(w.cursors[in.Feed]) {
		return out, w.impossible("the cursor of %s goes back to %s", in.Feed, in.Watermark)
	}
	w.cursors[in.Feed] = in.Watermark
	for _, change := range w.changes[in.Feed] {
		if change.At.Before(in.Watermark) && !slices.Contains(w.inbox, change.ID) {
			return out, w.impossible("the cursor of %s has passed %s, which is not stored", in.Feed, change.ID)
		}
	}
	return out, nil
}

func (f *fakeChanges) TakeMemo(ctx context.Context, in activities.TakeMemoInput) (activities.TakenMemo, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.TakenMemo{}, err
	}
	w.takes = append(w.takes, in)
	if w.noMemo != "" {
		return activities.TakenMemo{Refused: w.noMemo}, nil
	}
	return activities.TakenMemo{Breakdown: canonical.RefundBreakdown{Net: in.Memo.Amount.Sub(in.Memo.Tax), Tax: in.Memo.Tax, Total: in.Memo.Amount}}, nil
}

func (f *fakeChanges) FindOwnMemo(ctx context.Context, in activities.FindOwnMemoInput) (activities.OwnMemo, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.OwnMemo{}, err
	}
	if in.Reference == "" || in.OrderID == "" {
		return activities.OwnMemo{}, w.impossible("own memo without reference or order")
	}
	known := w.own[0]
	if len(w.own) > 1 {
		w.own = w.own[1:]
	}
	return known, nil
}

// AcknowledgeMemo tells the ERP once what became of a memo: never refunded where no money went back, nor the other way about.
func (f *fakeBooking) AcknowledgeMemo(ctx context.Context, in activities.AcknowledgeMemoInput) error {
	w := f.w
	_, err := operate(ctx, w, "memo:"+in.Number, in.Attempt, func() (bool, error) {
		back, moved := w.back["cm-"+in.Number]
		switch {
		case in.Refunded && len(w.own) == 0 && (!moved || !back.Equal(in.Amount.Amount) || in.TransactionID == ""):
			return false, w.impossible("memo %s is acknowledged as refunded with %s, but %s went back", in.Number, in.Amount, back)
		case !in.Refunded && (moved || in.Failure == ""):
			return false, w.impossible("memo %s is acknowledged as failed (%q), but %s went back", in.Number, in.Failure, back)
		case in.At.IsZero():
			return false, w.impossible("memo %s is acknowledged without a time", in.Number)
		}
		w.acks = append(w.acks, in)
		return true, nil
	})
	return err
}

// RecordShipment gives a shipment its place, the same again for the same one. The order is complete when all of its worth has left.
func (f *fakeChanges) RecordShipment(ctx context.Context, in activities.RecordShipmentInput) (activities.ShippedLines, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.ShippedLines{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.parcelIn = in
	number := in.Shipment.Number
	if !slices.Contains(w.shipped, number) {
		w.shipped = append(w.shipped, number)
	}
	place := slices.Index(w.shipped, number) + 1
	left := decimal.Zero
	for _, earlier := range w.shipped[:place] {
		left = left.Add(w.worth[earlier])
	}
	complete := left.Equal(in.Order.Total)
	return activities.ShippedLines{
		Complete: complete, Final: complete, Sequence: place, Share: in.Order.Money(w.worth[number]), Invoices: w.invoiced(in.Shipment),
		GivenUp: w.givenUp[number], ByHand: w.receiptsByHand[number],
	}, nil
}

// CaptureShipment takes a share of what the bank holds.
func (f *fakePayments) CaptureShipment(ctx context.Context, in activities.CaptureShipmentInput) (activities.Capture, error) {
	w := f.w
	w.captures = append(w.captures, in)
	return operate(ctx, w, "shipment:"+in.OrderID+"/"+in.Shipment+":capture", in.Attempt, func() (activities.Capture, error) {
		switch {
		case in.Amount.Amount.GreaterThan(w.hold) || !in.Amount.Amount.IsPositive():
			return activities.Capture{}, w.impossible("capture of %s, but the bank holds %s", in.Amount, w.hold)
		case in.Sequence != slices.Index(w.shipped, in.Shipment)+1 || !in.Amount.Amount.Equal(w.worth[in.Shipment]):
			return activities.Capture{}, w.impossible("capture %d of %s is not shipment %s", in.Sequence, in.Amount, in.Shipment)
		}
		w.hold, w.pay.Captured = w.hold.Sub(in.Amount.Amount), w.pay.Captured.Add(in.Amount.Amount)
		w.pay.Status, w.pay.CaptureID = canonical.PaymentCaptured, fmt.Sprintf("capture-%d", in.Sequence)
		return activities.Capture{Payment: w.pay}, nil
	})
}

func shipFor(ctx context.Context, w *world, what string, in activities.ShipInput, apply func() error) (activities.RefundBooked, error) {
	return operate(ctx, w, "shipment:"+in.OrderID+"/"+in.Shipment.Number+":"+what, in.Attempt, func() (activities.RefundBooked, error) {
		w.ships = append(w.ships, in)
		if in.Date == "" || in.SalesOrder == "" || in.CustomerCode == "" {
			return activities.RefundBooked{}, w.impossible("%s without date, sales order or customer", what)
		}
		return activities.RefundBooked{Result: activities.UndoDone}, apply()
	})
}

func (f *fakeBooking) BookShipment(ctx context.Context, in activities.ShipInput) (activities.RefundBooked, error) {
	w := f.w
	return shipFor(ctx, w, "book", in, func() error {
		if in.Payment.CaptureID == "" || !in.Amount.Amount.Equal(w.worth[in.Shipment.Number]) {
			return w.impossible("%s booked of shipment %s by capture %q", in.Amount, in.Shipment.Number, in.Payment.CaptureID)
		}
		w.deposit[in.Shipment.Number] = in.Amount.Amount
		w.unapplied = w.unapplied.Add(in.Amount.Amount)
		return nil
	})
}

func (f *fakeBooking) ApplyDeposits(ctx context.Context, in activities.ShipInput) (activities.RefundBooked, error) {
	return shipFor(ctx, f.w, "apply", in, func() error {
		f.w.applied = append(f.w.applied, in.Shipment.Invoice)
		f.w.apply(in)
		return nil
	})
}

func (f *fakeBooking) TrackShipment(ctx context.Context, in activities.ShipInput) (activities.RefundBooked, error) {
	return shipFor(ctx, f.w, "track", in, func() error {
		f.w.tracked[in.Shipment.Number] = in.Shipment.Tracking
		return nil
	})
}

// RecordChargeback keeps a dispute's story; a key has one meaning.
func (f *fakeChanges) RecordChargeback(ctx context.Context, in activities.RecordChargebackInput) error {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, known := range w.disputes {
		if known.Key != in.Key {
			continue
		}
		if !reflect.DeepEqual(known, in) {
			return w.impossible("two records of one key: %s", in.Key)
		}
		return nil
	}
	w.disputes = append(w.disputes, in)
	return nil
}

// RecordCycle keeps the end of a dispute, or that it goes on: never a cycle before the last one.
func (f *fakeChanges) RecordCycle(ctx context.Context, in activities.RecordCycleInput) error {
	w := f.w
	if last := len(w.cycles); last > 0 && (in.Cycle < w.cycles[last-1].Cycle || in.Cycle > w.cycles[last-1].Cycle+1) {
		return w.impossible("cycle %d after cycle %d", in.Cycle, w.cycles[last-1].Cycle)
	}
	if in.Outcome != activities.ChargebackOpen && in.EndedAt.IsZero() {
		return w.impossible("cycle %d %q after %q ended at %s", in.Cycle, in.Outcome, in.Former, in.EndedAt)
	}
	if err := f.RecordChargeback(ctx, in.RecordChargebackInput); err != nil {
		return err
	}
	w.cycles = append(w.cycles, in)
	return nil
}

func (f *fakeBooking) TagChargeback(ctx context.Context, in activities.BookChargebackInput) error {
	w := f.w
	_, err := operate(ctx, w, fmt.Sprint("chargeback:", in.Case.ID, ":tag:", in.Outcome, in.Cycle), in.Attempt, func() (bool, error) {
		w.shown = append(w.shown, string(in.Outcome))
		return true, nil
	})
	return err
}

// BookChargeback books an outcome: of a dispute about money only, and once in each cycle.
func (f *fakeBooking) BookChargeback(ctx context.Context, in activities.BookChargebackInput) (activities.RefundBooked, error) {
	w := f.w
	return operate(ctx, w, fmt.Sprint("chargeback:", in.Case.ID, ":book", in.Cycle), in.Attempt, func() (activities.RefundBooked, error) {
		if in.Outcome == activities.ChargebackOpen || in.Case.Retrieval || in.Date == "" || len(w.outcomes) >= in.Cycle {
			return activities.RefundBooked{}, w.impossible("outcome %q of %+v booked after %d others", in.Outcome, in.Case, len(w.outcomes))
		}
		w.outcomes, w.bookedIn = append(w.outcomes, in), activity.GetInfo(ctx).TaskQueue
		return activities.RefundBooked{Result: activities.UndoDone, Document: "J9"}, nil
	})
}

// story is what a dispute's record says, in order.
func (w *world) story() []string {
	var notes []string
	for _, note := range w.disputes {
		notes = append(notes, note.Note)
	}
	return notes
}
