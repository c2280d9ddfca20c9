package activities_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// changing is a bank with the steps of what starts in an ERP.
type changing struct {
	*bank
	changes *activities.Changes
}

func newChanging(t *testing.T) *changing {
	t.Helper()
	b := newBank(t)
	c := &changing{bank: b, changes: &activities.Changes{Journal: b.store, Clock: b.clock.Now}}
	b.env.RegisterActivity(c.changes)
	return c
}

// done carries a step to its end that has no answer but an error.
func done[In any](t *testing.T, c *changing, activity any, in In) {
	t.Helper()
	_, err := c.env.ExecuteActivity(activity, in)
	require.NoError(t, err)
}

// sold is an order whose money is captured.
func (c *changing) sold(t *testing.T, orderID string) canonical.Order {
	t.Helper()
	order := c.order(t, orderID)
	must(t, c.bank, c.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	return order
}

func change(number string) activities.Change {
	return activities.Change{ID: number + "@1", Number: number, OrderID: "WEB-1", At: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), Memo: &activities.MemoChange{
		Number: number, Amount: dec("5.00"), Currency: "USD", RefundStatus: "Pending",
	}}
}

func TestChangesReachTheInboxOnce(t *testing.T) {
	c := newChanging(t)
	ask := activities.ReadCursorInput{Erp: "syspro", Feed: activities.FeedCreditMemos}
	require.Zero(t, must(t, c.bank, c.changes.ReadCursor, ask))
	watermark := c.clock.Now()
	page := activities.ReceiveChangesInput{
		Erp: "syspro", Feed: activities.FeedCreditMemos, Changes: []activities.Change{change("CM1"), change("CM2")}, Watermark: watermark,
	}
	require.Equal(t, 2, must(t, c.bank, c.changes.ReceiveChanges, page).New)
	require.Zero(t, must(t, c.bank, c.changes.ReceiveChanges, page).New, "a page that is read twice")
	page.Watermark = watermark.Add(-time.Hour)
	page.Changes = append(page.Changes, change("CM3"))
	require.Equal(t, 1, must(t, c.bank, c.changes.ReceiveChanges, page).New)
	require.Equal(t, watermark, must(t, c.bank, c.changes.ReadCursor, ask).Watermark, "never backwards")
	ask.Feed = activities.FeedShipments
	require.Zero(t, must(t, c.bank, c.changes.ReadCursor, ask), "each feed has its own")

	// The same number in another feed, another ERP, or with another time is another change.
	page.Erp, page.Changes = "sagepro", []activities.Change{change("CM1")}
	require.Equal(t, 1, must(t, c.bank, c.changes.ReceiveChanges, page).New)
	page.Erp, page.Feed = "syspro", activities.FeedOrders
	require.Equal(t, 1, must(t, c.bank, c.changes.ReceiveChanges, page).New)
	page.Feed, page.Changes[0].ID = activities.FeedCreditMemos, "CM1@2"
	require.Equal(t, 1, must(t, c.bank, c.changes.ReceiveChanges, page).New)

	wanted := change("CM1")
	wanted.Feed = activities.FeedCreditMemos
	item, err := c.store.Event(t.Context(), activities.ChangeEventID("syspro", wanted))
	require.NoError(t, err)
	require.Equal(t, []string{"erp-syspro", "erp.credit_memo", "CM1", "WEB-1"}, []string{item.Source, item.EventType, item.ResourceID, item.OrderID})
	var stored activities.Change
	require.NoError(t, json.Unmarshal(item.Body, &stored))
	wantBody, err := json.Marshal(wanted)
	require.NoError(t, err)
	require.JSONEq(t, string(wantBody), string(item.Body))
}

func memo(number, amount, tax string) activities.MemoChange {
	return activities.MemoChange{Number: number, Amount: dec(amount), Tax: dec(tax), Currency: "USD", Reason: "damaged", RefundStatus: "Pending"}
}

func taking(order canonical.Order, memo activities.MemoChange) activities.TakeMemoInput {
	return activities.TakeMemoInput{Order: order, RefundID: "cm-" + memo.Number, Memo: memo, Actor: "erp-syspro"}
}

func requireBreakdown(t *testing.T, got canonical.RefundBreakdown, net, tax, shipping, total string) {
	t.Helper()
	for _, amounts := range [][2]any{{net, got.Net}, {tax, got.Tax}, {shipping, got.Shipping}, {total, got.Total}} {
		value, isDecimal := amounts[1].(decimal.Decimal)
		require.True(t, isDecimal)
		require.Equal(t, amounts[0], value.StringFixed(2), "%+v", got)
	}
}

// TestMemosReserveTheirRefund: a memo keeps its own tax, and what it asks for is reserved, so that all memos together never pass the order.
func TestMemosReserveTheirRefund(t *testing.T) {
	c := newChanging(t)
	order := c.sold(t, "WEB-1")
	first := taking(order, memo("CM1", "20.00", "1.50"))
	taken := must(t, c.bank, c.changes.TakeMemo, first)
	require.Empty(t, taken.Refused)
	requireBreakdown(t, taken.Breakdown, "16.43", "1.50", "2.07", "20.00")
	require.Equal(t, taken, must(t, c.bank, c.changes.TakeMemo, first), "the same memo again is the same refund")

	record, err := c.store.Refund(t.Context(), "WEB-1", "cm-CM1")
	require.NoError(t, err)
	require.Equal(t, []string{"erp", "erp-syspro", "damaged", "CM1", "USD", "20"},
		[]string{record.Origin, record.Actor, record.Reason, record.CreditMemo, record.Currency, record.Amount.String()})
	require.NotNil(t, record.StartedAt, "the memo's process starts it, no sweeper")

	edited := first
	edited.Memo.Amount = dec("21.00")
	require.Contains(t, must(t, c.bank, c.changes.TakeMemo, edited).Refused, "another amount")
	refused := must(t, c.bank, c.changes.TakeMemo, taking(order, memo("CM2", "28.20", "0"))).Refused
	require.Contains(t, refused, "28.20 USD asked")
	require.Contains(t, refused, "only 28.19 USD")
	_, err = c.store.Refund(t.Context(), "WEB-1", "cm-CM2")
	require.ErrorIs(t, err, journal.ErrNotFound, "what is refused reserves nothing")

	// Any tax that lies within the amount, also one beyond what the order had.
	taken = must(t, c.bank, c.changes.TakeMemo, taking(order, memo("CM3", "28.19", "28.19")))
	requireBreakdown(t, taken.Breakdown, "0.00", "28.19", "0.00", "28.19")
}

func TestMemosThatCannotBePaidBack(t *testing.T) {
	c := newChanging(t)
	order := c.sold(t, "WEB-1")
	unpaid := c.order(t, "WEB-2")
	held := c.order(t, "WEB-3")
	must(t, c.bank, c.payments.AuthorizePayment, paying(t, held, 1, cardApproved, false))
	disputed := c.sold(t, "WEB-4")
	require.NoError(t, c.store.RecordChargeback(t.Context(), journal.ChargebackRecord{CaseID: "D", OrderID: "WEB-4", Amount: usd("40.00")},
		journal.ChargebackNote{Key: "1"}, nil, nil))
	euros := memo("CM", "5.00", "0")
	euros.Currency = "EUR"
	for name, test := range map[string]struct {
		order canonical.Order
		memo  activities.MemoChange
		want  string
	}{
		"other currency":     {order, euros, "the credit memo is in EUR"},
		"no amount":          {order, memo("CM", "0", "0"), "no amount"},
		"credit of a credit": {order, memo("CM", "-5.00", "0"), "no amount"},
		"tax below nothing":  {order, memo("CM", "5.00", "-0.01"), "tax"},
		"tax beyond it":      {order, memo("CM", "5.00", "5.01"), "tax"},
		"more than paid":     {order, memo("CM", "48.20", "0"), "only 48.19 USD can be paid back"},
		"finer than a cent":  {order, memo("CM", "1.005", "0"), "the amount of the credit memo"},
		"never paid":         {unpaid, memo("CM", "5.00", "0"), "the payment is none"},
		"part of a hold":     {held, memo("CM", "5.00", "0"), "not captured yet"},
		"charged back":       {disputed, memo("CM", "8.20", "0"), "40.00 USD is charged back"},
	} {
		t.Run(name, func(t *testing.T) {
			taken := must(t, c.bank, c.changes.TakeMemo, taking(test.order, test.memo))
			require.Contains(t, taken.Refused, test.want)
			require.True(t, taken.Breakdown.Total.IsZero())
		})
	}
	require.Empty(t, must(t, c.bank, c.changes.TakeMemo, taking(held, memo("CM", total, "3.29"))).Refused, "all of a hold is released")
	require.Empty(t, must(t, c.bank, c.changes.TakeMemo, taking(disputed, memo("CM", "8.19", "0"))).Refused)

	own := memo("CM9", "5.00", "0")
	own.Own = true
	_, err := try(c.bank, c.changes.TakeMemo, taking(order, own))
	requireFault(t, err, fault.Bug, true)
	_, err = try(c.bank, c.changes.TakeMemo, taking(sampleOrder("NONE"), memo("CM", "5.00", "0")))
	requireFault(t, err, fault.NotFound, true)
}

// TestOwnMemosAreKnownByTheirMoney: a memo of our own is known once its refund is completed, whichever attempt made it.
func TestOwnMemosAreKnownByTheirMoney(t *testing.T) {
	c := newChanging(t)
	order := c.sold(t, "WEB-1")
	find := func(reference string) activities.OwnMemo {
		return must(t, c.bank, c.changes.FindOwnMemo, activities.FindOwnMemoInput{OrderID: "WEB-1", Reference: reference})
	}
	reference := func(refundID string, attempt int) string {
		return erp.Reference(activities.OperationKey("refund", "WEB-1/"+refundID, "credit_memo", attempt))
	}
	for _, id := range []string{"r1", "r2"} {
		_, _, err := c.store.TakeRefund(t.Context(), journal.RefundRecord{OrderID: "WEB-1", RefundID: id, BodyHash: id, Currency: "USD"},
			func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
				return canonical.RefundBreakdown{Net: dec("5.00"), Total: dec("5.00")}, nil
			})
		require.NoError(t, err)
	}
	require.False(t, find(reference("r2", 1)).Known, "its refund is still on its way")
	require.NoError(t, c.store.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-1", RefundID: "r2", Status: canonical.RefundCompleted, TransactionID: "7000000000000000000002",
	}, nil))
	for attempt := 1; attempt <= 3; attempt++ {
		own := find(reference("r2", attempt))
		require.Equal(t, []any{true, "7000000000000000000002"}, []any{own.Known, own.TransactionID})
		require.True(t, own.Amount.Equal(usd("5.00")))
	}
	require.False(t, find(reference("r1", 1)).Known)
	require.False(t, find(reference("none", 1)).Known)
	require.False(t, find("").Known)

	// The compensation's memo, before and after its money went back.
	compensation := erp.Reference(activities.OperationKey("order", "WEB-1", "credit_memo", 1))
	require.False(t, find(compensation).Known)
	voided := must(t, c.bank, c.payments.VoidCapture, undoing(order.OrderID, 1))
	own := find(compensation)
	require.Equal(t, []any{true, voided.TransactionID}, []any{own.Known, own.TransactionID})
	require.True(t, own.Amount.Equal(usd(total)))
}

// TestACompensationIsKnownByAllThatItGaveBack: several captures go back by as many voids and refunds, and one credit memo stands for all.
func TestACompensationIsKnownByAllThatItGaveBack(t *testing.T) {
	b := newBank(t, inParts)
	changes := &activities.Changes{Journal: b.store, Clock: b.clock.Now}
	b.env.RegisterActivity(changes)
	order := inShipments(t, b, "20.00", "10.00", "18.19")
	find := func() activities.OwnMemo {
		return must(t, b, changes.FindOwnMemo, activities.FindOwnMemoInput{
			OrderID: order.OrderID, Reference: erp.Reference(activities.OperationKey("order", order.OrderID, "credit_memo", 1)),
		})
	}
	b.answering(t, "POST /pts/v2/captures/*/voids", http.StatusBadRequest, "NOT_VOIDABLE") // the first one was batched meanwhile
	late := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	require.Equal(t, activities.UndoTooLate, late.Result)
	b.broken(t, captureRefunds, "drop_after", 1)
	_, err := try(b, b.payments.RefundCapture, undoing(order.OrderID, 1))
	requireFault(t, err, fault.UnknownOutcome, false)
	require.False(t, find().Known, "one of them may still come to nothing")
	must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 1))
	own := find()
	require.True(t, own.Known)
	require.Equal(t, "48.19 USD", own.Amount.String())
	var gone []string
	for _, kind := range []string{"void", "refund"} {
		for _, entry := range b.booked(kind) {
			gone = append(gone, entry.ID)
		}
	}
	require.Len(t, gone, 3)
	require.Contains(t, gone, own.TransactionID)
}

// TestOneOfSeveralMemosOfARefundIsKnownByItsOwnAmount: a refund of two invoices has a credit memo of each.
func TestOneOfSeveralMemosOfARefundIsKnownByItsOwnAmount(t *testing.T) {
	c := newChanging(t)
	c.sold(t, "WEB-1")
	_, _, err := c.store.TakeRefund(t.Context(), journal.RefundRecord{OrderID: "WEB-1", RefundID: "r1", BodyHash: "r1", Currency: "USD"},
		func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
			return canonical.RefundBreakdown{Net: dec("30.00"), Total: dec("30.00")}, nil
		})
	require.NoError(t, err)
	require.NoError(t, c.store.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-1", RefundID: "r1", Status: canonical.RefundCompleted, TransactionID: "7000000000000000000002", ErpCreditMemo: "C00001, C00002",
	}, nil))
	find := func(step, invoice string) activities.OwnMemo {
		return must(t, c.bank, c.changes.FindOwnMemo, activities.FindOwnMemoInput{
			OrderID: "WEB-1", Reference: erp.Reference(activities.OperationKey("refund", "WEB-1/r1", step, 2)), Invoice: invoice, Amount: usd("10.00"),
		})
	}
	for invoice, step := range map[string]string{"900001": "credit_memo", "900002": "credit_memo-900002"} {
		own := find(step, invoice)
		require.Equal(t, []any{true, "10.00 USD"}, []any{own.Known, own.Amount.String()}, invoice)
	}
	require.False(t, find("credit_memo-900002", "900001").Known, "of another invoice")
}

func shipped(number string, lines ...canonical.ShipmentLine) canonical.Shipment {
	return canonical.Shipment{Number: number, SalesOrder: "015562", Lines: lines}
}

func shippedLine(number int, code, quantity string) canonical.ShipmentLine {
	return canonical.ShipmentLine{LineNumber: number, StockCode: code, Quantity: dec(quantity)}
}

func TestShipmentsShareTheOrder(t *testing.T) {
	c := newChanging(t)
	order := c.order(t, "WEB-1") // two widgets: 39.90 + 3.29 tax + 5.00 shipping
	record := func(s canonical.Shipment) activities.ShippedLines {
		return must(t, c.bank, c.changes.RecordShipment, activities.RecordShipmentInput{Order: order, Shipment: s})
	}
	first := record(shipped("S1", shippedLine(1, "A100", "1")))
	require.Equal(t, "24.10 USD", first.Share.String())
	require.Equal(t, []any{1, false, false}, []any{first.Sequence, first.Complete, first.Final})
	second := record(shipped("S2", shippedLine(1, "A100", "1")))
	require.Equal(t, "24.09 USD", second.Share.String(), "the last one takes the rest")
	require.Equal(t, []any{2, true, true}, []any{second.Sequence, second.Complete, second.Final})
	require.Equal(t, first, record(shipped("S1", shippedLine(1, "A100", "1"))), "a shipment that is told twice")
	require.Empty(t, first.Invoices)
	for i, number := range []string{"S2", "S1"} { // invoiced later, the second one first
		told := shipped(number, shippedLine(1, "A100", "1"))
		told.Invoice = "90000" + number
		require.Equal(t, [][]string{{"90000S2"}, {"90000S1", "90000S2"}}[i], record(told).Invoices)
	}
	gift := record(shipped("S3", shippedLine(9, "GIFT", "1"), shippedLine(1, "A100", "1")))
	require.Equal(t, "0.00 USD", gift.Share.String(), "what was never ordered is worth nothing")
	require.False(t, gift.Final)

	_, err := try(c.bank, c.changes.RecordShipment, activities.RecordShipmentInput{Order: sampleOrder("NONE"), Shipment: shipped("S1")})
	requireFault(t, err, fault.NotFound, true)
}

// TestShippedLinesAreFound however an ERP numbers them.
func TestShippedLinesAreFound(t *testing.T) {
	line := func(sku, price string) canonical.LineItem {
		return canonical.LineItem{SKU: sku, Quantity: dec("2"), UnitPrice: dec(price)}
	}
	for name, test := range map[string]struct {
		ship []canonical.ShipmentLine
		want string
	}{
		"by number and code":             {[]canonical.ShipmentLine{shippedLine(2, "B200", "1")}, "10.00"},
		"by number alone":                {[]canonical.ShipmentLine{shippedLine(2, "", "1")}, "10.00"},
		"by code, numbered otherwise":    {[]canonical.ShipmentLine{shippedLine(7, " b200", "1")}, "10.00"},
		"by code, against the number":    {[]canonical.ShipmentLine{shippedLine(1, "B200", "1")}, "10.00"},
		"by number, named otherwise":     {[]canonical.ShipmentLine{shippedLine(2, "WH-B2", "1")}, "10.00"},
		"the second line of one code":    {[]canonical.ShipmentLine{shippedLine(3, "A100", "1")}, "100.00"},
		"the first is gone":              {[]canonical.ShipmentLine{shippedLine(9, "A100", "2"), shippedLine(9, "A100", "1")}, "102.00"},
		"more than was ordered":          {[]canonical.ShipmentLine{shippedLine(2, "B200", "5")}, "20.00"},
		"no such line":                   {[]canonical.ShipmentLine{shippedLine(0, "", "1"), shippedLine(4, "X", "1"), shippedLine(-1, "", "1")}, "0.00"},
		"taken back":                     {[]canonical.ShipmentLine{shippedLine(2, "B200", "-1")}, "0.00"},
		"half of one":                    {[]canonical.ShipmentLine{shippedLine(2, "B200", "0.5")}, "5.00"},
		"more of a code than is ordered": {[]canonical.ShipmentLine{shippedLine(2, "B200", "2"), shippedLine(9, "B200", "1")}, "20.00"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			order := c.order(t, "WEB-1")
			order.Lines = []canonical.LineItem{line("A100", "1.00"), line("B200", "10.00"), line("A100", "100.00")}
			order.Shipping, order.Total = decimal.Zero, dec("222.00")
			got := must(t, c.bank, c.changes.RecordShipment, activities.RecordShipmentInput{Order: order, Shipment: shipped("S1", test.ship...)})
			require.Equal(t, test.want+" USD", got.Share.String())
			require.False(t, got.Complete)
		})
	}
}

// TestAllShipmentsAreExactlyTheOrder: however an order leaves, in whatever pieces, prices, discounts and currency, no share is negative and
// all of them are the order's total to the minor unit.
func TestAllShipmentsAreExactlyTheOrder(t *testing.T) {
	c := newChanging(t)
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		order := drawOrder(r)
		order.OrderID = fmt.Sprint("P-", runs)
		_, _, err := c.store.TakeOrder(t.Context(), journal.OrderRecord{OrderID: order.OrderID, BodyHash: "h", Currency: order.Currency, Total: order.Total})
		require.NoError(r, err)
		left := make([]decimal.Decimal, len(order.Lines))
		for i, line := range order.Lines {
			left[i] = line.Quantity
		}
		sum := decimal.Zero
		for number := 1; ; number++ {
			parcel := drawParcel(r, order, left)
			got, err := c.changes.RecordShipment(t.Context(), activities.RecordShipmentInput{Order: order, Shipment: shipped(fmt.Sprint("S", number), parcel...)})
			require.NoError(r, err)
			require.Equal(r, number, got.Sequence)
			require.False(r, got.Share.Amount.IsNegative(), "%s", got.Share)
			require.True(r, got.Share.Amount.Equal(canonical.RoundAmount(got.Share.Amount, order.Currency)), "%s", got.Share)
			sum = sum.Add(got.Share.Amount)
			empty := decimal.Sum(decimal.Zero, left...).IsZero()
			require.Equal(r, empty, got.Final)
			if empty {
				break
			}
			require.True(r, sum.LessThanOrEqual(order.Total), "%s of %s", sum, order.Total)
		}
		require.True(r, sum.Equal(order.Total), "%s of %s", sum, order.Total)
	})
}

// drawOrder draws an order whose parts sum up, as Validate asks; free goods and free shipping among them.
func drawOrder(r *rapid.T) canonical.Order {
	order := canonical.Order{Currency: rapid.SampledFrom([]string{"USD", "JPY", "BHD"}).Draw(r, "currency")}
	places, err := canonical.MinorUnits(order.Currency)
	require.NoError(r, err)
	amount := func(most int64, label string) decimal.Decimal {
		return decimal.New(rapid.Int64Range(0, most).Draw(r, label), -places)
	}
	goods := decimal.Zero
	for i := range rapid.IntRange(1, 4).Draw(r, "lines") {
		line := canonical.LineItem{
			SKU: fmt.Sprint("SKU", i%3), UnitPrice: amount(2000, "price"), Tax: amount(300, "tax"),
			Quantity: decimal.New(rapid.Int64Range(1, 40).Draw(r, "quantity"), -rapid.SampledFrom([]int32{0, 0, 1, 3}).Draw(r, "places")),
		}
		extended := line.Extended(order.Currency)
		line.Discount = amount(extended.Shift(places).IntPart(), "line discount")
		goods = goods.Add(extended.Sub(line.Discount))
		order.Lines = append(order.Lines, line)
	}
	order.Discount = amount(goods.Shift(places).IntPart(), "discount")
	order.Shipping = amount(1000, "shipping")
	order.Total = goods.Sub(order.Discount).Add(order.TaxTotal()).Add(order.Shipping)
	return order
}

// drawParcel takes something of what is left, in pieces.
func drawParcel(r *rapid.T, order canonical.Order, left []decimal.Decimal) []canonical.ShipmentLine {
	var parcel []canonical.ShipmentLine
	for i := range left {
		if !left[i].IsPositive() || rapid.IntRange(0, 3).Draw(r, "skip") == 0 {
			continue
		}
		quantity := left[i]
		if rapid.Bool().Draw(r, "part") {
			quantity = left[i].Mul(decimal.New(rapid.Int64Range(1, 9).Draw(r, "tenths"), -1)).Truncate(3)
		}
		left[i] = left[i].Sub(quantity)
		parcel = append(parcel, canonical.ShipmentLine{LineNumber: i + 1, StockCode: order.Lines[i].SKU, Quantity: quantity})
	}
	return parcel
}

func disputed(orderID string) activities.RecordChargebackInput {
	return activities.RecordChargebackInput{
		OrderID: orderID, Note: "opened", Key: "chargeback/D-1/1", At: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC),
		Case: activities.ChargebackCase{
			ID: "D-1", TransactionID: "7000000000000000000001", Amount: usd("20.00"), Fee: usd("15.00"), Reason: "10.4",
			OpenedAt: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), RespondBy: time.Date(2026, 12, 11, 23, 59, 0, 0, time.UTC),
		},
	}
}

// TestDisputesFlagPaymentAndPeople from the first row to the outcome, each told once.
func TestDisputesFlagPaymentAndPeople(t *testing.T) {
	c := newChanging(t)
	c.sold(t, "WEB-1")
	in := disputed("WEB-1")
	for range 2 {
		done(t, c, c.changes.RecordChargeback, in)
	}
	payment, err := c.store.Payment(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentChargedBack, payment.Status)
	require.True(t, payment.Refundable.Equal(dec("28.19")))
	for i, note := range []string{"reminded", "overdue", "won"} {
		in.Note, in.Key = note, fmt.Sprint("chargeback/D-1/", i+2)
		if note == "won" {
			in.Outcome, in.Actor = activities.ChargebackWon, "fiona"
		}
		done(t, c, c.changes.RecordChargeback, in)
	}
	payment, err = c.store.Payment(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentCaptured, payment.Status)
	require.True(t, payment.Refundable.Equal(dec(total)))

	record, err := c.store.Chargeback(t.Context(), "D-1")
	require.NoError(t, err)
	require.Equal(t, journal.ChargebackWon, record.Outcome)
	require.Len(t, record.Notes, 4)
	notices, err := c.store.DueNotices(t.Context(), c.clock.Now().Add(time.Hour), 50)
	require.NoError(t, err)
	var told []string
	for _, n := range notices {
		require.Equal(t, journal.AudienceFinance, n.Audience)
		told = append(told, n.Kind+": "+n.Subject)
		require.Equal(t, n.Kind != "chargeback.won", strings.Contains(n.Text, "2026-12-11 23:59 UTC"), "%s", n.Text)
	}
	require.ElementsMatch(t, []string{
		"chargeback.opened: Chargeback D-1 over 20.00 USD (reason 10.4) opened (order WEB-1)",
		"chargeback.reminded: Evidence for chargeback D-1 over 20.00 USD is due soon (order WEB-1)",
		"chargeback.overdue: Evidence for chargeback D-1 over 20.00 USD is overdue (order WEB-1)",
		"chargeback.won: Chargeback D-1 over 20.00 USD won (order WEB-1)",
	}, told)

	events, err := c.store.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	var kinds []string
	for _, event := range events {
		if strings.HasPrefix(event.Kind, "chargeback.") {
			kinds = append(kinds, event.Kind)
			require.Equal(t, "D-1", event.Detail["caseId"])
		}
	}
	require.Equal(t, []string{"chargeback.opened", "chargeback.reminded", "chargeback.overdue", "chargeback.won"}, kinds)
	audit, err := c.store.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	var actors []string
	for _, entry := range audit {
		if entry.Action != nil {
			actors = append(actors, entry.Action.Actor+" "+entry.Action.Action)
		}
	}
	require.Equal(t, []string{"fiona chargeback.won"}, actors)
}

func TestRetrievalsAndStrangersMoveNoMoney(t *testing.T) {
	c := newChanging(t)
	c.sold(t, "WEB-1")
	in := disputed("WEB-1")
	in.Case.Retrieval = true
	done(t, c, c.changes.RecordChargeback, in)
	payment, err := c.store.Payment(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentCaptured, payment.Status)

	stranger := disputed("")
	stranger.Case.ID, stranger.Key, stranger.At = "D-2", "chargeback/D-2/1", time.Time{}
	done(t, c, c.changes.RecordChargeback, stranger)
	record, err := c.store.Chargeback(t.Context(), "D-2")
	require.NoError(t, err)
	require.Equal(t, c.clock.Now(), record.Notes[0].At)
	notices, err := c.store.DueNotices(t.Context(), c.clock.Now().Add(time.Hour), 50)
	require.NoError(t, err)
	require.Contains(t, []string{notices[0].Subject, notices[1].Subject}, "Retrieval request D-1 over 20.00 USD (reason 10.4) opened (order WEB-1)")
}
