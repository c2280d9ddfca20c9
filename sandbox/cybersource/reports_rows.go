package cybersource

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// reportRow is one settled request as the reports show it: a transaction of the ledger, a planted one, or a generated one.
type reportRow struct {
	id, kind, reference, reconciliation string
	authorization                       string // the payment that a capture follows; a sale's own id
	currency                            string
	units                               int64 // amount in minor units of the currency, never negative
	card                                card
	bank                                bool
	at                                  time.Time
	batchID                             string
	batchAt                             time.Time
	details                             *transactionDetails
	signed                              bool // the subscription wants money out to be negative
}

// incoming says whether the row brings money.
func (r *reportRow) incoming() bool { return r.kind == kindSale || r.kind == kindCapture }

// applications are the services of the settling request: a sale shows its authorization, too.
func (r *reportRow) applications() []string {
	switch {
	case r.bank && r.incoming():
		return []string{"ics_ecp_debit"}
	case r.bank:
		return []string{"ics_ecp_credit"}
	case r.kind == kindSale:
		return []string{"ics_bill", "ics_auth"}
	case r.kind == kindCapture:
		return []string{"ics_bill"}
	default:
		return []string{"ics_credit"}
	}
}

// paymentName is the word of the reports for a card type.
func (r *reportRow) paymentName() string {
	if r.bank {
		return "eCheck"
	}
	return orElse(paymentNames[r.card.Type], "Other")
}

// paymentNames is never written.
var paymentNames = map[string]string{
	visa.code: "Visa", mastercard.code: "MasterCard", amex.code: "American Express", discover.code: "Discover", diners.code: "Diners Club",
	jcb.code: "JCB", maestro.code: "Maestro", uatp.code: "UATP", unionPay.code: "China UnionPay",
}

// method is the two letters of the JSON queries.
func (r *reportRow) method() string {
	if r.bank {
		return "DP"
	}
	return methodOf(r.card.Type)
}

// amount is the amount as files show it.
func (r *reportRow) amount() string {
	units := r.units
	if r.signed && !r.incoming() {
		units = -units
	}
	return formatUnits(units, r.currency)
}

// formatUnits writes minor units with the currency's decimals.
func formatUnits(units int64, currencyCode string) string {
	scale := minorUnits(currencyCode)
	return decimal.New(units, -scale).StringFixed(scale)
}

// unitsOf is an amount in minor units of the currency; finer decimals are cut, as the API cuts them.
func unitsOf(amount decimal.Decimal, currencyCode string) int64 {
	return amount.Shift(minorUnits(currencyCode)).IntPart()
}

// rowFee is what the acquirer charges for a row, in minor units.
type rowFee struct{ interchange, discount, interchangeItem, discountItem int64 }

// The fee formula: of money in 1.51 % interchange and 0.20 % discount, each rounded half up, plus 10 and 5 minor units an item;
// of money out 5 minor units alone.
const (
	interchangeRate = 151 // of 10,000
	discountRate    = 20
	interchangeItem = 10 // minor units
	discountItem    = 5
)

func (r *reportRow) fee() rowFee {
	if !r.incoming() {
		return rowFee{discountItem: discountItem}
	}
	return rowFee{interchange: share(r.units, interchangeRate), discount: share(r.units, discountRate),
		interchangeItem: interchangeItem, discountItem: discountItem}
}

func share(units, rate int64) int64 { return (units*rate + 5_000) / 10_000 }

func (f rowFee) items() int64 { return f.interchangeItem + f.discountItem }
func (f rowFee) total() int64 { return f.interchange + f.discount + f.items() }

// funding is what of the row reaches the bank: negative for money out.
func (r *reportRow) funding() int64 {
	if r.incoming() {
		return r.units - r.fee().total()
	}
	return -r.units - r.fee().total()
}

// dayView is one merchant's closed day as it stands. It shares nothing that changes, so that it can be written out at the pace of
// a slow caller while the ledger goes on.
type dayView struct {
	day        settlementDay
	start, end time.Time
	ledger     []reportRow // what really was in the batch
	reported   []reportRow // what the reports say of it, every request once
	disputes   []disputeEvent
	deposits   []*dayView // the days whose deposit is reported on this one
	signed     bool
}

// view collects a day. The caller holds the lock.
func (s *Server) view(day *settlementDay) *dayView {
	v := s.transactionsView(day)
	for _, other := range s.books.reporting.days {
		if other.MerchantID == day.MerchantID && other.DepositDate == day.Date {
			if other == day {
				v.deposits = append(v.deposits, v)
				continue
			}
			v.deposits = append(v.deposits, s.transactionsView(other))
		}
	}
	slices.SortFunc(v.deposits, func(a, b *dayView) int { return strings.Compare(a.day.Date, b.day.Date) })
	return v
}

// transactionsView is a day without the deposits of others.
func (s *Server) transactionsView(day *settlementDay) *dayView {
	v := &dayView{day: *day}
	v.start, v.end = s.periodOf(day.Date)
	for _, t := range s.books.reporting.batchedOn(day.MerchantID, day.Date) {
		v.ledger = append(v.ledger, s.rowOf(t))
	}
	v.reported = s.plantedRows(day, v)
	for _, event := range s.books.reporting.disputes {
		if event.MerchantID == day.MerchantID && event.Day == day.Date {
			v.disputes = append(v.disputes, *event)
		}
	}
	return v
}

// periodOf is the time that a day spans in the merchant's time zone.
func (s *Server) periodOf(date string) (start, end time.Time) {
	day, err := time.ParseInLocation(time.DateOnly, date, s.cfg.TimeZone)
	if err != nil { // dates are checked before they are kept
		return time.Time{}, time.Time{}
	}
	return day.UTC(), day.AddDate(0, 0, 1).UTC()
}

func (s *Server) rowOf(t *transaction) reportRow {
	row := reportRow{
		id: t.ID, kind: t.Kind, reference: t.Reference, reconciliation: t.ReconciliationID, currency: t.Currency, units: unitsOf(t.Amount, t.Currency),
		card: t.Card, bank: t.Bank, at: t.At, batchID: t.BatchID, batchAt: s.books.reporting.batchAt[t.BatchID],
	}
	if root := s.books.byID[t.RootID]; root != nil {
		details := root.Details // a copy: the payment's own may still change
		row.details, row.bank = &details, root.Bank
	}
	if row.incoming() {
		row.authorization = t.RootID
	}
	return row
}

// plantedRows turns the ledger's rows into the reported ones.
func (s *Server) plantedRows(day *settlementDay, v *dayView) []reportRow {
	var rows []reportRow
	for _, row := range v.ledger {
		if slices.Contains(day.Plants.Missing, row.id) {
			continue
		}
		if units, off := day.Plants.AmountOff[row.id]; off {
			row.units = units
		}
		if code, off := day.Plants.CurrencyOff[row.id]; off {
			amount := decimal.New(row.units, -minorUnits(row.currency))
			row.currency = code
			row.units = unitsOf(amount, code)
		}
		rows = append(rows, row)
	}
	for _, id := range day.Plants.Late {
		if t := s.books.byID[id]; t != nil {
			rows = append(rows, s.rowOf(t))
		}
	}
	for i := range day.Plants.Extra {
		rows = append(rows, extraRow(day, v, i))
	}
	return rows
}

// extraRow is a request that the ledger has never seen.
func extraRow(day *settlementDay, v *dayView, i int) reportRow {
	id := extraID(day.Date, i)
	row := reportRow{
		id: id, kind: kindSale, reference: "EXTRA" + compactDate(day.Date) + "N" + strconv.Itoa(i+1), reconciliation: fmt.Sprintf("EXTRA%011d", i+1),
		authorization: id, currency: "USD", units: int64(1000 + 100*i), card: generatedCards[0], at: v.start.Add(time.Duration(i) * time.Second),
		batchID: day.Generated, batchAt: day.ClosedAt, details: &transactionDetails{},
	}
	if len(v.ledger) > 0 {
		row.currency, row.batchID, row.batchAt = v.ledger[0].currency, v.ledger[0].batchID, v.ledger[0].batchAt
	}
	return row
}

// extraID begins with 9: ids of the ledger begin with 7.
func extraID(date string, i int) string { return fmt.Sprintf("9%s%013d", compactDate(date), i) }

func compactDate(date string) string { return strings.ReplaceAll(date, "-", "") }

// generatedCards are those of generated rows, in turn.
var generatedCards = []card{
	{Prefix: "411111", Suffix: "1111", Type: visa.code}, {Prefix: "555555", Suffix: "4444", Type: mastercard.code},
	{Prefix: "378282", Suffix: "0005", Type: amex.code}, {Prefix: "601111", Suffix: "1117", Type: discover.code},
}

// generated is the i-th synthetic row of a day that was asked to be big. It depends on nothing but the day and i, so that a day of
// a million rows needs no memory and reads the same every time. Every twentieth row is a refund.
func (v *dayView) generated(i int) reportRow {
	id := fmt.Sprintf("6%s%013d", compactDate(v.day.Date), i)
	row := generatedMoney(i)
	row.id, row.at, row.signed = id, v.generatedAt(i), v.signed
	row.reference, row.reconciliation = fmt.Sprintf("PAD%sN%07d", compactDate(v.day.Date), i), fmt.Sprintf("PAD%013d", i)
	row.batchID, row.batchAt = v.day.Generated, v.day.ClosedAt
	if row.incoming() {
		row.authorization = id
	}
	return row
}

// generatedMoney is what totals need of a generated row.
func generatedMoney(i int) reportRow {
	row := reportRow{kind: kindSale, currency: "USD", units: int64(500 + i*7919%99_500), card: generatedCards[i%len(generatedCards)]}
	if i%20 == 19 {
		row.kind, row.units = kindRefund, int64(100+i*7919%9_900)
	}
	return row
}

// generatedAt spreads the generated rows evenly over the day.
func (v *dayView) generatedAt(i int) time.Time {
	return v.start.Add(v.end.Sub(v.start) / time.Duration(v.day.Rows) * time.Duration(i)).Truncate(time.Second)
}

// paid are the rows that the acquirer's totals and its deposit are made of, besides the generated ones.
func (v *dayView) paid() []reportRow {
	if v.day.Totals == totalsOfLedger {
		return v.ledger
	}
	return v.reported
}

// lines are the rows of the batch file, planted duplicates included: beside their first.
func (v *dayView) lines() iter.Seq[reportRow] {
	return func(yield func(reportRow) bool) {
		for row := range v.requests() {
			if !yield(row) || slices.Contains(v.day.Plants.Duplicate, row.id) && !yield(row) {
				return
			}
		}
	}
}

// requests are the rows of the fee report: every request once.
func (v *dayView) requests() iter.Seq[reportRow] {
	return func(yield func(reportRow) bool) {
		for _, row := range v.reported {
			row.signed = v.signed
			if !yield(row) {
				return
			}
		}
		for i := range v.day.Rows {
			if !yield(v.generated(i)) {
				return
			}
		}
	}
}

// dayTotals is a day's money in one currency, in minor units.
type dayTotals struct {
	sales, refunds, fees, chargebacks, reversals, disputeFees int64
	salesCount, refundsCount, feesCount, chargebacksCount     int
}

// net is what the acquirer pays out, or takes where it is negative.
func (t *dayTotals) net() int64 {
	return t.sales - t.refunds - t.fees - t.chargebacks + t.reversals - t.disputeFees
}

func (t *dayTotals) take(row *reportRow) {
	if row.incoming() {
		t.sales += row.units
		t.salesCount++
	} else {
		t.refunds += row.units
		t.refundsCount++
	}
	t.fees += row.fee().total()
	t.feesCount++
}

// totalKey is what totals are kept by: the card's letters are empty where they are of all cards.
type totalKey struct{ currency, method string }

// totals adds a day up by currency and, where wanted, by card.
func (v *dayView) totals(byMethod bool) map[totalKey]*dayTotals {
	sums := map[totalKey]*dayTotals{}
	at := func(currency, method string) *dayTotals {
		if !byMethod {
			method = ""
		}
		key := totalKey{currency, method}
		if sums[key] == nil {
			sums[key] = &dayTotals{}
		}
		return sums[key]
	}
	take := func(row *reportRow) { at(row.currency, row.method()).take(row) }
	for _, row := range v.paid() {
		take(&row)
	}
	for i := range v.day.Rows {
		row := generatedMoney(i)
		take(&row)
	}
	for _, event := range v.disputes {
		sum := at(event.Currency, event.Method)
		switch event.Action {
		case disputeOpen:
			sum.chargebacks += event.moved()
			if event.moved() > 0 {
				sum.chargebacksCount++
			}
		case disputeWon:
			sum.reversals += event.moved()
		}
		if event.Fee > 0 {
			sum.disputeFees += event.Fee
			sum.feesCount++
		}
	}
	return sums
}
