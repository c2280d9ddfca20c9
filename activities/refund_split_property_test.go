package activities_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// How an ERP invoices an order that leaves in several shipments.
const (
	invoicesNothing = "nothing"
	invoicesOrder   = "the order"
	invoicesEach    = "each shipment"
	invoicesSome    = "some shipments"
)

// shippedOrder is an order that was captured and booked shipment by shipment.
type shippedOrder struct {
	bank       *bank
	books      *books
	salesOrder string
	invoice    string // that the order is known by: the last one that a shipment has told of
	captures   []string
	left       decimal.Decimal // captured and not gone back
	earlier    []canonical.RefundBreakdown
}

// ship captures, invoices and books the shipments of an order, of which each is worth an amount.
func ship(t *testing.T, invoices string, amounts ...string) *shippedOrder {
	t.Helper()
	o := &shippedOrder{bank: newBank(t, inParts), books: newBooks(t, "A100", "2")}
	order := onShipment(t, o.bank)
	require.Equal(t, order.Total.String(), o.books.order.Total.String())
	o.salesOrder = o.books.sell(t, false).Number
	for i, amount := range amounts {
		final := i == len(amounts)-1
		capture := must(t, o.bank, o.bank.payments.CaptureShipment, shipping(i+1, amount, final))
		in := o.books.shipped(o.salesOrder, fmt.Sprintf("S%d", i+1), capture.Payment.CaptureID, amount)
		in.Payment = capture.Payment
		switch {
		case invoices == invoicesEach, invoices == invoicesSome && i == 0:
			in.Shipment.Invoice = o.books.invoiceShipment(t, fmt.Sprintf("90000%d", i+1), amount)
		case invoices == invoicesOrder && final:
			in.Shipment.Invoice = o.books.invoice(t, o.salesOrder).Number
		}
		_, err := o.bank.store.RecordShipment(t.Context(), order.OrderID, in.Shipment, func([]journal.ShipmentRecord) (canonical.Money, bool) {
			return usd(amount), final
		})
		require.NoError(t, err)
		must(t, o.books.bank, o.books.booking.BookShipment, in)
		must(t, o.books.bank, o.books.booking.ApplyDeposits, in)
		if in.Shipment.Invoice != "" {
			o.invoice = in.Shipment.Invoice
		}
		o.captures, o.left = append(o.captures, in.Payment.CaptureID), o.left.Add(dec(amount))
		o.bank.clock.Advance(time.Minute)
		o.books.clock.Advance(time.Minute)
	}
	return o
}

// invoiceShipment makes an invoice of one shipment: the stand-in itself knows no more than one of a sales order.
func (b *books) invoiceShipment(t *testing.T, number, amount string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"CustomerCode": "WEB", "InvoiceNumber": number, "InvoiceDate": b.today(), "PostingPeriod": "C", "Currency": "USD", "InvoiceTotal": json.Number(amount),
	})
	require.NoError(t, err)
	invoice, err := b.booking.Port.CreateInvoice(t.Context(), "clerk:"+number, erp.Document{Body: body})
	require.NoError(t, err)
	return invoice.Number
}

// refund pays an amount back and books it, as the process does. It gives what was asked of the ERP, and what went back.
func (o *shippedOrder) refund(t *testing.T, rt tb, id string, amount decimal.Decimal) (activities.BookRefundInput, activities.Undone) {
	t.Helper()
	plan, undone := payBack(rt, o.bank, id, amount.StringFixed(2))
	if undone.Result != activities.UndoDone {
		require.True(rt, amount.GreaterThan(o.left), "%s of %s: %s %s", amount, o.left, plan.Refused, undone.Why)
		return activities.BookRefundInput{}, undone
	}
	in := o.books.wished(t, id, plan.Way, o.salesOrder, o.invoice, o.earlier, canonical.RefundWish{Amount: &amount})
	o.earlier, o.left = append(o.earlier, in.Breakdown), o.left.Sub(amount)
	in.TransactionID, in.CaptureID, in.Parts = undone.TransactionID, plan.Payment.CaptureID, undone.Parts
	in.Whole, in.Remaining, in.PaymentStatus = o.left.IsZero(), usd(o.left.StringFixed(2)), undone.Payment.Status
	o.book(t, in)
	return in, undone
}

func (o *shippedOrder) book(t *testing.T, in activities.BookRefundInput) {
	t.Helper()
	memo := must(t, o.books.bank, o.books.booking.CreditRefund, in)
	in.CreditMemo, in.Credited = memo.Document, memo.Credited
	must(t, o.books.bank, o.books.booking.PostRefund, in)
	o.books.tagged(t, in)
}

// requireOneSum holds gateway, journal and ERP to the same money: of every transaction at the gateway there is one posting in the ERP, nothing
// is open on the customer's account, and what no invoice has used is a deposit.
func (o *shippedOrder) requireOneSum(t *testing.T, rt tb, deposits string) {
	t.Helper()
	o.bank.requireJournal(rt, "WEB-1")
	sums := o.bank.server.Balances("WEB-1")[0]
	require.Equal(rt, o.left.StringFixed(2), sums.Captured.Sub(sums.Refunded).StringFixed(2), "the gateway's money")
	accounts := o.books.accounts(t)
	require.Equal(rt, o.left.StringFixed(2), balanceOf(accounts, "1050"), "the ERP's clearing account")
	require.Equal(rt, "0.00", balanceOf(accounts, "1200"), "nothing stays open")
	require.Equal(rt, deposits, balanceOf(accounts, "2300"), "deposits")
	for _, memo := range o.books.ledger(t, "creditMemos") {
		require.Equal(rt, "0.00", cents(rt, memo, "Remaining"), "%v", memo)
	}
	for _, invoice := range o.books.ledger(t, "invoices") {
		require.Equal(rt, "0.00", cents(rt, invoice, "Balance"), "%v", invoice)
	}
}

// posted are the references of the AR payments of a type, with their amounts.
func (b *books) posted(t *testing.T, kind string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, payment := range b.ledger(t, "payments") {
		if payment["PaymentType"] == kind {
			found[payment["PaymentReference"].(string)] = cents(t, payment, "Amount")
		}
	}
	return found
}

// TestARefundOfSeveralCapturesIsBookedOnceEach: one posting for each refund at the gateway, under its transaction, against the credit memo of
// the invoice that its capture has paid; what is a deposit still goes back out of that.
func TestARefundOfSeveralCapturesIsBookedOnceEach(t *testing.T) {
	for _, test := range []struct {
		invoices string
		memos    []string
		refunds  []string // amounts of the postings, by part
		deposits string
	}{
		{invoicesOrder, []string{"35.00"}, []string{"20.00", "10.00", "5.00"}, "0.00"},
		{invoicesEach, []string{"20.00", "10.00", "5.00"}, []string{"20.00", "10.00", "5.00"}, "0.00"},
		{invoicesSome, []string{"20.00"}, []string{"20.00", "", ""}, "-13.19"},
		{invoicesNothing, nil, []string{"", "", ""}, "-13.19"},
	} {
		for _, mode := range lossy {
			t.Run(test.invoices+"/"+mode, func(t *testing.T) {
				o := ship(t, test.invoices, "20.00", "10.00", "18.19")
				if mode != "" {
					for _, route := range []string{"CreditMemoService/AddCreditMemo", "ARPaymentService/AddARPayment", "ARPaymentService/UpdatePaymentStatus"} {
						o.books.fails(t, route, mode)
					}
				}
				in, undone := o.refund(t, t, "R1", dec("35.00"))
				require.Len(t, undone.Parts, 3)
				require.Equal(t, undone.TransactionID, undone.Parts[0].TransactionID)
				total := decimal.Zero
				var memos []string
				tax := decimal.Zero
				for _, memo := range o.books.ledger(t, "creditMemos") {
					memos = append(memos, cents(t, memo, "Amount"))
					tax = tax.Add(figure(t, memo, "TaxAmount"))
				}
				require.Equal(t, test.memos, memos)
				if test.deposits == "0.00" {
					require.Equal(t, in.Breakdown.Tax.String(), tax.String(), "all of the refund's tax is credited")
				}
				posted := o.books.posted(t, "Refund")
				for i, part := range undone.Parts {
					require.Equal(t, fmt.Sprintf("S%d", i+1), part.Shipment)
					require.Equal(t, o.captures[i], part.CaptureID)
					require.Equal(t, test.refunds[i], posted[part.TransactionID], "part %d", i)
					total = total.Add(part.Amount.Amount)
				}
				require.Equal(t, "35.00", total.StringFixed(2))
				o.requireOneSum(t, t, test.deposits)
				payment := o.books.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)
				require.Equal(t, []any{"PartiallyRefunded", o.captures[2]}, []any{payment["PaymentStatus"], payment["TransactionId"]}, "the last capture stays the one of the order")

				payments := len(o.books.ledger(t, "payments"))
				o.book(t, in) // told again: nothing more
				in.Attempt = 2
				o.book(t, in)
				require.Len(t, o.books.ledger(t, "payments"), payments)
				require.Len(t, o.books.ledger(t, "creditMemos"), len(test.memos))
				o.books.requireOwnKinds(t)

				o.refund(t, t, "R2", dec("13.19"))
				deposits := "0.00"
				o.requireOneSum(t, t, deposits)
				require.Equal(t, "Refunded", o.books.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)["PaymentStatus"])
			})
		}
	}
}

// TestOneOfSeveralCapturesIsVoidedInTheBooks: its receipt is taken back and its own invoice credited; the others stay as they are. An order of
// which a part was voided and the rest refunded is refunded.
func TestOneOfSeveralCapturesIsVoidedInTheBooks(t *testing.T) {
	for _, invoices := range []string{invoicesNothing, invoicesOrder, invoicesEach, invoicesSome} {
		t.Run(invoices, func(t *testing.T) {
			o := ship(t, invoices, "20.00", "28.19")
			in, undone := o.refund(t, t, "R1", dec("20.00"))
			require.Equal(t, activities.WayVoid, in.Way)
			require.Len(t, undone.Parts, 1)
			require.Equal(t, o.captures[0], undone.Parts[0].CaptureID)
			deposits := map[string]string{invoicesNothing: "-28.19", invoicesSome: "-28.19"}[invoices]
			if deposits == "" {
				deposits = "0.00"
			}
			o.requireOneSum(t, t, deposits)
			require.Empty(t, o.books.posted(t, "Refund"), "no money has moved")

			goodwill, _ := o.refund(t, t, "R2", dec("8.19"))
			require.Equal(t, activities.WayRefund, goodwill.Way)
			last, _ := o.refund(t, t, "R3", dec("20.00"))
			require.Equal(t, activities.WayRefund, last.Way)
			o.requireOneSum(t, t, "0.00")
			require.Equal(t, "Refunded", o.books.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)["PaymentStatus"])
		})
	}
}

// TestAVoidAfterARefundLeavesARefundedOrder: the ERP is to show that money went back, though the last of it never moved.
func TestAVoidAfterARefundLeavesARefundedOrder(t *testing.T) {
	o := ship(t, invoicesEach, "20.00", "28.19")
	o.refund(t, t, "R1", dec("5.00"))
	o.refund(t, t, "R2", dec("15.00"))
	in, _ := o.refund(t, t, "R3", dec("28.19"))
	require.Equal(t, activities.WayVoid, in.Way)
	o.requireOneSum(t, t, "0.00")
	require.Equal(t, "Refunded", o.books.ledger(t, "salesOrders")[0]["Payment"].(map[string]any)["PaymentStatus"])
}

// TestWhatComesBackGoesToTheInvoiceThatItLeftWith, and what has not left comes back to none.
func TestWhatComesBackGoesToTheInvoiceThatItLeftWith(t *testing.T) {
	part := func(n, invoice, amount, goods string) activities.RefundPart {
		return activities.RefundPart{
			TransactionID: refundTransaction + n, CaptureID: "capture-" + n, Amount: usd(amount), Invoice: invoice,
			Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: " a100", Quantity: dec(goods)}},
		}
	}
	for _, test := range []struct {
		name  string
		parts []activities.RefundPart
		want  map[string]string // by invoice
	}{
		{"one of each", []activities.RefundPart{part("1", "900001", "24.09", "1"), part("2", "900002", "24.10", "1")}, map[string]string{"900001": "1", "900002": "1"}},
		{"both of one", []activities.RefundPart{part("1", "900001", "24.09", "2"), part("2", "900001", "24.10", "2")}, map[string]string{"900001": "2"}},
		{"told of one alone", []activities.RefundPart{part("1", "900001", "24.09", "0"), part("2", "900002", "24.10", "1")}, map[string]string{"900001": "1", "900002": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			for _, part := range test.parts {
				if _, err := b.booking.Port.FindInvoice(t.Context(), erp.InvoiceRef{Number: part.Invoice}); err != nil {
					b.invoiceShipment(t, part.Invoice, "48.19")
				}
			}
			stock := b.onHand(t)
			in := b.wished(t, "R1", activities.WayRefund, order.Number, "900001", nil, canonical.RefundWish{})
			in.Parts = test.parts
			memo := must(t, b.bank, b.booking.CreditRefund, in)
			require.Len(t, strings.Split(memo.Document, ", "), len(test.want))
			back := map[string]string{}
			operations, err := b.booking.Operations.ByOrder(t.Context(), b.order.OrderID)
			require.NoError(t, err)
			for _, operation := range operations {
				if operation.Kind != "refund_credit_memo" {
					continue
				}
				var sent struct {
					Body struct {
						OriginalInvoice string
						RestockLines    []struct {
							StockCode string
							Quantity  json.Number
						}
					}
				}
				require.NoError(t, json.Unmarshal(operation.Request, &sent))
				for _, line := range sent.Body.RestockLines {
					require.Equal(t, "A100", line.StockCode)
					back[sent.Body.OriginalInvoice] = line.Quantity.String()
				}
			}
			require.Equal(t, test.want, back)
			require.Equal(t, "2", b.onHand(t).Sub(stock).String())
		})
	}
}

// TestPartsThatAreNotTheRefundAreNotBooked.
func TestPartsThatAreNotTheRefundAreNotBooked(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	in := b.wished(t, "R1", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{})
	in.Parts = []activities.RefundPart{{TransactionID: "1", CaptureID: captureID, Amount: usd("1.00")}}
	_, err := finish(b.bank, b.booking.PostRefund, in)
	requireFault(t, err, fault.Bug, true)
	in.Invoice = "900001"
	_, err = finish(b.bank, b.booking.CreditRefund, in)
	requireFault(t, err, fault.Bug, true)
}

// TestACreditMemoOfTheErpIsClosedByEveryPart: the ERP's own memo is one, and the refund went against several captures.
func TestACreditMemoOfTheErpIsClosedByEveryPart(t *testing.T) {
	o := ship(t, invoicesOrder, "20.00", "28.19")
	postJSON(t, o.books.url+"/_sandbox/credit-memos", map[string]any{"SalesOrder": o.salesOrder, "Restock": true})
	clerks := o.books.ledger(t, "creditMemos")[0]["CreditMemoNumber"].(string)
	plan, undone := payBack(t, o.bank, "cm-1", "48.19")
	in := o.books.wished(t, "cm-1", plan.Way, o.salesOrder, o.invoice, nil, canonical.RefundWish{})
	in.TransactionID, in.CaptureID, in.Parts, in.CreditMemo = undone.TransactionID, plan.Payment.CaptureID, undone.Parts, clerks
	o.left = decimal.Zero
	memo, posted := o.books.book(t, in)
	require.Equal(t, activities.RefundBooked{Result: activities.UndoNothing, Document: clerks}, memo)
	require.Equal(t, undone.Parts[0].TransactionID+", "+undone.Parts[1].TransactionID, posted.Document)
	require.Equal(t, map[string]string{undone.Parts[0].TransactionID: "20.00", undone.Parts[1].TransactionID: "28.19"}, o.books.posted(t, "Refund"))
	o.requireOneSum(t, t, "0.00")
}

// TestARefundWaitsUntilItsShipmentHasPaidItsInvoice: a credit memo of an open invoice would be set off against it, and nothing could be posted
// against that memo any more.
func TestARefundWaitsUntilItsShipmentHasPaidItsInvoice(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	shipment := b.shipped(order.Number, "S1", captureID, "20.00")
	must(t, b.bank, b.booking.BookShipment, shipment)
	shipment.Shipment.Invoice = b.invoiceShipment(t, "900001", "20.00")
	part := dec("5.00")
	in := b.wished(t, "R1", activities.WayRefund, order.Number, "", nil, canonical.RefundWish{Amount: &part})
	in.Parts = []activities.RefundPart{{TransactionID: in.TransactionID, CaptureID: captureID, Amount: usd("5.00"), Shipment: "S1", Invoice: "900001"}}
	_, err := try(b.bank, b.booking.CreditRefund, in)
	requireFault(t, err, fault.Busy, false)
	require.Empty(t, b.ledger(t, "creditMemos"))

	must(t, b.bank, b.booking.ApplyDeposits, shipment)
	memo := must(t, b.bank, b.booking.CreditRefund, in)
	require.Equal(t, []activities.CreditedPart{{TransactionID: in.TransactionID, CreditMemo: memo.Document}}, memo.Credited)
	in.CreditMemo, in.Credited = memo.Document, memo.Credited
	must(t, b.bank, b.booking.PostRefund, in)
	require.Equal(t, map[string]string{in.TransactionID: "5.00"}, b.posted(t, "Refund"))
	require.Equal(t, "0.00", balanceOf(b.accounts(t), "1200"))
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CancelRefunded, in).Result, "a shipment is invoiced, whatever the order says")
}

// Into whatever shipments an order is split, however they are invoiced, whatever is paid back of it, and whichever answers are lost on the way:
// gateway, journal and ERP agree on the money, transaction by transaction.
func TestGatewayJournalAndErpAgreeForAnySplit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		invoices := rapid.SampledFrom([]string{invoicesNothing, invoicesOrder, invoicesEach, invoicesSome}).Draw(rt, "invoiced")
		o := ship(t, invoices, anySplit(rt, 4819)...)
		if rapid.Bool().Draw(rt, "batched") {
			o.bank.closeBatch(rt)
		}
		refunded := map[string]string{} // by transaction: what the ERP must have posted, or "" out of a deposit
		for i, cents := range rapid.SliceOfN(rapid.Int64Range(1, 3000), 1, 4).Draw(rt, "cents") {
			amount := decimal.New(cents, -2)
			if rapid.IntRange(0, 3).Draw(rt, "the rest") == 0 && o.left.IsPositive() {
				amount = o.left
			}
			loseAnswer(rt, o.bank, o.books)
			in, undone := o.refund(t, rt, fmt.Sprintf("R-%d", i), amount)
			back := decimal.Zero
			for _, part := range undone.Parts {
				back = back.Add(part.Amount.Amount)
				if in.Way == activities.WayRefund {
					refunded[part.TransactionID] = part.Amount.Amount.StringFixed(2)
				}
			}
			require.True(rt, undone.Result != activities.UndoDone || back.Equal(amount), "%s in parts of %s", amount, back)
		}
		o.bank.healed(rt)
		posted := o.books.posted(t, "Refund")
		for transaction, amount := range posted {
			require.Equal(rt, refunded[transaction], amount, "a posting of what went back: %s", transaction)
		}
		if invoices == invoicesEach || invoices == invoicesOrder {
			require.Len(rt, posted, len(refunded), "one for each")
		}
		o.requireOneSum(t, rt, o.deposits(t, rt, invoices))
	})
}

// deposits is what no invoice has used of the captures that are left: all of those that were not invoiced.
func (o *shippedOrder) deposits(t *testing.T, rt tb, invoices string) string {
	t.Helper()
	total := decimal.Zero
	captures, err := o.bank.store.Captures(t.Context(), "WEB-1")
	require.NoError(rt, err)
	for _, capture := range captures {
		invoiced := invoices == invoicesOrder || invoices == invoicesEach || invoices == invoicesSome && capture.ID == o.captures[0]
		if !invoiced {
			total = total.Sub(capture.Amount.Sub(capture.Back))
		}
	}
	return total.StringFixed(2)
}

// anySplit divides cents into two to four amounts.
func anySplit(rt *rapid.T, cents int64) []string {
	var amounts []string
	for n := rapid.IntRange(2, 4).Draw(rt, "shipments"); n > 1; n-- {
		part := rapid.Int64Range(1, cents-int64(n)+1).Draw(rt, "share")
		amounts, cents = append(amounts, decimal.New(part, -2).StringFixed(2)), cents-part
	}
	return append(amounts, decimal.New(cents, -2).StringFixed(2))
}

// paidBefore is an order whose one capture was a deposit, of which each of its shipments' invoices has taken what it needed.
func paidBefore(t *testing.T, invoices ...string) *shippedOrder {
	t.Helper()
	o := &shippedOrder{bank: newBank(t), books: newBooks(t, "A100", "2"), left: dec(total)}
	paid(t, o.bank, false)
	capture := o.bank.lastPayment(t).CaptureID
	o.captures, o.salesOrder = []string{capture}, o.books.sell(t, false).Number
	receipt := o.books.booked(o.salesOrder, "")
	receipt.Document, receipt.Deposit, receipt.Payment.CaptureID = o.books.docs.Receipt, true, capture
	must(t, o.books.bank, o.books.booking.PostReceipt, receipt)
	for i, amount := range invoices {
		o.books.clock.Advance(time.Minute)
		in := o.books.invoicedShipment(t, o.salesOrder, i+1, "", "0", amount)
		must(t, o.books.bank, o.books.booking.ApplyDeposits, in)
		o.invoice = in.Shipment.Invoice
	}
	return o
}

// TestARefundOfAPaidOrderIsCreditedOfItsInvoices: the last one first, each for no more than it took; all that went back is posted, the first of it
// under the gateway's transaction.
func TestARefundOfAPaidOrderIsCreditedOfItsInvoices(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			o := paidBefore(t, "20.00", "28.19")
			if mode != "" {
				o.books.fails(t, "CreditMemoService/AddCreditMemo", mode)
				o.books.fails(t, "ARPaymentService/AddARPayment", mode)
			}
			in, undone := o.refund(t, t, "R1", dec("35.00"))
			require.Equal(t, map[string]string{
				undone.TransactionID: "28.19", erp.Reference("refund:WEB-1/R1:ar_refund-C00002"): "6.81",
			}, o.books.posted(t, "Refund"))
			o.requireOneSum(t, t, "0.00")
			o.book(t, in)
			in.Attempt = 2
			o.book(t, in)
			require.Len(t, o.books.ledger(t, "creditMemos"), 2)

			o.refund(t, t, "R2", dec("13.19"))
			o.requireOneSum(t, t, "0.00")
			require.Len(t, o.books.ledger(t, "creditMemos"), 3)
			o.books.requireOwnKinds(t)
		})
	}
	t.Run("voided whole", func(t *testing.T) {
		o := paidBefore(t, "20.00", "28.19")
		in, _ := o.refund(t, t, "R1", dec(total))
		require.Equal(t, activities.WayVoid, in.Way)
		require.Empty(t, o.books.posted(t, "Refund"))
		require.Len(t, o.books.ledger(t, "creditMemos"), 2)
		o.requireOneSum(t, t, "0.00")
	})
	t.Run("not all of it was used", func(t *testing.T) {
		o := paidBefore(t, "20.00", "10.00")
		o.bank.closeBatch(t)
		in := o.books.wished(t, "R1", activities.WayRefund, o.salesOrder, o.invoice, nil, canonical.RefundWish{})
		in.Parts = []activities.RefundPart{{TransactionID: in.TransactionID, CaptureID: o.captures[0], Amount: usd(total)}}
		_, err := finish(o.books.bank, o.books.booking.CreditRefund, in)
		requireFault(t, err, fault.Conflict, true)
		require.Equal(t, "DEPOSIT_IN_USE", code(t, err))
		require.Contains(t, err.Error(), "18.19 USD of the refund is in a deposit")
	})
	t.Run("used since the refund was planned", func(t *testing.T) {
		o := paidBefore(t, "20.00")
		o.bank.closeBatch(t)
		in := o.books.wished(t, "R1", activities.WayRefund, o.salesOrder, "", nil, canonical.RefundWish{})
		in.Parts = []activities.RefundPart{{TransactionID: in.TransactionID, CaptureID: o.captures[0], Amount: usd(total)}}
		in.Credited = must(t, o.books.bank, o.books.booking.CreditRefund, in).Credited
		_, err := finish(o.books.bank, o.books.booking.PostRefund, in)
		requireFault(t, err, fault.Conflict, true)
		require.Equal(t, "DEPOSIT_IN_USE", code(t, err))
		require.Contains(t, err.Error(), "20.00 USD of deposit "+o.captures[0])
		require.Empty(t, o.books.posted(t, "Reversal"))
	})
}

// However an order that was paid before is invoiced, and whatever is paid back of it: gateway, journal and ERP agree.
func TestGatewayJournalAndErpAgreeOfAnOrderPaidBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := paidBefore(t, anySplit(rt, 4819)...)
		if rapid.Bool().Draw(rt, "batched") {
			o.bank.closeBatch(rt)
		}
		for i, cents := range rapid.SliceOfN(rapid.Int64Range(1, 4000), 1, 4).Draw(rt, "cents") {
			amount := decimal.New(cents, -2)
			if rapid.IntRange(0, 3).Draw(rt, "the rest") == 0 && o.left.IsPositive() {
				amount = o.left
			}
			loseAnswer(rt, o.bank, o.books)
			o.refund(t, rt, fmt.Sprintf("R-%d", i), amount)
		}
		o.bank.healed(rt)
		o.requireOneSum(t, rt, "0.00")
	})
}
