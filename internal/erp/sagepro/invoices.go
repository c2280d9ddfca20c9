package sagepro

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// The types of ARMAST rows.
const (
	typeInvoice    = ""
	typeCreditMemo = "C" // its amounts are negative
)

// statVoid is the arstat of a document that counts no more.
const statVoid = "V"

// invoiceRow is what this package reads of ARMAST, or of its history: invoices and credit memos.
type invoiceRow struct {
	IDCol   whole  `db:"id_col"`
	InvNo   text   `db:"invno"`
	CustNo  text   `db:"custno"`
	InvDte  day    `db:"invdte"`
	ArType  text   `db:"artype"`
	ArStat  text   `db:"arstat"`
	OrNum   text   `db:"ornum"` // the sales order
	PoNum   text   `db:"ponum"`
	Tax     amount `db:"tax"`
	InvAmt  amount `db:"invamt"`
	PaidAmt amount `db:"paidamt"`
	Balance amount `db:"balance"`
	CurrID  text   `db:"currid"`
	SoTrack text   `db:"sotrack"`
	ArNotes text   `db:"arnotes"`
	Moved   whole  `db:"moved"` // 1: in history
}

const invoiceColumns = "{@: id_col invno custno invdte artype arstat ornum ponum tax invamt paidamt balance currid sotrack arnotes}, {@moved} AS moved"

func (r *invoiceRow) itself() (text, whole) { return r.InvNo, r.Moved }

// compare tells which of two was made first. Each table counts its own ids: those of history tell nothing of those that are current.
func (r invoiceRow) compare(other invoiceRow) int {
	return cmp.Or(cmp.Compare(r.InvDte, other.InvDte), cmp.Compare(other.Moved, r.Moved), cmp.Compare(r.IDCol, other.IDCol))
}

// invoiceLine is what this package reads of ARTRAN, or of its history: of invoices, and below zero of credit memos. Each query asks for what it needs.
type invoiceLine struct {
	InvNo      text   `db:"invno"`
	SoNo       text   `db:"sono"`
	ArType     text   `db:"artype"`
	TranLineNo whole  `db:"tranlineno"`
	Item       text   `db:"item"`
	QtyShp     amount `db:"qtyshp"`
	ExtPrice   amount `db:"extprice"`
	Moved      whole  `db:"moved"` // 1: in history
}

func (l *invoiceLine) itself() (text, whole) { return lineOf(l.InvNo, l.TranLineNo), l.Moved }

// FindInvoice looks an invoice up by its number, or the last one of a sales order, in current and history.
func (c *Client) FindInvoice(ctx context.Context, ref erp.InvoiceRef) (canonical.Invoice, error) {
	if ref.Number == "" && ref.SalesOrder == "" {
		return canonical.Invoice{}, c.bug("an invoice look-up needs a number or a sales order")
	}
	var found canonical.Invoice
	err := c.read(ctx, "FindInvoice", func(ctx context.Context, q querier) error {
		if ref.Number != "" {
			invoice, err := c.invoiceOf(ctx, q, ref.Number)
			found = invoice.invoice()
			return err
		}
		all, err := q.invoicesOf(ctx, ref.SalesOrder)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return c.notFound(codeInvoice, "the sales order has no invoice")
		}
		found = all[len(all)-1].invoice()
		return nil
	})
	return found, err
}

// invoiceOf finds an invoice, not a credit memo, by its number; NotFound if there is none.
func (c *Client) invoiceOf(ctx context.Context, q querier, number string) (invoiceRow, error) {
	found, err := q.receivables(ctx, typeInvoice, "invno", number)
	if err != nil {
		return invoiceRow{}, err
	}
	if len(found) == 0 {
		return invoiceRow{}, c.notFound(codeInvoice, "the ERP has no invoice "+boundedName(number))
	}
	return found[0], nil
}

// invoicesOf gives the invoices of a sales order that count, the oldest first.
func (q querier) invoicesOf(ctx context.Context, number string) ([]invoiceRow, error) {
	found, err := q.receivables(ctx, typeInvoice, "ornum", number)
	return slices.DeleteFunc(found, func(r invoiceRow) bool { return r.ArStat == statVoid }), err
}

// receivables finds invoices or credit memos, current and history, by a column; the oldest first.
func (q querier) receivables(ctx context.Context, artype, column, value string) ([]invoiceRow, error) {
	found, err := listOnce[invoiceRow](ctx, q, "armast", "SELECT "+invoiceColumns+" FROM {@} WHERE {@."+column+"} = ? AND {@.artype} = ?",
		q.value("armast."+column, value), q.value("armast.artype", artype))
	slices.SortFunc(found, invoiceRow.compare)
	return found, err
}

// lastInvoice is the number of the last invoice of a sales order, "" if it has none.
func (q querier) lastInvoice(ctx context.Context, number string) (string, error) {
	all, err := q.invoicesOf(ctx, number)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return string(all[len(all)-1].InvNo), nil
}

func (r invoiceRow) invoice() canonical.Invoice {
	return canonical.Invoice{Number: string(r.InvNo), SalesOrder: string(r.OrNum), Total: r.InvAmt.Decimal, Balance: r.Balance.Decimal,
		Currency: string(r.CurrID), Status: r.status()}
}

func (r invoiceRow) status() string {
	switch {
	case r.ArStat == statVoid:
		return "Void"
	case r.Balance.IsZero():
		return "Paid"
	case r.Balance.LessThan(r.InvAmt.Decimal):
		return "PartiallyPaid"
	default:
		return "Open"
	}
}

// invoiceDocument is a mapped invoice.
type invoiceDocument struct {
	order, date, reference string
	header                 row
}

func (t *tx) readInvoice(doc erp.Document) (invoiceDocument, error) {
	paper, whole := newPaper(t.site, doc)
	whole.require("sono", "invdte")
	wanted := invoiceDocument{order: whole.text("sono", 0), date: whole.date("invdte"), reference: whole.text("reference", longestRef),
		header: whole.child("armast").columns("armast")}
	whole.done()
	return wanted, paper.fault(t.client)
}

// CreateInvoice invoices all that is open of a sales order, and lets the goods leave: the order is closed then. An order is invoiced here once;
// the invoice that there is already is the answer to a repeat.
func (c *Client) CreateInvoice(ctx context.Context, key string, doc erp.Document) (canonical.Invoice, error) {
	return mutate(ctx, c, key, "CreateInvoice", doc, func(ctx context.Context, t *tx) (canonical.Invoice, error) {
		wanted, err := t.readInvoice(doc)
		if err != nil {
			return canonical.Invoice{}, err
		}
		order, err := c.orderOf(ctx, t.querier, wanted.order)
		if err != nil {
			return canonical.Invoice{}, absent(err)
		}
		number, err := t.putInvoice(ctx, wanted, order)
		if err != nil {
			return canonical.Invoice{}, err
		}
		made, err := c.invoiceOf(ctx, t.querier, number)
		return made.invoice(), err
	})
}

// putInvoice gives the number of the invoice: of the one that is there already, or of a new one.
func (t *tx) putInvoice(ctx context.Context, wanted invoiceDocument, order orderRow) (string, error) {
	held, err := t.claim(ctx, entityInvoice, string(order.SoNo), xref{CurrID: order.CurrID})
	if err != nil {
		return "", err
	}
	if held != nil {
		return string(held.ErpKey), nil
	}
	invoice, err := t.typedInvoice(ctx, order)
	if err != nil {
		return "", err
	}
	if invoice.InvNo == "" {
		if invoice, err = t.addInvoice(ctx, wanted, order); err != nil {
			return "", err
		}
	}
	return string(invoice.InvNo), t.setXref(ctx, entityInvoice, string(order.SoNo), row{"erpkey": invoice.InvNo, "amount": invoice.InvAmt})
}

// typedInvoice is the one invoice by which people have invoiced the whole order, if they have.
func (t *tx) typedInvoice(ctx context.Context, order orderRow) (invoiceRow, error) {
	if order.SoStat != statusClosed {
		return invoiceRow{}, nil
	}
	all, err := t.invoicesOf(ctx, string(order.SoNo))
	if err != nil {
		return invoiceRow{}, err
	}
	if len(all) != 1 || !all[0].InvAmt.Equal(order.OrdAmt.Add(order.ShpAmt.Decimal)) {
		return invoiceRow{}, t.client.refuse(fault.Conflict, codeStatus, "the sales order is closed, and was not invoiced as a whole")
	}
	return all[0], nil
}

// addInvoice writes a new invoice with all that hangs on it: counters, customer, items, document.
func (t *tx) addInvoice(ctx context.Context, wanted invoiceDocument, seen orderRow) (invoiceRow, error) {
	if _, err := t.openPeriod(ctx, moduleReceivables, wanted.date); err != nil {
		return invoiceRow{}, err
	}
	number, err := t.nextDocument(ctx, counterInvoice, "armast", "invno")
	if err != nil {
		return invoiceRow{}, err
	}
	lines, err := t.linesOf(ctx, string(seen.SoNo))
	if err != nil {
		return invoiceRow{}, err
	}
	movements, err := t.movementNumbers(ctx, countMoving(lines))
	if err != nil {
		return invoiceRow{}, err
	}
	buyer, err := t.lockCustomer(ctx, string(seen.CustNo))
	if err != nil {
		return invoiceRow{}, err
	}
	if err := t.moveStock(ctx, leaving(lines), t.mayLeave); err != nil {
		return invoiceRow{}, err
	}
	order, err := t.lockOrder(ctx, string(seen.SoNo))
	if err != nil {
		return invoiceRow{}, err
	}
	if err := t.mayInvoice(order); err != nil {
		return invoiceRow{}, err
	}
	if err := t.unchanged(ctx, string(seen.SoNo), lines); err != nil {
		return invoiceRow{}, err
	}
	bill, err := t.bill(ctx, order, lines)
	if err != nil {
		return invoiceRow{}, err
	}
	bill.number, bill.date, bill.movements = number, wanted.date, movements
	if err := t.owe(ctx, buyer, order, bill); err != nil {
		return invoiceRow{}, err
	}
	return invoiceRow{InvNo: text(number), InvAmt: amount{bill.total}}, t.insertInvoice(ctx, wanted, order, bill)
}

// moving tells whether goods of a line are still to leave.
func (l lineRow) moving() bool { return bool(l.StkCode) && l.SoStat == "" && l.QtyOrd.IsPositive() }

func countMoving(lines []lineRow) int {
	count := 0
	for _, line := range lines {
		if line.moving() {
			count++
		}
	}
	return count
}

// leaving tells what of stock goes with all that is open.
func leaving(lines []lineRow) map[place]movement {
	moves := map[place]movement{}
	for _, line := range lines {
		if line.moving() {
			move := moves[line.place()]
			moves[line.place()] = movement{onHand: move.onHand.Sub(line.QtyOrd.Decimal), allocated: move.allocated.Sub(line.QtyOrd.Decimal)}
		}
	}
	return moves
}

// mayLeave keeps goods from leaving that are not there.
func (t *tx) mayLeave(stock stockRow, move movement) error {
	if stock.LOnHand.Add(move.onHand).IsNegative() {
		return t.client.refuse(fault.DeclinedByPolicy, codeInsufficient, fmt.Sprintf("location %s has %s of %s on hand", stock.LoctID, stock.LOnHand, stock.Item))
	}
	return nil
}

func (t *tx) mayInvoice(order orderRow) error {
	switch status := order.status(t.client); {
	case status == statusHeld:
		return t.client.refuse(fault.Conflict, codeStatus, "the sales order is on hold")
	case order.SoStat != "" || order.Moved != 0:
		return t.client.refuse(fault.Conflict, codeStatus, "the sales order is "+closedWord(order))
	case order.SoType != "" && order.SoType != "O":
		return t.client.refuse(fault.Conflict, codeStatus, "a bid or return is not invoiced here")
	}
	return nil
}

// bill is what an invoice charges: the open lines, each with what earlier invoices have not charged of it.
type bill struct {
	number, date string
	movements    []string // numbers of the stock movements, by the lines that move goods
	lines        []billLine
	tax, total   decimal.Decimal
}

type billLine struct {
	lineRow
	worth decimal.Decimal
}

// bill charges what earlier invoices of the order have left of its lines and its tax.
func (t *tx) bill(ctx context.Context, order orderRow, lines []lineRow) (bill, error) {
	charged, tax, err := t.charged(ctx, string(order.SoNo))
	if err != nil {
		return bill{}, err
	}
	b := bill{tax: order.Tax.Sub(tax)}
	b.total = b.tax
	for _, line := range lines {
		if line.SoStat != "" || !line.QtyOrd.IsPositive() {
			continue
		}
		worth := line.ExtPrice.Sub(charged[line.TranLineNo])
		b.lines, b.total = append(b.lines, billLine{line, worth}), b.total.Add(worth)
	}
	if len(b.lines) == 0 || b.tax.IsNegative() || b.total.IsNegative() {
		return bill{}, t.client.refuse(fault.Conflict, codeStatus, "the sales order has nothing left to invoice")
	}
	return b, nil
}

// charged sums what earlier invoices of an order have charged, by line and in tax.
func (t *tx) charged(ctx context.Context, number string) (map[whole]decimal.Decimal, decimal.Decimal, error) {
	invoices, err := t.invoicesOf(ctx, number)
	if err != nil {
		return nil, decimal.Zero, err
	}
	tax, counts := decimal.Zero, map[text]bool{}
	for _, each := range invoices {
		tax, counts[each.InvNo] = tax.Add(each.Tax.Decimal), true
	}
	lines, err := listOnce[invoiceLine](ctx, t.querier, "artran", "SELECT {@: invno tranlineno extprice}, {@moved} AS moved FROM {@} WHERE {@.sono} = ?", t.value("artran.sono", number))
	charged := map[whole]decimal.Decimal{}
	for _, line := range lines {
		if counts[line.InvNo] {
			charged[line.TranLineNo] = charged[line.TranLineNo].Add(line.ExtPrice.Decimal)
		}
	}
	return charged, tax, err
}

// owe moves what the customer had on order to what the customer owes.
func (t *tx) owe(ctx context.Context, buyer customerRow, order orderRow, b bill) error {
	return t.setCustomer(ctx, buyer, row{"balance": buyer.Balance.Add(b.total), "onorder": buyer.OnOrder.Sub(order.OrdAmt.Decimal), "lsale": b.total, "ldate": b.date})
}

func (t *tx) insertInvoice(ctx context.Context, wanted invoiceDocument, order orderRow, b bill) error {
	purchase := string(order.PoNum)
	if purchase == "" {
		purchase = t.fitted("armast", "ponum", wanted.reference)
	}
	header := merged(row{"pterms": order.PTerms, "sotrack": order.SoTrack, "exchrat": order.ExchRat}, wanted.header)
	err := t.insert(ctx, "armast", merged(header, row{"invno": b.number, "custno": order.CustNo, "invdte": b.date, "artype": typeInvoice, "arstat": "",
		"ornum": order.SoNo, "ponum": purchase, "tax": b.tax, "invamt": b.total, "paidamt": decimal.Zero, "balance": b.total, "currid": order.CurrID}))
	if err != nil {
		return err
	}
	moved := 0
	for _, line := range b.lines {
		if err := t.insertInvoiceLine(ctx, order, b, line); err != nil {
			return err
		}
		if err := t.shipLine(ctx, line, b.date); err != nil {
			return err
		}
		if line.moving() {
			if err := t.issue(ctx, b, line, b.movements[moved]); err != nil {
				return err
			}
			moved++
		}
	}
	return t.updateOne(ctx, "somast", row{"sono": order.SoNo}, merged(order.unlock, row{"sostat": statusClosed, "ordamt": decimal.Zero,
		"shpamt": order.ShpAmt.Add(b.total)}))
}

func (t *tx) insertInvoiceLine(ctx context.Context, order orderRow, b bill, line billLine) error {
	return t.insert(ctx, "artran", row{"invno": b.number, "sono": order.SoNo, "tranlineno": line.TranLineNo, "custno": order.CustNo, "item": line.Item,
		"descrip": line.Descrip, "qtyord": line.QtyOrd, "qtyshp": line.QtyOrd, "price": line.Price, "cost": line.Cost, "extprice": line.worth,
		"artype": typeInvoice, "invdte": b.date, "taxable": line.Taxable})
}

func (t *tx) shipLine(ctx context.Context, line billLine, date string) error {
	return t.updateOne(ctx, "sotran", row{"sono": line.SoNo, "tranlineno": line.TranLineNo}, row{"qtyord": decimal.Zero,
		"qtyshp": line.QtyShp.Add(line.QtyOrd.Decimal), "shipdate": date, "sostat": statusClosed})
}

// movementNumbers takes the numbers of so many stock movements, before anything else is locked; none where the site does not number them.
func (t *tx) movementNumbers(ctx context.Context, count int) ([]string, error) {
	numbers := make([]string, count)
	if _, numbered := t.site.column("ictran", "ttranno"); !numbered {
		return numbers, nil
	}
	for i := range numbers {
		number, err := t.nextDocument(ctx, counterMovement, "ictran", "ttranno")
		if err != nil {
			return nil, err
		}
		numbers[i] = number
	}
	return numbers, nil
}

// issue writes that a line's goods left, where the site keeps such rows.
func (t *tx) issue(ctx context.Context, b bill, line billLine, number string) error {
	if !t.site.keeps("ictran") {
		return nil
	}
	return t.insert(ctx, "ictran", row{"ttranno": number, "trantyp": movementIssue, "item": line.Item, "loctid": line.LoctID, "tdate": b.date,
		"tqty": line.QtyOrd, "tcost": line.Cost, "docno": b.number, "orgno": line.SoNo})
}

// The types of stock movements.
const (
	movementReceipt = "R"
	movementIssue   = "I"
)
