package sagepro_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

// every reads a list from the beginning to its end, in pages of so many, and holds it to its order.
func every[T any](t *testing.T, limit int, query erp.ChangeQuery, list func(context.Context, erp.ChangeQuery) (erp.ChangePage[T], error)) []erp.Changed[T] {
	t.Helper()
	var rows []erp.Changed[T]
	for query.Limit = limit; ; {
		page, err := list(t.Context(), query)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Rows), limit)
		for _, row := range page.Rows {
			if len(rows) > 0 {
				require.True(t, rows[len(rows)-1].At.Before(row.At), "no two changes have one time")
			}
			rows = append(rows, row)
		}
		if page.Next == "" {
			return rows
		}
		query.Cursor = page.Next
	}
}

func (d *desk) memos(t *testing.T) []erp.Changed[erp.CreditMemo] {
	t.Helper()
	return every(t, 2, erp.ChangeQuery{}, d.ListCreditMemos)
}

func (d *desk) shipments(t *testing.T) []erp.Changed[canonical.Shipment] {
	t.Helper()
	return every(t, 2, erp.ChangeQuery{}, d.ListShipments)
}

func (d *desk) orders(t *testing.T) []erp.Changed[erp.Order] {
	t.Helper()
	return every(t, 2, erp.ChangeQuery{}, d.ListSalesOrders)
}

func TestAQuietERPHasNoChanges(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		d.Ship(t, order.Number, 1, "UPS", "1Z1")
		d.Credit(t, d.Ship(t, order.Number, 1, "UPS", "1Z2"))
		orders, shipments, memos := d.orders(t), d.shipments(t), d.memos(t)
		require.Len(t, orders, 1)
		require.Len(t, shipments, 2)
		require.Len(t, memos, 1)
		require.Equal(t, orders, d.orders(t))
		require.Equal(t, shipments, d.shipments(t))
		require.Equal(t, memos, d.memos(t))

		// Others' orders take of the stock: that is no change of this one.
		d.set(t, "UPDATE iciloc SET lonhand = '0'")
		require.Equal(t, orders[0].At, d.orders(t)[0].At)

		// Nor is another place of its rows in the table.
		for line := range 2 {
			d.set(t, "UPDATE sotran SET cost = cost WHERE tranlineno = ?", line+1)
			require.Equal(t, orders[0].At, d.orders(t)[0].At)
		}

		// A question that asks since the last time gets the last one again, and nothing before it.
		last := shipments[1]
		page, err := d.ListShipments(t.Context(), erp.ChangeQuery{Since: last.At})
		require.NoError(t, err)
		require.Equal(t, []erp.Changed[canonical.Shipment]{last}, page.Rows)
		page, err = d.ListShipments(t.Context(), erp.ChangeQuery{Since: last.At.Add(time.Microsecond)})
		require.NoError(t, err)
		require.Empty(t, page.Rows)
	})
}

func TestSalesOrdersChange(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		first, second := d.place(t, d.order()), d.place(t, d.order())
		before := d.orders(t)
		require.Len(t, before, 2)
		require.Equal(t, first.OrderNumber, before[0].Document.OrderNumber)
		require.Equal(t, erp.OrderOpen, before[0].Document.State)
		require.Len(t, before[0].Document.Lines, 1)
		requireAmount(t, "2", before[0].Document.Lines[0].Allocated)
		d.set(t, "UPDATE iciloc SET lonhand = '3'")
		requireAmount(t, "1", d.orders(t)[1].Document.Lines[0].BackOrdered)
		d.set(t, "UPDATE iciloc SET lonhand = '1000'")

		d.Post(t, "orders", paper{"SalesOrder": first.Number, "Action": "Hold", "Reason": "ask the buyer"}, nil)
		after := d.orders(t)
		require.Equal(t, before[1], after[0], "what was changed moves to the end")
		require.Equal(t, first.Number, after[1].Document.Number)
		require.Equal(t, erp.OrderHeld, after[1].Document.State)
		require.Equal(t, "ask the buyer", after[1].Document.Reason)
		require.True(t, after[1].At.After(before[1].At))

		d.Cancel(t, second.Number, "FRAUD")
		d.Post(t, "orders", paper{"SalesOrder": first.Number, "Action": "Release"}, nil)
		d.Ship(t, first.Number, 2, "UPS", "1Z1")
		after = d.orders(t)
		states := map[string]erp.Order{}
		for _, row := range after {
			states[row.Document.Number] = row.Document
		}
		require.Equal(t, erp.OrderCancelled, states[second.Number].State)
		require.Equal(t, "FRAUD", states[second.Number].Reason)
		require.Equal(t, erp.OrderComplete, states[first.Number].State)
		require.NotEmpty(t, states[first.Number].Invoice)

		// Orders that people typed are none of ours.
		d.set(t, "INSERT INTO somast (sono, custno, sodate) VALUES ('     77777', 'WEB   ', ?)", today())
		require.Equal(t, after, d.orders(t))
	})
}

// A change that is only seen when the order is in history already is seen all the same, once.
func TestWhatIsFinishedIsLookedForInHistory(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 2, 10))
		require.Len(t, d.orders(t), 1)
		require.Empty(t, d.shipments(t))
		invoice := d.Ship(t, order.Number, 2, "UPS", "1Z1")
		d.pay(t, d.receipt("20.00", [2]string{invoice, "20.00"}))
		d.Credit(t, invoice)
		d.set(t, "UPDATE arcust SET balance = '0' WHERE custno = 'WEB   '")
		d.set(t, "UPDATE armast SET paidamt = invamt, balance = '0' WHERE artype = 'C'")
		d.Post(t, "close-period", paper{}, nil)
		require.Equal(t, "0", d.ask(t, "SELECT (SELECT count(*) FROM armast) + (SELECT count(*) FROM somast)"))

		orders, shipments := d.orders(t), d.shipments(t)
		require.Len(t, orders, 1)
		require.Equal(t, erp.OrderComplete, orders[0].Document.State)
		require.Len(t, shipments, 1)
		require.Equal(t, invoice, shipments[0].Document.Number)
		require.False(t, shipments[0].Document.Partial)
		require.Equal(t, orders, d.orders(t))
		require.Equal(t, shipments, d.shipments(t))
		require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM cyb_change WHERE state = 'history' AND stream IN ('orders', 'shipments')"))
		require.Empty(t, d.memos(t), "a credit memo that people wrote, closed and put away asks for nothing")
	})
}

func TestShipments(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		first := d.Ship(t, order.Number, 1, "UPS", "1Z1")
		require.Equal(t, []canonical.Shipment{{Number: first, SalesOrder: order.Number, OrderID: order.OrderNumber, Carrier: "UPS", Tracking: "1Z1",
			ShippedOn: today(), Partial: true, Invoice: first, Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: "A100", Quantity: dec("1")}}}}, plain(d.shipments(t)),
			"freight is none of the goods")

		// The rest is ours to invoice, and no shipment: nobody said that the goods left.
		rest := d.bill(t, order.Number)
		require.NotEqual(t, first, rest.Number)
		require.Len(t, d.shipments(t), 1)

		other := d.place(t, d.order())
		second := d.Ship(t, other.Number, 2, "FEDEX", "")
		shipped := plain(d.shipments(t))
		require.Len(t, shipped, 2)
		require.Equal(t, second, shipped[1].Number)
		require.False(t, shipped[1].Partial)
		require.Empty(t, shipped[1].Tracking)
		require.NoError(t, d.SetTracking(t.Context(), d.key(), erp.Tracking{SalesOrder: other.Number, Number: "1Z2"}))
		require.Equal(t, "1Z2", plain(d.shipments(t))[1].Tracking, "what the invoice does not tell, the order does")
		d.set(t, "UPDATE armast SET sotrack = '1Z3' WHERE trim(invno) = ?", second)
		require.Equal(t, "1Z3", plain(d.shipments(t))[1].Tracking)

		// A void invoice has sent nothing, and what it sent is still to come.
		d.set(t, "UPDATE armast SET arstat = 'V' WHERE trim(invno) = ?", second)
		require.Len(t, d.shipments(t), 1)
		d.set(t, "UPDATE armast SET arstat = '' WHERE trim(invno) = ?", second)
		require.Len(t, d.shipments(t), 2)
	})
}

// plain gives the documents of rows, amounts in one spelling.
func plain(rows []erp.Changed[canonical.Shipment]) []canonical.Shipment {
	var all []canonical.Shipment
	for _, row := range rows {
		for i, line := range row.Document.Lines {
			row.Document.Lines[i].Quantity = dec(strings.TrimSuffix(line.Quantity.StringFixed(4), ".0000"))
		}
		all = append(all, row.Document)
	}
	return all
}

func TestAnInvoiceWithoutAuditColumnsIsOursByTheCrossReference(t *testing.T) {
	names := func(config *sagepro.Config) {
		config.Names.Columns = map[string]map[string]string{"armast": {"adduser": "", "adddate": "", "addtime": ""}}
	}
	onEach(t, func(t *testing.T, d *desk) {
		d.bill(t, d.place(t, d.order()).Number)
		shipped := d.Ship(t, d.place(t, d.order()).Number, 1, "UPS", "1Z1")
		all := d.shipments(t)
		require.Len(t, all, 1)
		require.Equal(t, shipped, all[0].Document.Number)
		d.Credit(t, shipped)
		require.Len(t, d.memos(t), 1)
	}, names)
}

func TestCreditMemosOfPeople(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		d.pay(t, d.receipt("48.19", [2]string{invoice.Number, "48.19"}))
		number := d.Credit(t, invoice.Number)
		rows := d.memos(t)
		require.Len(t, rows, 1)
		memo := rows[0].Document
		require.Equal(t, number, memo.Number)
		require.Empty(t, memo.Reference)
		require.Equal(t, "WEB", memo.CustomerCode)
		require.Equal(t, order.Number, memo.SalesOrder)
		require.Equal(t, order.OrderNumber, memo.OrderNumber)
		require.Equal(t, invoice.Number, memo.Invoice)
		requireAmount(t, "48.19", memo.Amount)
		requireAmount(t, "3.29", memo.Tax)
		require.Equal(t, "USD", memo.Currency)
		require.Equal(t, "7031234567890123456702", memo.TransactionID)
		require.Equal(t, erp.RefundPending, memo.RefundStatus)

		// It stays pending while its money is on its way, until that is acknowledged.
		_, err := d.PostRefund(t.Context(), d.key(), erp.RefundPosting{Reference: "F-1", CustomerCode: "WEB", CreditMemo: number, Amount: dec("48.19"), Currency: "USD", Date: today()})
		require.NoError(t, err)
		require.Equal(t, erp.RefundPending, d.memos(t)[0].Document.RefundStatus)
		done := erp.Acknowledgement{Number: number, Refunded: true, TransactionID: "7039", Amount: dec("48.19"), Currency: "USD", At: time.Now()}
		require.NoError(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), done))
		acknowledged := d.memos(t)
		require.Equal(t, erp.RefundDone, acknowledged[0].Document.RefundStatus)
		require.True(t, acknowledged[0].At.After(rows[0].At))
		require.Contains(t, d.ask(t, "SELECT arnotes FROM armast WHERE trim(invno) = ?", number), "; refunded 48.19 USD 7039")
		require.NoError(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), done))
		require.Equal(t, acknowledged, d.memos(t), "what is acknowledged already changes nothing")
		require.Empty(t, every(t, 2, erp.ChangeQuery{Pending: true}, d.ListCreditMemos))

		more := done
		more.Amount = dec("48.20")
		requireFault(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), more), fault.Conflict, "INVOICE_OVERPAID")
		failed := erp.Acknowledgement{Number: number, Failure: "too late"}
		requireFault(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), failed), fault.Conflict, "STATUS_CONFLICT")
		failed.Number = invoice.Number
		requireFault(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), failed), fault.MissingReference, "CREDIT_MEMO_NOT_FOUND")
		d.requireNoDrift(t)
	})
}

func TestWhichCreditMemosAskForARefund(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		status := func(number string) (erp.RefundStatus, bool) {
			for _, row := range d.memos(t) {
				if row.Document.Number == number {
					return row.Document.RefundStatus, true
				}
			}
			return "", false
		}
		unpaid := d.Credit(t, d.billed(t, 30).Number)
		found, listed := status(unpaid)
		require.True(t, listed)
		require.Empty(t, found, "what was set off against its invoice pays nothing back")

		d.set(t, "INSERT INTO somast (sono, custno, sodate) VALUES ('     77777', 'WEB   ', ?)", today())
		d.set(t, "INSERT INTO armast (invno, custno, invdte, artype, ornum, invamt, balance) VALUES ('     88888', 'WEB   ', ?, 'C', '     77777', '-5', '-5')", today())
		_, listed = status("88888")
		require.False(t, listed, "it is of an order that none of us knows")

		invoice := d.billed(t, 30)
		d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		ours := d.credit(t, d.memo(invoice.Number, "10.00"))
		found, _ = status(ours.Number)
		require.Equal(t, erp.RefundPending, found, "ours are listed as what they are, by their reference")
		by := d.Credit(t, invoice.Number)
		d.set(t, "UPDATE armast SET arstat = 'V' WHERE trim(invno) = ?", by)
		_, listed = status(by)
		require.False(t, listed, "a void one counts no more")
		d.set(t, "UPDATE armast SET paidamt = invamt, balance = '0' WHERE trim(invno) = ?", ours.Number)
		found, _ = status(ours.Number)
		require.Empty(t, found, "people have paid it out themselves")

		failed := erp.Acknowledgement{Number: ours.Number, Failure: "the card was stolen", Currency: "USD"}
		require.NoError(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), failed))
		found, _ = status(ours.Number)
		require.Equal(t, erp.RefundFailed, found)
		require.Contains(t, d.ask(t, "SELECT arnotes FROM armast WHERE trim(invno) = ?", ours.Number), "refund failed: the card was stolen")
	})
}

// What people have set off against an open invoice is settled already: only the rest of the credit memo is paid back.
func TestOnlyWhatIsLeftOfACreditMemoIsPaidBack(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		d.pay(t, d.receipt("20.00", [2]string{invoice.Number, "20.00"}))
		number := d.Credit(t, invoice.Number)
		d.set(t, "UPDATE armast SET tax = '-3' WHERE trim(invno) = ?", number)
		left := func() erp.CreditMemo {
			rows := d.memos(t)
			require.Len(t, rows, 1)
			require.Equal(t, erp.RefundPending, rows[0].Document.RefundStatus)
			return rows[0].Document
		}
		requireAmount(t, "20", left().Amount)
		requireAmount(t, "2", left().Tax)
		_, err := d.PostRefund(t.Context(), d.key(), erp.RefundPosting{Reference: "F", CustomerCode: "WEB", CreditMemo: number, Amount: dec("20"), Currency: "USD", Date: today()})
		require.NoError(t, err)
		requireAmount(t, "20", left().Amount)
		d.requireNoDrift(t)
	})
}

// A credit memo whose sales order only its lines tell is found too, and one whose notes name the invoice is of that one.
func TestACreditMemoThatSaysLittle(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 2, 10))
		first, second := d.Ship(t, order.Number, 1, "", ""), d.Ship(t, order.Number, 1, "", "")
		write := func(number, notes string) {
			d.set(t, "INSERT INTO armast (invno, custno, invdte, artype, ornum, invamt, balance, arnotes) VALUES (?, 'WEB   ', ?, 'C', '', '-5', '-5', ?)",
				fmt.Sprintf("%10s", number), today(), notes)
			d.set(t, "INSERT INTO artran (invno, sono, artype, extprice) VALUES (?, ?, 'C', '-5')", fmt.Sprintf("%10s", number), fmt.Sprintf("%10s", order.Number))
		}
		write("90001", "")
		write("90002", "credit for Invoice "+first+", agreed")
		rows := d.memos(t)
		require.Len(t, rows, 2)
		require.Equal(t, order.Number, rows[0].Document.SalesOrder)
		require.Equal(t, second, rows[0].Document.Invoice)
		require.Equal(t, first, rows[1].Document.Invoice)
	})
}

// Ids grow, but commits do not follow them: what was begun before others and is committed after them is still seen.
func TestACreditMemoThatIsCommittedLateIsSeen(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		d.pay(t, d.receipt("48.19", [2]string{invoice.Number, "48.19"}))
		d.CommitLate(t, time.Minute) // the next invoice or credit memo has taken its id by now
		others := d.place(t, d.simple("A100", 500, 1))
		d.Credit(t, d.bill(t, others.Number).Number)
		require.Len(t, d.memos(t), 1)
		d.set(t, "UPDATE cyb_watermark SET lastid = lastid + 100000, lastdate = ? WHERE stream = 'creditmemos'", today())
		late := d.Credit(t, invoice.Number)
		var numbers []string
		for _, row := range d.memos(t) {
			numbers = append(numbers, row.Document.Number)
		}
		require.Contains(t, numbers, late)
	})
}

// The same with two real transactions, which SQLite does not have at once.
func TestATransactionThatCommitsAfterALaterOneIsSeen(t *testing.T) {
	d := openDesk(t, sagepro.Postgres)
	order := d.place(t, d.order())
	d.bill(t, order.Number)
	early, err := d.plain.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = early.Rollback() }()
	const write = "INSERT INTO armast (invno, custno, invdte, artype, ornum, invamt, balance, adddate) VALUES ($1, 'WEB', $2, 'C', $3, -5, -5, $2)"
	_, err = early.ExecContext(t.Context(), write, "     90001", today(), fmt.Sprintf("%10s", order.Number))
	require.NoError(t, err)
	_, err = d.plain.ExecContext(t.Context(), write, "     90002", today(), fmt.Sprintf("%10s", order.Number))
	require.NoError(t, err)
	rows := d.memos(t)
	require.Len(t, rows, 1)
	require.Equal(t, "90002", rows[0].Document.Number)
	watermark := rows[0].At

	require.NoError(t, early.Commit())
	page, err := d.ListCreditMemos(t.Context(), erp.ChangeQuery{Since: watermark.Add(time.Microsecond)})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1, "who goes on from where he has read to misses nothing")
	require.Equal(t, "90001", page.Rows[0].Document.Number)

	// A change of an order that is committed late is seen when it is there.
	open := d.place(t, d.order())
	late, err := d.plain.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = late.Rollback() }()
	_, err = late.ExecContext(t.Context(), "UPDATE somast SET orderstat = 'HOLD' WHERE trim(sono) = $1", open.Number)
	require.NoError(t, err)
	before := d.orders(t)
	require.NoError(t, late.Commit())
	after, err := d.ListSalesOrders(t.Context(), erp.ChangeQuery{Since: before[len(before)-1].At.Add(time.Microsecond)})
	require.NoError(t, err)
	require.Len(t, after.Rows, 1)
	require.Equal(t, erp.OrderHeld, after.Rows[0].Document.State)
}

// Many credit memos of others move the watermark on, so that a look stays small.
func TestTheWatermarkMovesOn(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		require.Empty(t, d.memos(t))
		for i := range 2 * 201 {
			d.set(t, "INSERT INTO armast (invno, custno, invdte, artype, invamt, balance) VALUES (?, 'ACCT  ', ?, 'C', '-5', '-5')", fmt.Sprintf("%10d", 50000+i), today())
		}
		require.Empty(t, d.memos(t))
		last := d.ask(t, "SELECT max(id_col) FROM armast")
		require.Equal(t, last, d.ask(t, "SELECT lastid FROM cyb_watermark WHERE stream = 'creditmemos'"))
		order := d.place(t, d.order())
		number := d.Credit(t, d.bill(t, order.Number).Number)
		rows := d.memos(t)
		require.Len(t, rows, 1)
		require.Equal(t, number, rows[0].Document.Number)
	})
}

// Polls of several workers at once note each change once, in one order.
func TestPollsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for range 5 {
			d.Ship(t, d.place(t, d.order()).Number, 1, "UPS", "1Z1")
		}
		const workers = 6
		var group sync.WaitGroup
		pages, failures := make([]erp.ChangePage[canonical.Shipment], workers), make([]error, workers)
		for worker := range workers {
			group.Go(func() {
				pages[worker], failures[worker] = d.ListShipments(t.Context(), erp.ChangeQuery{})
				for fault.Is(failures[worker], fault.Busy) {
					pages[worker], failures[worker] = d.ListShipments(t.Context(), erp.ChangeQuery{})
				}
			})
		}
		group.Wait()
		for worker := range workers {
			require.NoError(t, failures[worker])
			require.Len(t, pages[worker].Rows, 5)
			require.Equal(t, pages[0].Rows, pages[worker].Rows)
		}
	})
}

func TestACursorOfSomebodyElse(t *testing.T) {
	d := openDesk(t, sagepro.SQLite)
	for _, cursor := range []string{"x", "|", "2026-11-20T10:00:00Z", "yesterday|1"} {
		_, err := d.ListSalesOrders(t.Context(), erp.ChangeQuery{Cursor: cursor})
		require.True(t, fault.Is(err, fault.Bug), "%s: %v", cursor, err)
	}
}

func TestTrackingNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		d.set(t, "UPDATE somast SET shipvia = ''")
		set := func(number string) error {
			return d.SetTracking(t.Context(), d.key(), erp.Tracking{SalesOrder: order.Number, Carrier: "United Parcel Service", Number: number, ShippedOn: today()})
		}
		held := func() string { return d.ask(t, "SELECT sotrack FROM somast") }
		require.NoError(t, set("1Z0000000000000001"))
		require.NoError(t, set("1Z0000000000000001"))
		require.Equal(t, "1Z0000000000000001", held())
		require.Equal(t, "United Parcel S", d.ask(t, "SELECT shipvia FROM somast"))
		require.NoError(t, set("1Z0000000000000002"))
		require.Equal(t, "1Z0000000000000001,1Z0000000000000002", held())
		require.NoError(t, set("1Z0000000000000003"))
		require.Equal(t, "1Z0000000000000003", held(), "the column has no room for three")
		require.Equal(t, "3", d.ask(t, "SELECT count(*) FROM socomm WHERE comment LIKE 'Tracking: 1Z%'"), "the comments keep all")
		require.NoError(t, set("1Z0000000000000001"), "it was told before")
		require.Equal(t, "1Z0000000000000003", held())
		f := requireFault(t, set(strings.Repeat("1", 41)), fault.Value, "FIELD_TOO_LONG")
		require.Equal(t, []fault.Field{{Path: "number", Rule: "FIELD_TOO_LONG: at most 40 characters"}}, f.Fields)
		d.Post(t, "locks", paper{"Table": "somast", "Key": order.Number, "User": "ANNA"}, nil)
		requireFault(t, set("1Z4"), fault.Busy, "RECORD_LOCKED")
		d.Delete(t, "locks")
		d.Cancel(t, order.Number, "FRAUD")
		d.Post(t, "close-period", paper{}, nil)
		requireFault(t, set("1Z5"), fault.Conflict, "STATUS_CONFLICT")
	})
}

// What is finished is looked at for a month more, and then left alone, so that polls cost no more with the years.
func TestWhatIsFinishedIsLeftAloneAfterAMonth(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.Ship(t, d.place(t, d.simple("A100", 2, 10)).Number, 2, "UPS", "1Z1")
		memo := d.Credit(t, invoice) // sets off all of it
		require.Len(t, d.shipments(t), 1)
		require.Len(t, d.orders(t), 1)
		require.Len(t, d.memos(t), 1)
		age := func(days int) {
			d.set(t, "UPDATE cyb_change SET changed = ?", time.Now().UTC().AddDate(0, 0, -days).Format("2006-01-02 15:04:05.000000"))
			d.set(t, "UPDATE cyb_watermark SET lastid = 1000000, lastdate = NULL")
		}
		change := func(number string) {
			d.set(t, "UPDATE armast SET sotrack = ? WHERE trim(invno) = ?", number, invoice)
			d.set(t, "UPDATE armast SET tax = ? WHERE trim(invno) = ?", "-"+number[2:], memo)
		}
		age(29)
		change("1Z2")
		require.Equal(t, "1Z2", d.shipments(t)[0].Document.Tracking)
		require.WithinDuration(t, time.Now(), d.shipments(t)[0].At, time.Minute)
		require.WithinDuration(t, time.Now(), d.memos(t)[0].At, time.Minute)
		age(31)
		change("1Z3")
		before := time.Now().AddDate(0, 0, -30)
		require.True(t, d.shipments(t)[0].At.Before(before))
		require.True(t, d.memos(t)[0].At.Before(before))
		require.True(t, d.orders(t)[0].At.Before(before))

		// An acknowledgement is worth a look whenever it comes.
		require.NoError(t, d.AcknowledgeCreditMemo(t.Context(), d.key(), erp.Acknowledgement{Number: memo, Refunded: true, TransactionID: "7", Amount: dec("1"), Currency: "USD"}))
		require.Equal(t, erp.RefundDone, d.memos(t)[0].Document.RefundStatus)
		require.WithinDuration(t, time.Now(), d.memos(t)[0].At, time.Minute)
	})
}
