package syspro

import (
	"context"
	"net/url"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindSalesOrder looks a sales order up by SYSPRO's number or by ours. An order number that several customers use without a customer code
// is a Conflict.
func (c *Client) FindSalesOrder(ctx context.Context, ref erp.SalesOrderRef) (canonical.SalesOrder, error) {
	got, err := c.findOrder(ctx, ref)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	return got.canonical(), nil
}

func (c *Client) findOrder(ctx context.Context, ref erp.SalesOrderRef) (wireOrder, error) {
	query := url.Values{}
	switch {
	case ref.Number != "":
		query.Set("SalesOrder", ref.Number)
	case ref.OrderNumber != "":
		query.Set("OrderNumber", ref.OrderNumber)
		if ref.CustomerCode != "" {
			query.Set("CustomerCode", ref.CustomerCode)
		}
	default:
		return wireOrder{}, c.bug("a sales order look-up needs a number")
	}
	var got wireOrder
	err := c.get(ctx, pathGetSalesOrder, query, &got)
	return got, err
}

// CreateSalesOrder adds a sales order. One with the same customer and order number is adopted where total and currency are the same and
// it was not cancelled.
func (c *Client) CreateSalesOrder(ctx context.Context, key string, doc erp.Document) (canonical.SalesOrder, error) {
	var wanted struct {
		OrderNumber, CustomerCode, Currency string
		OrderTotal                          number
	}
	if err := c.read(doc, &wanted); err != nil {
		return canonical.SalesOrder{}, err
	}
	var got wireOrder
	exists, err := c.create(ctx, pathAddSalesOrder, key, doc.Body, &got)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	if !exists {
		if !sameReference(got.OrderNumber, wanted.OrderNumber) {
			return canonical.SalesOrder{}, c.mismatched(pathAddSalesOrder)
		}
		order := got.canonical()
		order.Currency = firstOf(order.Currency, wanted.Currency)
		order.CustomerCode = firstOf(order.CustomerCode, wanted.CustomerCode)
		return order, nil
	}
	held, err := c.findOrder(ctx, erp.SalesOrderRef{OrderNumber: wanted.OrderNumber, CustomerCode: wanted.CustomerCode})
	switch {
	case err != nil:
		return canonical.SalesOrder{}, c.unseen(err)
	case held.OrderStatus.Cancelled():
		return canonical.SalesOrder{}, c.different("the order number was used by a sales order that is cancelled")
	case !sameReference(held.OrderNumber, wanted.OrderNumber) || !same(held.OrderTotal, wanted.OrderTotal, held.Currency, wanted.Currency):
		return canonical.SalesOrder{}, c.different("a sales order of this number exists with another total or currency")
	}
	return held.canonical(), nil
}

type orderUpdate struct {
	SalesOrder       string
	Action           string
	OrderStatus      OrderStatus `json:",omitempty"` // SetStatus: the new status
	CreditAuthority  string      `json:",omitempty"` // Release
	CancelReasonCode string      `json:",omitempty"` // Cancel
}

// ChangeSalesOrder moves an order to a state: out of suspense by Release, which tells who takes the credit on him, else by SetStatus. An
// order that is there already is left alone.
func (c *Client) ChangeSalesOrder(ctx context.Context, key string, change erp.SalesOrderChange) (canonical.SalesOrder, error) {
	status := statusOf(change.State)
	if status == "" {
		return canonical.SalesOrder{}, c.bug("unknown sales order state")
	}
	return c.updateOrder(ctx, key, change.Number,
		func(held OrderStatus) bool { return held.holds(change.State) },
		func(held OrderStatus) orderUpdate {
			if change.State == erp.SalesOrderOpen && held == StatusSuspense {
				return orderUpdate{Action: actionRelease, CreditAuthority: c.config.CreditAuthority}
			}
			return orderUpdate{Action: actionSetStatus, OrderStatus: status}
		})
}

// CancelSalesOrder cancels an order that was neither picked nor invoiced; a cancelled one is left alone.
func (c *Client) CancelSalesOrder(ctx context.Context, key string, cancellation erp.SalesOrderCancellation) (canonical.SalesOrder, error) {
	return c.updateOrder(ctx, key, cancellation.Number, OrderStatus.Cancelled, func(OrderStatus) orderUpdate {
		return orderUpdate{Action: actionCancel, CancelReasonCode: cancellation.Reason}
	})
}

// updateOrder reads the order first: the answer of an update tells the status alone, and what holds already needs no update. An order
// that is cancelled takes no update at all.
func (c *Client) updateOrder(ctx context.Context, key, orderNumber string, holds func(OrderStatus) bool,
	update func(OrderStatus) orderUpdate,
) (canonical.SalesOrder, error) {
	held, err := c.findOrder(ctx, erp.SalesOrderRef{Number: orderNumber})
	if err != nil {
		return canonical.SalesOrder{}, missing(err)
	}
	if holds(held.OrderStatus) {
		return held.canonical(), nil
	}
	if held.OrderStatus.Cancelled() {
		return canonical.SalesOrder{}, c.refuse(fault.Conflict, "STATUS_CONFLICT", "the sales order is cancelled")
	}
	request := update(held.OrderStatus)
	request.SalesOrder = held.SalesOrder
	body, err := c.write(request)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	var got wireUpdate
	if err := c.post(ctx, pathUpdateSalesOrder, key, body, &got); err != nil {
		return canonical.SalesOrder{}, err
	}
	if !sameKey(got.SalesOrder, held.SalesOrder) {
		return canonical.SalesOrder{}, c.mismatched(pathUpdateSalesOrder)
	}
	held.OrderStatus, held.OnHold = got.OrderStatus, false // the status tells a hold from here on
	return held.canonical(), nil
}
