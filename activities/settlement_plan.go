package activities

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/mappings"
)

// defaultFeeSupplier is the processor as a supplier, where the site names no other (feeSupplier).
const defaultFeeSupplier = "CYBSRC"

// plan works out, per currency, what the ledger still lacks: the day's journal, or a correction of what was posted of it before. A
// currency that was posted and has no rows any more is corrected, too; one that is parked is left alone.
func (r *reading) plan(result *settlement.Result) error {
	currencies := slices.Clone(result.Currencies)
	for _, posting := range r.posted {
		if !slices.ContainsFunc(currencies, func(c settlement.CurrencyResult) bool { return c.Currency == posting.Currency }) {
			currencies = append(currencies, settlement.CurrencyResult{Currency: posting.Currency})
		}
	}
	slices.SortFunc(currencies, func(a, b settlement.CurrencyResult) int { return cmp.Compare(a.Currency, b.Currency) })
	settlements := map[string]canonical.Settlement{}
	for _, s := range result.Settlements() {
		settlements[s.Currency] = s
	}
	for i := range currencies {
		c := &currencies[i]
		if c.Outcome == settlement.Parked {
			continue
		}
		day, some := settlements[c.Currency]
		if !some {
			day = canonical.Settlement{MerchantID: r.in.Merchant, Date: r.in.Date, Currency: c.Currency}
		}
		plan, err := r.planOf(result, c, day)
		if err != nil {
			return err
		}
		if plan.Journal != nil || plan.Invoice != nil {
			r.out.Plans = append(r.out.Plans, plan)
		}
	}
	return nil
}

// planOf is what one currency's day still lacks.
func (r *reading) planOf(result *settlement.Result, c *settlement.CurrencyResult, day canonical.Settlement) (PlannedPosting, error) {
	var posted []journal.Posting
	for _, posting := range r.posted {
		if posting.Currency == c.Currency {
			posted = append(posted, posting)
		}
	}
	plan := PlannedPosting{Currency: c.Currency}
	var err error
	if plan.Invoice, err = r.feeInvoice(result, c, posted); err != nil {
		return plan, err
	}
	plan.Sequence = freeSequence(posted, plan.Invoice != nil)
	plan.Journal, err = r.journal(day, posted, plan.Sequence)
	return plan, err
}

// freeSequence is the first place behind all journals of a currency's day, one without invoice where there is an invoice to keep.
func freeSequence(posted []journal.Posting, invoice bool) int {
	free := 0
	for _, posting := range posted { // in the order of their places
		if posting.Entry != nil || invoice && posting.Invoice != nil {
			free = max(free, posting.Sequence+1)
		}
	}
	return free
}

// journal is what of a currency's day is not posted yet; nil: all of it is.
func (r *reading) journal(day canonical.Settlement, posted []journal.Posting, sequence int) (*canonical.JournalEntry, error) {
	reference, err := settlement.Reference(r.in.Date, day.Currency, r.Suffix, sequence)
	if err != nil {
		return nil, invalidSettlement("reference", err.Error())
	}
	day, err = r.inLedger(day)
	if err != nil {
		return nil, err
	}
	wanted, some, err := r.wanted(day, reference)
	if err != nil {
		return nil, err
	}
	var before []canonical.JournalEntry
	for _, posting := range posted {
		if posting.Entry != nil {
			before = append(before, *posting.Entry)
		}
	}
	switch {
	case len(before) == 0 && !some:
		return nil, nil
	case len(before) == 0:
		return &wanted, nil
	case !some:
		wanted = canonical.JournalEntry{Date: before[0].Date, Currency: before[0].Currency, Description: before[0].Description}
	}
	correction, needed, err := settlement.Correction(wanted, before, reference)
	if err != nil {
		return nil, bug("correct %s: %v", before[0].Reference, err)
	}
	if !needed {
		return nil, nil
	}
	return &correction, nil
}

// inLedger is a currency's day in the ledger's own currency, where that is another one: what rounding or the rates of single lines leave over
// goes to the exchange account. The journal keeps the name of the currency that was settled.
func (r *reading) inLedger(day canonical.Settlement) (canonical.Settlement, error) {
	ledger := r.in.Policy.Ledger
	if ledger == "" || ledger == day.Currency || len(day.Lines) == 0 {
		return day, nil
	}
	rates, err := r.rates()
	if err != nil {
		return day, &fault.Fault{Kind: fault.MissingReference, System: settlementSystem, Code: codeNoRate, Message: "the exchange rates can't be read: " + err.Error()}
	}
	converted, err := settlement.ConvertSettlement(day, ledger, canonical.Money{}, rates)
	if errors.Is(err, settlement.ErrNoRate) {
		return day, &fault.Fault{
			Kind: fault.MissingReference, System: settlementSystem, Code: codeNoRate,
			Message: fmt.Sprintf("there is no exchange rate %s/%s for %s; add it, then retry", day.Currency, ledger, day.Date),
		}
	}
	return converted, err
}

// rates are those that the ERP was asked for, where the policy says so, else those of the settings.
func (r *reading) rates() (settlement.RateSource, error) {
	if !r.in.Policy.ErpRates {
		return r.Rates()
	}
	quoted := make([]settlement.QuotedRate, 0, len(r.in.Rates))
	for _, rate := range r.in.Rates {
		quoted = append(quoted, settlement.QuotedRate{From: rate.From, To: rate.To, Rate: rate.Rate, Date: rate.Date})
	}
	return settlement.QuotedRates(quoted)
}

// codeNoRate marks a day whose currency nobody has told the price of.
const codeNoRate = "NO_RATE"

// wanted is the whole journal of a currency's day, as the mapping makes it; false where there is nothing to book, or it adds up to nothing.
func (r *reading) wanted(day canonical.Settlement, reference string) (canonical.JournalEntry, bool, error) {
	mapping, err := r.Mappings.Mapping(r.in.Policy.Mode.Mapping())
	if err != nil {
		return canonical.JournalEntry{}, false, mappings.AsFault(err)
	}
	document, err := mapping.Apply(mappings.Input{Settlement: day, Site: r.in.Site, Date: r.in.Date})
	if err != nil {
		return canonical.JournalEntry{}, false, mappings.AsFault(err)
	}
	if document.Skipped {
		return canonical.JournalEntry{}, false, nil
	}
	entry, err := settlement.Entry(document.Body, reference)
	if err != nil {
		return entry, false, &fault.Fault{
			Kind: fault.Value, System: settlementSystem, Code: "JOURNAL", Message: "the mapping " + document.Mapping + " makes no journal: " + err.Error(),
		}
	}
	return entry, true, nil
}

// feeInvoice is the processor's invoice of a currency's day, where fees are booked so, or of what changed since it was posted; nil: there is
// none. Where fees were invoiced and now go into the journal, it takes back what was invoiced.
func (r *reading) feeInvoice(result *settlement.Result, c *settlement.CurrencyResult, posted []journal.Posting) (*PlannedInvoice, error) {
	var invoiced [][]canonical.SettlementLine
	for _, posting := range posted {
		if posting.Invoice != nil {
			invoiced = append(invoiced, posting.Invoice.Distribution)
		}
	}
	fees, some, err := result.FeeInvoice(c, r.Suffix, invoiced...)
	if err != nil {
		return nil, invalidSettlement("reference", err.Error())
	}
	if !some {
		return nil, nil
	}
	mapping, err := r.Mappings.Mapping("gl/fee_invoice")
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	document, err := mapping.Apply(feeInput(fees, r.in))
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	return &PlannedInvoice{
		Supplier: cmp.Or(r.in.Site["feeSupplier"], defaultFeeSupplier), Number: fees.Number, Amount: canonical.NewMoney(fees.Total.Abs(), fees.Currency),
		Document: document, Distribution: fees.Distribution,
	}, nil
}

// What the mapping of a fee invoice is told that it makes (credit.reason).
const (
	feesCharged  = "INVOICE"
	feesReturned = "CREDIT"
)

// feeInput is what the mapping of a fee invoice reads: the fees as lines of a settlement, what was given back negative, and the invoice's
// number and total as those of a credit. Of a credit note all lines are the other way round, so that its total is positive as well.
func feeInput(fees settlement.FeeInvoice, in ReconcileDayInput) mappings.Input {
	input := mappings.Input{
		Settlement: canonical.Settlement{MerchantID: in.Merchant, Date: in.Date, Currency: fees.Currency},
		Credit:     mappings.Credit{Reference: fees.Number, Reason: feesCharged, Amount: fees.Total.Abs()}, Site: in.Site, Date: fees.Date,
	}
	for _, line := range fees.Distribution {
		if fees.Total.IsNegative() {
			line.Amount = line.Amount.Neg()
		}
		input.Settlement.Lines = append(input.Settlement.Lines, line)
	}
	if fees.Total.IsNegative() {
		input.Credit.Reason = feesReturned
	}
	return input
}
