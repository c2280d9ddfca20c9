package sagepro

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// orderDocument is a mapped sales order.
type orderDocument struct {
	number   string
	state    erp.SalesOrderState
	prepaid  bool
	total    decimal.Decimal
	freight  decimal.Decimal
	tax      decimal.Decimal
	customer string
	currency string

	header    row
	lines     []row
	addresses []row
	comments  []string
	payment   *orderPayment
}

// orderPayment is what an order tells of its money: a row of cyb_paystat.
type orderPayment struct {
	transaction, method, status, currency, token, last4 string
	amount                                              decimal.Decimal
}

func (t *tx) readOrder(doc erp.Document) (orderDocument, error) {
	paper, whole := newPaper(t.site, doc)
	whole.require("orderNumber", "status", "total", "somast", "sotran")
	wanted := orderDocument{number: whole.text("orderNumber", longestOrder), state: erp.SalesOrderState(whole.text("status", 0)), prepaid: whole.flag("prepaid")}
	header := whole.child("somast")
	header.require("custno", "sodate", "currid")
	wanted.header = header.columns("somast")
	withoutBlank(wanted.header, "loctid", "ordate")
	wanted.customer, _ = wanted.header["custno"].(string)
	wanted.currency, _ = wanted.header["currid"].(string)
	wanted.tax, _ = wanted.header["tax"].(decimal.Decimal)
	places := minorUnits(paper, "somast.currid", wanted.currency)
	wanted.total, wanted.freight = whole.amount("total", places), whole.amount("freight", places)
	if _, known := t.client.mark(wanted.state); whole.has("status") && !known {
		paper.wrong("status", codeInvalidField+": must be open, ready or hold")
	}
	if wanted.freight.IsNegative() {
		paper.wrong("freight", codeInvalidField+": must not be negative")
	}
	t.readLines(paper, whole, &wanted, places)
	t.readAddresses(paper, whole, &wanted)
	comment, _ := t.site.column("socomm", "comment")
	wanted.comments = whole.texts("socomm", comment)
	if len(wanted.comments) > 0 && !t.site.keeps("socomm") {
		paper.wrong("socomm", codeInvalidField+": the site has no such table")
	}
	if whole.has("payment") {
		wanted.payment = readPayment(paper, whole.child("payment"))
	}
	whole.done()
	if err := paper.fault(t.client); err != nil {
		return wanted, err
	}
	return wanted, t.totals(wanted, places)
}

// minorUnits gives the decimals of a currency; what is no currency is wrong.
func minorUnits(p *paper, path, currency string) int {
	places, err := canonical.MinorUnits(currency)
	if err != nil && currency != "" {
		p.wrong(path, codeInvalidField+": must be an ISO 4217 code")
	}
	if err != nil {
		return 2
	}
	return int(places)
}

// withoutBlank takes out what a document leaves empty and the adapter knows better.
func withoutBlank(values row, names ...string) {
	for _, name := range names {
		if value := values[name]; value == "" || value == day("") {
			delete(values, name)
		}
	}
}

func (t *tx) readLines(p *paper, whole object, wanted *orderDocument, places int) {
	numbers := map[int64]bool{}
	for _, line := range whole.children("sotran") {
		line.require("tranlineno", "item", "qtyord", "price", "extprice")
		values := line.columns("sotran")
		number, _ := values["tranlineno"].(int64)
		if _, given := values["tranlineno"]; given && (number <= 0 || numbers[number]) {
			p.wrong(line.at("tranlineno"), codeInvalidField+": must be above zero and of this line alone")
		}
		numbers[number] = true
		if quantity, given := values["qtyord"].(decimal.Decimal); given && !quantity.IsPositive() {
			p.wrong(line.at("qtyord"), codeInvalidField+": must be above zero")
		}
		for _, name := range []string{"price", "extprice"} {
			if value, given := values[name].(decimal.Decimal); given && value.IsNegative() {
				p.wrong(line.at(name), codeInvalidField+": must not be negative")
			}
		}
		if extended, given := values["extprice"].(decimal.Decimal); given && !extended.Equal(extended.Truncate(int32(places))) {
			p.wrong(line.at("extprice"), fmt.Sprintf("%s: at most %d decimals", codeInvalidField, places))
		}
		withoutBlank(values, "loctid", "descrip")
		wanted.lines = append(wanted.lines, values)
	}
	if whole.has("sotran") && len(wanted.lines) == 0 {
		p.wrong("sotran", codeMissingField)
	}
}

func (t *tx) readAddresses(p *paper, whole object, wanted *orderDocument) {
	types := map[string]bool{}
	for _, address := range whole.children("soaddr") {
		values := address.columns("soaddr")
		kind, _ := values["adtype"].(string)
		if kind != "S" && kind != "B" || types[kind] {
			p.wrong(address.at("adtype"), codeInvalidField+": must be S or B, each once")
		}
		types[kind] = true
		wanted.addresses = append(wanted.addresses, values)
	}
}

// longestStatus is the length of cyb_paystat.paystatus: "ChargebackReversed" fits.
const longestStatus = 20

func readPayment(p *paper, o object) *orderPayment {
	o.require("cybtxn", "paystatus")
	payment := &orderPayment{transaction: o.text("cybtxn", 26), method: o.text("method", 12), status: o.text("paystatus", longestStatus), currency: o.text("currid", 3),
		token: o.text("tokenid", 40), last4: o.text("last4", 4), amount: o.amount("amount", 4)}
	for _, text := range []string{payment.token, payment.method} {
		if canonical.HoldsCardNumber(text) {
			p.wrong(o.path, codeInvalidField+": a card number is never written")
		}
	}
	o.done()
	return payment
}

// totals holds the document to its own sum, to the minor unit.
func (t *tx) totals(wanted orderDocument, places int) error {
	sum := wanted.freight.Add(wanted.tax)
	for _, line := range wanted.lines {
		extended, _ := line["extprice"].(decimal.Decimal)
		sum = sum.Add(extended)
	}
	if sum.Equal(wanted.total) && wanted.tax.Equal(wanted.tax.Truncate(int32(places))) && !wanted.tax.IsNegative() {
		return nil
	}
	return t.client.refuse(fault.Value, codeTotal, fmt.Sprintf("lines, freight and tax come to %s, the total says %s", sum, wanted.total),
		fault.Field{Path: "total", Rule: codeTotal})
}

// CreateSalesOrder adds a sales order. One of the same order number is adopted where customer, total and currency are the same and it was not
// cancelled.
func (c *Client) CreateSalesOrder(ctx context.Context, key string, doc erp.Document) (canonical.SalesOrder, error) {
	return mutate(ctx, c, key, "CreateSalesOrder", doc, func(ctx context.Context, t *tx) (canonical.SalesOrder, error) {
		wanted, err := t.readOrder(doc)
		if err != nil {
			return canonical.SalesOrder{}, err
		}
		number, err := t.putOrder(ctx, wanted)
		if err != nil {
			return canonical.SalesOrder{}, err
		}
		made, err := c.orderOf(ctx, t.querier, number)
		if err != nil {
			return canonical.SalesOrder{}, err
		}
		return c.salesOrder(ctx, t.querier, made)
	})
}

// putOrder gives the number of the order: of the one that is there already, or of a new one.
func (t *tx) putOrder(ctx context.Context, wanted orderDocument) (string, error) {
	claimed := xref{Amount: amount{wanted.total}, CurrID: text(wanted.currency)}
	if wanted.payment != nil {
		claimed.CybTxn = text(wanted.payment.transaction)
	}
	held, err := t.claim(ctx, entityOrder, wanted.number, claimed)
	if err != nil {
		return "", err
	}
	if held != nil {
		return t.adopt(ctx, wanted, *held)
	}
	number, err := t.findTyped(ctx, wanted)
	if err != nil {
		return "", err
	}
	switch {
	case number == "":
		number, err = t.addOrder(ctx, wanted)
	case wanted.state == erp.SalesOrderHold: // who typed it did not know that it is to wait
		if _, err = t.mark(ctx, number, t.client.hold.Held); fault.Is(err, fault.Conflict) {
			err = nil // it is closed: nothing of it can wait any more
		}
	}
	if err != nil {
		return "", err
	}
	return number, t.setXref(ctx, entityOrder, wanted.number, row{"erpkey": number})
}

func (t *tx) adopt(ctx context.Context, wanted orderDocument, held xref) (string, error) {
	order, err := t.client.orderOf(ctx, t.querier, string(held.ErpKey))
	switch {
	case fault.Is(err, fault.NotFound):
		return "", t.client.different(fmt.Sprintf("the order number belongs to sales order %s, which is gone", held.ErpKey))
	case err != nil:
		return "", err
	case order.cancelled():
		return "", t.client.different("the order number was used by a sales order that is cancelled")
	case !held.sameMoney(wanted.total, wanted.currency) || foldCode(string(order.CustNo)) != foldCode(wanted.customer):
		return "", t.client.different("a sales order of this number exists with another customer, total or currency")
	}
	return string(order.SoNo), nil
}

// findTyped finds an order that the side tables do not know but that has our number: typed by a person, or from before the side tables. It is
// adopted where it is the same, and otherwise in the way.
func (t *tx) findTyped(ctx context.Context, wanted orderDocument) (string, error) {
	found, err := t.ordersByPoNum(ctx, wanted.number, wanted.customer)
	if err != nil || len(found) == 0 {
		return "", err
	}
	order := found[0]
	same := len(found) == 1 && !order.cancelled() && order.OrdAmt.Add(order.ShpAmt.Decimal).Equal(wanted.total) && string(order.CurrID) == wanted.currency
	if !same {
		return "", t.client.different(fmt.Sprintf("sales order %s has this order number already, and is another one or cancelled", order.SoNo))
	}
	return string(order.SoNo), nil
}

// addOrder writes a new order with all that hangs on it: counter, customer, items, document.
func (t *tx) addOrder(ctx context.Context, wanted orderDocument) (string, error) {
	number, err := t.nextDocument(ctx, counterOrder, "somast", "sono")
	if err != nil {
		return "", err
	}
	buyer, err := t.lockCustomer(ctx, wanted.customer)
	if err != nil {
		return "", err
	}
	if err := t.mayOrder(buyer, wanted); err != nil {
		return "", err
	}
	lines, moves, err := t.orderLines(ctx, wanted)
	if err != nil {
		return "", err
	}
	if err := t.setCustomer(ctx, buyer, row{"onorder": buyer.OnOrder.Add(wanted.total)}); err != nil {
		return "", err
	}
	if err := t.moveStock(ctx, moves, nil); err != nil {
		return "", err
	}
	if err := t.insertOrder(ctx, number, wanted, lines); err != nil {
		return "", err
	}
	return number, t.insertBeside(ctx, number, wanted)
}

// mayOrder asks whether the customer gets the order: in his currency, not held, and within his limit unless it is paid.
func (t *tx) mayOrder(buyer customerRow, wanted orderDocument) error {
	switch {
	case buyer.onHold(t.client):
		return t.client.refuse(fault.DeclinedByPolicy, codeOnHold, fmt.Sprintf("customer %s is on hold", buyer.CustNo))
	case buyer.Currency != "" && string(buyer.Currency) != wanted.currency:
		return t.client.refuse(fault.Value, codeCurrency, fmt.Sprintf("customer %s is kept in %s", buyer.CustNo, buyer.Currency),
			fault.Field{Path: "somast.currid", Rule: codeCurrency})
	case !wanted.prepaid && buyer.Limit.IsPositive() && buyer.available().LessThan(wanted.total):
		return t.client.refuse(fault.DeclinedByPolicy, codeCredit, fmt.Sprintf("customer %s has %s left of the credit limit", buyer.CustNo, buyer.available()))
	}
	return nil
}

// orderLines completes the lines by what the item says, adds freight as the last one, and tells what they take of stock.
func (t *tx) orderLines(ctx context.Context, wanted orderDocument) ([]row, map[place]movement, error) {
	var codes []string
	for _, line := range wanted.lines {
		code, _ := line["item"].(string)
		codes = append(codes, code)
	}
	items, err := t.items(ctx, codes)
	if err != nil {
		return nil, nil, err
	}
	if err := t.unknownItems(codes, items); err != nil {
		return nil, nil, err
	}
	moves, last := map[place]movement{}, int64(0)
	lines := make([]row, 0, len(wanted.lines)+1)
	for i, given := range wanted.lines {
		item := items[foldCode(codes[i])]
		line := merged(row{"descrip": string(item.ItmDesc), "loctid": t.locationOf(wanted)}, given)
		quantity, _ := line["qtyord"].(decimal.Decimal)
		number, _ := line["tranlineno"].(int64)
		last = max(last, number)
		line = merged(line, row{"origqtyord": quantity, "qtyshp": decimal.Zero, "cost": item.AvgCost, "stkcode": bool(item.StkCode)})
		if item.StkCode {
			location, _ := line["loctid"].(string)
			at := place{foldCode(codes[i]), foldCode(location)}
			moves[at] = movement{allocated: moves[at].allocated.Add(quantity)}
		}
		lines = append(lines, line)
	}
	if wanted.freight.IsPositive() {
		one := decimal.NewFromInt(1)
		lines = append(lines, row{"tranlineno": last + 1, "item": t.client.config.FreightItem, "descrip": "Freight", "qtyord": one, "origqtyord": one,
			"qtyshp": decimal.Zero, "price": wanted.freight, "extprice": wanted.freight, "cost": decimal.Zero, "taxable": false, "stkcode": false,
			"loctid": t.locationOf(wanted)})
	}
	return lines, moves, nil
}

func (t *tx) locationOf(wanted orderDocument) string {
	if location, _ := wanted.header["loctid"].(string); location != "" {
		return location
	}
	return t.client.config.Location
}

func (t *tx) unknownItems(codes []string, items map[string]itemRow) error {
	var unknown []fault.Field
	var named []string
	for i, code := range codes {
		if _, known := items[foldCode(code)]; !known {
			unknown = append(unknown, fault.Field{Path: fmt.Sprintf("sotran[%d].item", i), Rule: codeStock})
			named = append(named, fmt.Sprintf("%q", code))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return t.client.refuse(fault.MissingReference, codeStock, "the ERP has no stock code "+strings.Join(slices.Compact(named), ", "), unknown...)
}

func (t *tx) insertOrder(ctx context.Context, number string, wanted orderDocument, lines []row) error {
	taxed := decimal.Zero
	for _, line := range lines {
		extended, _ := line["extprice"].(decimal.Decimal)
		if yes, given := line["taxable"].(bool); yes || !given {
			taxed = taxed.Add(extended)
		}
	}
	mark, _ := t.client.mark(wanted.state)
	header := merged(row{"ordate": wanted.header["sodate"], "loctid": t.locationOf(wanted)}, wanted.header)
	header = merged(header, row{"sono": number, "custno": wanted.customer, "ponum": t.fitted("somast", "ponum", wanted.number), "tax": wanted.tax, "taxsamt": taxed, "ordamt": wanted.total,
		"shpamt": decimal.Zero, "sostat": "", "sotype": "", "orderstat": mark})
	if err := t.insert(ctx, "somast", header); err != nil {
		return err
	}
	for _, address := range wanted.addresses {
		if err := t.insert(ctx, "soaddr", merged(address, row{"sono": number, "custno": wanted.customer})); err != nil {
			return err
		}
	}
	for _, line := range lines {
		line = merged(row{"ordate": header["ordate"]}, line)
		if err := t.insert(ctx, "sotran", merged(line, row{"sono": number, "custno": wanted.customer, "sostat": "", "sotype": ""})); err != nil {
			return err
		}
	}
	return nil
}

// insertBeside writes comment lines and what is known of the money.
func (t *tx) insertBeside(ctx context.Context, number string, wanted orderDocument) error {
	for i, comment := range wanted.comments {
		if err := t.insert(ctx, "socomm", row{"sono": number, "seq": i + 1, "comment": comment}); err != nil {
			return err
		}
	}
	if wanted.payment == nil {
		return nil
	}
	return t.setPayment(ctx, number, *wanted.payment)
}
