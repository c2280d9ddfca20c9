package sagepro

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const codeCreditMemo = "CREDIT_MEMO_NOT_FOUND"

// memoDocument is what the mapping credit_memo makes.
type memoDocument struct {
	creditRecord
	reference string
	date      string
	restock   []restockLine
	columns   row // the site's own of ARMAST
}

// creditRecord is what is kept of a credit memo of ours in the answer column of its row in cyb_xref: ARMAST has no place for what it credits.
type creditRecord struct {
	Invoice    string          `json:"invoice"`
	SalesOrder string          `json:"salesOrder,omitempty"`
	Customer   string          `json:"customer"`
	Amount     decimal.Decimal `json:"amount"` // tax included, never below zero
	Tax        decimal.Decimal `json:"tax"`
	Currency   string          `json:"currency"`
	Reason     string          `json:"reason,omitempty"`
}

// is compares what a credit memo of one reference must have in common.
func (r *creditRecord) is(other *creditRecord) bool {
	return r.Invoice == other.Invoice && r.Customer == other.Customer && r.Amount.Equal(other.Amount) && r.Currency == other.Currency
}

func (r *creditRecord) memo(number, reference string) canonical.CreditMemo {
	return canonical.CreditMemo{Number: number, Reference: reference, Invoice: r.Invoice, Amount: r.Amount, Currency: r.Currency}
}

func (x *xref) credit() (*creditRecord, error) {
	var record creditRecord
	if err := json.Unmarshal([]byte(x.Answer), &record); err != nil {
		return nil, fmt.Errorf("read the kept credit memo: %w", err)
	}
	return &record, nil
}

// restockLine is goods that come back: of a line of the order, or of no order at all.
type restockLine struct {
	line     int // 0: of no order
	item     string
	location string // "": where it left from
	quantity decimal.Decimal
}

func readCreditMemo(c *Client, s *site, doc erp.Document) (memoDocument, error) {
	p, o := newPaper(s, doc)
	o.require("reference", "invno", "custno", "invdte", "amount", "currid")
	d := memoDocument{reference: o.text("reference", longestRef), date: o.date("invdte"), creditRecord: creditRecord{
		Invoice: strings.TrimSpace(o.text("invno", s.size("armast", "invno"))), Customer: foldCode(o.text("custno", s.size("armast", "custno"))),
		Currency: o.text("currid", currencyLength), Reason: o.text("reason", longestRef),
	}}
	places := minorUnits(p, "currid", d.Currency)
	d.Amount, d.Tax = o.amount("amount", places), o.amount("tax", places)
	for _, each := range o.children("restock") {
		each.require("quantity")
		line := restockLine{line: int(each.whole("tranlineno")), item: foldCode(each.text("item", s.size("iciloc", "item"))),
			location: strings.TrimSpace(each.text("loctid", s.size("iciloc", "loctid"))), quantity: each.amount("quantity", quantityPlaces)}
		if !line.quantity.IsPositive() {
			p.wrong(each.at("quantity"), codeInvalidField+": must be above zero")
		}
		each.done()
		d.restock = append(d.restock, line)
	}
	d.columns = o.child("armast").columns("armast")
	o.done()
	switch {
	case !d.Amount.IsPositive():
		p.wrong("amount", codeInvalidField+": must be above zero")
	case d.Tax.IsNegative() || d.Tax.GreaterThan(d.Amount):
		p.wrong("tax", codeInvalidField+": must be a part of the amount")
	}
	return d, p.fault(c)
}

const quantityPlaces = 4

// FindCreditMemo finds a credit memo by the reference we gave it.
func (c *Client) FindCreditMemo(ctx context.Context, ref erp.CreditMemoRef) (canonical.CreditMemo, error) {
	var memo canonical.CreditMemo
	if ref.Reference == "" {
		return memo, c.bug("a credit memo look-up needs a reference")
	}
	err := c.read(ctx, "FindCreditMemo", func(ctx context.Context, q querier) error {
		found, err := q.xrefOf(ctx, entityCreditMemo, ref.Reference)
		if err != nil {
			return err
		}
		if found == nil {
			return c.notFound(codeCreditMemo, "no credit memo has this reference")
		}
		record, err := found.credit()
		if err != nil {
			return err
		}
		if ref.Invoice != "" && strings.TrimSpace(ref.Invoice) != record.Invoice {
			return c.notFound(codeCreditMemo, "no credit memo of this invoice has this reference")
		}
		memo = record.memo(string(found.ErpKey), ref.Reference)
		return nil
	})
	return memo, err
}

// CreateCreditMemo credits an invoice: what is open of it is set off, what is left can be paid back. Goods that come back are on hand again. A
// credit memo of the same reference is adopted where it is the same.
func (c *Client) CreateCreditMemo(ctx context.Context, key string, doc erp.Document) (canonical.CreditMemo, error) {
	return mutate(ctx, c, key, "CreateCreditMemo", doc, func(ctx context.Context, t *tx) (canonical.CreditMemo, error) {
		d, err := readCreditMemo(c, t.site, doc)
		if err != nil {
			return canonical.CreditMemo{}, err
		}
		held, err := t.claim(ctx, entityCreditMemo, d.reference, xref{Amount: amount{d.Amount}, CurrID: text(d.Currency)})
		if err != nil {
			return canonical.CreditMemo{}, err
		}
		if held != nil {
			return t.adoptCreditMemo(held, &d)
		}
		return t.enterCreditMemo(ctx, &d)
	})
}

func (t *tx) adoptCreditMemo(held *xref, d *memoDocument) (canonical.CreditMemo, error) {
	record, err := held.credit()
	if err != nil {
		return canonical.CreditMemo{}, err
	}
	if !record.is(&d.creditRecord) {
		return canonical.CreditMemo{}, t.client.different("a credit memo of this reference exists with another amount, currency, customer or invoice")
	}
	return record.memo(string(held.ErpKey), d.reference), nil
}

// enterCreditMemo writes the credit memo.
func (t *tx) enterCreditMemo(ctx context.Context, d *memoDocument) (canonical.CreditMemo, error) {
	var none canonical.CreditMemo
	number, err := t.nextDocument(ctx, counterInvoice, "armast", "invno")
	if err != nil {
		return none, err
	}
	movements, err := t.movementNumbers(ctx, len(d.restock))
	if err != nil {
		return none, err
	}
	customer, err := t.openAccount(ctx, d.Customer, d.Currency, d.date)
	if err != nil {
		return none, err
	}
	credited, err := t.creditedInvoice(ctx, d, customer)
	if err != nil {
		return none, err
	}
	d.SalesOrder = string(credited.OrNum)
	back, err := t.restock(ctx, d)
	if err != nil {
		return none, err
	}
	m := memoEntry{tx: t, memoDocument: d, number: number, customer: customer, back: back, movements: movements}
	if err := m.write(ctx); err != nil {
		return none, err
	}
	written, err := json.Marshal(d.creditRecord)
	if err != nil {
		return none, fmt.Errorf("keep credit memo: %w", err)
	}
	return d.memo(number, d.reference), t.setXref(ctx, entityCreditMemo, d.reference, row{"erpkey": number, "answer": string(written)})
}

// creditedInvoice reads the invoice that is to be credited, and refuses what would credit it, or its order, with more than there is.
func (t *tx) creditedInvoice(ctx context.Context, d *memoDocument, customer customerRow) (receivable, error) {
	found, err := t.receivablesBy(ctx, "invno", d.Invoice)
	if err != nil {
		return receivable{}, err
	}
	if len(found) == 0 || found[0].credit() || found[0].CustNo != customer.CustNo {
		return receivable{}, t.client.refuse(fault.MissingReference, codeInvoice, "the customer has no invoice "+d.Invoice,
			fault.Field{Path: "invno", Rule: "must exist in the ERP"})
	}
	invoice := found[0]
	switch {
	case string(invoice.CurrID) != d.Currency:
		return invoice, t.client.refuse(fault.Value, codeCurrency, fmt.Sprintf("%s is in %s", invoice.describe(), invoice.CurrID))
	case invoice.ArStat == statVoid:
		return invoice, t.client.refuse(fault.Conflict, codeStatus, invoice.describe()+" is void")
	}
	rest, err := t.creditable(ctx, &invoice)
	if err == nil && d.Amount.GreaterThan(rest) {
		err = t.client.refuse(fault.DeclinedByPolicy, codeRule, fmt.Sprintf("%s of %s would be credited with more than that", invoice.describe(), invoice.InvAmt))
	}
	return invoice, err
}

// creditable is what may still be credited of an invoice: no more than it is of, and no more than its order's invoices come to with all credit memos
// taken off. The customer is locked, so that it stays so.
func (t *tx) creditable(ctx context.Context, invoice *receivable) (decimal.Decimal, error) {
	column, value := "ornum", string(invoice.OrNum)
	if value == "" {
		column, value = "custno", string(invoice.CustNo)
	}
	related, err := t.receivablesBy(ctx, column, value)
	if err != nil {
		return decimal.Zero, err
	}
	order, named := decimal.Zero, invoice.InvAmt.Decimal
	for i := range related {
		each := &related[i]
		if each.ArStat == statVoid {
			continue
		}
		order = order.Add(each.InvAmt.Decimal)
		if each.credit() && each.names() == string(invoice.InvNo) {
			named = named.Add(each.InvAmt.Decimal)
		}
	}
	if invoice.OrNum == "" {
		return named, nil
	}
	return decimal.Min(order, named), nil
}

// namedInvoice finds in the notes of a credit memo which invoice it credits.
var namedInvoice = regexp.MustCompile(`(?i)\binvoice\s+([A-Za-z0-9-]{1,10})\b`)

// names is the invoice that the notes of a credit memo name; "" for none.
func (r *receivable) names() string {
	if found := namedInvoice.FindStringSubmatch(string(r.ArNotes)); found != nil {
		return found[1]
	}
	return ""
}

// returned is goods that came back, with what they cost.
type returned struct {
	restockLine
	description text
	cost        amount
	kept        bool // in stock
}

// sentLine is a line of an order as far as a return needs it.
type sentLine struct {
	TranLineNo whole  `db:"tranlineno"`
	Item       text   `db:"item"`
	LoctID     text   `db:"loctid"`
	Descrip    text   `db:"descrip"`
	QtyShp     amount `db:"qtyshp"`
	StkCode    flag   `db:"stkcode"`
}

// restock puts goods back on hand. No line of an order takes back more than it has sent.
func (t *tx) restock(ctx context.Context, d *memoDocument) ([]returned, error) {
	if len(d.restock) == 0 {
		return nil, nil
	}
	sent, err := t.sentLines(ctx, d.SalesOrder)
	if err != nil {
		return nil, err
	}
	moves := map[place]movement{}
	back := make([]returned, 0, len(d.restock))
	for i, line := range d.restock {
		kept := true
		if d.SalesOrder != "" {
			from, refused := t.client.takeFrom(sent, &line, fmt.Sprintf("restock[%d]", i))
			if refused != nil {
				return nil, refused
			}
			kept = bool(from.StkCode)
		}
		if line.location == "" {
			line.location = t.client.config.Location
		}
		each := returned{restockLine: line, kept: kept}
		if err := t.describeItem(ctx, &each); err != nil {
			return nil, err
		}
		back = append(back, each)
		if kept {
			at := place{line.item, line.location}
			moves[at] = movement{onHand: moves[at].onHand.Add(line.quantity)}
		}
	}
	return back, t.moveStock(ctx, moves, nil)
}

// takeFrom finds the line that goods were sent on, takes them off what it has sent, and completes the return by its item and location.
func (c *Client) takeFrom(sent map[int]*sentLine, line *restockLine, path string) (*sentLine, error) {
	from := sent[line.line]
	switch {
	case from == nil:
		return nil, c.refuse(fault.MissingReference, codeOrder, fmt.Sprintf("the order has no line %d", line.line), fault.Field{Path: path + ".tranlineno", Rule: "must be of the order"})
	case line.item != "" && line.item != foldCode(string(from.Item)):
		return nil, c.refuse(fault.Value, codeInvalidField, fmt.Sprintf("line %d of the order is %s", line.line, from.Item), fault.Field{Path: path + ".item", Rule: "must be that of the order's line"})
	case line.quantity.GreaterThan(from.QtyShp.Decimal):
		return nil, c.refuse(fault.DeclinedByPolicy, codeRule, fmt.Sprintf("line %d of the order has sent no more than %s", line.line, from.QtyShp))
	}
	from.QtyShp.Decimal = from.QtyShp.Sub(line.quantity)
	line.item = foldCode(string(from.Item))
	if line.location == "" {
		line.location = string(from.LoctID)
	}
	return from, nil
}

// sentLines gives what an order's lines have sent, less what came back since.
func (t *tx) sentLines(ctx context.Context, salesOrder string) (map[int]*sentLine, error) {
	if salesOrder == "" {
		return nil, nil
	}
	var lines []sentLine
	err := t.listBoth(ctx, &lines, "sotran", "SELECT {@: tranlineno item loctid descrip qtyshp stkcode} FROM {@} WHERE {@.sono} = ?", t.value("sotran.sono", salesOrder))
	if err != nil {
		return nil, err
	}
	sent := map[int]*sentLine{}
	for i := range lines {
		sent[int(lines[i].TranLineNo)] = &lines[i]
	}
	credited, err := listOnce[invoiceLine](ctx, t.querier, "artran", "SELECT {@: invno artype tranlineno qtyshp}, {@moved} AS moved FROM {@} WHERE {@.sono} = ?", t.value("artran.sono", salesOrder))
	for _, each := range credited {
		if line := sent[int(each.TranLineNo)]; line != nil && each.QtyShp.IsNegative() {
			line.QtyShp.Decimal = line.QtyShp.Add(each.QtyShp.Decimal)
		}
	}
	return sent, err
}

// describeItem reads what an item is called and costs.
func (t *tx) describeItem(ctx context.Context, each *returned) error {
	var found []struct {
		Description text   `db:"itmdesc"`
		Cost        amount `db:"avgcost"`
	}
	err := t.list(ctx, &found, "SELECT {icitem: itmdesc avgcost} FROM {icitem} WHERE {icitem.item} = ?", t.value("icitem.item", each.item))
	if err == nil && len(found) > 0 {
		each.description, each.cost = found[0].Description, found[0].Cost
	}
	return err
}

// memoEntry is a credit memo in the making.
type memoEntry struct {
	*tx
	*memoDocument
	number    string
	customer  customerRow
	back      []returned
	movements []string
}

func (m *memoEntry) write(ctx context.Context) error {
	invoice, err := m.lockReceivable(ctx, m.Invoice)
	if err != nil {
		return err
	}
	setOff := decimal.Zero
	if invoice.Moved == 0 && invoice.Balance.IsPositive() {
		setOff = decimal.Min(m.Amount, invoice.Balance.Decimal)
	}
	values := merged(row{"arnotes": m.cut("armast", "arnotes", m.notes())}, m.columns)
	values = merged(values, row{"invno": m.number, "custno": m.customer.CustNo, "invdte": m.date, "artype": typeCreditMemo, "arstat": "", "ornum": invoice.OrNum,
		"ponum": invoice.PoNum, "pterms": invoice.PTerms, "tax": m.Tax.Neg(), "invamt": m.Amount.Neg(), "paidamt": setOff.Neg(), "balance": setOff.Sub(m.Amount),
		"currid": invoice.CurrID})
	if !invoice.ExchRat.IsZero() {
		values["exchrat"] = invoice.ExchRat
	}
	if err := m.insert(ctx, "armast", values); err != nil {
		return err
	}
	if err := m.writeLines(ctx); err != nil {
		return err
	}
	if err := m.setOff(ctx, &invoice, setOff); err != nil {
		return err
	}
	return m.setCustomer(ctx, m.customer, row{"balance": m.customer.Balance.Sub(m.Amount)})
}

// notes tell people what is credited, and tell it to whoever reads the table without cyb_xref.
func (m *memoEntry) notes() string {
	notes := "Credit of invoice " + m.Invoice
	for _, more := range []string{m.Reason, m.reference} {
		if more != "" {
			notes += ": " + more
		}
	}
	return notes
}

// writeLines writes the worth of the credit memo as one line, and the goods that came back as one line each, with their movements of stock.
func (m *memoEntry) writeLines(ctx context.Context) error {
	line := func(more row) row {
		return merged(row{"invno": m.number, "sono": m.SalesOrder, "custno": m.customer.CustNo, "item": "", "qtyord": decimal.Zero, "qtyshp": decimal.Zero,
			"price": decimal.Zero, "cost": decimal.Zero, "extprice": decimal.Zero, "artype": typeCreditMemo, "invdte": m.date, "taxable": false}, more)
	}
	worth := line(row{"descrip": m.cut("artran", "descrip", "Credit "+m.Reason), "extprice": m.Tax.Sub(m.Amount), "taxable": m.Tax.IsPositive()})
	if err := m.insert(ctx, "artran", worth); err != nil {
		return err
	}
	for i, each := range m.back {
		values := line(row{"item": each.item, "descrip": each.description, "qtyshp": each.quantity.Neg(), "cost": each.cost})
		if each.line != 0 {
			values["tranlineno"] = each.line
		}
		if err := m.insert(ctx, "artran", values); err != nil {
			return err
		}
		if err := m.noteReturn(ctx, m.movements[i], each); err != nil {
			return err
		}
	}
	return nil
}

// noteReturn writes that goods came in to stock, where the site keeps movements.
func (m *memoEntry) noteReturn(ctx context.Context, number string, each returned) error {
	if !each.kept || !m.site.keeps("ictran") {
		return nil
	}
	return m.insert(ctx, "ictran", row{"ttranno": number, "trantyp": movementReceipt, "item": each.item, "loctid": each.location, "tdate": m.date,
		"tqty": each.quantity, "tcost": each.cost, "docno": m.number, "orgno": m.SalesOrder})
}

// setOff pays what is open of the invoice out of the credit memo: two rows of cash that come to nothing.
func (m *memoEntry) setOff(ctx context.Context, invoice *receivable, part decimal.Decimal) error {
	if !part.IsPositive() {
		return nil
	}
	for _, side := range []cashMove{{m.Invoice, part}, {m.number, part.Neg()}} {
		err := m.insert(ctx, "arcash", row{"custno": m.customer.CustNo, "invno": side.Invoice, "dtepaid": m.date, "paidamt": side.Amount, "disc": decimal.Zero,
			"refno": m.refNo(m.number), "paytype": paidSetOff, "bankacct": "", "currid": invoice.CurrID, "ponum": invoice.PoNum})
		if err != nil {
			return err
		}
	}
	return m.updateOne(ctx, "armast", row{"invno": invoice.InvNo}, row{"paidamt": invoice.PaidAmt.Add(part), "balance": invoice.Balance.Sub(part)})
}
