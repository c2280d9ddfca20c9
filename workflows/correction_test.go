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

// anotherCode corrects the first line's stock code.
func anotherCode(code any) workflows.Resolution {
	return workflows.Resolution{
		Kind: workflows.ResolveRetryWith, Actor: "olga", Reason: "typing error in the shop",
		Correction: &activities.Correction{Order: map[string]any{"/lines/0/sku": code}},
	}
}

// misspelt is an order whose stock code the ERP does not know, from the given step on.
func misspelt(w *world, from string) workflows.OrderInput {
	in := input()
	in.Order.Lines[0].SKU = "A1OO"
	w.before[from] = func() { w.unknown["A1OO"] = true }
	return in
}

func TestBadStockCodeIsCorrected(t *testing.T) {
	for step, activity := range map[string]string{"check": "CheckCustomerAndStock", "sales-order": "CreateSalesOrder"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			in := misspelt(w, activity)
			env := environment(t, w)
			given := w.later(env, time.Minute, anotherCode("A100"))
			view := play(t, env, in)
			given.requireAccepted(t)
			require.Equal(t, canonical.OrderConfirmed, view.Status)

			parked := w.parkings[0]
			require.Len(t, w.parkings, 1)
			require.Equal(t, step, parked.Step)
			require.Equal(t, fault.MissingReference, parked.Class)
			require.Equal(t, "STOCK_NOT_FOUND", parked.Answer.Code)
			require.Equal(t, []string{"retry", "retry_with", "compensate"}, parked.Actions)
			require.Equal(t, []string{"/lines/0/sku"}, w.solved[0].Changed)
			require.Equal(t, "retry_with", w.solved[0].Resolution)

			wish := w.wishes[0]
			require.Equal(t, []string{parked.ID, step, "olga", "typing error in the shop", "A1OO"},
				[]string{wish.AttentionID, wish.Step, wish.Actor, wish.Reason, wish.Order.Lines[0].SKU})
			if step == "check" {
				require.Equal(t, []int{1, 2}, []int{w.checked[0].Attempt, w.checked[1].Attempt})
				require.Equal(t, "A100", w.checked[1].Lines[0].StockCode)
			}
			booked := w.booked[len(w.booked)-1]
			require.Equal(t, map[string]int{"check": 1, "sales-order": 2}[step], booked.Attempt, "what was refused is not sent again")
			require.Equal(t, "A100", booked.Order.Lines[0].SKU)
			require.Equal(t, "corrected", booked.Document.Version, "the document is the one mapped from the corrected order")
			require.Equal(t, "a.b.c", w.auths[0].Token.Value, "a correction touches no card")
			require.Equal(t, 1, w.count("AuthorizePayment"))
		})
	}
}

func TestRefusedCorrectionLeavesTheStepParked(t *testing.T) {
	w := newWorld()
	in := misspelt(w, "CheckCustomerAndStock")
	env := environment(t, w)
	refused := w.later(env, time.Minute, anotherCode(17))
	still := false
	env.RegisterDelayedCallback(func() { still = len(w.open("check")) == 1 }, 90*time.Second)
	otto := anotherCode("A100")
	otto.Actor = "otto"
	accepted := w.later(env, 2*time.Minute, otto)
	require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
	refused.requireRefused(t, workflows.RefusedInvalid)
	var application *temporal.ApplicationError
	require.ErrorAs(t, refused.err, &application)
	var detail activities.FaultDetail
	require.NoError(t, application.Details(&detail))
	require.Equal(t, []fault.Field{{Path: "/lines/0/sku", Rule: "a stock code"}}, detail.Fields)
	require.True(t, still)
	accepted.requireAccepted(t)
	require.Len(t, w.solved, 1)
	require.Equal(t, "otto", w.solved[0].Actor)
	require.Len(t, w.parkings, 1)
}

func TestSecondOperatorIsToldWhileACorrectionIsValidated(t *testing.T) {
	w := newWorld()
	in := misspelt(w, "CheckCustomerAndStock")
	w.fail["CorrectOrder"] = []error{passing(), passing(), passing()} // the validation takes a while
	env := environment(t, w)
	first := w.later(env, time.Minute, anotherCode("A100"))
	second := w.later(env, time.Minute+300*time.Millisecond, workflows.Resolution{Kind: workflows.ResolveCompensate, Actor: "otto"})
	third := w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry, Actor: "otto"})
	require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
	first.requireAccepted(t)
	second.requireRefused(t, workflows.RefusedConflict)
	require.ErrorContains(t, second.err, "olga is resolving it")
	require.ErrorContains(t, third.err, "nothing was parked")
}

func TestWhoIsHeardAtTheDeadlineIsInTime(t *testing.T) {
	for name, test := range map[string]struct {
		code   any
		status canonical.OrderStatus
		actor  string
	}{
		"accepted": {"A100", canonical.OrderConfirmed, "olga"},
		"refused":  {17, canonical.OrderCompensated, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := misspelt(w, "CreateSalesOrder")
			// Validation begins just before the deadline and ends after it.
			for range 6 {
				w.fail["CorrectOrder"] = append(w.fail["CorrectOrder"], passing())
			}
			env := environment(t, w)
			start := env.Now()
			w.later(env, in.Policy.ParkDeadline-time.Second, anotherCode(test.code))
			view := play(t, env, in)
			require.Equal(t, test.status, view.Status)
			require.Equal(t, test.actor, w.solved[0].Actor)
			require.Greater(t, env.Now().Sub(start), in.Policy.ParkDeadline)
			if test.status != canonical.OrderConfirmed {
				w.requireNothingLeft(t)
			}
		})
	}
}

func TestCancelWishWaitsForTheCorrectionThatIsValidated(t *testing.T) {
	w := newWorld()
	in := misspelt(w, "CreateSalesOrder")
	w.fail["CorrectOrder"] = []error{passing(), passing(), passing()}
	env := environment(t, w)
	given := w.later(env, time.Minute, anotherCode("A100"))
	env.RegisterDelayedCallback(func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"}) }, time.Minute+300*time.Millisecond)
	require.Equal(t, canonical.OrderCancelled, play(t, env, in).Status)
	given.requireAccepted(t)
	require.Equal(t, "retry_with", w.solved[0].Resolution, "who was heard first has answered; the wish is honoured after it")
	w.requireNothingLeft(t)
}

func TestUnknownOutcomeTakesNoCorrection(t *testing.T) {
	for name, failure := range map[string]error{"unknown": unanswered(), "timed out": timedOut()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.fail["CreateSalesOrder"] = []error{failure}
			env := environment(t, w)
			corrected := w.later(env, time.Minute, anotherCode("A100"))
			retried := w.later(env, 2*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry})
			require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
			corrected.requireRefused(t, workflows.RefusedInvalid)
			retried.requireAccepted(t)
			require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
			require.Equal(t, fault.UnknownOutcome, w.parkings[0].Class)
			require.Zero(t, w.count("CorrectOrder"))
			require.Equal(t, 1, w.booked[1].Attempt)
		})
	}
}

func TestCaptureTakesNoCorrection(t *testing.T) {
	w := newWorld()
	w.fail["CapturePayment"] = []error{permanent(fault.Value)}
	in := input()
	in.Policy.SaleInOneCall = false
	env := environment(t, w)
	w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry})
	require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
	require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
}

func TestResolutionAndCorrectionGoTogether(t *testing.T) {
	w := newWorld()
	in := misspelt(w, "CreateSalesOrder")
	env := environment(t, w)
	without := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith})
	empty := w.later(env, 2*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{}})
	needless := w.later(env, 3*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry, Correction: &activities.Correction{Date: "2026-12-01"}})
	right := w.later(env, 4*time.Minute, anotherCode("A100"))
	require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
	for _, wrong := range []*reply{without, empty, needless} {
		wrong.requireRefused(t, workflows.RefusedInvalid)
	}
	right.requireAccepted(t)
}

func TestPostingDateIsUsedFromThenOn(t *testing.T) {
	w := newWorld()
	w.fail["InvoiceSalesOrder"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-12-01"}})
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	require.Len(t, w.posted, 3)
	require.NotEqual(t, "2026-12-01", w.posted[0].Date)
	require.Equal(t, []string{"2026-12-01", "2026-12-01"}, []string{w.posted[1].Date, w.posted[2].Date}, "invoice and receipt")
	require.Equal(t, []int{1, 2, 1}, []int{w.posted[0].Attempt, w.posted[1].Attempt, w.posted[2].Attempt})
}

func TestCompensationTakesAnotherDateOnly(t *testing.T) {
	w := newWorld()
	w.fail["PostReceipt"], w.fail["CreditInvoice"] = []error{permanent(fault.Value)}, []error{permanent(fault.ClosedPeriod)}
	in := input()
	in.Policy.OnErpFailure = workflows.FailureCompensate
	env := environment(t, w)
	order := w.later(env, time.Minute, anotherCode("A100"))
	skip := w.later(env, 2*time.Minute, workflows.Resolution{Kind: workflows.ResolveSkip})
	date := w.later(env, 3*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-12-01"}})
	require.Equal(t, canonical.OrderCompensated, play(t, env, in).Status)
	order.requireRefused(t, workflows.RefusedInvalid)
	skip.requireRefused(t, workflows.RefusedInvalid)
	date.requireAccepted(t)
	require.Equal(t, []string{"retry", "retry_with"}, w.parkings[0].Actions)
	w.requireNothingLeft(t)
}

func TestPaymentStatusInTheErpMayBeSkipped(t *testing.T) {
	w := newWorld()
	w.fail["PostReceipt"], w.fail["TagPayment"] = []error{permanent(fault.Value)}, []error{permanent(fault.Conflict)}
	in := input()
	in.Policy.OnErpFailure = workflows.FailureCompensate
	env := environment(t, w)
	given := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveSkip})
	require.Equal(t, canonical.OrderCompensated, play(t, env, in).Status)
	given.requireAccepted(t)
	require.Equal(t, 1, w.count("TagPayment"))
	w.requireNothingLeft(t)
}

func TestCallbackMayBeSkipped(t *testing.T) {
	w := newWorld()
	w.fail["DeliverCallback"] = []error{permanent(fault.Value)}
	env := environment(t, w)
	given := w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip})
	env.ExecuteWorkflow(workflows.Callback, workflows.CallbackTask{
		Message: activities.CallbackInput{OrderID: "WEB-10001", Event: "order.confirmed"}, Policy: input().Policy,
	})
	require.NoError(t, env.GetWorkflowError())
	given.requireAccepted(t)
	require.Equal(t, []string{"retry", "skip"}, w.parkings[0].Actions)
	require.Empty(t, w.told)
	require.Empty(t, w.parked)
}

func TestSuggestionsAreAddedWhileTheStepIsParked(t *testing.T) {
	near := []activities.Fix{{Text: "A100 is near", Resolution: "retry_with", Correction: &activities.Correction{Order: map[string]any{"/lines/0/sku": "A100"}}}}
	tests := map[string]struct {
		change func(w *world)
		asked  int
		added  int
	}{
		"found":                    {func(w *world) { w.fixes = near }, 1, 1},
		"the ERP knows none":       {func(*world) {}, 1, 0},
		"the ERP is unreachable":   {func(w *world) { w.fail["SuggestFix"] = []error{passing(), passing(), passing()} }, 0, 0},
		"the ERP refuses":          {func(w *world) { w.fail["SuggestFix"] = []error{permanent(fault.Credentials)} }, 0, 0},
		"the ERP hiccups":          {func(w *world) { w.fixes = near; w.fail["SuggestFix"] = []error{passing()} }, 1, 1},
		"the table can't be had":   {func(w *world) { w.fixes = near; w.fail["AddFixes"] = []error{permanent(fault.Bug)} }, 1, 0},
		"the attention row failed": {func(w *world) { w.fixes = near; w.fail["ParkStep"] = []error{permanent(fault.Bug)} }, 1, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in := misspelt(w, "CreateSalesOrder")
			test.change(w)
			env := environment(t, w)
			var added int
			env.RegisterDelayedCallback(func() { added = len(w.added) }, 10*time.Minute)
			given := w.later(env, 11*time.Minute, anotherCode("A100"))
			require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
			given.requireAccepted(t)
			require.Len(t, w.asked, test.asked)
			require.Equal(t, test.added, added)
			if test.asked > 0 {
				require.Equal(t, "sales-order", w.asked[0].Step)
				require.Equal(t, "STOCK_NOT_FOUND", w.asked[0].Answer.Code)
				require.Equal(t, fault.MissingReference, w.asked[0].Class)
				require.Equal(t, "WEB", w.asked[0].CustomerCode)
			}
			for id, fixes := range w.added {
				require.Equal(t, w.parkings[0].ID, id)
				require.Equal(t, "A100 is near", fixes[0].Text)
			}
		})
	}
}

func TestNobodyIsAskedForFixesOfWhatTheErpDidNotRefuse(t *testing.T) {
	for name, fail := range map[string]func(w *world){
		"unknown":           func(w *world) { w.fail["CreateSalesOrder"] = []error{unanswered()} },
		"no word of an ERP": func(w *world) { w.fail["CreateSalesOrder"] = []error{permanent(fault.Value)} },
		"the gateway":       func(w *world) { w.fail["AuthorizePayment"] = []error{permanent(fault.Value)} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			fail(w)
			env := environment(t, w)
			w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry})
			require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
			require.Zero(t, w.count("SuggestFix"))
		})
	}
}

func TestPersonMayAnswerBeforeTheSuggestionCame(t *testing.T) {
	w := newWorld()
	in := misspelt(w, "CheckCustomerAndStock")
	w.fixes = []activities.Fix{{Text: "A100 is near"}}
	env := environment(t, w)
	var given *answer
	w.before["SuggestFix"] = func() {
		env.RegisterDelayedCallback(func() {
			for _, id := range w.open() {
				r := anotherCode("A100")
				r.ID = id
				given = update(env, workflows.UpdateResolve, r)
			}
		}, 0)
	}
	require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
	given.requireAccepted(t)
	require.Empty(t, w.parked)
}

// --- an authorization that ran out during its review

// longReview is an order whose authorization runs out before people decide.
func longReview(change func(in *workflows.OrderInput)) workflows.OrderInput {
	in := input()
	in.Policy.AuthorizationLife = 5 * 24 * time.Hour
	in.Policy.ReviewDeadline = 20 * 24 * time.Hour
	change(&in)
	return in
}

// acceptLate accepts the held payment after a time.
func acceptLate(env *testsuite.TestWorkflowEnvironment, after time.Duration) {
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, after)
}

const aWeek = 7 * 24 * time.Hour

func TestAuthorizationThatRanOutIsRenewedWithConsent(t *testing.T) {
	tests := map[string]struct {
		change func(in *workflows.OrderInput)
		saved  string // customer token that the gateway made of the card
		token  canonical.Token
	}{
		"the card was saved with this order": {
			func(in *workflows.OrderInput) { in.Order.Payment.SaveCard = true }, "cust-1", canonical.Token{Type: canonical.TokenCustomer, Value: "cust-1"},
		},
		"a stored credential, and the channel's terms": {func(in *workflows.OrderInput) {
			in.Order.Payment.Token, in.Policy.RenewStoredCredential = canonical.Token{Type: canonical.TokenCustomer, Value: "old-customer"}, true
		}, "", canonical.Token{Type: canonical.TokenCustomer, Value: "old-customer"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.saved = test.saved
			env := environment(t, w)
			acceptLate(env, aWeek)
			view := play(t, env, longReview(test.change))
			require.Equal(t, canonical.OrderConfirmed, view.Status)
			require.Zero(t, w.count("ParkStep"))
			require.Len(t, w.auths, 2)
			renewed := w.auths[1]
			require.Equal(t, test.token, renewed.Token)
			require.True(t, renewed.Renewal && renewed.SkipReview && !renewed.Capture)
			require.Equal(t, 2, renewed.Attempt)
			require.Less(t, w.position("ReverseAuthorization"), w.position("AuthorizePayment"), "the old hold is let go first")
			require.Equal(t, "auth-2", view.Payment.AuthorizationID)
			require.Equal(t, 1, w.count("CapturePayment"))
		})
	}
}

func TestRenewalThatIsDeclinedWaitsForAnotherCard(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Held, activities.Declined}
	w.saved = "cust-1"
	env := environment(t, w)
	acceptLate(env, aWeek)
	view := play(t, env, longReview(func(in *workflows.OrderInput) { in.Order.Payment.SaveCard = true }))
	require.Equal(t, canonical.OrderDeclined, view.Status)
	w.requireNothingLeft(t)
}

func TestDeclineAfterTheReviewLeavesNoSalesOrder(t *testing.T) {
	for name, card := range map[string]bool{"nobody brings another card": false, "another card": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.auth = []activities.AuthorizationResult{activities.HeldUnauthorized, activities.Declined}
			env := environment(t, w)
			acceptLate(env, time.Hour)
			if card {
				env.RegisterDelayedCallback(func() {
					require.True(t, w.onHold)
					update(env, workflows.UpdateNewToken, workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "d.e.f"}})
				}, time.Hour+time.Minute)
			}
			view := play(t, env, input())
			if card {
				require.Equal(t, canonical.OrderConfirmed, view.Status)
				require.False(t, w.onHold)
				return
			}
			require.Equal(t, canonical.OrderDeclined, view.Status)
			require.Equal(t, "cancelled", w.order)
			w.requireNothingLeft(t)
		})
	}
}

func TestAuthorizationThatDidNotRunOutIsCaptured(t *testing.T) {
	for name, change := range map[string]func(in *workflows.OrderInput){
		"young enough":     func(in *workflows.OrderInput) { in.Policy.AuthorizationLife = aWeek + time.Hour },
		"never runs out":   func(in *workflows.OrderInput) { in.Policy.AuthorizationLife = 0 },
		"captured already": func(*workflows.OrderInput) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			if name == "captured already" {
				w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept, Captured: true}
			}
			env := environment(t, w)
			acceptLate(env, aWeek)
			require.Equal(t, canonical.OrderConfirmed, play(t, env, longReview(change)).Status)
			require.Len(t, w.auths, 1)
			require.Zero(t, w.count("ParkStep"))
		})
	}
}

func TestAuthorizationThatRanOutWithoutConsentWaitsForAPerson(t *testing.T) {
	later := aWeek + time.Hour
	card := workflows.NewToken{Token: canonical.Token{Type: canonical.TokenTransient, Value: "d.e.f"}, Actor: "shop"}
	tests := map[string]struct {
		answer func(env *testsuite.TestWorkflowEnvironment, w *world)
		status canonical.OrderStatus
		auths  int
		actor  string
	}{
		"another card": {func(env *testsuite.TestWorkflowEnvironment, _ *world) {
			env.RegisterDelayedCallback(func() { update(env, workflows.UpdateNewToken, card) }, later)
		}, canonical.OrderConfirmed, 2, "shop"},
		"captured as it stands": {func(env *testsuite.TestWorkflowEnvironment, w *world) {
			w.later(env, later, workflows.Resolution{Kind: workflows.ResolveSkip})
		}, canonical.OrderConfirmed, 1, "olga"},
		"taken back": {func(env *testsuite.TestWorkflowEnvironment, w *world) {
			w.later(env, later, workflows.Resolution{Kind: workflows.ResolveCompensate})
		}, canonical.OrderCompensated, 1, "olga"},
		"nobody": {func(*testsuite.TestWorkflowEnvironment, *world) {}, canonical.OrderCompensated, 1, "deadline"},
		"cancel wish": {func(env *testsuite.TestWorkflowEnvironment, _ *world) {
			env.RegisterDelayedCallback(func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "buyer"}) }, later)
		}, canonical.OrderCancelled, 1, "buyer"},
	}
	consents := map[string]func(in *workflows.OrderInput){
		"a browser token":                         func(*workflows.OrderInput) {},
		"a stored credential without such terms":  func(in *workflows.OrderInput) { in.Order.Payment.Token.Type = canonical.TokenCustomer },
		"terms, but no credential":                func(in *workflows.OrderInput) { in.Policy.RenewStoredCredential = true },
		"to be saved, but the gateway made none ": func(in *workflows.OrderInput) { in.Order.Payment.SaveCard = true },
	}
	for name, test := range tests {
		for consent, change := range consents {
			t.Run(name+"/"+consent, func(t *testing.T) {
				w := heldWorld()
				env := environment(t, w)
				acceptLate(env, aWeek)
				captured := 0
				env.RegisterDelayedCallback(func() { captured = w.count("CapturePayment") }, later-time.Minute)
				test.answer(env, w)
				view := play(t, env, longReview(change))
				require.Equal(t, test.status, view.Status)
				require.Zero(t, captured, "nothing is captured blindly")
				parked := w.parkings[0]
				require.Equal(t, "renew-authorization", parked.Step)
				require.Equal(t, fault.DeclinedByPolicy, parked.Class)
				require.Equal(t, "AUTHORIZATION_EXPIRED", parked.Answer.Code)
				require.Equal(t, []string{"skip", "compensate"}, parked.Actions)
				require.Contains(t, parked.Summary, "168h0m0s old")
				require.Equal(t, test.actor, w.solved[0].Actor)
				require.Len(t, w.auths, test.auths)
				if test.auths == 2 {
					require.Equal(t, "d.e.f", w.auths[1].Token.Value)
					require.False(t, w.auths[1].SkipReview || w.auths[1].Renewal, "another card is screened anew")
				}
				if test.status != canonical.OrderConfirmed {
					require.Zero(t, w.count("CapturePayment"))
					w.requireNothingLeft(t)
				}
				require.Empty(t, w.parked)
			})
		}
	}
}

// TestDatabaseMayBeDownForAWhile: what a process writes for people is written once the database is back.
func TestDatabaseMayBeDownForAWhile(t *testing.T) {
	for _, step := range []string{"PrepareOrder", "RecordProgress", "ParkStep", "UnparkStep"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			w.fail["InvoiceSalesOrder"] = []error{permanent(fault.Value)}
			for range 20 {
				w.fail[step] = append(w.fail[step], passing())
			}
			in := input()
			in.Order.Payment.Token.Type = canonical.TokenCustomer
			env := environment(t, w)
			w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
			require.Equal(t, canonical.OrderConfirmed, play(t, env, in).Status)
			require.Empty(t, w.fail[step], "given up before it was written")
			require.Equal(t, 1, w.count("InvoiceSalesOrder")-1)
			require.Equal(t, canonical.OrderConfirmed, w.status["WEB-10001"])
		})
	}
}
