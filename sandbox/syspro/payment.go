package syspro

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/shopspring/decimal"
)

// Payment types of AddARPayment.
const (
	typeReceipt  = "Receipt"  // money in, against invoices; the rest stays unapplied
	typeDeposit  = "Deposit"  // money in before there is an invoice
	typeApply    = "Apply"    // unapplied money of SourceReference against invoices
	typeRefund   = "Refund"   // money out, against credit memos
	typeReversal = "Reversal" // takes SourceReference back, whatever it did
)

// allocation is a part of a payment, with what it left of the invoice.
type allocation struct {
	InvoiceNumber  string // of a Refund: the credit memo
	Applied        number
	DiscountAmount number
	Balance        number
	InvoiceStatus  string `json:",omitempty"`
}

// payment is a posted AR payment. UnappliedAmount is what is left of it now.
type payment struct {
	PaymentReference  string
	PaymentType       string
	CustomerCode      string
	PaymentDate       string
	Amount            number
	Currency          string
	BankCode          string
	PaymentMethodCode string
	Allocations       []allocation
	UnappliedAmount   number
	UnappliedDocument string
	BankChargeAmount  number
	Narration         string
	TransactionId     string
	SourceReference   string
	Reversed          bool
	AppliedBy         []string `json:",omitempty"` // Apply payments that used this one's unapplied money
	JournalNumber     string
	GlYear            int
	GlPeriod          int
}

type allocationInput struct {
	InvoiceNumber, CreditMemoNumber string // a credit memo may be given in either
	Amount, DiscountAmount          numeric
}

func (a allocationInput) number() string {
	if a.CreditMemoNumber != "" {
		return a.CreditMemoNumber
	}
	return a.InvoiceNumber
}

type arPaymentInput struct {
	PaymentReference, CustomerCode, PaymentDate, Currency, BankCode, PaymentMethodCode, PaymentType string
	Narration, TransactionId, SourceReference, PostingPeriod                                        string
	Amount, UnappliedAmount, BankChargeAmount                                                       numeric
	Allocations                                                                                     []allocationInput
}

type paymentAnswer struct {
	success
	*payment
}

// paymentPlan is a checked payment: the row to be, with the amounts of its allocations.
type paymentPlan struct {
	row       *payment
	amounts   []decimal.Decimal
	discounts []decimal.Decimal
	applied   decimal.Decimal // sum of amounts
	discount  decimal.Decimal // sum of discounts
	unapplied *decimal.Decimal
	source    *payment
}

func (in *arPaymentInput) check() (*paymentPlan, *problem) {
	var c checks
	c.required("PaymentReference", in.PaymentReference, 30)
	c.required("PaymentType", in.PaymentType, 10)
	c.oneOf("PaymentType", in.PaymentType, typeReceipt, typeDeposit, typeApply, typeRefund, typeReversal)
	c.date("PaymentDate", in.PaymentDate)
	c.oneOf("PostingPeriod", in.PostingPeriod, "C", "P", "B")
	c.text("CustomerCode", in.CustomerCode, 15)
	c.text("BankCode", in.BankCode, 15)
	c.text("PaymentMethodCode", in.PaymentMethodCode, 20)
	c.text("Narration", in.Narration, 50)
	c.text("TransactionId", in.TransactionId, 100)
	c.text("SourceReference", in.SourceReference, 30)
	onSource := in.PaymentType == typeApply || in.PaymentType == typeReversal
	if onSource {
		c.required("SourceReference", in.SourceReference, 30)
	} else {
		c.required("CustomerCode", in.CustomerCode, 15)
	}
	if !onSource || in.Currency != "" {
		c.currency(in.Currency)
	}
	plan := &paymentPlan{row: &payment{
		PaymentReference: strings.TrimSpace(in.PaymentReference), PaymentType: in.PaymentType, CustomerCode: strings.TrimSpace(in.CustomerCode),
		PaymentDate: in.PaymentDate, Currency: in.Currency, BankCode: in.BankCode, PaymentMethodCode: in.PaymentMethodCode,
		Narration: in.Narration, TransactionId: in.TransactionId, SourceReference: strings.TrimSpace(in.SourceReference), Allocations: []allocation{},
	}}
	plan.amountsOf(&c, in)
	return plan, c.problem()
}

func (plan *paymentPlan) amountsOf(c *checks, in *arPaymentInput) {
	row := plan.row
	if row.BankCode == "" {
		row.BankCode = defaultBank
	}
	if in.PaymentType != typeReversal || in.Amount.set() {
		row.Amount = number{c.positive("Amount", in.Amount, in.Currency)}
	}
	row.BankChargeAmount = number{c.amount("BankChargeAmount", in.BankChargeAmount, in.Currency)}
	if row.BankChargeAmount.GreaterThan(row.Amount.Decimal) {
		c.add(codeInvalid, "BankChargeAmount", "BankChargeAmount is more than the payment")
	}
	if in.UnappliedAmount.set() {
		unapplied := c.amount("UnappliedAmount", in.UnappliedAmount, in.Currency)
		plan.unapplied = &unapplied
	}
	for i, a := range in.Allocations {
		c.required(indexed("Allocations", i, "InvoiceNumber"), a.number(), 20)
		amount := c.positive(indexed("Allocations", i, "Amount"), a.Amount, in.Currency)
		discount := c.amount(indexed("Allocations", i, "DiscountAmount"), a.DiscountAmount, in.Currency)
		plan.amounts, plan.discounts = append(plan.amounts, amount), append(plan.discounts, discount)
		plan.applied, plan.discount = plan.applied.Add(amount), plan.discount.Add(discount)
		row.Allocations = append(row.Allocations, allocation{InvoiceNumber: strings.TrimSpace(a.number())})
	}
	none := len(in.Allocations) == 0
	switch in.PaymentType {
	case typeDeposit, typeReversal:
		if !none {
			c.add(codeInvalid, "Allocations", "a %s has no allocations", in.PaymentType)
		}
	case typeApply, typeRefund:
		if none {
			c.add(codeMissing, "Allocations", "a %s needs an allocation", in.PaymentType)
		}
	}
}

func (s *Server) addARPayment(c *change, in *arPaymentInput) (int, any, *problem) {
	plan, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	row := plan.row
	if existing := s.state.payments.get(row.PaymentReference); existing != nil {
		return 0, nil, duplicate(paymentAnswer{lookedUp(), existing}, "payment '%s' exists", row.PaymentReference).
			at("PaymentReference", row.PaymentReference).by("ARSTPY", "")
	}
	if p := s.complete(plan); p != nil {
		return 0, nil, p
	}
	at, p := s.postingPeriod("AR", row.PaymentDate, "ARSTPY")
	if p != nil {
		return 0, nil, p
	}
	if p := plan.balance(); p != nil {
		return 0, nil, p
	}
	switch row.PaymentType {
	case typeReversal:
		if p := s.reverse(c, plan, at); p != nil {
			return 0, nil, p
		}
	case typeRefund:
		if p := s.refund(c, plan, at); p != nil {
			return 0, nil, p
		}
	default:
		if p := s.receive(c, plan, at); p != nil {
			return 0, nil, p
		}
	}
	s.state.payments.add(row.PaymentReference, row)
	c.put(kindPayment, row.PaymentReference, row)
	return http.StatusCreated, paymentAnswer{c.success(), row}, nil
}

// complete takes from the source payment what the request may leave out, and checks customer, currency and bank.
func (s *Server) complete(plan *paymentPlan) *problem {
	row := plan.row
	if row.SourceReference != "" && (row.PaymentType == typeApply || row.PaymentType == typeReversal) {
		plan.source = s.state.payments.get(row.SourceReference)
		if plan.source == nil {
			return notFound(codePaymentUnknown, "payment not found").at("SourceReference", row.SourceReference).by("ARSTPY", "")
		}
		if row.CustomerCode == "" {
			row.CustomerCode = plan.source.CustomerCode
		}
		if row.Currency == "" {
			row.Currency = plan.source.Currency
		}
		if key(row.CustomerCode) != key(plan.source.CustomerCode) {
			return unprocessable(codeBusinessRule, "payment '%s' is another customer's", row.SourceReference).at("CustomerCode", row.CustomerCode).by("ARSTPY", "")
		}
		row.BankCode = plan.source.BankCode
	}
	buyer := s.state.customers.get(row.CustomerCode)
	if buyer == nil {
		return unprocessable(codeCustomerUnknown, "Customer '%s' not found", row.CustomerCode).at("CustomerCode", row.CustomerCode).by("ARSTPY", "240004")
	}
	if buyer.Currency != row.Currency {
		return unprocessable(codeCurrency, "Customer '%s' trades in %s", buyer.CustomerCode, buyer.Currency).at("Currency", row.Currency).by("ARSTPY", "")
	}
	if _, known := bankAccount(row.BankCode); !known {
		return unprocessable(codeBusinessRule, "Bank '%s' not found", row.BankCode).at("BankCode", row.BankCode).by("ARSTPY", "")
	}
	row.CustomerCode = buyer.CustomerCode
	for _, n := range []*number{&row.Amount, &row.BankChargeAmount, &row.UnappliedAmount} {
		*n = money(n.Decimal, row.Currency)
	}
	return nil
}

// balance checks that allocations and unapplied money come to the amount.
func (plan *paymentPlan) balance() *problem {
	row := plan.row
	switch row.PaymentType {
	case typeReversal:
		return nil
	case typeDeposit:
		if plan.unapplied != nil && !plan.unapplied.IsZero() && !plan.unapplied.Equal(row.Amount.Decimal) {
			return unprocessable(codeTotal, "all of a deposit is unapplied").at("UnappliedAmount", plan.unapplied.String()).by("ARSTPY", "")
		}
		row.UnappliedAmount = row.Amount
		return nil
	}
	unapplied := decimal.Zero
	if plan.unapplied != nil {
		unapplied = *plan.unapplied
	}
	mayLeave := row.PaymentType == typeReceipt
	if !plan.applied.Add(unapplied).Equal(row.Amount.Decimal) || !mayLeave && !unapplied.IsZero() {
		return unprocessable(codeTotal, "allocations of %s and %s unapplied don't come to %s", plan.applied, unapplied, row.Amount).
			at("Amount", row.Amount.String()).by("ARSTPY", "")
	}
	row.UnappliedAmount = money(unapplied, row.Currency)
	return nil
}

// receive books a Receipt, a Deposit or an Apply.
func (s *Server) receive(c *change, plan *paymentPlan, at glPeriod) *problem {
	row := plan.row
	invoices, p := s.allocate(plan)
	if p != nil {
		return p
	}
	if row.PaymentType == typeApply {
		if p := plan.source.mayApply(plan.applied); p != nil {
			return p
		}
	}
	for i, paid := range invoices {
		settled := plan.amounts[i].Add(plan.discounts[i])
		paid.settle(settled)
		c.put(kindInvoice, paid.InvoiceNumber, paid)
		row.Allocations[i] = allocation{paid.InvoiceNumber, money(plan.amounts[i], row.Currency), money(plan.discounts[i], row.Currency), paid.Balance, paid.InvoiceStatus}
	}
	if row.PaymentType == typeApply {
		s.useSource(c, plan)
	}
	if row.UnappliedAmount.IsPositive() {
		row.UnappliedDocument = fmt.Sprintf("U%06d", len(s.state.payments.all)+1)
	}
	posted := s.state.book(c, at, "AR", row.Currency, row.PaymentReference, s.receiptLines(plan)...)
	row.JournalNumber, row.GlYear, row.GlPeriod = posted.JournalNumber, at.year, at.month
	if row.PaymentType == typeApply {
		s.owes(c, row.CustomerCode, plan.discount.Neg()) // the deposit has lowered the balance already
	} else {
		s.owes(c, row.CustomerCode, row.Amount.Add(plan.discount).Neg())
	}
	return nil
}

// allocate finds the invoices to pay without touching them. No invoice is paid beyond its balance, also not by two
// allocations of one payment.
func (s *Server) allocate(plan *paymentPlan) ([]*invoice, *problem) {
	row := plan.row
	invoices := make([]*invoice, 0, len(row.Allocations))
	left := map[*invoice]decimal.Decimal{}
	for i, a := range row.Allocations {
		field := indexed("Allocations", i, "InvoiceNumber")
		paid := s.state.invoices.get(a.InvoiceNumber)
		if paid == nil {
			return nil, notFound(codeInvoiceUnknown, "AR invoice not found").at(field, a.InvoiceNumber).by("ARSTPY", "")
		}
		if paid.CustomerCode != row.CustomerCode {
			return nil, unprocessable(codeBusinessRule, "invoice '%s' is another customer's", paid.InvoiceNumber).at(field, a.InvoiceNumber).by("ARSTPY", "")
		}
		if o := s.state.orders.get(paid.SalesOrder); o != nil && paid.SalesOrder != "" && o.contains(triggerPayment) {
			return nil, unprocessable(codeBusinessRule, "stock code '%s' can't be paid", triggerPayment).at(field, a.InvoiceNumber).by("ARSTPY", "")
		}
		if _, seen := left[paid]; !seen {
			left[paid] = paid.Balance.Decimal
		}
		left[paid] = left[paid].Sub(plan.amounts[i]).Sub(plan.discounts[i])
		if left[paid].IsNegative() {
			return nil, unprocessable(codeOverpaid, "invoice '%s' has an open balance of %s", paid.InvoiceNumber, paid.Balance).
				at(indexed("Allocations", i, "Amount"), plan.amounts[i].String()).by("ARSTPY", "")
		}
		invoices = append(invoices, paid)
	}
	return invoices, nil
}

func (p *payment) mayApply(amount decimal.Decimal) *problem {
	if p.Reversed || p.PaymentType != typeDeposit && p.PaymentType != typeReceipt {
		return unprocessable(codeBusinessRule, "payment '%s' has nothing to apply", p.PaymentReference).at("SourceReference", p.PaymentReference).by("ARSTPY", "")
	}
	if amount.GreaterThan(p.UnappliedAmount.Decimal) {
		return unprocessable(codeBusinessRule, "payment '%s' has %s unapplied", p.PaymentReference, p.UnappliedAmount).at("Amount", amount.String()).by("ARSTPY", "")
	}
	return nil
}

func (s *Server) useSource(c *change, plan *paymentPlan) {
	source := plan.source
	source.UnappliedAmount = money(source.UnappliedAmount.Sub(plan.applied), source.Currency)
	source.AppliedBy = append(source.AppliedBy, plan.row.PaymentReference)
	c.put(kindPayment, source.PaymentReference, source)
}

func (s *Server) receiptLines(plan *paymentPlan) []postingLine {
	row := plan.row
	lines := []postingLine{credit(accountAR, plan.applied.Add(plan.discount)), debit(accountReturns, plan.discount)}
	if row.PaymentType == typeApply {
		return append(lines, debit(accountDeposits, plan.applied))
	}
	bank, _ := bankAccount(row.BankCode)
	return append(lines, debit(bank, row.Amount.Sub(row.BankChargeAmount.Decimal)), debit(accountFees, row.BankChargeAmount.Decimal),
		credit(accountDeposits, row.UnappliedAmount.Decimal))
}

// refund books money out against credit memos.
func (s *Server) refund(c *change, plan *paymentPlan, at glPeriod) *problem {
	row := plan.row
	if !plan.discount.IsZero() {
		return unprocessable(codeBusinessRule, "a refund has no discount").at("Allocations", "").by("ARSTPY", "")
	}
	memos := make([]*creditMemo, 0, len(row.Allocations))
	left := map[*creditMemo]decimal.Decimal{}
	for i, a := range row.Allocations {
		field := indexed("Allocations", i, "InvoiceNumber")
		memo := s.state.creditMemos.get(a.InvoiceNumber)
		if memo == nil {
			return notFound(codeInvoiceUnknown, "credit memo not found").at(field, a.InvoiceNumber).by("ARSTPY", "")
		}
		if memo.CustomerCode != row.CustomerCode {
			return unprocessable(codeBusinessRule, "credit memo '%s' is another customer's", memo.CreditMemoNumber).at(field, a.InvoiceNumber).by("ARSTPY", "")
		}
		if _, seen := left[memo]; !seen {
			left[memo] = memo.Remaining.Decimal
		}
		if left[memo] = left[memo].Sub(plan.amounts[i]); left[memo].IsNegative() {
			return unprocessable(codeOverpaid, "credit memo '%s' has %s left", memo.CreditMemoNumber, memo.Remaining).
				at(indexed("Allocations", i, "Amount"), plan.amounts[i].String()).by("ARSTPY", "")
		}
		memos = append(memos, memo)
	}
	for i, memo := range memos {
		memo.Remaining = money(memo.Remaining.Sub(plan.amounts[i]), memo.Currency)
		s.state.touchMemo(c, memo)
		row.Allocations[i] = allocation{InvoiceNumber: memo.CreditMemoNumber, Applied: money(plan.amounts[i], row.Currency),
			DiscountAmount: money(decimal.Zero, row.Currency), Balance: memo.Remaining}
	}
	bank, _ := bankAccount(row.BankCode)
	posted := s.state.book(c, at, "AR", row.Currency, row.PaymentReference, debit(accountAR, row.Amount.Decimal),
		debit(accountFees, row.BankChargeAmount.Decimal), credit(bank, row.Amount.Add(row.BankChargeAmount.Decimal)))
	row.JournalNumber, row.GlYear, row.GlPeriod = posted.JournalNumber, at.year, at.month
	s.owes(c, row.CustomerCode, row.Amount.Decimal)
	return nil
}

// reverse takes a payment back: its invoices open again, its money leaves, its credit memos can be refunded again.
func (s *Server) reverse(c *change, plan *paymentPlan, at glPeriod) *problem {
	row, source := plan.row, plan.source
	if source.PaymentType == typeReversal || source.Reversed {
		return unprocessable(codeBusinessRule, "payment '%s' can't be reversed", source.PaymentReference).at("SourceReference", source.PaymentReference).by("ARSTPY", "")
	}
	if row.Amount.IsPositive() && !row.Amount.Equal(source.Amount.Decimal) {
		return unprocessable(codeBusinessRule, "payment '%s' is of %s and is reversed whole", source.PaymentReference, source.Amount).at("Amount", row.Amount.String()).by("ARSTPY", "")
	}
	row.Amount, row.BankChargeAmount = source.Amount, source.BankChargeAmount
	// What was paid out of this payment's unapplied money has to come back first.
	for _, reference := range source.AppliedBy {
		if applied := s.state.payments.get(reference); !applied.Reversed {
			s.takeBack(c, applied, row, at)
		}
	}
	s.takeBack(c, source, row, at)
	return nil
}

// takeBack undoes one payment on its invoices, credit memos and accounts.
func (s *Server) takeBack(c *change, source, reversal *payment, at glPeriod) {
	settled, discounts := decimal.Zero, decimal.Zero
	for _, a := range source.Allocations {
		back := allocation{InvoiceNumber: a.InvoiceNumber, Applied: number{a.Applied.Neg()}, DiscountAmount: number{a.DiscountAmount.Neg()}}
		if source.PaymentType == typeRefund {
			memo := s.state.creditMemos.get(a.InvoiceNumber)
			memo.Remaining = money(memo.Remaining.Add(a.Applied.Decimal), memo.Currency)
			s.state.touchMemo(c, memo)
			back.Balance = memo.Remaining
		} else {
			paid := s.state.invoices.get(a.InvoiceNumber)
			paid.settle(a.Applied.Add(a.DiscountAmount.Decimal).Neg())
			c.put(kindInvoice, paid.InvoiceNumber, paid)
			back.Balance, back.InvoiceStatus = paid.Balance, paid.InvoiceStatus
		}
		settled, discounts = settled.Add(a.Applied.Decimal), discounts.Add(a.DiscountAmount.Decimal)
		reversal.Allocations = append(reversal.Allocations, back)
	}
	bank, _ := bankAccount(source.BankCode)
	var lines []postingLine
	var owed decimal.Decimal
	switch source.PaymentType {
	case typeRefund:
		lines = []postingLine{credit(accountAR, source.Amount.Decimal), credit(accountFees, source.BankChargeAmount.Decimal),
			debit(bank, source.Amount.Add(source.BankChargeAmount.Decimal))}
		owed = source.Amount.Neg()
	case typeApply:
		lines = []postingLine{debit(accountAR, settled.Add(discounts)), credit(accountReturns, discounts), credit(accountDeposits, settled)}
		owed = discounts
		s.giveBack(c, source)
	default:
		lines = []postingLine{debit(accountAR, settled.Add(discounts)), credit(accountReturns, discounts),
			debit(accountDeposits, source.UnappliedAmount.Decimal), credit(accountFees, source.BankChargeAmount.Decimal),
			credit(bank, source.Amount.Sub(source.BankChargeAmount.Decimal))}
		owed = source.Amount.Add(discounts)
		source.UnappliedAmount = money(decimal.Zero, source.Currency)
	}
	posted := s.state.book(c, at, "AR", source.Currency, reversal.PaymentReference, lines...)
	reversal.JournalNumber, reversal.GlYear, reversal.GlPeriod = posted.JournalNumber, at.year, at.month
	source.Reversed = true
	c.put(kindPayment, source.PaymentReference, source)
	s.owes(c, source.CustomerCode, owed)
}

// giveBack returns an Apply's money to the payment it came from.
func (s *Server) giveBack(c *change, applied *payment) {
	origin := s.state.payments.get(applied.SourceReference)
	origin.UnappliedAmount = money(origin.UnappliedAmount.Add(applied.Amount.Decimal), origin.Currency)
	c.put(kindPayment, origin.PaymentReference, origin)
}

func (s *Server) getARPayment(query url.Values) (any, *problem) {
	if query.Get("PaymentReference") == "" {
		return nil, missingQuery("PaymentReference")
	}
	row := s.state.payments.get(query.Get("PaymentReference"))
	if row == nil {
		return nil, notFound(codePaymentUnknown, "payment not found").at("PaymentReference", query.Get("PaymentReference")).by("COMFND", "")
	}
	return paymentAnswer{lookedUp(), row}, nil
}
