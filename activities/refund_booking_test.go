package activities_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

const refundTransaction = "7039876543210987654301"

// lossy are the ways in which an answer of the ERP gets lost; "" loses none.
var lossy = []string{"", "drop_after", "truncate", "drop_before", "garbage", "status"}

// wished is the ERP side of a refund: what is wished of the order, after the refunds before it.
func (b *books) wished(t *testing.T, refundID string, way activities.RefundWay, salesOrder, invoice string, earlier []canonical.RefundBreakdown,
	wish canonical.RefundWish,
) activities.BookRefundInput {
	t.Helper()
	breakdown, problems := canonical.ApportionRefund(b.order, earlier, wish)
	require.Empty(t, problems)
	remaining := b.order.Total.Sub(breakdown.Total)
	for _, before := range earlier {
		remaining = remaining.Sub(before.Total)
	}
	return activities.BookRefundInput{
		OrderID: b.order.OrderID, RefundID: refundID, Attempt: 1, Way: way, TransactionID: refundTransaction + refundID, CaptureID: captureID,
		Amount: b.order.Money(breakdown.Total), Breakdown: breakdown, Whole: remaining.IsZero(), Remaining: b.order.Money(remaining),
		Reason: "did not fit", Restock: true, Order: b.order, Site: site(), CustomerCode: "WEB", SalesOrder: salesOrder, Invoice: invoice, Date: b.today(),
	}
}

// book carries a refund through the ERP, as the process does.
func (b *books) book(t *testing.T, in activities.BookRefundInput) (memo, posted activities.RefundBooked) {
	t.Helper()
	memo = must(t, b.bank, b.booking.CreditRefund, in)
	if memo.Document != "" {
		in.CreditMemo = memo.Document
	}
	posted = must(t, b.bank, b.booking.PostRefund, in)
	b.tagged(t, in)
	return memo, posted
}

// tagged carries TagRefund to its end, which has no answer but an error.
func (b *books) tagged(t *testing.T, in activities.BookRefundInput) {
	t.Helper()
	for range 100 {
		_, err := b.env.ExecuteActivity(b.booking.TagRefund, in)
		failure := application(err)
		if failure == nil {
			require.NoError(t, err)
			return
		}
		require.False(t, failure.NonRetryable(), "%v", err)
		b.clock.Advance(max(failure.NextRetryDelay(), settleWait))
	}
	require.Fail(t, "the tag does not end")
}

// accounts is the trial balance in USD, which must be one.
func (b *books) accounts(t *testing.T) map[string]string {
	t.Helper()
	response, err := controls.Get(b.url + "/_sandbox/trial-balance")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var balance struct {
		Balanced   bool
		Currencies []struct {
			Currency string
			Accounts []struct {
				AccountCode string
				Balance     json.Number
			}
		}
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&balance))
	require.True(t, balance.Balanced)
	accounts := map[string]string{}
	for _, currency := range balance.Currencies {
		require.Equal(t, "USD", currency.Currency)
		for _, account := range currency.Accounts {
			if amount := decimal.RequireFromString(account.Balance.String()); !amount.IsZero() {
				accounts[account.AccountCode] = amount.StringFixed(2)
			}
		}
	}
	return accounts
}

// paymentStatus is the tag of the only sales order.
func (b *books) paymentStatus(t *testing.T) string {
	t.Helper()
	payment, ok := b.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, captureID, payment["TransactionId"], "the capture stays the transaction of the order")
	return payment["PaymentStatus"].(string)
}

// requireOwnKinds: a refund's documents are never taken for those of the order's own booking, which its compensation looks for.
func (b *books) requireOwnKinds(t *testing.T) {
	t.Helper()
	all, err := b.booking.Operations.ByOrder(t.Context(), b.order.OrderID)
	require.NoError(t, err)
	ofOrder := map[string]bool{}
	for _, operation := range all {
		if strings.HasPrefix(operation.Key, "order:") {
			ofOrder[operation.Kind] = true
		}
		require.True(t, operation.State.Final(), operation.Key)
	}
	for _, operation := range all {
		switch operation.Kind {
		case "payment_status", "cancel", "reopen": // found by key alone
		default:
			require.False(t, ofOrder[operation.Kind] && strings.HasPrefix(operation.Key, "refund:"), operation.Key)
		}
	}
}

func TestAnInvoicedOrderIsRefundedWhole(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			stock := b.onHand(t)
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			in := b.wished(t, "R1", activities.WayRefund, order.Number, invoice.Number, nil, canonical.RefundWish{})
			if mode != "" {
				for _, route := range []string{"CreditMemoService/AddCreditMemo", "ARPaymentService/AddARPayment", "ARPaymentService/UpdatePaymentStatus"} {
					b.fails(t, route, mode)
				}
			}
			memo, posted := b.book(t, in)
			require.Equal(t, activities.UndoDone, memo.Result)
			require.Equal(t, activities.RefundBooked{Result: activities.UndoDone, Document: in.TransactionID}, posted)
			memos := b.ledger(t, "creditMemos")
			require.Len(t, memos, 1)
			require.Equal(t, memo.Document, memos[0]["CreditMemoNumber"])
			require.Equal(t, erp.Reference("refund:WEB-1/R1:credit_memo:1"), memos[0]["Reference"])
			require.Equal(t, "RETURN", memos[0]["Reason"])
			require.Equal(t, "3.29", cents(t, memos[0], "TaxAmount"))
			require.Equal(t, "0.00", cents(t, memos[0], "Remaining"))
			require.Len(t, b.ledger(t, "payments"), 2)
			require.Equal(t, map[string]string{"4000": "-44.90", "4900": "44.90"}, b.accounts(t), "goods, cash, tax and receivables are back where they were")
			require.Equal(t, stock.String(), b.onHand(t).String())
			require.Equal(t, "Refunded", b.paymentStatus(t))
			require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CancelRefunded, in).Result, "an invoiced order stays")

			again, twice := b.book(t, in)
			require.Equal(t, memo, again)
			require.Equal(t, posted, twice)
			require.Len(t, b.ledger(t, "creditMemos"), 1)
			require.Len(t, b.ledger(t, "payments"), 2)
			b.requireOwnKinds(t)
		})
	}
}

func TestAnInvoicedOrderIsRefundedInParts(t *testing.T) {
	b := newBooks(t, "A100", "2")
	stock := b.onHand(t)
	order := b.sell(t, false)
	invoice := b.invoice(t, order.Number)
	b.receive(t, order.Number, invoice.Number)
	goodwill := dec("4.00")
	var earlier []canonical.RefundBreakdown
	for i, part := range []struct {
		wish   canonical.RefundWish
		keep   bool   // the buyer keeps the goods
		left   string // of the two that were shipped, how many are still away
		status string
	}{
		{canonical.RefundWish{Amount: &goodwill}, false, "2", "PartiallyRefunded"},
		{canonical.RefundWish{Lines: []canonical.RefundLine{{Line: 1, Quantity: dec("1")}}}, false, "1", "PartiallyRefunded"},
		{canonical.RefundWish{}, true, "1", "Refunded"},
	} {
		in := b.wished(t, string(rune('1'+i)), activities.WayRefund, order.Number, invoice.Number, earlier, part.wish)
		in.Restock = !part.keep
		memo, posted := b.book(t, in)
		require.Equal(t, activities.UndoDone, memo.Result)
		require.Equal(t, in.TransactionID, posted.Document)
		require.Equal(t, part.left, stock.Sub(b.onHand(t)).String())
		require.Equal(t, part.status, b.paymentStatus(t))
		accounts := b.accounts(t)
		require.Empty(t, accounts["1200"], "each refund closes its credit memo")
		if remaining := in.Remaining.Amount; remaining.IsPositive() {
			require.Equal(t, remaining.StringFixed(2), accounts["1050"])
		}
		earlier = append(earlier, in.Breakdown)
	}
	require.Len(t, b.ledger(t, "creditMemos"), 3)
	accounts := b.accounts(t)
	require.Empty(t, accounts["1050"])
	require.Empty(t, accounts["2200"], "all tax is credited")
	require.Equal(t, []string{"-44.90", "44.90"}, []string{accounts["4000"], accounts["4900"]})
	require.Equal(t, "12.50", accounts["5000"], "one widget was not returned")
	b.requireOwnKinds(t)
}

func TestAVoidedCaptureTakesTheReceiptBack(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			if mode != "" {
				b.fails(t, "ARPaymentService/AddARPayment", mode)
				b.fails(t, "CreditMemoService/AddCreditMemo", mode)
			}
			in := b.wished(t, "R1", activities.WayVoid, order.Number, invoice.Number, nil, canonical.RefundWish{})
			memo, posted := b.book(t, in)
			require.Equal(t, activities.UndoDone, memo.Result)
			require.Equal(t, activities.UndoDone, posted.Result)
			require.NotEqual(t, captureID+"-R", posted.Document, "the name of the order's own compensation")
			payments := b.ledger(t, "payments")
			require.Len(t, payments, 2)
			require.Equal(t, "Reversal", payments[1]["PaymentType"])
			require.Equal(t, posted.Document, payments[1]["PaymentReference"])
			require.Equal(t, "Credited", b.ledger(t, "invoices")[0]["InvoiceStatus"])
			require.Equal(t, "0.00", cents(t, b.ledger(t, "invoices")[0], "Balance"))
			memos := b.ledger(t, "creditMemos")
			require.Len(t, memos, 1)
			require.Equal(t, "0.00", cents(t, memos[0], "Remaining"), "it closed the invoice")
			require.Empty(t, memos[0]["RefundStatus"], "nobody is to refund it")
			require.Equal(t, map[string]string{"4000": "-44.90", "4900": "44.90"}, b.accounts(t))
			require.Equal(t, "Voided", b.paymentStatus(t))
			b.requireOwnKinds(t)
		})
	}
}

// TestACreditMemoOfTheErpIsTheOrigin: there is nothing to credit, and the money that went back closes that memo.
func TestACreditMemoOfTheErpIsTheOrigin(t *testing.T) {
	for _, way := range []activities.RefundWay{activities.WayRefund, activities.WayVoid} {
		t.Run(string(way), func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			postJSON(t, b.url+"/_sandbox/credit-memos", map[string]any{"SalesOrder": order.Number, "Restock": true})
			clerks := b.ledger(t, "creditMemos")[0]["CreditMemoNumber"].(string)
			in := b.wished(t, clerks, way, order.Number, invoice.Number, nil, canonical.RefundWish{})
			in.TransactionID, in.CreditMemo = refundTransaction, clerks
			memo, posted := b.book(t, in)
			require.Equal(t, activities.RefundBooked{Result: activities.UndoNothing, Document: clerks}, memo)
			require.Equal(t, activities.RefundBooked{Result: activities.UndoDone, Document: refundTransaction}, posted)
			require.Len(t, b.ledger(t, "creditMemos"), 1)
			require.Equal(t, "0.00", cents(t, b.ledger(t, "creditMemos")[0], "Remaining"))
			require.Equal(t, "0.00", cents(t, b.ledger(t, "invoices")[0], "Balance"))
			require.Equal(t, map[string]string{"4000": "-44.90", "4900": "44.90"}, b.accounts(t))
		})
	}
}

func TestADepositIsPaidBackWholeAndTheOrderCancelled(t *testing.T) {
	for _, way := range []activities.RefundWay{activities.WayRefund, activities.WayVoid} {
		for _, mode := range lossy {
			t.Run(string(way)+"/"+mode, func(t *testing.T) {
				b := newBooks(t, "A100", "2")
				order := b.sell(t, false)
				b.receive(t, order.Number, "")
				in := b.wished(t, "R1", way, order.Number, "", nil, canonical.RefundWish{})
				if mode != "" {
					b.fails(t, "ARPaymentService/AddARPayment", mode)
					b.fails(t, "SalesOrderService/UpdateSalesOrder", mode)
				}
				memo, posted := b.book(t, in)
				require.Equal(t, activities.RefundBooked{Result: activities.UndoNothing}, memo)
				require.Equal(t, activities.UndoDone, posted.Result)
				require.Len(t, b.ledger(t, "payments"), 2)
				require.Empty(t, b.accounts(t))
				for range 2 {
					cancelled := must(t, b.bank, b.booking.CancelRefunded, in)
					require.Equal(t, activities.RefundBooked{Result: activities.UndoDone, Document: order.Number}, cancelled)
					require.Equal(t, `\`, b.status(t))
				}
				b.requireOwnKinds(t)
			})
		}
	}
}

func TestAnOrderThatAClerkCancelledIsCancelled(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	_, err := b.booking.Port.CancelSalesOrder(t.Context(), "clerk:1", erp.SalesOrderCancellation{Number: order.Number, Reason: "CLERK"})
	require.NoError(t, err)
	in := b.wished(t, "R1", activities.WayReversal, order.Number, "", nil, canonical.RefundWish{})
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CancelRefunded, in).Result)
}

// TestADepositIsPaidBackInParts: each part reverses the deposit that the money stands in, and posts the rest anew.
func TestADepositIsPaidBackInParts(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			b.receive(t, order.Number, "")
			first, second := dec("10.00"), dec("8.19")
			var earlier []canonical.RefundBreakdown
			var done []activities.BookRefundInput
			var documents []string
			for i, wish := range []canonical.RefundWish{{Amount: &first}, {Amount: &second}, {}} {
				in := b.wished(t, string(rune('1'+i)), activities.WayRefund, order.Number, "", earlier, wish)
				if mode != "" {
					b.fails(t, "ARPaymentService/AddARPayment", mode)
				}
				_, posted := b.book(t, in)
				require.Equal(t, activities.UndoDone, posted.Result)
				documents = append(documents, posted.Document)
				if remaining := in.Remaining.Amount; remaining.IsPositive() {
					require.Equal(t, map[string]string{"1050": remaining.StringFixed(2), "2300": remaining.Neg().StringFixed(2)}, b.accounts(t))
					deposit, err := b.booking.Port.FindReceipt(t.Context(), posted.Document)
					require.NoError(t, err)
					require.True(t, deposit.Amount.Equal(remaining), "found again by its own name")
					require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CancelRefunded, in).Result, "something stays paid")
				}
				earlier, done = append(earlier, in.Breakdown), append(done, in)
			}
			require.Empty(t, b.accounts(t))
			require.Len(t, b.ledger(t, "payments"), 6, "a deposit, three reversals, two rests")
			for i, in := range done { // repeated late: nothing more
				require.Equal(t, documents[i], must(t, b.bank, b.booking.PostRefund, in).Document)
			}
			require.Len(t, b.ledger(t, "payments"), 6)
			b.requireOwnKinds(t)
		})
	}
}

// TestADepositIsNotReplacedByTwoRefundsAtOnce: the second waits until the first one's rest is posted.
func TestADepositIsNotReplacedByTwoRefundsAtOnce(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	amount := dec("10.00")
	one := b.wished(t, "1", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{Amount: &amount})
	two := b.wished(t, "2", activities.WayRefund, order.Number, "", []canonical.RefundBreakdown{one.Breakdown}, canonical.RefundWish{Amount: &amount})

	b.fails(t, "ARPaymentService/AddARPayment", "drop_before") // the first one's reversal
	_, err := try(b.bank, b.booking.PostRefund, one)
	requireFault(t, err, fault.UnknownOutcome, false)
	_, err = try(b.bank, b.booking.PostRefund, two)
	requireFault(t, err, fault.Busy, false)
	must(t, b.bank, b.booking.PostRefund, one)
	must(t, b.bank, b.booking.PostRefund, two)
	require.Equal(t, map[string]string{"1050": "28.19", "2300": "-28.19"}, b.accounts(t))

	three := b.wished(t, "3", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{})
	_, err = finish(b.bank, b.booking.PostRefund, three)
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, "DEPOSIT_TOO_SMALL", code(t, err))
}

func TestAReleasedHoldWasNeverBooked(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	in := b.wished(t, "R1", activities.WayReversal, order.Number, "", nil, canonical.RefundWish{})
	memo, posted := b.book(t, in)
	require.Equal(t, activities.RefundBooked{Result: activities.UndoNothing}, memo)
	require.Equal(t, activities.RefundBooked{Result: activities.UndoNothing}, posted)
	require.Equal(t, "Voided", b.paymentStatus(t))
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CancelRefunded, in).Result)
	require.Empty(t, b.ledger(t, "payments"))

	nothing := in
	nothing.SalesOrder = ""
	b.tagged(t, nothing)
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CancelRefunded, nothing).Result)
	captured := in
	captured.RefundID, captured.Way = "R2", activities.WayRefund
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.PostRefund, captured).Result, "there was no deposit")
}

// TestARefusedStepIsTriedAnew: the next attempt repeats nothing of what the former one made.
func TestARefusedStepIsTriedAnew(t *testing.T) {
	t.Run("closed period", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		invoice := b.invoice(t, order.Number)
		b.receive(t, order.Number, invoice.Number)
		in := b.wished(t, "R1", activities.WayRefund, order.Number, invoice.Number, nil, canonical.RefundWish{})
		postJSON(t, b.url+"/_sandbox/periods", map[string]any{"Module": "AR", "Open": []string{}})
		_, err := finish(b.bank, b.booking.CreditRefund, in)
		requireFault(t, err, fault.ClosedPeriod, true)
		postJSON(t, b.url+"/_sandbox/periods", map[string]any{"Module": "AR", "FollowClock": true})
		_, err = finish(b.bank, b.booking.CreditRefund, in)
		requireFault(t, err, fault.ClosedPeriod, true) // a refusal is final for its attempt
		in.Attempt = 2
		memo, _ := b.book(t, in)
		require.Equal(t, activities.UndoDone, memo.Result)
		require.Equal(t, erp.Reference("refund:WEB-1/R1:credit_memo:2"), b.ledger(t, "creditMemos")[0]["Reference"])
		in.Attempt, in.CreditMemo = 3, ""
		require.Equal(t, memo, must(t, b.bank, b.booking.CreditRefund, in), "made by the second attempt")
		require.Len(t, b.ledger(t, "creditMemos"), 1)
	})
	t.Run("the receipt was taken back before the credit memo was refused", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		invoice := b.invoice(t, order.Number)
		b.receive(t, order.Number, invoice.Number)
		in := b.wished(t, "R1", activities.WayVoid, order.Number, invoice.Number, nil, canonical.RefundWish{})
		postJSON(t, b.url+"/_sandbox/faults", map[string]any{
			"route": "POST /APIServices/CreditMemoService/AddCreditMemo", "mode": "status", "status": http.StatusUnprocessableEntity, "times": 1,
		})
		_, err := finish(b.bank, b.booking.CreditRefund, in)
		requireFault(t, err, fault.Value, true)
		in.Attempt = 2
		b.book(t, in)
		require.Len(t, b.ledger(t, "payments"), 2)
		require.Equal(t, map[string]string{"4000": "-44.90", "4900": "44.90"}, b.accounts(t))
	})
	t.Run("a lost credit memo of the former attempt", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		invoice := b.invoice(t, order.Number)
		b.receive(t, order.Number, invoice.Number)
		in := b.wished(t, "R1", activities.WayRefund, order.Number, invoice.Number, nil, canonical.RefundWish{})
		b.fails(t, "CreditMemoService/AddCreditMemo", "drop_after")
		_, err := try(b.bank, b.booking.CreditRefund, in)
		requireFault(t, err, fault.UnknownOutcome, false)
		in.Attempt = 2
		must(t, b.bank, b.booking.CreditRefund, in)
		require.Len(t, b.ledger(t, "creditMemos"), 1)
	})
}

func TestWhatARefundRefusesToPost(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	invoice := b.invoice(t, order.Number)
	b.receive(t, order.Number, invoice.Number)
	good := b.wished(t, "R1", activities.WayRefund, order.Number, invoice.Number, nil, canonical.RefundWish{})

	other := good
	other.Amount = usd("1.00")
	_, err := finish(b.bank, b.booking.CreditRefund, other)
	requireFault(t, err, fault.Bug, true)
	_, err = finish(b.bank, b.booking.PostRefund, good)
	requireFault(t, err, fault.MissingReference, true)
	require.Equal(t, "CREDIT_MEMO_MISSING", code(t, err))

	good.CreditMemo = must(t, b.bank, b.booking.CreditRefund, good).Document
	anonymous := good
	anonymous.TransactionID = ""
	_, err = finish(b.bank, b.booking.PostRefund, anonymous)
	requireFault(t, err, fault.Bug, true)

	_, err = b.booking.Port.PostRefund(t.Context(), "clerk:2", erp.RefundPosting{
		Reference: good.TransactionID, CustomerCode: "WEB", CreditMemo: good.CreditMemo, Amount: dec("1.00"), Currency: "USD", Date: b.today(), TransactionID: good.TransactionID,
	})
	require.NoError(t, err)
	_, err = finish(b.bank, b.booking.PostRefund, good)
	requireFault(t, err, fault.Conflict, true) // a clerk posted another amount under that transaction
}

func (b *books) holding(order canonical.SalesOrder, release bool, attempt int) activities.HoldSalesOrderInput {
	return activities.HoldSalesOrderInput{OrderID: b.order.OrderID, SalesOrder: order.Number, Release: release, Reason: "late reject", Attempt: attempt}
}

func TestASalesOrderThatHasNotLeftIsHeld(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			lose := func() {
				if mode != "" {
					b.fails(t, "SalesOrderService/UpdateSalesOrder", mode)
				}
			}
			done := activities.RefundBooked{Result: activities.UndoDone, Document: order.Number}
			nothing := activities.RefundBooked{Result: activities.UndoNothing, Document: order.Number}
			require.Equal(t, nothing, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, true, 1)), "it is not held")
			lose()
			for range 2 {
				require.Equal(t, done, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, false, 1)))
				require.Equal(t, "S", b.status(t))
			}
			lose()
			for range 2 {
				require.Equal(t, done, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, true, 1)))
				require.Equal(t, "1", b.status(t))
			}
			_, err := b.booking.Port.ChangeSalesOrder(t.Context(), "clerk:1", erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderReady})
			require.NoError(t, err)
			require.Equal(t, done, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, true, 1)))
			require.Equal(t, nothing, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, true, 2)))
			require.Equal(t, "8", b.status(t), "a release sets nothing back that is not held")
			require.Equal(t, done, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, false, 2)))
			require.Equal(t, "S", b.status(t))
			b.requireOwnKinds(t)
		})
	}
}

func TestASalesOrderThatHasLeftIsNotHeld(t *testing.T) {
	for status, leave := range map[string]func(*testing.T, *books, canonical.SalesOrder){
		"9": func(t *testing.T, b *books, order canonical.SalesOrder) { b.invoice(t, order.Number) },
		`\`: func(t *testing.T, b *books, order canonical.SalesOrder) {
			_, err := b.booking.Port.CancelSalesOrder(t.Context(), "clerk:1", erp.SalesOrderCancellation{Number: order.Number, Reason: "CLERK"})
			require.NoError(t, err)
		},
		"shipped": func(t *testing.T, b *books, order canonical.SalesOrder) {
			postJSON(t, b.url+"/_sandbox/shipments", map[string]any{"SalesOrder": order.Number, "Carrier": "UPS", "TrackingNumber": "1Z999"})
		},
	} {
		t.Run(status, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			leave(t, b, order)
			for range 2 {
				held := must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, false, 1))
				require.Equal(t, activities.RefundBooked{Result: activities.UndoTooLate, Document: b.status(t)}, held)
			}
			require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.HoldSalesOrder, b.holding(order, true, 1)).Result)
		})
	}
	t.Run("unknown", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		_, err := finish(b.bank, b.booking.HoldSalesOrder, activities.HoldSalesOrderInput{OrderID: "WEB-1", SalesOrder: "999999", Attempt: 1})
		requireFault(t, err, fault.NotFound, true)
	})
}

// TestARefundedOrderIsNotCompensatedByItsRefund: what a refund reversed is not what the order's own compensation looks for.
func TestARefundedOrderIsNotCompensatedByItsRefund(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	amount := dec("10.00")
	b.book(t, b.wished(t, "R1", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{Amount: &amount}))
	_, err := finish(b.bank, b.booking.ReverseReceipt, b.reference(order.Number, ""))
	requireFault(t, err, fault.DeclinedByPolicy, true) // the ERP says that it is reversed; nobody takes the refund's reversal for an own one
	stored, err := b.booking.Operations.Get(t.Context(), "order:WEB-1:receipt_reversal:1")
	require.NoError(t, err)
	require.Equal(t, journal.OperationRefused, stored.State)
}
