package sagepro

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"
)

// Payment types, as the SYSPRO sandbox names them.
const (
	typeReceipt  = "Receipt"  // money in, against invoices; the rest stays unapplied
	typeDeposit  = "Deposit"  // money in before there is an invoice
	typeApply    = "Apply"    // a deposit against invoices
	typeRefund   = "Refund"   // money out, against credit memos
	typeReversal = "Reversal" // takes a payment back, whatever it did
)

type allocationRow struct {
	InvoiceNumber string // of a Refund: the credit memo
	Applied       amount
}

type paymentRow struct {
	PaymentReference string
	PaymentType      string
	CustomerCode     string
	PaymentDate      string
	Amount           amount
	Currency         string
	BankCode         string
	Allocations      []allocationRow
	UnappliedAmount  amount
	Narration        string // the order number
	OrderNumber      string
	TransactionId    string
	SourceReference  string
	Reversed         bool

	refno   string
	rows    []*cash
	applied []*paymentRow // applications of a deposit
}

// paymentRows makes payments of rows of cash: those of one reference and one kind are one payment, or as many as the integration says. What a
// credit memo sets off is no payment.
func (b *books) paymentRows(x *index) []paymentRow {
	type key struct {
		refno, custno text
		kind          string
	}
	var order []key
	groups := map[key][]*cash{}
	for i := range b.cash {
		row := &b.cash[i]
		if row.Paytype == paidSetOff {
			continue
		}
		k := key{row.Refno, row.Custno, kindOf(row, x)}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], row)
	}
	names := b.paymentNames()
	all := []*paymentRow{}
	for _, k := range order {
		all = append(all, split(k.kind, groups[k], names, x)...)
	}
	slices.SortStableFunc(all, func(a, c *paymentRow) int { return cmp.Compare(a.rows[0].ID, c.rows[0].ID) })
	match(all)
	plain := []paymentRow{}
	for _, p := range all {
		plain = append(plain, *p)
	}
	return plain
}

// kindOf tells what a row of cash is: by its letter, and where that is only the usual R, by its sign and what it is against.
func kindOf(row *cash, x *index) string {
	against := x.invoices[row.Invno]
	switch {
	case row.Paytype == paidReversed:
		return typeReversal
	case row.Paytype == paidApplied:
		return typeApply
	case row.Paytype == paidRefund, against != nil && against.memo() && row.Paidamt.IsNegative():
		return typeRefund
	case row.Paidamt.IsNegative():
		return typeReversal
	default:
		return typeReceipt // a deposit too: it may be what a receipt left
	}
}

// paymentNames are the integration's rows of payments by what REFNO can hold of them: reversals and applications are known by their reference, the
// others by their transaction, else by their reference too.
func (b *books) paymentNames() map[string][]*xref {
	names := map[string][]*xref{}
	for i := range b.xrefs {
		r := &b.xrefs[i]
		if r.Entity != "receipt" {
			continue
		}
		byReference, byTransaction := last20(string(r.Extref)), last20(string(r.Cybtxn))
		names[byReference] = append(names[byReference], r)
		if byTransaction != "" && byTransaction != byReference {
			names[byTransaction] = append(names[byTransaction], r)
		}
	}
	return names
}

// last20 is what REFNO keeps of a longer reference.
func last20(reference string) string { return reference[max(0, len(reference)-20):] }

// split makes payments of the rows of one reference and kind. A transaction that the integration booked in several goes is as many payments: in
// the order of the rows, each up to its amount.
func split(kind string, rows []*cash, names map[string][]*xref, x *index) []*paymentRow {
	refno := string(rows[0].Refno)
	var known []*xref
	for _, r := range names[refno] {
		ownReference := last20(string(r.Extref)) == refno
		if ownReference || kind != typeReversal && kind != typeApply && !x.takesBack[last20(string(r.Extref))] {
			known = append(known, r)
		}
	}
	var made []*paymentRow
	for len(known) > 1 {
		n := upTo(rows, known[0].Amount.Decimal)
		if n == 0 || n == len(rows) {
			break
		}
		made = append(made, newPayment(kind, rows[:n], known[:1], x))
		rows, known = rows[n:], known[1:]
	}
	return append(made, newPayment(kind, rows, known, x))
}

// upTo is how many rows come to an amount; 0 where none of them does.
func upTo(rows []*cash, whole decimal.Decimal) int {
	sum := decimal.Zero
	for i, r := range rows {
		if sum = sum.Add(r.Paidamt.Decimal); sum.Abs().Equal(whole) {
			return i + 1
		}
	}
	return 0
}

func newPayment(kind string, rows []*cash, known []*xref, x *index) *paymentRow {
	first := rows[0]
	currency := string(first.Currid)
	p := &paymentRow{PaymentReference: string(first.Refno), PaymentType: kind, CustomerCode: string(first.Custno), PaymentDate: string(first.Dtepaid), Currency: currency,
		BankCode: string(first.Bankacct), Allocations: []allocationRow{}, refno: string(first.Refno), rows: rows}
	if len(known) > 0 {
		p.PaymentReference, p.TransactionId = string(known[0].Extref), string(known[0].Cybtxn)
	}
	total, above, unapplied := decimal.Zero, decimal.Zero, decimal.Zero
	for _, r := range rows {
		if p.OrderNumber == "" {
			p.OrderNumber = x.orderOf(x.invoices[r.Invno])
		}
		if r.deposit() {
			unapplied = unapplied.Add(r.Paidamt.Decimal)
		} else {
			p.Allocations = append(p.Allocations, allocationRow{ours(r.Invno), money(r.Paidamt.Decimal, currency)})
		}
		total = total.Add(r.Paidamt.Decimal)
		above = above.Add(decimal.Max(decimal.Zero, r.Paidamt.Decimal))
	}
	if total.IsZero() {
		total = above // from one place to another
	}
	if kind == typeReceipt {
		p.UnappliedAmount = money(unapplied, currency)
		if len(p.Allocations) == 0 {
			p.PaymentType = typeDeposit
		}
	}
	p.Amount = money(total.Abs(), currency)
	if p.OrderNumber == "" {
		p.OrderNumber = x.orderOfPayment(p)
	}
	p.Narration = p.OrderNumber
	return p
}

// orderOfPayment finds the order of a payment that no invoice tells: by what the row says, else by the transaction's payment status.
func (x *index) orderOfPayment(p *paymentRow) string {
	for _, r := range p.rows {
		if r.Ponum == "" {
			continue
		}
		if sono, known := x.byPurchase[[2]text{r.Custno, r.Ponum}]; known {
			return x.numbers[sono]
		}
		return string(r.Ponum)
	}
	return x.numbers[x.byTransaction[cmp.Or(last20(p.TransactionId), p.refno)]]
}

// match finds what applications use and what reversals take back, in the order in which they were posted.
func match(all []*paymentRow) {
	for i, p := range all {
		if p.PaymentType != typeReversal && p.PaymentType != typeApply {
			continue
		}
		for _, source := range all[:i] {
			if p.SourceReference != "" || source.Reversed || !source.sameOrder(p) {
				continue
			}
			switch {
			case p.PaymentType == typeReversal && source.takenBackBy(p):
				source.takeBack(p)
			case p.PaymentType == typeApply && source.mayHaveLeft() && !source.UnappliedAmount.LessThan(p.Amount.Decimal):
				p.SourceReference = source.PaymentReference
				source.applied = append(source.applied, p)
				source.UnappliedAmount = money(source.UnappliedAmount.Sub(p.Amount.Decimal), source.Currency)
			}
		}
	}
}

// mayHaveLeft tells whether a payment may have money that no invoice took.
func (p *paymentRow) mayHaveLeft() bool {
	return p.PaymentType == typeDeposit || p.PaymentType == typeReceipt
}

// sameOrder tells whether two payments may belong together: of one customer, and not known to be of different transactions or orders.
func (p *paymentRow) sameOrder(other *paymentRow) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return p.CustomerCode == other.CustomerCode && !differ(p.TransactionId, other.TransactionId) && !differ(p.OrderNumber, other.OrderNumber)
}

// takenBackBy tells whether a reversal has the rows of a payment, and of the applications of its deposit, with the other sign.
func (p *paymentRow) takenBackBy(reversal *paymentRow) bool {
	if p.PaymentType == typeReversal || !p.Amount.Equal(reversal.Amount.Decimal) {
		return false
	}
	left := map[text]decimal.Decimal{}
	add := func(rows []*cash) {
		for _, r := range rows {
			left[r.Invno] = left[r.Invno].Add(r.Paidamt.Decimal)
		}
	}
	add(p.rows)
	add(reversal.rows)
	for _, a := range p.applied {
		if !a.Reversed {
			add(a.rows)
		}
	}
	for _, rest := range left {
		if !rest.IsZero() {
			return false
		}
	}
	return true
}

// takeBack marks a payment as reversed. What a deposit was applied to is taken back with it; an application gives its deposit the money back.
func (p *paymentRow) takeBack(reversal *paymentRow) {
	p.Reversed = true
	p.UnappliedAmount = money(decimal.Zero, p.Currency)
	reversal.SourceReference = p.PaymentReference
	reversal.OrderNumber = cmp.Or(reversal.OrderNumber, p.OrderNumber)
	reversal.Narration = reversal.OrderNumber
	for _, a := range p.applied {
		a.Reversed = true
	}
}
