package settlement

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Outcome says what a currency's differences lead to.
type Outcome string

// The outcomes.
const (
	Clean     Outcome = "clean"     // nothing differs
	Rounded   Outcome = "rounded"   // within the tolerance: the rounding account takes it
	Suspended Outcome = "suspended" // beyond it: the suspense account takes it
	Parked    Outcome = "parked"    // beyond it: nothing is posted until a person decides
)

// Sum counts rows and adds them up.
type Sum struct {
	Count  int             `json:"count"`
	Amount decimal.Decimal `json:"amount"`
}

// CategoryTotal sets side by side what the gateway reports, what the journal expects, and what is posted.
type CategoryTotal struct {
	Category canonical.SettlementCategory `json:"category"`
	Reported Sum                          `json:"reported"` // every row, duplicates too
	Expected Sum                          `json:"expected"` // operations that were matched, or are missing; none of fees, disputes and payouts
	Posted   Sum                          `json:"posted"`   // what the ledger's lines hold
}

// CurrencyResult is the day in one currency.
type CurrencyResult struct {
	Currency    string          `json:"currency"`
	Categories  []CategoryTotal `json:"categories"`  // those that occur, by name
	Net         decimal.Decimal `json:"net"`         // what the acquirer owes for the rows that are taken; negative where the merchant does
	Deposited   decimal.Decimal `json:"deposited"`   // payouts reported
	Difference  decimal.Decimal `json:"difference"`  // money there is beyond what the journal knows; negative where some lacks
	Unexplained decimal.Decimal `json:"unexplained"` // the sizes of all differences: two that cancel out are not nothing
	Outcome     Outcome         `json:"outcome"`
	BatchID     string          `json:"batchId,omitempty"` // where there is one only
	Lines       []Line          `json:"lines"`             // by category and the values they are kept apart by
	Fees        []Line          `json:"fees,omitempty"`    // fees that an AP invoice books, in place of lines of the journal
}

// Line is a line of a settlement with the values it is kept apart by.
type Line struct {
	canonical.SettlementLine
	Keys  map[string]string `json:"keys,omitempty"` // by field of Config.GroupBy; those without a value are left out
	Count int               `json:"count"`          // rows
}

// Result is what became of a day. It holds totals and references, no rows, and may cross an activity's boundary as JSON.
type Result struct {
	Date        string           `json:"date"`
	MerchantID  string           `json:"merchantId"`
	Rows        int              `json:"rows"`
	Foreign     int              `json:"foreign"` // rows of other merchants, left out
	States      map[State]int    `json:"states"`
	ByReference int              `json:"byReference"` // matched by reference and amount, not by transaction id
	Pending     int              `json:"pending"`     // operations that are not due yet
	Currencies  []CurrencyResult `json:"currencies"`  // by code
	Differences int              `json:"differences"`
	Listed      []Difference     `json:"listed"` // the first of them
}

// Parked tells whether any currency waits for a person.
func (r *Result) Parked() bool {
	return slices.ContainsFunc(r.Currencies, func(c CurrencyResult) bool { return c.Outcome == Parked })
}

// Settlements gives, per currency, the aggregated lines that the mapping of the ledger takes. A parked currency has none.
func (r *Result) Settlements() []canonical.Settlement {
	var all []canonical.Settlement
	for i := range r.Currencies {
		c := &r.Currencies[i]
		if c.Outcome == Parked || len(c.Lines) == 0 {
			continue
		}
		all = append(all, c.settlement(r))
	}
	return all
}

func (c *CurrencyResult) settlement(r *Result) canonical.Settlement {
	s := canonical.Settlement{MerchantID: r.MerchantID, Date: r.Date, Currency: c.Currency, BatchID: c.BatchID}
	for _, line := range c.Lines {
		aggregated := line.SettlementLine
		aggregated.Keys = line.Keys
		s.Lines = append(s.Lines, aggregated)
	}
	return s
}

func (m *matcher) result() *Result {
	d := m.day
	r := &Result{
		Date: d.config.Date, MerchantID: d.config.MerchantID, Rows: d.rows, Foreign: d.foreign, States: m.states, ByReference: m.byReference,
		Pending: m.pending, Differences: m.total, Listed: m.listed,
	}
	for at := range d.books {
		r.Currencies = append(r.Currencies, d.currencyResult(at))
	}
	slices.SortFunc(r.Currencies, func(a, b CurrencyResult) int { return cmp.Compare(a.Currency, b.Currency) })
	return r
}

func (d *Day) currencyResult(at int) CurrencyResult {
	b, scale := &d.books[at], d.currencies.scales[at]
	c := CurrencyResult{
		Currency: d.currencies.codes[at], Difference: b.differences.amount(scale), Unexplained: b.unexplained.amount(scale),
	}
	if b.batches == 1 {
		c.BatchID = b.batch
	}
	d.decide(&c, at)
	for i, category := range categories {
		total := CategoryTotal{Category: category, Reported: b.reported[i].sum(scale), Expected: b.expected[i].sum(scale), Posted: b.posted[i].sum(scale)}
		if total.Reported.Count == 0 && total.Expected.Count == 0 && total.Posted.Count == 0 {
			continue
		}
		c.Categories = append(c.Categories, total)
		switch WayOf(category) {
		case Income:
			c.Net = c.Net.Add(total.Posted.Amount)
		case Expense:
			c.Net = c.Net.Sub(total.Posted.Amount)
		case Elsewhere:
			if category == DepositDebit {
				c.Deposited = c.Deposited.Sub(total.Posted.Amount)
			} else {
				c.Deposited = c.Deposited.Add(total.Posted.Amount)
			}
		default: // moves no money
		}
	}
	if c.Outcome == Parked {
		c.Net = c.Net.Add(c.Difference) // no line holds it
	}
	c.Lines = d.lines(at)
	if d.config.Fees == FeesAsInvoice {
		c.splitFees()
	}
	return c
}

func (t *tally) sum(scale int32) Sum { return Sum{Count: t.count, Amount: t.amount(scale)} }

// decide books what differs, or parks it.
func (d *Day) decide(c *CurrencyResult, at int) {
	debit, credit := Suspense, SuspenseCredit
	switch {
	case c.Unexplained.IsZero():
		c.Outcome = Clean
		return
	case c.Unexplained.LessThanOrEqual(d.tolerance(c.Currency)):
		c.Outcome, debit, credit = Rounded, Rounding, RoundingCredit
	case d.config.Policy == PolicySuspense:
		c.Outcome = Suspended
	default:
		c.Outcome = Parked
		return
	}
	b := d.book(at)
	units := b.differences.amount(0) // in minor units
	category := credit
	if units.IsNegative() {
		category, units = debit, units.Neg()
	}
	if units.IsZero() {
		return
	}
	for _, part := range b.differences.parts(units) {
		d.post(0, categoryIndex(category), at, part)
	}
}

// parts cuts an amount of minor units into what one tally takes at a time.
func (t *tally) parts(units decimal.Decimal) []int64 {
	most := decimal.NewFromInt(1 << 60)
	var parts []int64
	for units.GreaterThan(most) {
		parts = append(parts, most.IntPart())
		units = units.Sub(most)
	}
	return append(parts, units.IntPart())
}

func (d *Day) tolerance(currency string) decimal.Decimal {
	if t, said := d.config.Tolerance[currency]; said {
		return t
	}
	return d.config.Tolerance["*"]
}

// lines gives the aggregated lines of a currency, by category and then by their values.
func (d *Day) lines(at int) []Line {
	b, scale := &d.books[at], d.currencies.scales[at]
	keys := make([]lineKey, 0, len(b.lines))
	for key := range b.lines {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y lineKey) int {
		return cmp.Or(cmp.Compare(x.category, y.category), slices.Compare(d.grouping.groups[x.group], d.grouping.groups[y.group]))
	})
	lines := make([]Line, len(keys))
	for i, key := range keys {
		t := b.lines[key]
		lines[i] = Line{SettlementLine: canonical.SettlementLine{Category: categories[key.category], Amount: t.amount(scale)}, Count: t.count}
		lines[i].Keys = d.grouping.keys(key.group)
		lines[i].CardType = lines[i].Keys[ByCardType]
	}
	return lines
}
