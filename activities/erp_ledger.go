package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/mappings"
)

// Kinds of operations in the ERP's general ledger.
const (
	kindJournal       = "journal"
	kindFeeInvoice    = "ap_invoice"
	kindChargeback    = "chargeback_journal"
	maxJournalText    = 50 // characters that every ERP keeps of a journal's description
	codeOtherJournal  = "DUPLICATE_REFERENCE"
	moduleLedger      = "GL"
	modulePayables    = "AP"
	categoryLost      = "chargeback_lost" // of lookups/gl_account, for gl/chargeback
	categoryWon       = "chargeback_won"
	categoryUnclaimed = "chargeback_unclaimed" // decided otherwise: the processor does not owe any more what it had won
	categoryRecovered = "chargeback_recovered" // what was lost comes back
	mappingChargeback = "gl/chargeback"
)

// ledgerPort is the part of the ERP's port that posts in the general ledger.
func (b *Booking) ledgerPort() (erp.JournalPort, error) {
	port, has := b.Port.(erp.JournalPort)
	if !has {
		return nil, bug("%s takes no journals", b.system())
	}
	return port, nil
}

// settlementKey is the key of a document of a settlement day.
func settlementKey(merchant, date, document string, attempt int) string {
	return OperationKey("settlement", merchant+"/"+date, document, attempt)
}

// PostJournal posts a settlement journal. A closed period is answered by policy. One that the ledger holds under the same reference is adopted
// where it moves the same, and a Conflict where it does not.
func (b *Booking) PostJournal(ctx context.Context, in PostJournalInput) (Posted, error) {
	posted, err := b.postJournal(ctx, in)
	return posted, toTemporal(err)
}

func (b *Booking) postJournal(ctx context.Context, in PostJournalInput) (Posted, error) {
	key := func(attempt int) string {
		return settlementKey(in.Merchant, in.Date, "journal-"+in.Entry.Reference, attempt)
	}
	return b.post(ctx, journalTask{
		key: key, attempt: in.Attempt, kind: kindJournal, entry: in.Entry, date: cmp.Or(in.PostingDate, in.Entry.Date), closed: in.ClosedPeriod,
	})
}

// journalTask is a journal to be posted.
type journalTask struct {
	key     func(attempt int) string
	attempt int
	kind    string
	orderID string
	entry   canonical.JournalEntry
	date    string // on which it is to be posted
	closed  ClosedPeriodPolicy
}

// post posts a journal, once under its reference.
func (b *Booking) post(ctx context.Context, task journalTask) (Posted, error) {
	port, err := b.ledgerPort()
	if err != nil {
		return Posted{}, err
	}
	key, begun, err := b.journalKey(ctx, task)
	if err != nil {
		return Posted{}, err
	}
	entry := task.entry
	if !begun { // else it is posted, or sent again, as it was begun
		if posted, there, err := b.inLedger(ctx, port, task); err != nil || there {
			return posted, err
		}
		if entry, err = b.dated(ctx, task); err != nil {
			return Posted{}, err
		}
	}
	find := func(ctx context.Context) (Posted, error) {
		stored, err := b.Operations.Get(ctx, key)
		if err != nil {
			return Posted{}, err
		}
		sent, err := decoded[canonical.JournalEntry](stored.Request)
		if err != nil {
			return Posted{}, err
		}
		found, err := b.findJournal(ctx, port, sent)
		return postedOf(found, sent, task.entry), err
	}
	return performErp(ctx, b.Operations, b.system(), erpOperation[Posted]{
		key: key, kind: task.kind, orderID: task.orderID, reference: task.entry.Reference, amount: debitsOf(task.entry), input: entry,
		hashOf: []any{movementsOf(task.entry)}, find: find,
		send: func(ctx context.Context, stored []byte) (Posted, error) {
			sent, err := decoded[canonical.JournalEntry](stored)
			if err != nil {
				return Posted{}, err
			}
			found, err := port.PostJournal(ctx, key, sent)
			return postedOf(found, sent, task.entry), err
		},
		id: func(p Posted) string { return p.Reference },
	})
}

// journalKey is the key that a journal is posted under. An attempt whose journal was refused, and which since has other lines, is left behind:
// a day that runs anew counts its attempts from the beginning.
func (b *Booking) journalKey(ctx context.Context, task journalTask) (key string, begun bool, err error) {
	for attempt := task.attempt; ; attempt++ {
		key = task.key(attempt)
		stored, begun, err := b.begun(ctx, key)
		if err != nil || !begun {
			return key, false, err
		}
		sent, err := decoded[canonical.JournalEntry](stored.Request)
		if err != nil {
			return key, true, err
		}
		same := movementsOf(sent) == movementsOf(task.entry)
		refused := stored.State == journal.OperationRefused || stored.State == journal.OperationAbsent
		switch {
		case same:
			return key, true, nil
		case !refused:
			return key, true, b.otherJournal(task.entry.Reference)
		}
	}
}

// inLedger looks whether the ledger holds the journal from before, posted by a run that nobody knows of any more.
func (b *Booking) inLedger(ctx context.Context, port erp.JournalPort, task journalTask) (Posted, bool, error) {
	found, err := b.findJournal(ctx, port, task.entry)
	if fault.Is(err, fault.NotFound) {
		return Posted{}, false, nil
	}
	return Posted{Reference: found.Reference, Number: found.Number}, err == nil, err
}

// findJournal looks a journal up by its reference. One that moves something else was posted by somebody else: it is not adopted.
func (b *Booking) findJournal(ctx context.Context, port erp.JournalPort, entry canonical.JournalEntry) (erp.JournalPosting, error) {
	found, err := port.FindJournal(ctx, entry.Reference)
	if err == nil && !found.Is(entry) {
		return found, b.otherJournal(entry.Reference)
	}
	return found, err
}

func (b *Booking) otherJournal(reference string) error {
	return &fault.Fault{
		Kind: fault.Conflict, System: b.system(), Code: codeOtherJournal, Message: "a journal " + reference + " exists, or is on its way, with other lines",
	}
}

// postedOf is what became of an entry that was sent, perhaps on another date than it is of.
func postedOf(found erp.JournalPosting, sent, wanted canonical.JournalEntry) Posted {
	posted := Posted{Reference: found.Reference, Number: found.Number}
	if sent.Date != wanted.Date {
		posted.Warning = fmt.Sprintf("posted on %s, it is of %s", sent.Date, wanted.Date)
	}
	return posted
}

// debitsOf is the sum of a journal's debits.
func debitsOf(entry canonical.JournalEntry) canonical.Money {
	sum := decimal.Zero
	for _, line := range entry.Lines {
		sum = sum.Add(line.Debit)
	}
	return canonical.NewMoney(sum, entry.Currency)
}

// movementsOf identifies what a journal moves, line by line; its date and texts don't.
func movementsOf(entry canonical.JournalEntry) string {
	var moved strings.Builder
	fmt.Fprint(&moved, entry.Reference, " ", entry.Currency)
	for _, line := range entry.Lines {
		fmt.Fprintf(&moved, "\n%s %s %s", line.Account, line.Debit, line.Credit)
	}
	return moved.String()
}

// dated gives the entry with the date on which it can be posted; one that is not its own it bears in its text.
func (b *Booking) dated(ctx context.Context, task journalTask) (canonical.JournalEntry, error) {
	entry := task.entry
	var err error
	if entry.Date, err = b.postingDate(ctx, moduleLedger, "JournalDate", task.date, task.closed); err != nil {
		return entry, err
	}
	if entry.Date != task.entry.Date {
		entry.Description = withDate(entry.Description, task.entry.Date)
	}
	return entry, nil
}

// postingDate is the date on which a document of a module can be posted. Where the ERP tells its open periods, a date in none of them is not even
// tried: by policy it moves into the current period, never into one to come, or waits for a person.
func (b *Booking) postingDate(ctx context.Context, module, field, date string, closed ClosedPeriodPolicy) (string, error) {
	periods, err := b.openPeriods(ctx, module)
	if err != nil {
		return "", err
	}
	current, open := erp.Period{}, len(periods) == 0
	for _, period := range periods {
		open = open || period.Covers(date)
		if period.Current {
			current = period
		}
	}
	switch {
	case open:
		return date, nil
	case closed != ClosedNextOpen || current.First == "" || date > current.Last:
		return "", &fault.Fault{
			Kind: fault.ClosedPeriod, System: b.system(), Code: "PERIOD_CLOSED",
			Message: "the ledger has no open period of " + date, Fields: []fault.Field{{Path: field, Rule: "must be in an open period"}},
		}
	default:
		return min(max(b.Clock().UTC().Format(time.DateOnly), current.First), current.Last), nil
	}
}

// openPeriods are the open periods of a module whose days are known; none where the ERP does not tell.
func (b *Booking) openPeriods(ctx context.Context, module string) ([]erp.Period, error) {
	catalog, has := b.Port.(erp.Catalog)
	if !has {
		return nil, nil
	}
	all, err := catalog.OpenPeriods(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(period erp.Period) bool { return period.Module != module || period.First == "" }), nil
}

// withDate writes a journal's own date into its text, which is shortened for it where it has to be.
func withDate(text, date string) string {
	if strings.Contains(text, date) {
		return text
	}
	suffix := " of " + date
	if runes := []rune(text); len(runes)+len(suffix) > maxJournalText {
		text = strings.TrimRight(string(runes[:maxJournalText-len(suffix)]), " ")
	}
	return text + suffix
}

// PostFeeInvoice posts an AP invoice of the processor, once under its number. A closed period is answered by policy, as a journal's is; number
// and reference keep the day that the invoice is of.
func (b *Booking) PostFeeInvoice(ctx context.Context, in PostInvoiceInput) (Posted, error) {
	posted, err := b.postFeeInvoice(ctx, in)
	return posted, toTemporal(err)
}

func (b *Booking) postFeeInvoice(ctx context.Context, in PostInvoiceInput) (Posted, error) {
	port, err := b.ledgerPort()
	if err != nil {
		return Posted{}, err
	}
	key, begun, err := b.invoiceKey(ctx, in)
	if err != nil {
		return Posted{}, err
	}
	lookUp := func(ctx context.Context) (erp.APInvoice, error) {
		found, err := port.FindAPInvoice(ctx, erp.APInvoiceRef{SupplierCode: in.Invoice.Supplier, Number: in.Invoice.Number})
		if err == nil && !canonical.NewMoney(found.Total, found.Currency).Equal(in.Invoice.Amount) {
			return found, b.otherInvoice(in.Invoice.Number)
		}
		return found, err
	}
	document := in.Invoice.Document
	if !begun { // else it is posted, or sent again, as it was begun
		if found, err := lookUp(ctx); err == nil || !fault.Is(err, fault.NotFound) {
			return postedInvoice(found, ""), err
		}
		if document, err = b.feeDocument(ctx, in); err != nil {
			return Posted{}, err
		}
	}
	find := func(ctx context.Context) (Posted, error) {
		stored, err := b.Operations.Get(ctx, key)
		if err != nil {
			return Posted{}, err
		}
		sent, err := decoded[erp.Document](stored.Request)
		if err != nil {
			return Posted{}, err
		}
		found, err := lookUp(ctx)
		return postedInvoice(found, redatedInvoice(sent, in.Date)), err
	}
	return performErp(ctx, b.Operations, b.system(), erpOperation[Posted]{
		key: key, kind: kindFeeInvoice, reference: in.Invoice.Number, amount: in.Invoice.Amount, input: erpDocument(document),
		hashOf: []any{in.Invoice.Supplier, in.Invoice.Number}, find: find,
		send: func(ctx context.Context, stored []byte) (Posted, error) {
			sent, err := decoded[erp.Document](stored)
			if err != nil {
				return Posted{}, err
			}
			invoice, err := port.PostAPInvoice(ctx, key, sent)
			return postedInvoice(invoice, redatedInvoice(sent, in.Date)), err
		},
		id: func(p Posted) string { return p.Reference },
	})
}

// invoiceKey is the key that an invoice is posted under. As with journals, an attempt that was refused over another amount is left behind, and
// one that may have arrived with it is never taken for this one.
func (b *Booking) invoiceKey(ctx context.Context, in PostInvoiceInput) (key string, begun bool, err error) {
	for attempt := in.Attempt; ; attempt++ {
		key = settlementKey(in.Merchant, in.Date, "invoice-"+in.Invoice.Number, attempt)
		stored, begun, err := b.begun(ctx, key)
		switch {
		case err != nil || !begun:
			return key, false, err
		case stored.Amount.Equal(in.Invoice.Amount):
			return key, true, nil
		case stored.State != journal.OperationRefused && stored.State != journal.OperationAbsent:
			return key, true, b.otherInvoice(in.Invoice.Number)
		}
	}
}

func (b *Booking) otherInvoice(number string) error {
	return &fault.Fault{
		Kind: fault.Conflict, System: b.system(), Code: codeOtherJournal,
		Message: "invoice " + number + " exists, or is on its way, with another total or currency",
	}
}

func postedInvoice(invoice erp.APInvoice, warning string) Posted {
	return Posted{Reference: invoice.Number, Number: cmp.Or(invoice.Journal, invoice.Number), Warning: warning}
}

// redatedInvoice is the warning of an invoice that was sent with another date than that of its day; "" for none.
func redatedInvoice(sent erp.Document, day string) string {
	var invoice struct{ InvoiceDate string }
	if err := json.Unmarshal(sent.Body, &invoice); err != nil || invoice.InvoiceDate == "" || invoice.InvoiceDate == day {
		return ""
	}
	return fmt.Sprintf("posted on %s, it is of %s", invoice.InvoiceDate, day)
}

// feeDocument is the invoice as it was planned, or on the date on which it can be posted.
func (b *Booking) feeDocument(ctx context.Context, in PostInvoiceInput) (mappings.Document, error) {
	date, err := b.postingDate(ctx, modulePayables, "InvoiceDate", cmp.Or(in.PostingDate, in.Date), in.ClosedPeriod)
	if err != nil || date == in.Date {
		return in.Invoice.Document, err
	}
	mapping, err := b.Mappings.Mapping(in.Invoice.Document.Mapping)
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	document, err := mapping.Complete(in.Invoice.Document, mappings.Input{
		Date: date, Settlement: canonical.Settlement{Date: in.Date, Currency: in.Invoice.Amount.Currency},
	})
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	return document, nil
}

// chargebackKey is the key of a dispute's step in the ERP; each cycle has its own.
func chargebackKey(in BookChargebackInput, step string, attempt int) string {
	if in.Cycle > 1 {
		step += "-" + strconv.Itoa(in.Cycle)
	}
	return OperationKey("chargeback", in.Case.ID, step, attempt)
}

// TagChargeback shows in the ERP where a payment's dispute stands; it makes no entry.
func (b *Booking) TagChargeback(ctx context.Context, in BookChargebackInput) error {
	return toTemporal(b.tagChargeback(ctx, in))
}

func (b *Booking) tagChargeback(ctx context.Context, in BookChargebackInput) error {
	if in.SalesOrder == "" && in.Invoice == "" {
		return nil
	}
	tag, step := erp.TagChargedBack, tagStep(erp.TagChargedBack)
	switch in.Outcome {
	case ChargebackOpen:
	case ChargebackLost:
		step += "-lost"
	case ChargebackWon:
		tag, step = erp.TagDisputeWon, tagStep(erp.TagDisputeWon)
	default:
		return bug("chargeback %s has the outcome %q", in.Case.ID, in.Outcome)
	}
	return b.tag(ctx, chargebackKey(in, step, in.Attempt), in.OrderID, erp.PaymentStatusChange{
		SalesOrder: in.SalesOrder, Invoice: in.Invoice, TransactionID: in.Case.TransactionID, Status: tag,
		Amount: in.Case.Amount.Amount, Currency: in.Case.Amount.Currency, At: b.Clock().UTC(),
	})
}

// BookChargeback books how a dispute ended in the general ledger: lost, the receivable becomes a loss; won, the processor owes the money again.
// Its journal is named by the case, so that a dispute is booked once and ends one way; each further cycle has one of its own.
func (b *Booking) BookChargeback(ctx context.Context, in BookChargebackInput) (RefundBooked, error) {
	booked, err := b.bookChargeback(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) bookChargeback(ctx context.Context, in BookChargebackInput) (RefundBooked, error) {
	if in.Case.Retrieval || !in.Case.Amount.Amount.IsPositive() {
		return RefundBooked{Result: UndoNothing}, nil
	}
	entry, err := b.chargebackEntry(in)
	if err != nil {
		return RefundBooked{}, err
	}
	posted, err := b.post(ctx, journalTask{
		key: func(attempt int) string { return chargebackKey(in, "journal", attempt) }, attempt: in.Attempt, kind: kindChargeback,
		orderID: in.OrderID, entry: entry, date: in.Date, closed: ClosedPark,
	})
	return RefundBooked{Result: UndoDone, Document: posted.Number}, err
}

// chargebackCategories are what an outcome moves. The other side of a single one is the receivable, where the money stands that was taken; where
// it was not taken again since the dispute had ended, it is what that end has made of it.
func chargebackCategories(in BookChargebackInput) ([]canonical.SettlementCategory, error) {
	standing := in.Cycle > 1 && !in.Retaken
	switch {
	case in.Outcome == ChargebackLost && standing && in.Former == ChargebackWon:
		return []canonical.SettlementCategory{categoryLost, categoryUnclaimed}, nil
	case in.Outcome == ChargebackWon && standing && in.Former == ChargebackLost:
		return []canonical.SettlementCategory{categoryWon, categoryRecovered}, nil
	case standing:
		return nil, bug("chargeback %s is %q again in cycle %d", in.Case.ID, in.Outcome, in.Cycle)
	case in.Outcome == ChargebackLost:
		return []canonical.SettlementCategory{categoryLost}, nil
	case in.Outcome == ChargebackWon:
		return []canonical.SettlementCategory{categoryWon}, nil
	default:
		return nil, bug("chargeback %s is booked with the outcome %q", in.Case.ID, in.Outcome)
	}
}

// chargebackReference names the journal of an outcome. No case has a slash in its number that a person could open.
func chargebackReference(in BookChargebackInput) string {
	reference := "CB-" + strings.TrimSpace(in.Case.ID)
	if in.Cycle > 1 {
		reference += "/" + strconv.Itoa(in.Cycle)
	}
	return erp.Reference(reference)
}

// chargebackEntry maps the journal of an outcome.
func (b *Booking) chargebackEntry(in BookChargebackInput) (canonical.JournalEntry, error) {
	categories, err := chargebackCategories(in)
	if err != nil {
		return canonical.JournalEntry{}, err
	}
	mapping, err := b.Mappings.Mapping(mappingChargeback)
	if err != nil {
		return canonical.JournalEntry{}, mappings.AsFault(err)
	}
	amount := in.Case.Amount
	var lines []canonical.SettlementLine
	for _, category := range categories {
		lines = append(lines, canonical.SettlementLine{
			Category: category, Amount: amount.Amount, TransactionID: in.Case.TransactionID, OrderID: in.OrderID,
		})
	}
	document, err := mapping.Apply(mappings.Input{
		Site: in.Site, Date: in.Date, Settlement: canonical.Settlement{Date: in.Date, Currency: amount.Currency, Lines: lines},
		Credit: mappings.Credit{
			Reference: chargebackReference(in), Reason: string(in.Outcome), Note: cmp.Or(in.OrderID, in.Case.ID), Amount: amount.Amount,
		},
	})
	if err != nil {
		return canonical.JournalEntry{}, mappings.AsFault(err)
	}
	entry, err := settlement.Entry(document.Body, "")
	if err != nil {
		return canonical.JournalEntry{}, &fault.Fault{Kind: fault.Value, System: b.system(), Code: "JOURNAL", Message: "the mapping " + mappingChargeback + " makes no journal: " + err.Error()}
	}
	return entry, nil
}

// ShowPaid shows orders as paid; one that the ERP does not know is left out. A try that breaks off goes on where it was.
func (b *Booking) ShowPaid(ctx context.Context, in ShowPaidInput) error {
	return toTemporal(b.showPaid(ctx, in))
}

// paidProgress is how far a page has come, kept in the heartbeats.
type paidProgress struct {
	Next    int // index of the next order
	Unknown int // orders that the ERP does not know
}

func (b *Booking) showPaid(ctx context.Context, in ShowPaidInput) error {
	var progress paidProgress
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &progress); err != nil {
			progress = paidProgress{} // shown before, an order is found so
		}
	}
	for progress.Next < len(in.Orders) {
		if err := ctx.Err(); err != nil {
			return err
		}
		known, err := b.showOrderPaid(ctx, in.Orders[progress.Next], in.Attempt)
		if err != nil {
			return err
		}
		if !known {
			progress.Unknown++
		}
		progress.Next++
		activity.RecordHeartbeat(ctx, progress)
	}
	if progress.Unknown > 0 {
		activity.GetLogger(ctx).Warn("orders that the ERP does not know are not shown as paid", "orders", progress.Unknown, "date", in.Date)
	}
	return nil
}

// showOrderPaid shows one order as paid, unless more became of its money since; known is false where the ERP does not know it.
func (b *Booking) showOrderPaid(ctx context.Context, order SettledOrder, attempt int) (known bool, err error) {
	if order.SalesOrder == "" && order.Invoice == "" {
		return false, nil
	}
	later, err := b.taggedLater(ctx, order.OrderID)
	if err != nil || later {
		return later, err
	}
	key := OperationKey("settlement", order.OrderID+"/"+order.TransactionID, tagStep(erp.TagPaid), attempt)
	err = b.tag(ctx, key, order.OrderID, erp.PaymentStatusChange{
		SalesOrder: order.SalesOrder, Invoice: order.Invoice, TransactionID: order.TransactionID, Status: erp.TagPaid,
		Amount: order.Amount.Amount, Currency: order.Amount.Currency, At: b.Clock().UTC(),
	})
	if fault.Is(err, fault.MissingReference) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// taggedLater tells that the ERP shows what comes after settlement: money that went back, or is disputed.
func (b *Booking) taggedLater(ctx context.Context, orderID string) (bool, error) {
	all, err := b.Operations.ByOrder(ctx, orderID)
	if err != nil {
		return false, err
	}
	for _, stored := range all {
		if stored.Kind != kindTag || stored.State == journal.OperationRefused || stored.State == journal.OperationAbsent {
			continue
		}
		change, err := decoded[erp.PaymentStatusChange](stored.Request)
		if err != nil {
			return false, errors.Join(err, bug("tag of order %s can't be read", orderID))
		}
		switch change.Status {
		case erp.TagPartiallyRefunded, erp.TagRefunded, erp.TagVoided, erp.TagChargedBack, erp.TagDisputeWon:
			return true, nil
		case erp.TagAuthorized, erp.TagCaptured, erp.TagPaid, erp.TagFailed: // come before, or are it
		}
	}
	return false, nil
}
