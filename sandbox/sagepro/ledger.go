package sagepro

import (
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// ledger is GET /_sandbox/ledger: what the tables have, current and finished, in the field names of the SYSPRO sandbox's ledger, so that one reader
// reads both. What Sage Pro has no column for comes from the integration's own tables.
type ledger struct {
	SalesOrders []orderRow      `json:"salesOrders"`
	Customers   []customerRow   `json:"customers"`
	Invoices    []invoiceRow    `json:"invoices"`
	Payments    []paymentRow    `json:"payments"`
	CreditMemos []creditMemoRow `json:"creditMemos"`
	Journals    []journalRow    `json:"journals"`
	APInvoices  []billRow       `json:"apInvoices"`
	Stock       []stockRow      `json:"stock"`
	Shipments   []shipment      `json:"shipments"`
	Postings    []posting       `json:"postings"`
}

// orderPayment is what the integration keeps of an order's payment.
type orderPayment struct {
	TransactionId     string  `json:",omitempty"`
	PaymentMethodCode string  `json:",omitempty"`
	PaymentStatus     string  `json:",omitempty"`
	Currency          string  `json:",omitempty"`
	TokenId           string  `json:",omitempty"`
	CardLast4         string  `json:",omitempty"`
	Amount            *amount `json:",omitempty"`
}

type addressRow struct {
	Name       string `json:",omitempty"`
	Line1      string `json:",omitempty"`
	Line2      string `json:",omitempty"`
	Line3      string `json:",omitempty"`
	City       string `json:",omitempty"`
	State      string `json:",omitempty"`
	PostalCode string `json:",omitempty"`
	Country    string `json:",omitempty"`
	Email      string `json:",omitempty"`
}

type orderLineRow struct {
	SalesOrderLine      int
	StockCode           string
	Description         string
	Quantity            amount
	UnitOfMeasure       string
	UnitPrice           amount
	LineTotal           amount // net of discounts
	Warehouse           string
	Stocked             bool // false: freight and other lines without stock
	QuantityAllocated   amount
	QuantityBackOrdered amount
	QuantityShipped     amount
	Cancelled           bool `json:",omitempty"`
}

type trackingRow struct {
	Carrier, TrackingNumber, ShippedDate string
}

type orderRow struct {
	SalesOrder             string
	OrderNumber            string
	CustomerCode           string
	OrderStatus            string
	OrderStatusDescription string
	OrderDate              string
	Currency               string
	Warehouse              string
	OrderTotal             amount
	FreightTotal           amount
	TaxTotal               amount
	OpenAmount             amount // ORDAMT
	ShippedAmount          amount // SHPAMT
	OnHold                 bool
	LastInvoice            string
	LastModified           time.Time
	ShipToAddress          addressRow
	BillToAddress          addressRow
	LineItems              []orderLineRow
	Payment                orderPayment
	Tracking               []trackingRow
	PaymentMethodCode      string // PTERMS
	History                bool
}

type customerRow struct {
	CustomerCode   string
	Name           string
	Contact        string
	Email          string
	Phone          string
	BillToAddress  addressRow
	Currency       string
	TermsCode      string
	Salesperson    string
	Area           string
	CreditLimit    amount // 0 is none
	CreditStatus   string
	OnHold         bool
	ExternalId     string
	CurrentBalance amount
	OpenOrderValue amount
}

type invoiceRow struct {
	InvoiceNumber string
	SalesOrder    string
	OrderNumber   string `json:",omitempty"`
	CustomerCode  string
	InvoiceDate   string
	InvoiceTotal  amount
	TaxAmount     amount
	Balance       amount
	Credited      amount // by credit memos
	InvoiceStatus string // Open, PartiallyPaid, Paid, Credited
	Currency      string
	Reference     string `json:",omitempty"`
	Payment       orderPayment
	History       bool
}

type creditMemoRow struct {
	CreditMemoNumber      string
	CustomerCode          string
	SalesOrder            string
	OrderNumber           string
	OriginalInvoice       string
	CreditDate            string
	Amount                amount
	TaxAmount             amount
	Remaining             amount // neither set off nor refunded
	Currency              string
	Reason                string
	Reference             string
	OriginalTransactionId string
	RefundStatus          string // Pending, Refunded, Failed; "" where there is nothing to refund
	RefundTransactionId   string
	History               bool
}

type journalLineRow struct {
	AccountCode string
	Debit       amount
	Credit      amount
	Description string
}

type journalRow struct {
	Reference     string
	JournalNumber string
	GlYear        int
	GlPeriod      int
	JournalDate   string
	Currency      string
	Lines         []journalLineRow
	TotalDebit    amount
	TotalCredit   amount
}

type distributionRow struct {
	AccountCode string
	Amount      amount
}

type billRow struct {
	SupplierCode    string
	InvoiceNumber   string
	TransactionCode string
	InvoiceDate     string
	DueDate         string
	Currency        string
	InvoiceTotal    amount
	Reference       string
	Distribution    []distributionRow
}

// companyCurrency is that of the general ledger and of accounts payable, which have no column for one.
const companyCurrency = "USD"

func (b *books) ledger() ledger {
	x := b.index()
	paid := b.paymentRows(x)
	l := ledger{SalesOrders: []orderRow{}, Customers: []customerRow{}, Invoices: []invoiceRow{}, Payments: paid, CreditMemos: []creditMemoRow{},
		Journals: []journalRow{}, APInvoices: []billRow{}, Stock: []stockRow{}, Shipments: []shipment{}, Postings: b.postings(x)}
	for i := range b.orders {
		l.SalesOrders = append(l.SalesOrders, orderView(&b.orders[i], x))
	}
	ids := map[string]string{}
	for _, r := range b.xrefs {
		if r.Entity == "customer" {
			ids[string(r.Erpkey)] = string(r.Extref)
		}
	}
	for i := range b.customers {
		l.Customers = append(l.Customers, customerView(&b.customers[i], ids[string(b.customers[i].Custno)]))
	}
	credited := b.credited(x)
	for i := range b.invoices {
		row := &b.invoices[i]
		if row.memo() {
			l.CreditMemos = append(l.CreditMemos, creditMemoView(row, x))
			continue
		}
		l.Invoices = append(l.Invoices, invoiceView(row, credited[ours(row.Invno)], x))
		if s, left := shipmentView(row, x); left {
			l.Shipments = append(l.Shipments, s)
		}
	}
	l.Journals, l.APInvoices = b.journals(), b.billRows()
	for i := range b.stock {
		l.Stock = append(l.Stock, stockView(&b.stock[i], x.waitingAt[b.stock[i].place()]))
	}
	return l
}

func orderView(o *order, x *index) orderRow {
	currency, status := string(o.Currid), o.status()
	row := orderRow{SalesOrder: ours(o.Sono), OrderNumber: x.numbers[o.Sono], CustomerCode: string(o.Custno), OrderStatus: status,
		OrderStatusDescription: statusDescription(status), OrderDate: string(o.Sodate), Currency: currency, Warehouse: string(o.Loctid), OnHold: status == "H",
		TaxTotal: money(o.Tax.Decimal, currency), OpenAmount: money(o.Ordamt.Decimal, currency), ShippedAmount: money(o.Shpamt.Decimal, currency),
		LastModified: modified(o.Adddate, o.Addtime), LineItems: []orderLineRow{}, Tracking: []trackingRow{}, PaymentMethodCode: string(o.Pterms), History: o.History,
		Payment: x.payment(o.Sono)}
	total, fees := o.Tax.Decimal, decimal.Zero
	for _, l := range x.lines[o.Sono] {
		total = total.Add(l.Extprice.Decimal)
		if freight(l.Item) {
			fees = fees.Add(l.Extprice.Decimal)
		}
		row.LineItems = append(row.LineItems, lineView(l, x.waiting[l.ID], currency))
	}
	row.OrderTotal, row.FreightTotal = money(total, currency), money(fees, currency)
	if invoices := x.ofOrder[o.Sono]; len(invoices) > 0 {
		row.LastInvoice = ours(invoices[len(invoices)-1].Invno)
	}
	for _, i := range x.ofOrder[o.Sono] {
		if i.Sotrack != "" {
			row.Tracking = append(row.Tracking, trackingRow{string(o.Shipvia), string(i.Sotrack), string(i.Invdte)})
		}
	}
	if len(row.Tracking) == 0 && o.Sotrack != "" {
		row.Tracking = append(row.Tracking, trackingRow{Carrier: string(o.Shipvia), TrackingNumber: string(o.Sotrack)})
	}
	for _, a := range x.addresses[o.Sono] {
		if a.Adtype == "B" {
			row.BillToAddress = addressView(a)
		} else {
			row.ShipToAddress = addressView(a)
		}
	}
	return row
}

func lineView(l *orderLine, waiting decimal.Decimal, currency string) orderLineRow {
	row := orderLineRow{SalesOrderLine: l.Number, StockCode: string(l.Item), Description: string(l.Descrip), Quantity: quantity(l.Origqtyord.Decimal),
		UnitOfMeasure: string(l.Umeasur), UnitPrice: quantity(l.Price.Decimal), LineTotal: money(l.Extprice.Decimal, currency), Warehouse: string(l.Loctid),
		Stocked: l.stocked(), QuantityShipped: quantity(l.Qtyshp.Decimal), QuantityBackOrdered: quantity(waiting)}
	row.Cancelled = l.Sostat == orderCancelled || l.Sostat == orderVoid
	if l.stocked() && l.Sostat == orderOpen {
		row.QuantityAllocated = quantity(l.Qtyord.Sub(waiting))
	}
	return row
}

func addressView(a *address) addressRow {
	return addressRow{Name: string(a.Company), Line1: string(a.Address1), Line2: string(a.Address2), Line3: string(a.Address3), City: string(a.City),
		State: string(a.State), PostalCode: string(a.Zip), Country: string(a.Country), Email: string(a.Email)}
}

// payment is the payment status that was written last.
func (x *index) payment(sono text) orderPayment {
	known := x.paid[sono]
	if len(known) == 0 {
		return orderPayment{}
	}
	p := known[len(known)-1]
	worth := money(p.Amount.Decimal, string(p.Currid))
	return orderPayment{TransactionId: string(p.Cybtxn), PaymentMethodCode: string(p.Method), PaymentStatus: string(p.Paystatus), Currency: string(p.Currid),
		TokenId: string(p.Tokenid), CardLast4: string(p.Last4), Amount: &worth}
}

func customerView(c *customer, externalID string) customerRow {
	currency := string(c.Currency)
	return customerRow{CustomerCode: string(c.Custno), Name: string(c.Company), Contact: string(c.Contact), Email: string(c.Email), Phone: string(c.Phone),
		BillToAddress: addressRow{Line1: string(c.Address1), Line2: string(c.Address2), City: string(c.City), State: string(c.State), PostalCode: string(c.Zip), Country: string(c.Country)},
		Currency:      currency, TermsCode: string(c.Pterms), Salesperson: string(c.Salesmn), Area: string(c.Terr), CreditLimit: money(c.Limit.Decimal, currency),
		CreditStatus: string(c.Credstat), OnHold: c.Credstat == creditHeld, ExternalId: externalID, CurrentBalance: money(c.Balance.Decimal, currency),
		OpenOrderValue: money(c.Onorder.Decimal, currency)}
}

// credited is what credit memos take of each invoice.
func (b *books) credited(x *index) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for i := range b.invoices {
		if m := &b.invoices[i]; m.memo() && !m.void() {
			n := x.credits(m)
			sums[n] = sums[n].Sub(m.Invamt.Decimal)
		}
	}
	return sums
}

func invoiceView(i *invoice, credited decimal.Decimal, x *index) invoiceRow {
	currency := string(i.Currid)
	row := invoiceRow{InvoiceNumber: ours(i.Invno), SalesOrder: ours(i.Ornum), OrderNumber: x.orderOf(i), CustomerCode: string(i.Custno), InvoiceDate: string(i.Invdte),
		InvoiceTotal: money(i.Invamt.Decimal, currency), TaxAmount: money(i.Tax.Decimal, currency), Balance: money(i.Balance.Decimal, currency),
		Credited: money(credited, currency), Currency: currency, Reference: x.orderOf(i), Payment: x.payment(i.Ornum), History: i.History}
	switch {
	case i.Invamt.IsPositive() && credited.GreaterThanOrEqual(i.Invamt.Decimal) && i.Balance.IsZero():
		row.InvoiceStatus = "Credited"
	case i.Balance.IsZero():
		row.InvoiceStatus = "Paid"
	case i.Balance.Equal(i.Invamt.Decimal):
		row.InvoiceStatus = "Open"
	default:
		row.InvoiceStatus = "PartiallyPaid"
	}
	return row
}

// shipmentView is an invoice of an order as the goods that left with it.
func shipmentView(i *invoice, x *index) (shipment, bool) {
	o := x.orders[i.Ornum]
	if o == nil || i.void() {
		return shipment{}, false
	}
	s := shipment{ShipmentNumber: ours(i.Invno), SalesOrder: ours(i.Ornum), OrderNumber: x.orderOf(i), CustomerCode: string(i.Custno), ShipmentStatus: "9",
		Carrier: string(o.Shipvia), TrackingNumber: string(i.Sotrack), ShippedDate: string(i.Invdte), Lines: []shipmentLine{}, InvoiceNumber: ours(i.Invno),
		InvoiceTotal: money(i.Invamt.Decimal, string(i.Currid))}
	for _, l := range x.invoiceLines[i.Invno] {
		if l.Qtyshp.IsPositive() && !freight(l.Item) {
			s.Lines = append(s.Lines, shipmentLine{l.number(), string(l.Item), quantity(l.Qtyshp.Decimal)})
		}
	}
	gone := map[int]decimal.Decimal{} // up to and with this one
	for _, other := range x.ofOrder[i.Ornum] {
		if other.ID > i.ID {
			continue
		}
		for _, l := range x.invoiceLines[other.Invno] {
			gone[l.number()] = gone[l.number()].Add(l.Qtyshp.Decimal)
		}
	}
	s.Partial = slices.ContainsFunc(x.lines[i.Ornum], func(l *orderLine) bool {
		return l.stocked() && gone[l.Number].LessThan(l.Origqtyord.Decimal)
	})
	return s, true
}

func creditMemoView(m *invoice, x *index) creditMemoRow {
	currency := string(m.Currid)
	row := creditMemoRow{CreditMemoNumber: ours(m.Invno), CustomerCode: string(m.Custno), SalesOrder: ours(m.Ornum), OrderNumber: x.orderOf(m), OriginalInvoice: x.credits(m),
		CreditDate: string(m.Invdte), Amount: money(m.Invamt.Neg(), currency), TaxAmount: money(m.Tax.Neg(), currency), Remaining: money(m.Balance.Neg(), currency),
		Currency: currency, Reason: reason(string(m.Arnotes)), History: m.History}
	if row.SalesOrder == "" {
		if original := x.invoices[text(row.OriginalInvoice)]; original != nil {
			row.SalesOrder, row.OrderNumber = ours(original.Ornum), x.orderOf(original)
		}
	}
	row.OriginalTransactionId = x.payment(text(row.SalesOrder)).TransactionId
	if own := x.memos[m.Invno]; own != nil {
		row.Reference = string(own.Extref)
	}
	if told := x.refunds[m.Invno]; told != nil {
		row.RefundStatus, row.RefundTransactionId = string(told.State), string(told.Cybtxn)
	} else if row.OriginalTransactionId != "" && (m.Balance.IsNegative() || x.paidBack[m.Invno]) {
		row.RefundStatus = "Pending"
	}
	return row
}

// reason is why a credit memo was written: what its notes say behind the invoice that they name, and before what came later.
func reason(notes string) string {
	if creditedInvoice.MatchString(notes) {
		_, notes, _ = strings.Cut(notes, ": ")
	}
	notes, _, _ = strings.Cut(notes, "; ")
	return notes
}

func (b *books) journals() []journalRow {
	lines := map[text][]batchLine{}
	for _, l := range b.batchLines {
		lines[l.Batchno] = append(lines[l.Batchno], l)
	}
	rows := []journalRow{}
	for _, j := range b.batches {
		row := journalRow{Reference: string(j.Ref), JournalNumber: ours(j.Batchno), GlYear: j.Glyear, GlPeriod: j.Glperiod, JournalDate: string(j.Trandate),
			Currency: companyCurrency, Lines: []journalLineRow{}, TotalDebit: money(j.Totdr.Decimal, companyCurrency), TotalCredit: money(j.Totcr.Decimal, companyCurrency)}
		for _, l := range lines[j.Batchno] {
			one := journalLineRow{AccountCode: string(l.Glacnt), Description: string(l.Descrip)}
			if l.Amount.IsNegative() {
				one.Credit = money(l.Amount.Neg(), companyCurrency)
			} else {
				one.Debit = money(l.Amount.Decimal, companyCurrency)
			}
			row.Lines = append(row.Lines, one)
		}
		rows = append(rows, row)
	}
	return rows
}

func (b *books) billRows() []billRow {
	rows := []billRow{}
	for _, a := range b.bills {
		row := billRow{SupplierCode: string(a.Vendno), InvoiceNumber: string(a.Invno), TransactionCode: "I", InvoiceDate: string(a.Purdate), DueDate: string(a.Duedate),
			Currency: companyCurrency, InvoiceTotal: money(a.Puramt.Decimal, companyCurrency), Reference: string(a.Ref), Distribution: []distributionRow{}}
		if a.Puramt.IsNegative() {
			row.TransactionCode, row.InvoiceTotal = "C", money(a.Puramt.Neg(), companyCurrency)
		}
		for _, d := range b.billLines {
			if d.Vendno == a.Vendno && d.Invno == a.Invno {
				row.Distribution = append(row.Distribution, distributionRow{string(d.Glacnt), money(d.Amount.Decimal, companyCurrency)})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// modified is when a row was made, as near as audit columns tell.
func modified(date day, clock text) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", string(date)+" "+string(clock))
	if err != nil {
		at, _ = time.Parse(time.DateOnly, string(date))
	}
	return at
}
