package sagepro

import (
	"context"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
)

const (
	streamShipments = "shipments"
	// streamShipped has a row for each order that was seen finished.
	streamShipped = "shipments.done"
)

// ListShipments lists what people have shipped of the orders that were made here, by its last change. In Sage Pro a shipment that is posted is an
// invoice; those that this adapter made itself are none: nobody has said that goods left.
func (c *Client) ListShipments(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[canonical.Shipment], error) {
	l := &shipmentLook{client: c}
	return list(ctx, c, "ListShipments", query, feed[canonical.Shipment]{name: streamShipments, look: l.look, keep: l.keep,
		more: func() bool { return len(l.marks) > 0 }})
}

// shipmentLook looks at shipments.
type shipmentLook struct {
	client *Client
	marks  map[string]string // the states of orders in streamShipped that are not what they are to be
}

// look gives shipments as they stand: those of orders that are not finished, or those that are named.
func (l *shipmentLook) look(ctx context.Context, q querier, numbers []string) (map[string]sight[canonical.Shipment], error) {
	var orders map[string]string // our order number by the ERP's
	var err error
	if numbers == nil {
		orders, err = q.unshipped(ctx)
	} else {
		orders, err = q.ordersOfInvoices(ctx, numbers)
	}
	if err != nil {
		return nil, err
	}
	of, err := q.readShipped(ctx, l.client, orders)
	if err != nil {
		return nil, err
	}
	marked, err := q.noted(ctx, streamShipped, slices.Collect(maps.Keys(orders)))
	if err != nil {
		return nil, err
	}
	l.marks = map[string]string{}
	seen := map[string]sight[canonical.Shipment]{}
	for number, order := range of {
		for _, each := range order.shipments(l.client) {
			seen[each.document.Number] = each
		}
		state := ""
		if order.header.finished() {
			state = stateFinished
		}
		if state != string(marked[number].State) {
			l.marks[number] = state
		}
	}
	return seen, nil
}

// keep marks the orders that are finished.
func (l *shipmentLook) keep(ctx context.Context, t *tx) error {
	at, err := databaseTime(ctx, t.querier)
	if err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(l.marks)) {
		if err := t.writeChange(ctx, streamShipped, number, row{"print": "", "state": l.marks[number], "changed": at}); err != nil {
			return err
		}
	}
	return nil
}

// unshipped lists the orders of ours that are to be looked at.
func (q querier) unshipped(ctx context.Context) (map[string]string, error) {
	ours, err := q.unfinished(ctx, entityOrder, streamShipped)
	orders := map[string]string{}
	for _, each := range ours {
		orders[string(each.ErpKey)] = string(each.ExtRef)
	}
	return orders, err
}

// ordersOfInvoices gives the orders of ours that invoices are of.
func (q querier) ordersOfInvoices(ctx context.Context, invoices []string) (map[string]string, error) {
	found, err := inBoth[invoiceRow](ctx, q, "armast", invoiceColumns, "invno", invoices)
	if err != nil {
		return nil, err
	}
	numbers := make([]string, 0, len(found))
	for _, each := range found {
		numbers = append(numbers, string(each.OrNum))
	}
	ours, err := q.xrefsIn(ctx, entityOrder, "erpkey", distinct(numbers))
	orders := map[string]string{}
	for _, each := range ours {
		orders[string(each.ErpKey)] = string(each.ExtRef)
	}
	return orders, err
}

// shippedOrder is an order with all that was invoiced of it.
type shippedOrder struct {
	header   orderRow
	ours     string // its number with us
	lines    map[whole]lineRow
	invoices []postedInvoice // the oldest first
}

// postedInvoice is an invoice, and who posted it.
type postedInvoice struct {
	invoiceRow
	AddUser text `db:"adduser"`

	goods    []invoiceLine
	madeHere bool
}

const postedColumns = "{@: id_col invno custno invdte artype arstat ornum sotrack adduser}, {@moved} AS moved"

// readShipped reads orders with their invoices, each kind of row at once.
func (q querier) readShipped(ctx context.Context, c *Client, numbers map[string]string) (map[string]*shippedOrder, error) {
	keys := make([]string, 0, len(numbers))
	for number := range numbers {
		keys = append(keys, number)
	}
	headers, err := inBoth[orderRow](ctx, q, "somast", orderColumns, "sono", keys)
	if err != nil {
		return nil, err
	}
	orders := map[string]*shippedOrder{}
	for _, header := range headers {
		orders[string(header.SoNo)] = &shippedOrder{header: header, ours: numbers[string(header.SoNo)], lines: map[whole]lineRow{}}
	}
	lines, err := inBoth[lineRow](ctx, q, "sotran", lineColumns, "sono", keys)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if order := orders[string(line.SoNo)]; order != nil {
			order.lines[line.TranLineNo] = line
		}
	}
	return orders, q.readInvoices(ctx, c, orders, keys)
}

func (q querier) readInvoices(ctx context.Context, c *Client, orders map[string]*shippedOrder, keys []string) error {
	invoices, err := inBoth[postedInvoice](ctx, q, "armast", postedColumns, "ornum", keys)
	if err != nil {
		return err
	}
	invoices = slices.DeleteFunc(invoices, func(i postedInvoice) bool { return i.ArType != typeInvoice })
	numbers := make([]string, 0, len(invoices))
	for _, each := range invoices {
		numbers = append(numbers, string(each.InvNo))
	}
	ours, err := q.madeHere(ctx, numbers)
	if err != nil {
		return err
	}
	lines, err := inBoth[invoiceLine](ctx, q, "artran", "{@: invno tranlineno item qtyshp}, {@moved} AS moved", "invno", numbers)
	if err != nil {
		return err
	}
	goods := map[text][]invoiceLine{}
	for _, line := range lines {
		goods[line.InvNo] = append(goods[line.InvNo], line)
	}
	slices.SortFunc(invoices, func(a, b postedInvoice) int { return a.compare(b.invoiceRow) })
	for _, each := range invoices {
		if order := orders[string(each.OrNum)]; order != nil {
			each.goods = goods[each.InvNo]
			each.madeHere = ours[each.InvNo] || foldCode(string(each.AddUser)) == foldCode(c.config.User)
			order.invoices = append(order.invoices, each)
		}
	}
	return nil
}

// madeHere tells which invoices this adapter has made, where the site keeps no audit columns that would tell. What people have invoiced and this
// adapter adopted is then taken for its own.
func (q querier) madeHere(ctx context.Context, invoices []string) (map[text]bool, error) {
	if _, told := q.site.column("armast", "adduser"); told {
		return nil, nil //nolint:nilnil // the invoices tell it themselves
	}
	made, err := q.xrefsIn(ctx, entityInvoice, "erpkey", invoices)
	all := map[text]bool{}
	for _, each := range made {
		all[each.ErpKey] = true
	}
	return all, err
}

// shipments tells what left the house with each invoice. One is partial while something of the order is still to come after it.
func (o *shippedOrder) shipments(c *Client) []sight[canonical.Shipment] {
	var all []sight[canonical.Shipment]
	left := map[whole]decimal.Decimal{}
	for number, line := range o.lines {
		if !line.freight(c) {
			left[number] = line.OrigQtyOrd.Decimal
		}
	}
	for _, invoice := range o.invoices {
		void := invoice.ArStat == statVoid
		shipment := canonical.Shipment{Number: string(invoice.InvNo), SalesOrder: string(o.header.SoNo), OrderID: o.ours, Carrier: string(o.header.ShipVia),
			Tracking: string(invoice.SoTrack), ShippedOn: string(invoice.InvDte), Invoice: string(invoice.InvNo)}
		if shipment.Tracking == "" {
			shipment.Tracking = string(o.header.SoTrack)
		}
		for _, line := range invoice.goods {
			if o.lines[line.TranLineNo].freight(c) || !line.QtyShp.IsPositive() {
				continue
			}
			shipment.Lines = append(shipment.Lines, canonical.ShipmentLine{LineNumber: int(line.TranLineNo), StockCode: string(line.Item), Quantity: line.QtyShp.Decimal})
			if !void {
				left[line.TranLineNo] = left[line.TranLineNo].Sub(line.QtyShp.Decimal)
			}
		}
		slices.SortFunc(shipment.Lines, func(a, b canonical.ShipmentLine) int { return a.LineNumber - b.LineNumber })
		for _, rest := range left {
			shipment.Partial = shipment.Partial || rest.IsPositive()
		}
		gone := void || len(shipment.Lines) == 0 || invoice.madeHere
		all = append(all, sight[canonical.Shipment]{document: shipment, gone: gone, finished: o.header.finished()})
	}
	return all
}
