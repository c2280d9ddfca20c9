package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// poll reads a feed to its end, in pages of two, a moment after the last change.
func (b *books) poll(t *testing.T, feed activities.ChangeFeed) []activities.Change {
	t.Helper()
	b.clock.Advance(time.Second)
	in := activities.PollChangesInput{Feed: feed, Since: b.clock.Now().Add(-time.Hour), Limit: 2}
	var all []activities.Change
	for {
		page := must(t, b.bank, b.booking.PollChanges, in)
		if feed != activities.FeedStock { // whose pages are those of the sales orders
			require.LessOrEqual(t, len(page.Changes), 2)
			for _, change := range page.Changes {
				require.Equal(t, change.At, maxTime(change.At, in.Since))
				require.False(t, change.At.After(page.Latest))
			}
		}
		for _, change := range page.Changes {
			require.Equal(t, feed, change.Feed)
			require.NotEmpty(t, change.ID)
		}
		all = append(all, page.Changes...)
		if page.Next == "" {
			return all
		}
		in.Cursor = page.Next
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// clerk has a person do something at the ERP.
func (b *books) clerk(t *testing.T, what string, body map[string]any) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/"+what, body)
}

// ended carries a step to its end that has no answer but an error.
func (b *books) ended(t *testing.T, step, in any) error {
	t.Helper()
	for range 100 {
		_, err := b.env.ExecuteActivity(step, in)
		failure := application(err)
		if failure == nil || failure.NonRetryable() {
			return err
		}
		b.clock.Advance(max(failure.NextRetryDelay(), settleWait))
	}
	require.Fail(t, "the step does not end")
	return nil
}

// TestWhoMadeACreditMemo: ours is ours as soon as it can be in the ERP, and whatever is known of its operation.
func TestWhoMadeACreditMemo(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprintf("known %t", known), func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			part := dec("5.00")
			in := b.wished(t, "R1", activities.WayRefund, order.Number, invoice.Number, nil, canonical.RefundWish{Amount: &part})
			if known {
				must(t, b.bank, b.booking.CreditRefund, in)
			} else {
				b.fails(t, "CreditMemoService/AddCreditMemo", "drop_after")
				_, err := try(b.bank, b.booking.CreditRefund, in)
				requireFault(t, err, fault.UnknownOutcome, false)
				unresolved, err := b.booking.Operations.Unresolved(t.Context(), "erp-syspro", b.clock.Now().Add(time.Hour), 10)
				require.NoError(t, err)
				require.Len(t, unresolved, 1)
				require.Equal(t, journal.OperationUnknown, unresolved[0].State)
			}
			b.clerk(t, "credit-memos", map[string]any{"SalesOrder": order.Number, "Amount": "7.00", "TaxAmount": "0.50", "Reason": "RETURN", "Reference": "desk 7"})

			changes := b.poll(t, activities.FeedCreditMemos)
			require.Len(t, changes, 2)
			ours, clerks := changes[0], changes[1]
			require.True(t, ours.Memo.Own)
			require.Equal(t, erp.Reference("refund:WEB-1/R1:credit_memo:1"), ours.Memo.Reference)
			require.False(t, clerks.Memo.Own)
			require.Equal(t, "WEB-1", clerks.OrderID)
			require.Equal(t, clerks.Number, clerks.Memo.Number)
			require.Equal(t, []string{"WEB", order.Number, invoice.Number, "USD", "RETURN", captureID, "Pending"}, []string{
				clerks.Memo.CustomerCode, clerks.Memo.SalesOrder, clerks.Memo.Invoice, clerks.Memo.Currency, clerks.Memo.Reason,
				clerks.Memo.TransactionID, clerks.Memo.RefundStatus,
			})
			require.True(t, clerks.Memo.Amount.Equal(dec("7.00")) && clerks.Memo.Tax.Equal(dec("0.50")))
			require.Equal(t, changes, b.poll(t, activities.FeedCreditMemos), "the same changes are told the same")

			require.NoError(t, b.ended(t, b.booking.AcknowledgeMemo, activities.AcknowledgeMemoInput{
				OrderID: "WEB-1", Number: ours.Number, Refunded: true, TransactionID: "T1", Amount: usd("5.00"), At: b.clock.Now(), Attempt: 1,
			}))
			left := b.poll(t, activities.FeedCreditMemos)
			require.Len(t, left, 1, "what is refunded waits no more")
			require.Equal(t, clerks.ID, left[0].ID)
		})
	}
}

func TestAMemoIsAcknowledgedOnce(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			b.clerk(t, "credit-memos", map[string]any{"SalesOrder": order.Number})
			number := b.ledger(t, "creditMemos")[0]["CreditMemoNumber"].(string)
			failed := activities.AcknowledgeMemoInput{OrderID: "WEB-1", Number: number, Failure: "charged back", At: b.clock.Now(), Attempt: 1}
			require.NoError(t, b.ended(t, b.booking.AcknowledgeMemo, failed))
			require.Equal(t, "Failed", b.ledger(t, "creditMemos")[0]["RefundStatus"])
			require.Equal(t, "charged back", b.ledger(t, "creditMemos")[0]["FailureReason"])

			if mode != "" {
				b.fails(t, "CreditMemoService/AcknowledgeCreditMemo", mode)
			}
			done := activities.AcknowledgeMemoInput{
				OrderID: "WEB-1", Number: number, Refunded: true, TransactionID: "T1", Amount: b.order.Money(b.order.Total), At: b.clock.Now(), Attempt: 2,
			}
			for range 2 {
				require.NoError(t, b.ended(t, b.booking.AcknowledgeMemo, done))
			}
			memo := b.ledger(t, "creditMemos")[0]
			require.Equal(t, []any{"Refunded", "T1", "48.19"}, []any{memo["RefundStatus"], memo["RefundTransactionId"], cents(t, memo, "RefundedAmount")})
			stored, err := b.booking.Operations.Get(t.Context(), "credit-memo:syspro/"+number+":acknowledge:2")
			require.NoError(t, err)
			require.Equal(t, journal.OperationSucceeded, stored.State)
			done.Attempt, done.TransactionID = 3, "T2"
			requireFault(t, b.ended(t, b.booking.AcknowledgeMemo, done), fault.Conflict, true)
		})
	}
}

func TestShipmentsAreTold(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.clerk(t, "shipments", map[string]any{"SalesOrder": order.Number, "Lines": []map[string]any{{"SalesOrderLine": 1, "Quantity": 1}}})
	b.clock.Advance(time.Second)
	b.clerk(t, "shipments", map[string]any{"SalesOrder": order.Number, "Carrier": "UPS", "TrackingNumber": "1Z1"})
	b.clock.Advance(time.Second)
	first := b.poll(t, activities.FeedShipments)
	require.Len(t, first, 2)
	parcel := *first[0].Shipment
	require.Equal(t, canonical.Shipment{
		Number: first[0].Number, SalesOrder: order.Number, OrderID: "WEB-1", ShippedOn: b.today(), Partial: true,
		Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: "A100", Quantity: parcel.Lines[0].Quantity}},
	}, parcel)
	require.True(t, parcel.Lines[0].Quantity.Equal(dec("1")))
	require.Equal(t, []string{"UPS", "1Z1", "WEB-1"}, []string{first[1].Shipment.Carrier, first[1].Shipment.Tracking, first[1].OrderID})
	require.False(t, first[1].Shipment.Partial)

	b.invoice(t, order.Number)
	second := b.poll(t, activities.FeedShipments)
	require.Len(t, second, 2)
	for i := range second {
		require.NotEqual(t, first[i].ID, second[i].ID, "the invoice is news of the same shipment")
		require.NotEmpty(t, second[i].Shipment.Invoice)
	}
}

func TestWhatPeopleDoToSalesOrdersIsTold(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	seen := map[string]bool{}
	state := func() string {
		changes := b.poll(t, activities.FeedOrders)
		require.Len(t, changes, 1)
		require.False(t, seen[changes[0].ID], "each state is a change of its own")
		seen[changes[0].ID] = true
		require.Equal(t, []string{order.Number, "WEB-1", order.Number}, []string{changes[0].Number, changes[0].OrderID, changes[0].Order.SalesOrder})
		return changes[0].Order.State + " " + changes[0].Order.Reason
	}
	require.Equal(t, "open ", state())
	for _, step := range []struct{ action, reason, want string }{
		{"Hold", "address looks odd", "held address looks odd"}, {"Release", "", "open "}, {"Cancel", "BUYER", "cancelled BUYER"},
	} {
		b.clerk(t, "orders", map[string]any{"SalesOrder": order.Number, "Action": step.action, "Reason": step.reason})
		require.Equal(t, step.want, state())
	}

	other := newBooks(t, "A100", "2")
	sold := other.sell(t, false)
	other.invoice(t, sold.Number)
	require.Equal(t, "complete", other.poll(t, activities.FeedOrders)[0].Order.State)
}

// TestStockLevelsAreTold: of what was sold, with the time of the sale, and of what is watched.
func TestStockLevelsAreTold(t *testing.T) {
	b := newBooks(t, "A100", "2")
	b.clock.Advance(b.clock.Now().Truncate(time.Hour).Add(time.Hour + time.Minute).Sub(b.clock.Now()))
	b.booking.Warehouse = "N"
	require.Empty(t, b.poll(t, activities.FeedStock))
	b.sell(t, false)
	sold := b.poll(t, activities.FeedStock)
	require.Len(t, sold, 1)
	require.Equal(t, "A100", sold[0].Stock.StockCode)
	require.Equal(t, "N", sold[0].Stock.Warehouse)
	require.True(t, sold[0].Stock.Available.Equal(dec("999998")), "%s", sold[0].Stock.Available)
	b.clock.Advance(time.Second)
	require.Equal(t, sold, b.poll(t, activities.FeedStock), "the same sale is told the same")

	b.booking.Watched = []string{"LOW3", "NOSUCH", "A100"}
	watched := b.poll(t, activities.FeedStock)
	require.Len(t, watched, 2, "an unknown code has no level")
	require.Equal(t, "LOW3", watched[0].Stock.StockCode)
	require.Equal(t, sold[0].ID, watched[1].ID)
	again := b.poll(t, activities.FeedStock)
	require.Equal(t, watched[0].ID, again[0].ID, "a level that stays is no change")
	b.clerk(t, "stock", map[string]any{"StockCode": "LOW3", "QtyOnHand": 9})
	counted := b.poll(t, activities.FeedStock)[0]
	require.NotEqual(t, watched[0].ID, counted.ID)
	require.True(t, counted.Stock.Available.Equal(dec("9")))
	page := must(t, b.bank, b.booking.PollChanges, activities.PollChangesInput{Feed: activities.FeedStock, Since: b.clock.Now().Add(time.Minute), Limit: 2})
	require.Zero(t, page.Latest, "what is watched moves no watermark")
	require.Len(t, page.Changes, 3-1)
	_, err := try(b.bank, b.booking.PollChanges, activities.PollChangesInput{Feed: "gossip"})
	requireFault(t, err, fault.Bug, true)
}

// shipped is a shipment of an order, with what was captured for it.
func (b *books) shipped(salesOrder, number, capture, amount string) activities.ShipInput {
	payment := b.paid()
	payment.CaptureID, payment.Captured = capture, dec(amount)
	return activities.ShipInput{
		OrderID: b.order.OrderID, Shipment: canonical.Shipment{Number: number, SalesOrder: salesOrder, OrderID: b.order.OrderID, Carrier: "UPS", Tracking: "1Z" + number, ShippedOn: b.today()},
		SalesOrder: salesOrder, CustomerCode: "WEB", Payment: payment, Amount: usd(amount), Order: b.order, Site: site(), Date: b.today(), Attempt: 1,
	}
}

func TestAParcelIsTrackedOnce(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			if mode != "" {
				b.fails(t, "SalesOrderService/UpdateSalesOrder", mode)
			}
			in := b.shipped(order.Number, "1", "", "0")
			for range 2 {
				require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.TrackShipment, in).Result)
			}
			in.Shipment.Tracking = "1Z-CORRECTED"
			must(t, b.bank, b.booking.TrackShipment, in)
			require.Equal(t, []any{
				map[string]any{"Carrier": "UPS", "TrackingNumber": "1Z1", "ShippedDate": b.today()},
				map[string]any{"Carrier": "UPS", "TrackingNumber": "1Z-CORRECTED", "ShippedDate": b.today()},
			}, b.ledger(t, "salesOrders")[0]["Tracking"])
			in.Shipment.Tracking = ""
			require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.TrackShipment, in).Result)
		})
	}
}

const secondCapture = "7031234567890123456703"

// TestTwoShipmentsAreCapturedAndInvoicedOnce: each capture is a deposit until the order is invoiced; then both pay the invoice, whichever of the
// two shipments tells of it first, and however often.
func TestTwoShipmentsAreCapturedAndInvoicedOnce(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			first, second := b.shipped(order.Number, "1", captureID, "21.60"), b.shipped(order.Number, "2", secondCapture, "26.59")
			for _, in := range []activities.ShipInput{first, second} {
				if mode != "" {
					b.fails(t, "ARPaymentService/AddARPayment", mode)
					b.fails(t, "ARPaymentService/UpdatePaymentStatus", mode)
				}
				for range 2 {
					require.Equal(t, activities.RefundBooked{Result: activities.UndoDone, Document: in.Payment.CaptureID}, must(t, b.bank, b.booking.BookShipment, in))
				}
				require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.ApplyDeposits, in).Result, "there is no invoice yet")
				b.clock.Advance(time.Minute)
			}
			require.Equal(t, map[string]string{"1050": "48.19", "2300": "-48.19"}, b.accounts(t))
			require.Len(t, b.ledger(t, "payments"), 2)

			invoice := b.invoice(t, order.Number)
			first.Shipment.Invoice, second.Shipment.Invoice = invoice.Number, invoice.Number
			if mode != "" {
				b.fails(t, "ARPaymentService/AddARPayment", mode)
			}
			applied := must(t, b.bank, b.booking.ApplyDeposits, second)
			require.Equal(t, activities.UndoDone, applied.Result)
			require.Equal(t, applied, must(t, b.bank, b.booking.ApplyDeposits, first), "the other shipment finds it done")
			second.Attempt = 2
			require.Equal(t, applied, must(t, b.bank, b.booking.ApplyDeposits, second))

			payments := b.ledger(t, "payments")
			require.Len(t, payments, 4)
			require.Equal(t, []any{"Apply", captureID, "21.60", "Apply", secondCapture, "26.59"}, []any{
				payments[2]["PaymentType"], payments[2]["SourceReference"], cents(t, payments[2], "Amount"),
				payments[3]["PaymentType"], payments[3]["SourceReference"], cents(t, payments[3], "Amount"),
			}, "oldest deposit first")
			require.Equal(t, "Paid", b.ledger(t, "invoices")[0]["InvoiceStatus"])
			accounts := b.accounts(t)
			require.Equal(t, "48.19", accounts["1050"])
			require.Empty(t, accounts["1200"])
			require.Empty(t, accounts["2300"])
			payment := b.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)
			require.Equal(t, []any{"Captured", secondCapture}, []any{payment["PaymentStatus"], payment["TransactionId"]})
		})
	}
}

// TestAShipmentThatIsInvoicedIsPaidAtOnce: its capture is a receipt on the invoice; what the invoice does not need stays unapplied.
func TestAShipmentThatIsInvoicedIsPaidAtOnce(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	in := b.shipped(order.Number, "1", captureID, "40.00")
	must(t, b.bank, b.booking.BookShipment, in)
	invoice := b.invoice(t, order.Number)
	rest := b.shipped(order.Number, "2", secondCapture, "10.00")
	in.Shipment.Invoice, rest.Shipment.Invoice = invoice.Number, invoice.Number
	must(t, b.bank, b.booking.ApplyDeposits, in)
	must(t, b.bank, b.booking.BookShipment, rest)
	receipt := b.ledger(t, "payments")[2]
	require.Equal(t, []any{"Receipt", "10.00", "1.81"}, []any{receipt["PaymentType"], cents(t, receipt, "Amount"), cents(t, receipt, "UnappliedAmount")})
	require.Equal(t, "Paid", b.ledger(t, "invoices")[0]["InvoiceStatus"])

	later := b.shipped(order.Number, "3", "7031234567890123456704", "1.00")
	later.Shipment.Invoice = invoice.Number
	must(t, b.bank, b.booking.BookShipment, later)
	require.Equal(t, "Deposit", b.ledger(t, "payments")[3]["PaymentType"], "the invoice is paid")
	accounts := b.accounts(t)
	require.Empty(t, accounts["1200"])
	require.Equal(t, []string{"51.00", "-2.81"}, []string{accounts["1050"], accounts["2300"]})

	nothing := b.shipped(order.Number, "4", "", "0")
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.BookShipment, nothing).Result)
}

// TestAShipmentIsNotBookedTwiceByASecondAttempt, also where the invoice came between the two.
func TestAShipmentIsNotBookedTwiceByASecondAttempt(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	in := b.shipped(order.Number, "1", captureID, "48.19")
	b.fails(t, "ARPaymentService/AddARPayment", "drop_after")
	_, err := try(b.bank, b.booking.BookShipment, in)
	requireFault(t, err, fault.UnknownOutcome, false)
	in.Shipment.Invoice, in.Attempt = b.invoice(t, order.Number).Number, 2
	require.Equal(t, captureID, must(t, b.bank, b.booking.BookShipment, in).Document)
	require.Len(t, b.ledger(t, "payments"), 1)
	must(t, b.bank, b.booking.ApplyDeposits, in)
	require.Equal(t, "Paid", b.ledger(t, "invoices")[0]["InvoiceStatus"])
}

// TestADepositThatARefundReplacedIsApplied: what stays of it goes to the invoice, and nothing while it is being replaced.
func TestADepositThatARefundReplacedIsApplied(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	part := dec("8.19")
	refund := b.wished(t, "R1", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{Amount: &part})
	in := b.shipped(order.Number, "1", "", "0")
	b.clock.Advance(time.Minute)

	b.fails(t, "ARPaymentService/AddARPayment", "drop_after")
	_, err := try(b.bank, b.booking.PostRefund, refund)
	requireFault(t, err, fault.UnknownOutcome, false)
	in.Shipment.Invoice = b.invoice(t, order.Number).Number
	_, err = try(b.bank, b.booking.ApplyDeposits, in)
	requireFault(t, err, fault.Busy, false)

	rest := must(t, b.bank, b.booking.PostRefund, refund)
	applied := must(t, b.bank, b.booking.ApplyDeposits, in)
	require.Equal(t, activities.UndoDone, applied.Result)
	payments := b.ledger(t, "payments")
	require.Equal(t, []any{"Apply", rest.Document, "40.00"}, []any{payments[3]["PaymentType"], payments[3]["SourceReference"], cents(t, payments[3], "Amount")})
	accounts := b.accounts(t)
	require.Equal(t, []string{"40.00", "8.19", ""}, []string{accounts["1050"], accounts["1200"], accounts["2300"]}, "the buyer owes what was paid back to him")
}

// TestADepositThatCantBeAppliedWaitsForAPerson: an invoice that the ERP does not know, and one that it refuses to pay.
func TestADepositThatCantBeAppliedWaitsForAPerson(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	in := b.shipped(order.Number, "1", "", "0")
	in.Shipment.Invoice = "999999"
	_, err := finish(b.bank, b.booking.ApplyDeposits, in)
	requireFault(t, err, fault.NotFound, true)
	in.Shipment.Invoice = b.invoice(t, order.Number).Number
	b.clerk(t, "periods", map[string]any{"Module": "AR", "Open": []string{}})
	_, err = finish(b.bank, b.booking.ApplyDeposits, in)
	requireFault(t, err, fault.ClosedPeriod, true)
	b.clerk(t, "periods", map[string]any{"Module": "AR", "FollowClock": true})
	in.Attempt = 2
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.ApplyDeposits, in).Result)
}

// portOnly is an ERP that offers nothing beyond the port that every order needs.
type portOnly struct{ erp.Port }

func TestAnErpThatCantBeAskedSaysSo(t *testing.T) {
	b := newBooks(t, "A100", "2")
	b.booking.Port = portOnly{b.booking.Port}
	_, err := try(b.bank, b.booking.PollChanges, activities.PollChangesInput{Feed: activities.FeedOrders})
	requireFault(t, err, fault.Bug, true)
	_, err = try(b.bank, b.booking.PostJournal, activities.PostJournalInput{Attempt: 1})
	requireFault(t, err, fault.Bug, true)
}
