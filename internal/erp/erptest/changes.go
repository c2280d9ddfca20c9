package erptest

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// searchBack is how far before now the suite asks for changes: more than clocks differ, and rows of other tests are younger.
const searchBack = time.Minute

// lists leaves out what no list can show.
func (s *stage) lists(t *testing.T) {
	t.Helper()
	if s.Changes == nil {
		t.Skip("this adapter can't be asked for changes")
	}
}

// walk reads a list to its end, page by page, and holds it to its order: by time, then by number, each row once.
func walk[T any](ctx context.Context, t require.TestingT, query erp.ChangeQuery, number func(T) string,
	list func(context.Context, erp.ChangeQuery) (erp.ChangePage[T], error),
) []erp.Changed[T] {
	var all []erp.Changed[T]
	seen := map[string]bool{}
	for {
		page, err := list(ctx, query)
		require.NoError(t, err)
		if query.Limit > 0 {
			require.LessOrEqual(t, len(page.Rows), query.Limit)
		}
		for _, row := range page.Rows {
			if !query.Since.IsZero() {
				require.False(t, row.At.Before(query.Since.Truncate(time.Microsecond)), "%s is older than what was asked for", number(row.Document))
			}
			if last := len(all) - 1; last >= 0 {
				order := all[last].At.Compare(row.At)
				require.True(t, order < 0 || order == 0 && number(all[last].Document) < number(row.Document), "%s is out of order", number(row.Document))
			}
			id := number(row.Document) + row.At.String()
			require.False(t, seen[id], "%s is listed twice", number(row.Document))
			seen[id] = true
			all = append(all, row)
		}
		if page.Next == "" {
			return all
		}
		require.NotEqual(t, query.Cursor, page.Next)
		query.Cursor = page.Next
	}
}

func memoNumber(m erp.CreditMemo) string         { return m.Number }
func shipmentNumber(s canonical.Shipment) string { return s.Number }
func salesOrderNumber(o erp.Order) string        { return o.Number }
func since() time.Time                           { return time.Now().UTC().Add(-searchBack) }

// last is the newest of the rows that are meant.
func last[T any](rows []erp.Changed[T], is func(T) bool) (row erp.Changed[T], found bool) {
	for i := len(rows) - 1; i >= 0; i-- {
		if is(rows[i].Document) {
			return rows[i], true
		}
	}
	return row, false
}

// listed waits until a list shows a row: lists may hold young rows back.
func listed[T any](ctx context.Context, t *testing.T, query erp.ChangeQuery, number func(T) string,
	list func(context.Context, erp.ChangeQuery) (erp.ChangePage[T], error), is func(T) bool,
) erp.Changed[T] {
	t.Helper()
	var found erp.Changed[T]
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		row, there := last(walk(ctx, c, query, number, list), is)
		require.True(c, there)
		found = row
	}, time.Minute, 50*time.Millisecond)
	return found
}

func (s *stage) testListCreditMemos(t *testing.T) {
	s.lists(t)
	ctx, from := s.ctx(t), since()
	memo := s.makeCreditMemo(t)
	is := func(m erp.CreditMemo) bool { return m.Number == memo.Number }
	row := listed(ctx, t, erp.ChangeQuery{Since: from}, memoNumber, s.Changes.ListCreditMemos, is)
	require.Equal(t, memo.Reference, row.Document.Reference)
	require.Equal(t, s.Company.Customer, row.Document.CustomerCode)
	require.Equal(t, s.Company.Currency, row.Document.Currency)
	require.NotEmpty(t, row.Document.Invoice)
	requireAmount(t, memo.Amount, row.Document.Amount)
	inclusive := listed(ctx, t, erp.ChangeQuery{Since: row.At}, memoNumber, s.Changes.ListCreditMemos, is)
	require.Equal(t, row, inclusive, "the time that is asked for is part of the answer")

	_, err := s.unreachable(t).ListCreditMemos(ctx, erp.ChangeQuery{Since: from})
	requireKind(t, err, fault.Connection)
}

// testCreditMemoOfClerk: a return that somebody books in the ERP asks for its refund, of the payment that the order was paid by.
func (s *stage) testCreditMemoOfClerk(t *testing.T) {
	s.lists(t)
	ctx, from, order := s.ctx(t), since(), s.makeOrder(t)
	payment := s.paymentStatus(order.Number, erp.TagCaptured)
	payment.TransactionID = order.OrderNumber
	require.NoError(t, s.Port.SetPaymentStatus(ctx, s.key(), payment))
	invoice := s.invoiceOf(t, order)
	_, err := s.Port.PostReceipt(ctx, s.key(), s.Documents.Receipt(s.receipt(invoice.Number)))
	require.NoError(t, err)
	number := s.Clerk.Credit(t, invoice.Number)
	for _, pending := range []bool{false, true} {
		memo := listed(ctx, t, erp.ChangeQuery{Since: from, Pending: pending}, memoNumber, s.Changes.ListCreditMemos,
			func(m erp.CreditMemo) bool { return m.Number == number }).Document
		require.Empty(t, memo.Reference, "it is none of ours")
		require.Equal(t, erp.RefundPending, memo.RefundStatus)
		require.Equal(t, payment.TransactionID, memo.TransactionID)
		require.Equal(t, s.Company.Customer, memo.CustomerCode)
		require.Equal(t, order.Number, memo.SalesOrder)
		require.Equal(t, order.OrderNumber, memo.OrderNumber)
		require.Equal(t, invoice.Number, memo.Invoice)
		require.Equal(t, s.Company.Currency, memo.Currency)
		requireAmount(t, total, memo.Amount)
	}

	acknowledged := s.acknowledgement(canonical.CreditMemo{Number: number, Amount: total, Currency: s.Company.Currency})
	require.NoError(t, s.Changes.AcknowledgeCreditMemo(ctx, s.key(), acknowledged))
	listed(ctx, t, erp.ChangeQuery{Since: from}, memoNumber, s.Changes.ListCreditMemos,
		func(m erp.CreditMemo) bool { return m.Number == number && m.RefundStatus == erp.RefundDone })
	refund := s.refund(canonical.CreditMemo{Number: number, Amount: total, Currency: s.Company.Currency})
	_, err = s.Port.PostRefund(ctx, s.key(), refund)
	require.NoError(t, err, "the money that went back is booked against it")
}

// unreachable is the port of an ERP that nobody answers for.
func (s *stage) unreachable(t *testing.T) erp.ChangePort {
	t.Helper()
	port, has := s.Unreachable.(erp.ChangePort)
	require.True(t, has)
	return port
}

// testListShipments sends an order in two parcels. In an ERP that invoices what it ships, both are listed with an invoice of their own; in
// any other they have none until somebody invoices the order, which is a change of both.
func (s *stage) testListShipments(t *testing.T) {
	s.lists(t)
	ctx, from, order := s.ctx(t), since(), s.makeOrder(t)
	shown := func(number string, is func(canonical.Shipment) bool) canonical.Shipment {
		return listed(ctx, t, erp.ChangeQuery{Since: from}, shipmentNumber, s.Changes.ListShipments,
			func(shipment canonical.Shipment) bool { return shipment.Number == number && is(shipment) }).Document
	}
	posted := func(canonical.Shipment) bool { return true }
	invoiced := func(shipment canonical.Shipment) bool { return shipment.Invoice != "" }

	tracking := s.name("Z")
	number := s.Clerk.Ship(t, order.Number, 1, "UPS", tracking)
	shipped := shown(number, posted)
	require.Equal(t, order.Number, shipped.SalesOrder)
	require.Equal(t, order.OrderNumber, shipped.OrderID)
	require.Equal(t, "UPS", shipped.Carrier)
	require.Equal(t, tracking, shipped.Tracking)
	require.NotEmpty(t, shipped.ShippedOn)
	require.True(t, shipped.Partial)
	require.Len(t, shipped.Lines, 1)
	require.Equal(t, 1, shipped.Lines[0].LineNumber)
	require.Equal(t, s.Company.StockCode, shipped.Lines[0].StockCode)
	requireAmount(t, decimal.NewFromInt(1), shipped.Lines[0].Quantity)
	if s.Company.ShipmentIsInvoice {
		s.requireInvoice(t, shipped.Invoice, order, unitPrice)
	} else {
		require.Empty(t, shipped.Invoice)
	}

	rest := s.Clerk.Ship(t, order.Number, 1, "UPS", s.name("Z"))
	require.NotEqual(t, number, rest)
	if !s.Company.ShipmentIsInvoice {
		made, err := s.Port.CreateInvoice(ctx, s.key(), s.Documents.Invoice(order.Number))
		require.NoError(t, err)
		s.requireInvoice(t, made.Number, order, total)
		last := shown(rest, invoiced)
		require.Equal(t, made.Number, last.Invoice)
		require.False(t, last.Partial)
		require.Equal(t, made.Number, shown(number, invoiced).Invoice, "the invoice is a change of the shipment")
		require.Equal(t, 1, s.Count(t, Invoices, order.Number))
		return
	}
	last := shown(rest, posted)
	require.False(t, last.Partial)
	require.NotEqual(t, shipped.Invoice, last.Invoice)
	s.requireInvoice(t, last.Invoice, order, unitPrice)
	found, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: order.Number})
	require.NoError(t, err)
	require.Equal(t, last.Invoice, found.Invoice, "the last one")
	requireAmount(t, decimal.NewFromInt(2), found.Lines[0].Shipped)
	adopted, err := s.Port.CreateInvoice(ctx, s.key(), s.Documents.Invoice(order.Number))
	if err != nil {
		requireKind(t, err, fault.Conflict)
	} else {
		require.Contains(t, []string{shipped.Invoice, last.Invoice}, adopted.Number)
	}
	require.Equal(t, 2, s.Count(t, Invoices, order.Number), "there is nothing left to be invoiced")
}

// requireInvoice looks at an open invoice of an order.
func (s *stage) requireInvoice(t *testing.T, number string, order canonical.SalesOrder, amount decimal.Decimal) {
	t.Helper()
	require.NotEmpty(t, number)
	found, err := s.Port.FindInvoice(s.ctx(t), erp.InvoiceRef{Number: number})
	require.NoError(t, err)
	require.Equal(t, number, found.Number)
	require.Equal(t, order.Number, found.SalesOrder)
	require.Equal(t, s.Company.Currency, found.Currency)
	requireAmount(t, amount, found.Total)
	requireAmount(t, amount, found.Balance)
}

func (s *stage) testListSalesOrders(t *testing.T) {
	s.lists(t)
	ctx, from, order := s.ctx(t), since(), s.makeOrder(t)
	state := func(wanted erp.OrderState) erp.Changed[erp.Order] {
		return listed(ctx, t, erp.ChangeQuery{Since: from}, salesOrderNumber, s.Changes.ListSalesOrders,
			func(o erp.Order) bool { return o.Number == order.Number && o.State == wanted })
	}
	made := state(erp.OrderOpen)
	require.Equal(t, order.OrderNumber, made.Document.OrderNumber)
	require.Len(t, made.Document.Lines, 1)
	require.Equal(t, s.Company.StockCode, made.Document.Lines[0].StockCode)
	s.change(t, order.Number, erp.SalesOrderHold)
	held := state(erp.OrderHeld)
	require.True(t, held.At.After(made.At) || held.At.Equal(made.At))
	s.change(t, order.Number, erp.SalesOrderOpen)
	s.change(t, order.Number, erp.SalesOrderReady)
	state(erp.OrderReady)
	s.change(t, order.Number, erp.SalesOrderOpen)
	s.Clerk.Cancel(t, order.Number, s.Company.CancelReason)
	require.Equal(t, s.Company.CancelReason, state(erp.OrderCancelled).Document.Reason)

	order, _ = s.makeInvoice(t)
	state(erp.OrderComplete)
}

// testPages: small pages show every row once, also where many share a time of change.
func (s *stage) testPages(t *testing.T) {
	s.lists(t)
	ctx, from := s.ctx(t), since()
	var numbers []string
	for range 7 {
		numbers = append(numbers, s.makeOrder(t).Number)
	}
	for _, number := range numbers {
		listed(ctx, t, erp.ChangeQuery{Since: from}, salesOrderNumber, s.Changes.ListSalesOrders, func(o erp.Order) bool { return o.Number == number })
	}
	for _, limit := range []int{1, 2, 3, 100} {
		rows := walk(ctx, t, erp.ChangeQuery{Since: from, Limit: limit}, salesOrderNumber, s.Changes.ListSalesOrders)
		for _, number := range numbers {
			_, found := last(rows, func(o erp.Order) bool { return o.Number == number })
			require.True(t, found, "pages of %d leave %s out", limit, number)
		}
	}
}

// How much later than it says a row may turn up, and how far a reader goes back behind what it has read.
const lag, overlap = 2 * time.Second, 5 * time.Second

// reader polls a list as a process does: again and again, from a little before the newest row that it has seen.
type reader[T any] struct {
	number    func(T) string
	list      func(context.Context, erp.ChangeQuery) (erp.ChangePage[T], error)
	watermark time.Time
	read      map[string]map[time.Time]bool // number -> times of change
}

func newReader[T any](number func(T) string, list func(context.Context, erp.ChangeQuery) (erp.ChangePage[T], error)) *reader[T] {
	return &reader[T]{number: number, list: list, watermark: since(), read: map[string]map[time.Time]bool{}}
}

// meets polls until a row was read.
func (r *reader[T]) meets(ctx context.Context, t *testing.T, number string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, row := range walk(ctx, c, erp.ChangeQuery{Since: r.watermark.Add(-overlap), Limit: 3}, r.number, r.list) {
			changes := r.read[r.number(row.Document)]
			if changes == nil {
				changes = map[time.Time]bool{}
				r.read[r.number(row.Document)] = changes
			}
			changes[row.At] = true
			if row.At.After(r.watermark) {
				r.watermark = row.At
			}
		}
		require.NotEmpty(c, r.read[number])
	}, time.Minute, 50*time.Millisecond)
}

// testLateRows: a reader that goes back behind its watermark by more than anything is late misses nothing.
func (s *stage) testLateRows(t *testing.T) {
	s.lists(t)
	ctx, orders := s.ctx(t), newReader(salesOrderNumber, s.Changes.ListSalesOrders)
	for _, late := range []bool{false, true, false, true} {
		if late {
			s.Clerk.CommitLate(t, lag)
		}
		orders.meets(ctx, t, s.makeOrder(t).Number)
	}
}

// testPostedLate: what a person began before others, and posted when their work had been read already, is not missed either.
func (s *stage) testPostedLate(t *testing.T) {
	s.lists(t)
	ctx, shipments, memos := s.ctx(t), newReader(shipmentNumber, s.Changes.ListShipments), newReader(memoNumber, s.Changes.ListCreditMemos)
	for range 2 {
		sent, order, credited := s.makeOrder(t), s.makeOrder(t), s.makeOrder(t)
		s.Clerk.CommitLate(t, lag)
		memos.meets(ctx, t, s.makeCreditMemo(t).Number)
		shipments.meets(ctx, t, s.Clerk.Ship(t, sent.Number, 1, "UPS", s.name("Z")))
		shipments.meets(ctx, t, s.Clerk.Ship(t, order.Number, 1, "UPS", s.name("Z")))

		invoice := s.invoiceOf(t, credited)
		s.Clerk.CommitLate(t, lag)
		memos.meets(ctx, t, s.makeCreditMemo(t).Number)
		memos.meets(ctx, t, s.Clerk.Credit(t, invoice.Number))
	}
}

func (s *stage) makeDeposit(t *testing.T) canonical.Receipt {
	t.Helper()
	deposit, err := s.Port.PostReceipt(s.ctx(t), s.key(), s.Documents.Receipt(s.receipt("")))
	require.NoError(t, err)
	return deposit
}

func (s *stage) application(deposit canonical.Receipt, invoice string) erp.DepositApplication {
	return erp.DepositApplication{Reference: s.name("A"), Source: deposit.Reference, CustomerCode: s.Company.Customer, Invoice: invoice,
		Amount: deposit.Amount, Currency: deposit.Currency, Date: s.Company.Today, Narration: "Conformance"}
}

func (s *stage) requireUnapplied(t *testing.T, deposit string, rest decimal.Decimal) {
	t.Helper()
	found, err := s.Changes.FindDeposit(s.ctx(t), deposit)
	require.NoError(t, err)
	require.Equal(t, deposit, found.Reference)
	require.Equal(t, s.Company.Currency, found.Currency)
	requireAmount(t, total, found.Amount)
	requireAmount(t, rest, found.Unapplied)
}

func (s *stage) testDeposit(t *testing.T) {
	s.lists(t)
	ctx, deposit := s.ctx(t), s.makeDeposit(t)
	_, err := s.Changes.FindDeposit(ctx, s.name("P"))
	requireKind(t, err, fault.NotFound)
	s.requireUnapplied(t, deposit.Reference, total)

	_, invoice := s.makeInvoice(t)
	part := s.application(deposit, invoice.Number)
	part.Amount = decimal.NewFromInt(30)
	applied, err := s.Changes.ApplyDeposit(ctx, s.key(), part)
	require.NoError(t, err)
	require.Equal(t, part.Reference, applied.Reference)
	found, err := s.Port.FindReceipt(ctx, part.Reference)
	require.NoError(t, err, "an application is found by its own reference")
	requireAmount(t, part.Amount, found.Amount)
	require.Equal(t, invoice.Number, found.Invoice)
	rest := total.Sub(part.Amount)
	s.requireUnapplied(t, deposit.Reference, rest)
	s.requireBalance(t, invoice.Number, rest)

	over := s.application(deposit, invoice.Number)
	over.Amount = rest.Add(decimal.RequireFromString("0.01"))
	_, err = s.Changes.ApplyDeposit(ctx, s.key(), over)
	requireKind(t, err, fault.Conflict, fault.DeclinedByPolicy) // no more than there is
	elsewhere := part
	_, other := s.makeInvoice(t)
	elsewhere.Invoice = other.Number
	_, err = s.Changes.ApplyDeposit(ctx, s.key(), elsewhere)
	requireKind(t, err, fault.Conflict)
	unknown := s.application(deposit, s.number())
	unknown.Amount = rest
	_, err = s.Changes.ApplyDeposit(ctx, s.key(), unknown)
	requireKind(t, err, fault.MissingReference)

	_, err = s.Port.ReverseReceipt(ctx, s.key(), s.reversal(deposit))
	require.NoError(t, err)
	s.requireUnapplied(t, deposit.Reference, decimal.Zero)
	s.requireBalance(t, invoice.Number, total)
}

// twoInvoices makes two invoices of half the total each: of one order that leaves in two parcels where shipments are invoices, else of two.
func (s *stage) twoInvoices(t *testing.T) [2]string {
	t.Helper()
	if s.Company.ShipmentIsInvoice {
		order := s.makeOrder(t)
		return [2]string{s.Clerk.Ship(t, order.Number, 1, "UPS", s.name("Z")), s.Clerk.Ship(t, order.Number, 1, "UPS", s.name("Z"))}
	}
	var numbers [2]string
	for i := range numbers {
		half := s.salesOrder()
		half.Quantity = decimal.NewFromInt(1)
		order, err := s.Port.CreateSalesOrder(s.ctx(t), s.key(), s.Documents.SalesOrder(half))
		require.NoError(t, err)
		numbers[i] = s.invoiceOf(t, order).Number
	}
	return numbers
}

// testDepositOfSeveral: what was paid for an order before it left is taken by one invoice after the other, and its reversal opens them all.
func (s *stage) testDepositOfSeveral(t *testing.T) {
	s.lists(t)
	ctx, deposit, invoices := s.ctx(t), s.makeDeposit(t), s.twoInvoices(t)
	over := s.application(deposit, invoices[0])
	over.Amount = unitPrice.Add(cent)
	_, err := s.Changes.ApplyDeposit(ctx, s.key(), over)
	requireKind(t, err, fault.Conflict)
	s.requireUnapplied(t, deposit.Reference, total)

	left := total
	for _, invoice := range invoices {
		s.requireBalance(t, invoice, unitPrice)
		part := s.application(deposit, invoice)
		part.Amount = unitPrice
		_, err := s.Changes.ApplyDeposit(ctx, s.key(), part)
		require.NoError(t, err)
		left = left.Sub(unitPrice)
		s.requireUnapplied(t, deposit.Reference, left)
		s.requireBalance(t, invoice, decimal.Zero)
	}
	found, err := s.Port.FindReceipt(ctx, deposit.Reference)
	require.NoError(t, err)
	requireAmount(t, total, found.Amount)

	_, err = s.Port.ReverseReceipt(ctx, s.key(), s.reversal(deposit))
	require.NoError(t, err)
	s.requireUnapplied(t, deposit.Reference, decimal.Zero)
	for _, invoice := range invoices {
		s.requireBalance(t, invoice, unitPrice)
	}
}

func (s *stage) acknowledgement(memo canonical.CreditMemo) erp.Acknowledgement {
	return erp.Acknowledgement{Number: memo.Number, Refunded: true, TransactionID: s.name("T"), Amount: memo.Amount, Currency: memo.Currency, At: time.Now()}
}

func (s *stage) testAcknowledge(t *testing.T) {
	s.lists(t)
	ctx, from, memo := s.ctx(t), since(), s.makeCreditMemo(t)
	status := func(wanted erp.RefundStatus) {
		listed(ctx, t, erp.ChangeQuery{Since: from}, memoNumber, s.Changes.ListCreditMemos,
			func(m erp.CreditMemo) bool { return m.Number == memo.Number && m.RefundStatus == wanted })
	}
	failed := erp.Acknowledgement{Number: memo.Number, Failure: "the payment was charged back", Currency: memo.Currency, At: time.Now()}
	require.NoError(t, s.Changes.AcknowledgeCreditMemo(ctx, s.key(), failed))
	status(erp.RefundFailed)
	done := s.acknowledgement(memo)
	require.NoError(t, s.Changes.AcknowledgeCreditMemo(ctx, s.key(), done))
	status(erp.RefundDone)
	pending := walk(ctx, t, erp.ChangeQuery{Since: from, Pending: true}, memoNumber, s.Changes.ListCreditMemos)
	_, waits := last(pending, func(m erp.CreditMemo) bool { return m.Number == memo.Number })
	require.False(t, waits, "what is refunded waits no more")

	twice := done
	twice.TransactionID = s.name("T")
	requireKind(t, s.Changes.AcknowledgeCreditMemo(ctx, s.key(), twice), fault.Conflict)
	unknown := done
	unknown.Number = s.number()
	requireKind(t, s.Changes.AcknowledgeCreditMemo(ctx, s.key(), unknown), fault.MissingReference)
}

func (s *stage) tracking(order string) erp.Tracking {
	return erp.Tracking{SalesOrder: order, Carrier: "UPS", Number: s.name("1Z"), ShippedOn: s.Company.Today}
}

func (s *stage) testTracking(t *testing.T) {
	s.lists(t)
	ctx, order := s.ctx(t), s.makeOrder(t)
	tracking := s.tracking(order.Number)
	require.NoError(t, s.Changes.SetTracking(ctx, s.key(), tracking))
	require.NoError(t, s.Changes.SetTracking(ctx, s.key(), tracking), "what holds already is a success")
	second := s.tracking(order.Number)
	require.NoError(t, s.Changes.SetTracking(ctx, s.key(), second), "an order may leave in several parcels")
	requireKind(t, s.Changes.SetTracking(ctx, s.key(), s.tracking(s.number())), fault.MissingReference)
}
