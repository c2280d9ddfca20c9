package syspro

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// shipment is a dispatch note: 7 ready to invoice, 9 complete.
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
	LastModified   time.Time
}

type shipmentLine struct {
	SalesOrderLine int
	StockCode      string
	Quantity       number
}

type shipmentLineInput struct {
	SalesOrderLine int
	Quantity       numeric
}

type shipmentInput struct {
	ShipmentNumber, SalesOrder, OrderNumber, CustomerCode string
	Carrier, TrackingNumber, ShippedDate                  string
	Lines                                                 []shipmentLineInput // none: all that is allocated
}

type shipmentAnswer struct {
	success
	*shipment
}

// addShipment sends goods: they leave stock with their cost, and an order that is shipped whole is ready to invoice.
func (s *Server) addShipment(c *change, in *shipmentInput) (int, any, *problem) {
	var check checks
	check.text("ShipmentNumber", in.ShipmentNumber, 20)
	check.text("SalesOrder", in.SalesOrder, 20)
	check.text("Carrier", in.Carrier, 30)
	check.text("TrackingNumber", in.TrackingNumber, 50)
	check.optionalDate("ShippedDate", in.ShippedDate)
	quantities := make([]decimal.Decimal, len(in.Lines))
	for i, l := range in.Lines {
		if quantities[i] = check.number(indexed("Lines", i, "Quantity"), l.Quantity, 12, 6); !quantities[i].IsPositive() {
			check.add(codeInvalid, indexed("Lines", i, "Quantity"), "Quantity must be above zero")
		}
	}
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	st := s.state
	number := strings.TrimSpace(in.ShipmentNumber)
	if existing := st.shipments.get(number); number != "" && existing != nil {
		return 0, nil, duplicate(shipmentAnswer{lookedUp(), existing}, "shipment '%s' exists", number).at("ShipmentNumber", number).by("SORTDN", "")
	}
	o, p := st.findOrder(in.SalesOrder, in.OrderNumber, in.CustomerCode)
	if p != nil {
		return 0, nil, p
	}
	if !slices.Contains([]string{statusOpen, statusBackOrder, statusReleased, statusWarehouse, statusReady}, o.OrderStatus) {
		return 0, nil, unprocessable(codeBusinessRule, "an order in status %s can't be shipped", o.OrderStatus).at("SalesOrder", o.SalesOrder).by("SORTDN", "")
	}
	take, p := o.toShip(in.Lines, quantities)
	if p != nil {
		return 0, nil, p
	}
	if p := s.onHand(o, take); p != nil {
		return 0, nil, p
	}
	date := in.ShippedDate
	if date == "" {
		date = c.now.Format(time.DateOnly)
	}
	at, p := s.postingPeriod("AR", date, "SORTDN")
	if p != nil {
		return 0, nil, p
	}
	if number == "" {
		number = st.next("shipment", "%015d", 1, func(n string) bool { return st.shipments.get(n) != nil })
	}
	row := &shipment{ShipmentNumber: number, SalesOrder: o.SalesOrder, OrderNumber: o.OrderNumber, CustomerCode: o.CustomerCode,
		ShipmentStatus: "7", Carrier: in.Carrier, TrackingNumber: in.TrackingNumber, ShippedDate: date, Lines: []shipmentLine{}}
	cost := decimal.Zero
	for i, l := range o.LineItems {
		if take[i].IsPositive() {
			cost = cost.Add(s.ship(c, l, take[i]))
			row.Lines = append(row.Lines, shipmentLine{l.SalesOrderLine, l.StockCode, quantity(take[i])})
		}
	}
	row.Partial = slices.ContainsFunc(o.LineItems, func(l *orderLine) bool {
		return l.QuantityAllocated.IsPositive() || l.QuantityBackOrdered.IsPositive()
	})
	if row.Partial {
		o.setStatus(o.openStatus())
	} else {
		o.setStatus(statusReady)
	}
	if in.TrackingNumber != "" {
		o.Tracking = append(o.Tracking, tracking{in.Carrier, in.TrackingNumber, date})
	}
	cost = money(cost, o.Currency).Decimal
	st.book(c, at, "INV", o.Currency, number, debit(accountCostOfSale, cost), credit(accountInventory, cost))
	st.shipments.add(number, row)
	st.shipmentsOf[o.SalesOrder] = append(st.shipmentsOf[o.SalesOrder], number)
	st.touchShipment(c, row)
	st.touchOrder(c, o)
	return http.StatusCreated, shipmentAnswer{c.success(), row}, nil
}

// toShip gives the quantity per order line, in the order of the lines.
func (o *order) toShip(lines []shipmentLineInput, quantities []decimal.Decimal) ([]decimal.Decimal, *problem) {
	take := make([]decimal.Decimal, len(o.LineItems))
	for i, l := range o.LineItems {
		if len(lines) == 0 {
			take[i] = l.QuantityAllocated.Decimal
		}
	}
	for i, in := range lines {
		l := o.line(in.SalesOrderLine)
		if l == nil {
			return nil, refuse(http.StatusBadRequest, codeInvalid, "there is no line %d", in.SalesOrderLine).at(indexed("Lines", i, "SalesOrderLine"), "")
		}
		n := l.SalesOrderLine - 1
		if take[n] = take[n].Add(quantities[i]); take[n].GreaterThan(l.QuantityAllocated.Decimal) {
			return nil, unprocessable(codeInsufficient, "line %d has %s allocated", in.SalesOrderLine, l.QuantityAllocated).
				at(indexed("Lines", i, "Quantity"), quantities[i].String()).by("SORTDN", "")
		}
	}
	if !slices.ContainsFunc(take, decimal.Decimal.IsPositive) {
		return nil, unprocessable(codeInsufficient, "the order has nothing allocated to ship").at("SalesOrder", o.SalesOrder).by("SORTDN", "")
	}
	return take, nil
}

func (s *Server) getShipments(query url.Values) (any, *problem) {
	type answer struct {
		success
		Shipments []*shipment
		listed[shipment]
	}
	if number := query.Get("SalesOrder"); number != "" {
		o := s.state.orders.get(number)
		if o == nil {
			return nil, notFound(codeOrderNotFound, "sales order not found").at("SalesOrder", number).by("SORQDN", "")
		}
		rows := []*shipment{}
		for _, n := range s.state.shipmentsOf[o.SalesOrder] {
			rows = append(rows, s.state.shipments.get(n))
		}
		return answer{success: lookedUp(), Shipments: rows}, nil
	}
	p, refused := readPage(query)
	if refused != nil {
		return nil, refused
	}
	found := list(&s.state.shipmentFeed, p, s.listUntil(), s.state.shipments.get,
		func(row *shipment) time.Time { return row.LastModified }, func(*shipment) bool { return true })
	return answer{lookedUp(), found.rows, found}, nil
}
