package sagepro

import (
	"net/http"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

type shipmentInput struct {
	SalesOrder, OrderNumber, CustomerCode string
	Carrier, TrackingNumber, ShippedDate  string
	Lines                                 []shipmentLineInput // none: all that there is stock for
	Invoice                               bool                // means nothing here: what leaves is invoiced
}

type shipmentLineInput struct {
	SalesOrderLine int
	Quantity       numeric
}

// shipment is what has left: in Sage Pro an invoice.
type shipment struct {
	ShipmentNumber string
	SalesOrder     string
	OrderNumber    string
	CustomerCode   string
	ShipmentStatus string
	Carrier        string
	TrackingNumber string
	ShippedDate    string
	Partial        bool
	Lines          []shipmentLine
	InvoiceNumber  string
	InvoiceTotal   amount
}

type shipmentLine struct {
	SalesOrderLine int
	StockCode      string
	Quantity       amount
}

type shipmentAnswer struct {
	success
	*shipment
}

// ship posts a shipment as Sage Pro's people do: goods leave stock, and what left is invoiced. Freight and other lines without stock go with
// the goods in proportion, and so does the order's tax; what leaves last takes what is left of both.
func (c *clerk) ship(in *shipmentInput) (any, error) {
	for _, check := range []error{checkText("TrackingNumber", in.TrackingNumber, 40), checkText("Carrier", in.Carrier, 15)} {
		if check != nil {
			return nil, check
		}
	}
	sono, custno, err := c.orderAndBuyer(in.SalesOrder, in.OrderNumber, in.CustomerCode)
	if err != nil {
		return nil, err
	}
	c.counters(invoiceCounter, movementCounter)
	invno := c.freeNumber("AR", "invno", "armast", "arymst", "invno")
	buyer, err := c.customer(custno)
	if err != nil {
		return nil, err
	}
	stock := c.stock(placesOf(c.lines(sono))...)
	o, err := c.order(sono)
	if err != nil {
		return nil, err
	}
	date := in.ShippedDate
	if date == "" {
		date = c.today()
	}
	if err := c.mayShip(o, date); err != nil {
		return nil, err
	}
	p := &parcel{clerk: c, order: o, lines: c.lines(sono), stock: stock, invno: invno, date: date}
	if err := p.choose(in.Lines); err != nil {
		return nil, err
	}
	return p.post(buyer, in)
}

func placesOf(lines []*orderLine) []place {
	var places []place
	for _, l := range lines {
		if l.stocked() {
			places = append(places, l.place())
		}
	}
	return places
}

func (c *clerk) mayShip(o *order, date string) error {
	switch {
	case !o.takes():
		return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s is %s", o.Sono, strings.ToLower(statusDescription(o.status())))
	case o.status() == "H":
		return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s is on hold", o.Sono)
	}
	return c.openOn("AR", date)
}

// parcel is a shipment in the making.
type parcel struct {
	*clerk
	order *order
	lines []*orderLine
	stock map[place]*stock
	invno string
	date  string
	take  []decimal.Decimal // by line
}

// choose says how much of each line leaves: what is asked for, or all that there is stock for. Older orders come first.
func (p *parcel) choose(asked []shipmentLineInput) error {
	free, err := p.allocated()
	if err != nil {
		return err
	}
	p.take = make([]decimal.Decimal, len(p.lines))
	for _, a := range asked {
		i := slices.IndexFunc(p.lines, func(l *orderLine) bool { return l.Number == a.SalesOrderLine })
		if i < 0 {
			return refuse(http.StatusBadRequest, codeInvalid, "there is no line %d", a.SalesOrderLine)
		}
		if !a.Quantity.IsPositive() {
			return refuse(http.StatusBadRequest, codeInvalid, "Quantity must be above zero")
		}
		if p.take[i] = p.take[i].Add(a.Quantity.Decimal); p.take[i].GreaterThan(free[i]) {
			return refuse(http.StatusUnprocessableEntity, codeInsufficient, "line %d has %s allocated", a.SalesOrderLine, free[i])
		}
	}
	for i := range p.lines {
		if len(asked) == 0 {
			p.take[i] = free[i]
		}
	}
	if !slices.ContainsFunc(p.take, decimal.Decimal.IsPositive) {
		return refuse(http.StatusUnprocessableEntity, codeInsufficient, "the order has nothing allocated to ship")
	}
	return nil
}

// allocated gives what of each line there is stock for once older lines have got theirs. Lines without stock are left out where the order has others.
func (p *parcel) allocated() ([]decimal.Decimal, error) {
	free := make([]decimal.Decimal, len(p.lines))
	goods := slices.ContainsFunc(p.lines, (*orderLine).stocked)
	for i, l := range p.lines {
		if !l.stocked() {
			if !goods {
				free[i] = l.Qtyord.Decimal
			}
			continue
		}
		item := p.stock[l.place()]
		if item == nil {
			return nil, refuse(http.StatusUnprocessableEntity, codeStockUnknown, "item %s is not kept in location %s", l.Item, l.Loctid)
		}
		var before []amount
		p.all(&before, `SELECT t.qtyord FROM sotran t JOIN somast m ON m.sono = t.sono WHERE t.item = ? AND t.loctid = ? AND t.id_col < ?
 AND t.stkcode = 'Y' AND t.sostat = '' AND m.sostat = '' AND m.sotype IN ('', 'O')`,
			code(string(l.Item), itemWidth), code(string(l.Loctid), loctidWidth), l.ID)
		rest := item.Onhand.Decimal
		for _, b := range before {
			rest = rest.Sub(b.Decimal)
		}
		free[i] = decimal.Max(decimal.Zero, decimal.Min(rest, l.Qtyord.Decimal))
	}
	return free, p.err
}

// share is the part of the order's goods, by worth, that has left once this parcel has.
func (p *parcel) share() decimal.Decimal {
	gone, whole, quantity, ordered := decimal.Zero, decimal.Zero, decimal.Zero, decimal.Zero
	for i, l := range p.lines {
		if l.stocked() && l.Origqtyord.IsPositive() {
			left := l.Qtyshp.Add(p.take[i])
			gone = gone.Add(l.Extprice.Mul(left).DivRound(l.Origqtyord.Decimal, 16))
			whole = whole.Add(l.Extprice.Decimal)
			quantity, ordered = quantity.Add(left), ordered.Add(l.Origqtyord.Decimal)
		}
	}
	switch {
	case whole.IsPositive():
		return gone.DivRound(whole, 16)
	case ordered.IsPositive():
		return quantity.DivRound(ordered, 16)
	default:
		return decimal.NewFromInt(1)
	}
}

// last tells whether nothing is left once this parcel has gone.
func (p *parcel) last() bool {
	for i, l := range p.lines {
		if l.stocked() && !l.Qtyord.Equal(p.take[i]) {
			return false
		}
	}
	return true
}

// follow has lines without stock go with the goods: by so much of a quantity, rounded to what the column holds.
func (p *parcel) follow(share decimal.Decimal, last bool) {
	for i, l := range p.lines {
		switch {
		case l.stocked() || p.take[i].IsPositive():
		case last:
			p.take[i] = l.Qtyord.Decimal
		default:
			p.take[i] = decimal.Max(decimal.Zero, decimal.Min(l.Qtyord.Decimal, l.Origqtyord.Mul(share).Round(4).Sub(l.Qtyshp.Decimal)))
		}
	}
}

// billed is what earlier invoices have of the order: by line and in tax.
func (p *parcel) billed() (map[int]decimal.Decimal, decimal.Decimal) {
	lines, tax := map[int]decimal.Decimal{}, decimal.Zero
	sono := number(string(p.order.Sono))
	var earlier []invoiceLine
	p.all(&earlier, both(invoiceLineColumns, "artran", "sono = ? AND artype = ''"), sono, sono)
	for _, l := range earlier {
		lines[l.number()] = lines[l.number()].Add(l.Extprice.Decimal)
	}
	var invoices []invoice
	p.all(&invoices, both(invoiceColumns, "armast", "ornum = ? AND artype = '' AND arstat = ''"), sono, sono)
	for _, i := range invoices {
		tax = tax.Add(i.Tax.Decimal)
	}
	return lines, tax
}

// post writes the invoice, the movements of stock and every counter.
func (p *parcel) post(buyer *customer, in *shipmentInput) (any, error) {
	o, share, last := p.order, p.share(), p.last()
	p.follow(share, last)
	billed, billedTax := p.billed()
	due := func(whole decimal.Decimal, part decimal.Decimal, before decimal.Decimal, all bool) decimal.Decimal {
		if all {
			return whole.Sub(before)
		}
		return money(whole.Mul(part), string(o.Currid)).Sub(before)
	}
	tax := due(o.Tax.Decimal, share, billedTax, last)
	total := tax
	s := &shipment{ShipmentNumber: strings.TrimSpace(p.invno), InvoiceNumber: strings.TrimSpace(p.invno), SalesOrder: ours(o.Sono), OrderNumber: p.orderNumber(o),
		CustomerCode: string(o.Custno), ShipmentStatus: "9", Carrier: in.Carrier, TrackingNumber: in.TrackingNumber, ShippedDate: p.date, Partial: !last,
		Lines: []shipmentLine{}}
	for i, l := range p.lines {
		if !p.take[i].IsPositive() {
			continue
		}
		part := share
		if l.stocked() {
			part = l.Qtyshp.Add(p.take[i]).DivRound(l.Origqtyord.Decimal, 16)
			s.Lines = append(s.Lines, shipmentLine{l.Number, string(l.Item), quantity(p.take[i])})
		}
		worth := due(l.Extprice.Decimal, part, billed[l.Number], l.Qtyord.Equal(p.take[i]))
		total = total.Add(worth)
		p.send(l, p.take[i], worth)
	}
	s.InvoiceTotal = money(total, string(o.Currid))
	p.insert("armast", p.invoiceID(p.audit(row{"invno": p.invno, "custno": code(string(o.Custno), custnoWidth), "invdte": p.date, "artype": typeInvoice,
		"ornum": number(string(o.Sono)), "ponum": string(o.Ponum), "pterms": string(o.Pterms), "tax": amount{tax}, "invamt": amount{total}, "paidamt": amount{},
		"balance": amount{total}, "currid": string(o.Currid), "sotrack": in.TrackingNumber})))
	p.close(in, total, last)
	p.owes(buyer, total, total.Neg())
	p.update("arcust", row{"lsale": amount{total}, "ldate": p.date}, "custno = ?", code(string(buyer.Custno), custnoWidth))
	return shipmentAnswer{done(), s}, p.err
}

// send takes a quantity of a line out of stock and onto the invoice.
func (p *parcel) send(l *orderLine, quantity, worth decimal.Decimal) {
	cost := l.Cost
	if item := p.stock[l.place()]; l.stocked() && item != nil {
		cost = item.Avgcost
		p.move(item, quantity.Neg(), quantity.Neg(), strings.TrimSpace(p.invno), ours(l.Sono))
	}
	p.insert("artran", row{"invno": p.invno, "sono": number(string(l.Sono)), "tranlineno": l.Number, "custno": code(string(p.order.Custno), custnoWidth),
		"item": code(string(l.Item), itemWidth), "descrip": string(l.Descrip), "qtyord": l.Qtyord, "qtyshp": amount{quantity}, "price": l.Price, "cost": cost,
		"extprice": amount{worth}, "artype": typeInvoice, "invdte": p.date, "taxable": string(l.Taxable)})
	l.Qtyord.Decimal, l.Qtyshp.Decimal = l.Qtyord.Sub(quantity), l.Qtyshp.Add(quantity)
	change := row{"qtyord": l.Qtyord, "qtyshp": l.Qtyshp, "shipdate": p.date}
	if l.Qtyord.IsZero() {
		change["sostat"] = orderClosed
	}
	p.update("sotran", change, "id_col = ?", l.ID)
}

// close changes what is open of the order; when nothing is, it is closed.
func (p *parcel) close(in *shipmentInput, total decimal.Decimal, last bool) {
	o := p.order
	change := row{"ordamt": amount{o.Ordamt.Sub(total)}, "shpamt": amount{o.Shpamt.Add(total)}}
	if last {
		change["sostat"] = orderClosed
	}
	if in.TrackingNumber != "" {
		change["sotrack"] = in.TrackingNumber
	}
	if in.Carrier != "" {
		change["shipvia"] = in.Carrier
	}
	p.update("somast", change, "id_col = ?", o.ID)
}

// orderNumber is the caller's number of an order: the whole of it where the integration keeps it, else what the column holds.
func (c *clerk) orderNumber(o *order) string {
	var known []string
	c.all(&known, "SELECT extref FROM cyb_xref WHERE company = ? AND entity = 'order' AND trim(erpkey) = ?", c.server.config.Company, ours(o.Sono))
	if len(known) > 0 {
		return known[0]
	}
	return string(o.Ponum)
}

// invoiceID gives an invoice or credit memo the id_col that a change begun earlier has taken, if one was.
func (c *clerk) invoiceID(r row) row {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.reserved == 0 {
		return r
	}
	r["id_col"] = c.server.reserved
	begun := c.now.Add(-c.server.late)
	r["adddate"], r["addtime"] = begun.Format("2006-01-02"), begun.Format("15:04:05")
	c.server.reserved, c.server.late = 0, 0
	return r
}

type orderInput struct {
	SalesOrder, OrderNumber, CustomerCode string
	Action                                string // Hold, Release, Cancel
	Reason                                string
}

type orderAnswer struct {
	success
	SalesOrder, OrderStatus string
}

// setOrder is a person who holds, releases or cancels an order at the screen.
func (c *clerk) setOrder(in *orderInput) (any, error) {
	if !slices.Contains([]string{"Hold", "Release", "Cancel"}, in.Action) {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Action takes Hold, Release, Cancel")
	}
	if err := checkText("Reason", in.Reason, 65); err != nil {
		return nil, err
	}
	sono, custno, err := c.orderAndBuyer(in.SalesOrder, in.OrderNumber, in.CustomerCode)
	if err != nil {
		return nil, err
	}
	buyer, err := c.customer(custno)
	if err != nil {
		return nil, err
	}
	stock := c.stock(placesOf(c.lines(sono))...)
	o, err := c.order(sono)
	if err != nil {
		return nil, err
	}
	if !o.takes() {
		return nil, refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s is %s", o.Sono, strings.ToLower(statusDescription(o.status())))
	}
	if err := c.mark(in, o, buyer, stock); err != nil {
		return nil, err
	}
	c.comment(sono, in)
	return orderAnswer{done(), ours(o.Sono), o.status()}, c.err
}

func (c *clerk) mark(in *orderInput, o *order, buyer *customer, stock map[place]*stock) error {
	switch in.Action {
	case "Hold":
		o.Orderstat = markHeld
	case "Release":
		if o.status() != "H" {
			return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s is not on hold", o.Sono)
		}
		o.Orderstat = ""
	case "Cancel":
		return c.cancel(o, buyer, stock)
	}
	c.update("somast", row{"orderstat": string(o.Orderstat)}, "id_col = ?", o.ID)
	return nil
}

// cancel gives back what an order has taken of stock and credit. An order that was shipped from stays.
func (c *clerk) cancel(o *order, buyer *customer, stock map[place]*stock) error {
	lines := c.lines(number(string(o.Sono)))
	for _, l := range lines {
		if l.Qtyshp.IsPositive() {
			return refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s was shipped from", o.Sono)
		}
	}
	for _, l := range lines {
		if item := stock[l.place()]; l.stocked() && l.Sostat == orderOpen && item != nil {
			c.move(item, decimal.Zero, l.Qtyord.Neg(), "", "")
		}
	}
	sono := number(string(o.Sono))
	c.update("somast", row{"sostat": orderCancelled}, "id_col = ?", o.ID)
	c.update("sotran", row{"sostat": orderCancelled}, "sono = ?", sono)
	c.owes(buyer, decimal.Zero, o.Ordamt.Neg())
	o.Sostat = orderCancelled
	return nil
}

// comment notes why an order was held or cancelled.
func (c *clerk) comment(sono string, in *orderInput) {
	if in.Reason == "" {
		return
	}
	var last int
	c.get(&last, "SELECT coalesce(max(seq), 0) FROM socomm WHERE sono = ?", sono)
	text := []rune(in.Action + ": " + in.Reason)
	c.insert("socomm", row{"sono": sono, "seq": last + 1, "comment": string(text[:min(len(text), 65)])})
}
