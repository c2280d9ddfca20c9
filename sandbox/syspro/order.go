package syspro

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Order statuses of SYSPRO.
const (
	statusInProcess   = "0"
	statusOpen        = "1"
	statusBackOrder   = "2"
	statusReleased    = "3"
	statusWarehouse   = "4"
	statusReady       = "8"
	statusComplete    = "9"
	statusForward     = "F"
	statusSuspense    = "S"
	statusCancelEntry = "*"
	statusCancelled   = `\`
)

func statusDescription(status string) string {
	switch status {
	case statusInProcess:
		return "In process"
	case statusOpen:
		return "Open order"
	case statusBackOrder:
		return "Open back order"
	case statusReleased:
		return "Released back order"
	case statusWarehouse:
		return "In warehouse"
	case statusReady:
		return "Ready to invoice"
	case statusComplete:
		return "Complete"
	case statusForward:
		return "Forward order"
	case statusSuspense:
		return "Suspense"
	case statusCancelEntry:
		return "Cancelled during entry"
	case statusCancelled:
		return "Cancelled"
	default:
		return ""
	}
}

// namedStatus reads a status by code or name.
func namedStatus(status string) string {
	switch strings.ToLower(status) {
	case "open":
		return statusOpen
	case "inwarehouse":
		return statusWarehouse
	case "readytoinvoice":
		return statusReady
	case "suspense":
		return statusSuspense
	default:
		return status
	}
}

// transitions is what SetStatus may do. Suspense is left by Release only, 9 is entered by the invoice, cancellation has
// its own action.
func transitions(from string) []string {
	switch from {
	case statusInProcess, statusForward:
		return []string{statusOpen, statusSuspense}
	case statusOpen:
		return []string{statusWarehouse, statusReady, statusSuspense}
	case statusBackOrder:
		return []string{statusSuspense}
	case statusReleased:
		return []string{statusWarehouse, statusReady, statusSuspense}
	case statusWarehouse:
		return []string{statusOpen, statusReady}
	case statusReady:
		return []string{statusOpen, statusWarehouse, statusSuspense}
	default:
		return nil
	}
}

// paymentStatuses are what a payment tag may say.
var paymentStatuses = [...]string{
	"Authorized", "Captured", "Paid", "PartiallyRefunded", "Refunded", "Voided", "ChargedBack", "ChargebackReversed", "Failed",
}

// customFields are the custom form fields that this site has defined on orders.
var customFields = [...]string{"CYBTXN", "CYBREC", "CYBSTS", "CYBTOK", "CYBTRK", "CYBDEC", "CYBMRC"}

// Stock codes that make an order fail; README.md and the seed list them.
const (
	triggerRefused       = "FAIL422" // AddSalesOrder: 422 BUSINESS_RULE
	triggerBroken        = "FAIL500" // AddSalesOrder: 500 ERP_ERROR, nothing done
	triggerInvoice       = "FAILINV" // AddARInvoice of the order: 422 BUSINESS_RULE
	triggerInvoicePeriod = "FAILPER" // AddARInvoice of the order: 422 PERIOD_CLOSED
	triggerPayment       = "FAILPAY" // AddARPayment on the order's invoice: 422 BUSINESS_RULE
)

type paymentTags struct {
	Processor             string `json:",omitempty"`
	TransactionId         string `json:",omitempty"`
	MerchantReferenceCode string `json:",omitempty"`
	ReconciliationId      string `json:",omitempty"`
	AuthorizationCode     string `json:",omitempty"`
	PaymentMethodCode     string `json:",omitempty"`
	PaymentStatus         string `json:",omitempty"`
	Currency              string `json:",omitempty"`
	TokenId               string `json:",omitempty"`
	CardLast4             string `json:",omitempty"`
	CapturedAt            string `json:",omitempty"`
}

type paymentInput struct {
	paymentTags
	AmountAuthorized, AmountCaptured numeric
}

// orderPayment is what the order knows of its payment. It has no accounting.
type orderPayment struct {
	paymentTags
	AmountAuthorized *number `json:",omitempty"`
	AmountCaptured   *number `json:",omitempty"`
}

// payment checks the field Payment.
func (c *checks) payment(in *paymentInput) {
	for _, f := range []struct{ name, value string }{
		{"Processor", in.Processor}, {"TransactionId", in.TransactionId}, {"MerchantReferenceCode", in.MerchantReferenceCode},
		{"ReconciliationId", in.ReconciliationId}, {"AuthorizationCode", in.AuthorizationCode},
		{"PaymentMethodCode", in.PaymentMethodCode}, {"TokenId", in.TokenId},
	} {
		c.text("Payment."+f.name, f.value, 100)
	}
	c.oneOf("Payment.PaymentStatus", in.PaymentStatus, paymentStatuses[:]...)
	if last4 := in.CardLast4; last4 != "" && (len(last4) != 4 || strings.Trim(last4, "0123456789") != "") {
		c.add(codeInvalid, "Payment.CardLast4", "CardLast4 takes four digits")
	}
	if in.Currency != "" && !validCurrency(in.Currency) {
		c.add(codeInvalid, "Payment.Currency", "Currency is not an ISO 4217 code")
	}
	c.timestamp("Payment.CapturedAt", in.CapturedAt)
	c.amount("Payment.AmountAuthorized", in.AmountAuthorized, in.Currency)
	c.amount("Payment.AmountCaptured", in.AmountCaptured, in.Currency)
}

// merge takes what the request gives, and tells whether anything is new.
func (p *orderPayment) merge(in *paymentInput, currency string) bool {
	changed := false
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&p.Processor, in.Processor}, {&p.TransactionId, in.TransactionId}, {&p.MerchantReferenceCode, in.MerchantReferenceCode},
		{&p.ReconciliationId, in.ReconciliationId}, {&p.AuthorizationCode, in.AuthorizationCode},
		{&p.PaymentMethodCode, in.PaymentMethodCode}, {&p.PaymentStatus, in.PaymentStatus}, {&p.Currency, in.Currency},
		{&p.TokenId, in.TokenId}, {&p.CardLast4, in.CardLast4}, {&p.CapturedAt, in.CapturedAt},
	} {
		if f.from != "" && *f.to != f.from {
			*f.to, changed = f.from, true
		}
	}
	for _, f := range []struct {
		to   **number
		from numeric
	}{{&p.AmountAuthorized, in.AmountAuthorized}, {&p.AmountCaptured, in.AmountCaptured}} {
		if d, err := decimal.NewFromString(f.from.text); err == nil && (*f.to == nil || !(*f.to).Equal(d)) {
			amount := money(d, currency)
			*f.to, changed = &amount, true
		}
	}
	return changed
}

type tracking struct {
	Carrier        string
	TrackingNumber string
	ShippedDate    string
}

type orderLine struct {
	LineNumber          int
	SalesOrderLine      int
	StockCode           string
	Description         string
	Quantity            number
	UnitOfMeasure       string
	UnitPrice           number
	Discount            number // money off the whole line
	TaxCode             string
	TaxAmount           number
	Warehouse           string
	QuantityAllocated   number
	QuantityBackOrdered number
	QuantityShipped     number
	Cancelled           bool `json:",omitempty"`
}

func (l *orderLine) stockKey() string { return stockKey(l.StockCode, l.Warehouse) }

func (l *orderLine) total(currency string) decimal.Decimal {
	return l.Quantity.Mul(l.UnitPrice.Decimal).Round(minorUnits(currency)).Sub(l.Discount.Decimal).Add(l.TaxAmount.Decimal)
}

// order is a sales order. It keeps its uninvoiced value in its customer's OpenOrderValue and its quantities in stock.
type order struct {
	SalesOrder             string
	OrderNumber            string
	CustomerCode           string
	OrderStatus            string
	OrderStatusDescription string
	OrderDate              string
	RequestedShipDate      string
	Currency               string
	Branch                 string
	Warehouse              string
	Salesperson            string
	ShippingInstrs         string
	SpecialInstrs          string
	OrderTotal             number
	FreightTotal           number
	FreightTax             number
	TaxTotal               number
	OnHold                 bool
	HoldReason             string
	CancelReasonCode       string `json:",omitempty"`
	LastInvoice            string
	LastModified           time.Time
	Version                string
	ShipToAddress          address
	BillToAddress          address
	LineItems              []*orderLine
	Payment                orderPayment
	Tracking               []tracking
	CustomFields           map[string]string `json:",omitempty"`
	Comments               []string          `json:",omitempty"`
}

func (o *order) setStatus(status string) {
	o.OrderStatus, o.OrderStatusDescription = status, statusDescription(status)
	o.OnHold, o.HoldReason = status == statusSuspense, ""
	if o.OnHold {
		o.HoldReason = "SUSPENSE"
	}
}

func (o *order) cancelled() bool {
	return o.OrderStatus == statusCancelled || o.OrderStatus == statusCancelEntry
}

func (o *order) shipped() bool {
	return slices.ContainsFunc(o.LineItems, func(l *orderLine) bool { return l.QuantityShipped.IsPositive() })
}

func (o *order) backOrdered() bool {
	return slices.ContainsFunc(o.LineItems, func(l *orderLine) bool { return l.QuantityBackOrdered.IsPositive() })
}

func (o *order) allBackOrdered() bool {
	return o.backOrdered() && !slices.ContainsFunc(o.LineItems, func(l *orderLine) bool {
		return l.QuantityAllocated.IsPositive() || l.QuantityShipped.IsPositive()
	})
}

// openStatus is the status of an order that goes on: 2 where every line waits for stock.
func (o *order) openStatus() string {
	if o.allBackOrdered() {
		return statusBackOrder
	}
	return statusOpen
}

// statusByStock is the status after stock came in.
func (o *order) statusByStock() string {
	switch {
	case o.OrderStatus != statusBackOrder:
		return o.OrderStatus
	case !o.backOrdered():
		return statusReleased
	default:
		return o.openStatus()
	}
}

func (o *order) waitsFor(stockKey string) bool {
	return slices.ContainsFunc(o.LineItems, func(l *orderLine) bool {
		return l.QuantityBackOrdered.IsPositive() && l.stockKey() == stockKey
	})
}

// fill moves free stock to the lines that wait for it.
func (o *order) fill(item *stockItem) bool {
	filled := false
	for _, l := range o.LineItems {
		if l.stockKey() != item.key() {
			continue
		}
		take := decimal.Min(item.available(), l.QuantityBackOrdered.Decimal)
		if !take.IsPositive() {
			continue
		}
		l.QuantityAllocated = quantity(l.QuantityAllocated.Add(take))
		l.QuantityBackOrdered = quantity(l.QuantityBackOrdered.Sub(take))
		item.move(decimal.Zero, take, take.Neg())
		filled = true
	}
	return filled
}

// contains tells whether a trigger's stock code is on the order.
func (o *order) contains(stockCode string) bool {
	return slices.ContainsFunc(o.LineItems, func(l *orderLine) bool { return l.StockCode == stockCode })
}

type lineInput struct {
	LineNumber                               int
	StockCode, Description, UnitOfMeasure    string
	Quantity, UnitPrice, Discount, TaxAmount numeric
	TaxCode, Warehouse                       string
}

type orderInput struct {
	OrderNumber, CustomerCode, OrderDate, RequestedShipDate, Currency string
	OrderStatus, Branch, Warehouse, Salesperson                       string
	ShippingInstrs, SpecialInstrs                                     string
	ShipToAddress, BillToAddress                                      address
	LineItems                                                         []lineInput
	FreightTotal, FreightTax, TaxTotal, OrderTotal                    numeric
	AllowBackOrder                                                    *bool
	Payment                                                           *paymentInput
	CustomFields                                                      map[string]json.RawMessage
	Comments                                                          []string
}

// check reads the request into an order that isn't in the state yet.
func (in *orderInput) check() (*order, *problem) {
	var c checks
	c.required("OrderNumber", in.OrderNumber, 30)
	c.required("CustomerCode", in.CustomerCode, 15)
	c.date("OrderDate", in.OrderDate)
	c.optionalDate("RequestedShipDate", in.RequestedShipDate)
	c.currency(in.Currency)
	status := namedStatus(in.OrderStatus)
	c.oneOf("OrderStatus", status, statusOpen, statusReady, statusSuspense)
	c.text("Branch", in.Branch, 10)
	c.text("Warehouse", in.Warehouse, 10)
	c.text("Salesperson", in.Salesperson, 20)
	c.text("ShippingInstrs", in.ShippingInstrs, 50)
	c.text("SpecialInstrs", in.SpecialInstrs, 50)
	c.address("ShipToAddress", in.ShipToAddress)
	c.address("BillToAddress", in.BillToAddress)
	if in.Payment != nil {
		c.payment(in.Payment)
	}
	for i, comment := range in.Comments {
		c.text(fmt.Sprintf("Comments[%d]", i), comment, 100)
	}
	o := &order{
		OrderNumber: strings.TrimSpace(in.OrderNumber), CustomerCode: strings.TrimSpace(in.CustomerCode), OrderDate: in.OrderDate,
		RequestedShipDate: in.RequestedShipDate, Currency: in.Currency, Branch: in.Branch, Warehouse: in.Warehouse,
		Salesperson: in.Salesperson, ShippingInstrs: in.ShippingInstrs, SpecialInstrs: in.SpecialInstrs,
		ShipToAddress: in.ShipToAddress, BillToAddress: in.BillToAddress, Comments: in.Comments, Tracking: []tracking{},
		FreightTotal: money(c.amount("FreightTotal", in.FreightTotal, in.Currency), in.Currency),
		FreightTax:   money(c.amount("FreightTax", in.FreightTax, in.Currency), in.Currency),
	}
	if o.Warehouse == "" {
		o.Warehouse = defaultWarehouse
	}
	if o.Branch == "" {
		o.Branch = defaultBranch
	}
	c.amount("TaxTotal", in.TaxTotal, in.Currency)
	c.amount("OrderTotal", in.OrderTotal, in.Currency)
	o.setStatus(status)
	if len(in.LineItems) == 0 {
		c.add(codeMissing, "LineItems", "LineItems needs a line")
	}
	seen := make(map[int]bool, len(in.LineItems))
	for i := range in.LineItems {
		l := in.LineItems[i].check(&c, i, o)
		if seen[l.LineNumber] {
			c.add(codeInvalid, fmt.Sprintf("LineItems[%d].LineNumber", i), "LineNumber %d is there twice", l.LineNumber)
		}
		seen[l.LineNumber] = true
		o.LineItems = append(o.LineItems, l)
	}
	return o, c.problem()
}

func (in *lineInput) check(c *checks, i int, o *order) *orderLine {
	at := func(name string) string { return fmt.Sprintf("LineItems[%d].%s", i, name) }
	l := &orderLine{
		LineNumber: in.LineNumber, SalesOrderLine: i + 1, StockCode: strings.TrimSpace(in.StockCode), Description: in.Description,
		UnitOfMeasure: in.UnitOfMeasure, TaxCode: in.TaxCode, Warehouse: in.Warehouse,
	}
	if l.LineNumber == 0 {
		l.LineNumber = i + 1
	}
	if l.Warehouse == "" {
		l.Warehouse = o.Warehouse
	}
	if l.LineNumber < 1 || l.LineNumber > 9999 {
		c.add(codeInvalid, at("LineNumber"), "LineNumber takes 1 to 9999")
	}
	c.required(at("StockCode"), in.StockCode, 30)
	c.text(at("Description"), in.Description, 50)
	c.text(at("UnitOfMeasure"), in.UnitOfMeasure, 10)
	c.text(at("TaxCode"), in.TaxCode, 3)
	c.text(at("Warehouse"), in.Warehouse, 10)
	ordered := c.number(at("Quantity"), in.Quantity, 12, 6)
	switch {
	case !in.Quantity.set():
		c.add(codeMissing, at("Quantity"), "Quantity is required")
	case !ordered.IsPositive():
		c.add(codeInvalid, at("Quantity"), "Quantity must be above zero")
	}
	price := c.number(at("UnitPrice"), in.UnitPrice, 10, 5)
	switch {
	case !in.UnitPrice.set():
		c.add(codeMissing, at("UnitPrice"), "UnitPrice is required")
	case price.IsNegative():
		c.add(codeInvalid, at("UnitPrice"), "UnitPrice is negative")
	}
	l.Quantity, l.UnitPrice = quantity(ordered), number{price}
	l.Discount = money(c.amount(at("Discount"), in.Discount, o.Currency), o.Currency)
	l.TaxAmount = money(c.amount(at("TaxAmount"), in.TaxAmount, o.Currency), o.Currency)
	if l.total(o.Currency).Sub(l.TaxAmount.Decimal).IsNegative() {
		c.add(codeInvalid, at("Discount"), "Discount is more than the line")
	}
	return l
}

type orderAnswer struct {
	success
	*order
}

func (s *Server) addSalesOrder(c *change, in *orderInput) (int, any, *problem) {
	o, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	st := s.state
	if number, known := st.byCustomer[naturalOrder(o.CustomerCode, o.OrderNumber)]; known {
		return 0, nil, duplicate(orderAnswer{lookedUp(), st.orders.get(number)}, "order '%s' of customer '%s' exists",
			o.OrderNumber, o.CustomerCode).at("OrderNumber", o.OrderNumber).by("SORTOI", "")
	}
	buyer := st.customers.get(o.CustomerCode)
	if p := s.mayOrder(buyer, o); p != nil {
		return 0, nil, p
	}
	if p := in.totals(o); p != nil {
		return 0, nil, p
	}
	if o.OrderStatus != statusSuspense {
		if p := buyer.credit(o.OrderTotal.Decimal); p != nil {
			return 0, nil, p
		}
	}
	if p := st.plan(o, in.AllowBackOrder == nil || *in.AllowBackOrder); p != nil {
		return 0, nil, p
	}

	for i, l := range o.LineItems {
		item := st.stock.get(l.stockKey())
		item.move(decimal.Zero, l.QuantityAllocated.Decimal, l.QuantityBackOrdered.Decimal)
		c.put(kindStock, item.key(), item)
		if l.QuantityBackOrdered.IsPositive() {
			c.warn("BACK_ORDERED", fmt.Sprintf("LineItems[%d].Quantity", i),
				fmt.Sprintf("%s of '%s' on back order", l.QuantityBackOrdered, l.StockCode))
		}
	}
	if o.OrderStatus == "" || o.allBackOrdered() && o.OrderStatus != statusSuspense {
		o.setStatus(o.openStatus())
	}
	o.SalesOrder = st.next("order", "%06d", 1, func(n string) bool { return st.orders.get(n) != nil })
	o.customFields(c, in.CustomFields)
	if in.Payment != nil {
		o.Payment.merge(in.Payment, o.Currency)
	}
	buyer.orders(o.OrderTotal.Decimal)
	c.put(kindCustomer, buyer.CustomerCode, buyer)
	st.orders.add(o.SalesOrder, o)
	st.indexOrder(o)
	for _, l := range o.LineItems {
		if l.QuantityBackOrdered.IsPositive() {
			st.waitForStock(l.stockKey(), o.SalesOrder)
		}
	}
	st.touchOrder(c, o)
	return http.StatusCreated, orderAnswer{c.success(), o}, nil
}

// mayOrder checks the customer, the stock codes and the triggers.
func (s *Server) mayOrder(buyer *customer, o *order) *problem {
	if buyer == nil {
		return unprocessable(codeCustomerUnknown, "Customer '%s' not found", o.CustomerCode).at("CustomerCode", o.CustomerCode).by("SORTOI", "240004")
	}
	if buyer.OnHold || buyer.CreditStatus == "9" {
		return unprocessable("CUSTOMER_ON_HOLD", "Customer '%s' is on hold", o.CustomerCode).at("CustomerCode", o.CustomerCode).by("SORTOI", "")
	}
	if buyer.Currency != o.Currency {
		return unprocessable(codeCurrency, "Customer '%s' trades in %s", o.CustomerCode, buyer.Currency).at("Currency", o.Currency).by("SORTOI", "")
	}
	if o.Branch != defaultBranch {
		return unprocessable(codeBusinessRule, "Branch '%s' not found", o.Branch).at("Branch", o.Branch).by("SORTOI", "")
	}
	unknown := &problem{status: http.StatusUnprocessableEntity}
	for i, l := range o.LineItems {
		if item := s.state.stock.get(l.stockKey()); item != nil {
			o.fillFrom(l, item)
			continue
		}
		f := fault{Code: codeStockUnknown, Field: fmt.Sprintf("LineItems[%d].StockCode", i), Value: l.StockCode,
			Message: fmt.Sprintf("Stock code '%s' not found", l.StockCode), ErpErrorNumber: "240004", BusinessObject: "SORTOI"}
		if len(s.state.warehouses(l.StockCode)) > 0 {
			f.Message = fmt.Sprintf("Stock code '%s' is not in warehouse '%s'", l.StockCode, l.Warehouse)
		}
		unknown.faults = append(unknown.faults, f)
	}
	if len(unknown.faults) > 0 {
		return unknown
	}
	if o.contains(triggerRefused) {
		return unprocessable(codeBusinessRule, "stock code '%s' is refused by a rule of this site", triggerRefused).by("SORTOI", "")
	}
	if o.contains(triggerBroken) {
		return refuse(http.StatusInternalServerError, codeERPError, "e.net exception raised").by("SORTOI", "")
	}
	return nil
}

func (o *order) fillFrom(l *orderLine, item *stockItem) {
	l.StockCode, l.Warehouse = item.StockCode, item.Warehouse
	if l.Description == "" {
		l.Description = item.Description
	}
	if l.UnitOfMeasure == "" {
		l.UnitOfMeasure = item.UnitOfMeasure
	}
}

// totals compares the caller's total with the lines. The caller's total stands where it is within the tolerance.
func (in *orderInput) totals(o *order) *problem {
	computed, taxes := o.FreightTotal.Add(o.FreightTax.Decimal), o.FreightTax.Decimal
	for _, l := range o.LineItems {
		computed, taxes = computed.Add(l.total(o.Currency)), taxes.Add(l.TaxAmount.Decimal)
	}
	o.TaxTotal, o.OrderTotal = money(taxes, o.Currency), money(computed, o.Currency)
	if !in.OrderTotal.set() {
		return nil
	}
	given, err := decimal.NewFromString(in.OrderTotal.text)
	tolerance := decimal.New(int64(len(o.LineItems)+1), -2)
	if err != nil || given.Sub(computed).Abs().GreaterThan(tolerance) {
		return unprocessable(codeTotal, "OrderTotal is %s, the lines come to %s", in.OrderTotal.text, o.OrderTotal.StringFixed(minorUnits(o.Currency))).
			at("OrderTotal", in.OrderTotal.text).by("SORTOI", "")
	}
	o.OrderTotal = money(given, o.Currency)
	return nil
}

// plan splits every line into what is free and what has to wait, without touching stock.
func (st *state) plan(o *order, allowBackOrder bool) *problem {
	free := map[string]decimal.Decimal{}
	short := &problem{status: http.StatusUnprocessableEntity}
	for i, l := range o.LineItems {
		k := l.stockKey()
		if _, seen := free[k]; !seen {
			free[k] = decimal.Max(decimal.Zero, st.stock.get(k).available())
		}
		take := decimal.Min(free[k], l.Quantity.Decimal)
		free[k] = free[k].Sub(take)
		l.QuantityAllocated, l.QuantityBackOrdered = quantity(take), quantity(l.Quantity.Sub(take))
		if l.QuantityBackOrdered.IsPositive() {
			short.faults = append(short.faults, fault{
				Code: codeInsufficient, Field: fmt.Sprintf("LineItems[%d].Quantity", i), Value: l.Quantity.String(),
				Message: fmt.Sprintf("%s of '%s' available", take, l.StockCode), BusinessObject: "SORTOI",
			})
		}
	}
	if len(short.faults) > 0 && !allowBackOrder {
		return short
	}
	return nil
}

func (o *order) customFields(c *change, fields map[string]json.RawMessage) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(customFields[:], strings.ToUpper(name)) {
			c.warn("CUSTOM_FIELD_NOT_SET", "CustomFields."+name, "the field is not defined at this site")
			continue
		}
		text := string(fields[name])
		var unquoted string
		if json.Unmarshal(fields[name], &unquoted) == nil {
			text = unquoted
		}
		if o.CustomFields == nil {
			o.CustomFields = map[string]string{}
		}
		o.CustomFields[strings.ToUpper(name)] = text
	}
}

// findOrder locates an order by SalesOrder, or OrderNumber with or without CustomerCode.
func (st *state) findOrder(salesOrder, orderNumber, customerCode string) (*order, *problem) {
	switch {
	case salesOrder != "":
		if o := st.orders.get(salesOrder); o != nil {
			return o, nil
		}
	case orderNumber != "" && customerCode != "":
		if number, known := st.byCustomer[naturalOrder(customerCode, orderNumber)]; known {
			return st.orders.get(number), nil
		}
	case orderNumber != "":
		numbers := st.byNumber[strings.TrimSpace(orderNumber)]
		if len(numbers) > 1 {
			return nil, refuse(http.StatusConflict, codeStatusConflict, "%d customers have an order '%s': give CustomerCode",
				len(numbers), orderNumber).at("OrderNumber", orderNumber)
		}
		if len(numbers) == 1 {
			return st.orders.get(numbers[0]), nil
		}
	default:
		return nil, refuse(http.StatusBadRequest, codeMissing, "SalesOrder or OrderNumber is required").at("SalesOrder", "")
	}
	return nil, notFound(codeOrderNotFound, "sales order not found").by("SORQRY", "")
}

func (s *Server) getSalesOrder(query url.Values) (any, *problem) {
	o, p := s.state.findOrder(query.Get("SalesOrder"), query.Get("OrderNumber"), query.Get("CustomerCode"))
	if p != nil {
		return nil, p
	}
	return orderAnswer{lookedUp(), o}, nil
}

func (s *Server) listSalesOrders(query url.Values) (any, *problem) {
	p, refused := readPage(query)
	if refused != nil {
		return nil, refused
	}
	status := namedStatus(query.Get("Status"))
	if status != "" && statusDescription(status) == "" {
		return nil, invalidQuery("Status", "Status is not an order status")
	}
	found := list(&s.state.orderFeed, p, s.listUntil(), s.state.orders.get,
		func(o *order) time.Time { return o.LastModified },
		func(o *order) bool { return status == "" || o.OrderStatus == status })
	return struct {
		success
		Orders []*order
		listed[order]
	}{lookedUp(), found.rows, found}, nil
}
