package starter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// goods is an order of 2 x 19.95 + 3.29 tax + 5.00 shipping = 48.19 USD.
func goods(id string) canonical.Order {
	o := order(id)
	o.Lines = []canonical.LineItem{{
		SKU: "A100", Description: "Widget", Quantity: decimal.NewFromInt(2), UnitPrice: amount("19.95"), Tax: amount("3.29"),
	}}
	o.Shipping = amount("5.00")
	return o
}

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func wished(text string) canonical.RefundWish {
	value := amount(text)
	return canonical.RefundWish{Amount: &value}
}

// moved carries a payment operation of all of an order's money out.
func (w *world) moved(t *testing.T, effect journal.Effect, orderID, total string) {
	w.operations++
	key := fmt.Sprintf("%s:%s:%d", effect, orderID, w.operations)
	t.Helper()
	_, _, err := w.store.BeginPayment(t.Context(), journal.Operation{
		Key: key, System: "cybersource", Kind: string(effect), OrderID: orderID, InputHash: "hash", Request: []byte("{}"),
		Amount: canonical.NewMoney(amount(total), "USD"),
	}, effect)
	require.NoError(t, err)
	require.NoError(t, w.store.SucceedPayment(t.Context(), key, "id-"+key, []byte("{}"), journal.PaymentChange{}, nil))
}

// paid is an order whose money is captured and that stands where the status says.
func (w *world) paid(t *testing.T, id string, status canonical.OrderStatus) {
	t.Helper()
	_, _, err := w.SubmitOrder(t.Context(), goods(id))
	require.NoError(t, err)
	w.moved(t, journal.EffectSale, id, "48.19")
	number, invoice, customer := "015562", "200069", "CUST0042"
	require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{
		OrderID: id, Seq: 1, Status: status, ErpOrderNumber: &number, ErpInvoice: &invoice, CustomerCode: &customer,
	}))
}

func (w *world) refund(t *testing.T, id string, wish canonical.RefundWish) (journal.RefundRecord, error) {
	t.Helper()
	record, _, err := w.RequestRefund(t.Context(), "A", starter.RefundRequest{RefundID: id, Wish: wish, Actor: "shop", Origin: workflows.OriginShop})
	return record, err
}

func TestARefundIsTakenOnceAndStarted(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	request := starter.RefundRequest{
		RefundID: "R-1", Wish: canonical.RefundWish{Lines: []canonical.RefundLine{{Line: 1, Quantity: amount("1.0")}}}, Restock: true, Reason: "returned",
		Actor: "shop", Origin: workflows.OriginShop,
	}
	record, created, err := w.RequestRefund(t.Context(), "A", request)
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, canonical.RefundReceived, record.Status)
	require.Equal(t, "19.95", record.Breakdown.Net.StringFixed(2))
	require.True(t, record.Amount.Equal(record.Breakdown.Total))

	require.Equal(t, []string{"order/A", "refund/A/R-1"}, w.engine.starts)
	in := w.engine.inputs[1].(workflows.RefundInput)
	require.Equal(t, "R-1", in.RefundID)
	require.Equal(t, "A100", in.Order.Lines[0].SKU, "the order is the one that was posted")
	require.True(t, in.Breakdown.Total.Equal(record.Amount))
	require.Equal(t, []any{true, "returned", "shop", workflows.OriginShop, "015562", "200069", "CUST0042"},
		[]any{in.Restock, in.Reason, in.Actor, in.Origin, in.SalesOrder, in.Invoice, in.CustomerCode})
	require.Equal(t, 12*time.Hour, in.Policy.ErpPatience)
	options := w.engine.options[1]
	require.Contains(t, options.StaticSummary, "Refund R-1 of order A")
	attention, there := options.TypedSearchAttributes.GetBool(workflows.SearchNeedsAttention)
	require.True(t, there)
	require.False(t, attention)

	request.Wish.Lines[0].Quantity = amount("1.00")
	request.Actor, request.Origin = "operator", workflows.OriginOperator
	again, created, err := w.RequestRefund(t.Context(), "A", request)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, "shop", again.Actor, "the first one asked for it")
	require.Len(t, w.engine.starts, 2)

	request.Restock = false
	_, _, err = w.RequestRefund(t.Context(), "A", request)
	require.True(t, starter.Is(err, starter.Conflict), "%v", err)
}

func TestSweepStartsARefundThatACrashLeft(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	w.engine.startErr = serviceerror.NewUnavailable("away")
	record, err := w.refund(t, "R-1", canonical.RefundWish{})
	require.NoError(t, err, "the refund is taken")
	require.Nil(t, record.StartedAt)
	w.now = w.now.Add(6 * time.Second)
	_, err = w.Sweep(t.Context())
	require.ErrorContains(t, err, "away")
	w.engine.startErr = nil
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, swept.Refunds)
	require.Contains(t, w.engine.starts, "refund/A/R-1")
	swept, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept.Refunds)
}

func TestWhatCanNotBeRefundedIsRefusedWithTheReason(t *testing.T) {
	all := canonical.RefundWish{}
	for _, test := range []struct {
		name    string
		before  func(t *testing.T, w *world)
		wish    canonical.RefundWish
		kind    starter.Kind
		message string
	}{
		{"more than the order", nil, wished("48.20"), starter.Conflict, "more than is left"},
		{"more than is left after a refund", func(t *testing.T, w *world) {
			_, err := w.refund(t, "R-0", wished("40.00"))
			require.NoError(t, err)
		}, wished("8.20"), starter.Conflict, "more than is left"},
		{"refunded before", func(t *testing.T, w *world) {
			_, err := w.refund(t, "R-0", all)
			require.NoError(t, err)
		}, all, starter.Conflict, "already refunded, or about to be: 48.19 USD captured, 48.19 USD refunded or about to be: 0.00 USD left"},
		{"refunded at the gateway by somebody else", func(t *testing.T, w *world) {
			w.moved(t, journal.EffectRefund, "A", "40.00")
		}, wished("10.00"), starter.Conflict, "10.00 USD asked, but 48.19 USD captured, 40.00 USD refunded or about to be: 8.19 USD left"},
		{"voided", func(t *testing.T, w *world) {
			w.moved(t, journal.EffectVoidCapture, "A", "48.19")
		}, all, starter.Conflict, "the payment is voided"},
		{"reversed", func(t *testing.T, w *world) {
			w.moved(t, journal.EffectVoidCapture, "A", "48.19")
			w.moved(t, journal.EffectReverse, "A", "48.19")
		}, all, starter.Conflict, "not charged"},
		{"charged back", func(t *testing.T, w *world) {
			sum := amount("48.19")
			require.NoError(t, w.store.ChangePayment(t.Context(), "A", journal.PaymentChange{ChargedBack: &sum}, nil))
		}, all, starter.Conflict, "48.19 USD charged back"},
		{"nothing", nil, wished("0"), starter.Invalid, "can't be taken"},
		{"a line that is not there", nil, canonical.RefundWish{Lines: []canonical.RefundLine{{Line: 2, Quantity: amount("1")}}}, starter.Invalid, "can't be taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderConfirmed)
			if test.before != nil {
				test.before(t, w)
			}
			_, err := w.refund(t, "R-1", test.wish)
			var refused *starter.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.kind, refused.Kind, "%v", err)
			require.Contains(t, refused.Message, test.message)
			require.NotContains(t, w.engine.starts, "refund/A/R-1")
			_, err = w.store.Refund(t.Context(), "A", "R-1")
			require.ErrorIs(t, err, journal.ErrNotFound)
		})
	}
}

func TestARefundOfTheRestLeavesWhatWasChargedBack(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	sum := amount("8.19")
	require.NoError(t, w.store.ChangePayment(t.Context(), "A", journal.PaymentChange{ChargedBack: &sum}, nil))
	record, err := w.refund(t, "R-1", canonical.RefundWish{})
	require.NoError(t, err)
	require.Equal(t, "40.00", record.Amount.StringFixed(2))
}

func TestAWrongRefundIDIsNamed(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	for _, id := range []string{"", "a b", "1234567890123456789012345678901", "ä"} {
		_, err := w.refund(t, id, canonical.RefundWish{})
		var refused *starter.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "/refundId", refused.Problems[0].Pointer)
	}
	_, _, err := w.RequestRefund(t.Context(), "NONE", starter.RefundRequest{RefundID: "R-1"})
	require.True(t, starter.Is(err, starter.NotFound))
}

func TestBeforeConfirmationARefundOfEverythingCancels(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderBooking)
	w.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, "order/A", o.WorkflowID)
		require.Equal(t, workflows.CancelRequest{Actor: "shop", Reason: "refund R-2"}, o.Args[0])
		return workflows.CancelAnswer{Status: canonical.OrderBooking}, nil
	}
	_, err := w.refund(t, "R-1", wished("10.00"))
	require.True(t, starter.Is(err, starter.NotNow), "%v", err)
	require.Empty(t, w.engine.updates)

	record, err := w.refund(t, "R-2", wished("48.19"))
	require.NoError(t, err)
	require.True(t, record.Cancels)
	require.Equal(t, "48.19", record.Amount.StringFixed(2))
	_, err = w.refund(t, "R-2", wished("48.19"))
	require.NoError(t, err)
	_, err = w.refund(t, "R-2", canonical.RefundWish{})
	require.True(t, starter.Is(err, starter.Conflict))
	require.Len(t, w.engine.updates, 1)
	require.NotContains(t, w.engine.starts, "refund/A/R-2", "the order's own process gives the money back")

	w.now = w.now.Add(time.Minute)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	record, err = w.store.Refund(t.Context(), "A", "R-2")
	require.NoError(t, err)
	require.Equal(t, canonical.RefundReceived, record.Status, "the order is still under way")

	for status, want := range map[canonical.OrderStatus]canonical.RefundStatus{
		canonical.OrderCompensated: canonical.RefundCompleted, canonical.OrderConfirmed: canonical.RefundRefused,
	} {
		t.Run(string(status), func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderBooking)
			w.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) { return workflows.CancelAnswer{}, nil }
			_, err := w.refund(t, "R-1", canonical.RefundWish{})
			require.NoError(t, err)
			require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{OrderID: "A", Seq: 2, Status: status}))
			w.now = w.now.Add(time.Minute)
			swept, err := w.Sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, swept.Refunds)
			record, err := w.store.Refund(t.Context(), "A", "R-1")
			require.NoError(t, err)
			require.Equal(t, want, record.Status)
			require.NotNil(t, record.StartedAt)
		})
	}
}

func TestACancelThatComesTooLateIsARefund(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderBooking)
	w.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) {
		require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{OrderID: "A", Seq: 2, Status: canonical.OrderConfirmed}))
		return nil, temporal.NewNonRetryableApplicationError("the order has ended: confirmed", workflows.RefusedTooLate, nil)
	}
	record, err := w.refund(t, "R-1", canonical.RefundWish{})
	require.NoError(t, err)
	require.False(t, record.Cancels)
	require.Contains(t, w.engine.starts, "refund/A/R-1")
}

// However refunds are asked for, they never come to more than was captured.
func TestRefundsNeverComeToMoreThanWasCaptured(t *testing.T) {
	w := newWorld(t, nil)
	orders := 0
	rapid.Check(t, func(r *rapid.T) {
		orders++
		id := fmt.Sprintf("P-%d", orders)
		w.paid(t, id, canonical.OrderConfirmed)
		taken := decimal.Zero
		for n := range rapid.IntRange(1, 6).Draw(r, "refunds") {
			wish := canonical.RefundWish{}
			switch rapid.IntRange(0, 2).Draw(r, "kind") {
			case 0:
				cents := decimal.New(rapid.Int64Range(1, 6000).Draw(r, "cents"), -2)
				wish.Amount = &cents
			case 1:
				quantity := decimal.New(rapid.Int64Range(1, 25).Draw(r, "tenths"), -1)
				wish.Lines = []canonical.RefundLine{{Line: 1, Quantity: quantity}}
			}
			record, _, err := w.RequestRefund(t.Context(), id, starter.RefundRequest{RefundID: fmt.Sprintf("R-%d", n), Wish: wish, Actor: "shop"})
			if err != nil {
				require.True(r, starter.Is(err, starter.Conflict) || starter.Is(err, starter.Invalid), "%v", err)
				continue
			}
			require.True(r, record.Amount.IsPositive())
			taken = taken.Add(record.Amount)
		}
		require.True(r, taken.LessThanOrEqual(amount("48.19")), taken.String())
	})
}
