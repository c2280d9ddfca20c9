package sagepro_test

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

// TestAnyMixOfPaymentsKeepsTheBooks draws receipts, deposits, applications, reversals, credit memos and refunds in any order, sensible or not, of
// a company on each database. Whatever the adapter answers, the model knows what is open of everything afterwards, and no running total drifts.
func TestAnyMixOfPaymentsKeepsTheBooks(t *testing.T) {
	for dialect, runs := range map[sagepro.Dialect]int{sagepro.SQLite: 25, sagepro.Postgres: 6} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, dialect)
			b := &ledgerModel{desk: d, t: t}
			drawn := 0
			rapid.Check(t, func(rt *rapid.T) {
				if drawn++; drawn > runs { // rapid draws a hundred; a company is slower than that
					return
				}
				b.begin()
				rt.Repeat(map[string]func(*rapid.T){
					"invoice": b.drawInvoice, "receipt": b.drawReceipt, "apply": b.drawApplication, "reverse": b.drawReversal, "credit": b.drawCredit, "refund": b.drawRefund,
					"": b.check,
				})
			})
		})
	}
}

// ledgerModel is what the books of the customer must come to.
type ledgerModel struct {
	*desk
	t *testing.T

	invoices map[string]*modelInvoice
	memos    map[string]decimal.Decimal // what is left to pay back
	payments map[string]*modelPayment
	owed     decimal.Decimal // of all draws: the company stays
}

type modelInvoice struct{ total, open, credited decimal.Decimal }

// modelPayment is a payment by what it did. Parts are what documents got; a refund's is below zero.
type modelPayment struct {
	parts     map[string]decimal.Decimal
	amount    decimal.Decimal
	unapplied decimal.Decimal
	source    string // of an application
	reversed  bool
	final     bool // a reversal
}

// begin starts with what there can be something to do with.
func (b *ledgerModel) begin() {
	b.invoices, b.memos, b.payments = map[string]*modelInvoice{}, map[string]decimal.Decimal{}, map[string]*modelPayment{}
	b.addInvoice(20)
	b.addInvoice(10)
	deposit := b.pay(b.t, b.desk.receipt("25.00"))
	b.payments[deposit.Reference] = &modelPayment{amount: deposit.Amount, unapplied: deposit.Amount}
	b.owed = b.owed.Sub(deposit.Amount)
}

func (b *ledgerModel) addInvoice(total int64) {
	made := b.billed(b.t, total)
	b.invoices[made.Number] = &modelInvoice{total: decimal.NewFromInt(total), open: decimal.NewFromInt(total)}
	b.owed = b.owed.Add(decimal.NewFromInt(total))
}

func someMoney(t *rapid.T, label string) decimal.Decimal {
	return decimal.New(int64(rapid.IntRange(1, 2500).Draw(t, label)), -2)
}

// pick draws one of the names, or none of them.
func pick[V any](t *rapid.T, of map[string]V, label string) string {
	names := slices.Sorted(maps.Keys(of))
	if len(names) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(names).Draw(t, label)
}

func (b *ledgerModel) drawInvoice(t *rapid.T) {
	b.addInvoice(int64(rapid.IntRange(1, 30).Draw(t, "total")))
}

func (b *ledgerModel) drawReceipt(t *rapid.T) {
	rest := decimal.Zero
	if rapid.Bool().Draw(t, "deposit") {
		rest = someMoney(t, "rest")
	}
	parts, fits := map[string]decimal.Decimal{}, true
	var written [][2]string
	for range rapid.IntRange(0, min(2, len(b.invoices))).Draw(t, "invoices") {
		number, part := pick(t, b.invoices, "invoice"), someMoney(t, "part")
		if open := b.invoices[number].open.Sub(parts[number]); rapid.Bool().Draw(t, "whole") && open.IsPositive() {
			part = open
		}
		parts[number] = parts[number].Add(part)
		written = append(written, [2]string{number, part.StringFixed(2)})
		fits = fits && !parts[number].GreaterThan(b.invoices[number].open)
	}
	amount := rest
	for _, part := range parts {
		amount = amount.Add(part)
	}
	if !amount.IsPositive() {
		t.Skip("nothing came in")
	}
	receipt := b.receipt(amount.StringFixed(2), written...)
	posted, err := b.PostReceipt(b.t.Context(), b.key(), receipt.document(b.t))
	if !fits {
		requireFault(b.t, err, fault.Conflict, "INVOICE_OVERPAID")
		return
	}
	require.NoError(b.t, err)
	b.payments[posted.Reference] = &modelPayment{parts: parts, amount: amount, unapplied: rest}
	b.settle(parts, decimal.NewFromInt(1))
	b.owed = b.owed.Sub(amount)
}

// settle moves what is open of invoices, or what is left of credit memos.
func (b *ledgerModel) settle(parts map[string]decimal.Decimal, times decimal.Decimal) {
	for number, part := range parts {
		if invoice := b.invoices[number]; invoice != nil {
			invoice.open = invoice.open.Sub(part.Mul(times))
		} else {
			b.memos[number] = b.memos[number].Add(part.Mul(times)) // the part is below zero
		}
	}
}

func (b *ledgerModel) drawApplication(t *rapid.T) {
	source, number := pick(t, b.payments, "source"), pick(t, b.invoices, "invoice")
	payment, invoice := b.payments[source], b.invoices[number]
	amount := someMoney(t, "amount")
	if both := decimal.Min(payment.unapplied, invoice.open); rapid.Bool().Draw(t, "whole") && both.IsPositive() {
		amount = both
	}
	wanted := b.application(source, number, amount.StringFixed(2))
	_, err := b.ApplyDeposit(b.t.Context(), b.key(), wanted)
	switch {
	case amount.GreaterThan(payment.unapplied):
		requireFault(b.t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
	case amount.GreaterThan(invoice.open):
		requireFault(b.t, err, fault.Conflict, "INVOICE_OVERPAID")
	default:
		require.NoError(b.t, err)
		parts := map[string]decimal.Decimal{number: amount}
		b.payments[wanted.Reference] = &modelPayment{parts: parts, amount: amount, source: source}
		payment.unapplied = payment.unapplied.Sub(amount)
		b.settle(parts, decimal.NewFromInt(1))
	}
}

func (b *ledgerModel) drawReversal(t *rapid.T) {
	source := pick(t, b.payments, "source")
	payment := b.payments[source]
	wanted := b.reversal(canonical.Receipt{Reference: source, Amount: payment.amount, Currency: "USD"})
	wanted.Reference = b.name("BACK")
	_, err := b.ReverseReceipt(b.t.Context(), b.key(), wanted)
	switch {
	case payment.final:
		requireFault(b.t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		return
	case payment.reversed:
		requireFault(b.t, err, fault.Conflict, "STATUS_CONFLICT")
		return
	}
	require.NoError(b.t, err)
	b.payments[wanted.Reference] = &modelPayment{amount: payment.amount, final: true}
	b.takeBack(payment)
	switch {
	case payment.source != "":
		deposit := b.payments[payment.source]
		deposit.unapplied = deposit.unapplied.Add(payment.amount)
	case b.isRefund(payment):
		b.owed = b.owed.Sub(payment.amount)
	default:
		b.owed = b.owed.Add(payment.amount)
		payment.unapplied = decimal.Zero
		for _, applied := range b.payments {
			if applied.source == source && !applied.reversed {
				b.takeBack(applied)
			}
		}
	}
}

func (b *ledgerModel) takeBack(payment *modelPayment) {
	payment.reversed = true
	b.settle(payment.parts, decimal.NewFromInt(-1))
}

func (b *ledgerModel) isRefund(payment *modelPayment) bool {
	for _, part := range payment.parts {
		if part.IsNegative() {
			return true
		}
	}
	return false
}

func (b *ledgerModel) drawCredit(t *rapid.T) {
	number := pick(t, b.invoices, "invoice")
	invoice := b.invoices[number]
	amount, rest := someMoney(t, "amount"), invoice.total.Sub(invoice.credited)
	if rapid.Bool().Draw(t, "whole") && rest.IsPositive() {
		amount = rest
	}
	made, err := b.CreateCreditMemo(b.t.Context(), b.key(), b.memo(number, amount.StringFixed(2)).document(b.t))
	if amount.GreaterThan(rest) {
		requireFault(b.t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		return
	}
	require.NoError(b.t, err)
	setOff := decimal.Min(amount, invoice.open)
	invoice.credited, invoice.open = invoice.credited.Add(amount), invoice.open.Sub(setOff)
	b.memos[made.Number] = amount.Sub(setOff)
	b.owed = b.owed.Sub(amount)
}

func (b *ledgerModel) drawRefund(t *rapid.T) {
	number := pick(t, b.memos, "memo")
	left := b.memos[number]
	amount := someMoney(t, "amount")
	if rapid.Bool().Draw(t, "whole") && left.IsPositive() {
		amount = left
	}
	reference := b.name("REFUND")
	_, err := b.PostRefund(b.t.Context(), b.key(), erp.RefundPosting{Reference: reference, CustomerCode: "WEB", CreditMemo: number, Amount: amount, Currency: "USD",
		Date: today(), TransactionID: reference})
	if amount.GreaterThan(left) {
		requireFault(b.t, err, fault.Conflict, "INVOICE_OVERPAID")
		return
	}
	require.NoError(b.t, err)
	parts := map[string]decimal.Decimal{number: amount.Neg()}
	b.payments[reference] = &modelPayment{parts: parts, amount: amount}
	b.settle(parts, decimal.NewFromInt(1))
	b.owed = b.owed.Add(amount)
}

// check holds the books to the model.
func (b *ledgerModel) check(*rapid.T) {
	for number, invoice := range b.invoices {
		b.requireOpen(b.t, number, invoice.open.String())
	}
	for number, left := range b.memos {
		requireAmount(b.t, left.Neg().String(), dec(b.ask(b.t, "SELECT balance FROM armast WHERE trim(invno) = ?", number)))
	}
	for reference, payment := range b.payments {
		b.requireUnapplied(b.t, reference, payment.unapplied.String())
	}
	requireAmount(b.t, b.owed.String(), dec(cmp.Or(b.ask(b.t, "SELECT balance FROM arcust WHERE custno = 'WEB   '"), "0")))
	b.requireNoDrift(b.t)
}
