package sagepro

import (
	"strings"

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

	refno string
	rows  []*cash
}

// paymentRows makes payments of rows of cash: those of one reference and one kind are one payment. What a credit memo sets off is no payment.
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
		if k.kind == typeDeposit {
			k.kind = typeReceipt // a receipt of which something was left
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], row)
	}
	all := []paymentRow{}
	for _, k := range order {
		all = append(all, b.payment(k.kind, groups[k], x))
	}
	match(all)
	return all
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
	case row.deposit():
		return typeDeposit
	default:
		return typeReceipt
	}
}

func (b *books) payment(kind string, rows []*cash, x *index) paymentRow {
	first := rows[0]
	currency := string(first.Currid)
	p := paymentRow{PaymentType: kind, CustomerCode: string(first.Custno), PaymentDate: string(first.Dtepaid), Currency: currency, BankCode: string(first.Bankacct),
		Allocations: []allocationRow{}, refno: string(first.Refno), rows: rows}
	total, unapplied := decimal.Zero, decimal.Zero
	for _, r := range rows {
		if p.OrderNumber == "" {
			p.OrderNumber = x.orderOf(x.invoices[r.Invno])
		}
		if r.deposit() {
			unapplied = unapplied.Add(r.Paidamt.Decimal)
		} else {
			p.Allocations = append(p.Allocations, allocationRow{ours(r.Invno), money(r.Paidamt.Decimal, currency)})
		}
		if kind != typeApply || r.Paidamt.IsPositive() {
			total = total.Add(r.Paidamt.Decimal)
		}
	}
	if kind == typeReceipt && len(p.Allocations) == 0 {
		p.PaymentType = typeDeposit
	}
	p.Amount = money(total.Abs(), currency)
	if p.PaymentType == typeReceipt || p.PaymentType == typeDeposit {
		p.UnappliedAmount = money(unapplied, currency)
	}
	b.name(&p, x)
	p.Narration = p.OrderNumber
	return p
}

// name finds what the integration calls a payment: the database keeps twenty characters of it.
func (b *books) name(p *paymentRow, x *index) {
	p.PaymentReference = p.refno
	for i := range b.xrefs {
		r := &b.xrefs[i]
		if r.Entity != "receipt" || !strings.HasPrefix(p.PaymentType, string(r.State)) && knownKind(string(r.State)) {
			continue
		}
		if string(r.Erpkey) == p.refno || string(r.Extref) == p.refno || last20(string(r.Extref)) == p.refno {
			p.PaymentReference, p.TransactionId = string(r.Extref), string(r.Cybtxn)
			break
		}
	}
	if p.OrderNumber == "" {
		p.OrderNumber = b.orderOfTransaction(p, x)
	}
}

func knownKind(state string) bool {
	switch state {
	case typeReceipt, typeDeposit, typeApply, typeRefund, typeReversal:
		return true
	default:
		return false
	}
}

// orderOfTransaction finds the order of a payment that no invoice tells: by what the row says, else by the transaction's payment status.
func (b *books) orderOfTransaction(p *paymentRow, x *index) string {
	for _, r := range p.rows {
		if r.Ponum == "" {
			continue
		}
		for i := range b.orders {
			if b.orders[i].Ponum == r.Ponum && b.orders[i].Custno == r.Custno {
				return x.numbers[b.orders[i].Sono]
			}
		}
		return string(r.Ponum)
	}
	for i := range b.payments {
		s := &b.payments[i]
		if txn := string(s.Cybtxn); txn == p.TransactionId || last20(txn) == p.refno {
			return x.numbers[s.Sono]
		}
	}
	return ""
}

// last20 is what REFNO keeps of a longer reference.
func last20(reference string) string { return reference[max(0, len(reference)-20):] }

// match finds what reversals take back and applications use, and what is left of deposits.
func match(all []paymentRow) {
	for i := range all {
		p := &all[i]
		for j := range all {
			source := &all[j]
			switch {
			case p.PaymentType == typeReversal && p.SourceReference == "" && !source.Reversed && source.takenBackBy(p):
				p.SourceReference, source.Reversed, p.OrderNumber = source.PaymentReference, true, source.OrderNumber
				p.Narration = p.OrderNumber
				source.UnappliedAmount = money(decimal.Zero, source.Currency)
			case p.PaymentType == typeApply && p.SourceReference == "" && source.PaymentType == typeDeposit && source.CustomerCode == p.CustomerCode &&
				(source.refno == p.refno || source.OrderNumber != "" && source.OrderNumber == p.OrderNumber) && !source.UnappliedAmount.LessThan(p.Amount.Decimal):
				p.SourceReference = source.PaymentReference
				source.UnappliedAmount = money(source.UnappliedAmount.Sub(p.Amount.Decimal), source.Currency)
			}
		}
	}
}

// takenBackBy tells whether a reversal has the rows of a payment with the other sign.
func (p *paymentRow) takenBackBy(reversal *paymentRow) bool {
	if p.PaymentType == typeReversal || p.PaymentType == typeApply || p.CustomerCode != reversal.CustomerCode || !p.Amount.Equal(reversal.Amount.Decimal) {
		return false
	}
	if p.refno == reversal.refno {
		return true
	}
	left := map[text]decimal.Decimal{}
	for _, r := range p.rows {
		left[r.Invno] = left[r.Invno].Add(r.Paidamt.Decimal)
	}
	for _, r := range reversal.rows {
		left[r.Invno] = left[r.Invno].Add(r.Paidamt.Decimal)
	}
	for _, rest := range left {
		if !rest.IsZero() {
			return false
		}
	}
	return true
}
