package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// --- an order that is captured as its goods leave

func onShipment() workflows.OrderInput {
	in := input()
	in.Order.Payment.Capture, in.Policy.Invoice = canonical.CaptureOnShipment, workflows.InvoiceOnShipment
	return in
}

// requireBookedOnAuthorization holds the world against the promise: a sales order on a live authorization, and nothing else.
func (w *world) requireBookedOnAuthorization(t *testing.T, view workflows.OrderView) {
	t.Helper()
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, canonical.PaymentAuthorized, view.PaymentStatus)
	require.Equal(t, "48.19", w.hold.String(), "the bank still holds all of it")
	require.True(t, w.pay.Captured.IsZero())
	require.Equal(t, "015562", w.order)
	require.False(t, w.onHold)
	require.Equal(t, []string{"", ""}, []string{w.invoice, w.receipt})
	require.Equal(t, []int{0, 0, 0}, []int{w.count("CapturePayment"), w.count("InvoiceSalesOrder"), w.count("PostReceipt")})
	require.Equal(t, "order.confirmed", w.events()[len(w.told)-1])
}

func TestOrderIsBookedOnItsAuthorization(t *testing.T) {
	for name, change := range map[string]func(in *workflows.OrderInput){
		"invoiced on shipment":          func(*workflows.OrderInput) {},
		"no invoice at the order, ever": func(in *workflows.OrderInput) { in.Policy.Invoice = workflows.InvoiceAtOrder },
		"no sale in one call":           func(in *workflows.OrderInput) { in.Policy.SaleInOneCall = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := onShipment()
			change(&in)
			view := play(t, environment(t, w), in)
			w.requireBookedOnAuthorization(t, view)
			require.False(t, w.auths[0].Capture)
			require.Empty(t, w.parkings)
		})
	}
}

func TestOrderThatShipsLaterIsTakenBack(t *testing.T) {
	tests := map[string]struct {
		change func(w *world, env *testsuite.TestWorkflowEnvironment, in *workflows.OrderInput)
		status canonical.OrderStatus
	}{
		"the ERP refuses it": {func(w *world, _ *testsuite.TestWorkflowEnvironment, in *workflows.OrderInput) {
			w.fail["CreateSalesOrder"], in.Policy.OnErpFailure = []error{permanent(fault.Value)}, workflows.FailureCompensate
		}, canonical.OrderCompensated},
		"it is cancelled while it is booked": {func(w *world, env *testsuite.TestWorkflowEnvironment, _ *workflows.OrderInput) {
			w.before["CreateSalesOrder"] = func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"}) }
		}, canonical.OrderCancelled},
		"the run is cancelled": {func(w *world, env *testsuite.TestWorkflowEnvironment, _ *workflows.OrderInput) {
			w.before["AuthorizePayment"] = env.CancelWorkflow
		}, canonical.OrderCancelled},
		"its stock is gone": {func(w *world, _ *testsuite.TestWorkflowEnvironment, _ *workflows.OrderInput) {
			w.backs = []canonical.SalesOrderLine{{StockCode: "A100", BackOrdered: amount("2")}}
		}, canonical.OrderCompensated},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := onShipment()
			env := environment(t, w)
			test.change(w, env, &in)
			require.Equal(t, test.status, play(t, env, in).Status)
			w.requireNothingLeft(t)
			require.Zero(t, w.count("CapturePayment"))
			require.Equal(t, canonical.PaymentReversed, w.pay.Status)
		})
	}
}

func TestHeldOrderThatShipsLater(t *testing.T) {
	t.Run("is accepted", func(t *testing.T) {
		w := heldWorld()
		env := environment(t, w)
		acceptLate(env, time.Hour)
		w.requireBookedOnAuthorization(t, play(t, env, onShipment()))
	})
	t.Run("a reviewer has captured it already", func(t *testing.T) {
		w := heldWorld()
		env := environment(t, w)
		env.RegisterDelayedCallback(func() {
			w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept, Captured: true}
			decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"})
		}, time.Hour)
		view := play(t, env, onShipment())
		require.Equal(t, canonical.OrderConfirmed, view.Status)
		require.Equal(t, "reviewer-capture", w.receipt, "what is captured is booked")
		require.Empty(t, w.invoice)
	})
}

// --- a customer who was corrected

// anotherCustomer corrects the ERP's customer code.
func anotherCustomer(code string) workflows.Resolution {
	return workflows.Resolution{
		Kind: workflows.ResolveRetryWith, Actor: "olga", Reason: "moved to another account",
		Correction: &activities.Correction{Order: map[string]any{"/customer/erpCode": code}},
	}
}

// closedAccount is an order whose customer the ERP knows no more when the sales order is to be made.
func closedAccount(w *world) workflows.OrderInput {
	w.before["CreateSalesOrder"] = func() { w.unknown["WEB"] = true }
	return input()
}

func TestCorrectedCustomerIsAskedAbout(t *testing.T) {
	w := newWorld()
	in := closedAccount(w)
	env := environment(t, w)
	given := w.later(env, time.Minute, anotherCustomer("C-9"))
	view := play(t, env, in)
	given.requireAccepted(t)
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, "C-9", view.CustomerCode)
	require.Equal(t, []int{1, 2}, []int{w.checked[0].Attempt, w.checked[1].Attempt})
	require.Equal(t, []string{"", "C-9"}, []string{w.checked[0].CustomerCode, w.checked[1].CustomerCode})
	require.Equal(t, []string{"WEB", "C-9"}, []string{w.booked[0].CustomerCode, w.booked[1].CustomerCode})
	require.Equal(t, 2, w.booked[1].Attempt)
	for _, posted := range w.posted {
		require.Equal(t, "C-9", posted.CustomerCode, "invoice and receipt are theirs too")
	}
	require.Len(t, w.parkings, 1)
	require.Len(t, w.auths, 1)
}

func TestCorrectedCustomerIsUnknownToo(t *testing.T) {
	w := newWorld()
	in := closedAccount(w)
	w.unknown["C-8"] = true
	env := environment(t, w)
	w.later(env, time.Minute, anotherCustomer("C-8"))
	w.later(env, 2*time.Minute, anotherCustomer("C-9"))
	view := play(t, env, in)
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, "C-9", view.CustomerCode)
	require.Equal(t, []int{1, 2, 3}, []int{w.checked[0].Attempt, w.checked[1].Attempt, w.checked[2].Attempt}, "each is a question of its own")
	require.Len(t, w.booked, 2, "nothing is booked for a customer that the ERP does not know")
	require.Equal(t, []string{"sales-order", "sales-order"}, []string{w.parkings[0].Step, w.parkings[1].Step})
	require.Equal(t, fault.MissingReference, w.parkings[1].Class)
}

func TestPoliciesHoldForTheCorrectedCustomer(t *testing.T) {
	tests := map[string]struct {
		answer activities.Bookable
		change func(in *workflows.OrderInput)
		retry  bool
		status canonical.OrderStatus
	}{
		"no credit: rejected": {activities.Bookable{CreditRefused: "over limit"},
			func(in *workflows.OrderInput) { in.Policy.Credit = workflows.CreditReject }, false, canonical.OrderRejected},
		"no credit: parked, and lifted": {activities.Bookable{CreditRefused: "over limit"},
			func(in *workflows.OrderInput) { in.Policy.Credit = workflows.CreditPark }, true, canonical.OrderConfirmed},
		"no stock: rejected": {activities.Bookable{Shortages: []activities.Shortage{{StockCode: "A100"}}},
			func(*workflows.OrderInput) {}, false, canonical.OrderRejected},
		"no stock: parked, and nobody": {activities.Bookable{Shortages: []activities.Shortage{{StockCode: "A100"}}},
			func(in *workflows.OrderInput) { in.Policy.Stock = workflows.StockPark }, false, canonical.OrderCompensated},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := closedAccount(w)
			test.change(&in)
			w.check = []activities.Bookable{{Customer: erp.Customer{Code: "WEB"}}, test.answer}
			env := environment(t, w)
			w.later(env, time.Minute, anotherCustomer("C-9"))
			if test.retry {
				w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
			}
			view := play(t, env, in)
			require.Equal(t, test.status, view.Status)
			if test.retry {
				require.Equal(t, 3, w.checked[2].Attempt, "asked anew, not read from the answer before")
				require.Equal(t, "C-9", view.CustomerCode)
				return
			}
			w.requireNothingLeft(t)
		})
	}
}

// --- an accepted payment whose authorization the gateway knows as reversed

// reversedMeanwhile accepts a held payment whose authorization somebody has reversed in the gateway's own screens.
func reversedMeanwhile(w *world, env *testsuite.TestWorkflowEnvironment) {
	env.RegisterDelayedCallback(func() {
		w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept, Reversed: true}
		decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"})
	}, time.Hour)
}

func TestReversedAuthorizationIsRenewedWithConsent(t *testing.T) {
	for name, in := range map[string]workflows.OrderInput{"captured at once": input(), "captured on shipment": onShipment()} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.saved = "cust-1"
			env := environment(t, w)
			reversedMeanwhile(w, env)
			in.Order.Payment.SaveCard = true
			view := play(t, env, in)
			require.Equal(t, canonical.OrderConfirmed, view.Status)
			require.Len(t, w.auths, 2)
			require.Equal(t, canonical.Token{Type: canonical.TokenCustomer, Value: "cust-1"}, w.auths[1].Token)
			require.True(t, w.auths[1].Renewal && w.auths[1].SkipReview)
			require.Equal(t, "48.19", w.hold.Add(w.pay.Captured).String())
			require.Empty(t, w.parkings)
		})
	}
}

func TestReversedAuthorizationWithoutConsentIsNotCaptured(t *testing.T) {
	tests := map[string]struct {
		card   bool
		answer workflows.ResolutionKind
		status canonical.OrderStatus
		actor  string
	}{
		"another card":   {true, "", canonical.OrderConfirmed, "shop"},
		"taken back":     {false, workflows.ResolveCompensate, canonical.OrderCompensated, "fred"},
		"nobody answers": {false, "", canonical.OrderCompensated, "deadline"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			env := environment(t, w)
			reversedMeanwhile(w, env)
			skip := w.later(env, 90*time.Minute, workflows.Resolution{Kind: workflows.ResolveSkip})
			if test.card {
				env.RegisterDelayedCallback(func() {
					update(env, workflows.UpdateNewToken, workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "d.e.f"}})
				}, 2*time.Hour)
			}
			if test.answer != "" {
				w.later(env, 2*time.Hour, workflows.Resolution{Kind: test.answer, Actor: "fred"})
			}
			view := play(t, env, input())
			require.Equal(t, test.status, view.Status)
			skip.requireRefused(t, workflows.RefusedInvalid)
			parked := w.parkings[0]
			require.Equal(t, []string{"renew-authorization", "compensate"}, []string{parked.Step, strings.Join(parked.Actions, " ")})
			require.Contains(t, parked.Summary, "its authorization was reversed meanwhile")
			require.Equal(t, test.actor, w.solved[0].Actor)
			if test.card {
				require.Equal(t, "48.19", w.pay.Captured.String())
				require.False(t, w.auths[1].SkipReview, "another card is screened anew")
				return
			}
			require.Zero(t, w.count("CapturePayment"))
			w.requireNothingLeft(t)
		})
	}
}
