package syspro

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

func indexed(list string, i int, field string) string {
	return fmt.Sprintf("%s[%d].%s", list, i, field)
}

// invoice is an AR invoice.
type invoice struct {
	InvoiceNumber string
	SalesOrder    string
	OrderNumber   string `json:",omitempty"`
	CustomerCode  string
	InvoiceDate   string
	InvoiceTotal  number
	TaxAmount     number
	Balance       number
	Credited      number // by credit memos
	InvoiceStatus string // Open, PartiallyPaid, Paid, Credited
	Currency      string
	Reference     string `json:",omitempty"`
	Branch        string `json:",omitempty"`
	ProductClass  string `json:",omitempty"`
	JournalNumber string
	GlYear        int
	GlPeriod      int
	Payment       orderPayment
}

// settle changes the open balance and what follows from it.
func (i *invoice) settle(amount decimal.Decimal) {
	i.Balance = money(i.Balance.Sub(amount), i.Currency)
	switch {
	case i.Credited.GreaterThanOrEqual(i.InvoiceTotal.Decimal) && i.Balance.IsZero():
		i.InvoiceStatus = "Credited"
	case i.Balance.IsZero():
		i.InvoiceStatus = "Paid"
	case i.Balance.Equal(i.InvoiceTotal.Decimal):
		i.InvoiceStatus = "Open"
	default:
		i.InvoiceStatus = "PartiallyPaid"
	}
}

type invoiceInput struct {
	SalesOrder, CustomerCode, InvoiceNumber, InvoiceDate, PostingPeriod string
	Currency, Reference, Branch, ProductClass                           string
	InvoiceTotal, TaxAmount                                             numeric
	Payment                                                             *paymentInput
}

type invoiceAnswer struct {
	success
	*invoice
}

func (s *Server) addARInvoice(c *change, in *invoiceInput) (int, any, *problem) {
	var check checks
	check.text("SalesOrder", in.SalesOrder, 20)
	check.text("InvoiceNumber", in.InvoiceNumber, 20)
	check.date("InvoiceDate", in.InvoiceDate)
	check.oneOf("PostingPeriod", in.PostingPeriod, "C", "P", "B")
	check.text("Reference", in.Reference, 30)
	check.text("Branch", in.Branch, 10)
	check.text("ProductClass", in.ProductClass, 20)
	if in.Payment != nil {
		check.payment(in.Payment)
	}
	if in.SalesOrder == "" {
		check.required("CustomerCode", in.CustomerCode, 15)
		check.currency(in.Currency)
		total := check.positive("InvoiceTotal", in.InvoiceTotal, in.Currency)
		if check.amount("TaxAmount", in.TaxAmount, in.Currency).GreaterThan(total) {
			check.add(codeInvalid, "TaxAmount", "TaxAmount is more than the invoice")
		}
	}
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	number := strings.TrimSpace(in.InvoiceNumber)
	if existing := s.state.invoices.get(number); number != "" && existing != nil {
		return 0, nil, duplicate(invoiceAnswer{lookedUp(), existing}, "invoice '%s' exists", number).at("InvoiceNumber", number).by("ARSTIN", "")
	}
	if in.SalesOrder != "" {
		return s.invoiceOrder(c, in, number)
	}
	return s.invoiceValue(c, in, number)
}

// invoiceOrder invoices a whole order: its stock leaves, it becomes complete.
func (s *Server) invoiceOrder(c *change, in *invoiceInput, number string) (int, any, *problem) {
	o := s.state.orders.get(in.SalesOrder)
	if o == nil {
		return 0, nil, notFound(codeOrderNotFound, "sales order not found").at("SalesOrder", in.SalesOrder).by("SORTIC", "")
	}
	if o.LastInvoice != "" {
		return 0, nil, duplicate(invoiceAnswer{lookedUp(), s.state.invoices.get(o.LastInvoice)}, "sales order '%s' is invoiced", o.SalesOrder).
			at("SalesOrder", o.SalesOrder).by("SORTIC", "")
	}
	at, p := s.mayInvoice(o, in)
	if p != nil {
		return 0, nil, p
	}
	cost := decimal.Zero
	for _, l := range o.LineItems {
		cost = cost.Add(s.ship(c, l, l.QuantityAllocated.Decimal))
	}
	row := s.newInvoice(number, o.CustomerCode, o.Currency, in)
	row.SalesOrder, row.OrderNumber, row.Branch = o.SalesOrder, o.OrderNumber, o.Branch
	row.Payment = o.Payment
	if row.Reference == "" {
		row.Reference = o.OrderNumber
	}
	s.bookInvoice(c, at, row, o.OrderTotal.Decimal, o.TaxTotal.Decimal, cost, in)
	o.LastInvoice = row.InvoiceNumber
	o.setStatus(statusComplete)
	s.ordered(c, o, o.OrderTotal.Neg())
	s.state.touchOrder(c, o)
	for _, n := range s.state.shipmentsOf[o.SalesOrder] {
		shipped := s.state.shipments.get(n)
		shipped.InvoiceNumber, shipped.ShipmentStatus = row.InvoiceNumber, "9"
		s.state.touchShipment(c, shipped)
	}
	return http.StatusCreated, invoiceAnswer{c.success(), row}, nil
}

func (s *Server) mayInvoice(o *order, in *invoiceInput) (glPeriod, *problem) {
	if o.contains(triggerInvoicePeriod) {
		p := unprocessable(codePeriodClosed, "AR period is closed").by("SORTIC", "")
		current, _ := s.period("AR")
		p.faults[0].CurrentYear, p.faults[0].CurrentPeriod = current.CurrentYear, current.CurrentPeriod
		return glPeriod{}, p
	}
	if o.contains(triggerInvoice) {
		return glPeriod{}, unprocessable(codeBusinessRule, "stock code '%s' can't be invoiced", triggerInvoice).by("SORTIC", "")
	}
	if o.OrderStatus != statusReady {
		return glPeriod{}, unprocessable(codeBusinessRule, "sales order '%s' is in status %s, not ready to invoice", o.SalesOrder, o.OrderStatus).
			at("SalesOrder", o.SalesOrder).by("SORTIC", "")
	}
	if o.backOrdered() {
		return glPeriod{}, unprocessable(codeInsufficient, "sales order '%s' has quantities on back order", o.SalesOrder).
			at("SalesOrder", o.SalesOrder).by("SORTIC", "")
	}
	quantities := make([]decimal.Decimal, len(o.LineItems))
	for i, l := range o.LineItems {
		quantities[i] = l.QuantityAllocated.Decimal
	}
	if p := s.onHand(o, quantities); p != nil {
		return glPeriod{}, p
	}
	return s.postingPeriod("AR", in.InvoiceDate, "SORTIC")
}

// onHand refuses to send what isn't there: a count may have found less than is allocated.
func (s *Server) onHand(o *order, quantities []decimal.Decimal) *problem {
	wanted := map[string]decimal.Decimal{}
	for i, l := range o.LineItems {
		k := l.stockKey()
		wanted[k] = wanted[k].Add(quantities[i])
		if item := s.state.stock.get(k); quantities[i].IsPositive() && wanted[k].GreaterThan(item.QtyOnHand.Decimal) {
			return unprocessable(codeInsufficient, "%s of '%s' on hand", item.QtyOnHand, l.StockCode).
				at(indexed("LineItems", i, "Quantity"), quantities[i].String()).by("SORTDN", "")
		}
	}
	return nil
}

// ship takes a quantity of a line out of stock and returns its cost, rounded to cents.
func (s *Server) ship(c *change, l *orderLine, shipped decimal.Decimal) decimal.Decimal {
	if !shipped.IsPositive() {
		return decimal.Zero
	}
	item := s.state.stock.get(l.stockKey())
	item.move(shipped.Neg(), shipped.Neg(), decimal.Zero)
	l.QuantityAllocated = quantity(l.QuantityAllocated.Sub(shipped))
	l.QuantityShipped = quantity(l.QuantityShipped.Add(shipped))
	c.put(kindStock, item.key(), item)
	return shipped.Mul(item.UnitCost.Decimal)
}

func (s *Server) newInvoice(number, customerCode, currency string, in *invoiceInput) *invoice {
	if number == "" {
		number = s.state.next("invoice", "%06d", 200001, func(n string) bool { return s.state.invoices.get(n) != nil })
	}
	row := &invoice{
		InvoiceNumber: number, CustomerCode: customerCode, InvoiceDate: in.InvoiceDate, Currency: currency, Reference: in.Reference,
		Branch: in.Branch, ProductClass: in.ProductClass, Credited: money(decimal.Zero, currency),
	}
	return row
}

func (s *Server) bookInvoice(c *change, at glPeriod, row *invoice, total, tax, cost decimal.Decimal, in *invoiceInput) {
	row.InvoiceTotal, row.TaxAmount = money(total, row.Currency), money(tax, row.Currency)
	row.Balance = row.InvoiceTotal
	row.settle(decimal.Zero)
	if in.Payment != nil {
		row.Payment.merge(in.Payment, row.Currency)
	}
	cost = money(cost, row.Currency).Decimal
	posted := s.state.book(c, at, "AR", row.Currency, row.InvoiceNumber,
		debit(accountAR, total), credit(accountSales, total.Sub(tax)), credit(accountTax, tax),
		debit(accountCostOfSale, cost), credit(accountInventory, cost))
	row.JournalNumber, row.GlYear, row.GlPeriod = posted.JournalNumber, at.year, at.month
	s.state.invoices.add(row.InvoiceNumber, row)
	c.put(kindInvoice, row.InvoiceNumber, row)
	s.owes(c, row.CustomerCode, total)
}

func (s *Server) invoiceValue(c *change, in *invoiceInput, number string) (int, any, *problem) {
	buyer := s.state.customers.get(in.CustomerCode)
	if buyer == nil {
		return 0, nil, unprocessable(codeCustomerUnknown, "Customer '%s' not found", in.CustomerCode).at("CustomerCode", in.CustomerCode).by("ARSTIN", "240004")
	}
	if buyer.Currency != in.Currency {
		return 0, nil, unprocessable(codeCurrency, "Customer '%s' trades in %s", buyer.CustomerCode, buyer.Currency).at("Currency", in.Currency).by("ARSTIN", "")
	}
	at, p := s.postingPeriod("AR", in.InvoiceDate, "ARSTIN")
	if p != nil {
		return 0, nil, p
	}
	var read checks // checked before
	total := read.amount("InvoiceTotal", in.InvoiceTotal, in.Currency)
	tax := read.amount("TaxAmount", in.TaxAmount, in.Currency)
	row := s.newInvoice(number, buyer.CustomerCode, in.Currency, in)
	s.bookInvoice(c, at, row, total, tax, decimal.Zero, in)
	return http.StatusCreated, invoiceAnswer{c.success(), row}, nil
}

// owes changes what a customer owes.
func (s *Server) owes(c *change, customerCode string, amount decimal.Decimal) {
	buyer := s.state.customers.get(customerCode)
	buyer.owes(amount)
	c.put(kindCustomer, buyer.CustomerCode, buyer)
}

func (s *Server) getARInvoice(query url.Values) (any, *problem) {
	var row *invoice
	switch {
	case query.Get("InvoiceNumber") != "":
		row = s.state.invoices.get(query.Get("InvoiceNumber"))
	case query.Get("SalesOrder") != "":
		if o := s.state.orders.get(query.Get("SalesOrder")); o != nil && o.LastInvoice != "" {
			row = s.state.invoices.get(o.LastInvoice)
		}
	default:
		return nil, missingQuery("InvoiceNumber")
	}
	if row == nil {
		return nil, notFound(codeInvoiceUnknown, "AR invoice not found").by("ARSQRY", "")
	}
	return invoiceAnswer{lookedUp(), row}, nil
}

type paymentStatusInput struct {
	SalesOrder, InvoiceNumber, TransactionId, PaymentStatus, At string
	Amount                                                      numeric
}

// updatePaymentStatus tags order and invoice; it has no accounting.
func (s *Server) updatePaymentStatus(c *change, in *paymentStatusInput) (int, any, *problem) {
	var check checks
	if in.SalesOrder == "" && in.InvoiceNumber == "" {
		check.add(codeMissing, "SalesOrder", "SalesOrder or InvoiceNumber is required")
	}
	check.text("SalesOrder", in.SalesOrder, 20)
	check.text("InvoiceNumber", in.InvoiceNumber, 20)
	check.required("PaymentStatus", in.PaymentStatus, 20)
	tag := &paymentInput{paymentTags: paymentTags{TransactionId: in.TransactionId, PaymentStatus: in.PaymentStatus}}
	if in.PaymentStatus == "Captured" || in.PaymentStatus == "Paid" {
		tag.AmountCaptured = in.Amount
	}
	check.payment(tag)
	check.number("Amount", in.Amount, 12, 4)
	check.timestamp("At", in.At)
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	var o *order
	if in.SalesOrder != "" {
		if o = s.state.orders.get(in.SalesOrder); o == nil {
			return 0, nil, notFound(codeOrderNotFound, "sales order not found").at("SalesOrder", in.SalesOrder)
		}
	}
	var row *invoice
	if in.InvoiceNumber != "" {
		if row = s.state.invoices.get(in.InvoiceNumber); row == nil {
			return 0, nil, notFound(codeInvoiceUnknown, "AR invoice not found").at("InvoiceNumber", in.InvoiceNumber)
		}
	}
	changed := false
	if o != nil && o.Payment.merge(tag, o.Currency) {
		s.state.touchOrder(c, o)
		changed = true
	}
	if row != nil && row.Payment.merge(tag, row.Currency) {
		c.put(kindInvoice, row.InvoiceNumber, row)
		changed = true
	}
	return http.StatusOK, struct {
		success
		Changed bool
	}{c.success(), changed}, nil
}

// creditMemo is an AR credit note. Remaining is what has neither been set off against an invoice nor refunded.
type creditMemo struct {
	CreditMemoNumber      string
	CustomerCode          string
	SalesOrder            string
	OrderNumber           string
	OriginalInvoice       string
	CreditDate            string
	Amount                number
	TaxAmount             number
	Remaining             number
	Currency              string
	Reason                string
	Reference             string
	OriginalTransactionId string
	RefundStatus          string // Pending, Processing, Refunded, Failed; "" where there is nothing to refund
	RefundTransactionId   string
	RefundedAmount        *number `json:",omitempty"`
	RefundedAt            string  `json:",omitempty"`
	FailureReason         string  `json:",omitempty"`
	JournalNumber         string
	GlYear                int
	GlPeriod              int
	LastModified          time.Time
}

type restockInput struct {
	SalesOrderLine       int
	StockCode, Warehouse string
	Quantity             numeric
}

type creditMemoInput struct {
	CreditMemoNumber, OriginalInvoice, CustomerCode, CreditDate, Currency, Reason, Reference, PostingPeriod string
	Amount, TaxAmount                                                                                       numeric
	RestockLines                                                                                            []restockInput
}

type creditMemoAnswer struct {
	success
	*creditMemo
}

func (in *creditMemoInput) check() (amount, tax decimal.Decimal, quantities []decimal.Decimal, p *problem) {
	var c checks
	c.text("CreditMemoNumber", in.CreditMemoNumber, 20)
	c.text("OriginalInvoice", in.OriginalInvoice, 20)
	c.required("CustomerCode", in.CustomerCode, 15)
	c.date("CreditDate", in.CreditDate)
	c.oneOf("PostingPeriod", in.PostingPeriod, "C", "P", "B")
	c.currency(in.Currency)
	c.text("Reason", in.Reason, 30)
	c.text("Reference", in.Reference, 30)
	amount = c.positive("Amount", in.Amount, in.Currency)
	tax = c.amount("TaxAmount", in.TaxAmount, in.Currency)
	if tax.GreaterThan(amount) {
		c.add(codeInvalid, "TaxAmount", "TaxAmount is more than the credit")
	}
	for i, l := range in.RestockLines {
		back := c.number(indexed("RestockLines", i, "Quantity"), l.Quantity, 12, 6)
		if !back.IsPositive() {
			c.add(codeInvalid, indexed("RestockLines", i, "Quantity"), "Quantity must be above zero")
		}
		c.text(indexed("RestockLines", i, "StockCode"), l.StockCode, 30)
		if l.StockCode == "" && l.SalesOrderLine == 0 {
			c.add(codeMissing, indexed("RestockLines", i, "StockCode"), "StockCode or SalesOrderLine is required")
		}
		quantities = append(quantities, back)
	}
	return amount, tax, quantities, c.problem()
}

func (s *Server) addCreditMemo(c *change, in *creditMemoInput) (int, any, *problem) {
	amount, tax, quantities, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	st := s.state
	number := strings.TrimSpace(in.CreditMemoNumber)
	if existing := st.creditMemos.get(number); number != "" && existing != nil {
		return 0, nil, duplicate(creditMemoAnswer{lookedUp(), existing}, "credit memo '%s' exists", number).at("CreditMemoNumber", number).by("ARSTIN", "")
	}
	buyer := st.customers.get(in.CustomerCode)
	if buyer == nil {
		return 0, nil, unprocessable(codeCustomerUnknown, "Customer '%s' not found", in.CustomerCode).at("CustomerCode", in.CustomerCode).by("ARSTIN", "240004")
	}
	if buyer.Currency != in.Currency {
		return 0, nil, unprocessable(codeCurrency, "Customer '%s' trades in %s", buyer.CustomerCode, buyer.Currency).at("Currency", in.Currency).by("ARSTIN", "")
	}
	original, p := s.creditedInvoice(in, buyer, amount)
	if p != nil {
		return 0, nil, p
	}
	restocked, p := s.restock(original, in.RestockLines, quantities)
	if p != nil {
		return 0, nil, p
	}
	at, p := s.postingPeriod("AR", in.CreditDate, "ARSTIN")
	if p != nil {
		return 0, nil, p
	}

	if number == "" {
		number = st.next("creditMemo", "C%05d", 1, func(n string) bool { return st.creditMemos.get(n) != nil })
	}
	memo := &creditMemo{
		CreditMemoNumber: number, CustomerCode: buyer.CustomerCode, OriginalInvoice: in.OriginalInvoice, CreditDate: in.CreditDate,
		Amount: money(amount, in.Currency), TaxAmount: money(tax, in.Currency), Remaining: money(amount, in.Currency), Currency: in.Currency,
		Reason: in.Reason, Reference: in.Reference,
	}
	if original != nil {
		memo.OriginalInvoice, memo.SalesOrder, memo.OrderNumber = original.InvoiceNumber, original.SalesOrder, original.OrderNumber
		memo.OriginalTransactionId = original.Payment.TransactionId
		if o := st.orders.get(original.SalesOrder); o != nil && o.Payment.TransactionId != "" {
			memo.OriginalTransactionId = o.Payment.TransactionId
		}
		setOff := decimal.Min(amount, original.Balance.Decimal)
		memo.Remaining = money(amount.Sub(setOff), in.Currency)
		original.Credited = money(original.Credited.Add(amount), in.Currency)
		original.settle(setOff)
		c.put(kindInvoice, original.InvoiceNumber, original)
	}
	if memo.OriginalTransactionId != "" && memo.Remaining.IsPositive() {
		memo.RefundStatus = "Pending"
	}
	cost := decimal.Zero
	for _, back := range restocked {
		cost = cost.Add(back.item.UnitCost.Mul(back.quantity))
		back.item.move(back.quantity, decimal.Zero, decimal.Zero)
		c.put(kindStock, back.item.key(), back.item)
		if back.line != nil {
			back.line.QuantityShipped = quantity(back.line.QuantityShipped.Sub(back.quantity))
			st.touchOrder(c, st.orders.get(original.SalesOrder))
		}
		st.fillBackOrders(c, back.item)
	}
	cost = money(cost, in.Currency).Decimal
	posted := st.book(c, at, "AR", in.Currency, number, debit(accountReturns, amount.Sub(tax)), debit(accountTax, tax),
		credit(accountAR, amount), debit(accountInventory, cost), credit(accountCostOfSale, cost))
	memo.JournalNumber, memo.GlYear, memo.GlPeriod = posted.JournalNumber, at.year, at.month
	st.creditMemos.add(number, memo)
	st.touchMemo(c, memo)
	s.owes(c, buyer.CustomerCode, amount.Neg())
	return http.StatusCreated, creditMemoAnswer{c.success(), memo}, nil
}

// creditedInvoice finds the invoice that is credited; a free-standing credit has none.
func (s *Server) creditedInvoice(in *creditMemoInput, buyer *customer, amount decimal.Decimal) (*invoice, *problem) {
	if in.OriginalInvoice == "" {
		return nil, nil
	}
	original := s.state.invoices.get(in.OriginalInvoice)
	if original == nil || original.CustomerCode != buyer.CustomerCode {
		return nil, notFound(codeInvoiceUnknown, "AR invoice not found").at("OriginalInvoice", in.OriginalInvoice).by("ARSTIN", "")
	}
	if original.Credited.Add(amount).GreaterThan(original.InvoiceTotal.Decimal) {
		return nil, unprocessable(codeBusinessRule, "invoice '%s' of %s would be credited with more than that", original.InvoiceNumber, original.InvoiceTotal).
			at("Amount", amount.String()).by("ARSTIN", "")
	}
	return original, nil
}

type returned struct {
	item     *stockItem
	line     *orderLine // nil: goods that no order sent
	quantity decimal.Decimal
}

// restock finds where returned goods go, without moving them. No line takes back more than it sent.
func (s *Server) restock(original *invoice, lines []restockInput, quantities []decimal.Decimal) ([]returned, *problem) {
	var out []returned
	left := map[*orderLine]decimal.Decimal{}
	for i, in := range lines {
		back := returned{quantity: quantities[i]}
		var o *order
		if original != nil {
			o = s.state.orders.get(original.SalesOrder)
		}
		if o != nil {
			for _, l := range o.LineItems {
				if _, seen := left[l]; !seen {
					left[l] = l.QuantityShipped.Decimal
				}
				matches := in.SalesOrderLine == l.SalesOrderLine || in.SalesOrderLine == 0 && key(in.StockCode) == key(l.StockCode)
				if matches && left[l].GreaterThanOrEqual(back.quantity) {
					back.line, back.item = l, s.state.stock.get(l.stockKey())
					left[l] = left[l].Sub(back.quantity)
					break
				}
			}
			if back.line == nil {
				return nil, unprocessable(codeBusinessRule, "the order has not shipped that much").at(indexed("RestockLines", i, "Quantity"), "").by("SORTCL", "")
			}
		} else {
			warehouse := in.Warehouse
			if warehouse == "" {
				warehouse = defaultWarehouse
			}
			back.item = s.state.stock.get(stockKey(in.StockCode, warehouse))
		}
		if back.item == nil {
			return nil, unprocessable(codeStockUnknown, "Stock code '%s' not found", in.StockCode).
				at(indexed("RestockLines", i, "StockCode"), in.StockCode).by("SORTCL", "240004")
		}
		out = append(out, back)
	}
	return out, nil
}

func (s *Server) listCreditMemos(query url.Values) (any, *problem) {
	p, refused := readPage(query)
	if refused != nil {
		return nil, refused
	}
	unprocessed := query.Get("Unprocessed")
	if unprocessed != "" && !strings.EqualFold(unprocessed, "true") && !strings.EqualFold(unprocessed, "false") {
		return nil, invalidQuery("Unprocessed", "Unprocessed takes true or false")
	}
	pending := strings.EqualFold(unprocessed, "true")
	found := list(&s.state.memoFeed, p, s.listUntil(), s.state.creditMemos.get,
		func(m *creditMemo) time.Time { return m.LastModified },
		func(m *creditMemo) bool { return !pending || m.RefundStatus == "Pending" })
	return struct {
		success
		CreditMemos []*creditMemo
		listed[creditMemo]
	}{lookedUp(), found.rows, found}, nil
}

type acknowledgeInput struct {
	CreditMemoNumber, RefundStatus, RefundTransactionId, RefundedAt, FailureReason string
	RefundedAmount                                                                 numeric
}

// acknowledgeCreditMemo notes how the refund at the gateway went; it has no accounting.
func (s *Server) acknowledgeCreditMemo(c *change, in *acknowledgeInput) (int, any, *problem) {
	var check checks
	check.required("CreditMemoNumber", in.CreditMemoNumber, 20)
	check.required("RefundStatus", in.RefundStatus, 20)
	check.oneOf("RefundStatus", in.RefundStatus, "Pending", "Processing", "Refunded", "Failed")
	check.text("RefundTransactionId", in.RefundTransactionId, 100)
	check.text("FailureReason", in.FailureReason, 255)
	check.timestamp("RefundedAt", in.RefundedAt)
	memo := s.state.creditMemos.get(in.CreditMemoNumber)
	currency := ""
	if memo != nil {
		currency = memo.Currency
	}
	refunded := check.amount("RefundedAmount", in.RefundedAmount, currency)
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	if memo == nil {
		return 0, nil, notFound(codeInvoiceUnknown, "credit memo not found").at("CreditMemoNumber", in.CreditMemoNumber)
	}
	if refunded.GreaterThan(memo.Amount.Decimal) {
		return 0, nil, unprocessable(codeOverpaid, "credit memo '%s' is of %s", memo.CreditMemoNumber, memo.Amount).at("RefundedAmount", refunded.String())
	}
	if memo.RefundStatus == "Refunded" && (in.RefundStatus != "Refunded" ||
		in.RefundTransactionId != "" && memo.RefundTransactionId != "" && memo.RefundTransactionId != in.RefundTransactionId) {
		return 0, nil, refuse(http.StatusConflict, codeStatusConflict, "credit memo '%s' is refunded by %s", memo.CreditMemoNumber, memo.RefundTransactionId)
	}
	next := *memo
	next.RefundStatus, next.FailureReason = in.RefundStatus, in.FailureReason
	if in.RefundTransactionId != "" {
		next.RefundTransactionId = in.RefundTransactionId
	}
	if in.RefundedAt != "" {
		next.RefundedAt = in.RefundedAt
	}
	if in.RefundedAmount.set() && (memo.RefundedAmount == nil || !memo.RefundedAmount.Equal(refunded)) {
		amount := money(refunded, currency)
		next.RefundedAmount = &amount
	}
	changed := next != *memo
	if changed {
		*memo = next
		s.state.touchMemo(c, memo)
	}
	return http.StatusOK, struct {
		success
		CreditMemoNumber string
		RefundStatus     string
		Changed          bool
	}{c.success(), memo.CreditMemoNumber, memo.RefundStatus, changed}, nil
}
