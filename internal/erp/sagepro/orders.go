package sagepro

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// The statuses of a sales order as processes see them: sostat where it says anything, else what the site's hold column says.
const (
	statusOpen      = "O"
	statusReady     = "R" // to be invoiced
	statusHeld      = "H"
	statusClosed    = "C" // nothing is open any more
	statusCancelled = "X"
	statusVoid      = "V"
)

// orderRow is what this package reads of SOMAST, or of its history.
type orderRow struct {
	IDCol     whole  `db:"id_col"`
	SoNo      text   `db:"sono"`
	CustNo    text   `db:"custno"`
	SoDate    day    `db:"sodate"`
	PoNum     text   `db:"ponum"`
	ShipVia   text   `db:"shipvia"`
	PTerms    text   `db:"pterms"`
	Tax       amount `db:"tax"`
	OrdAmt    amount `db:"ordamt"` // still open, tax included
	ShpAmt    amount `db:"shpamt"` // invoiced
	SoStat    text   `db:"sostat"`
	SoType    text   `db:"sotype"`
	LoctID    text   `db:"loctid"`
	CurrID    text   `db:"currid"`
	ExchRat   amount `db:"exchrat"`
	SoTrack   text   `db:"sotrack"`
	OrderStat text   `db:"orderstat"`
	Moved     whole  `db:"moved"` // 1: in history
	recordLock

	unlock row // takes a stale record lock away with the next write
}

const (
	orderColumns = "{@: id_col sono custno sodate ponum shipvia pterms tax ordamt shpamt sostat sotype loctid currid exchrat sotrack orderstat " + lockColumns + "}, {@moved} AS moved"
	lineColumns  = "{@: id_col sono tranlineno item descrip price cost qtyord origqtyord qtyshp extprice taxable sostat sotype stkcode loctid}, {@moved} AS moved"
)

// lineRow is what this package reads of SOTRAN, or of its history.
type lineRow struct {
	IDCol      whole  `db:"id_col"`
	SoNo       text   `db:"sono"`
	TranLineNo whole  `db:"tranlineno"`
	Item       text   `db:"item"`
	Descrip    text   `db:"descrip"`
	Price      amount `db:"price"`
	Cost       amount `db:"cost"`
	QtyOrd     amount `db:"qtyord"` // still open
	OrigQtyOrd amount `db:"origqtyord"`
	QtyShp     amount `db:"qtyshp"`
	ExtPrice   amount `db:"extprice"` // of the whole line
	Taxable    flag   `db:"taxable"`
	SoStat     text   `db:"sostat"`
	SoType     text   `db:"sotype"`
	StkCode    flag   `db:"stkcode"` // kept in stock
	LoctID     text   `db:"loctid"`
	Moved      whole  `db:"moved"` // 1: in history
}

func (o *orderRow) itself() (text, whole) { return o.SoNo, o.Moved }

func (l *lineRow) itself() (text, whole) { return lineOf(l.SoNo, l.TranLineNo), l.Moved }

// lineOf names a line of a document.
func lineOf(document text, line whole) text { return document + "/" + text(strconv.Itoa(int(line))) }

func (l lineRow) place() place { return place{foldCode(string(l.Item)), foldCode(string(l.LoctID))} }

// freight tells whether a line is the one that freight became: no goods.
func (l lineRow) freight(c *Client) bool {
	return !bool(l.StkCode) && foldCode(string(l.Item)) == c.config.FreightItem
}

// status of an order in one letter.
func (o orderRow) status(c *Client) string {
	switch mark := string(o.OrderStat); {
	case o.SoStat != "":
		return string(o.SoStat)
	case isOneOf(mark, c.hold.Held), isOneOf(mark, c.hold.AlsoHeld...):
		return statusHeld
	case isOneOf(mark, c.hold.Ready):
		return statusReady
	default:
		return statusOpen
	}
}

// isOneOf compares what people have written, in capitals or not.
func isOneOf(written string, values ...string) bool {
	return slices.ContainsFunc(values, func(value string) bool { return strings.EqualFold(written, value) })
}

// cancelled tells whether nothing will come of an order any more.
func (o orderRow) cancelled() bool { return o.SoStat == statusCancelled || o.SoStat == statusVoid }

// mark is what the hold column holds for a state.
func (c *Client) mark(state erp.SalesOrderState) (string, bool) {
	switch state {
	case erp.SalesOrderOpen:
		return c.hold.Open, true
	case erp.SalesOrderReady:
		return c.hold.Ready, true
	case erp.SalesOrderHold:
		return c.hold.Held, true
	default:
		return "", false
	}
}

// longestOrder is the length of our order number: that of the reference that keeps the whole of it where ponum can't.
const longestOrder = longestRef

// FindSalesOrder looks a sales order up by Sage Pro's number or by ours, in current and history. Our number is looked for among the orders
// that were made here, then as the purchase order number that people may have typed; several of that are a Conflict.
func (c *Client) FindSalesOrder(ctx context.Context, ref erp.SalesOrderRef) (canonical.SalesOrder, error) {
	if ref.Number == "" && ref.OrderNumber == "" {
		return canonical.SalesOrder{}, c.bug("a sales order look-up needs a number")
	}
	var found canonical.SalesOrder
	err := c.read(ctx, "FindSalesOrder", func(ctx context.Context, q querier) error {
		order, err := c.orderBy(ctx, q, ref)
		if err != nil {
			return err
		}
		found, err = c.salesOrder(ctx, q, order)
		return err
	})
	return found, err
}

// orderBy finds an order; NotFound if there is none.
func (c *Client) orderBy(ctx context.Context, q querier, ref erp.SalesOrderRef) (orderRow, error) {
	number := ref.Number
	if number == "" {
		x, err := q.xrefOf(ctx, entityOrder, ref.OrderNumber)
		if err != nil {
			return orderRow{}, err
		}
		if x == nil {
			return c.orderByPoNum(ctx, q, ref)
		}
		number = string(x.ErpKey)
	}
	order, err := c.orderOf(ctx, q, number)
	if err == nil && ref.CustomerCode != "" && foldCode(ref.CustomerCode) != foldCode(string(order.CustNo)) {
		return orderRow{}, c.notFound(codeOrder, "the customer has no sales order of this number")
	}
	return order, err
}

// orderOf finds an order by its number, in current or history; NotFound if there is none.
func (c *Client) orderOf(ctx context.Context, q querier, number string) (orderRow, error) {
	var found []orderRow
	err := q.listBoth(ctx, &found, "somast", "SELECT "+orderColumns+" FROM {@} WHERE {@.sono} = ?", q.value("somast.sono", number))
	if err != nil {
		return orderRow{}, err
	}
	if len(found) == 0 {
		return orderRow{}, c.notFound(codeOrder, "the ERP has no sales order "+boundedName(number))
	}
	return found[0], nil
}

func (c *Client) orderByPoNum(ctx context.Context, q querier, ref erp.SalesOrderRef) (orderRow, error) {
	found, err := q.ordersByPoNum(ctx, ref.OrderNumber, ref.CustomerCode)
	switch {
	case err != nil:
		return orderRow{}, err
	case len(found) == 0:
		return orderRow{}, c.notFound(codeOrder, "no sales order has this order number")
	case len(found) > 1:
		return orderRow{}, c.refuse(fault.Conflict, codeAmbiguous, "several sales orders have this order number")
	}
	return found[0], nil
}

// ordersByPoNum finds orders, not bids or returns, by the purchase order number that ours becomes. Those that were made here under another number
// are left out: to take one for this would be to lose an order.
func (q querier) ordersByPoNum(ctx context.Context, orderNumber, customer string) ([]orderRow, error) {
	query := "SELECT " + orderColumns + " FROM {@} WHERE {@.ponum} = ? AND {@.sotype} IN ('', 'O')"
	arguments := []any{q.value("somast.ponum", q.fitted("somast", "ponum", orderNumber))}
	if customer != "" {
		query += " AND {@.custno} = ?"
		arguments = append(arguments, q.value("somast.custno", customer))
	}
	found, err := listOnce[orderRow](ctx, q, "somast", query, arguments...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	numbers := make([]string, 0, len(found))
	for _, order := range found {
		numbers = append(numbers, string(order.SoNo))
	}
	ours, err := q.xrefsIn(ctx, entityOrder, "erpkey", numbers)
	others := map[text]bool{}
	for _, each := range ours {
		others[each.ErpKey] = others[each.ErpKey] || string(each.ExtRef) != extRef(orderNumber)
	}
	return slices.DeleteFunc(found, func(order orderRow) bool { return others[order.SoNo] }), err
}

// linesOf gives an order's lines by their number, from current or history.
func (q querier) linesOf(ctx context.Context, number string) ([]lineRow, error) {
	found, err := listOnce[lineRow](ctx, q, "sotran", "SELECT "+lineColumns+" FROM {@} WHERE {@.sono} = ?", q.value("sotran.sono", number))
	slices.SortFunc(found, func(a, b lineRow) int { return int(a.TranLineNo - b.TranLineNo) })
	return found, err
}

// salesOrder is an order as processes see it. Freight is no line of it.
func (c *Client) salesOrder(ctx context.Context, q querier, o orderRow) (canonical.SalesOrder, error) {
	order := canonical.SalesOrder{Number: string(o.SoNo), OrderNumber: string(o.PoNum), CustomerCode: string(o.CustNo), Status: o.status(c),
		Total: o.OrdAmt.Add(o.ShpAmt.Decimal), Currency: string(o.CurrID)}
	order.OnHold = order.Status == statusHeld
	ours, err := q.xrefOfKey(ctx, entityOrder, order.Number)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	if ours != nil { // where ponum had no room for all of it
		order.OrderNumber = string(ours.ExtRef)
	}
	lines, err := q.linesOf(ctx, order.Number)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	for _, line := range lines {
		if line.freight(c) {
			continue
		}
		short, err := q.backOrdered(ctx, line)
		if err != nil {
			return canonical.SalesOrder{}, err
		}
		written := canonical.SalesOrderLine{LineNumber: int(line.TranLineNo), StockCode: string(line.Item), Quantity: line.OrigQtyOrd.Decimal,
			Shipped: line.QtyShp.Decimal, BackOrdered: short}
		if line.SoStat == "" {
			written.Allocated = line.QtyOrd.Sub(short)
		}
		order.Lines = append(order.Lines, written)
	}
	order.Invoice, err = q.lastInvoice(ctx, order.Number)
	return order, err
}

// backOrdered tells how much of a line has to wait for stock. Stock goes to the oldest line first: what this and all older open lines of the
// item in the location want beyond what is on hand.
func (q querier) backOrdered(ctx context.Context, line lineRow) (decimal.Decimal, error) {
	if !bool(line.StkCode) || line.SoStat != "" || !line.QtyOrd.IsPositive() {
		return decimal.Zero, nil
	}
	at := line.place()
	var stock []stockRow
	err := q.list(ctx, &stock, "SELECT {iciloc: item loctid lonhand lsoaloc} FROM {iciloc} WHERE {iciloc.item} = ? AND {iciloc.loctid} = ?",
		q.value("iciloc.item", at.item), q.value("iciloc.loctid", at.location))
	if err != nil {
		return decimal.Zero, err
	}
	if len(stock) == 0 {
		return line.QtyOrd.Decimal, nil
	}
	if stock[0].LSoAloc.LessThanOrEqual(stock[0].LOnHand.Decimal) {
		return decimal.Zero, nil // there is enough for all that was promised: nobody need be asked who comes first
	}
	var wanted []amount
	err = q.list(ctx, &wanted, "SELECT {sotran: qtyord} FROM {sotran} WHERE {sotran.item} = ? AND {sotran.loctid} = ? AND {sotran.id_col} <= ?"+
		" AND {sotran.sostat} = '' AND {sotran.sotype} IN ('', 'O') AND {sotran.stkcode} = ?",
		q.value("sotran.item", at.item), q.value("sotran.loctid", at.location), q.value("sotran.id_col", line.IDCol), q.value("sotran.stkcode", true))
	if err != nil {
		return decimal.Zero, err
	}
	sum := decimal.Zero
	for _, each := range wanted {
		sum = sum.Add(each.Decimal)
	}
	return decimal.Max(decimal.Zero, decimal.Min(sum.Sub(stock[0].LOnHand.Decimal), line.QtyOrd.Decimal)), nil
}

// lockOrder locks an order's row and reads it. One that is not there is a MissingReference, one that a person has open is Busy. What the period
// close moved to history is given without a lock: nothing changes it any more.
func (t *tx) lockOrder(ctx context.Context, number string) (orderRow, error) {
	var found []orderRow
	err := t.list(ctx, &found, "SELECT "+of(orderColumns, "somast", "0")+" FROM {somast!} WHERE {somast.sono} = ?{lock}", t.value("somast.sono", number))
	if err != nil {
		return orderRow{}, err
	}
	if len(found) == 0 {
		moved, err := t.client.orderOf(ctx, t.querier, number)
		return moved, absent(err)
	}
	order := found[0]
	order.unlock, err = order.free(t.client, "sales order "+string(order.SoNo))
	return order, err
}

// ChangeSalesOrder moves an order to a state. One that is there already is left alone; one that is cancelled or closed takes no state.
func (c *Client) ChangeSalesOrder(ctx context.Context, key string, change erp.SalesOrderChange) (canonical.SalesOrder, error) {
	mark, known := c.mark(change.State)
	if !known {
		return canonical.SalesOrder{}, c.bug("unknown sales order state")
	}
	return mutate(ctx, c, key, "ChangeSalesOrder", change, func(ctx context.Context, t *tx) (canonical.SalesOrder, error) {
		order, err := t.mark(ctx, change.Number, mark)
		if err != nil {
			return canonical.SalesOrder{}, err
		}
		return c.salesOrder(ctx, t.querier, order)
	})
}

// mark writes what the hold column is to hold.
func (t *tx) mark(ctx context.Context, number, mark string) (orderRow, error) {
	order, err := t.lockOrder(ctx, number)
	switch {
	case err != nil:
		return order, err
	case order.SoStat != "":
		return order, t.client.refuse(fault.Conflict, codeStatus, "the sales order is "+closedWord(order))
	case string(order.OrderStat) == mark, mark == t.client.hold.Held && order.status(t.client) == statusHeld:
		return order, nil
	}
	order.OrderStat = text(mark)
	return order, t.updateOne(ctx, "somast", row{"sono": order.SoNo}, merged(order.unlock, row{"orderstat": mark}))
}

func closedWord(o orderRow) string {
	if o.cancelled() {
		return "cancelled"
	}
	return "closed"
}

// CancelSalesOrder cancels an order that nothing was shipped or invoiced of, and gives back what it took of stock and credit. A cancelled one is
// left alone.
func (c *Client) CancelSalesOrder(ctx context.Context, key string, cancellation erp.SalesOrderCancellation) (canonical.SalesOrder, error) {
	return mutate(ctx, c, key, "CancelSalesOrder", cancellation, func(ctx context.Context, t *tx) (canonical.SalesOrder, error) {
		order, err := c.orderOf(ctx, t.querier, cancellation.Number)
		if err != nil {
			return canonical.SalesOrder{}, absent(err)
		}
		if !order.cancelled() {
			if order, err = t.cancel(ctx, order, cancellation.Reason); err != nil {
				return canonical.SalesOrder{}, err
			}
		}
		return c.salesOrder(ctx, t.querier, order)
	})
}

func (t *tx) cancel(ctx context.Context, seen orderRow, reason string) (orderRow, error) {
	number := string(seen.SoNo)
	buyer, err := t.lockCustomer(ctx, string(seen.CustNo))
	if err != nil {
		return seen, err
	}
	lines, err := t.linesOf(ctx, number)
	if err != nil {
		return seen, err
	}
	moves := map[place]movement{}
	for _, line := range lines {
		if line.QtyShp.IsPositive() {
			return seen, t.notCancellable("goods of the sales order were shipped")
		}
		if bool(line.StkCode) && line.SoStat == "" {
			move := moves[line.place()]
			move.allocated = move.allocated.Sub(line.QtyOrd.Decimal)
			moves[line.place()] = move
		}
	}
	if err := t.moveStock(ctx, moves, nil); err != nil {
		return seen, err
	}
	order, err := t.lockOrder(ctx, number)
	if err != nil || order.cancelled() {
		return order, err
	}
	if order.SoStat != "" || order.ShpAmt.IsPositive() {
		return order, t.notCancellable("the sales order is invoiced")
	}
	if err := t.unchanged(ctx, number, lines); err != nil {
		return order, err
	}
	if err := t.setCustomer(ctx, buyer, row{"onorder": buyer.OnOrder.Sub(order.OrdAmt.Decimal)}); err != nil {
		return order, err
	}
	if _, err := t.update(ctx, "sotran", row{"sono": order.SoNo}, row{"sostat": statusCancelled}); err != nil {
		return order, err
	}
	if err := t.updateOne(ctx, "somast", row{"sono": order.SoNo}, merged(order.unlock, row{"sostat": statusCancelled})); err != nil {
		return order, err
	}
	order.SoStat = statusCancelled
	return order, t.note(ctx, number, "Cancel: ", reason)
}

// unchanged refuses to go on where lines were changed between being read, for the stock that they move and what they cost, and the lock of their order.
func (t *tx) unchanged(ctx context.Context, number string, lines []lineRow) error {
	now, err := t.linesOf(ctx, number)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(lines, now, func(a, b lineRow) bool {
		return a.TranLineNo == b.TranLineNo && a.QtyOrd.Equal(b.QtyOrd.Decimal) && a.QtyShp.Equal(b.QtyShp.Decimal) && a.ExtPrice.Equal(b.ExtPrice.Decimal) &&
			a.SoStat == b.SoStat && a.StkCode == b.StkCode && a.place() == b.place()
	})
	if !same {
		return t.client.refuse(fault.Busy, codeLocked, "somebody else was at the lines of sales order "+number)
	}
	return nil
}

func (t *tx) notCancellable(why string) error {
	return t.client.refuse(fault.Conflict, codeNotCancellable, why)
}

// note adds a comment line to an order, where the site has such lines.
func (t *tx) note(ctx context.Context, number, title, text string) error {
	if text == "" || !t.site.keeps("socomm") {
		return nil
	}
	column, _ := t.site.column("socomm", "comment")
	if written := []rune(title + text); column.size > 0 && len(written) > column.size {
		return t.client.refuse(fault.Value, codeTooLong, "the reason is too long for a comment line",
			fault.Field{Path: "reason", Rule: fmt.Sprintf("%s: at most %d characters", codeTooLong, column.size-len([]rune(title)))})
	}
	var lines []whole
	if err := t.list(ctx, &lines, "SELECT {socomm: seq} FROM {socomm} WHERE {socomm.sono} = ?", t.value("socomm.sono", number)); err != nil {
		return err
	}
	last := whole(0)
	for _, seq := range lines {
		last = max(last, seq)
	}
	return t.insert(ctx, "socomm", row{"sono": number, "seq": last + 1, "comment": title + text})
}
