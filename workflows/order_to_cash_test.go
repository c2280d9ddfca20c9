package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// answer is what became of an update: known once the workflow has run on.
type answer struct {
	err  error
	done bool
}

// update sends an update; its answer is there when the workflow has ended.
func update(env *testsuite.TestWorkflowEnvironment, name string, arg any) *answer {
	a := &answer{}
	env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
		OnAccept:   func() {},
		OnReject:   func(err error) { a.err, a.done = err, true },
		OnComplete: func(_ any, err error) { a.err, a.done = err, true },
	}, arg)
	return a
}

// requireAccepted and requireRefused look at an answer after the workflow's end.
func (a *answer) requireAccepted(t *testing.T) {
	t.Helper()
	require.True(t, a.done)
	require.NoError(t, a.err)
}

func (a *answer) requireRefused(t *testing.T, kind string) {
	t.Helper()
	require.True(t, a.done)
	var refused *temporal.ApplicationError
	require.ErrorAs(t, a.err, &refused)
	require.Equal(t, kind, refused.Type())
}

// resolve answers every parked step once, when the given time has passed.
func (w *world) resolve(env *testsuite.TestWorkflowEnvironment, after time.Duration, kind workflows.ResolutionKind) {
	env.RegisterDelayedCallback(func() {
		for id := range w.parked {
			update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: kind, Actor: "olga"})
		}
	}, after)
}

func TestCleanSale(t *testing.T) {
	w := newWorld()
	view := play(t, environment(t, w), input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, canonical.PaymentCaptured, view.PaymentStatus)
	require.Equal(t, "015562", view.ErpOrderNumber)
	require.Equal(t, "200069", view.Invoice)
	require.Equal(t, view.Payment.CaptureID, view.Receipt)
	require.Equal(t, []string{
		"PrepareOrder", "CheckCustomerAndStock", "RecordProgress", "AuthorizePayment", "CreateSalesOrder", "RecordProgress",
		"InvoiceSalesOrder", "PostReceipt", "RecordProgress",
	}, w.calls[:9])
	require.Equal(t, []string{"order.confirmed"}, w.events())
}

func TestAuthorizationThenCaptureTakesAtMostTenActivities(t *testing.T) {
	for name, change := range map[string]func(*workflows.OrderInput){
		"asked by the order": func(in *workflows.OrderInput) { in.Order.Payment.Capture = canonical.CaptureAfterAuthorization },
		"no guard":           func(in *workflows.OrderInput) { in.Policy.SaleInOneCall = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := input()
			change(&in)
			view := play(t, environment(t, w), in)
			require.Equal(t, canonical.OrderConfirmed, view.Status)
			require.False(t, w.auths[0].Capture)
			require.Equal(t, 1, w.count("CapturePayment"))
			require.LessOrEqual(t, len(w.calls)-w.count("DeliverCallback"), 10)
		})
	}
}

func TestOutcomesOfTheAuthorization(t *testing.T) {
	tests := map[activities.AuthorizationResult]struct {
		status canonical.OrderStatus
		told   []string
	}{
		activities.Declined:               {canonical.OrderDeclined, []string{"order.declined"}},
		activities.TokenRefused:           {canonical.OrderDeclined, []string{"order.declined"}},
		activities.AuthenticationRequired: {canonical.OrderDeclined, []string{"order.declined"}},
		activities.PartiallyAuthorized:    {canonical.OrderDeclined, []string{"order.declined"}},
		activities.RiskDeclined:           {canonical.OrderRejected, []string{"order.rejected"}},
	}
	for result, want := range tests {
		t.Run(string(result), func(t *testing.T) {
			w := newWorld()
			w.auth = []activities.AuthorizationResult{result}
			view := play(t, environment(t, w), input())
			require.Equal(t, want.status, view.Status)
			require.Equal(t, want.told, w.events())
			require.Zero(t, w.count("CreateSalesOrder"), "no sales order without money")
			w.requireNothingLeft(t)
		})
	}
}

func TestAnotherCardAfterADecline(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Declined}
	env := environment(t, w)
	var first, second *answer
	env.RegisterDelayedCallback(func() {
		first = update(env, workflows.UpdateNewToken, workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "d.e.f"}})
		second = update(env, workflows.UpdateNewToken, workflows.NewToken{})
	}, 10*time.Minute)
	view := play(t, env, input())
	first.requireAccepted(t)
	second.requireRefused(t, workflows.RefusedNotNow)
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, []string{"order.declined", "order.confirmed"}, w.events())
	require.Equal(t, 2, w.auths[1].Attempt)
	require.Equal(t, "d.e.f", w.auths[1].Token.Value)
}

func TestAnotherCardIsTakenAsSoonAsTheOrderSaysSo(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Declined}
	env := environment(t, w)
	var early *answer
	w.before["RecordProgress"] = func() { // the second one writes that the order waits for a card
		if early == nil && w.count("RecordProgress") == 2 {
			early = update(env, workflows.UpdateNewToken, workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "d.e.f"}})
		}
	}
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	early.requireAccepted(t)
}

func TestTokensAreBounded(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Declined, activities.Declined, activities.Declined, activities.Authorized}
	env := environment(t, w)
	for i := range 2 {
		env.RegisterDelayedCallback(func() {
			update(env, workflows.UpdateNewToken, workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "x.y.z"}})
		}, time.Duration(i+1)*10*time.Minute)
	}
	view := play(t, env, input())
	require.Equal(t, canonical.OrderDeclined, view.Status)
	require.Len(t, w.auths, 3)
}

func TestAbsentAuthorizationIsTriedAnewAndThenParks(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Absent, activities.Authorized}
	view := play(t, environment(t, w), input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, []int{1, 2}, []int{w.auths[0].Attempt, w.auths[1].Attempt})

	w = newWorld()
	w.auth = []activities.AuthorizationResult{activities.Absent, activities.Absent, activities.Absent}
	env := environment(t, w)
	w.resolve(env, time.Minute, workflows.ResolveCompensate)
	require.Equal(t, canonical.OrderDeclined, play(t, env, input()).Status)
	w.requireNothingLeft(t)
}

func TestStockAndCreditPolicies(t *testing.T) {
	short := activities.Bookable{Shortages: []activities.Shortage{{StockCode: "A100", Wanted: amount("2"), Available: amount("0")}}}
	noCredit := activities.Bookable{CreditRefused: "customer WEB is on hold"}
	tests := map[string]struct {
		answer  activities.Bookable
		change  func(*workflows.OrderInput)
		resolve workflows.ResolutionKind
		want    canonical.OrderStatus
	}{
		"stock rejects":        {answer: short, want: canonical.OrderRejected},
		"stock back-orders":    {answer: short, change: func(in *workflows.OrderInput) { in.Policy.Stock = workflows.StockBackorder }, want: canonical.OrderConfirmed},
		"stock parks, retried": {answer: short, change: func(in *workflows.OrderInput) { in.Policy.Stock = workflows.StockPark }, resolve: workflows.ResolveRetry, want: canonical.OrderConfirmed},
		"stock parks, nobody":  {answer: short, change: func(in *workflows.OrderInput) { in.Policy.Stock = workflows.StockPark }, want: canonical.OrderDeclined},
		"credit rejects":       {answer: noCredit, change: func(in *workflows.OrderInput) { in.Policy.Credit = workflows.CreditReject }, want: canonical.OrderRejected},
		"credit parks":         {answer: noCredit, change: func(in *workflows.OrderInput) { in.Policy.Credit = workflows.CreditPark }, resolve: workflows.ResolveRetry, want: canonical.OrderConfirmed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.check = []activities.Bookable{test.answer}
			in := input()
			if test.change != nil {
				test.change(&in)
			}
			env := environment(t, w)
			if test.resolve != "" {
				w.resolve(env, time.Minute, test.resolve)
			}
			view := play(t, env, in)
			require.Equal(t, test.want, view.Status)
			if test.want != canonical.OrderConfirmed {
				require.Empty(t, w.auths, "money was asked for")
			}
		})
	}
}

func TestParkingBeforeTheAuthorizationEndsWithTheToken(t *testing.T) {
	w := newWorld()
	w.fail["PrepareOrder"] = []error{permanent(fault.Value)}
	env := environment(t, w)
	start := env.Now()
	view := play(t, env, input())
	require.Equal(t, canonical.OrderDeclined, view.Status)
	require.LessOrEqual(t, env.Now().Sub(start), 15*time.Minute)
	require.Empty(t, w.auths)
}

func TestSlowErpDoesNotOutliveTheToken(t *testing.T) {
	w := newWorld()
	for range 8 {
		w.fail["CheckCustomerAndStock"] = append(w.fail["CheckCustomerAndStock"], passing())
	}
	view := play(t, environment(t, w), input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.False(t, w.auths[0].Capture, "captured before the ERP had its say")
	require.Equal(t, 1, w.count("CapturePayment"))
}

func TestErpRefusesAfterASlowPreparation(t *testing.T) {
	w := newWorld()
	for range 8 {
		w.fail["CheckCustomerAndStock"] = append(w.fail["CheckCustomerAndStock"], passing())
	}
	w.check = []activities.Bookable{{Shortages: []activities.Shortage{{StockCode: "A100"}}}}
	view := play(t, environment(t, w), input())
	require.Equal(t, canonical.OrderRejected, view.Status)
	require.Len(t, w.auths, 1)
	w.requireNothingLeft(t)
}

func TestErpOutageHeals(t *testing.T) {
	w := newWorld()
	for _, step := range []string{"CreateSalesOrder", "InvoiceSalesOrder", "PostReceipt"} {
		w.fail[step] = []error{passing(), passing(), passing()}
	}
	view := play(t, environment(t, w), input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Zero(t, w.count("ParkStep"))
}

// TestEveryStepParksAndIsRetried also covers compensation at each step, the deadline, and a budget that is spent.
func TestEveryStepParks(t *testing.T) {
	steps := []string{"PrepareOrder", "CheckCustomerAndStock", "AuthorizePayment", "CapturePayment", "CreateSalesOrder", "InvoiceSalesOrder", "PostReceipt"}
	moved := map[string]bool{"CapturePayment": true, "CreateSalesOrder": true, "InvoiceSalesOrder": true, "PostReceipt": true}
	for _, step := range steps {
		in := input()
		in.Policy.SaleInOneCall = false
		t.Run(step+"/retry", func(t *testing.T) {
			w := newWorld()
			w.fail[step] = []error{permanent(fault.Value)}
			env := environment(t, w)
			w.resolve(env, time.Minute, workflows.ResolveRetry)
			view := play(t, env, in)
			require.Equal(t, canonical.OrderConfirmed, view.Status)
			require.Equal(t, 1, w.count("ParkStep"))
			require.Equal(t, "olga", w.solved[0].Actor)
		})
		t.Run(step+"/compensate", func(t *testing.T) {
			w := newWorld()
			w.fail[step] = []error{permanent(fault.ClosedPeriod)}
			env := environment(t, w)
			w.resolve(env, time.Minute, workflows.ResolveCompensate)
			view := play(t, env, in)
			if moved[step] {
				require.Equal(t, canonical.OrderCompensated, view.Status)
			} else {
				require.Equal(t, canonical.OrderDeclined, view.Status)
			}
			w.requireNothingLeft(t)
		})
		t.Run(step+"/deadline", func(t *testing.T) {
			w := newWorld()
			w.fail[step] = []error{permanent(fault.Credentials)}
			view := play(t, environment(t, w), in)
			require.True(t, view.Status.Final())
			require.NotEqual(t, canonical.OrderConfirmed, view.Status)
			require.Equal(t, "deadline", w.solved[0].Actor)
			w.requireNothingLeft(t)
		})
		t.Run(step+"/cancel", func(t *testing.T) {
			w := newWorld()
			w.fail[step] = []error{permanent(fault.Value)}
			env := environment(t, w)
			env.RegisterDelayedCallback(func() {
				update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"})
			}, time.Minute)
			view := play(t, env, in)
			require.Equal(t, canonical.OrderCancelled, view.Status)
			w.requireNothingLeft(t)
		})
		t.Run(step+"/budget spent", func(t *testing.T) {
			w := newWorld()
			// Local steps are retried for ever, so that the last of their failures is one that parks.
			for range 40 {
				w.fail[step] = append(w.fail[step], passing())
			}
			w.fail[step] = append(w.fail[step], permanent(fault.Value))
			in := in
			in.Order.Payment.Token.Type = canonical.TokenCustomer
			in.Policy.ErpPatience = time.Hour
			env := environment(t, w)
			view := play(t, env, in)
			require.True(t, view.Status.Final())
			require.Positive(t, w.count("ParkStep"))
			w.requireNothingLeft(t)
		})
	}
}

func TestFailurePolicyCompensatesAtOnce(t *testing.T) {
	for _, step := range []string{"CreateSalesOrder", "InvoiceSalesOrder", "PostReceipt"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			w.fail[step] = []error{permanent(fault.MissingReference)}
			in := input()
			in.Policy.OnErpFailure = workflows.FailureCompensate
			view := play(t, environment(t, w), in)
			require.Equal(t, canonical.OrderCompensated, view.Status)
			require.Equal(t, []string{"order.compensated"}, w.events())
			require.Zero(t, w.count("ParkStep"))
			w.requireNothingLeft(t)
		})
	}
}

func TestCompensationOrder(t *testing.T) {
	w := newWorld()
	w.fail["PostReceipt"] = []error{permanent(fault.ClosedPeriod)}
	in := input()
	in.Policy.OnErpFailure = workflows.FailureCompensate
	play(t, environment(t, w), in)
	position := map[string]int{}
	for i, call := range w.calls {
		position[call] = i
	}
	require.Less(t, position["ReverseReceipt"], position["CreditInvoice"])
	require.Zero(t, w.count("CancelSalesOrder"), "an invoiced order is credited, not cancelled")
	require.Less(t, position["VoidCapture"], position["ReverseAuthorization"])
	require.Equal(t, canonical.PaymentReversed, w.pay.Status)
}

func TestVoidTooLateBecomesARefund(t *testing.T) {
	w := newWorld()
	w.tooLate = true
	w.fail["CreateSalesOrder"] = []error{permanent(fault.Value)}
	in := input()
	in.Policy.OnErpFailure = workflows.FailureCompensate
	view := play(t, environment(t, w), in)
	require.Equal(t, canonical.PaymentRefunded, view.PaymentStatus)
	w.requireNothingLeft(t)
}

func TestCompensationThatFailsParksAndGoesOn(t *testing.T) {
	for _, step := range []string{"VoidCapture", "ReverseAuthorization", "CancelSalesOrder"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			w.fail["InvoiceSalesOrder"] = []error{permanent(fault.Value)}
			w.fail[step] = []error{permanent(fault.Conflict), permanent(fault.Conflict)}
			in := input()
			in.Policy.OnErpFailure = workflows.FailureCompensate
			env := environment(t, w)
			w.resolve(env, time.Minute, workflows.ResolveRetry) // the second failure waits for the deadline, which tries again
			view := play(t, env, in)
			require.Equal(t, canonical.OrderCompensated, view.Status)
			require.Equal(t, 2, w.count("ParkStep"))
			w.requireNothingLeft(t)
		})
	}
}

func TestErpDownDoesNotKeepTheBuyersMoney(t *testing.T) {
	w := newWorld()
	w.fail["InvoiceSalesOrder"] = []error{permanent(fault.Value)}
	for range 12 {
		w.fail["CancelSalesOrder"] = append(w.fail["CancelSalesOrder"], passing())
	}
	in := input()
	in.Policy.OnErpFailure = workflows.FailureCompensate
	env := environment(t, w)
	reversedAt, cancelledAt := time.Time{}, time.Time{}
	w.before["ReverseAuthorization"] = func() { reversedAt = env.Now() }
	w.before["CancelSalesOrder"] = func() { cancelledAt = env.Now() }
	play(t, env, in)
	require.Less(t, reversedAt.Unix(), cancelledAt.Unix())
	w.requireNothingLeft(t)
}

func TestCancelAtEachStep(t *testing.T) {
	for _, step := range []string{"PrepareOrder", "CheckCustomerAndStock", "AuthorizePayment", "CapturePayment", "CreateSalesOrder", "InvoiceSalesOrder", "PostReceipt"} {
		for _, way := range []string{"update", "temporal"} {
			t.Run(step+"/"+way, func(t *testing.T) {
				w := newWorld()
				env := environment(t, w)
				w.before[step] = func() {
					env.RegisterDelayedCallback(func() {
						if way == "temporal" {
							env.CancelWorkflow()
							return
						}
						update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop", Reason: "changed my mind"})
					}, 0)
					w.forget(step)
				}
				in := input()
				in.Policy.SaleInOneCall = false
				// The step is still running while the wish arrives: it fails once and is tried again after it.
				w.fail[step] = []error{passing()}
				view := play(t, env, in)
				require.Equal(t, canonical.OrderCancelled, view.Status)
				require.Equal(t, []string{"order.cancelled"}, w.events())
				w.requireNothingLeft(t)
			})
		}
	}
}

func TestCancelDoesNotWaitForAnErpThatIsDown(t *testing.T) {
	for _, step := range []string{"CheckCustomerAndStock", "CreateSalesOrder", "InvoiceSalesOrder", "PostReceipt"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			for range 100 {
				w.fail[step] = append(w.fail[step], passing())
			}
			env := environment(t, w)
			start := env.Now()
			env.RegisterDelayedCallback(func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"}) }, 10*time.Minute)
			in := input()
			in.Order.Payment.Token.Type = canonical.TokenCustomer
			view := play(t, env, in)
			require.Equal(t, canonical.OrderCancelled, view.Status)
			require.Less(t, env.Now().Sub(start), time.Hour)
			w.requireNothingLeft(t)
		})
	}
}

func TestCancelWhileWaitingForAnotherCard(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Declined}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"})
	}, time.Minute)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderCancelled, view.Status)
	w.requireNothingLeft(t)
}

func TestBackOrderAfterPayment(t *testing.T) {
	short := []canonical.SalesOrderLine{{StockCode: "A100", Allocated: amount("1"), BackOrdered: amount("1")}}
	t.Run("reject", func(t *testing.T) {
		w := newWorld()
		w.backs = short
		view := play(t, environment(t, w), input())
		require.Equal(t, canonical.OrderCompensated, view.Status)
		require.Equal(t, "A100", w.told[0].Lines[0].StockCode)
		w.requireNothingLeft(t)
	})
	t.Run("backorder", func(t *testing.T) {
		w := newWorld()
		w.backs = short
		in := input()
		in.Policy.Stock = workflows.StockBackorder
		view := play(t, environment(t, w), in)
		require.Equal(t, canonical.OrderConfirmed, view.Status)
		require.Empty(t, view.Invoice, "what is not there is not invoiced")
		require.NotEmpty(t, view.Receipt, "the money is a deposit")
		require.Equal(t, "A100", w.told[0].Lines[0].StockCode)
	})
}

func TestResolutionsAreValidated(t *testing.T) {
	w := newWorld()
	w.fail["CreateSalesOrder"] = []error{permanent(fault.Value)}
	env := environment(t, w)
	var unknown, skipped, anonymous, first, second *answer
	env.RegisterDelayedCallback(func() {
		for id, item := range w.parked {
			require.Equal(t, fault.Value, item.Class)
			unknown = update(env, workflows.UpdateResolve, workflows.Resolution{ID: "att-none", Kind: workflows.ResolveRetry, Actor: "olga"})
			skipped = update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: "skip", Actor: "olga"})
			anonymous = update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveRetry})
			first = update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveRetry, Actor: "olga"})
			second = update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveCompensate, Actor: "otto"})
		}
	}, time.Minute)
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	unknown.requireRefused(t, workflows.RefusedUnknown)
	skipped.requireRefused(t, workflows.RefusedInvalid)
	anonymous.requireRefused(t, workflows.RefusedInvalid)
	first.requireAccepted(t)
	second.requireRefused(t, workflows.RefusedTooLate) // one wins, the other is told
}

func TestRetryAfterARefusalIsANewAttempt(t *testing.T) {
	for kind, want := range map[fault.Kind]int{fault.Value: 2, fault.UnknownOutcome: 1} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld()
			w.fail["CreateSalesOrder"] = []error{permanent(kind)}
			env := environment(t, w)
			w.resolve(env, time.Minute, workflows.ResolveRetry)
			play(t, env, input())
			require.Equal(t, want, w.booked[len(w.booked)-1].Attempt)
		})
	}
}
