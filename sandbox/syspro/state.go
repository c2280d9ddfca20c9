package syspro

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Kinds of entities in the state file.
const (
	kindAnswer     = "answer"
	kindCustomer   = "customer"
	kindStock      = "stock"
	kindOrder      = "order"
	kindInvoice    = "invoice"
	kindPayment    = "payment"
	kindCreditMemo = "creditMemo"
	kindJournal    = "journal"
	kindAPInvoice  = "apInvoice"
	kindShipment   = "shipment"
	kindPosting    = "posting"
	kindPeriod     = "period"
)

// table is one kind of entity by key, in the order of creation.
type table[T any] struct {
	exact bool // the keys are references of the caller's, whose leading zeros count
	byKey map[string]*T
	all   []*T
}

func (t *table[T]) get(k string) *T { return t.byKey[t.normal(k)] }

func (t *table[T]) normal(k string) string {
	if t.exact {
		return strings.TrimSpace(k)
	}
	return key(k)
}

func (t *table[T]) add(k string, row *T) {
	if t.byKey == nil {
		t.byKey = map[string]*T{}
	}
	k = t.normal(k)
	if old, known := t.byKey[k]; known {
		*old = *row
		return
	}
	t.byKey[k] = row
	t.all = append(t.all, row)
}

// state is the company. It is guarded by Server.mu.
type state struct {
	customers   table[customer]
	stock       table[stockItem]
	orders      table[order]
	invoices    table[invoice]
	payments    table[payment]
	creditMemos table[creditMemo]
	journals    table[journal]
	apInvoices  table[apInvoice]
	shipments   table[shipment]
	periods     table[period]
	postings    []*posting
	answers     map[string]*stored

	// Derived: see reindex.
	byNumber     map[string][]string // caller's order number -> sales orders, of several customers
	byCustomer   map[string]string   // customer + order number -> sales order
	byExternal   map[string]string   // external ID -> customer
	byEmail      map[string][]string // e-mail in lower case -> customers
	shipmentsOf  map[string][]string // sales order -> shipments
	backOrders   map[string][]string // stock in a warehouse -> sales orders, oldest first
	balances     map[balanceKey]decimal.Decimal
	orderFeed    feed
	shipmentFeed feed
	memoFeed     feed
	lastStamp    time.Time
	resolution   time.Duration // of modification times
	lag          time.Duration // how late the next change is committed
	counters     map[string]int
}

type balanceKey struct{ currency, account string }

func newState(resolution time.Duration) *state {
	st := &state{answers: map[string]*stored{}, resolution: resolution}
	st.payments.exact, st.journals.exact, st.apInvoices.exact = true, true, true
	seed(st)
	st.reindex()
	return st
}

// replay takes one entity from the state file.
func (st *state) replay(kind, id string, doc json.RawMessage) error {
	switch kind {
	case kindAnswer:
		return keep(doc, func(a *stored) { st.answers[id] = a })
	case kindCustomer:
		return keep(doc, func(row *customer) { st.customers.add(id, row) })
	case kindStock:
		return keep(doc, func(row *stockItem) { st.stock.add(id, row) })
	case kindOrder:
		return keep(doc, func(row *order) { st.orders.add(id, row) })
	case kindInvoice:
		return keep(doc, func(row *invoice) { st.invoices.add(id, row) })
	case kindPayment:
		return keep(doc, func(row *payment) { st.payments.add(id, row) })
	case kindCreditMemo:
		return keep(doc, func(row *creditMemo) { st.creditMemos.add(id, row) })
	case kindJournal:
		return keep(doc, func(row *journal) { st.journals.add(id, row) })
	case kindAPInvoice:
		return keep(doc, func(row *apInvoice) { st.apInvoices.add(id, row) })
	case kindShipment:
		return keep(doc, func(row *shipment) { st.shipments.add(id, row) })
	case kindPosting:
		return keep(doc, func(row *posting) { st.postings = append(st.postings, row) })
	case kindPeriod:
		return keep(doc, func(row *period) { st.periods.add(id, row) })
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
}

func keep[T any](doc json.RawMessage, add func(*T)) error {
	row := new(T)
	if err := json.Unmarshal(doc, row); err != nil {
		return err
	}
	add(row)
	return nil
}

// reindex derives every index from the entities.
func (st *state) reindex() {
	st.byNumber, st.byCustomer = map[string][]string{}, map[string]string{}
	st.byExternal, st.byEmail = map[string]string{}, map[string][]string{}
	st.shipmentsOf, st.backOrders = map[string][]string{}, map[string][]string{}
	st.balances, st.counters = map[balanceKey]decimal.Decimal{}, map[string]int{}
	st.orderFeed, st.shipmentFeed, st.memoFeed = feed{}, feed{}, feed{}
	st.lastStamp = time.Time{}

	for _, row := range st.customers.all {
		st.indexCustomer(row)
		st.count("customer", row.CustomerCode)
	}
	for _, row := range st.orders.all {
		st.indexOrder(row)
		st.orderFeed.add(row.SalesOrder, row.LastModified)
		st.count("order", row.SalesOrder)
		for _, l := range row.LineItems {
			if l.QuantityBackOrdered.IsPositive() {
				st.waitForStock(l.stockKey(), row.SalesOrder)
			}
		}
	}
	for _, row := range st.invoices.all {
		st.count("invoice", row.InvoiceNumber)
	}
	for _, row := range st.creditMemos.all {
		st.memoFeed.add(row.CreditMemoNumber, row.LastModified)
		st.count("creditMemo", row.CreditMemoNumber)
	}
	for _, row := range st.shipments.all {
		st.shipmentsOf[row.SalesOrder] = append(st.shipmentsOf[row.SalesOrder], row.ShipmentNumber)
		st.shipmentFeed.add(row.ShipmentNumber, row.LastModified)
		st.count("shipment", row.ShipmentNumber)
	}
	for _, row := range st.postings {
		st.addBalances(row)
		st.count("journal", row.JournalNumber)
	}
	for _, f := range []*feed{&st.orderFeed, &st.shipmentFeed, &st.memoFeed} {
		if n := len(f.marks); n > 0 && f.marks[n-1].at.After(st.lastStamp) {
			st.lastStamp = f.marks[n-1].at
		}
	}
}

func (st *state) indexCustomer(row *customer) {
	if row.ExternalId != "" {
		st.byExternal[row.ExternalId] = row.CustomerCode
	}
	if email := strings.ToLower(row.Email); email != "" && !slices.Contains(st.byEmail[email], row.CustomerCode) {
		st.byEmail[email] = append(st.byEmail[email], row.CustomerCode)
	}
}

func (st *state) unindexCustomer(row *customer) {
	delete(st.byExternal, row.ExternalId)
	email := strings.ToLower(row.Email)
	if rest := slices.DeleteFunc(st.byEmail[email], func(c string) bool { return c == row.CustomerCode }); len(rest) > 0 {
		st.byEmail[email] = rest
	} else {
		delete(st.byEmail, email)
	}
}

func (st *state) indexOrder(row *order) {
	number := strings.TrimSpace(row.OrderNumber)
	st.byNumber[number] = append(st.byNumber[number], row.SalesOrder)
	st.byCustomer[naturalOrder(row.CustomerCode, row.OrderNumber)] = row.SalesOrder
}

func naturalOrder(customerCode, orderNumber string) string {
	return key(customerCode) + "\x00" + strings.TrimSpace(orderNumber)
}

func (st *state) waitForStock(stockKey, salesOrder string) {
	if !slices.Contains(st.backOrders[stockKey], salesOrder) {
		st.backOrders[stockKey] = append(st.backOrders[stockKey], salesOrder)
	}
}

// stamp gives a modification time: lists are ordered by it. It never goes back, and at the finest resolution no row had it before. A change
// that is committed late has an earlier one.
func (st *state) stamp(now time.Time) time.Time {
	now = now.UTC().Truncate(st.resolution)
	if lag := st.lag; lag > 0 {
		st.lag = 0
		return now.Add(-lag).Truncate(st.resolution)
	}
	if now.Before(st.lastStamp) {
		now = st.lastStamp
	}
	if st.resolution == time.Microsecond && now.Equal(st.lastStamp) {
		now = now.Add(time.Microsecond)
	}
	st.lastStamp = now
	return now
}

// count keeps the counter of a kind above every number that is taken.
func (st *state) count(kind, number string) {
	if n, err := strconv.Atoi(strings.TrimLeft(number, "C0")); err == nil && n > st.counters[kind] && n < 1e9 {
		st.counters[kind] = n
	}
}

// next gives a number that isn't taken.
func (st *state) next(kind, format string, first int, taken func(string) bool) string {
	for {
		st.counters[kind] = max(st.counters[kind]+1, first)
		if number := fmt.Sprintf(format, st.counters[kind]); taken == nil || !taken(number) {
			return number
		}
	}
}

func (st *state) touchOrder(c *change, row *order) {
	row.LastModified = st.stamp(c.now)
	version, _ := strconv.Atoi(row.Version)
	row.Version = strconv.Itoa(version + 1)
	st.orderFeed.add(row.SalesOrder, row.LastModified)
	st.orderFeed.compact(func(id string) time.Time { return st.orders.get(id).LastModified })
	c.put(kindOrder, row.SalesOrder, row)
}

func (st *state) touchMemo(c *change, row *creditMemo) {
	row.LastModified = st.stamp(c.now)
	st.memoFeed.add(row.CreditMemoNumber, row.LastModified)
	st.memoFeed.compact(func(id string) time.Time { return st.creditMemos.get(id).LastModified })
	c.put(kindCreditMemo, row.CreditMemoNumber, row)
}

func (st *state) touchShipment(c *change, row *shipment) {
	row.LastModified = st.stamp(c.now)
	st.shipmentFeed.add(row.ShipmentNumber, row.LastModified)
	st.shipmentFeed.compact(func(id string) time.Time { return st.shipments.get(id).LastModified })
	c.put(kindShipment, row.ShipmentNumber, row)
}

// feed orders rows by modification time. A row that changes gets another mark; its former marks are skipped by readers
// and dropped once they are the greater part.
type feed struct {
	marks []mark
	rows  map[string]struct{}
}

type mark struct {
	at time.Time
	id string
}

func (f *feed) add(id string, at time.Time) {
	if f.rows == nil {
		f.rows = map[string]struct{}{}
	}
	f.rows[id] = struct{}{}
	m := mark{at, id}
	place, there := slices.BinarySearchFunc(f.marks, m, mark.compare)
	if !there {
		f.marks = slices.Insert(f.marks, place, m)
	}
}

// compare orders marks by time, then by ID.
func (m mark) compare(other mark) int {
	return cmp.Or(m.at.Compare(other.at), cmp.Compare(m.id, other.id))
}

func (f *feed) compact(current func(id string) time.Time) {
	const slack = 64
	if len(f.marks) < 2*len(f.rows)+slack {
		return
	}
	f.marks = slices.DeleteFunc(f.marks, func(m mark) bool { return !current(m.id).Equal(m.at) })
}
