package syspro

import (
	"net/http"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

type updateInput struct {
	SalesOrder, CustomerCode, OrderNumber string
	Action                                string
	OrderStatus, NewOrderStatus           string // SetStatus takes either
	ExpectedOrderStatus                   string
	CreditAuthority                       string
	CancelReasonCode                      string
	SalesOrderLines                       []int
	Tracking                              *tracking
	Payment                               *paymentInput
	ShipToAddress                         *address
}

type updateAnswer struct {
	success
	SalesOrder             string
	OrderNumber            string
	CustomerCode           string
	OrderStatus            string
	OrderStatusDescription string
	OrderTotal             number
	Version                string
	Changed                bool
}

func (in *updateInput) check() *problem {
	var c checks
	c.text("SalesOrder", in.SalesOrder, 20)
	c.text("OrderNumber", in.OrderNumber, 30)
	c.required("Action", in.Action, 20)
	c.oneOf("Action", in.Action, "SetStatus", "Release", "Cancel", "SetTracking", "SetPayment", "SetAddress")
	switch in.Action {
	case "SetStatus":
		c.required("OrderStatus", in.target(), 20)
		c.oneOf("OrderStatus", in.target(), statusOpen, statusWarehouse, statusReady, statusSuspense, statusComplete, statusBackOrder, statusReleased)
	case "Release":
		c.required("CreditAuthority", in.CreditAuthority, 20)
	case "Cancel":
		c.required("CancelReasonCode", in.CancelReasonCode, 10)
	case "SetTracking":
		if in.Tracking == nil {
			c.add(codeMissing, "Tracking", "Tracking is required")
			break
		}
		c.required("Tracking.TrackingNumber", in.Tracking.TrackingNumber, 50)
		c.text("Tracking.Carrier", in.Tracking.Carrier, 30)
		c.optionalDate("Tracking.ShippedDate", in.Tracking.ShippedDate)
	case "SetPayment":
		if in.Payment == nil {
			c.add(codeMissing, "Payment", "Payment is required")
			break
		}
		c.payment(in.Payment)
	case "SetAddress":
		if in.ShipToAddress == nil {
			c.add(codeMissing, "ShipToAddress", "ShipToAddress is required")
			break
		}
		c.address("ShipToAddress", *in.ShipToAddress)
	}
	return c.problem()
}

func (in *updateInput) target() string {
	if in.NewOrderStatus != "" {
		return namedStatus(in.NewOrderStatus)
	}
	return namedStatus(in.OrderStatus)
}

func (s *Server) updateSalesOrder(c *change, in *updateInput) (int, any, *problem) {
	if p := in.check(); p != nil {
		return 0, nil, p
	}
	o, p := s.state.findOrder(in.SalesOrder, in.OrderNumber, in.CustomerCode)
	if p != nil {
		return 0, nil, p
	}
	changed := !s.holds(o, in)
	if changed {
		if want := namedStatus(in.ExpectedOrderStatus); want != "" && want != o.OrderStatus {
			p := refuse(http.StatusConflict, codeStatusConflict, "the order is in status %s", o.OrderStatus).
				at("ExpectedOrderStatus", o.OrderStatus).by("SORTOS", "")
			p.faults[0].OrderStatus = o.OrderStatus
			return 0, nil, p
		}
		if p := s.applyUpdate(c, o, in); p != nil {
			return 0, nil, p
		}
		s.state.touchOrder(c, o)
	}
	return http.StatusOK, updateAnswer{
		c.success(), o.SalesOrder, o.OrderNumber, o.CustomerCode, o.OrderStatus, o.OrderStatusDescription, o.OrderTotal, o.Version, changed,
	}, nil
}

// holds tells whether the order is already as the update wants it: a repeat is a success whatever has been expected.
func (s *Server) holds(o *order, in *updateInput) bool {
	switch in.Action {
	case "SetStatus":
		return o.OrderStatus == in.target() || in.target() == statusOpen && o.OrderStatus == statusBackOrder
	case "Release":
		return o.OrderStatus == statusOpen || o.OrderStatus == statusBackOrder || o.OrderStatus == statusReleased
	case "Cancel":
		if len(in.SalesOrderLines) == 0 {
			return o.cancelled()
		}
		return !slices.ContainsFunc(in.SalesOrderLines, func(n int) bool { l := o.line(n); return l == nil || !l.Cancelled })
	case "SetTracking":
		return slices.Contains(o.Tracking, *in.Tracking)
	case "SetPayment":
		tried := o.Payment
		return !tried.merge(in.Payment, o.Currency)
	default:
		return o.ShipToAddress == *in.ShipToAddress
	}
}

func (o *order) line(salesOrderLine int) *orderLine {
	if salesOrderLine < 1 || salesOrderLine > len(o.LineItems) {
		return nil
	}
	return o.LineItems[salesOrderLine-1]
}

func (s *Server) applyUpdate(c *change, o *order, in *updateInput) *problem {
	switch in.Action {
	case "SetStatus":
		return o.moveTo(in.target())
	case "Release":
		if o.OrderStatus != statusSuspense {
			return unprocessable(codeBusinessRule, "an order in status %s has nothing to release", o.OrderStatus).by("SORTOS", "")
		}
		o.setStatus(o.openStatus())
		return nil
	case "Cancel":
		return s.cancel(c, o, in)
	case "SetTracking":
		if o.cancelled() {
			return unprocessable(codeBusinessRule, "the order is cancelled").by("SORTOI", "")
		}
		o.Tracking = append(o.Tracking, *in.Tracking)
		return nil
	case "SetPayment":
		o.Payment.merge(in.Payment, o.Currency)
		return nil
	default:
		if o.cancelled() || o.OrderStatus == statusComplete {
			return unprocessable(codeBusinessRule, "an order in status %s keeps its address", o.OrderStatus).by("SORTOI", "")
		}
		o.ShipToAddress = *in.ShipToAddress
		return nil
	}
}

func (o *order) moveTo(status string) *problem {
	if !slices.Contains(transitions(o.OrderStatus), status) {
		return unprocessable(codeBusinessRule, "an order in status %s can't be set to %s", o.OrderStatus, status).
			at("OrderStatus", status).by("SORTOS", "")
	}
	if status == statusOpen {
		status = o.openStatus()
	}
	o.setStatus(status)
	return nil
}

// cancel cancels the order, or some of its lines. What the lines held goes back to stock.
func (s *Server) cancel(c *change, o *order, in *updateInput) *problem {
	if o.OrderStatus == statusWarehouse || o.OrderStatus == statusReady || o.OrderStatus == statusComplete || o.cancelled() || o.shipped() {
		return unprocessable("ORDER_NOT_CANCELLABLE", "an order in status %s can't be cancelled", o.OrderStatus).by("SORTOX", "")
	}
	lines := o.LineItems
	if len(in.SalesOrderLines) > 0 {
		lines = nil
		for _, n := range in.SalesOrderLines {
			l := o.line(n)
			if l == nil {
				return refuse(http.StatusBadRequest, codeInvalid, "there is no line %d", n).at("SalesOrderLines", "")
			}
			lines = append(lines, l)
		}
	}
	before := o.OrderTotal.Decimal
	for _, l := range lines {
		s.cancelLine(c, o, l)
	}
	o.CancelReasonCode = strings.TrimSpace(in.CancelReasonCode)
	if !slices.ContainsFunc(o.LineItems, func(l *orderLine) bool { return !l.Cancelled }) {
		o.OrderTotal = money(before, o.Currency) // a cancelled order shows what it was worth
		o.setStatus(statusCancelled)
		s.ordered(c, o, before.Neg())
		return nil
	}
	s.ordered(c, o, o.OrderTotal.Sub(before))
	if o.OrderStatus != statusSuspense {
		o.setStatus(o.openStatus())
	}
	return nil
}

func (s *Server) cancelLine(c *change, o *order, l *orderLine) {
	if l.Cancelled {
		return
	}
	l.Cancelled = true
	o.OrderTotal = money(o.OrderTotal.Sub(l.total(o.Currency)), o.Currency)
	o.TaxTotal = money(o.TaxTotal.Sub(l.TaxAmount.Decimal), o.Currency)
	item := s.state.stock.get(l.stockKey())
	item.move(decimal.Zero, l.QuantityAllocated.Neg(), l.QuantityBackOrdered.Neg())
	l.QuantityAllocated, l.QuantityBackOrdered = number{}, number{}
	s.state.forgetBackOrder(o, item.key())
	c.put(kindStock, item.key(), item)
	s.state.fillBackOrders(c, item)
}

func (st *state) forgetBackOrder(o *order, stockKey string) {
	if o.waitsFor(stockKey) {
		return
	}
	rest := slices.DeleteFunc(st.backOrders[stockKey], func(n string) bool { return n == o.SalesOrder })
	if len(rest) == 0 {
		delete(st.backOrders, stockKey)
		return
	}
	st.backOrders[stockKey] = rest
}

// ordered changes the customer's open order value.
func (s *Server) ordered(c *change, o *order, amount decimal.Decimal) {
	buyer := s.state.customers.get(o.CustomerCode)
	buyer.orders(amount)
	c.put(kindCustomer, buyer.CustomerCode, buyer)
}
