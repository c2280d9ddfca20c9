package sagepro

import (
	"context"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const streamOrders = "orders"

// ListSalesOrders lists the sales orders that were made here by their last change.
func (c *Client) ListSalesOrders(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[erp.Order], error) {
	return list(ctx, c, "ListSalesOrders", query, feed[erp.Order]{name: streamOrders, look: c.lookAtOrders})
}

// lookAtOrders gives orders as they stand. Where all are looked at, they come without what they have of stock: other orders and the stock room
// change that, and no order would ever be the same.
func (c *Client) lookAtOrders(ctx context.Context, q querier, numbers []string) (map[string]sight[erp.Order], error) {
	if numbers != nil {
		return c.readOrders(ctx, q, numbers)
	}
	ours, err := q.unfinished(ctx, entityOrder, streamOrders)
	if err != nil {
		return nil, err
	}
	numbers = make([]string, 0, len(ours))
	for _, each := range ours {
		numbers = append(numbers, string(each.ErpKey))
	}
	headers, err := inBoth[orderRow](ctx, q, "somast", orderColumns, "sono", numbers)
	if err != nil {
		return nil, err
	}
	lines, err := inBoth[lineRow](ctx, q, "sotran", lineColumns, "sono", numbers)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(lines, func(a, b lineRow) int { return int(a.TranLineNo - b.TranLineNo) }) // no row has a place of its own in a table
	byOrder := map[text][]canonical.SalesOrderLine{}
	for _, line := range lines {
		byOrder[line.SoNo] = append(byOrder[line.SoNo], canonical.SalesOrderLine{LineNumber: int(line.TranLineNo), StockCode: string(line.Item),
			Quantity: line.OrigQtyOrd.Decimal, Shipped: line.QtyShp.Decimal, Allocated: line.QtyOrd.Decimal})
	}
	seen := map[string]sight[erp.Order]{}
	for _, header := range headers {
		order := erp.Order{State: header.state(c), SalesOrder: canonical.SalesOrder{Number: string(header.SoNo), CustomerCode: string(header.CustNo), Status: header.status(c),
			Total: header.OrdAmt.Add(header.ShpAmt.Decimal), Currency: string(header.CurrID), Lines: byOrder[header.SoNo]}}
		seen[order.Number] = sight[erp.Order]{document: order, finished: header.finished()}
	}
	return seen, nil
}

// readOrders gives orders with everything that a process is told of them.
func (c *Client) readOrders(ctx context.Context, q querier, numbers []string) (map[string]sight[erp.Order], error) {
	seen := map[string]sight[erp.Order]{}
	headers, err := inBoth[orderRow](ctx, q, "somast", orderColumns, "sono", numbers)
	if err != nil {
		return nil, err
	}
	for _, header := range headers {
		order, err := c.salesOrder(ctx, q, header)
		if err != nil {
			return nil, err
		}
		told := erp.Order{SalesOrder: order, State: header.state(c)}
		if told.Reason, err = q.reasonOf(ctx, order.Number, told.State); err != nil {
			return nil, err
		}
		seen[order.Number] = sight[erp.Order]{document: told}
	}
	return seen, nil
}

// finished tells whether nothing more is to come of an order.
func (o orderRow) finished() bool { return o.SoStat != "" || o.Moved != 0 }

// state is what an order's status means to a process.
func (o orderRow) state(c *Client) erp.OrderState {
	switch o.status(c) {
	case statusCancelled, statusVoid:
		return erp.OrderCancelled
	case statusClosed:
		return erp.OrderComplete
	case statusHeld:
		return erp.OrderHeld
	case statusReady:
		return erp.OrderReady
	default:
		return erp.OrderOpen
	}
}

// reasonOf is why an order is held or cancelled, as its comment lines tell: "Cancel: FRAUD". The last one counts; "" for none.
func (q querier) reasonOf(ctx context.Context, number string, state erp.OrderState) (string, error) {
	title := map[erp.OrderState]string{erp.OrderHeld: "Hold: ", erp.OrderCancelled: "Cancel: "}[state]
	if title == "" || !q.site.keeps("socomm") {
		return "", nil
	}
	query := "SELECT {socomm: comment} FROM {socomm} WHERE {socomm.sono} = ?"
	if _, counted := q.site.column("socomm", "seq"); counted {
		query += " ORDER BY {socomm.seq}"
	}
	var comments []text
	err := q.list(ctx, &comments, query, q.value("socomm.sono", number))
	reason := ""
	for _, each := range comments {
		if told, fits := strings.CutPrefix(string(each), title); fits {
			reason = told
		}
	}
	return reason, err
}

// entityTracking is that of tracking numbers: extref is the sales order and the number.
const entityTracking = "tracking"

// SetTracking adds a tracking number to a sales order, once: to those that its column has room for, else in their place; comment lines keep all.
func (c *Client) SetTracking(ctx context.Context, key string, tracking erp.Tracking) error {
	if tracking.SalesOrder == "" || strings.TrimSpace(tracking.Number) == "" {
		return c.bug("a tracking number needs a sales order, and a number")
	}
	_, err := mutate(ctx, c, key, "SetTracking", tracking, func(ctx context.Context, t *tx) (struct{}, error) {
		order, err := t.lockOrder(ctx, tracking.SalesOrder)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, t.setTracking(ctx, order, tracking)
	})
	return err
}

func (t *tx) setTracking(ctx context.Context, order orderRow, tracking erp.Tracking) error {
	number, most := strings.TrimSpace(tracking.Number), t.site.size("somast", "sotrack")
	if most > 0 && len(number) > most {
		return t.client.tooLong("number", most)
	}
	held, err := t.claim(ctx, entityTracking, string(order.SoNo)+"/"+number, xref{ErpKey: order.SoNo})
	if err != nil || held != nil {
		return err
	}
	if order.Moved != 0 {
		return t.client.refuse(fault.Conflict, codeStatus, "the sales order was moved to history, where nothing is changed any more")
	}
	values := row{"sotrack": joined(string(order.SoTrack), number, most)}
	if order.ShipVia == "" && tracking.Carrier != "" {
		values["shipvia"] = t.cut("somast", "shipvia", tracking.Carrier)
	}
	if err := t.updateOne(ctx, "somast", row{"sono": order.SoNo}, merged(order.unlock, values)); err != nil {
		return err
	}
	const title = "Tracking: "
	written := []rune(strings.Join(strings.Fields(number+" "+tracking.Carrier+" "+tracking.ShippedOn), " "))
	if room := t.site.size("socomm", "comment") - len(title); room > 0 && len(written) > room {
		written = written[:room]
	}
	return t.note(ctx, string(order.SoNo), title, string(written))
}

// joined adds a number to a list of them, or takes the list's place where both have no room.
func joined(held, number string, most int) string {
	switch {
	case held == "":
		return number
	case held == number || strings.HasSuffix(held, ","+number) || strings.HasPrefix(held, number+",") || strings.Contains(held, ","+number+","):
		return held
	case most > 0 && len(held)+1+len(number) > most:
		return number
	default:
		return held + "," + number
	}
}
