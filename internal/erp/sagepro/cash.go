package sagepro

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// The types of rows in ARCASH.
const (
	paidReceipt  = "R" // for an invoice
	paidDeposit  = "D" // for no invoice yet
	paidApplied  = "A" // out of a deposit, and for an invoice
	paidSetOff   = "C" // out of a credit memo, and for an invoice
	paidRefund   = "F" // given back for a credit memo
	paidReversed = "V" // takes one of the others back
)

const (
	// depositInvoice stands in ARCASH where money waits for its invoice.
	depositInvoice = "DEPOSIT"

	codePayment  = "PAYMENT_NOT_FOUND"
	codeOverpaid = "INVOICE_OVERPAID"
	codeRule     = "BUSINESS_RULE"
)

// paymentKind is what a payment of ours is.
type paymentKind string

const (
	kindReceipt     paymentKind = "receipt" // with what stays on deposit
	kindApplication paymentKind = "application"
	kindRefund      paymentKind = "refund"
	kindReversal    paymentKind = "reversal"
)

// The states of a payment in cyb_xref.
const (
	statePosted   = "posted"
	stateReversed = "reversed"
)

// cashMove is what one document gets of a payment: above zero it is paid, below zero it gives. Invoice may be a credit memo, or depositInvoice.
type cashMove struct {
	Invoice string          `json:"invoice"`
	Amount  decimal.Decimal `json:"amount"`
}

// payment is what is kept of a payment in the answer column of its row in cyb_xref, beside the rows of ARCASH that it has made: those have room
// for neither our reference nor for what belongs together.
type payment struct {
	Kind        paymentKind     `json:"kind"`
	Customer    string          `json:"customer"`
	Currency    string          `json:"currency"`
	Amount      decimal.Decimal `json:"amount"` // never below zero
	Date        string          `json:"date"`
	Bank        string          `json:"bank,omitempty"`
	Source      string          `json:"source,omitempty"` // reference of the deposit that is applied, of the payment that is reversed
	Transaction string          `json:"transaction,omitempty"`
	OrderNumber string          `json:"orderNumber,omitempty"`
	Method      string          `json:"method,omitempty"`
	Moves       []cashMove      `json:"moves"` // as they were posted

	Unapplied decimal.Decimal `json:"unapplied,omitzero"` // of a receipt: what is on deposit now
	Applied   []string        `json:"applied,omitempty"`  // of a receipt: the references of its applications
}

// invoice is the first document that a payment is for; "" if all of it is on deposit.
func (p *payment) invoice() string {
	for _, move := range p.Moves {
		if move.Invoice != depositInvoice {
			return move.Invoice
		}
	}
	return ""
}

func (p *payment) receipt(reference string) canonical.Receipt {
	return canonical.Receipt{Reference: reference, Amount: p.Amount, Currency: p.Currency, Invoice: p.invoice()}
}

// is compares what must never be mixed up: a reversal adopted as a receipt would lose money twice.
func (p *payment) is(other *payment) bool {
	return p.Kind == other.Kind && p.Customer == other.Customer && p.Currency == other.Currency && p.Amount.Equal(other.Amount) && p.Source == other.Source &&
		slices.EqualFunc(p.Moves, other.Moves, func(a, b cashMove) bool { return a.Invoice == b.Invoice && a.Amount.Equal(b.Amount) })
}

// kept is a payment of ours as cyb_xref has it.
type kept struct {
	payment
	reference string
	reversed  bool
	typed     bool // people have typed it, and cyb_xref does not know it yet
}

// paymentOf finds a payment by its reference: one of ours, else one that people have typed under it. nil: there is none.
func (c *Client) paymentOf(ctx context.Context, q querier, reference string) (*kept, error) {
	found, err := q.xrefOf(ctx, entityReceipt, reference)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return c.typedPayment(ctx, q, reference)
	}
	return found.payment(reference)
}

// typedRow is what this package reads of ARCASH, or of its history, to tell what people have typed.
type typedRow struct {
	CustNo   text   `db:"custno"`
	InvNo    text   `db:"invno"`
	DtePaid  day    `db:"dtepaid"`
	PaidAmt  amount `db:"paidamt"`
	PayType  text   `db:"paytype"`
	BankAcct text   `db:"bankacct"`
	CurrID   text   `db:"currid"`
	AddUser  text   `db:"adduser"`
	Moved    whole  `db:"moved"` // 1: in history
}

func (r *typedRow) itself() (text, whole) {
	return r.InvNo + "/" + text(string(r.DtePaid)+"/"+r.PaidAmt.String()), r.Moved
}

// typedPayment finds what people have typed under what ARCASH holds of a reference: money that came in, or went out, with all of its rows. nil: there
// is none, or the site has no column that tells who has typed a row.
func (c *Client) typedPayment(ctx context.Context, q querier, reference string) (*kept, error) {
	if _, tells := q.site.column("arcash", "adduser"); !tells {
		return nil, nil //nolint:nilnil // absence is an answer
	}
	rows, err := listOnce[typedRow](ctx, q, "arcash", "SELECT {@: custno invno dtepaid paidamt paytype bankacct currid adduser}, {@moved} AS moved FROM {@} WHERE {@.refno} = ?",
		q.value("arcash.refno", q.refNo(reference)))
	if err != nil {
		return nil, err
	}
	var typed *kept
	total, invoices := decimal.Zero, map[string]decimal.Decimal{}
	for _, each := range rows {
		if foldCode(string(each.AddUser)) == foldCode(c.config.User) || each.PayType == paidSetOff {
			continue
		}
		if typed == nil {
			typed = &kept{reference: reference, typed: true, payment: payment{Kind: kindReceipt, Customer: foldCode(string(each.CustNo)), Currency: string(each.CurrID),
				Date: string(each.DtePaid), Bank: string(each.BankAcct), Transaction: reference}}
		}
		total = total.Add(each.PaidAmt.Decimal)
		invoices[string(each.InvNo)] = invoices[string(each.InvNo)].Add(each.PaidAmt.Decimal)
		if foldCode(string(each.CustNo)) != typed.Customer || string(each.CurrID) != typed.Currency {
			return nil, nil //nolint:nilnil // of several customers: no one payment
		}
	}
	if typed == nil || total.IsZero() {
		return nil, nil //nolint:nilnil // taken back by now
	}
	if total.IsNegative() {
		typed.Kind = kindRefund
	}
	typed.Amount, typed.Moves, typed.Unapplied = total.Abs(), movesOf(invoices), decimal.Max(invoices[depositInvoice], decimal.Zero)
	return typed, nil
}

func (x *xref) payment(reference string) (*kept, error) {
	k := &kept{reference: reference, reversed: x.State == stateReversed}
	if err := json.Unmarshal([]byte(x.Answer), &k.payment); err != nil {
		return nil, fmt.Errorf("read the kept payment: %w", err)
	}
	return k, nil
}

// adopted is a payment that this transaction changes: one that people have typed gets its row in cyb_xref.
func (t *tx) adopted(ctx context.Context, reference string) (*kept, error) {
	found, err := t.client.paymentOf(ctx, t.querier, reference)
	if err != nil || found == nil || !found.typed {
		return found, err
	}
	held, err := t.claim(ctx, entityReceipt, reference, xref{CybTxn: text(found.Transaction), State: statePosted, Amount: amount{found.Amount}, CurrID: text(found.Currency)})
	if err == nil && held != nil {
		return held.payment(reference)
	}
	return found, err
}

// keepPayment writes what is known of a payment into the row that was claimed for it.
func (t *tx) keepPayment(ctx context.Context, reference string, p *payment, state string) error {
	written, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("keep payment: %w", err)
	}
	document := p.invoice()
	if document == "" {
		document = depositInvoice
	}
	return t.setXref(ctx, entityReceipt, reference, row{"answer": string(written), "erpkey": document, "state": state})
}

// claimPayment claims a reference for a payment. held: there is one of this reference already, and it is the same; another one is a Conflict. What
// people have typed under it is the same where customer, currency and amount are: they know which invoice they meant.
func (t *tx) claimPayment(ctx context.Context, reference string, p *payment) (held *kept, err error) {
	found, err := t.claim(ctx, entityReceipt, reference, xref{CybTxn: text(p.Transaction), State: statePosted, Amount: amount{p.Amount}, CurrID: text(p.Currency)})
	if err != nil {
		return nil, err
	}
	same := false
	if found != nil {
		held, err = found.payment(reference)
		same = err == nil && held.is(p)
	} else if held, err = t.client.typedPayment(ctx, t.querier, reference); held != nil && err == nil {
		same = held.Kind == p.Kind && held.Customer == p.Customer && held.Currency == p.Currency && held.Amount.Equal(p.Amount)
		if same {
			err = t.keepPayment(ctx, reference, &held.payment, statePosted)
		}
	}
	if err == nil && held != nil && held.reversed {
		return nil, t.client.different("the payment of this reference was taken back")
	}
	if err == nil && held != nil && !same {
		err = t.client.different("a payment of this reference exists with another amount, currency, kind, customer or document")
	}
	return held, err
}

// receivable is an invoice or credit memo that is to be changed, or credited.
type receivable struct {
	invoiceRow
	PTerms  text   `db:"pterms"`
	ExchRat amount `db:"exchrat"`
}

const receivableColumns = "{@: id_col invno custno invdte artype arstat ornum ponum tax invamt paidamt balance currid sotrack arnotes pterms exchrat}, {@moved} AS moved"

func (r *receivable) credit() bool { return r.ArType == typeCreditMemo }

// describe names a receivable for people.
func (r *receivable) describe() string {
	if r.credit() {
		return "credit memo " + string(r.InvNo)
	}
	return "invoice " + string(r.InvNo)
}

// lockReceivable locks an invoice or credit memo and reads it. What the period close moved to history is given without a lock: nothing changes it any
// more. A number that nothing has is a MissingReference.
func (t *tx) lockReceivable(ctx context.Context, number string) (receivable, error) {
	var found []receivable
	err := t.list(ctx, &found, "SELECT "+of(receivableColumns, "armast", "0")+" FROM {armast!} WHERE {armast.invno} = ?{lock}", t.value("armast.invno", number))
	if err == nil && len(found) == 0 {
		found, err = t.receivablesBy(ctx, "invno", number)
	}
	if err != nil {
		return receivable{}, err
	}
	if len(found) == 0 {
		return receivable{}, t.client.refuse(fault.MissingReference, codeInvoice, "the ERP has no invoice or credit memo "+boundedName(number))
	}
	return found[0], nil
}

// receivablesBy finds invoices and credit memos, current and history, by a column.
func (q querier) receivablesBy(ctx context.Context, column, value string) ([]receivable, error) {
	return listOnce[receivable](ctx, q, "armast", "SELECT "+receivableColumns+" FROM {@} WHERE {@."+column+"} = ?", q.value("armast."+column, value))
}

// cashRow is what one row of ARCASH is to hold beside its customer and the payment's own.
type cashRow struct {
	move cashMove
	kind string // paidReceipt ...
}

// postCash writes the rows of a payment, and keeps ARMAST and the customer's balance, which this transaction has locked. Documents are locked in
// the order of their numbers. columns are the site's own of ARCASH.
func (t *tx) postCash(ctx context.Context, customer customerRow, p *payment, rows []cashRow, refNo string, columns row) error {
	owed, err := t.settle(ctx, customer, p.Currency, rows)
	if err != nil {
		return err
	}
	for _, each := range rows {
		values := merged(columns, row{"custno": customer.CustNo, "invno": each.move.Invoice, "dtepaid": p.Date, "paidamt": each.move.Amount, "disc": decimal.Zero,
			"refno": refNo, "paytype": each.kind, "bankacct": p.Bank, "currid": p.Currency})
		if p.OrderNumber != "" {
			values["ponum"] = t.fitted("arcash", "ponum", p.OrderNumber)
		}
		if err := t.insert(ctx, "arcash", values); err != nil {
			return err
		}
	}
	values := row{"balance": customer.Balance.Sub(owed)}
	if p.Kind == kindReceipt {
		values["lpymt"], values["lastpay"] = p.Amount, p.Date
	}
	return t.setCustomer(ctx, customer, values)
}

// settle moves the balances of the documents and gives the sum of all rows, which is what the customer owes less.
func (t *tx) settle(ctx context.Context, customer customerRow, currency string, rows []cashRow) (decimal.Decimal, error) {
	sum, moves := decimal.Zero, map[string]decimal.Decimal{}
	for _, each := range rows {
		sum = sum.Add(each.move.Amount)
		if each.move.Invoice != depositInvoice {
			moves[each.move.Invoice] = moves[each.move.Invoice].Add(each.move.Amount)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(moves)) {
		document, err := t.lockReceivable(ctx, number)
		if err != nil {
			return sum, err
		}
		if err := t.client.mayMove(&document, customer, currency, moves[number]); err != nil {
			return sum, err
		}
		if moves[number].IsZero() {
			continue
		}
		err = t.updateOne(ctx, "armast", row{"invno": document.InvNo}, row{"paidamt": document.PaidAmt.Add(moves[number]), "balance": document.Balance.Sub(moves[number])})
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// mayMove refuses what would pay a document of somebody else's, or one beyond what is open of it, or take back what nobody has paid.
func (c *Client) mayMove(document *receivable, customer customerRow, currency string, by decimal.Decimal) error {
	open, paid := document.Balance.Decimal, document.PaidAmt.Decimal
	if document.credit() {
		open, paid, by = open.Neg(), paid.Neg(), by.Neg()
	}
	switch {
	case document.CustNo != customer.CustNo:
		return c.refuse(fault.Conflict, codeStatus, document.describe()+" is another customer's")
	case string(document.CurrID) != currency:
		return c.refuse(fault.Value, codeCurrency, fmt.Sprintf("%s is in %s, not in %s", document.describe(), document.CurrID, currency))
	case document.ArStat == statVoid:
		return c.refuse(fault.Conflict, codeStatus, document.describe()+" is void")
	case by.GreaterThan(open):
		return c.refuse(fault.Conflict, codeOverpaid, fmt.Sprintf("%s has %s open", document.describe(), decimal.Max(open, decimal.Zero)))
	case by.IsNegative() && by.Neg().GreaterThan(paid):
		return c.refuse(fault.Conflict, codeStatus, fmt.Sprintf("%s has %s paid, so that no more can be taken back", document.describe(), decimal.Max(paid, decimal.Zero)))
	case document.Moved != 0:
		return c.refuse(fault.Conflict, codeStatus, document.describe()+" was moved to history, where nothing is changed any more")
	}
	return nil
}

// inCurrency refuses a payment in a currency that the customer does not trade in.
func (c *Client) inCurrency(customer customerRow, currency string) error {
	if customer.Currency == "" || string(customer.Currency) == currency {
		return nil
	}
	return c.refuse(fault.Value, codeCurrency, fmt.Sprintf("customer %s trades in %s, not in %s", customer.CustNo, customer.Currency, currency))
}

// refNo is what stands in ARCASH for a transaction or a reference: its last characters, which tell it from others best.
func (q querier) refNo(name string) string {
	if most := q.site.size("arcash", "refno"); most > 0 && len(name) > most {
		return name[len(name)-most:]
	}
	return name
}
