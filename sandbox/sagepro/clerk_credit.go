package sagepro

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

type creditMemoInput struct {
	OriginalInvoice, SalesOrder, OrderNumber, CustomerCode string
	CreditMemoNumber, CreditDate, Currency                 string
	Reason, Reference                                      string
	Amount, TaxAmount                                      numeric // absent: all that is left of the invoice
	RestockLines                                           []restockInput
	Restock                                                bool // everything that the order shipped comes back
}

type restockInput struct {
	SalesOrderLine       int
	StockCode, Warehouse string
	Quantity             numeric
}

type creditMemoAnswer struct {
	success
	CreditMemoNumber, OriginalInvoice, SalesOrder, CustomerCode string
	Amount, Remaining                                           amount
}

// creditedInvoice finds in the notes of a credit memo which invoice it credits.
var creditedInvoice = regexp.MustCompile(`(?i)\binvoice\s+(\d{1,10})\b`)

// credit writes a credit memo against an invoice. What is open of the invoice it sets off; what is left can be paid back.
func (c *clerk) credit(in *creditMemoInput) (any, error) {
	for _, check := range []error{checkText("Reason", in.Reason, 100), checkText("Reference", in.Reference, 60)} {
		if check != nil {
			return nil, check
		}
	}
	found, err := c.invoiceMeant(in)
	if err != nil {
		return nil, err
	}
	date := in.CreditDate
	if date == "" {
		date = c.today()
	}
	c.counters(invoiceCounter, movementCounter)
	memoNo, err := c.memoNumber(in.CreditMemoNumber)
	if err != nil {
		return nil, err
	}
	buyer, err := c.customer(string(found.Custno))
	if err != nil {
		return nil, err
	}
	m := &memo{clerk: c, original: found, number: memoNo, date: date}
	if err := m.restocked(in); err != nil {
		return nil, err
	}
	if err := m.reread(); err != nil {
		return nil, err
	}
	if err := m.worth(in); err != nil {
		return nil, err
	}
	if err := c.openOn("AR", date); err != nil {
		return nil, err
	}
	return m.post(buyer, in)
}

// invoiceMeant finds the invoice that is credited: by its number, or the last one of an order.
func (c *clerk) invoiceMeant(in *creditMemoInput) (*invoice, error) {
	var found []invoice
	switch {
	case in.OriginalInvoice != "":
		n := number(in.OriginalInvoice)
		c.all(&found, both(invoiceColumns, "armast", "invno = ? AND artype = '' AND arstat = ''"), n, n)
	default:
		sono, err := c.orderNamed(in.SalesOrder, in.OrderNumber, in.CustomerCode)
		if err != nil {
			return nil, err
		}
		c.all(&found, both(invoiceColumns, "armast", "ornum = ? AND artype = '' AND arstat = ''"), sono, sono)
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(found) == 0 {
		return nil, refuse(http.StatusUnprocessableEntity, codeInvoiceUnknown, "there is no invoice to credit")
	}
	last := slices.MaxFunc(found, func(a, b invoice) int { return int(a.ID - b.ID) })
	return &last, nil
}

func (c *clerk) memoNumber(wanted string) (string, error) {
	if strings.TrimSpace(wanted) == "" {
		return c.freeNumber("AR", "invno", "armast", "arymst", "invno"), c.err
	}
	n := number(wanted)
	if len(n) > 10 {
		return "", refuse(http.StatusBadRequest, codeInvalid, "CreditMemoNumber takes 10 characters")
	}
	var taken int
	c.get(&taken, "SELECT (SELECT count(*) FROM armast WHERE invno = ?) + (SELECT count(*) FROM arymst WHERE invno = ?)", n, n)
	if taken > 0 {
		return "", refuse(http.StatusConflict, codeDuplicate, "credit memo %s exists", strings.TrimSpace(n))
	}
	return n, c.err
}

// memo is a credit memo in the making.
type memo struct {
	*clerk
	original       *invoice
	number         string
	date           string
	amount, tax    decimal.Decimal
	back           []returned
	creditedBefore decimal.Decimal
}

type returned struct {
	line     *orderLine // nil: goods that no order sent
	item     *stock
	quantity decimal.Decimal
}

// reread locks the credited invoice, where it isn't finished.
func (m *memo) reread() error {
	if m.original.History {
		return nil
	}
	again := &invoice{}
	if !m.locked(again, "SELECT "+invoiceColumns+" FROM armast WHERE id_col = ?", m.original.ID) {
		return cmp.Or(m.err, refuse(http.StatusConflict, codeStatusConflict, "invoice %s was moved to history meanwhile", m.original.Invno))
	}
	m.original = again
	return nil
}

// worth reads what is credited; nothing given is all that is left of the invoice.
func (m *memo) worth(in *creditMemoInput) error {
	o := m.original
	if in.Currency != "" && in.Currency != string(o.Currid) {
		return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "invoice %s is in %s", o.Invno, o.Currid)
	}
	var memos []invoice
	m.all(&memos, both(invoiceColumns, "armast", "custno = ? AND artype = 'C' AND arstat = ''"), code(string(o.Custno), custnoWidth), code(string(o.Custno), custnoWidth))
	var invoices []invoice
	if o.Ornum != "" {
		m.all(&invoices, both(invoiceColumns, "armast", "ornum = ? AND artype = '' AND arstat = ''"), number(string(o.Ornum)), number(string(o.Ornum)))
	}
	for i := range memos {
		if creditOf(&memos[i], invoices) == ours(o.Invno) {
			m.creditedBefore = m.creditedBefore.Sub(memos[i].Invamt.Decimal)
		}
	}
	rest := o.Invamt.Sub(m.creditedBefore)
	m.amount, m.tax = in.Amount.Decimal, in.TaxAmount.Decimal
	if !in.Amount.set {
		m.amount = rest
		if !in.TaxAmount.set && m.creditedBefore.IsZero() {
			m.tax = o.Tax.Decimal
		}
	}
	switch {
	case m.err != nil:
		return m.err
	case !m.amount.IsPositive() || !m.amount.Equal(money(m.amount, string(o.Currid)).Decimal):
		return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "there is nothing to credit with %s %s", m.amount, o.Currid)
	case m.tax.IsNegative() || m.tax.GreaterThan(m.amount):
		return refuse(http.StatusBadRequest, codeInvalid, "TaxAmount is not between 0 and the amount")
	case m.amount.GreaterThan(rest):
		return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "invoice %s of %s would be credited with more than that", o.Invno, o.Invamt)
	}
	return nil
}

// creditOf is the invoice that a credit memo credits: the one that its notes name, else the only or last one of its order.
func creditOf(memo *invoice, ofOrder []invoice) string {
	if found := creditedInvoice.FindStringSubmatch(string(memo.Arnotes)); found != nil {
		return found[1]
	}
	if memo.Ornum == "" || len(ofOrder) == 0 {
		return ""
	}
	return ours(slices.MaxFunc(ofOrder, func(a, b invoice) int { return int(a.ID - b.ID) }).Invno)
}

// restocked finds where returned goods go and locks the items. No line takes back more than it sent.
func (m *memo) restocked(in *creditMemoInput) error {
	var lines []*orderLine
	sono := number(string(m.original.Ornum))
	if m.original.Ornum != "" {
		m.all(&lines, both(lineColumns, "sotran", "sono = ?")+" ORDER BY tranlineno", sono, sono)
	}
	var before []invoiceLine
	m.all(&before, both(invoiceLineColumns, "artran", "sono = ? AND artype = 'C'"), sono, sono)
	left := map[*orderLine]decimal.Decimal{}
	for _, l := range lines {
		if !l.stocked() {
			continue
		}
		left[l] = l.Qtyshp.Decimal
		for _, b := range before {
			if b.number() == l.Number {
				left[l] = left[l].Add(b.Qtyshp.Decimal) // below zero
			}
		}
	}
	asked := in.RestockLines
	if in.Restock && len(asked) == 0 {
		for _, l := range lines {
			if left[l].IsPositive() {
				asked = append(asked, restockInput{SalesOrderLine: l.Number, Quantity: numeric{left[l], true}})
			}
		}
	}
	return m.place(asked, lines, left)
}

func (m *memo) place(asked []restockInput, lines []*orderLine, left map[*orderLine]decimal.Decimal) error {
	var places []place
	for _, a := range asked {
		if !a.Quantity.IsPositive() {
			return refuse(http.StatusBadRequest, codeInvalid, "Quantity must be above zero")
		}
		b := returned{quantity: a.Quantity.Decimal}
		for _, l := range lines {
			matches := a.SalesOrderLine == l.Number || a.SalesOrderLine == 0 && strings.EqualFold(a.StockCode, string(l.Item))
			if rest, stocked := left[l]; matches && stocked && rest.GreaterThanOrEqual(b.quantity) {
				left[l] = rest.Sub(b.quantity)
				b.line = l
				break
			}
		}
		if b.line == nil && len(lines) > 0 {
			return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "the order has not shipped that much")
		}
		to := place{strings.ToUpper(a.StockCode), a.Warehouse}
		if b.line != nil {
			to = b.line.place()
		}
		if to.location == "" {
			to.location = defaultLocation
		}
		places = append(places, to)
		m.back = append(m.back, b)
	}
	found := m.stock(places...)
	for i, p := range places {
		if found[p] == nil {
			return cmp.Or(m.err, refuse(http.StatusUnprocessableEntity, codeStockUnknown, "item %s is not kept in location %s", p.item, p.location))
		}
		m.back[i].item = found[p]
	}
	return m.err
}

// post writes the credit memo, its movements of stock, what it sets off, and the counters.
func (m *memo) post(buyer *customer, in *creditMemoInput) (any, error) {
	o := m.original
	setOff := decimal.Zero
	if !o.History && o.Balance.IsPositive() {
		setOff = decimal.Min(m.amount, o.Balance.Decimal)
	}
	notes := fmt.Sprintf("Credit of invoice %s", o.Invno)
	for _, add := range []string{in.Reason, in.Reference} {
		if add != "" {
			notes += ": " + add
		}
	}
	custno := code(string(o.Custno), custnoWidth)
	sono := string(o.Ornum)
	if sono != "" {
		sono = number(sono)
	}
	m.insert("armast", m.invoiceID(m.audit(row{"invno": m.number, "custno": custno, "invdte": m.date, "artype": typeMemo, "ornum": sono, "ponum": string(o.Ponum),
		"tax": amount{m.tax.Neg()}, "invamt": amount{m.amount.Neg()}, "paidamt": amount{setOff.Neg()}, "balance": amount{setOff.Sub(m.amount)},
		"currid": string(o.Currid), "arnotes": notes})))
	m.lines(custno, sono)
	if setOff.IsPositive() {
		m.setOff(custno, setOff)
	}
	m.owes(buyer, m.amount.Neg(), decimal.Zero)
	return creditMemoAnswer{done(), strings.TrimSpace(m.number), ours(o.Invno), ours(o.Ornum), string(o.Custno),
		money(m.amount, string(o.Currid)), money(m.amount.Sub(setOff), string(o.Currid))}, m.err
}

// lines writes the worth on one line, and one line for each of the goods that came back.
func (m *memo) lines(custno, sono string) {
	m.insert("artran", row{"invno": m.number, "sono": sono, "custno": custno, "item": "", "descrip": "Credit", "qtyord": "0", "qtyshp": "0", "price": "0", "cost": "0",
		"extprice": amount{m.tax.Sub(m.amount)}, "artype": typeMemo, "invdte": m.date, "taxable": "N"})
	for _, b := range m.back {
		line := row{"invno": m.number, "sono": sono, "custno": custno, "item": code(string(b.item.Item), itemWidth), "descrip": string(b.item.Itmdesc), "qtyord": "0",
			"qtyshp": amount{b.quantity.Neg()}, "price": "0", "cost": b.item.Avgcost, "extprice": "0", "artype": typeMemo, "invdte": m.date, "taxable": "N"}
		if b.line != nil {
			line["tranlineno"] = b.line.Number
		}
		m.insert("artran", line)
		m.move(b.item, b.quantity, decimal.Zero, strings.TrimSpace(m.number), strings.TrimSpace(sono))
	}
}

// setOff pays what is open of the invoice out of the credit memo: two rows of cash that come to nothing.
func (m *memo) setOff(custno string, setOff decimal.Decimal) {
	o := m.original
	for _, side := range []struct {
		invno  string
		amount decimal.Decimal
	}{{number(string(o.Invno)), setOff}, {m.number, setOff.Neg()}} {
		m.insert("arcash", m.audit(row{"custno": custno, "invno": side.invno, "dtepaid": m.date, "paidamt": amount{side.amount}, "refno": strings.TrimSpace(m.number),
			"paytype": paidSetOff, "currid": string(o.Currid), "ponum": string(o.Ponum)}))
	}
	m.update("armast", row{"paidamt": amount{o.Paidamt.Add(setOff)}, "balance": amount{o.Balance.Sub(setOff)}}, "id_col = ?", o.ID)
}
