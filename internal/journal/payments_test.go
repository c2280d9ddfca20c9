package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

func paymentOp(orderID, step, amount string) journal.Operation {
	return journal.Operation{
		Key: "order/" + orderID + ":" + step, System: "cybersource", Kind: step, OrderID: orderID, InputHash: "hash",
		Reference: orderID, Amount: usd(amount), Request: []byte("{}"),
	}
}

// perform begins a payment operation and lets it succeed.
func perform(t *testing.T, f *fixture, effect journal.Effect, op journal.Operation, outsideID string, change journal.PaymentChange) {
	t.Helper()
	_, fresh, err := f.BeginPayment(t.Context(), op, effect)
	require.NoError(t, err)
	require.True(t, fresh)
	require.NoError(t, f.SucceedPayment(t.Context(), op.Key, outsideID, []byte("outcome"), change, nil))
}

func authorize(t *testing.T, f *fixture, orderID, step, amount, outsideID string) {
	t.Helper()
	perform(t, f, journal.EffectAuthorize, paymentOp(orderID, step, amount), outsideID, journal.PaymentChange{})
}

func payment(t *testing.T, f *fixture, orderID string) journal.Payment {
	t.Helper()
	p, err := f.Payment(t.Context(), orderID)
	require.NoError(t, err)
	return p
}

// requireRefused begins an operation that must be refused with the code.
func requireRefused(t *testing.T, f *fixture, effect journal.Effect, op journal.Operation, code string) {
	t.Helper()
	_, fresh, err := f.BeginPayment(t.Context(), op, effect)
	require.Error(t, err, "%s of %s", effect, op.Amount)
	require.False(t, fresh)
	refusal := fault.As(err)
	require.NotNil(t, refusal, "%v", err)
	require.Equal(t, code, refusal.Code)
	require.Equal(t, fault.Conflict, refusal.Kind)
	_, err = f.Operations().Get(t.Context(), op.Key)
	require.ErrorIs(t, err, journal.ErrNotFound, "a refused operation leaves no trace")
}

func requireAmount(t *testing.T, want string, got decimal.Decimal) {
	t.Helper()
	require.Truef(t, dec(want).Equal(got), "want %s, got %s", want, got)
}

func paymentGoesFromAuthorizationToRefund(t *testing.T, f *fixture) {
	_, err := f.Payment(t.Context(), "WEB-1")
	require.ErrorIs(t, err, journal.ErrNotFound)

	op := paymentOp("WEB-1", "auth", "100.00")
	perform(t, f, journal.EffectAuthorize, op, "tx-auth", journal.PaymentChange{CardType: "001", CardSuffix: "1111", ApprovalCode: "888888",
		Reconciliation: "rec", CustomerToken: "tok", Reason: "ok"})
	require.Equal(t, journal.EffectAuthorize, get(t, f, op.Key).Effect)
	p := payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentAuthorized, p.Status)
	require.Equal(t, "tx-auth", p.AuthorizationID)
	require.Equal(t, []string{"001", "1111", "888888", "rec", "tok", "ok", "USD"},
		[]string{p.CardType, p.CardSuffix, p.ApprovalCode, p.Reconciliation, p.CustomerToken, p.Reason, p.Currency})
	require.Equal(t, start, p.At)
	requireAmount(t, "100", p.Capturable)

	perform(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "60"), "tx-capture", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentCaptured, p.Status)
	require.Equal(t, "tx-capture", p.CaptureID)
	require.Equal(t, "1111", p.CardSuffix, "what a change does not tell stays")
	requireAmount(t, "40", p.Capturable)
	requireAmount(t, "60", p.Refundable)

	perform(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "40"), "tx-reverse", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentCaptured, p.Status)
	requireAmount(t, "40", p.Reversed)
	requireAmount(t, "0", p.Capturable)

	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund-1", "10.50"), "tx-refund-1", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentPartiallyRefunded, p.Status)
	requireAmount(t, "49.50", p.Refundable)
	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund-2", "49.50"), "tx-refund-2", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentRefunded, p.Status)
	requireAmount(t, "60", p.Refunded)
	requireAmount(t, "0", p.Refundable)
	require.False(t, p.Open)
}

func saleIsCapturedAtOnce(t *testing.T, f *fixture) {
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", "48.19"), "tx-sale", journal.PaymentChange{})
	p := payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentCaptured, p.Status)
	require.Equal(t, "tx-sale", p.AuthorizationID)
	require.Equal(t, "tx-sale", p.CaptureID)
	requireAmount(t, "48.19", p.Captured)

	perform(t, f, journal.EffectVoidCapture, paymentOp("WEB-1", "void", "48.19"), "tx-void", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentVoided, p.Status)
	requireAmount(t, "48.19", p.Capturable)
	perform(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "48.19"), "tx-reverse", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentReversed, payment(t, f, "WEB-1").Status)

	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale-2", "48.19"), "tx-sale-2", journal.PaymentChange{})
	p = payment(t, f, "WEB-1")
	requireAmount(t, "48.19", p.Authorized)
	requireAmount(t, "0", p.Reversed)
	requireAmount(t, "48.19", p.Refundable)
}

func saleWithoutCaptureHoldsOnly(t *testing.T, f *fixture) {
	approved := dec("30")
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", "48.19"), "tx-sale",
		journal.PaymentChange{NotCaptured: true, Amount: &approved})
	p := payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentAuthorized, p.Status)
	require.Empty(t, p.CaptureID)
	requireAmount(t, "30", p.Capturable)
	requireAmount(t, "0", p.Captured)
}

func limitsRefuse(t *testing.T, f *fixture) {
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "1"), journal.CodeNothingAuthorized)
	requireRefused(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "1"), journal.CodeNothingAuthorized)
	_, err := f.Payment(t.Context(), "WEB-1")
	require.ErrorIs(t, err, journal.ErrNotFound)

	authorize(t, f, "WEB-1", "auth", "100", "tx-auth")
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "100.01"), journal.CodeExceedsAuthorized)
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "100.01"), journal.CodeExceedsHold)
	requireRefused(t, f, journal.EffectVoidCapture, paymentOp("WEB-1", "void", "1"), journal.CodeExceedsCaptured)
	requireRefused(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "1"), journal.CodeExceedsCaptured)
	euro := paymentOp("WEB-1", "capture", "1")
	euro.Amount.Currency = "EUR"
	requireRefused(t, f, journal.EffectCapture, euro, journal.CodeCurrencyDiffers)
	for _, amount := range []string{"0", "-1"} {
		_, _, err := f.BeginPayment(t.Context(), paymentOp("WEB-1", "capture", amount), journal.EffectCapture)
		require.True(t, fault.Is(err, fault.Value), "%v", err)
	}
	_, _, err = f.BeginPayment(t.Context(), paymentOp("WEB-1", "gift", "1"), "gift")
	require.True(t, fault.Is(err, fault.Bug), "%v", err)

	perform(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "70"), "tx-capture", journal.PaymentChange{})
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture-2", "30.01"), journal.CodeExceedsAuthorized)
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "30.01"), journal.CodeExceedsHold)
	requireRefused(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "70.01"), journal.CodeExceedsCaptured)
	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "20"), "tx-refund", journal.PaymentChange{})
	requireRefused(t, f, journal.EffectVoidCapture, paymentOp("WEB-1", "void", "50.01"), journal.CodeExceedsCaptured)
}

func secondAuthorizationIsRefused(t *testing.T, f *fixture) {
	first := paymentOp("WEB-1", "auth-1", "100")
	_, _, err := f.BeginPayment(t.Context(), first, journal.EffectAuthorize)
	require.NoError(t, err)
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-1", "auth-2", "100"), journal.CodeAuthorizationLive)
	require.NoError(t, f.UnknownPayment(t.Context(), first.Key, "no answer", nil))
	requireRefused(t, f, journal.EffectSale, paymentOp("WEB-1", "auth-2", "100"), journal.CodeAuthorizationLive)

	require.NoError(t, f.RefusePayment(t.Context(), first.Key, nil, journal.PaymentChange{Status: canonical.PaymentDeclined}, nil))
	require.Equal(t, canonical.PaymentDeclined, payment(t, f, "WEB-1").Status)
	authorize(t, f, "WEB-1", "auth-2", "100", "tx-2")
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-1", "auth-3", "100"), journal.CodeAuthorizationLive)

	perform(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "100"), "tx-capture", journal.PaymentChange{})
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-1", "auth-3", "100"), journal.CodeAuthorizationLive)

	authorize(t, f, "WEB-2", "auth", "100", "tx-other-order")
}

func openOperationsKeepTheirReservation(t *testing.T, f *fixture) {
	authorize(t, f, "WEB-1", "auth", "100", "tx-auth")
	op := paymentOp("WEB-1", "capture-1", "60")
	_, _, err := f.BeginPayment(t.Context(), op, journal.EffectCapture)
	require.NoError(t, err)
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture-2", "41"), journal.CodeExceedsAuthorized)
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "41"), journal.CodeExceedsHold)
	require.NoError(t, f.UnknownPayment(t.Context(), op.Key, "no answer", nil))
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "41"), journal.CodeExceedsHold)
	p := payment(t, f, "WEB-1")
	require.True(t, p.Open)
	requireAmount(t, "40", p.Capturable)
	requireAmount(t, "0", p.Refundable)

	stored, fresh, err := f.BeginPayment(t.Context(), op, journal.EffectCapture)
	require.NoError(t, err)
	require.False(t, fresh, "its own reservation does not refuse a retry")
	require.Equal(t, journal.OperationUnknown, stored.State)
	other := op
	other.InputHash = "other"
	_, _, err = f.BeginPayment(t.Context(), other, journal.EffectCapture)
	require.ErrorIs(t, err, journal.ErrInputDiffers)
}

func refusalReleases(t *testing.T, f *fixture) {
	authorize(t, f, "WEB-1", "auth", "100", "tx-auth")
	for i, release := range []func(key string) error{
		func(key string) error { return f.RefusePayment(t.Context(), key, nil, journal.PaymentChange{}, nil) },
		func(key string) error { return f.AbsentPayment(t.Context(), key, journal.PaymentChange{}, nil) },
	} {
		op := paymentOp("WEB-1", fmt.Sprint("capture-", i), "100")
		_, _, err := f.BeginPayment(t.Context(), op, journal.EffectCapture)
		require.NoError(t, err)
		requireAmount(t, "0", payment(t, f, "WEB-1").Capturable)
		require.NoError(t, release(op.Key))
		p := payment(t, f, "WEB-1")
		requireAmount(t, "100", p.Capturable)
		require.Equal(t, canonical.PaymentAuthorized, p.Status)
	}
}

func heldPaymentWaits(t *testing.T, f *fixture) {
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", "100"), "tx-sale", journal.PaymentChange{Status: canonical.PaymentHeld})
	p := payment(t, f, "WEB-1")
	require.Equal(t, canonical.PaymentHeld, p.Status)
	requireAmount(t, "100", p.Authorized)
	requireAmount(t, "0", p.Captured)
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "100"), journal.CodePaymentHeld)
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "100"), journal.CodePaymentHeld)
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-1", "auth-2", "100"), journal.CodePaymentHeld)

	require.NoError(t, f.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{Status: canonical.PaymentAuthorized}, nil))
	perform(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "100"), "tx-capture", journal.PaymentChange{})
	requireAmount(t, "100", payment(t, f, "WEB-1").Captured)

	zero := decimal.Zero
	perform(t, f, journal.EffectAuthorize, paymentOp("WEB-2", "auth", "100"), "tx-2",
		journal.PaymentChange{Status: canonical.PaymentHeld, Amount: &zero})
	require.NoError(t, f.ChangePayment(t.Context(), "WEB-2", journal.PaymentChange{Status: canonical.PaymentNone}, nil))
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-2", "capture", "1"), journal.CodeNothingAuthorized)
	authorize(t, f, "WEB-2", "auth-2", "100", "tx-3")

	require.ErrorIs(t, f.ChangePayment(t.Context(), "none", journal.PaymentChange{}, nil), journal.ErrNotFound)
}

func partialAuthorizationCountsWhatWasApproved(t *testing.T, f *fixture) {
	op := paymentOp("WEB-1", "auth", "100")
	_, _, err := f.BeginPayment(t.Context(), op, journal.EffectAuthorize)
	require.NoError(t, err)
	tooMuch, below := dec("100.01"), dec("-1")
	for _, amount := range []*decimal.Decimal{&tooMuch, &below} {
		err = f.SucceedPayment(t.Context(), op.Key, "tx", nil, journal.PaymentChange{Amount: amount}, nil)
		require.True(t, fault.Is(err, fault.Bug), "%v", err)
	}
	approved := dec("40")
	require.NoError(t, f.SucceedPayment(t.Context(), op.Key, "tx", nil, journal.PaymentChange{Amount: &approved}, nil))
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "41"), journal.CodeExceedsHold)
	perform(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "40"), "tx-reverse", journal.PaymentChange{})
}

func timeoutFormsNeedSomethingUnknown(t *testing.T, f *fixture) {
	requireRefused(t, f, journal.EffectTimeoutReverse, paymentOp("WEB-1", "timeout", "100"), journal.CodeNothingUnknown)
	auth := paymentOp("WEB-1", "auth", "100")
	_, _, err := f.BeginPayment(t.Context(), auth, journal.EffectAuthorize)
	require.NoError(t, err)
	require.NoError(t, f.UnknownPayment(t.Context(), auth.Key, "no answer", nil))

	perform(t, f, journal.EffectTimeoutReverse, paymentOp("WEB-1", "timeout", "100"), "tx-timeout", journal.PaymentChange{})
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-1", "auth-2", "100"), journal.CodeAuthorizationLive)
	require.NoError(t, f.AbsentPayment(t.Context(), auth.Key, journal.PaymentChange{Status: canonical.PaymentReversed}, nil))
	authorize(t, f, "WEB-1", "auth-2", "100", "tx-2")

	lost := paymentOp("WEB-2", "auth", "100")
	_, _, err = f.BeginPayment(t.Context(), lost, journal.EffectAuthorize)
	require.NoError(t, err)
	_, _, err = f.BeginPayment(t.Context(), paymentOp("WEB-2", "timeout", "100"), journal.EffectTimeoutReverse)
	require.NoError(t, err)
	require.NoError(t, f.AbsentPayment(t.Context(), lost.Key, journal.PaymentChange{}, nil))
	requireRefused(t, f, journal.EffectAuthorize, paymentOp("WEB-2", "auth-2", "100"), journal.CodeAuthorizationLive)

	requireRefused(t, f, journal.EffectTimeoutVoid, paymentOp("WEB-1", "timeout-void", "100"), journal.CodeNothingUnknown)
	_, _, err = f.BeginPayment(t.Context(), paymentOp("WEB-1", "capture", "100"), journal.EffectCapture)
	require.NoError(t, err)
	requireRefused(t, f, journal.EffectTimeoutReverse, paymentOp("WEB-1", "timeout-2", "100"), journal.CodeNothingUnknown)
	perform(t, f, journal.EffectTimeoutVoid, paymentOp("WEB-1", "timeout-void", "100"), "tx-timeout-void", journal.PaymentChange{})
	requireAmount(t, "0", payment(t, f, "WEB-1").Captured)
}

func paymentConclusionIsAtomic(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	op := paymentOp("WEB-1", "sale", "48.19")
	_, _, err := f.BeginPayment(t.Context(), op, journal.EffectSale)
	require.NoError(t, err)
	require.NoError(t, f.UnknownPayment(t.Context(), op.Key, "no answer",
		&journal.Progress{Seq: 1, Events: []journal.Event{{Key: "unknown", Kind: "payment"}}}))
	require.Equal(t, canonical.PaymentUnknown, order(t, f, "WEB-1").PaymentStatus)

	gatewayID := "tx-sale"
	progress := &journal.Progress{Seq: 2, Status: canonical.OrderBooking, GatewayID: &gatewayID, Events: []journal.Event{
		{Key: "captured", Kind: "payment", Summary: "48.19 USD captured", Detail: map[string]string{"transactionId": gatewayID}},
	}}
	require.NoError(t, f.SucceedPayment(t.Context(), op.Key, "tx-sale", []byte("outcome"), journal.PaymentChange{}, progress))
	stored := order(t, f, "WEB-1")
	require.Equal(t, canonical.OrderBooking, stored.Status)
	require.Equal(t, canonical.PaymentCaptured, stored.PaymentStatus)
	require.Equal(t, "tx-sale", stored.GatewayID)
	require.Equal(t, []string{"unknown", "captured"}, eventKeys(t, f, "WEB-1"))

	// A progress that comes late can't take the order back, but the payment's status is the payment's.
	late := &journal.Progress{Seq: 1, Status: canonical.OrderCapturing, Events: []journal.Event{{Key: "refunded"}}}
	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "48.19"), "tx-refund", journal.PaymentChange{})
	require.NoError(t, f.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{Status: canonical.PaymentSettled}, late))
	stored = order(t, f, "WEB-1")
	require.Equal(t, canonical.OrderBooking, stored.Status)
	require.Equal(t, canonical.PaymentSettled, stored.PaymentStatus)
	require.Contains(t, eventKeys(t, f, "WEB-1"), "refunded")
}

func paymentConclusionRepeats(t *testing.T, f *fixture) {
	op := paymentOp("WEB-1", "sale", "48.19")
	_, _, err := f.BeginPayment(t.Context(), op, journal.EffectSale)
	require.NoError(t, err)
	race(t, 5, func(int) error {
		return f.SucceedPayment(t.Context(), op.Key, "tx-sale", nil, journal.PaymentChange{}, nil)
	})
	requireAmount(t, "48.19", payment(t, f, "WEB-1").Captured)
	err = f.SucceedPayment(t.Context(), op.Key, "tx-other", nil, journal.PaymentChange{}, nil)
	require.ErrorIs(t, err, journal.ErrConcluded)
	require.ErrorIs(t, f.RefusePayment(t.Context(), op.Key, nil, journal.PaymentChange{}, nil), journal.ErrConcluded)
	require.ErrorIs(t, f.UnknownPayment(t.Context(), op.Key, "late", nil), journal.ErrConcluded)
	require.ErrorIs(t, f.AbsentPayment(t.Context(), "none", journal.PaymentChange{}, nil), journal.ErrNotFound)

	begin(t, f, salesOrder("erp"))
	require.ErrorIs(t, f.RefusePayment(t.Context(), "erp", nil, journal.PaymentChange{}, nil), journal.ErrNotFound)
}

func operationsCannotConcludePayments(t *testing.T, f *fixture) {
	op := paymentOp("WEB-1", "sale", "48.19")
	_, _, err := f.BeginPayment(t.Context(), op, journal.EffectSale)
	require.NoError(t, err)
	require.ErrorIs(t, f.Operations().Succeed(t.Context(), op.Key, "tx", nil), journal.ErrPaymentOperation)
	require.ErrorIs(t, f.Operations().Refuse(t.Context(), op.Key, nil), journal.ErrPaymentOperation)
	require.ErrorIs(t, f.Operations().Absent(t.Context(), op.Key), journal.ErrPaymentOperation)
	require.NoError(t, f.Operations().Unknown(t.Context(), op.Key, "no answer"), "keeps the reservation, so anybody may")
	require.True(t, payment(t, f, "WEB-1").Open)
}

func expiredHoldAndChargeback(t *testing.T, f *fixture) {
	authorize(t, f, "WEB-1", "auth", "100", "tx-auth")
	require.NoError(t, f.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{HoldLapsed: true}, nil))
	requireRefused(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture", "1"), journal.CodeExceedsAuthorized)
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", "100"), "tx-sale", journal.PaymentChange{})

	back := dec("30")
	for range 2 { // a sum, not a step: telling it twice is telling it once
		require.NoError(t, f.ChangePayment(t.Context(), "WEB-1",
			journal.PaymentChange{Status: canonical.PaymentChargedBack, ChargedBack: &back}, nil))
	}
	p := payment(t, f, "WEB-1")
	requireAmount(t, "30", p.ChargedBack)
	requireAmount(t, "70", p.Refundable)
	requireRefused(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "70.01"), journal.CodeExceedsCaptured)
	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "70"), "tx-refund", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentRefunded, payment(t, f, "WEB-1").Status)
}

// inThree is a payment of 100 captured in 50, 30 and 20.
func inThree(t *testing.T, f *fixture, orderID string) {
	t.Helper()
	authorize(t, f, orderID, "auth", "100", orderID+"-auth")
	for i, amount := range []string{"50", "30", "20"} {
		perform(t, f, journal.EffectCapture, paymentOp(orderID, fmt.Sprint("capture-", i+1), amount), fmt.Sprint(orderID, "-capture-", i+1), journal.PaymentChange{})
	}
}

// against is an operation of one of the captures of inThree; "" of none.
func against(orderID, step, amount, capture string) journal.Operation {
	op := paymentOp(orderID, step, amount)
	if capture != "" {
		op.Related = orderID + "-capture-" + capture
	}
	return op
}

// requireCaptures holds captures against "id amount/back/reserved".
func requireCaptures(t require.TestingT, f *fixture, orderID string, want ...string) {
	captures, err := f.Captures(context.Background(), orderID)
	require.NoError(t, err)
	var got []string
	for _, c := range captures {
		got = append(got, fmt.Sprintf("%s %s/%s/%s", strings.TrimPrefix(c.ID, orderID+"-capture-"), c.Amount, c.Back, c.Reserved))
	}
	require.Equal(t, want, got)
}

func severalCapturesCountApart(t *testing.T, f *fixture) {
	inThree(t, f, "WEB-1")
	requireCaptures(t, f, "WEB-1", "1 50/0/0", "2 30/0/0", "3 20/0/0")
	require.Equal(t, "WEB-1-capture-3", payment(t, f, "WEB-1").CaptureID, "the last one")

	requireRefused(t, f, journal.EffectRefund, against("WEB-1", "r", "30.01", "2"), journal.CodeExceedsCaptured)
	perform(t, f, journal.EffectRefund, against("WEB-1", "r1", "10", "2"), "tx-r1", journal.PaymentChange{})
	_, _, err := f.BeginPayment(t.Context(), against("WEB-1", "r2", "15", "2"), journal.EffectRefund)
	require.NoError(t, err)
	requireCaptures(t, f, "WEB-1", "1 50/0/0", "2 30/10/15", "3 20/0/0")
	requireRefused(t, f, journal.EffectRefund, against("WEB-1", "r", "5.01", "2"), journal.CodeExceedsCaptured)
	requireRefused(t, f, journal.EffectVoidCapture, against("WEB-1", "v", "30", "2"), journal.CodeExceedsCaptured)
	require.NoError(t, f.RefusePayment(t.Context(), against("WEB-1", "r2", "15", "2").Key, nil, journal.PaymentChange{}, nil))

	perform(t, f, journal.EffectRefund, against("WEB-1", "r3", "60", ""), "tx-r3", journal.PaymentChange{})
	requireCaptures(t, f, "WEB-1", "1 50/50/0", "2 30/20/0", "3 20/0/0")
	perform(t, f, journal.EffectVoidCapture, against("WEB-1", "v3", "20", "3"), "tx-v3", journal.PaymentChange{})
	requireCaptures(t, f, "WEB-1", "1 50/50/0", "2 30/20/0")
	requireRefused(t, f, journal.EffectRefund, against("WEB-1", "r", "10.01", ""), journal.CodeExceedsCaptured)
	requireAmount(t, "10", payment(t, f, "WEB-1").Refundable)

	none, err := f.Captures(t.Context(), "NONE")
	require.NoError(t, err)
	require.Empty(t, none)
}

func severalCapturesKeepTheStatus(t *testing.T, f *fixture) {
	inThree(t, f, "WEB-1")
	status := func() canonical.PaymentStatus { return payment(t, f, "WEB-1").Status }
	require.NoError(t, f.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{HoldLapsed: true}, nil))
	require.Equal(t, canonical.PaymentCaptured, status(), "a hold that ran out beside it changes nothing")
	perform(t, f, journal.EffectVoidCapture, against("WEB-1", "v3", "20", "3"), "tx-v3", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentCaptured, status(), "while something is captured")
	requireRefused(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "20.01"), journal.CodeExceedsHold)
	perform(t, f, journal.EffectReverse, paymentOp("WEB-1", "reverse", "5"), "tx-reverse", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentCaptured, status())

	perform(t, f, journal.EffectRefund, against("WEB-1", "r1", "50", "1"), "tx-r1", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentPartiallyRefunded, status())
	perform(t, f, journal.EffectCapture, paymentOp("WEB-1", "capture-4", "10"), "WEB-1-capture-4", journal.PaymentChange{})
	require.Equal(t, canonical.PaymentPartiallyRefunded, status(), "what is captured besides does not undo a refund")
	_, _, err := f.BeginPayment(t.Context(), paymentOp("WEB-1", "capture-5", "5"), journal.EffectCapture)
	require.NoError(t, err)
	require.NoError(t, f.RefusePayment(t.Context(), paymentOp("WEB-1", "capture-5", "5").Key, nil, journal.PaymentChange{Status: canonical.PaymentVoided}, nil))
	require.Equal(t, canonical.PaymentPartiallyRefunded, status(), "found voided, it was one of several")
	for id, amount := range map[string]string{"2": "30", "4": "10"} {
		perform(t, f, journal.EffectVoidCapture, against("WEB-1", "v"+id, amount, id), "tx-v"+id, journal.PaymentChange{})
	}
	require.Equal(t, canonical.PaymentRefunded, status(), "all that is captured went back")
	p := payment(t, f, "WEB-1")
	requireAmount(t, "50", p.Captured)
	requireAmount(t, "45", p.Capturable)
}

func partsAreReservedTogether(t *testing.T, f *fixture) {
	inThree(t, f, "WEB-1")
	parts := func(last string) []journal.Operation {
		return []journal.Operation{against("WEB-1", "r", "50", "1"), against("WEB-1", "r-2", "30", "2"), against("WEB-1", "r-3", last, "3")}
	}
	refusal := fault.As(f.ReservePayments(t.Context(), parts("20.01"), journal.EffectRefund))
	require.NotNil(t, refusal)
	require.Equal(t, journal.CodeExceedsCaptured, refusal.Code)
	requireCaptures(t, f, "WEB-1", "1 50/0/0", "2 30/0/0", "3 20/0/0")

	for range 2 { // again, nothing changes
		require.NoError(t, f.ReservePayments(t.Context(), parts("20"), journal.EffectRefund))
		requireCaptures(t, f, "WEB-1", "1 50/0/50", "2 30/0/30", "3 20/0/20")
		for _, part := range parts("20") {
			stored := get(t, f, part.Key)
			require.Equal(t, journal.OperationIntent, stored.State)
			require.Zero(t, stored.Sends, "none has left")
			require.Equal(t, part.Related, stored.Related)
		}
	}
	requireAmount(t, "0", payment(t, f, "WEB-1").Refundable)
	require.NoError(t, f.Operations().Resend(t.Context(), parts("20")[0].Key))
	require.NoError(t, f.ReservePayments(t.Context(), parts("20"), journal.EffectRefund))
	require.Equal(t, 1, get(t, f, parts("20")[0].Key).Sends, "what has left stays sent")
	other := parts("20")
	other[1].InputHash = "other"
	require.ErrorIs(t, f.ReservePayments(t.Context(), other, journal.EffectRefund), journal.ErrInputDiffers)
}

// racingPartsKeepEachCapture: ten refunds of two parts each, of which three fit into the second capture.
func racingPartsKeepEachCapture(t *testing.T, f *fixture) {
	inThree(t, f, "WEB-1")
	var admitted atomic.Int64
	race(t, 10, func(i int) error {
		parts := []journal.Operation{against("WEB-1", fmt.Sprint("r", i), "1", "1"), against("WEB-1", fmt.Sprint("r", i, "-2"), "9", "2")}
		err := f.ReservePayments(t.Context(), parts, journal.EffectRefund)
		if fault.Is(err, fault.Conflict) {
			return nil
		}
		admitted.Add(1)
		return err
	})
	require.EqualValues(t, 3, admitted.Load())
	requireCaptures(t, f, "WEB-1", "1 50/0/3", "2 30/0/27", "3 20/0/0")
}

func tenRefundsRace(t *testing.T, f *fixture) {
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", "100"), "tx-sale", journal.PaymentChange{})
	require.EqualValues(t, 3, raceFor(t, f, journal.EffectRefund, "30"))
	requireAmount(t, "90", payment(t, f, "WEB-1").Refunded)
}

func tenCapturesRace(t *testing.T, f *fixture) {
	authorize(t, f, "WEB-1", "auth", "100", "tx-auth")
	require.EqualValues(t, 4, raceFor(t, f, journal.EffectCapture, "25"))
	requireAmount(t, "100", payment(t, f, "WEB-1").Captured)
}

// raceFor lets ten goroutines do the same to one payment and gives how many were admitted.
func raceFor(t *testing.T, f *fixture, effect journal.Effect, amount string) int64 {
	t.Helper()
	var admitted atomic.Int64
	race(t, 10, func(i int) error {
		op := paymentOp("WEB-1", fmt.Sprint(effect, "-", i), amount)
		_, _, err := f.BeginPayment(t.Context(), op, effect)
		if fault.Is(err, fault.Conflict) {
			return nil
		}
		if err != nil {
			return err
		}
		admitted.Add(1)
		return f.SucceedPayment(t.Context(), op.Key, "tx-"+op.Key, nil, journal.PaymentChange{}, nil)
	})
	return admitted.Load()
}

// anyInterleavingKeepsTheLimits plays random operations, whose outcomes come in any order or never, and a gateway beside
// them that does what was sent, told or not: whatever became of the unknown ones, its ledger must stay within the limits.
func anyInterleavingKeepsTheLimits(t *testing.T, f *fixture) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		newLedger(t, f, fmt.Sprint("RAPID-", run)).play()
	})
}

// ledger is the gateway of the property test.
type ledger struct {
	t       *rapid.T
	f       *fixture
	orderID string
	serial  int
	open    []openOperation
	// What happened for sure, and with each open operation counted as done.
	authorized, captured, reversed, refunded decimal.Decimal
}

type openOperation struct {
	op     journal.Operation
	effect journal.Effect
}

func newLedger(t *rapid.T, f *fixture, orderID string) *ledger {
	return &ledger{t: t, f: f, orderID: orderID}
}

func (l *ledger) play() {
	l.t.Repeat(map[string]func(*rapid.T){
		"begin":   func(*rapid.T) { l.begin() },
		"succeed": func(*rapid.T) { l.conclude(true) },
		"refuse":  func(*rapid.T) { l.conclude(false) },
		"unknown": func(*rapid.T) { l.unknown() },
		"":        func(*rapid.T) { l.check() },
	})
}

func (l *ledger) begin() {
	effects := []journal.Effect{journal.EffectAuthorize, journal.EffectSale, journal.EffectCapture, journal.EffectCapture,
		journal.EffectVoidCapture, journal.EffectReverse, journal.EffectRefund}
	effect := rapid.SampledFrom(effects).Draw(l.t, "effect")
	cents := rapid.Int64Range(1, 6).Draw(l.t, "amount")
	l.serial++
	op := paymentOp(l.orderID, fmt.Sprint("step-", l.serial), decimal.New(cents, 0).String())
	_, fresh, err := l.f.BeginPayment(l.t.Context(), op, effect)
	if fault.Is(err, fault.Conflict) {
		return
	}
	require.NoError(l.t, err)
	require.True(l.t, fresh)
	if effect == journal.EffectAuthorize || effect == journal.EffectSale {
		require.Empty(l.t, l.open, "authorized while something was open")
		require.True(l.t, l.authorized.Equal(l.reversed) && l.captured.IsZero(), "authorized twice")
	}
	l.open = append(l.open, openOperation{op, effect})
}

// draw takes one of the open operations.
func (l *ledger) draw() (openOperation, int) {
	if len(l.open) == 0 {
		l.t.Skip("nothing is open")
	}
	i := rapid.IntRange(0, len(l.open)-1).Draw(l.t, "open")
	return l.open[i], i
}

func (l *ledger) conclude(success bool) {
	o, i := l.draw()
	l.open = append(l.open[:i:i], l.open[i+1:]...)
	if !success {
		require.NoError(l.t, l.f.RefusePayment(l.t.Context(), o.op.Key, nil, journal.PaymentChange{}, nil))
		return
	}
	require.NoError(l.t, l.f.SucceedPayment(l.t.Context(), o.op.Key, "tx-"+o.op.Key, nil, journal.PaymentChange{}, nil))
	amount := o.op.Amount.Amount
	switch o.effect {
	case journal.EffectAuthorize:
		l.authorized, l.reversed = amount, decimal.Zero
	case journal.EffectSale:
		l.authorized, l.captured, l.reversed = amount, amount, decimal.Zero
	case journal.EffectCapture:
		l.captured = l.captured.Add(amount)
	case journal.EffectVoidCapture:
		l.captured = l.captured.Sub(amount)
	case journal.EffectReverse:
		l.reversed = l.reversed.Add(amount)
	case journal.EffectRefund:
		l.refunded = l.refunded.Add(amount)
	case journal.EffectTimeoutReverse, journal.EffectTimeoutVoid:
		l.t.Fatalf("no step begins %s", o.effect)
	}
}

func (l *ledger) unknown() {
	o, _ := l.draw()
	require.NoError(l.t, l.f.UnknownPayment(l.t.Context(), o.op.Key, "no answer", nil))
}

func (l *ledger) check() {
	most := map[journal.Effect]decimal.Decimal{}
	for _, o := range l.open {
		most[o.effect] = most[o.effect].Add(o.op.Amount.Amount)
	}
	taken := l.captured.Add(l.reversed).Add(most[journal.EffectCapture]).Add(most[journal.EffectReverse])
	require.False(l.t, taken.GreaterThan(l.authorized), "more captured and reversed than authorized")
	given := l.refunded.Add(most[journal.EffectRefund]).Add(most[journal.EffectVoidCapture])
	require.False(l.t, given.GreaterThan(l.captured), "more given back than captured")

	p, err := l.f.Payment(l.t.Context(), l.orderID)
	if errors.Is(err, journal.ErrNotFound) {
		require.Zero(l.t, l.authorized.Sign())
		return
	}
	require.NoError(l.t, err)
	require.True(l.t, p.Authorized.Equal(l.authorized) && p.Captured.Equal(l.captured) && p.Reversed.Equal(l.reversed) &&
		p.Refunded.Equal(l.refunded), "the journal's sums are not the gateway's: %+v", p)
	require.Equal(l.t, len(l.open) > 0, p.Open)
}
