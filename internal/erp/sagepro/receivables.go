package sagepro

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindReceipt looks a payment up by the reference we gave it: a receipt, a deposit or its application, a reversal, a refund.
func (c *Client) FindReceipt(ctx context.Context, reference string) (canonical.Receipt, error) {
	found, err := c.findPayment(ctx, "FindReceipt", reference)
	if err != nil {
		return canonical.Receipt{}, err
	}
	return found.receipt(reference), nil
}

func (c *Client) findPayment(ctx context.Context, name, reference string) (*kept, error) {
	if reference == "" {
		return nil, c.bug("a receipt look-up needs a reference")
	}
	var found *kept
	err := c.read(ctx, name, func(ctx context.Context, q querier) (err error) {
		found, err = c.paymentOf(ctx, q, reference)
		if err == nil && found == nil {
			err = c.notFound(codePayment, "no payment has this reference")
		}
		return err
	})
	return found, err
}

// receiptDocument is what the mappings receipt and deposit make.
type receiptDocument struct {
	payment
	reference string
	columns   row // the site's own of ARCASH
}

// readReceipt reads a receipt. What no invoice takes is a deposit.
func readReceipt(c *Client, s *site, doc erp.Document) (receiptDocument, error) {
	p, o := newPaper(s, doc)
	o.require("reference", "custno", "dtepaid", "amount", "currid")
	d := receiptDocument{reference: o.text("reference", longestRef), payment: payment{
		Kind: kindReceipt, Customer: foldCode(o.text("custno", s.size("arcash", "custno"))), Currency: o.text("currid", currencyLength), Date: o.date("dtepaid"),
		Bank: strings.TrimSpace(o.text("bankacct", s.size("arcash", "bankacct"))), Transaction: o.text("transactionId", s.size("cyb_xref", "cybtxn")),
		OrderNumber: o.text("orderNumber", longestRef), Method: o.text("method", s.size("cyb_paystat", "method")),
	}}
	places := minorUnits(p, "currid", d.Currency)
	d.Amount = o.amount("amount", places)
	invoices := map[string]decimal.Decimal{}
	rest := d.Amount
	for _, each := range o.children("invoices") {
		each.require("invno", "amount")
		number, part := strings.TrimSpace(each.text("invno", s.size("arcash", "invno"))), each.amount("amount", places)
		if !part.IsPositive() {
			p.wrong(each.at("amount"), codeInvalidField+": must be above zero")
		}
		if strings.EqualFold(number, depositInvoice) {
			p.wrong(each.at("invno"), codeInvalidField+": what no invoice takes is on deposit by itself")
		}
		each.done()
		invoices[number], rest = invoices[number].Add(part), rest.Sub(part)
	}
	d.columns = o.child("arcash").columns("arcash")
	o.done()
	switch {
	case !d.Amount.IsPositive():
		p.wrong("amount", codeInvalidField+": must be above zero")
	case rest.IsNegative():
		p.wrong("amount", codeTotal+": the invoices get more than that")
	}
	d.Moves = movesOf(invoices)
	if rest.IsPositive() {
		d.Moves, d.Unapplied = append(d.Moves, cashMove{depositInvoice, rest}), rest
	}
	return d, p.fault(c)
}

// movesOf lists what documents get, by number; nothing is left out.
func movesOf(amounts map[string]decimal.Decimal) []cashMove {
	moves := make([]cashMove, 0, len(amounts))
	for number, part := range amounts {
		if !part.IsZero() {
			moves = append(moves, cashMove{number, part})
		}
	}
	slices.SortFunc(moves, func(a, b cashMove) int { return cmp.Compare(a.Invoice, b.Invoice) })
	return moves
}

// PostReceipt posts money that came in: to invoices, and what they do not take as a deposit. A receipt of the same reference is adopted where it
// is the same.
func (c *Client) PostReceipt(ctx context.Context, key string, doc erp.Document) (canonical.Receipt, error) {
	return mutate(ctx, c, key, "PostReceipt", doc, func(ctx context.Context, t *tx) (canonical.Receipt, error) {
		d, err := readReceipt(c, t.site, doc)
		if err != nil {
			return canonical.Receipt{}, err
		}
		held, err := t.claimPayment(ctx, d.reference, &d.payment)
		if err != nil {
			return canonical.Receipt{}, err
		}
		if held != nil {
			return held.receipt(d.reference), nil
		}
		customer, err := t.openAccount(ctx, d.Customer, d.Currency, d.Date)
		if err != nil {
			return canonical.Receipt{}, err
		}
		rows := make([]cashRow, 0, len(d.Moves))
		for _, move := range d.Moves {
			kind := paidReceipt
			if move.Invoice == depositInvoice {
				kind = paidDeposit
			}
			rows = append(rows, cashRow{move, kind})
		}
		if err := t.postCash(ctx, customer, &d.payment, rows, t.refNo(cmp.Or(d.Transaction, d.reference)), d.columns); err != nil {
			return canonical.Receipt{}, err
		}
		return d.receipt(d.reference), t.keepPayment(ctx, d.reference, &d.payment, statePosted)
	})
}

// openAccount locks a customer for a posting in a currency on a date, whose period has to be open.
func (t *tx) openAccount(ctx context.Context, code, currency, date string) (customerRow, error) {
	if _, err := t.openPeriod(ctx, moduleReceivables, date); err != nil {
		return customerRow{}, err
	}
	customer, err := t.lockCustomer(ctx, code)
	if err != nil {
		return customer, err
	}
	return customer, t.client.inCurrency(customer, currency)
}

// ReverseReceipt takes a payment back, whole: its invoices are open again, and so are those that its deposit was applied to.
func (c *Client) ReverseReceipt(ctx context.Context, key string, r erp.ReceiptReversal) (canonical.Receipt, error) {
	if r.Reference == "" || r.Source == "" {
		return canonical.Receipt{}, c.bug("a reversal needs a reference, and that of what it takes back")
	}
	if err := c.checkPosting(r.Reference, r.Date); err != nil {
		return canonical.Receipt{}, err
	}
	return mutate(ctx, c, key, "ReverseReceipt", r, func(ctx context.Context, t *tx) (canonical.Receipt, error) {
		source, err := c.paymentOf(ctx, t.querier, r.Source)
		if err != nil {
			return canonical.Receipt{}, err
		}
		if source == nil {
			return canonical.Receipt{}, c.nothingToTakeBack()
		}
		return t.reverse(ctx, r, source.Customer)
	})
}

// reverse locks the customer, whose payments nobody else changes from here on, and reads the payment again.
func (t *tx) reverse(ctx context.Context, r erp.ReceiptReversal, customerCode string) (canonical.Receipt, error) {
	var none canonical.Receipt
	customer, err := t.lockCustomer(ctx, customerCode)
	if err != nil {
		return none, err
	}
	source, err := t.adopted(ctx, r.Source)
	if err == nil && source == nil { // people took away what they had typed
		err = t.client.nothingToTakeBack()
	}
	if err != nil {
		return none, err
	}
	back := payment{Kind: kindReversal, Customer: source.Customer, Currency: source.Currency, Amount: r.Amount, Date: r.Date, Bank: source.Bank, Source: r.Source,
		Transaction: source.Transaction, OrderNumber: source.OrderNumber}
	if held, err := t.client.paymentOf(ctx, t.querier, r.Reference); err != nil || held != nil {
		if err == nil && (held.Kind != kindReversal || held.Source != r.Source || !held.Amount.Equal(r.Amount) || held.Currency != r.Currency) {
			err = t.client.different("a payment of this reference exists with another amount, currency, kind or source")
		}
		if err != nil {
			return none, err
		}
		return held.receipt(r.Reference), nil
	}
	if err := t.client.mayReverse(source, r); err != nil {
		return none, err
	}
	if back.Moves, err = t.takeBack(ctx, source); err != nil {
		return none, err
	}
	if _, err := t.claimPayment(ctx, r.Reference, &back); err != nil {
		return none, err
	}
	if _, err := t.openPeriod(ctx, moduleReceivables, r.Date); err != nil {
		return none, err
	}
	rows := make([]cashRow, 0, len(back.Moves))
	for _, move := range back.Moves {
		rows = append(rows, cashRow{move, paidReversed})
	}
	if err := t.postCash(ctx, customer, &back, rows, t.refNo(r.Reference), nil); err != nil {
		return none, err
	}
	return back.receipt(r.Reference), t.keepPayment(ctx, r.Reference, &back, statePosted)
}

func (c *Client) nothingToTakeBack() error {
	return c.refuse(fault.MissingReference, codePayment, "the ERP has no payment of the reference that is to be taken back")
}

func (c *Client) mayReverse(source *kept, r erp.ReceiptReversal) error {
	switch {
	case source.Kind == kindReversal:
		return c.refuse(fault.DeclinedByPolicy, codeRule, "a reversal is not taken back")
	case source.reversed:
		return c.refuse(fault.Conflict, codeStatus, "the payment was taken back already")
	case r.CustomerCode != "" && foldCode(r.CustomerCode) != source.Customer:
		return c.refuse(fault.Conflict, codeStatus, "the payment is another customer's")
	case r.Currency != source.Currency || !r.Amount.Equal(source.Amount):
		return c.refuse(fault.Conflict, codeStatus, fmt.Sprintf("the payment is of %s, and is taken back whole", canonical.NewMoney(source.Amount, source.Currency)))
	}
	return nil
}

// takeBack marks a payment, and what was applied out of it, as reversed, and gives the moves that undo them. An application gives its money back
// to its deposit.
func (t *tx) takeBack(ctx context.Context, source *kept) ([]cashMove, error) {
	undone := map[string]decimal.Decimal{}
	undo := func(moves []cashMove) {
		for _, move := range moves {
			undone[move.Invoice] = undone[move.Invoice].Sub(move.Amount)
		}
	}
	undo(source.Moves)
	for _, reference := range source.Applied {
		applied, err := t.adopted(ctx, reference)
		if err != nil {
			return nil, err
		}
		if applied == nil || applied.reversed {
			continue
		}
		undo(applied.Moves)
		if err := t.keepPayment(ctx, reference, &applied.payment, stateReversed); err != nil {
			return nil, err
		}
	}
	if source.Kind == kindApplication {
		if err := t.giveBack(ctx, source); err != nil {
			return nil, err
		}
	}
	source.Unapplied = decimal.Zero
	return movesOf(undone), t.keepPayment(ctx, source.reference, &source.payment, stateReversed)
}

// giveBack returns the money of an application to its deposit.
func (t *tx) giveBack(ctx context.Context, applied *kept) error {
	deposit, err := t.adopted(ctx, applied.Source)
	if err != nil {
		return err
	}
	if deposit == nil || deposit.reversed {
		return t.client.refuse(fault.Conflict, codeStatus, "the deposit that the payment came from is gone")
	}
	deposit.Unapplied = deposit.Unapplied.Add(applied.Amount)
	return t.keepPayment(ctx, deposit.reference, &deposit.payment, statePosted)
}

// FindDeposit tells what a payment still has to give.
func (c *Client) FindDeposit(ctx context.Context, reference string) (erp.Deposit, error) {
	found, err := c.findPayment(ctx, "FindDeposit", reference)
	if err != nil {
		return erp.Deposit{}, err
	}
	return erp.Deposit{Reference: reference, Amount: found.Amount, Unapplied: found.Unapplied, Currency: found.Currency}, nil
}

// ApplyDeposit pays an invoice out of a deposit: two rows of cash that come to nothing. An application of the same reference is adopted where
// it is the same.
func (c *Client) ApplyDeposit(ctx context.Context, key string, a erp.DepositApplication) (canonical.Receipt, error) {
	if a.Reference == "" || a.Source == "" || a.Invoice == "" {
		return canonical.Receipt{}, c.bug("an application needs a reference, a deposit and an invoice")
	}
	if err := c.checkPosting(a.Reference, a.Date); err != nil {
		return canonical.Receipt{}, err
	}
	if err := c.checkMoney("amount", a.Amount, a.Currency); err != nil {
		return canonical.Receipt{}, err
	}
	invoice := strings.TrimSpace(a.Invoice)
	wanted := payment{Kind: kindApplication, Customer: foldCode(a.CustomerCode), Currency: a.Currency, Amount: a.Amount, Date: a.Date, Source: a.Source,
		Moves: []cashMove{{invoice, a.Amount}, {depositInvoice, a.Amount.Neg()}}}
	return mutate(ctx, c, key, "ApplyDeposit", a, func(ctx context.Context, t *tx) (canonical.Receipt, error) {
		held, err := t.claimPayment(ctx, a.Reference, &wanted)
		if err != nil {
			return canonical.Receipt{}, err
		}
		if held != nil {
			return held.receipt(a.Reference), nil
		}
		customer, err := t.openAccount(ctx, wanted.Customer, a.Currency, a.Date)
		if err != nil {
			return canonical.Receipt{}, err
		}
		applied := wanted
		if err := t.draw(ctx, a, &applied); err != nil {
			return canonical.Receipt{}, err
		}
		rows := []cashRow{{applied.Moves[0], paidApplied}, {applied.Moves[1], paidApplied}}
		if err := t.postCash(ctx, customer, &applied, rows, t.refNo(a.Reference), nil); err != nil {
			return canonical.Receipt{}, err
		}
		return applied.receipt(a.Reference), t.keepPayment(ctx, a.Reference, &applied, statePosted)
	})
}

// draw takes the money out of the deposit. Its customer is locked, so that nobody else draws from it.
func (t *tx) draw(ctx context.Context, a erp.DepositApplication, applied *payment) error {
	deposit, err := t.adopted(ctx, a.Source)
	switch {
	case err != nil:
		return err
	case deposit == nil:
		return t.client.refuse(fault.MissingReference, codePayment, "the ERP has no deposit of this reference")
	case deposit.Customer != applied.Customer:
		return t.client.refuse(fault.Conflict, codeStatus, "the deposit is another customer's")
	case deposit.Currency != applied.Currency:
		return t.client.refuse(fault.Value, codeCurrency, "the deposit is in "+deposit.Currency)
	case deposit.reversed || a.Amount.GreaterThan(deposit.Unapplied):
		return t.client.refuse(fault.DeclinedByPolicy, codeRule, fmt.Sprintf("the deposit has %s left", deposit.Unapplied))
	}
	applied.Bank, applied.Transaction, applied.OrderNumber = deposit.Bank, deposit.Transaction, deposit.OrderNumber
	deposit.Unapplied, deposit.Applied = deposit.Unapplied.Sub(a.Amount), append(deposit.Applied, a.Reference)
	return t.keepPayment(ctx, deposit.reference, &deposit.payment, statePosted)
}

// checkPosting refuses a reference that does not fit, and what is no date.
func (c *Client) checkPosting(reference, date string) error {
	if len(reference) > longestRef {
		return c.tooLong("reference", longestRef)
	}
	return c.checkDate("date", date)
}
